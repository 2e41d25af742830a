/* SPDX-License-Identifier: MIT */
/*
 * SIGTERM to a process whose runtimes start and end all the time; those of every other thread spin. Each that has begun
 * ends by it: with 0 after one signal, with -ECANCELED when a second one came before it was done. The program has a
 * handler of its own for the moments when no runtime is there; the next signal is sent when every thread has ended a run
 * since the last, so that none is the third for all of them.
 */
#include "race.h"
#include "task/loop.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 4, SIGNALS = RACE_SANITIZED ? 60 : 300 };

static atomic_uint ended[THREADS];
static atomic_bool stop;
static atomic_uint own_signals;

static void own_handler(int number)
{
	(void)number;
	atomic_fetch_add(&own_signals, 1);
}

static int sleeper(void *arg)
{
	(void)arg;
	return noria_idle(noria_sleep(noria_msec(2)));
}

static int root(void *arg)
{
	struct noria_group group;

	(void)arg;
	noria_loop->spin.limit_ns = noria_loop->spin.max_ns; /* the first wait looks */
	CHECK(noria_group_open(&group) == 0);
	for (int i = 0; i < 5; i++) {
		int r = noria_spawn(&group, sleeper, NULL);

		CHECK(r == 0 || r == -ECANCELED); /* two signals may have come before */
	}
	return noria_group_close(&group, noria_idle(noria_sleep(noria_msec(1))));
}

static void *thread(void *arg)
{
	unsigned number = *(unsigned *)arg;
	struct noria_config config = {.spin_max_ns = number % 2 ? noria_msec(1) : 0};

	while (!atomic_load(&stop)) {
		int r = race_run(&config, root, NULL);

		CHECK(r == 0 || r == -ECANCELED);
		atomic_fetch_add(&ended[number], 1);
	}
	return NULL;
}

/* Until every thread has ended a run that began after now. */
static void wait_for_all(void)
{
	const struct timespec pause = {.tv_nsec = 200 * 1000};
	unsigned seen[THREADS];

	for (int i = 0; i < THREADS; i++)
		seen[i] = atomic_load(&ended[i]);
	for (int i = 0; i < THREADS; i++)
		while (atomic_load(&ended[i]) < seen[i] + 2)
			nanosleep(&pause, NULL);
}

static void *kill_often(void *arg)
{
	for (int i = 0; i < SIGNALS; i++) {
		wait_for_all();
		CHECK(kill(getpid(), SIGTERM) == 0);
	}
	atomic_store(&stop, true);
	return arg;
}

int main(void)
{
	struct sigaction action = {.sa_handler = own_handler}, after;
	int before = race_count_fds();
	pthread_t killer;

	race_watchdog(50);
	sigemptyset(&action.sa_mask);
	CHECK(sigaction(SIGTERM, &action, NULL) == 0);
	CHECK(pthread_create(&killer, NULL, kill_often, NULL) == 0);
	race_threads(THREADS, thread);
	CHECK(pthread_join(killer, NULL) == 0);
	CHECK(sigaction(SIGTERM, NULL, &after) == 0 && after.sa_handler == own_handler);
	CHECK(race_count_fds() == before);
	puts("ok: signals meet runtimes that start and end");
	return 0;
}
