/* SPDX-License-Identifier: MIT */
/* The size of a file, the room it has on the disk, and what the kernel should expect of it and of memory. */
#include "noria/file.h"

#include "file/blocking.h"
#include "op/op.h"

#include <errno.h>
#include <sys/syscall.h>

int noria_fallocate(int fd, int mode, off_t offset, off_t size)
{
	if (offset < 0 || size <= 0)
		return -EINVAL;
	return (int)op_call("fallocate", 0, io_uring_prep_fallocate, fd, mode, (uint64_t)offset, (uint64_t)size);
}

int noria_ftruncate(int fd, off_t size)
{
	if (!file_ring_has(FEATURE_FTRUNCATE))
		return (int)file_block("ftruncate", fd, -1, SYS_ftruncate, fd, size);
	return (int)op_call("ftruncate", 0, io_uring_prep_ftruncate, fd, size);
}

int noria_truncate(const char *path, off_t size)
{
	return (int)file_block("truncate", -1, -1, SYS_truncate, (long)path, size);
}

/* An entry has room for a length of 32 bits: newer kernels have found another place, in which older ones refuse it. */
int noria_posix_fadvise(int fd, off_t offset, off_t size, int advice)
{
	if (size < 0)
		return -EINVAL;
	if (size > UINT32_MAX)
		return (int)file_block("posix_fadvise", fd, -1, SYS_fadvise64, fd, offset, size, advice);
	return (int)op_call("posix_fadvise", 0, io_uring_prep_fadvise, fd, (uint64_t)offset, (unsigned)size, advice);
}

int noria_madvise(void *address, size_t size, int advice)
{
	if (size > UINT32_MAX)
		return (int)file_block("madvise", -1, -1, SYS_madvise, (long)address, (long)size, advice);
	return (int)op_call("madvise", 0, io_uring_prep_madvise, address, (unsigned)size, advice);
}
