/* SPDX-License-Identifier: MIT */
/*
 * Runs that were saved by --json, read again to lie beside those of now. A file comes from anywhere, and may have been
 * edited: what is no number in its range, or not there, is told with its name, and nothing is drawn of such a file.
 */
#include "portrait.h"

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define FILE_MAX   (64 * 1024 * 1024)
#define NUMBER_MAX 1e18
#define RATE_MIN   0.001 /* requests a second; what is next to nothing has no place on a logarithmic axis */

struct reading {
	const char *path;
	const char *what; /* that could not be read; NULL: nothing is wrong */
};

/* Look a thing up, and remember its name where it is not as it should be. */
static json_t *find(struct reading *reading, const json_t *object, const char *name, json_type type)
{
	json_t *found = json_object_get(object, name);
	if (found && json_typeof(found) == type)
		return found;
	if (reading->what == NULL)
		reading->what = name;
	return NULL;
}

static double in_range(struct reading *reading, const json_t *number, const char *name, double low, double high)
{
	double value = json_is_number(number) ? json_number_value(number) : -1;
	if (value >= low && value <= high)
		return value;
	if (reading->what == NULL)
		reading->what = name;
	return low;
}

static double number(struct reading *reading, const json_t *object, const char *name, double low, double high)
{
	return in_range(reading, json_object_get(object, name), name, low, high);
}

static unsigned whole(struct reading *reading, const json_t *object, const char *name, unsigned low)
{
	return (unsigned)number(reading, object, name, low, INT_MAX);
}

/* The points of a curve that rises; where the file ends sooner, it stays as it is. */
static void read_curve(struct reading *reading, const json_t *latency, struct portrait *portrait)
{
	const json_t *points = find(reading, latency, "curve_ns", JSON_ARRAY);
	size_t count = json_array_size(points);
	double last = 0;
	if (reading->what == NULL && (count > CURVE_POINTS || (count == 0) != (portrait->count < 1)))
		reading->what = "curve_ns";
	for (size_t i = 0; i < CURVE_POINTS && reading->what == NULL; i++) {
		if (i < count)
			last = in_range(reading, json_array_get(points, i), "curve_ns", last, NUMBER_MAX);
		portrait->curve[i] = last;
	}
}

static double of_slice(struct reading *reading, const json_t *slices, const char *name, size_t i, double otherwise)
{
	const json_t *value = json_array_get(json_object_get(slices, name), i);
	return json_is_null(value) && otherwise < 0 ? otherwise : in_range(reading, value, name, 0, NUMBER_MAX);
}

static void read_slices(struct reading *reading, const json_t *slices, struct portrait *portrait)
{
	size_t count = json_array_size(find(reading, slices, "answers", JSON_ARRAY));
	portrait->slice_seconds = number(reading, slices, "seconds", 0.001, NUMBER_MAX);
	if (reading->what == NULL && count > SLICES_MAX)
		reading->what = "slices";
	for (size_t i = 0; i < count && reading->what == NULL; i++)
		portrait->slices[i] = (struct portrait_slice){
			.answers = floor(of_slice(reading, slices, "answers", i, 0)),
			.errors = of_slice(reading, slices, "errors", i, 0),
			.p50 = of_slice(reading, slices, "p50_ns", i, -1),
			.p99 = of_slice(reading, slices, "p99_ns", i, -1),
			.max = of_slice(reading, slices, "max_ns", i, -1),
		};
	portrait->slices_count = reading->what ? 0 : (unsigned)count;
}

static double read_errors(struct reading *reading, const json_t *object)
{
	double sum = 0;
	for (unsigned i = 0; i < TROUBLE_KINDS; i++)
		sum += number(reading, object, trouble_names[i], 0, NUMBER_MAX);
	return sum;
}

/* "dir/before.json" and "http://host/": "before: http://host/". */
static void name_portrait(struct portrait *portrait, const char *path, const char *label)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path, *dot = strrchr(name, '.');
	int length = dot && dot > name ? (int)(dot - name) : (int)strlen(name);
	snprintf(portrait->label, sizeof portrait->label, "%.*s: %s", length > 60 ? 60 : length, name, label);
}

