/* SPDX-License-Identifier: MIT */
/*
 * Names in directories: making, moving and removing them. The kernel copies the paths when it takes an entry, and gives
 * it to one of its workers at once. Each call without a directory is the one with AT_FDCWD.
 */
#include "noria/file.h"

#include "file/blocking.h"
#include "op/op.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>

int noria_renameat2(int old_dirfd, const char *old_path, int new_dirfd, const char *new_path, unsigned flags)
{
	int r = noria_file_refuse_direct("renameat2", old_dirfd, new_dirfd);

	if (r < 0)
		return r;
	return (int)op_call_pair(new_dirfd, "renameat2", 0, io_uring_prep_renameat, old_dirfd, old_path, new_dirfd,
				 new_path, flags);
}

int noria_renameat(int old_dirfd, const char *old_path, int new_dirfd, const char *new_path)
{
	return noria_renameat2(old_dirfd, old_path, new_dirfd, new_path, 0);
}

int noria_rename(const char *old_path, const char *new_path)
{
	return noria_renameat2(AT_FDCWD, old_path, AT_FDCWD, new_path, 0);
}

int noria_unlinkat(int dirfd, const char *path, int flags)
{
	int r = noria_file_refuse_direct("unlinkat", dirfd, -1);

	return r < 0 ? r : (int)op_call("unlinkat", 0, io_uring_prep_unlinkat, dirfd, path, flags);
}

int noria_unlink(const char *path)
{
	return noria_unlinkat(AT_FDCWD, path, 0);
}

int noria_rmdir(const char *path)
{
	return noria_unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

int noria_linkat(int old_dirfd, const char *old_path, int new_dirfd, const char *new_path, int flags)
{
	int r = noria_file_refuse_direct("linkat", old_dirfd, new_dirfd);

	if (r < 0)
		return r;
	return (int)op_call_pair(new_dirfd, "linkat", 0, io_uring_prep_linkat, old_dirfd, old_path, new_dirfd, new_path,
				 flags);
}

int noria_link(const char *old_path, const char *new_path)
{
	return noria_linkat(AT_FDCWD, old_path, AT_FDCWD, new_path, 0);
}

int noria_symlinkat(const char *target, int new_dirfd, const char *path)
{
	int r = noria_file_refuse_direct("symlinkat", new_dirfd, -1);

	return r < 0 ? r : (int)op_call("symlinkat", 0, io_uring_prep_symlinkat, target, new_dirfd, path);
}

int noria_symlink(const char *target, const char *path)
{
	return noria_symlinkat(target, AT_FDCWD, path);
}

int noria_mkdirat(int dirfd, const char *path, mode_t mode)
{
	int r = noria_file_refuse_direct("mkdirat", dirfd, -1);

	return r < 0 ? r : (int)op_call("mkdirat", 0, io_uring_prep_mkdirat, dirfd, path, mode);
}

int noria_mkdir(const char *path, mode_t mode)
{
	return noria_mkdirat(AT_FDCWD, path, mode);
}

ssize_t noria_readlinkat(int dirfd, const char *path, char *buffer, size_t size)
{
	return (ssize_t)file_block("readlinkat", dirfd, -1, SYS_readlinkat, dirfd, (long)path, (long)buffer,
				   (long)size);
}

ssize_t noria_readlink(const char *path, char *buffer, size_t size)
{
	return noria_readlinkat(AT_FDCWD, path, buffer, size);
}
