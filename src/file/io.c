/* SPDX-License-Identifier: MIT */
/*
 * Reading and writing by descriptor: files, pipes and what else has one. What kind of descriptor it is the library
 * does not know, and a linked timeout does not reach an operation that the kernel gave to a worker thread; so the
 * loop's heap keeps time limits here.
 */
#include "noria/file.h"

#include "op/op.h"
#include "op/position.h"

#include <errno.h>

#define OFFSET_CURRENT ((uint64_t)-1)

/*
 * The kernel first tries on the loop's own thread, and what is cached (or, on file systems like XFS and btrfs, what is
 * written to the cache) it copies there, while everybody else waits. Handing that to a worker from the start costs some
 * 45 us until it is done. Measured by tests/bench/files_stall on Linux 6.18: the loop thread's CPU time in microseconds
 * between two turns of others, tried at once / by a worker:
 *
 *                     64 KiB       256 KiB         1 MiB        16 MiB
 *   ext4 read         8 / 7        18 / 7       113 / 10     1642 / 28
 *   XFS read          8 / 9        18 / 12       85 / 12     2788 / 30
 *   XFS write         7 / 3                     117 / 6      2961 / 25
 *   ext4 write        3 / 3                       4 / 12       20 / 32   (workers in any case)
 *
 * So what is larger than 256 KiB goes to a worker. Where it can be polled for (pipes, sockets), the worker polls and is
 * not blocked. Opening tries the cache of names, in 2 us, and everything else of this folder is a worker's already.
 */
enum { COPY_AT_ONCE = 256 << 10 };

static void choose_way(struct io_uring_sqe *sqe, size_t size)
{
	if (size > COPY_AT_ONCE)
		sqe->flags |= IOSQE_ASYNC;
}

static void prepare_read(struct io_uring_sqe *sqe, int fd, void *buffer, size_t size, uint64_t offset)
{
	io_uring_prep_read(sqe, fd, buffer, op_length(size), offset);
	choose_way(sqe, size);
}

static void prepare_write(struct io_uring_sqe *sqe, int fd, const void *buffer, size_t size, uint64_t offset)
{
	io_uring_prep_write(sqe, fd, buffer, op_length(size), offset);
	choose_way(sqe, size);
}

static size_t size_of(const struct iovec *vector, int count)
{
	size_t size = 0;

	for (int i = 0; i < count && size <= COPY_AT_ONCE; i++)
		size += vector[i].iov_len;
	return size;
}

static void prepare_readv(struct io_uring_sqe *sqe, int fd, const struct iovec *vector, int count, uint64_t offset,
			  int flags)
{
	io_uring_prep_readv2(sqe, fd, vector, (unsigned)count, offset, flags);
	choose_way(sqe, size_of(vector, count));
}

static void prepare_writev(struct io_uring_sqe *sqe, int fd, const struct iovec *vector, int count, uint64_t offset,
			   int flags)
{
	io_uring_prep_writev2(sqe, fd, vector, (unsigned)count, offset, flags);
	choose_way(sqe, size_of(vector, count));
}

/* Does the vector hold more than these? */
static bool is_short(const struct iovec *vector, int count, ssize_t moved)
{
	size_t left = moved > 0 ? (size_t)moved : 0;
	int i = 0;

	if (moved <= 0 || left >= op_length(SIZE_MAX))
		return false;
	while (i < count && vector[i].iov_len <= left)
		left -= vector[i++].iov_len;
	return i < count;
}

ssize_t noria_read(int fd, void *buffer, size_t size)
{
	return op_call("read", 0, prepare_read, fd, buffer, size, OFFSET_CURRENT);
}

ssize_t noria_write(int fd, const void *buffer, size_t size)
{
	uint32_t closes = file_closes(fd);
	ssize_t r = op_call("write", 0, prepare_write, fd, buffer, size, OFFSET_CURRENT);

	if (unlikely(r > 0 && (size_t)r < op_length(size)))
		noria_file_came_short(fd, closes, (size_t)r);
	return r;
}

ssize_t noria_readv(int fd, const struct iovec *vector, int count)
{
	return op_call("readv", 0, prepare_readv, fd, vector, count, OFFSET_CURRENT, 0);
}

ssize_t noria_writev(int fd, const struct iovec *vector, int count)
{
	uint32_t closes = file_closes(fd);
	ssize_t r = op_call("writev", 0, prepare_writev, fd, vector, count, OFFSET_CURRENT, 0);

	if (unlikely(is_short(vector, count, r)))
		noria_file_came_short(fd, closes, (size_t)r);
	return r;
}

ssize_t noria_pread(int fd, void *buffer, size_t size, off_t offset)
{
	if (offset < 0)
		return -EINVAL;
	return op_call("pread", 0, prepare_read, fd, buffer, size, (uint64_t)offset);
}

ssize_t noria_pwrite(int fd, const void *buffer, size_t size, off_t offset)
{
	if (offset < 0)
		return -EINVAL;
	return op_call("pwrite", 0, prepare_write, fd, buffer, size, (uint64_t)offset);
}

ssize_t noria_preadv(int fd, const struct iovec *vector, int count, off_t offset)
{
	if (offset < 0)
		return -EINVAL;
	return op_call("preadv", 0, prepare_readv, fd, vector, count, (uint64_t)offset, 0);
}

ssize_t noria_pwritev(int fd, const struct iovec *vector, int count, off_t offset)
{
	if (offset < 0)
		return -EINVAL;
	return op_call("pwritev", 0, prepare_writev, fd, vector, count, (uint64_t)offset, 0);
}

/* -1 is the position of the descriptor, for the entry as for the system call. */
ssize_t noria_preadv2(int fd, const struct iovec *vector, int count, off_t offset, int flags)
{
	if (offset < -1)
		return -EINVAL;
	return op_call("preadv2", flags & RWF_NOWAIT ? OP_DONTWAIT : 0, prepare_readv, fd, vector, count,
		       (uint64_t)offset, flags);
}

ssize_t noria_pwritev2(int fd, const struct iovec *vector, int count, off_t offset, int flags)
{
	uint32_t closes = file_closes(fd);
	ssize_t r;

	if (offset < -1)
		return -EINVAL;
	r = op_call("pwritev2", flags & RWF_NOWAIT ? OP_DONTWAIT : 0, prepare_writev, fd, vector, count,
		    (uint64_t)offset, flags);
	if (unlikely(offset == -1 && is_short(vector, count, r)))
		noria_file_came_short(fd, closes, (size_t)r);
	return r;
}
