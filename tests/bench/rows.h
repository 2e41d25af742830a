/* SPDX-License-Identifier: MIT */
/* What the rows of bench_task share. */
#pragma once

#include "bench.h"

enum { ROW_COUNT = 200000 }; /* times that a row does what it measures */

static inline void must(int r, const char *what)
{
	if (r < 0)
		bench_die(what, r);
}

/* sync.c */
void measure_mutex(void);
void measure_channel(void);
