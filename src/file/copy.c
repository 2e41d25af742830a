/* SPDX-License-Identifier: MIT */
/*
 * From one descriptor into another. copy_file_range(2) shares blocks, or copies, within the kernel; the ring has no
 * such operation, so a thread makes the call. Where it will not (two file systems that do not know each other, files of
 * /proc), noria_copy_file_range_all() reads and writes.
 *
 * A call that has begun is not stopped, so each is given a bounded part, and a cancel is seen between two of them.
 * Calls of several steps work on offsets of their own; positions are set at the end, so that what an offset says has
 * moved has moved, whatever stopped the call.
 */
#include "noria/file.h"
#include "noria/op.h"

#include "base/memory.h"
#include "base/message.h"
#include "file/blocking.h"
#include "op/op.h"
#include "scope/scope.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	COPY_PART = 16 << 20,    /* some milliseconds where nothing can be shared */
	COPY_BUFFER = 256 << 10, /* of reading and writing */
	SEND_PART = 64 << 10,    /* what a pipe holds */
};

ssize_t noria_copy_file_range(int fd_in, off_t *offset_in, int fd_out, off_t *offset_out, size_t size, unsigned flags)
{
	return (ssize_t)file_block("copy_file_range", fd_in, fd_out, SYS_copy_file_range, fd_in, (long)offset_in,
				   fd_out, (long)offset_out, (long)size, (long)flags);
}

struct copy {
	struct task *task;
	int fd_in, fd_out;
	off_t in, out;
	size_t left;
	uint32_t closes; /* of both when it began */
	char *buffer;    /* NULL as long as copy_file_range(2) does it */
};

/* A sum tells a change as well as two counts. */
static uint32_t closes_of(struct loop *loop, int fd_in, int fd_out)
{
	return *loop_closes(loop, fd_in) + *loop_closes(loop, fd_out);
}

/* Where to begin: at `offset`, or at the descriptor's position, which only one of the process has. */
static int begin_at(const char *name, int fd, const off_t *offset, off_t *ret_at)
{
	if (!offset && fd_is_direct(fd))
		return noria_refuse(-EOPNOTSUPP,
				    "%s cannot ask a direct descriptor for its position. Remedy: give an offset", name);
	*ret_at = offset ? *offset : lseek(fd, 0, SEEK_CUR);
	if (*ret_at < 0)
		return offset ? -EINVAL : -errno;
	return 0;
}

static void end_at(int fd, off_t *offset, off_t at)
{
	if (offset)
		*offset = at;
	else
		(void)lseek(fd, at, SEEK_SET); /* it was asked for its position before */
}

/* Returns how much has moved, 0 at the end of the input, or a negative errno. */
static ssize_t read_and_write(struct copy *copy)
{
	size_t size = copy->left < COPY_BUFFER ? copy->left : COPY_BUFFER;
	ssize_t n = noria_pread(copy->fd_in, copy->buffer, size, copy->in), done = 0;

	while (done < n) {
		ssize_t r;

		if (closes_of(copy->task->loop, copy->fd_in, copy->fd_out) != copy->closes)
			return done > 0 ? done : -EBADF; /* the next step hears of it */
		r = noria_pwrite(copy->fd_out, copy->buffer + done, (size_t)(n - done), copy->out);
		if (r < 0 && r != -EINTR)
			return done > 0 ? done : r;
		if (r > 0) {
			done += r;
			copy->in += r;
			copy->out += r;
		}
	}
	return n < 0 ? n : done;
}

/* Parts of one file that overlap are refused with -EINVAL too; reading and writing them would make a mess. */
static bool same_file(const struct copy *copy)
{
	struct stat in, out;

	if (noria_fstat(copy->fd_in, &in) < 0 || noria_fstat(copy->fd_out, &out) < 0)
		return false;
	return in.st_dev == out.st_dev && in.st_ino == out.st_ino;
}

/* Does `r` say that this call will not do it, and not that it cannot be done? */
static bool needs_other_way(const struct copy *copy, ssize_t r, size_t done)
{
	if (copy->buffer)
		return false;
	if (r == -EINVAL)
		return !same_file(copy);
	/* Files of /proc and their like have no size, and this call takes that for their end. */
	return r == -EXDEV || r == -EOPNOTSUPP || r == -ENOSYS || (r == 0 && done == 0);
}

