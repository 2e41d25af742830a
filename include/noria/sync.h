/* SPDX-License-Identifier: MIT */
/*
 * Synchronisation between the tasks of one runtime: mutex, rwlock, semaphore, condition, event, barrier, once.
 *
 * Tasks switch only inside calls to noria, so plain data needs no lock; these are for what must hold across such calls.
 * All of them are storage of the caller, ready for use when it is zero (a semaphore and a barrier: when made by their
 * initialisers). Nothing is allocated, and nothing has to be destroyed; the storage must stay where it is while it is
 * locked or waited for. Everything here belongs to the runtime's thread.
 *
 * Who comes first is served first: whoever unlocks or releases gives what there is to those who have waited longest,
 * and from then on it is theirs, even before they run. Every wait ends with -ECANCELED when the task's scope is
 * cancelled, and leaves the queue as if the task had never come. A task that was served and cancelled at the same time
 * has been served: the call returns success, and its next checkpoint -ECANCELED. Functions that wait are checkpoints
 * also when they need not wait; those that give back (unlock, release, signal, set) are none, and always complete.
 * Functions that return int answer -ENXIO outside a runtime. Since 0.2.
 */
#ifndef NORIA_SYNC_H
#define NORIA_SYNC_H

#include <noria/base.h>
#include <noria/task.h>

NORIA_BEGIN_DECLS

/* ---- mutex ---- */

struct noria_mutex {
	uint64_t opaque[10];
};

/*
 * noria_mutex_lock - lock a mutex, after all who wait for it already.
 * Returns: 0; -ECANCELED: it was not locked; -EDEADLK when the calling task has it already, or when it waits, over any
 * number of tasks and locks, for the calling task itself: noria_message() names the tasks and the places.
 * Checkpoint. Since 0.2.
 *
 * noria_mutex_trylock - lock it if nobody has it.
 * Returns: 0; -EBUSY. Not a checkpoint. Since 0.2.
 *
 * noria_mutex_unlock - unlock it; whoever waits for it first has it now.
 * Returns: 0; -EPERM when the calling task does not have it (noria_message() names both places). Works in a cancelled
 * scope. Not a checkpoint. Since 0.2.
 *
 * A task that ends and has a mutex locked has failed with -EINVAL, as one that leaves a scope open; it is unlocked for
 * it.
 */
#define noria_mutex_lock(mutex)    noria_mutex_lock_at((mutex), NORIA_SITE("mutex"))
#define noria_mutex_trylock(mutex) noria_mutex_trylock_at((mutex), NORIA_SITE("mutex"))
#define noria_mutex_unlock(mutex)  noria_mutex_unlock_at((mutex), NORIA_SITE("unlock"))
NORIA_PUBLIC NORIA_CHECKED int noria_mutex_lock_at(struct noria_mutex *mutex, const struct noria_site *site);
NORIA_PUBLIC NORIA_CHECKED int noria_mutex_trylock_at(struct noria_mutex *mutex, const struct noria_site *site);
NORIA_PUBLIC int noria_mutex_unlock_at(struct noria_mutex *mutex, const struct noria_site *site);

/*
 * noria_locked(mutex, expression) - lock, evaluate `expression` (a signed integer), unlock, by a `return` inside too.
 * Value: that of the expression, or the error of noria_mutex_lock(), and then it was not evaluated. Checkpoint. Since
 * 0.2.
 */
#define noria_locked(mutex, expression) \
	NORIA_LOCKED_AS_(NORIA_UNIQUE_(noria_lock_), NORIA_UNIQUE_(noria_value_), noria_mutex, noria_mutex_lock, \
			 mutex, expression)
