/* SPDX-License-Identifier: MIT */
/*
 * The life of one operation. A task resumes only on the operation's own terminal completion, so the operation, its
 * buffers and its timespec live on the task's stack.
 *
 * Who ended it? A result other than -ECANCELED is delivered, whatever else happened; the next checkpoint tells of the
 * cancel. -ECANCELED is the task's cancellation only if the scope is cancelled or its deadline has passed. If it came
 * of a linked timeout that is out of date, because the deadline was moved meanwhile, nothing has been transferred and
 * the operation is submitted again. Any other -ECANCELED is the kernel's own and is passed on as an error.
 */
#include "op/op.h"

#include "base/message.h"
#include "op/block.h"
#include "op/direct.h"
#include "ring/compat.h"
#include "scope/failure.h"
#include "scope/scope.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

enum { REPLY_MAX = 16384 }; /* bytes; more are worth a system call of their own */

static struct op *from_wait(const struct wait *wait)
{
	return container_of(wait, struct op, wait);
}

static void abandon(struct wait *wait)
{
	noria_submission_cancel(wait->task->loop, &from_wait(wait)->submission);
}

static void describe(const struct wait *wait, char *text, size_t size)
{
	const struct op *op = from_wait(wait);

	snprintf(text, size, "%s on descriptor %d", op->name, op->submission.sqe.fd);
}

static const struct wait_class op_class = {.abandon = abandon, .describe = describe};
static const struct wait_class always_class = {.describe = describe};

static void completed(struct submission *submission, int32_t result, uint32_t flags, bool last)
{
	struct op *op = container_of(submission, struct op, submission);

	/* The result of a send that does not copy came before; this says that the buffer is the caller's again. */
	if (unlikely(flags & IORING_CQE_F_NOTIF))
		op->copied = (uint32_t)result & IORING_NOTIF_USAGE_ZC_COPIED;
	else
		op->result = result;
	if (last)
		noria_wait_complete(&op->wait);
}

struct task *noria_op_task(struct submission *submission)
{
	return submission->complete == completed ? container_of(submission, struct op, submission)->wait.task : NULL;
}

