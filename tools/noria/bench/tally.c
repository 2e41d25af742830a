/* SPDX-License-Identifier: MIT */
/*
 * The histogram of the whole has three significant digits, from a nanosecond to an hour. Those of the slices have two,
 * from a microsecond: there may be 200 of them, and a pixel of a chart shows no more.
 */
#include "tally.h"

#include <errno.h>
#include <stdlib.h>

#define LATENCY_MAX_NS 3600000000000

const char *const trouble_names[TROUBLE_KINDS] = {"connect", "timeout", "reset", "bad", "short"};
const char *const trouble_meanings[TROUBLE_KINDS] = {
	"no connection could be made",
	"no answer in time",
	"the connection broke",
	"what came was no answer to what was asked",
	"closed before the answer was complete",
};

/* The length of a slice: the least round one with which there are not too many. */
static int64_t slice_length(int64_t duration_ns)
{
	static const int64_t round[] = {1, 2, 5};
	for (int64_t unit = 100000000;; unit *= 10)
		for (size_t i = 0; i < sizeof round / sizeof *round; i++)
			if (duration_ns / (round[i] * unit) < SLICES_MAX)
				return round[i] * unit;
}

int tally_init(struct tally *tally, int64_t begin_ns, int64_t duration_ns)
{
	*tally = (struct tally){.begin_ns = begin_ns, .slice_ns = slice_length(duration_ns)};
	unsigned count = (unsigned)((duration_ns + tally->slice_ns - 1) / tally->slice_ns);
	tally->slices = calloc(count, sizeof *tally->slices);
	if (tally->slices == NULL || hdr_init(1, LATENCY_MAX_NS, 3, &tally->latency) != 0)
		goto failed;
	for (; tally->slices_count < count; tally->slices_count++)
		if (hdr_init(1000, LATENCY_MAX_NS, 2, &tally->slices[tally->slices_count].latency) != 0)
			goto failed;
	return 0;
failed:
	tally_done(tally);
	return -ENOMEM;
}

void tally_done(struct tally *tally)
{
	for (unsigned i = 0; i < tally->slices_count; i++)
		hdr_close(tally->slices[i].latency);
	free(tally->slices);
	if (tally->latency)
		hdr_close(tally->latency);
	*tally = (struct tally){0};
}

void tally_latency(struct tally *tally, int64_t latency_ns)
{
	hdr_record_value(tally->latency, latency_ns < LATENCY_MAX_NS ? latency_ns : LATENCY_MAX_NS);
}

struct slice *tally_slice(struct tally *tally, int64_t now_ns)
{
	if (tally->now && now_ns - tally->now_ns >= 0 && now_ns - tally->now_ns < tally->slice_ns)
		return tally->now;
	if (now_ns < tally->begin_ns)
		return NULL;
	uint64_t number = (uint64_t)(now_ns - tally->begin_ns) / (uint64_t)tally->slice_ns;
	if (number >= tally->slices_count)
		return NULL;
	tally->now_ns = tally->begin_ns + (int64_t)number * tally->slice_ns;
	return tally->now = &tally->slices[number];
}

void tally_bytes(struct tally *tally, size_t size, int64_t now_ns)
{
	struct slice *slice = tally_slice(tally, now_ns);
	if (slice) {
		slice->bytes += size;
		tally->bytes += size;
	}
}

void tally_answer(struct tally *tally, int64_t latency_ns, int64_t now_ns)
{
	struct slice *slice = tally_slice(tally, now_ns);
	tally->answers++;
	if (slice) {
		slice->answers++;
		hdr_record_value(slice->latency, latency_ns < LATENCY_MAX_NS ? latency_ns : LATENCY_MAX_NS);
	}
}

void tally_add(struct tally *sum, const struct tally *more)
{
	hdr_add(sum->latency, more->latency);
	for (unsigned i = 0; i < sum->slices_count && i < more->slices_count; i++) {
		struct slice *to = &sum->slices[i];
		const struct slice *from = &more->slices[i];
		hdr_add(to->latency, from->latency);
		to->answers += from->answers;
		to->bytes += from->bytes;
		to->troubles += from->troubles;
	}
	for (unsigned i = 0; i < TROUBLE_KINDS; i++)
		sum->troubles[i] += more->troubles[i];
	for (unsigned i = 0; i < STATUS_CLASSES; i++)
		sum->statuses[i] += more->statuses[i];
	sum->answers += more->answers;
	sum->bytes += more->bytes;
	sum->unanswered += more->unanswered;
	sum->late += more->late;
	if (sum->connect_error == 0)
		sum->connect_error = more->connect_error;
}
