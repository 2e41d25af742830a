/* SPDX-License-Identifier: MIT */
/*
 * Calls that may be abandoned: the caller goes on, the call ends when it does, and its argument is disposed of exactly
 * once. The executor of these tests has one thread and one place in its queue; calls are held back by a semaphore.
 */
#include "noria/offload.h"
#include "ring_inside.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

static const struct noria_config one_thread = {.executor_threads = 1, .executor_queue = 1};

NORIA_KEY_STATIC(colour, int);

/* Another thread has to do something first: give it time. */
#define UNTIL_THREAD(condition) \
	do { \
		while (!(condition)) \
			MUST(noria_sleep(noria_usec(50)) == 0); \
	} while (0)

struct job {
	sem_t go;
	atomic_bool begun, cancelled_seen;
	atomic_int disposed, result_disposed;
	int colour_seen;
	bool disposed_by_task;
};

static void job_init(struct job *job)
{
	memset(job, 0, sizeof *job);
	MUST(sem_init(&job->go, 0, 0) == 0);
}

static int held(void *arg)
{
	struct job *job = arg;

	atomic_store(&job->begun, true);
	while (sem_wait(&job->go) < 0)
		;
	atomic_store(&job->cancelled_seen, noria_offload_cancelled());
	job->colour_seen = noria_value_get(&colour);
	return 42;
}

static void dispose(int result, void *arg)
{
	struct job *job = arg;

	job->disposed_by_task = noria_now() >= 0; /* a thread of the executor has no runtime */
	atomic_store(&job->result_disposed, result);
	atomic_fetch_add(&job->disposed, 1);
}

static int cancel_when_begun(void *arg)
{
	void **scope_and_job = arg;

	UNTIL_THREAD(atomic_load(&((struct job *)scope_and_job[1])->begun));
	noria_scope_cancel(scope_and_job[0]);
	return 0;
}

/* Call `held` in a scope that is cancelled once it runs. */
static int abandon(struct job *job, bool *ret_abandoned)
{
	struct noria_call_options options = {.dispose = dispose, .ret_abandoned = ret_abandoned};
	struct noria_group group = {0};
	struct noria_scope scope = {0};
	void *scope_and_job[] = {&scope, job};
	int r;

	MUST(noria_group_open(&group) == 0);
	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
	MUST(noria_spawn(&group, cancel_when_begun, scope_and_job) == 0);
	r = noria_offload_with(held, job, &options);
	EXPECT(noria_check() == -ECANCELED);
	MUST(noria_scope_close(&scope, r) == 0);
	MUST(noria_group_close(&group, 0) == 0);
	return r;
}

/* X01: the cancelled caller does not wait; the argument goes when the call has ended, with its result. X02: it can ask. */
RULE_WITH(X01, an_abandoned_call_keeps_its_argument_until_it_ends, &one_thread)
{
	bool abandoned = false;
	struct job job;

	job_init(&job);
	EXPECT(abandon(&job, &abandoned) == -ECANCELED); /* while the call is held */
	EXPECT(abandoned);
	EXPECT(atomic_load(&job.disposed) == 0);
	sem_post(&job.go);
	UNTIL_THREAD(atomic_load(&job.disposed));
	EXPECT(job.result_disposed == 42);
	EXPECT(atomic_load(&job.cancelled_seen));
	EXPECT(!job.disposed_by_task);
	MUST(noria_sleep(noria_msec(1)) == 0);
	EXPECT(atomic_load(&job.disposed) == 1);
	return 0;
}

static int answer(void *arg)
{
	(void)arg;
	return 7;
}

static int call_answer(void *arg)
{
	EXPECT(noria_offload(answer, NULL) == 7);
	*(bool *)arg = true;
	return 0;
}

/*
 * X04: an abandoned call counts against the bound. Who waits behind nothing else can be cancelled, waits else until it
 * has ended, and the failure handler is told: once, and anew when it comes to that again.
 */
