/* SPDX-License-Identifier: MIT */
/* What a time limit covers: clean-up and children, no time at all, a deadline that moves, clean-up's own limits. */
#include "task/loop.h"
#include "time_waits.h"

static int clean_up_slowly(void *arg)
{
	ssize_t r = noria_sleep(NORIA_FOREVER);

	EXPECT(r == -ECANCELED);
	EXPECT(noria_shielded(noria_sec(100), noria_sleep(noria_msec(4))) == 0);
	*(bool *)arg = true;
	return (int)r;
}

/* T06: the timeout of a group is reported when its children have cleaned up and ended, not when it fires. */
RULE(T06, a_timeout_waits_for_children)
{
	for (int during_body = 0; during_body < 2; during_body++) {
		bool cleaned[2] = {false, false};
		struct noria_group group = {0};

		MUST(noria_group_open_until(&group, noria_now() + noria_msec(2)) == 0);
		MUST(noria_spawn(&group, clean_up_slowly, &cleaned[0]) == 0);
		MUST(noria_spawn(&group, clean_up_slowly, &cleaned[1]) == 0);
		if (during_body)
			EXPECT(noria_sleep(NORIA_FOREVER) == -ECANCELED);
		EXPECT(noria_group_close(&group, 0) == -ETIMEDOUT);
		EXPECT(cleaned[0] && cleaned[1]);
	}
	return 0;
}

/* T06: likewise with a limit around the group, and with the clean-up of the body itself. */
RULE(T06, a_timeout_waits_for_clean_up)
{
	bool cleaned[2] = {false, false};
	ssize_t r = noria_within(noria_msec(2), ({
					 struct noria_group group = {0};

					 MUST(noria_group_open(&group) == 0);
					 MUST(noria_spawn(&group, clean_up_slowly, &cleaned[0]) == 0);
					 noria_group_close(&group, clean_up_slowly(&cleaned[1]));
				 }));

	EXPECT(r == -ETIMEDOUT);
	EXPECT(cleaned[0] && cleaned[1]);
	return 0;
}

/* T07: no time at all: the body runs up to its first checkpoint, which takes nothing out of the socket. */
RULE(T07, no_time_ends_at_the_first_checkpoint)
{
	int64_t limits[] = {0, -1, INT64_MIN};
	char buffer[8];
	int pair[2], ran = 0;

	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	MUST(send(pair[1], "data", 4, 0) == 4);
	for (int i = 0; i < 3; i++)
		EXPECT(noria_within(limits[i], (ran++, noria_recv(pair[0], buffer, sizeof buffer, 0))) == -ETIMEDOUT);
	EXPECT(ran == 3);
	EXPECT(noria_within(noria_sec(100), noria_recv(pair[0], buffer, sizeof buffer, 0)) == 4);
	close(pair[0]);
	close(pair[1]);
	return 0;
}

/* T07: a deadline behind us that the loop has not seen yet: the operation may complete, and then it is delivered. */
RULE(T07, what_was_ready_is_delivered_or_stays)
{
	char buffer[8];
	int pair[2];

	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	for (int i = 0; i < 100; i++) {
		struct noria_scope scope = {0};
		int64_t deadline = i % 2 ? noria_loop->now + 1 : noria_loop->now - noria_sec(1);
		ssize_t inside, r;

		MUST(send(pair[1], "data", 4, 0) == 4);
		MUST(noria_scope_open(&scope, deadline, 0) == 0);
		spin_until(deadline);
		inside = noria_recv(pair[0], buffer, sizeof buffer, 0);
		EXPECT(inside == 4 || inside == -ECANCELED);
		EXPECT(i % 2 || inside == -ECANCELED);
		r = noria_scope_close(&scope, inside);
		EXPECT(r == (inside == 4 ? 4 : -ETIMEDOUT));
		EXPECT(recv(pair[0], buffer, sizeof buffer, MSG_DONTWAIT) == (inside == 4 ? -1 : 4));
	}
	close(pair[0]);
	close(pair[1]);
	return 0;
}

/* T07: and where nothing was ready, every kind of wait ends. */
RULE(T07, a_deadline_in_the_past_ends_every_wait)
{
	for (int kind = 0; kind < WAITS; kind++) {
		struct noria_scope scope = {0};
		int64_t deadline = noria_loop->now + 1;

		MUST(noria_scope_open(&scope, deadline, 0) == 0);
		spin_until(deadline);
		EXPECT(noria_scope_close(&scope, wait_forever(kind)) == -ETIMEDOUT);
	}
	return 0;
}

struct moved {
	struct noria_scope scope;
	int64_t deadline;
	int fd, kind;
	ssize_t result;
	bool waiting, done;
};

static int wait_in_scope(void *arg)
{
	struct moved *moved = arg;
	char byte;

	MUST(noria_scope_open(&moved->scope, moved->deadline, 0) == 0);
	moved->waiting = true;
	moved->result = moved->fd >= 0 ? noria_recv(moved->fd, &byte, 1, 0) : wait_forever(moved->kind);
	moved->result = noria_scope_close(&moved->scope, moved->result);
	moved->done = true;
	return 0;
}

