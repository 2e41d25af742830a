/* SPDX-License-Identifier: MIT */
/* Many at once: tasks, nested groups, operations in a small queue, timers. */
#include "unit.h"

#include <sys/resource.h>
#include <unistd.h>

enum { TASKS = UNIT_SANITIZED ? 3000 : 10000, DEPTH = 1000 };

static unsigned begun, ended;
static uint64_t ids;

static int count(__attribute__((unused)) void *arg)
{
	ids += noria_task_id();
	noria_try(noria_yield());
	noria_try(noria_sleep(noria_usec(100)));
	ended++;
	return 0;
}

UNIT(many, tasks_by_the_thousand)
{
	for (int round = 0; round < 3; round++) {
		struct noria_group group;

		ended = 0;
		MUST(noria_group_open(&group) == 0);
		for (int i = 0; i < TASKS; i++)
			MUST(noria_spawn(&group, count, NULL) == 0);
		EXPECT_EQ(noria_group_size(&group), TASKS);
		EXPECT_EQ(noria_group_close(&group, 0), 0);
		EXPECT_EQ(ended, TASKS);
	}
	return 0;
}

static int sleep_for_ever(__attribute__((unused)) void *arg)
{
	int r = noria_sleep(NORIA_FOREVER);

	ended++;
	return r;
}

UNIT(many, tasks_cancelled_at_once)
{
	struct noria_group group;

	ended = 0;
	MUST(noria_group_open(&group) == 0);
	for (int i = 0; i < TASKS; i++)
		MUST(noria_spawn(&group, sleep_for_ever, NULL) == 0);
	MUST(noria_yield() == 0);
	noria_group_cancel(&group);
	EXPECT_EQ(noria_group_close(&group, -ECANCELED), 0);
	EXPECT_EQ(ended, TASKS);
	return 0;
}

/* A child that opens a group, with a child that opens a group ... */
static int nest(void *arg)
{
	struct noria_group group;
	int depth = *(int *)arg, r;

	begun++;
	if (depth == DEPTH)
		r = noria_sleep(NORIA_FOREVER);
	else {
		depth++;
		noria_try(noria_group_open(&group));
		r = noria_spawn(&group, nest, &depth);
		r = noria_group_close(&group, r);
	}
	ended++;
	return r;
}

UNIT(many, nested_groups_are_cancelled_to_the_deepest)
{
	struct noria_group group;
	int depth = 1;

	begun = ended = 0;
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, nest, &depth) == 0);
	UNTIL(begun == DEPTH);
	EXPECT_EQ(ended, 0);
	noria_group_cancel(&group);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT_EQ(ended, DEPTH);
	return 0;
}

UNIT(many, nested_groups_share_one_deadline)
{
	struct noria_group group;
	int depth = 1;

	begun = ended = 0;
	MUST(noria_group_open_until(&group, noria_now() + noria_msec(UNIT_SANITIZED ? 500 : 50)) == 0);
	MUST(noria_spawn(&group, nest, &depth) == 0);
	EXPECT_EQ(noria_group_close(&group, 0), -ETIMEDOUT);
	EXPECT(begun > 0);
	EXPECT_EQ(ended, begun); /* of all that were begun until then */
	return 0;
}

static int fail_deep(void *arg)
{
	struct noria_group group;
	int depth = *(int *)arg, r = -EXDEV;

	if (depth < DEPTH) {
		depth++;
		noria_try(noria_group_open(&group));
		r = noria_spawn(&group, fail_deep, &depth);
		r = noria_group_close(&group, r);
	}
	return r;
}

UNIT(many, a_failure_comes_up_through_nested_groups)
{
	struct noria_group group;
	int depth = 1;

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, fail_deep, &depth) == 0);
	EXPECT_EQ(noria_group_close(&group, 0), -EXDEV);
	return 0;
}

/* Scopes in one task: recursion in the program's own hands. */
static int nest_scopes(int depth)
{
	struct noria_scope scope;
	ssize_t r;

	if (depth == 0)
		return noria_sleep(NORIA_FOREVER);
	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
	r = nest_scopes(depth - 1);
	return (int)noria_scope_close(&scope, r);
}

static int nest_scopes_in_task(void *arg)
{
	return nest_scopes(*(int *)arg);
}

UNIT(many, nested_scopes)
{
	struct noria_spawn_options options = {.stack_size = 8 << 20};
	struct noria_group group;
	int depth = 5000;

	MUST(noria_group_open_until(&group, noria_now() + noria_msec(20)) == 0);
	MUST(noria_spawn_with(&group, nest_scopes_in_task, &depth, &options) == 0);
	EXPECT_EQ(noria_group_close(&group, 0), -ETIMEDOUT);
	return 0;
}

static int sent, received;

static int receive_one(void *arg)
{
	char byte;

	if (noria_within(noria_sec(30), noria_recv(((int *)arg)[0], &byte, 1, 0)) == 1)
		received++;
	return 0;
}

static int send_one(void *arg)
{
	noria_try(noria_yield());
	sent += noria_send(((int *)arg)[1], "x", 1, 0) == 1;
	return 0;
}

static void many_operations(void)
{
	enum { PAIRS = 400 };
	static int pairs[PAIRS][2];
	struct noria_group group;

	sent = received = 0;
	MUST(noria_group_open(&group) == 0);
	for (int i = 0; i < PAIRS; i++) {
		unit_pair(pairs[i]);
		MUST(noria_spawn(&group, receive_one, pairs[i]) == 0);
		MUST(noria_spawn(&group, send_one, pairs[i]) == 0);
	}
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT_EQ(sent, PAIRS);
	EXPECT_EQ(received, PAIRS);
	for (int i = 0; i < PAIRS; i++)
		EXPECT_EQ(noria_close(pairs[i][0]) | noria_close(pairs[i][1]), 0);
}

static const struct noria_config tiny_ring = {.ring_entries = 2, .ring_entries_max = 2};
static const struct noria_config growing_ring = {.ring_entries = 4, .ring_entries_max = 256};

UNIT_WITH(many, operations_in_a_queue_of_two_entries, &tiny_ring)
{
	many_operations();
	return 0;
}

UNIT_WITH(many, operations_in_a_queue_that_grows, &growing_ring)
{
	many_operations();
	return 0;
}
