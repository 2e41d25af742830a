/* SPDX-License-Identifier: MIT */
/*
 * Programs that are swept: each uses some of noria's mechanisms and knows exactly what must come of it, and when. They
 * run in a world whose clock stands while anything is to be done, so "when" is to the nanosecond.
 *
 * A program returns 0, or -ECANCELED when the sweep has cancelled it, or the error of a fault that it cannot mend.
 * Whatever else it finds wrong it says by CHECK(), which ends the run.
 */
#ifndef NORIA_TESTS_SIMULATION_SWEEP_H
#define NORIA_TESTS_SIMULATION_SWEEP_H

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <noria/noria.h>
#include <noria/test.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct sweep_program {
	const char *name;
	noria_task_fn *run;
	const char *variants; /* the names of those of sweep.c, separated by spaces */
	unsigned runs;        /* of each sweep at most; 0: the usual number */
};

/* Ended by an entry without a name. */
extern const struct sweep_program sweep_limits[], sweep_queue[], sweep_streams[], sweep_tasks[], sweep_meetings[],
	sweep_files[];

#define CHECK(condition) \
	do { \
		if (!(condition)) \
			sweep_wrong(__FILE__, __LINE__, #condition); \
	} while (0)

#define CHECK_EQ(actual, wanted) \
	do { \
		long long actual_ = (long long)(actual), wanted_ = (long long)(wanted); \
		if (actual_ != wanted_) \
			sweep_not_equal(__FILE__, __LINE__, #actual, actual_, wanted_); \
	} while (0)

_Noreturn void sweep_wrong(const char *file, int line, const char *what);
_Noreturn void sweep_not_equal(const char *file, int line, const char *what, long long actual, long long wanted);

/* Has the sweep cancelled the run? Then nothing is said of when waits end, and a task may be anywhere. */
bool sweep_cancelled(void);
/* Is this a sweep of faults that bring errors? */
bool sweep_may_fail(void);
/* Do tasks run in the order in which they became ready? */
bool sweep_in_order(void);

/*
 * A wait has come to `result` now: it must be `wanted`, at this time, unless the run is cancelled, or a fault has
 * struck that brings an error. Returns 0, or what the program is to return.
 */
#define sweep_ended(result, wanted, time_ns) sweep_ended_at(__FILE__, __LINE__, (result), (wanted), (time_ns))
int sweep_ended_at(const char *file, int line, ssize_t result, ssize_t wanted, int64_t time_ns);

/* Of these times nothing ends early, and nothing late. */
#define MS(n) noria_msec(n)

/* Unix stream sockets, to be closed by sweep_close_pair(). */
int sweep_pair(int fds[2]);
void sweep_close_pair(int fds[2]);

#endif
