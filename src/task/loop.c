/* SPDX-License-Identifier: MIT */
/*
 * The turn. The loop sleeps only in the ring's enter (and for a millisecond when the kernel has no memory for
 * requests), and only when nothing is ready, nothing waits for an entry, and no other thread has left work: it says
 * that it sleeps before it looks a last time, so that whoever leaves work after that look knows to wake it.
 *
 * Where it is told to, the loop spins before it sleeps: for a time that task/spin.h chooses it looks at memory for all
 * that would wake it. It does not say that it sleeps yet, so nobody has to wake it; what it misses the last look finds.
 */
#include "task/loop.h"

#include "base/assert.h"
#include "base/memory.h"
#include "base/message.h"
#include "base/pause.h"
#include "ring/ring.h"
#include "task/submission.h"
#include "task/timer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { REPLY_TURN_NS = 1000 * 1000, REPLY_PAUSE = 128 };
enum { SPIN_ROUND = 16 }; /* looks between two of the clock */

__thread struct loop *noria_loop;

struct task *noria_no_current(void)
{
	noria_refuse(-ENXIO,
		     "no runtime on this thread. Remedy: call from a task, inside noria_run(); an offloaded call, "
		     "another thread and a fork's child are not tasks");
	return NULL;
}

int noria_loop_refuse_simulated(const struct loop *loop, const char *what)
{
	if (likely(!loop->ring->simulated))
		return 0;
	return noria_refuse(-EOPNOTSUPP,
			    "%s: the kernel's, and not to be had in a simulated world. Remedy: let a task play its "
			    "part, or leave it out of the simulation",
			    what);
}

int64_t noria_loop_clock(struct loop *loop)
{
	return loop->ring->class->now(loop->ring);
}

static size_t closes_bytes(void)
{
	return 2 * LOOP_FDS * sizeof(uint32_t);
}

static void free_tables(struct loop *loop)
{
	free(loop->flying);
	if (loop->closes)
		munmap(loop->closes, closes_bytes());
}

static int make_tables(struct loop *loop)
{
	loop->closes = memory_map(closes_bytes(), MAP_NORESERVE);
	loop->flying = memory_new(LOOP_FD_BUCKETS * sizeof *loop->flying);
	if (loop->closes && loop->flying)
		return 0;
	free_tables(loop);
	return noria_refuse(-ENOMEM, "no memory for a loop");
}

static enum stack_guards choose_guards(const struct features *features)
{
	if (!features_has(features, FEATURE_GUARD))
		return GUARDS_MAPPED;
	return features_has(features, FEATURE_GUARD_MANY) ? GUARDS_MARKED_MANY : GUARDS_MARKED;
}

static _Atomic(uint64_t) runs;

void (*noria_loop_opened)(struct loop *loop);

int noria_loop_open(struct loop *loop, const struct noria_config *config)
{
	int r;

	memset(loop, 0, sizeof *loop);
	loop->run = atomic_fetch_add(&runs, 1) + 1;
	loop->config = *config;
	r = make_tables(loop);
	if (r < 0)
		return r;
	r = noria_ring_opener(&loop->ring, config->ring_entries, config->ring_entries_max);
	if (r < 0) {
		free_tables(loop);
		return r;
	}
	for (int i = 0; i < LOOP_FD_BUCKETS; i++)
		list_init(&loop->flying[i]);
	for (struct list **list = (struct list *[]){&loop->backlog, &loop->cancels, &loop->asked, &loop->pairs,
						    &loop->uses, &loop->closings, &loop->tasks, NULL};
	     *list; list++)
		list_init(*list);
	loop->ask_again.fire = noria_submissions_ask_again;
	loop->ask_again_ns = ASK_AGAIN_MIN_NS;
	loop->stack_size = config->stack_size;
	loop->tasks_max = config->tasks_max;
	loop->timeouts_linked = config->timeouts == NORIA_TIMEOUTS_LINKED;
	loop->now = noria_loop_clock(loop);
	noria_stack_pool_init(&loop->stacks, choose_guards(&loop->ring->features));
	noria_context_adopt(&loop->hub);
	noria_spin_init(&loop->spin, loop->ring->watchable ? config->spin_max_ns : 0);
	loop->turn_budget = LOOP_BUDGET;
	if (noria_loop_opened)
		noria_loop_opened(loop);
	return 0;
}

