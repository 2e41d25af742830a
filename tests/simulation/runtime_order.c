/* SPDX-License-Identifier: MIT */
/* Which task runs next: all orders come, the same for the same seed; and the ones that a fair draw hardly makes. */
#include "runtime.h"

#include <string.h>

enum { TASKS = 4, STEPS = 3 };

static char story[TASKS * STEPS + 1];

static int step(void *arg)
{
	for (int i = 0; i < STEPS; i++) {
		story[strlen(story)] = (char)(intptr_t)arg;
		MUST(noria_yield() == 0);
	}
	return 0;
}

static int steps(void *arg)
{
	struct noria_group group = {0};

	(void)arg;
	memset(story, 0, sizeof story);
	MUST(noria_group_open(&group) == 0);
	for (intptr_t letter = 'a'; letter < 'a' + TASKS; letter++)
		MUST(noria_spawn(&group, step, (void *)letter) == 0);
	return noria_group_close(&group, 0);
}

/* Returns a hash of the story. */
static uint64_t tell(uint64_t seed, enum testing_order order)
{
	uint64_t hash = 0;

	cr_expect_eq(run_in_world(seed, "", order, steps, NULL).result, 0);
	cr_expect_eq(strlen(story), TASKS * STEPS);
	for (const char *letter = story; *letter; letter++)
		hash = hash * 31 + (uint64_t)*letter;
	return hash;
}

static unsigned different_stories(enum testing_order order)
{
	uint64_t seen[200];
	unsigned count = 0;

	for (uint64_t seed = 0; seed < 200; seed++) {
		uint64_t hash = tell(seed, order);
		unsigned i = 0;

		cr_expect_eq(hash, tell(seed, order), "seed %llu", (unsigned long long)seed);
		while (i < count && seen[i] != hash)
			i++;
		if (i == count)
			seen[count++] = hash;
	}
	return count;
}

Test(runtime_order, at_random)
{
	cr_expect_geq(different_stories(TESTING_ORDER_RANDOM), 190);
}

Test(runtime_order, by_priorities)
{
	cr_expect_gt(different_stories(TESTING_ORDER_PCT), 2 * 24); /* four that never lose theirs have 24 orders */
}

Test(runtime_order, as_they_came)
{
	cr_expect_eq(different_stories(TESTING_ORDER_KEPT), 1);
	cr_expect_str_eq(story, "abcdabcdabcd");
}

/* PCT: a task of low priority hardly ever runs before one of high priority has ended; a fair draw never does that. */
Test(runtime_order, priorities_run_one_after_another)
{
	unsigned whole = 0;

	for (uint64_t seed = 0; seed < 50; seed++) {
		tell(seed, TESTING_ORDER_PCT);
		whole += story[0] == story[1] && story[1] == story[2];
	}
	cr_expect_geq(whole, 25);
}

/* Orders are few enough to try all of them. */
static int two_steps(void *arg)
{
	struct noria_group group = {0};

	(void)arg;
	memset(story, 0, sizeof story);
	MUST(noria_group_open(&group) == 0);
	for (intptr_t letter = 'a'; letter < 'c'; letter++)
		MUST(noria_spawn(&group, step, (void *)letter) == 0);
	return noria_group_close(&group, 0);
}

Test(runtime_order, every_order_by_a_script)
{
	static struct sim_script script;
	char seen[64][2 * STEPS + 1];
	unsigned count = 0, runs = 0;

	testing_runtime_install();
	testing_order_set(TESTING_ORDER_RANDOM, 0, 0);
	do {
		unsigned i = 0;

		MUST(sim_world_open(&sim_world, 1, "") == 0);
		sim_world->draws.script = &script;
		cr_expect_eq(noria_run(NULL, two_steps, NULL), 0);
		sim_world_close(sim_world);
		sim_world = NULL;
		while (i < count && strcmp(seen[i], story) != 0)
			i++;
		if (i == count)
			strcpy(seen[count++], story);
		runs++;
	} while (sim_script_next(&script) && runs < 10000);
	cr_expect_lt(runs, 10000);
	cr_expect_eq(count, 20); /* ways to put two threes into one row */
}
