/* SPDX-License-Identifier: MIT */
/*
 * The loop that looks before it sleeps: on a ring of the test's own, whose clock moves by a microsecond whenever it is
 * read, and which brings one piece of news at a chosen time; so every run is the same. Then on the kernel's.
 */
#include "unit.h"

#include "base/container.h"
#include "ring/ring.h"
#include "task/loop.h"
#include "task/wait.h"

#include <poll.h>
#include <pthread.h>
#include <unistd.h>

enum { ENTRIES = 8, READING_NS = 1000, LIMIT_NS = 50 * 1000 };

enum news { NONE, TASK_WORK, COMPLETION, POST, SIGNAL };

static struct world {
	struct ring ring;
	struct io_uring_sqe sqes[ENTRIES];
	struct io_uring_cqe cqes[4 * ENTRIES];
	unsigned sq_head, cq_head, cq_tail, sq_flags;
	int64_t now;
	enum news news;
	int64_t news_ns;
	uint64_t submitted; /* the user_data of what is in flight, and when it was taken */
	int64_t submitted_ns;
	int refusals;              /* enters to come that find no memory */
	int enters, sleeps, wakes; /* enters that did not wait; that did */
	int64_t slept_from;        /* when the last one began to */
} world;

static struct wait posted;
static struct remote remote;

static void run_remote(__attribute__((unused)) struct remote *r)
{
	noria_wait_complete(&posted);
}

static void complete(void)
{
	world.cqes[world.cq_tail % (4 * ENTRIES)] = (struct io_uring_cqe){.user_data = world.submitted, .res = POLLIN};
	__atomic_store_n(&world.cq_tail, world.cq_tail + 1, __ATOMIC_RELEASE);
}

static void bring_news(void)
{
	enum news news = world.news;

	if (world.now < world.news_ns)
		return;
	world.news = NONE;
	if (news == TASK_WORK) {
		world.sq_flags = IORING_SQ_TASKRUN;
	} else if (news == COMPLETION) {
		complete();
	} else if (news == POST) {
		remote.run = run_remote;
		loop_expect_posts(noria_loop);
		noria_loop_post(noria_loop, &remote);
	} else if (news == SIGNAL) {
		noria_loop_signal(noria_loop);
	}
}

static int64_t fake_now(__attribute__((unused)) struct ring *ring)
{
	world.now += READING_NS;
	bring_news();
	return world.now;
}

static int fake_enter(struct ring *ring, unsigned wait, int64_t deadline_ns)
{
	if (world.refusals > 0) {
		world.refusals--;
		return -EAGAIN;
	}
	if (ring_pending(ring) > 0) {
		world.submitted = ring->sqes[world.sq_head % ENTRIES].user_data;
		world.submitted_ns = world.now;
		world.sq_head = ring->sq_tail;
	}
	if (wait > 0) {
		world.sleeps++;
		world.slept_from = world.now;
		MUST(world.news != NONE || deadline_ns != INT64_MAX || ring_ready(ring) > 0);
		world.now = world.news != NONE && world.news_ns < deadline_ns ? world.news_ns : deadline_ns;
		bring_news();
	} else {
		world.enters++;
	}
	if (world.sq_flags & IORING_SQ_TASKRUN)
		complete();
	world.sq_flags = 0;
	return 0;
}

static int64_t fake_attempt(__attribute__((unused)) struct ring *ring,
			    __attribute__((unused)) const struct io_uring_sqe *sqe)
{
	return -EAGAIN;
}

static void fake_wake(__attribute__((unused)) struct ring *ring)
{
	world.wakes++;
}

static void fake_close(__attribute__((unused)) struct ring *ring)
{
}

static const struct ring_class fake_class = {
	.enter = fake_enter,
	.attempt = fake_attempt,
	.now = fake_now,
	.wake = fake_wake,
	.close = fake_close,
};

static int open_fake(struct ring **ret_ring, __attribute__((unused)) unsigned entries,
		     __attribute__((unused)) unsigned entries_max)
{
	world.ring = (struct ring){
		.class = &fake_class,
		.sqes = world.sqes,
		.sq_head = &world.sq_head,
		.sq_entries = ENTRIES,
		.cqes = world.cqes,
		.cq_head = &world.cq_head,
		.cq_tail = &world.cq_tail,
		.cq_entries = 4 * ENTRIES,
		.sq_flags = &world.sq_flags,
		.entries_max = ENTRIES,
		.features.there = UINT64_C(1) << FEATURE_TASKRUN_FLAG,
		.watchable = true,
	};
	world.now = noria_sec(1);
	*ret_ring = &world.ring;
	return 0;
}

static const struct noria_config spinning = {.spin_max_ns = LIMIT_NS};

