/* SPDX-License-Identifier: MIT */
/*
 * Accept streams: every connection reaches the task once, or is closed with the stream; errors are told once; drains,
 * cancels and closings lose none. Each test runs with and without multishot accept.
 */
#include "unit.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <unistd.h>

static struct sockaddr_storage address;
static socklen_t length;

static int listener(void)
{
	int fd = unit_listener(&address, &length);

	MUST(listen(fd, 1024) == 0); /* all that a test connects wait side by side */
	return fd;
}

/* A client, connected: the kernel does that for the listener. */
static int client(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	MUST(fd >= 0 && connect(fd, (struct sockaddr *)&address, length) == 0);
	return fd;
}

static in_port_t port_of(int fd, bool peer)
{
	struct sockaddr_in name;
	socklen_t size = sizeof name;

	MUST((peer ? getpeername : getsockname)(fd, (struct sockaddr *)&name, &size) == 0);
	return name.sin_port;
}

static bool was_closed(int fd)
{
	char byte;

	return recv(fd, &byte, 1, 0) <= 0;
}

enum { MANY = 200, FIRST = 20 };

static int each_connection_once(__attribute__((unused)) void *arg)
{
	struct noria_accept_stream stream;
	int fd = listener(), clients[MANY];

	MUST(noria_accept_stream_open(&stream, fd, SOCK_CLOEXEC | SOCK_NONBLOCK) == 0);
	for (int i = 0; i < FIRST; i++)
		clients[i] = client();
	for (int i = 0; i < MANY; i++) {
		int taken;

		for (int j = FIRST; i == FIRST / 2 && j < MANY; j++)
			clients[j] = client(); /* the queue, which is taken from already, has to grow */
		taken = noria_accept_stream_next(&stream);
		MUST(taken >= 0);
		EXPECT_EQ(port_of(taken, true), port_of(clients[i], false)); /* in the order of their coming */
		EXPECT_EQ(fcntl(taken, F_GETFD), FD_CLOEXEC);
		EXPECT(fcntl(taken, F_GETFL) & O_NONBLOCK);
		EXPECT_EQ(noria_close(taken), 0);
	}
	EXPECT_EQ(noria_within(noria_msec(2), noria_accept_stream_next(&stream)), -ETIMEDOUT);
	noria_accept_stream_close(&stream);
	for (int i = 0; i < MANY; i++)
		EXPECT_EQ(noria_close(clients[i]), 0);
	EXPECT_EQ(noria_close(fd), 0);
	return 0;
}

/* More come than the stream queues: it stops and goes on. The rest is closed with it: the frame counts descriptors. */
static int what_is_not_taken_is_closed(__attribute__((unused)) void *arg)
{
	struct noria_accept_stream stream;
	int fd = listener(), clients[MANY], taken;

	MUST(noria_accept_stream_open(&stream, fd, SOCK_CLOEXEC) == 0);
	clients[0] = client();
	taken = noria_accept_stream_next(&stream);
	MUST(taken >= 0);
	for (int i = 1; i < MANY; i++)
		clients[i] = client();
	MUST(noria_sleep(noria_msec(2)) == 0);
	noria_accept_stream_close(&stream);
	EXPECT_EQ(noria_close(taken) | noria_close(fd), 0); /* and what the kernel had not yet given away */
	for (int i = 0; i < MANY; i++) {
		EXPECT(was_closed(clients[i]));
		EXPECT_EQ(noria_close(clients[i]), 0);
	}
	return 0;
}

/* While its task does not come, a stream takes no more than it queues: the others wait at the listener. */
static int a_slow_task_is_not_flooded(__attribute__((unused)) void *arg)
{
	struct noria_accept_stream stream;
	int fd = listener(), clients[MANY], taken, before;

	MUST(noria_accept_stream_open(&stream, fd, SOCK_CLOEXEC) == 0);
	EXPECT_EQ(noria_within(noria_usec(100), noria_accept_stream_next(&stream)), -ETIMEDOUT);
	before = unit_count_fds();
	for (int i = 0; i < MANY; i++) {
		clients[i] = client();
		MUST(noria_yield() == 0 && noria_yield() == 0);
	}
	EXPECT(unit_count_fds() - before - MANY <= 64 + 32);
	for (int i = 0; i < MANY; i++) {
		taken = noria_accept_stream_next(&stream);
		MUST(taken >= 0);
		EXPECT_EQ(port_of(taken, true), port_of(clients[i], false));
		EXPECT_EQ(noria_close(taken) | noria_close(clients[i]), 0);
	}
	noria_accept_stream_close(&stream);
	EXPECT_EQ(noria_close(fd), 0);
	return 0;
}

