/* SPDX-License-Identifier: MIT */
/*
 * Counting system calls: see load_calls.h.
 *
 * One perf event a thread, which threads that it makes inherit. io_uring's own threads make no system calls, and what
 * they do for a program is therefore not counted, as it is no call of the program's.
 */
#include "load_calls.h"

#include "bench.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX_THREADS 256

struct calls {
	int events[MAX_THREADS];
	int count;
};

/* The tracepoint's number, 0 when it is not to be had. */
static uint64_t tracepoint(void)
{
	static const char *const paths[] = {
		"/sys/kernel/tracing/events/raw_syscalls/sys_enter/id",
		"/sys/kernel/debug/tracing/events/raw_syscalls/sys_enter/id",
	};
	unsigned long long id = 0;

	for (size_t i = 0; id == 0 && i < sizeof paths / sizeof *paths; i++) {
		FILE *file = fopen(paths[i], "re");

		if (!file)
			continue;
		if (fscanf(file, "%llu", &id) != 1)
			id = 0;
		fclose(file);
	}
	return id;
}

static int open_event(uint64_t id, pid_t thread)
{
	struct perf_event_attr about = {
		.type = PERF_TYPE_TRACEPOINT,
		.size = sizeof about,
		.config = id,
		.inherit = 1,
	};

	return (int)syscall(SYS_perf_event_open, &about, thread, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

/* 0, or the error of the first thread whose calls cannot be counted. */
static int open_events(struct calls *calls, uint64_t id, DIR *threads)
{
	struct dirent *entry;

	while ((entry = readdir(threads))) {
		int event;

		if (entry->d_name[0] == '.')
			continue;
		if (calls->count == MAX_THREADS)
			return E2BIG;
		event = open_event(id, atoi(entry->d_name));
		if (event < 0 && errno == ESRCH)
			continue; /* it has just ended */
		if (event < 0)
			return errno;
		calls->events[calls->count++] = event;
	}
	return 0;
}

struct calls *calls_start(const char *pid, const char **ret_why)
{
	const uint64_t id = tracepoint();
	struct calls *calls;
	char path[48];
	DIR *threads;
	int error;

	if (id == 0) {
		*ret_why = "/sys/kernel/tracing cannot be read: it takes root, and tracefs mounted there";
		return NULL;
	}
	snprintf(path, sizeof(path), "/proc/%.20s/task", pid);
	threads = opendir(path);
	calls = calloc(1, sizeof(*calls));
	if (!threads || !calls)
		bench_die(path, errno);
	error = open_events(calls, id, threads);
	closedir(threads);
	if (error == 0)
		return calls;

	calls_stop(calls);
	*ret_why = error == EACCES || error == EPERM ? "perf events are not permitted: it takes root or CAP_PERFMON"
						     : strerror(error);
	return NULL;
}

uint64_t calls_stop(struct calls *calls)
{
	uint64_t sum = 0, count;

	for (int i = 0; i < calls->count; i++) {
		if (read(calls->events[i], &count, sizeof(count)) == sizeof(count))
			sum += count;
		close(calls->events[i]);
	}
	free(calls);
	return sum;
}
