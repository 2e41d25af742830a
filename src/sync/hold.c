/* SPDX-License-Identifier: MIT */
/*
 * Cycles: a task that waits for a hold waits for the task that has it, and so on. The walk follows these steps when
 * somebody has to wait, and nothing is paid for it otherwise. A cycle that does not go through the one who asks can
 * exist (locking again after a condition cannot be refused), so the walk is bounded by the number of tasks.
 */
#include "sync/hold.h"

#include "base/message.h"

#include <errno.h>
#include <stdio.h>

/* What the task of a hold is waiting for in turn, or NULL. */
static const struct hold_wait *next_wait(const struct hold *hold)
{
	const struct task *task = hold->leftover.task;
	const struct wait *wait = task ? task->wait : NULL;

	if (!wait || wait->done || wait->class->describe != noria_hold_describe)
		return NULL;
	return container_of(wait, struct hold_wait, turn.wait);
}

/* How many tasks there are from a hold back to `task`; 0: there is no way. */
static size_t cycle_length(const struct hold *hold, const struct task *task)
{
	for (size_t length = 1; length <= task->loop->tasks_alive; length++) {
		const struct hold_wait *wait;

		if (hold->leftover.task == task)
			return length;
		wait = next_wait(hold);
		if (!wait)
			return 0;
		hold = wait->hold;
	}
	return 0;
}

/* The tasks from the one that has `hold` to the one before the last, as many as fit. Returns the last one's hold. */
static const struct hold *tell_cycle(const struct hold *hold, size_t length, char *text, size_t size)
{
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 1; i < length; i++) {
		const struct leftover *held = &hold->leftover;
		const struct hold_wait *wait = next_wait(hold);
		int n = snprintf(text + used, size - used, " for %s (has one since %s:%d, waits at %s:%d)",
				 held->task->name, held->site->file, held->site->line, wait->site->file,
				 wait->site->line);

		if ((size_t)n < size - used)
			used += (size_t)n;
		else
			text[used] = '\0';
		hold = wait->hold;
	}
	return hold;
}

static __attribute__((noinline)) int refuse_cycle(const struct hold_wait *wait, const struct task *task, size_t length)
{
	const struct leftover *last = &wait->hold->leftover;
	char links[440];

	if (length == 1)
		return noria_refuse(
			-EDEADLK,
			"task %s would wait at %s:%d for the %s that it has itself since %s:%d. Remedy: call "
			"what is inside with the lock held, or unlock before",
			task->name, wait->site->file, wait->site->line, wait->what, last->site->file, last->site->line);
	last = &tell_cycle(wait->hold, length, links, sizeof links)->leftover;
	return noria_refuse(
		-EDEADLK,
		"a cycle of %zu tasks that have locks: %s (has one since %s:%d, would wait at %s:%d for the %s)%s"
		". Remedy: take locks in one order everywhere",
		length, task->name, last->site->file, last->site->line, wait->site->file, wait->site->line, wait->what,
		links);
}

int noria_hold_refuse_cycle(const struct hold_wait *wait, struct task *task)
{
	size_t length = cycle_length(wait->hold, task);

	return likely(length == 0) ? 0 : task_answer(task, refuse_cycle(wait, task, length));
}

void noria_hold_describe(const struct wait *wait, char *text, size_t size)
{
	const struct hold_wait *waiting = container_of(wait, struct hold_wait, turn.wait);
	const struct leftover *held = &waiting->hold->leftover;

	snprintf(text, size, "waits at %s:%d for the %s at %p, locked by %s%s at %s:%d", waiting->site->file,
		 waiting->site->line, waiting->what, (const void *)waiting->hold, held->task ? "task " : "readers",
		 held->task ? held->task->name : "", held->site->file, held->site->line);
}
