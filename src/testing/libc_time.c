/* SPDX-License-Identifier: MIT */
/*
 * The clocks of a simulated run: the monotonic ones are the world's, and the wall clock is that of the host that asks.
 * Whoever sleeps in an offloaded call sleeps alone; a task that does keeps its loop from everything for so long.
 */
#include "simulation/host.h"
#include "testing/libc.h"
#include "testing/thread.h"

#include <dlfcn.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { TAI_SECONDS = 37 };

static const int64_t second_ns = 1000000000;

typedef int clock_function(clockid_t, struct timespec *);

/* The C library's own asks no kernel. */
static int real_clock(clockid_t clock, struct timespec *ret_time)
{
	static _Atomic(clock_function *) real;
	clock_function *function = real;

	if (!function)
		real = function = (clock_function *)dlsym(RTLD_NEXT, "clock_gettime");
	return function ? function(clock, ret_time) : (int)LIBC_RAW(SYS_clock_gettime, clock, ret_time);
}

static int64_t simulated_ns(clockid_t clock)
{
	int64_t now = sim_world_look(sim_world);

	switch (clock) {
	case CLOCK_REALTIME:
	case CLOCK_REALTIME_COARSE:
		return sim_host_realtime(testing_host());
	case CLOCK_TAI:
		return sim_host_realtime(testing_host()) + TAI_SECONDS * second_ns;
	case CLOCK_PROCESS_CPUTIME_ID:
	case CLOCK_THREAD_CPUTIME_ID:
		return now - SIM_EPOCH_NS;
	default:
		return now;
	}
}

static int libc_clock_gettime(clockid_t clock, struct timespec *ret_time)
{
	int64_t ns;

	if (!testing_simulated())
		return real_clock(clock, ret_time);
	ns = simulated_ns(clock);
	*ret_time = (struct timespec){.tv_sec = ns / second_ns, .tv_nsec = ns % second_ns};
	return 0;
}

static int libc_gettimeofday(struct timeval *ret_time, void *zone)
{
	struct timespec now;

	if (!testing_simulated())
		return (int)LIBC_RAW(SYS_gettimeofday, ret_time, zone);
	libc_clock_gettime(CLOCK_REALTIME, &now);
	*ret_time = (struct timeval){.tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000};
	return 0;
}

static time_t libc_time(time_t *ret_time)
{
	struct timespec now;

	libc_clock_gettime(CLOCK_REALTIME, &now);
	if (ret_time)
		*ret_time = now.tv_sec;
	return now.tv_sec;
}

static int libc_timespec_get(struct timespec *ret_time, int base)
{
	return base == TIME_UTC && libc_clock_gettime(CLOCK_REALTIME, ret_time) == 0 ? base : 0;
}

LIBC_EXPORT(clock_gettime, clock_gettime);
LIBC_EXPORT(gettimeofday, gettimeofday);
LIBC_EXPORT(time, time);
LIBC_EXPORT(timespec_get, timespec_get);

/* ---- sleeping ---- */

static void nothing(struct sim_world *world, struct sim_event *event)
{
	(void)world, (void)event;
}

/* Of a task, or the loop: everything else goes on, and this thread sees nothing of it. */
static void hold_the_loop(int64_t duration_ns)
{
	struct sim_event end = {.happen = nothing};

	sim_event_at(sim_world, &end, sim_world->now + duration_ns);
	while (sim_event_set(&end))
		sim_world_step(sim_world, INT64_MAX);
}

static void sleep_for(int64_t duration_ns)
{
	if (duration_ns < 0)
		duration_ns = 0;
	if (testing_thread())
		testing_thread_sleep(duration_ns);
	else
		hold_the_loop(duration_ns);
}

static bool is_valid(const struct timespec *time)
{
	return time->tv_sec >= 0 && time->tv_nsec >= 0 && time->tv_nsec < second_ns;
}

static int64_t to_ns(const struct timespec *time)
{
	return time->tv_sec > INT64_MAX / second_ns / 4 ? INT64_MAX / 4 : time->tv_sec * second_ns + time->tv_nsec;
}

static int libc_nanosleep(const struct timespec *duration, struct timespec *ret_left)
{
	if (!testing_simulated())
		return (int)LIBC_RAW(SYS_nanosleep, duration, ret_left);
	if (!is_valid(duration))
		return (int)libc_answer(-EINVAL);
	sleep_for(to_ns(duration));
	return 0;
}

/* Answers the error itself. */
static int libc_clock_nanosleep(clockid_t clock, int flags, const struct timespec *time, struct timespec *ret_left)
{
	if (!testing_simulated()) {
		int saved_errno = errno;
		int r = (int)LIBC_RAW(SYS_clock_nanosleep, clock, flags, time, ret_left);

		r = r < 0 ? errno : 0;
		errno = saved_errno;
		return r;
	}
	if (!is_valid(time))
		return EINVAL;
	sleep_for(flags & TIMER_ABSTIME ? to_ns(time) - simulated_ns(clock) : to_ns(time));
	return 0;
}

static int libc_usleep(useconds_t us)
{
	struct timespec duration = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};

	return libc_nanosleep(&duration, NULL);
}

static unsigned libc_sleep(unsigned seconds)
{
	struct timespec duration = {.tv_sec = seconds}, left = {0};

	return libc_nanosleep(&duration, &left) < 0 ? (unsigned)left.tv_sec : 0;
}

LIBC_EXPORT(nanosleep, nanosleep);
LIBC_EXPORT(clock_nanosleep, clock_nanosleep);
LIBC_EXPORT(usleep, usleep);
LIBC_EXPORT(sleep, sleep);
