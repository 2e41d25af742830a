/* SPDX-License-Identifier: MIT */
/*
 * The storm's promises, kept by other tasks and by a thread that knows nothing of the runtime and outlives it. Each value
 * comes exactly once: to a waiter, or to the disposer.
 */
#include "storm.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

enum { POOL = 4, QUEUE = 256 };

static struct pooled {
	struct noria_promise promise;
	int64_t value; /* that it will be completed with */
	unsigned users;
	bool completed;
} pool[POOL];

struct order {
	struct noria_promise *promise;
	int64_t value;
	bool counted;
};

static pthread_t thread;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t filled = PTHREAD_COND_INITIALIZER;
static struct order queue[QUEUE];
static unsigned queued;
static bool ending, resting; /* the thread shall end; it shall do nothing for now */
static uint64_t thread_state;
static unsigned long pending_waits, made, got, kept_by_tasks, kept_by_thread, aborts;
static atomic_ulong disposed;
static int64_t values;

/* ---- the thread ---- */

static void carry_out(const struct order *order)
{
	struct timespec pause = {.tv_nsec = race_below(&thread_state, 40) * 1000L};

	if (race_below(&thread_state, 4) == 0)
		nanosleep(&pause, NULL);
	CHECK(noria_promise_complete(order->promise, order->value) == 0);
	if (!order->counted)
		return;
	if (race_below(&thread_state, 8) == 0)
		nanosleep(&pause, NULL);
	noria_promise_unref(order->promise);
}

/* The newest order first: not in the order in which they are waited for. */
static void *keep_promises(void *arg)
{
	(void)arg;
	CHECK(pthread_mutex_lock(&mutex) == 0);
	while (queued > 0 || !ending) {
		struct order order;

		if (!ending && (queued == 0 || resting)) {
			CHECK(pthread_cond_wait(&filled, &mutex) == 0);
			continue;
		}
		order = queue[--queued];
		CHECK(pthread_mutex_unlock(&mutex) == 0);
		carry_out(&order);
		CHECK(pthread_mutex_lock(&mutex) == 0);
	}
	CHECK(pthread_mutex_unlock(&mutex) == 0);
	return NULL;
}

static bool give_order(struct noria_promise *promise, int64_t value, bool counted)
{
	bool room;

	CHECK(pthread_mutex_lock(&mutex) == 0);
	room = queued < QUEUE;
	if (room)
		queue[queued++] = (struct order){promise, value, counted};
	CHECK(pthread_cond_signal(&filled) == 0 && pthread_mutex_unlock(&mutex) == 0);
	kept_by_thread += room;
	return room;
}

/* ---- promises on the stack ---- */

struct favour {
	struct noria_promise promise;
	int64_t value;
	unsigned depth, aborted;
};

static void count_abort(void *arg)
{
	aborts++;
	CHECK(++((struct favour *)arg)->aborted == 1);
}

static int keep_one(void *arg)
{
	struct favour *favour = arg;

	storm_some_operations(favour->depth);
	kept_by_tasks++;
	CHECK(noria_promise_complete(&favour->promise, favour->value) == 0);
	return 0;
}

static int promise_of_task(unsigned depth)
{
	struct favour favour = {.value = ++values, .depth = depth};
	struct noria_promise_options options = {
		.flags = storm_below(2) ? NORIA_PROMISE_LOCAL : 0, .abort = count_abort, .arg = &favour};
	struct noria_group group;
	int64_t value = 0;
	int r;

	CHECK(noria_promise_init_with(&favour.promise, &options) == 0);
	CHECK(noria_group_open(&group) == 0);
	r = noria_spawn(&group, keep_one, &favour);
	CHECK(r == 0 || r == -ECANCELED);
	if (r == 0)
		CHECK(noria_promise_wait(&favour.promise, &value) == 0 && value == favour.value);
	else
		CHECK(noria_promise_destroy(&favour.promise) == 0);
	r = noria_group_close(&group, noria_check());
	CHECK(r == 0 || r == -ECANCELED);
	return r;
}

static int promise_of_thread(unsigned depth)
{
	struct favour favour = {.value = ++values};
	struct noria_promise_options options = {.abort = count_abort, .arg = &favour};
	int64_t value = 0;

	(void)depth;
	CHECK(noria_promise_init_with(&favour.promise, &options) == 0);
	if (!give_order(&favour.promise, favour.value, false)) {
		CHECK(noria_promise_destroy(&favour.promise) == 0);
		return STORM_NOTHING;
	}
	CHECK(noria_promise_wait(&favour.promise, &value) == 0 && value == favour.value);
	return noria_check();
}

/* ---- counted ones ---- */

static void dispose(int64_t value, void *arg)
{
	CHECK(value > 0 && !arg);
	atomic_fetch_add(&disposed, 1);
}

static int counted_promise(unsigned depth)
{
	struct noria_promise_options options = {.dispose = dispose};
	struct noria_promise *promise;
	int64_t value = 0, expected = ++values;
	int r = 0;

	(void)depth;
	CHECK(noria_promise_new(&options, &promise) == 0);
	if (!give_order(noria_promise_ref(promise), expected, true)) {
		noria_promise_unref(promise);
		noria_promise_unref(promise);
		return STORM_NOTHING;
	}
	made++;
	if (storm_below(8)) {
		r = noria_promise_wait(promise, &value);
		CHECK((r == 0 && value == expected) || (r == -ECANCELED && value == 0));
		got += r == 0;
	}
	noria_promise_unref(promise);
	return r;
}

