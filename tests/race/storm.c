/* SPDX-License-Identifier: MIT */
/*
 * The cancel storm: `storm [seed] [operations]`. Tasks do random operations inside random scopes, shields and groups with
 * random deadlines, and cancel one another's scopes at random. Afterwards no byte is lost (storm.h), no descriptor, no
 * task; and nothing hangs, because every wait stands within some deadline. One seed does not fix the course, for the
 * kernel's timing has its part in it, but it fixes the choices.
 */
#include "storm.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { WORKERS = 48, DEPTH = 5, SCOPES = 64, OPERATIONS = RACE_SANITIZED ? 30000 : 100000 };

static struct noria_scope *scopes[SCOPES];
static struct noria_group *groups[SCOPES];
static unsigned long operations_left;
static long tasks_alive;
static int listener;
static struct sockaddr_un listener_address;
static socklen_t listener_length;

static void some_operation(unsigned depth);

static int64_t soon(void)
{
	return noria_usec(storm_below(400));
}

/* A free place to be found by cancellers; the last when all are taken. */
static unsigned place_for(void *const *table)
{
	unsigned i = storm_below(SCOPES);

	return table[i] ? SCOPES : i;
}

static void cancel_something(void)
{
	unsigned i = storm_below(SCOPES);

	if (scopes[i])
		noria_scope_cancel(scopes[i]);
	if (groups[i] && storm_below(2))
		noria_group_cancel(groups[i]);
}

static void some_operations(unsigned depth)
{
	for (unsigned n = 1 + storm_below(4); n > 0; n--)
		some_operation(depth + 1);
}

static void in_scope(unsigned depth)
{
	struct noria_scope scope;
	unsigned flags = storm_below(4) ? 0 : NORIA_SCOPE_SHIELD, place = place_for((void *const *)scopes);
	ssize_t r;

	CHECK(noria_scope_open(&scope, noria_now() + soon(), flags) == 0);
	if (place < SCOPES)
		scopes[place] = &scope;
	some_operations(depth);
	if (storm_below(8) == 0) {
		r = noria_scope_set_deadline(&scope, noria_now() + soon());
		CHECK(r == 0 || r == -EBUSY);
		some_operations(depth);
	}
	if (storm_below(8) == 0)
		CHECK(noria_scope_unshield(&scope) == 0);
	if (place < SCOPES)
		scopes[place] = NULL;
	r = noria_scope_close(&scope, noria_check());
	CHECK(r == 0 || r == -ECANCELED || r == -ETIMEDOUT);
}

static int child(void *arg)
{
	tasks_alive++;
	some_operations(*(unsigned *)arg);
	tasks_alive--;
	return 0;
}

static void in_group(unsigned depth)
{
	struct noria_group group;
	unsigned place = place_for((void *const *)groups);
	int r;

	CHECK(noria_group_open_until(&group, noria_now() + soon()) == 0);
	if (place < SCOPES)
		groups[place] = &group;
	for (unsigned n = storm_below(4); n > 0; n--) {
		unsigned deeper = depth + 1;

		r = noria_spawn_copy(&group, child, &deeper, sizeof deeper);
		CHECK(r == 0 || r == -ECANCELED);
	}
	if (storm_below(2))
		some_operations(depth);
	r = noria_group_close(&group, noria_check());
	if (place < SCOPES)
		groups[place] = NULL;
	CHECK(r == 0 || r == -ECANCELED || r == -ETIMEDOUT);
}

struct call {
	unsigned pause_us;
	int ran;
};

static int work(void *arg)
{
	struct call *call = arg;
	struct timespec pause = {.tv_nsec = call->pause_us * 1000L};

	if (call->pause_us > 0)
		nanosleep(&pause, NULL);
	call->ran = 1;
	return 7;
}

static void offload(void)
{
	struct call call = {.pause_us = storm_below(4) ? 0 : storm_below(40)};
	int r = noria_offload(work, &call);

	CHECK((r == 7 && call.ran) || (r == -ECANCELED && !call.ran));
}

static void sleep_a_little(void)
{
	int64_t before = noria_now(), duration = soon();
	int r = noria_sleep(duration);

	CHECK(r == -ECANCELED || (r == 0 && noria_now() >= before + duration));
}

static void connect_once(void)
{
	int fd = noria_socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), r;

	CHECK(fd >= 0 || fd == -ECANCELED);
	if (fd < 0)
		return;
	r = noria_connect(fd, (struct sockaddr *)&listener_address, listener_length);
	CHECK(r == 0 || r == -ECANCELED || r == -EAGAIN);
	CHECK(noria_close(fd) == 0);
}

