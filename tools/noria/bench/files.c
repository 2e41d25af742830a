/* SPDX-License-Identifier: MIT */
/*
 * The files of a report. Percentiles are written by HdrHistogram itself, in its own format and in milliseconds, as its
 * plotters want them. Files are made anew; one that cannot be written fails the command, since somebody waits for it.
 */
#include "report.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int finish(FILE *out, const char *path)
{
	bool bad = ferror(out) != 0;
	int error = fclose(out) != 0 || bad ? -(errno ? errno : EIO) : 0;
	if (error < 0)
		fprintf(stderr, "noria bench: cannot write %s: %s\n", path, strerror(-error));
	return error;
}

static FILE *begin(const char *path)
{
	FILE *out = fopen(path, "we");
	if (out == NULL)
		fprintf(stderr, "noria bench: cannot write %s: %s\n", path, strerror(errno));
	return out;
}

/* "out.hgrm" of the second of several runs is "out-2.hgrm". */
static void name_file(char *path, size_t size, const char *given, unsigned number, unsigned count)
{
	const char *slash = strrchr(given, '/'), *dot = strrchr(slash ? slash : given, '.');
	int stem = (int)(dot ? dot - given : (ptrdiff_t)strlen(given));
	if (count == 1)
		snprintf(path, size, "%s", given);
	else
		snprintf(path, size, "%.*s-%u%s", stem, given, number + 1, dot ? dot : "");
}

static int write_hgrm(const char *given, const struct run *runs, unsigned count)
{
	char path[4096];
	int error = 0;
	for (unsigned i = 0; i < count && error == 0; i++) {
		name_file(path, sizeof path, given, i, count);
		FILE *out = begin(path);
		if (out == NULL)
			return -errno;
		hdr_percentiles_print(runs[i].tally.latency, out, 5, 1e6, CLASSIC);
		error = finish(out, path);
	}
	return error;
}

static void write_quoted(FILE *out, const char *text)
{
	putc('"', out);
	for (; *text; text++) {
		if (*text == '"')
			putc('"', out);
		putc(*text, out);
	}
	putc('"', out);
}

static void write_slices(FILE *out, const struct run *run)
{
	static const double percentiles[] = {50, 90, 99, 100};
	const struct tally *tally = &run->tally;
	double seconds = (double)tally->slice_ns / 1e9;
	for (unsigned i = 0; i < tally->slices_count; i++) {
		const struct slice *slice = &tally->slices[i];
		write_quoted(out, run->label);
		fprintf(out, ",%.1f,%llu,%.1f,%llu,%llu", i * seconds, (unsigned long long)slice->answers,
			(double)slice->answers / seconds / run->rounds, (unsigned long long)slice->bytes,
			(unsigned long long)slice->troubles);
		for (unsigned k = 0; k < sizeof percentiles / sizeof *percentiles; k++) {
			putc(',', out);
			if (slice->answers > 0)
				fprintf(out, "%.6f",
					(double)hdr_value_at_percentile(slice->latency, percentiles[k]) / 1e6);
		}
		fputs("\r\n", out);
	}
}

static int write_csv(const char *path, const struct run *runs, unsigned count)
{
	FILE *out = begin(path);
	if (out == NULL)
		return -errno;
	fputs("run,time_s,answers,answers_per_s,bytes,errors,p50_ms,p90_ms,p99_ms,max_ms\r\n", out);
	for (unsigned i = 0; i < count; i++)
		write_slices(out, &runs[i]);
	return finish(out, path);
}

static int write_svg(const char *path, const struct run *runs, unsigned count)
{
	FILE *out = begin(path);
	if (out == NULL)
		return -errno;
	svg_write(out, runs, count);
	return finish(out, path);
}

int report_files(const struct plan *plan, const struct run *runs, unsigned count)
{
	int error = plan->hgrm ? write_hgrm(plan->hgrm, runs, count) : 0, next;
	if (plan->csv && (next = write_csv(plan->csv, runs, count)) < 0)
		error = next;
	if (plan->svg && (next = write_svg(plan->svg, runs, count)) < 0)
		error = next;
	return error;
}
