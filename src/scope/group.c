/* SPDX-License-Identifier: MIT */
/*
 * Groups, fail-fast: the first failure of a child or of the body cancels everything in the group, close waits for all
 * and returns that failure. Further failures reach the failure handler at the moment they happen; none is dropped.
 *
 * What counts as a failure: a negative result, but for -ECANCELED in a task whose scope really was cancelled or is
 * draining. A kernel's -ECANCELED that the runtime did not ask for is a failure like any other.
 */
#include "scope/group.h"

#include "base/message.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

_Static_assert(sizeof(struct group) <= sizeof(struct noria_group), "struct noria_group is too small");
_Static_assert(_Alignof(struct group) <= _Alignof(struct noria_group), "struct noria_group is aligned too little");

static struct group *from_public(const struct noria_group *group)
{
	return (struct group *)(uintptr_t)group;
}

void noria_report(struct loop *loop, const struct noria_failure *failure, const char *text)
{
	char line[4096];
	int n;

	if (loop->config.on_failure) {
		loop->config.on_failure(failure, text, loop->config.on_failure_arg);
		return;
	}
	n = snprintf(line, sizeof line, "noria: task %s (%s:%d): %s: %s\n", failure->task,
		     failure->spawn ? failure->spawn->file : "?", failure->spawn ? failure->spawn->line : 0,
		     strerror(-failure->code), text);
	if (n > 0 && write(STDERR_FILENO, line, (size_t)n < sizeof line ? (size_t)n : sizeof line - 1) < 0)
		return; /* nowhere left to say it */
}

static void group_fail(struct group *group, const struct noria_failure *failure)
{
	if (group->failed) {
		noria_report(group->scope.task->loop, failure, "a further failure in a group");
		return;
	}
	group->failed = true;
	group->failure = *failure;
	noria_scope_interrupt(&group->scope, NORIA_CAUSE_SIBLING);
}

static bool only_cancelled(const struct scope *scope, int result)
{
	return result == -ECANCELED && (scope->cancelled || scope->draining);
}

static void group_enter(struct group *group, struct task *task, int64_t deadline_ns, const struct noria_site *site)
{
	noria_scope_enter(&group->scope, task, task->scope, deadline_ns, 0, site);
	group->scope.group = true;
	group->live = 0;
	group->join = NULL;
	group->closed = group->failed = false;
	task->scope = &group->scope;
}

int noria_group_open_at(struct noria_group *storage, int64_t deadline_ns, const struct noria_site *site)
{
	struct group *group = from_public(storage);
	struct task *task = noria_current();
	int r;

	if (!task)
		return -ENXIO;
	r = noria_scope_refuse_open(&group->scope, site);
	if (r < 0)
		return r;
	group_enter(group, task, deadline_ns, site);
	return 0;
}

/* A join cannot be abandoned: the cancel that would do so has reached the children already, and they are awaited. */
static void describe_join(const struct wait *wait, char *text, size_t size)
{
	const struct scope *scope = wait->task->scope;

	snprintf(text, size, "waits for the children of the group of %s:%d", scope->site->file, scope->site->line);
}

static const struct wait_class join_class = {.describe = describe_join};

static void join(struct group *group, struct task *task)
{
	struct wait wait;

	if (group->live == 0) {
		group->closed = true;
		return;
	}
	noria_wait_init(&wait, &join_class);
	group->join = &wait;
	scope_wait(task, &wait);
	group->join = NULL;
}

static int group_verdict(struct group *group, struct task *task, int result)
{
	struct scope *parent = group->scope.parent;
	ssize_t verdict;

	task->scope = parent;
	noria_scope_leave(&group->scope);
	verdict = noria_scope_verdict(&group->scope, result);
	if (group->failed)
		return group->failure.code;
	if (verdict == -ETIMEDOUT)
		return -ETIMEDOUT;
	/* Closing is a checkpoint of the scope around the group. */
	return noria_scope_answer(task) < 0 ? -ECANCELED : (int)verdict;
}

static int group_close(struct group *group, struct task *task, int result)
{
	if (result < 0 && !only_cancelled(&group->scope, result)) {
		struct noria_failure failure = {.code = result, .task = task->name, .spawn = group->scope.site};

		group_fail(group, &failure);
	}
	join(group, task);
	return group_verdict(group, task, result);
}

