/* SPDX-License-Identifier: MIT */
/*
 * The storm's locks: mutexes, of which tasks take several in no order, so that cycles are refused; rwlocks; semaphores. Who
 * is inside is counted: one, or one writer, or readers only, or as many permits as there are.
 */
#include "storm.h"

enum { LOCKS = 5, NESTED = 3, PERMITS = 4 };

static struct {
	struct noria_mutex mutex;
	unsigned inside;
} mutexes[LOCKS];

static struct {
	struct noria_rwlock rwlock;
	unsigned readers, writers;
} rwlocks[LOCKS];

static struct {
	struct noria_semaphore semaphore;
	uint64_t held;
} semaphores[LOCKS];

static unsigned long locked, cycles, read_locked, write_locked, acquired;

static int lock_one(unsigned nested);

static int inside_mutex(unsigned number, unsigned nested)
{
	int r = 0;

	CHECK(++mutexes[number].inside == 1);
	locked++;
	storm_pause();
	if (nested < NESTED && storm_below(4) == 0)
		r = lock_one(nested + 1);
	CHECK(--mutexes[number].inside == 0);
	return r;
}

static int lock_one(unsigned nested)
{
	unsigned number = storm_below(LOCKS);
	struct noria_mutex *mutex = &mutexes[number].mutex;
	int r;

	if (storm_below(3) == 0) {
		r = noria_locked(mutex, inside_mutex(number, nested));
	} else {
		r = storm_below(4) ? noria_mutex_lock(mutex) : noria_mutex_trylock(mutex);
		if (r == -EBUSY)
			return STORM_NOTHING;
		if (r == 0) {
			r = inside_mutex(number, nested);
			CHECK(noria_mutex_unlock(mutex) == 0);
		}
	}
	CHECK(r == 0 || r == STORM_NOTHING || r == -ECANCELED || (r == -EDEADLK && nested > 0));
	if (r != -EDEADLK)
		return r;
	cycles++;
	return 0;
}

static int in_mutex(unsigned depth)
{
	(void)depth;
	return lock_one(0);
}

static int read_something(unsigned number)
{
	rwlocks[number].readers++;
	read_locked++;
	CHECK(rwlocks[number].writers == 0);
	storm_pause();
	CHECK(rwlocks[number].writers == 0);
	rwlocks[number].readers--;
	return 0;
}

static int write_something(unsigned number)
{
	struct noria_rwlock *rwlock = &rwlocks[number].rwlock;

	CHECK(++rwlocks[number].writers == 1 && rwlocks[number].readers == 0);
	write_locked++;
	storm_pause();
	CHECK(--rwlocks[number].writers == 0 && rwlocks[number].readers == 0);
	if (storm_below(4))
		return 0;
	CHECK(noria_rwlock_downgrade(rwlock) == 0);
	return read_something(number);
}

static int in_rwlock(unsigned depth)
{
	unsigned number = storm_below(LOCKS);
	struct noria_rwlock *rwlock = &rwlocks[number].rwlock;
	int r;

	(void)depth;
	switch (storm_below(8)) {
	case 0:
		return noria_wrlocked(rwlock, write_something(number));
	case 1:
	case 2:
		return noria_rdlocked(rwlock, read_something(number));
	case 3:
		r = noria_rwlock_trywrlock(rwlock);
		CHECK(r == 0 || r == -EBUSY);
		if (r == 0)
			CHECK(write_something(number) == 0 && noria_rwlock_unlock(rwlock) == 0);
		return r == 0 ? 0 : STORM_NOTHING;
	case 4:
		r = noria_rwlock_tryrdlock(rwlock);
		CHECK(r == 0 || r == -EBUSY);
		if (r == 0)
			CHECK(read_something(number) == 0 && noria_rwlock_unlock(rwlock) == 0);
		return r == 0 ? 0 : STORM_NOTHING;
	case 5:
		r = noria_rwlock_wrlock(rwlock);
		if (r == 0)
			CHECK(write_something(number) == 0 && noria_rwlock_unlock(rwlock) == 0);
		return r;
	default:
		r = noria_rwlock_rdlock(rwlock);
		if (r == 0)
			CHECK(read_something(number) == 0 && noria_rwlock_unlock(rwlock) == 0);
		return r;
	}
}

static int hold_permits(unsigned number, uint64_t n)
{
	semaphores[number].held += n;
	acquired += n;
	CHECK(semaphores[number].held + noria_semaphore_permits(&semaphores[number].semaphore) <= PERMITS);
	storm_pause();
	semaphores[number].held -= n;
	return 0;
}

static int in_semaphore(unsigned depth)
{
	unsigned number = storm_below(LOCKS);
	struct noria_semaphore *semaphore = &semaphores[number].semaphore;
	uint64_t n = 1 + storm_below(PERMITS);
	int r;

	(void)depth;
	if (storm_below(4) == 0)
		return noria_acquired(semaphore, hold_permits(number, 1));
	r = storm_below(5) ? noria_semaphore_acquire_many(semaphore, n) : noria_semaphore_tryacquire_many(semaphore, n);
	CHECK(r == 0 || r == -ECANCELED || r == -EBUSY);
	if (r == 0) {
		hold_permits(number, n);
		CHECK(noria_semaphore_release_many(semaphore, n) == 0);
	}
	return r == -EBUSY ? STORM_NOTHING : r;
}

