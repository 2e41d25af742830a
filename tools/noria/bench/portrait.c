/* SPDX-License-Identifier: MIT */
/*
 * A run as it is drawn. A curve has its points at fixed percentiles, closer together the nearer they are to 100, which
 * is all that a chart shows, and little enough to be saved beside the figures.
 */
#include "portrait.h"

#include "run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void portrait_curve(const struct hdr_histogram *latency, double *ret_curve)
{
	for (unsigned i = 0; i < CURVE_POINTS; i++) {
		double beyond = 100 * pow(10, -(double)i / POINTS_OF_A_NINE);
		ret_curve[i] = (double)hdr_value_at_percentile(latency, 100 - beyond);
	}
}

static struct portrait_slice portrait_of_slice(const struct slice *slice)
{
	const struct hdr_histogram *latency = slice->latency;
	bool any = latency->total_count > 0;
	return (struct portrait_slice){
		.answers = (double)slice->answers,
		.errors = (double)slice->troubles,
		.p50 = any ? (double)hdr_value_at_percentile(latency, 50) : -1,
		.p99 = any ? (double)hdr_value_at_percentile(latency, 99) : -1,
		.max = any ? (double)hdr_max(latency) : -1,
	};
}

void portrait_of(struct portrait *portrait, const struct run *run)
{
	const struct tally *tally = &run->tally;
	*portrait = (struct portrait){
		.connections = run->plan->connections,
		.threads = run->plan->threads,
		.depth = run->plan->depth,
		.rounds = run->rounds,
		.rate = run->rate,
		.seconds = (double)run->measured_ns / 1e9 / run->rounds,
		.throughput = run_throughput(run),
		.errors = (double)run_troubles(run),
		.unanswered = (double)tally->unanswered,
		.count = (double)tally->latency->total_count,
		.p50 = (double)run_latency(run, 50),
		.p99 = (double)run_latency(run, 99),
		.p999 = (double)run_latency(run, 99.9),
		.max = (double)hdr_max(tally->latency),
		.slice_seconds = (double)tally->slice_ns / 1e9,
		.slices_count = tally->slices_count,
	};
	snprintf(portrait->label, sizeof portrait->label, "%s", run->label);
	portrait_curve(tally->latency, portrait->curve);
	for (unsigned i = 0; i < tally->slices_count; i++)
		portrait->slices[i] = portrait_of_slice(&tally->slices[i]);
}

struct portrait *gallery_extend(struct gallery *gallery, unsigned more)
{
	unsigned count = gallery->count + more;
	struct portrait *portraits = realloc(gallery->portraits, (count ? count : 1) * sizeof *portraits);
	if (portraits == NULL)
		return NULL;
	struct portrait *first = portraits + gallery->count;
	memset(first, 0, more * sizeof *first);
	*gallery = (struct gallery){.portraits = portraits, .count = count};
	return first;
}

void gallery_done(struct gallery *gallery)
{
	free(gallery->portraits);
	*gallery = (struct gallery){0};
}
