/* SPDX-License-Identifier: MIT */
/*
 * The semaphore. Permits that are given back stay in it until the first in the queue can have all that it asks for, so
 * a large request is not overtaken. A waiter of another kind (a select) asks for one.
 */
#include "sync/select.h"
#include "sync/sync.h"

#include "base/message.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

/* The first two as their initialisers have them. */
struct semaphore {
	uint64_t permits;
	uint64_t max; /* 0: none */
	struct waiters waiters;
};

_Static_assert(sizeof(struct semaphore) <= sizeof(struct noria_semaphore), "struct noria_semaphore is too small");
_Static_assert(_Alignof(struct semaphore) <= _Alignof(struct noria_semaphore),
	       "struct noria_semaphore is aligned too little");

struct acquisition {
	struct turn turn;
	struct semaphore *semaphore;
	uint64_t n;
	const struct noria_site *site;
};

static struct semaphore *from_public(const struct noria_semaphore *semaphore)
{
	return (struct semaphore *)(uintptr_t)semaphore;
}

/* How the waiters of this file are told, and recognised. */
static void acquired(struct waiter *waiter)
{
	noria_wait_complete(&container_of(waiter, struct acquisition, turn.waiter)->turn.wait);
}

static uint64_t wanted(const struct waiter *waiter)
{
	return waiter->told == acquired ? container_of(waiter, struct acquisition, turn.waiter)->n : 1;
}

static void grant(struct semaphore *semaphore)
{
	const struct waiter *waiter;

	while ((waiter = semaphore->waiters.first) && wanted(waiter) <= semaphore->permits) {
		semaphore->permits -= wanted(waiter);
		noria_waiters_tell_first(&semaphore->waiters);
	}
}

/* A large request that leaves the head of the queue may have been all that others waited for. */
static void abandon(struct wait *wait)
{
	struct semaphore *semaphore = container_of(wait, struct acquisition, turn.wait)->semaphore;

	noria_turn_abandon(wait);
	grant(semaphore);
}

static void describe(const struct wait *wait, char *text, size_t size)
{
	const struct acquisition *asks = container_of(wait, struct acquisition, turn.wait);

	snprintf(text, size, "waits at %s:%d for %" PRIu64 " of the semaphore at %p, which has %" PRIu64,
		 asks->site->file, asks->site->line, asks->n, (const void *)asks->semaphore, asks->semaphore->permits);
}

static const struct wait_class semaphore_class = {.abandon = abandon, .describe = describe};

static int check(const struct semaphore *semaphore, uint64_t n, const struct noria_site *site)
{
	if (unlikely(n == 0))
		return noria_refuse(-EINVAL, "%s of no permits at %s:%d", site->what, site->file, site->line);
	if (unlikely(semaphore->max > 0 && n > semaphore->max))
		return noria_refuse(-EINVAL,
				    "acquire of %" PRIu64 " permits at %s:%d from a semaphore that never has more than "
				    "%" PRIu64,
				    n, site->file, site->line, semaphore->max);
	return 0;
}

static bool is_free(const struct semaphore *semaphore, uint64_t n)
{
	return n <= semaphore->permits && waiters_empty(&semaphore->waiters);
}

static bool try_take(struct semaphore *semaphore, uint64_t n)
{
	bool can = is_free(semaphore, n);

	if (can)
		semaphore->permits -= n;
	return can;
}

static int wait_for(struct semaphore *semaphore, uint64_t n, struct task *task, const struct noria_site *site)
{
	struct acquisition asks = {.semaphore = semaphore, .n = n, .site = site};

	asks.turn.waiter.task = task;
	asks.turn.waiter.told = acquired;
	noria_wait_init(&asks.turn.wait, &semaphore_class);
	waiters_append(&semaphore->waiters, &asks.turn.waiter);
	scope_wait(task, &asks.turn.wait);
	return asks.turn.wait.abandoned ? noria_scope_answer(task) : 0;
}

int noria_semaphore_acquire_at(struct noria_semaphore *storage, uint64_t n, const struct noria_site *site)
{
	struct semaphore *semaphore = from_public(storage);
	struct task *task = noria_current();
	int r;

	if (!task)
		return -ENXIO;
	r = check(semaphore, n, site);
	if (r < 0)
		return task_answer(task, r);
	r = sync_door(task, is_free(semaphore, n));
	if (r < 0)
		return r;
	return try_take(semaphore, n) ? 0 : wait_for(semaphore, n, task, site);
}

int noria_semaphore_tryacquire_at(struct noria_semaphore *storage, uint64_t n, const struct noria_site *site)
{
	struct semaphore *semaphore = from_public(storage);
	int r;

	if (!noria_current())
		return -ENXIO;
	r = check(semaphore, n, site);
	if (r < 0)
		return r;
	return try_take(semaphore, n) ? 0 : -EBUSY;
}

int noria_semaphore_release_at(struct noria_semaphore *storage, uint64_t n, const struct noria_site *site)
{
	struct semaphore *semaphore = from_public(storage);
	uint64_t max = semaphore->max > 0 ? semaphore->max : UINT64_MAX;

	if (!noria_current())
		return -ENXIO;
	if (n == 0)
		return noria_refuse(-EINVAL, "release of no permits at %s:%d", site->file, site->line);
	if (semaphore->permits > max || n > max - semaphore->permits)
		return noria_refuse(-EOVERFLOW,
				    "release of %" PRIu64 " permits at %s:%d: the semaphore has %" PRIu64
				    " and never more than %" PRIu64 ". Remedy: release what was acquired, once",
				    n, site->file, site->line, semaphore->permits, max);
	semaphore->permits += n;
	grant(semaphore);
	return 0;
}

void noria_semaphore_cleanup_(struct noria_semaphore **pointer)
{
	if (*pointer)
		(void)noria_semaphore_release(*pointer);
}

uint64_t noria_semaphore_permits(const struct noria_semaphore *semaphore)
{
	return from_public(semaphore)->permits;
}

static bool attempt(struct arm *arm, bool thorough)
{
	(void)thorough;
	arm->result = 0;
	return try_take(from_public(arm->object), 1);
}

static void enlist(struct arm *arm)
{
	noria_arm_append(arm, &from_public(arm->object)->waiters);
}

static void describe_arm(const struct arm *arm, char *text, size_t size)
{
	snprintf(text, size, "a permit of the semaphore at %p", arm->object);
}

const struct arm_class noria_arm_semaphore = {
	.attempt = attempt,
	.enlist = enlist,
	.delist = noria_arm_remove,
	.describe = describe_arm,
};
