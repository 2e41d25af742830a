/* SPDX-License-Identifier: MIT */
/* What the programs that read files have in common: their options, where to read, what to print. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

struct files_options {
	const char *path, *mode;
	unsigned depth;  /* reads under way */
	size_t size;     /* bytes of a read */
	bool sequential; /* the mode says so */
	uint64_t blocks; /* of that size in the file */
	uint64_t seconds_ns;
};

struct files_result {
	uint64_t reads, begin_ns, ns;
	struct rusage before;
	double cpu_us;
};

/* PROGRAM FILE MODE SECONDS DEPTH SIZE; ends the program when it is not that. */
void files_options(struct files_options *options, int argc, char **argv);
/* CPU time of the whole process counts from begin to end. */
void files_begin(struct files_result *result);
void files_end(struct files_result *result);
void files_print(const struct files_result *result);

/* Where to read next: xorshift, or the next in turn. */
static inline off_t files_offset(const struct files_options *options, uint64_t *random)
{
	if (options->sequential)
		return (off_t)((*random)++ % options->blocks * options->size);
	*random ^= *random << 13;
	*random ^= *random >> 7;
	*random ^= *random << 17;
	return (off_t)(*random % options->blocks * options->size);
}
