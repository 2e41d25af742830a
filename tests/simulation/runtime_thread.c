/* SPDX-License-Identifier: MIT */
/* Executors in a world: their threads are the world's, and what they do takes its time and none of ours. */
#include "runtime.h"

#include "task/loop.h"

#include <noria/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int64_t monotonic(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* ---- a call ---- */

static int hour(void *arg)
{
	int64_t begin = monotonic();

	MUST(!noria_loop);
	MUST(noria_sleep(1) == -ENXIO);
	sleep(3600);
	*(int64_t *)arg = monotonic() - begin;
	return 42;
}

static int offload_hour(void *arg)
{
	int64_t begin = noria_now();

	MUST(noria_offload(hour, arg) == 42);
	MUST(noria_now() - begin >= noria_sec(3600));
	return 0;
}

Test(runtime_thread, a_call_sleeps_in_the_time_of_its_world)
{
	struct timespec before, after;
	int64_t slept = 0;

	clock_gettime(CLOCK_MONOTONIC, &before);
	cr_assert_eq(run_in_world(1, "", TESTING_ORDER_RANDOM, offload_hour, &slept).result, 0);
	clock_gettime(CLOCK_MONOTONIC, &after);
	cr_expect_eq(slept, INT64_C(3600) * 1000000000);
	cr_expect_lt(after.tv_sec - before.tv_sec, 60);
}

/* ---- several ---- */

struct story {
	char text[256];
	size_t length;
};

static struct story story;

static int tell(void *arg)
{
	usleep(1000);
	story.text[story.length++] = (char)(intptr_t)arg;
	return 0;
}

static int offload_tell(void *arg)
{
	return noria_offload(tell, arg);
}

static int tell_all(void *arg)
{
	struct noria_group group = {0};

	(void)arg;
	memset(&story, 0, sizeof story);
	MUST(noria_group_open(&group) == 0);
	for (intptr_t letter = 'a'; letter < 'a' + 12; letter++)
		MUST(noria_spawn(&group, offload_tell, (void *)letter) == 0);
	return noria_group_close(&group, 0);
}

/* X11, of executors: a seed says in which order calls end, and another seed says another. */
Test(runtime_thread, the_order_of_calls_comes_from_the_seed)
{
	unsigned different = 0;

	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct outcome first = run_in_world(seed, "", TESTING_ORDER_RANDOM, tell_all, NULL), second;
		struct story told = story;

		second = run_in_world(seed, "", TESTING_ORDER_RANDOM, tell_all, NULL);
		cr_expect_eq(first.result, 0);
		cr_expect_eq(first.draws, second.draws);
		cr_expect_str_eq(told.text, story.text);
		cr_expect_eq(story.length, 12);
		different += strcmp(story.text, "abcdefghijkl") != 0;
	}
	cr_expect_geq(different, 15);
}

/* ---- cancels ---- */

static sem_t go;

static int wait_to_go(void *arg)
{
	(void)arg;
	while (sem_wait(&go) < 0)
		;
	return noria_offload_cancelled() ? 1 : 0;
}

static int cancel_while_it_runs(void *arg)
{
	struct noria_scope scope = {0};
	int r;

	(void)arg;
	MUST(noria_scope_open(&scope, noria_now() + noria_msec(1), 0) == 0);
	r = noria_offload(wait_to_go, NULL);
	MUST(noria_check() == -ECANCELED);
	MUST(noria_scope_close(&scope, -ECANCELED) == -ETIMEDOUT);
	return r;
}

static int post_later(void *arg)
{
	(void)arg;
	MUST(noria_sleep(noria_sec(1)) == 0);
	sem_post(&go);
	return 0;
}

static int cancel_and_post(void *arg)
{
	struct noria_group group = {0};
	int r;

	(void)arg;
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, post_later, NULL) == 0);
	r = cancel_while_it_runs(NULL);
	MUST(noria_group_close(&group, 0) == 0);
	return r;
}

/* X01, X02: it is waited for, and hears of the cancel. */
Test(runtime_thread, a_call_that_runs_is_waited_for)
{
	sem_init(&go, 0, 0);
	cr_expect_eq(run_in_world(7, "", TESTING_ORDER_RANDOM, cancel_and_post, NULL).result, 1);
}

/* ---- abandoned ---- */

static int disposed;

static void dispose(int result, void *arg)
{
	(void)arg;
	disposed += result == 5;
}

static int slow(void *arg)
{
	(void)arg;
	sleep(10);
	return 5;
}

static int abandon(void *arg)
{
	struct noria_scope scope = {0};

	MUST(noria_scope_open(&scope, noria_now() + noria_sec(1), 0) == 0);
	MUST(noria_offload_with(slow, arg, &(struct noria_call_options){.dispose = dispose}) == -ECANCELED);
	MUST(noria_scope_close(&scope, -ECANCELED) == -ETIMEDOUT);
	MUST(!disposed);
	return 0;
}

/* X03: the run is over before the call. */
Test(runtime_thread, an_abandoned_call_outlives_its_run)
{
	cr_expect_eq(run_in_world(3, "", TESTING_ORDER_RANDOM, abandon, NULL).result, 0);
	cr_expect_eq(disposed, 1);
}

/* ---- no thread, and no end ---- */

static int none(void *arg)
{
	return noria_offload(tell, arg);
}

Test(runtime_thread, a_thread_may_not_be_had)
{
	cr_expect_eq(run_in_world(1, "thread", TESTING_ORDER_RANDOM, none, NULL).result, -EAGAIN);
	cr_expect_eq(run_in_world(1, "thread@1", TESTING_ORDER_RANDOM, none, NULL).result, 0);
}

static uint32_t word;

static int wait_for_ever(void *arg)
{
	(void)arg;
	return noria_futex_wait(&word, 0, NORIA_FUTEX_ANY, NORIA_FUTEX_32 | NORIA_FUTEX_PRIVATE);
}

static void hear_nothing(const struct noria_failure *failure, const char *text, void *arg)
{
	(void)failure, (void)text, (void)arg;
}

static int stuck_run(void)
{
	struct noria_config config = {.on_failure = hear_nothing};
	int r;

	testing_runtime_install();
	MUST(sim_world_open(&sim_world, 1, "") == 0);
	r = noria_run(&config, wait_for_ever, NULL);
	sim_world_close(sim_world);
	sim_world = NULL;
	return r;
}

/* X10, with an operation under way: on the kernel's ring that may always end; here it is known that it will not. */
Test(runtime_thread, an_operation_that_nothing_will_end_is_a_deadlock)
{
	cr_expect_eq(stuck_run(), -EDEADLK);
}

/* ---- what only the kernel has ---- */

static int ask_for_the_kernels(void *arg)
{
	char *argv[] = {(char[]){"true"}, NULL};
	struct noria_process process = {0};
	struct noria_inotify *inotify;

	(void)arg;
	MUST(noria_process_open(&process, "true", argv, NULL, NULL) == -EOPNOTSUPP);
	MUST(strstr(noria_message(), "simulated world"));
	MUST(noria_waitpid(-1, NULL, 0) == -EOPNOTSUPP);
	MUST(noria_inotify_open(&inotify) == -EOPNOTSUPP);
	return 0;
}

Test(runtime_thread, what_only_the_kernel_has_is_refused)
{
	cr_expect_eq(run_in_world(1, "", TESTING_ORDER_RANDOM, ask_for_the_kernels, NULL).result, 0);
}
