/* SPDX-License-Identifier: MIT */
/*
 * Timers of the loop: a heap, whose earliest entry is the time limit of the loop's wait. Of equal times the one
 * set first fires first; none fires early.
 */
#ifndef NORIA_TASK_TIMER_H
#define NORIA_TASK_TIMER_H

#include "base/heap.h"

struct loop;

struct timer {
	struct heap_node node;
	void (*fire)(struct timer *timer); /* on the loop, the timer is off the heap; must not park */
};

/* Arm, or move if armed. */
void noria_timer_set(struct loop *loop, struct timer *timer, int64_t time_ns);
/* Disarm; nothing if it is not armed. */
void noria_timer_clear(struct loop *loop, struct timer *timer);
/* Fire what is due at loop->now. */
void noria_timers_fire(struct loop *loop);

static inline bool timer_armed(const struct timer *timer)
{
	return heap_node_linked(&timer->node);
}

#endif
