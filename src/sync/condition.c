/* SPDX-License-Identifier: MIT */
/*
 * The condition. Its wait has two stages and parks once: in the condition's queue, where a cancel can end it, and then
 * in the mutex's, where nothing can. A signal, and likewise a cancel, moves the wait from the first to the second; the
 * task runs when it has the mutex. So whichever of the two comes first decides, and a broadcast wakes nobody in vain.
 */
#include "sync/sync.h"

#include "base/message.h"

#include <errno.h>
#include <stdio.h>

struct condition {
	struct waiters waiters;
	struct noria_mutex *mutex; /* of those who wait */
};

_Static_assert(sizeof(struct condition) <= sizeof(struct noria_condition), "struct noria_condition is too small");
_Static_assert(_Alignof(struct condition) <= _Alignof(struct noria_condition),
	       "struct noria_condition is aligned too little");

struct condition_wait {
	struct hold_wait hold_wait;
	struct condition *condition;
};

static struct condition *from_public(const struct noria_condition *condition)
{
	return (struct condition *)(uintptr_t)condition;
}

static struct condition_wait *condition_wait_of(const struct wait *wait)
{
	return container_of(wait, struct condition_wait, hold_wait.turn.wait);
}

/* Called at most once: the wait's class is another one afterwards. */
static void move_to_mutex(struct condition_wait *waiting)
{
	waiters_remove(&waiting->hold_wait.turn.waiter);
	noria_mutex_rejoin(waiting->condition->mutex, &waiting->hold_wait);
}

static void abandon(struct wait *wait)
{
	move_to_mutex(condition_wait_of(wait));
}

static void describe(const struct wait *wait, char *text, size_t size)
{
	const struct condition_wait *waiting = condition_wait_of(wait);
	const struct noria_site *site = waiting->hold_wait.site;

	snprintf(text, size, "waits at %s:%d for a signal of the condition at %p", site->file, site->line,
		 (const void *)waiting->condition);
}

static const struct wait_class condition_class = {.abandon = abandon, .describe = describe};

static int refuse_mutex(const struct noria_mutex *mutex, const struct task *task, const struct noria_site *site)
{
	const struct leftover *held = &noria_mutex_hold(mutex)->leftover;

	if (!held->task)
		return noria_refuse(-EPERM, "task %s waits at %s:%d with a mutex that is not locked", task->name,
				    site->file, site->line);
	return noria_refuse(
		-EPERM,
		"task %s waits at %s:%d with a mutex that task %s locked at %s:%d. Remedy: lock it, look at "
		"what is to be waited for, then wait",
		task->name, site->file, site->line, held->task->name, held->site->file, held->site->line);
}

static int refuse_another(const struct task *task, const struct noria_site *site)
{
	return noria_refuse(-EINVAL,
			    "task %s waits at %s:%d with another mutex than those who wait for the same condition",
			    task->name, site->file, site->line);
}

int noria_condition_wait_at(struct noria_condition *storage, struct noria_mutex *mutex, const struct noria_site *site)
{
	struct condition *condition = from_public(storage);
	struct task *task = noria_current();
	struct condition_wait wait = {.condition = condition};
	int r;

	if (!task)
		return -ENXIO;
	if (!noria_mutex_is_held(mutex, task))
		return task_answer(task, refuse_mutex(mutex, task, site));
	r = scope_door(task);
	if (r < 0)
		return r;
	if (!waiters_empty(&condition->waiters) && condition->mutex != mutex)
		return task_answer(task, refuse_another(task, site));
	wait.hold_wait = (struct hold_wait){.hold = noria_mutex_hold(mutex), .what = "mutex", .site = site};
	condition->mutex = mutex;
	noria_mutex_pass_on(mutex);
	return noria_turn_wait(&wait.hold_wait.turn, task, &condition->waiters, &condition_class);
}

static bool signal_first(struct condition *condition)
{
	struct waiter *waiter = condition->waiters.first;

	if (!waiter)
		return false;
	move_to_mutex(container_of(waiter, struct condition_wait, hold_wait.turn.waiter));
	return true;
}

int noria_condition_signal(struct noria_condition *condition)
{
	return noria_current() ? signal_first(from_public(condition)) : -ENXIO;
}

int noria_condition_broadcast(struct noria_condition *condition)
{
	int count = 0;

	if (!noria_current())
		return -ENXIO;
	while (signal_first(from_public(condition)))
		count++;
	return count;
}
