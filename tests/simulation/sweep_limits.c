/* SPDX-License-Identifier: MIT */
/* Limits of time: whatever waits ends when it should, to the nanosecond, and the scope whose limit it was says so. */
#include "sweep.h"

/* Odd numbers: no clock of the world ticks there by itself. */
enum { ODD = 1234567 };

/* ---- one wait ---- */

/* `wait` under a limit that begins now, that lies at a point in time, and that is not the nearest one around it. */
#define LIMITED(wait) \
	do { \
		int64_t end_ = noria_now() + ODD; \
		noria_try(sweep_ended(noria_within(ODD, (wait)), -ETIMEDOUT, end_)); \
		end_ = noria_now() + MS(1100) + 999999; \
		noria_try(sweep_ended(noria_until(end_, (wait)), -ETIMEDOUT, end_)); \
		end_ = noria_now() + 1; \
		noria_try(sweep_ended(noria_within(MS(9), noria_until(end_, (wait))), -ETIMEDOUT, end_)); \
		end_ = noria_now() + ODD; \
		noria_try(sweep_ended(noria_until(end_, noria_within(MS(9), (wait))), -ETIMEDOUT, end_)); \
		end_ = noria_now() + 7; \
		noria_try(sweep_ended(noria_until(end_, noria_until(end_, (wait))), -ETIMEDOUT, end_)); \
		end_ = noria_now(); \
		noria_try(sweep_ended(noria_until(end_, (wait)), -ETIMEDOUT, end_)); \
		noria_try(sweep_ended(noria_until(end_ - 1, (wait)), -ETIMEDOUT, end_)); \
	} while (0)

static int wait_on_sockets(int fds[2])
{
	char byte, bytes[9];
	struct iovec vector = {.iov_base = bytes, .iov_len = sizeof bytes};
	struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};

	LIMITED(noria_poll(fds[0], POLLIN));
	LIMITED(noria_recv(fds[0], &byte, 1, 0));
	LIMITED(noria_recvmsg(fds[0], &message, 0));
	LIMITED(noria_read(fds[0], &byte, 1));
	LIMITED(noria_recv_all(fds[0], bytes, sizeof bytes, 0));
	return 0;
}

static int operations(void *arg)
{
	int fds[2], ends[2], r;

	(void)arg;
	noria_try(sweep_pair(fds));
	r = noria_pipe(ends);
	if (r >= 0) {
		r = wait_on_sockets(fds);
		sweep_close_pair(ends);
	}
	sweep_close_pair(fds);
	return r;
}

static int wait_full(int fds[2], char *bytes, size_t size)
{
	ssize_t n;

	while ((n = noria_send(fds[0], bytes, size, MSG_DONTWAIT)) > 0)
		;
	if (n != -EAGAIN)
		return (int)n;
	LIMITED(noria_send(fds[0], bytes, size, 0));
	LIMITED(noria_poll(fds[0], POLLOUT));
	LIMITED(noria_write_all(fds[0], bytes, size));
	return 0;
}

static int full(void *arg)
{
	static char bytes[65536];
	int fds[2], r;

	(void)arg;
	noria_try(sweep_pair(fds));
	r = wait_full(fds, bytes, sizeof bytes);
	sweep_close_pair(fds);
	return r;
}

static int listen_somewhere(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(99)};
	int fd = noria_socket(AF_INET, SOCK_STREAM, 0), r;

	noria_try(fd);
	r = noria_bind(fd, (struct sockaddr *)&address, sizeof address);
	if (r >= 0)
		r = noria_listen(fd, 4);
	if (r < 0)
		noria_close(fd);
	return r < 0 ? r : fd;
}

static int wait_for_peers(int listener, int ends[2], int pair[2])
{
	LIMITED(noria_accept(listener, NULL, NULL));
	LIMITED(noria_splice(ends[0], NULL, pair[1], NULL, 4, 0));
	return 0;
}

static int peers(void *arg)
{
	int listener = listen_somewhere(), ends[2], pair[2], r;

	(void)arg;
	noria_try(listener);
	r = noria_pipe(ends);
	if (r >= 0) {
		r = sweep_pair(pair);
		if (r >= 0) {
			r = wait_for_peers(listener, ends, pair);
			sweep_close_pair(pair);
		}
		sweep_close_pair(ends);
	}
	noria_close(listener);
	return r;
}

static int for_ever(void *arg)
{
	(void)arg;
	return noria_sleep(NORIA_FOREVER);
}

