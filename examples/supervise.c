/* SPDX-License-Identifier: MIT */
/*
 * Keeps programs running: `supervise [-r RESTARTS] COMMAND...` runs each COMMAND by `sh -c`, all side by side, and says
 * what becomes of them. One that fails is started again after a pause, up to RESTARTS times (3); one that succeeds is
 * done. At SIGTERM or Ctrl-C every program is asked to end, with all that it has started, and killed after two seconds.
 *
 * Each program has a task, and belongs to it: when the task leaves run_once(), by whatever way, the program is gone.
 */
#include <noria/noria.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct job {
	char *command;
	int restarts;
	bool given_up;
};

struct plan {
	struct job *jobs;
	int count;
};

static void say(const struct job *job, int status)
{
	if (WIFSIGNALED(status))
		printf("%s: killed by signal %d\n", job->command, WTERMSIG(status));
	else
		printf("%s: exit status %d\n", job->command, WEXITSTATUS(status));
	fflush(stdout);
}

/* The wait is idle: SIGTERM ends it, and then the process closes, as it does at any return. */
static int run_once(const struct job *job)
{
	const struct noria_process_options options = {.flags = NORIA_PROCESS_GROUP, .grace_ns = noria_sec(2)};
	noria_autoprocess struct noria_process process = {0};
	char *argv[] = {"sh", "-c", job->command, NULL};
	int status;

	noria_try(noria_process_open(&process, "sh", argv, NULL, &options));
	status = noria_try(noria_idle(noria_process_wait(&process)));
	say(job, status);
	return status;
}

static int supervise(void *arg)
{
	struct job *job = arg;

	for (int failures = 0; noria_try(run_once(job)) != 0; failures++) {
		job->given_up = failures == job->restarts;
		if (job->given_up) {
			fprintf(stderr, "%s: given up\n", job->command);
			return 0;
		}
		noria_try(noria_idle(noria_sleep(noria_msec(100) << (failures < 6 ? failures : 6))));
	}
	return 0;
}

static int start_all(struct noria_group *group, const struct plan *plan)
{
	for (int i = 0; i < plan->count; i++)
		noria_try(noria_spawn_named(group, supervise, &plan->jobs[i], plan->jobs[i].command));
	return 0;
}

static int run(void *arg)
{
	struct noria_group group;

	return noria_grouped(&group, start_all(&group, arg));
}

static bool any_given_up(const struct plan *plan)
{
	bool any = false;

	for (int i = 0; i < plan->count; i++)
		any |= plan->jobs[i].given_up;
	return any;
}

int main(int argc, char **argv)
{
	struct plan plan = {.jobs = calloc((size_t)argc, sizeof(struct job))};
	int restarts = 3, option, r;

	while ((option = getopt(argc, argv, "r:")) == 'r')
		restarts = atoi(optarg);
	if (option != -1 || optind == argc || !plan.jobs) {
		fprintf(stderr, "usage: supervise [-r RESTARTS] COMMAND...\n");
		return 2;
	}
	for (int i = optind; i < argc; i++)
		plan.jobs[plan.count++] = (struct job){argv[i], restarts, false};
	r = noria_run(NULL, run, &plan);
	if (r < 0)
		fprintf(stderr, "supervise: %s %s\n", strerror(-r), noria_message());
	r = r < 0 || any_given_up(&plan);
	free(plan.jobs);
	return r;
}
