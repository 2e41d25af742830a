/* SPDX-License-Identifier: MIT */
/*
 * What is asked of open files and their inodes beside their bytes: positions, entries, attributes, times. Names are
 * those of libc_path.c, and some of this has no function in the C library, or is called by number: see libc_syscall.c.
 */
#include "testing/libc_disk.h"

#include "simulation/disk/disk.h"
#include "simulation/file.h"
#include "simulation/host.h"
#include "testing/libc.h"

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452 /* Linux 6.6 */
#endif

/* Of an open file of the world: `made` is what the simulation answers. */
#define ON_FILE(fd, raw, made) \
	do { \
		struct sim_file *file; \
\
		if (!libc_is_ours(fd)) \
			return (raw); \
		file = noria_libc_file(fd); \
		return (__typeof__(raw))(file ? libc_answer(made) : -1); \
	} while (0)

/* Of what a name stands for on the disk of the host that asks. */
#define ON_NAME(dirfd, path, raw, made) \
	do { \
		struct sim_host *host; \
\
		if (!noria_libc_names_ours((dirfd), (path))) \
			return (raw); \
		host = testing_host(); \
		return (__typeof__(raw))libc_answer(host->up ? (made) : -EHOSTDOWN); \
	} while (0)

static int64_t libc_lseek(int fd, int64_t offset, int whence)
{
	ON_FILE(fd, LIBC_RAW(SYS_lseek, fd, offset, whence), sim_lseek(file, offset, whence));
}

static ssize_t libc_getdents64(int fd, void *buffer, size_t size)
{
	ON_FILE(fd, LIBC_RAW(SYS_getdents64, fd, buffer, size), sim_getdents(file, buffer, size));
}

LIBC_EXPORT(lseek, lseek);
LIBC_EXPORT(lseek, lseek64);
LIBC_EXPORT(getdents64, getdents64);

/* ---- names ---- */

static ssize_t libc_readlinkat(int dirfd, const char *path, char *target, size_t size)
{
	ON_NAME(dirfd, path, LIBC_RAW(SYS_readlinkat, dirfd, path, target, size),
		sim_readlinkat(host, dirfd, path, target, size));
}

static ssize_t libc_readlink(const char *path, char *target, size_t size)
{
	return libc_readlinkat(AT_FDCWD, path, target, size);
}

static char *libc_getcwd(char *buffer, size_t size)
{
	static char *(*real)(char *, size_t);

	if (testing_simulated() && buffer && size > 1)
		return memcpy(buffer, "/", 2);
	if (!real)
		real = (__typeof__(real))dlsym(RTLD_NEXT, "getcwd");
	return real(buffer, size);
}

/* The directories of /proc that tell of this process are its own in any world. */
static DIR *libc_opendir(const char *path)
{
	static DIR *(*real)(const char *);

	if (testing_simulated() && strncmp(path, "/proc/self/", 11) != 0) {
		noria_libc_refuse("opendir()");
		return NULL;
	}
	if (!real)
		real = (__typeof__(real))dlsym(RTLD_NEXT, "opendir");
	return real(path);
}

LIBC_EXPORT(readlinkat, readlinkat);
LIBC_EXPORT(readlink, readlink);
LIBC_EXPORT(getcwd, getcwd);
LIBC_EXPORT(opendir, opendir);

/* ---- modes, owners and times ---- */

static int libc_fchmod(int fd, mode_t mode)
{
	ON_FILE(fd, (int)LIBC_RAW(SYS_fchmod, fd, mode), (int)sim_fchmod(file, mode));
}

static int libc_fchmodat(int dirfd, const char *path, mode_t mode, int flags)
{
	ON_NAME(dirfd, path, (int)LIBC_RAW(flags ? SYS_fchmodat2 : SYS_fchmodat, dirfd, path, mode, flags),
		sim_fchmodat(host, dirfd, path, mode, flags));
}

static int libc_chmod(const char *path, mode_t mode)
{
	return libc_fchmodat(AT_FDCWD, path, mode, 0);
}

