/* SPDX-License-Identifier: MIT */
/* When timers fire: never early, in order; and which operations are timed by the kernel, which by the loop's heap. */
#include "ring_inside.h"
#include "time_waits.h"

enum { SLEEPERS = 64 };

static struct order {
	int64_t start;
	int parked, woken, last;
	bool early, disorder;
} order;

struct sleeper {
	int index;
	int64_t time;
	bool receive;
	int fd;
};

static int sleeper_main(void *arg)
{
	struct sleeper *sleeper = arg;

	order.parked++;
	if (sleeper->receive) {
		struct noria_scope scope = {0};
		char byte;

		MUST(noria_scope_open(&scope, sleeper->time, 0) == 0);
		EXPECT(noria_scope_close(&scope, noria_recv(sleeper->fd, &byte, 1, 0)) == -ETIMEDOUT);
	} else {
		EXPECT(noria_sleep_until(sleeper->time) == 0);
	}
	order.early |= noria_now() < sleeper->time;
	/* `last` is the rank of whoever woke before; equal times rank by the order of their setting. */
	order.disorder |= sleeper->index < order.last;
	order.last = sleeper->index;
	order.woken++;
	return 0;
}

/* Sleepers whose rank is their index, spawned in the order of `spawn`; false if this machine was too slow to tell. */
static bool sleep_in_order(struct sleeper *sleepers, const int *spawn, int64_t first)
{
	struct noria_group group = {0};
	bool in_time;

	order = (struct order){.last = -1};
	MUST(noria_group_open(&group) == 0);
	for (int i = 0; i < SLEEPERS; i++)
		MUST(noria_spawn(&group, sleeper_main, &sleepers[spawn[i]]) == 0);
	UNTIL(order.parked == SLEEPERS);
	MUST(noria_yield() == 0);
	in_time = noria_now() < first;
	MUST(noria_group_close(&group, 0) == 0);
	EXPECT(!order.early);
	EXPECT(order.woken == SLEEPERS);
	return in_time;
}

/* Try with more and more time ahead, until all sleepers were parked before the first was due. */
static void check_order(int64_t spacing, bool receive)
{
	struct sleeper sleepers[SLEEPERS];
	int spawn[SLEEPERS], pair[2];
	int64_t ahead = noria_msec(10);
	bool in_time;

	inside_pair(pair);
	do {
		int64_t first = noria_now() + ahead;

		for (int i = 0; i < SLEEPERS; i++) {
			sleepers[i] = (struct sleeper){i, first + i * spacing, receive, pair[0]};
			spawn[i] = spacing > 0 ? (i * 37 + 11) % SLEEPERS : i;
		}
		in_time = sleep_in_order(sleepers, spawn, first);
		ahead *= 2;
	} while (!in_time && ahead < noria_sec(20));
	EXPECT(in_time);
	EXPECT(!order.disorder || noria_loop->ring->simulated); /* where the order of those that wake is drawn */
	inside_close(pair);
}

/* T11: sleeps wake at or after their times, the earlier before the later, however they were set. */
RULE(T11, sleeps_wake_in_order_and_never_early)
{
	check_order(noria_usec(100), false);
	return 0;
}

/* T11: sleeps until the same time wake in the order in which they began. */
RULE(T11, equal_sleeps_wake_in_the_order_of_setting)
{
	check_order(0, false);
	return 0;
}

/* T11: the same for time limits around receives. */
RULE(T11, equal_limits_fire_in_the_order_of_setting)
{
	check_order(0, true);
	return 0;
}

/* T11: and never early, for limits as short as the clock can tell. */
RULE(T11, limits_never_fire_early)
{
	for (int i = 0; i < 200; i++) {
		int64_t limit = i * noria_usec(3) + 1, begin = noria_now();

		EXPECT(noria_within(limit, wait_forever(i % WAITS)) == -ETIMEDOUT);
		EXPECT(noria_now() - begin >= limit);
	}
	return 0;
}

static int receive_within(void *arg)
{
	char byte;
	ssize_t r = noria_within(noria_sec(100), noria_recv(*(int *)arg, &byte, 1, 0));

	EXPECT(r == 1);
	return 0;
}

static int receive(void *arg)
{
	char byte;

	EXPECT(noria_recv(*(int *)arg, &byte, 1, 0) == 1);
	return 0;
}

static int64_t sqe_time(const struct io_uring_sqe *sqe)
{
	const struct __kernel_timespec *limit = (const void *)(uintptr_t)sqe->addr;

	return limit->tv_sec * INT64_C(1000000000) + limit->tv_nsec;
}

