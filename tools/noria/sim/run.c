/* SPDX-License-Identifier: MIT */
/*
 * One run: a process of the program, with libnoria-test preloaded and NORIA_SIM in its environment. It writes what it
 * came to into a file; where that is missing the program has made no world.
 */
#include "sim.h"

#include "../command.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int64_t sim_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static void set_environment(const struct sim_arguments *arguments, const char *spec)
{
	const char *before = getenv("LD_PRELOAD");
	char preload[2048];

	snprintf(preload, sizeof preload, "%s%s%s", arguments->library, before && *before ? ":" : "",
		 before ? before : "");
	setenv("LD_PRELOAD", preload, 1);
	setenv("NORIA_SIM", spec, 1);
}

/* "seed=7,faults=loss%1,report=/tmp/..." */
static void write_spec(const struct sim_run *run, const struct sim_arguments *arguments, char *text, size_t size)
{
	const char *faults = run->faults ? run->faults : arguments->faults;
	size_t n = (size_t)snprintf(text, size, "seed=%llu", (unsigned long long)run->seed);

	if (faults && *faults)
		n += (size_t)snprintf(text + n, size - n, ",faults=%s", faults);
	if (arguments->schedule)
		n += (size_t)snprintf(text + n, size - n, ",schedule=%s", arguments->schedule);
	if (arguments->limit)
		n += (size_t)snprintf(text + n, size - n, ",limit=%s", arguments->limit);
	if (arguments->check)
		n += (size_t)snprintf(text + n, size - n, ",check=1");
	if (arguments->trace)
		n += (size_t)snprintf(text + n, size - n, ",trace=%s", arguments->trace);
	snprintf(text + n, size - n, ",report=%s", run->report);
}

/* The program is none. */
static void write_refusal(const char *path, const char *why)
{
	FILE *file = fopen(path, "we");

	if (!file)
		return;
	fprintf(file, "refused=%s\n", why);
	fclose(file);
}

/* A group of processes of its own, which ends with it. */
_Noreturn static void be_program(const struct sim_run *run, const struct sim_arguments *arguments)
{
	char spec[16384];
	int null = open("/dev/null", O_RDONLY);

	write_spec(run, arguments, spec, sizeof spec);
	set_environment(arguments, spec);
	dup2(null, STDIN_FILENO);
	dup2(run->output, STDOUT_FILENO);
	dup2(run->output, STDERR_FILENO);
	signal(SIGPIPE, SIG_DFL);
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	execvp(arguments->program[0], arguments->program);
	write_refusal(run->report, strerror(errno));
	_exit(127);
}

int sim_run_begin(struct sim_run *run, const struct sim_arguments *arguments)
{
	int report;

	strcpy(run->report, "/tmp/noria-sim-XXXXXX");
	report = mkstemp(run->report);
	if (report < 0)
		return -errno;
	close(report);
	run->output = (int)syscall(SYS_memfd_create, "noria-sim", MFD_CLOEXEC);
	if (run->output < 0)
		return -errno;
	run->simulated = run->failed = false;
	run->began_ns = sim_now();
	fflush(NULL);
	run->pid = fork();
	if (run->pid == 0)
		be_program(run, arguments);
	if (run->pid < 0) {
		close(run->output);
		unlink(run->report);
		return -EAGAIN;
	}
	run->pidfd = (int)syscall(SYS_pidfd_open, run->pid, 0);
	return 0;
}

/* ---- what it came to ---- */

static void take_line(struct sim_run *run, char *line)
{
	char *value = strchr(line, '=');

	line[strcspn(line, "\n")] = '\0';
	if (!value)
		return;
	*value++ = '\0';
	if (strcmp(line, "finding") == 0) {
		run->simulated = true;
		snprintf(run->finding, sizeof run->finding, "%s", value);
	} else if (strcmp(line, "refused") == 0) {
		snprintf(run->refused, sizeof run->refused, "%s", value);
	} else if (strcmp(line, "replay") == 0) {
		snprintf(run->replay, sizeof run->replay, "%s", value);
	} else if (strcmp(line, "struck") == 0) {
		snprintf(run->struck, sizeof run->struck, "%s", value);
	}
}

static void read_report(struct sim_run *run)
{
	FILE *file = fopen(run->report, "r");
	char line[4096];

	run->finding[0] = run->replay[0] = run->struck[0] = run->refused[0] = '\0';
	while (file && fgets(line, sizeof line, file) && strncmp(line, "what=", 5) != 0)
		take_line(run, line);
	if (file)
		fclose(file);
	unlink(run->report);
}

static void read_tail(struct sim_run *run)
{
	off_t end = lseek(run->output, 0, SEEK_END), from = end >= SIM_TAIL_MAX ? end - SIM_TAIL_MAX + 1 : 0;
	ssize_t length = pread(run->output, run->tail, SIM_TAIL_MAX - 1, from);

	length = length > 0 ? length : 0;
	while (length > 0 && run->tail[length - 1] == '\n')
		length--;
	run->tail[length] = '\0';
}

static void judge(struct sim_run *run, int status, bool late)
{
	bool unfinished = strcmp(run->finding, "unfinished") == 0;
	bool fine = !run->finding[0] || strcmp(run->finding, "fine") == 0;

	run->failed = true;
	if (late)
		strcpy(run->finding, "timeout");
	else if (WIFSIGNALED(status))
		snprintf(run->finding, sizeof run->finding, "%s", strsignal(WTERMSIG(status)));
	else if (unfinished || (fine && WEXITSTATUS(status) != 0))
		snprintf(run->finding, sizeof run->finding, "exit %d%s", WEXITSTATUS(status),
			 unfinished ? " in the middle of the run" : "");
	else
		run->failed = !fine;
}

void sim_run_end(struct sim_run *run, bool late)
{
	int status = 0;

	if (late)
		kill(run->pid, SIGKILL);
	kill(-run->pid, SIGKILL); /* the processes that it has left behind; its number is still its own */
	while (waitpid(run->pid, &status, 0) < 0 && errno == EINTR)
		;
	read_report(run);
	read_tail(run);
	close(run->output);
	if (run->pidfd >= 0)
		close(run->pidfd);
	run->pid = 0;
	run->simulated |= late;
	judge(run, status, late);
}

int sim_run_make(struct sim_run *run, const struct sim_arguments *arguments)
{
	struct pollfd end;
	int r = sim_run_begin(run, arguments);

	if (r < 0)
		return r;
	end = (struct pollfd){.fd = run->pidfd, .events = POLLIN};
	while ((r = poll(&end, 1, (int)(arguments->timeout_ns / 1000000))) < 0 && errno == EINTR)
		;
	sim_run_end(run, r == 0);
	return 0;
}

int sim_run_replay(const struct sim_arguments *arguments)
{
	char spec[16384];

	/* With a report somewhere else, the program does not say how to have it again without this command. */
	snprintf(spec, sizeof spec, "%s%s%s,report=/dev/null", arguments->replay, arguments->trace ? ",trace=" : "",
		 arguments->trace ? arguments->trace : "");
	set_environment(arguments, spec);
	signal(SIGPIPE, SIG_DFL);
	execvp(arguments->program[0], arguments->program);
	fprintf(stderr, "noria sim: %s: %s\n", arguments->program[0], strerror(errno));
	return EXIT_FAILED;
}