static int lock_calmly(void *arg)
{
	unsigned task = *(unsigned *)arg;

	for (unsigned i = 0; i < STORM_ROUNDS * LOCKS; i++) {
		unsigned number = i % LOCKS;
		uint64_t n = 1 + (i + task) % PERMITS;

		CHECK(noria_locked(&mutexes[number].mutex, inside_mutex(number, NESTED)) == 0);
		if ((i + task) % 3 == 0)
			CHECK(noria_wrlocked(&rwlocks[number].rwlock, write_something(number)) == 0);
		else
			CHECK(noria_rdlocked(&rwlocks[number].rwlock, read_something(number)) == 0);
		CHECK(noria_semaphore_acquire_many(&semaphores[number].semaphore, n) == 0);
		CHECK(hold_permits(number, n) == 0);
		CHECK(noria_semaphore_release_many(&semaphores[number].semaphore, n) == 0);
	}
	return 0;
}

/* ---- who stands in a queue behind one who gives up comes in at once, while the others stay ---- */

static int give_up_writing(void *arg)
{
	CHECK(noria_within(noria_usec(300), noria_rwlock_wrlock(arg)) == -ETIMEDOUT);
	return 0;
}

static int read_behind(void *arg)
{
	CHECK(noria_rwlock_rdlock(arg) == 0);
	return noria_rwlock_unlock(arg);
}

static int give_up_acquiring(void *arg)
{
	CHECK(noria_within(noria_usec(300), noria_semaphore_acquire_many(arg, PERMITS)) == -ETIMEDOUT);
	return 0;
}

static int acquire_behind(void *arg)
{
	CHECK(noria_semaphore_acquire(arg) == 0);
	return noria_semaphore_release(arg);
}

static void queue_up(noria_task_fn *first, noria_task_fn *second, void *arg)
{
	struct noria_group group;

	CHECK(noria_group_open(&group) == 0);
	CHECK(noria_spawn(&group, first, arg) == 0 && noria_spawn(&group, second, arg) == 0);
	CHECK(noria_group_close(&group, 0) == 0);
}

static void pass_those_who_give_up(void)
{
	storm_tell("behind one who gives up");
	for (unsigned i = 0; i < LOCKS; i++) {
		CHECK(noria_rwlock_rdlock(&rwlocks[i].rwlock) == 0);
		queue_up(give_up_writing, read_behind, &rwlocks[i].rwlock);
		CHECK(noria_rwlock_unlock(&rwlocks[i].rwlock) == 0);
		CHECK(noria_semaphore_acquire(&semaphores[i].semaphore) == 0);
		queue_up(give_up_acquiring, acquire_behind, &semaphores[i].semaphore);
		CHECK(noria_semaphore_release(&semaphores[i].semaphore) == 0);
	}
}

static void open_all(void)
{
	memset(mutexes, 0, sizeof mutexes);
	memset(rwlocks, 0, sizeof rwlocks);
	for (unsigned i = 0; i < LOCKS; i++) {
		semaphores[i].semaphore = (struct noria_semaphore)NORIA_SEMAPHORE_MAX(PERMITS, PERMITS);
		semaphores[i].held = 0;
	}
	locked = cycles = read_locked = write_locked = acquired = 0;
}

static void close_all(void)
{
	storm_calm("locks, with nothing cancelled", lock_calmly);
	pass_those_who_give_up();
	for (unsigned i = 0; i < LOCKS; i++) {
		CHECK(mutexes[i].inside == 0 && noria_mutex_trylock(&mutexes[i].mutex) == 0);
		CHECK(noria_mutex_unlock(&mutexes[i].mutex) == 0);
		CHECK(rwlocks[i].readers == 0 && noria_rwlock_trywrlock(&rwlocks[i].rwlock) == 0);
		CHECK(noria_rwlock_unlock(&rwlocks[i].rwlock) == 0);
		CHECK(semaphores[i].held == 0 && noria_semaphore_permits(&semaphores[i].semaphore) == PERMITS);
		CHECK(noria_semaphore_release(&semaphores[i].semaphore) == -EOVERFLOW);
	}
	storm_note("mutexes locked", locked);
	storm_note("cycles of mutexes refused", cycles);
	storm_note("locked for reading", read_locked);
	storm_note("locked for writing", write_locked);
	storm_note("permits acquired", acquired);
}

static const struct storm_operation operations[] = {
	{"mutex", in_mutex, 8},
	{"rwlock", in_rwlock, 6},
	{"semaphore", in_semaphore, 6},
};

const struct storm_subject storm_locks = {.operations = operations,
					  .count = sizeof operations / sizeof operations[0],
					  .open = open_all,
					  .close = close_all};
