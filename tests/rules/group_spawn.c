/* SPDX-License-Identifier: MIT */
/*
 * Spawning: which groups take a child, who owns the argument afterwards, and for how long what it points to is there.
 */
#include "group_tasks.h"

/* Counts how often it ran: an argument that the caller kept must not be touched by a child. */
static int counter(void *arg)
{
	++*(int *)arg;
	return 0;
}

/* G18: a group that has been closed takes no child, and the argument stays with the caller. */
RULE(G18, a_closed_group_takes_no_child)
{
	struct noria_group group;
	int runs = 0;

	MUST(noria_group_open(&group) == 0);
	MUST(noria_group_close(&group, 0) == 0);
	EXPECT(noria_spawn(&group, counter, &runs) == -EINVAL);
	EXPECT(strstr(noria_message(), "counter") && message_names(__FILE__, __LINE__ - 1));
	EXPECT(noria_spawn_copy(&group, counter, &runs, sizeof runs) == -EINVAL);
	EXPECT(noria_group_size(&group) == 0);
	yield_times(3);
	EXPECT(runs == 0);
	return 0;
}

/* G18: nor does storage that never was a group. */
RULE(G18, storage_that_is_no_group_takes_no_child)
{
	struct noria_group group = {0};
	int runs = 0;

	EXPECT(noria_spawn(&group, counter, &runs) == -EINVAL);
	yield_times(3);
	EXPECT(runs == 0);
	return 0;
}

struct intruder {
	struct noria_group *group;
	int runs, answer;
};

/* Sees the last child end, and spawns before the closing task has run again. */
static int spawn_after_the_last_child(void *arg)
{
	struct intruder *intruder = arg;

	UNTIL(noria_group_size(intruder->group) == 1);
	UNTIL(noria_group_size(intruder->group) == 0);
	intruder->answer = noria_spawn(intruder->group, counter, &intruder->runs);
	return 0;
}

/* G18: a group whose close has seen the last child end is closed, even if the closing task has not run again yet. */
RULE(G18, a_group_whose_join_is_over_takes_no_child)
{
	struct noria_group outer, inner;
	struct intruder intruder = {.group = &inner};
	bool ran = false;

	MUST(noria_group_open(&outer) == 0);
	MUST(noria_group_open(&inner) == 0);
	MUST(noria_spawn(&outer, spawn_after_the_last_child, &intruder) == 0);
	MUST(noria_spawn(&inner, setter, &ran) == 0);
	EXPECT(noria_group_close(&inner, 0) == 0);
	EXPECT(noria_group_close(&outer, 0) == 0);
	EXPECT(ran && intruder.answer == -EINVAL && intruder.runs == 0);
	return 0;
}

/* G19: a cancelled group takes no child, and the argument stays with the caller. */
RULE(G19, a_cancelled_group_takes_no_child)
{
	struct noria_group group;
	int runs = 0, line;

	line = __LINE__ + 1;
	MUST(noria_group_open(&group) == 0);
	noria_group_cancel(&group);
	EXPECT(noria_spawn(&group, counter, &runs) == -ECANCELED);
	EXPECT(message_names(__FILE__, line));
	EXPECT(noria_spawn_copy(&group, counter, &runs, sizeof runs) == -ECANCELED);
	EXPECT(noria_group_size(&group) == 0);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(runs == 0);
	return 0;
}

/* G19: neither does one that an outer cancel or a failure has reached; also not for its own children. */
RULE(G19, a_group_cancelled_from_outside_or_by_failure_takes_no_child)
{
	struct noria_scope outer;
	struct noria_group group;
	struct failer bad = {NULL, -EIO};
	int runs = 0;

	MUST(noria_scope_open(&outer, NORIA_FOREVER, 0) == 0);
	MUST(noria_group_open(&group) == 0);
	noria_scope_cancel(&outer);
	EXPECT(noria_spawn(&group, counter, &runs) == -ECANCELED);
	EXPECT(noria_group_close(&group, -ECANCELED) == -ECANCELED);
	EXPECT(noria_scope_close(&outer, -ECANCELED) == 0);

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, failer, &bad) == 0);
	EXPECT(noria_sleep(NORIA_FOREVER) == -ECANCELED);
	EXPECT(noria_spawn(&group, counter, &runs) == -ECANCELED);
	EXPECT(noria_group_close(&group, -ECANCELED) == -EIO);
	EXPECT(runs == 0);
	return 0;
}

struct cleaning_spawner {
	struct noria_group *group;
	int runs, answer;
};

static int spawn_while_cleaning(void *arg)
{
	struct cleaning_spawner *spawner = arg;

	EXPECT(noria_sleep(NORIA_FOREVER) == -ECANCELED);
	spawner->answer = noria_shielded(NORIA_FOREVER, noria_spawn(spawner->group, counter, &spawner->runs));
	return 0;
}

/* G19: a child that spawns from behind its own shield, into its cancelled group, is refused too. */
RULE(G19, a_shield_of_the_spawner_does_not_open_a_cancelled_group)
{
	struct noria_group group;
	struct cleaning_spawner spawner = {.group = &group};

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, spawn_while_cleaning, &spawner) == 0);
	yield_times(2);
	noria_group_cancel(&group);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(spawner.answer == -ECANCELED && spawner.runs == 0);
	return 0;
}

