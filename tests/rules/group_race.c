/* SPDX-License-Identifier: MIT */
/*
 * Races: the first child to succeed decides. What comes of everybody else (failures before, successes and failures after,
 * the body, a cancel from outside at each moment) has its own test.
 */
#include "failure_tasks.h"

static const struct noria_group_options race = {.policy = NORIA_RACE};

/* Late successes, as the disposer sees them. */
struct disposed {
	int count, result[8];
	uint64_t task_id[8];
};

static void dispose(int result, void *arg)
{
	struct disposed *disposed = arg;

	disposed->result[disposed->count] = result;
	disposed->task_id[disposed->count++] = noria_task_id();
}

/* G16: the others are cancelled, the success is what the group closes with, and the task is as before. */
RULE(G16, the_first_success_decides)
{
	struct noria_group group;
	struct life child[2] = {0};
	struct finisher winner = {&child[1].started, 7, NULL};

	MUST(noria_group_open_with(&group, &race) == 0);
	MUST(noria_spawn(&group, sleeper, &child[0]) == 0);
	MUST(noria_spawn(&group, sleeper, &child[1]) == 0);
	MUST(noria_spawn(&group, finisher, &winner) == 0);
	EXPECT(noria_group_close(&group, 0) == 7);
	EXPECT(child[0].told && child[1].told);
	EXPECT(noria_scope_cause(noria_group_scope(&group), NULL) == NORIA_CAUSE_DECIDED);
	EXPECT(noria_check() == 0);
	EXPECT_NOTHING_TOLD();
	return 0;
}

/* G16: it stops the body too, and what the body came to does not matter. */
RULE(G16, a_success_stops_the_body)
{
	static const int bodies[] = {-ECANCELED, 0, 99};

	for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
		struct noria_group group;
		struct finisher winner = {NULL, 7, NULL};

		MUST(noria_group_open_with(&group, &race) == 0);
		MUST(noria_spawn(&group, finisher, &winner) == 0);
		EXPECT(noria_sleep(NORIA_FOREVER) == -ECANCELED);
		EXPECT(noria_group_close(&group, bodies[i]) == 7);
		EXPECT(noria_check() == 0);
	}
	return 0;
}

/* G16: of two that succeed in the same turn the first to end has won; the other is disposed of. */
RULE(G16, the_first_of_two_ready_ones_wins)
{
	struct noria_group group;
	struct disposed disposed = {0};
	struct noria_group_options options = {.policy = NORIA_RACE, .dispose = dispose, .dispose_arg = &disposed};
	int first = 3, second = 4;

	MUST(noria_group_open_with(&group, &options) == 0);
	MUST(noria_spawn(&group, returner, &first) == 0);
	MUST(noria_spawn(&group, returner, &second) == 0);
	EXPECT(noria_group_close(&group, 0) == 3);
	EXPECT(disposed.count == 1 && disposed.result[0] == 4);
	return 0;
}

static int late_id(void *arg)
{
	uint64_t *id = arg;

	*id = noria_task_id();
	EXPECT(noria_sleep(NORIA_FOREVER) == -ECANCELED);
	return (int)*id;
}

/* G16: each late success goes to the disposer, with its number, in the task that came to it; the winner does not. */
RULE(G16, late_successes_are_disposed_of)
{
	struct noria_group group;
	struct disposed disposed = {0};
	struct noria_group_options options = {.policy = NORIA_RACE, .dispose = dispose, .dispose_arg = &disposed};
	struct finisher winner = {NULL, 7777, NULL};
	uint64_t id[3] = {0};

	MUST(noria_group_open_with(&group, &options) == 0);
	for (int i = 0; i < 3; i++)
		MUST(noria_spawn(&group, late_id, &id[i]) == 0);
	MUST(noria_spawn(&group, finisher, &winner) == 0);
	EXPECT(noria_group_close(&group, 0) == 7777);
	EXPECT(disposed.count == 3);
	for (int i = 0; i < 3; i++)
		EXPECT(disposed.task_id[i] == id[i] && disposed.result[i] == (int)id[i]);
	EXPECT_NOTHING_TOLD();
	return 0;
}

