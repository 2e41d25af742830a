/* SPDX-License-Identifier: MIT */
/* Queues of tasks that wait for their turn. */
#include "scope/waiters.h"

#include "base/assert.h"

#include <errno.h>

void noria_waiters_append(struct waiters *queue, struct waiter *waiter)
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

void noria_waiters_remove(struct waiter *waiter)
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

struct waiter *noria_waiters_tell_first(struct waiters *queue)
{
	struct waiter *waiter = queue->first;

	if (!waiter)
		return NULL;
	noria_waiters_remove(waiter);
	waiter->told(waiter);
	return waiter;
}

static void told(struct waiter *waiter)
{
	noria_wait_complete(&container_of(waiter, struct turn, waiter)->wait);
}

void noria_turn_abandon(struct wait *wait)
{
	noria_waiters_remove(&turn_of(wait)->waiter);
	noria_wait_complete(wait);
}

int noria_turn_wait(struct turn *turn, struct task *task, struct waiters *queue, const struct wait_class *class)
{
	turn->waiter.task = task;
	turn->waiter.told = told;
	noria_wait_init(&turn->wait, class);
	noria_waiters_append(queue, &turn->waiter);
	if (class->abandon)
		scope_wait(task, &turn->wait);
	else
		noria_wait_park(&turn->wait);
	return turn->wait.abandoned ? noria_scope_answer(task) : 0;
}
