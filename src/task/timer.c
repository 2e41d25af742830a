/* SPDX-License-Identifier: MIT */
/* Timers: arming, disarming, and firing what is due. Only timers that were due when firing began are fired, so that a
 * timer which sets itself again at once cannot hold the loop. */
#include "task/timer.h"

#include "base/container.h"
#include "task/loop.h"

void noria_timer_set(struct loop *loop, struct timer *timer, int64_t time_ns)
{
	noria_timer_clear(loop, timer);
	noria_heap_insert(&loop->timers, &timer->node, time_ns);
}

void noria_timer_clear(struct loop *loop, struct timer *timer)
{
	if (timer_armed(timer))
		noria_heap_remove(&loop->timers, &timer->node);
}

void noria_timers_fire(struct loop *loop)
{
	uint64_t end = loop->timers.sequence;
	struct heap_node *first;

	while ((first = heap_first(&loop->timers)) && first->key <= loop->now && first->sequence < end) {
		struct timer *timer = container_of(first, struct timer, node);

		noria_heap_remove(&loop->timers, first);
		timer->fire(timer);
	}
}
