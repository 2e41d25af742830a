/* SPDX-License-Identifier: MIT */
/* Sleeping: a wait that a timer of the loop completes. */
#include "noria/time.h"

#include "scope/scope.h"

#include <errno.h>
#include <stdio.h>

struct sleep {
	struct wait wait;
	struct timer timer;
};

static void fired(struct timer *timer)
{
	noria_wait_complete(&container_of(timer, struct sleep, timer)->wait);
}

static void abandon(struct wait *wait)
{
	noria_timer_clear(wait->task->loop, &container_of(wait, struct sleep, wait)->timer);
	noria_wait_complete(wait);
}

static void describe(const struct wait *wait, char *text, size_t size)
{
	const struct sleep *sleep = container_of(wait, struct sleep, wait);

	if (timer_armed(&sleep->timer))
		snprintf(text, size, "sleeps until %lld ns", (long long)sleep->timer.node.key);
	else
		snprintf(text, size, "sleeps for ever");
}

static const struct wait_class sleep_class = {.abandon = abandon, .describe = describe, .lasting = true};

int noria_sleep_until(int64_t time_ns)
{
	struct task *task = noria_current();
	struct sleep sleep = {.timer.fire = fired};
	int r;

	if (!task)
		return -ENXIO;
	if (time_ns <= noria_loop_clock(task->loop))
		return noria_yield();
	r = scope_door(task);
	if (r < 0)
		return r;
	noria_wait_init(&sleep.wait, &sleep_class);
	if (time_ns != NORIA_FOREVER)
		noria_timer_set(task->loop, &sleep.timer, time_ns);
	scope_wait(task, &sleep.wait);
	return sleep.wait.abandoned ? noria_scope_answer(task) : 0;
}

int noria_sleep(int64_t duration_ns)
{
	int64_t now;

	if (!noria_current())
		return -ENXIO;
	if (duration_ns <= 0)
		return noria_yield();
	now = noria_now();
	return noria_sleep_until(duration_ns < NORIA_FOREVER - now ? now + duration_ns : NORIA_FOREVER);
}