static void read_run(struct reading *reading, const json_t *run, struct portrait *portrait)
{
	const json_t *latency = find(reading, run, "latency", JSON_OBJECT);
	const json_t *label = find(reading, run, "label", JSON_STRING);
	portrait->connections = whole(reading, run, "connections", 1);
	portrait->threads = whole(reading, run, "threads", 1);
	portrait->depth = whole(reading, run, "depth", 1);
	portrait->rounds = whole(reading, run, "rounds", 1);
	portrait->rate = number(reading, run, "rate", 0, NUMBER_MAX);
	if (portrait->rate > 0 && portrait->rate < RATE_MIN && reading->what == NULL)
		reading->what = "rate";
	portrait->seconds = number(reading, run, "seconds", 1e-9, NUMBER_MAX) / portrait->rounds;
	portrait->throughput = number(reading, run, "answers_per_second", 0, NUMBER_MAX);
	portrait->unanswered = number(reading, run, "unanswered", 0, NUMBER_MAX);
	portrait->errors = read_errors(reading, find(reading, run, "errors", JSON_OBJECT));
	portrait->count = number(reading, latency, "count", 0, NUMBER_MAX);
	const json_t *percentiles = find(reading, latency, "percentiles_ns", JSON_OBJECT);
	portrait->p50 = number(reading, percentiles, "50", 0, NUMBER_MAX);
	portrait->p99 = number(reading, percentiles, "99", 0, NUMBER_MAX);
	portrait->p999 = number(reading, percentiles, "99.9", 0, NUMBER_MAX);
	portrait->max = number(reading, latency, "max_ns", 0, NUMBER_MAX);
	read_curve(reading, latency, portrait);
	read_slices(reading, find(reading, run, "slices", JSON_OBJECT), portrait);
	name_portrait(portrait, reading->path, label ? json_string_value(label) : "");
}

/* ---- the file ---- */

static bool refuse(const char *path, const char *why)
{
	fprintf(stderr, "noria bench: --overlay %s: %s\n", path, why);
	return false;
}

struct input {
	FILE *file;
	size_t left; /* that may be read */
};

static size_t read_some(void *buffer, size_t size, void *arg)
{
	struct input *input = arg;
	size_t got = fread(buffer, 1, size < input->left ? size : input->left, input->file);
	input->left -= got;
	return got;
}

/* Returns: the document; NULL, which has been explained. */
static json_t *load(const char *path)
{
	struct input input = {.file = fopen(path, "re"), .left = FILE_MAX};
	if (input.file == NULL) {
		refuse(path, strerror(errno));
		return NULL;
	}
	json_error_t error = {0};
	json_t *document = json_load_callback(read_some, &input, 0, &error);
	bool bad = ferror(input.file) || input.left == 0;
	fclose(input.file);
	if (document == NULL && bad)
		refuse(path, "it cannot be read, or has 64 MiB or more.");
	else if (document == NULL)
		fprintf(stderr,
			"noria bench: --overlay %s: no JSON: line %d: %s. Give what `noria bench --json` wrote.\n",
			path, error.line, error.text);
	return document;
}

static bool read_runs(struct gallery *gallery, const char *path, unsigned group, const json_t *runs)
{
	struct reading reading = {.path = path};
	unsigned count = (unsigned)json_array_size(runs), before = gallery->count;
	struct portrait *first = gallery_extend(gallery, count);
	if (first == NULL)
		return refuse(path, "not enough memory.");
	for (unsigned i = 0; i < count && reading.what == NULL; i++) {
		first[i].group = group;
		read_run(&reading, json_array_get(runs, i), &first[i]);
	}
	if (reading.what == NULL)
		return true;
	gallery->count = before;
	fprintf(stderr,
		"noria bench: --overlay %s: \"%s\" is missing in it, or is not what it should be. Give what "
		"`noria bench --json` wrote, as it was.\n",
		path, reading.what);
	return false;
}

bool gallery_read(struct gallery *gallery, const char *path, unsigned group)
{
	json_t *document = load(path);
	if (document == NULL)
		return false;
	const json_t *format = json_object_get(document, "format"), *runs = json_object_get(document, "runs");
	bool read = false;
	if (!json_is_array(runs) || !json_is_string(json_object_get(document, "noria")))
		refuse(path, "this is JSON, but no report. Give what `noria bench --json` wrote.");
	else if (json_integer_value(format) != JSON_FORMAT)
		refuse(path,
		       "a report, but in a format that is not read here: of another version of noria. Measure again.");
	else if (json_array_size(runs) == 0 || json_array_size(runs) > PORTRAITS_MAX - gallery->count)
		refuse(path, "there are no runs in it, or with it more than 256.");
	else
		read = read_runs(gallery, path, group, runs);
	json_decref(document);
	return read;
}
