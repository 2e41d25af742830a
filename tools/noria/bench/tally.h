/* SPDX-License-Identifier: MIT */
/*
 * What has been counted: latencies in histograms (HdrHistogram), of the whole and of each slice of time, answers, and
 * troubles by kind. Each thread has one of its own, without a lock; they are added up when all is over.
 */
#pragma once

#include "reader.h"

#include <hdr/hdr_histogram.h>

enum { SLICES_MAX = 200 };

enum trouble {
	TROUBLE_CONNECT, /* no connection could be made */
	TROUBLE_TIMEOUT, /* no answer in time; of a datagram: none at all */
	TROUBLE_RESET,   /* the connection broke */
	TROUBLE_BAD,     /* what came was no answer, or nobody had asked */
	TROUBLE_SHORT,   /* the connection was closed before the answer was there */
	TROUBLE_KINDS,
};

extern const char *const trouble_names[TROUBLE_KINDS];
extern const char *const trouble_meanings[TROUBLE_KINDS];

struct slice {
	struct hdr_histogram *latency; /* nanoseconds */
	uint64_t answers, bytes, troubles;
};

struct tally {
	int64_t begin_ns, slice_ns;
	struct hdr_histogram *latency; /* nanoseconds, three digits */
	struct slice *slices;
	unsigned slices_count;
	struct slice *now; /* the slice of the last look, which is mostly that of the next: it begins then */
	int64_t now_ns;
	uint64_t answers; /* that came within the measured time */
	uint64_t bytes;   /* of answers */
	uint64_t troubles[TROUBLE_KINDS];
	uint64_t statuses[STATUS_CLASSES];
	uint64_t unanswered; /* open loop: requests that were due, and not answered when the run was ended */
	uint64_t late;       /* connections that stood when the measuring had begun, or never */
	int connect_error;   /* the first of them, a negative errno; 0: none */
};

/* Returns: 0 or -ENOMEM. */
int tally_init(struct tally *tally, int64_t begin_ns, int64_t duration_ns);
void tally_done(struct tally *tally);

/* A latency, by whose rules it may count or not; and an answer that came now, within the measured time. */
void tally_latency(struct tally *tally, int64_t latency_ns);
void tally_answer(struct tally *tally, int64_t latency_ns, int64_t now_ns);
/* Bytes that came now. */
void tally_bytes(struct tally *tally, size_t size, int64_t now_ns);
/* The slice of that time; NULL outside the measured time. */
struct slice *tally_slice(struct tally *tally, int64_t now_ns);

void tally_add(struct tally *sum, const struct tally *more);
