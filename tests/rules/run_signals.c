/* SPDX-License-Identifier: MIT */
/*
 * X07: SIGINT and SIGTERM, sent to this very process. The first drains, the second cancels, the third has its default
 * effect; the grace ends by itself; what ignores all that is named; the result of noria_run() tells.
 */
#include "noria/offload.h"
#include "ring_inside.h"

#include <netinet/in.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>

static atomic_bool release;
static int idle_ended, work_ended, work_cancelled;

static int accept_until_drained(void *arg)
{
	int r = noria_accept(*(int *)arg, NULL, NULL);

	EXPECT(r == -ECANCELED);
	EXPECT(noria_draining());
	idle_ended++;
	return r;
}

/* Idle, and then cleaning up in peace. */
static int idle_until_drained(void *arg)
{
	char byte;
	ssize_t r = noria_idle(noria_recv(*(int *)arg, &byte, 1, 0));

	EXPECT(r == -ECANCELED);
	EXPECT(noria_check() == 0);
	EXPECT(noria_sleep(noria_msec(1)) == 0);
	EXPECT(noria_idle(noria_sleep(noria_msec(1))) == -ECANCELED); /* no new wait for work */
	idle_ended++;
	return (int)r;
}

/* Work in progress: goes on through the drain until its peer answers. */
static int work(void *arg)
{
	char byte;
	ssize_t r = noria_recv(*(int *)arg, &byte, 1, 0);

	work_ended += r == 1;
	work_cancelled += r == -ECANCELED;
	return r == 1 ? 0 : (int)r;
}

static int listener(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	MUST(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 8) == 0);
	return fd;
}

struct scene {
	struct noria_group group;
	int listener, idle[2], work[2];
};

static void scene_open(struct scene *scene)
{
	*scene = (struct scene){.listener = listener()};
	idle_ended = work_ended = work_cancelled = 0;
	inside_pair(scene->idle);
	inside_pair(scene->work);
	MUST(noria_group_open(&scene->group) == 0);
	MUST(noria_spawn(&scene->group, accept_until_drained, &scene->listener) == 0);
	MUST(noria_spawn(&scene->group, idle_until_drained, &scene->idle[0]) == 0);
	MUST(noria_spawn(&scene->group, work, &scene->work[0]) == 0);
	UNTIL(inside_flying(scene->work[0]) && ring_pending(noria_loop->ring) == 0);
}

static int scene_close(struct scene *scene)
{
	int r = noria_group_close(&scene->group, 0);

	close(scene->listener);
	inside_close(scene->idle);
	inside_close(scene->work);
	return r;
}

/* One signal: idle waits end, work goes on and ends by itself. */
static int drain_by(void *arg)
{
	struct scene scene;

	scene_open(&scene);
	EXPECT(!noria_draining());
	if (*(int *)arg)
		raise(*(int *)arg);
	else
		noria_drain();
	UNTIL(idle_ended == 2);
	EXPECT(noria_draining());
	EXPECT(noria_check() == 0);
	EXPECT(work_ended == 0 && work_cancelled == 0);
	MUST(send(scene.work[1], "!", 1, 0) == 1);
	EXPECT(scene_close(&scene) == 0);
	EXPECT(work_ended == 1);
	return -ECANCELED; /* what a drained root may well return */
}

/* X07: SIGTERM, SIGINT and noria_drain() begin a drain, and a drain that ends in time is no error. */
Test(X07, the_first_signal_drains, .timeout = 60)
{
	int ways[] = {SIGTERM, SIGINT, 0};
	struct sigaction before, after;

	sigaction(SIGTERM, NULL, &before);
	for (int i = 0; i < 6; i++)
		cr_expect_eq(rule_run(drain_by, &ways[i / 2], NULL, i % 2), 0);
	sigaction(SIGTERM, NULL, &after);
	cr_expect(before.sa_handler == after.sa_handler);
}

enum { ARRIVALS = 100 }; /* more than one enter takes in */

static int idle_twice(void *arg)
{
	int fd = *(int *)arg;
	char byte;

	EXPECT(noria_idle(noria_recv(fd, &byte, 1, 0)) == 1 && noria_draining());
	EXPECT(noria_idle(noria_recv(fd, &byte, 1, 0)) == -ECANCELED);
	idle_ended++;
	return 0;
}

static int stream_twice(void *arg)
{
	struct noria_recv_stream stream;
	const void *data;

	MUST(noria_recv_stream_open(&stream, *(int *)arg) == 0);
	EXPECT(noria_idle(noria_recv_stream_next(&stream, &data)) == 1 && noria_draining());
	EXPECT(noria_idle(noria_recv_stream_next(&stream, &data)) == -ECANCELED);
	noria_recv_stream_close(&stream);
	idle_ended++;
	return 0;
}

