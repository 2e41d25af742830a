/* SPDX-License-Identifier: MIT */
/*
 * Promises and foreign threads: values that race with cancels, with each other, and with the end of the runtime. Each promise
 * has one value, which its waiter gets or its disposer; no storage is touched after it is the waiter's again. Waiters in their
 * own frames give these up at once, so a late touch is a report of the sanitizer's. `promise [seed]`.
 */
#include "race.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

enum { COMPLETERS = 3, TASKS = 8, WAITS = RACE_SANITIZED ? 150 : 1500, RUNS = RACE_SANITIZED ? 40 : 200, FIRSTS = 30 };

/* What is to be completed by the foreign threads: a stack. */
struct order {
	struct order *next;
	struct noria_promise *promise;
	int64_t value;
	bool counted;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct order *orders;
static bool finished;
static atomic_int values, delivered, disposed;

static void place_order(struct noria_promise *promise, int64_t value, bool counted)
{
	struct order *order = malloc(sizeof *order);

	CHECK(order);
	*order = (struct order){.promise = promise, .value = value, .counted = counted};
	atomic_fetch_add(&values, 1);
	pthread_mutex_lock(&lock);
	order->next = orders;
	orders = order;
	pthread_mutex_unlock(&lock);
}

static struct order *take_order(bool *end)
{
	struct order *order;

