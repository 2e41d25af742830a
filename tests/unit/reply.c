/* SPDX-License-Identifier: MIT */
/*
 * Small sends of a crowded turn leave together, as entries, where system calls are dear; all else leaves at once, by a
 * call. Either way the same comes of it. What is submitted has a generation, which tells the two apart.
 */
#include "ring/ring.h"
#include "task/loop.h"
#include "unit.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LARGE = 64 * 1024 };

static char large[LARGE];

/* As if this turn had begun with so many completions, calls were dear from four on, and no turn had taken long. */
static void crowd(unsigned completions)
{
	noria_loop->ring->reply_batch = 4;
	noria_loop->reply_pause = 0;
	noria_loop->batch = completions;
}

/* Whether it was an entry; the result must be `wanted`. */
static bool is_entry(int fd, const void *bytes, size_t size, int flags, ssize_t wanted)
{
	uint64_t before = noria_loop->generation;

	EXPECT_EQ(noria_send(fd, bytes, size, flags), wanted);
	return noria_loop->generation != before;
}

static void expect_bytes(int fd, const char *wanted)
{
	char bytes[64] = "";

	EXPECT_EQ(noria_recv(fd, bytes, sizeof bytes - 1, 0), strlen(wanted));
	EXPECT(strcmp(bytes, wanted) == 0);
}

UNIT(reply, the_first_after_a_wait_joins_others_where_there_are_enough)
{
	int pair[2];

	unit_pair(pair);
	crowd(3);
	EXPECT(!is_entry(pair[0], "few", 3, 0, 3));
	expect_bytes(pair[1], "few"); /* by the ring: it has waited since */
	crowd(4);
	EXPECT(is_entry(pair[0], "many", 4, 0, 4));
	crowd(4);
	EXPECT(!is_entry(pair[0], "more", 4, 0, 4));
	expect_bytes(pair[1], "manymore");
	crowd(4);
	EXPECT(is_entry(pair[0], "next", 4, 0, 4));
	expect_bytes(pair[1], "next");
	noria_loop->ring->reply_batch = UINT_MAX;
	noria_loop->batch = 1000;
	EXPECT(!is_entry(pair[0], "calls are cheap", 15, 0, 15));
	EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]), 0);
	return 0;
}

UNIT(reply, a_large_one_is_worth_a_call)
{
	int pair[2];

	unit_pair(pair);
	EXPECT_EQ(noria_yield(), 0);
	crowd(100);
	EXPECT(!is_entry(pair[0], large, 16385, 0, 16385));
	EXPECT_EQ(noria_sleep(noria_msec(1)), 0);
	crowd(100);
	EXPECT(is_entry(pair[0], large, 16384, 0, 16384));
	EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]), 0);
	return 0;
}

/* It would take an entry for the limit as well. */
UNIT(reply, under_a_linked_limit_it_is_a_call)
{
	bool linked = noria_loop->timeouts_linked;
	int pair[2];
	bool entry;

	unit_pair(pair);
	crowd(100);
	EXPECT_EQ(noria_within(noria_sec(100), (entry = is_entry(pair[0], "x", 1, 0, 1), 0)), 0);
	EXPECT_EQ(entry, !linked);
	EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]), 0);
	return 0;
}

static void fill(int fd)
{
	while (send(fd, large, sizeof large, MSG_DONTWAIT) > 0)
		;
}

UNIT(reply, a_full_socket_makes_it_wait_or_says_so)
{
	int pair[2];

	unit_pair(pair);
	fill(pair[0]);
	crowd(100);
	EXPECT(!is_entry(pair[0], "x", 1, MSG_DONTWAIT, -EAGAIN));
	crowd(100);
	EXPECT_EQ(noria_within(noria_msec(2), noria_send(pair[0], "x", 1, 0)), -ETIMEDOUT);
	EXPECT_EQ(fcntl(pair[0], F_SETFL, O_NONBLOCK), 0);
	crowd(100);
	EXPECT_EQ(noria_within(noria_msec(2), noria_send(pair[0], "x", 1, 0)), -ETIMEDOUT);
	EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]), 0);
	return 0;
}

struct sender {
	int fd;
	ssize_t result;
};

static int send_one(void *arg)
{
	struct sender *sender = arg;

	crowd(100);
	sender->result = noria_send(sender->fd, "x", 1, 0);
	return 0;
}