/* Whatever is there. The backlog is short: connects wait in it, some of them in worker threads of the kernel. */
static void accept_some(void)
{
	int fd;

	while ((fd = noria_accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0)
		CHECK(noria_close(fd) == 0);
	CHECK(fd == -ECANCELED);
}

static int receive_from_closed(void *arg)
{
	char byte;
	ssize_t n = noria_recv(*(int *)arg, &byte, 1, 0);

	CHECK(n == -EBADF || n == -ECANCELED);
	return 0;
}

/* Close a descriptor that another task receives from. */
static void close_under_a_receiver(void)
{
	struct noria_group group;
	int pair[2], r;

	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	CHECK(noria_group_open(&group) == 0);
	r = noria_spawn(&group, receive_from_closed, &pair[0]);
	CHECK(r == 0 || r == -ECANCELED);
	r = noria_yield();
	CHECK(r == 0 || r == -ECANCELED);
	if (noria_group_size(&group) > 0 && r == 0) {
		CHECK(noria_close(pair[0]) == 0);
		pair[0] = -1;
	}
	r = noria_group_close(&group, 0);
	CHECK(r == 0 || r == -ECANCELED);
	if (pair[0] >= 0)
		CHECK(noria_close(pair[0]) == 0);
	CHECK(noria_close(pair[1]) == 0);
}

static void one_operation(void)
{
	switch (storm_below(16)) {
	case 0:
		sleep_a_little();
		break;
	case 1:
		offload();
		break;
	case 2:
		connect_once();
		break;
	case 3:
		accept_some();
		break;
	case 4:
		close_under_a_receiver();
		break;
	case 5:
	case 6:
		cancel_something();
		break;
	case 7:
	case 8:
	case 9:
	case 10:
	case 11:
		storm_send();
		break;
	default:
		storm_receive();
	}
}

static int one_operation_as_value(void)
{
	one_operation();
	return noria_check();
}

static void some_operation(unsigned depth)
{
	unsigned choice = storm_below(10);
	int r = 0;

	if (operations_left == 0)
		return;
	operations_left--;
	if (depth < DEPTH && choice == 0)
		in_scope(depth);
	else if (depth < DEPTH && choice == 1)
		in_group(depth);
	else if (choice == 2)
		r = noria_shielded(soon(), one_operation_as_value());
	else
		r = noria_within(soon(), one_operation_as_value());
	CHECK(r == 0 || r == -ECANCELED || r == -ETIMEDOUT);
}

static int worker(void *arg)
{
	(void)arg;
	tasks_alive++;
	while (operations_left > 0) {
		some_operation(0);
		CHECK(noria_check() == 0); /* nothing of what was cancelled inside is left outside */
		CHECK(noria_yield() == 0);
	}
	tasks_alive--;
	return 0;
}

static void listen_somewhere(void)
{
	listener = noria_socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(listener >= 0);
	listener_address.sun_family = AF_UNIX;
	CHECK(noria_bind(listener, (struct sockaddr *)&listener_address, sizeof(sa_family_t)) == 0);
	CHECK(noria_listen(listener, 16) == 0);
	listener_length = sizeof listener_address;
	CHECK(getsockname(listener, (struct sockaddr *)&listener_address, &listener_length) == 0);
}

static int root(void *arg)
{
	struct noria_group streams, workers;

	(void)arg;
	listen_somewhere();
	storm_channels_open();
	CHECK(noria_group_open(&streams) == 0);
	for (int i = 0; i < STREAMS; i++)
		CHECK(noria_spawn(&streams, storm_stream, &storm_channels[i]) == 0);
	CHECK(noria_group_open(&workers) == 0);
	for (int i = 0; i < WORKERS; i++)
		CHECK(noria_spawn(&workers, worker, NULL) == 0);
	CHECK(noria_group_close(&workers, 0) == 0);
	CHECK(tasks_alive == 0);
	storm_streams_end();
	CHECK(noria_group_close(&streams, 0) == 0);
	storm_channels_check_and_close();
	return noria_close(listener);
}

static void run(enum noria_timeouts timeouts, unsigned long operations)
{
	struct noria_config config = {.timeouts = timeouts, .ring_entries = 32, .receive_buffers = 8};
	int before = race_count_fds();

	operations_left = operations;
	CHECK(race_run(&config, root, NULL) == 0);
	CHECK(race_count_fds() == before);
}

int main(int argc, char **argv)
{
	unsigned long operations = argc > 2 ? strtoul(argv[2], NULL, 0) : OPERATIONS;

	race_seed = argc > 1 ? strtoull(argv[1], NULL, 0) : (uint64_t)time(NULL);
	storm_seed_state = race_seed;
	race_watchdog(60 + (unsigned)(operations / 2000));
	run(NORIA_TIMEOUTS_LINKED, operations / 2);
	run(NORIA_TIMEOUTS_HEAP, operations - operations / 2);
	printf("ok: %lu operations in a storm of cancels\n", operations);
	return 0;
}