struct first_run {
	int *released;
	int first, second;
};

/* What a child does that owns its argument: it must release it, however it ends. */
static int release_the_argument(void *arg)
{
	struct first_run *run = arg;

	++*run->released;
	run->first = noria_check();
	run->second = noria_yield();
	return run->first;
}

static void cancel_before_the_first_run(void (*cancel)(void *), void *arg, struct noria_group *group)
{
	int released = 0;
	struct first_run run[3] = {{&released, 1, 1}, {&released, 1, 1}, {&released, 1, 1}};

	for (int i = 0; i < 3; i++)
		MUST(noria_spawn(group, release_the_argument, &run[i]) == 0);
	cancel(arg);
	EXPECT(released == 0);
	(void)!noria_group_close(group, 0);
	EXPECT(released == 3);
	for (int i = 0; i < 3; i++)
		EXPECT(run[i].first == -ECANCELED && run[i].second == -ECANCELED);
}

static void cancel_group(void *arg)
{
	noria_group_cancel(arg);
}

static void cancel_scope(void *arg)
{
	noria_scope_cancel(arg);
}

/* G20: children accepted and cancelled before their first instruction run, and stop at their first checkpoint. */
RULE(G20, a_child_cancelled_before_its_first_run_still_runs)
{
	struct noria_scope outer;
	struct noria_group group;

	MUST(noria_group_open(&group) == 0);
	cancel_before_the_first_run(cancel_group, &group, &group);

	MUST(noria_scope_open(&outer, NORIA_FOREVER, 0) == 0);
	MUST(noria_group_open(&group) == 0);
	cancel_before_the_first_run(cancel_scope, &outer, &group);
	EXPECT(noria_scope_close(&outer, 0) == 0);
	EXPECT(rule_heard.count == 0);
	return 0;
}

struct big {
	unsigned char byte[NORIA_SPAWN_COPY_MAX];
};

static int sum_of_copy;

static int add_up(void *arg)
{
	const struct big *big = arg;

	MUST(noria_yield() == 0); /* the spawner has changed its own value by now */
	for (size_t i = 0; i < sizeof *big; i++)
		sum_of_copy += big->byte[i];
	return (uintptr_t)arg % 16 == 0 ? 0 : -EFAULT;
}

static void spawn_a_copy_and_leave(struct noria_group *group)
{
	struct big big;

	memset(&big, 3, sizeof big);
	MUST(noria_spawn_copy(group, add_up, &big, sizeof big) == 0);
	memset(&big, 100, sizeof big);
}

/* G30: the child's copy is its own: the spawner's value changes and vanishes. It is aligned for any type. */
RULE(G30, a_copied_argument_belongs_to_the_child)
{
	struct noria_group group;
	char wipe[4 * sizeof(struct big)];

	sum_of_copy = 0;
	MUST(noria_group_open(&group) == 0);
	spawn_a_copy_and_leave(&group);
	memset(wipe, 77, sizeof wipe);
	__asm__ volatile("" : : "r"(wipe) : "memory");
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(sum_of_copy == 3 * NORIA_SPAWN_COPY_MAX);
	return 0;
}

/* G30: up to NORIA_SPAWN_COPY_MAX bytes, and one more is refused. */
RULE(G30, a_copy_beyond_the_limit_is_refused)
{
	struct noria_group group;
	char big[NORIA_SPAWN_COPY_MAX + 1] = {0};

	MUST(noria_group_open(&group) == 0);
	EXPECT(noria_spawn_copy(&group, counter, big, sizeof big) == -EINVAL);
	EXPECT(message_names(__FILE__, __LINE__ - 1));
	EXPECT(noria_group_size(&group) == 0);
	EXPECT(noria_spawn_copy(&group, counter, big, sizeof big - 1) == 0);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(big[0] == 0);
	return 0;
}

struct cell {
	long value;
	int depth, *started;
};

/* Uses its parent's stack before, during and after a clean-up, and gives its own to children below. */
static int use_the_parents_stack(void *arg)
{
	struct cell *parent = arg, own = {.depth = parent->depth - 1, .started = parent->started};
	struct noria_group group;
	int r;

	++*own.started;
	MUST(noria_group_open(&group) == 0);
	for (int i = 0; i < 3 && own.depth > 0; i++)
		MUST(noria_spawn(&group, use_the_parents_stack, &own) == 0);
	EXPECT(noria_sleep(NORIA_FOREVER) == -ECANCELED);
	EXPECT(noria_shielded(NORIA_FOREVER, yield_times(5)) == 0);
	r = noria_group_close(&group, -ECANCELED);
	parent->value += own.value + 1;
	return r;
}

/* G30: a pointer to the parent's stack is good to the child's last instruction, also in a tree that is cancelled. */
RULE(G30, the_parents_stack_outlives_the_child)
{
	struct noria_group group;
	int started = 0;
	struct cell top = {.depth = 4, .started = &started};

	MUST(noria_group_open(&group) == 0);
	for (int i = 0; i < 3; i++)
		MUST(noria_spawn(&group, use_the_parents_stack, &top) == 0);
	UNTIL(started == 3 + 9 + 27 + 81);
	noria_group_cancel(&group);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(top.value == 3 + 9 + 27 + 81);
	return 0;
}
