/* SPDX-License-Identifier: MIT */
/*
 * Groups that close themselves: a variable that goes out of its block, and an expression with options. However a block is
 * left, no child stays behind, and no failure is dropped.
 */
#include "failure_tasks.h"

static int leave(struct life *child, int way)
{
	noria_autogroup struct noria_group group = {0};

	if (way == 0)
		return 0; /* never opened */
	MUST(noria_group_open(&group) == 0);
	if (way == 1)
		return 1; /* open, and empty */
	MUST(noria_spawn(&group, way == 4 ? cleaner : sleeper, child) == 0);
	if (way == 2)
		return 2; /* with a child that has not run */
	UNTIL(child->started);
	if (way == 5) {
		noria_group_cancel(&group);
		(void)!noria_group_close(&group, 0); /* closed already */
	}
	return way;
}

/* G01: the children of a group whose variable goes are cancelled and awaited before the function is back. */
RULE(G01, a_group_closes_with_its_variable)
{
	for (int way = 0; way <= 5; way++) {
		struct life child = {.go = true};

		EXPECT(leave(&child, way) == way);
		EXPECT(child.started == (way >= 2) && child.ended == (way >= 2) && child.told == (way >= 2));
		EXPECT(noria_check() == 0);
	}
	EXPECT_NOTHING_TOLD();
	return 0;
}

/* G29: what fails in the clean-up of such a group nobody sees: the handler hears of it. */
RULE(G29, a_failure_in_a_group_left_early_is_told)
{
	struct life child = {.go = true, .result = -ENOSPC};

	EXPECT(leave(&child, 4) == 4);
	EXPECT(child.ended);
	EXPECT(rule_heard.count == 1 && rule_heard.last.code == -ENOSPC);
	return 0;
}

static int leave_with_an_error(struct teller *first, struct teller *second)
{
	noria_autogroup struct noria_group group = {0};

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, teller, first) == 0);
	MUST(noria_spawn(&group, teller, second) == 0);
	noria_try(noria_fail(-EPROTO, "body"));
	return 0;
}

/* G29: each one of them; the error that the function returns is another one, and its story stays. */
RULE_WITH(G29, every_failure_in_a_group_left_early_is_told, &told_config)
{
	struct teller first = {.code = -EIO, .text = "one"}, second = {.code = -EPIPE, .text = "two"};

	EXPECT(leave_with_an_error(&first, &second) == -EPROTO);
	EXPECT(LEAVES_ARE(&told, -EIO, -EPIPE));
	MUST(noria_last_failure());
	EXPECT(noria_last_failure()->code == -EPROTO && strcmp(noria_last_failure()->text, "body") == 0);
	EXPECT(noria_last_failure()->causes == NULL);
	return 0;
}

static int blocks(struct life *child)
{
	for (int i = 0; i < 3; i++) {
		noria_autogroup struct noria_group group = {0};

		MUST(noria_group_open(&group) == 0);
		MUST(noria_spawn(&group, sleeper, &child[i]) == 0);
		if (i == 1)
			continue;
		UNTIL(child[i].started);
		EXPECT(i == 0 || (child[i - 1].ended && child[0].ended));
	}
	return 0;
}

/* G01: the end of a block, `continue` and the end of a loop do it as well. */
RULE(G01, a_group_closes_with_its_block)
{
	struct life child[3] = {0};

	EXPECT(blocks(child) == 0);
	EXPECT(child[0].ended && child[1].ended && child[2].ended);
	return 0;
}

static int nest(struct life *child)
{
	noria_autogroup struct noria_group outer = {0}, inner = {0};

	MUST(noria_group_open(&outer) == 0);
	MUST(noria_spawn(&outer, sleeper, &child[0]) == 0);
	MUST(noria_group_open(&inner) == 0);
	MUST(noria_spawn(&inner, sleeper, &child[1]) == 0);
	UNTIL(child[1].started);
	return 3;
}

/* G22: several of them close in the reverse order of their declaration: the innermost first. */
RULE(G22, groups_close_in_order_with_their_block)
{
	struct life child[2] = {0};

	EXPECT(nest(child) == 3);
	EXPECT(child[0].told && child[1].told);
	EXPECT_NOTHING_TOLD();
	return 0;
}

