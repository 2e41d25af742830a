/* SPDX-License-Identifier: MIT */
/* The three things that `noria bench` can do. Each reports, writes the files, and returns the exit code. */
#pragma once

#include "report.h"

/* One server, one load. */
int bench_once(const struct plan *plan);
/* One server at rising rates, to find the highest that it keeps up with. */
int bench_sweep(const struct plan *plan);
/* Two servers by turns. */
int bench_compare(const struct plan *plan);

/* Print a JSON document on standard output and release it; NULL: there was no memory for it. Returns: the exit code. */
int bench_print_json(json_t *document);
/* The exit code for what run_measure() answered. */
int bench_exit(int error);
/* The exit code for what one run, or a sum of them, came to: a script is to see that nothing answered, or only refused. */
int bench_judge(const struct run *run);
/* Say on standard error what such a code means, where the report does not: JSON is for programs. */
void bench_explain(const struct plan *plan, int code);
