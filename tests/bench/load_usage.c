/* SPDX-License-Identifier: MIT */
/*
 * Times on the CPU from schedstat: see load_usage.h.
 *
 * io_uring's workers are threads of their process and are counted with it. A thread that ends takes its
 * times along; the servers compared here end none while they are measured.
 */
#include "load_usage.h"

#include "bench.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>

static struct usage read_thread(const char *pid, const char *thread)
{
	unsigned long long run, wait, runs;
	struct usage usage = {0};
	char path[80];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%.20s/task/%.20s/schedstat", pid, thread);
	file = fopen(path, "re");
	if (!file)
		return usage; /* it has just ended */

	if (fscanf(file, "%llu %llu %llu", &run, &wait, &runs) == 3)
		usage = (struct usage){.run_ns = run, .wait_ns = wait, .runs = runs};
	fclose(file);
	return usage;
}

struct usage usage_read(const char *pid)
{
	struct usage usage = {0};
	struct dirent *entry;
	char path[48];
	DIR *dir;

	if (*pid == '\0')
		return usage;

	snprintf(path, sizeof(path), "/proc/%.20s/task", pid);
	dir = opendir(path);
	if (!dir)
		bench_die(path, errno);

	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			usage_add(&usage, read_thread(pid, entry->d_name));
	closedir(dir);
	return usage;
}

struct usage usage_between(struct usage from, struct usage to)
{
	return (struct usage){
		.run_ns = to.run_ns - from.run_ns,
		.wait_ns = to.wait_ns - from.wait_ns,
		.runs = to.runs - from.runs,
	};
}

void usage_add(struct usage *sum, struct usage more)
{
	sum->run_ns += more.run_ns;
	sum->wait_ns += more.wait_ns;
	sum->runs += more.runs;
}