static ssize_t step(struct copy *copy, size_t done)
{
	ssize_t r;

	if (copy->buffer)
		return read_and_write(copy);
	r = noria_copy_file_range(copy->fd_in, &copy->in, copy->fd_out, &copy->out,
				  copy->left < COPY_PART ? copy->left : COPY_PART, 0);
	if (!needs_other_way(copy, r, done))
		return r;
	copy->buffer = memory_new(COPY_BUFFER);
	return copy->buffer ? read_and_write(copy)
			    : noria_refuse(-ENOMEM, "copy_file_range: no memory for a buffer to copy through");
}

static ssize_t run(struct copy *copy)
{
	size_t done = 0;

	copy->task->progress = 0;
	copy->closes = closes_of(copy->task->loop, copy->fd_in, copy->fd_out);
	while (copy->left > 0) {
		ssize_t r;

		if (closes_of(copy->task->loop, copy->fd_in, copy->fd_out) != copy->closes)
			return -EBADF; /* closed between two steps: the number may be another's by now */
		r = step(copy, done);
		if (r == -EINTR)
			continue;
		if (r < 0)
			return r;
		if (r == 0)
			break;
		done += (size_t)r;
		copy->left -= (size_t)r;
		copy->task->progress = done;
	}
	return (ssize_t)done;
}

ssize_t noria_copy_file_range_all(int fd_in, off_t *offset_in, int fd_out, off_t *offset_out, size_t size,
				  unsigned flags)
{
	struct copy copy = {.task = noria_current(), .fd_in = fd_in, .fd_out = fd_out, .left = size};
	ssize_t r;

	if (!copy.task)
		return -ENXIO;
	if (flags)
		return noria_refuse(-EINVAL, "copy_file_range: the kernel has no flags for it, but %#x is given",
				    flags);
	r = begin_at("copy_file_range", fd_in, offset_in, &copy.in);
	if (r >= 0)
		r = begin_at("copy_file_range", fd_out, offset_out, &copy.out);
	if (r < 0)
		return r;
	r = run(&copy);
	free(copy.buffer);
	if (closes_of(copy.task->loop, fd_in, fd_out) == copy.closes) {
		end_at(fd_in, offset_in, copy.in);
		end_at(fd_out, offset_out, copy.out);
	}
	return r;
}

/* Out of the pipe, all that is in it. */
static ssize_t deliver(struct copy *copy, int pipe, size_t size, size_t *sent)
{
	while (size > 0) {
		ssize_t r;

		if (closes_of(copy->task->loop, copy->fd_in, copy->fd_out) != copy->closes)
			return -EBADF;
		r = noria_splice(pipe, NULL, copy->fd_out, NULL, size, copy->left > size ? SPLICE_F_MORE : 0);
		if (r == -EINTR)
			continue;
		if (r <= 0)
			return r;
		size -= (size_t)r;
		copy->left -= (size_t)r;
		*sent += (size_t)r;
	}
	return 1;
}

static ssize_t send_through(struct copy *copy, const int ends[2])
{
	off_t at = copy->in;
	size_t sent = 0;
	ssize_t r = 1;

	copy->closes = closes_of(copy->task->loop, copy->fd_in, copy->fd_out);
	while (copy->left > 0 && r > 0) {
		r = noria_splice(copy->fd_in, &at, ends[1], NULL, copy->left < SEND_PART ? copy->left : SEND_PART, 0);
		if (r > 0)
			r = deliver(copy, ends[0], (size_t)r, &sent);
		else if (r == -EINTR)
			r = 1;
	}
	copy->in += (off_t)sent;
	return sent > 0 || r >= 0 ? (ssize_t)sent : r;
}

ssize_t noria_sendfile(int fd_out, int fd_in, off_t *offset, size_t size)
{
	struct copy copy = {.task = noria_current(), .fd_in = fd_in, .fd_out = fd_out, .left = op_length(size)};
	int ends[2];
	ssize_t r;

	if (!copy.task)
		return -ENXIO;
	r = begin_at("sendfile", fd_in, offset, &copy.in);
	if (r >= 0)
		r = noria_pipe2(ends, O_CLOEXEC);
	if (r < 0)
		return r;
	r = send_through(&copy, ends);
	(void)noria_close(ends[0]);
	(void)noria_close(ends[1]);
	if (closes_of(copy.task->loop, fd_in, fd_out) == copy.closes)
		end_at(fd_in, offset, copy.in);
	return r;
}
