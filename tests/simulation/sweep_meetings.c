/* SPDX-License-Identifier: MIT */
/* Where tasks meet: locks, channels, promises, selects, calls on threads, with cancels and limits in between. */
#include "sweep.h"

#include <time.h>

enum { TASKS = 5, ROUNDS = 6 };

static struct {
	struct noria_mutex mutex;
	struct noria_rwlock rwlock;
	struct noria_semaphore semaphore;
	struct noria_condition condition;
	struct noria_barrier barrier;
	struct noria_event event;
	struct noria_channel channel;
	struct noria_broadcast broadcast;
	struct noria_promise promise;
	int items[4];
	int inside, readers, permits, sent, received, sum_sent, sum_received, turns, passed, calls;
	int64_t end_ns;
} meeting;

/* Some of its waits have limits that come in their middle. */
static int64_t some_limit(void)
{
	return noria_sim_random(3) == 0 ? (int64_t)noria_sim_random(4) * 500 : noria_sec(10);
}

/* A limit that was met is part of the game. */
static bool is_serious(ssize_t r)
{
	return r < 0 && r != -ETIMEDOUT;
}

static int with_tasks(noria_task_fn *fn, int count)
{
	struct noria_group group;
	int r;

	noria_try(noria_group_open(&group));
	r = 0;
	for (int i = 0; i < count && r >= 0; i++)
		r = noria_spawn_copy(&group, fn, &i, sizeof i);
	return noria_group_close(&group, r);
}

/* ---- locks ---- */

static int locker(void *arg)
{
	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		int64_t limit = some_limit();
		int r = noria_within(limit, noria_mutex_lock(&meeting.mutex));

		if (is_serious(r))
			return r;
		if (r < 0)
			continue;
		CHECK_EQ(meeting.inside++, 0);
		r = noria_sleep((int64_t)noria_sim_random(3) * 300);
		CHECK_EQ(--meeting.inside, 0);
		CHECK_EQ(noria_mutex_unlock(&meeting.mutex), 0);
		noria_try(r);
	}
	return 0;
}

static int mutexes(void *arg)
{
	int r;

	(void)arg;
	memset(&meeting, 0, sizeof meeting);
	r = with_tasks(locker, TASKS);
	CHECK_EQ(meeting.inside, 0);
	CHECK_EQ(noria_mutex_trylock(&meeting.mutex), 0);
	CHECK_EQ(noria_mutex_unlock(&meeting.mutex), 0);
	return r;
}

static int shared_locker(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		bool writes = (*(int *)arg + i) % 3 == 0;
		int64_t limit = some_limit();
		int r = writes ? noria_within(limit, noria_rwlock_wrlock(&meeting.rwlock))
			       : noria_within(limit, noria_rwlock_rdlock(&meeting.rwlock));

		if (is_serious(r))
			return r;
		if (r < 0)
			continue;
		CHECK(meeting.inside == 0 && (!writes || meeting.readers == 0));
		writes ? meeting.inside++ : meeting.readers++;
		r = noria_sleep((int64_t)noria_sim_random(3) * 300);
		writes ? meeting.inside-- : meeting.readers--;
		CHECK_EQ(noria_rwlock_unlock(&meeting.rwlock), 0);
		noria_try(r);
	}
	return 0;
}

static int rwlocks(void *arg)
{
	int r;

	(void)arg;
	memset(&meeting, 0, sizeof meeting);
	r = with_tasks(shared_locker, TASKS);
	CHECK_EQ(noria_rwlock_trywrlock(&meeting.rwlock), 0);
	CHECK_EQ(noria_rwlock_unlock(&meeting.rwlock), 0);
	return r;
}

static int acquirer(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		uint64_t n = 1 + (uint64_t)(*(int *)arg + i) % 3;
		int64_t limit = some_limit();
		int r = noria_within(limit, noria_semaphore_acquire_many(&meeting.semaphore, n));

		if (is_serious(r))
			return r;
		if (r < 0)
			continue;
		meeting.permits -= (int)n;
		CHECK(meeting.permits >= 0);
		r = noria_sleep((int64_t)noria_sim_random(3) * 300);
		meeting.permits += (int)n;
		CHECK_EQ(noria_semaphore_release_many(&meeting.semaphore, n), 0);
		noria_try(r);
	}
	return 0;
}