/* ---- a pool of them, for many who wait, by select too ---- */

static void make_pooled(struct pooled *pooled)
{
	struct noria_promise_options options = {.flags = NORIA_PROMISE_LOCAL | NORIA_PROMISE_DETACHABLE};

	CHECK(noria_promise_init_with(&pooled->promise, &options) == 0);
	pooled->value = ++values;
	pooled->completed = false;
}

struct noria_promise *storm_promise_borrow(unsigned number, int64_t *ret_value)
{
	struct pooled *pooled = &pool[number % POOL];

	if (pooled->completed && pooled->users == 0) {
		CHECK(noria_promise_destroy(&pooled->promise) == 0);
		make_pooled(pooled);
	}
	pooled->users++;
	*ret_value = pooled->value;
	return &pooled->promise;
}

void storm_promise_return(unsigned number)
{
	pool[number % POOL].users--;
}

static int wait_for_pooled(unsigned depth)
{
	unsigned number = storm_below(POOL);
	int64_t expected, value = 0;
	struct noria_promise *promise = storm_promise_borrow(number, &expected);
	int r = noria_promise_wait(promise, &value);

	(void)depth;
	CHECK((r == 0 && value == expected) || (r == -ECANCELED && value == 0));
	pending_waits += r == 0;
	storm_promise_return(number);
	return r;
}

static int complete_pooled(unsigned depth)
{
	struct pooled *pooled = &pool[storm_below(POOL)];
	int r = noria_promise_complete(&pooled->promise, pooled->value);

	(void)depth;
	CHECK(r == (pooled->completed ? -EALREADY : 0));
	pooled->completed = true;
	return r == 0 ? 0 : STORM_NOTHING;
}

/* The calm: one completes what the others wait for. */
static int promise_calmly(void *arg)
{
	for (unsigned i = 0; i < POOL; i++) {
		int64_t value = 0;

		storm_pause();
		if (*(unsigned *)arg == 0)
			CHECK(noria_promise_complete(&pool[i].promise, pool[i].value) == 0);
		CHECK(noria_promise_wait(&pool[i].promise, &value) == 0 && value == pool[i].value);
	}
	return 0;
}

static void open_all(void)
{
	queued = 0;
	ending = resting = false;
	thread_state = storm_seed_state;
	made = got = kept_by_tasks = kept_by_thread = aborts = pending_waits = 0;
	atomic_store(&disposed, 0);
	for (unsigned i = 0; i < POOL; i++) {
		pool[i] = (struct pooled){.users = 0};
		make_pooled(&pool[i]);
	}
	CHECK(pthread_create(&thread, NULL, keep_promises, NULL) == 0);
}

/* These values come when there is no runtime any more. */
static void leave_orders(void)
{
	struct noria_promise_options options = {.dispose = dispose};

	CHECK(pthread_mutex_lock(&mutex) == 0);
	resting = true;
	CHECK(pthread_mutex_unlock(&mutex) == 0);
	for (unsigned i = 0; i < POOL; i++) {
		struct noria_promise *promise;

		CHECK(noria_promise_new(&options, &promise) == 0);
		if (give_order(noria_promise_ref(promise), ++values, true))
			made++;
		else
			noria_promise_unref(promise);
		noria_promise_unref(promise);
	}
}

static void close_all(void)
{
	leave_orders();
	for (unsigned i = 0; i < POOL; i++) {
		CHECK(pool[i].users == 0 && noria_promise_destroy(&pool[i].promise) == 0);
		make_pooled(&pool[i]);
	}
	storm_calm("promises, with nothing cancelled", promise_calmly);
	for (unsigned i = 0; i < POOL; i++)
		CHECK(noria_promise_destroy(&pool[i].promise) == 0);
}

static void after_all(void)
{
	CHECK(pthread_mutex_lock(&mutex) == 0);
	ending = true;
	CHECK(pthread_cond_signal(&filled) == 0 && pthread_mutex_unlock(&mutex) == 0);
	CHECK(pthread_join(thread, NULL) == 0);
	CHECK(made == got + atomic_load(&disposed));
	storm_note("promises kept by tasks", kept_by_tasks);
	storm_note("promises kept by a thread", kept_by_thread);
	storm_note("values left to the disposer", atomic_load(&disposed));
	storm_note("promises asked to end early", aborts);
	storm_note("shared promises awaited", pending_waits);
}

static const struct storm_operation operations[] = {
	{"promise of a task", promise_of_task, 2, .nests = true},
	{"promise of a thread", promise_of_thread, 2},
	{"promise, counted", counted_promise, 4},
	{"promise, shared: wait", wait_for_pooled, 3},
	{"promise, shared: complete", complete_pooled, 2},
};

const struct storm_subject storm_promises = {.operations = operations,
					     .count = sizeof operations / sizeof operations[0],
					     .open = open_all,
					     .close = close_all,
					     .after = after_all};