int noria_group_close(struct noria_group *storage, int result)
{
	struct group *group = from_public(storage);
	struct task *task = noria_current();
	int r;

	if (!task)
		return -ENXIO;
	r = noria_scope_refuse_close(&group->scope, task);
	if (r < 0)
		return r;
	return group_close(group, task, result);
}

/* Left by a `return` in the middle: the error that went with it is its function's to report; the children end here. */
void noria_group_cleanup_(struct noria_group **pointer)
{
	struct group *group = *pointer ? from_public(*pointer) : NULL;
	struct task *task = group && scope_is_open(&group->scope) ? noria_current() : NULL;

	if (!task || !noria_scopes_close_inside(task, &group->scope))
		return;
	noria_scope_interrupt(&group->scope, NORIA_CAUSE_EXPLICIT);
	(void)group_close(group, task, 0);
	if (group->failed)
		noria_report(task->loop, &group->failure, "a failure in a group that its body left early");
}

void noria_group_cancel(struct noria_group *storage)
{
	struct group *group = from_public(storage);

	if (scope_is_open(&group->scope))
		noria_scope_interrupt(&group->scope, NORIA_CAUSE_EXPLICIT);
}

size_t noria_group_size(const struct noria_group *storage)
{
	return scope_is_open(&from_public(storage)->scope) ? from_public(storage)->live : 0;
}

/* The last thing a child does, on its own stack. */
static void child_ended(struct task *task)
{
	struct child *child = container_of(task, struct child, task);
	struct group *group = child->group;

	noria_child_close_leftovers(child);
	if (task->result < 0 && !only_cancelled(&child->root, task->result)) {
		struct noria_failure failure = {
			.code = task->result, .task_id = task->id, .task = task->name, .spawn = task->site};

		group_fail(group, &failure);
	}
	noria_scope_leave(&child->root);
	if (--group->live == 0 && group->join) {
		group->closed = true;
		noria_wait_complete(group->join);
	}
}

static int refuse_spawn(const struct group *group, const struct noria_site *site)
{
	if (!scope_is_open(&group->scope) || group->closed)
		return noria_refuse(-EINVAL, "spawning %s at %s:%d into a group that is closed", site->what, site->file,
				    site->line);
	return noria_refuse(-ECANCELED, "spawning %s at %s:%d into the group of %s:%d, which is cancelled", site->what,
			    site->file, site->line, group->scope.site->file, group->scope.site->line);
}

static int check_options(const struct noria_spawn_options *options, const struct noria_site *site)
{
	if (options->stack_size > (size_t)1 << STACK_MAX_LOG2)
		return noria_refuse(-EINVAL, "spawning %s at %s:%d with a stack of %zu bytes: the limit is 256 MiB",
				    site->what, site->file, site->line, options->stack_size);
	for (size_t i = 0; i < sizeof options->reserved / sizeof options->reserved[0]; i++)
		if (options->reserved[i])
			return noria_refuse(-EINVAL,
					    "spawning %s at %s:%d: struct noria_spawn_options: reserved must be zero",
					    site->what, site->file, site->line);
	return 0;
}

static int spawn(struct noria_group *storage, noria_task_fn *fn, void *arg, size_t copy,
		 const struct noria_spawn_options *options, const struct noria_site *site)
{
	struct group *group = from_public(storage);
	struct task *current = noria_current(), *task;
	struct task_spec spec = {
		.fn = fn, .arg = arg, .name = site->what, .site = site, .extra = copy, .on_end = child_ended};
	struct child *child;
	int r;

	if (!current)
		return -ENXIO;
	if (unlikely(!fn))
		return noria_refuse(-EINVAL, "spawning at %s:%d without a function", site->file, site->line);
	if (unlikely(scope_is_open(&group->scope) && group->scope.task->loop != current->loop))
		return noria_refuse(-EINVAL, "spawning %s at %s:%d into a group of another thread's runtime",
				    site->what, site->file, site->line);
	if (unlikely(!scope_is_open(&group->scope) || group->closed || group->scope.cancelled))
		return refuse_spawn(group, site);
	r = options ? check_options(options, site) : 0;
	if (unlikely(r < 0))
		return r;
	spec.stack_size = options && options->stack_size ? options->stack_size : current->loop->stack_size;
	spec.name = options && options->name ? options->name : site->what;
	r = noria_task_new(current->loop, sizeof(struct child), &spec, &task);
	if (unlikely(r < 0))
		return r;
	if (copy > 0)
		task->arg = memcpy(task_extra(task, sizeof(struct child)), arg, copy);
	child = container_of(task, struct child, task);
	child->group = group;
	noria_scope_enter(&child->root, task, &group->scope, NORIA_FOREVER, 0, site);
	task->scope = task->outermost = &child->root;
	group->live++;
	noria_task_start(task);
	return 0;
}

