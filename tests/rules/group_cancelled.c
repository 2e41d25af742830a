/* SPDX-License-Identifier: MIT */
/*
 * To end because one was told to end is no failure, and to say "cancelled" without having been told is one. Both
 * directions are proven for each way in which a task can come to be cancelled.
 */
#include "group_tasks.h"

/* G06: children that end with the group's own cancel are no failures. */
RULE(G06, children_cancelled_with_their_group_are_no_failures)
{
	struct noria_group group;
	struct life child[2] = {0};

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, sleeper, &child[0]) == 0);
	MUST(noria_spawn(&group, sleeper, &child[1]) == 0);
	UNTIL(child[1].started);
	noria_group_cancel(&group);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(child[0].heard == -ECANCELED && child[1].heard == -ECANCELED);
	EXPECT(rule_heard.count == 0);
	return 0;
}

/* G06: nor are those that an outer cancel ended. */
RULE(G06, children_cancelled_from_outside_are_no_failures)
{
	struct noria_scope outer;
	struct noria_group group;
	struct life child = {0};

	MUST(noria_scope_open(&outer, NORIA_FOREVER, 0) == 0);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, sleeper, &child) == 0);
	UNTIL(child.started);
	noria_scope_cancel(&outer);
	EXPECT(noria_group_close(&group, -ECANCELED) == -ECANCELED);
	EXPECT(child.heard == -ECANCELED);
	EXPECT(noria_scope_close(&outer, -ECANCELED) == 0);
	EXPECT(rule_heard.count == 0);
	return 0;
}

/* G06: nor those that ended because a sibling failed: the one failure stands alone. */
RULE(G06, siblings_of_a_failure_are_no_further_failures)
{
	struct noria_group group;
	struct life child[5] = {0};
	struct failer bad = {&child[4].started, -EIO};

	MUST(noria_group_open(&group) == 0);
	for (int i = 0; i < 5; i++)
		MUST(noria_spawn(&group, sleeper, &child[i]) == 0);
	MUST(noria_spawn(&group, failer, &bad) == 0);
	EXPECT(noria_group_close(&group, 0) == -EIO);
	EXPECT(child[0].heard == -ECANCELED);
	EXPECT(rule_heard.count == 0);
	return 0;
}

/* G06: nor those that the group's deadline ended: the group timed out, it did not fail. */
RULE(G06, children_ended_by_the_deadline_are_no_failures)
{
	struct noria_group group;
	struct life child = {0};

	MUST(noria_group_open_until(&group, noria_now() + noria_msec(5)) == 0);
	MUST(noria_spawn(&group, sleeper, &child) == 0);
	EXPECT(noria_group_close(&group, 0) == -ETIMEDOUT);
	EXPECT(child.heard == -ECANCELED);
	EXPECT(rule_heard.count == 0);
	return 0;
}

/* G06: a body that ends because a child's failure stopped it adds no failure. */
RULE(G06, a_cancelled_body_is_no_further_failure)
{
	struct noria_group group;
	struct failer bad = {NULL, -EIO};

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, failer, &bad) == 0);
	EXPECT(noria_sleep(NORIA_FOREVER) == -ECANCELED);
	EXPECT(noria_group_close(&group, -ECANCELED) == -EIO);
	EXPECT(rule_heard.count == 0);
	return 0;
}

/* G06, the other way round: -ECANCELED from a child whom nobody cancelled is a failure like any other. */
RULE(G06, an_unasked_cancellation_of_a_child_is_a_failure)
{
	struct noria_group group;
	struct life child = {0};
	int code = -ECANCELED;

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, sleeper, &child) == 0);
	MUST(noria_spawn(&group, returner, &code) == 0);
	EXPECT(noria_group_close(&group, 0) == -ECANCELED);
	EXPECT(child.told);
	EXPECT(noria_check() == 0);
	return 0;
}

/* G06, the other way round: so it is from a body whom nobody cancelled, and the children are cancelled by it. */
RULE(G06, an_unasked_cancellation_of_the_body_is_a_failure)
{
	struct noria_group group;
	struct life child = {0};

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, sleeper, &child) == 0);
	UNTIL(child.started);
	EXPECT(noria_group_close(&group, -ECANCELED) == -ECANCELED);
	EXPECT(child.told);
	EXPECT(noria_check() == 0);
	return 0;
}

/* G07: failures and an outer cancel: close answers with the failure, the checkpoint after it with -ECANCELED. */
RULE(G07, the_failure_first_then_the_cancellation)
{
	struct noria_scope outer;
	struct noria_group group;
	struct life child = {.go = true, .result = -EIO};

	MUST(noria_scope_open(&outer, NORIA_FOREVER, 0) == 0);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, cleaner, &child) == 0);
	UNTIL(child.started);
	noria_scope_cancel(&outer);
	EXPECT(noria_group_close(&group, -ECANCELED) == -EIO);
	EXPECT(noria_check() == -ECANCELED);
	EXPECT(noria_yield() == -ECANCELED);
	EXPECT(noria_scope_close(&outer, -EIO) == -EIO);
	EXPECT(noria_check() == 0);
	return 0;
}

static int until_empty(const struct noria_group *group)
{
	UNTIL(noria_group_size(group) == 0);
	return 0;
}

/* G07: the same when the failure came first and the outer cancel during the wait for the others. */
RULE(G07, a_cancel_after_the_failure_is_not_lost)
{
	struct noria_scope outer;
	struct noria_group group, others;
	struct life child = {0};
	struct failer bad = {&child.started, -EIO};
	struct scope_canceller canceller = {&outer, &child.told};

	MUST(noria_group_open(&others) == 0);
	MUST(noria_scope_open(&outer, NORIA_FOREVER, 0) == 0);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, cleaner, &child) == 0);
	MUST(noria_spawn(&group, failer, &bad) == 0);
	MUST(noria_spawn(&others, scope_canceller, &canceller) == 0);
	EXPECT(noria_sleep(NORIA_FOREVER) == -ECANCELED);
	EXPECT(noria_shielded(NORIA_FOREVER, until_empty(&others)) == 0);
	child.go = true;
	EXPECT(noria_group_close(&group, -ECANCELED) == -EIO);
	EXPECT(noria_check() == -ECANCELED);
	EXPECT(noria_scope_close(&outer, -EIO) == -EIO);
	EXPECT(noria_group_close(&others, 0) == 0);
	return 0;
}
