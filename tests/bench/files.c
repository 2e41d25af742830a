/* SPDX-License-Identifier: MIT */
/* The part of the programs that read files which is not measured. */
#include "files.h"

#include "bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

void files_options(struct files_options *options, int argc, char **argv)
{
	struct stat status;

	if (argc != 6)
		bench_usage("usage: PROGRAM FILE MODE MILLISECONDS DEPTH SIZE");
	*options = (struct files_options){.path = argv[1], .mode = argv[2]};
	options->seconds_ns = bench_parse_number("MILLISECONDS", argv[3], 1, 3600000) * 1000000;
	options->depth = (unsigned)bench_parse_number("DEPTH", argv[4], 1, 4096);
	options->size = bench_parse_number("SIZE", argv[5], 512, 1 << 26);
	if (stat(options->path, &status) < 0)
		bench_die(options->path, errno);
	options->sequential = strcmp(options->mode, "sequential") == 0;
	options->blocks = (uint64_t)status.st_size / options->size;
	if (options->blocks == 0)
		bench_usage("the file is smaller than a read");
}

void files_begin(struct files_result *result)
{
	getrusage(RUSAGE_SELF, &result->before);
	result->begin_ns = bench_now_ns();
}

static double microseconds(struct timeval before, struct timeval after)
{
	return (double)(after.tv_sec - before.tv_sec) * 1e6 + (double)(after.tv_usec - before.tv_usec);
}

void files_end(struct files_result *result)
{
	struct rusage after;

	result->ns = bench_now_ns() - result->begin_ns;
	getrusage(RUSAGE_SELF, &after);
	result->cpu_us = microseconds(result->before.ru_utime, after.ru_utime) +
			 microseconds(result->before.ru_stime, after.ru_stime);
}

void files_print(const struct files_result *result)
{
	printf("{\"reads\": %llu, \"seconds\": %.6f, \"cpu_us\": %.0f}\n", (unsigned long long)result->reads,
	       (double)result->ns / 1e9, result->cpu_us);
}
