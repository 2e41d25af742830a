/* SPDX-License-Identifier: MIT */
/*
 * Files by their names. While a simulated run is under way every name is one of its host's disk, but for names below a
 * directory that is the process's own; libc.h says when that is. What the C library opens by itself (fopen(), dlopen())
 * does not come here.
 */
#include "simulation/disk/disk.h"
#include "simulation/file.h"
#include "simulation/host.h"
#include "testing/libc.h"

#include <fcntl.h>
#include <liburing.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- opening ---- */

static int open_at(int dirfd, const char *path, int flags, mode_t mode)
{
	struct io_uring_sqe sqe = {0};

	if (!noria_libc_names_ours(dirfd, path))
		return (int)LIBC_RAW(SYS_openat, dirfd, path, flags, mode);
	io_uring_prep_openat(&sqe, dirfd, path, flags, mode);
	return (int)libc_answer(noria_libc_make(&sqe));
}

static bool takes_mode(int flags)
{
	return flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE;
}

static int libc_openat(int dirfd, const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list list;

	va_start(list, flags);
	if (takes_mode(flags))
		mode = va_arg(list, mode_t);
	va_end(list);
	return open_at(dirfd, path, flags, mode);
}

static int libc_open(const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list list;

	va_start(list, flags);
	if (takes_mode(flags))
		mode = va_arg(list, mode_t);
	va_end(list);
	return open_at(AT_FDCWD, path, flags, mode);
}

