/* SPDX-License-Identifier: MIT */
/*
 * The stages of an ending. First request: idle waits end, work in progress goes on, a timer holds the grace. Second
 * request, or the timer: everything is cancelled. Tasks that outlast even that are named, with what they wait for, and
 * their soft shields fall; they are awaited all the same, because their memory may be the kernel's.
 */
#include "runtime/drain.h"

#include "base/message.h"
#include "scope/describe.h"

#include <errno.h>
#include <stdio.h>

static void name_survivors(struct drain *drain)
{
	for (struct list *node = drain->loop->tasks.next; node != &drain->loop->tasks; node = node->next) {
		struct task *task = list_entry(node, struct task, all);
		struct noria_failure failure = noria_failure_bare(task, -ETIMEDOUT, task->site);
		char doing[2560], text[3072];

		noria_describe_task(task, doing, sizeof doing);
		snprintf(text, sizeof text, "a task outlasts the cancel of its run; it %s", doing);
		noria_report(drain->loop, &failure, text);
	}
}

/* Naming comes first: once the shields have fallen, nobody could tell which clean-up took too long. */
static void cancel_spent(struct timer *timer)
{
	struct drain *drain = container_of(timer, struct drain, grace);

	drain->outlasted = true;
	name_survivors(drain);
	noria_scope_pierce(drain->root);
}

static int64_t after(struct loop *loop, int64_t duration_ns)
{
	int64_t now = noria_loop_clock(loop);

	return duration_ns < NORIA_FOREVER - now ? now + duration_ns : NORIA_FOREVER;
}

static void force(struct drain *drain, const char *reason)
{
	if (drain->forced)
		return;
	drain->forced = true;
	drain->grace.fire = cancel_spent;
	noria_timer_set(drain->loop, &drain->grace, after(drain->loop, drain->loop->config.cancel_timeout_ns));
	noria_scope_interrupt(drain->root, NORIA_CAUSE_SHUTDOWN, NULL, NULL, reason);
}

static void grace_spent(struct timer *timer)
{
	force(container_of(timer, struct drain, grace), "the grace of the drain is spent");
}

static void begin(struct drain *drain, const char *reason)
{
	if (drain->begun)
		return;
	drain->begun = true;
	drain->grace.fire = grace_spent;
	noria_timer_set(drain->loop, &drain->grace, after(drain->loop, drain->loop->config.drain_timeout_ns));
	noria_scope_begin_drain(drain->root, drain->loop->current, NULL, reason);
}

static void on_signal(struct loop *loop)
{
	struct drain *drain = loop->drain;
	unsigned signals = atomic_load(&loop->signals);

	loop->signals_handled = signals;
	begin(drain, noria_signals_last());
	if (signals >= 2)
		force(drain, "second signal");
}

void noria_drain_init(struct drain *drain, struct loop *loop, struct scope *root)
{
	*drain = (struct drain){.loop = loop, .root = root};
	loop->drain = drain;
	loop->on_signal = on_signal;
}

void noria_drain_done(struct drain *drain)
{
	noria_timer_clear(drain->loop, &drain->grace);
	drain->loop->drain = NULL;
}

int noria_drain_verdict(const struct drain *drain, int result)
{
	if (drain->deadlocked)
		return noria_refuse(-EDEADLK,
				    "deadlock: every task of the run waited, and nothing could wake one. Remedy: "
				    "see the tree of tasks that went to the failure handler");
	if (drain->outlasted)
		return noria_refuse(-ETIMEDOUT, "tasks outlasted the cancel of the run");
	if (drain->forced)
		return noria_refuse(-ECANCELED, "the drain did not end in time, and the run was cancelled");
	return drain->begun && result == -ECANCELED ? 0 : result;
}

void noria_drain(void)
{
	if (noria_loop && noria_loop->drain)
		begin(noria_loop->drain, "noria_drain()");
}
