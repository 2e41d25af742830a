/* SPDX-License-Identifier: MIT */
/*
 * noria_loop_post() from several threads, against a loop that sleeps whenever it can, and against one that always spins
 * before it sleeps: each piece of work runs exactly once, the pieces of one thread in their order, and no wake-up is lost.
 */
#include "race.h"
#include "ring/ring.h"
#include "scope/scope.h"
#include "task/loop.h"

#include <pthread.h>
#include <sched.h>

enum { POSTERS = 4, POSTS = RACE_SANITIZED ? 3000 : 20000 };

struct work {
	struct remote remote;
	unsigned poster, number;
};

static struct work works[POSTERS][POSTS];
static unsigned next[POSTERS], total; /* the loop's own */
static uint64_t looks;
static bool watchable;
static struct loop *loop;
static struct wait all_done;

/* Whatever the policy has learned: the next wait looks before it sleeps. */
static void look_next_time(void)
{
	noria_spin_init(&loop->spin, loop->spin.max_ns);
	loop->spin.limit_ns = loop->spin.max_ns;
}

static void run_work(struct remote *remote)
{
	struct work *work = container_of(remote, struct work, remote);

	CHECK(noria_loop == loop);
	CHECK(work->number == next[work->poster]++);
	looks += loop->spin.looks;
	look_next_time();
	if (++total == POSTERS * POSTS)
		noria_wait_complete(&all_done);
}

static void *post(void *arg)
{
	unsigned poster = *(unsigned *)arg;
	uint64_t seed = poster;

	for (unsigned i = 0; i < POSTS; i++) {
		works[poster][i] = (struct work){.remote.run = run_work, .poster = poster, .number = i};
		noria_loop_post(loop, &works[poster][i].remote);
		for (unsigned pause = race_below(&seed, 3); pause > 0; pause--)
			sched_yield();
	}
	return NULL;
}

static void describe(const struct wait *wait, char *text, size_t size)
{
	(void)wait;
	snprintf(text, size, "waits for posted work");
}

static const struct wait_class class = {.describe = describe, .external = true};

static void *post_from_all(void *arg)
{
	race_threads(POSTERS, post);
	return arg;
}

static int root(void *arg)
{
	pthread_t thread;

	loop = noria_loop;
	loop_expect_posts(loop);
	watchable = loop->ring->watchable;
	memset(next, 0, sizeof next);
	total = 0;
	noria_wait_init(&all_done, &class);
	CHECK(pthread_create(&thread, NULL, post_from_all, arg) == 0);
	noria_wait_park(&all_done); /* nothing else goes on: the loop sleeps and is woken */
	CHECK(pthread_join(thread, NULL) == 0);
	for (int i = 0; i < POSTERS; i++)
		CHECK(next[i] == POSTS);
	return 0;
}

int main(void)
{
	const struct noria_config spinning = {.spin_max_ns = noria_usec(20)};

	race_watchdog(50);
	CHECK(race_run(NULL, root, NULL) == 0);
	CHECK(race_run(NULL, root, NULL) == 0);
	CHECK(looks == 0);
	CHECK(race_run(&spinning, root, NULL) == 0);
	CHECK((looks > 0) == watchable);
	puts("ok: posts wake a sleeping loop, and reach one that spins");
	return 0;
}
