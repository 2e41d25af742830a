/* SPDX-License-Identifier: MIT */
/*
 * Sends that do not copy. The kernel answers such a send twice: with its result, and, maybe much later, that it has let
 * go of the buffer. The task resumes at the second, as it does at every operation's last completion, so the buffer is
 * the caller's when the call returns. Where the kernel cannot, or not on this socket, the bytes are copied.
 */
#include "noria/net.h"

#include "op/op.h"
#include "scope/failure.h"
#include "task/loop.h"

#include <errno.h>

static bool copies_instead(int64_t result)
{
	return result == -EOPNOTSUPP || result == -ENOMEM || result == -ENOBUFS;
}

/* Always by an entry, which unlike the system call obeys MSG_WAITALL. */
static unsigned op_flags(int flags)
{
	return flags & MSG_DONTWAIT ? OP_POLLABLE | OP_WORKER | OP_DONTWAIT : OP_POLLABLE | OP_WORKER;
}

/* Runs the entry, which is a zero-copy one. Returns as noria_op_run(). */
static int64_t send_zc(struct task *task, struct op *op, int flags)
{
	int64_t r;

	op->second_fd = -1;
	op->copied = false;
	op->submission.sqe.ioprio |= IORING_SEND_ZC_REPORT_USAGE;
	r = noria_op_run_quietly(op, "send_zc", op_flags(flags));
	if (r < 0 && !copies_instead(r))
		noria_error_arose(task, (int)r);
	task->copied = op->copied;
	return r;
}

ssize_t noria_send_zc(int fd, const void *buffer, size_t size, int flags)
{
	struct task *task = noria_current();
	int64_t r = -EOPNOTSUPP;
	struct op op;

	if (!task)
		return -ENXIO;
	if (features_has(&task->loop->ring->features, FEATURE_SEND_ZC)) {
		io_uring_initialize_sqe(&op.submission.sqe);
		io_uring_prep_send_zc(&op.submission.sqe, fd, buffer, op_length(size), flags | MSG_NOSIGNAL, 0);
		r = send_zc(task, &op, flags);
	}
	if (!copies_instead(r))
		return r;
	task->copied = true;
	return op_call("send", op_flags(flags), io_uring_prep_send, fd, buffer, op_length(size), flags | MSG_NOSIGNAL);
}

ssize_t noria_sendmsg_zc(int fd, const struct msghdr *message, int flags)
{
	struct task *task = noria_current();
	int64_t r = -EOPNOTSUPP;
	struct op op;

	if (!task)
		return -ENXIO;
	if (features_has(&task->loop->ring->features, FEATURE_SENDMSG_ZC)) {
		io_uring_initialize_sqe(&op.submission.sqe);
		io_uring_prep_sendmsg_zc(&op.submission.sqe, fd, message, (unsigned)flags | MSG_NOSIGNAL);
		r = send_zc(task, &op, flags);
	}
	if (!copies_instead(r))
		return r;
	task->copied = true;
	return op_call("sendmsg", op_flags(flags), io_uring_prep_sendmsg, fd, message, (unsigned)flags | MSG_NOSIGNAL);
}

bool noria_zc_copied(void)
{
	struct task *task = noria_current();

	return task && task->copied;
}
