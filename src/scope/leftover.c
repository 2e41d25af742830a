/* SPDX-License-Identifier: MIT */
/*
 * Scopes, groups and streams that were left open. A group's children may point into the frames of their parent, dead as
 * they are: the task stays until they have ended.
 */
#include "scope/leftover.h"

#include "base/message.h"
#include "scope/enter.h"
#include "scope/group.h"
#include "task/storage.h"

#include <errno.h>

void (*noria_left_open)(const struct task *task, const struct noria_site *site, const struct scope *scope);

/* A fault of the task's function, which is its failure unless it has another. */
static void left_open(struct task *task, const struct noria_site *site, const struct scope *scope)
{
	if (noria_left_open)
		noria_left_open(task, site, scope);
	if (task->result >= 0 || task->result == -ECANCELED)
		task->result = noria_fail_at(-EINVAL, site, "the %s of %s:%d was left open", site->what, site->file,
					     site->line);
	noria_refuse(-EINVAL, "task %s ended and left the %s of %s:%d open", task->name, site->what, site->file,
		     site->line);
}

static void close_innermost(struct task *task)
{
	struct scope *scope = task->scope;

	if (!scope_is_open(scope))
		noria_scope_lost(task);
	if (scope->group) {
		noria_group_abandon(container_of(scope, struct group, scope), task,
				    "a failure in a group that was left open");
		return;
	}
	noria_scope_interrupt(scope, NORIA_CAUSE_EXPLICIT, task, scope->site, "left open");
	task->scope = scope->parent;
	scope_leave(scope, scope->site);
}

bool noria_scopes_close_inside(struct task *task, const struct scope *around)
{
	const struct scope *scope = task->scope;

	while (scope != around && scope != task->outermost) {
		if (!scope_is_open(scope))
			noria_scope_lost(task);
		scope = scope->parent;
	}
	if (scope != around)
		return false;
	while (task->scope != around) {
		struct noria_failure failure = noria_failure_bare(task, -EINVAL, task->scope->site);

		noria_report(task->loop, &failure, "a scope or group was left open by its function");
		close_innermost(task);
	}
	return true;
}

/* One that is closed without a wait; with `any`, the first. */
static struct leftover *next_leftover(struct task *task, bool any)
{
	for (struct list *node = task->leftovers.next; node != &task->leftovers; node = node->next) {
		struct leftover *leftover = list_entry(node, struct leftover, node);

		if (leftover->task != task)
			noria_storage_lost(task->loop, task, leftover);
		if (any || !leftover->waits)
			return leftover;
	}
	return NULL;
}

static void close_all(struct task *task, bool any)
{
	struct leftover *leftover;

	while ((leftover = next_leftover(task, any))) {
		const struct noria_site *site = leftover->site;

		leftover_remove(leftover);
		if (leftover->close(leftover))
			left_open(task, site, NULL);
	}
}

/* Locks come first: children that are waited for may need them. */
void noria_close_leftovers(struct task *task)
{
	close_all(task, false);
	while (task->scope != task->outermost) {
		if (scope_is_open(task->scope))
			left_open(task, task->scope->site, task->scope);
		close_innermost(task);
	}
	close_all(task, true);
}
