/* SPDX-License-Identifier: MIT */
/* Sweeps: what they visit, what they find, how it is made short, and how it is had again. */
#include "kit.h"

#include <noria/test_criterion.h>

/* A body of NORIA_TEST() is a root task. */
NORIA_TEST(kit, a_test_between_hosts, .seed = 7)
{
	return echo_between_hosts(NULL);
}

NORIA_TEST_SEEDS(kit, many_seeds, 50, .faults = "delay%10,short%10")
{
	return echo_between_hosts(NULL);
}

NORIA_TEST_CANCELLED(kit, cancelled_everywhere)
{
	return echo_between_hosts(NULL);
}

NORIA_TEST_FAULTS(kit, no_memory_anywhere, "enomem")
{
	return echo_between_hosts(NULL);
}

NORIA_TEST_FAULTS(kit, each_fault, NULL)
{
	return echo_between_hosts(NULL);
}

static struct noria_sim_sweep quiet = {.options = {.quiet = true}};

static int fail_in_words(void *arg)
{
	(void)arg;
	return noria_fail(-EBADMSG, "entry %d is not there", 7);
}

Test(kit, a_sweep_tells_the_failure_in_its_own_words)
{
	EXPECT_EQ(noria_sim_sweep_seeds(&quiet, 2, fail_in_words, NULL), -EBADMSG);
	EXPECT(strstr(noria_sim_last_report()->what, "entry 7 is not there") != NULL);
}

static int sleep_for_a_minute(void *arg)
{
	(void)arg;
	return noria_sleep(noria_sec(60));
}

Test(kit, the_line_that_replays_it_has_the_limits)
{
	struct noria_sim_options options = {.quiet = true, .time_limit_ns = noria_sec(5), .leaks_allowed = true};

	EXPECT_EQ(noria_sim_run(&options, sleep_for_a_minute, NULL), -ETIME);
	EXPECT(strcmp(noria_sim_last_report()->replay, "seed=0,limit=5000ms,leaks=1") == 0);
	options.changes = 17;
	EXPECT_EQ(noria_sim_run(&options, sleep_for_a_minute, NULL), -EINVAL);
	EXPECT(noria_sim_last_report()->what[0] == '\0' && noria_sim_last_report()->result == -EINVAL);
}

static int sweep_within(void *arg)
{
	(void)arg;
	return noria_sim_sweep_seeds(NULL, 3, sleep_for_a_minute, NULL);
}

Test(kit, sweeps_that_cannot_be_made_are_refused)
{
	struct noria_sim_sweep sweep = quiet;

	EXPECT_EQ(noria_sim_sweep_faults(&quiet, "reset,bananas", sleep_for_a_minute, NULL), -EINVAL);
	sweep.options.faults = "reset@";
	EXPECT_EQ(noria_sim_sweep_seeds(&sweep, 3, sleep_for_a_minute, NULL), -EINVAL);
	EXPECT_EQ(noria_sim_run(&quiet.options, sweep_within, NULL), -EBUSY);
	setenv("NORIA_SIM", "seed=x", 1);
	EXPECT_EQ(noria_sim_sweep_faults(&quiet, NULL, sleep_for_a_minute, NULL), -EINVAL);
	unsetenv("NORIA_SIM");
}

static int crash_in_a_task(void *arg)
{
	(void)arg;
	abort();
}

Test(kit, a_crash_names_the_task)
{
	EXPECT_EQ(noria_sim_sweep_seeds(&quiet, 1, crash_in_a_task, NULL), -ECHILD);
	EXPECT(strstr(noria_sim_last_report()->what, "Aborted in the middle of a run, in task crash_in_a_task #2") !=
	       NULL);
}

static int checkpoints(void *arg)
{
	for (int i = 0; i < *(int *)arg; i++)
		noria_try(noria_yield());
	return 0;
}

Test(kit, a_cancel_sweep_visits_each_checkpoint_and_each_resume)
{
	int count = 5;
	int runs = noria_sim_sweep_cancel(&quiet, checkpoints, &count);

	EXPECT_EQ(runs, 1 + noria_sim_last_report()->checkpoints + noria_sim_last_report()->resumes);
	EXPECT_EQ(noria_sim_last_report()->checkpoints, 2 * count); /* a yield looks before it and after it */
	EXPECT(noria_sim_last_report()->resumes >= 6);
}