/* One activation: submit, park, be completed. */
static void activate(struct task *task, struct op *op, unsigned flags)
{
	struct scope *scope = task->scope;
	bool limited = (flags & OP_POLLABLE) && scope->effective != NORIA_FOREVER && task->loop->timeouts_linked;

	noria_wait_init(&op->wait, flags & OP_ALWAYS ? &always_class : &op_class);
	op->submission.limited = limited && !(flags & OP_ALWAYS);
	if (op->submission.limited) {
		int64_t ns = scope->effective > 0 ? scope->effective : 0;

		op->submission.limit =
			(struct __kernel_timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
	}
	noria_submit(task->loop, &op->submission);
	if ((op->submission.limited && !(flags & OP_WORKER)) || (flags & OP_ALWAYS))
		noria_wait_park(&op->wait);
	else
		scope_wait(task, &op->wait);
}

static int64_t limit_of(const struct op *op)
{
	return op->submission.limit.tv_sec * INT64_C(1000000000) + op->submission.limit.tv_nsec;
}

/* The kernel said -ECANCELED. True when the operation should be submitted again. */
static bool cancelled(struct task *task, struct op *op)
{
	int64_t now;

	if (task->scope->cancelled || op->wait.abandoned) {
		(void)noria_scope_answer(task); /* this cancel has been seen now */
		return false;
	}
	if (!op->submission.limited)
		return false;
	now = noria_loop_clock(task->loop);
	noria_scope_expire(task->scope, now);
	if (noria_scope_answer(task) < 0)
		return false;
	return limit_of(op) <= now;
}

/* Closes of the operation's descriptors; a sum tells a change as well as two counts. */
static uint32_t closes_of(struct loop *loop, const struct op *op)
{
	uint32_t closes = *loop_closes(loop, op->submission.sqe.fd);

	return op->second_fd >= 0 ? closes + *loop_closes(loop, op->second_fd) : closes;
}

static int64_t wait_for(const struct op *op, int fd, int second_fd, unsigned events)
{
	return op_call_pair(second_fd, op->name, OP_POLLABLE, io_uring_prep_poll_add, fd, events);
}

/* A splice needs both of its sides. */
static int64_t wait_ready_splice(struct task *task, const struct op *op, uint32_t closes)
{
	const struct io_uring_sqe *sqe = &op->submission.sqe;
	int64_t r = wait_for(op, sqe->splice_fd_in, sqe->fd, POLLIN);

	if (r >= 0 && closes_of(task->loop, op) != closes)
		return -EBADF;
	return r < 0 ? r : wait_for(op, sqe->fd, sqe->splice_fd_in, POLLOUT);
}

/* A descriptor with O_NONBLOCK answers -EAGAIN where the kernel would have waited: wait here. */
static int64_t wait_ready(struct task *task, const struct op *op, uint32_t closes)
{
	const struct io_uring_sqe *sqe = &op->submission.sqe;

	switch (sqe->opcode) {
	case IORING_OP_SEND:
	case IORING_OP_SENDMSG:
	case IORING_OP_SEND_ZC:
	case IORING_OP_SENDMSG_ZC:
	case IORING_OP_WRITE:
	case IORING_OP_WRITEV:
	case IORING_OP_WRITE_FIXED:
	case IORING_OP_CONNECT:
		return wait_for(op, sqe->fd, -1, POLLOUT);
	case IORING_OP_SPLICE:
	case IORING_OP_TEE:
		return wait_ready_splice(task, op, closes);
	default:
		return wait_for(op, sqe->fd, -1, POLLIN);
	}
}

/* What a worker's blocking call answers to a cancel or to its linked timeout. */
static bool stopped_in_worker(struct task *task, const struct op *op)
{
	if (op->result != -EINTR && op->result != -KERNEL_ERESTARTSYS)
		return false;
	return op->wait.abandoned || (op->submission.limited && limit_of(op) <= noria_loop_clock(task->loop));
}

/* It ends with -ECANCELED: the scope's, or else the kernel's own, which nobody here asked for. */
static int64_t end_cancelled(const struct task *task, const struct op *op)
{
	if (!task->scope->cancelled && !op->wait.abandoned)
		noria_refuse(
			0,
			"%s on descriptor %d was ended by the kernel, not by noria: maybe it can make no worker thread "
			"(RLIMIT_NPROC, pids.max)",
			op->name, op->submission.sqe.fd);
	return op->result;
}

/* May it be submitted again? 1, or the result it ends with. `closes` is the count when the operation began. */
static int64_t again(struct task *task, struct op *op, unsigned flags, uint32_t closes)
{
	bool connect = op->submission.sqe.opcode == IORING_OP_CONNECT;
	int64_t r = 0;

	if (op->result == -ECANCELED && !cancelled(task, op))
		return end_cancelled(task, op);
	/* A connect with O_NONBLOCK to a Unix socket whose backlog is full: there is nothing to poll for. */
	if (op->result == -EAGAIN && (connect || (flags & OP_DONTWAIT)))
		return op->result;
	/* A connect that was stopped goes on in the socket: the next one would only hear that (-EALREADY). */
	if (closes_of(task->loop, op) == closes && (op->result == -EAGAIN || connect))
		r = wait_ready(task, op, closes);
	if (closes_of(task->loop, op) != closes)
		return -EBADF; /* closed meanwhile: the number may be another's by now */
	return r < 0 ? r : 1;
}

static int64_t run(struct task *task, struct op *op, unsigned flags)
{
	uint32_t closes = closes_of(task->loop, op);

	for (bool first = true;; first = false) {
		int64_t r;

		activate(task, op, flags);
		if (stopped_in_worker(task, op))
			op->result = -ECANCELED;
		else if (op->result == -KERNEL_ERESTARTSYS)
			op->result = -EINTR;
		if (!first && op->result == -EISCONN && op->submission.sqe.opcode == IORING_OP_CONNECT)
			return 0;
		if (likely((op->result != -ECANCELED && op->result != -EAGAIN) || (flags & OP_ALWAYS)))
			return op->result;
		r = again(task, op, flags, closes);
		if (r <= 0)
			return r;
		/* A cancel that met a wait which succeeded all the same. A connect only hears how it has ended. */
		if (op->submission.sqe.opcode != IORING_OP_CONNECT && scope_checkpoint(task) < 0)
			return -ECANCELED;
	}
}

/* Apart from what an attempt that succeeds needs, which is most sends. */
static __attribute__((noinline)) int64_t submit(struct task *task, struct op *op, const char *name, unsigned flags)
{
	int64_t r;

	if (unlikely(fd_is_direct(op->submission.sqe.fd))) {
		r = noria_direct_refuse(task->loop, &op->submission.sqe, name);
		if (r < 0)
			return task_answer(task, (int)r);
	}
	op->name = name;
	noria_submission_init(&op->submission, op->second_fd, completed);
	r = run(task, op, flags);
	task->has_sent = op->submission.sqe.opcode == IORING_OP_SEND;
	return r;
}

/*
 * Where many tasks are served in one turn, their replies leave together, by the system call that ends it; a task that
 * goes on sending without waiting for anything in between does the rest by calls of its own.
 */
static __attribute__((noinline)) bool is_reply(const struct task *task, const struct io_uring_sqe *sqe, unsigned flags)
{
	return task->loop->reply_pause == 0 && !(flags & OP_DONTWAIT) && sqe->opcode == IORING_OP_SEND &&
	       sqe->len <= REPLY_MAX && !task->has_sent &&
	       (!task->loop->timeouts_linked || task->scope->effective == NORIA_FOREVER);
}

static inline bool joins_others(const struct task *task, const struct io_uring_sqe *sqe, unsigned flags)
{
	return unlikely(task->loop->batch >= task->loop->ring->reply_batch) && is_reply(task, sqe, flags);
}

static inline int64_t run_in(struct task *task, struct op *op, const char *name, unsigned flags)
{
	struct ring *ring = task->loop->ring;
	int64_t r;

	if (likely(!(flags & OP_ALWAYS))) {
		r = scope_door(task);
		if (unlikely(r < 0))
			return r;
	}
	if ((flags & OP_ATTEMPT) && likely(!fd_is_direct(op->submission.sqe.fd)) &&
	    !joins_others(task, &op->submission.sqe, flags)) {
		r = ring->class->attempt(ring, &op->submission.sqe);
		task->has_sent = op->submission.sqe.opcode == IORING_OP_SEND;
		if (likely(r != -EAGAIN) || (flags & OP_DONTWAIT)) {
			if (likely(op->submission.sqe.opcode != IORING_OP_CLOSE)) /* noria_close() has */
				task_spend(task);
			return r;
		}
	}
	return submit(task, op, name, flags);
}

/* The loop has pools of blocks: the operation may be on one. */
static __attribute__((noinline)) int64_t run_on_block(struct task *task, struct op *op, const char *name,
						      unsigned flags)
{
	struct block_use use;
	int64_t r = noria_block_use(task->loop, &op->submission.sqe, &use);

	if (r >= 0)
		r = run_in(task, op, name, flags);
	noria_block_used(&use);
	return r;
}

int noria_op_door(void)
{
	struct task *task = noria_current();
	int r;

	if (unlikely(!task))
		return -ENXIO;
	r = scope_door(task);
	if (unlikely(r < 0))
		noria_error_arose(task, r);
	return r;
}

int noria_op_made(int result)
{
	struct task *task = noria_loop->current;
	int r = result < 0 ? -errno : result;

	task_spend(task);
	if (unlikely(r < 0))
		noria_error_arose(task, r);
	return r;
}

static inline int64_t run_anywhere(struct task *task, struct op *op, const char *name, unsigned flags)
{
	return unlikely(task->loop->blocks) ? run_on_block(task, op, name, flags) : run_in(task, op, name, flags);
}

int64_t noria_op_run_quietly(struct op *op, const char *name, unsigned flags)
{
	struct task *task = noria_current();

	return likely(task) ? run_anywhere(task, op, name, flags) : -ENXIO;
}

int64_t noria_op_run(struct op *op, const char *name, unsigned flags)
{
	struct task *task = noria_current();
	int64_t r;

	if (unlikely(!task))
		return -ENXIO;
	r = run_anywhere(task, op, name, flags);
	if (unlikely(r < 0))
		noria_error_arose(task, (int)r);
	return r;
}