static int libc_futimens(int fd, const struct timespec times[2])
{
	ON_FILE(fd, (int)LIBC_RAW(SYS_utimensat, fd, NULL, times, 0), sim_futimens(file, times));
}

static int libc_utimensat(int dirfd, const char *path, const struct timespec times[2], int flags)
{
	if (!path)
		return libc_futimens(dirfd, times);
	ON_NAME(dirfd, path, (int)LIBC_RAW(SYS_utimensat, dirfd, path, times, flags),
		sim_utimensat(host, dirfd, path, times, flags));
}

/* Everybody is root, and everything root's. */
static int64_t own(uid_t owner, gid_t group)
{
	return (owner == 0 || owner == (uid_t)-1) && (group == 0 || group == (gid_t)-1) ? 0 : -EOPNOTSUPP;
}

static int libc_fchown(int fd, uid_t owner, gid_t group)
{
	ON_FILE(fd, (int)LIBC_RAW(SYS_fchown, fd, owner, group), own(owner, group));
}

static int libc_fchownat(int dirfd, const char *path, uid_t owner, gid_t group, int flags)
{
	ON_NAME(dirfd, path, (int)LIBC_RAW(SYS_fchownat, dirfd, path, owner, group, flags), own(owner, group));
}

static mode_t libc_umask(mode_t mask)
{
	return testing_simulated() ? sim_umask(testing_host(), mask) : (mode_t)LIBC_RAW(SYS_umask, mask);
}

LIBC_EXPORT(fchmod, fchmod);
LIBC_EXPORT(fchmodat, fchmodat);
LIBC_EXPORT(chmod, chmod);
LIBC_EXPORT(futimens, futimens);
LIBC_EXPORT(utimensat, utimensat);
LIBC_EXPORT(fchown, fchown);
LIBC_EXPORT(fchownat, fchownat);
LIBC_EXPORT(umask, umask);

/* ---- extended attributes ---- */

static ssize_t libc_fgetxattr(int fd, const char *name, void *value, size_t size)
{
	ON_FILE(fd, LIBC_RAW(SYS_fgetxattr, fd, name, value, size), sim_fgetxattr(file, name, value, size));
}

static ssize_t libc_getxattr(const char *path, const char *name, void *value, size_t size)
{
	ON_NAME(AT_FDCWD, path, LIBC_RAW(SYS_getxattr, path, name, value, size),
		sim_getxattr(host, path, true, name, value, size));
}

static ssize_t libc_lgetxattr(const char *path, const char *name, void *value, size_t size)
{
	ON_NAME(AT_FDCWD, path, LIBC_RAW(SYS_lgetxattr, path, name, value, size),
		sim_getxattr(host, path, false, name, value, size));
}

static ssize_t libc_flistxattr(int fd, char *names, size_t size)
{
	ON_FILE(fd, LIBC_RAW(SYS_flistxattr, fd, names, size), sim_flistxattr(file, names, size));
}

static ssize_t libc_listxattr(const char *path, char *names, size_t size)
{
	ON_NAME(AT_FDCWD, path, LIBC_RAW(SYS_listxattr, path, names, size),
		sim_listxattr(host, path, true, names, size));
}

static ssize_t libc_llistxattr(const char *path, char *names, size_t size)
{
	ON_NAME(AT_FDCWD, path, LIBC_RAW(SYS_llistxattr, path, names, size),
		sim_listxattr(host, path, false, names, size));
}

static int libc_fsetxattr(int fd, const char *name, const void *value, size_t size, int flags)
{
	ON_FILE(fd, (int)LIBC_RAW(SYS_fsetxattr, fd, name, value, size, flags),
		sim_fsetxattr(file, name, value, size, flags));
}

static int libc_setxattr(const char *path, const char *name, const void *value, size_t size, int flags)
{
	ON_NAME(AT_FDCWD, path, (int)LIBC_RAW(SYS_setxattr, path, name, value, size, flags),
		sim_setxattr(host, path, true, name, value, size, flags));
}