static int semaphores(void *arg)
{
	int r;

	(void)arg;
	memset(&meeting, 0, sizeof meeting);
	meeting.permits = 3;
	CHECK_EQ(noria_semaphore_release_many(&meeting.semaphore, 3), 0);
	r = with_tasks(acquirer, TASKS);
	CHECK_EQ(noria_semaphore_permits(&meeting.semaphore), 3);
	return r;
}

/* Each waits for its turn, which the one before gives it. */
static int turn_taker(void *arg)
{
	int r;

	noria_try(noria_mutex_lock(&meeting.mutex));
	r = 0;
	while (r >= 0 && meeting.turns != *(int *)arg)
		r = noria_condition_wait(&meeting.condition, &meeting.mutex);
	if (r >= 0)
		meeting.turns++;
	CHECK(noria_condition_broadcast(&meeting.condition) >= 0);
	CHECK_EQ(noria_mutex_unlock(&meeting.mutex), 0); /* it has it in any case */
	return r;
}

static int conditions(void *arg)
{
	int r;

	(void)arg;
	memset(&meeting, 0, sizeof meeting);
	r = with_tasks(turn_taker, TASKS);
	if (r == 0)
		CHECK_EQ(meeting.turns, TASKS);
	return r;
}

/* ---- channels ---- */

static int producer(void *arg)
{
	for (int i = 1; i <= ROUNDS; i++) {
		int item = *(int *)arg * 100 + i, r;
		int64_t limit = some_limit();

		r = noria_within(limit, noria_channel_send(&meeting.channel, &item));
		if (is_serious(r))
			return r;
		if (r == 0) {
			meeting.sent++;
			meeting.sum_sent += item;
		}
		noria_try(noria_sleep((int64_t)noria_sim_random(3) * 300));
	}
	return 0;
}

static int consumer(void *arg)
{
	struct noria_event never = {0};

	for (;;) {
		int64_t limit = some_limit(), until = noria_now() + limit;
		int item = 0, r;
		struct noria_case cases[] = {noria_case_event(&never), noria_case_recv(&meeting.channel, &item),
					     noria_case_until(until)};

		if (*(int *)arg % 2) {
			r = noria_within(limit, noria_channel_recv(&meeting.channel, &item));
		} else {
			r = noria_select(cases, 3);
			if (r == 2)
				CHECK(noria_now() >= until);
			r = r == 2 ? -ETIMEDOUT : r < 0 ? r : cases[1].result;
		}
		if (r == 1) {
			meeting.received++;
			meeting.sum_received += item;
		} else if (r != -ETIMEDOUT) {
			return r;
		}
		noria_try(noria_sleep((int64_t)noria_sim_random(2) * 300));
	}
}

static int produce_all(void *arg)
{
	int r = with_tasks(producer, 3);

	(void)arg;
	noria_channel_close(&meeting.channel);
	return r;
}

static int transport(size_t capacity)
{
	struct noria_group group;
	int r, item;

	memset(&meeting, 0, sizeof meeting);
	noria_try(noria_channel_init(&meeting.channel, sizeof(int), capacity ? meeting.items : NULL, capacity));
	r = noria_group_open(&group);
	if (r >= 0) {
		r = noria_spawn(&group, produce_all, NULL);
		for (int i = 0; i < 3 && r >= 0; i++)
			r = noria_spawn_copy(&group, consumer, &i, sizeof i);
		r = noria_group_close(&group, r);
	}
	while (noria_channel_tryrecv(&meeting.channel, &item) == 1) {
		meeting.received++;
		meeting.sum_received += item;
	}
	CHECK_EQ(meeting.received, meeting.sent);
	CHECK_EQ(meeting.sum_received, meeting.sum_sent);
	return r;
}

static int channels(void *arg)
{
	(void)arg;
	return transport(4);
}

static int rendezvous(void *arg)
{
	(void)arg;
	return transport(0);
}

/* Every subscriber hears everything, in its order. */
static int listener(void *arg)
{
	struct noria_subscriber subscriber;
	int r, item = 0;

	(void)arg;
	noria_try(noria_broadcast_subscribe(&meeting.broadcast, &subscriber));
	meeting.passed++;
	CHECK_EQ(noria_event_set(&meeting.event), 0);
	for (int next = 1; (r = noria_broadcast_recv(&subscriber, &item)) == 1; next++) {
		CHECK_EQ(item, next);
		r = noria_sleep((int64_t)noria_sim_random(2) * 300);
		if (r < 0)
			break;
	}
	noria_broadcast_unsubscribe(&subscriber);
	if (r == 0)
		CHECK_EQ(item, ROUNDS);
	return r;
}

