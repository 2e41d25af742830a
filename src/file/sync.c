/* SPDX-License-Identifier: MIT */
/*
 * What was written goes to the disk. The kernel gives each of these to one of its workers at once; while that waits for
 * the disk a cancel does not stop it, and the result is delivered.
 */
#include "noria/file.h"

#include "file/blocking.h"
#include "op/op.h"

#include <errno.h>
#include <sys/syscall.h>

int noria_fsync(int fd)
{
	return (int)op_call("fsync", 0, io_uring_prep_fsync, fd, 0);
}

int noria_fdatasync(int fd)
{
	return (int)op_call("fdatasync", 0, io_uring_prep_fsync, fd, IORING_FSYNC_DATASYNC);
}

int noria_sync_file_range(int fd, off_t offset, off_t size, unsigned flags)
{
	if (offset < 0 || size < 0)
		return -EINVAL;
	if (size > UINT32_MAX) /* an entry has room for 32 bits */
		return (int)file_block("sync_file_range", fd, -1, SYS_sync_file_range, fd, offset, size, (long)flags);
	return (int)op_call("sync_file_range", 0, io_uring_prep_sync_file_range, fd, (unsigned)size, (uint64_t)offset,
			    (int)flags);
}
