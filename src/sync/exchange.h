/* SPDX-License-Identifier: MIT */
/*
 * Exchanges: a task in a queue that has something to give or a place to put something. Whoever comes to the other side
 * copies straight from or to that place, notes the result, and tells the waiter; then the item is the waiter's, even if
 * it is cancelled before it runs. A task that waits for one thing and one arm of a select look the same from the other
 * side.
 */
#ifndef NORIA_SYNC_EXCHANGE_H
#define NORIA_SYNC_EXCHANGE_H

#include "scope/waiters.h"

#include <string.h>

struct exchange {
	struct waiter waiter;
	void *item; /* where to copy from or to */
	int result; /* set before it is told */
};

/* One task's wait for one exchange. */
struct encounter {
	struct exchange exchange;
	struct wait wait;
	const void *object; /* at which it waits, for the class to describe */
};

static inline struct exchange *exchange_of(struct waiter *waiter)
{
	return container_of(waiter, struct exchange, waiter);
}

static inline const void *encounter_object(const struct wait *wait)
{
	return container_of(wait, struct encounter, wait)->object;
}

/* The first in the queue, or NULL. */
static inline struct exchange *exchange_first(const struct waiters *queue)
{
	return queue->first ? exchange_of(queue->first) : NULL;
}

/* Its turn has come, with this result: off the queue, and tell it. */
static inline void exchange_done(struct exchange *exchange, int result)
{
	exchange->result = result;
	waiters_remove(&exchange->waiter);
	exchange->waiter.told(&exchange->waiter);
}

/* Tell all in the queue. */
void noria_exchange_all(struct waiters *queue, int result);

/* What a class of such waits has as its `abandon`. */
void noria_exchange_abandon(struct wait *wait);

/* Stand in a queue until told. The caller has passed its checkpoint. Returns the result, or -ECANCELED. */
int noria_exchange_wait(struct task *task, struct waiters *queue, void *item, const struct wait_class *class,
			const void *object);

/* Items are small: often a pointer, or a number. */
static inline void item_copy(void *to, const void *from, size_t size)
{
	if (likely(size == 8))
		memcpy(to, from, 8);
	else if (likely(size == 4))
		memcpy(to, from, 4);
	else
		memcpy(to, from, size);
}

#endif
