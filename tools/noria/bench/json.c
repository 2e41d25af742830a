/* SPDX-License-Identifier: MIT */
/* A run as JSON. Times are nanoseconds unless the name says otherwise. */
#include "portrait.h"
#include "report.h"
#include "words.h"

#include <noria/noria.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Text that may be no UTF-8, which JSON has to be. */
static json_t *text_json(const char *text)
{
	size_t size = strlen(text) + 1;
	char *clean = malloc(size);
	json_t *string = clean ? json_string(words_clean(clean, size, text)) : NULL;
	free(clean);
	return string;
}

/* Up to where the curve rises: whoever reads it goes on with the last point. */
static json_t *curve_json(const struct hdr_histogram *latency)
{
	json_t *array = json_array();
	double curve[CURVE_POINTS];
	unsigned count = CURVE_POINTS;
	portrait_curve(latency, curve);
	while (count > 1 && curve[count - 2] >= curve[count - 1])
		count--;
	for (unsigned i = 0; i < count && latency->total_count > 0; i++)
		json_array_append_new(array, json_integer((json_int_t)curve[i]));
	return array;
}

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
	return json_pack("{s:s, s:I, s:I, s:f, s:I, s:f, s:o, s:i, s:o}", "from", run->rate > 0 ? "due" : "sent",
			 "count", (json_int_t)latency->total_count, "min_ns", (json_int_t)(any ? hdr_min(latency) : 0),
			 "mean_ns", any ? hdr_mean(latency) : 0.0, "max_ns", (json_int_t)hdr_max(latency),
			 "deviation_ns", any ? hdr_stddev(latency) : 0.0, "percentiles_ns", percentiles,
			 "points_of_a_nine", POINTS_OF_A_NINE, "curve_ns", curve_json(latency));
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

static json_t *slice_ns(const struct slice *slice, double percentile)
{
	const struct hdr_histogram *latency = slice->latency;
	return latency->total_count ? json_integer(hdr_value_at_percentile(latency, percentile)) : json_null();
}

static json_t *slices_json(const struct tally *tally)
{
	json_t *answers = json_array(), *errors = json_array();
	json_t *p50 = json_array(), *p99 = json_array(), *max = json_array();
	for (unsigned i = 0; i < tally->slices_count; i++) {
		const struct slice *slice = &tally->slices[i];
		json_array_append_new(answers, json_integer((json_int_t)slice->answers));
		json_array_append_new(errors, json_integer((json_int_t)slice->troubles));
		json_array_append_new(p50, slice_ns(slice, 50));
		json_array_append_new(p99, slice_ns(slice, 99));
		json_array_append_new(max, slice_ns(slice, 100));
	}
	return json_pack("{s:f, s:o, s:o, s:o, s:o, s:o}", "seconds", (double)tally->slice_ns / 1e9, "answers", answers,
			 "errors", errors, "p50_ns", p50, "p99_ns", p99, "max_ns", max);
}

json_t *report_json(const struct run *run)
{
	const struct plan *plan = run->plan;
	return json_pack(
		"{s:o, s:o, s:s, s:f, s:i, s:i, s:i, s:i, s:f, s:I, s:f, s:I, s:I, s:I, s:f, s:o, s:o, s:o, s:o}",
		"label", text_json(run->label), "url", text_json(run->target->url), "loop",
		run->rate > 0 ? "open" : "closed", "rate", run->rate, "connections", (int)plan->connections, "threads",
		(int)plan->threads, "depth", (int)plan->depth, "rounds", (int)run->rounds, "seconds",
		(double)run->measured_ns / 1e9, "answers", (json_int_t)run->tally.answers, "answers_per_second",
		run_throughput(run), "bytes", (json_int_t)run->tally.bytes, "unanswered",
		(json_int_t)run->tally.unanswered, "late_connections", (json_int_t)run->tally.late, "client_cpus",
		(double)run->cpu_ns / (double)run->measured_ns, "latency", latency_json(run), "statuses",
		statuses_json(run), "errors", troubles_json(run), "slices", slices_json(&run->tally));
}

json_t *report_document(json_t *runs)
{
	return json_pack("{s:s, s:i, s:o}", "noria", noria_version(), "format", JSON_FORMAT, "runs", runs);
}

/* ---- as text ---- */

static bool has_parts(const json_t *value)
{
	size_t i;
	json_t *each;
	json_array_foreach(value, i, each) if (json_is_object(each) || json_is_array(each)) return true;
	return json_is_object(value);
}

static void new_line(FILE *out, unsigned depth)
{
	fprintf(out, "\n%*s", (int)depth * 2, "");
}

/* Like JSON_INDENT, but a list of numbers stays on its line. */
static bool print(FILE *out, json_t *value, unsigned depth)
{
	const char *key, *separator = "";
	json_t *each;
	size_t i;
	if (!has_parts(value))
		return json_dumpf(value, out, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(9)) == 0;
	putc(json_is_object(value) ? '{' : '[', out);
	json_object_foreach(value, key, each)
	{
		fputs(separator, out);
		new_line(out, depth + 1);
		fprintf(out, "\"%s\": ", key); /* names are ours, and need no escape */
		if (!print(out, each, depth + 1))
			return false;
		separator = ",";
	}
	json_array_foreach(value, i, each)
	{
		fputs(separator, out);
		new_line(out, depth + 1);
		if (!print(out, each, depth + 1))
			return false;
		separator = ",";
	}
	new_line(out, depth);
	return putc(json_is_object(value) ? '}' : ']', out) != EOF;
}

bool report_print_json(FILE *out, json_t *document)
{
	return document && print(out, document, 0) && putc('\n', out) != EOF;
}
