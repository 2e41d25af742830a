/* SPDX-License-Identifier: MIT */
/*
 * Promises. Two rules keep the storage safe. Whoever completes a promise claims it first, by one exchange of its state,
 * and a foreign thread then only hands it to the loop: what waiters see changes on the loop's thread alone. And a
 * pending promise holds the bridge to its loop, so that the loop may be gone when the value comes.
 *
 * In the caller's storage a promise is not touched after the hand-over; a counted one holds itself until the loop has
 * had it.
 */
#include "noria/promise.h"

#include "base/memory.h"
#include "base/message.h"
#include "sync/exchange.h"
#include "sync/select.h"
#include "task/bridge.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum promise_state {
	PROMISE_PENDING,
	PROMISE_CLAIMED, /* its value is on the way */
	PROMISE_DONE,
};

struct promise {
	uint64_t magic;
	uint64_t run;          /* of a local one */
	struct bridge *bridge; /* of one that is not; a reference while it is pending */
	struct remote remote;
	struct waiters waiters;
	int64_t value;
	void (*abort)(void *arg);
	void (*dispose)(int64_t value, void *arg);
	void *arg;
	const struct noria_site *site;
	atomic_int state;       /* enum promise_state; to DONE on the loop's thread, or when there is no loop */
	atomic_uint references; /* of a counted one */
	bool local, detachable, counted;
	bool aborted; /* `abort` has been called */
	bool taken;   /* somebody got the value */
};

_Static_assert(sizeof(struct promise) <= sizeof(struct noria_promise), "struct noria_promise is too small");

static struct promise *from_public(const struct noria_promise *promise)
{
	return (struct promise *)(uintptr_t)promise;
}

static uint64_t magic(const struct promise *promise)
{
	return UINT64_C(0x6e6f7269612e7072) ^ (uint64_t)(uintptr_t)promise;
}

static int refuse_unknown(const struct promise *promise)
{
	if (likely(promise->magic == magic(promise)))
		return 0;
	return noria_refuse(-EINVAL, "a promise that is not initialised. Remedy: noria_promise_init()");
}

static bool is_done(const struct promise *promise)
{
	return atomic_load_explicit(&promise->state, memory_order_acquire) == PROMISE_DONE;
}

/* Is this the thread, and the runtime, in which it may be waited for? */
static bool at_home(const struct promise *promise)
{
	if (!noria_loop)
		return false;
	return promise->local ? loop_is_run(promise->run) : noria_loop->bridge == promise->bridge;
}

/* May it be waited for here? A completed one belongs to everybody. */
static int refuse_wait(const struct promise *promise)
{
	int r = refuse_unknown(promise);

	if (r < 0 || is_done(promise) || at_home(promise))
		return r;
	return noria_refuse(-EINVAL, "the promise of %s:%d belongs to another runtime", promise->site->file,
			    promise->site->line);
}

static void give(struct promise *promise, int64_t *ret_value)
{
	if (!ret_value)
		return;
	promise->taken = true;
	*ret_value = promise->value;
}

/* On the loop's thread: the value is there for everybody. */
static void settle(struct promise *promise)
{
	struct exchange *waiter;

	atomic_store_explicit(&promise->state, PROMISE_DONE, memory_order_release);
	while ((waiter = exchange_first(&promise->waiters))) {
		give(promise, waiter->item);
		exchange_done(waiter, 0);
	}
}

static void unref(struct promise *promise)
{
	if (atomic_fetch_sub_explicit(&promise->references, 1, memory_order_acq_rel) > 1)
		return;
	if (!is_done(promise) && !promise->local)
		noria_bridge_unref(promise->bridge);
	else if (is_done(promise) && !promise->taken && promise->dispose)
		promise->dispose(promise->value, promise->arg);
	promise->magic = 0;
	free(promise);
}

static void arrived(struct remote *remote)
{
	struct promise *promise = container_of(remote, struct promise, remote);
	bool counted = promise->counted; /* else the storage is the waiter's by the next line */

	settle(promise);
	if (counted)
		unref(promise);
}

/* From another thread, or after the end of the runtime. */
static void send_home(struct promise *promise, struct bridge *bridge)
{
	bool counted = promise->counted;

	if (counted)
		atomic_fetch_add_explicit(&promise->references, 1, memory_order_relaxed);
	promise->remote.run = arrived;
	if (noria_bridge_post(bridge, &promise->remote))
		return;
	atomic_store_explicit(&promise->state, PROMISE_DONE, memory_order_release);
	if (counted)
		unref(promise);
}

static bool claim(struct promise *promise)
{
	int pending = PROMISE_PENDING;

	return atomic_compare_exchange_strong(&promise->state, &pending, PROMISE_CLAIMED);
}

