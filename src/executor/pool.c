/* SPDX-License-Identifier: MIT */
/*
 * The queue, and who is woken for it. Sleeping workers are woken last in, first out: the one whose memory is still in a
 * cache. A thread is started when no worker sleeps and none is about to look.
 */
#include "executor/pool.h"

#include "base/assert.h"

#include <errno.h>
#include <stdlib.h>

static const unsigned char next_states[] = {
#define X(state, next) [CALL_##state] = (next),
	CALL_STATES(X)
#undef X
};

void noria_call_move(struct call *call, enum call_state state)
{
	invariant(next_states[call->state] >> state & 1);
	call->state = state;
}

/* ---- the queue; all of it under the lock ---- */

/* Priorities from the highest to the lowest. */
static const enum noria_priority order[PRIORITIES] = {NORIA_PRIORITY_HIGH, NORIA_PRIORITY_NORMAL, NORIA_PRIORITY_LOW};

static void push(struct noria_executor *executor, struct call *call)
{
	noria_call_move(call, CALL_QUEUED);
	list_push_back(&executor->queue[call->priority], &call->node);
	executor->calls++;
	atomic_fetch_add_explicit(&executor->queued, 1, memory_order_relaxed);
}

static void unqueue(struct noria_executor *executor, struct call *call)
{
	list_remove(&call->node);
	atomic_fetch_sub_explicit(&executor->queued, 1, memory_order_relaxed);
}

/* The highest priority that waits, unless a lower one has been passed over often enough. */
static enum noria_priority choose(struct noria_executor *executor)
{
	int chosen = -1;

	for (int i = 0; i < PRIORITIES; i++) {
		enum noria_priority priority = order[i];

		if (list_empty(&executor->queue[priority]))
			continue;
		if (chosen < 0 || executor->passed[priority] >= PRIORITY_PATIENCE)
			chosen = (int)priority;
	}
	for (int i = 0; i < PRIORITIES; i++)
		if (i != chosen && !list_empty(&executor->queue[i]))
			executor->passed[i]++;
	executor->passed[chosen] = 0;
	return (enum noria_priority)chosen;
}

struct call *noria_pool_pop(struct worker *worker)
{
	struct noria_executor *executor = worker->executor;
	struct call *call;

	if (atomic_load_explicit(&executor->queued, memory_order_relaxed) == 0)
		return NULL;
	call = list_entry(executor->queue[choose(executor)].next, struct call, node);
	unqueue(executor, call);
	noria_call_move(call, CALL_RUNNING);
	call->worker = worker;
	executor->taken++;
	return call;
}

/* A call is no longer under way: its place goes to the first that waits for one. */
void noria_pool_leave(struct noria_executor *executor)
{
	struct list *first = list_pop_front(&executor->waiting);

	executor->calls--;
	if (first)
		push(executor, list_entry(first, struct call, node));
}

/* ---- waking ---- */

struct worker *noria_pool_rouse(struct noria_executor *executor, bool patient)
{
	struct worker *worker = executor->sleeping;

	if (atomic_load_explicit(&executor->queued, memory_order_relaxed) == 0 || executor->looking > 0)
		return NULL;
	if (patient && executor->average_ns < CALL_SHORT_NS && executor->asleep < executor->threads)
		return NULL;
	if (worker) {
		executor->sleeping = worker->next;
		executor->asleep--;
		atomic_store(&worker->awake, 1);
	} else if (executor->threads < executor->threads_max) {
		for (worker = executor->workers; worker->used; worker++)
			;
		worker->used = true;
		executor->threads++;
		executor->starting++;
	} else {
		return NULL;
	}
	executor->looking++;
	return worker;
}

/* Under the lock: no thread can be had, and none comes back. Everybody hears of it, or would wait for ever. */
static void refuse_all(struct noria_executor *executor, int error, struct list *refused)
{
	struct list *node;

	for (int i = 0; i < PRIORITIES; i++)
		while ((node = executor->queue[i].next) != &executor->queue[i]) {
			unqueue(executor, list_entry(node, struct call, node));
			executor->calls--;
			list_push_back(refused, node);
		}
	while ((node = list_pop_front(&executor->waiting)))
		list_push_back(refused, node);
	for (node = refused->next; node != refused; node = node->next) {
		struct call *call = list_entry(node, struct call, node);

		noria_call_move(call, CALL_REFUSED);
		call->result = error;
	}
}

/* The attempt to start a thread is over. */
static void started(struct worker *worker, int error)
{
	struct noria_executor *executor = worker->executor;
	struct list refused, *node;

	list_init(&refused);
	pthread_mutex_lock(&executor->lock);
	executor->starting--;
	if (error < 0) {
		worker->used = worker->started = false;
		executor->threads--;
		executor->looking--;
		/* A thread that is there will come to whatever is in the queue, unless its call may never end. */
		if (executor->threads == executor->orphans)
			refuse_all(executor, error, &refused);
	}
	pthread_mutex_unlock(&executor->lock);
	while ((node = list_pop_front(&refused)))
		noria_call_post(list_entry(node, struct call, node));
}

void noria_pool_awaken(struct worker *worker)
{
	if (!worker)
		return;
	if (worker->started) {
		noria_threads->wake(worker);
		return;
	}
	worker->started = true; /* before its thread is there to sleep, and be woken by others */
	started(worker, noria_threads->start(worker));
}

/* ---- a caller ---- */

/* Could anybody be woken or started? */
static bool has_reserve(const struct noria_executor *executor)
{
	return executor->sleeping || executor->threads < executor->threads_max;
}

/* Under the lock: more calls wait than workers are about to look. */
static bool wants_lookers(const struct noria_executor *executor)
{
	return atomic_load_explicit(&executor->queued, memory_order_relaxed) > executor->looking;
}