/* G16: options of an expression's group are in force. */
RULE(G16, an_expression_with_options)
{
	struct noria_group group;
	struct noria_group_options race = {.policy = NORIA_RACE}, supervise = {.policy = NORIA_SUPERVISE};
	struct life child = {0};
	struct finisher winner = {&child.started, 7, NULL};
	struct failer bad = {NULL, -EIO};

	EXPECT(noria_grouped_with(&group, &race, ({
		       MUST(noria_spawn(&group, sleeper, &child) == 0);
		       noria_spawn(&group, finisher, &winner);
	       })) == 7);
	EXPECT(child.told);
	EXPECT(noria_grouped_with(&group, &supervise, noria_spawn(&group, failer, &bad)) == 0);
	EXPECT(rule_heard.count == 1 && rule_heard.last.code == -EIO);
	EXPECT(noria_grouped_with(&group, NULL, 5) == 5);
	supervise.policy = (enum noria_policy)77;
	EXPECT(noria_grouped_with(&group, &supervise, (rule_heard.count++, 0)) == -EINVAL);
	EXPECT(rule_heard.count == 1);
	return 0;
}

static int return_from_inside(struct noria_group *group, struct life *child)
{
	static const struct noria_group_options options = {.children_max = 2};

	int r = noria_grouped_with(group, &options, ({
					   MUST(noria_spawn(group, cleaner, child) == 0);
					   UNTIL(child->started);
					   noria_try(noria_fail(-EPROTO, "inside"));
				   }));
	return r;
}

/* G01, G29: a return from inside such an expression: the children are awaited, their failures told. */
RULE(G01, a_return_from_an_expression_with_options)
{
	struct noria_group group;
	struct life child = {.go = true, .result = -ENOSPC};

	EXPECT(return_from_inside(&group, &child) == -EPROTO);
	EXPECT(child.told && child.ended);
	EXPECT(rule_heard.count == 1 && rule_heard.last.code == -ENOSPC);
	EXPECT(noria_check() == 0);
	return 0;
}

static int collect_and_leave(int *value)
{
	static const struct noria_group_options collect = {.policy = NORIA_COLLECT};
	noria_autogroup struct noria_group group = {0};
	struct noria_result result;

	MUST(noria_group_open_with(&group, &collect) == 0);
	for (int i = 0; i < 3; i++)
		MUST(noria_spawn(&group, returner, &value[i]) == 0);
	EXPECT(noria_group_next(&group, &result) == 1 && result.result == -EIO);
	UNTIL(noria_group_size(&group) == 0);
	return 1;
}

/* G29: a collecting group that is left early: failures not handed over are told, the one handed over is not. */
RULE_WITH(G29, results_of_a_group_left_early, &told_config)
{
	int value[3] = {-EIO, 4, -EPIPE};

	EXPECT(collect_and_leave(value) == 1);
	EXPECT(LEAVES_ARE(&told, -EPIPE));
	return 0;
}

static void dispose(int result, void *arg)
{
	*(int *)arg += result;
}

static int race_and_leave(int *disposed)
{
	struct noria_group_options options = {.policy = NORIA_RACE, .dispose = dispose, .dispose_arg = disposed};
	noria_autogroup struct noria_group group = {0};
	struct finisher winner = {NULL, 7, NULL};
	struct life loser = {.go = true, .result = 20};

	MUST(noria_group_open_with(&group, &options) == 0);
	MUST(noria_spawn(&group, cleaner, &loser) == 0);
	MUST(noria_spawn(&group, finisher, &winner) == 0);
	EXPECT(noria_sleep(NORIA_FOREVER) == -ECANCELED);
	return 1;
}

/* G16: a race that is left early has no taker even for its first success: nothing that was won leaks. */
RULE(G16, the_winner_of_a_race_left_early_is_disposed_of)
{
	int disposed = 0;

	EXPECT(race_and_leave(&disposed) == 1);
	EXPECT(disposed == 27);
	EXPECT(noria_check() == 0);
	return 0;
}

/* G22: a group is no mere scope: closing it as one is refused, and nothing has changed. */
RULE(G22, a_group_is_not_closed_as_a_scope)
{
	struct noria_group group;
	struct life child = {0};

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, sleeper, &child) == 0);
	UNTIL(child.started);
	EXPECT(noria_scope_close(noria_group_scope(&group), 0) == -EINVAL);
	EXPECT(noria_check() == 0 && !child.told && noria_group_size(&group) == 1);
	noria_group_cancel(&group);
	EXPECT(noria_group_close(&group, 0) == 0);
	return 0;
}