int noria_spawn_at(struct noria_group *group, noria_task_fn *fn, void *arg, const struct noria_spawn_options *options,
		   const struct noria_site *site)
{
	return spawn(group, fn, arg, 0, options, site);
}

int noria_spawn_copy_at(struct noria_group *group, noria_task_fn *fn, const void *arg, size_t size,
			const struct noria_spawn_options *options, const struct noria_site *site)
{
	if (size > NORIA_SPAWN_COPY_MAX)
		return noria_refuse(-EINVAL, "spawning %s at %s:%d with a copy of %zu bytes: the limit is %d",
				    site->what, site->file, site->line, size, NORIA_SPAWN_COPY_MAX);
	return spawn(group, fn, (void *)(uintptr_t)arg, size, options, site);
}

int noria_root_new(struct loop *loop, noria_task_fn *fn, void *arg, const struct noria_site *site,
		   void (*on_end)(struct task *), struct child **ret_child)
{
	struct task_spec spec = {.fn = fn,
				 .arg = arg,
				 .name = site->what,
				 .site = site,
				 .stack_size = loop->stack_size,
				 .on_end = on_end};
	struct child *child;
	struct task *task;
	int r = noria_task_new(loop, sizeof *child, &spec, &task);

	if (r < 0)
		return r;
	child = container_of(task, struct child, task);
	noria_scope_enter(&child->root, task, NULL, NORIA_FOREVER, 0, site);
	task->scope = task->outermost = &child->root;
	*ret_child = child;
	return 0;
}

/* A fault of the task's function, which is its failure unless it has another. */
static void left_open(struct task *task, const struct noria_site *site)
{
	noria_refuse(-EINVAL, "task %s ended and left the %s of %s:%d open", task->name, site->what, site->file,
		     site->line);
	if (task->result >= 0 || task->result == -ECANCELED)
		task->result = -EINVAL;
}

/* A group's children may point into the frames of their parent, dead as they are: it stays until they have ended. */
static void close_scope(struct task *task, struct scope *scope)
{
	noria_scope_interrupt(scope, NORIA_CAUSE_EXPLICIT);
	if (scope->group) {
		struct group *group = container_of(scope, struct group, scope);

		if (group_close(group, task, 0) < 0 && group->failed)
			noria_report(task->loop, &group->failure, "a failure in a group that was left open");
	} else {
		task->scope = scope->parent;
		noria_scope_leave(scope);
	}
}

static void close_innermost(struct task *task)
{
	if (!scope_is_open(task->scope))
		noria_scope_lost(task);
	close_scope(task, task->scope);
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
		struct noria_failure failure = {
			.code = -EINVAL, .task_id = task->id, .task = task->name, .spawn = task->scope->site};

		noria_report(task->loop, &failure, "a scope or group was left open by its function");
		close_innermost(task);
	}
	return true;
}

void noria_child_close_leftovers(struct child *child)
{
	struct task *task = &child->task;

	while (task->scope != &child->root) {
		if (scope_is_open(task->scope))
			left_open(task, task->scope->site);
		close_innermost(task);
	}
	while (!list_empty(&task->leftovers)) {
		struct leftover *leftover = list_entry(task->leftovers.next, struct leftover, node);
		const struct noria_site *site;

		if (leftover->task != task)
			noria_scope_lost(task);
		site = leftover->site;
		list_remove(&leftover->node);
		if (leftover->close(leftover))
			left_open(task, site);
	}
}
