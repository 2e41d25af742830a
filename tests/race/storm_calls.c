/* SPDX-License-Identifier: MIT */
/* The storm's plain calls: sleeps, calls in threads, connections, a descriptor closed under its user. */
#include "storm.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static int listener;
static struct sockaddr_un listener_address;
static socklen_t listener_length;
static unsigned long connected, accepted, called;

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

static int offload(unsigned depth)
{
	struct call call = {.pause_us = storm_below(4) ? 0 : storm_below(40)};
	int r = noria_offload(work, &call);

	(void)depth;
	CHECK((r == 7 && call.ran) || (r == -ECANCELED && !call.ran));
	called += r == 7;
	return r < 0 ? r : 0;
}

static int sleep_a_little(unsigned depth)
{
	int64_t before = noria_now(), duration = storm_soon();
	int r = noria_sleep(duration);

	(void)depth;
	CHECK(r == -ECANCELED || (r == 0 && noria_now() >= before + duration));
	return r;
}

static int connect_once(unsigned depth)
{
	int fd = noria_socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), r;

	(void)depth;
	CHECK(fd >= 0 || fd == -ECANCELED);
	if (fd < 0)
		return fd;
	r = noria_connect(fd, (struct sockaddr *)&listener_address, listener_length);
	CHECK(r == 0 || r == -ECANCELED || r == -EAGAIN);
	connected += r == 0;
	CHECK(noria_close(fd) == 0);
	return r == -ECANCELED ? r : 0;
}

/* Whatever is there. The backlog is short: connects wait in it, some of them in worker threads of the kernel. */
static int accept_some(unsigned depth)
{
	int fd;

	(void)depth;
	while ((fd = noria_accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		accepted++;
		CHECK(noria_close(fd) == 0);
		if (storm_below(4) == 0)
			return 0;
	}
	CHECK(fd == -ECANCELED);
	return fd;
}

static int receive_from_closed(void *arg)
{
	char byte;
	ssize_t n = noria_recv(*(int *)arg, &byte, 1, 0);

	CHECK(n == -EBADF || n == -ECANCELED);
	return 0;
}

/* Close a descriptor that another task receives from. */
static int close_under_a_receiver(unsigned depth)
{
	struct noria_group group;
	int pair[2], r;

	(void)depth;
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
	return r;
}

static void open_all(void)
{
	connected = accepted = called = 0;
	listener = noria_socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(listener >= 0);
	listener_address.sun_family = AF_UNIX;
	CHECK(noria_bind(listener, (struct sockaddr *)&listener_address, sizeof(sa_family_t)) == 0);
	CHECK(noria_listen(listener, 16) == 0);
	listener_length = sizeof listener_address;
	CHECK(getsockname(listener, (struct sockaddr *)&listener_address, &listener_length) == 0);
}

static void close_all(void)
{
	CHECK(noria_close(listener) == 0);
	storm_note("connections", connected);
	storm_note("connections accepted", accepted);
	storm_note("calls in threads", called);
}

static const struct storm_operation operations[] = {
	{"sleep", sleep_a_little, 3},
	{"offload", offload, 3},
	{"connect", connect_once, 3},
	{"accept", accept_some, 3},
	{"close under a receiver", close_under_a_receiver, 2},
};

const struct storm_subject storm_calls = {.operations = operations,
					  .count = sizeof operations / sizeof operations[0],
					  .open = open_all,
					  .close = close_all};
