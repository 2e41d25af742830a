/* SPDX-License-Identifier: MIT */
/* What the programs that read many small files have in common: PROGRAM DIRECTORY MILLISECONDS DEPTH. */
#pragma once

#include "bench.h"
#include "files.h"

#include <limits.h>
#include <stdio.h>

enum { SMALL_FILES = 4096, SMALL_SIZE = 4096, SMALL_PATH_SIZE = PATH_MAX };

struct small_options {
	const char *directory; /* with files called 0 to 4095 of up to 4 KiB */
	uint64_t ns;
	unsigned depth; /* files under way */
};

static inline void small_parse(struct small_options *options, int argc, char **argv)
{
	if (argc != 4)
		bench_usage("usage: PROGRAM DIRECTORY MILLISECONDS DEPTH");
	options->directory = argv[1];
	options->ns = bench_parse_number("MILLISECONDS", argv[2], 1, 3600000) * 1000000;
	options->depth = (unsigned)bench_parse_number("DEPTH", argv[3], 1, 4096);
}

static inline void small_path(const struct small_options *options, uint64_t number, char path[SMALL_PATH_SIZE])
{
	snprintf(path, SMALL_PATH_SIZE, "%s/%u", options->directory, (unsigned)(number % SMALL_FILES));
}