/* What other tasks end, and here nobody does. */
static int wait_on_tasks(struct noria_child *child)
{
	struct noria_semaphore semaphore = {0};
	struct noria_event event = {0};
	struct noria_channel channel = {0};
	int item, r;

	noria_try(noria_channel_init(&channel, sizeof item, NULL, 0));
	LIMITED(noria_sleep(NORIA_FOREVER));
	LIMITED(noria_sleep(noria_sec(5)));
	LIMITED(noria_semaphore_acquire(&semaphore));
	LIMITED(noria_event_wait(&event));
	LIMITED(noria_channel_recv(&channel, &item));
	item = 1;
	LIMITED(noria_channel_send(&channel, &item));
	LIMITED(noria_child_wait(child, &r));
	LIMITED(noria_select((struct noria_case[]){noria_case_recv(&channel, &item), noria_case_event(&event)}, 2));
	return 0;
}

static int tasks(void *arg)
{
	struct noria_group group;
	struct noria_child child = {0};
	int r;

	(void)arg;
	noria_try(noria_group_open(&group));
	r = noria_spawn_with(&group, for_ever, NULL, &(struct noria_spawn_options){.child = &child});
	if (r >= 0)
		r = wait_on_tasks(&child);
	noria_group_cancel(&group);
	return noria_group_close(&group, r);
}

/* What begins at the very end of a limit does not begin: what is there stays there. */
static int begin_at_the_end(int fds[2], bool receives)
{
	int64_t end = noria_now() + ODD;
	struct noria_event event = {0};
	struct noria_scope scope;
	char byte = 'x';
	ssize_t r;

	noria_try(noria_send_all(fds[1], &byte, 1, 0));
	CHECK_EQ(noria_event_set(&event), 0);
	noria_try(noria_scope_open(&scope, end, 0));
	r = noria_shielded(noria_sec(1), noria_sleep_until(end));
	if (r >= 0)
		r = receives ? noria_recv(fds[0], &byte, 1, 0) : noria_event_wait(&event);
	noria_try(sweep_ended(noria_scope_close(&scope, r), -ETIMEDOUT, end));
	r = noria_recv_all(fds[0], &byte, 1, 0);
	noria_try(r);
	CHECK_EQ(r, 1);
	return 0;
}

static int edges(void *arg)
{
	int fds[2], r;

	(void)arg;
	noria_try(sweep_pair(fds));
	r = begin_at_the_end(fds, true);
	if (r >= 0)
		r = begin_at_the_end(fds, false);
	sweep_close_pair(fds);
	return r;
}

/* Timers that say when: sleeps end in their order, at their times. */
static int64_t last_ns;

static int sleeper(void *arg)
{
	int64_t end = *(int64_t *)arg;

	noria_try(sweep_ended(noria_sleep_until(end), 0, end));
	CHECK(end >= last_ns);
	last_ns = end;
	return 0;
}

/* Equal ones end in the order in which they were set; it shows where tasks run in theirs. */
static unsigned slept, woken;

static int equal_sleeper(void *arg)
{
	int64_t end = *(int64_t *)arg;
	unsigned turn = slept++;

	noria_try(sweep_ended(noria_sleep_until(end), 0, end));
	CHECK(turn == woken || !sweep_in_order() || sweep_cancelled());
	woken++;
	return 0;
}

static int equal_sleeps(void *arg)
{
	struct noria_group group;
	int64_t end = noria_now() + ODD;
	int r;

	(void)arg;
	slept = woken = 0;
	noria_try(noria_group_open(&group));
	r = 0;
	for (int i = 0; i < 6 && r >= 0; i++)
		r = noria_spawn(&group, equal_sleeper, &end);
	return noria_group_close(&group, r);
}

static int sleeps(void *arg)
{
	struct noria_group group;
	int64_t now = noria_now();
	int r = 0;

	(void)arg;
	last_ns = 0;
	noria_try(noria_group_open(&group));
	for (int i = 0; i < 12 && r >= 0; i++) {
		int64_t end = now + 1 + (i * 7) % 12 * ODD / (1 + i % 3);

		r = noria_spawn_copy(&group, sleeper, &end, sizeof end);
	}
	if (r >= 0)
		r = sweep_ended(noria_select((struct noria_case[]){noria_case_until(now + ODD)}, 1), 0, now + ODD);
	return noria_group_close(&group, r);
}

/* ---- limits that move ---- */

struct moved {
	struct noria_scope *scope;
	int64_t at, to;
};

static int mover(void *arg)
{
	const struct moved *moved = arg;

	noria_try(sweep_ended(noria_sleep_until(moved->at), 0, moved->at));
	if (sweep_cancelled())
		return 0;
	if (moved->to == 0)
		noria_scope_cancel(moved->scope);
	else
		noria_try(noria_scope_set_deadline(moved->scope, moved->to));
	return 0;
}

