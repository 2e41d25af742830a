/* SPDX-License-Identifier: MIT */
/*
 * What both sides of the offload comparison share. Each reads lines "DEPTH CALLS" and answers each with the nanoseconds
 * that a call took, and those that a processor was busy for it: DEPTH calls of an empty function are under way at any
 * time, CALLS altogether.
 */
#pragma once

#include "bench.h"

#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>

enum { OFFLOAD_WARM_UP = 500, OFFLOAD_DEPTH_MAX = 1024 };

struct offload_clock {
	uint64_t wall_ns, cpu_ns;
};

static inline struct offload_clock offload_now(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (struct offload_clock){
		bench_now_ns(),
		(uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * BENCH_NSEC_PER_SEC +
			(uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000,
	};
}

static inline void offload_print(struct offload_clock start, unsigned calls)
{
	struct offload_clock end = offload_now();

	printf("%.1f %.1f\n", (double)(end.wall_ns - start.wall_ns) / calls,
	       (double)(end.cpu_ns - start.cpu_ns) / calls);
	fflush(stdout);
}

static inline int offload_read(unsigned *depth, unsigned *calls)
{
	return scanf("%u %u", depth, calls) == 2 && *depth > 0 && *depth <= OFFLOAD_DEPTH_MAX && *calls >= *depth;
}