/* G16: zero is a success: it wins against a number that comes later, and is disposed of when it is late. */
RULE(G16, zero_is_a_success)
{
	struct noria_group group;
	struct disposed disposed = {0};
	struct noria_group_options options = {.policy = NORIA_RACE, .dispose = dispose, .dispose_arg = &disposed};
	struct life positive = {.go = true, .result = 5}, zero = {.go = true, .result = 0};
	struct finisher winner = {&zero.started, 0, NULL};

	MUST(noria_group_open_with(&group, &options) == 0);
	MUST(noria_spawn(&group, cleaner, &positive) == 0);
	MUST(noria_spawn(&group, cleaner, &zero) == 0);
	MUST(noria_spawn(&group, finisher, &winner) == 0);
	EXPECT(noria_group_close(&group, 1) == 0);
	EXPECT(positive.told && zero.told);
	EXPECT(disposed.count == 2 && disposed.result[0] + disposed.result[1] == 5);
	return 0;
}

/* G16: without a disposer late successes are let go. */
RULE(G16, a_race_needs_no_disposer)
{
	struct noria_group group;
	struct life late = {.go = true, .result = 5};
	struct finisher winner = {&late.started, 7, NULL};

	MUST(noria_group_open_with(&group, &race) == 0);
	MUST(noria_spawn(&group, cleaner, &late) == 0);
	MUST(noria_spawn(&group, finisher, &winner) == 0);
	EXPECT(noria_group_close(&group, 0) == 7);
	EXPECT_NOTHING_TOLD();
	return 0;
}

/* G16: failures before the success stop nobody, and are dropped. */
RULE(G16, failures_before_the_success_are_dropped)
{
	struct noria_group group;
	bool failed = false;
	struct teller bad = {.code = -EIO, .text = "first", .then = &failed};
	struct finisher winner = {&failed, 7, NULL};

	MUST(noria_group_open_with(&group, &race) == 0);
	MUST(noria_spawn(&group, finisher, &winner) == 0);
	MUST(noria_spawn(&group, teller, &bad) == 0);
	UNTIL(failed);
	EXPECT(noria_check() == 0);
	EXPECT(noria_group_close(&group, 0) == 7);
	EXPECT(noria_yield() == 0);
	EXPECT_NOTHING_TOLD();
	return 0;
}

/* G16, G29: what fails in the losers' clean-up is told when it happens; the success stands. */
RULE(G16, failures_after_the_success_are_told_at_once)
{
	struct noria_group group;
	struct life loser = {.go = true, .result = -ENOSPC}, slow = {0};
	struct finisher winner = {&slow.started, 7, NULL};

	MUST(noria_group_open_with(&group, &race) == 0);
	MUST(noria_spawn(&group, cleaner, &loser) == 0);
	MUST(noria_spawn(&group, cleaner, &slow) == 0);
	MUST(noria_spawn(&group, finisher, &winner) == 0);
	EXPECT(noria_sleep(NORIA_FOREVER) == -ECANCELED);
	EXPECT(noria_shielded(NORIA_FOREVER, until_size(&group, 1)) == 0);
	EXPECT(rule_heard.count == 1 && rule_heard.last.code == -ENOSPC);
	slow.go = true;
	EXPECT(noria_group_close(&group, -ECANCELED) == 7);
	EXPECT(rule_heard.count == 1);
	return 0;
}

/* G16: when all fail all failures are reported, in order; none of them stopped the others. */
RULE(G16, when_all_fail_every_failure_is_reported)
{
	struct noria_group group;
	bool at[2] = {0};
	struct teller bad[3] = {{.code = -EPIPE, .text = "third", .when = &at[1]},
				{.code = -EPROTO, .text = "second", .when = &at[0], .then = &at[1]},
				{.code = -EIO, .text = "first", .then = &at[0]}};

	MUST(noria_group_open_with(&group, &race) == 0);
	for (int i = 0; i < 3; i++)
		MUST(noria_spawn(&group, teller, &bad[i]) == 0);
	EXPECT(noria_group_close(&group, 0) == -EIO);
	EXPECT(CAUSES_ARE(noria_last_failure(), -EIO, -EPROTO, -EPIPE));
	EXPECT(strcmp(noria_last_failure()->causes->text, "first") == 0);
	EXPECT_NOTHING_TOLD();
	return 0;
}

