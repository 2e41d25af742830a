/* SPDX-License-Identifier: MIT */
/*
 * A call, as its caller sees it: one wait, from the queue's door to the result. It is completed by the result, which a
 * thread posts to the loop, and given up by taking the call out of the queue: a call that has not started never starts.
 * One that runs is waited for, because its argument may be on its caller's stack, unless the caller said that the call
 * may be abandoned: then it lies on the heap, belongs to its thread from that moment on, and knows nothing of the loop
 * but the bridge by which it gives context values back.
 */
#include "executor/executor.h"
#include "executor/pool.h"

#include "base/memory.h"
#include "base/message.h"
#include "noria/offload.h"
#include "ring/ring.h"
#include "scope/failure.h"
#include "scope/scope.h"
#include "scope/value.h"
#include "task/bridge.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GUARD_NS = 100 * 1000 };

/* A caller's wait. */
struct offload {
	struct wait wait;
	struct call *call;        /* not to be touched once it is ABANDONED */
	enum call_state given_up; /* WITHDRAWN or ABANDONED; NEW: it was not */
	bool stuck;               /* this was the last thread that could have served others */
};

bool noria_offload_cancelled(void)
{
	return noria_call_running && atomic_load(&noria_call_running->cancelled);
}

/* ---- on the call's thread ---- */

void noria_call_post(struct call *call)
{
	struct executors *home = call->home;

	atomic_fetch_add(&home->posting, 1);
	noria_loop_post(home->loop, &call->remote); /* from here on the call, and maybe the run, is over */
	atomic_fetch_sub(&home->posting, 1);
}

static void drop_values(struct remote *remote)
{
	struct call *call = container_of(remote, struct call, remote);

	noria_values_unref(call->values);
	free(call);
}

/* The loop is gone, and with it everybody who counted on its thread; but calls of the same run may end together. */
static void drop_values_alone(struct call *call)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

	pthread_mutex_lock(&lock);
	drop_values(&call->remote);
	pthread_mutex_unlock(&lock);
}

void noria_call_release(struct call *call)
{
	struct bridge *bridge = call->bridge;

	if (!bridge) {
		free(call);
		return;
	}
	call->remote.run = drop_values;
	if (!noria_bridge_post(bridge, &call->remote))
		drop_values_alone(call);
	noria_bridge_unref(bridge);
}

/* ---- on the loop ---- */

static void returned(struct remote *remote)
{
	noria_wait_complete(&container_of(remote, struct call, remote)->offload->wait);
}

static struct offload *offload_of(const struct wait *wait)
{
	return container_of(wait, struct offload, wait);
}

static void give_up(struct wait *wait)
{
	struct offload *offload = offload_of(wait);
	enum call_state state;

	if (offload->call->abandonable)
		list_remove(&offload->call->guard); /* it may be gone soon */
	if (!noria_pool_give_up(offload->call, &state, &offload->stuck))
		return;
	offload->given_up = state;
	noria_wait_complete(wait);
}

static void describe(const struct wait *wait, char *text, size_t size)
{
	struct call *call = offload_of(wait)->call;
	const char *function = call->site->what, *executor = call->executor->name;

	switch (noria_pool_state(call)) {
	case CALL_WAITING:
		snprintf(text, size, "waits for room in the queue of the executor %s, to call %s()", executor,
			 function);
		break;
	case CALL_QUEUED:
		snprintf(text, size, "waits for an offloaded call of %s(), queued on the executor %s", function,
			 executor);
		break;
	default:
		snprintf(text, size, "waits for an offloaded call of %s() on the executor %s", function, executor);
	}
}

static const struct wait_class offload_class = {.abandon = give_up, .describe = describe, .external = true};

/* ---- guards: see pool.h ---- */

static void arm_guard(struct executors *executors)
{
	struct loop *loop = executors->loop;

	if (!timer_armed(&executors->guard))
		noria_timer_set(loop, &executors->guard, noria_loop_clock(loop) + GUARD_NS);
}

void noria_calls_guard(struct timer *timer)
{
	struct executors *executors = container_of(timer, struct executors, guard);
	const struct noria_executor *last = NULL;
	bool useful = false;

	for (struct list *node = executors->guarded.next; node != &executors->guarded; node = node->next) {
		struct call *call = list_entry(node, struct call, guard);

		if (call->executor != last)
			useful |= noria_pool_prod(call);
		last = call->executor;
	}
	if (useful)
		arm_guard(executors);
}

static void guard(struct call *call)
{
	list_push_back(&call->home->guarded, &call->guard);
	arm_guard(call->home);
}

/* ---- waking late: see pool.h ---- */

static bool may_wake_late(const struct call *call)
{
	const struct executors *home = call->home;
	const struct loop *loop = home->loop;

	if (fifo_empty(&loop->ready))
		return false; /* nobody is left in this turn who might call too */
	return loop->ring->simulated || (home->only_cpu >= 0 && home->only_cpu == call->executor->only_cpu);
}

