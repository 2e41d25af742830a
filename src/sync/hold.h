/* SPDX-License-Identifier: MIT */
/*
 * What one task has at a time: a locked mutex, an rwlock for writing, a once that runs. Who has it and since which
 * place is known, so that a cycle of tasks that wait for one another can be refused, and a task that ends with it can
 * be named.
 */
#ifndef NORIA_SYNC_HOLD_H
#define NORIA_SYNC_HOLD_H

#include "scope/waiters.h"
#include "task/storage.h"

/* Zeroed: nobody has it. */
struct hold {
	/* `task`: who has it, alive as long as that is set, or NULL; `site`: where it was taken last. */
	struct leftover leftover;
};

/* A task's wait for it, in the frame of the call. */
struct hold_wait {
	struct turn turn;
	const struct hold *hold;
	const char *what;              /* "mutex" */
	const struct noria_site *site; /* the call */
};

static inline struct hold_wait *hold_wait_of(const struct waiter *waiter)
{
	return container_of(waiter, struct hold_wait, turn.waiter);
}

/* Take it until hold_drop(), or the task's end, which calls `close`. */
static inline void hold_take(struct hold *hold, struct task *task, const struct noria_site *site,
			     bool (*close)(struct leftover *leftover))
{
	struct list *node = &hold->leftover.node, *last = task->leftovers.prev;

	if (unlikely(last->next != &task->leftovers))
		noria_storage_lost(task->loop, task, last);
	hold->leftover.task = task;
	hold->leftover.site = site;
	hold->leftover.close = close;
	/*
	 * In this order: compilers join two stores side by side, and hold_drop(), which may follow at once, would wait.
	 */
	node->prev = last;
	last->next = node;
	node->next = &task->leftovers;
	task->leftovers.prev = node;
}

static inline void hold_drop(struct hold *hold)
{
	struct list *node = &hold->leftover.node;

	if (unlikely(node->prev->next != node || node->next->prev != node))
		noria_storage_lost(noria_loop, hold->leftover.task, node->prev->next != node ? node->prev : node->next);
	hold->leftover.task = NULL;
	node->prev->next = node->next;
	node->next->prev = node->prev;
}

/*
 * Somebody has it: may `task` wait? -EDEADLK if it has it itself, or if who has it waits for `task` over any number of
 * holds; the message names them all, and the others get their turn. Else 0.
 */
int noria_hold_refuse_cycle(const struct hold_wait *wait, struct task *task);

/* What classes of such waits have as their `describe`; they are recognised by it. */
void noria_hold_describe(const struct wait *wait, char *text, size_t size);

#endif