/* G16: a race that nobody enters, or that nobody finishes, closes with what the body came to. */
RULE(G16, a_race_without_an_outcome_has_the_bodys)
{
	struct noria_group group;
	struct noria_child handle;
	struct noria_spawn_options options = {.child = &handle};
	struct life child = {0};

	MUST(noria_group_open_with(&group, &race) == 0);
	EXPECT(noria_group_close(&group, 42) == 42);
	MUST(noria_group_open_with(&group, &race) == 0);
	MUST(noria_spawn_with(&group, sleeper, &child, &options) == 0);
	UNTIL(child.started);
	noria_child_cancel(&handle);
	EXPECT(noria_group_close(&group, 43) == 43);
	EXPECT(child.told);
	EXPECT_NOTHING_TOLD();
	return 0;
}

/* G16: a cancel from outside before anybody has won: all are told, and so is the closer. */
RULE(G16, an_outer_cancel_before_the_success)
{
	struct noria_scope outer;
	struct noria_group group;
	struct life child = {0};
	struct failer bad = {NULL, -EIO};

	MUST(noria_scope_open(&outer, NORIA_FOREVER, 0) == 0);
	MUST(noria_group_open_with(&group, &race) == 0);
	MUST(noria_spawn(&group, sleeper, &child) == 0);
	UNTIL(child.started);
	noria_scope_cancel(&outer);
	EXPECT(noria_group_close(&group, -ECANCELED) == -ECANCELED);
	EXPECT(child.told);
	EXPECT(noria_scope_close(&outer, -ECANCELED) == 0);

	/* With a failure before: nobody has succeeded, so the failure is reported, and the cancel at the next checkpoint. */
	child = (struct life){0};
	MUST(noria_scope_open(&outer, NORIA_FOREVER, 0) == 0);
	MUST(noria_group_open_with(&group, &race) == 0);
	MUST(noria_spawn(&group, failer, &bad) == 0);
	MUST(noria_spawn(&group, sleeper, &child) == 0);
	UNTIL(child.started && noria_group_size(&group) == 1);
	noria_scope_cancel(&outer);
	EXPECT(noria_group_close(&group, -ECANCELED) == -EIO);
	EXPECT(noria_check() == -ECANCELED);
	EXPECT(noria_scope_close(&outer, -ECANCELED) == 0);
	return 0;
}

/* G16: one that comes while the losers clean up does not take the success away; the next checkpoint tells of it. */
RULE(G16, an_outer_cancel_after_the_success)
{
	struct noria_scope outer;
	struct noria_group group, others;
	struct life loser = {.result = -ECANCELED};
	struct finisher winner = {&loser.started, 7, NULL};
	struct scope_canceller canceller = {&outer, &loser.told};

	MUST(noria_group_open(&others) == 0);
	MUST(noria_scope_open(&outer, NORIA_FOREVER, 0) == 0);
	MUST(noria_group_open_with(&group, &race) == 0);
	MUST(noria_spawn(&group, cleaner, &loser) == 0);
	MUST(noria_spawn(&group, finisher, &winner) == 0);
	MUST(noria_spawn(&others, scope_canceller, &canceller) == 0);
	EXPECT(noria_sleep(NORIA_FOREVER) == -ECANCELED);
	EXPECT(noria_shielded(NORIA_FOREVER, until_size(&others, 0)) == 0);
	loser.go = true;
	EXPECT(noria_group_close(&group, -ECANCELED) == 7);
	EXPECT(noria_check() == -ECANCELED);
	EXPECT(noria_scope_close(&outer, 7) == 7);
	EXPECT(noria_group_close(&others, 0) == 0);
	return 0;
}