static int speak(void)
{
	while (meeting.passed < 3) {
		CHECK_EQ(noria_event_clear(&meeting.event), 0);
		noria_try(noria_event_wait(&meeting.event));
	}
	for (int i = 1; i <= ROUNDS; i++)
		noria_try(noria_broadcast_send(&meeting.broadcast, &i));
	return 0;
}

static int broadcasts(void *arg)
{
	struct noria_group group;
	int r;

	(void)arg;
	memset(&meeting, 0, sizeof meeting);
	noria_try(noria_broadcast_init(&meeting.broadcast, sizeof(int), meeting.items, 2, 0));
	noria_try(noria_group_open(&group));
	r = 0;
	for (int i = 0; i < 3 && r >= 0; i++)
		r = noria_spawn_copy(&group, listener, &i, sizeof i);
	if (r >= 0)
		r = speak();
	noria_broadcast_close(&meeting.broadcast);
	return noria_group_close(&group, r);
}

/* ---- promises, and calls on threads ---- */

static int promised(void *arg)
{
	int64_t value = 0;

	(void)arg;
	noria_try(sweep_ended(noria_promise_wait(&meeting.promise, &value), 0, meeting.end_ns));
	if (!sweep_cancelled())
		CHECK_EQ(value, 42);
	return 0;
}

static int promises(void *arg)
{
	struct noria_promise_options options = {.flags = NORIA_PROMISE_LOCAL | NORIA_PROMISE_DETACHABLE};
	struct noria_group group;
	int r;

	(void)arg;
	memset(&meeting, 0, sizeof meeting);
	noria_try(noria_promise_init_with(&meeting.promise, &options));
	meeting.end_ns = noria_now() + MS(2);
	noria_try(noria_group_open(&group));
	r = 0;
	for (int i = 0; i < 3 && r >= 0; i++)
		r = noria_spawn_copy(&group, promised, &i, sizeof i);
	if (r >= 0)
		r = sweep_ended(noria_sleep_until(meeting.end_ns), 0, meeting.end_ns);
	CHECK_EQ(noria_promise_complete(&meeting.promise, 42), 0);
	return noria_group_close(&group, r);
}

static int call(void *arg)
{
	struct timespec duration = {.tv_nsec = 1000 * (1 + *(int *)arg)};

	meeting.inside++;
	nanosleep(&duration, NULL);
	meeting.inside--;
	meeting.calls++;
	return *(int *)arg;
}

static int caller(void *arg)
{
	for (int i = 0; i < 3; i++) {
		int r = noria_offload(call, arg);

		noria_try(r);
		CHECK_EQ(r, *(int *)arg);
		meeting.passed++;
	}
	return 0;
}

/* Whoever goes on has its call behind it: the argument lies on its stack. */
static int calls(void *arg)
{
	int r;

	(void)arg;
	memset(&meeting, 0, sizeof meeting);
	r = with_tasks(caller, TASKS);
	CHECK_EQ(meeting.inside, 0);
	CHECK(meeting.passed <= meeting.calls);
	return r;
}

/* All come, or nobody passes. */
static int comer(void *arg)
{
	for (int i = 0; i < 3; i++) {
		int r;

		noria_try(noria_sleep(*(int *)arg * 300));
		r = noria_barrier_wait(&meeting.barrier);
		noria_try(r);
		meeting.passed++;
		CHECK(meeting.passed > i * 3 && meeting.passed <= (i + 2) * 3);
	}
	return 0;
}

static int barriers(void *arg)
{
	int r;

	(void)arg;
	memset(&meeting, 0, sizeof meeting);
	meeting.barrier = (struct noria_barrier)NORIA_BARRIER(3);
	r = with_tasks(comer, 3);
	if (r == 0)
		CHECK_EQ(meeting.passed, 9);
	return r;
}

const struct sweep_program sweep_meetings[] = {
	{"mutexes", mutexes, "plain", 0},
	{"rwlocks", rwlocks, "plain", 0},
	{"semaphores", semaphores, "plain", 0},
	{"conditions", conditions, "plain", 0},
	{"channels", channels, "plain", 0},
	{"rendezvous", rendezvous, "plain", 0},
	{"broadcasts", broadcasts, "plain", 0},
	{"promises", promises, "plain", 0},
	{"calls", calls, "plain", 0},
	{"barriers", barriers, "plain", 0},
	{0},
};