RULE_WITH(X04, a_queue_behind_abandoned_calls_waits_and_that_is_told, &one_thread)
{
	struct noria_group group = {0};
	bool answered = false;
	struct job job;

	for (int round = 1; round <= 2; round++) {
		job_init(&job);
		EXPECT(abandon(&job, NULL) == -ECANCELED);
		EXPECT(rule_heard.count == round - 1); /* nobody waits */
		for (int i = 0; i < 2; i++) {
			EXPECT(noria_within(noria_msec(2), noria_offload(answer, NULL)) == -ETIMEDOUT);
			EXPECT(rule_heard.count == round && rule_heard.last.code == -EBUSY);
		}
		answered = false;
		MUST(noria_group_open(&group) == 0);
		MUST(noria_spawn(&group, call_answer, &answered) == 0);
		MUST(noria_sleep(noria_msec(2)) == 0);
		EXPECT(!answered);
		sem_post(&job.go);
		MUST(noria_group_close(&group, 0) == 0);
		EXPECT(answered && rule_heard.count == round);
	}
	return 0;
}

/* X04: the same when the others wait already, and the last thread that could have served them is lost to them. */
RULE_WITH(X04, the_last_thread_that_is_abandoned_is_told_of, &one_thread)
{
	struct noria_group group = {0};
	void *scope_and_job[2];
	struct noria_scope scope = {0};
	bool answered = false;
	struct job job;
	int r;

	job_init(&job);
	scope_and_job[0] = &scope;
	scope_and_job[1] = &job;
	MUST(noria_group_open(&group) == 0);
	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
	MUST(noria_spawn(&group, cancel_when_begun, scope_and_job) == 0);
	MUST(noria_spawn(&group, call_answer, &answered) == 0); /* queued behind ours, which comes first */
	r = noria_offload_with(held, &job, &(struct noria_call_options){.dispose = dispose});
	EXPECT(rule_heard.count == 1 && rule_heard.last.code == -EBUSY);
	MUST(noria_scope_close(&scope, r) == 0);
	EXPECT(!answered);
	sem_post(&job.go);
	MUST(noria_group_close(&group, 0) == 0);
	EXPECT(answered);
	return 0;
}

/* X01: a call that was not given up leaves the argument with its caller, if that wants it, or disposes of it itself. */
RULE(X01, a_call_that_ended_gives_its_argument_back)
{
	bool abandoned = true;
	struct job job;

	job_init(&job);
	EXPECT(noria_offload_with(answer, &job,
				  &(struct noria_call_options){.dispose = dispose, .ret_abandoned = &abandoned}) == 7);
	EXPECT(!abandoned && atomic_load(&job.disposed) == 0);
	EXPECT(noria_offload_with(answer, &job, &(struct noria_call_options){.dispose = dispose}) == 7);
	EXPECT(atomic_load(&job.disposed) == 1 && job.result_disposed == 7);
	EXPECT(!job.disposed_by_task);
	return 0;
}

static int fill_thread(void *arg)
{
	return noria_offload(held, arg);
}

/* X01: taken out of the queue, or out of the wait for a place in it, a call never starts; its argument goes at once. */
RULE_WITH(X01, a_call_that_never_started_is_disposed_of_by_its_caller, &one_thread)
{
	struct noria_group group = {0};
	struct job first, second, third, fourth;
	bool abandoned = false;
	struct noria_call_options options = {.dispose = dispose, .ret_abandoned = &abandoned};

	job_init(&first);
	job_init(&second);
	job_init(&third);
	job_init(&fourth);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, fill_thread, &first) == 0);
	UNTIL_THREAD(atomic_load(&first.begun));
	EXPECT(noria_within(noria_msec(2), noria_offload_with(held, &third, &options)) == -ETIMEDOUT); /* queued */
	EXPECT(abandoned && atomic_load(&third.disposed) == 1 && third.result_disposed == -ECANCELED);
	EXPECT(third.disposed_by_task);
	MUST(noria_spawn(&group, fill_thread, &second) == 0);
	MUST(noria_yield() == 0);
	abandoned = false;
	EXPECT(noria_within(noria_msec(2), noria_offload_with(held, &fourth, &options)) == -ETIMEDOUT); /* no place */
	EXPECT(abandoned && atomic_load(&fourth.disposed) == 1);
	sem_post(&first.go);
	sem_post(&second.go);
	MUST(noria_group_close(&group, 0) == 0);
	EXPECT(!atomic_load(&third.begun) && !atomic_load(&fourth.begun));
	EXPECT(atomic_load(&third.disposed) == 1 && atomic_load(&fourth.disposed) == 1);
	return 0;
}

