/* SPDX-License-Identifier: MIT */
/*
 * Select: wait for the first of several things, of any mix.
 *
 *     struct noria_case cases[] = {
 *         noria_case_recv(&jobs, &job), noria_case_fd(control, POLLIN), noria_case_until(deadline_ns),
 *     };
 *     switch (noria_select(cases, 3)) {
 *     case 0: return cases[0].result == 1 ? work(&job) : 0;
 *     ...
 *
 * Exactly one case happens, and the others have no effect. Cases live on the caller's stack, may be used again for the
 * next select, and nothing is allocated. All since 0.2.
 */
#ifndef NORIA_SELECT_H
#define NORIA_SELECT_H

#include <noria/base.h>
#include <noria/channel.h>
#include <noria/group.h>
#include <noria/promise.h>
#include <noria/sync.h>

NORIA_BEGIN_DECLS

enum noria_case_kind {
	NORIA_CASE_RECV = 1,
	NORIA_CASE_SEND,
	NORIA_CASE_SUBSCRIBER,
	NORIA_CASE_PROMISE,
	NORIA_CASE_UNTIL,
	NORIA_CASE_FD,
	NORIA_CASE_EVENT,
	NORIA_CASE_SEMAPHORE,
	NORIA_CASE_CHILD,
};

/* One thing to wait for, made by the functions below. */
struct noria_case {
	unsigned kind; /* enum noria_case_kind */
	int result;    /* of the case that has happened: what its own call would have returned */
	void *object;
	void *item;
	int64_t number;
	uint64_t opaque[28];
} __attribute__((aligned(16)));

static inline struct noria_case noria_case_(enum noria_case_kind kind, void *object, void *item, int64_t number)
{
	struct noria_case made;

	made.kind = kind;
	made.result = 0;
	made.object = object;
	made.item = item;
	made.number = number;
	return made;
}

/* noria_case_recv - as noria_channel_recv(): `result` is 1 with an item, 0 at the end. */
static inline struct noria_case noria_case_recv(struct noria_channel *channel, void *ret_item)
{
	return noria_case_(NORIA_CASE_RECV, channel, ret_item, 0);
}

/* noria_case_send - as noria_channel_send(): `result` is 0 when the item has been sent, -EPIPE on a closed channel. */
static inline struct noria_case noria_case_send(struct noria_channel *channel, const void *item)
{
	return noria_case_(NORIA_CASE_SEND, channel, (void *)(uintptr_t)item, 0);
}

/*
 * noria_case_subscriber - as noria_broadcast_recv(): `result` is 1 with an item, 0 at the end, -EOVERFLOW after a loss.
 */
static inline struct noria_case noria_case_subscriber(struct noria_subscriber *subscriber, void *ret_item)
{
	return noria_case_(NORIA_CASE_SUBSCRIBER, subscriber, ret_item, 0);
}

/*
 * noria_case_promise - the promise has been completed. A select never calls `abort`, and a promise that has not
 * happened is still pending: where its storage is the caller's, wait for it before that goes.
 */
static inline struct noria_case noria_case_promise(struct noria_promise *promise, int64_t *ret_value)
{
	return noria_case_(NORIA_CASE_PROMISE, promise, ret_value, 0);
}

/* noria_case_until - a point in time has come; NORIA_FOREVER: a case that never happens. */
static inline struct noria_case noria_case_until(int64_t time_ns)
{
	return noria_case_(NORIA_CASE_UNTIL, NULL, NULL, time_ns);
}

/*
 * noria_case_fd - the descriptor is ready: `events` and `result` are as for noria_poll() (POLLIN, POLLOUT), or `result`
 * is its negative errno. Once the select has returned, the kernel has let go of the descriptor.
 */
static inline struct noria_case noria_case_fd(int fd, unsigned events)
{
	return noria_case_(NORIA_CASE_FD, NULL, NULL, (int64_t)((uint64_t)events << 32 | (uint32_t)fd));
}

/* noria_case_event - the event is set: `result` is 0. */
static inline struct noria_case noria_case_event(struct noria_event *event)
{
	return noria_case_(NORIA_CASE_EVENT, event, NULL, 0);
}

/*
 * noria_case_acquire - as noria_semaphore_acquire() of one permit: `result` is 0, and the permit is the caller's to
 * release.
 */
static inline struct noria_case noria_case_acquire(struct noria_semaphore *semaphore)
{
	return noria_case_(NORIA_CASE_SEMAPHORE, semaphore, NULL, 0);
}

/*
 * noria_case_child - as noria_child_wait(): `result` is 0, and what the child returned is in `ret_result` (NULL: not
 * wanted).
 */
static inline struct noria_case noria_case_child(struct noria_child *child, int *ret_result)
{
	return noria_case_(NORIA_CASE_CHILD, child, ret_result, 0);
}

/*
 * noria_select - wait until one of the cases happens. Of several that can at the time of the call, each is equally
 * likely, wherever it stands. Descriptors alone cost a system call to ask: beside cases that can, at most one is asked
 * a call, so of `count` cases a ready descriptor happens in one of `count` calls.
 * @cases: `count` cases, at least one
 * Returns: the index of the case that has happened, whose `result` is set; -ECANCELED when the scope is cancelled: none
 * has happened; -EINVAL when a case is not made as above, or its object refuses (noria_message() says why), -EDEADLK
 * when a child cannot end before the caller: both before any case is tried; -ENXIO outside a task. Checkpoint;
 * runtime's thread.
 *
 * noria_select_try - the same without waiting, also in a cancelled scope: -EAGAIN when none can happen now; -EOPNOTSUPP
 * when a case is a direct descriptor, which only waiting can ask. Not a checkpoint.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_select(struct noria_case *cases, size_t count);
NORIA_PUBLIC NORIA_CHECKED int noria_select_try(struct noria_case *cases, size_t count);

NORIA_END_DECLS
#endif
