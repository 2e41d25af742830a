/* SPDX-License-Identifier: MIT */
/* Asking about files: statx(2), and the older calls made of it. */
#include "noria/file.h"

#include "file/blocking.h"
#include "op/op.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

int noria_statx(int dirfd, const char *path, int flags, unsigned mask, struct statx *result)
{
	int r = noria_file_refuse_direct("statx", dirfd, -1);

	return r < 0 ? r : (int)op_call("statx", 0, io_uring_prep_statx, dirfd, path, flags, mask, result);
}

static struct timespec to_timespec(struct statx_timestamp stamp)
{
	return (struct timespec){.tv_sec = stamp.tv_sec, .tv_nsec = stamp.tv_nsec};
}

static void convert(struct stat *ret_status, const struct statx *found)
{
	*ret_status = (struct stat){
		.st_dev = makedev(found->stx_dev_major, found->stx_dev_minor),
		.st_ino = found->stx_ino,
		.st_mode = found->stx_mode,
		.st_nlink = found->stx_nlink,
		.st_uid = found->stx_uid,
		.st_gid = found->stx_gid,
		.st_rdev = makedev(found->stx_rdev_major, found->stx_rdev_minor),
		.st_size = (off_t)found->stx_size,
		.st_blksize = (blksize_t)found->stx_blksize,
		.st_blocks = (blkcnt_t)found->stx_blocks,
		.st_atim = to_timespec(found->stx_atime),
		.st_mtim = to_timespec(found->stx_mtime),
		.st_ctim = to_timespec(found->stx_ctime),
	};
}

int noria_fstatat(int dirfd, const char *path, struct stat *ret_status, int flags)
{
	struct statx found;
	int r = noria_statx(dirfd, path, flags | AT_NO_AUTOMOUNT, STATX_BASIC_STATS, &found);

	if (r >= 0)
		convert(ret_status, &found);
	return r;
}

int noria_stat(const char *path, struct stat *ret_status)
{
	return noria_fstatat(AT_FDCWD, path, ret_status, 0);
}

int noria_lstat(const char *path, struct stat *ret_status)
{
	return noria_fstatat(AT_FDCWD, path, ret_status, AT_SYMLINK_NOFOLLOW);
}

int noria_fstat(int fd, struct stat *ret_status)
{
	if (fd < 0) /* AT_FDCWD would be the working directory */
		return -EBADF;
	return noria_fstatat(fd, "", ret_status, AT_EMPTY_PATH);
}
