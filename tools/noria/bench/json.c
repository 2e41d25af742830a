/* SPDX-License-Identifier: MIT */
/* A run as JSON. Times are nanoseconds unless the name says otherwise. */
#include "report.h"

#include <stdio.h>

static json_t *latency_json(const struct run *run)
{
	const struct hdr_histogram *latency = run->tally.latency;
	json_t *percentiles = json_object();
	char name[32];
	for (unsigned i = 0; i < PERCENTILES; i++) {
		snprintf(name, sizeof name, "%g", report_percentiles[i]);
		json_object_set_new(percentiles, name, json_integer(run_latency(run, report_percentiles[i])));
	}
	bool any = latency->total_count > 0;
	return json_pack("{s:s, s:I, s:I, s:f, s:I, s:f, s:o}", "from", run->rate > 0 ? "due" : "sent", "count",
			 (json_int_t)latency->total_count, "min_ns", (json_int_t)(any ? hdr_min(latency) : 0),
			 "mean_ns", any ? hdr_mean(latency) : 0.0, "max_ns", (json_int_t)hdr_max(latency),
			 "deviation_ns", any ? hdr_stddev(latency) : 0.0, "percentiles_ns", percentiles);
}

static json_t *troubles_json(const struct run *run)
{
	json_t *object = json_object();
	for (unsigned i = 0; i < TROUBLE_KINDS; i++)
		json_object_set_new(object, trouble_names[i], json_integer((json_int_t)run->tally.troubles[i]));
	return object;
}

static json_t *statuses_json(const struct run *run)
{
	static const char *const names[STATUS_CLASSES] = {"other", "1xx", "2xx", "3xx", "4xx", "5xx"};
	json_t *object = json_object();
	for (unsigned i = 0; i < STATUS_CLASSES; i++)
		if (run->tally.statuses[i] > 0)
			json_object_set_new(object, names[i], json_integer((json_int_t)run->tally.statuses[i]));
	return object;
}

json_t *report_json(const struct run *run)
{
	const struct plan *plan = run->plan;
	return json_pack("{s:s, s:s, s:s, s:f, s:i, s:i, s:i, s:i, s:f, s:I, s:f, s:I, s:I, s:f, s:o, s:o, s:o}",
			 "label", run->label, "url", run->target->url, "loop", run->rate > 0 ? "open" : "closed",
			 "rate", run->rate, "connections", (int)plan->connections, "threads", (int)plan->threads,
			 "depth", (int)plan->depth, "rounds", (int)run->rounds, "seconds",
			 (double)run->measured_ns / 1e9, "answers", (json_int_t)run->tally.answers,
			 "answers_per_second", run_throughput(run), "bytes", (json_int_t)run->tally.bytes, "unanswered",
			 (json_int_t)run->tally.unanswered, "client_cpus",
			 (double)run->cpu_ns / (double)run->measured_ns, "latency", latency_json(run), "statuses",
			 statuses_json(run), "errors", troubles_json(run));
}
