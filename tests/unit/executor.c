/* SPDX-License-Identifier: MIT */
/*
 * Executors: options, priorities, niceness and processors of the threads, short calls that are followed by long ones, when
 * somebody is woken, what a wait says, threads that cannot be had, and a fork.
 */
#include "unit.h"

#include "executor/pool.h"
#include "task/wait.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* For what another thread does: it may not get a processor at once. */
#define WAIT_FOR(condition) \
	do { \
		for (int turns_ = 0; !(condition) && turns_ < 100000; turns_++) \
			MUST(noria_sleep(noria_usec(100)) == 0); \
		MUST(condition); \
	} while (0)

static int answer(void *arg)
{
	return arg ? *(int *)arg : 7;
}

static int refused(struct noria_executor_options options)
{
	struct noria_executor *executor = (struct noria_executor *)&options;
	int r = noria_executor_open(&executor, "refused", &options);

	EXPECT((void *)executor == (void *)&options);
	return r;
}

Test(executor, options_that_make_no_sense_are_refused)
{
	struct noria_executor *executor = NULL;
	int cpu = CPU_SETSIZE;

	EXPECT_EQ(refused((struct noria_executor_options){.threads = 1025}), -EINVAL);
	EXPECT_EQ(refused((struct noria_executor_options){.queue = (1 << 20) + 1}), -EINVAL);
	EXPECT_EQ(refused((struct noria_executor_options){.when_full = 2}), -EINVAL);
	EXPECT_EQ(refused((struct noria_executor_options){.nice = 20}), -EINVAL);
	EXPECT_EQ(refused((struct noria_executor_options){.nice = -21}), -EINVAL);
	EXPECT_EQ(refused((struct noria_executor_options){.cpus_count = 1}), -EINVAL);
	EXPECT_EQ(refused((struct noria_executor_options){.cpus = &cpu}), -EINVAL);
	EXPECT_EQ(refused((struct noria_executor_options){.cpus = &cpu, .cpus_count = 1}), -EINVAL);
	EXPECT_EQ(refused((struct noria_executor_options){.spin_ns = -2}), -EINVAL);
	EXPECT_EQ(refused((struct noria_executor_options){.spin_ns = noria_sec(2)}), -EINVAL);
	EXPECT_EQ(refused((struct noria_executor_options){.reserved = {0, 1}}), -EINVAL);
	EXPECT(strstr(noria_message(), "reserved"));
	EXPECT_EQ(noria_executor_open(&executor, "", NULL), -EINVAL);
	EXPECT_EQ(noria_executor_open(&executor, NULL, NULL), -EINVAL);
	EXPECT(!executor);
	noria_executor_unref(NULL);
	MUST(noria_executor_open(&executor, "defaults", NULL) == 0);
	EXPECT(noria_executor_ref(executor) == executor);
	noria_executor_unref(executor);
	EXPECT_EQ(noria_executor_call(executor, answer, NULL), -ENXIO);
	noria_executor_unref(executor);
}

UNIT(executor, calls_that_make_no_sense_are_refused)
{
	struct noria_call_options priority = {.priority = 3}, reserved = {.reserved = {1}};
	bool abandoned = true;
	struct noria_call_options keeps = {.ret_abandoned = &abandoned};

	EXPECT_EQ(noria_executor_call(NULL, answer, NULL), -EINVAL);
	EXPECT(strstr(noria_message(), "without an executor"));
	EXPECT_EQ(noria_offload(NULL, NULL), -EINVAL);
	EXPECT_EQ(noria_compute(NULL, NULL), -EINVAL);
	EXPECT_EQ(noria_offload_with(answer, NULL, &priority), -EINVAL);
	EXPECT_EQ(noria_offload_with(answer, NULL, &reserved), -EINVAL);
	EXPECT_EQ(noria_offload_with(answer, NULL, &keeps), -EINVAL);
	EXPECT(abandoned);
	EXPECT_EQ(noria_offload_with(answer, NULL, NULL), 7);
	return 0;
}

/* ---- priorities ---- */

static sem_t go;
static atomic_int order_next;
static atomic_bool held;

