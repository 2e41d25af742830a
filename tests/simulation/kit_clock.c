/* SPDX-License-Identifier: MIT */
/*
 * X09: the virtual clock jumps only when every task is blocked and no operation is in flight. The same with the clock
 * alone, on the kernel's ring, and in a simulated world.
 */
#include "kit.h"

#include <unistd.h>

static int sleep_an_hour(void *arg)
{
	int64_t before = noria_now();

	(void)arg;
	noria_try(noria_sleep(noria_sec(3600)));
	EXPECT(noria_now() - before >= noria_sec(3600));
	return 0;
}

Test(X09, an_hour_is_over_at_once)
{
	struct noria_sim_options options = {.time_limit_ns = noria_sec(7200)};
	int64_t before = real_now();

	EXPECT_EQ(noria_sim_run(&options, sleep_an_hour, NULL), 0);
	EXPECT(noria_sim_last_report()->time_ns >= noria_sec(3600));
	options.world = NORIA_SIM_CLOCK;
	EXPECT_EQ(noria_sim_run(&options, sleep_an_hour, NULL), 0);
	EXPECT(real_now() - before < noria_sec(60));
}

/* A pipe of the process's, into which a thread writes when it has been told so; then a timer must not have jumped. */
static int offloaded_nap(void *arg)
{
	(void)arg;
	usleep(20 * 1000);
	return 0;
}

static int long_sleep(void *arg)
{
	(void)arg;
	return noria_sleep(noria_sec(1000));
}

static int sleep_beside_a_call(void *arg)
{
	struct noria_group group;
	int64_t before = noria_now();
	int r;

	(void)arg;
	noria_try(noria_group_open(&group));
	r = noria_spawn(&group, long_sleep, NULL);
	if (r >= 0)
		r = noria_offload(offloaded_nap, NULL);
	EXPECT(noria_now() - before < noria_sec(500));
	return noria_group_close(&group, r);
}

Test(X09, a_call_on_a_thread_holds_the_clock)
{
	struct noria_sim_options options = {.world = NORIA_SIM_CLOCK};

	EXPECT_EQ(noria_sim_run(&options, sleep_beside_a_call, NULL), 0);
	EXPECT(noria_sim_last_report()->time_ns >= noria_sec(1000));
	options.world = NORIA_SIM_WORLD;
	EXPECT_EQ(noria_sim_run(&options, sleep_beside_a_call, NULL), 0);
}

static int write_later(void *arg)
{
	usleep(20 * 1000);
	return write(*(int *)arg, "x", 1) == 1 ? 0 : -EIO;
}

static int read_beside_a_timer(void *arg)
{
	int *ends = arg;
	int64_t before = noria_now();
	struct noria_group group;
	char byte;
	ssize_t n;
	int r;

	noria_try(noria_group_open(&group));
	r = noria_spawn(&group, long_sleep, NULL);
	n = r < 0 ? r : noria_read(ends[0], &byte, 1);
	EXPECT(n == 1 && noria_now() - before < noria_sec(500));
	return noria_group_close(&group, n < 0 ? (int)n : 0);
}

static void *write_in_a_thread(void *arg)
{
	return (void *)(intptr_t)write_later(arg);
}

Test(X09, an_operation_in_flight_holds_the_clock)
{
	struct noria_sim_options options = {.world = NORIA_SIM_CLOCK};
	pthread_t thread;
	int ends[2];

	MUST(pipe(ends) == 0 && pthread_create(&thread, NULL, write_in_a_thread, &ends[1]) == 0);
	EXPECT_EQ(noria_sim_run(&options, read_beside_a_timer, ends), 0);
	pthread_join(thread, NULL);
	close(ends[0]);
	close(ends[1]);
}

static int count_turns(void *arg)
{
	int64_t before = noria_now();

	(void)arg;
	for (int i = 0; i < 100; i++)
		noria_try(noria_yield());
	EXPECT(noria_now() - before < noria_sec(500));
	return 0;
}

static int yield_beside_a_timer(void *arg)
{
	struct noria_group group;
	int r;

	(void)arg;
	noria_try(noria_group_open(&group));
	r = noria_spawn(&group, long_sleep, NULL);
	if (r >= 0)
		r = count_turns(NULL);
	return noria_group_close(&group, r);
}

Test(X09, a_ready_task_holds_the_clock)
{
	for (int world = NORIA_SIM_WORLD; world <= NORIA_SIM_CLOCK; world++) {
		struct noria_sim_options options = {.world = (enum noria_sim_world)world};

		EXPECT_EQ(noria_sim_run(&options, yield_beside_a_timer, NULL), 0);
	}
}
