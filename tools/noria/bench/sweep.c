/* SPDX-License-Identifier: MIT */
/*
 * The knee: the highest rate that a server keeps up with. It keeps up if at least 99 of 100 requests that were due have
 * been answered, and the 99th percentile of latency is within the limit, if one was given. A list of rates is gone
 * through as it stands. A range is climbed until two steps were too much, and then the gap between the best that was
 * kept up with and the least that was not is halved a few times.
 */
#include "bench.h"
#include "words.h"

#include "../command.h"

#include <math.h>
#include <noria/noria.h>
#include <stdio.h>
#include <stdlib.h>

#define ENOUGH   0.99 /* of what was due */
#define TOO_MUCH 2    /* steps */
#define HALVINGS 4
#define CLOSE    1.02 /* rates that differ by less are the same */

struct sweep {
	const struct plan *plan;
	struct run runs[RATES_MAX + HALVINGS];
	unsigned count;
	double best, least_bad; /* the knee lies between; 0: not found */
};

static bool kept_up(const struct run *run)
{
	int64_t limit = run->plan->limit_ns;
	return run_throughput(run) >= ENOUGH * run->rate && (limit == 0 || run_latency(run, 99) <= limit);
}

static void print_row(const struct run *run, bool good)
{
	char rate[32], answers[32], p50[32], p99[32], p999[32], max[32], troubles[32];
	printf("  %10s  %10s  %8s  %8s  %8s  %8s  %6s  %s\n", words_count(rate, sizeof rate, run->rate),
	       words_count(answers, sizeof answers, run_throughput(run)),
	       words_time(p50, sizeof p50, (double)run_latency(run, 50)),
	       words_time(p99, sizeof p99, (double)run_latency(run, 99)),
	       words_time(p999, sizeof p999, (double)run_latency(run, 99.9)),
	       words_time(max, sizeof max, (double)hdr_max(run->tally.latency)),
	       words_count(troubles, sizeof troubles, (double)run_troubles(run)), good ? "" : "too much");
	fflush(stdout);
}

/* How often it has been measured at this rate already: a list may have it twice. */
static unsigned again(const struct sweep *sweep, double rate)
{
	unsigned count = 0;
	for (unsigned i = 0; i < sweep->count; i++)
		count += sweep->runs[i].rate == rate;
	return count;
}

/* Measure at one rate. Returns: 1 it kept up; 0 it did not; a negative errno. */
static int measure(struct sweep *sweep, double rate)
{
	char label[96], text[32];
	snprintf(label, sizeof label, "%s/s", words_count(text, sizeof text, rate));
	struct run *run = &sweep->runs[sweep->count];
	noria_try(run_measure(sweep->plan, &sweep->plan->target[0], rate, label, run));
	output_mark(run->mark, rate, again(sweep, rate));
	sweep->count++;
	bool good = kept_up(run);
	if (good && rate > sweep->best)
		sweep->best = rate;
	if (!good && (sweep->least_bad == 0 || rate < sweep->least_bad))
		sweep->least_bad = rate;
	if (!sweep->plan->json)
		print_row(run, good);
	return good;
}

static int climb(struct sweep *sweep)
{
	const struct plan *plan = sweep->plan;
	unsigned bad = 0;
	for (unsigned i = 0; i < plan->rates_count && !run_interrupted(); i++) {
		int good = noria_try(measure(sweep, plan->rates[i]));
		bad = good ? 0 : bad + 1;
		if (plan->refine && bad == TOO_MUCH)
			break;
	}
	return 0;
}

static int refine(struct sweep *sweep)
{
	for (unsigned i = 0; i < HALVINGS && !run_interrupted(); i++) {
		if (sweep->best == 0 || sweep->least_bad < sweep->best * CLOSE)
			break;
		noria_try(measure(sweep, round(sqrt(sweep->best * sweep->least_bad))));
	}
	return 0;
}

static int by_rate(const void *a, const void *b)
{
	double difference = ((const struct run *)a)->rate - ((const struct run *)b)->rate;
	return difference < 0 ? -1 : difference > 0;
}

static void print_knee(const struct sweep *sweep)
{
	char best[32], bad[32];
	words_count(best, sizeof best, sweep->best);
	words_count(bad, sizeof bad, sweep->least_bad);
	if (sweep->best == 0)
		printf("  knee: below %s/s, the lowest rate\n", bad);
	else if (sweep->least_bad == 0)
		printf("  knee: above %s/s, the highest rate\n", best);
	else if (sweep->least_bad < sweep->best)
		printf("  knee: unclear: %s/s was too much, and %s/s was not\n", bad, best);
	else
		printf("  knee: %s/s; %s/s was too much\n", best, bad);
	for (unsigned i = 0; i < sweep->count; i++)
		if (sweep->runs[i].rate == sweep->best || (sweep->best == 0 && i == 0))
			report_doubts(&sweep->runs[i]);
}

static int report(struct sweep *sweep)
{
	qsort(sweep->runs, sweep->count, sizeof *sweep->runs, by_rate);
	if (!sweep->plan->json) {
		print_knee(sweep);
		return EXIT_OK;
	}
	json_t *runs = json_array();
	for (unsigned i = 0; i < sweep->count; i++)
		json_array_append_new(runs, report_json(&sweep->runs[i]));
	json_t *document = report_document(runs);
	json_object_set_new(document, "knee",
			    json_pack("{s:f, s:f}", "kept_up", sweep->best, "too_much", sweep->least_bad));
	return bench_print_json(document);
}

/* At the highest rates a server may refuse everything: that is what was asked. It is one success that tells of a server. */
static int judge(const struct sweep *sweep)
{
	int code = EXIT_FAILED;
	for (unsigned i = 0; i < sweep->count && code != EXIT_OK; i++) {
		int one = bench_judge(&sweep->runs[i]);
		code = one != EXIT_FAILED ? one : code;
	}
	bench_explain(sweep->plan, code);
	return code;
}

int bench_sweep(const struct plan *plan)
{
	struct sweep *sweep = calloc(1, sizeof *sweep);
	if (sweep == NULL)
		return EXIT_FAILED;
	sweep->plan = plan;
	if (!plan->json) {
		printf("%s: %u connection%s, %u thread%s; latency from when each request was due\n",
		       plan->target[0].url, plan->connections, plan->connections == 1 ? "" : "s", plan->threads,
		       plan->threads == 1 ? "" : "s");
		printf("  %10s  %10s  %8s  %8s  %8s  %8s  %6s\n", "offered/s", "answered/s", "50 %", "99 %", "99.9 %",
		       "max", "errors");
	}
	int error = climb(sweep);
	if (error == 0 && plan->refine)
		error = refine(sweep);
	int code = bench_exit(error);
	if (code == EXIT_OK)
		code = judge(sweep);
	if (sweep->count > 0 && report(sweep) != EXIT_OK)
		code = EXIT_FAILED;
	if (sweep->count > 0 && report_files(plan, sweep->runs, sweep->count) < 0)
		code = EXIT_FAILED;
	for (unsigned i = 0; i < sweep->count; i++)
		run_done(&sweep->runs[i]);
	free(sweep);
	return code;
}
