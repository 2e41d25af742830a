/* SPDX-License-Identifier: MIT */
/*
 * Collecting groups: results come one by one, in the order in which the children end. What has been handed over is the
 * caller's affair; what has not been, and is a failure, is what the group closes with.
 */
#include "failure_tasks.h"

static const struct noria_group_options collect = {.policy = NORIA_COLLECT};

/* G27: the order is that of the ends, not of the spawns; number, argument and task come with each result. */
RULE(G27, results_come_in_the_order_in_which_the_children_end)
{
	struct noria_group group;
	struct noria_result result;
	bool at[2] = {0};
	struct finisher child[3] = {{&at[1], 30, NULL}, {&at[0], 20, &at[1]}, {NULL, 10, &at[0]}};
	uint64_t seen[3];

	MUST(noria_group_open_with(&group, &collect) == 0);
	for (int i = 0; i < 3; i++)
		MUST(noria_spawn(&group, finisher, &child[i]) == 0);
	for (int i = 0; i < 3; i++) {
		EXPECT(noria_group_next(&group, &result) == 1);
		EXPECT(result.result == 10 * (i + 1) && result.arg == &child[2 - i]);
		EXPECT(result.failure == NULL && result.task_id != 0 && result.task_id != noria_task_id());
		seen[i] = result.task_id;
	}
	EXPECT(seen[0] > seen[1] && seen[1] > seen[2]);
	EXPECT(noria_group_next(&group, &result) == 0);
	EXPECT(noria_group_next(&group, &result) == 0);
	EXPECT(noria_group_close(&group, 5) == 5);
	return 0;
}

/* G27: results of children that ended before anybody asked have waited, in their order. */
RULE(G27, results_wait_until_somebody_asks)
{
	struct noria_group group;
	struct noria_result result;
	int value[5] = {5, 4, 0, 2, 1};

	MUST(noria_group_open_with(&group, &collect) == 0);
	for (int i = 0; i < 5; i++)
		MUST(noria_spawn(&group, returner, &value[i]) == 0);
	UNTIL(noria_group_size(&group) == 0);
	for (int i = 0; i < 5; i++) {
		EXPECT(noria_group_next(&group, &result) == 1);
		EXPECT(result.result == value[i] && result.arg == &value[i]);
	}
	EXPECT(noria_group_next(&group, &result) == 0);
	EXPECT(noria_group_close(&group, 0) == 0);
	return 0;
}

/* G27: a failed child spares the others; its result has the whole story. Handed over, it is no failure of the group. */
RULE(G27, a_failure_that_was_handed_over_is_the_callers)
{
	struct noria_group group;
	struct noria_result result;
	struct teller bad = {.code = -EIO, .text = "disk"};
	struct life child = {0};

	MUST(noria_group_open_with(&group, &collect) == 0);
	MUST(noria_spawn(&group, sleeper, &child) == 0);
	MUST(noria_spawn(&group, teller, &bad) == 0);
	EXPECT(noria_group_next(&group, &result) == 1);
	EXPECT(result.result == -EIO && result.arg == &bad);
	MUST(result.failure);
	EXPECT(result.failure->code == -EIO && strcmp(result.failure->text, "disk") == 0);
	EXPECT(result.failure->task_id == result.task_id && strcmp(result.failure->task, "teller") == 0);
	EXPECT(!child.told && noria_check() == 0);
	noria_group_cancel(&group);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT_NOTHING_TOLD();
	return 0;
}

/* G27: failures that nobody was handed are what the group closes with, and no others. */
RULE(G27, failures_not_handed_over_are_the_groups)
{
	struct noria_group group;
	struct noria_result result;
	int value[5] = {-EIO, 3, -EPIPE, 4, -EPROTO};

	MUST(noria_group_open_with(&group, &collect) == 0);
	for (int i = 0; i < 5; i++)
		MUST(noria_spawn(&group, returner, &value[i]) == 0);
	EXPECT(noria_group_next(&group, &result) == 1 && result.result == -EIO);
	EXPECT(noria_group_close(&group, 0) == -EPIPE);
	EXPECT(CAUSES_ARE(noria_last_failure(), -EPIPE, -EPROTO));
	EXPECT_NOTHING_TOLD();
	return 0;
}

