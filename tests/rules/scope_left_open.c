/* SPDX-License-Identifier: MIT */
/*
 * A task whose function returns while scopes or groups of it are open. Their storage is about to vanish with its stack:
 * they are closed for it, a group's children are cancelled and awaited first, and the fault is the task's failure.
 */
#include "group_tasks.h"

static int leave_a_scope_open(__attribute__((unused)) void *arg)
{
	struct noria_scope outer, inner;

	MUST(noria_scope_open(&outer, noria_now() + noria_sec(3600), 0) == 0);
	MUST(noria_scope_open(&inner, NORIA_FOREVER, NORIA_SCOPE_SHIELD) == 0);
	EXPECT(noria_sleep(1) == 0);
	return 0;
}

/* G22: open scopes of a task that has returned: the task failed, its siblings are cancelled, nothing dangles. */
RULE(G22, a_task_that_leaves_scopes_open_has_failed)
{
	struct noria_group group;
	struct life child = {0};

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, sleeper, &child) == 0);
	MUST(noria_spawn(&group, leave_a_scope_open, NULL) == 0);
	EXPECT(noria_group_close(&group, 0) == -EINVAL);
	EXPECT(strstr(noria_message(), "leave_a_scope_open") && strstr(noria_message(), "scope_left_open.c"));
	EXPECT(child.told);
	noria_group_cancel(&group);
	EXPECT(noria_sleep(1) == 0);
	return 0;
}

static struct life grandchild;
static int used_after;

/* Works on its parent's stack until its clean-up has ended. */
static int use_stack_of_parent(void *arg)
{
	volatile int *cell = arg;
	int r;

	*cell = 1;
	r = sleeper(&grandchild);
	EXPECT(noria_shielded(NORIA_FOREVER, yield_times(100)) == 0);
	used_after = *cell;
	*cell = 2;
	return r;
}

static int leave_a_group_open(__attribute__((unused)) void *arg)
{
	struct noria_group group;
	volatile int cell = 0;

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, use_stack_of_parent, (void *)(uintptr_t)&cell) == 0);
	UNTIL(grandchild.started);
	return 0;
}

/* G22, G01: an open group of a task that has returned: its children are cancelled and awaited all the same. */
RULE(G22, a_task_that_leaves_a_group_open_waits_for_its_children)
{
	struct noria_group group;

	memset(&grandchild, 0, sizeof grandchild);
	used_after = 0;
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, leave_a_group_open, NULL) == 0);
	EXPECT(noria_group_close(&group, 0) == -EINVAL);
	EXPECT(grandchild.told && grandchild.ended);
	EXPECT(used_after == 1);
	return 0;
}

static int leave_a_failing_group_open(__attribute__((unused)) void *arg)
{
	struct noria_group group;
	static struct failer bad = {NULL, -EIO};

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, failer, &bad) == 0);
	return 0;
}

/* G22: what fails in such a group is not lost: the handler hears of it. */
RULE(G22, a_failure_in_a_group_left_open_reaches_the_handler)
{
	struct noria_group group;

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, leave_a_failing_group_open, NULL) == 0);
	EXPECT(noria_group_close(&group, 0) == -EINVAL);
	EXPECT(rule_heard.count == 1 && rule_heard.last.code == -EIO);
	return 0;
}

static int leave_all_open_and_fail(__attribute__((unused)) void *arg)
{
	struct noria_scope scope;

	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
	return -EPIPE;
}

/* G22: an error of its own that the task returns is not replaced. */
RULE(G22, the_own_error_of_a_task_that_leaves_scopes_open_stands)
{
	struct noria_group group;

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, leave_all_open_and_fail, NULL) == 0);
	EXPECT(noria_group_close(&group, 0) == -EPIPE);
	return 0;
}

/* G22: the same for the root task, whose result is the run's. */
Test(G22, a_root_that_leaves_scopes_open_has_failed)
{
	for (int t = NORIA_TIMEOUTS_LINKED; t <= NORIA_TIMEOUTS_HEAP; t++) {
		EXPECT(rule_run(leave_a_scope_open, NULL, NULL, (enum noria_timeouts)t) == -EINVAL);
		EXPECT(strstr(noria_message(), "scope_left_open.c") != NULL);
	}
}

/* G22: also for its groups, whose children are awaited before the run ends. */
Test(G22, a_root_that_leaves_a_group_open_waits_for_its_children)
{
	for (int t = NORIA_TIMEOUTS_LINKED; t <= NORIA_TIMEOUTS_HEAP; t++) {
		memset(&grandchild, 0, sizeof grandchild);
		EXPECT(rule_run(leave_a_group_open, NULL, NULL, (enum noria_timeouts)t) == -EINVAL);
		EXPECT(grandchild.ended);
	}
}
