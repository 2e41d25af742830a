/* SPDX-License-Identifier: MIT */
/*
 * The rwlock: one queue for readers and writers, first come, first served. Whatever may let somebody in (an unlock, a
 * downgrade, a writer at the head that gives up) admits from the head of the queue: readers up to the next writer, or
 * one writer when nobody is inside. Who writes is known, of readers only how many there are.
 */
#include "sync/sync.h"

#include "base/message.h"

#include <errno.h>

struct rwlock {
	struct hold hold; /* of the writer; its site is also that of the latest reader */
	struct waiters waiters;
	size_t readers;
};

_Static_assert(sizeof(struct rwlock) <= sizeof(struct noria_rwlock), "struct noria_rwlock is too small");
_Static_assert(_Alignof(struct rwlock) <= _Alignof(struct noria_rwlock), "struct noria_rwlock is aligned too little");

struct rwlock_wait {
	struct hold_wait hold_wait;
	struct rwlock *rwlock;
	bool writes;
};

static struct rwlock *from_public(const struct noria_rwlock *rwlock)
{
	return (struct rwlock *)(uintptr_t)rwlock;
}

static bool close_leftover(struct leftover *leftover);

static bool may_enter(const struct rwlock *rwlock, bool writes)
{
	return !rwlock->hold.leftover.task && !(writes && rwlock->readers > 0);
}

static void take(struct rwlock *rwlock, struct task *task, bool writes, const struct noria_site *site)
{
	if (writes) {
		hold_take(&rwlock->hold, task, site, close_leftover);
	} else {
		rwlock->readers++;
		rwlock->hold.leftover.site = site;
	}
}

static void admit(struct rwlock *rwlock)
{
	struct waiter *waiter;

	while ((waiter = rwlock->waiters.first)) {
		struct rwlock_wait *wait = container_of(waiter, struct rwlock_wait, hold_wait.turn.waiter);

		if (!may_enter(rwlock, wait->writes))
			return;
		take(rwlock, waiter->task, wait->writes, wait->hold_wait.site);
		noria_waiters_tell_first(&rwlock->waiters);
	}
}

/* Of a task that has ended; the list does not hold it any more. */
static bool close_leftover(struct leftover *leftover)
{
	leftover->task = NULL;
	admit(container_of(leftover, struct rwlock, hold.leftover));
	return true;
}

/* A writer that leaves the head of the queue may have been all that readers waited for. */
static void abandon(struct wait *wait)
{
	struct rwlock *rwlock = container_of(wait, struct rwlock_wait, hold_wait.turn.wait)->rwlock;

	noria_turn_abandon(wait);
	admit(rwlock);
}

static const struct wait_class rwlock_class = {.abandon = abandon, .describe = noria_hold_describe};

static bool is_free(const struct rwlock *rwlock, bool writes)
{
	return waiters_empty(&rwlock->waiters) && may_enter(rwlock, writes);
}

static int try_lock(struct rwlock *rwlock, struct task *task, bool writes, const struct noria_site *site)
{
	if (!is_free(rwlock, writes))
		return -EBUSY;
	take(rwlock, task, writes, site);
	return 0;
}

static int lock(struct noria_rwlock *storage, bool writes, const struct noria_site *site)
{
	struct rwlock *rwlock = from_public(storage);
	struct task *task = noria_current();
	struct rwlock_wait wait;
	int r;

	if (unlikely(!task))
		return -ENXIO;
	r = sync_door(task, is_free(rwlock, writes));
	if (unlikely(r < 0))
		return r;
	if (likely(try_lock(rwlock, task, writes, site) == 0))
		return 0;
	wait = (struct rwlock_wait){.hold_wait = {.hold = &rwlock->hold, .what = "rwlock", .site = site},
				    .rwlock = rwlock,
				    .writes = writes};
	r = noria_hold_refuse_cycle(&wait.hold_wait, task);
	return r < 0 ? r : noria_turn_wait(&wait.hold_wait.turn, task, &rwlock->waiters, &rwlock_class);
}

int noria_rwlock_rdlock_at(struct noria_rwlock *rwlock, const struct noria_site *site)
{
	return lock(rwlock, false, site);
}

int noria_rwlock_wrlock_at(struct noria_rwlock *rwlock, const struct noria_site *site)
{
	return lock(rwlock, true, site);
}

int noria_rwlock_tryrdlock_at(struct noria_rwlock *rwlock, const struct noria_site *site)
{
	struct task *task = noria_current();

	return task ? try_lock(from_public(rwlock), task, false, site) : -ENXIO;
}

int noria_rwlock_trywrlock_at(struct noria_rwlock *rwlock, const struct noria_site *site)
{
	struct task *task = noria_current();

	return task ? try_lock(from_public(rwlock), task, true, site) : -ENXIO;
}

static int refuse(const struct rwlock *rwlock, const struct task *task, const struct noria_site *site)
{
	const struct leftover *held = &rwlock->hold.leftover;

	if (held->task)
		return noria_refuse(-EPERM,
				    "%s at %s:%d by task %s of an rwlock that task %s locked for writing at %s:%d",
				    site->what, site->file, site->line, task->name, held->task->name, held->site->file,
				    held->site->line);
	if (rwlock->readers > 0)
		return noria_refuse(-EPERM, "%s at %s:%d by task %s of an rwlock that was locked for reading at %s:%d",
				    site->what, site->file, site->line, task->name, held->site->file, held->site->line);
	return noria_refuse(-EPERM, "%s at %s:%d by task %s of an rwlock that is not locked", site->what, site->file,
			    site->line, task->name);
}

/* Returns whether there was something that the task can unlock. */
static bool unlock(struct rwlock *rwlock, const struct task *task)
{
	if (rwlock->hold.leftover.task == task)
		hold_drop(&rwlock->hold);
	else if (rwlock->readers > 0)
		rwlock->readers--;
	else
		return false;
	admit(rwlock);
	return true;
}

int noria_rwlock_unlock_at(struct noria_rwlock *storage, const struct noria_site *site)
{
	struct rwlock *rwlock = from_public(storage);
	struct task *task = noria_current();

	if (!task)
		return -ENXIO;
	return unlock(rwlock, task) ? 0 : refuse(rwlock, task, site);
}

int noria_rwlock_downgrade_at(struct noria_rwlock *storage, const struct noria_site *site)
{
	struct rwlock *rwlock = from_public(storage);
	struct task *task = noria_current();

	if (!task)
		return -ENXIO;
	if (rwlock->hold.leftover.task != task)
		return refuse(rwlock, task, site);
	hold_drop(&rwlock->hold);
	take(rwlock, task, false, site);
	admit(rwlock);
	return 0;
}

void noria_rwlock_cleanup_(struct noria_rwlock **pointer)
{
	const struct task *task = *pointer ? noria_current() : NULL;

	if (task)
		unlock(from_public(*pointer), task);
}
