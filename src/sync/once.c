/* SPDX-License-Identifier: MIT */
/*
 * Once: one task runs the function, the others wait as for a lock that it has. After a success all of them go on; after
 * a failure the first of them is handed the turn to run its own.
 */
#include "sync/sync.h"

#include "base/message.h"

#include <errno.h>

struct once {
	struct hold hold; /* of the task that runs it, which cannot end while it does: no leftover of its */
	struct waiters waiters;
	int result;
	bool done;
};

_Static_assert(sizeof(struct once) <= sizeof(struct noria_once), "struct noria_once is too small");
_Static_assert(_Alignof(struct once) <= _Alignof(struct noria_once), "struct noria_once is aligned too little");

static struct once *from_public(const struct noria_once *once)
{
	return (struct once *)(uintptr_t)once;
}

static const struct wait_class once_class = {.abandon = noria_turn_abandon, .describe = noria_hold_describe};

static void give_to(struct once *once, struct task *task, const struct noria_site *site)
{
	once->hold.leftover.task = task;
	once->hold.leftover.site = site;
}

static int run(struct once *once, noria_task_fn *fn, void *arg)
{
	int r = fn(arg);
	struct waiter *waiter;

	give_to(once, NULL, NULL);
	if (r >= 0) {
		once->result = r;
		once->done = true;
		while (noria_waiters_tell_first(&once->waiters))
			;
	} else if ((waiter = noria_waiters_tell_first(&once->waiters))) {
		give_to(once, waiter->task, hold_wait_of(waiter)->site);
	}
	return r;
}

/* Until it is done, or this task's turn to run it. */
static int wait_for(struct once *once, struct task *task, const struct noria_site *site)
{
	struct hold_wait wait = {.hold = &once->hold, .what = "once", .site = site};
	int r = noria_hold_refuse_cycle(&wait, task);

	return r < 0 ? r : noria_turn_wait(&wait.turn, task, &once->waiters, &once_class);
}

static int refuse_empty(const struct noria_site *site)
{
	return noria_refuse(-EINVAL, "once at %s:%d without a function", site->file, site->line);
}

int noria_once_at(struct noria_once *storage, noria_task_fn *fn, void *arg, const struct noria_site *site)
{
	struct once *once = from_public(storage);
	struct task *task = noria_current();
	int r;

	if (!task)
		return -ENXIO;
	if (!fn)
		return task_answer(task, refuse_empty(site));
	r = sync_door(task, once->done || !once->hold.leftover.task);
	if (r < 0)
		return r;
	if (!once->done && !once->hold.leftover.task) {
		give_to(once, task, site);
	} else if (!once->done) {
		r = wait_for(once, task, site);
		if (r < 0)
			return r;
	}
	return once->done ? once->result : run(once, fn, arg);
}