static void run_on_fake(noria_task_fn *body, const struct noria_config *config)
{
	noria_ring_opener = open_fake;
	cr_assert_eq(noria_run(config, body, NULL), 0, "%s", noria_message());
}

/* Whatever the policy has learned: the next wait looks as long as may be. */
static void look_long(void)
{
	noria_spin_init(&noria_loop->spin, noria_loop->spin.max_ns);
	noria_loop->spin.limit_ns = noria_loop->spin.max_ns;
}

/* From now on: looks as long as may be, and news after `after_ns`. Returns the time. */
static int64_t begin(enum news news, int64_t after_ns)
{
	look_long();
	world.news = news;
	world.news_ns = world.now + after_ns;
	world.enters = world.sleeps = 0;
	return world.now;
}

static void expect_seen_by_looking(int64_t began_ns, int64_t after_ns)
{
	EXPECT_EQ(world.sleeps, 0);
	EXPECT_EQ(noria_loop->spin.looks, 1);
	EXPECT_EQ(world.wakes, 0);
	EXPECT(world.now >= began_ns + after_ns && world.now <= began_ns + after_ns + 10 * READING_NS);
}

static int see_task_work(__attribute__((unused)) void *arg)
{
	int64_t began_ns = begin(TASK_WORK, 30000);

	EXPECT_EQ(noria_poll(0, POLLIN), POLLIN);
	expect_seen_by_looking(began_ns, 30000);
	EXPECT_EQ(world.enters, 2); /* one before the look, with what was to be submitted, and one for the completion */
	EXPECT(world.submitted_ns <= began_ns + 5 * READING_NS);
	return 0;
}

Test(spin, task_work_is_seen_and_what_was_prepared_is_submitted_before_looking)
{
	run_on_fake(see_task_work, &spinning);
}

static int see_completion(__attribute__((unused)) void *arg)
{
	int64_t began_ns = begin(COMPLETION, 30000);

	EXPECT_EQ(noria_poll(0, POLLIN), POLLIN);
	expect_seen_by_looking(began_ns, 30000);
	EXPECT_EQ(world.enters, 1);
	return 0;
}

Test(spin, a_completion_is_seen_without_a_call)
{
	run_on_fake(see_completion, &spinning);
}

static const struct wait_class external = {.external = true};

static int see_post(__attribute__((unused)) void *arg)
{
	int64_t began_ns = begin(POST, 30000);

	noria_wait_init(&posted, &external);
	noria_wait_park(&posted);
	expect_seen_by_looking(began_ns, 30000);
	EXPECT_EQ(world.enters, 0);
	return 0;
}

Test(spin, what_another_thread_posts_is_seen_and_it_need_not_wake)
{
	run_on_fake(see_post, &spinning);
}

static int see_signal(__attribute__((unused)) void *arg)
{
	int64_t began_ns = begin(SIGNAL, 30000);

	EXPECT_EQ(noria_idle(noria_sleep(noria_sec(1))), -ECANCELED);
	world.wakes--; /* a signal handler wakes whatever the loop does */
	expect_seen_by_looking(began_ns, 30000);
	return 0;
}

Test(spin, a_signal_is_seen)
{
	run_on_fake(see_signal, &spinning);
}

static int see_timer(__attribute__((unused)) void *arg)
{
	int64_t began_ns = begin(NONE, 0);

	EXPECT_EQ(noria_sleep(30000), 0);
	expect_seen_by_looking(began_ns, 30000);
	EXPECT_EQ(noria_loop->spin.limit_ns, LIMIT_NS / 2);
	return 0;
}

Test(spin, a_timer_that_comes_due_ends_it)
{
	run_on_fake(see_timer, &spinning);
}

static int sleep_after_looking(__attribute__((unused)) void *arg)
{
	int64_t began_ns = begin(TASK_WORK, noria_msec(2));

	EXPECT_EQ(noria_poll(0, POLLIN), POLLIN);
	EXPECT_EQ(noria_loop->spin.looks, 1);
	EXPECT_EQ(world.sleeps, 1);
	EXPECT(world.slept_from >= began_ns + LIMIT_NS && world.slept_from <= began_ns + LIMIT_NS + 10 * READING_NS);
	EXPECT_EQ(noria_loop->spin.limit_ns, LIMIT_NS / 2);
	return 0;
}

Test(spin, when_the_time_is_up_it_sleeps_and_looks_less_the_next_time)
{
	run_on_fake(sleep_after_looking, &spinning);
}

