/* SPDX-License-Identifier: MIT */
/* What the race programs share. Failures are written without stdio: they may come from any thread. */
#include "race.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

enum { SKIP = 77, THREADS_MAX = 64 };

uint64_t race_seed;

static void say(const char *format, const char *text, const char *file, int line)
{
	char message[512];
	int n = snprintf(message, sizeof message, format, program_invocation_short_name, (unsigned long long)race_seed,
			 text, file, line);

	if (write(STDERR_FILENO, message, n > 0 ? (size_t)n : 0) < 0)
		return;
}

_Noreturn void race_failed(const char *condition, const char *file, int line)
{
	say("%s: seed %llu: CHECK(%s) failed at %s:%d\n", condition, file, line);
	abort();
}

static void too_long(int number)
{
	(void)number;
	say("%s: seed %llu: %s (%s:%d)\n", "hangs: the time is up", __FILE__, __LINE__);
	abort();
}

void race_watchdog(unsigned seconds)
{
	signal(SIGALRM, too_long);
	alarm(seconds);
}

/* splitmix64 */
uint64_t race_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

unsigned race_below(uint64_t *state, unsigned limit)
{
	return (unsigned)(race_random(state) % limit);
}

int race_count_fds(void)
{
	DIR *directory = opendir("/proc/self/fd");
	int count = -3; /* `.`, `..` and the directory itself */

	CHECK(directory);
	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

void race_threads(unsigned count, void *(*body)(void *number))
{
	pthread_t threads[THREADS_MAX];
	unsigned numbers[THREADS_MAX];

	CHECK(count <= THREADS_MAX);
	for (unsigned i = 0; i < count; i++) {
		numbers[i] = i;
		CHECK(pthread_create(&threads[i], NULL, body, &numbers[i]) == 0);
	}
	for (unsigned i = 0; i < count; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
}

int race_run(const struct noria_config *config, noria_task_fn *fn, void *arg)
{
	int r = noria_run(config, fn, arg);

	if (r == -EPERM || r == -ENOSYS) {
		fprintf(stderr, "skip: kernel lacks io_uring: %s\n", noria_message());
		_exit(SKIP);
	}
	return r;
}