static int refuse_completion(const struct promise *promise)
{
	int r = refuse_unknown(promise);

	if (r < 0)
		return r;
	if (promise->local && !at_home(promise))
		return noria_refuse(-ENXIO,
				    "the promise of %s:%d is completed by its runtime's tasks only. Remedy: make it "
				    "without NORIA_PROMISE_LOCAL",
				    promise->site->file, promise->site->line);
	return 0;
}

int noria_promise_complete(struct noria_promise *storage, int64_t value)
{
	struct promise *promise = from_public(storage);
	struct bridge *bridge;
	bool home;
	int r = refuse_completion(promise);

	if (r < 0)
		return r;
	home = at_home(promise);
	bridge = promise->bridge;
	if (!claim(promise))
		return noria_refuse(-EALREADY, "a promise is completed for the second time");
	if (!home && noria_bridge_forked(bridge))
		return noria_refuse(-ENXIO, "a promise of the parent is completed in the child of a fork");
	promise->value = value;
	if (home)
		settle(promise);
	else
		send_home(promise, bridge);
	if (bridge)
		noria_bridge_unref(bridge); /* this was the promise's */
	return 0;
}

static int check(const struct noria_promise_options *options, const struct noria_site *site)
{
	if (!noria_loop) {
		noria_no_current();
		return -ENXIO;
	}
	if (options->flags & ~(unsigned)(NORIA_PROMISE_LOCAL | NORIA_PROMISE_DETACHABLE))
		return noria_refuse(-EINVAL, "unknown flags %#x of the promise of %s:%d", options->flags, site->file,
				    site->line);
	for (size_t i = 0; i < sizeof options->reserved / sizeof options->reserved[0]; i++)
		if (options->reserved[i])
			return noria_refuse(-EINVAL, "struct noria_promise_options: reserved must be zero (%s:%d)",
					    site->file, site->line);
	return 0;
}

static int make(struct promise *promise, const struct noria_promise_options *options, bool counted,
		const struct noria_site *site)
{
	bool local = options->flags & NORIA_PROMISE_LOCAL;
	struct bridge *bridge = local ? NULL : noria_bridge_get(noria_loop);

	if (!local && !bridge)
		return noria_refuse(-ENOMEM, "no memory for a promise");
	*promise = (struct promise){.magic = magic(promise),
				    .run = noria_loop->run,
				    .bridge = bridge,
				    .abort = options->abort,
				    .dispose = options->dispose,
				    .arg = options->arg,
				    .site = site,
				    .references = 1,
				    .local = local,
				    .detachable = counted || (options->flags & NORIA_PROMISE_DETACHABLE),
				    .counted = counted};
	return 0;
}

static const struct noria_promise_options defaults;

int noria_promise_init_at(struct noria_promise *storage, const struct noria_promise_options *options,
			  const struct noria_site *site)
{
	int r;

	if (!options)
		options = &defaults;
	r = check(options, site);
	return r < 0 ? r : make(from_public(storage), options, false, site);
}

int noria_promise_new_at(const struct noria_promise_options *options, struct noria_promise **ret_promise,
			 const struct noria_site *site)
{
	struct noria_promise *storage;
	int r;

	if (!options)
		options = &defaults;
	r = check(options, site);
	if (r < 0)
		return r;
	storage = memory_new(sizeof *storage);
	if (!storage)
		return noria_refuse(-ENOMEM, "no memory for a promise");
	r = make(from_public(storage), options, true, site);
	if (r < 0)
		free(storage);
	else
		*ret_promise = storage;
	return r;
}

static bool is_counted(const struct promise *promise)
{
	if (refuse_unknown(promise) < 0)
		return false;
	if (!promise->counted)
		noria_refuse(-EINVAL, "counting references of the promise of %s:%d, which is in the caller's storage",
			     promise->site->file, promise->site->line);
	return promise->counted;
}

struct noria_promise *noria_promise_ref(struct noria_promise *storage)
{
	struct promise *promise = from_public(storage);

	if (is_counted(promise))
		atomic_fetch_add_explicit(&promise->references, 1, memory_order_relaxed);
	return storage;
}

void noria_promise_unref(struct noria_promise *storage)
{
	if (storage && is_counted(from_public(storage)))
		unref(from_public(storage));
}

/*
 * A task in noria_promise_wait(). It is in the queue until the value is there, or it gives up itself: a cancel only
 * wakes it, so that nobody takes the promise from under it before it has run.
 */
struct standing {
	struct exchange exchange;
	struct wait wait;
	struct task *task;
	struct promise *promise;
};

static struct standing *standing_of(const struct wait *wait)
{
	return container_of(wait, struct standing, wait);
}

static bool is_told(const struct standing *standing)
{
	return !standing->exchange.waiter.queue;
}

static void told(struct waiter *waiter)
{
	struct wait *wait = &container_of(exchange_of(waiter), struct standing, exchange)->wait;

	if (!wait->done)
		noria_wait_complete(wait);
}

static void abandon(struct wait *wait)
{
	noria_wait_complete(wait);
}

