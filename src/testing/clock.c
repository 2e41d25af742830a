/* SPDX-License-Identifier: MIT */
/*
 * The clock alone: the kernel's ring, whose clock is ahead of the real one. It goes at the real one's pace while an
 * operation, an offloaded call or another thread is under way, so that nothing outside is hurried past its deadline;
 * when every task is blocked and nothing is, it jumps to the next timer (rule X09). The loop says so by a wait with
 * nothing in flight. Time limits of operations are kept by the loop's heap: the kernel's timers know no other clock.
 */
#include "testing/kit.h"

#include "base/container.h"
#include "ring/ring.h"
#include "task/loop.h"

#include <errno.h>
#include <stdlib.h>

/* The class of one ring: its own functions stand behind it. */
struct clock {
	struct ring_class class;
	const struct ring_class *real;
	int64_t ahead;
};

static struct clock *clock_of(struct ring *ring)
{
	return container_of((struct ring_class *)(uintptr_t)ring->class, struct clock, class);
}

static int64_t now(struct ring *ring)
{
	struct clock *clock = clock_of(ring);

	return clock->real->now(ring) + clock->ahead;
}

/* Can anything but a timer end this wait? A thread's work may have come since the loop last looked. */
static bool is_quiet(const struct loop *loop)
{
	return loop->in_flight == 0 && loop->external == 0 && !atomic_load(&loop->remotes);
}

static int enter(struct ring *ring, unsigned wait, int64_t deadline_ns)
{
	struct clock *clock = clock_of(ring);
	int64_t left;

	if (deadline_ns == INT64_MAX)
		return clock->real->enter(ring, wait, deadline_ns);
	if (wait > 0 && is_quiet(noria_loop)) {
		left = deadline_ns - now(ring);
		clock->ahead += left > 0 ? left : 0;
		wait = 0;
	}
	return clock->real->enter(ring, wait, deadline_ns - clock->ahead);
}

static void close_clock(struct ring *ring)
{
	struct clock *clock = clock_of(ring);

	ring->class = clock->real;
	free(clock);
	ring->class->close(ring);
}

int testing_clock_wrap(struct ring *ring)
{
	struct clock *clock = malloc(sizeof *clock);

	if (!clock)
		return -ENOMEM;
	*clock = (struct clock){.class = *ring->class, .real = ring->class};
	clock->class.now = now;
	clock->class.enter = enter;
	clock->class.close = close_clock;
	ring->class = &clock->class;
	return 0;
}
