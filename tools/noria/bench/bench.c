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
#include <string.h>

int bench_exit(int error)
{
	if (error == -ECANCELED)
		fputs("noria bench: interrupted before anything was measured.\n", stderr);
	return error < 0 ? EXIT_FAILED : EXIT_OK;
}

int bench_judge(const struct run *run)
{
	return run->tally.answers == 0 ? EXIT_FAILED : run_succeeded(run) ? EXIT_OK : EXIT_REFUSED;
}

void bench_explain(const struct plan *plan, int code)
{
	if (plan->json && code != EXIT_OK)
		fprintf(stderr, "noria bench: there was no %s.\n",
			code == EXIT_REFUSED ? "success among the answers (2xx, 3xx)" : "answer at all");
}

int bench_print_json(json_t *document)
{
	bool printed = report_print_json(stdout, document);
	if (!printed)
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
	int code = bench_judge(&run);
	bench_explain(plan, code);
	if (!plan->json)
		report_run(&run);
	else if (bench_print_json(report_document(json_pack("[o]", report_json(&run)))) != EXIT_OK)
		code = EXIT_FAILED;
	if (report_files(plan, &run, 1) < 0)
		code = EXIT_FAILED;
	run_done(&run);
	return code;
}

/* What was saved, and nothing else. */
static int draw(const struct plan *plan)
{
	return report_files(plan, NULL, 0) < 0 ? EXIT_FAILED : EXIT_OK;
}

/* Each connection has a descriptor; a thread has a few of its own. */
static bool has_descriptors(const struct plan *plan)
{
	size_t limit = raise_descriptor_limit(), need = plan->connections + plan->threads * 4 + 16;
	if (plan->targets == 0 || need <= limit)
		return true;
	fprintf(stderr,
		"noria bench: --connections %u: this process may have %zu files open, and needs %zu. Give fewer, or "
		"raise "
		"the limit (ulimit -n).\n",
		plan->connections, limit, need);
	return false;
}

static bool read_saved(const struct plan *plan, struct gallery *gallery)
{
	for (unsigned i = 0; i < plan->overlays_count; i++)
		if (!gallery_read(gallery, plan->overlays[i], i + 1))
			return false;
	return true;
}

static int work(const struct plan *plan)
{
	if (plan->targets == 0)
		return draw(plan);
	if (plan->compare)
		return bench_compare(plan);
	return plan->rates_count > 0 ? bench_sweep(plan) : bench_once(plan);
}

/* A report that did not arrive is none. */
static int flush(int code)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	fprintf(stderr, "noria bench: cannot write to standard output: %s\n", strerror(errno));
	return EXIT_FAILED;
}

int cmd_bench(int argc, char **argv)
{
	struct plan plan;
	int code = plan_read(argc, argv, &plan);
	if (code != ARGUMENTS_READ)
		return flush(code);
	struct gallery saved = {0};
	plan.saved = &saved;
	code = EXIT_FAILED; /* what would fail in the end is told of at once */
	if (has_descriptors(&plan) && read_saved(&plan, &saved) && outputs_check(&plan)) {
		run_catch_signals();
		code = work(&plan);
	}
	gallery_done(&saved);
	plan_done(&plan);
	return flush(code);
}
