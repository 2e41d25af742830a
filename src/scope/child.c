/* SPDX-License-Identifier: MIT */
/*
 * Spawning into a group, and the end of a child. A child owns its place in the group's count from the spawn to the very
 * end of its task; a group that bounds its children hands the place on to the first spawner that waits for one.
 */
#include "scope/child.h"

#include "base/message.h"
#include "scope/enter.h"
#include "scope/leftover.h"
#include "scope/value.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct error *noria_error_of(struct task *task)
{
	return &child_of(task)->error;
}

/* Once for each wait: children and services may all end before the closing task runs. */
static void end_join(struct group *group)
{
	struct wait *join = group->join;

	group->join = NULL;
	noria_wait_complete(join);
}

/* An ordinary child, or a spawner that made none, gives its place to the next, or back. */
static void leave_place(struct group *group)
{
	if (unlikely(!waiters_empty(&group->spawners))) {
		noria_waiters_tell_first(&group->spawners);
		return;
	}
	if (--group->live > 0)
		return;
	if (group->next)
		noria_next_wake(group);
	if (group->join) {
		group->closed = true;
		end_join(group);
	}
}

static void service_ended(struct child *child)
{
	struct group *group = child->group;
	struct task *task = &child->task;

	if (!group_excuses(&child->root, task->result)) {
		if (group->policy == NORIA_SUPERVISE)
			noria_error_report(task, task->result, "a failure in a supervised group");
		else
			noria_group_fail(group, task, task->result, task->site);
	}
}

/* The last thing a child does, on its own stack. */
static void child_ended(struct task *task)
{
	struct child *child = child_of(task);
	struct group *group = child->group;
	bool service = child->service;

	if (unlikely(task->scope != task->outermost || !list_empty(&task->leftovers)))
		noria_close_leftovers(task);
	if (unlikely(child->start)) {
		noria_start_ended(child);
		noria_done_free(child->done);
	} else if (unlikely(service)) {
		service_ended(child);
	} else if (task->result < 0 || group->policy >= NORIA_RACE) {
		noria_group_take_result(group, task, child->done);
	}
	if (unlikely(child->handle))
		noria_handle_end(child->handle, task->result);
	noria_values_drop(task); /* after what handlers and disposers may have set */
	if (unlikely(child->error.code))
		noria_error_drop(task); /* after what release functions may have met */
	scope_leave(&child->root, task->site);
	if (likely(!service))
		leave_place(group);
	else if (--group->services == 0 && group->closed && group->join)
		end_join(group);
}

static inline void child_init(struct child *child, struct group *group)
{
	child->group = group;
	child->handle = NULL;
	child->start = NULL;
	child->done = NULL;
	child->service = child->had_start = false;
	error_init(&child->error);
}

static int refuse_spawn(const struct group *group, const struct noria_site *site)
{
	const struct scope *scope = &group->scope;

	if (scope_is_open(scope) && scope->cancelled && !group->closed)
		return noria_refuse(-ECANCELED, "spawning %s at %s:%d into the group of %s:%d, which is cancelled",
				    site->what, site->file, site->line, scope->site->file, scope->site->line);
	if (scope_is_open(scope))
		return noria_refuse(-EINVAL,
				    "spawning %s at %s:%d into the group of %s:%d, which is being closed: its ordinary "
				    "children have ended",
				    site->what, site->file, site->line, scope->site->file, scope->site->line);
	if (scope_was_closed(scope))
		return noria_refuse(-EINVAL,
				    "spawning %s at %s:%d into the group of %s:%d, which was closed at %s:%d. Remedy: "
				    "open a group for it",
				    site->what, site->file, site->line, scope->site->file, scope->site->line,
				    scope->closed->file, scope->closed->line);
	return noria_refuse(-EINVAL, "spawning %s at %s:%d into a group that was never opened", site->what, site->file,
			    site->line);
}