/* Move the deadline of a task that waits until 5 ms from now far away; again with longer when it came too early. */
static void move_later(int fd, int peer)
{
	struct noria_group group = {0};
	int64_t limit = noria_msec(5);
	int r;

	do {
		struct moved moved = {.deadline = noria_now() + limit, .fd = fd};

		MUST(noria_group_open(&group) == 0);
		MUST(noria_spawn(&group, wait_in_scope, &moved) == 0);
		UNTIL(moved.waiting);
		MUST(noria_yield() == 0);
		r = noria_scope_set_deadline(&moved.scope, noria_now() + noria_sec(100));
		if (r == 0) {
			MUST(noria_sleep_until(moved.deadline + noria_msec(1)) == 0);
			for (int i = 0; i < 100; i++)
				MUST(noria_yield() == 0);
			EXPECT(!moved.done);
			MUST(send(peer, "!", 1, 0) == 1);
		}
		MUST(noria_group_close(&group, 0) == 0);
		EXPECT(moved.result == (r == 0 ? 1 : -ETIMEDOUT));
		limit *= 2;
	} while (r != 0 && limit < noria_sec(20));
	EXPECT(r == 0);
}

/* T08: a deadline moved into the future, while an operation carries the old one, does not end that operation. */
RULE(T08, a_deadline_can_be_moved_later)
{
	int pair[2];

	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	move_later(pair[0], pair[1]);
	close(pair[0]);
	close(pair[1]);
	return 0;
}

/* T08: a deadline can be moved nearer, or given to a scope that had none, and ends what waits in the scope. */
RULE(T08, a_deadline_can_be_moved_nearer)
{
	int64_t before[] = {noria_now() + noria_sec(100), NORIA_FOREVER};

	for (int i = 0; i < 2 * WAITS; i++) {
		struct moved moved = {.deadline = before[i % 2], .fd = -1, .kind = i / 2};
		struct noria_group group = {0};
		int64_t deadline;

		MUST(noria_group_open(&group) == 0);
		MUST(noria_spawn(&group, wait_in_scope, &moved) == 0);
		UNTIL(moved.waiting);
		MUST(noria_yield() == 0);
		deadline = noria_now() + noria_msec(2);
		EXPECT(noria_scope_set_deadline(&moved.scope, deadline) == 0);
		MUST(noria_group_close(&group, 0) == 0);
		EXPECT(moved.result == -ETIMEDOUT);
		EXPECT(noria_now() >= deadline);
	}
	return 0;
}

/* T08: once a scope has expired, or was cancelled, its deadline stays; a closed scope has none. */
RULE(T08, a_deadline_cannot_be_moved_once_it_counts)
{
	struct noria_scope scope = {0};
	int64_t deadline = noria_now() + noria_msec(1);

	MUST(noria_scope_open(&scope, deadline, 0) == 0);
	spin_until(deadline);
	EXPECT(noria_scope_set_deadline(&scope, noria_now() + noria_sec(100)) == -EBUSY);
	EXPECT(noria_check() == -ECANCELED);
	EXPECT(noria_scope_set_deadline(&scope, NORIA_FOREVER) == -EBUSY);
	EXPECT(noria_scope_close(&scope, -ECANCELED) == -ETIMEDOUT);
	EXPECT(noria_scope_set_deadline(&scope, NORIA_FOREVER) == -EINVAL);

	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
	noria_scope_cancel(&scope);
	EXPECT(noria_scope_set_deadline(&scope, noria_now() + noria_sec(100)) == -EBUSY);
	EXPECT(noria_scope_close(&scope, -ECANCELED) == 0);
	return 0;
}

/* T10: a time limit works in the clean-up of a cancelled scope, behind a shield. */
RULE(T10, a_limit_works_in_clean_up)
{
	for (int kind = 0; kind < WAITS; kind++) {
		struct noria_scope scope = {0};

		MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
		noria_scope_cancel(&scope);
		EXPECT(noria_check() == -ECANCELED);
		EXPECT(noria_shielded(noria_msec(2), wait_forever(kind)) == -ETIMEDOUT);
		EXPECT(noria_shielded(noria_sec(100), noria_within(noria_msec(2), wait_forever(kind))) == -ETIMEDOUT);
		EXPECT(noria_shielded(noria_sec(100), noria_sleep(noria_msec(1))) == 0);
		EXPECT(noria_check() == -ECANCELED);
		EXPECT(noria_scope_close(&scope, -ECANCELED) == 0);
	}
	return 0;
}

/* T12: the first yield after the deadline notices it, even if the loop has not looked at its clock since. */
RULE(T12, a_yield_notices_a_passed_deadline)
{
	struct noria_scope scope = {0};
	int64_t deadline = noria_now() + noria_msec(1);

	MUST(noria_scope_open(&scope, deadline, 0) == 0);
	spin_until(deadline);
	EXPECT(noria_loop->now < deadline);
	EXPECT(noria_yield() == -ECANCELED);
	EXPECT(noria_scope_close(&scope, -ECANCELED) == -ETIMEDOUT);
	EXPECT(noria_yield() == 0);
	return 0;
}