static int a_cancel_loses_none(__attribute__((unused)) void *arg)
{
	struct noria_accept_stream stream;
	int fd = listener();

	MUST(noria_accept_stream_open(&stream, fd, SOCK_CLOEXEC) == 0);
	for (int round = 0; round < 30; round++) {
		struct noria_scope scope;
		int one, taken;

		EXPECT_EQ(noria_within(noria_usec(200), noria_accept_stream_next(&stream)), -ETIMEDOUT);
		one = client();
		MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
		noria_scope_cancel(&scope);
		EXPECT_EQ(noria_accept_stream_next(&stream), -ECANCELED);
		MUST(noria_scope_close(&scope, -ECANCELED) == 0);
		taken = noria_within(noria_sec(5), noria_accept_stream_next(&stream));
		MUST(taken >= 0);
		EXPECT_EQ(port_of(taken, true), port_of(one, false));
		EXPECT_EQ(noria_close(taken) | noria_close(one), 0);
	}
	noria_accept_stream_close(&stream);
	EXPECT_EQ(noria_close(fd), 0);
	return 0;
}

static int drain_after_a_while(void *arg)
{
	MUST(noria_sleep(noria_msec(2)) == 0);
	return noria_scope_drain(arg, NORIA_FOREVER);
}

/* A drain ends the wait; what was accepted before is handed out first. */
static int a_drain_hands_out_what_there_is(__attribute__((unused)) void *arg)
{
	struct noria_accept_stream stream;
	struct noria_group group;
	struct noria_scope scope;
	int fd = listener(), clients[3], taken = 0;

	MUST(noria_accept_stream_open(&stream, fd, SOCK_CLOEXEC) == 0 && noria_group_open(&group) == 0);
	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
	MUST(noria_spawn(&group, drain_after_a_while, &scope) == 0);
	EXPECT_EQ(noria_accept_stream_next(&stream), -ECANCELED);
	EXPECT_EQ(noria_accept_stream_next(&stream), -ECANCELED);
	MUST(noria_scope_close(&scope, 0) == 0);
	clients[0] = client(); /* nothing is accepted any more: it is left to the listener */
	MUST(noria_sleep(noria_msec(1)) == 0);
	taken = noria_within(noria_sec(5), noria_accept(fd, NULL, NULL));
	MUST(taken >= 0);
	EXPECT_EQ(noria_close(taken) | noria_close(clients[0]), 0);
	for (int i = 0; i < 3; i++)
		clients[i] = client();
	taken = noria_accept_stream_next(&stream);
	MUST(taken >= 0);
	EXPECT_EQ(noria_close(taken), 0);
	MUST(noria_sleep(noria_msec(1)) == 0); /* a multishot has accepted the others by now */
	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0 && noria_scope_drain(&scope, NORIA_FOREVER) == 0);
	for (int r; (r = noria_accept_stream_next(&stream)) != -ECANCELED; taken++) {
		MUST(r >= 0);
		EXPECT_EQ(noria_close(r), 0);
	}
	MUST(noria_scope_close(&scope, 0) == 0);
	noria_accept_stream_close(&stream);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	/* Those that nobody has accepted are still with the listener. */
	for (int r; (r = noria_within(noria_msec(2), noria_accept(fd, NULL, NULL))) >= 0;)
		EXPECT_EQ(noria_close(r), 0);
	for (int i = 0; i < 3; i++) {
		char byte;

		EXPECT_EQ(recv(clients[i], &byte, 1, 0), 0); /* an orderly end, of each of them */
		EXPECT_EQ(noria_close(clients[i]), 0);
	}
	EXPECT_EQ(noria_close(fd), 0);
	return 0;
}

