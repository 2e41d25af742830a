/* SPDX-License-Identifier: MIT */
/*
 * `noria bench`: a load generator that tells the truth. Its parts, in the order of what happens: arguments.c and target.c
 * read what is wanted; script.c writes the request; run.c starts threads, shard.c is one of them, caller.c with
 * stream.c and datagram.c is what its tasks do, reader.c understands answers, tally.c counts; report.c, json.c, files.c
 * and svg.c tell. sweep.c and compare.c do that several times.
 */
#include "bench.h"

#include "../command.h"
#include "../listener.h"

#include <errno.h>
#include <noria/noria.h>
#include <stdio.h>

int bench_exit(int error)
{
	if (error == -ECANCELED)
		fputs("noria bench: interrupted before anything was measured.\n", stderr);
	return error < 0 ? EXIT_FAILED : EXIT_OK;
}

int bench_print_json(json_t *document)
{
	bool printed = document && json_dumpf(document, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) == 0;
	if (printed)
		putchar('\n');
	else
		fputs("noria bench: the JSON could not be written\n", stderr);
	json_decref(document);
	return printed ? EXIT_OK : EXIT_FAILED;
}

int bench_once(const struct plan *plan)
{
	struct run run;
	int error = run_measure(plan, &plan->target[0], plan->rate, plan->target[0].url, &run);
	if (error < 0)
		return bench_exit(error);
	int code = EXIT_OK;
	if (plan->json)
		code = bench_print_json(json_pack("{s:s, s:[o]}", "noria", noria_version(), "runs", report_json(&run)));
	else
		report_run(&run);
	if (report_files(plan, &run, 1) < 0 || run.tally.answers == 0)
		code = EXIT_FAILED;
	run_done(&run);
	return code;
}

int cmd_bench(int argc, char **argv)
{
	struct plan plan;
	int code = plan_read(argc, argv, &plan);
	if (code != ARGUMENTS_READ)
		return code;
	raise_descriptor_limit();
	run_catch_signals();
	if (plan.compare)
		code = bench_compare(&plan);
	else
		code = plan.rates_count > 0 ? bench_sweep(&plan) : bench_once(&plan);
	plan_done(&plan);
	return code;
}
