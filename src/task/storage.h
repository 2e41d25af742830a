/* SPDX-License-Identifier: MIT */
/*
 * Streams and writers live in storage of the caller's. When a function returns and leaves one open, what the kernel
 * completes, or what the task pulls when it parks, lies in a frame that others have overwritten: nothing in it can be
 * believed, not even whose it was. So that is noted apart, of those that were opened last, and the process ends with
 * the name of the culprit.
 */
#ifndef NORIA_TASK_STORAGE_H
#define NORIA_TASK_STORAGE_H

#include "base/assert.h"
#include "task/loop.h"
#include "task/task.h"

static inline struct storage_note *storage_slot(struct loop *loop, const void *storage)
{
	return &loop->notes[(uint64_t)(uintptr_t)storage * UINT64_C(0x9e3779b97f4a7c15) >> (64 - LOOP_NOTES_BITS)];
}

/* Opened, at the site, in so many bytes; `automatic` is the attribute that would have closed it. */
static inline void storage_note(struct loop *loop, const void *storage, size_t size, const struct noria_site *site,
				const char *automatic)
{
	*storage_slot(loop, storage) =
		(struct storage_note){.storage = storage, .size = size, .site = site, .automatic = automatic};
}

/* Closed. */
static inline void storage_forget(struct loop *loop, const void *storage)
{
	struct storage_note *note = storage_slot(loop, storage);

	if (likely(note->storage == storage))
		note->storage = NULL;
}

/*
 * What lay at the address has been overwritten: say whose it was, and end the process. `task` is in whose lists it was
 * met, or NULL.
 */
_Noreturn void noria_storage_lost(struct loop *loop, const struct task *task, const void *address);

/* Into the list of its task. */
static inline void leftover_add(struct leftover *leftover)
{
	struct list *leftovers = &leftover->task->leftovers;

	if (unlikely(leftovers->prev->next != leftovers))
		noria_storage_lost(leftover->task->loop, leftover->task, leftovers->prev);
	list_push_back(leftovers, &leftover->node);
}

/* Does nothing when it is in none. */
static inline void leftover_remove(struct leftover *leftover)
{
	struct list *node = &leftover->node;

	if (unlikely(node->prev->next != node))
		noria_storage_lost(leftover->task->loop, leftover->task, node->prev);
	if (unlikely(node->next->prev != node))
		noria_storage_lost(leftover->task->loop, leftover->task, node->next);
	list_remove(node);
}

#endif
