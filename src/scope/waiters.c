/* SPDX-License-Identifier: MIT */
/* Queues of tasks that wait for their turn. */
#include "scope/waiters.h"

#include "base/assert.h"

#include <errno.h>

struct waiter *noria_waiters_tell_first(struct waiters *queue)
{
	struct waiter *waiter = queue->first;

	if (!waiter)
		return NULL;
	waiters_remove(waiter);
	waiter->told(waiter);
	return waiter;
}

void noria_turn_come(struct waiter *waiter)
{
	noria_wait_complete(&container_of(waiter, struct turn, waiter)->wait);
}

void noria_turn_abandon(struct wait *wait)
{
	waiters_remove(&turn_of(wait)->waiter);
	noria_wait_complete(wait);
}

int noria_turn_wait_told(struct turn *turn, struct task *task, struct waiters *queue, const struct wait_class *class,
			 void (*told)(struct waiter *waiter))
{
	turn->waiter.task = task;
	turn->waiter.told = told;
	noria_wait_init(&turn->wait, class);
	waiters_append(queue, &turn->waiter);
	if (class->abandon)
		scope_wait(task, &turn->wait);
	else
		noria_wait_park(&turn->wait);
	return turn->wait.abandoned ? noria_scope_answer(task) : 0;
}

int noria_turn_wait(struct turn *turn, struct task *task, struct waiters *queue, const struct wait_class *class)
{
	return noria_turn_wait_told(turn, task, queue, class, noria_turn_come);
}