static int hold(void *arg)
{
	atomic_store(&held, true);
	while (sem_wait(&go) < 0)
		;
	return arg ? 1 : 0;
}

static int note_order(void *arg)
{
	*(int *)arg = atomic_fetch_add(&order_next, 1);
	return 0;
}

struct ranked {
	struct noria_executor *executor;
	enum noria_priority priority;
	int place;
};

static int call_ranked(void *arg)
{
	struct ranked *ranked = arg;
	struct noria_call_options options = {.priority = ranked->priority};

	return noria_executor_call_with(ranked->executor, note_order, &ranked->place, &options);
}

static int call_hold(void *arg)
{
	return noria_executor_call(arg, hold, NULL);
}

/* One thread, held; the calls that wait meanwhile run by priority, and a low one comes after eight others. */
UNIT(executor, higher_priorities_run_first_and_nobody_starves)
{
	static const enum noria_priority priorities[] = {NORIA_PRIORITY_LOW, NORIA_PRIORITY_NORMAL};
	struct noria_executor *executor;
	struct noria_group group;
	struct ranked low[2], high[20];

	sem_init(&go, 0, 0);
	atomic_store(&order_next, 0);
	atomic_store(&held, false);
	MUST(noria_executor_open(&executor, "one", &(struct noria_executor_options){.threads = 1}) == 0);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, call_hold, executor) == 0);
	WAIT_FOR(atomic_load(&held));
	for (int i = 0; i < 2; i++) {
		low[i] = (struct ranked){executor, priorities[i], -1};
		MUST(noria_spawn(&group, call_ranked, &low[i]) == 0);
	}
	for (int i = 0; i < 20; i++) {
		high[i] = (struct ranked){executor, NORIA_PRIORITY_HIGH, -1};
		MUST(noria_spawn(&group, call_ranked, &high[i]) == 0);
	}
	MUST(noria_yield() == 0);
	sem_post(&go);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT_EQ(high[0].place, 0); /* the last that came is the first to run */
	for (int i = 0; i < 7; i++)
		EXPECT_EQ(high[i].place, i);
	for (int i = 0; i < 2; i++) /* held back, but not for long */
		EXPECT(low[i].place >= 7 && low[i].place <= 9);
	for (int i = 1; i < 20; i++)
		EXPECT(high[i].place > high[i - 1].place);
	noria_executor_unref(executor);
	return 0;
}

/* ---- the threads ---- */

static int niceness(void *arg)
{
	(void)arg;
	return getpriority(PRIO_PROCESS, (id_t)gettid());
}

static int processors(void *arg)
{
	cpu_set_t cpus;

	MUST(sched_getaffinity(0, sizeof cpus, &cpus) == 0);
	return CPU_COUNT(&cpus) == 1 && CPU_ISSET((size_t) * (int *)arg, &cpus);
}

UNIT(executor, threads_have_the_niceness_and_the_processors_asked_for)
{
	struct noria_executor *executor;
	cpu_set_t allowed;
	int cpu = 0;

	MUST(sched_getaffinity(0, sizeof allowed, &allowed) == 0);
	while (!CPU_ISSET((size_t)cpu, &allowed))
		cpu++;
	MUST(noria_executor_open(
		     &executor, "nice",
		     &(struct noria_executor_options){.nice = 13, .cpus = &cpu, .cpus_count = 1, .threads = 1}) == 0);
	EXPECT_EQ(noria_executor_call(executor, niceness, NULL), 13);
	EXPECT_EQ(noria_executor_call(executor, processors, &cpu), 1);
	noria_executor_unref(executor);
	return 0;
}

/* In a child that has no privilege any more. */
static void ask_for_priority(void *arg)
{
	struct rlimit none = {0};
	struct noria_executor *executor;
	int r;

	(void)arg;
	MUST(setrlimit(RLIMIT_NICE, &none) == 0);
	MUST(getuid() != 0 || setuid(65534) == 0);
	r = noria_executor_open(&executor, "urgent", &(struct noria_executor_options){.nice = -5});
	_exit(r == -EACCES && strstr(noria_message(), "RLIMIT_NICE") ? 0 : 1);
}

