/* SPDX-License-Identifier: MIT */
/*
 * Two servers by turns. A machine drifts by more than servers differ, so what is compared lies side by side: each round
 * measures both, in random order, and gives a ratio; told are the median of the ratios and its 95 % interval (that of
 * order statistics, which asks nothing of how they are distributed). An interval that contains 1 has shown no
 * difference.
 */
#include "bench.h"
#include "words.h"

#include "../command.h"

#include <noria/noria.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum metric { METRIC_THROUGHPUT, METRIC_P50, METRIC_P90, METRIC_P99, METRIC_P999, METRICS };

static const char *const metric_names[METRICS] = {"answers/s", "p50", "p90", "p99", "p99.9"};
static const double metric_percentiles[METRICS] = {0, 50, 90, 99, 99.9};

struct comparison {
	const struct plan *plan;
	struct run sum[TARGETS_MAX];
	double *values[METRICS][TARGETS_MAX]; /* a value a round */
	double *ratios;                       /* room to sort in */
	unsigned rounds;                      /* that are complete */
};

struct spread {
	double median, low, high;
};

static double value_of(const struct run *run, enum metric metric)
{
	return metric == METRIC_THROUGHPUT ? run_throughput(run) : (double)run_latency(run, metric_percentiles[metric]);
}

static int by_value(const void *a, const void *b)
{
	double difference = *(const double *)a - *(const double *)b;
	return difference < 0 ? -1 : difference > 0;
}

/* How many values lie outside a 95 % interval of the median of so many, on each side. */
static unsigned outside(unsigned count)
{
	double probability = 1, below = 0;
	for (unsigned i = 0; i < count; i++)
		probability /= 2;
	for (unsigned k = 0;; k++) {
		below += probability; /* that at most k values lie below the median */
		if (below > 0.025 || k + 1 > count / 2)
			return k;
		probability *= (double)(count - k) / (k + 1);
	}
}

static struct spread spread_of(double *values, unsigned count)
{
	qsort(values, count, sizeof *values, by_value);
	unsigned out = outside(count);
	out -= out > 0; /* the outermost value that is within has so many beyond it */
	return (struct spread){
		.median = (values[(count - 1) / 2] + values[count / 2]) / 2,
		.low = values[out],
		.high = values[count - 1 - out],
	};
}

static struct spread values_of(const struct comparison *comparison, enum metric metric, unsigned which)
{
	memcpy(comparison->ratios, comparison->values[metric][which], comparison->rounds * sizeof(double));
	return spread_of(comparison->ratios, comparison->rounds);
}

static struct spread ratios_of(const struct comparison *comparison, enum metric metric)
{
	for (unsigned i = 0; i < comparison->rounds; i++) {
		double a = comparison->values[metric][0][i], b = comparison->values[metric][1][i];
		comparison->ratios[i] = a > 0 ? b / a : 0;
	}
	return spread_of(comparison->ratios, comparison->rounds);
}

static void print_table(const struct comparison *comparison)
{
	char a[32], b[32];
	printf("A %s\nB %s\n", comparison->plan->target[0].url, comparison->plan->target[1].url);
	printf("  %-10s  %10s  %10s  %7s  %s\n", "medians", "A", "B", "B/A",
	       outside(comparison->rounds) > 0 ? "95 %" : "all (6 rounds give a 95 % interval)");
	for (enum metric metric = 0; metric < METRICS; metric++) {
		double median_a = values_of(comparison, metric, 0).median;
		double median_b = values_of(comparison, metric, 1).median;
		struct spread ratio = ratios_of(comparison, metric);
		char *(*words)(char *, size_t, double) = metric == METRIC_THROUGHPUT ? words_count : words_time;
		printf("  %-10s  %10s  %10s  %7.3f  [%.3f %.3f]\n", metric_names[metric], words(a, sizeof a, median_a),
		       words(b, sizeof b, median_b), ratio.median, ratio.low, ratio.high);
	}
	for (unsigned i = 0; i < TARGETS_MAX; i++) {
		printf("%c: %s answers, %s errors in %u round%s\n", 'A' + i,
		       words_count(a, sizeof a, (double)comparison->sum[i].tally.answers),
		       words_count(b, sizeof b, (double)run_troubles(&comparison->sum[i])), comparison->rounds,
		       comparison->rounds == 1 ? "" : "s");
		report_doubts(&comparison->sum[i]);
	}
}

