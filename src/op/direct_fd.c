/* SPDX-License-Identifier: MIT */
/*
 * Direct descriptors for programs: those of files and pipes, and the two ways between the ring's table and the
 * process's. Where this kernel has none, ordinary descriptors stand in for them, closed on exec since direct ones are
 * never inherited.
 */
#include "noria/direct.h"

#include "base/message.h"
#include "noria/file.h"
#include "op/direct.h"
#include "op/op.h"
#include "ring/compat.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>

bool noria_fd_is_direct(int fd)
{
	return fd_is_direct(fd);
}

/* The flag belongs to numbers of the process's table; the kernel refuses it here. */
static int without_cloexec(int flags)
{
	return flags & ~O_CLOEXEC;
}

int noria_openat_direct(int dirfd, const char *path, int flags, mode_t mode)
{
	struct task *task = noria_current();

	if (!task)
		return -ENXIO;
	if (!direct_there(task->loop))
		return noria_openat(dirfd, path, flags | O_CLOEXEC, mode);
	return op_call_direct(task, "openat", 0, io_uring_prep_openat_direct, dirfd, path, without_cloexec(flags),
			      mode);
}

int noria_openat2_direct(int dirfd, const char *path, const struct open_how *how, size_t size)
{
	struct task *task = noria_current();
	struct open_how other;

	if (!task)
		return -ENXIO;
	if (size != sizeof *how)
		return noria_refuse(-EINVAL, "openat2: size %zu is not that of struct open_how (%zu)", size,
				    sizeof *how);
	other = *how;
	other.flags = direct_there(task->loop) ? how->flags & ~(uint64_t)O_CLOEXEC : how->flags | O_CLOEXEC;
	if (!direct_there(task->loop))
		return noria_openat2(dirfd, path, &other, size);
	return op_call_direct(task, "openat2", 0, io_uring_prep_openat2_direct, dirfd, path, &other);
}

static void prepare_pipe(struct io_uring_sqe *sqe, int fds[2], int flags, unsigned index)
{
	io_uring_prep_rw((int)RING_OP_PIPE, sqe, 0, fds, 0, 0);
	sqe->rw_flags = flags;
	sqe->file_index = index;
}

int noria_pipe_direct(int ret_fds[2], int flags)
{
	struct task *task = noria_current();
	int fds[2], r;

	if (!task)
		return -ENXIO;
	if (!direct_there(task->loop) || !features_has(&task->loop->ring->features, FEATURE_PIPE))
		return noria_pipe2(ret_fds, flags | O_CLOEXEC);
	r = noria_direct_promise(task);
	if (r < 0)
		return r;
	r = noria_direct_promise(task);
	if (r >= 0)
		r = (int)op_call("pipe", 0, prepare_pipe, fds, without_cloexec(flags), IORING_FILE_INDEX_ALLOC);
	else
		task->loop->direct->taken++; /* both promises are given back below */
	for (int i = 0; i < 2; i++)
		fds[i] = noria_direct_keep(task, r < 0 ? r : fds[i]);
	if (r < 0)
		return r;
	ret_fds[0] = fds[0];
	ret_fds[1] = fds[1];
	return 0;
}

static int duplicate(int fd, int flags)
{
	int r = noria_op_door();

	return r < 0 ? r : noria_op_made(fcntl(fd, flags & O_CLOEXEC ? F_DUPFD_CLOEXEC : F_DUPFD, 0));
}

int noria_fd_install(int fd, int flags)
{
	if (flags & ~O_CLOEXEC)
		return noria_refuse(-EINVAL, "noria_fd_install() knows no flag but O_CLOEXEC");
	if (!fd_is_direct(fd))
		return duplicate(fd, flags);
	return (int)op_call("fd_install", 0, io_uring_prep_fixed_fd_install, fd,
			    flags & O_CLOEXEC ? 0 : IORING_FIXED_FD_NO_CLOEXEC);
}

int noria_direct_borrow(int fd)
{
	return (int)op_call("fd_install", OP_ALWAYS, io_uring_prep_fixed_fd_install, fd, 0);
}

int noria_fd_direct(int fd)
{
	struct task *task = noria_current();
	int place = fd, r;

	if (!task)
		return -ENXIO;
	if (fd_is_direct(fd))
		return noria_refuse(-EINVAL, "noria_fd_direct() of a descriptor that is direct already");
	if (!direct_there(task->loop))
		return duplicate(fd, O_CLOEXEC);
	r = noria_direct_promise(task);
	if (r < 0)
		return r;
	/* The kernel writes the place over the number. */
	r = (int)op_call("fd_direct", 0, io_uring_prep_files_update, &place, 1, (int)IORING_FILE_INDEX_ALLOC);
	return noria_direct_keep(task, r == 1 ? place : r == 0 ? -EBADF : r);
}