static void describe(const struct wait *wait, char *text, size_t size)
{
	const struct promise *promise = standing_of(wait)->promise;

	snprintf(text, size, "waits for the promise of %s:%d", promise->site->file, promise->site->line);
}

/* By `local` and by whether the wait may be given up. */
static const struct wait_class classes[2][2] = {
	{{.describe = describe, .external = true}, {.describe = describe, .external = true, .abandon = abandon}},
	{{.describe = describe}, {.describe = describe, .abandon = abandon}},
};

/* Until the value is there, or a cancel wakes it. */
static void stand(struct standing *standing, bool may_be_woken)
{
	noria_wait_init(&standing->wait, &classes[standing->promise->local][may_be_woken]);
	scope_wait(standing->task, &standing->wait);
}

static void ask_for_an_end(struct promise *promise)
{
	if (promise->aborted || !promise->abort || atomic_load(&promise->state) != PROMISE_PENDING)
		return;
	promise->aborted = true;
	promise->abort(promise->arg);
}

static int take(struct task *task, struct promise *promise, int64_t *ret_value)
{
	give(promise, ret_value);
	return task_answer(task, 0);
}

static bool is_cancelled(const struct task *task)
{
	return task->scope->cancelled || task->scope->effective <= task->loop->now;
}

/* Not done yet. In the caller's storage the end is awaited, and a cancel is told by the next checkpoint. */
static int wait_for(struct task *task, struct promise *promise, int64_t *ret_value)
{
	struct standing standing = {.exchange = {.waiter = {.task = task, .told = told}, .item = ret_value},
				    .task = task,
				    .promise = promise};

	waiters_append(&promise->waiters, &standing.exchange.waiter);
	if (!is_cancelled(task))
		stand(&standing, true);
	else
		noria_wait_init(&standing.wait, &classes[promise->local][false]);
	if (is_told(&standing))
		return 0;
	if (promise->detachable) {
		waiters_remove(&standing.exchange.waiter);
		ask_for_an_end(promise);
		(void)noria_scope_answer(task);
		return -ECANCELED;
	}
	ask_for_an_end(promise);
	if (!is_told(&standing))
		stand(&standing, false);
	return 0;
}

int noria_promise_wait(struct noria_promise *storage, int64_t *ret_value)
{
	struct promise *promise = from_public(storage);
	struct task *task = noria_current();
	int r;

	if (!task)
		return -ENXIO;
	r = refuse_wait(promise);
	if (r < 0)
		return task_answer(task, r);
	if (promise->detachable) {
		if (is_cancelled(task))
			ask_for_an_end(promise); /* first: being turned away may take time, and the promise may go */
		r = scope_door(task);
		if (r < 0)
			return r;
	}
	return is_done(promise) ? take(task, promise, ret_value) : wait_for(task, promise, ret_value);
}

bool noria_promise_completed(const struct noria_promise *storage)
{
	const struct promise *promise = from_public(storage);

	return refuse_unknown(promise) == 0 && is_done(promise);
}

int noria_promise_destroy(struct noria_promise *storage)
{
	struct promise *promise = from_public(storage);
	int r = refuse_wait(promise);

	if (r < 0)
		return r;
	if (promise->counted)
		return noria_refuse(-EINVAL, "destroying the counted promise of %s:%d. Remedy: noria_promise_unref()",
				    promise->site->file, promise->site->line);
	if (!waiters_empty(&promise->waiters))
		return noria_refuse(-EBUSY, "a task waits for the promise of %s:%d. Remedy: complete it",
				    promise->site->file, promise->site->line);
	if (claim(promise)) {
		atomic_store(&promise->state, PROMISE_DONE);
		if (promise->bridge)
			noria_bridge_unref(promise->bridge);
	} else if (!is_done(promise)) {
		return noria_refuse(-EBUSY,
				    "the value of the promise of %s:%d is on its way. Remedy: noria_promise_wait()",
				    promise->site->file, promise->site->line);
	}
	promise->magic = 0;
	return 0;
}

static int refuse_arm(const struct arm *arm)
{
	return refuse_wait(arm->object);
}

static bool attempt(struct arm *arm, bool thorough)
{
	struct promise *promise = arm->object;

	(void)thorough;
	if (!is_done(promise))
		return false;
	give(promise, arm->item);
	arm->result = 0;
	return true;
}

static void enlist(struct arm *arm)
{
	struct promise *promise = arm->object;

	noria_arm_append(arm, &promise->waiters);
}

static void describe_arm(const struct arm *arm, char *text, size_t size)
{
	const struct promise *promise = arm->object;

	snprintf(text, size, "promise of %s:%d", promise->site->file, promise->site->line);
}

static bool external(const struct arm *arm)
{
	const struct promise *promise = arm->object;

	return !promise->local;
}

const struct arm_class noria_arm_promise = {
	.refuse = refuse_arm,
	.attempt = attempt,
	.enlist = enlist,
	.delist = noria_arm_remove,
	.describe = describe_arm,
	.external = external,
};
