/* SPDX-License-Identifier: MIT */
/*
 * A run of the test kit: how it was asked for, the world it is in, and what is known of it so far. One at a time on a
 * thread. Everything here is told by the hooks of the floors below, which find the run by its thread.
 */
#ifndef NORIA_TESTING_KIT_H
#define NORIA_TESTING_KIT_H

#include "base/list.h"
#include "noria/test.h"
#include "simulation/draw.h"
#include "simulation/fault.h"
#include "simulation/world.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct loop;
struct scope;
struct task;
struct testing_origins;
struct timer;

/* What a run in another process leaves behind for this one, in memory that both have. */
struct testing_shared {
	struct noria_sim_report report;
	bool finished;
	uint64_t seen[SIM_FAULT_COUNT]; /* places where each kind of fault could strike */
	struct sim_script script;       /* of an exhaustive search; `given` is prescribed */
	bool scripted;
};

/* Choices one by one, as a text. */
enum { SCRIPT_TEXT_MAX = 1024 };

/* A run that is asked for. */
struct testing_request {
	const struct noria_sim_options *options; /* filled: testing_options_fill() */
	noria_task_fn *fn;
	void *arg;
	const struct noria_site *site;
	bool hosts_too; /* by noria_sim_run(), and not noria_run() in its place: a failure is a finding */
	bool strict;    /* one task in each turn, and noria's rules are looked at in between */
	struct testing_shared *shared; /* NULL: no other process wants to know */
	const char *script, *report_path;
	FILE *draws, *compared; /* each draw is written there; is compared with those */
};

struct testing_run {
	struct testing_request request;
	struct noria_sim_options options; /* its strings live as long as the run */
	struct noria_config config;
	struct noria_site site;  /* of its root task */
	struct sim_world *world; /* NULL: the kernel's ring */
	struct sim_plan *plan;   /* the world's, or an own one */
	struct sim_plan own_plan;
	struct sim_script *script, own_script; /* NULL: choices are drawn */
	bool strict;
	bool differed;                      /* a draw was another than in the run it is compared with */
	void (*arrange)(struct loop *loop); /* of the schedule */
	unsigned turn_budget;               /* of tasks in a turn, as it was drawn last */
	struct testing_origins *origins;
	int64_t began_ns;
	struct loop *loop;
	bool cancelled; /* by a fault of the plan */
	bool refused;   /* there was no run */
	struct list hosts;
	struct noria_group *boots; /* whose children the keepers of hosts are */
	struct {
		void (*fire)(struct timer *timer); /* of timers that are scopes'; NULL: none has been seen */
		uint64_t timers;                   /* set before the last turn */
	} audit;
	struct noria_sim_report report;
	char unheard[2048]; /* the last failure that was not written as it came, in words */
};

/* The run of this thread, or NULL. */
extern __thread struct testing_run *testing_run;

/* Something was found. The first finding counts, and what comes after it is added to its words. */
__attribute__((format(printf, 3, 4))) void testing_find(struct testing_run *run, enum noria_sim_finding finding,
							const char *format, ...);
/* The result that stands for a finding. */
int testing_code(enum noria_sim_finding finding);
/*
 * Write the finding to standard error, with the line that replays it: what `command` runs. NULL: this process's command
 * line; "": without that line.
 */
void testing_tell(const struct noria_sim_report *report, const char *command);

/* ---- options.c ---- */

/* What NORIA_SIM may say beyond the options. */
struct testing_spec {
	bool given;                  /* it is set */
	char text[16384];            /* the strings of the options point into it */
	const char *script, *report; /* choices one by one; a file for the report */
};

/* Let NORIA_SIM change `options`. Returns 0, or -EINVAL with noria_message(). */
int testing_spec_read(struct testing_spec *spec, struct noria_sim_options *options);
/* The options as NORIA_SIM would have to be. */
void testing_spec_print(const struct noria_sim_options *options, const char *script, char *text, size_t size);
/* Options with each default filled in. Returns 0, or -EINVAL with noria_message(). */
int testing_options_fill(struct noria_sim_options *options);

/* ---- run.c ---- */

/* In this process. Returns what noria_run() did, or the code of a finding of noria_sim_run(). */
int testing_run_here(const struct testing_request *request, struct noria_sim_report *ret_report);

/* ---- origin.c, ledger.c: what is left behind ---- */

struct testing_origins *testing_origins_new(void);
void testing_origins_free(struct testing_origins *origins);
/* For sim_world.fd_opened. */
void testing_origin_note(struct sim_world *world, int fd);
/* " opened by accept in task serve #3 (spawned at a.c:12) at program(serve+0x40)" */
void testing_origin_print(const struct testing_origins *origins, int fd, char *text, size_t size);
/* For noria_left_open and noria_run_ending. */
void testing_ledger_left_open(const struct task *task, const struct noria_site *site, const struct scope *scope);
void testing_ledger_ending(struct testing_run *run, struct loop *loop);
/* Descriptors of the process, before and after. */
struct testing_fds;
struct testing_fds *testing_fds_count(void);
void testing_fds_compare(struct testing_run *run, struct testing_fds *before);
/* In a world: what is still open in it. */
void testing_ledger_world(struct testing_run *run);

/* ---- clock.c ---- */

/* A ring of the kernel's gets a clock that jumps. Returns 0 or -ENOMEM. */
struct ring;
int testing_clock_wrap(struct ring *ring);

/* ---- host.c ---- */

/* The run's function beside the hosts that it starts. */
int testing_hosts_run(struct testing_run *run);

/* ---- crash.c ---- */

/* The hub, before a choice of who runs: a fault may have it that one crashes. */
void testing_hosts_strike(struct testing_run *run);

/* ---- test.c ---- */

/* What noria_sim_last_report() gives from now on. */
void testing_report_keep(const struct noria_sim_report *report);

/* ---- trial.c ---- */

/* A run in a process of its own: whatever becomes of it, this one goes on. */
struct testing_trial {
	struct noria_sim_options options; /* filled */
	char faults[1024];                /* where they are the trial's own */
	const char *script;               /* choices that are prescribed; NULL: none */
	noria_task_fn *fn;
	void *arg;
	const struct noria_site *site;
	bool (*accept)(int result, void *arg);
	bool lenient; /* an error of the root task is no finding */
	int64_t real_limit_ns;
	struct testing_shared *shared;
	/* while it runs */
	unsigned index;
	int pid, pidfd, output;
	int64_t began_ns;
};

/* Memory that it shares with its process. Returns 0 or -ENOMEM. */
int testing_trial_init(struct testing_trial *trial);
void testing_trial_done(struct testing_trial *trial);
/* Returns 0 or -EAGAIN with noria_message(). */
int testing_trial_begin(struct testing_trial *trial);
/* It has ended, or is too late: fill shared->report. */
void testing_trial_end(struct testing_trial *trial, bool late);
/* From beginning to end. Returns 0 or -EAGAIN. */
int testing_trial_make(struct testing_trial *trial);
/* Is the root task's result as it should be? Otherwise that is a finding. */
void testing_accept(struct noria_sim_report *report, bool (*accept)(int result, void *arg), void *arg, bool lenient);
/* The real clock. */
int64_t testing_real_now(void);

#endif
