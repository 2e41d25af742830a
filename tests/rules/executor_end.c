/* SPDX-License-Identifier: MIT */
/* X03: calls that are under way when a run is told to end: it waits for them, and none reaches into a runtime that is gone. */
#include "noria/offload.h"
#include "ring_inside.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

static sem_t go;
static atomic_int begun, ended;

struct call {
	atomic_bool begun, ended;
};

static int blocking(void *arg)
{
	struct call *call = arg;

	atomic_store(&call->begun, true);
	atomic_fetch_add(&begun, 1);
	while (sem_wait(&go) < 0)
		;
	atomic_fetch_add(&ended, 1);
	atomic_store(&call->ended, true);
	return 0;
}

static int offload(void *arg)
{
	struct call call = {0};

	(void)arg;
	EXPECT(noria_offload(blocking, &call) == (atomic_load(&call.begun) ? 0 : -ECANCELED));
	EXPECT(atomic_load(&call.begun) == atomic_load(&call.ended)); /* `call` is about to vanish */
	return 0;
}

static void *release_later(void *arg)
{
	(void)arg;
	usleep(20000);
	for (int i = 0; i < 16; i++)
		sem_post(&go);
	return NULL;
}

static int end_during_calls(void *arg)
{
	struct noria_group group = {0};

	MUST(noria_group_open(&group) == 0);
	for (int i = 0; i < 8; i++)
		MUST(noria_spawn(&group, offload, NULL) == 0);
	while (atomic_load(&begun) < 4)
		MUST(noria_sleep(noria_usec(50)) == 0);
	MUST(pthread_create(arg, NULL, release_later, NULL) == 0);
	return noria_group_close(&group, -EIO);
}

/* X03: four calls run and four wait in the queue when the root task fails: four are awaited, four never start. */
Test(X03, the_end_of_a_run_waits_for_its_calls, .timeout = 60)
{
	pthread_t thread;

	sem_init(&go, 0, 0);
	cr_expect_eq(rule_run(end_during_calls, &thread, NULL, NORIA_TIMEOUTS_LINKED), -EIO);
	cr_expect_eq(atomic_load(&begun), 4);
	cr_expect_eq(atomic_load(&ended), 4);
	pthread_join(thread, NULL);
}

static int quick(void *arg)
{
	atomic_fetch_add((atomic_int *)arg, 1);
	return 0;
}

static int offload_quick(void *arg)
{
	return noria_offload(quick, arg);
}

static int calls_until_the_end(void *arg)
{
	struct noria_group group = {0};

	MUST(noria_group_open(&group) == 0);
	for (int i = 0; i < 8; i++)
		MUST(noria_spawn(&group, offload_quick, arg) == 0);
	return noria_group_close(&group, 0);
}

/* X03: results that arrive in the last moments of many short runs. */
Test(X03, the_last_result_is_harmless, .timeout = 60)
{
	for (int i = 0; i < 200; i++) {
		atomic_int count = 0;

		cr_expect_eq(rule_run(calls_until_the_end, &count, NULL, i % 2), 0);
		cr_expect_eq(atomic_load(&count), 8);
	}
}
