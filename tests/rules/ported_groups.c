/* SPDX-License-Identifier: MIT */
/*
 * What the tests of other systems of structured concurrency try, as far as the files beside this one do not: trio's
 * nurseries, asyncio's TaskGroup, gather and as_completed, Java's StructuredTaskScope, Kotlin's scopes, Eio's switches and
 * fibers, Go's errgroup, and the joins of Rust's futures. Only the behaviour is theirs, and the answers are noria's.
 */
#include "failure_tasks.h"

static const struct noria_group_options collect = {.policy = NORIA_COLLECT}, race = {.policy = NORIA_RACE};

struct looper {
	char name;
	char *record;
};

static int loop(void *arg)
{
	const struct looper *looper = arg;
	char name[2] = {looper->name, 0};

	for (int i = 0; i < 3; i++) {
		strcat(looper->record, name);
		MUST(noria_yield() == 0);
	}
	return 0;
}

/* trio, "basic interleave"; Eio, `Fiber.both`: children take turns, in the order of their spawns. R15 */
RULE(R15, children_take_turns)
{
	struct noria_group group;
	char record[16] = "";
	struct looper a = {'a', record}, b = {'b', record};

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, loop, &a) == 0);
	MUST(noria_spawn(&group, loop, &b) == 0);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(strcmp(record, "ababab") == 0);
	return 0;
}

/* trio, "exceptiongroup filtering": of cancellations by the group, by a scope outside and a crash, the crash remains. */
RULE(G05, only_the_crash_remains)
{
	struct noria_scope outer;
	struct noria_group group;
	struct life child[3] = {{0}, {0}, {.go = true, .result = -EIO}};

	MUST(noria_scope_open(&outer, NORIA_FOREVER, 0) == 0);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, sleeper, &child[0]) == 0);
	MUST(noria_spawn(&group, sleeper, &child[1]) == 0);
	MUST(noria_spawn(&group, cleaner, &child[2]) == 0);
	UNTIL(child[2].started);
	noria_group_cancel(&group);
	noria_scope_cancel(&outer);
	EXPECT(noria_group_close(&group, noria_check()) == -EIO);
	EXPECT(CAUSES_ARE(noria_last_failure(), -EIO));
	EXPECT(noria_scope_close(&outer, -EIO) == -EIO);
	EXPECT_NOTHING_TOLD();
	return 0;
}

/* trio has no checkpoint in the end of an empty nursery; a group's close is one, empty or not. */
RULE(G02, an_empty_group_closes_as_cancelled)
{
	struct noria_scope outer;
	struct noria_group group;
	bool ran = false;

	MUST(noria_scope_open(&outer, NORIA_FOREVER, 0) == 0);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, setter, &ran) == 0);
	UNTIL(ran);
	noria_scope_cancel(&outer);
	EXPECT(noria_group_close(&group, 0) == -ECANCELED);
	MUST(noria_group_open(&group) == 0);
	EXPECT(noria_group_close(&group, 5) == -ECANCELED);
	EXPECT(noria_scope_close(&outer, 0) == 0);
	return 0;
}

/* asyncio, TaskGroup 18: the body answers a cancel from outside with an error of its own. */
RULE(G07, an_error_of_the_body_after_an_outer_cancel)
{
	struct noria_scope outer;
	struct noria_group group;
	struct life child = {0};

	MUST(noria_scope_open(&outer, NORIA_FOREVER, 0) == 0);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, sleeper, &child) == 0);
	noria_scope_cancel(&outer);
	EXPECT(noria_sleep(NORIA_FOREVER) == -ECANCELED);
	EXPECT(noria_group_close(&group, noria_fail(-EPROTO, "instead")) == -EPROTO);
	EXPECT(child.told && CAUSES_ARE(noria_last_failure(), -EPROTO));
	EXPECT(noria_check() == -ECANCELED);
	EXPECT(noria_scope_close(&outer, 0) == 0);
	return 0;
}

/* asyncio, TaskGroup 15 and 16: a child crashes while the body cleans up after a cancel from outside. */
RULE(G07, a_crash_while_the_body_cleans_up)
{
	struct noria_scope outer;
	struct noria_group group;
	struct life child = {.result = -EIO};

	MUST(noria_scope_open(&outer, NORIA_FOREVER, 0) == 0);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, cleaner, &child) == 0);
	UNTIL(child.started);
	noria_scope_cancel(&outer);
	EXPECT(noria_sleep(NORIA_FOREVER) == -ECANCELED);
	child.go = true;
	EXPECT(noria_shielded(NORIA_FOREVER, until_size(&group, 0)) == 0);
	EXPECT(noria_group_close(&group, -ECANCELED) == -EIO);
	EXPECT(noria_check() == -ECANCELED);
	EXPECT(noria_scope_close(&outer, -EIO) == -EIO);
	return 0;
}

