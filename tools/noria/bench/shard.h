/* SPDX-License-Identifier: MIT */
/*
 * One thread of the load: a runtime of its own with its share of the connections, a task each. Threads share what does
 * not change (plan, script), and the course of the run; each counts for itself.
 */
#pragma once

#include "tally.h"

#include <pthread.h>
#include <stdatomic.h>

/* What happens when, on the clock of noria_now(), which all threads share. */
struct course {
	int64_t start_ns;       /* the first connections */
	int64_t begin_ns;       /* what counts begins: ramp and warm-up are over */
	_Atomic int64_t end_ns; /* it ends; an interrupt brings this nearer */
	_Atomic bool interrupted;
};

static inline int64_t course_end(struct course *course)
{
	return atomic_load_explicit(&course->end_ns, memory_order_relaxed);
}

struct shard {
	const struct plan *plan;
	const struct target *target;
	const struct script *script;
	struct course *course;
	double rate;    /* of the whole run, requests a second; 0: closed loop */
	unsigned first; /* the number of its first connection, among those of the run */
	unsigned count; /* of its connections */
	pthread_t thread;

	struct caller *callers;
	struct tally tally;
	int64_t cpu_ns; /* that its thread used within the measured time */
	int result;     /* 0 or a negative errno: it could not work */
	char message[256];

	/* For whoever watches from another thread. */
	_Atomic uint64_t answers_seen, troubles_seen;
};

/* The thread's function: runs its share of the load from start to end. Returns: NULL; see `result`. */
void *shard_run(void *shard);