UNIT(reply, it_is_cancelled_and_closed_as_any_operation)
{
	struct noria_group group;
	struct sender senders[2];
	int pair[2];

	unit_pair(pair);
	fill(pair[0]);
	senders[0] = senders[1] = (struct sender){.fd = pair[0]};
	MUST(noria_group_open(&group) == 0 && noria_spawn(&group, send_one, &senders[0]) == 0);
	EXPECT_EQ(noria_sleep(noria_msec(1)), 0);
	noria_group_cancel(&group);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT_EQ(senders[0].result, -ECANCELED);
	MUST(noria_group_open(&group) == 0 && noria_spawn(&group, send_one, &senders[1]) == 0);
	EXPECT_EQ(noria_sleep(noria_msec(1)), 0);
	EXPECT_EQ(noria_close(pair[0]), 0);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT_EQ(senders[1].result, -EBADF);
	EXPECT_EQ(noria_close(pair[1]), 0);
	return 0;
}

static void compute(int64_t ns)
{
	int64_t end = noria_now() + ns;

	while (noria_now() < end)
		;
}

/* Who computes keeps the replies of others: they are calls for a while. */
UNIT(reply, a_long_turn_makes_them_calls)
{
	int pair[2];

	unit_pair(pair);
	crowd(100);
	compute(noria_msec(2));
	EXPECT_EQ(noria_sleep(noria_msec(1)), 0);
	EXPECT_EQ(noria_loop->reply_pause, 128);
	noria_loop->batch = 100;
	EXPECT(!is_entry(pair[0], "x", 1, 0, 1));
	for (int i = 0; i < 10000 && noria_loop->reply_pause > 0; i++) { /* longer, where others keep the processor */
		noria_loop->batch = 100;
		EXPECT_EQ(noria_sleep(1000), 0);
	}
	EXPECT_EQ(noria_loop->reply_pause, 0);
	noria_loop->batch = 100;
	EXPECT(is_entry(pair[0], "x", 1, 0, 1));
	EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]), 0);
	return 0;
}

static int shut(void *arg)
{
	return noria_shutdown(*(int *)arg, SHUT_WR);
}

/* Of two tasks in one turn. */
UNIT(reply, it_leaves_before_the_socket_is_shut_down)
{
	struct noria_group group;
	struct sender sender;
	int pair[2];

	unit_pair(pair);
	sender = (struct sender){.fd = pair[0]};
	MUST(noria_group_open(&group) == 0 && noria_spawn(&group, send_one, &sender) == 0);
	MUST(noria_spawn(&group, shut, &pair[0]) == 0);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT_EQ(sender.result, 1);
	expect_bytes(pair[1], "x");
	EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]), 0);
	return 0;
}

UNIT(reply, a_peer_that_has_gone_is_an_error_and_no_signal)
{
	int pair[2];

	unit_pair(pair);
	EXPECT_EQ(noria_close(pair[1]), 0);
	EXPECT_EQ(noria_sleep(noria_msec(1)), 0);
	crowd(100);
	EXPECT(is_entry(pair[0], "x", 1, 0, -EPIPE));
	EXPECT_EQ(noria_close(pair[0]), 0);
	return 0;
}

enum { TALKERS = 40, ROUNDS = 20 };

struct talker {
	int fds[2];
	unsigned rounds;
};

static int answer(void *arg)
{
	struct talker *talker = arg;
	char byte;

	while (noria_recv(talker->fds[1], &byte, 1, 0) == 1)
		MUST(noria_send(talker->fds[1], &byte, 1, 0) == 1);
	return 0;
}

static int ask(void *arg)
{
	struct talker *talker = arg;
	char byte, back;

	for (; talker->rounds < ROUNDS; talker->rounds++) {
		byte = (char)talker->rounds;
		MUST(noria_send(talker->fds[0], &byte, 1, 0) == 1);
		MUST(noria_recv(talker->fds[0], &back, 1, 0) == 1 && back == byte);
	}
	return noria_close(talker->fds[0]);
}

/* With a queue that has no room for all of them. */
static const struct noria_config small_queue = {.ring_entries = 8, .ring_entries_max = 8};

UNIT_WITH(reply, crowds_are_answered, &small_queue)
{
	static struct talker talkers[TALKERS];
	struct noria_group group;

	memset(talkers, 0, sizeof talkers);
	noria_loop->ring->reply_batch = 1;
	MUST(noria_group_open(&group) == 0);
	for (int i = 0; i < TALKERS; i++) {
		unit_pair(talkers[i].fds);
		MUST(noria_spawn(&group, answer, &talkers[i]) == 0 && noria_spawn(&group, ask, &talkers[i]) == 0);
	}
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	for (int i = 0; i < TALKERS; i++) {
		EXPECT_EQ(talkers[i].rounds, ROUNDS);
		EXPECT_EQ(noria_close(talkers[i].fds[1]), 0);
	}
	return 0;
}