/* G27: nobody asked at all: every failure, and the successes are nothing to report. */
RULE(G27, a_group_that_nobody_asked_closes_with_all_failures)
{
	struct noria_group group;
	int value[3] = {-EIO, 3, -EPIPE};

	MUST(noria_group_open_with(&group, &collect) == 0);
	for (int i = 0; i < 3; i++)
		MUST(noria_spawn(&group, returner, &value[i]) == 0);
	EXPECT(noria_group_close(&group, 9) == -EIO);
	EXPECT(CAUSES_ARE(noria_last_failure(), -EIO, -EPIPE));
	return 0;
}

/* G27, G04: the body's error cancels the children and stands among the failures, where it happened. */
RULE(G27, an_error_of_the_body_cancels_a_collecting_group)
{
	struct noria_group group;
	struct life child = {.go = true, .result = -ENOSPC};
	struct failer bad = {&child.started, -EIO};

	MUST(noria_group_open_with(&group, &collect) == 0);
	MUST(noria_spawn(&group, cleaner, &child) == 0);
	MUST(noria_spawn(&group, failer, &bad) == 0);
	UNTIL(noria_group_size(&group) == 1);
	EXPECT(noria_group_close(&group, -EPROTO) == -EIO);
	EXPECT(child.told && CAUSES_ARE(noria_last_failure(), -EIO, -EPROTO, -ENOSPC));
	return 0;
}

static int two_failures(__attribute__((unused)) void *arg)
{
	struct noria_group group;
	int value[2] = {-EIO, -EPIPE};

	MUST(noria_group_open_with(&group, &collect) == 0);
	for (int i = 0; i < 2; i++)
		MUST(noria_spawn(&group, returner, &value[i]) == 0);
	return noria_group_close(&group, 0);
}

/* G27, G09: the failure of a child that had a group has the causes with it. */
RULE(G27, a_result_has_its_causes)
{
	struct noria_group group;
	struct noria_result result;

	MUST(noria_group_open_with(&group, &collect) == 0);
	MUST(noria_spawn(&group, two_failures, NULL) == 0);
	EXPECT(noria_group_next(&group, &result) == 1 && result.result == -EIO);
	EXPECT(CAUSES_ARE(result.failure, -EIO, -EPIPE));
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT_NOTHING_TOLD();
	return 0;
}

/* G27: of a child that was spawned with a copy there is no argument to hand over. */
RULE(G27, a_copied_argument_is_not_handed_over)
{
	struct noria_group group;
	struct noria_result result = {.arg = &group};
	int value = 6;

	MUST(noria_group_open_with(&group, &collect) == 0);
	MUST(noria_spawn_copy(&group, returner, &value, sizeof value) == 0);
	EXPECT(noria_group_next(&group, &result) == 1);
	EXPECT(result.result == 6 && result.arg == NULL);
	EXPECT(noria_group_close(&group, 0) == 0);
	return 0;
}

/* G27, G14: a child that was cancelled by itself has ended, with -ECANCELED, and that is no failure. */
RULE(G27, a_cancelled_child_is_a_result_without_a_failure)
{
	struct noria_group group;
	struct noria_result result;
	struct noria_child handle;
	struct noria_spawn_options options = {.child = &handle};
	struct life child = {0};

	MUST(noria_group_open_with(&group, &collect) == 0);
	MUST(noria_spawn_with(&group, sleeper, &child, &options) == 0);
	UNTIL(child.started);
	noria_child_cancel(&handle);
	EXPECT(noria_group_next(&group, &result) == 1);
	EXPECT(result.result == -ECANCELED && result.failure == NULL && result.arg == &child);
	EXPECT(noria_group_close(&group, 0) == 0);
	return 0;
}

