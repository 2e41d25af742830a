/* SPDX-License-Identifier: MIT */
/*
 * Extended attributes. The ring sets and gets them, where the kernel is new enough, by descriptor and by a path whose
 * last symbolic link it follows; the rest is done on the executor.
 */
#include "noria/file.h"

#include "file/blocking.h"
#include "op/op.h"

#include <sys/syscall.h>

/* No attribute is so large: the kernel says so (-E2BIG) of this length as well. */
static unsigned attribute_length(size_t size)
{
	return size < UINT32_MAX ? (unsigned)size : UINT32_MAX;
}

/* The operations on paths leave the descriptor alone; 0, which liburing puts there, may be one that is closed. */
static void prepare_set(struct io_uring_sqe *sqe, const char *path, const char *name, const void *value, size_t size,
			int flags)
{
	io_uring_prep_setxattr(sqe, name, value, path, flags, attribute_length(size));
	sqe->fd = -1;
}

static void prepare_get(struct io_uring_sqe *sqe, const char *path, const char *name, void *value, size_t size)
{
	io_uring_prep_getxattr(sqe, name, value, path, attribute_length(size));
	sqe->fd = -1;
}

int noria_setxattr(const char *path, const char *name, const void *value, size_t size, int flags)
{
	if (!file_ring_has(FEATURE_XATTR))
		return (int)file_block("setxattr", -1, -1, SYS_setxattr, (long)path, (long)name, (long)value,
				       (long)size, flags);
	return (int)op_call("setxattr", 0, prepare_set, path, name, value, size, flags);
}

int noria_lsetxattr(const char *path, const char *name, const void *value, size_t size, int flags)
{
	return (int)file_block("lsetxattr", -1, -1, SYS_lsetxattr, (long)path, (long)name, (long)value, (long)size,
			       flags);
}

int noria_fsetxattr(int fd, const char *name, const void *value, size_t size, int flags)
{
	if (!file_ring_has(FEATURE_XATTR))
		return (int)file_block("fsetxattr", fd, -1, SYS_fsetxattr, fd, (long)name, (long)value, (long)size,
				       flags);
	return (int)op_call("fsetxattr", 0, io_uring_prep_fsetxattr, fd, name, value, flags, attribute_length(size));
}

ssize_t noria_getxattr(const char *path, const char *name, void *value, size_t size)
{
	if (!file_ring_has(FEATURE_XATTR))
		return (ssize_t)file_block("getxattr", -1, -1, SYS_getxattr, (long)path, (long)name, (long)value,
					   (long)size);
	return (ssize_t)op_call("getxattr", 0, prepare_get, path, name, value, size);
}

ssize_t noria_lgetxattr(const char *path, const char *name, void *value, size_t size)
{
	return (ssize_t)file_block("lgetxattr", -1, -1, SYS_lgetxattr, (long)path, (long)name, (long)value, (long)size);
}

ssize_t noria_fgetxattr(int fd, const char *name, void *value, size_t size)
{
	if (!file_ring_has(FEATURE_XATTR))
		return (ssize_t)file_block("fgetxattr", fd, -1, SYS_fgetxattr, fd, (long)name, (long)value, (long)size);
	return (ssize_t)op_call("fgetxattr", 0, io_uring_prep_fgetxattr, fd, name, value, attribute_length(size));
}

ssize_t noria_listxattr(const char *path, char *list, size_t size)
{
	return (ssize_t)file_block("listxattr", -1, -1, SYS_listxattr, (long)path, (long)list, (long)size);
}

ssize_t noria_llistxattr(const char *path, char *list, size_t size)
{
	return (ssize_t)file_block("llistxattr", -1, -1, SYS_llistxattr, (long)path, (long)list, (long)size);
}

ssize_t noria_flistxattr(int fd, char *list, size_t size)
{
	return (ssize_t)file_block("flistxattr", fd, -1, SYS_flistxattr, fd, (long)list, (long)size);
}

int noria_removexattr(const char *path, const char *name)
{
	return (int)file_block("removexattr", -1, -1, SYS_removexattr, (long)path, (long)name);
}

int noria_lremovexattr(const char *path, const char *name)
{
	return (int)file_block("lremovexattr", -1, -1, SYS_lremovexattr, (long)path, (long)name);
}

int noria_fremovexattr(int fd, const char *name)
{
	return (int)file_block("fremovexattr", fd, -1, SYS_fremovexattr, fd, (long)name);
}
