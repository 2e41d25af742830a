/* SPDX-License-Identifier: MIT */
/*
 * Draining: idle waits end, work goes on, and code may ask. Then what comes after: the second signal, the end of the
 * grace, and tasks that do not react. (That their stacks are printed is run_signals.c's to prove.)
 */
#include "group_tasks.h"

#include <netinet/in.h>
#include <signal.h>

struct server {
	bool idle, working;
	int fd, waited, accepted, worked;
	bool go;
};

static int serve(void *arg)
{
	struct server *server = arg;

	server->idle = true;
	server->waited = noria_idle(noria_sleep(NORIA_FOREVER));
	return server->waited;
}

static int accept_for_ever(void *arg)
{
	struct server *server = arg;

	server->accepted = noria_accept(server->fd, NULL, NULL);
	return server->accepted;
}

static int work(void *arg)
{
	struct server *server = arg;

	server->working = true;
	UNTIL(server->go);
	server->worked = noria_sleep(1);
	return server->worked;
}

/* S18: code can ask; idle waits end with -ECANCELED, begun before the drain or after; work goes on. */
RULE(S18, a_drain_ends_idle_waits_and_spares_work)
{
	struct noria_group group;
	struct server server = {.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};

	MUST(server.fd >= 0 && listen(server.fd, 1) == 0);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, serve, &server) == 0);
	MUST(noria_spawn(&group, accept_for_ever, &server) == 0);
	MUST(noria_spawn(&group, work, &server) == 0);
	UNTIL(server.working);
	let_the_kernel_see();
	EXPECT(!noria_draining());
	noria_drain();
	EXPECT(noria_draining());
	UNTIL(noria_group_size(&group) == 1);
	EXPECT(server.waited == -ECANCELED && server.accepted == -ECANCELED);
	EXPECT(noria_idle(noria_sleep(NORIA_FOREVER)) == -ECANCELED);
	EXPECT(noria_check() == 0 && noria_sleep(1) == 0);
	server.go = true;
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(server.worked == 0);
	EXPECT(rule_heard.count == 0);
	EXPECT(close(server.fd) == 0);
	return 0;
}

static int be_drained(__attribute__((unused)) void *arg)
{
	noria_drain();
	noria_drain();
	return noria_idle(noria_sleep(NORIA_FOREVER));
}

static int be_signalled(__attribute__((unused)) void *arg)
{
	raise(SIGTERM);
	UNTIL(noria_draining());
	EXPECT(noria_sleep(1) == 0);
	return noria_idle(noria_sleep(NORIA_FOREVER));
}

static int be_signalled_twice(__attribute__((unused)) void *arg)
{
	raise(SIGTERM);
	UNTIL(noria_draining());
	raise(SIGINT);
	EXPECT(noria_sleep(NORIA_FOREVER) == -ECANCELED);
	return 0;
}

static int work_for_ever(__attribute__((unused)) void *arg)
{
	noria_drain();
	EXPECT(noria_sleep(NORIA_FOREVER) == -ECANCELED);
	return 0;
}

static atomic_bool on_thread, release_thread;

static int block(__attribute__((unused)) void *arg)
{
	atomic_store(&on_thread, true);
	while (!atomic_load(&release_thread))
		usleep(50);
	return 0;
}

struct survivors {
	int named;
	bool joiner, offloader;
};

static void hear_and_release(const struct noria_failure *failure, const char *text, void *arg)
{
	struct survivors *survivors = arg;

	EXPECT(failure->code == -ETIMEDOUT);
	survivors->named++;
	survivors->joiner |= strcmp(failure->task, "body") == 0 && strstr(text, "children") != NULL;
	survivors->offloader |= strcmp(failure->task, "offload_a_block") == 0 && strstr(text, "offloaded") != NULL;
	atomic_store(&release_thread, true);
}

static int offload_a_block(__attribute__((unused)) void *arg)
{
	return noria_offload(block, NULL);
}

static int do_not_react(__attribute__((unused)) void *arg)
{
	struct noria_group group;

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, offload_a_block, NULL) == 0);
	until_thread(&on_thread);
	noria_drain();
	return noria_group_close(&group, 0);
}

static void expect_run(noria_task_fn *root, const struct noria_config *config, int result)
{
	for (int t = NORIA_TIMEOUTS_LINKED; t <= NORIA_TIMEOUTS_HEAP; t++)
		cr_expect_eq(rule_run(root, NULL, config, (enum noria_timeouts)t), result);
}

/* S18, X07: a drain that ends in time is a success, though the idle wait said -ECANCELED; asking twice changes nothing. */
Test(X07, a_drain_that_ends_in_time_is_a_success, .timeout = 60)
{
	expect_run(be_drained, NULL, 0);
}

/* X07: the first signal begins a drain and cancels nothing but idle waits. */
Test(X07, the_first_signal_drains, .timeout = 60)
{
	expect_run(be_signalled, NULL, 0);
}

/* X07: the second one ends the drain: everything is cancelled, and the result says so. */
Test(X07, the_second_signal_cancels, .timeout = 60)
{
	expect_run(be_signalled_twice, NULL, -ECANCELED);
}

/* S18, X07: when the grace is spent everything is cancelled. */
Test(X07, the_end_of_the_grace_cancels, .timeout = 60)
{
	struct noria_config config = {.drain_timeout_ns = 5000000};

	expect_run(work_for_ever, &config, -ECANCELED);
}

/* X07: tasks that outlast the cancel are named to the handler, with what they wait for, and the result tells. */
Test(X07, what_does_not_react_is_named, .timeout = 60)
{
	struct survivors survivors;
	struct noria_config config = {.drain_timeout_ns = 5000000,
				      .cancel_timeout_ns = 5000000,
				      .on_failure = hear_and_release,
				      .on_failure_arg = &survivors};

	for (int t = NORIA_TIMEOUTS_LINKED; t <= NORIA_TIMEOUTS_HEAP; t++) {
		survivors = (struct survivors){0};
		atomic_store(&on_thread, false);
		atomic_store(&release_thread, false);
		cr_expect_eq(rule_run(do_not_react, NULL, &config, (enum noria_timeouts)t), -ETIMEDOUT);
		EXPECT(survivors.named == 2 && survivors.joiner && survivors.offloader);
	}
}