/* A wait whose limit lies at 10 ms, and is moved at 4 ms, 0: it is cancelled then. */
static int move_in(struct noria_group *group, int64_t to_ms, int fd, struct noria_event *event)
{
	int64_t now = noria_now(), end = to_ms > 0 ? now + MS(to_ms) : now + MS(4);
	struct noria_scope scope;
	struct moved moved = {.scope = &scope, .at = now + MS(4), .to = to_ms > 0 ? end : 0};
	char byte;
	ssize_t r;

	noria_try(noria_scope_open(&scope, now + MS(10), 0));
	r = noria_spawn_copy(group, mover, &moved, sizeof moved);
	if (r >= 0)
		r = fd >= 0 ? noria_recv(fd, &byte, 1, 0) : noria_event_wait(event);
	r = noria_scope_close(&scope, r);
	return sweep_ended(r, to_ms > 0 ? -ETIMEDOUT : 0, end);
}

static int move_all(struct noria_group *group, int fds[2])
{
	struct noria_event event = {0};

	for (int i = 0; i < 2; i++) {
		int fd = i == 0 ? fds[0] : -1;

		noria_try(move_in(group, 20, fd, &event));
		noria_try(move_in(group, 7, fd, &event));
		noria_try(move_in(group, 4, fd, &event));
		noria_try(move_in(group, 10, fd, &event));
		noria_try(move_in(group, 0, fd, &event));
	}
	return 0;
}

static int moves(void *arg)
{
	struct noria_group group;
	int fds[2], r;

	(void)arg;
	noria_try(sweep_pair(fds));
	r = noria_group_open(&group);
	if (r >= 0) {
		r = move_all(&group, fds);
		r = noria_group_close(&group, r);
	}
	sweep_close_pair(fds);
	return r;
}

/* ---- shields, graces, drains ---- */

/* The outer limit passes meanwhile; the inner one counts, and afterwards the outer one is told at once. */
static int hidden(int fd)
{
	int64_t now = noria_now(), outer_end = now + ODD, end = now + 3 * ODD;
	struct noria_scope outer;
	char byte;
	ssize_t r;

	noria_try(noria_scope_open(&outer, outer_end, 0));
	r = noria_shielded(3 * ODD, noria_recv(fd, &byte, 1, 0));
	r = sweep_ended(r, -ETIMEDOUT, end);
	if (r == 0)
		r = noria_recv(fd, &byte, 1, 0);
	return sweep_ended(noria_scope_close(&outer, r), -ETIMEDOUT, end);
}

/* Cancelled at `at` with a grace, what a soft shield hides ends with that, and what a hard one hides at its own end. */
static int with_grace(struct noria_group *group, int fd, unsigned flags, int64_t grace_ns)
{
	int64_t now = noria_now(), own_end = now + MS(50);
	int64_t end = flags == NORIA_SCOPE_SHIELD && MS(4) + grace_ns < MS(50) ? now + MS(4) + grace_ns : own_end;
	struct noria_scope outer, inner;
	struct moved moved = {.scope = &outer, .at = now + MS(4)};
	char byte;
	ssize_t r;

	noria_try(noria_scope_open(&outer, NORIA_FOREVER, 0));
	r = noria_scope_set_grace(&outer, grace_ns);
	if (r >= 0)
		r = noria_spawn_copy(group, mover, &moved, sizeof moved);
	if (r >= 0) {
		r = noria_scope_open(&inner, own_end, flags);
		if (r >= 0) {
			r = fd >= 0 ? noria_recv(fd, &byte, 1, 0) : noria_sleep(NORIA_FOREVER);
			r = noria_scope_close(&inner, r);
			if (r == -ETIMEDOUT && end == own_end)
				r = -ECANCELED; /* what the next checkpoint says */
		}
	}
	return sweep_ended(noria_scope_close(&outer, r), 0, end);
}

static int unshielder(void *arg)
{
	const struct moved *moved = arg;

	noria_try(sweep_ended(noria_sleep_until(moved->at), 0, moved->at));
	return sweep_cancelled() ? 0 : noria_scope_unshield(moved->scope);
}

/* The limit outside has passed when the shield is lifted: the wait ends at once. */
static int lifted(struct noria_group *group, int fd, int64_t outer_ms)
{
	int64_t now = noria_now(), end = now + MS(outer_ms > 6 ? outer_ms : 6);
	struct noria_scope outer, inner;
	struct moved moved = {.scope = &inner, .at = now + MS(6)};
	char byte;
	ssize_t r;

	noria_try(noria_scope_open(&outer, now + MS(outer_ms), 0));
	r = noria_scope_open(&inner, now + MS(90), NORIA_SCOPE_SHIELD);
	if (r >= 0) {
		r = noria_spawn_copy(group, unshielder, &moved, sizeof moved);
		if (r >= 0)
			r = noria_recv(fd, &byte, 1, 0);
		r = noria_scope_close(&inner, r);
	}
	return sweep_ended(noria_scope_close(&outer, r), -ETIMEDOUT, end);
}