/* X01: in a scope that is cancelled already, and where the call is refused. */
RULE(X01, a_call_that_was_not_accepted_is_disposed_of_or_given_back)
{
	struct noria_scope scope = {0};
	bool abandoned = false;
	struct job job;

	job_init(&job);
	EXPECT(noria_offload_with(NULL, &job,
				  &(struct noria_call_options){.dispose = dispose, .ret_abandoned = &abandoned}) ==
	       -EINVAL);
	EXPECT(!abandoned && atomic_load(&job.disposed) == 0);
	EXPECT(noria_offload_with(NULL, &job, &(struct noria_call_options){.dispose = dispose}) == -EINVAL);
	EXPECT(atomic_load(&job.disposed) == 1 && job.result_disposed == -EINVAL);
	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
	noria_scope_cancel(&scope);
	EXPECT(noria_offload_with(held, &job,
				  &(struct noria_call_options){.dispose = dispose, .ret_abandoned = &abandoned}) ==
	       -ECANCELED);
	EXPECT(abandoned && atomic_load(&job.disposed) == 2 && job.result_disposed == -ECANCELED);
	EXPECT(noria_scope_close(&scope, 0) == 0);
	EXPECT(!atomic_load(&job.begun));
	return 0;
}

static atomic_int released;

static void note_release(int value)
{
	(void)value;
	atomic_fetch_add(&released, 1);
}

NORIA_KEY_STATIC_OWNED(counted, int, note_release);

/* X06: an abandoned call sees its caller's values as they were, and they last as long as it does. */
RULE_WITH(X06, an_abandoned_call_keeps_the_values_it_began_with, &one_thread)
{
	struct job job;

	atomic_store(&released, 0);
	job_init(&job);
	MUST(noria_value_set(&colour, 5) == 0);
	MUST(noria_value_set(&counted, 1) == 0);
	EXPECT(abandon(&job, NULL) == -ECANCELED);
	MUST(noria_value_set(&colour, 6) == 0);
	MUST(noria_value_unset(&counted) == 0);
	EXPECT(atomic_load(&released) == 0);
	sem_post(&job.go);
	UNTIL_THREAD(atomic_load(&job.disposed));
	UNTIL_THREAD(atomic_load(&released) == 1);
	EXPECT(job.colour_seen == 5);
	return 0;
}

static struct job outlasting[8];

static int abandon_all(void *arg)
{
	struct noria_executor *executor = arg;
	struct noria_call_options options = {.dispose = dispose};

	MUST(noria_value_set(&colour, 9) == 0);
	MUST(noria_value_set(&counted, 1) == 0);
	for (size_t i = 0; i < 8; i++) {
		struct job *job = &outlasting[i];
		int64_t limit = noria_msec(1);
		int r;

		job_init(job);
		do /* until it has begun in time */
			r = noria_within(limit, executor ? noria_executor_call_with(executor, held, job, &options)
							 : noria_offload_with(held, job, &options));
		while (r == -ETIMEDOUT && !atomic_load(&job->begun) && (limit *= 2));
		EXPECT(r == -ETIMEDOUT);
	}
	return 0;
}

static void end_after_the_run(struct noria_executor *executor)
{
	struct noria_config config = {.executor_threads = 8};

	atomic_store(&released, 0);
	cr_expect_eq(rule_run(abandon_all, executor, &config, NORIA_TIMEOUTS_LINKED), 0);
	noria_executor_unref(executor);
	for (size_t i = 0; i < 8; i++)
		sem_post(&outlasting[i].go);
	for (size_t i = 0; i < 8; i++) {
		while (atomic_load(&outlasting[i].result_disposed) != 42)
			usleep(100);
		cr_expect_eq(outlasting[i].colour_seen, 9);
	}
	while (atomic_load(&released) < 1)
		usleep(100);
}

/* X03: the runtime is gone when its abandoned calls end, on its own executor, and on one that is closed meanwhile. */
Test(X03, abandoned_calls_may_outlast_the_runtime, .timeout = 60)
{
	struct noria_executor *executor = NULL;

	end_after_the_run(NULL);
	cr_assert_eq(noria_executor_open(&executor, "outlasting", &(struct noria_executor_options){.threads = 8}), 0);
	end_after_the_run(executor);
}
