/* SPDX-License-Identifier: MIT */
/* Hosts: what is whose, crashes and restarts, partitions, clocks, signals. */
#include "kit.h"

#include <signal.h>
#include <time.h>

static int boots;

static int count_boots(void *arg)
{
	(void)arg;
	boots++;
	EXPECT(strcmp(noria_sim_host_name(), "a") == 0);
	return noria_sleep(NORIA_FOREVER);
}

static int crash_and_restart(void *arg)
{
	struct noria_sim_host *host = noria_sim_host_named("a", NULL);

	(void)arg;
	boots = 0;
	noria_try(noria_sim_start(host, count_boots, NULL));
	EXPECT_EQ(noria_sim_start(host, count_boots, NULL), -EBUSY);
	noria_try(noria_sleep(noria_sec(1)));
	noria_try(noria_sim_crash(host));
	EXPECT(!noria_sim_is_up(host));
	noria_try(noria_sim_restart(host));
	EXPECT(noria_sim_is_up(host));
	noria_try(noria_sleep(noria_sec(1)));
	EXPECT_EQ(boots, 2);
	EXPECT(strcmp(noria_sim_host_name(), "localhost") == 0);
	return 0;
}

Test(host, comes_back_with_its_main_task)
{
	for (int world = NORIA_SIM_WORLD; world <= NORIA_SIM_KERNEL; world++) {
		struct noria_sim_options options = {.world = (enum noria_sim_world)world};

		if (world != NORIA_SIM_KERNEL) /* which would take the seconds */
			EXPECT_EQ(noria_sim_run(&options, crash_and_restart, NULL), 0);
	}
}

static int talk_to_a_crashed_one(void *arg)
{
	struct noria_sim_host *server = noria_sim_host_named("server", NULL);

	(void)arg;
	noria_try(noria_sim_start(server, serve_echo, NULL));
	noria_try(noria_sleep(noria_sec(1)));
	noria_try(talk_echo(server, 1));
	noria_try(noria_sim_crash(server));
	EXPECT(noria_within(noria_sec(5), talk_echo(server, 1)) < 0);
	noria_try(noria_sim_restart(server));
	noria_try(noria_sleep(noria_sec(1)));
	return talk_echo(server, 1);
}

Test(host, serves_again_after_a_crash)
{
	struct noria_sim_sweep sweep = {0};

	EXPECT_EQ(noria_sim_sweep_seeds(&sweep, 20, talk_to_a_crashed_one, NULL), 20);
}

static int talk_across_a_partition(void *arg)
{
	struct noria_sim_host *server = noria_sim_host_named("server", NULL),
			      *client = noria_sim_host_named("client", NULL);

	(void)arg;
	noria_try(noria_sim_start(server, serve_echo, NULL));
	noria_try(noria_sleep(noria_sec(1)));
	noria_try(noria_sim_partition(client, server));
	EXPECT_EQ(noria_sim_on(client, noria_within(noria_sec(5), talk_echo(server, 1))), -ETIMEDOUT);
	noria_try(noria_sim_heal(client, server));
	return noria_sim_on(client, noria_within(noria_sec(60), talk_echo(server, 1)));
}

Test(host, a_partition_holds_what_it_should)
{
	EXPECT_EQ(noria_sim_run(NULL, talk_across_a_partition, NULL), 0);
}

static int slow_link(void *arg)
{
	struct noria_sim_host *server = noria_sim_host_named("server", NULL),
			      *client = noria_sim_host_named("client", NULL);
	struct noria_sim_link link = {.latency_ns = noria_msec(100)};
	int64_t before;

	(void)arg;
	noria_try(noria_sim_set_link(server, client, &link));
	noria_try(noria_sim_start(server, serve_echo, NULL));
	noria_try(noria_sleep(noria_sec(1)));
	before = noria_now();
	noria_try(noria_sim_on(client, talk_echo(server, 5)));
	EXPECT(noria_now() - before >= noria_msec(1000));
	return 0;
}

Test(host, a_link_takes_its_time)
{
	EXPECT_EQ(noria_sim_run(NULL, slow_link, NULL), 0);
}

static bool drained;

static int until_drained(void *arg)
{
	int r;

	(void)arg;
	r = noria_idle(noria_sleep(NORIA_FOREVER));
	drained = noria_draining();
	return r == -ECANCELED ? 0 : r;
}

static int terminate(void *arg)
{
	struct noria_sim_host *host = noria_sim_host_named("a", NULL);

	(void)arg;
	drained = false;
	noria_try(noria_sim_start(host, until_drained, NULL));
	noria_try(noria_sleep(noria_sec(1)));
	noria_try(noria_sim_signal(host, SIGTERM));
	noria_try(noria_sleep(noria_sec(1)));
	EXPECT(drained && !noria_draining());
	EXPECT_EQ(noria_sim_signal(host, SIGTERM), -ESRCH);
	return 0;
}

Test(host, a_signal_drains_one_host)
{
	EXPECT_EQ(noria_sim_run(NULL, terminate, NULL), 0);
}

static int fail(void *arg)
{
	(void)arg;
	noria_try(noria_sleep(noria_sec(1)));
	return -EPROTO;
}

static int start_one_that_fails(void *arg)
{
	(void)arg;
	noria_try(noria_sim_start(noria_sim_host_named("a", NULL), fail, NULL));
	return noria_sleep(NORIA_FOREVER);
}

Test(host, a_failure_of_its_main_task_is_the_runs)
{
	struct noria_sim_options options = {.quiet = true};

	EXPECT_EQ(noria_sim_run(&options, start_one_that_fails, NULL), -EPROTO);
}

static int crash_at_random(void *arg)
{
	struct noria_sim_host *server = noria_sim_host_named("server", NULL);
	int good = 0;

	(void)arg;
	noria_try(noria_sim_start(server, serve_echo, NULL));
	for (int i = 0; i < 200 && good < 3; i++) {
		noria_try(noria_sleep(noria_msec(100)));
		good += noria_within(noria_sec(2), talk_echo(server, 3)) == 0;
	}
	return good == 3 ? 0 : -EPROTO;
}

Test(host, crashes_of_a_plan_are_survived)
{
	struct noria_sim_sweep sweep = {.options = {.faults = "crash%1"}};

	sweep.options.leaks_allowed = false;
	EXPECT_EQ(noria_sim_sweep_seeds(&sweep, 50, crash_at_random, NULL), 50);
}

static int crash_oneself(void *arg)
{
	(void)arg;
	EXPECT_EQ(noria_sim_crash(noria_sim_host_named("localhost", NULL)), -EINVAL);
	EXPECT(noria_sim_host_named(NULL, NULL) == NULL);
	return 0;
}

Test(host, the_callers_own_is_not_crashed)
{
	EXPECT_EQ(noria_sim_run(NULL, crash_oneself, NULL), 0);
}