static int arrive_and_drain(void *arg)
{
	struct noria_group group;
	int pairs[ARRIVALS][2];

	(void)arg;
	idle_ended = 0;
	MUST(noria_group_open(&group) == 0);
	for (int i = 0; i < ARRIVALS; i++) {
		inside_pair(pairs[i]);
		MUST(noria_spawn(&group, i % 2 ? idle_twice : stream_twice, &pairs[i][0]) == 0);
	}
	for (int i = 0; i < ARRIVALS; i++)
		UNTIL(inside_flying(pairs[i][0]) && ring_pending(noria_loop->ring) == 0);
	for (int i = 0; i < ARRIVALS; i++)
		MUST(send(pairs[i][1], "x", 1, 0) == 1);
	raise(SIGTERM);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(idle_ended == ARRIVALS);
	for (int i = 0; i < ARRIVALS; i++)
		inside_close(pairs[i]);
	return 0;
}

/* X07: what had arrived before the signal is served, by waits of both kinds; then there is no more. */
Test(X07, what_arrived_before_a_signal_is_served, .timeout = 60)
{
	for (int i = 0; i < 2; i++)
		cr_expect_eq(rule_run(arrive_and_drain, NULL, NULL, i), 0);
}

static int drain_and_return(void *arg)
{
	raise(SIGTERM);
	EXPECT(noria_idle(noria_sleep(NORIA_FOREVER)) == -ECANCELED);
	return *(int *)arg;
}

/* X07: a result of the root task's own stands in spite of the drain. */
Test(X07, a_drain_keeps_the_result, .timeout = 60)
{
	int results[] = {0, 5, -EIO};

	for (int i = 0; i < 3; i++)
		cr_expect_eq(rule_run(drain_and_return, &results[i], NULL, NORIA_TIMEOUTS_LINKED), results[i]);
}

static int cancel_by_two(void *arg)
{
	struct scene scene;
	int r;

	scene_open(&scene);
	raise(SIGTERM);
	if (arg)
		UNTIL(idle_ended == 2);
	raise(SIGINT);
	r = scene_close(&scene);
	EXPECT(r == -ECANCELED);
	EXPECT(work_cancelled == 1 && work_ended == 0);
	EXPECT(noria_check() == -ECANCELED);
	return 0;
}

/* X07: the second signal cancels everything, and the result says so, whatever the root task returned. */
Test(X07, the_second_signal_cancels, .timeout = 60)
{
	cr_expect_eq(rule_run(cancel_by_two, &release, NULL, NORIA_TIMEOUTS_LINKED), -ECANCELED);
	cr_expect_eq(rule_run(cancel_by_two, &release, NULL, NORIA_TIMEOUTS_HEAP), -ECANCELED);
}

static int drain_without_end(void *arg)
{
	int64_t begin = noria_now();
	struct scene scene;
	int r;

	scene_open(&scene);
	raise(SIGTERM);
	r = scene_close(&scene);
	EXPECT(idle_ended == 2 || work_cancelled == 1);
	EXPECT(r == -ECANCELED && work_cancelled == 1);
	EXPECT(noria_now() - begin >= *(int64_t *)arg);
	return 0;
}

/* X07: work that does not end within the grace is cancelled, not earlier, and nobody is named for it. */
Test(X07, the_end_of_the_grace_cancels, .timeout = 60)
{
	int64_t grace = noria_msec(20);
	struct noria_config config = {.drain_timeout_ns = grace};

	cr_expect_eq(rule_run(drain_without_end, &grace, &config, NORIA_TIMEOUTS_LINKED), -ECANCELED);
	cr_expect_eq(rule_run(drain_without_end, &grace, &config, NORIA_TIMEOUTS_HEAP), -ECANCELED);
	cr_expect_eq(rule_heard.count, 0);
}

static int ignore_everything(void *arg)
{
	(void)arg;
	while (!atomic_load(&release))
		(void)noria_shielded(noria_sec(100), noria_sleep(noria_sec(50))); /* until the shield falls */
	return 0;
}

static void hear_and_release(const struct noria_failure *failure, const char *text, void *arg)
{
	struct heard *heard = arg;

	if (strcmp(failure->task, "ignore_everything") == 0) {
		heard->count++;
		heard->last = *failure;
		snprintf(heard->text, sizeof heard->text, "%s", text);
	}
	atomic_store(&release, true);
}

static int be_ignored(void *arg)
{
	struct noria_group group = {0};
	int r;

	(void)arg;
	atomic_store(&release, false);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, ignore_everything, NULL) == 0);
	MUST(noria_yield() == 0);
	raise(SIGTERM);
	raise(SIGTERM);
	r = noria_group_close(&group, 0);
	EXPECT(r == -ECANCELED);
	return r;
}