/* T14: a limit around a receive is a linked timeout behind it in the queue, or one timer on the heap. */
RULE(T14, a_limit_travels_with_its_operation)
{
	struct noria_group group = {0};
	int64_t begin = noria_now();
	int pair[2];

	inside_pair(pair);
	MUST(noria_group_open(&group) == 0);
	inside_new_turn();
	MUST(noria_spawn(&group, receive_within, &pair[0]) == 0);
	MUST(noria_yield() == 0);
	MUST(inside_flying(pair[0]) && ring_pending(noria_loop->ring) > 0);
	EXPECT(inside_sqe(0)->opcode == IORING_OP_RECV);
	if (rule_timeouts == NORIA_TIMEOUTS_LINKED) {
		EXPECT(ring_pending(noria_loop->ring) == 2);
		EXPECT(inside_sqe(0)->flags & IOSQE_IO_LINK);
		EXPECT(inside_sqe(1)->opcode == IORING_OP_LINK_TIMEOUT);
		EXPECT(inside_sqe(1)->timeout_flags & IORING_TIMEOUT_ABS);
		EXPECT(sqe_time(inside_sqe(1)) >= begin + noria_sec(100));
		EXPECT(sqe_time(inside_sqe(1)) <= noria_now() + noria_sec(100));
		EXPECT(!heap_first(&noria_loop->timers));
	} else {
		EXPECT(ring_pending(noria_loop->ring) == 1);
		EXPECT(!(inside_sqe(0)->flags & IOSQE_IO_LINK));
		EXPECT(heap_first(&noria_loop->timers));
	}
	MUST(send(pair[1], "!", 1, 0) == 1);
	MUST(noria_group_close(&group, 0) == 0);
	inside_close(pair);
	return 0;
}

static const struct noria_config four_entries = {.ring_entries = 4, .ring_entries_max = 4};

/* T14: with room for one entry only, the pair waits; it goes into the queue, and to the kernel, as a whole. */
RULE_WITH(T14, a_pair_is_never_split, &four_entries)
{
	struct noria_group group = {0};
	bool linked = rule_timeouts == NORIA_TIMEOUTS_LINKED;
	int pairs[4][2];

	MUST(noria_group_open(&group) == 0);
	for (int i = 0; i < 4; i++)
		inside_pair(pairs[i]);
	inside_new_turn();
	for (int i = 0; i < 4; i++)
		MUST(noria_spawn(&group, i < 3 ? receive : receive_within, &pairs[i][0]) == 0);
	MUST(noria_yield() == 0);
	EXPECT(ring_pending(noria_loop->ring) == (linked ? 3 : 4));
	EXPECT(list_empty(&noria_loop->backlog) == !linked);
	for (unsigned i = 0; i < ring_pending(noria_loop->ring); i++)
		EXPECT(inside_sqe(i)->opcode == IORING_OP_RECV && !(inside_sqe(i)->flags & IOSQE_IO_LINK));
	inside_enter();
	EXPECT(ring_pending(noria_loop->ring) == 0);
	noria_submissions_flush(noria_loop);
	EXPECT(ring_pending(noria_loop->ring) == (linked ? 2 : 0));
	EXPECT(list_empty(&noria_loop->backlog));
	for (int i = 0; i < 4; i++)
		MUST(send(pairs[i][1], "!", 1, 0) == 1);
	MUST(noria_group_close(&group, 0) == 0);
	for (int i = 0; i < 4; i++)
		inside_close(pairs[i]);
	return 0;
}

static int time_out(void *arg)
{
	struct noria_scope scope = {0};
	int64_t deadline = noria_now() + noria_msec(2);
	char byte;

	MUST(noria_scope_open(&scope, deadline, 0) == 0);
	EXPECT(noria_scope_close(&scope, noria_recv(*(int *)arg, &byte, 1, 0)) == -ETIMEDOUT);
	EXPECT(noria_now() >= deadline);
	return 0;
}

/* T14: so that each of many limits fires, although the queue was full again and again. */
RULE_WITH(T14, no_limit_is_lost_in_a_full_queue, &four_entries)
{
	struct noria_group group = {0};
	int pair[2];

	inside_pair(pair);
	MUST(noria_group_open(&group) == 0);
	for (int i = 0; i < 200; i++)
		MUST(noria_spawn(&group, time_out, &pair[0]) == 0);
	EXPECT(noria_group_close(&group, 0) == 0);
	inside_close(pair);
	return 0;
}