static void wake_late(struct call *call)
{
	struct executors *home = call->home;

	list_push_back(&home->late, &call->guard);
	if (home->waking_posted)
		return;
	home->waking_posted = true;
	noria_loop_post(home->loop, &home->waking);
}

void noria_calls_wake(struct remote *remote)
{
	struct executors *executors = container_of(remote, struct executors, waking);
	struct noria_executor *last = NULL;
	struct list *node;
	bool to_guard = false;

	executors->waking_posted = false;
	while ((node = list_pop_front(&executors->late))) {
		struct call *call = list_entry(node, struct call, guard);

		if (call->executor != last)
			to_guard = noria_pool_wake(call->executor);
		last = call->executor;
		if (to_guard)
			guard(call);
	}
}

/* What a thread reads of the caller's values: lent while the caller waits, or a reference that may outlast it. */
static int take_values(struct call *call, struct task *task)
{
	call->values = task->values;
	if (!call->abandonable || !call->values)
		return 0;
	call->bridge = noria_bridge_get(task->loop);
	if (!call->bridge)
		return noria_refuse(-ENOMEM, "no memory for an offloaded call");
	call->values->refs++;
	return 0;
}

static void return_values(struct call *call)
{
	if (!call->bridge)
		return;
	noria_values_unref(call->values);
	noria_bridge_unref(call->bridge);
}

static int refuse_full(const struct noria_executor *executor)
{
	return noria_refuse(-EBUSY,
			    "the executor %s is full: %u calls run or wait for its %u threads. Remedy: take less on, "
			    "raise the queue, or have it wait (NORIA_FULL_WAIT)",
			    executor->name, executor->calls_max, executor->threads_max);
}

static int refuse_thread(const struct noria_executor *executor, int error)
{
	return noria_refuse(-EAGAIN,
			    "no thread for an offloaded call on the executor %s: %s. Remedy: raise RLIMIT_NPROC or "
			    "pids.max, or where address space is short (RLIMIT_AS) lower RLIMIT_STACK",
			    executor->name, strerrordesc_np(-error));
}

/* A service that hangs must not do so in silence. */
static void report_stuck(struct task *task, const struct noria_executor *executor, const struct noria_site *site)
{
	struct noria_failure failure = noria_failure_bare(task, -EBUSY, site);
	char text[320];

	snprintf(text, sizeof text,
		 "calls on the executor %s wait for calls that were abandoned: these run on all of its %u threads. "
		 "Remedy: more threads, or calls that end by themselves (noria_offload_cancelled(), a limit of their "
		 "own)",
		 executor->name, executor->threads_max);
	noria_report(task->loop, &failure, text);
}

/* The call has come to its end, in one way or another: the answer for its caller. */
static int settle(struct task *task, struct offload *offload)
{
	struct call *call = offload->call;
	int r;

	if (offload->given_up != CALL_NEW)
		return noria_scope_answer(task);
	if (call->state == CALL_REFUSED)
		return refuse_thread(call->executor, call->result);
	r = call->result;
	if (unlikely(r < 0 && call->error.code == r))
		noria_error_take(task, &call->error);
	else if (unlikely(r < 0))
		noria_error_arose(task, r);
	return r;
}

/* Make the call. *ret_state says how it ended; after ABANDONED it is not to be touched. */
static int make(struct task *task, struct call *call, enum call_state *ret_state)
{
	struct noria_executor *executor = call->executor;
	const struct noria_site *site = call->site;
	struct offload offload = {.call = call};
	bool late = may_wake_late(call), stuck;
	int r;

	*ret_state = CALL_NEW;
	r = take_values(call, task);
	if (r < 0)
		return r;
	call->offload = &offload;
	noria_wait_init(&offload.wait, &offload_class);
	r = noria_pool_submit(call, late, &stuck);
	if (unlikely(stuck))
		report_stuck(task, executor, site);
	if (r < 0) {
		return_values(call);
		return refuse_full(executor);
	}
	if (r > 0 && late)
		wake_late(call);
	else if (r > 0)
		guard(call);
	scope_wait(task, &offload.wait);
	if (unlikely(offload.stuck))
		report_stuck(task, executor, site);
	if (offload.given_up != CALL_ABANDONED)
		list_remove(&call->guard);
	r = settle(task, &offload);
	*ret_state = offload.given_up != CALL_NEW ? offload.given_up : call->state;
	if (*ret_state != CALL_ABANDONED)
		return_values(call);
	return r;
}

/* What is asked for. */
struct request {
	noria_task_fn *fn;
	void *arg;
	const struct noria_call_options *options; /* may be NULL */
	const struct noria_site *site;
};

static bool may_be_abandoned(const struct request *request)
{
	return request->options && request->options->dispose;
}