#define NORIA_LOCKED_AS_(lock_, value_, type, locking, lock, expression) \
	(__extension__({ \
		__attribute__((cleanup(type##_cleanup_))) struct type *lock_ = (lock); \
		int value_ = locking(lock_); \
		if (value_ < 0) \
			lock_ = NULL; \
		value_ < 0 ? value_ : (expression); \
	}))

/*
 * noria_autounlock - a locked mutex that is unlocked at the end of this variable's block, by `return` too, unless that
 * has been done by then:
 *     noria_try(noria_mutex_lock(&pool->mutex));
 *     noria_autounlock struct noria_mutex *locked = &pool->mutex;
 */
#define noria_autounlock __attribute__((cleanup(noria_mutex_cleanup_), unused))
NORIA_PUBLIC void noria_mutex_cleanup_(struct noria_mutex **mutex);

/* ---- rwlock ---- */

struct noria_rwlock {
	uint64_t opaque[12];
};

/*
 * noria_rwlock_rdlock - lock for reading, beside other readers. Whoever comes after a waiting writer waits behind it,
 * so a task that reads already must not lock for reading again: with a writer between, both would wait for ever.
 * noria_rwlock_wrlock - lock for writing, alone. (To read and then write, unlock in between: a reader that locks for
 * writing waits for itself.)
 * Returns: 0; -ECANCELED: it was not locked; -EDEADLK as noria_mutex_lock(), as far as writers are concerned.
 * Checkpoint. Since 0.2.
 *
 * noria_rwlock_tryrdlock, noria_rwlock_trywrlock - the same if it takes no waiting.
 * Returns: 0; -EBUSY. Not a checkpoint. Since 0.2.
 *
 * noria_rwlock_unlock - unlock, for either. Consecutive readers at the head of the queue are admitted together.
 * Returns: 0; -EPERM when it is not locked, or locked by another task for writing (noria_message() names both places).
 * Which tasks read is not known: unlocking what only others read is not noticed. Not a checkpoint. Since 0.2.
 *
 * noria_rwlock_downgrade - from writing to reading, with no writer in between.
 * Returns: 0; -EPERM when the calling task does not have it locked for writing. Not a checkpoint. Since 0.2.
 *
 * A task that ends and has it locked for writing has failed, as with a mutex. One that ends and reads is not noticed.
 */
#define noria_rwlock_rdlock(rwlock)    noria_rwlock_rdlock_at((rwlock), NORIA_SITE("read lock"))
#define noria_rwlock_wrlock(rwlock)    noria_rwlock_wrlock_at((rwlock), NORIA_SITE("write lock"))
#define noria_rwlock_tryrdlock(rwlock) noria_rwlock_tryrdlock_at((rwlock), NORIA_SITE("read lock"))
#define noria_rwlock_trywrlock(rwlock) noria_rwlock_trywrlock_at((rwlock), NORIA_SITE("write lock"))
#define noria_rwlock_unlock(rwlock)    noria_rwlock_unlock_at((rwlock), NORIA_SITE("unlock"))
#define noria_rwlock_downgrade(rwlock) noria_rwlock_downgrade_at((rwlock), NORIA_SITE("downgrade"))
NORIA_PUBLIC NORIA_CHECKED int noria_rwlock_rdlock_at(struct noria_rwlock *rwlock, const struct noria_site *site);
NORIA_PUBLIC NORIA_CHECKED int noria_rwlock_wrlock_at(struct noria_rwlock *rwlock, const struct noria_site *site);
NORIA_PUBLIC NORIA_CHECKED int noria_rwlock_tryrdlock_at(struct noria_rwlock *rwlock, const struct noria_site *site);
NORIA_PUBLIC NORIA_CHECKED int noria_rwlock_trywrlock_at(struct noria_rwlock *rwlock, const struct noria_site *site);
NORIA_PUBLIC int noria_rwlock_unlock_at(struct noria_rwlock *rwlock, const struct noria_site *site);
NORIA_PUBLIC int noria_rwlock_downgrade_at(struct noria_rwlock *rwlock, const struct noria_site *site);

/*
 * noria_rdlocked(rwlock, expression), noria_wrlocked(rwlock, expression) - as noria_locked(). The expression must not
 * unlock it; it may downgrade. Checkpoint. Since 0.2.
 */
#define noria_rdlocked(rwlock, expression) \
	NORIA_LOCKED_AS_(NORIA_UNIQUE_(noria_lock_), NORIA_UNIQUE_(noria_value_), noria_rwlock, noria_rwlock_rdlock, \
			 rwlock, expression)
#define noria_wrlocked(rwlock, expression) \
	NORIA_LOCKED_AS_(NORIA_UNIQUE_(noria_lock_), NORIA_UNIQUE_(noria_value_), noria_rwlock, noria_rwlock_wrlock, \
			 rwlock, expression)
NORIA_PUBLIC void noria_rwlock_cleanup_(struct noria_rwlock **rwlock);

/* ---- semaphore ---- */

struct noria_semaphore {
	uint64_t opaque[6];
};

/*
 * NORIA_SEMAPHORE(permits) - initialiser of a semaphore that has so many permits. Zeroed storage has none.
 * NORIA_SEMAPHORE_MAX(permits, max) - one that never has more than `max` (> 0): a release beyond is refused.
 */
#define NORIA_SEMAPHORE(permits) \
	{ \
		{ \
			(uint64_t)(permits) \
		} \
	}
#define NORIA_SEMAPHORE_MAX(permits, max) \
	{ \
		{ \
			(uint64_t)(permits), (uint64_t)(max) \
		} \
	}

/*
 * noria_semaphore_acquire, noria_semaphore_acquire_many - take one or `n` permits, all at once, after all who wait
 * already: a large request at the head is not overtaken by small ones.
 * Returns: 0; -ECANCELED: none was taken; -EINVAL when `n` is 0, or more than the semaphore's maximum.
 * Checkpoint. Since 0.2.
 *
 * noria_semaphore_tryacquire, noria_semaphore_tryacquire_many - the same if it takes no waiting.
 * Returns: 0; -EBUSY; -EINVAL as above. Not a checkpoint. Since 0.2.
 *
 * noria_semaphore_release, noria_semaphore_release_many - give one or `n` permits back, from any task.
 * Returns: 0; -EINVAL when `n` is 0; -EOVERFLOW when there would be more than the maximum (noria_message() names the
 * place): nothing was released. Not a checkpoint. Since 0.2.
 *
 * noria_semaphore_permits - how many there are to be had now. Not a checkpoint. Since 0.2.
 */
#define noria_semaphore_acquire(semaphore) noria_semaphore_acquire_at((semaphore), 1, NORIA_SITE("acquire"))
#define noria_semaphore_acquire_many(semaphore, n) \
	noria_semaphore_acquire_at((semaphore), (uint64_t)(n), NORIA_SITE("acquire"))
#define noria_semaphore_tryacquire(semaphore) noria_semaphore_tryacquire_at((semaphore), 1, NORIA_SITE("acquire"))
#define noria_semaphore_tryacquire_many(semaphore, n) \
	noria_semaphore_tryacquire_at((semaphore), (uint64_t)(n), NORIA_SITE("acquire"))
#define noria_semaphore_release(semaphore) noria_semaphore_release_at((semaphore), 1, NORIA_SITE("release"))
#define noria_semaphore_release_many(semaphore, n) \
	noria_semaphore_release_at((semaphore), (uint64_t)(n), NORIA_SITE("release"))
NORIA_PUBLIC NORIA_CHECKED int noria_semaphore_acquire_at(struct noria_semaphore *semaphore, uint64_t n,
							  const struct noria_site *site);
NORIA_PUBLIC NORIA_CHECKED int noria_semaphore_tryacquire_at(struct noria_semaphore *semaphore, uint64_t n,
							     const struct noria_site *site);
NORIA_PUBLIC int noria_semaphore_release_at(struct noria_semaphore *semaphore, uint64_t n,
					    const struct noria_site *site);
NORIA_PUBLIC uint64_t noria_semaphore_permits(const struct noria_semaphore *semaphore);

/*
 * noria_acquired(semaphore, expression) - acquire one permit, evaluate `expression` (a signed integer), release it, by
 * a `return` inside too. Value: that of the expression, or the error of noria_semaphore_acquire(), and then it was not
 * evaluated. Checkpoint. Since 0.2.
 */
#define noria_acquired(semaphore, expression) \
	NORIA_LOCKED_AS_(NORIA_UNIQUE_(noria_lock_), NORIA_UNIQUE_(noria_value_), noria_semaphore, \
			 noria_semaphore_acquire, semaphore, expression)
NORIA_PUBLIC void noria_semaphore_cleanup_(struct noria_semaphore **semaphore);

/* ---- condition ---- */

struct noria_condition {
	uint64_t opaque[6];
};

/*
 * noria_condition_wait - unlock `mutex`, wait for a signal, lock it again; between the first two nothing can happen.
 *
 * Whatever it returns, the calling task has the mutex: locking it again is carried through in a cancelled scope too,
 * and past a deadline. A task that is signalled stands in the mutex's queue from that moment. Nobody returns without a
 * signal; but others may have had the mutex since, so look again at what was waited for.
 * While it waits the task should hold no other lock: if that is needed to reach the signal, both wait for ever.
 *
 * Returns: 0: signalled, also when a cancel came later than the signal; -ECANCELED: not signalled, and no signal was
 * used up; -EPERM when the task does not have the mutex (noria_message() names both places); -EINVAL when others wait
 * with another mutex. Checkpoint. Since 0.2.
 *
 * noria_condition_signal - wake the task that has waited longest. Without one it has no effect.
 * noria_condition_broadcast - wake all that wait now, in their order.
 * Returns: how many tasks that was. One need not have the mutex. Not a checkpoint. Since 0.2.
 */
#define noria_condition_wait(condition, mutex) noria_condition_wait_at((condition), (mutex), NORIA_SITE("wait"))
NORIA_PUBLIC NORIA_CHECKED int noria_condition_wait_at(struct noria_condition *condition, struct noria_mutex *mutex,
						       const struct noria_site *site);
NORIA_PUBLIC int noria_condition_signal(struct noria_condition *condition);
NORIA_PUBLIC int noria_condition_broadcast(struct noria_condition *condition);

/* ---- event ---- */

struct noria_event {
	uint64_t opaque[6];
};

/*
 * noria_event_wait - wait until the event is set; returns at once when it is.
 * Returns: 0, also when it has been cleared again before the task came to run; -ECANCELED. Checkpoint. Since 0.2.
 *
 * noria_event_set - set it, and wake all who wait, in their order. It stays set.
 * noria_event_clear - from now on it has to be waited for.
 * Returns: 0. Not a checkpoint. Since 0.2.
 *
 * noria_event_is_set - is it? Not a checkpoint. Since 0.2.
 */
#define noria_event_wait(event) noria_event_wait_at((event), NORIA_SITE("wait"))
NORIA_PUBLIC NORIA_CHECKED int noria_event_wait_at(struct noria_event *event, const struct noria_site *site);
NORIA_PUBLIC int noria_event_set(struct noria_event *event);
NORIA_PUBLIC int noria_event_clear(struct noria_event *event);
NORIA_PUBLIC bool noria_event_is_set(const struct noria_event *event);

/* ---- barrier ---- */

struct noria_barrier {
	uint64_t opaque[10];
};

/* NORIA_BARRIER(parties) - initialiser of a barrier for so many tasks (> 0). */
#define NORIA_BARRIER(parties) \
	{ \
		{ \
			(uint64_t)(parties) \
		} \
	}

/*
 * noria_barrier_wait - wait until all parties are here. Then it is ready for the next time.
 *
 * A party that is cancelled, before it waits or while it does, breaks the barrier, since the others would wait for
 * ever: they, and whoever comes later, get -EPIPE, until noria_barrier_reset(); but who is cancelled too gets
 * -ECANCELED. One that is cancelled when all have come already has passed.
 *
 * Returns: 1 for the one that came last, 0 for the others; -ECANCELED; -EPIPE when the barrier is broken, or was reset
 * meanwhile (noria_message() says by whom and where); -EINVAL when it was not initialised. Checkpoint. Since 0.2.
 *
 * noria_barrier_reset - as new: no longer broken; who waits gets -EPIPE.
 * Returns: 0. Not a checkpoint. Since 0.2.
 */
#define noria_barrier_wait(barrier)  noria_barrier_wait_at((barrier), NORIA_SITE("wait"))
#define noria_barrier_reset(barrier) noria_barrier_reset_at((barrier), NORIA_SITE("reset"))
NORIA_PUBLIC NORIA_CHECKED int noria_barrier_wait_at(struct noria_barrier *barrier, const struct noria_site *site);
NORIA_PUBLIC int noria_barrier_reset_at(struct noria_barrier *barrier, const struct noria_site *site);

/* ---- once ---- */

struct noria_once {
	uint64_t opaque[12];
};

/*
 * noria_once - have `int fn(void *arg)` run with success exactly once, in the first task that calls; others wait for
 * it.
 *
 * When it fails (< 0; to be cancelled is to fail), only the call that ran it returns the error, and the one that has
 * waited longest runs its own `fn` with its own `arg`. After a success it is not run any more, and all calls return
 * that value. `fn` must return: an exception or a longjmp() out of it would leave the once with its task for ever.
 *
 * Returns: what `fn` returned (>= 0) when it succeeded, or its error to the one that ran it; -ECANCELED; -EDEADLK when
 * `fn` itself, or a task that it waits for in a lock, calls for the same; -EINVAL without a function. Checkpoint. Since
 * 0.2.
 */
#define noria_once(once, fn, arg) noria_once_at((once), (fn), (arg), NORIA_SITE(#fn))
NORIA_PUBLIC NORIA_CHECKED int noria_once_at(struct noria_once *once, noria_task_fn *fn, void *arg,
					     const struct noria_site *site);

NORIA_END_DECLS
#endif