/* G16: a limit around the race that passes while the losers clean up takes the winner's place: it is disposed of. */
RULE(G16, a_success_that_a_deadline_replaces_is_disposed_of)
{
	struct noria_group group;
	struct disposed disposed = {0};
	struct noria_group_options options = {.policy = NORIA_RACE, .dispose = dispose, .dispose_arg = &disposed};
	struct life child = {.go = true, .result = 5};
	struct noria_scope outer;

	MUST(noria_scope_open(&outer, noria_now() + noria_msec(1), 0) == 0);
	MUST(noria_group_open_with(&group, &options) == 0);
	MUST(noria_spawn(&group, cleaner, &child) == 0);
	EXPECT(noria_group_close(&group, 0) == -ECANCELED);
	EXPECT(child.told && disposed.count == 1);
	EXPECT(noria_scope_close(&outer, -ECANCELED) == -ETIMEDOUT);
	return 0;
}

/* G16, R01: a child that succeeds in spite of a cancel from outside has won: nothing that it carries is lost. */
RULE(G16, a_success_in_spite_of_an_outer_cancel_counts)
{
	struct noria_scope outer;
	struct noria_group group;
	struct disposed disposed = {0};
	struct noria_group_options options = {.policy = NORIA_RACE, .dispose = dispose, .dispose_arg = &disposed};
	struct life child = {.go = true, .result = 5};

	MUST(noria_scope_open(&outer, NORIA_FOREVER, 0) == 0);
	MUST(noria_group_open_with(&group, &options) == 0);
	MUST(noria_spawn(&group, cleaner, &child) == 0);
	UNTIL(child.started);
	noria_scope_cancel(&outer);
	EXPECT(noria_group_close(&group, -ECANCELED) == 5);
	EXPECT(disposed.count == 0);
	EXPECT(noria_check() == -ECANCELED);
	EXPECT(noria_scope_close(&outer, 5) == 5);
	return 0;
}

/* G16, G04: an error of the body is the group's, after a success too: what the winner carries goes to the disposer. */
RULE(G16, an_error_of_the_body_after_the_success)
{
	struct noria_group group;
	struct disposed disposed = {0};
	struct noria_group_options options = {.policy = NORIA_RACE, .dispose = dispose, .dispose_arg = &disposed};
	struct finisher winner = {NULL, 7, NULL};

	MUST(noria_group_open_with(&group, &options) == 0);
	MUST(noria_spawn(&group, finisher, &winner) == 0);
	EXPECT(noria_sleep(NORIA_FOREVER) == -ECANCELED);
	EXPECT(disposed.count == 0);
	EXPECT(noria_group_close(&group, -EPROTO) == -EPROTO);
	EXPECT(CAUSES_ARE(noria_last_failure(), -EPROTO));
	EXPECT(disposed.count == 1 && disposed.result[0] == 7);
	EXPECT_NOTHING_TOLD();
	return 0;
}

/* G16, G05: an error of the body and what fails in the clean-up after it stand together when nobody succeeds. */
RULE(G16, an_error_of_the_body_stands_with_those_of_the_children)
{
	struct noria_group group;
	struct life child = {.go = true, .result = -ENOSPC};
	struct failer bad = {&child.started, -EIO};

	MUST(noria_group_open_with(&group, &race) == 0);
	MUST(noria_spawn(&group, cleaner, &child) == 0);
	MUST(noria_spawn(&group, failer, &bad) == 0);
	UNTIL(noria_group_size(&group) == 1);
	EXPECT(noria_group_close(&group, -EPROTO) == -EIO);
	EXPECT(CAUSES_ARE(noria_last_failure(), -EIO, -EPROTO, -ENOSPC));
	EXPECT_NOTHING_TOLD();
	return 0;
}