static void init(struct call *call, const struct request *request, struct noria_executor *executor,
		 struct executors *home)
{
	memset(call, 0, offsetof(struct call, error));
	error_init(&call->error);
	list_init(&call->guard);
	call->remote.run = returned;
	call->executor = executor;
	call->home = home;
	call->fn = request->fn;
	call->arg = request->arg;
	call->site = request->site;
	call->persona = home->loop->current->persona;
	if (request->options)
		call->priority = request->options->priority;
	if (may_be_abandoned(request)) {
		call->abandonable = true;
		call->dispose = request->options->dispose;
		call->keeps = request->options->ret_abandoned != NULL;
	}
}

static int make_on_heap(struct task *task, const struct request *request, struct noria_executor *executor,
			enum call_state *ret_state)
{
	struct call *call = memory_new(sizeof *call);
	int r;

	if (!call)
		return noria_refuse(-ENOMEM, "no memory for an offloaded call");
	init(call, request, executor, task->loop->executors);
	r = make(task, call, ret_state);
	if (*ret_state != CALL_ABANDONED)
		free(call);
	return r;
}

static int make_on_stack(struct task *task, const struct request *request, struct noria_executor *executor)
{
	enum call_state state;
	struct call call;

	init(&call, request, executor, task->loop->executors);
	return make(task, &call, &state);
}

/* Which executor: one of the runtime's own, or the program's. */
typedef int executor_finder(struct executors *executors, struct noria_executor **executor);

static int check(const struct request *request)
{
	const struct noria_call_options *options = request->options;

	if (unlikely(!request->fn))
		return noria_refuse(-EINVAL, "an offloaded call without a function to run");
	if (!options)
		return 0;
	if (options->priority > NORIA_PRIORITY_LOW)
		return noria_refuse(-EINVAL, "struct noria_call_options: priority is not one of enum noria_priority");
	if (options->ret_abandoned && !options->dispose)
		return noria_refuse(-EINVAL, "struct noria_call_options: ret_abandoned without a dispose");
	for (size_t i = 0; i < sizeof options->reserved / sizeof options->reserved[0]; i++)
		if (options->reserved[i])
			return noria_refuse(-EINVAL, "struct noria_call_options: reserved must be zero: start from "
						     "`struct noria_call_options options = {0}`");
	return 0;
}

static int call_in(struct task *task, const struct request *request, executor_finder *find,
		   struct noria_executor *executor, enum call_state *ret_state)
{
	struct executors *executors;
	int r = check(request);

	if (r < 0)
		return task_answer(task, r);
	r = scope_door(task);
	if (r < 0) {
		*ret_state = CALL_WITHDRAWN;
		return task_answer(task, r);
	}
	r = noria_executors_get(task->loop, &executors);
	if (r >= 0)
		r = find(executors, &executor);
	if (r < 0)
		return task_answer(task, r);
	return may_be_abandoned(request) ? make_on_heap(task, request, executor, ret_state)
					 : make_on_stack(task, request, executor);
}

/* Whose is the argument of an abandonable call now? The thread disposes of it where the call has run. */
static void hand_back(const struct request *request, int r, enum call_state state)
{
	const struct noria_call_options *options = request->options;
	bool given_up = state == CALL_WITHDRAWN || state == CALL_ABANDONED;
	bool ran = state == CALL_ENDED || state == CALL_ABANDONED;

	if (!may_be_abandoned(request))
		return;
	if (options->ret_abandoned)
		*options->ret_abandoned = given_up;
	if (!ran && (given_up || !options->ret_abandoned))
		options->dispose(r, request->arg);
}

static int call(const struct request *request, executor_finder *find, struct noria_executor *executor)
{
	struct task *task = noria_current();
	enum call_state state = CALL_NEW;
	int r = task ? call_in(task, request, find, executor, &state) : -ENXIO;

	hand_back(request, r, state);
	return r;
}

int noria_offload_at(noria_task_fn *fn, void *arg, const struct noria_call_options *options,
		     const struct noria_site *site)
{
	return call(&(struct request){fn, arg, options, site}, noria_executors_blocking, NULL);
}

int noria_compute_at(noria_task_fn *fn, void *arg, const struct noria_call_options *options,
		     const struct noria_site *site)
{
	return call(&(struct request){fn, arg, options, site}, noria_executors_compute, NULL);
}

/* The program's own. */
static int find_given(struct executors *executors, struct noria_executor **executor)
{
	(void)executors;
	if (!*executor)
		return noria_refuse(-EINVAL, "noria_executor_call() without an executor");
	if ((*executor)->forks != noria_executor_forks())
		return noria_refuse(-EINVAL,
				    "the executor %s was opened before a fork(), and its threads are the parent's. "
				    "Remedy: open it in the child",
				    (*executor)->name);
	return 0;
}

int noria_executor_call_at(struct noria_executor *executor, noria_task_fn *fn, void *arg,
			   const struct noria_call_options *options, const struct noria_site *site)
{
	int r;

	if (executor)
		noria_executor_ref(executor);
	r = call(&(struct request){fn, arg, options, site}, find_given, executor);
	noria_executor_unref(executor);
	return r;
}