static int libc_lsetxattr(const char *path, const char *name, const void *value, size_t size, int flags)
{
	ON_NAME(AT_FDCWD, path, (int)LIBC_RAW(SYS_lsetxattr, path, name, value, size, flags),
		sim_setxattr(host, path, false, name, value, size, flags));
}

static int libc_fremovexattr(int fd, const char *name)
{
	ON_FILE(fd, (int)LIBC_RAW(SYS_fremovexattr, fd, name), sim_fremovexattr(file, name));
}

static int libc_removexattr(const char *path, const char *name)
{
	ON_NAME(AT_FDCWD, path, (int)LIBC_RAW(SYS_removexattr, path, name), sim_removexattr(host, path, true, name));
}

static int libc_lremovexattr(const char *path, const char *name)
{
	ON_NAME(AT_FDCWD, path, (int)LIBC_RAW(SYS_lremovexattr, path, name), sim_removexattr(host, path, false, name));
}

LIBC_EXPORT(fgetxattr, fgetxattr);
LIBC_EXPORT(getxattr, getxattr);
LIBC_EXPORT(lgetxattr, lgetxattr);
LIBC_EXPORT(flistxattr, flistxattr);
LIBC_EXPORT(listxattr, listxattr);
LIBC_EXPORT(llistxattr, llistxattr);
LIBC_EXPORT(fsetxattr, fsetxattr);
LIBC_EXPORT(setxattr, setxattr);
LIBC_EXPORT(lsetxattr, lsetxattr);
LIBC_EXPORT(fremovexattr, fremovexattr);
LIBC_EXPORT(removexattr, removexattr);
LIBC_EXPORT(lremovexattr, lremovexattr);

/* ---- the rest ---- */

static int libc_fstatfs(int fd, struct statfs *ret_status)
{
	ON_FILE(fd, (int)LIBC_RAW(SYS_fstatfs, fd, ret_status), sim_fstatfs(file, ret_status));
}

static int libc_statfs(const char *path, struct statfs *ret_status)
{
	ON_NAME(AT_FDCWD, path, (int)LIBC_RAW(SYS_statfs, path, ret_status), sim_statfs(host, path, ret_status));
}

static int libc_sync_file_range(int fd, int64_t offset, int64_t size, unsigned flags)
{
	ON_FILE(fd, (int)LIBC_RAW(SYS_sync_file_range, fd, offset, size, flags),
		sim_sync_file_range(file, offset, size, flags));
}

/* Both are the world's, or none is. */
static ssize_t libc_copy_file_range(int fd_in, int64_t *offset_in, int fd_out, int64_t *offset_out, size_t size,
				    unsigned flags)
{
	struct sim_file *in, *out;

	if (!libc_is_ours(fd_in) && !libc_is_ours(fd_out))
		return LIBC_RAW(SYS_copy_file_range, fd_in, offset_in, fd_out, offset_out, size, flags);
	in = sim_fd_file(sim_world, fd_in);
	out = sim_fd_file(sim_world, fd_out);
	return libc_answer(in && out ? sim_copy_file_range(in, offset_in, out, offset_out, size, flags) : -EBADF);
}

/* Answers the error itself. */
static int libc_posix_fadvise(int fd, int64_t offset, int64_t size, int advice)
{
	int saved_errno = errno;
	long r;

	if (libc_is_ours(fd))
		return sim_fd_file(sim_world, fd) ? 0 : EBADF;
	r = LIBC_RAW(SYS_fadvise64, fd, offset, size, advice);
	r = r < 0 ? errno : 0;
	errno = saved_errno;
	return (int)r;
}

static int libc_syncfs(int fd)
{
	ON_FILE(fd, (int)LIBC_RAW(SYS_syncfs, fd), sim_sync(file->host));
}

static void libc_sync(void)
{
	if (testing_simulated())
		(void)sim_sync(testing_host());
	else
		LIBC_RAW(SYS_sync, 0);
}

