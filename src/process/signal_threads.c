/* SPDX-License-Identifier: MIT */
/*
 * A signal for the process goes to any thread that does not block it, and has its usual effect there: often the end of
 * the process. Nobody can block signals for another thread, but /proc says who does, and a stream that would lose
 * signals now and then is refused when it is opened.
 */
#include "process/signal_threads.h"

#include "base/message.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

enum { STATUS_SIZE = 4096 };

/* A thread's status file, as much as is wanted of it; false: it has ended. */
static bool read_status(int directory, const char *thread, char text[STATUS_SIZE])
{
	char path[300];
	ssize_t n;
	int fd;

	snprintf(path, sizeof path, "%s/status", thread);
	fd = openat(directory, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, text, STATUS_SIZE - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	return n > 0;
}

/* What follows `key` at the beginning of a line. */
static const char *find(const char *text, const char *key)
{
	const char *found = strstr(text, key);

	return found ? found + strlen(key) : "";
}

/* Signals of `signals` that the thread would take. One that has ended, and is only not forgotten yet, takes none. */
static uint64_t would_take(const char *status, uint64_t signals)
{
	char state = *find(status, "\nState:\t");

	if (state == 'Z' || state == 'X' || state == '\0')
		return 0;
	return signals & ~strtoull(find(status, "\nSigBlk:\t"), NULL, 16);
}

static int check_thread(int directory, const char *thread, uint64_t signals)
{
	char text[STATUS_SIZE];
	uint64_t taken;

	if (thread[0] == '.' || atoi(thread) == gettid() || !read_status(directory, thread, text))
		return 0;
	taken = would_take(text, signals);
	if (!taken)
		return 0;
	return noria_refuse(
		-EBUSY,
		"thread %s does not block SIG%s, and could take it from the stream. Remedy: open the stream before "
		"that thread starts, or block the signal in main() before (pthread_sigmask(3))",
		thread, sigabbrev_np(__builtin_ctzll(taken) + 1));
}

int noria_signals_refuse_unblocked(uint64_t signals)
{
	DIR *threads = opendir("/proc/self/task");
	const struct dirent *entry;
	int r = 0;

	if (!threads)
		return noria_refuse(-errno, "cannot look at the threads of this process: /proc/self/task: %s",
				    strerror(errno));
	while (r == 0 && (entry = readdir(threads)))
		r = check_thread(dirfd(threads), entry->d_name, signals);
	closedir(threads);
	return r;
}
