/* SPDX-License-Identifier: MIT */
/*
 * R12: when noria_run() has returned, the kernel is done with every operation: what arrives later goes to nobody's
 * freed memory, and stays where it arrived.
 */
#include "noria/stream.h"
#include "ring_inside.h"

#include <fcntl.h>
#include <stdlib.h>

enum { TASKS = 100 };

static int pairs[TASKS][2];
static char buffers[TASKS][8];
static int numbers[TASKS], ended;

static int receive(void *arg)
{
	int i = *(int *)arg;
	ssize_t r;

	if (i % 4 == 3) {
		struct noria_recv_stream stream;
		const void *data;

		MUST(noria_recv_stream_open(&stream, pairs[i][0]) == 0);
		r = noria_recv_stream_next(&stream, &data);
		noria_recv_stream_close(&stream);
	} else {
		r = noria_within(i % 2 ? noria_sec(100) : NORIA_FOREVER,
				 noria_recv(pairs[i][0], buffers[i], sizeof buffers[i], 0));
	}
	ended++;
	return (int)r;
}

static int fail(void *arg)
{
	(void)arg;
	return -EIO;
}

/* The body of a root task that fails while a hundred operations are in flight. */
static int end_badly(void *arg)
{
	struct noria_group group = {0};

	MUST(noria_group_open(&group) == 0);
	for (int i = 0; i < TASKS; i++)
		MUST((numbers[i] = i, noria_spawn(&group, receive, &numbers[i])) == 0);
	UNTIL(noria_loop->in_flight == TASKS && (arg || ring_pending(noria_loop->ring) == 0));
	MUST(noria_spawn(&group, fail, NULL) == 0);
	return noria_group_close(&group, 0);
}

static void check_nothing_in_flight(enum noria_timeouts timeouts, const struct noria_config *config)
{
	char buffer[8];

	for (int i = 0; i < TASKS; i++)
		cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pairs[i]), 0);
	ended = 0;
	cr_expect_eq(rule_run(end_badly, NULL, config, timeouts), -EIO);
	cr_expect_eq(ended, TASKS);
	for (int i = 0; i < TASKS; i++) {
		cr_expect_eq(send(pairs[i][1], "late", 4, 0), 4);
		cr_expect_eq(recv(pairs[i][0], buffer, sizeof buffer, MSG_DONTWAIT), 4);
		cr_expect_eq(memcmp(buffers[i], (char[8]){0}, 8), 0);
		inside_close(pairs[i]);
	}
}

/* R12: receives, limited receives and streams in flight when the root task fails. */
Test(R12, everything_ends_before_the_run_linked, .timeout = 60)
{
	check_nothing_in_flight(NORIA_TIMEOUTS_LINKED, NULL);
}

Test(R12, everything_ends_before_the_run_heap, .timeout = 60)
{
	check_nothing_in_flight(NORIA_TIMEOUTS_HEAP, NULL);
}

/* R12: the same with a queue of two entries, so that most cancels have to wait for room. */
Test(R12, everything_ends_before_the_run_through_a_small_queue, .timeout = 60)
{
	struct noria_config config = {.ring_entries = 2, .ring_entries_max = 2};

	check_nothing_in_flight(NORIA_TIMEOUTS_LINKED, &config);
}

static int from[2], to[2];

static int splice_it(void *arg)
{
	(void)arg;
	return (int)noria_splice(from[0], NULL, to[1], NULL, 16, 0);
}

static int end_while_splicing(void *arg)
{
	struct noria_group group = {0};

	(void)arg;
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, splice_it, NULL) == 0);
	EXPECT(noria_sleep(noria_msec(5)) == 0); /* likely it is blocked in its worker now; the rule holds if not */
	return noria_group_close(&group, -EIO);
}

/* R12: an operation that blocks in a worker thread of the kernel has ended as well: nobody takes what comes later. */
Test(R12, a_blocking_splice_ends_before_the_run, .timeout = 60)
{
	char buffer[8];

	cr_assert(pipe2(from, O_CLOEXEC) == 0 && pipe2(to, O_CLOEXEC) == 0);
	cr_expect_eq(rule_run(end_while_splicing, NULL, NULL, NORIA_TIMEOUTS_LINKED), -EIO);
	cr_expect_eq(write(from[1], "late", 4), 4);
	cr_expect_eq(fcntl(from[0], F_SETFL, O_NONBLOCK), 0);
	cr_expect_eq(read(from[0], buffer, sizeof buffer), 4);
}

/* R12: after the end, the thread has no runtime: calls are refused, and a new run begins from nothing. */
static int nothing(void *arg)
{
	(void)arg;
	return noria_loop->in_flight == 0 ? 5 : -EIO;
}

Test(R12, a_run_leaves_nothing_to_the_next, .timeout = 60)
{
	cr_expect_eq(rule_run(nothing, NULL, NULL, NORIA_TIMEOUTS_HEAP), 5);
	cr_expect_eq(noria_yield(), -ENXIO);
	cr_expect_eq(noria_now(), -ENXIO);
	for (int i = 0; i < 10; i++)
		cr_expect_eq(rule_run(nothing, NULL, NULL, NORIA_TIMEOUTS_LINKED), 5);
}