/* asyncio, TaskGroup 19: a crash stops the body, whose own clean-up fails: both stand, in this order. */
RULE(G09, a_crash_and_a_failing_clean_up_of_the_body)
{
	struct noria_group group;
	struct teller bad = {.code = -EIO, .text = "crash"};

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, teller, &bad) == 0);
	EXPECT(noria_sleep(NORIA_FOREVER) == -ECANCELED);
	EXPECT(noria_group_close(&group, noria_fail(-ENOSPC, "clean-up")) == -EIO);
	EXPECT(CAUSES_ARE(noria_last_failure(), -EIO, -ENOSPC));
	EXPECT_NOTHING_TOLD();
	return 0;
}

static int inner_of_sleepers(void *arg)
{
	struct life *life = arg;
	struct noria_group group;

	MUST(noria_group_open(&group) == 0);
	for (int i = 0; i < 5; i++)
		MUST(noria_spawn(&group, sleeper, &life[i]) == 0);
	return noria_group_close(&group, noria_sleep(NORIA_FOREVER));
}

/* asyncio, TaskGroup 13: the outer group's child crashes; the inner one ends as cancelled and is no branch. */
RULE(G09, a_cancelled_inner_group_is_no_branch)
{
	struct noria_group outer;
	struct life life[5] = {0};
	struct failer bad = {&life[4].started, -EIO};

	MUST(noria_group_open(&outer) == 0);
	MUST(noria_spawn(&outer, failer, &bad) == 0);
	EXPECT(noria_group_close(&outer, inner_of_sleepers(life)) == -EIO);
	EXPECT(CAUSES_ARE(noria_last_failure(), -EIO) && life[0].told && life[4].told);
	EXPECT_NOTHING_TOLD();
	return 0;
}

static int stubborn(void *arg)
{
	struct life *life = arg;

	life->started = true;
	EXPECT(noria_sleep(NORIA_FOREVER) == -ECANCELED);
	return 11;
}

/* asyncio, a child that swallows its cancel: success for the group, and the sibling's failure stands. */
RULE(G06, a_child_that_swallows_its_cancel)
{
	struct noria_group group;
	struct life child = {0};
	struct failer bad = {&child.started, -EIO};

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, stubborn, &child) == 0);
	MUST(noria_spawn(&group, failer, &bad) == 0);
	EXPECT(noria_group_close(&group, 3) == -EIO);
	EXPECT(CAUSES_ARE(noria_last_failure(), -EIO));
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, stubborn, &child) == 0);
	noria_group_cancel(&group);
	EXPECT(noria_group_close(&group, 3) == 3);
	return 0;
}

/* asyncio, `gather(return_exceptions=True)`; futures, `join_all`: every outcome at its place, whoever ended first. */
RULE(G27, outcomes_at_their_places)
{
	struct noria_group group;
	struct noria_result result;
	bool at[2] = {0};
	struct finisher child[3] = {{&at[0], 10, &at[1]}, {&at[1], -EIO, NULL}, {NULL, 30, &at[0]}};
	int outcome[3] = {0};

	MUST(noria_group_open_with(&group, &collect) == 0);
	for (int i = 0; i < 3; i++)
		MUST(noria_spawn(&group, finisher, &child[i]) == 0);
	while (noria_group_next(&group, &result) == 1)
		outcome[(struct finisher *)result.arg - child] = result.result;
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(outcome[0] == 10 && outcome[1] == -EIO && outcome[2] == 30);
	return 0;
}

/* asyncio, `wait(FIRST_EXCEPTION)`: take results until one has failed, then stop the others. */
RULE(G27, results_until_the_first_failure)
{
	struct noria_group group;
	struct noria_result result = {0};
	struct life rest[2] = {0};
	bool at[1] = {0};
	struct finisher good = {NULL, 1, &at[0]}, bad = {&at[0], -EIO, NULL};

	MUST(noria_group_open_with(&group, &collect) == 0);
	MUST(noria_spawn(&group, sleeper, &rest[0]) == 0);
	MUST(noria_spawn(&group, finisher, &bad) == 0);
	MUST(noria_spawn(&group, finisher, &good) == 0);
	MUST(noria_spawn(&group, sleeper, &rest[1]) == 0);
	while (!result.failure)
		MUST(noria_group_next(&group, &result) == 1);
	EXPECT(result.result == -EIO && !rest[0].told && !rest[1].told);
	noria_group_cancel(&group);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(rest[0].told && rest[1].told);
	EXPECT_NOTHING_TOLD();
	return 0;
}

/* asyncio, `as_completed(timeout=)`: what ended in time is had, then the limit speaks, and the rest goes on. */
RULE(G27, results_within_a_time_limit)
{
	struct noria_group group;
	struct noria_result result;
	struct life slow = {0};
	int value = 4;

	MUST(noria_group_open_with(&group, &collect) == 0);
	MUST(noria_spawn(&group, sleeper, &slow) == 0);
	MUST(noria_spawn(&group, returner, &value) == 0);
	EXPECT(noria_within(noria_sec(20), noria_group_next(&group, &result)) == 1 && result.result == 4);
	for (int i = 0; i < 3; i++)
		EXPECT(noria_within(noria_msec(1), noria_group_next(&group, &result)) == -ETIMEDOUT);
	EXPECT(!slow.told && noria_check() == 0);
	noria_group_cancel(&group);
	EXPECT(noria_group_close(&group, 0) == 0);
	return 0;
}

