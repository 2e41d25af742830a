/* SPDX-License-Identifier: MIT */
/*
 * The files of a report. Percentiles are written in HdrHistogram's format and in milliseconds, as its plotters want them:
 * a file for each run, where there are several; the tables and charts of all runs are in one. Files are made anew; one
 * that cannot be written fails the command, since somebody waits for it.
 */
#include "outputs.h"
#include "report.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

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

/* HdrHistogram's own percentile output, but for its three decimals: of 47 us they would leave two digits. */
static void write_percentiles(FILE *out, const struct hdr_histogram *latency)
{
	const double ms = 1e6;
	struct hdr_iter iter;
	fprintf(out, "%12s %14s %10s %14s\n\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)");
	hdr_iter_percentile_init(&iter, latency, 5);
	while (hdr_iter_next(&iter)) {
		double part = iter.specifics.percentiles.percentile / 100;
		fprintf(out, "%12.6f %14.12f %10lld", (double)iter.highest_equivalent_value / ms, part,
			(long long)iter.cumulative_count);
		if (part < 1)
			fprintf(out, " %14.2f", 1 / (1 - part));
		putc('\n', out);
	}
	bool any = latency->total_count > 0;
	fprintf(out, "#[Mean    = %12.6f, StdDeviation   = %12.6f]\n", any ? hdr_mean(latency) / ms : 0,
		any ? hdr_stddev(latency) / ms : 0);
	fprintf(out, "#[Max     = %12.6f, Total count    = %12lld]\n", (double)hdr_max(latency) / ms,
		(long long)latency->total_count);
	fprintf(out, "#[Buckets = %12d, SubBuckets     = %12d]\n", latency->bucket_count, latency->sub_bucket_count);
}

/* Was there something that is lost now? The names of several files were not given by hand. */
static bool holds_something(const char *path)
{
	struct stat status;
	return stat(path, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0;
}

static int write_hgrm(const char *given, const struct run *runs, unsigned count)
{
	char path[4096];
	unsigned replaced = 0;
	int error = 0;
	for (unsigned i = 0; i < count && error == 0; i++) {
		error = output_name(path, sizeof path, given, runs[i].mark);
		if (error < 0)
			break;
		replaced += *runs[i].mark && holds_something(path);
		FILE *out = begin(path);
		if (out == NULL)
			return -errno;
		write_percentiles(out, runs[i].tally.latency);
		error = finish(out, path);
	}
	if (replaced > 0)
		fprintf(stderr, "noria bench: --hgrm %s: %u of the files were there before, and have been replaced.\n",
			given, replaced);
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

/* The runs of now, and before which they are held. */
static int write_svg(const struct plan *plan, const struct run *runs, unsigned count)
{
	struct gallery gallery = {0};
	struct portrait *portraits = gallery_extend(&gallery, count + plan->saved->count);
	FILE *out = portraits ? begin(plan->svg) : NULL;
	int error = out ? 0 : -(portraits ? errno : ENOMEM);
	for (unsigned i = 0; i < count && out; i++)
		portrait_of(&portraits[i], &runs[i]);
	if (out) {
		if (plan->saved->count > 0)
			memcpy(portraits + count, plan->saved->portraits, plan->saved->count * sizeof *portraits);
		svg_write(out, portraits, gallery.count);
		error = finish(out, plan->svg);
	}
	gallery_done(&gallery);
	return error;
}

int report_files(const struct plan *plan, const struct run *runs, unsigned count)
{
	fflush(stdout);
	int error = plan->hgrm ? write_hgrm(plan->hgrm, runs, count) : 0, next;
	if (plan->csv && (next = write_csv(plan->csv, runs, count)) < 0)
		error = next;
	if (plan->svg && (next = write_svg(plan, runs, count)) < 0)
		error = next;
	return error;
}
