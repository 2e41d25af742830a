/* SPDX-License-Identifier: MIT */
/* The ring's operations of files and names: what an entry says, in the words of the system call. */
#include "simulation/disk/disk.h"
#include "simulation/host.h"
#include "simulation/operation.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>

#define OPEN_FLAGS_KNOWN \
	(O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NONBLOCK | O_SYNC | O_DSYNC | O_ASYNC | \
	 O_DIRECT | O_LARGEFILE | 0100000 | O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC | O_PATH | O_TMPFILE)

static void *pointer(uint64_t address)
{
	return (void *)(uintptr_t)address;
}

static int64_t open_file(struct sim_request *request, const struct open_how *how)
{
	struct sim_file *file;
	int r = sim_openat(request->host, request->sqe.fd, pointer(request->sqe.addr), how, &file);

	return r < 0 ? r : sim_request_install(request, file);
}

int64_t sim_run_openat(struct sim_request *request)
{
	const struct io_uring_sqe *sqe = &request->sqe;
	bool creates = sqe->open_flags & O_CREAT || (sqe->open_flags & O_TMPFILE) == O_TMPFILE;
	struct open_how how = {.flags = sqe->open_flags & OPEN_FLAGS_KNOWN, .mode = creates ? sqe->len & 07777 : 0};

	return open_file(request, &how);
}

int64_t sim_run_openat2(struct sim_request *request)
{
	const struct open_how *how = pointer(request->sqe.addr2);
	const unsigned char *bytes = pointer(request->sqe.addr2);

	if (request->sqe.len < sizeof *how)
		return -EINVAL;
	for (size_t i = sizeof *how; i < request->sqe.len; i++)
		if (bytes[i] != 0)
			return -E2BIG;
	return how->flags & ~(uint64_t)OPEN_FLAGS_KNOWN ? -EINVAL : open_file(request, how);
}

int64_t sim_run_statx(struct sim_request *request)
{
	const struct io_uring_sqe *sqe = &request->sqe;

	return sim_statx(request->host, sqe->fd, pointer(sqe->addr), (int)sqe->statx_flags, sqe->len,
			 pointer(sqe->addr2));
}

int64_t sim_run_renameat(struct sim_request *request)
{
	const struct io_uring_sqe *sqe = &request->sqe;

	return sim_renameat(request->host, sqe->fd, pointer(sqe->addr), (int)sqe->len, pointer(sqe->addr2),
			    sqe->rename_flags);
}

int64_t sim_run_unlinkat(struct sim_request *request)
{
	const struct io_uring_sqe *sqe = &request->sqe;

	return sim_unlinkat(request->host, sqe->fd, pointer(sqe->addr), (int)sqe->unlink_flags);
}

int64_t sim_run_mkdirat(struct sim_request *request)
{
	const struct io_uring_sqe *sqe = &request->sqe;

	return sim_mkdirat(request->host, sqe->fd, pointer(sqe->addr), sqe->len);
}

int64_t sim_run_symlinkat(struct sim_request *request)
{
	const struct io_uring_sqe *sqe = &request->sqe;

	return sim_symlinkat(request->host, pointer(sqe->addr), sqe->fd, pointer(sqe->addr2));
}

int64_t sim_run_linkat(struct sim_request *request)
{
	const struct io_uring_sqe *sqe = &request->sqe;

	return sim_linkat(request->host, sqe->fd, pointer(sqe->addr), (int)sqe->len, pointer(sqe->addr2),
			  (int)sqe->hardlink_flags);
}

int64_t sim_run_fsync(struct sim_request *request)
{
	if (request->sqe.fsync_flags & ~IORING_FSYNC_DATASYNC)
		return -EINVAL;
	return sim_fsync(request->file, request->sqe.fsync_flags & IORING_FSYNC_DATASYNC);
}

int64_t sim_run_sync_file_range(struct sim_request *request)
{
	const struct io_uring_sqe *sqe = &request->sqe;

	return sim_sync_file_range(request->file, (int64_t)sqe->off, sqe->len, sqe->sync_range_flags);
}

int64_t sim_run_fallocate(struct sim_request *request)
{
	const struct io_uring_sqe *sqe = &request->sqe;

	return sim_fallocate(request->file, (int)sqe->len, (int64_t)sqe->off, (int64_t)sqe->addr);
}

int64_t sim_run_ftruncate(struct sim_request *request)
{
	return sim_ftruncate(request->file, (int64_t)request->sqe.off);
}

/* Advice changes nothing that can be seen here. */
int64_t sim_run_advise(struct sim_request *request)
{
	if (request->file && !request->file->class->seekable && !sim_file_is_on_disk(request->file))
		return -ESPIPE;
	return request->sqe.fadvise_advice > 25 /* the last of madvise(2) */ ? -EINVAL : 0;
}

int64_t sim_run_fsetxattr(struct sim_request *request)
{
	const struct io_uring_sqe *sqe = &request->sqe;

	return sim_fsetxattr(request->file, pointer(sqe->addr), pointer(sqe->addr2), sqe->len, (int)sqe->xattr_flags);
}

int64_t sim_run_setxattr(struct sim_request *request)
{
	const struct io_uring_sqe *sqe = &request->sqe;

	return sim_setxattr(request->host, pointer(sqe->addr3), true, pointer(sqe->addr), pointer(sqe->addr2), sqe->len,
			    (int)sqe->xattr_flags);
}

int64_t sim_run_fgetxattr(struct sim_request *request)
{
	const struct io_uring_sqe *sqe = &request->sqe;

	return sim_fgetxattr(request->file, pointer(sqe->addr), pointer(sqe->addr2), sqe->len);
}

int64_t sim_run_getxattr(struct sim_request *request)
{
	const struct io_uring_sqe *sqe = &request->sqe;

	return sim_getxattr(request->host, pointer(sqe->addr3), true, pointer(sqe->addr), pointer(sqe->addr2),
			    sqe->len);
}