/* G27: children that are spawned meanwhile are waited for too, by whomever: "no more" is said of now. */
RULE(G27, children_spawned_meanwhile_are_collected)
{
	struct noria_group group;
	struct noria_result result;
	int value[2] = {1, 2};

	MUST(noria_group_open_with(&group, &collect) == 0);
	EXPECT(noria_group_next(&group, &result) == 0);
	for (int i = 0; i < 2; i++) {
		MUST(noria_spawn(&group, returner, &value[i]) == 0);
		EXPECT(noria_group_next(&group, &result) == 1 && result.result == i + 1);
		EXPECT(noria_group_next(&group, &result) == 0);
	}
	EXPECT(noria_group_close(&group, 0) == 0);
	return 0;
}

struct grower {
	struct noria_group *group;
	int depth;
	struct grower *child;
};

static int grow(void *arg)
{
	struct grower *grower = arg;

	if (grower->depth > 0)
		MUST(noria_spawn(grower->group, grow, grower->child) == 0);
	return grower->depth;
}

/* G27, G17: so are those that a child spawns while the body waits for it. */
RULE(G27, children_of_children_are_collected)
{
	struct noria_group group;
	struct noria_result result;
	struct grower chain[4];

	for (int i = 0; i < 4; i++)
		chain[i] = (struct grower){&group, 3 - i, &chain[i + 1 < 4 ? i + 1 : 3]};
	MUST(noria_group_open_with(&group, &collect) == 0);
	MUST(noria_spawn(&group, grow, &chain[0]) == 0);
	for (int i = 3; i >= 0; i--)
		EXPECT(noria_group_next(&group, &result) == 1 && result.result == i);
	EXPECT(noria_group_next(&group, &result) == 0);
	EXPECT(noria_group_close(&group, 0) == 0);
	return 0;
}

/* G27, S01: it is a checkpoint; a result that was ready is not lost by that. */
RULE(G27, asking_in_a_cancelled_scope_loses_nothing)
{
	struct noria_group group;
	struct noria_result result;
	struct noria_scope scope;
	int value = 4;

	MUST(noria_group_open_with(&group, &collect) == 0);
	MUST(noria_spawn(&group, returner, &value) == 0);
	UNTIL(noria_group_size(&group) == 0);
	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
	noria_scope_cancel(&scope);
	EXPECT(noria_group_next(&group, &result) == -ECANCELED);
	EXPECT(noria_scope_close(&scope, -ECANCELED) == 0);
	EXPECT(noria_group_next(&group, &result) == 1 && result.result == 4);
	EXPECT(noria_group_close(&group, 0) == 0);
	return 0;
}

/* G27, S01: the wait ends with its scope, and the child goes on. */
RULE(G27, waiting_for_a_result_can_be_cancelled)
{
	struct noria_group group;
	struct noria_result result;
	struct life child = {.go = true, .result = 8};

	MUST(noria_group_open_with(&group, &collect) == 0);
	MUST(noria_spawn(&group, cleaner, &child) == 0);
	EXPECT(noria_within(noria_msec(2), noria_group_next(&group, &result)) == -ETIMEDOUT);
	EXPECT(child.started && !child.told);
	noria_group_cancel(&group);
	EXPECT(noria_group_next(&group, &result) == -ECANCELED);
	EXPECT(noria_shielded(NORIA_FOREVER, noria_group_next(&group, &result)) == 1);
	EXPECT(result.result == 8 && result.failure == NULL && child.told);
	EXPECT(noria_group_close(&group, -ECANCELED) == 0);
	return 0;
}

/* G27: the children of a cancelled group end as results too, for a body that asks behind a shield. */
RULE(G27, results_after_a_cancel)
{
	struct noria_group group;
	struct noria_result result;
	struct life child[2] = {{0}, {.go = true, .result = -ENOSPC}};

	MUST(noria_group_open_with(&group, &collect) == 0);
	MUST(noria_spawn(&group, sleeper, &child[0]) == 0);
	MUST(noria_spawn(&group, cleaner, &child[1]) == 0);
	UNTIL(child[1].started);
	noria_group_cancel(&group);
	for (int i = 0; i < 2; i++) {
		EXPECT(noria_shielded(NORIA_FOREVER, noria_group_next(&group, &result)) == 1);
		if (result.arg == &child[0])
			EXPECT(result.result == -ECANCELED && result.failure == NULL);
		else
			EXPECT(result.result == -ENOSPC && result.failure && result.failure->code == -ENOSPC);
	}
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT_NOTHING_TOLD();
	return 0;
}

