/* SPDX-License-Identifier: MIT */
/*
 * Handles on single children: to cancel one, and to wait for it. The handle is the caller's; the child fills it when it
 * ends, so that its result can be had afterwards.
 */
#include "scope/child.h"

#include "base/memcheck.h"
#include "base/message.h"

#include <errno.h>
#include <stdio.h>

_Static_assert(sizeof(struct handle) <= sizeof(struct noria_child), "struct noria_child is too small");
_Static_assert(_Alignof(struct handle) <= _Alignof(struct noria_child), "struct noria_child is aligned too little");

static uint64_t handle_magic(const void *address)
{
	return UINT64_C(0x6e6f726961686e64) ^ (uint64_t)(uintptr_t)address;
}

static struct handle *from_public(const struct noria_child *child)
{
	return (struct handle *)(uintptr_t)child;
}

static bool is_spawned(const struct handle *handle)
{
	(void)VALGRIND_MAKE_MEM_DEFINED(&handle->magic, sizeof handle->magic);
	return handle->magic == handle_magic(handle);
}

int noria_handle_refuse(const struct handle *handle, const struct noria_site *site)
{
	if (!is_spawned(handle) || !handle->child)
		return 0;
	return noria_refuse(
		-EINVAL, "spawning %s at %s:%d with the handle of a child that was spawned at %s:%d and has not ended",
		site->what, site->file, site->line, handle->spawn->file, handle->spawn->line);
}

void noria_handle_init(struct handle *handle, struct child *child, const struct noria_site *site)
{
	*handle = (struct handle){.magic = handle_magic(handle), .child = child, .spawn = site};
}

void noria_handle_end(struct handle *handle, int result)
{
	handle->child = NULL;
	handle->result = result;
	while (noria_waiters_tell_first(&handle->waiters))
		;
}

void noria_child_cancel_at(struct noria_child *storage, const struct noria_site *site)
{
	struct handle *handle = from_public(storage);

	if (is_spawned(handle) && handle->child && noria_scope_refuse_use(&handle->child->root, site->what) == 0)
		noria_scope_interrupt(&handle->child->root, NORIA_CAUSE_EXPLICIT, noria_loop->current, site, NULL);
}

bool noria_child_ended(const struct noria_child *storage)
{
	const struct handle *handle = from_public(storage);

	return is_spawned(handle) && !handle->child;
}

/*
 * The handle may be gone, or another child's, once the child has ended: what is wanted of it is taken at that moment.
 */
struct child_wait {
	struct turn turn;
	const struct handle *handle;
	int result;
};

static void child_ended(struct waiter *waiter)
{
	struct child_wait *wait = container_of(waiter, struct child_wait, turn.waiter);

	wait->result = wait->handle->result;
	noria_turn_come(waiter);
}

static void describe(const struct wait *wait, char *text, size_t size)
{
	const struct handle *handle = container_of(turn_of(wait), struct child_wait, turn)->handle;

	snprintf(text, size, "waits for the child %s of %s:%d", handle->spawn->what, handle->spawn->file,
		 handle->spawn->line);
}

static const struct wait_class child_class = {.abandon = noria_turn_abandon, .describe = describe};

/* A task that is waited for by one beneath it can never end before that. */
static bool is_above(const struct task *task, const struct scope *scope)
{
	while (scope && scope->task != task)
		scope = scope->parent;
	return scope;
}

/* The child that a task waits for by a handle, or NULL. */
static const struct child *waits_for(const struct task *task)
{
	if (!task->wait || task->wait->done || task->wait->class != &child_class)
		return NULL;
	return container_of(turn_of(task->wait), struct child_wait, turn)->handle->child;
}

/* Can `child` end only after `task`? It may be the task, or one above it, or wait for such a one in its turn. */
static bool ends_after(const struct child *child, const struct task *task)
{
	while (child && !is_above(&child->task, task->scope))
		child = waits_for(&child->task);
	return child;
}

int noria_handle_refuse_wait(const struct handle *handle, const struct task *task)
{
	if (!is_spawned(handle))
		return noria_refuse(-EINVAL, "task %s waits for a child by a handle that was never spawned with",
				    task->name);
	if (handle->child && ends_after(handle->child, task))
		return noria_refuse(-EDEADLK,
				    "task %s (spawned at %s:%d) waits for task %s (spawned at %s:%d), which is itself, "
				    "or cannot end before it",
				    task->name, task->site->file, task->site->line, handle->child->task.name,
				    handle->spawn->file, handle->spawn->line);
	return 0;
}

int noria_child_wait(struct noria_child *storage, int *ret_result)
{
	struct handle *handle = from_public(storage);
	struct child_wait wait = {.handle = handle};
	struct task *task = noria_current();
	int r;

	if (!task)
		return -ENXIO;
	r = noria_handle_refuse_wait(handle, task);
	if (r < 0)
		return task_answer(task, r);
	r = scope_door(task);
	if (r < 0)
		return r;
	if (!handle->child) {
		if (ret_result)
			*ret_result = handle->result;
		return task_answer(task, 0);
	}
	r = noria_turn_wait_told(&wait.turn, task, &handle->waiters, &child_class, child_ended);
	if (r >= 0 && ret_result)
		*ret_result = wait.result;
	return r;
}
