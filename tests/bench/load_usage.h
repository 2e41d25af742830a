/* SPDX-License-Identifier: MIT */
/*
 * What a process has had of the CPUs, summed over its threads, from /proc/PID/task/TID/schedstat.
 *
 * The kernel brings the numbers up to date when a task is switched out and at each tick: they are exact for
 * a task that sleeps, and up to a tick old for one that runs on another CPU. So the load generator
 * reads them while the server has nothing to do.
 */
#pragma once

#include <stdint.h>

struct usage {
	uint64_t run_ns;
	uint64_t wait_ns; /* runnable while another task had the CPU */
	uint64_t runs;    /* times it was put on a CPU */
};

/* pid is a decimal number or "self"; "" is nobody, who uses nothing. Ends the program when there is no such process. */
struct usage usage_read(const char *pid);

struct usage usage_between(struct usage from, struct usage to);

void usage_add(struct usage *sum, struct usage more);
