/* SPDX-License-Identifier: MIT */
/*
 * The barrier: the last to come tells the others, and the count begins anew. A party that is cancelled will not come,
 * so it tells the others that they need not wait; the barrier stays broken until somebody says that all is well again.
 */
#include "sync/sync.h"

#include "base/message.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

/* Why a wait fails. Zeroed: it does not. */
struct breach {
	const char *what; /* "was cancelled" */
	const struct noria_site *site;
	uint64_t task_id;
};

/* The first as its initialiser has it. */
struct barrier {
	uint64_t parties;
	uint64_t arrived; /* as many as stand in the queue */
	struct waiters waiters;
	struct breach broken;
};

_Static_assert(sizeof(struct barrier) <= sizeof(struct noria_barrier), "struct noria_barrier is too small");
_Static_assert(_Alignof(struct barrier) <= _Alignof(struct noria_barrier),
	       "struct noria_barrier is aligned too little");

struct arrival {
	struct turn turn;
	struct barrier *barrier;
	const struct noria_site *site;
	struct breach breach;
};

static struct barrier *from_public(const struct noria_barrier *barrier)
{
	return (struct barrier *)(uintptr_t)barrier;
}

/* All who wait go on: they have passed, or have not because of a breach. */
static void end_round(struct barrier *barrier, struct breach breach)
{
	struct waiter *waiter;

	barrier->arrived = 0;
	while ((waiter = noria_waiters_tell_first(&barrier->waiters)))
		container_of(waiter, struct arrival, turn.waiter)->breach = breach;
}

static void break_up(struct barrier *barrier, const struct task *task, const struct noria_site *site)
{
	if (barrier->broken.what)
		return;
	barrier->broken = (struct breach){"was cancelled", site, task->id};
	end_round(barrier, barrier->broken);
}

static void abandon(struct wait *wait)
{
	struct arrival *arrival = container_of(wait, struct arrival, turn.wait);

	noria_turn_abandon(wait);
	break_up(arrival->barrier, wait->task, arrival->site);
}

static void describe(const struct wait *wait, char *text, size_t size)
{
	const struct arrival *arrival = container_of(wait, struct arrival, turn.wait);

	snprintf(text, size,
		 "waits at %s:%d for the other parties of the barrier at %p: %" PRIu64 " of %" PRIu64 " are here",
		 arrival->site->file, arrival->site->line, (const void *)arrival->barrier, arrival->barrier->arrived,
		 arrival->barrier->parties);
}

static const struct wait_class barrier_class = {.abandon = abandon, .describe = describe};

static int refuse_empty(const struct noria_site *site)
{
	return noria_refuse(-EINVAL, "the barrier at %s:%d has no parties. Remedy: NORIA_BARRIER(parties)", site->file,
			    site->line);
}

static int refuse_broken(const struct noria_site *site, const struct breach *breach)
{
	return noria_refuse(-EPIPE,
			    "the wait at %s:%d for a barrier failed: task %" PRIu64 " %s at %s:%d. Remedy: "
			    "noria_barrier_reset(), once all parties are ready to begin again",
			    site->file, site->line, breach->task_id, breach->what, breach->site->file,
			    breach->site->line);
}

int noria_barrier_wait_at(struct noria_barrier *storage, const struct noria_site *site)
{
	struct barrier *barrier = from_public(storage);
	struct task *task = noria_current();
	struct arrival arrival = {.barrier = barrier, .site = site};
	int r;

	if (!task)
		return -ENXIO;
	if (barrier->parties == 0)
		return task_answer(task, refuse_empty(site));
	r = sync_door(task, barrier->arrived + 1 == barrier->parties);
	if (r == -ECANCELED)
		break_up(barrier, task, site);
	if (r < 0)
		return r;
	if (barrier->broken.what)
		return task_answer(task, refuse_broken(site, &barrier->broken));
	if (barrier->arrived + 1 == barrier->parties) {
		end_round(barrier, (struct breach){NULL});
		return 1;
	}
	barrier->arrived++;
	r = noria_turn_wait(&arrival.turn, task, &barrier->waiters, &barrier_class);
	if (r < 0 || !arrival.breach.what)
		return r;
	/* Of several parties that are cancelled together the first breaks it: the others too were cancelled. */
	r = scope_checkpoint(task);
	return r < 0 ? r : refuse_broken(site, &arrival.breach);
}

int noria_barrier_reset_at(struct noria_barrier *storage, const struct noria_site *site)
{
	struct barrier *barrier = from_public(storage);
	const struct task *task = noria_current();

	if (!task)
		return -ENXIO;
	barrier->broken.what = NULL;
	end_round(barrier, (struct breach){"reset it", site, task->id});
	return 0;
}