	pthread_mutex_lock(&lock);
	order = orders;
	if (order)
		orders = order->next;
	*end = finished && !order;
	pthread_mutex_unlock(&lock);
	return order;
}

static void *complete_orders(void *number)
{
	uint64_t seed = race_seed + *(unsigned *)number;
	bool end = false;

	while (!end) {
		struct order *order = take_order(&end);

		if (!order) {
			sched_yield();
			continue;
		}
		for (unsigned pause = race_below(&seed, 20); pause > 0; pause--)
			sched_yield();
		CHECK(noria_promise_complete(order->promise, order->value) == 0);
		if (order->counted) {
			CHECK(noria_promise_complete(order->promise, -1) == -EALREADY);
			noria_promise_unref(order->promise);
		}
		free(order);
	}
	return NULL;
}

static void dispose(int64_t value, void *arg)
{
	CHECK(value > 0 && arg == NULL);
	atomic_fetch_add(&disposed, 1);
}

static const struct noria_promise_options options = {.dispose = dispose};

static void got(int64_t value, int64_t wanted)
{
	CHECK(value == wanted);
	atomic_fetch_add(&delivered, 1);
}

/* In this frame, cancelled or not: the value comes before the frame goes. */
static void wait_in_frame(int64_t limit, int64_t wanted)
{
	struct noria_promise promise;
	int64_t value = 0;
	int r;

	CHECK(noria_promise_init(&promise) == 0);
	place_order(&promise, wanted, false);
	r = noria_within(limit, noria_promise_wait(&promise, &value));
	got(value, wanted);
	CHECK(r == 0);
	memset(&promise, 0xa5, sizeof promise);
}

static void wait_counted(int64_t limit, int64_t wanted)
{
	struct noria_promise *promise;
	int64_t value = 0;
	int r;

	CHECK(noria_promise_new(&options, &promise) == 0);
	place_order(noria_promise_ref(promise), wanted, true);
	r = noria_within(limit, noria_promise_wait(promise, &value));
	if (r == 0)
		got(value, wanted);
	else
		CHECK(r == -ETIMEDOUT && value == 0);
	noria_promise_unref(promise);
}

static void select_counted(int64_t limit, int64_t wanted)
{
	struct noria_promise *promises[2];
	int64_t value[2] = {0};
	int which;

	for (int i = 0; i < 2; i++) {
		CHECK(noria_promise_new(&options, &promises[i]) == 0);
		place_order(noria_promise_ref(promises[i]), wanted + i, true);
	}
	struct noria_case cases[] = {noria_case_promise(promises[0], &value[0]),
				     noria_case_promise(promises[1], &value[1]), noria_case_until(noria_now() + limit)};

	which = noria_select(cases, 3);
	CHECK(which >= 0);
	for (int i = 0; i < 2; i++) {
		if (which == i)
			got(value[i], wanted + i);
		else
			CHECK(value[i] == 0);
		noria_promise_unref(promises[i]);
	}
}

static int waiter(void *arg)
{
	uint64_t seed = *(uint64_t *)arg;

	for (int i = 0; i < WAITS; i++) {
		int64_t limit = race_below(&seed, 3) ? noria_usec(race_below(&seed, 60)) : noria_sec(1000);

		switch (race_below(&seed, 3)) {
		case 0:
			wait_in_frame(limit, 1 + i);
			break;
		case 1:
			wait_counted(limit, 1 + i);
			break;
		default:
			select_counted(limit, 1 + i);
		}
	}
	return 0;
}

static int spawn_waiters(struct noria_group *group, uint64_t *seed, int tasks)
{
	for (int i = 0; i < tasks; i++) {
		uint64_t own = race_random(seed);

		CHECK(noria_spawn_copy(group, waiter, &own, sizeof own) == 0);
	}
	return 0;
}

static int root(void *arg)
{
	struct noria_group group = {0};

	return noria_grouped(&group, spawn_waiters(&group, arg, TASKS));
}

/* Promises that nobody is to complete leave nothing behind. */
static void give_up(void)
{
	struct noria_promise promise, *counted;

	CHECK(noria_promise_init(&promise) == 0);
	CHECK(noria_promise_destroy(&promise) == 0);
	CHECK(noria_promise_new(&options, &counted) == 0);
	noria_promise_unref(counted);
}

/* The last value is the last thing that this runtime waits for, or comes when it has gone (X03). */
static int short_root(void *arg)
{
	uint64_t *seed = arg;

	give_up();
	wait_counted(0, 1);
	wait_counted(noria_usec(race_below(seed, 20)), 2);
	if (race_below(seed, 2))
		wait_in_frame(noria_sec(1000), 3);
	return 0;
}

static void *run_all(void *arg)
{
	uint64_t *seed = arg;

	CHECK(race_run(&(struct noria_config){.signals = NORIA_SIGNALS_NONE}, root, seed) == 0);
	for (int i = 0; i < RUNS; i++)
		CHECK(race_run(&(struct noria_config){.signals = NORIA_SIGNALS_NONE}, short_root, seed) == 0);
	pthread_mutex_lock(&lock);
	finished = true;
	pthread_mutex_unlock(&lock);
	return NULL;
}

static void *complete_one(void *promise)
{
	CHECK(noria_promise_complete(promise, 1) == 0);
	return NULL;
}

static int do_nothing(__attribute__((unused)) void *arg)
{
	return 0;
}

/* The loop comes to know of an executor's threads while another thread posts already. */
static int first_offload(__attribute__((unused)) void *arg)
{
	struct noria_promise promise;
	pthread_t thread;
	int64_t value;

	CHECK(noria_promise_init(&promise) == 0);
	CHECK(pthread_create(&thread, NULL, complete_one, &promise) == 0);
	CHECK(noria_offload(do_nothing, NULL) == 0);
	CHECK(noria_promise_wait(&promise, &value) == 0 && value == 1);
	CHECK(pthread_join(thread, NULL) == 0);
	return 0;
}

int main(int argc, char **argv)
{
	uint64_t seed;
	pthread_t runner;

	race_watchdog(50);
	race_seed = seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
	for (int i = 0; i < FIRSTS; i++)
		CHECK(noria_run(NULL, first_offload, NULL) == 0);
	CHECK(pthread_create(&runner, NULL, run_all, &seed) == 0);
	race_threads(COMPLETERS, complete_orders);
	CHECK(pthread_join(runner, NULL) == 0);
	CHECK(atomic_load(&delivered) + atomic_load(&disposed) == atomic_load(&values));
	CHECK(atomic_load(&delivered) > 0 && atomic_load(&disposed) > 0);
	printf("ok: %d values, %d delivered, %d disposed of\n", atomic_load(&values), atomic_load(&delivered),
	       atomic_load(&disposed));
	return 0;
}