struct asker {
	struct noria_group *group;
	int answer;
};

static int ask(void *arg)
{
	struct asker *asker = arg;
	struct noria_result result;

	asker->answer = noria_group_next(asker->group, &result);
	return 0;
}

/* G27: only the task that opened the group may ask; a group of another policy, or one that is not open, has no results. */
RULE(G27, wrong_askers_are_refused)
{
	static const enum noria_policy others[] = {NORIA_FAIL_FAST, NORIA_SUPERVISE, NORIA_RACE};
	struct noria_group group;
	struct noria_result result;
	struct asker asker = {&group, 1};

	MUST(noria_group_open_with(&group, &collect) == 0);
	MUST(noria_spawn(&group, ask, &asker) == 0);
	EXPECT(noria_group_next(&group, &result) == 1 && result.arg == &asker);
	EXPECT(asker.answer == -EINVAL);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(noria_group_next(&group, &result) == -EINVAL);
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
		struct noria_group_options options = {.policy = others[i]};

		MUST(noria_group_open_with(&group, &options) == 0);
		EXPECT(noria_group_next(&group, &result) == -EINVAL);
		EXPECT(noria_group_close(&group, 0) == 0);
	}
	return 0;
}

/* G27, G23: a service lives for as long as the body does: the body does not wait for it here. */
RULE(G27, a_service_is_not_waited_for)
{
	struct noria_group group;
	struct noria_result result;
	struct noria_spawn_options options = {.service = true};
	struct life service = {0};
	int value = 3;

	MUST(noria_group_open_with(&group, &collect) == 0);
	MUST(noria_spawn_with(&group, sleeper, &service, &options) == 0);
	MUST(noria_spawn(&group, returner, &value) == 0);
	EXPECT(noria_group_next(&group, &result) == 1 && result.result == 3);
	EXPECT(noria_within(noria_sec(20), noria_group_next(&group, &result)) == 0);
	EXPECT(!service.told);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(service.told);
	return 0;
}

/* G27: a failure is valid until the next call; the one before is gone and the memory with it, also of many. */
RULE(G27, many_results_one_after_another)
{
	struct noria_group group;
	struct noria_result result;
	struct teller bad = {.code = -EIO, .text = "again"};
	int failed = 0;

	MUST(noria_group_open_with(&group, &collect) == 0);
	for (int i = 0; i < 1000; i++)
		MUST(noria_spawn(&group, teller, &bad) == 0);
	while (noria_group_next(&group, &result) == 1)
		failed += result.failure && strcmp(result.failure->text, "again") == 0;
	EXPECT(failed == 1000);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT_NOTHING_TOLD();
	return 0;
}

struct failed_start {
	struct noria_group *group;
	bool *go;
	int answer;
};

static int start_that_fails(void *arg)
{
	struct failed_start *start = arg;
	struct teller bad = {start->go, -EIO, "start", NULL};

	start->answer = noria_start(start->group, teller, &bad);
	return 0;
}

/* G27, G24: the last that was to come was a start, and it failed: there is no result, and the wait for one is over. */
RULE(G27, a_start_that_fails_ends_the_wait)
{
	struct noria_group group, others;
	struct noria_result result;
	bool go = false;
	struct failed_start start = {&group, &go, 0};

	MUST(noria_group_open(&others) == 0);
	MUST(noria_group_open_with(&group, &collect) == 0);
	MUST(noria_spawn(&others, start_that_fails, &start) == 0);
	UNTIL(noria_group_size(&group) == 1);
	MUST(noria_spawn(&others, setter, &go) == 0);
	EXPECT(noria_within(noria_sec(5), noria_group_next(&group, &result)) == 0);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(noria_group_close(&others, 0) == 0);
	EXPECT(start.answer == -EIO);
	return 0;
}

/* G27: without a runtime there is nothing to ask. */
Test(G27, asking_without_a_runtime_is_refused)
{
	struct noria_group group = {0};
	struct noria_result result;

	EXPECT(noria_group_next(&group, &result) == -ENXIO);
}
