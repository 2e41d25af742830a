/* SPDX-License-Identifier: MIT */
/*
 * What is found, in words, with the line by which it can be had again; also when the process is ended by a signal in
 * the middle of a run: an assertion of the program's, or a fault.
 */
#include "testing/finding.h"

#include "base/message.h"
#include "task/loop.h"
#include "task/task.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
	const char *name;
	int code;
} findings[] = {
	[NORIA_SIM_FINE] = {"fine", 0},
	[NORIA_SIM_FAILED] = {"failed", -EIO},
	[NORIA_SIM_DEADLOCK] = {"deadlock", -EDEADLK},
	[NORIA_SIM_LATE] = {"late", -ETIME},
	[NORIA_SIM_LEFT] = {"left", -EUCLEAN},
	[NORIA_SIM_DIFFERENT] = {"different", -EILSEQ},
	[NORIA_SIM_BROKEN] = {"broken", -ENOTRECOVERABLE},
	[NORIA_SIM_CRASHED] = {"crashed", -ECHILD},
};

int testing_code(enum noria_sim_finding finding)
{
	return findings[finding].code;
}

void testing_find(struct testing_run *run, enum noria_sim_finding finding, const char *format, ...)
{
	struct noria_sim_report *report = &run->report;
	size_t length = strlen(report->what);
	va_list arguments;

	if (report->finding == NORIA_SIM_FINE)
		report->finding = finding;
	if (length > 0 && length + 1 < sizeof report->what)
		report->what[length++] = '\n';
	va_start(arguments, format);
	vsnprintf(report->what + length, sizeof report->what - length, format, arguments);
	va_end(arguments);
}

/* As a shell would have to be given it. */
static void add_word(char *text, size_t size, const char *word)
{
	size_t n = strlen(text);
	bool plain = *word && !word[strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
						 "_-./:=,@%+")];

	snprintf(text + n, size - n, plain ? "%s%s" : "%s'%s'", n > 0 ? " " : "", word);
}

/* A framework may have given the process another name: the first word is the program itself. */
void testing_command(char *text, size_t size)
{
	char words[1024], program[512];
	int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
	ssize_t length = fd >= 0 ? read(fd, words, sizeof words - 1) : -1;

	if (fd >= 0)
		close(fd);
	text[0] = '\0';
	noria_sim_program_(program, sizeof program);
	add_word(text, size, program);
	if (length <= 0)
		return;
	words[length] = '\0';
	for (const char *word = words + strlen(words) + 1; word < words + length; word += strlen(word) + 1)
		add_word(text, size, word);
}

void noria_sim_program_(char *text, size_t size)
{
	ssize_t length = readlink("/proc/self/exe", text, size - 1);

	text[length > 0 ? length : 0] = '\0';
}

/* Read before the first run: in the middle of one, paths are the world's. */
static char own_command[1024];

void testing_tell(const struct noria_sim_report *report, const char *command)
{
	if (report->finding == NORIA_SIM_FINE)
		return;
	if (!own_command[0])
		testing_command(own_command, sizeof own_command);
	command = command ? command : own_command;
	fprintf(stderr, "noria: %s\n", report->what);
	if (*command)
		fprintf(stderr, "noria: again with: NORIA_SIM='%s' %s\n", report->replay, command);
}

void testing_report_write(const struct noria_sim_report *report, const char *finding, const char *path)
{
	FILE *file = fopen(path, "we");

	if (!file)
		return;
	fprintf(file,
		"finding=%s\nresult=%d\nseed=%llu\ntime_ns=%lld\ndraws=%llu\nfaults=%llu\nreplay=%s\nstruck=%s\n"
		"what=%s\n",
		finding ? finding : findings[report->finding].name, report->result, (unsigned long long)report->seed,
		(long long)report->time_ns, (unsigned long long)report->draws, (unsigned long long)report->faults,
		report->replay, report->struck, report->what);
	fclose(file);
}

void testing_report_refuse(const char *path)
{
	FILE *file = fopen(path, "we");

	if (!file)
		return;
	fprintf(file, "refused=%s\n", noria_message());
	fclose(file);
}

/* ---- signals that end the process ---- */

static const int fatal[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
enum { FATALS = sizeof fatal / sizeof fatal[0] };
static struct sigaction before[FATALS];
static bool watching;

static const char *describe_runner(char *text, size_t size)
{
	const struct task *task = noria_loop ? noria_loop->current : NULL;

	text[0] = '\0';
	if (task)
		snprintf(text, size, ", in task %s #%llu (spawned at %s:%d)", task->name, (unsigned long long)task->id,
			 task->site->file, task->site->line);
	return text;
}

/*
 * The process is lost; what this does is more than a handler may, and if it fails too, nothing is lost that was not.
 */
static void handle(int number)
{
	struct testing_run *run = testing_run;
	char where[256];

	for (int i = 0; i < FATALS; i++)
		sigaction(fatal[i], &before[i], NULL);
	if (run) {
		testing_find(run, NORIA_SIM_CRASHED, "the process was ended by %s in the middle of a run%s",
			     strsignal(number), describe_runner(where, sizeof where));
		testing_run_crashed(run);
	}
	raise(number);
}

void testing_watch_signals(void)
{
	struct sigaction action = {.sa_handler = handle, .sa_flags = SA_ONSTACK | SA_NODEFER};

	if (watching)
		return;
	if (!own_command[0])
		testing_command(own_command, sizeof own_command);
	watching = true;
	sigemptyset(&action.sa_mask);
	for (int i = 0; i < FATALS; i++)
		sigaction(fatal[i], &action, &before[i]);
}

void testing_unwatch_signals(void)
{
	if (!watching)
		return;
	watching = false;
	for (int i = 0; i < FATALS; i++)
		sigaction(fatal[i], &before[i], NULL);
}
