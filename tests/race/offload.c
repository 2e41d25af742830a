/* SPDX-License-Identifier: MIT */
/*
 * Offloaded calls of several runtimes, half of them on one processor, and cancels that race with their completion. A
 * call either ran, and then its result was delivered, or never ran, and then its argument was not touched. It sees its
 * own caller's context values, while tasks that share them come and go. `offload [seed]`.
 */
#include "race.h"

#include <sched.h>
#include <time.h>

enum { THREADS = 4, TASKS = 12, CALLS = RACE_SANITIZED ? 60 : 400 };

NORIA_KEY_STATIC(shared, int);
NORIA_KEY_STATIC(number, int);

struct call {
	unsigned pause_us;
	int number;
	int ran;
};

static int work(void *arg)
{
	struct call *call = arg;
	struct timespec pause = {.tv_nsec = call->pause_us * 1000L};

	if (call->pause_us > 0)
		nanosleep(&pause, NULL);
	(void)noria_offload_cancelled();
	CHECK(noria_value_get(&number) == call->number && noria_value_get(&shared) == 7);
	call->ran = 1;
	return 1000 + (int)call->pause_us;
}

static int caller(void *arg)
{
	uint64_t seed = *(uint64_t *)arg;

	for (int i = 0; i < CALLS; i++) {
		struct call call = {.pause_us = race_below(&seed, 4) ? 0 : race_below(&seed, 60),
				    .number = (int)race_below(&seed, 3)};
		int64_t limit = race_below(&seed, 3) ? noria_usec(race_below(&seed, 120)) : NORIA_FOREVER;
		int r = noria_with_value(&number, call.number, noria_within(limit, noria_offload(work, &call)));

		if (r == -ETIMEDOUT)
			CHECK(!call.ran);
		else
			CHECK(r == 1000 + (int)call.pause_us && call.ran);
	}
	return 0;
}

static int root(void *arg)
{
	struct noria_group group;
	uint64_t *seed = arg;

	CHECK(noria_value_set(&shared, 7) == 0);
	CHECK(noria_group_open(&group) == 0);
	for (int i = 0; i < TASKS; i++) {
		uint64_t own = race_random(seed);

		CHECK(noria_spawn_copy(&group, caller, &own, sizeof own) == 0);
	}
	return noria_group_close(&group, 0);
}

/* Where there is one processor, calls wake threads in another way. */
static void keep_to_one_processor(void)
{
	cpu_set_t allowed, only;
	size_t cpu = 0;

	CHECK(sched_getaffinity(0, sizeof allowed, &allowed) == 0);
	while (!CPU_ISSET(cpu, &allowed))
		cpu++;
	CPU_ZERO(&only);
	CPU_SET(cpu, &only);
	CHECK(sched_setaffinity(0, sizeof only, &only) == 0);
}

static void *thread(void *arg)
{
	uint64_t seed = race_seed + *(unsigned *)arg;

	if (*(unsigned *)arg % 2)
		keep_to_one_processor();
	for (unsigned threads = 1; threads <= 3; threads++) {
		struct noria_config config = {.executor_threads = threads, .executor_queue = 4};

		CHECK(race_run(&config, root, &seed) == 0);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	race_seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
	race_watchdog(50);
	race_threads(THREADS, thread);
	puts("ok: offloaded calls and cancels race");
	return 0;
}
