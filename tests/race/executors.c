/* SPDX-License-Identifier: MIT */
/* Executors that start and stop over and over: a runtime that offloads a few calls, some of them cancelled, and ends. */
#include "race.h"

#include <unistd.h>

enum { THREADS = 4, RUNS = RACE_SANITIZED ? 40 : 150, TASKS = 6 };

static int work(void *arg)
{
	++*(int *)arg;
	return 3;
}

static int offload(void *arg)
{
	return noria_offload(work, arg) == 3 ? 0 : -EIO;
}

static int root(void *arg)
{
	struct noria_group group;
	int ran[TASKS] = {0};

	CHECK(noria_group_open(&group) == 0);
	for (int i = 0; i < TASKS; i++)
		CHECK(noria_spawn(&group, offload, &ran[i]) == 0);
	if (*(unsigned *)arg % 3 == 0) {
		int other = 0, r = noria_within(0, noria_offload(work, &other));

		CHECK(r == -ETIMEDOUT && other == 0);
	}
	CHECK(noria_group_close(&group, 0) == 0);
	for (int i = 0; i < TASKS; i++)
		CHECK(ran[i] == 1);
	return 0;
}

static void *thread(void *arg)
{
	(void)arg;
	for (unsigned run = 0; run < RUNS; run++) {
		struct noria_config config = {.executor_threads = run % 4 + 1};

		CHECK(race_run(&config, root, &run) == 0);
	}
	return NULL;
}

int main(void)
{
	int before = race_count_fds();

	race_watchdog(50);
	race_threads(THREADS, thread);
	CHECK(race_count_fds() == before);
	puts("ok: executors start and stop");
	return 0;
}