static int check_options(const struct spawn_spec *spec)
{
	const struct noria_spawn_options *options = spec->options;
	const struct noria_site *site = spec->site;

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

static void describe_spawn(const struct wait *wait, char *text, size_t size)
{
	(void)wait;
	snprintf(text, size, "waits for a place in a group to spawn into");
}

static const struct wait_class place_class = {.abandon = noria_turn_abandon, .describe = describe_spawn};

/* A place for one more child. Where children are bounded, whoever comes first is served first. */
static inline int take_place(struct group *group, struct task *current)
{
	struct turn turn;
	int r;

	if (likely(group->children_max == 0)) {
		group->live++;
		return 0;
	}
	r = scope_door(current);
	if (r < 0)
		return r;
	if (group->live < group->children_max) {
		group->live++;
		return 0;
	}
	return noria_turn_wait(&turn, current, &group->spawners, &place_class);
}

/* Names are copied, behind a copied argument: a task's name outlives whoever spawned it. */
static const char *copy_name(char *at, const char *name)
{
	size_t length = strnlen(name, NORIA_TASK_NAME_MAX);

	memcpy(at, name, length);
	at[length] = '\0';
	return at;
}

static void apply_options(struct child *child, const struct spawn_spec *spec, char *extra)
{
	const struct noria_spawn_options *options = spec->options;

	if (options->name)
		child->task.name = copy_name(extra + spec->copy, options->name);
	if (options->child) {
		child->handle = (struct handle *)options->child;
		noria_handle_init(child->handle, child, spec->site);
	}
	child->service = options->service;
}

static inline int make_child(struct group *group, struct task *current, const struct spawn_spec *spec)
{
	const struct noria_spawn_options *options = spec->options;
	struct task_spec task_spec = {.fn = spec->fn,
				      .arg = spec->arg,
				      .name = spec->site->what,
				      .site = spec->site,
				      .stack_size = current->loop->stack_size,
				      .extra = spec->copy,
				      .on_end = child_ended};
	struct done *done = NULL;
	unsigned flags = 0;
	struct child *child;
	struct task *task;
	char *extra;
	int r = 0;

	if (unlikely(options)) {
		if (options->child) /* looked at here: the caller may have waited for a place since its other checks */
			r = noria_handle_refuse((const struct handle *)options->child, spec->site);
		if (r < 0)
			return r;
		if (options->service) /* until it is told, what concerns the ordinary children is hidden from it */
			flags = NORIA_SCOPE_SHIELD;
		if (options->stack_size)
			task_spec.stack_size = options->stack_size;
		if (options->name)
			task_spec.extra += NORIA_TASK_NAME_MAX + 1;
	}
	if (unlikely(group->policy == NORIA_COLLECT) && !(options && options->service)) {
		done = noria_done_new(spec->copied ? NULL : spec->arg);
		if (!done)
			return noria_refuse(-ENOMEM, "no memory for a child's result");
	}
	r = noria_task_new(current->loop, sizeof(struct child), &task_spec, &task);
	if (unlikely(r < 0)) {
		noria_done_free(done);
		return r;
	}
	child = child_of(task);
	extra = task_extra(task, sizeof(struct child));
	if (unlikely(spec->copied))
		task->arg = spec->copy > 0 ? memcpy(extra, spec->arg, spec->copy) : NULL;
	child_init(child, group);
	scope_enter_outermost(&child->root, task, &group->scope, flags, spec->site);
	child->done = done;
	child->start = spec->start;
	child->had_start = spec->start;
	noria_values_inherit(task, current);
	if (unlikely(options))
		apply_options(child, spec, extra);
	if (unlikely(spec->start))
		spec->start->child = child;
	noria_task_start(task);
	return 0;
}

static inline int spawn_ordinary(struct group *group, struct task *current, const struct spawn_spec *spec)
{
	int r = take_place(group, current);

	if (unlikely(r < 0))
		return r;
	/* It may have been cancelled while we waited for the place; it is open, since the place is counted. */
	r = unlikely(group->scope.cancelled) ? refuse_spawn(group, spec->site) : make_child(group, current, spec);
	if (unlikely(r < 0))
		leave_place(group);
	return r;
}

static int spawn_service(struct group *group, struct task *current, const struct spawn_spec *spec)
{
	int r = make_child(group, current, spec);

	group->services += r >= 0;
	return r;
}

static inline __attribute__((always_inline)) int spawn(struct group *group, const struct spawn_spec *spec)
{
	const struct noria_site *site = spec->site;
	struct task *current = noria_current();
	int r = 0;

	if (!current)
		return -ENXIO;
	if (unlikely(!spec->fn))
		return noria_refuse(-EINVAL, "spawning at %s:%d without a function", site->file, site->line);
	if (unlikely(scope_is_open(&group->scope) && group->scope.task->loop != current->loop))
		return noria_refuse(-EINVAL, "spawning %s at %s:%d into a group of another thread's runtime",
				    site->what, site->file, site->line);
	if (unlikely(!scope_is_open(&group->scope) || group->closed || group->scope.cancelled))
		return refuse_spawn(group, site);
	if (unlikely(spec->options))
		r = check_options(spec);
	if (unlikely(r < 0))
		return r;
	return unlikely(spec->options && spec->options->service) ? spawn_service(group, current, spec)
								 : spawn_ordinary(group, current, spec);
}

int noria_spawn_child(struct group *group, const struct spawn_spec *spec)
{
	return spawn(group, spec);
}

int noria_spawn_at(struct noria_group *group, noria_task_fn *fn, void *arg, const struct noria_spawn_options *options,
		   const struct noria_site *site)
{
	struct spawn_spec spec = {.fn = fn, .arg = arg, .options = options, .site = site};

	return spawn(group_from_public(group), &spec);
}

int noria_spawn_copy_at(struct noria_group *group, noria_task_fn *fn, const void *arg, size_t size,
			const struct noria_spawn_options *options, const struct noria_site *site)
{
	struct spawn_spec spec = {.fn = fn,
				  .arg = (void *)(uintptr_t)arg,
				  .copied = true,
				  .copy = size,
				  .options = options,
				  .site = site};

	if (!arg && size > 0)
		return noria_refuse(-EINVAL, "spawning %s at %s:%d with a copy of %zu bytes at NULL", site->what,
				    site->file, site->line, size);
	if (size > NORIA_SPAWN_COPY_MAX)
		return noria_refuse(-EINVAL, "spawning %s at %s:%d with a copy of %zu bytes: the limit is %d",
				    site->what, site->file, site->line, size, NORIA_SPAWN_COPY_MAX);
	return noria_spawn_child(group_from_public(group), &spec);
}

/* The list does not change meanwhile: nothing runs. */
void noria_services_cancel(struct group *group)
{
	struct list *children = &group->scope.children;

	for (struct list *node = children->next; node != children; node = node->next) {
		struct child *child = child_of(list_entry(node, struct scope, sibling)->task);

		if (child->service)
			noria_scope_interrupt(&child->root, NORIA_CAUSE_DECIDED, group->scope.task, group->scope.site,
					      "the ordinary children have ended");
	}
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
	struct task *task;
	int r = noria_task_new(loop, sizeof(struct child), &spec, &task);

	if (r < 0)
		return r;
	*ret_child = child_of(task);
	child_init(*ret_child, NULL);
	scope_enter_root(&(*ret_child)->root, task, site);
	return 0;
}
