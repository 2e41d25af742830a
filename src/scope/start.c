/* SPDX-License-Identifier: MIT */
/*
 * The start handshake. The starter's wait is completed by the child: by being ready, or by its end. A starter that is
 * cancelled cancels the child and waits for its end, so that no half started child is left behind.
 */
#include "scope/child.h"

#include "base/message.h"

#include <errno.h>
#include <stdio.h>

/* The starter cancels the child itself when it runs: a long chain of starts must not be one of calls on this stack. */
static void abandon(struct wait *wait)
{
	container_of(wait, struct start, wait)->stopping = true;
	noria_wait_complete(wait);
}

static void describe(const struct wait *wait, char *text, size_t size)
{
	const struct task *task = &container_of(wait, struct start, wait)->child->task;

	snprintf(text, size, "waits for task %s of %s:%d to be ready", task->name, task->site->file, task->site->line);
}

static const struct wait_class start_class = {.abandon = abandon, .describe = describe};
static const struct wait_class stop_class = {.describe = describe};

static void finish(struct start *start, int value)
{
	start->child->start = NULL;
	start->value = value;
	start->finished = true;
	if (!start->wait.done)
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
		noria_error_take(starter, &child->error);
	else
		noria_error_arose(starter, result);
	return result;
}

void noria_start_ended(struct child *child)
{
	struct start *start = child->start;

	finish(start, answer(child, start->wait.task));
}

static void stop(struct start *start, struct task *starter)
{
	noria_scope_interrupt(&start->child->root, NORIA_CAUSE_EXPLICIT, starter, start->child->task.site,
			      "its starter was cancelled");
	noria_wait_init(&start->wait, &stop_class);
	noria_wait_park(&start->wait);
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
	if (!start.finished)
		stop(&start, task);
	if (start.stopping && start.value == -ECANCELED)
		(void)noria_scope_answer(task); /* this cancel has been seen now */
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
	if (child->start->stopping)
		return noria_refuse(-ECANCELED, "the starter of task %s (spawned at %s:%d) was cancelled", task->name,
				    site->file, site->line);
	finish(child->start, value);
	return 0;
}
