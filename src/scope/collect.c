/* SPDX-License-Identifier: MIT */
/*
 * Collecting groups: what became of each child waits in the order of the ends for noria_group_next(). The place for it
 * is allocated when the child is spawned, so that an end always finds one.
 */
#include "scope/child.h"

#include "base/memory.h"
#include "base/message.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct done {
	struct done *next;
	void *arg;
	uint64_t task_id;
	int result;
	bool failed;
	struct failure *failure; /* NULL: it did not fail, or there was no memory for the story */
};

struct done *noria_done_new(void *arg)
{
	struct done *done = memory_new(sizeof *done);

	if (done)
		*done = (struct done){.arg = arg};
	return done;
}

void noria_done_free(struct done *done)
{
	if (!done)
		return;
	if (done->failure)
		noria_failure_free(done->failure);
	free(done);
}

void noria_next_wake(struct group *group)
{
	struct wait *wait = group->next;

	group->next = NULL;
	noria_wait_complete(wait);
}

void noria_done_add(struct group *group, struct task *task, struct done *done, bool failed)
{
	done->task_id = task->id;
	done->result = task->result;
	done->failed = failed;
	if (failed)
		done->failure = noria_failure_new(task, task->result, task->site);
	if (group->done_last)
		group->done_last->next = done;
	else
		group->done = done;
	group->done_last = done;
	if (group->next)
		noria_next_wake(group);
}

static struct done *take(struct group *group)
{
	struct done *done = group->done;

	if (done) {
		group->done = done->next;
		if (!group->done)
			group->done_last = NULL;
	}
	return done;
}

/* The code of one without a story counts as well. */
static void keep(struct group *group, struct done *done)
{
	group->failed = true;
	if (group->code == 0)
		group->code = done->result;
	noria_failures_add(&group->failures, done->failure, group->failures_max);
	done->failure = NULL;
}

void noria_done_settle(struct group *group)
{
	struct done *done;

	noria_done_free(group->handed);
	group->handed = NULL;
	while ((done = take(group))) {
		if (done->failed)
			keep(group, done);
		noria_done_free(done);
	}
}

struct next_wait {
	struct wait wait;
	struct group *group;
};

static void abandon(struct wait *wait)
{
	container_of(wait, struct next_wait, wait)->group->next = NULL;
	noria_wait_complete(wait);
}

static void describe(const struct wait *wait, char *text, size_t size)
{
	const struct noria_site *site = container_of(wait, struct next_wait, wait)->group->scope.site;

	snprintf(text, size, "waits for the next result of the group of %s:%d", site->file, site->line);
}

static const struct wait_class next_class = {.abandon = abandon, .describe = describe};

static int refuse(const struct group *group, const struct task *task)
{
	if (!scope_is_open(&group->scope))
		return noria_refuse(-EINVAL, "noria_group_next() of a group that is not open");
	if (group->policy != NORIA_COLLECT)
		return noria_refuse(-EINVAL,
				    "noria_group_next() of the group of %s:%d, which does not collect. Remedy: open it "
				    "with the policy NORIA_COLLECT",
				    group->scope.site->file, group->scope.site->line);
	return noria_refuse(-EINVAL,
			    "task %s calls noria_group_next() for the group that task %s opened at %s:%d. Remedy: the "
			    "task that opens a group takes its results",
			    task->name, group->scope.task->name, group->scope.site->file, group->scope.site->line);
}

int noria_group_next(struct noria_group *storage, struct noria_result *ret_result)
{
	struct group *group = group_from_public(storage);
	struct task *task = noria_current();
	struct next_wait next = {.group = group};
	int r;

	if (!task)
		return -ENXIO;
	if (!scope_is_open(&group->scope) || group->policy != NORIA_COLLECT || group->scope.task != task)
		return task_answer(task, refuse(group, task));
	r = scope_door(task);
	if (r < 0)
		return r;
	if (group->done || group->live == 0)
		task_spend(task);
	noria_done_free(group->handed);
	group->handed = NULL;
	if (!group->done) {
		if (group->live == 0)
			return 0;
		noria_wait_init(&next.wait, &next_class);
		group->next = &next.wait;
		scope_wait(task, &next.wait);
		if (next.wait.abandoned)
			return noria_scope_answer(task);
	}
	group->handed = take(group);
	if (!group->handed)
		return 0;
	*ret_result = (struct noria_result){.result = group->handed->result,
					    .task_id = group->handed->task_id,
					    .arg = group->handed->arg,
					    .failure = group->handed->failure ? &group->handed->failure->public : NULL};
	return 1;
}
