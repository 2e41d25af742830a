/* SPDX-License-Identifier: MIT */
/*
 * noria_close() while other tasks have operations in flight on the descriptor: these end soon with -EBADF, the peer sees
 * the end, and whoever gets the same number next is not harmed.
 */
#include "task/loop.h"
#include "unit.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

static int results[8], ended;

static int note(int index, ssize_t result)
{
	results[index] = (int)result;
	ended++;
	return 0;
}

static int receive(void *arg)
{
	char byte;

	return note(0, noria_recv(*(int *)arg, &byte, 1, 0));
}

static int receive_within(void *arg)
{
	char byte;

	return note(1, noria_within(noria_sec(60), noria_recv(*(int *)arg, &byte, 1, 0)));
}

static int poll_in(void *arg)
{
	return note(2, noria_poll(*(int *)arg, POLLIN));
}

static int read_one(void *arg)
{
	char byte;

	return note(3, noria_read(*(int *)arg, &byte, 1));
}

static int send_much(void *arg)
{
	static char bytes[1 << 22];

	return note(4, noria_send_all(*(int *)arg, bytes, sizeof bytes, 0));
}

static int receive_whole(void *arg)
{
	char bytes[100];

	return note(5, noria_recv_all(*(int *)arg, bytes, sizeof bytes, 0));
}

UNIT(closing, operations_of_other_tasks_end_with_ebadf)
{
	noria_task_fn *const tasks[] = {receive, receive_within, poll_in, read_one, send_much, receive_whole};
	struct noria_group group;
	char bytes[4096];
	int pair[2];
	ssize_t n;

	ended = 0;
	unit_pair(pair);
	MUST(noria_group_open(&group) == 0);
	for (int i = 0; i < 6; i++)
		MUST(noria_spawn(&group, tasks[i], &pair[0]) == 0);
	MUST(noria_sleep(noria_msec(2)) == 0);
	EXPECT_EQ(ended, 0);
	EXPECT_EQ(noria_close(pair[0]), 0);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	for (int i = 0; i < 6; i++)
		EXPECT_EQ(results[i], -EBADF);
	EXPECT_EQ(fcntl(pair[0], F_GETFD), -1);
	while ((n = noria_recv(pair[1], bytes, sizeof bytes, 0)) > 0)
		;
	EXPECT_EQ(n, 0);
	EXPECT_EQ(noria_close(pair[1]), 0);
	return 0;
}

static int accept_one(void *arg)
{
	int r = noria_accept(*(int *)arg, NULL, NULL);

	return note(ended, r);
}

UNIT(closing, a_listener_ends_its_acceptors)
{
	struct sockaddr_storage address;
	struct noria_group group;
	socklen_t length;
	int listener = unit_listener(&address, &length);

	ended = 0;
	MUST(noria_group_open(&group) == 0);
	for (int i = 0; i < 3; i++)
		MUST(noria_spawn(&group, accept_one, &listener) == 0);
	MUST(noria_sleep(noria_msec(1)) == 0);
	EXPECT_EQ(noria_close(listener), 0);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT_EQ(ended, 3);
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(results[i], -EBADF);
	return 0;
}

static int splice_from(void *arg)
{
	const int *fds = arg;

	return note(0, noria_splice(fds[0], NULL, fds[1], NULL, 100, 0));
}

/* A splice runs on two descriptors: the closing of either ends it. */
UNIT(closing, both_sides_of_a_splice)
{
	for (int side = 0; side < 2; side++) {
		int channel[2], pair[2], fds[2];
		struct noria_group group;

		ended = 0;
		unit_pair(pair);
		MUST(pipe2(channel, O_CLOEXEC) == 0);
		fds[0] = channel[0];
		fds[1] = pair[0];
		MUST(noria_group_open(&group) == 0);
		MUST(noria_spawn(&group, splice_from, fds) == 0);
		MUST(noria_sleep(noria_msec(1)) == 0);
		EXPECT_EQ(noria_close(fds[side]), 0);
		MUST(noria_sleep(noria_msec(5)) == 0);
		EXPECT_EQ(ended, 1);
		EXPECT_EQ(noria_close(channel[1]), 0); /* at the latest now */
		EXPECT_EQ(noria_group_close(&group, 0), 0);
		EXPECT(results[0] == -EBADF || results[0] == -ECANCELED);
		EXPECT_EQ(noria_close(fds[!side]) | noria_close(pair[1]), 0);
	}
	return 0;
}

/* What is closed gets its number again at once, with a receiver on it, while the old one is told. */
UNIT(closing, the_next_owner_of_the_number_is_not_harmed)
{
	for (int round = 0; round < 200; round++) {
		struct noria_group group;
		int old[2], new[2];
		char byte;

		ended = 0;
		unit_pair(old);
		MUST(noria_group_open(&group) == 0);
		MUST(noria_spawn(&group, receive, &old[0]) == 0);
		MUST(noria_yield() == 0);
		EXPECT_EQ(noria_close(old[0]), 0);
		unit_pair(new);
		EXPECT_EQ(new[0], old[0]);
		EXPECT_EQ(noria_send(new[1], "x", 1, 0), 1);
		EXPECT_EQ(noria_recv(new[0], &byte, 1, 0), 1);
		EXPECT_EQ(noria_group_close(&group, 0), 0);
		EXPECT_EQ(results[0], -EBADF);
		EXPECT_EQ(noria_close(old[1]) | noria_close(new[0]) | noria_close(new[1]), 0);
	}
	return 0;
}

