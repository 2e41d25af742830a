/* SPDX-License-Identifier: MIT */
/*
 * The arms of a select that wait for what is nobody's object here: a point in time, a descriptor, a child's end. A poll
 * is the kernel's until its terminal completion, so it holds the select. That it turns out ready too late does no harm:
 * polling takes nothing.
 */
#include "base/message.h"
#include "noria/op.h"
#include "ring/ring.h"
#include "scope/child.h"
#include "sync/select.h"
#include "task/loop.h"

#include <errno.h>
#include <stdio.h>

static bool attempt_until(struct arm *arm, bool thorough)
{
	(void)thorough;
	arm->result = 0;
	return arm->number != NORIA_FOREVER && arm->number <= noria_loop_clock(noria_loop);
}

static void fired(struct timer *timer)
{
	noria_arm_happened(container_of(timer, struct arm, timer), 0);
}

static void enlist_until(struct arm *arm)
{
	arm->timer = (struct timer){.fire = fired};
	if (arm->number != NORIA_FOREVER)
		noria_timer_set(noria_loop, &arm->timer, arm->number);
}

static void delist_until(struct arm *arm)
{
	noria_timer_clear(noria_loop, &arm->timer);
}

static void describe_until(const struct arm *arm, char *text, size_t size)
{
	snprintf(text, size, "until %lld ns", (long long)arm->number);
}

const struct arm_class noria_arm_until = {
	.attempt = attempt_until,
	.enlist = enlist_until,
	.delist = delist_until,
	.describe = describe_until,
};

static int arm_fd(const struct arm *arm)
{
	return (int)(uint32_t)arm->number;
}

static void prepare(const struct arm *arm, struct io_uring_sqe *sqe)
{
	io_uring_initialize_sqe(sqe);
	io_uring_prep_poll_add(sqe, arm_fd(arm), (unsigned)((uint64_t)arm->number >> 32));
}

static int refuse_try_fd(const struct arm *arm)
{
	if (!fd_is_direct(arm_fd(arm)))
		return 0;
	return noria_refuse(-EOPNOTSUPP,
			    "a select that does not wait cannot ask a direct descriptor: only the ring can. "
			    "Remedy: noria_select() with a case of noria_case_until()");
}

static bool attempt_fd(struct arm *arm, bool thorough)
{
	struct ring *ring = noria_loop->ring;
	struct io_uring_sqe sqe;
	int64_t r;

	if (!thorough || fd_is_direct(arm_fd(arm)))
		return false; /* a direct one only the ring can ask */
	prepare(arm, &sqe);
	r = ring->class->attempt(ring, &sqe);
	arm->result = (int)r;
	return r != -EAGAIN;
}

/* -ECANCELED of our own asking says that it has left; from elsewhere it is what became of the poll. */
static void polled(struct submission *submission, int32_t result, uint32_t flags, bool last)
{
	struct arm *arm = container_of(submission, struct arm, submission);

	(void)flags, (void)last; /* a poll that is not multishot completes once */
	if (result != -ECANCELED || !submission->cancel_asked)
		noria_arm_happened(arm, result);
	noria_arm_release(arm);
}

static void enlist_fd(struct arm *arm)
{
	noria_submission_init(&arm->submission, -1, polled);
	prepare(arm, &arm->submission.sqe);
	noria_arm_hold(arm);
	noria_submit(noria_loop, &arm->submission);
}

static void delist_fd(struct arm *arm)
{
	noria_submission_cancel(noria_loop, &arm->submission);
}

static void describe_fd(const struct arm *arm, char *text, size_t size)
{
	snprintf(text, size, "descriptor %d", arm_fd(arm));
}

const struct arm_class noria_arm_fd = {
	.refuse_try = refuse_try_fd,
	.attempt = attempt_fd,
	.enlist = enlist_fd,
	.delist = delist_fd,
	.describe = describe_fd,
};

/* The child's result goes where the caller wants it. */
static void take_result(struct arm *arm)
{
	const struct handle *handle = arm->object;

	arm->result = 0;
	if (arm->item)
		*(int *)arm->item = handle->result;
}

static int refuse_child(const struct arm *arm)
{
	return noria_handle_refuse_wait(arm->object, noria_loop->current);
}

static bool attempt_child(struct arm *arm, bool thorough)
{
	const struct handle *handle = arm->object;

	(void)thorough;
	if (handle->child)
		return false;
	take_result(arm);
	return true;
}

static void child_ended(struct waiter *waiter)
{
	struct arm *arm = container_of(exchange_of(waiter), struct arm, exchange);

	take_result(arm);
	noria_arm_happened(arm, 0);
}

static void enlist_child(struct arm *arm)
{
	struct handle *handle = arm->object;

	noria_arm_append(arm, &handle->waiters);
	arm->exchange.waiter.told = child_ended;
}

static void describe_child(const struct arm *arm, char *text, size_t size)
{
	const struct noria_site *spawn = ((const struct handle *)arm->object)->spawn;

	snprintf(text, size, "the child %s of %s:%d", spawn->what, spawn->file, spawn->line);
}

const struct arm_class noria_arm_child = {
	.refuse = refuse_child,
	.attempt = attempt_child,
	.enlist = enlist_child,
	.delist = noria_arm_remove,
	.describe = describe_child,
};
