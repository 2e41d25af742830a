/* SPDX-License-Identifier: MIT */
/*
 * The start handshake. The starter's wait is completed by the child: by being ready, or by its end. A cancel of the starter
 * is handed on to the child and the wait goes on, so that no half started child is left behind.
 */
#include "scope/child.h"

#include "base/message.h"

#include <errno.h>
#include <stdio.h>

static void abandon(struct wait *wait)
{
	struct start *start = container_of(wait, struct start, wait);

	noria_scope_interrupt(&start->child->root, NORIA_CAUSE_EXPLICIT, wait->task, start->child->task.site,
			      "its starter was cancelled");
}

static void describe(const struct wait *wait, char *text, size_t size)
{
	const struct task *task = &container_of(wait, struct start, wait)->child->task;

	snprintf(text, size, "waits for task %s of %s:%d to be ready", task->name, task->site->file, task->site->line);
}

static const struct wait_class start_class = {.abandon = abandon, .describe = describe};

static void finish(struct start *start, int value)
{
	start->child->start = NULL;
	start->value = value;
	noria_wait_complete(&start->wait);
}

/* What the starter hears of a child that ended before it was ready. */
static int answer(struct child *child, struct task *starter)
{
	int result = child->task.result;

	if (result >= 0) {
		if (child->root.cancelled)
			return -ECANCELED;
		return noria_refuse(-EPROTO, "task %s, started at %s:%d, ended and never said that it was ready",
				    child->task.name, child->task.site->file, child->task.site->line);
	}
	if (child->error.code == result)
		noria_error_move(&child->task, starter);
	return result;
}

void noria_start_ended(struct child *child)
{
	struct start *start = child->start;

	finish(start, answer(child, start->wait.task));
}

int noria_start_at(struct noria_group *group, noria_task_fn *fn, void *arg, const struct noria_spawn_options *options,
		   const struct noria_site *site)
{
	struct start start = {.child = NULL};
	struct spawn_spec spec = {.fn = fn, .arg = arg, .options = options, .site = site, .start = &start};
	struct task *task = noria_current();
	int r;

	if (!task)
		return -ENXIO;
	r = scope_door(task);
	if (r >= 0)
		r = noria_spawn_child(group_from_public(group), &spec);
	if (r < 0)
		return r;
	noria_wait_init(&start.wait, &start_class);
	scope_wait(task, &start.wait);
	return start.value;
}

int noria_ready(int value)
{
	struct task *task = noria_current();
	struct child *child;
	const struct noria_site *site;

	if (!task)
		return -ENXIO;
	child = child_of(task);
	site = task->site;
	if (value < 0)
		return noria_refuse(-EINVAL,
				    "task %s (spawned at %s:%d) is ready with %d: a value must not be negative",
				    task->name, site->file, site->line, value);
	if (!child->start)
		return noria_refuse(-EINVAL,
				    child->had_start ? "task %s (spawned at %s:%d) says twice that it is ready"
						     : "task %s (spawned at %s:%d) says that it is ready, but was not "
						       "started by noria_start()",
				    task->name, site->file, site->line);
	if (child->start->wait.abandoned)
		return noria_refuse(-ECANCELED, "the starter of task %s (spawned at %s:%d) was cancelled", task->name,
				    site->file, site->line);
	finish(child->start, value);
	return 0;
}
