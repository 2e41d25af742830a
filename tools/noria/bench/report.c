/* SPDX-License-Identifier: MIT */
/* The report on standard output. It says what a number counts from, and what may be wrong with it. */
#include "report.h"

#include "words.h"

#include <stdio.h>
#include <string.h>

#define BUSY 0.95 /* of a thread's time: from here on the client is suspected */

const double report_percentiles[PERCENTILES] = {50, 90, 99, 99.9, 99.99, 99.999};

static void print_head(const struct run *run)
{
	const struct plan *plan = run->plan;
	char text[32], seconds[32];
	printf("%s: %u connection%s, %u thread%s, ", run->label, plan->connections, plan->connections == 1 ? "" : "s",
	       plan->threads, plan->threads == 1 ? "" : "s");
	if (plan->depth > 1)
		printf("%u in flight on each, ", plan->depth);
	words_time(seconds, sizeof seconds, (double)run->measured_ns);
	if (run->rate > 0)
		printf("open loop at %s/s, %s\n", words_count(text, sizeof text, run->rate), seconds);
	else
		printf("closed loop, %s\n", seconds);
}

static void print_throughput(const struct run *run)
{
	char rate[32], bytes[32], count[32];
	words_count(rate, sizeof rate, run_throughput(run));
	words_bytes(bytes, sizeof bytes, (double)run->tally.bytes * 1e9 / (double)run->measured_ns);
	words_count(count, sizeof count, (double)run->tally.answers);
	printf("  %s answers/s, %s/s; %s answers\n", rate, bytes, count);
}

static void print_latency(const struct run *run)
{
	const struct hdr_histogram *latency = run->tally.latency;
	char text[32];
	if (latency->total_count == 0)
		return;
	printf("  latency%s\n", run->rate > 0 ? ", from when each request was due" : "");
	printf("    %8s  %s\n", "mean", words_time(text, sizeof text, hdr_mean(latency)));
	for (unsigned i = 0; i < PERCENTILES; i++)
		printf("    %6g %%  %s\n", report_percentiles[i],
		       words_time(text, sizeof text, (double)run_latency(run, report_percentiles[i])));
	printf("    %8s  %s\n", "max", words_time(text, sizeof text, (double)hdr_max(latency)));
}

static void print_statuses(const struct run *run)
{
	char text[32];
	if (run->target->scheme != SCHEME_HTTP || run->tally.answers == 0)
		return;
	printf("  status");
	for (unsigned i = 1; i <= STATUS_CLASSES; i++) {
		unsigned class = i % STATUS_CLASSES;
		if (run->tally.statuses[class] > 0)
			printf("  %s: %s",
			       class == 0 ? "other" : (const char *[]){"1xx", "2xx", "3xx", "4xx", "5xx"}[class - 1],
			       words_count(text, sizeof text, (double)run->tally.statuses[class]));
	}
	putchar('\n');
}

static void print_troubles(const struct run *run)
{
	char text[32];
	if (run_troubles(run) > 0)
		puts("  errors");
	for (unsigned i = 0; i < TROUBLE_KINDS; i++)
		if (run->tally.troubles[i] > 0)
			printf("    %8s  %s: %s%s%s\n", trouble_names[i],
			       words_count(text, sizeof text, (double)run->tally.troubles[i]), trouble_meanings[i],
			       i == TROUBLE_CONNECT ? ", at first for: " : "",
			       i == TROUBLE_CONNECT ? strerror(-run->tally.connect_error) : "");
}

void report_doubts(const struct run *run)
{
	char text[32];
	if (run->rate > 0 && run_throughput(run) < 0.99 * run->rate)
		printf("  ! less was answered than was due: the server does not keep up, or there are too few "
		       "--connections. Where it\n    never does, latencies grow with the length of the run.\n");
	if (run->tally.answers > 0 && !run_succeeded(run))
		puts("  ! no answer was a success (2xx, 3xx): this measures how fast the server refuses. Is the path "
		     "right?");
	if (run_troubles(run) * 10 > run->tally.answers)
		puts("  ! errors are more than a tenth of the answers: the figures are of what is left.");
	if (run->tally.unanswered > 0)
		printf("  ! %s requests had no answer when the run was ended; they count with the time that they "
		       "waited.\n",
		       words_count(text, sizeof text, (double)run->tally.unanswered));
	if (run->tally.late * 100 > (uint64_t)run->plan->connections * run->rounds &&
	    run->tally.troubles[TROUBLE_CONNECT] == 0)
		printf("  ! %s connections were not made %s. Give a longer --warmup, or a --ramp.\n",
		       words_count(text, sizeof text, (double)run->tally.late),
		       run->plan->ramp_ns + run->plan->warmup_ns > 0 ? "when the measuring began" : "until the end");
	if (run_busy(run) > BUSY)
		printf("  ! the client's own thread%s %s busy all the time: the figures may be the client's. Give it "
		       "more "
		       "--threads,\n    if there are processors.\n",
		       run->plan->threads == 1 ? "" : "s", run->plan->threads == 1 ? "was" : "were");
}

void report_run(const struct run *run)
{
	print_head(run);
	print_throughput(run);
	print_latency(run);
	print_statuses(run);
	print_troubles(run);
	printf("  client: %.2f CPUs\n", (double)run->cpu_ns / (double)run->measured_ns);
	report_doubts(run);
}
