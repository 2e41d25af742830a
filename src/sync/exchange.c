/* SPDX-License-Identifier: MIT */
/* A task that waits for one exchange: told by the other side, or abandoned while it stands in the queue. */
#include "sync/exchange.h"

#include <errno.h>

static struct encounter *encounter_of(struct wait *wait)
{
	return container_of(wait, struct encounter, wait);
}

static void told(struct waiter *waiter)
{
	noria_wait_complete(&container_of(exchange_of(waiter), struct encounter, exchange)->wait);
}

void noria_exchange_all(struct waiters *queue, int result)
{
	struct exchange *first;

	while ((first = exchange_first(queue)))
		exchange_done(first, result);
}

void noria_exchange_abandon(struct wait *wait)
{
	waiters_remove(&encounter_of(wait)->exchange.waiter);
	noria_wait_complete(wait);
}

int noria_exchange_wait(struct task *task, struct waiters *queue, void *item, const struct wait_class *class,
			const void *object)
{
	struct encounter encounter;

	encounter.exchange.waiter.task = task;
	encounter.exchange.waiter.told = told;
	encounter.exchange.item = item;
	encounter.object = object;
	encounter.wait = (struct wait){.class = class, .task = task};
	waiters_append(queue, &encounter.exchange.waiter);
	scope_wait(task, &encounter.wait);
	if (likely(!encounter.wait.abandoned))
		return encounter.exchange.result;
	(void)noria_scope_answer(task);
	return -ECANCELED;
}
