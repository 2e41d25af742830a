/* SPDX-License-Identifier: MIT */
/* S15 for locks: unlocking, and locking again after a condition, are carried through, cancelled or not. */
#include "group_tasks.h"

struct scene {
	struct noria_mutex mutex;
	struct noria_condition condition;
	struct noria_rwlock rwlock;
	struct noria_scope scope;
	bool waiting, returned;
	int result, unlocked, after;
};

/* S15: a mutex is unlocked in a cancelled scope, and the one who waits has it. */
static int lock_the_mutex(void *arg)
{
	struct scene *scene = arg;

	scene->waiting = true;
	scene->result = noria_mutex_lock(&scene->mutex);
	scene->returned = true;
	return noria_mutex_unlock(&scene->mutex);
}

RULE(S15, a_mutex_is_unlocked_in_a_cancelled_scope)
{
	struct noria_group group;
	struct scene scene = {.result = 1};

	MUST(noria_group_open(&group) == 0);
	MUST(noria_scope_open(&scene.scope, NORIA_FOREVER, 0) == 0);
	MUST(noria_mutex_lock(&scene.mutex) == 0);
	MUST(noria_spawn(&group, lock_the_mutex, &scene) == 0);
	UNTIL(scene.waiting);
	noria_scope_cancel(&scene.scope);
	EXPECT(noria_check() == -ECANCELED);
	EXPECT(noria_mutex_unlock(&scene.mutex) == 0);
	EXPECT(noria_scope_close(&scene.scope, 0) == 0);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(scene.result == 0);
	return 0;
}

/* S15: so is an rwlock, by readers and writers, and permits and signals are given. */
RULE(S15, an_rwlock_and_a_semaphore_are_released_in_a_cancelled_scope)
{
	struct noria_rwlock rwlock = {0};
	struct noria_semaphore semaphore = NORIA_SEMAPHORE(0);
	struct noria_event event = {0};
	struct noria_condition condition = {0};
	struct noria_scope scope;

	for (int writes = 0; writes < 2; writes++) {
		MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
		MUST((writes ? noria_rwlock_wrlock(&rwlock) : noria_rwlock_rdlock(&rwlock)) == 0);
		noria_scope_cancel(&scope);
		EXPECT(noria_check() == -ECANCELED);
		EXPECT(noria_rwlock_unlock(&rwlock) == 0);
		EXPECT(noria_semaphore_release(&semaphore) == 0);
		EXPECT(noria_event_set(&event) == 0);
		EXPECT(noria_condition_signal(&condition) == 0);
		EXPECT(noria_scope_close(&scope, 0) == 0);
	}
	EXPECT(noria_rwlock_trywrlock(&rwlock) == 0);
	EXPECT(noria_rwlock_unlock(&rwlock) == 0);
	EXPECT(noria_semaphore_permits(&semaphore) == 2);
	EXPECT(noria_event_is_set(&event));
	return 0;
}

static int wait_in_a_scope(void *arg)
{
	struct scene *scene = arg;

	MUST(noria_mutex_lock(&scene->mutex) == 0);
	MUST(noria_scope_open(&scene->scope, NORIA_FOREVER, 0) == 0);
	scene->waiting = true;
	scene->result = noria_condition_wait(&scene->condition, &scene->mutex);
	scene->returned = true;
	scene->after = noria_check();
	scene->unlocked = noria_mutex_unlock(&scene->mutex);
	EXPECT(noria_scope_close(&scene->scope, 0) == 0);
	return 0;
}

/* S15: a cancel ends the wait for the signal, and not that for the mutex which follows, however often it is repeated. */
RULE(S15, a_cancelled_wait_for_a_condition_locks_again)
{
	struct noria_group group;
	struct scene scene = {.result = 1, .unlocked = 1};

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, wait_in_a_scope, &scene) == 0);
	UNTIL(scene.waiting);
	MUST(noria_mutex_lock(&scene.mutex) == 0);
	noria_scope_cancel(&scene.scope);
	yield_times(100);
	EXPECT(!scene.returned);
	noria_group_cancel(&group);
	MUST(noria_shielded(NORIA_FOREVER, yield_times(100)) == 0);
	EXPECT(!scene.returned);
	EXPECT(noria_mutex_unlock(&scene.mutex) == 0);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(scene.result == -ECANCELED && scene.after == -ECANCELED && scene.unlocked == 0);
	EXPECT(noria_mutex_trylock(&scene.mutex) == 0);
	EXPECT(noria_mutex_unlock(&scene.mutex) == 0);
	return 0;
}

/* S15: a cancel that comes when it has been signalled and waits for the mutex. */
RULE(S15, a_cancel_does_not_stop_locking_again)
{
	struct noria_group group;
	struct scene scene = {.result = 1, .unlocked = 1};

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, wait_in_a_scope, &scene) == 0);
	UNTIL(scene.waiting);
	MUST(noria_mutex_lock(&scene.mutex) == 0);
	EXPECT(noria_condition_signal(&scene.condition) == 1);
	noria_scope_cancel(&scene.scope);
	yield_times(100);
	EXPECT(!scene.returned);
	EXPECT(noria_mutex_unlock(&scene.mutex) == 0);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(scene.result == 0 && scene.after == -ECANCELED && scene.unlocked == 0);
	return 0;
}

/* The clock has passed a moment; nothing is slept away that need not be. */
static int pass(int64_t time_ns)
{
	MUST(noria_sleep_until(time_ns) == 0);
	MUST(noria_yield() == 0);
	return 0;
}

static int wait_with_a_deadline(void *arg)
{
	struct scene *scene = arg;

	MUST(noria_mutex_lock(&scene->mutex) == 0);
	scene->waiting = true;
	scene->result = noria_within(noria_msec(5), noria_condition_wait(&scene->condition, &scene->mutex));
	scene->returned = true;
	scene->unlocked = noria_mutex_unlock(&scene->mutex);
	return 0;
}

/* S15: nor does a deadline: it ends the wait for the signal, and the mutex comes when it comes. */
RULE(S15, a_deadline_does_not_stop_locking_again)
{
	struct noria_group group;
	struct scene scene = {.result = 1, .unlocked = 1};

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, wait_with_a_deadline, &scene) == 0);
	UNTIL(scene.waiting);
	MUST(noria_mutex_lock(&scene.mutex) == 0);
	pass(noria_now() + noria_msec(20));
	EXPECT(!scene.returned);
	EXPECT(noria_condition_signal(&scene.condition) == 0); /* it does not wait for one any more */
	EXPECT(noria_mutex_unlock(&scene.mutex) == 0);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(scene.result == -ETIMEDOUT && scene.unlocked == 0);
	return 0;
}
