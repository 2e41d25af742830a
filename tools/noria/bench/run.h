/* SPDX-License-Identifier: MIT */
/* One measurement: the threads started, watched, joined, and what they counted added up. */
#pragma once

#include "outputs.h"
#include "shard.h"

struct run {
	const struct plan *plan;
	const struct target *target;
	char label[96];
	char mark[MARK_SIZE]; /* what tells its files from those of the others; "": it is the only one */
	double rate;          /* offered, requests a second; 0: closed loop */
	struct tally tally;   /* of all threads */
	int64_t measured_ns;  /* of all rounds together */
	int64_t cpu_ns;       /* that the client's threads used in that time */
	unsigned rounds;      /* that are in it; they lie on top of one another in the slices */
};

/*
 * Measure. `rate` is 0 for a closed loop.
 * Returns: 0; -ECANCELED when it was interrupted before anything counted; another negative errno, explained on standard
 * error. Where it returns 0, *ret_run is to be freed with run_done().
 */
int run_measure(const struct plan *plan, const struct target *target, double rate, const char *label,
		struct run *ret_run);
void run_done(struct run *run);

/* Add a further round of the same. */
void run_add(struct run *sum, const struct run *more);

/* From now on SIGINT and SIGTERM end a measurement, whose report is written all the same; the second one kills. */
void run_catch_signals(void);
bool run_interrupted(void);

/* Answers a second, and the latency below which so many percent lie. */
double run_throughput(const struct run *run);
int64_t run_latency(const struct run *run, double percentile);
uint64_t run_troubles(const struct run *run);
/* Was an answer a success? Of HTTP that is 2xx or 3xx; an echo is one if it is an answer. */
bool run_succeeded(const struct run *run);
/* How much of their time the client's threads were busy: 1 is all. */
double run_busy(const struct run *run);
