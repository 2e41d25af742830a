/* SPDX-License-Identifier: MIT */
/*
 * One blocking call is one wait. It is completed by the worker's result, and abandoned by taking it out of the queue: a
 * call that was never started never starts, one that runs is waited for, because its argument is on its caller's stack.
 * A full queue is a wait as well, first come, first served, before the call stands in the queue.
 */
#include "executor/executor.h"

#include "base/message.h"
#include "noria/offload.h"
#include "scope/failure.h"
#include "scope/scope.h"
#include "scope/value.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct executor {
	pthread_mutex_t lock; /* for everything up to `stop` */
	pthread_cond_t work;
	struct list queue;
	unsigned queued, idle, threads;
	bool stop;

	/* the loop's own */
	unsigned calls, calls_max; /* queued and running */
	struct list admission;     /* callers that wait for the queue to have room */
	unsigned threads_max;
	pthread_t thread[];
};

struct call {
	struct remote remote;
	struct wait wait;
	struct list node; /* in the queue, until a worker takes it */
	struct executor *executor;
	noria_task_fn *fn;
	void *arg;
	int result;
	bool never_started;
	atomic_bool cancelled;
	struct error error; /* the call's own */
};

struct admission {
	struct wait wait;
	struct list node;
};

static __thread struct call *running;

bool noria_offload_cancelled(void)
{
	return running && atomic_load(&running->cancelled);
}

static struct call *take(struct executor *executor)
{
	struct list *node;

	pthread_mutex_lock(&executor->lock);
	executor->idle++;
	while (!executor->stop && list_empty(&executor->queue))
		pthread_cond_wait(&executor->work, &executor->lock);
	executor->idle--;
	node = list_pop_front(&executor->queue);
	executor->queued -= node != NULL;
	pthread_mutex_unlock(&executor->lock);
	return node ? list_entry(node, struct call, node) : NULL;
}

static void *work(void *arg)
{
	struct executor *executor = arg;
	struct call *call;

	while ((call = take(executor))) {
		struct loop *loop = call->wait.task->loop;

		running = call;
		noria_values_lend(call->wait.task);
		noria_error_lend(&call->error);
		call->result = call->fn(call->arg);
		noria_error_lend(NULL);
		noria_values_lend(NULL);
		running = NULL;
		noria_loop_post(loop, &call->remote); /* the call is the loop's again */
	}
	return NULL;
}

static int executor_get(struct loop *loop, struct executor **ret_executor)
{
	unsigned threads = loop->config.executor_threads;
	struct executor *executor = loop->executor;

	if (!executor) {
		executor = calloc(1, sizeof *executor + threads * sizeof executor->thread[0]);
		if (!executor)
			return noria_refuse(-ENOMEM, "no memory for an executor");
		pthread_mutex_init(&executor->lock, NULL);
		pthread_cond_init(&executor->work, NULL);
		list_init(&executor->queue);
		list_init(&executor->admission);
		executor->threads_max = threads;
		executor->calls_max = threads + loop->config.executor_queue;
		loop->executor = executor;
	}
	*ret_executor = executor;
	return 0;
}

void noria_executor_free(struct loop *loop)
{
	struct executor *executor = loop->executor;

	if (!executor)
		return;
	pthread_mutex_lock(&executor->lock);
	executor->stop = true;
	pthread_cond_broadcast(&executor->work);
	pthread_mutex_unlock(&executor->lock);
	for (unsigned i = 0; i < executor->threads; i++)
		pthread_join(executor->thread[i], NULL);
	pthread_cond_destroy(&executor->work);
	pthread_mutex_destroy(&executor->lock);
	free(executor);
	loop->executor = NULL;
}

/* Workers take no signals, which are for the program's own threads, but for those that their own faults raise. */
static int start_worker(struct executor *executor)
{
	sigset_t all, before;
	int r;

	sigfillset(&all);
	for (const int *fault = (const int[]){SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT, 0}; *fault;
	     fault++)
		sigdelset(&all, *fault);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&executor->thread[executor->threads], NULL, work, executor);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r != 0)
		return -r;
	executor->threads++;
	return 0;
}

