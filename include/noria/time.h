/* SPDX-License-Identifier: MIT */
/*
 * Time. A duration and a point in time are both int64_t nanoseconds; points are on the runtime's monotonic clock
 * (CLOCK_MONOTONIC on the kernel's ring). NORIA_FOREVER means "never" for both.
 */
#ifndef NORIA_TIME_H
#define NORIA_TIME_H

#include <noria/base.h>

NORIA_BEGIN_DECLS

#define NORIA_FOREVER INT64_MAX

/*
 * Durations in nanoseconds from other units. Negative values are durations of zero; too large ones are NORIA_FOREVER.
 */
static inline int64_t noria_usec(int64_t n)
{
	return n <= 0 ? 0 : n < INT64_MAX / 1000 ? n * 1000 : NORIA_FOREVER;
}

static inline int64_t noria_msec(int64_t n)
{
	return n <= 0 ? 0 : n < INT64_MAX / 1000000 ? n * 1000000 : NORIA_FOREVER;
}

static inline int64_t noria_sec(int64_t n)
{
	return n <= 0 ? 0 : n < INT64_MAX / 1000000000 ? n * 1000000000 : NORIA_FOREVER;
}

/*
 * noria_now - the present on the runtime's clock, in nanoseconds.
 * Returns: the time, or -ENXIO where no runtime runs on this thread. Not a checkpoint. Since 0.1.
 */
NORIA_PUBLIC int64_t noria_now(void);

/*
 * noria_sleep - park the task for at least `duration_ns` nanoseconds.
 * A duration of zero or less is a noria_yield(). Never wakes early.
 * Returns: 0; -ECANCELED when the scope is cancelled; -ENXIO outside a runtime. Checkpoint. Since 0.1.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_sleep(int64_t duration_ns);

/*
 * noria_sleep_until - the same, to a point in time on the clock of noria_now(); one that has passed is a noria_yield().
 * Returns as noria_sleep(). Checkpoint. Since 0.1.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_sleep_until(int64_t time_ns);

NORIA_END_DECLS
#endif