Test(executor, a_niceness_that_it_may_not_have_is_refused)
{
	char text[256];
	int status = unit_in_child(ask_for_priority, NULL, text, sizeof text);

	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s", text);
}

static int offload_without_threads(void *arg)
{
	struct rlimit none = {0};

	(void)arg;
	MUST(setrlimit(RLIMIT_NPROC, &none) == 0);
	MUST(noria_offload(answer, NULL) == -EAGAIN);
	MUST(strstr(noria_message(), "RLIMIT_NPROC"));
	MUST(noria_offload(answer, NULL) == -EAGAIN); /* and again: nothing was lost by the first attempt */
	return 0;
}

static void have_no_threads(void *arg)
{
	(void)arg;
	MUST(getuid() != 0 || setuid(65534) == 0);
	_exit(noria_run(NULL, offload_without_threads, NULL) == 0 ? 0 : 1);
}

/* No thread can be created: every call says so, and none waits for ever. */
Test(executor, threads_that_cannot_be_had_are_an_error, .timeout = 60)
{
	char text[512];
	int status = unit_in_child(have_no_threads, NULL, text, sizeof text);

	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s", text);
}

/* ---- short calls, then long ones ---- */

static pthread_barrier_t barrier;

static int meet(void *arg)
{
	(void)arg;
	pthread_barrier_wait(&barrier);
	return 0;
}

static int call_meet(void *arg)
{
	return noria_executor_call(arg, meet, NULL);
}

static int call_short(void *arg)
{
	for (int i = 0; i < 200; i++)
		noria_try(noria_executor_call(arg, answer, NULL));
	return 0;
}

/* After many short calls one thread is thought to do; calls that wait for one another get theirs all the same. */
UNIT(executor, long_calls_among_short_ones_get_threads)
{
	struct noria_executor *executor;
	struct noria_group group;

	MUST(noria_executor_open(&executor, "mixed", NULL) == 0);
	pthread_barrier_init(&barrier, NULL, 4);
	for (int round = 0; round < 5; round++) {
		MUST(noria_group_open(&group) == 0);
		for (int i = 0; i < 16; i++)
			MUST(noria_spawn(&group, call_short, executor) == 0);
		EXPECT_EQ(noria_group_close(&group, 0), 0);
		EXPECT(executor->average_ns < CALL_LONG_NS);
		MUST(noria_group_open(&group) == 0);
		for (int i = 0; i < 4; i++)
			MUST(noria_spawn(&group, call_meet, executor) == 0);
		EXPECT_EQ(noria_group_close(&group, 0), 0);
	}
	pthread_barrier_destroy(&barrier);
	noria_executor_unref(executor);
	return 0;
}

/* ---- when somebody is woken ---- */

static unsigned roused; /* threads that the loop has started or woken */

static int start_counted(struct worker *worker)
{
	roused += noria_loop != NULL;
	return noria_kernel_threads.start(worker);
}

static void wake_counted(struct worker *worker)
{
	roused += noria_loop != NULL;
	noria_kernel_threads.wake(worker);
}

/* Count what the loop rouses from here on; on one processor if so told. Returns false when there is but one. */
static bool watch_rousing(bool one, cpu_set_t *ret_before)
{
	static struct thread_class counted;
	cpu_set_t only;
	size_t cpu = 0;

	MUST(sched_getaffinity(0, sizeof *ret_before, ret_before) == 0);
	counted = noria_kernel_threads;
	counted.start = start_counted;
	counted.wake = wake_counted;
	noria_threads = &counted;
	roused = 0;
	if (one) {
		while (!CPU_ISSET(cpu, ret_before))
			cpu++;
		CPU_ZERO(&only);
		CPU_SET(cpu, &only);
		MUST(sched_setaffinity(0, sizeof only, &only) == 0);
	}
	return one || CPU_COUNT(ret_before) > 1;
}

static void watch_no_more(const cpu_set_t *before)
{
	noria_threads = &noria_kernel_threads;
	MUST(sched_setaffinity(0, sizeof *before, before) == 0);
}

