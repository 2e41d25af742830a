/* SPDX-License-Identifier: MIT */
/*
 * Reading and writing by descriptor: files, pipes and what else has one. What kind of descriptor it is the library
 * does not know, and a linked timeout does not reach an operation that the kernel gave to a worker thread; so the
 * loop's heap keeps time limits here.
 */
#include "noria/file.h"

#include "op/op.h"

#include <errno.h>

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

ssize_t noria_preadv(int fd, const struct iovec *vector, int count, off_t offset)
{
	if (offset < 0)
		return -EINVAL;
	return op_call("preadv", 0, io_uring_prep_readv, fd, vector, (unsigned)count, (uint64_t)offset);
}

ssize_t noria_pwritev(int fd, const struct iovec *vector, int count, off_t offset)
{
	if (offset < 0)
		return -EINVAL;
	return op_call("pwritev", 0, io_uring_prep_writev, fd, vector, (unsigned)count, (uint64_t)offset);
}

/* -1 is the position of the descriptor, for the entry as for the system call. */
ssize_t noria_preadv2(int fd, const struct iovec *vector, int count, off_t offset, int flags)
{
	if (offset < -1)
		return -EINVAL;
	return op_call("preadv2", flags & RWF_NOWAIT ? OP_DONTWAIT : 0, io_uring_prep_readv2, fd, vector,
		       (unsigned)count, (uint64_t)offset, flags);
}

ssize_t noria_pwritev2(int fd, const struct iovec *vector, int count, off_t offset, int flags)
{
	if (offset < -1)
		return -EINVAL;
	return op_call("pwritev2", flags & RWF_NOWAIT ? OP_DONTWAIT : 0, io_uring_prep_writev2, fd, vector,
		       (unsigned)count, (uint64_t)offset, flags);
}
