/* SPDX-License-Identifier: MIT */
/* `noria sim`: many runs of one program in simulated worlds. arguments.c, run.c, failures.c, campaign.c. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SIM_TAIL_MAX = 2048, SIM_PLAN_MAX = 2048 };

struct sim_arguments {
	uint64_t first, last; /* seeds */
	unsigned jobs;
	const char *faults, *schedule, *limit, *trace, *replay;
	bool check, keep_going, json;
	int64_t timeout_ns; /* of each run, by the real clock */
	char **program;     /* and its arguments */
	char library[1024]; /* that is preloaded */
};

/* Returns EXIT_OK to go on, or -1 when help was asked for, or EXIT_USAGE. */
int sim_arguments_read(struct sim_arguments *arguments, int argc, char **argv);

/* ---- one run: run.c ---- */

struct sim_run {
	uint64_t seed;
	const char *faults; /* NULL: those of the arguments */
	/* what it came to */
	bool simulated; /* a world was made: the program can be simulated */
	bool failed;
	char refused[128]; /* why it could not be begun; "" otherwise */
	char finding[40];  /* "deadlock", "exit 1", "Aborted", "timeout" */
	char replay[SIM_PLAN_MAX], struck[SIM_PLAN_MAX];
	char tail[SIM_TAIL_MAX]; /* the end of what it wrote */
	/* while it runs */
	int pid, pidfd, output;
	int64_t began_ns;
	char report[64]; /* the path of a file */
};

int64_t sim_now(void);
/* Returns 0 or a negative errno. */
int sim_run_begin(struct sim_run *run, const struct sim_arguments *arguments);
void sim_run_end(struct sim_run *run, bool late);
/* From beginning to end. */
int sim_run_make(struct sim_run *run, const struct sim_arguments *arguments);
/* In the place of this process, to be looked at. Returns only if that cannot be done. */
int sim_run_replay(const struct sim_arguments *arguments);

/* ---- what was found: failures.c ---- */

struct sim_failures;

struct sim_failures *sim_failures_new(void);
void sim_failures_free(struct sim_failures *failures);
void sim_failures_add(struct sim_failures *failures, const struct sim_run *run);
size_t sim_failures_kinds(const struct sim_failures *failures);
/* Make their plans short, as far as that can be done. */
void sim_failures_shrink(struct sim_failures *failures, const struct sim_arguments *arguments);
void sim_failures_print(const struct sim_failures *failures, const struct sim_arguments *arguments, uint64_t runs,
			uint64_t failed);