enum { CALLERS = 8 };

struct caller {
	struct noria_executor *executor;
	unsigned roused; /* before its call */
};

static int call_watched(void *arg)
{
	struct caller *caller = arg;

	caller->roused = roused;
	return noria_executor_call(caller->executor, answer, NULL) == 7 ? 0 : -EINVAL;
}

/* Tasks of one turn call, each; returns how often the loop had roused somebody before the last of them did. */
static unsigned call_in_one_turn(struct noria_executor *executor)
{
	struct caller callers[CALLERS];
	struct noria_group group;
	unsigned before = roused;

	MUST(noria_group_open(&group) == 0);
	for (int i = 0; i < CALLERS; i++) {
		callers[i].executor = executor;
		MUST(noria_spawn(&group, call_watched, &callers[i]) == 0);
	}
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	return callers[CALLERS - 1].roused - before;
}

/* Each thread that is woken would run in the loop's place, for one call. */
UNIT(executor, on_one_processor_the_calls_of_a_turn_wake_nobody_before_its_end)
{
	struct noria_executor *executor;
	cpu_set_t before;

	watch_rousing(true, &before);
	MUST(noria_executor_open(&executor, "one", NULL) == 0);
	for (int round = 0; round < 20; round++)
		EXPECT_EQ(call_in_one_turn(executor), 0);
	EXPECT(roused > 0);
	noria_executor_unref(executor);
	watch_no_more(&before);
	return 0;
}

UNIT(executor, on_several_processors_the_first_call_wakes_somebody_at_once)
{
	struct noria_executor *executor;
	cpu_set_t before;

	if (watch_rousing(false, &before)) {
		MUST(noria_executor_open(&executor, "several", NULL) == 0);
		EXPECT(call_in_one_turn(executor) > 0);
		noria_executor_unref(executor);
	}
	watch_no_more(&before);
	return 0;
}

static int only_be_ready(void *arg)
{
	(void)arg;
	return 0;
}

/* The last task of the turn makes no call: somebody is woken, and calls that wait for one another get threads. */
UNIT(executor, calls_of_a_turn_that_ends_without_one_are_made)
{
	struct noria_executor *executor;
	struct noria_group group;
	cpu_set_t before;

	watch_rousing(true, &before);
	MUST(noria_executor_open(&executor, "mixed", NULL) == 0);
	pthread_barrier_init(&barrier, NULL, 4);
	for (int round = 0; round < 5; round++) {
		MUST(noria_group_open(&group) == 0);
		for (int i = 0; i < 16; i++)
			MUST(noria_spawn(&group, call_short, executor) == 0);
		EXPECT_EQ(noria_group_close(&group, 0), 0);
		MUST(noria_group_open(&group) == 0);
		for (int i = 0; i < 4; i++)
			MUST(noria_spawn(&group, call_meet, executor) == 0);
		MUST(noria_spawn(&group, only_be_ready, NULL) == 0);
		EXPECT_EQ(noria_group_close(&group, 0), 0);
	}
	pthread_barrier_destroy(&barrier);
	noria_executor_unref(executor);
	watch_no_more(&before);
	return 0;
}

struct late {
	struct noria_executor *executor;
	struct noria_scope scope;
	bool ran;
};

static int mark(void *arg)
{
	*(bool *)arg = true;
	return 0;
}

static int call_and_be_cancelled(void *arg)
{
	struct late *late = arg;
	int r;

	MUST(noria_scope_open(&late->scope, NORIA_FOREVER, 0) == 0);
	r = noria_executor_call(late->executor, mark, &late->ran);
	EXPECT_EQ(r, -ECANCELED);
	EXPECT_EQ(noria_scope_close(&late->scope, r), 0);
	return 0;
}

static int cancel_late(void *arg)
{
	noria_scope_cancel(arg);
	return 0;
}