static int look_longer(__attribute__((unused)) void *arg)
{
	begin(TASK_WORK, 40000);
	noria_loop->spin.limit_ns = LIMIT_NS / 2;
	EXPECT_EQ(noria_poll(0, POLLIN), POLLIN);
	EXPECT_EQ(world.sleeps, 1);
	EXPECT_EQ(noria_loop->spin.limit_ns, LIMIT_NS);
	return 0;
}

Test(spin, what_comes_soon_after_it_slept_makes_the_next_look_longer)
{
	run_on_fake(look_longer, &spinning);
}

static int short_of_memory(__attribute__((unused)) void *arg)
{
	begin(COMPLETION, 30000);
	world.refusals = 3;
	EXPECT_EQ(noria_poll(0, POLLIN), POLLIN);
	EXPECT_EQ(world.refusals, 0);
	EXPECT_EQ(world.sleeps, 0);
	EXPECT_EQ(noria_loop->spin.looks, 1); /* not while something is still to be submitted */
	return 0;
}

Test(spin, nothing_is_looked_for_that_could_not_be_submitted)
{
	run_on_fake(short_of_memory, &spinning);
}

/* An hour of a server that only a timer of its own wakes. */
static int idle(__attribute__((unused)) void *arg)
{
	begin(NONE, 0);
	for (int i = 0; i < 3600; i++)
		EXPECT_EQ(noria_sleep(noria_sec(1)), 0);
	EXPECT(noria_loop->spin.looks <= 3);
	EXPECT_EQ(world.sleeps, 3600);
	return 0;
}

Test(spin, who_is_idle_looks_no_more)
{
	run_on_fake(idle, &spinning);
}

static int never_look(__attribute__((unused)) void *arg)
{
	for (int i = 0; i < 100; i++) {
		world.news = TASK_WORK;
		world.news_ns = world.now + 5 * READING_NS;
		EXPECT_EQ(noria_poll(0, POLLIN), POLLIN);
	}
	EXPECT_EQ(world.sleeps, 100);
	EXPECT_EQ(world.enters, 0);
	EXPECT_EQ(noria_loop->spin.looks, 0);
	return 0;
}

Test(spin, by_default_it_sleeps_at_once)
{
	run_on_fake(never_look, NULL);
}

static int open_unwatchable(struct ring **ret_ring, unsigned entries, unsigned entries_max)
{
	int r = open_fake(ret_ring, entries, entries_max);

	world.ring.watchable = false;
	return r;
}

Test(spin, a_ring_that_does_not_show_what_completes_is_not_looked_at)
{
	noria_ring_opener = open_unwatchable;
	cr_assert_eq(noria_run(&spinning, never_look, NULL), 0, "%s", noria_message());
}

/* ---- the kernel's ring ---- */

enum { ROUNDS = 300 };

static int pairs[2];

static void *answer(void *arg)
{
	char byte;

	while (read(pairs[1], &byte, 1) == 1)
		MUST(write(pairs[1], &byte, 1) == 1);
	return arg;
}

UNIT_WITH(spin, every_answer_of_another_thread_comes_and_limits_end_what_gets_none, &spinning)
{
	pthread_t thread;
	uint64_t looks = 0;
	int silent[2];
	char byte;

	unit_pair(pairs);
	unit_pair(silent);
	MUST(pthread_create(&thread, NULL, answer, NULL) == 0);
	for (int i = 0; i < ROUNDS; i++) {
		look_long();
		EXPECT_EQ(noria_send(pairs[0], &(char){(char)i}, 1, 0), 1);
		EXPECT_EQ(noria_recv(pairs[0], &byte, 1, 0), 1);
		EXPECT_EQ(byte, (char)i);
		look_long();
		EXPECT_EQ(noria_within(noria_usec(1 + i % 80), noria_recv(silent[0], &byte, 1, 0)), -ETIMEDOUT);
		looks += noria_loop->spin.looks;
	}
	EXPECT(!noria_loop->ring->watchable || looks > ROUNDS / 2);
	EXPECT_EQ(noria_close(pairs[0]) | noria_close(silent[0]) | noria_close(silent[1]), 0);
	MUST(pthread_join(thread, NULL) == 0);
	EXPECT_EQ(close(pairs[1]), 0);
	return 0;
}

static int64_t cpu_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

static const struct noria_config longest = {.spin_max_ns = 1000 * 1000};

UNIT_WITH(spin, an_idle_runtime_uses_next_to_no_processor, &longest)
{
	int64_t before_ns = cpu_ns();

	look_long();
	for (int i = 0; i < 300; i++)
		EXPECT_EQ(noria_sleep(noria_msec(1)), 0); /* as long as a look may be */
	EXPECT(noria_loop->spin.looks <= 8);
	EXPECT(cpu_ns() - before_ns < noria_msec(150)); /* of 300 */
	return 0;
}
