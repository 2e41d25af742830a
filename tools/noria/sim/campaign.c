/* SPDX-License-Identifier: MIT */
/*
 * `noria sim`: runs on all processors, until all seeds have been tried or, unless told to go on, one has failed. The
 * first run of all is waited for: it shows whether the program can be simulated.
 */
#include "sim.h"

#include "../command.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { JOBS_MAX = 256, PROGRESS_NS = 200 * 1000 * 1000 };

struct campaign {
	const struct sim_arguments *arguments;
	struct sim_failures *failures;
	struct sim_run runs[JOBS_MAX];
	unsigned running;
	uint64_t next, made, failed;
	int64_t began_ns, shown_ns;
	bool terminal;
};

static void show_progress(struct campaign *campaign, bool last)
{
	int64_t now = sim_now();
	uint64_t all = campaign->arguments->last - campaign->arguments->first + 1;

	if (!campaign->terminal || (!last && now - campaign->shown_ns < PROGRESS_NS))
		return;
	campaign->shown_ns = now;
	fprintf(stderr, "\r%llu of %llu runs, %llu failed, %.0f a second\033[K", (unsigned long long)campaign->made,
		(unsigned long long)all, (unsigned long long)campaign->failed,
		(double)campaign->made * 1e9 / (double)(now - campaign->began_ns + 1));
	if (last)
		fputs("\r\033[K", stderr);
}

static void take_end(struct campaign *campaign, struct sim_run *run, bool late)
{
	sim_run_end(run, late);
	campaign->running--;
	campaign->made++;
	if (run->failed) {
		campaign->failed++;
		sim_failures_add(campaign->failures, run);
	}
	show_progress(campaign, false);
}

static void await_one(struct campaign *campaign)
{
	struct pollfd ends[JOBS_MAX];
	struct sim_run *whose[JOBS_MAX];
	int64_t now = sim_now(), next = INT64_MAX;
	nfds_t count = 0;

	for (unsigned i = 0; i < campaign->arguments->jobs; i++) {
		struct sim_run *run = &campaign->runs[i];
		int64_t end = run->began_ns + campaign->arguments->timeout_ns;

		if (!run->pid)
			continue;
		whose[count] = run;
		ends[count++] = (struct pollfd){.fd = run->pidfd, .events = POLLIN};
		next = end < next ? end : next;
	}
	if (poll(ends, count, next > now ? (int)((next - now) / 1000000) + 1 : 0) < 0)
		return;
	now = sim_now();
	for (nfds_t i = 0; i < count; i++) {
		bool late = now > whose[i]->began_ns + campaign->arguments->timeout_ns;

		if (ends[i].revents || late)
			take_end(campaign, whose[i], !ends[i].revents);
	}
}

static struct sim_run *idle_one(struct campaign *campaign)
{
	for (unsigned i = 0; i < campaign->arguments->jobs; i++)
		if (!campaign->runs[i].pid)
			return &campaign->runs[i];
	return NULL;
}

static int cannot_be_simulated(const struct sim_run *run, const struct sim_arguments *arguments)
{
	if (run->refused[0]) {
		fprintf(stderr, "noria sim: %s: %s\n", arguments->program[0], run->refused);
		return EXIT_USAGE;
	}
	fprintf(stderr,
		"noria sim: %s made no simulated world: it ended without a noria_run() that %s could take over.\n"
		"Remedy: link it with the shared libnoria, or with libnoria-test (pkg-config noria-test); a static\n"
		"libnoria.a, a static program and one with the set-user-ID bit cannot be simulated.\n",
		arguments->program[0], arguments->library);
	if (run->tail[0])
		fprintf(stderr, "It wrote:\n%s\n", run->tail);
	return EXIT_USAGE;
}

/* Returns EXIT_OK when all were made, or why not. */
static int make_all(struct campaign *campaign)
{
	const struct sim_arguments *arguments = campaign->arguments;

	while (campaign->next <= arguments->last && (arguments->keep_going || campaign->failed == 0)) {
		struct sim_run *run = idle_one(campaign);

		if (!run || (campaign->next == arguments->first + 1 && campaign->made == 0)) {
			await_one(campaign);
			if (campaign->made == 1 && !campaign->runs[0].simulated)
				return cannot_be_simulated(&campaign->runs[0], arguments);
			continue;
		}
		run->seed = campaign->next++;
		run->faults = NULL;
		if (sim_run_begin(run, arguments) < 0) {
			fputs("noria sim: no process, or no file in /tmp, for another run\n", stderr);
			return EXIT_FAILED;
		}
		campaign->running++;
	}
	while (campaign->running > 0)
		await_one(campaign);
	return EXIT_OK;
}

int cmd_sim(int argc, char **argv)
{
	struct sim_arguments arguments;
	struct campaign *campaign;
	int r = sim_arguments_read(&arguments, argc, argv);

	if (r != EXIT_OK)
		return r < 0 ? EXIT_OK : r;
	if (arguments.replay)
		return sim_run_replay(&arguments);
	campaign = calloc(1, sizeof *campaign);
	if (!campaign || !(campaign->failures = sim_failures_new())) {
		free(campaign);
		fputs("noria sim: no memory\n", stderr);
		return EXIT_FAILED;
	}
	campaign->arguments = &arguments;
	campaign->next = arguments.first;
	campaign->began_ns = sim_now();
	campaign->terminal = isatty(STDERR_FILENO) && !arguments.json;
	r = make_all(campaign);
	show_progress(campaign, true);
	if (r == EXIT_OK) {
		sim_failures_shrink(campaign->failures, &arguments);
		sim_failures_print(campaign->failures, &arguments, campaign->made, campaign->failed);
		r = campaign->failed > 0 ? EXIT_FAILED : EXIT_OK;
	}
	sim_failures_free(campaign->failures);
	free(campaign);
	return r;
}
