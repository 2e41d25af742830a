/* SPDX-License-Identifier: MIT */
/*
 * The stages of an ending. First request: idle waits end, work in progress goes on, a timer holds the grace. Second
 * request, or the timer: everything is cancelled. Tasks that outlast even that are named, with what they wait for; they
 * are awaited all the same, because their memory may be the kernel's.
 */
#include "runtime/drain.h"

#include "base/message.h"

#include <errno.h>
#include <execinfo.h>
#include <stdio.h>
#include <stdlib.h>

/* Of a survivor's stack; the first ones are the runtime's own way of asking. */
enum { FRAMES = 24, OWN_FRAMES = 2 };

/* "text; it waits for ...\n    at symbol\n    at symbol": as much as fits. */
static void describe(struct task *task, char *text, size_t size)
{
	void *frames[FRAMES];
	char doing[160] = "is ready to run";
	int count = noria_task_backtrace(task, frames, FRAMES), n;
	char **symbols = count > 0 ? backtrace_symbols(frames, count) : NULL;

	if (task->wait)
		task->wait->class->describe(task->wait, doing, sizeof doing);
	n = snprintf(text, size, "a task outlasts the cancel of its run; it %s", doing);
	for (int i = OWN_FRAMES; symbols && i < count && n > 0 && (size_t)n < size; i++)
		n += snprintf(text + n, size - (size_t)n, "\n    at %s", symbols[i]);
	free(symbols);
}

static void name_survivors(struct timer *timer)
{
	struct drain *drain = container_of(timer, struct drain, grace);
	struct list *node;
	void *here;

	drain->outlasted = true;
	(void)backtrace(&here, 1); /* its first use loads a library, for which a task's stack may be too small */
	for (node = drain->loop->tasks.next; node != &drain->loop->tasks; node = node->next) {
		struct task *task = list_entry(node, struct task, all);
		struct noria_failure failure = {
			.code = -ETIMEDOUT, .task_id = task->id, .task = task->name, .spawn = task->site};
		char text[3072];

		describe(task, text, sizeof text);
		noria_report(drain->loop, &failure, text);
	}
}

static int64_t after(struct loop *loop, int64_t duration_ns)
{
	int64_t now = noria_loop_clock(loop);

	return duration_ns < NORIA_FOREVER - now ? now + duration_ns : NORIA_FOREVER;
}

static void force(struct drain *drain)
{
	if (drain->forced)
		return;
	drain->forced = true;
	drain->grace.fire = name_survivors;
	noria_timer_set(drain->loop, &drain->grace, after(drain->loop, drain->loop->config.cancel_timeout_ns));
	noria_scope_interrupt(drain->root, NORIA_CAUSE_SHUTDOWN);
}

static void grace_spent(struct timer *timer)
{
	force(container_of(timer, struct drain, grace));
}

static void begin(struct drain *drain)
{
	if (drain->begun)
		return;
	drain->begun = true;
	drain->grace.fire = grace_spent;
	noria_timer_set(drain->loop, &drain->grace, after(drain->loop, drain->loop->config.drain_timeout_ns));
	noria_scope_drain(drain->root);
}

static void on_signal(struct loop *loop)
{
	struct drain *drain = loop->drain;
	unsigned signals = atomic_load(&loop->signals);

	loop->signals_handled = signals;
	begin(drain);
	if (signals >= 2)
		force(drain);
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
	if (drain->outlasted)
		return noria_refuse(-ETIMEDOUT, "tasks outlasted the cancel of the run");
	if (drain->forced)
		return noria_refuse(-ECANCELED, "the drain did not end in time, and the run was cancelled");
	return drain->begun && result == -ECANCELED ? 0 : result;
}

void noria_drain(void)
{
	if (noria_loop && noria_loop->drain)
		begin(noria_loop->drain);
}
