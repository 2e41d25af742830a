/* SPDX-License-Identifier: MIT */
/*
 * Tasks that wait for their turn at one thing (a lock, a place in a group, an item of a channel): a queue, first come,
 * first served. Whoever has the thing to give takes the first waiter off the queue and tells it so; from then on the
 * thing is the waiter's, even if it is cancelled before it runs. One that is cancelled while it stands in the queue
 * leaves it.
 *
 * A waiter knows only how it is told. A task that waits for one thing parks on a `struct turn`; one that waits for the
 * first of several (select) stands in several queues and leaves the others when one tells it.
 */
#ifndef NORIA_SCOPE_WAITERS_H
#define NORIA_SCOPE_WAITERS_H

#include "scope/scope.h"
#include "task/wait.h"

#include <stdbool.h>

/* Zeroed: nobody waits. */
struct waiters {
	struct waiter *first, *last;
};

struct waiter {
	struct waiter *next, *prev;
	struct waiters *queue; /* NULL: it stands in none */
	struct task *task;
	void (*told)(struct waiter *waiter); /* its turn has come; it is off the queue */
};

static inline bool waiters_empty(const struct waiters *queue)
{
	return !queue->first;
}

static inline void waiters_append(struct waiters *queue, struct waiter *waiter)
{
	waiter->queue = queue;
	waiter->next = NULL;
	waiter->prev = queue->last;
	if (queue->last)
		queue->last->next = waiter;
	else
		queue->first = waiter;
	queue->last = waiter;
}

/* Nothing if it stands in no queue. */
static inline void waiters_remove(struct waiter *waiter)
{
	struct waiters *queue = waiter->queue;

	if (!queue)
		return;
	if (waiter->prev)
		waiter->prev->next = waiter->next;
	else
		queue->first = waiter->next;
	if (waiter->next)
		waiter->next->prev = waiter->prev;
	else
		queue->last = waiter->prev;
	waiter->queue = NULL;
}

/* Take the first off the queue and tell it. Returns it, NULL if nobody waits. */
struct waiter *noria_waiters_tell_first(struct waiters *queue);

/* One task's wait for its turn. */
struct turn {
	struct waiter waiter;
	struct wait wait;
};

/* What a class of such waits has as its `abandon`. */
void noria_turn_abandon(struct wait *wait);

/*
 * Wait at the end of a queue, as `class` says (with noria_turn_abandon, or without an `abandon` for a wait that cannot
 * be cancelled). `turn` lies in the caller's frame, inside what `class` needs to describe it. The caller has passed its
 * checkpoint. Returns 0 when its turn has come, or -ECANCELED.
 */
int noria_turn_wait(struct turn *turn, struct task *task, struct waiters *queue, const struct wait_class *class);
/* The same for one who does something at the moment when its turn comes: `told` ends with noria_turn_come(). */
int noria_turn_wait_told(struct turn *turn, struct task *task, struct waiters *queue, const struct wait_class *class,
			 void (*told)(struct waiter *waiter));
void noria_turn_come(struct waiter *waiter);

static inline struct turn *turn_of(const struct wait *wait)
{
	return container_of(wait, struct turn, wait);
}

#endif
