/* SPDX-License-Identifier: MIT */
/*
 * The mutex. It is never free while somebody waits: whoever unlocks makes the first waiter its owner, who finds that so
 * when it runs. So nobody can come between, and locking a free mutex need not look at the queue.
 */
#include "sync/sync.h"

#include "base/message.h"

#include <errno.h>

struct mutex {
	struct hold hold;
	struct waiters waiters;
};

_Static_assert(sizeof(struct mutex) <= sizeof(struct noria_mutex), "struct noria_mutex is too small");
_Static_assert(_Alignof(struct mutex) <= _Alignof(struct noria_mutex), "struct noria_mutex is aligned too little");

static struct mutex *from_public(const struct noria_mutex *mutex)
{
	return (struct mutex *)(uintptr_t)mutex;
}

static const struct wait_class lock_class = {.abandon = noria_turn_abandon, .describe = noria_hold_describe};
static const struct wait_class relock_class = {.describe = noria_hold_describe};

static bool close_leftover(struct leftover *leftover);

static inline void take(struct mutex *mutex, struct task *task, const struct noria_site *site)
{
	hold_take(&mutex->hold, task, site, close_leftover);
}

static void give_to_first(struct mutex *mutex)
{
	struct waiter *waiter = noria_waiters_tell_first(&mutex->waiters);

	if (waiter)
		take(mutex, waiter->task, hold_wait_of(waiter)->site);
}

/* Of a task that has ended; the list does not hold it any more. */
static bool close_leftover(struct leftover *leftover)
{
	struct mutex *mutex = container_of(leftover, struct mutex, hold.leftover);

	leftover->task = NULL;
	give_to_first(mutex);
	return true;
}

static __attribute__((noinline)) int lock_in_turn(struct mutex *mutex, struct task *task, const struct noria_site *site)
{
	struct hold_wait wait = {.hold = &mutex->hold, .what = "mutex", .site = site};
	int r = noria_hold_refuse_cycle(&wait, task);

	return r < 0 ? r : noria_turn_wait(&wait.turn, task, &mutex->waiters, &lock_class);
}

int noria_mutex_lock_at(struct noria_mutex *storage, const struct noria_site *site)
{
	struct mutex *mutex = from_public(storage);
	struct task *task = noria_current();
	int r;

	if (unlikely(!task))
		return -ENXIO;
	r = sync_door(task, !mutex->hold.leftover.task);
	if (unlikely(r < 0))
		return r;
	if (unlikely(mutex->hold.leftover.task))
		return lock_in_turn(mutex, task, site);
	take(mutex, task, site);
	return 0;
}

int noria_mutex_trylock_at(struct noria_mutex *storage, const struct noria_site *site)
{
	struct mutex *mutex = from_public(storage);
	struct task *task = noria_current();

	if (unlikely(!task))
		return -ENXIO;
	if (mutex->hold.leftover.task)
		return -EBUSY;
	take(mutex, task, site);
	return 0;
}

static __attribute__((noinline)) int refuse_unlock(const struct mutex *mutex, const struct task *task,
						   const struct noria_site *site)
{
	const struct leftover *held = &mutex->hold.leftover;

	if (!held->task)
		return held->site
			       ? noria_refuse(
					 -EPERM,
					 "task %s unlocks at %s:%d a mutex that is not locked; it was unlocked last at "
					 "%s:%d",
					 task->name, site->file, site->line, held->site->file, held->site->line)
			       : noria_refuse(-EPERM, "task %s unlocks at %s:%d a mutex that was never locked",
					      task->name, site->file, site->line);
	return noria_refuse(
		-EPERM,
		"task %s unlocks at %s:%d a mutex that task %s locked at %s:%d. Remedy: the task that locks a "
		"mutex unlocks it",
		task->name, site->file, site->line, held->task->name, held->site->file, held->site->line);
}

int noria_mutex_unlock_at(struct noria_mutex *storage, const struct noria_site *site)
{
	struct mutex *mutex = from_public(storage);
	struct task *task = noria_current();

	if (unlikely(!task))
		return -ENXIO;
	if (unlikely(mutex->hold.leftover.task != task))
		return refuse_unlock(mutex, task, site);
	mutex->hold.leftover.site = site;
	noria_mutex_pass_on(storage);
	return 0;
}

void noria_mutex_cleanup_(struct noria_mutex **pointer)
{
	struct task *task = *pointer ? noria_current() : NULL;

	if (task && noria_mutex_is_held(*pointer, task))
		noria_mutex_pass_on(*pointer);
}

bool noria_mutex_is_held(const struct noria_mutex *mutex, const struct task *task)
{
	return from_public(mutex)->hold.leftover.task == task;
}

const struct hold *noria_mutex_hold(const struct noria_mutex *mutex)
{
	return &from_public(mutex)->hold;
}

void noria_mutex_pass_on(struct noria_mutex *storage)
{
	struct mutex *mutex = from_public(storage);

	hold_drop(&mutex->hold);
	if (unlikely(!waiters_empty(&mutex->waiters)))
		give_to_first(mutex);
}

void noria_mutex_rejoin(struct noria_mutex *storage, struct hold_wait *wait)
{
	struct mutex *mutex = from_public(storage);

	wait->turn.wait.class = &relock_class;
	waiters_append(&mutex->waiters, &wait->turn.waiter);
	if (!mutex->hold.leftover.task)
		give_to_first(mutex);
}