/* A descriptor is lost if the cancel comes when the sleep is over, or before. */
static int lose_a_socket(void *arg)
{
	int fd = noria_socket(AF_INET, SOCK_STREAM, 0);

	(void)arg;
	noria_try(fd);
	noria_try(noria_sleep(noria_msec(1)));
	noria_close(fd);
	return 0;
}

Test(kit, a_cancel_sweep_finds_what_is_lost)
{
	EXPECT_EQ(noria_sim_sweep_cancel(&quiet, lose_a_socket, NULL), -EUCLEAN);
	EXPECT_SAYS("opened by socket");
	EXPECT(strstr(noria_sim_last_report()->replay, "faults=cancel@") != NULL);
}

Test(kit, a_finding_is_had_again)
{
	char replay[2048];

	EXPECT_EQ(noria_sim_sweep_cancel(&quiet, lose_a_socket, NULL), -EUCLEAN);
	strcpy(replay, noria_sim_last_report()->replay);
	setenv("NORIA_SIM", replay, 1);
	EXPECT_EQ(noria_sim_sweep_cancel(&quiet, lose_a_socket, NULL), -EUCLEAN);
	EXPECT_EQ(strcmp(replay, noria_sim_last_report()->replay), 0);
	unsetenv("NORIA_SIM");
}

static bool no_error(int result, void *arg)
{
	(void)arg;
	return result >= 0;
}

Test(kit, a_plan_is_made_short)
{
	struct noria_sim_sweep sweep = quiet;

	sweep.options.faults = "reset%20,delay%30,short%30";
	sweep.accept = no_error;
	EXPECT(noria_sim_sweep_seeds(&sweep, 50, echo_between_hosts, NULL) < 0);
	EXPECT_EQ(noria_sim_last_report()->faults, 1);
	EXPECT(strstr(noria_sim_last_report()->replay, "faults=reset@") != NULL);
}

/* Two tasks that each read, yield and write: an update is lost in some orders only. */
static int shared_count;

static int increment(void *arg)
{
	int before = shared_count;

	(void)arg;
	noria_try(noria_yield());
	shared_count = before + 1;
	return 0;
}

static int increment_twice(void *arg)
{
	struct noria_group group;
	int r;

	(void)arg;
	shared_count = 0;
	noria_try(noria_group_open(&group));
	r = noria_spawn(&group, increment, NULL);
	if (r >= 0)
		r = noria_spawn(&group, increment, NULL);
	r = noria_group_close(&group, r);
	return r < 0 ? r : shared_count == 2 ? 0 : -EPROTO;
}

Test(kit, all_orders_find_a_lost_update)
{
	EXPECT_EQ(noria_sim_sweep_schedules(&quiet, increment_twice, NULL), -EPROTO);
	EXPECT(strstr(noria_sim_last_report()->replay, "script=") != NULL);
}

Test(kit, all_orders_of_two_tasks_are_few)
{
	int count = 2, runs = noria_sim_sweep_schedules(&quiet, checkpoints, &count);

	EXPECT(runs >= 1 && runs < 1000);
}

static int crash(void *arg)
{
	(void)arg;
	noria_try(noria_sleep(noria_sec(1)));
	fprintf(stderr, "the last words\n");
	abort();
}

Test(kit, a_crash_is_a_finding_with_the_last_words)
{
	EXPECT_EQ(noria_sim_sweep_seeds(&quiet, 2, crash, NULL), -ECHILD);
	EXPECT_SAYS("the last words");
}

static int hang(void *arg)
{
	(void)arg;
	for (volatile int i = 1; i;)
		;
	return 0;
}

Test(kit, a_hang_is_a_finding)
{
	struct noria_sim_sweep sweep = quiet;

	sweep.real_limit_ns = noria_msec(300);
	EXPECT_EQ(noria_sim_sweep_seeds(&sweep, 1, hang, NULL), -ECHILD);
	EXPECT_SAYS("did not end within 300 ms of real time");
}