/* Into the queue, with a worker for it. A new worker that cannot be had matters only if there is none at all. */
static int enqueue(struct executor *executor, struct call *call)
{
	int r = 0;

	pthread_mutex_lock(&executor->lock);
	list_push_back(&executor->queue, &call->node);
	executor->queued++;
	/* An idle worker is good for one call, even if it has not woken up yet. */
	if (executor->queued > executor->idle && executor->threads < executor->threads_max)
		r = start_worker(executor);
	if (r < 0 && executor->threads == 0) {
		list_remove(&call->node);
		executor->queued--;
	} else {
		r = 0;
	}
	pthread_cond_signal(&executor->work);
	pthread_mutex_unlock(&executor->lock);
	return r < 0 ? noria_refuse(-EAGAIN,
				    "no thread for an offloaded call: %s. Remedy: raise RLIMIT_NPROC or pids.max, "
				    "or where address space is short (RLIMIT_AS) lower RLIMIT_STACK",
				    strerror(-r))
		     : 0;
}

static void returned(struct remote *remote)
{
	noria_wait_complete(&container_of(remote, struct call, remote)->wait);
}

static void abandon_call(struct wait *wait)
{
	struct call *call = container_of(wait, struct call, wait);

	atomic_store(&call->cancelled, true);
	pthread_mutex_lock(&call->executor->lock);
	call->never_started = list_linked(&call->node);
	call->executor->queued -= call->never_started;
	list_remove(&call->node);
	pthread_mutex_unlock(&call->executor->lock);
	if (call->never_started)
		noria_wait_complete(wait);
}

static void describe_call(const struct wait *wait, char *text, size_t size)
{
	(void)wait;
	snprintf(text, size, "waits for an offloaded call");
}

static const struct wait_class call_class = {.abandon = abandon_call, .describe = describe_call, .external = true};

static void abandon_admission(struct wait *wait)
{
	list_remove(&container_of(wait, struct admission, wait)->node);
	noria_wait_complete(wait);
}

static void describe_admission(const struct wait *wait, char *text, size_t size)
{
	(void)wait;
	snprintf(text, size, "waits for room in the executor's queue");
}

static const struct wait_class admission_class = {.abandon = abandon_admission, .describe = describe_admission};

/* A place among the calls; whoever leaves hands its place to the first that waits. */
static int admit(struct executor *executor, struct task *task)
{
	struct admission admission;

	if (executor->calls < executor->calls_max) {
		executor->calls++;
		return 0;
	}
	noria_wait_init(&admission.wait, &admission_class);
	list_push_back(&executor->admission, &admission.node);
	scope_wait(task, &admission.wait);
	return admission.wait.abandoned ? noria_scope_answer(task) : 0;
}

static void leave(struct executor *executor)
{
	struct list *first = list_pop_front(&executor->admission);

	if (first)
		noria_wait_complete(&list_entry(first, struct admission, node)->wait);
	else
		executor->calls--;
}

int noria_offload(noria_task_fn *fn, void *arg)
{
	struct task *task = noria_current();
	struct call call = {.remote.run = returned, .fn = fn, .arg = arg};
	int r;

	if (!task)
		return -ENXIO;
	if (unlikely(!fn))
		return task_answer(task, noria_refuse(-EINVAL, "noria_offload() without a function to run"));
	r = scope_door(task);
	if (r >= 0)
		r = executor_get(task->loop, &call.executor);
	if (r >= 0)
		r = admit(call.executor, task);
	if (r < 0)
		return task_answer(task, r);
	/* A cancel that came while we were let in. */
	r = scope_door(task);
	if (r >= 0) {
		list_init(&call.node);
		noria_wait_init(&call.wait, &call_class);
		r = enqueue(call.executor, &call);
	}
	if (r >= 0) {
		scope_wait(task, &call.wait);
		r = call.never_started ? noria_scope_answer(task) : call.result;
		if (unlikely(r < 0 && call.error.code == r))
			noria_error_take(task, &call.error);
		else if (unlikely(r < 0))
			noria_error_arose(task, r);
	}
	leave(call.executor);
	return r;
}
