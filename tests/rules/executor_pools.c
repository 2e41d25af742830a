/* SPDX-License-Identifier: MIT */
/* Executors of the program's own: their bounds, and that they leave one another alone. */
#include "noria/executor.h"
#include "ring_inside.h"

#include <semaphore.h>
#include <stdatomic.h>

/* Another thread has to do something first: give it time. */
#define UNTIL_THREAD(condition) \
	do { \
		while (!(condition)) \
			MUST(noria_sleep(noria_usec(50)) == 0); \
	} while (0)

struct job {
	struct noria_executor *executor; /* NULL: the runtime's for blocking calls */
	sem_t go;
	atomic_bool begun;
	int result;
};

static void job_init(struct job *job, struct noria_executor *executor)
{
	memset(job, 0, sizeof *job);
	job->executor = executor;
	MUST(sem_init(&job->go, 0, 0) == 0);
}

static int held(void *arg)
{
	struct job *job = arg;

	atomic_store(&job->begun, true);
	while (sem_wait(&job->go) < 0)
		;
	return 42;
}

static int call(void *arg)
{
	struct job *job = arg;

	job->result = job->executor ? noria_executor_call(job->executor, held, job) : noria_offload(held, job);
	return 0;
}

static int answer(void *arg)
{
	(void)arg;
	return 7;
}

/* X04: as many calls as threads and places, and the next one fails, in plain words; a place is free when a call has ended. */
RULE(X04, a_full_executor_fails_a_call_if_told_to)
{
	struct noria_executor_options options = {.threads = 2, .queue = 1, .when_full = NORIA_FULL_FAIL};
	struct noria_executor *executor;
	struct noria_group group = {0};
	struct job jobs[3];

	MUST(noria_executor_open(&executor, "narrow", &options) == 0);
	MUST(noria_group_open(&group) == 0);
	for (int i = 0; i < 3; i++) {
		job_init(&jobs[i], executor);
		MUST(noria_spawn(&group, call, &jobs[i]) == 0);
	}
	MUST(noria_yield() == 0);
	EXPECT(noria_executor_call(executor, answer, NULL) == -EBUSY);
	EXPECT(strstr(noria_message(), "narrow") && strstr(noria_message(), "Remedy"));
	UNTIL_THREAD(atomic_load(&jobs[0].begun) && atomic_load(&jobs[1].begun));
	EXPECT(!atomic_load(&jobs[2].begun));
	EXPECT(noria_executor_call(executor, answer, NULL) == -EBUSY);
	for (int i = 0; i < 3; i++)
		sem_post(&jobs[i].go);
	MUST(noria_group_close(&group, 0) == 0);
	for (int i = 0; i < 3; i++)
		EXPECT(jobs[i].result == 42);
	for (int i = 0; i < 1000; i++) /* a call that has ended has left its place */
		EXPECT(noria_executor_call(executor, answer, NULL) == 7);
	noria_executor_unref(executor);
	return 0;
}

/* X04: never more threads than it may have, however many calls wait. */
RULE(X04, an_executor_has_no_more_threads_than_it_may)
{
	struct noria_executor *executor;
	struct noria_group group = {0};
	struct job jobs[6];
	int begun = 0;

	MUST(noria_executor_open(&executor, "two", &(struct noria_executor_options){.threads = 2, .queue = 2}) == 0);
	MUST(noria_group_open(&group) == 0);
	for (int i = 0; i < 6; i++) {
		job_init(&jobs[i], executor);
		MUST(noria_spawn(&group, call, &jobs[i]) == 0);
	}
	UNTIL_THREAD(atomic_load(&jobs[0].begun) && atomic_load(&jobs[1].begun));
	MUST(noria_sleep(noria_msec(3)) == 0);
	for (int i = 0; i < 6; i++)
		begun += atomic_load(&jobs[i].begun);
	EXPECT(begun == 2);
	for (int i = 0; i < 6; i++)
		sem_post(&jobs[i].go);
	MUST(noria_group_close(&group, 0) == 0);
	noria_executor_unref(executor);
	return 0;
}

static const struct noria_config one_thread = {.executor_threads = 1, .executor_queue = 1, .compute_threads = 1};

/* X05: with one executor full and its calls stuck, calls on the others run: of the program's own and the runtime's two. */
RULE_WITH(X05, a_full_executor_does_not_hold_up_another, &one_thread)
{
	struct noria_executor *first, *second;
	struct noria_group group = {0};
	struct job jobs[8];

	MUST(noria_executor_open(&first, "first", &(struct noria_executor_options){.threads = 1, .queue = 1}) == 0);
	MUST(noria_executor_open(&second, "second", &(struct noria_executor_options){.threads = 1, .queue = 1}) == 0);
	MUST(noria_group_open(&group) == 0);
	for (int i = 0; i < 8; i++) {
		job_init(&jobs[i], i % 2 ? first : NULL);
		MUST(noria_spawn(&group, call, &jobs[i]) == 0);
	}
	UNTIL_THREAD(atomic_load(&jobs[0].begun) && atomic_load(&jobs[1].begun));
	for (int i = 0; i < 100; i++) {
		EXPECT(noria_executor_call(second, answer, NULL) == 7);
		EXPECT(noria_compute(answer, NULL) == 7);
	}
	for (int i = 2; i < 8; i++)
		EXPECT(!atomic_load(&jobs[i].begun));
	for (int i = 0; i < 8; i++)
		sem_post(&jobs[i].go);
	MUST(noria_group_close(&group, 0) == 0);
	noria_executor_unref(first);
	noria_executor_unref(second);
	return 0;
}
