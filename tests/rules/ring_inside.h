/* SPDX-License-Identifier: MIT */
/*
 * A look inside, for rules that cannot be seen from outside: the operation in flight on a descriptor, the entries that
 * are about to be submitted, and completions that are there but not handed out yet.
 */
#ifndef NORIA_TESTS_RULES_RING_INSIDE_H
#define NORIA_TESTS_RULES_RING_INSIDE_H

#include "ring/ring.h"
#include "rule.h"
#include "task/loop.h"
#include "task/submission.h"

#include <liburing.h>
#include <unistd.h>

static inline void inside_pair(int pair[2])
{
	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
}

static inline void inside_close(const int pair[2])
{
	close(pair[0]);
	close(pair[1]);
}

/* The operation in flight on a descriptor, or NULL. */
static inline struct submission *inside_flying(int fd)
{
	struct list *head = &noria_loop->flying[(unsigned)fd % LOOP_FD_BUCKETS];

	for (struct list *node = head->next; node != head; node = node->next)
		if (list_entry(node, struct submission, node)->sqe.fd == fd)
			return list_entry(node, struct submission, node);
	return NULL;
}

/* The i-th entry that waits to be submitted. */
static inline const struct io_uring_sqe *inside_sqe(unsigned i)
{
	const struct ring *ring = noria_loop->ring;

	return &ring->sqes[(ring->sq_tail - ring_pending(ring) + i) & (ring->sq_entries - 1)];
}

/* Submit, and let completions arrive, without handing them out: the tasks concerned stay parked. */
static inline void inside_enter(void)
{
	MUST(noria_loop->ring->class->enter(noria_loop->ring, 0, INT64_MAX) == 0);
}

/* The same, until `count` completions are there. */
static inline void inside_enter_until(unsigned count)
{
	for (int i = 0; i < 1000000 && ring_ready(noria_loop->ring) < count; i++) {
		inside_enter();
		usleep(1); /* which lets time pass in a simulated world, too */
	}
	MUST(ring_ready(noria_loop->ring) >= count);
}

/* Turns in which many tasks run, also where a test kit has one task run in each. */
static inline void inside_whole_turns(void)
{
	noria_loop->turn_budget = LOOP_BUDGET;
}

/* A turn has just begun: what tasks submit now stays in the queue until the caller has looked at it. */
static inline void inside_new_turn(void)
{
	inside_whole_turns();
	do
		MUST(noria_yield() == 0);
	while (noria_loop->budget < LOOP_BUDGET / 2 || ring_pending(noria_loop->ring) > 0);
}

/* Ask the kernel to cancel an activation behind the runtime's back. */
static inline void inside_kernel_cancel(uint64_t token)
{
	struct io_uring_sqe *sqe;

	while (!ring_room(noria_loop->ring, 1))
		inside_enter();
	sqe = ring_reserve(noria_loop->ring);
	io_uring_prep_cancel64(sqe, token, 0);
	sqe->user_data = RING_IGNORE;
}

#endif
