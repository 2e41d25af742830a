/* SPDX-License-Identifier: MIT */
/* Offloading: results, the bounds on threads and queue, cancelling before and during the call. */
#include "unit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

/* For what another thread does: it may not get a processor at once. */
#define WAIT_FOR(condition) \
	do { \
		for (int turns_ = 0; !(condition) && turns_ < 100000; turns_++) \
			MUST(noria_sleep(noria_usec(100)) == 0); \
		MUST(condition); \
	} while (0)

static int twice(void *arg)
{
	return *(int *)arg * 2;
}

static int thread_is_another(void *arg)
{
	return !pthread_equal(*(pthread_t *)arg, pthread_self());
}

static int calls_noria(__attribute__((unused)) void *arg)
{
	return noria_sleep(1);
}

UNIT(offload, runs_on_another_thread_and_gives_its_result)
{
	pthread_t self = pthread_self();
	int n = -4;

	EXPECT_EQ(noria_offload(twice, &n), -8);
	EXPECT_EQ(noria_offload(thread_is_another, &self), 1);
	EXPECT_EQ(noria_offload(calls_noria, NULL), -ENXIO);
	EXPECT_EQ(noria_offload_cancelled(), false);
	for (n = 0; n < 1000; n++)
		EXPECT_EQ(noria_offload(twice, &n), n * 2);
	return 0;
}

static pthread_barrier_t barrier;

static int meet(__attribute__((unused)) void *arg)
{
	pthread_barrier_wait(&barrier);
	return 0;
}

static int offload_meet(__attribute__((unused)) void *arg)
{
	return noria_offload(meet, NULL);
}

/*
 * Calls that wait for one another need as many threads as the configuration allows, however many of these were started
 * before and are idle.
 */
UNIT(offload, as_many_run_at_once_as_there_are_threads)
{
	struct noria_group group;
	int n = 1;

	pthread_barrier_init(&barrier, NULL, 4);
	for (int round = 0; round < 3; round++) {
		EXPECT_EQ(noria_offload(twice, &n), 2);
		MUST(noria_sleep(noria_msec(2)) == 0); /* its thread is idle again */
		MUST(noria_group_open(&group) == 0);
		for (int i = 0; i < 4; i++)
			MUST(noria_spawn(&group, offload_meet, NULL) == 0);
		EXPECT_EQ(noria_group_close(&group, 0), 0);
	}
	pthread_barrier_destroy(&barrier);
	return 0;
}

static atomic_int running, most, done;

static int count_running(__attribute__((unused)) void *arg)
{
	struct timespec pause = {.tv_nsec = 100 * 1000};
	int now = atomic_fetch_add(&running, 1) + 1, seen = atomic_load(&most);

	while (now > seen && !atomic_compare_exchange_weak(&most, &seen, now))
		;
	nanosleep(&pause, NULL);
	atomic_fetch_sub(&running, 1);
	atomic_fetch_add(&done, 1);
	return 0;
}

static int offload_count(void *arg)
{
	return noria_offload(count_running, arg);
}

static const struct noria_config narrow = {.executor_threads = 2, .executor_queue = 3};

UNIT_WITH(offload, threads_and_queue_are_bounded_and_a_full_queue_waits, &narrow)
{
	struct noria_group group;

	atomic_store(&most, 0);
	atomic_store(&done, 0);
	MUST(noria_group_open(&group) == 0);
	for (int i = 0; i < 100; i++)
		MUST(noria_spawn(&group, offload_count, NULL) == 0);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT_EQ(atomic_load(&done), 100);
	EXPECT(atomic_load(&most) >= 1 && atomic_load(&most) <= 2);
	return 0;
}

static atomic_bool release, entered, saw_cancel;

static int hold(__attribute__((unused)) void *arg)
{
	atomic_store(&entered, true);
	while (!atomic_load(&release))
		if (noria_offload_cancelled())
			atomic_store(&saw_cancel, true);
	return 5;
}

static int offload_hold(__attribute__((unused)) void *arg)
{
	return noria_offload(hold, NULL);
}

static int never(void *arg)
{
	*(int *)arg = 1;
	return 0;
}

static const struct noria_config single = {.executor_threads = 1, .executor_queue = 1};

/* One call runs, one is queued, one waits for the queue: the last two are taken out and never run. */
UNIT_WITH(offload, a_cancel_takes_queued_calls_out, &single)
{
	struct noria_group group;
	int ran = 0;

	atomic_store(&release, false);
	atomic_store(&entered, false);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, offload_hold, NULL) == 0);
	WAIT_FOR(atomic_load(&entered));
	EXPECT_EQ(noria_within(noria_msec(2), noria_offload(never, &ran)), -ETIMEDOUT);
	MUST(noria_spawn(&group, offload_hold, NULL) == 0);
	MUST(noria_yield() == 0);
	EXPECT_EQ(noria_within(noria_msec(2), noria_offload(never, &ran)), -ETIMEDOUT);
	EXPECT_EQ(ran, 0);
	atomic_store(&release, true);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	return 0;
}

static int cancel_then_release(void *arg)
{
	WAIT_FOR(atomic_load(&entered));
	noria_scope_cancel(arg);
	WAIT_FOR(atomic_load(&saw_cancel));
	atomic_store(&release, true);
	return 0;
}

UNIT(offload, a_running_call_is_waited_for_and_its_result_delivered)
{
	struct noria_group group;
	struct noria_scope scope;

	atomic_store(&release, false);
	atomic_store(&entered, false);
	atomic_store(&saw_cancel, false);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
	MUST(noria_spawn(&group, cancel_then_release, &scope) == 0);
	EXPECT_EQ(noria_offload(hold, NULL), 5);
	EXPECT_EQ(noria_check(), -ECANCELED);
	EXPECT_EQ(noria_scope_close(&scope, -ECANCELED), 0);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	return 0;
}