/* In a queue of two entries most operations stand in the backlog: these are ended as well. */
static const struct noria_config tiny_ring = {.ring_entries = 2, .ring_entries_max = 2};

UNIT_WITH(closing, operations_that_found_no_room_yet, &tiny_ring)
{
	struct noria_group group;
	int pair[2];

	ended = 0;
	unit_pair(pair);
	MUST(noria_group_open(&group) == 0);
	for (int i = 0; i < 50; i++)
		MUST(noria_spawn(&group, i % 2 ? receive : receive_within, &pair[0]) == 0);
	MUST(noria_yield() == 0);
	EXPECT_EQ(noria_close(pair[0]), 0);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT_EQ(ended, 50);
	EXPECT_EQ(results[0], -EBADF);
	EXPECT_EQ(results[1], -EBADF);
	EXPECT_EQ(noria_close(pair[1]), 0);
	return 0;
}

static int close_it(void *arg)
{
	return note(6, noria_close(*(int *)arg));
}

/* Two tasks that close one descriptor: one does it, the other hears that it is gone; nothing hangs. */
UNIT(closing, twice_at_once)
{
	struct noria_group group;
	int pair[2];

	ended = 0;
	unit_pair(pair);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, receive, &pair[0]) == 0);
	MUST(noria_sleep(noria_msec(1)) == 0);
	MUST(noria_spawn(&group, close_it, &pair[0]) == 0);
	MUST(noria_spawn(&group, close_it, &pair[0]) == 0);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT_EQ(ended, 3);
	EXPECT_EQ(results[0], -EBADF);
	EXPECT(results[6] == 0 || results[6] == -EBADF);
	EXPECT_EQ(fcntl(pair[0], F_GETFD), -1);
	EXPECT_EQ(noria_close(pair[1]), 0);
	return 0;
}

struct closer {
	int fd, result, next[2];
};

/* Whoever has closed it gives the number to its next owner at once. */
static int close_and_own(void *arg)
{
	struct closer *closer = arg;

	noria_loop->budget = 0; /* so that both have begun before one is done */
	closer->result = noria_close(closer->fd);
	if (closer->result == 0)
		unit_pair(closer->next);
	return 0;
}

static void check_two_closers(bool under_way)
{
	struct noria_group group;
	struct closer closers[2];
	int pair[2], *next;

	unit_pair(pair);
	MUST(noria_group_open(&group) == 0);
	if (under_way)
		MUST(noria_spawn(&group, receive, &pair[0]) == 0 && noria_sleep(noria_msec(1)) == 0);
	for (int i = 0; i < 2; i++) {
		closers[i] = (struct closer){.fd = pair[0], .result = 1};
		MUST(noria_spawn(&group, close_and_own, &closers[i]) == 0);
	}
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT_EQ(closers[0].result + closers[1].result, -EBADF);
	next = closers[closers[0].result == 0 ? 0 : 1].next;
	EXPECT_EQ(next[0], pair[0]);
	EXPECT(fcntl(next[0], F_GETFD) >= 0);
	EXPECT_EQ(noria_close(next[0]) | noria_close(next[1]) | noria_close(pair[1]), 0);
}

/* The second never closes the number's next owner, wherever the first and it have had to wait. */
UNIT(closing, twice_spares_the_next_owner)
{
	check_two_closers(true);
	check_two_closers(false);
	return 0;
}

static int try_until_closed(void *arg)
{
	char byte;

	while (results[6] == 1)
		MUST(noria_recv(*(int *)arg, &byte, 1, 0) == -EBADF);
	return 0;
}

static int close_bad(void *arg)
{
	const bool *stop = arg;

	while (!*stop)
		MUST(noria_close(-1) == -EBADF);
	return 0;
}

/* What is refused counts against the turn: it does not keep the close away, nor anybody else. */
UNIT(closing, who_tries_again_starves_nobody)
{
	struct noria_group group;
	bool stop = false;
	int pair[2];

	ended = 0;
	results[6] = 1;
	unit_pair(pair);
	MUST(noria_group_open(&group) == 0 && noria_spawn(&group, receive, &pair[0]) == 0);
	MUST(noria_sleep(noria_msec(1)) == 0 && noria_spawn(&group, close_it, &pair[0]) == 0);
	MUST(noria_spawn(&group, try_until_closed, &pair[0]) == 0);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT_EQ(results[6], 0);
	EXPECT_EQ(noria_close(pair[1]), 0);
	MUST(noria_group_open(&group) == 0 && noria_spawn(&group, close_bad, &stop) == 0);
	EXPECT_EQ(noria_sleep(noria_msec(1)), 0);
	stop = true;
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	return 0;
}