static int libc_memfd_create(const char *name, unsigned flags)
{
	struct sim_host *host = noria_libc_host();
	struct sim_file *file;
	int r;

	if (!host)
		return (int)LIBC_RAW(SYS_memfd_create, name, flags);
	r = host->up ? sim_memfd(host, name, flags, &file) : -EHOSTDOWN;
	return (int)libc_answer(r < 0 ? r : sim_fd_install(file));
}

LIBC_EXPORT(fstatfs, fstatfs);
LIBC_EXPORT(fstatfs, fstatfs64);
LIBC_EXPORT(statfs, statfs);
LIBC_EXPORT(statfs, statfs64);
LIBC_EXPORT(sync_file_range, sync_file_range);
LIBC_EXPORT(copy_file_range, copy_file_range);
LIBC_EXPORT(posix_fadvise, posix_fadvise);
LIBC_EXPORT(posix_fadvise, posix_fadvise64);
LIBC_EXPORT(syncfs, syncfs);
LIBC_EXPORT(sync, sync);
LIBC_EXPORT(memfd_create, memfd_create);

/* ---- by number ---- */

static long advise(const long a[6])
{
	return libc_answer(-libc_posix_fadvise((int)a[0], a[1], a[2], (int)a[3]));
}

/* Each goes on to the kernel by itself where it does not concern the world. */
bool noria_libc_disk_syscall(long number, const long a[6], long *ret_r)
{
#define TEXT(i)   ((const char *)a[i])
#define MEMORY(i) ((void *)a[i])
#define IS(name, made) \
	case SYS_##name: \
		*ret_r = (made); \
		return true
	switch (number) {
		IS(readlinkat, libc_readlinkat((int)a[0], TEXT(1), MEMORY(2), (size_t)a[3]));
		IS(fchmod, libc_fchmod((int)a[0], (mode_t)a[1]));
		IS(fchmodat, libc_fchmodat((int)a[0], TEXT(1), (mode_t)a[2], 0));
		IS(fchown, libc_fchown((int)a[0], (uid_t)a[1], (gid_t)a[2]));
		IS(fchownat, libc_fchownat((int)a[0], TEXT(1), (uid_t)a[2], (gid_t)a[3], (int)a[4]));
		IS(utimensat, libc_utimensat((int)a[0], TEXT(1), MEMORY(2), (int)a[3]));
		IS(fgetxattr, libc_fgetxattr((int)a[0], TEXT(1), MEMORY(2), (size_t)a[3]));
		IS(getxattr, libc_getxattr(TEXT(0), TEXT(1), MEMORY(2), (size_t)a[3]));
		IS(lgetxattr, libc_lgetxattr(TEXT(0), TEXT(1), MEMORY(2), (size_t)a[3]));
		IS(flistxattr, libc_flistxattr((int)a[0], MEMORY(1), (size_t)a[2]));
		IS(listxattr, libc_listxattr(TEXT(0), MEMORY(1), (size_t)a[2]));
		IS(llistxattr, libc_llistxattr(TEXT(0), MEMORY(1), (size_t)a[2]));
		IS(fsetxattr, libc_fsetxattr((int)a[0], TEXT(1), MEMORY(2), (size_t)a[3], (int)a[4]));
		IS(setxattr, libc_setxattr(TEXT(0), TEXT(1), MEMORY(2), (size_t)a[3], (int)a[4]));
		IS(lsetxattr, libc_lsetxattr(TEXT(0), TEXT(1), MEMORY(2), (size_t)a[3], (int)a[4]));
		IS(fremovexattr, libc_fremovexattr((int)a[0], TEXT(1)));
		IS(removexattr, libc_removexattr(TEXT(0), TEXT(1)));
		IS(lremovexattr, libc_lremovexattr(TEXT(0), TEXT(1)));
		IS(sync_file_range, libc_sync_file_range((int)a[0], a[1], a[2], (unsigned)a[3]));
		IS(copy_file_range,
		   libc_copy_file_range((int)a[0], MEMORY(1), (int)a[2], MEMORY(3), (size_t)a[4], (unsigned)a[5]));
		IS(fadvise64, advise(a));
	default:
		return false;
	}
}