struct cancelled_body {
	struct noria_child child;
	int closed, after;
};

static int cancelled_before_it_fails(void *arg)
{
	static const struct noria_group_options supervise = {.policy = NORIA_SUPERVISE};
	struct cancelled_body *body = arg;
	struct noria_group group;

	MUST(noria_group_open_with(&group, &supervise) == 0);
	noria_child_cancel(&body->child);
	body->closed = noria_group_close(&group, -EPROTO);
	body->after = noria_check();
	return 0;
}

/* Kotlin, "supervisor scope, cancellation versus exception": the task is cancelled right before its body fails. */
RULE(G07, a_body_that_fails_after_its_task_was_cancelled)
{
	struct noria_group group;
	struct cancelled_body body = {.closed = 1};
	struct noria_spawn_options options = {.child = &body.child};

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn_with(&group, cancelled_before_it_fails, &body, &options) == 0);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(body.closed == -EPROTO && body.after == -ECANCELED);
	return 0;
}

static int race_below(void *arg)
{
	struct life *loser = arg;
	struct noria_group group;
	struct finisher winner = {&loser->started, 7, NULL};

	MUST(noria_group_open_with(&group, &race) == 0);
	MUST(noria_spawn(&group, cleaner, loser) == 0);
	MUST(noria_spawn(&group, finisher, &winner) == 0);
	return noria_group_close(&group, 0);
}

/* Eio, "cancelled from parent while already cancelling": a race is won, its loser fails, and the parent's sibling fails. */
RULE(G16, a_parent_that_is_cancelled_while_losers_end)
{
	struct noria_group group;
	struct life loser = {.result = -ENOSPC, .go = true};
	struct failer bad = {&loser.told, -EIO};

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, race_below, &loser) == 0);
	MUST(noria_spawn(&group, failer, &bad) == 0);
	EXPECT(noria_group_close(&group, 0) == -EIO);
	EXPECT(CAUSES_ARE(noria_last_failure(), -EIO));
	EXPECT(rule_heard.count == 1 && rule_heard.last.code == -ENOSPC);
	return 0;
}

struct inheritor {
	struct noria_group *group;
	struct life *life;
	int closed;
};

static int spawn_into_the_grandparents(void *arg)
{
	struct inheritor *inheritor = arg;
	struct noria_group own;

	MUST(noria_group_open(&own) == 0);
	MUST(noria_spawn(inheritor->group, sleeper, inheritor->life) == 0);
	UNTIL(inheritor->life->started);
	noria_group_cancel(&own);
	inheritor->closed = noria_group_close(&own, 0);
	return 0;
}

/* Eio, `fork` takes its context from the switch: a child belongs to the group it was spawned into, not to the spawner's. */
RULE(G17, a_child_belongs_to_the_group_it_was_spawned_into)
{
	struct noria_group group;
	struct life life = {0};
	struct inheritor inheritor = {&group, &life, 1};

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, spawn_into_the_grandparents, &inheritor) == 0);
	UNTIL(noria_group_size(&group) == 1 && life.started);
	yield_times(3);
	EXPECT(inheritor.closed == 0 && !life.told);
	noria_group_cancel(&group);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(life.told);
	return 0;
}

/* errgroup: of several errors the first to happen is returned, of however many children, and a second use starts anew. */
RULE(G27, the_first_error_is_returned_each_time)
{
	struct noria_group group;

	for (int i = 0; i < 3; i++) {
		bool at[2] = {0};
		struct finisher child[4] = {
			{&at[0], -EPIPE, NULL}, {NULL, 0, NULL}, {NULL, -EIO - i, &at[0]}, {NULL, 0, NULL}};

		MUST(noria_group_open_with(&group, &race) == 0);
		EXPECT(noria_group_close(&group, 0) == 0);
		MUST(noria_group_open_with(&group, &collect) == 0);
		for (int n = 0; n < 4; n++)
			MUST(noria_spawn(&group, finisher, &child[n]) == 0);
		EXPECT(noria_group_close(&group, 0) == -EIO - i);
		EXPECT(CAUSES_ARE(noria_last_failure(), -EIO - i, -EPIPE));
	}
	return 0;
}

/* Java, `ShutdownOnSuccess` with nested scopes: a task that lost closes its own scope before the race does. */
RULE(G16, losers_close_their_own_groups_first)
{
	struct noria_group group;
	struct life life[5] = {0};
	struct finisher winner = {&life[4].started, 7, NULL};

	MUST(noria_group_open_with(&group, &race) == 0);
	MUST(noria_spawn(&group, inner_of_sleepers, life) == 0);
	MUST(noria_spawn(&group, finisher, &winner) == 0);
	EXPECT(noria_group_close(&group, 0) == 7);
	for (int i = 0; i < 5; i++)
		EXPECT(life[i].told && life[i].ended);
	EXPECT_NOTHING_TOLD();
	return 0;
}