/* X07: a task that ignores the cancel is named to the failure handler, with what it does, and awaited all the same. */
Test(X07, what_ignores_the_end_is_named, .timeout = 60)
{
	struct heard heard = {0};
	struct noria_config config = {
		.cancel_timeout_ns = noria_msec(10), .on_failure = hear_and_release, .on_failure_arg = &heard};

	cr_expect_eq(rule_run(be_ignored, NULL, &config, NORIA_TIMEOUTS_LINKED), -ETIMEDOUT);
	cr_expect_eq(heard.count, 1);
	cr_expect_eq(heard.last.code, -ETIMEDOUT);
	cr_expect(heard.last.task_id > 0);
	cr_expect_str_eq(heard.last.spawn->file, __FILE__);
	cr_expect_str_eq(heard.last.spawn->function, "be_ignored");
	cr_expect(strstr(heard.text, "sleeps"), "%s", heard.text);
	cr_expect(strstr(heard.text, "\n    at "), "its stack: %s", heard.text);
}

static int blocking(void *arg)
{
	(void)arg;
	while (!atomic_load(&release))
		usleep(100);
	return 0;
}

static int drained_while_calling(void *arg)
{
	atomic_store(&release, false);
	raise(SIGTERM);
	raise(SIGTERM);
	MUST(noria_shielded(noria_sec(100), noria_yield()) == 0);
	return noria_shielded(noria_sec(100), noria_offload(blocking, arg));
}

static void release_only(const struct noria_failure *failure, const char *text, void *arg)
{
	struct heard *heard = arg;

	heard->count++;
	heard->last = *failure;
	snprintf(heard->text, sizeof heard->text, "%s", text);
	atomic_store(&release, true);
}

/* X07: the same for a root task that waits for an offloaded call which does not end. */
Test(X07, a_call_that_does_not_end_is_named, .timeout = 60)
{
	struct heard heard = {0};
	struct noria_config config = {
		.cancel_timeout_ns = noria_msec(10), .on_failure = release_only, .on_failure_arg = &heard};

	cr_expect_eq(rule_run(drained_while_calling, NULL, &config, NORIA_TIMEOUTS_HEAP), -ETIMEDOUT);
	cr_expect_eq(heard.count, 1);
	cr_expect(strstr(heard.text, "offloaded call"), "%s", heard.text);
}

static int signal_three_times(void *arg)
{
	(void)arg;
	raise(SIGTERM);
	raise(SIGTERM);
	(void)noria_shielded(noria_sec(100), noria_sleep(noria_sec(50))); /* until the shield falls */
	raise(SIGTERM);
	return 0;
}

/* X07: the third signal has its default effect: nobody should need SIGKILL. */
Test(X07, the_third_signal_kills, .timeout = 60)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0)
		_exit(noria_run(NULL, signal_three_times, NULL) == 0 ? 0 : 1);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

static volatile sig_atomic_t own_count;

static void own_handler(int number)
{
	own_count += number == SIGTERM;
}

static int signal_own(void *arg)
{
	(void)arg;
	raise(SIGTERM);
	EXPECT(noria_sleep(noria_msec(1)) == 0);
	EXPECT(!noria_draining());
	return own_count;
}

/* X07: with NORIA_SIGNALS_NONE the signals are the program's own affair. */
Test(X07, signals_can_be_left_alone, .timeout = 60)
{
	struct noria_config config = {.signals = NORIA_SIGNALS_NONE};

	signal(SIGTERM, own_handler);
	cr_expect_eq(rule_run(signal_own, NULL, &config, NORIA_TIMEOUTS_LINKED), 1);
}

static int sleep_until_killed(void *arg)
{
	(void)arg;
	EXPECT(noria_idle(noria_sleep(NORIA_FOREVER)) == -ECANCELED);
	return 0;
}

/* X07: a signal wakes a loop that sleeps, with the eventfd of older kernels as well. */
static int signal_later(void *arg)
{
	struct noria_group group = {0};

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, sleep_until_killed, NULL) == 0);
	for (int i = 0; i < 5; i++)
		MUST(noria_yield() == 0);
	alarm(1); /* SIGALRM comes from outside, while the loop sleeps, and its handler passes it on */
	(void)arg;
	return noria_group_close(&group, 0);
}

static void pass_on(int number)
{
	(void)number;
	raise(SIGTERM);
}

Test(X07, a_signal_wakes_a_sleeping_loop, .timeout = 20)
{
	signal(SIGALRM, pass_on);
	cr_expect_eq(rule_run(signal_later, NULL, NULL, NORIA_TIMEOUTS_LINKED), 0);
}

Test(X07, a_signal_wakes_a_sleeping_loop_by_eventfd, .timeout = 20)
{
	setenv("NORIA_HIDE", "sync_msg", 1);
	signal(SIGALRM, pass_on);
	cr_expect_eq(rule_run(signal_later, NULL, NULL, NORIA_TIMEOUTS_LINKED), 0);
}