static int drainer(void *arg)
{
	const struct moved *moved = arg;

	noria_try(sweep_ended(noria_sleep_until(moved->at), 0, moved->at));
	return sweep_cancelled() ? 0 : noria_scope_drain(moved->scope, moved->to);
}

/* Idle waits end with the drain, others with its patience. */
static int drained(struct noria_group *group, int fd, bool idle)
{
	int64_t now = noria_now(), end = idle ? now + MS(4) : now + MS(9);
	struct noria_scope scope;
	struct moved moved = {.scope = &scope, .at = now + MS(4), .to = MS(5)};
	char byte;
	ssize_t r;

	noria_try(noria_scope_open(&scope, now + MS(90), 0));
	r = noria_spawn_copy(group, drainer, &moved, sizeof moved);
	if (r >= 0)
		r = idle ? noria_idle(noria_recv(fd, &byte, 1, 0)) : noria_recv(fd, &byte, 1, 0);
	return sweep_ended(noria_scope_close(&scope, r), 0, end);
}

static int shield_all(struct noria_group *group, int fd)
{
	noria_try(hidden(fd));
	noria_try(with_grace(group, fd, NORIA_SCOPE_SHIELD, MS(3) + 1));
	noria_try(with_grace(group, -1, NORIA_SCOPE_SHIELD, MS(3) + 1));
	noria_try(with_grace(group, fd, NORIA_SCOPE_SHIELD, 0));
	noria_try(with_grace(group, fd, NORIA_SCOPE_SHIELD, MS(300)));
	noria_try(with_grace(group, fd, NORIA_SCOPE_HARD_SHIELD, MS(3)));
	noria_try(lifted(group, fd, 3));
	noria_try(lifted(group, fd, 8));
	noria_try(drained(group, fd, true));
	return drained(group, fd, false);
}

static int shields(void *arg)
{
	struct noria_group group;
	int fds[2], r;

	(void)arg;
	noria_try(sweep_pair(fds));
	r = noria_group_open(&group);
	if (r >= 0) {
		r = shield_all(&group, fds[0]);
		r = noria_group_close(&group, r);
	}
	sweep_close_pair(fds);
	return r;
}

/* ---- groups with a limit ---- */

static int receiver(void *arg)
{
	char byte;

	return (int)noria_recv(*(int *)arg, &byte, 1, 0);
}

static int cleaner(void *arg)
{
	int64_t end;
	int r = receiver(arg);

	end = noria_now() + MS(2);
	if (r == -ECANCELED)
		noria_try(sweep_ended(noria_shielded(MS(2), noria_sleep(NORIA_FOREVER)), -ETIMEDOUT, end));
	return r;
}

/* Its children end with it, and what they clean up is waited for. */
static int fill_group(struct noria_group *group, int fds[2], int64_t *ret_end, int64_t deadline)
{
	noria_try(noria_spawn(group, receiver, &fds[0]));
	noria_try(noria_spawn(group, for_ever, NULL));
	noria_try(noria_spawn(group, cleaner, &fds[1]));
	noria_try(noria_spawn_with(group, for_ever, NULL, &(struct noria_spawn_options){.service = true}));
	*ret_end = deadline + MS(2);
	return 0;
}

static int limited_group(int fds[2], bool by_body)
{
	int64_t deadline = noria_now() + ODD, end = deadline;
	struct noria_group group;
	int r;

	noria_try(noria_group_open_until(&group, deadline));
	r = fill_group(&group, fds, &end, deadline);
	if (r >= 0 && by_body)
		r = noria_sleep(NORIA_FOREVER);
	r = noria_group_close(&group, r);
	return sweep_ended(r, -ETIMEDOUT, end);
}

static int groups(void *arg)
{
	int fds[2], r;

	(void)arg;
	noria_try(sweep_pair(fds));
	r = limited_group(fds, true);
	if (r >= 0)
		r = limited_group(fds, false);
	sweep_close_pair(fds);
	return r;
}

const struct sweep_program sweep_limits[] = {
	{"operations", operations, "plain tiny heap old", 0},
	{"full", full, "plain tiny", 60},
	{"peers", peers, "tiny heap", 60},
	{"tasks", tasks, "tiny", 0},
	{"sleeps", sleeps, "plain", 0},
	{"equal-sleeps", equal_sleeps, "plain", 0},
	{"edges", edges, "plain heap", 0},
	{"moves", moves, "plain tiny heap", 0},
	{"shields", shields, "plain tiny heap", 0},
	{"groups", groups, "plain heap tiny", 0},
	{0},
};
