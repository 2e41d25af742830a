/* SPDX-License-Identifier: MIT */
/*
 * Deadlock. When the loop is about to sleep and no timer, operation, other thread or signal can wake a task, it would
 * sleep for ever. The failure handler gets the tree of tasks, and the run is cancelled, so that everybody cleans up and
 * noria_run() can say -EDEADLK. Clean-up that gets stuck in its turn loses its shields; if even that wakes nobody, the
 * process ends: a program that hangs without a word is the one thing that must not come of it.
 *
 * A signal counts as long as it would end some wait that is made for that: an idle one, by the drain, or one that lasts
 * until the run ends (wait.h), by the cancel after the drain.
 */
#include "runtime/deadlock.h"

#include "base/message.h"
#include "runtime/drain.h"
#include "runtime/tree.h"

#include <errno.h>
#include <stdio.h>

enum { TEXT_SIZE = 3584 };

static bool signal_ends(const struct task *task)
{
	const struct wait *wait = task->wait;

	if (!wait->class->abandon || wait->abandoned)
		return false;
	for (const struct scope *scope = task->scope;; scope = scope->parent) {
		if (scope->idle)
			return true;
		if (scope->shield)
			return false;
		if (!scope->parent)
			return wait->class->lasting;
	}
}

static bool signal_may_come(struct loop *loop)
{
	if (loop->config.signals == NORIA_SIGNALS_NONE)
		return false;
	for (struct list *node = loop->tasks.next; node != &loop->tasks; node = node->next)
		if (signal_ends(list_entry(node, struct task, all)))
			return true;
	return false;
}

static void report(const struct drain *drain, const char *what)
{
	struct loop *loop = drain->loop;
	const struct task *root = drain->root->task;
	struct noria_failure failure = noria_failure_bare(root, -EDEADLK, root->site);
	char text[TEXT_SIZE];
	int n = snprintf(text, sizeof text, "deadlock: %s, and no timer, operation, thread or signal can wake one",
			 what);

	noria_describe_tree(drain->root, text + n, sizeof text - (size_t)n);
	noria_report(loop, &failure, text);
}

static _Noreturn void give_up(const struct drain *drain)
{
	report(drain, "the run was cancelled, but its tasks are in waits that cannot be");
	noria_refuse(-EDEADLK, "deadlock: tasks wait for ever in calls that cannot be cancelled");
	noria_assert_failed(noria_message(), __FILE__, __LINE__);
}

/* False: let the loop sleep. */
static bool on_stuck(struct loop *loop, bool sure)
{
	struct drain *drain = loop->drain;

	if (!sure && signal_may_come(loop))
		return false;
	if (!drain->deadlocked) {
		drain->deadlocked = true;
		report(drain, "every task waits");
		noria_scope_interrupt(drain->root, NORIA_CAUSE_DEADLOCK, NULL, NULL, NULL);
	} else {
		noria_scope_pierce(drain->root);
		if (fifo_empty(&loop->ready) && list_empty(&loop->cancels))
			give_up(drain);
	}
	return true;
}

void noria_deadlock_watch(struct drain *drain)
{
	drain->loop->on_stuck = on_stuck;
}