static json_t *metrics_json(const struct comparison *comparison)
{
	json_t *object = json_object();
	for (enum metric metric = 0; metric < METRICS; metric++) {
		struct spread ratio = ratios_of(comparison, metric);
		json_object_set_new(object, metric_names[metric],
				    json_pack("{s:f, s:f, s:f, s:[f, f]}", "a", values_of(comparison, metric, 0).median,
					      "b", values_of(comparison, metric, 1).median, "ratio", ratio.median,
					      "interval", ratio.low, ratio.high));
	}
	return object;
}

static int report(const struct comparison *comparison)
{
	if (!comparison->plan->json) {
		print_table(comparison);
		return EXIT_OK;
	}
	json_t *runs = json_pack("[o, o]", report_json(&comparison->sum[0]), report_json(&comparison->sum[1]));
	json_t *document = report_document(runs);
	json_object_set_new(document, "rounds", json_integer((json_int_t)comparison->rounds));
	json_object_set_new(document, "comparison", metrics_json(comparison));
	return bench_print_json(document);
}

static int measure_one(struct comparison *comparison, unsigned which)
{
	const struct plan *plan = comparison->plan;
	struct run run;
	char label[96];
	snprintf(label, sizeof label, "%c %s", 'A' + (int)which, plan->target[which].url);
	noria_try(run_measure(plan, &plan->target[which], plan->rate, label, &run));
	snprintf(run.mark, sizeof run.mark, "%c", 'A' + (int)which);
	for (enum metric metric = 0; metric < METRICS; metric++)
		comparison->values[metric][which][comparison->rounds] = value_of(&run, metric);
	if (comparison->sum[which].rounds == 0) {
		comparison->sum[which] = run;
	} else {
		run_add(&comparison->sum[which], &run);
		run_done(&run);
	}
	return 0;
}

static int measure_all(struct comparison *comparison)
{
	for (; comparison->rounds < comparison->plan->rounds; comparison->rounds++) {
		unsigned char coin = 0;
		(void)!getrandom(&coin, sizeof coin, 0);
		noria_try(measure_one(comparison, coin & 1));
		if (run_interrupted())
			break; /* half a round says nothing */
		noria_try(measure_one(comparison, !(coin & 1)));
		if (run_interrupted())
			break;
	}
	return 0;
}

/* Both have to have answered, and with success: else there is nothing to compare. */
static int judge(const struct comparison *comparison)
{
	int a = bench_judge(&comparison->sum[0]), b = bench_judge(&comparison->sum[1]);
	int code = a == EXIT_FAILED || b == EXIT_FAILED ? EXIT_FAILED : a != EXIT_OK ? a : b;
	bench_explain(comparison->plan, code);
	return code;
}

int bench_compare(const struct plan *plan)
{
	struct comparison comparison = {.plan = plan};
	double *room = calloc(plan->rounds * (METRICS * TARGETS_MAX + 1), sizeof *room);
	if (room == NULL)
		return EXIT_FAILED;
	comparison.ratios = room + plan->rounds * METRICS * TARGETS_MAX;
	for (unsigned i = 0; i < METRICS * TARGETS_MAX; i++)
		comparison.values[i / TARGETS_MAX][i % TARGETS_MAX] = room + i * plan->rounds;
	int code = bench_exit(measure_all(&comparison));
	if (comparison.rounds > 0) {
		if (code == EXIT_OK)
			code = judge(&comparison);
		if (report(&comparison) != EXIT_OK || report_files(plan, comparison.sum, TARGETS_MAX) < 0)
			code = EXIT_FAILED;
	} else if (code == EXIT_OK) {
		fputs("noria bench: interrupted before a round was complete.\n", stderr);
		code = EXIT_FAILED;
	}
	for (unsigned i = 0; i < TARGETS_MAX; i++)
		run_done(&comparison.sum[i]);
	free(room);
	return code;
}
