/* SPDX-License-Identifier: MIT */
/* What the primitives know of one another, and the checkpoint that they have in common. */
#ifndef NORIA_SYNC_SYNC_H
#define NORIA_SYNC_SYNC_H

#include "noria/sync.h"
#include "scope/scope.h"
#include "sync/hold.h"

/*
 * The checkpoint of a call that may wait. One that need not counts against the task's turn, before anything is taken: a
 * task that finds all it asks for at once must not keep the others from running, and one that stepped aside with a lock
 * in its hands would make them queue for it. So look again afterwards whether it is `at_once` still.
 */
static inline int sync_door(struct task *task, bool at_once)
{
	int r = scope_door(task);

	if (unlikely(r < 0 || !at_once))
		return r;
	if (likely(task->loop->budget > 0)) {
		task->loop->budget--;
		return 0;
	}
	noria_task_yield(task);
	return scope_door(task);
}

/* Has the task locked it? */
bool noria_mutex_is_held(const struct noria_mutex *mutex, const struct task *task);
const struct hold *noria_mutex_hold(const struct noria_mutex *mutex);
/* Unlock, and give it to the first in the queue. */
void noria_mutex_pass_on(struct noria_mutex *mutex);
/*
 * A parked task's wait for something else becomes one for this mutex, at the end of its queue; it can no longer be
 * abandoned. If the mutex is free the wait is over at once.
 */
void noria_mutex_rejoin(struct noria_mutex *mutex, struct hold_wait *wait);

#endif
