/* SPDX-License-Identifier: MIT */
/*
 * Files, pipes and what else has a descriptor. What kind of descriptor it is the library does not know, and a linked
 * timeout does not reach an operation that the kernel gave to a worker thread; so the loop's heap keeps time limits
 * here.
 */
#include "noria/op.h"

#include "base/message.h"
#include "op/op.h"
#include "scope/scope.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>

#define OFFSET_CURRENT ((uint64_t)-1)

ssize_t noria_read(int fd, void *buffer, size_t size)
{
	return op_call("read", 0, io_uring_prep_read, fd, buffer, op_length(size), OFFSET_CURRENT);
}

ssize_t noria_write(int fd, const void *buffer, size_t size)
{
	return op_call("write", 0, io_uring_prep_write, fd, buffer, op_length(size), OFFSET_CURRENT);
}

ssize_t noria_readv(int fd, const struct iovec *vector, int count)
{
	return op_call("readv", 0, io_uring_prep_readv, fd, vector, (unsigned)count, OFFSET_CURRENT);
}

ssize_t noria_writev(int fd, const struct iovec *vector, int count)
{
	return op_call("writev", 0, io_uring_prep_writev, fd, vector, (unsigned)count, OFFSET_CURRENT);
}

ssize_t noria_pread(int fd, void *buffer, size_t size, off_t offset)
{
	if (offset < 0)
		return -EINVAL;
	return op_call("pread", 0, io_uring_prep_read, fd, buffer, op_length(size), (uint64_t)offset);
}

ssize_t noria_pwrite(int fd, const void *buffer, size_t size, off_t offset)
{
	if (offset < 0)
		return -EINVAL;
	return op_call("pwrite", 0, io_uring_prep_write, fd, buffer, op_length(size), (uint64_t)offset);
}

int noria_openat(int dirfd, const char *path, int flags, mode_t mode)
{
	return (int)op_call("openat", 0, io_uring_prep_openat, dirfd, path, flags, mode);
}

int noria_openat2(int dirfd, const char *path, const struct open_how *how, size_t size)
{
	if (size != sizeof *how)
		return noria_refuse(-EINVAL, "openat2: size %zu is not that of struct open_how (%zu)", size,
				    sizeof *how);
	return (int)op_call("openat2", 0, io_uring_prep_openat2, dirfd, path, (struct open_how *)(uintptr_t)how);
}

int noria_statx(int dirfd, const char *path, int flags, unsigned mask, struct statx *result)
{
	return (int)op_call("statx", 0, io_uring_prep_statx, dirfd, path, flags, mask, result);
}

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
	ssize_t r = task ? splice_when_ready(task, fd_in, offset_in, fd_out, offset_out, size, flags) : -ENXIO;

	if (r > 0 && offset_in)
		*offset_in += r;
	if (r > 0 && offset_out)
		*offset_out += r;
	return r;
}

int noria_close(int fd)
{
	struct task *task = noria_current();

	if (!task)
		return -ENXIO;
	if (fd < 0)
		return -EBADF;
	noria_submissions_end_fd(task->loop, fd);
	++*loop_closes(task->loop, fd);
	return (int)op_call("close", OP_ATTEMPT | OP_ALWAYS, io_uring_prep_close, fd);
}

void noria_autoclose_(int *fd)
{
	if (*fd >= 0)
		(void)noria_close(*fd);
}
