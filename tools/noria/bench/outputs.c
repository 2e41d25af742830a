/* SPDX-License-Identifier: MIT */
/*
 * The files that a report will be written to. Runs that have a file each are told apart by a mark before the suffix:
 * the rate in a sweep, A and B in a comparison, so that a script knows the names beforehand. That one file would be
 * written over by another of the same command is seen here, by what the file is and not by how its path is spelled;
 * only the rates that a sweep chooses as it goes are not known yet.
 */
#include "outputs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_SIZE = 4096, OUTPUTS_MAX = RATES_MAX + 2 + OVERLAYS_MAX };

/* A file that is written or read: none of these may be the same. */
struct output {
	const char *option;
	struct stat status;
	char path[PATH_SIZE];
	bool made; /* it was not there before */
};

struct outputs {
	struct output of[OUTPUTS_MAX];
	unsigned count;
};

void output_mark(char mark[MARK_SIZE], double rate, unsigned again)
{
	int length = snprintf(mark, MARK_SIZE, "%.10g", rate);
	if (again > 0)
		snprintf(mark + length, MARK_SIZE - (size_t)length, "-%u", again + 1);
}

int output_name(char *path, size_t size, const char *given, const char *mark)
{
	const char *slash = strrchr(given, '/'), *name = slash ? slash + 1 : given, *dot = strrchr(name, '.');
	if (dot == NULL || dot == name) /* ".hidden" is no suffix */
		dot = name + strlen(name);
	int length = snprintf(path, size, "%.*s%s%s%s", (int)(dot - given), given, *mark ? "-" : "", mark, dot);
	if (length >= 0 && (size_t)length < size)
		return 0;
	fprintf(stderr, "noria bench: cannot write %s: %s\n", given, strerror(ENAMETOOLONG));
	return -ENAMETOOLONG;
}

/* Is it a file of its own? Where it is not, nothing would be left of what came first. */
static bool is_alone(const struct outputs *outputs, const struct output *output)
{
	for (unsigned i = 0; i < outputs->count && S_ISREG(output->status.st_mode); i++) {
		const struct output *other = &outputs->of[i];
		if (other->status.st_dev != output->status.st_dev || other->status.st_ino != output->status.st_ino)
			continue;
		fprintf(stderr, "noria bench: --%s and --%s both mean %s. Give each a file of its own.\n",
			other->option, output->option, output->path);
		return false;
	}
	return true;
}

/* Can it be written? What is there stays as it is. */
static bool add(struct outputs *outputs, const char *option, const char *given, const char *mark)
{
	struct output *output = &outputs->of[outputs->count];
	output->option = option;
	if (output_name(output->path, sizeof output->path, given, mark) < 0)
		return false;
	output->made = lstat(output->path, &output->status) != 0; /* a link that leads nowhere is the user's, too */
	int fd = open(output->path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0666);
	if (fd < 0 && errno != ENXIO) { /* that is a pipe nobody reads yet */
		fprintf(stderr, "noria bench: cannot write %s: %s\n", output->path, strerror(errno));
		return false;
	}
	output->made = output->made && fd >= 0;
	if (fd < 0 || fstat(fd, &output->status) < 0)
		output->status = (struct stat){0};
	if (fd >= 0)
		close(fd);
	bool alone = is_alone(outputs, output);
	outputs->count++; /* in any case: what was made is to be removed */
	return alone;
}

static void add_read(struct outputs *outputs, const char *path)
{
	struct output *output = &outputs->of[outputs->count];
	if (stat(path, &output->status) == 0) {
		output->option = "overlay";
		output->made = false;
		outputs->count++;
	}
}

/* A device or a pipe has no room for several. */
static bool is_for_several(const char *path)
{
	struct stat status;
	if (stat(path, &status) < 0 || S_ISREG(status.st_mode))
		return true;
	fprintf(stderr, "noria bench: --hgrm %s: each of the runs has a file of its own. Give the path of a file.\n",
		path);
	return false;
}

static bool add_percentiles(struct outputs *outputs, const struct plan *plan)
{
	char mark[MARK_SIZE] = "";
	if (!plan->compare && plan->rates_count == 0)
		return add(outputs, "hgrm", plan->hgrm, mark);
	if (!is_for_several(plan->hgrm))
		return false;
	if (plan->compare)
		return add(outputs, "hgrm", plan->hgrm, "A") && add(outputs, "hgrm", plan->hgrm, "B");
	for (unsigned i = 0; i < plan->rates_count; i++) {
		unsigned again = 0;
		for (unsigned before = 0; before < i; before++)
			again += plan->rates[before] == plan->rates[i];
		output_mark(mark, plan->rates[i], again);
		if (!add(outputs, "hgrm", plan->hgrm, mark))
			return false;
	}
	return true;
}

/* Nothing new stays there. */
static void tidy_up(const struct outputs *outputs)
{
	for (unsigned i = 0; i < outputs->count; i++)
		if (outputs->of[i].made)
			unlink(outputs->of[i].path);
}

bool outputs_check(const struct plan *plan)
{
	static struct outputs outputs; /* too large for a stack, and needed once */
	for (unsigned i = 0; i < plan->overlays_count; i++)
		add_read(&outputs, plan->overlays[i]);
	bool good = (plan->hgrm == NULL || add_percentiles(&outputs, plan)) &&
		    (plan->csv == NULL || add(&outputs, "csv", plan->csv, "")) &&
		    (plan->svg == NULL || add(&outputs, "svg", plan->svg, ""));
	tidy_up(&outputs);
	return good;
}