static int libc_creat(const char *path, mode_t mode)
{
	return open_at(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

/* As _FORTIFY_SOURCE calls them: without a mode. */
static int libc_open_2(const char *path, int flags)
{
	return open_at(AT_FDCWD, path, flags, 0);
}

static int libc_openat_2(int dirfd, const char *path, int flags)
{
	return open_at(dirfd, path, flags, 0);
}

LIBC_EXPORT(open, open);
LIBC_EXPORT(open, open64);
LIBC_EXPORT(openat, openat);
LIBC_EXPORT(openat, openat64);
LIBC_EXPORT(creat, creat);
LIBC_EXPORT(creat, creat64);
LIBC_EXPORT(open_2, __open_2);
LIBC_EXPORT(open_2, __open64_2);
LIBC_EXPORT(openat_2, __openat_2);
LIBC_EXPORT(openat_2, __openat64_2);

/* ---- asking ---- */

static int libc_statx(int dirfd, const char *path, int flags, unsigned mask, struct statx *ret_statx)
{
	struct io_uring_sqe sqe = {0};

	if (!noria_libc_names_ours(dirfd, path))
		return (int)LIBC_RAW(SYS_statx, dirfd, path, flags, mask, ret_statx);
	io_uring_prep_statx(&sqe, dirfd, path, flags, mask, ret_statx);
	return (int)libc_answer(noria_libc_make(&sqe));
}

static int libc_fstatat(int dirfd, const char *path, struct stat *ret_stat, int flags)
{
	struct sim_host *host;

	if (!noria_libc_names_ours(dirfd, path))
#ifdef SYS_newfstatat
		return (int)LIBC_RAW(SYS_newfstatat, dirfd, path, ret_stat, flags);
#else
		return (int)LIBC_RAW(SYS_fstatat, dirfd, path, ret_stat, flags);
#endif
	host = testing_host();
	return (int)libc_answer(host->up ? sim_fstatat(host, dirfd, path, ret_stat, flags) : -EHOSTDOWN);
}

static int libc_fstat(int fd, struct stat *ret_stat)
{
	struct sim_file *file;

	if (!libc_is_ours(fd))
		return (int)LIBC_RAW(SYS_fstat, fd, ret_stat);
	file = noria_libc_file(fd);
	return file ? (int)libc_answer(sim_fstat(file, ret_stat)) : -1;
}

static int libc_stat(const char *path, struct stat *ret_stat)
{
	return libc_fstatat(AT_FDCWD, path, ret_stat, 0);
}

static int libc_lstat(const char *path, struct stat *ret_stat)
{
	return libc_fstatat(AT_FDCWD, path, ret_stat, AT_SYMLINK_NOFOLLOW);
}

static int libc_faccessat(int dirfd, const char *path, int mode, int flags)
{
	struct sim_host *host;

	if (!noria_libc_names_ours(dirfd, path))
		return (int)LIBC_RAW(SYS_faccessat2, dirfd, path, mode, flags);
	host = testing_host();
	return (int)libc_answer(host->up ? sim_faccessat(host, dirfd, path, mode, flags) : -EHOSTDOWN);
}

static int libc_access(const char *path, int mode)
{
	if (!noria_libc_names_ours(AT_FDCWD, path))
		return (int)LIBC_RAW(SYS_faccessat, AT_FDCWD, path, mode);
	return libc_faccessat(AT_FDCWD, path, mode, 0);
}

LIBC_EXPORT(statx, statx);
LIBC_EXPORT(fstatat, fstatat);
LIBC_EXPORT(fstatat, fstatat64);
LIBC_EXPORT(fstat, fstat);
LIBC_EXPORT(fstat, fstat64);
LIBC_EXPORT(stat, stat);
LIBC_EXPORT(stat, stat64);
LIBC_EXPORT(lstat, lstat);
LIBC_EXPORT(lstat, lstat64);
LIBC_EXPORT(faccessat, faccessat);
LIBC_EXPORT(access, access);

/* ---- changing ---- */

static int libc_unlinkat(int dirfd, const char *path, int flags)
{
	struct io_uring_sqe sqe = {0};

	if (!noria_libc_names_ours(dirfd, path))
		return (int)LIBC_RAW(SYS_unlinkat, dirfd, path, flags);
	io_uring_prep_unlinkat(&sqe, dirfd, path, flags);
	return (int)libc_answer(noria_libc_make(&sqe));
}

static int libc_unlink(const char *path)
{
	return libc_unlinkat(AT_FDCWD, path, 0);
}

static int libc_rmdir(const char *path)
{
	return libc_unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

static int libc_renameat2(int old_dirfd, const char *old_path, int new_dirfd, const char *new_path, unsigned flags)
{
	struct io_uring_sqe sqe = {0};

	if (!noria_libc_names_ours(old_dirfd, old_path) && !noria_libc_names_ours(new_dirfd, new_path))
		return (int)LIBC_RAW(SYS_renameat2, old_dirfd, old_path, new_dirfd, new_path, flags);
	if (noria_libc_names_ours(old_dirfd, old_path) != noria_libc_names_ours(new_dirfd, new_path))
		return (int)libc_answer(-EXDEV);
	io_uring_prep_renameat(&sqe, old_dirfd, old_path, new_dirfd, new_path, flags);
	return (int)libc_answer(noria_libc_make(&sqe));
}

static int libc_renameat(int old_dirfd, const char *old_path, int new_dirfd, const char *new_path)
{
	return libc_renameat2(old_dirfd, old_path, new_dirfd, new_path, 0);
}

static int libc_rename(const char *old_path, const char *new_path)
{
	return libc_renameat2(AT_FDCWD, old_path, AT_FDCWD, new_path, 0);
}

/* The C library's own: a directory or anything else. */
static int libc_remove(const char *path)
{
	int r = libc_unlink(path);

	return r < 0 && errno == EISDIR ? libc_rmdir(path) : r;
}

static int libc_mkdirat(int dirfd, const char *path, mode_t mode)
{
	struct io_uring_sqe sqe = {0};

	if (!noria_libc_names_ours(dirfd, path))
		return (int)LIBC_RAW(SYS_mkdirat, dirfd, path, mode);
	io_uring_prep_mkdirat(&sqe, dirfd, path, mode);
	return (int)libc_answer(noria_libc_make(&sqe));
}

static int libc_mkdir(const char *path, mode_t mode)
{
	return libc_mkdirat(AT_FDCWD, path, mode);
}

static int libc_symlinkat(const char *target, int dirfd, const char *path)
{
	struct io_uring_sqe sqe = {0};

	if (!noria_libc_names_ours(dirfd, path))
		return (int)LIBC_RAW(SYS_symlinkat, target, dirfd, path);
	io_uring_prep_symlinkat(&sqe, target, dirfd, path);
	return (int)libc_answer(noria_libc_make(&sqe));
}

static int libc_symlink(const char *target, const char *path)
{
	return libc_symlinkat(target, AT_FDCWD, path);
}

static int libc_linkat(int old_dirfd, const char *old_path, int new_dirfd, const char *new_path, int flags)
{
	struct io_uring_sqe sqe = {0};

	if (!noria_libc_names_ours(old_dirfd, old_path) && !noria_libc_names_ours(new_dirfd, new_path))
		return (int)LIBC_RAW(SYS_linkat, old_dirfd, old_path, new_dirfd, new_path, flags);
	if (noria_libc_names_ours(old_dirfd, old_path) != noria_libc_names_ours(new_dirfd, new_path))
		return (int)libc_answer(-EXDEV);
	io_uring_prep_linkat(&sqe, old_dirfd, old_path, new_dirfd, new_path, flags);
	return (int)libc_answer(noria_libc_make(&sqe));
}

static int libc_link(const char *old_path, const char *new_path)
{
	return libc_linkat(AT_FDCWD, old_path, AT_FDCWD, new_path, 0);
}

LIBC_EXPORT(unlinkat, unlinkat);
LIBC_EXPORT(unlink, unlink);
LIBC_EXPORT(rmdir, rmdir);
LIBC_EXPORT(remove, remove);
LIBC_EXPORT(renameat2, renameat2);
LIBC_EXPORT(renameat, renameat);
LIBC_EXPORT(rename, rename);
LIBC_EXPORT(mkdirat, mkdirat);
LIBC_EXPORT(mkdir, mkdir);
LIBC_EXPORT(symlinkat, symlinkat);
LIBC_EXPORT(symlink, symlink);
LIBC_EXPORT(linkat, linkat);
LIBC_EXPORT(link, link);

/* ---- open files ---- */

static int sync_file(int fd, unsigned flags)
{
	struct io_uring_sqe sqe = {0};

	io_uring_prep_fsync(&sqe, fd, flags);
	return (int)libc_answer(noria_libc_make(&sqe));
}

static int libc_fsync(int fd)
{
	return libc_is_ours(fd) ? sync_file(fd, 0) : (int)LIBC_RAW(SYS_fsync, fd);
}

static int libc_fdatasync(int fd)
{
	return libc_is_ours(fd) ? sync_file(fd, IORING_FSYNC_DATASYNC) : (int)LIBC_RAW(SYS_fdatasync, fd);
}

static int libc_ftruncate(int fd, int64_t size)
{
	struct io_uring_sqe sqe = {0};

	if (!libc_is_ours(fd))
		return (int)LIBC_RAW(SYS_ftruncate, fd, size);
	io_uring_prep_ftruncate(&sqe, fd, size);
	return (int)libc_answer(noria_libc_make(&sqe));
}

static int libc_truncate(const char *path, int64_t size)
{
	int fd, r, error;

	if (!noria_libc_names_ours(AT_FDCWD, path))
		return (int)LIBC_RAW(SYS_truncate, path, size);
	fd = open_at(AT_FDCWD, path, O_WRONLY, 0);
	if (fd < 0)
		return -1;
	r = libc_ftruncate(fd, size);
	error = errno;
	sim_fd_close(sim_world, fd);
	errno = error;
	return r;
}

static int libc_fallocate(int fd, int mode, int64_t offset, int64_t size)
{
	struct io_uring_sqe sqe = {0};

	if (!libc_is_ours(fd))
		return (int)LIBC_RAW(SYS_fallocate, fd, mode, offset, size);
	io_uring_prep_fallocate(&sqe, fd, mode, (uint64_t)offset, (uint64_t)size);
	return (int)libc_answer(noria_libc_make(&sqe));
}

LIBC_EXPORT(fsync, fsync);
LIBC_EXPORT(fdatasync, fdatasync);
LIBC_EXPORT(ftruncate, ftruncate);
LIBC_EXPORT(ftruncate, ftruncate64);
LIBC_EXPORT(truncate, truncate);
LIBC_EXPORT(truncate, truncate64);
LIBC_EXPORT(fallocate, fallocate);
LIBC_EXPORT(fallocate, fallocate64);
