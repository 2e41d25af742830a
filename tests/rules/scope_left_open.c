/* SPDX-License-Identifier: MIT */
/*
 * A task whose function returns while scopes or groups of it are open. Their storage is about to vanish with its stack:
 * they are closed for it, a group's children are cancelled and awaited first, and the fault is the task's failure.
 */
#include "group_tasks.h"

#include <signal.h>
#include <sys/wait.h>

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
Test(G22, a_root_that_leaves_scopes_open_has_failed, .timeout = 60)
{
	for (int t = NORIA_TIMEOUTS_LINKED; t <= NORIA_TIMEOUTS_HEAP; t++) {
		EXPECT(rule_run(leave_a_scope_open, NULL, NULL, (enum noria_timeouts)t) == -EINVAL);
		EXPECT(strstr(noria_message(), "scope_left_open.c") != NULL);
	}
}

/* G22: also for its groups, whose children are awaited before the run ends. */
Test(G22, a_root_that_leaves_a_group_open_waits_for_its_children, .timeout = 60)
{
	for (int t = NORIA_TIMEOUTS_LINKED; t <= NORIA_TIMEOUTS_HEAP; t++) {
		memset(&grandchild, 0, sizeof grandchild);
		EXPECT(rule_run(leave_a_group_open, NULL, NULL, (enum noria_timeouts)t) == -EINVAL);
		EXPECT(grandchild.ended);
	}
}

static struct noria_scope lost;

static int lose_a_scope(__attribute__((unused)) void *arg)
{
	MUST(noria_scope_open(&lost, NORIA_FOREVER, 0) == 0);
	memset(&lost, 0x55, sizeof lost); /* as its storage in a frame that is gone would be */
	return 0;
}

static int spawn_a_loser(__attribute__((unused)) void *arg)
{
	struct noria_group group;

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, lose_a_scope, NULL) == 0);
	return noria_group_close(&group, 0);
}

/* G22: when the storage of an open scope has been overwritten nothing can be saved: the process ends, and says why. */
Test(G22, a_scope_whose_storage_was_overwritten_ends_the_process, .timeout = 60)
{
	char text[1024] = {0};
	int out[2], status;
	pid_t pid;

	cr_assert(pipe(out) == 0);
	pid = fork();
	if (pid == 0) {
		alarm(30);
		dup2(out[1], STDERR_FILENO);
		_exit(noria_run(NULL, spawn_a_loser, NULL) == 0);
	}
	close(out[1]);
	for (size_t n = 0; n < sizeof text - 1;) {
		ssize_t r = read(out[0], text + n, sizeof text - 1 - n);

		if (r <= 0)
			break;
		n += (size_t)r;
	}
	cr_assert(waitpid(pid, &status, 0) == pid);
	EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	EXPECT(strstr(text, "lose_a_scope") && strstr(text, "scope_left_open.c"));
	close(out[0]);
}

static int leave_a_group_inside(struct noria_group *group, struct life *child)
{
	MUST(noria_group_open(group) == 0);
	MUST(noria_spawn(group, sleeper, child) == 0);
	UNTIL(child->started);
	return 5;
}

static int leave_a_group_inside_by_return(struct noria_group *group, struct life *child)
{
	noria_within(noria_sec(3600), ({
			     MUST(leave_a_group_inside(group, child) == 5);
			     return 6;
			     0;
		     }));
	return 7;
}

/* G22: noria_within() refuses such an expression, closes what it left open, and tells the handler; the task goes on. */
RULE(G22, an_expression_that_leaves_a_group_open_is_tidied_up)
{
	struct noria_group group;
	struct life child = {0}, other = {0};

	EXPECT(noria_within(noria_sec(3600), leave_a_group_inside(&group, &child)) == -EINVAL);
	EXPECT(child.told && child.ended);
	EXPECT(rule_heard.count == 1 && rule_heard.last.code == -EINVAL);
	EXPECT(rule_heard.last.spawn && strstr(rule_heard.last.spawn->file, "scope_left_open.c"));
	EXPECT(leave_a_group_inside_by_return(&group, &other) == 6);
	EXPECT(other.told && other.ended && rule_heard.count == 2);
	EXPECT(noria_deadline() == NORIA_FOREVER && noria_sleep(1) == 0);
	return 0;
}