void noria_loop_close(struct loop *loop)
{
	invariant(loop->tasks_alive == 0 && loop->in_flight == 0 && loop->limits == 0);
	loop->ring->class->close(loop->ring);
	noria_stack_pool_done(&loop->stacks);
	free_tables(loop);
}

void noria_loop_post(struct loop *loop, struct remote *remote)
{
	struct remote *head = atomic_load(&loop->remotes);

	invariant(loop->expects_posts);
	do
		remote->next = head;
	while (!atomic_compare_exchange_weak(&loop->remotes, &head, remote));
	if (atomic_exchange(&loop->asleep, false))
		loop->ring->class->wake(loop->ring);
}

void noria_loop_signal(struct loop *loop)
{
	atomic_fetch_add(&loop->signals, 1);
	loop->ring->class->wake(loop->ring);
}

/* They were pushed onto a stack: turn it round, the first posted comes first. */
static void run_remotes(struct loop *loop)
{
	struct remote *remote = atomic_load(&loop->remotes) ? atomic_exchange(&loop->remotes, NULL) : NULL;
	struct remote *first = NULL;

	while (remote) {
		struct remote *next = remote->next;

		remote->next = first;
		first = remote;
		remote = next;
	}
	while (first) {
		struct remote *next = first->next;

		first->run(first);
		first = next;
	}
}

static bool has_work(struct loop *loop)
{
	return !fifo_empty(&loop->ready) || !list_empty(&loop->backlog) || !list_empty(&loop->cancels) ||
	       atomic_load(&loop->remotes) || atomic_load(&loop->signals) != loop->signals_handled;
}

/* The kernel has no memory for requests just now. They stay queued; give it a moment unless there is other work. */
static void pause_for_memory(struct loop *loop)
{
	struct timespec pause = {.tv_nsec = 1000 * 1000};

	if (fifo_empty(&loop->ready) && ring_ready(loop->ring) == 0)
		nanosleep(&pause, NULL);
}

/* The wait that spin() has begun is over. */
static void learn(struct loop *loop, bool came)
{
	noria_spin_learn(&loop->spin, noria_loop_clock(loop) - loop->spin.since_ns, came);
}

static void enter(struct loop *loop, bool sleep)
{
	struct ring *ring = loop->ring;
	struct heap_node *first = heap_first(&loop->timers);
	int r;

	if (unlikely(__atomic_load_n(ring->sq_flags, __ATOMIC_RELAXED) & IORING_SQ_CQ_OVERFLOW)) {
		loop->overflows++;
		loop->crowded = true;
	}
	r = ring->class->enter(ring, sleep, first ? first->key : INT64_MAX);
	if (unlikely(sleep && loop->spin.max_ns > 0))
		learn(loop, has_work(loop) || ring_ready(ring) > 0);
	if (r == -EAGAIN || r == -ENOMEM)
		pause_for_memory(loop);
	else if (unlikely(r == -EDEADLK))
		loop->on_stuck(loop, true);
	else
		invariant(r == 0);
}

/* Submissions found no room, or completions did not: let the queues grow, now that none is half used. */
static void grow_if_crowded(struct loop *loop)
{
	struct ring *ring = loop->ring;

	if (likely(!loop->crowded && list_empty(&loop->backlog)))
		return;
	loop->crowded = false;
	if (ring->sq_entries < ring->entries_max && ring_pending(ring) == 0)
		ring->class->grow(ring);
}

/* Nothing that is under way can make a task ready. */
static bool is_stuck(const struct loop *loop)
{
	const struct heap_node *first = heap_first(&loop->timers);

	return loop->in_flight == 0 && loop->external == 0 && (!first || first->key == NORIA_FOREVER);
}

/*
 * In a crowded turn replies wait for its end, or for some more of them. When it took long, some task computes, and
 * the others' replies shall not wait for that again soon.
 */
static void watch_replies(struct loop *loop)
{
	if (noria_loop_clock(loop) - loop->now > REPLY_TURN_NS)
		loop->reply_pause = REPLY_PAUSE;
	else if (loop->reply_pause > 0)
		loop->reply_pause--;
}