/* Under the lock: calls wait, and no thread has an end in sight. True once, until one of them is back all the same. */
static bool is_stuck(struct noria_executor *executor)
{
	if (executor->orphans < executor->threads_max || executor->told ||
	    atomic_load_explicit(&executor->queued, memory_order_relaxed) == 0)
		return false;
	executor->told = true;
	return true;
}

int noria_pool_submit(struct call *call, bool late, bool *ret_stuck)
{
	struct noria_executor *executor = call->executor;
	struct worker *worker = NULL;
	bool guard;

	list_init(&call->node);
	call->state = CALL_NEW;
	pthread_mutex_lock(&executor->lock);
	if (executor->calls < executor->calls_max) {
		push(executor, call);
	} else if (executor->when_full == NORIA_FULL_WAIT) {
		noria_call_move(call, CALL_WAITING);
		list_push_back(&executor->waiting, &call->node);
	} else {
		*ret_stuck = is_stuck(executor);
		pthread_mutex_unlock(&executor->lock);
		return -EBUSY;
	}
	*ret_stuck = is_stuck(executor);
	if (!late)
		worker = noria_pool_rouse(executor, true);
	guard = wants_lookers(executor);
	call->taken = executor->taken;
	pthread_mutex_unlock(&executor->lock);
	noria_pool_awaken(worker);
	return guard;
}

bool noria_pool_wake(struct noria_executor *executor)
{
	struct worker *worker;
	bool guard;

	pthread_mutex_lock(&executor->lock);
	worker = noria_pool_rouse(executor, true);
	pthread_mutex_unlock(&executor->lock);
	noria_pool_awaken(worker); /* it may run all of them meanwhile */
	pthread_mutex_lock(&executor->lock);
	guard = wants_lookers(executor);
	pthread_mutex_unlock(&executor->lock);
	return guard;
}

bool noria_pool_prod(struct call *call)
{
	struct noria_executor *executor = call->executor;
	struct worker *worker = NULL;
	bool useful;

	pthread_mutex_lock(&executor->lock);
	if (executor->taken == call->taken)
		worker = noria_pool_rouse(executor, false);
	if (worker)
		executor->average_ns = CALL_LONG_NS; /* of which the call that holds up the others is evidence */
	call->taken = executor->taken;
	useful = atomic_load_explicit(&executor->queued, memory_order_relaxed) > 0 && has_reserve(executor);
	pthread_mutex_unlock(&executor->lock);
	noria_pool_awaken(worker);
	return useful;
}

bool noria_pool_give_up(struct call *call, enum call_state *ret_state, bool *ret_stuck)
{
	struct noria_executor *executor = call->executor;
	struct worker *worker = NULL;
	enum call_state state;

	atomic_store(&call->cancelled, true);
	pthread_mutex_lock(&executor->lock);
	if (call->state == CALL_WAITING) {
		list_remove(&call->node);
		noria_call_move(call, CALL_WITHDRAWN);
	} else if (call->state == CALL_QUEUED) {
		unqueue(executor, call);
		noria_call_move(call, CALL_WITHDRAWN);
		noria_pool_leave(executor);
		worker = noria_pool_rouse(executor, true);
	} else if (call->state == CALL_RUNNING && call->abandonable) {
		noria_call_move(call, CALL_ABANDONED);
		call->worker->orphan = true;
		executor->orphans++;
		worker = noria_pool_rouse(executor, false); /* it guards nobody any more */
	}
	state = call->state;
	*ret_stuck = is_stuck(executor);
	pthread_mutex_unlock(&executor->lock); /* an abandoned call may be gone */
	noria_pool_awaken(worker);
	*ret_state = state;
	return state == CALL_WITHDRAWN || state == CALL_ABANDONED;
}

enum call_state noria_pool_state(struct call *call)
{
	enum call_state state;

	pthread_mutex_lock(&call->executor->lock);
	state = call->state;
	pthread_mutex_unlock(&call->executor->lock);
	return state;
}

/* Under the lock: every thread shall end. Those that run an abandoned call are not waited for. */
static void dismiss(struct noria_executor *executor)
{
	executor->stop = true;
	for (unsigned i = 0; i < executor->threads_max; i++) {
		struct worker *worker = &executor->workers[i];

		if (worker->used && worker->orphan) {
			worker->dropped = true;
			noria_threads->detach(worker);
		}
	}
	for (struct worker *worker; (worker = executor->sleeping);) {
		executor->sleeping = worker->next;
		executor->asleep--;
		executor->looking++;
		atomic_store(&worker->awake, 1);
		noria_threads->wake(worker);
	}
}

void noria_pool_close(struct noria_executor *executor)
{
	unsigned joined = 0;

	pthread_mutex_lock(&executor->lock);
	while (executor->starting > 0) { /* by a worker that has an abandoned call */
		pthread_mutex_unlock(&executor->lock);
		sched_yield();
		pthread_mutex_lock(&executor->lock);
	}
	dismiss(executor);
	pthread_mutex_unlock(&executor->lock);
	for (unsigned i = 0; i < executor->threads_max; i++) {
		struct worker *worker = &executor->workers[i];

		if (worker->used && !worker->dropped) {
			noria_threads->join(worker);
			joined++;
		}
	}
	noria_pool_threads_left(executor, joined);
}

/* Free it when no thread is left. */
void noria_pool_threads_left(struct noria_executor *executor, unsigned count)
{
	bool last;

	pthread_mutex_lock(&executor->lock);
	executor->threads -= count;
	last = executor->threads == 0;
	pthread_mutex_unlock(&executor->lock);
	if (!last)
		return;
	pthread_mutex_destroy(&executor->lock);
	free(executor);
}
