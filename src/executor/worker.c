/* SPDX-License-Identifier: MIT */
/*
 * A worker's life: look at the queue; run what is there; account for it and look again, under one lock; with nothing
 * there, spin for a moment if that has been worth it lately, and sleep on a futex of its own.
 */
#include "executor/pool.h"

#include "base/assert.h"
#include "base/pause.h"
#include "scope/value.h"

#include <time.h>

enum { SPIN_ROUND = 24, SPIN_QUICK = 2, SPIN_BACK_OFF_MAX = 64 };

__thread struct call *noria_call_running;

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Returns how long it took. */
static int64_t run(struct call *call)
{
	int64_t start_ns = now_ns();

	noria_call_running = call;
	noria_values_lend(true, call->values);
	noria_error_lend(&call->error);
	call->result = noria_threads->call(call);
	noria_error_lend(NULL);
	noria_values_lend(false, NULL);
	noria_call_running = NULL;
	if (call->dispose && !call->keeps)
		call->dispose(call->result, call->arg);
	return now_ns() - start_ns;
}

/*
 * A call has run. True when its end is to be sent home, which is done without the lock. Nobody waits for an abandoned
 * one: it goes here, and its thread counts as busy until its argument has been disposed of.
 */
static bool finish(struct worker *worker, struct call *call)
{
	struct noria_executor *executor = worker->executor;
	bool awaited = call->state == CALL_RUNNING;
	int64_t took_ns = worker->took_ns < CALL_LONG_NS ? worker->took_ns : CALL_LONG_NS;

	executor->average_ns += (took_ns - executor->average_ns) / 8;

	if (awaited) {
		noria_call_move(call, CALL_ENDED);
	} else {
		pthread_mutex_unlock(&executor->lock);
		if (call->keeps)
			call->dispose(call->result, call->arg);
		noria_call_release(call);
		pthread_mutex_lock(&executor->lock);
		worker->orphan = false;
		executor->orphans--;
		executor->told = false;
	}
	noria_pool_leave(executor);
	return awaited;
}

/* Nothing to do: is it worth while to spin? */
static bool may_spin(const struct worker *worker)
{
	const struct noria_executor *executor = worker->executor;

	return !worker->virtual_thread && executor->spin_ns > 0 && !executor->spinning && executor->quick >= SPIN_QUICK;
}

/* Under the lock. `spun`: it has just done that for nothing. */
static void go_idle(struct worker *worker, bool spun)
{
	struct noria_executor *executor = worker->executor;

	worker->spins = !spun && may_spin(worker);
	if (worker->spins) {
		executor->spinning = true;
		executor->looking++;
	} else {
		atomic_store(&worker->awake, 0);
		worker->next = executor->sleeping;
		executor->sleeping = worker;
		executor->asleep++;
	}
}

/* Until there is something in the queue, or the time is up. */
static void spin(const struct noria_executor *executor)
{
	int64_t end = now_ns() + executor->spin_ns;

	do
		for (int i = 0; i < SPIN_ROUND; i++) {
			if (atomic_load_explicit(&executor->queued, memory_order_relaxed) > 0 ||
			    atomic_load_explicit(&executor->stop, memory_order_relaxed))
				return;
			pause_cpu();
		}
	while (now_ns() < end);
}

/*
 * Under the lock: what the idle time that has ended says about spinning. A time that was spun through, or would nearly
 * have been, speaks for it; one that was spun in vain speaks against it, the longer the more often.
 */
static void learn(struct noria_executor *executor, bool spun, bool found, int64_t idle_ns)
{
	if (spun && !found) {
		executor->spins_failed = executor->spins_failed ? executor->spins_failed * 2 : 1;
		if (executor->spins_failed > SPIN_BACK_OFF_MAX)
			executor->spins_failed = SPIN_BACK_OFF_MAX;
		executor->quick = -executor->spins_failed;
	} else if (spun) {
		executor->spins_failed = 0;
	} else if (idle_ns > 2 * executor->spin_ns) {
		executor->quick = executor->quick < 0 ? executor->quick : 0;
	} else if (executor->quick < SPIN_QUICK) {
		executor->quick++;
	}
}

/* Wait for work, and take the lock. Returns whether it has spun. */
static bool rest(struct worker *worker, int64_t since_ns)
{
	struct noria_executor *executor = worker->executor;
	bool spun = worker->spins;

	if (spun)
		spin(executor);
	else
		noria_threads->sleep(worker);
	pthread_mutex_lock(&executor->lock);
	executor->looking--;
	if (spun)
		executor->spinning = false;
	learn(executor, spun, atomic_load(&executor->queued) > 0, now_ns() - since_ns);
	return spun;
}

/* The next call, once there is one; NULL when the executor is closed. `ended` is the one before, or NULL. */
static struct call *take(struct worker *worker, struct call *ended)
{
	struct noria_executor *executor = worker->executor;
	struct worker *other;
	struct call *call;
	int64_t since_ns;
	bool spun = false;

	pthread_mutex_lock(&executor->lock);
	if (!ended)
		executor->looking--;
	else if (!finish(worker, ended))
		ended = NULL;
	for (;;) {
		call = noria_pool_pop(worker);
		other = noria_pool_rouse(executor, true);
		if (call || executor->stop)
			break;
		go_idle(worker, spun);
		pthread_mutex_unlock(&executor->lock);
		since_ns = now_ns();
		if (ended)
			noria_call_post(ended);
		ended = NULL;
		spun = rest(worker, since_ns);
	}
	pthread_mutex_unlock(&executor->lock);
	if (ended)
		noria_call_post(ended);
	noria_pool_awaken(other);
	return call;
}

void noria_worker_main(struct worker *worker)
{
	struct call *call = NULL;

	while ((call = take(worker, call)))
		worker->took_ns = run(call);
	if (worker->dropped)
		noria_pool_threads_left(worker->executor, 1);
}
