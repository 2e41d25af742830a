/* SPDX-License-Identifier: MIT */
/*
 * What is drawn of a run: its figures, the curve of its latencies, and what happened in each slice of time. It is made
 * from a run, or read from a file that --json wrote; a picture does not know which.
 */
#pragma once

#include "tally.h"

#include <stdbool.h>
#include <stddef.h>

enum {
	NINES_MAX = 5,         /* the curve goes to 99.999 % */
	POINTS_OF_A_NINE = 50, /* point i lies at 100 - 100 / 10^(i / 50) percent */
	CURVE_POINTS = NINES_MAX * POINTS_OF_A_NINE + 1,
	PORTRAITS_MAX = 256, /* in one picture */
	JSON_FORMAT = 1,     /* of the files that are read again */
};

/* Latencies are nanoseconds, and below zero where there was no answer. */
struct portrait_slice {
	double answers, errors; /* of all rounds */
	double p50, p99, max;
};

struct portrait {
	char label[160];
	unsigned group; /* 0: measured now; else the number of the file that it was read from */
	unsigned connections, threads, depth, rounds;
	double rate;    /* offered, requests a second; 0: closed loop */
	double seconds; /* of one round */
	double throughput, errors, unanswered;
	double count; /* of latencies; where it is 0 the curve says nothing */
	double p50, p99, p999, max;
	double curve[CURVE_POINTS];
	double slice_seconds;
	unsigned slices_count;
	struct portrait_slice slices[SLICES_MAX];
};

struct run;
/* Of a run of this command. */
void portrait_of(struct portrait *portrait, const struct run *run);
/* The latency at each point of the curve. */
void portrait_curve(const struct hdr_histogram *latency, double *ret_curve);

/* What the arguments name, read: the runs of saved files, in their order. */
struct gallery {
	struct portrait *portraits;
	unsigned count;
};

/*
 * Add the runs of a report that `noria bench --json` wrote. Believes nothing that it reads.
 * Returns: true; or false, explained on standard error, and nothing is added.
 */
bool gallery_read(struct gallery *gallery, const char *path, unsigned group);
/* Room for so many more. Returns: the first of them; NULL when there is no memory. */
struct portrait *gallery_extend(struct gallery *gallery, unsigned more);
void gallery_done(struct gallery *gallery);