/* G16, T01: nobody was in time. */
RULE(G16, a_deadline_ends_a_race)
{
	struct noria_group group;
	struct noria_group_options options = {.policy = NORIA_RACE, .deadline_ns = noria_now() + noria_msec(5)};
	struct life child = {0};

	MUST(noria_group_open_with(&group, &options) == 0);
	MUST(noria_spawn(&group, sleeper, &child) == 0);
	EXPECT(noria_group_close(&group, 0) == -ETIMEDOUT);
	EXPECT(child.told);
	return 0;
}

static int clean_up_until(void *arg)
{
	EXPECT(noria_sleep(NORIA_FOREVER) == -ECANCELED);
	EXPECT(noria_shielded(NORIA_FOREVER, noria_sleep_until(*(int64_t *)arg + noria_msec(1))) == 0);
	return -ECANCELED;
}

/* G16, T03: a deadline that passes while the losers clean up comes too late. */
RULE(G16, a_deadline_after_the_success_changes_nothing)
{
	struct noria_group group;
	struct noria_group_options options = {.policy = NORIA_RACE, .deadline_ns = noria_now() + noria_msec(20)};
	struct finisher winner = {NULL, 7, NULL};

	MUST(noria_group_open_with(&group, &options) == 0);
	MUST(noria_spawn(&group, clean_up_until, &options.deadline_ns) == 0);
	MUST(noria_spawn(&group, finisher, &winner) == 0);
	EXPECT(noria_group_close(&group, 0) == 7);
	EXPECT(noria_check() == 0);
	return 0;
}

/* G16, G19: a race that is won takes no further child. */
RULE(G16, a_race_that_is_won_takes_no_child)
{
	struct noria_group group;
	struct finisher winner = {NULL, 7, NULL};
	bool ran = false;

	MUST(noria_group_open_with(&group, &race) == 0);
	MUST(noria_spawn(&group, finisher, &winner) == 0);
	EXPECT(noria_sleep(NORIA_FOREVER) == -ECANCELED);
	EXPECT(noria_spawn(&group, setter, &ran) == -ECANCELED);
	EXPECT(noria_group_close(&group, 0) == 7);
	EXPECT(!ran);
	return 0;
}

static int inner_race(void *arg)
{
	struct noria_group group;
	struct life loser = {0};
	struct finisher winner = {&loser.started, *(int *)arg, NULL};

	MUST(noria_group_open_with(&group, &race) == 0);
	MUST(noria_spawn(&group, sleeper, &loser) == 0);
	MUST(noria_spawn(&group, finisher, &winner) == 0);
	return noria_group_close(&group, 0);
}

/* G16, G08: races within a race: the end of an inner one is a success like any other. */
RULE(G16, races_nest)
{
	struct noria_group group;
	struct life loser = {0};
	int value = 9;

	MUST(noria_group_open_with(&group, &race) == 0);
	MUST(noria_spawn(&group, sleeper, &loser) == 0);
	MUST(noria_spawn(&group, inner_race, &value) == 0);
	EXPECT(noria_group_close(&group, 0) == 9);
	EXPECT(loser.told && noria_check() == 0);
	return 0;
}

/* G16, G06: a child that says "cancelled" and was not has failed, and has neither won nor stopped the others. */
RULE(G16, an_unasked_cancellation_is_a_failure)
{
	struct noria_group group;
	int code = -ECANCELED;
	bool ended = false;
	struct finisher winner = {&ended, 7, NULL};
	struct finisher bad = {NULL, -ECANCELED, &ended};

	MUST(noria_group_open_with(&group, &race) == 0);
	MUST(noria_spawn(&group, finisher, &winner) == 0);
	MUST(noria_spawn(&group, finisher, &bad) == 0);
	EXPECT(noria_group_close(&group, 0) == 7);

	MUST(noria_group_open_with(&group, &race) == 0);
	MUST(noria_spawn(&group, returner, &code) == 0);
	EXPECT(noria_group_close(&group, 0) == -ECANCELED);
	EXPECT(CAUSES_ARE(noria_last_failure(), -ECANCELED) && noria_check() == 0);
	return 0;
}
