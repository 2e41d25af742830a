/* SPDX-License-Identifier: MIT */
/* Moving bytes between a pipe and another descriptor, inside the kernel. */
#include "noria/file.h"

#include "op/op.h"
#include "scope/scope.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>

/*
 * A worker that waits inside a splice holds the pipe's lock, and whoever touches the pipe meanwhile blocks, the loop
 * itself included. So the splice is told not to wait, and the waiting is done by polling; beforehand for a socket,
 * which waits whatever it is told.
 */
static ssize_t splice_when_ready(struct task *task, int fd_in, off_t *offset_in, int fd_out, off_t *offset_out,
				 size_t size, unsigned flags)
{
	uint32_t closes = *loop_closes(task->loop, fd_in) + *loop_closes(task->loop, fd_out);
	bool wait = !(flags & SPLICE_F_NONBLOCK);
	int64_t r = 0;

	if (wait && size > 0 && task->loop->ring->class->splice_waits(task->loop->ring, fd_in, fd_out))
		r = op_call_pair(fd_out, "splice", OP_POLLABLE, io_uring_prep_poll_add, fd_in, POLLIN);
	if (r < 0)
		return r;
	if (closes != *loop_closes(task->loop, fd_in) + *loop_closes(task->loop, fd_out))
		return -EBADF;
	return op_call_pair(fd_in, "splice", wait ? 0 : OP_DONTWAIT, io_uring_prep_splice, fd_in,
			    offset_in ? *offset_in : -1, fd_out, offset_out ? *offset_out : -1, op_length(size),
			    flags | SPLICE_F_NONBLOCK);
}

ssize_t noria_splice(int fd_in, off_t *offset_in, int fd_out, off_t *offset_out, size_t size, unsigned flags)
{
	struct task *task = noria_current();
	ssize_t r;

	if (!task)
		return -ENXIO;
	if ((offset_in && *offset_in < 0) || (offset_out && *offset_out < 0))
		return -EINVAL; /* to the entry -1 is what NULL is here */
	r = splice_when_ready(task, fd_in, offset_in, fd_out, offset_out, size, flags);
	if (r > 0 && offset_in)
		*offset_in += r;
	if (r > 0 && offset_out)
		*offset_out += r;
	return r;
}

/* The same for a tee, between two pipes. */
ssize_t noria_tee(int fd_in, int fd_out, size_t size, unsigned flags)
{
	return op_call_pair(fd_in, "tee", flags & SPLICE_F_NONBLOCK ? OP_DONTWAIT : 0, io_uring_prep_tee, fd_in, fd_out,
			    op_length(size), flags | SPLICE_F_NONBLOCK);
}