/* Has something come, from other threads or from the kernel? */
static bool has_news(struct loop *loop)
{
	return has_work(loop) || ring_ready(loop->ring) > 0 || ring_needs_enter(loop->ring);
}

/* Look for news until then. */
static bool look(struct loop *loop, int64_t end_ns)
{
	loop->spin.looks++;
	do
		for (int i = 0; i < SPIN_ROUND; i++) {
			if (has_news(loop))
				return true;
			pause_cpu();
		}
	while (noria_loop_clock(loop) < end_ns);
	return false;
}

/* The loop would sleep: spin first. True: there is something to do, or the time for it has come. */
static bool spin(struct loop *loop)
{
	const struct heap_node *first = heap_first(&loop->timers);
	int64_t due_ns = first ? first->key : INT64_MAX, end_ns;
	bool came;

	loop->spin.since_ns = noria_loop_clock(loop);
	if (loop->spin.limit_ns == 0)
		return false;
	if (ring_pending(loop->ring) > 0)
		return true; /* this turn submits, the next one looks */
	end_ns = loop->spin.since_ns + loop->spin.limit_ns;
	came = look(loop, end_ns < due_ns ? end_ns : due_ns);
	if (!came && due_ns > end_ns)
		return false;
	learn(loop, came);
	return true;
}

/*
 * A signal drains: what has arrived before it is taken in first, so that no request is given up that is here. An enter
 * completes a few (20, with DEFER_TASKRUN); the bound is for peers that never stop sending.
 */
static __attribute__((noinline)) void heed(struct loop *loop)
{
	unsigned before = loop->batch, ready = 1;

	for (size_t left = 1 + loop->in_flight / 8; left > 0 && ready > 0; left--) {
		enter(loop, false);
		ready = ring_ready(loop->ring);
		noria_submissions_reap(loop);
	}
	loop->batch = before; /* what is to come of this turn has begun before */
	loop->now = noria_loop_clock(loop);
	loop->on_signal(loop);
}

static inline void heed_signals(struct loop *loop)
{
	if (unlikely(atomic_load(&loop->signals) != loop->signals_handled))
		heed(loop);
}

/*
 * Does anyone ask how late it is: a time limit, a timer, or watch_replies()? Of what a turn does for a lone completion,
 * reading the clock is the dearest besides the system call.
 */
static inline bool needs_time(const struct loop *loop)
{
	const struct ring *ring = loop->ring;

	return loop->limits > 0 || heap_first(&loop->timers) || ring_ready(ring) >= ring->reply_batch ||
	       ring->simulated;
}

static void turn(struct loop *loop)
{
	bool sleep;

	if (unlikely(loop->arrange))
		loop->arrange(loop);
	heed_signals(loop); /* before what came with one is served: it shall know that the run ends */
	noria_loop_run_ready(loop);
	if (unlikely(loop->batch >= loop->ring->reply_batch))
		watch_replies(loop);
	if (loop->tasks_alive == 0)
		return; /* a signal that comes now has nothing left to drain */
	run_remotes(loop);
	heed_signals(loop);
	noria_submissions_flush(loop);
	sleep = !has_work(loop);
	if (unlikely(sleep && loop->spin.max_ns > 0))
		sleep = !spin(loop);
	if (sleep) {
		if (loop->expects_posts)
			atomic_store(&loop->asleep, true); /* a fence: before the last look */
		sleep = !has_work(loop);
	}
	if (unlikely(sleep && is_stuck(loop)))
		sleep = !loop->on_stuck(loop, false);
	if (sleep || ring_pending(loop->ring) > 0 || ring_needs_enter(loop->ring))
		enter(loop, sleep);
	atomic_store_explicit(&loop->asleep, false, memory_order_relaxed);
	if (needs_time(loop))
		loop->now = noria_loop_clock(loop);
	noria_submissions_reap(loop);
	grow_if_crowded(loop);
	noria_timers_fire(loop);
}

void noria_loop_run(struct loop *loop)
{
	while (loop->tasks_alive > 0)
		turn(loop);
}

int64_t noria_now(void)
{
	return noria_loop ? noria_loop_clock(noria_loop) : -ENXIO;
}
