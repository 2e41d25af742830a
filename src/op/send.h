/* SPDX-License-Identifier: MIT */
/*
 * Sending on a socket: the call itself is tried first, without an entry, which is how nearly all sends end. Inline,
 * because a server does little else.
 */
#ifndef NORIA_OP_SEND_H
#define NORIA_OP_SEND_H

#include "op/op.h"
#include "ring/direct.h"
#include "scope/failure.h"
#include "scope/scope.h"
#include "task/loop.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/types.h>

/* As an operation; with OP_ATTEMPT among the flags it may yet be tried first. */
ssize_t noria_send_entry(int fd, const void *buffer, size_t size, int flags, unsigned op_flags);

/* Is it to be tried, whatever else there is? Not where the ring alone knows the descriptor or the memory. */
static inline bool send_is_tried(const struct loop *loop, int fd)
{
	return !loop->blocks && !fd_is_direct(fd) && loop->batch < loop->ring->reply_batch;
}

static inline ssize_t send_some(struct task *task, int fd, const void *buffer, size_t size, int flags)
{
	struct loop *loop = task->loop;
	int64_t r;

	if (unlikely(!send_is_tried(loop, fd)))
		return noria_send_entry(fd, buffer, size, flags, OP_ATTEMPT);
	r = scope_door(task);
	if (likely(r == 0)) {
		r = loop->ring->class->send(loop->ring, fd, buffer, op_length(size), flags);
		task->has_sent = true;
		if (unlikely(r == -EAGAIN && !(flags & MSG_DONTWAIT)))
			return noria_send_entry(fd, buffer, size, flags, 0);
		task_spend(task);
	}
	if (unlikely(r < 0))
		noria_error_arose(task, (int)r);
	return r;
}

#endif