/* The first two calls of a turn are made while others are ready, and one of them is taken back before somebody is woken. */
UNIT(executor, a_call_is_taken_back_in_the_turn_that_made_it)
{
	struct late late[2] = {0};
	struct noria_executor *executor;
	struct noria_group group;
	cpu_set_t before;

	watch_rousing(true, &before);
	for (int others = 0; others < 2; others++) {
		struct caller caller;

		MUST(noria_executor_open(&executor, "late", NULL) == 0);
		caller.executor = late[others].executor = executor;
		MUST(noria_group_open(&group) == 0);
		MUST(noria_spawn(&group, call_and_be_cancelled, &late[others]) == 0);
		if (others)
			MUST(noria_spawn(&group, call_watched, &caller) == 0);
		MUST(noria_spawn(&group, cancel_late, &late[others].scope) == 0);
		EXPECT_EQ(noria_group_close(&group, 0), 0);
		EXPECT(!late[others].ran);
		noria_executor_unref(executor);
	}
	watch_no_more(&before);
	return 0;
}

/* ---- what it says, and forks ---- */

static int call_named(void *arg)
{
	return noria_executor_call(arg, hold, NULL);
}

static const char *said(const struct task *task)
{
	static char text[160];

	text[0] = '\0';
	if (task->wait)
		task->wait->class->describe(task->wait, text, sizeof text);
	return text;
}

UNIT(executor, a_wait_names_the_executor_and_the_function)
{
	struct noria_executor *executor;
	struct noria_group group;
	struct task *tasks[3];

	sem_init(&go, 0, 0);
	atomic_store(&held, false);
	MUST(noria_executor_open(&executor, "pool-of-one",
				 &(struct noria_executor_options){.threads = 1, .queue = 1}) == 0);
	MUST(noria_group_open(&group) == 0);
	for (int i = 0; i < 3; i++) {
		MUST(noria_spawn(&group, call_named, executor) == 0);
		tasks[i] = list_entry(noria_loop->tasks.prev, struct task, all);
		MUST(noria_yield() == 0);
	}
	WAIT_FOR(atomic_load(&held));
	EXPECT(strstr(said(tasks[0]), "call of hold() on the executor pool-of-one"));
	EXPECT(strstr(said(tasks[1]), "queued on the executor pool-of-one"));
	EXPECT(strstr(said(tasks[2]), "room") && strstr(said(tasks[2]), "hold()"));
	for (int i = 0; i < 3; i++)
		sem_post(&go);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	noria_executor_unref(executor);
	return 0;
}

static int call_given(void *arg)
{
	return noria_executor_call(arg, answer, NULL);
}

static void call_after_fork(void *arg)
{
	int r = noria_run(NULL, call_given, arg);
	bool explained = strstr(noria_message(), "fork");

	noria_executor_unref(arg);
	_exit(r == -EINVAL && explained ? 0 : 1);
}

Test(executor, a_forked_child_is_refused, .timeout = 60)
{
	struct noria_executor *executor;
	char text[256];
	int status;

	MUST(noria_executor_open(&executor, "parent", NULL) == 0);
	EXPECT_EQ(noria_run(NULL, call_given, executor), 7); /* it has a thread */
	status = unit_in_child(call_after_fork, executor, text, sizeof text);
	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s", text);
	EXPECT_EQ(noria_run(NULL, call_given, executor), 7);
	noria_executor_unref(executor);
}

static atomic_int at_once, most;

static int count_at_once(void *arg)
{
	int now = atomic_fetch_add(&at_once, 1) + 1, seen = atomic_load(&most);

	(void)arg;
	while (now > seen && !atomic_compare_exchange_weak(&most, &seen, now))
		;
	usleep(200);
	atomic_fetch_sub(&at_once, 1);
	return 0;
}

static int compute_count(void *arg)
{
	return noria_compute(count_at_once, arg);
}

UNIT(executor, as_many_threads_compute_as_there_are_processors)
{
	struct noria_group group;
	cpu_set_t allowed;

	MUST(sched_getaffinity(0, sizeof allowed, &allowed) == 0);
	atomic_store(&most, 0);
	MUST(noria_group_open(&group) == 0);
	for (int i = 0; i < 100; i++)
		MUST(noria_spawn(&group, compute_count, NULL) == 0);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT(atomic_load(&most) <= CPU_COUNT(&allowed));
	return 0;
}