static int no_descriptor_is_told_once(__attribute__((unused)) void *arg)
{
	struct noria_accept_stream stream;
	struct rlimit limit, none;
	int fd = listener(), one = client(), taken;

	MUST(noria_accept_stream_open(&stream, fd, SOCK_CLOEXEC) == 0);
	MUST(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	none = (struct rlimit){.rlim_cur = 3, .rlim_max = limit.rlim_max};
	MUST(setrlimit(RLIMIT_NOFILE, &none) == 0);
	EXPECT_EQ(noria_accept_stream_next(&stream), -EMFILE);
	EXPECT_EQ(noria_accept_stream_next(&stream), -EMFILE);
	MUST(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	taken = noria_accept_stream_next(&stream);
	MUST(taken >= 0);
	noria_accept_stream_close(&stream);
	EXPECT_EQ(noria_close(taken) | noria_close(one) | noria_close(fd), 0);
	return 0;
}

static int misuse_is_refused(__attribute__((unused)) void *arg)
{
	struct noria_accept_stream stream;
	int fd = listener(), gone, pair[2];

	unit_pair(pair);
	gone = dup(0);
	MUST(gone >= 0 && close(gone) == 0);
	EXPECT_EQ(noria_accept_stream_open(&stream, fd, SOCK_CLOEXEC | 1), -EINVAL);
	EXPECT_EQ(noria_accept_stream_next(&stream), -EINVAL);
	MUST(noria_accept_stream_open(&stream, gone, 0) == 0);
	EXPECT_EQ(noria_accept_stream_open(&stream, fd, 0), -EINVAL);
	EXPECT(strstr(noria_message(), "open already"));
	EXPECT_EQ(noria_accept_stream_next(&stream), -EBADF);
	noria_accept_stream_close(&stream);
	noria_accept_stream_close(&stream);
	MUST(noria_accept_stream_open(&stream, pair[0], 0) == 0);
	EXPECT(noria_accept_stream_next(&stream) < 0);
	noria_accept_stream_close(&stream);
	EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]) | noria_close(fd), 0);
	return 0;
}

static struct noria_accept_stream shared;
static int shared_fd;

static int wait_for_one(void *arg)
{
	*(int *)arg = noria_accept_stream_next(&shared);
	return 0;
}

/* Closing the stream, or its descriptor, under a task that waits. */
static int closed_under_somebody(__attribute__((unused)) void *arg)
{
	for (int round = 0; round < 2; round++) {
		struct noria_group group;
		int heard = 0;

		shared_fd = listener();
		MUST(noria_accept_stream_open(&shared, shared_fd, SOCK_CLOEXEC) == 0 && noria_group_open(&group) == 0);
		MUST(noria_spawn(&group, wait_for_one, &heard) == 0 && noria_sleep(noria_msec(1)) == 0);
		EXPECT_EQ(noria_accept_stream_next(&shared), -EINVAL); /* another task waits on it */
		if (round == 0)
			noria_accept_stream_close(&shared);
		EXPECT_EQ(noria_close(shared_fd), 0);
		EXPECT_EQ(noria_group_close(&group, 0), 0);
		EXPECT_EQ(heard, -EBADF);
		if (round == 1)
			EXPECT_EQ(noria_accept_stream_next(&shared), -EBADF);
		noria_accept_stream_close(&shared);
	}
	return 0;
}

static int a_nonblocking_listener(__attribute__((unused)) void *arg)
{
	struct noria_accept_stream stream;
	int fd = listener(), one, taken;

	MUST(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
	MUST(noria_accept_stream_open(&stream, fd, SOCK_CLOEXEC) == 0);
	EXPECT_EQ(noria_within(noria_msec(1), noria_accept_stream_next(&stream)), -ETIMEDOUT);
	one = client();
	taken = noria_within(noria_sec(5), noria_accept_stream_next(&stream));
	EXPECT(taken >= 0);
	noria_accept_stream_close(&stream);
	EXPECT_EQ(noria_close(taken) | noria_close(one) | noria_close(fd), 0);
	return 0;
}

static const struct noria_config small = {.ring_entries = 2, .ring_entries_max = 2};

#define ACCEPT(name) \
	Test(stream_accept, name, .timeout = 60) \
	{ \
		unit_run_twice(name, NULL); \
		unit_run(name, &small); \
	} \
	Test(stream_accept, name##_without_multishot, .timeout = 60) \
	{ \
		setenv("NORIA_HIDE", "accept_multishot", 1); \
		unit_run_twice(name, NULL); \
		unit_run(name, &small); \
	} \
	Test(stream_accept, name##_with_nothing, .timeout = 60) \
	{ \
		setenv("NORIA_HIDE", "all", 1); \
		unit_run(name, NULL); \
	}

ACCEPT(each_connection_once)
ACCEPT(what_is_not_taken_is_closed)
ACCEPT(a_slow_task_is_not_flooded)
ACCEPT(a_cancel_loses_none)
ACCEPT(a_drain_hands_out_what_there_is)
ACCEPT(no_descriptor_is_told_once)
ACCEPT(misuse_is_refused)
ACCEPT(closed_under_somebody)
ACCEPT(a_nonblocking_listener)
