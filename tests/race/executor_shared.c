/* SPDX-License-Identifier: MIT */
/*
 * Executors that several runtimes share, with calls that are cancelled, abandoned and refused, while runtimes and
 * executors come and go. Every argument is disposed of exactly once, by whoever has it. `executor_shared [seed]`.
 */
#include "race.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 4, RUNS = RACE_SANITIZED ? 12 : 50, TASKS = 8, CALLS = RACE_SANITIZED ? 15 : 30 };

NORIA_KEY_STATIC(number, int);

static struct noria_executor *executors[2]; /* the second fails calls when it is full */
static atomic_long made, disposed;

struct item {
	unsigned pause_us;
	int number;
	atomic_int disposals;
	bool ran;
};

static struct item *item_new(uint64_t *seed)
{
	struct item *item = calloc(1, sizeof *item);

	CHECK(item);
	item->pause_us = race_below(seed, 3) ? 0 : race_below(seed, 200);
	item->number = (int)race_below(seed, 5);
	atomic_fetch_add(&made, 1);
	return item;
}

static int work(void *arg)
{
	struct item *item = arg;
	struct timespec pause = {.tv_nsec = item->pause_us * 1000L};

	if (item->pause_us > 0)
		nanosleep(&pause, NULL);
	CHECK(noria_value_get(&number) == item->number);
	(void)noria_offload_cancelled();
	item->ran = true;
	return 3;
}

static void dispose(int result, void *arg)
{
	struct item *item = arg;

	CHECK(atomic_fetch_add(&item->disposals, 1) == 0);
	CHECK(item->ran ? result == 3 : result == -ECANCELED || result == -EBUSY);
	free(item);
	atomic_fetch_add(&disposed, 1);
}

static void call_one(uint64_t *seed)
{
	struct item *item = item_new(seed);
	bool keeps = race_below(seed, 2), abandoned = false;
	struct noria_call_options options = {.dispose = dispose,
					     .ret_abandoned = keeps ? &abandoned : NULL,
					     .priority = (enum noria_priority)race_below(seed, 3)};
	int64_t limit = race_below(seed, 2) ? noria_usec(race_below(seed, 200)) : NORIA_FOREVER;
	unsigned which = race_below(seed, 3);
	int r = noria_with_value(
		&number, item->number,
		noria_within(limit, which < 2 ? noria_executor_call_with(executors[which], work, item, &options)
					      : noria_compute_with(work, item, &options)));

	CHECK(r == 3 || r == -ETIMEDOUT || (r == -EBUSY && which == 1));
	if (!keeps)
		return;
	CHECK(abandoned == (r == -ETIMEDOUT) || r == 3);
	if (!abandoned)
		dispose(r, item);
}

static int caller(void *arg)
{
	uint64_t seed = *(uint64_t *)arg;

	for (int i = 0; i < CALLS; i++)
		call_one(&seed);
	return 0;
}

static int root(void *arg)
{
	struct noria_group group;

	CHECK(noria_group_open(&group) == 0);
	for (int i = 0; i < TASKS; i++) {
		uint64_t own = race_random(arg);

		CHECK(noria_spawn_copy(&group, caller, &own, sizeof own) == 0);
	}
	return noria_group_close(&group, 0);
}

static void *thread(void *arg)
{
	uint64_t seed = race_seed * 1000 + *(unsigned *)arg;

	for (int run = 0; run < RUNS; run++)
		CHECK(race_run(NULL, root, &seed) == 0);
	return NULL;
}

int main(int argc, char **argv)
{
	int before = race_count_fds();

	race_seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
	race_watchdog(55);
	CHECK(noria_executor_open(&executors[0], "waits", &(struct noria_executor_options){.threads = 3, .queue = 4}) ==
	      0);
	CHECK(noria_executor_open(
		      &executors[1], "fails",
		      &(struct noria_executor_options){.threads = 2, .queue = 3, .when_full = NORIA_FULL_FAIL}) == 0);
	race_threads(THREADS, thread);
	for (int i = 0; i < 2; i++)
		noria_executor_unref(executors[i]);
	while (atomic_load(&disposed) != atomic_load(&made))
		usleep(1000);
	CHECK(race_count_fds() == before);
	puts("ok: runtimes share executors");
	return 0;
}
