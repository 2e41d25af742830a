/* SPDX-License-Identifier: MIT */
/*
 * Trials: a run in a fork of this process. So a crash or a hang is one finding among others, each begins with the same
 * memory, and several run at once. What it writes is kept in a file without a name, and its last lines are told with a
 * crash.
 */
#include "testing/kit.h"

#include "base/message.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { TAIL_BYTES = 600, REST_NS = 1000 * 1000 };

int64_t testing_real_now(void)
{
	struct timespec now;

	/* The system call: the C library's function is the world's where there is one. */
	syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

int testing_trial_init(struct testing_trial *trial)
{
	void *memory = mmap(NULL, sizeof *trial->shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	trial->shared = memory == MAP_FAILED ? NULL : memory;
	return trial->shared ? 0 : noria_refuse(-ENOMEM, "no memory for a trial");
}

void testing_trial_done(struct testing_trial *trial)
{
	if (trial->shared)
		munmap(trial->shared, sizeof *trial->shared);
	trial->shared = NULL;
}

void testing_accept(struct noria_sim_report *report, bool (*accept)(int result, void *arg), void *arg, bool lenient)
{
	if (report->finding > NORIA_SIM_FAILED)
		return;
	if (accept ? accept(report->result, arg) : lenient || report->finding == NORIA_SIM_FINE) {
		report->finding = NORIA_SIM_FINE;
		report->what[0] = '\0';
	} else if (report->finding == NORIA_SIM_FINE) {
		report->finding = NORIA_SIM_FAILED;
		snprintf(report->what, sizeof report->what, "the result %d of the root task is not as it should be",
			 report->result);
	}
}

_Noreturn static void be_trial(struct testing_trial *trial)
{
	struct testing_request request = {
		.options = &trial->options,
		.fn = trial->fn,
		.arg = trial->arg,
		.site = trial->site,
		.hosts_too = true,
		.strict = true,
		.shared = trial->shared,
		.script = trial->script,
	};
	struct noria_sim_report report = {0};

	dup2(trial->output, STDOUT_FILENO);
	dup2(trial->output, STDERR_FILENO);
	(void)testing_run_here(&request, &report);
	testing_accept(&report, trial->accept, trial->arg, trial->lenient);
	trial->shared->report = report;
	trial->shared->finished = true;
	fflush(NULL);
	_exit(0);
}

int testing_trial_begin(struct testing_trial *trial)
{
	memset(&trial->shared->report, 0, sizeof trial->shared->report);
	memset(trial->shared->seen, 0, sizeof trial->shared->seen);
	trial->shared->finished = false;
	trial->options.quiet = true;
	trial->output = (int)syscall(SYS_memfd_create, "noria-trial", MFD_CLOEXEC);
	if (trial->output < 0)
		return noria_refuse(-EAGAIN, "no file for what a trial writes: %s", strerror(errno));
	fflush(NULL);
	trial->began_ns = testing_real_now();
	trial->pid = fork();
	if (trial->pid == 0)
		be_trial(trial);
	if (trial->pid < 0) {
		close(trial->output);
		return noria_refuse(-EAGAIN, "no process for a trial: %s", strerror(errno));
	}
	trial->pidfd = (int)syscall(SYS_pidfd_open, trial->pid, 0);
	return 0;
}

/* The last lines that it wrote. */
static void add_tail(const struct testing_trial *trial, char *text, size_t size)
{
	size_t n = strlen(text);
	char tail[TAIL_BYTES + 1];
	off_t end = lseek(trial->output, 0, SEEK_END);
	off_t from = end > TAIL_BYTES ? end - TAIL_BYTES : 0;
	ssize_t length = pread(trial->output, tail, TAIL_BYTES, from);

	if (length <= 0)
		return;
	while (length > 0 && tail[length - 1] == '\n')
		length--;
	tail[length] = '\0';
	if (length > 0)
		snprintf(text + n, size - n, "\nIt wrote: %s%s", from > 0 ? "..." : "", tail);
}

static void tell_crash(struct testing_trial *trial, int status, bool late)
{
	struct noria_sim_report *report = &trial->shared->report;
	bool told = report->finding == NORIA_SIM_CRASHED;

	if (!told) {
		report->finding = NORIA_SIM_CRASHED;
		report->seed = trial->options.seed;
		testing_spec_print(&trial->options, trial->script, report->replay, sizeof report->replay);
		report->struck[0] = '\0';
	}
	report->result = testing_code(NORIA_SIM_CRASHED);
	if (late)
		snprintf(report->what, sizeof report->what, "the run did not end within %lld ms of real time",
			 (long long)(trial->real_limit_ns / 1000000));
	else if (!told && WIFSIGNALED(status))
		snprintf(report->what, sizeof report->what, "the run was ended by %s", strsignal(WTERMSIG(status)));
	else if (!told)
		snprintf(report->what, sizeof report->what, "the process of the run ended with status %d",
			 WEXITSTATUS(status));
	add_tail(trial, report->what, sizeof report->what);
}

void testing_trial_end(struct testing_trial *trial, bool late)
{
	int status = 0;

	if (late)
		kill(trial->pid, SIGKILL);
	while (waitpid(trial->pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!trial->shared->finished)
		tell_crash(trial, status, late);
	close(trial->output);
	if (trial->pidfd >= 0)
		close(trial->pidfd);
	trial->pid = 0;
}

int testing_trial_make(struct testing_trial *trial)
{
	struct pollfd end;
	int r = testing_trial_begin(trial);

	if (r < 0)
		return r;
	end = (struct pollfd){.fd = trial->pidfd, .events = POLLIN};
	while ((r = poll(&end, 1, (int)(trial->real_limit_ns / 1000000))) < 0 && errno == EINTR)
		;
	testing_trial_end(trial, r == 0);
	return 0;
}
