/* SPDX-License-Identifier: MIT */
/*
 * The disk of a simulated host: one file system in memory, and what a crash leaves of it (README.md says which). These
 * are its system calls, made at once; the ring's operations (operation_disk.c) come here when a worker has done them,
 * and so do the calls of libc that a program makes on the descriptors of a world.
 *
 * As in the system calls, `dirfd` is a descriptor of the world or AT_FDCWD, which is the root directory, and counts
 * only for a path that is relative. Everybody is root. All return 0 or more, or a negative errno; what a `ret_` names
 * is untouched then. Files of a host that has crashed since are dead: -EHOSTDOWN.
 */
#ifndef NORIA_SIMULATION_DISK_H
#define NORIA_SIMULATION_DISK_H

#include "simulation/file.h"

#include <linux/openat2.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/vfs.h>

struct sim_disk;
struct sim_file;
struct sim_host;
struct statx;

#define SIM_DISK_CAPACITY (UINT64_C(1) << 30)

/*
 * The one of a host, made by the first use, with / /tmp /etc/hosts /dev/{null,zero,full,random,urandom} /home /var.
 * NULL: no memory.
 */
struct sim_disk *sim_disk_of(struct sim_host *host);
void sim_disk_free(struct sim_disk *disk);
/* Power is lost: what was not yet durable is kept, lost or torn, as is drawn. */
void sim_disk_crash(struct sim_disk *disk);
/* How many bytes files may have; SIM_DISK_CAPACITY unless set. Less than there are: it is full. */
void sim_disk_set_capacity(struct sim_disk *disk, uint64_t bytes);

/* A file of a disk: regular, a directory, a device. The others (sockets, pipes) answer as the kernel's do. */
bool sim_file_is_on_disk(const struct sim_file *file);

/* ---- opening ---- */

/* `how` is never changed; its mode loses what sim_umask() says. The new file's reference is the caller's. */
int sim_openat(struct sim_host *host, int dirfd, const char *path, const struct open_how *how,
	       struct sim_file **ret_file);
/* A file that has no name: memfd_create(2). */
int sim_memfd(struct sim_host *host, const char *name, unsigned flags, struct sim_file **ret_file);
/* Returns the one before; 022 at first. */
mode_t sim_umask(struct sim_host *host, mode_t mask);

/* ---- names ---- */

int sim_mkdirat(struct sim_host *host, int dirfd, const char *path, mode_t mode);
int sim_unlinkat(struct sim_host *host, int dirfd, const char *path, int flags);
int sim_renameat(struct sim_host *host, int old_dirfd, const char *old_path, int new_dirfd, const char *new_path,
		 unsigned flags);
/* `flags`: AT_SYMLINK_FOLLOW, AT_EMPTY_PATH; /proc/self/fd/N is known, too. */
int sim_linkat(struct sim_host *host, int old_dirfd, const char *old_path, int new_dirfd, const char *new_path,
	       int flags);
int sim_symlinkat(struct sim_host *host, const char *target, int dirfd, const char *path);
/* Returns the length; not terminated. */
int64_t sim_readlinkat(struct sim_host *host, int dirfd, const char *path, char *target, size_t size);
int sim_faccessat(struct sim_host *host, int dirfd, const char *path, int mode, int flags);
/* Records of struct linux_dirent64. Returns how many bytes were filled, 0 at the end. */
int64_t sim_getdents(struct sim_file *file, void *buffer, size_t size);
/* The absolute path of a directory or a file that has a name still. Returns its length; -ENOENT, -ERANGE. */
int64_t sim_file_path(struct sim_file *file, char *path, size_t size);

/* ---- what is known of a file ---- */

/* Of any file, also of sockets and pipes. */
int sim_fstat(struct sim_file *file, struct stat *ret_status);
/* `flags`: AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW and those that ask for nothing here. */
int sim_fstatat(struct sim_host *host, int dirfd, const char *path, struct stat *ret_status, int flags);
int sim_statx(struct sim_host *host, int dirfd, const char *path, int flags, unsigned mask, struct statx *ret_status);
int sim_fstatfs(struct sim_file *file, struct statfs *ret_status);
int sim_statfs(struct sim_host *host, const char *path, struct statfs *ret_status);
int sim_fchmod(struct sim_file *file, mode_t mode);
int sim_fchmodat(struct sim_host *host, int dirfd, const char *path, mode_t mode, int flags);
/* `times`: that of access, that of change, with UTIME_NOW and UTIME_OMIT; NULL: both now. */
int sim_futimens(struct sim_file *file, const struct timespec times[2]);
int sim_utimensat(struct sim_host *host, int dirfd, const char *path, const struct timespec times[2], int flags);

/* As getxattr(2) and its kin: a size of 0 asks how long it is. `follow`: a symbolic link is one that it leads to. */
int64_t sim_fgetxattr(struct sim_file *file, const char *name, void *value, size_t size);
int64_t sim_getxattr(struct sim_host *host, const char *path, bool follow, const char *name, void *value, size_t size);
int64_t sim_flistxattr(struct sim_file *file, char *names, size_t size);
int64_t sim_listxattr(struct sim_host *host, const char *path, bool follow, char *names, size_t size);
int sim_fsetxattr(struct sim_file *file, const char *name, const void *value, size_t size, int flags);
int sim_setxattr(struct sim_host *host, const char *path, bool follow, const char *name, const void *value, size_t size,
		 int flags);
int sim_fremovexattr(struct sim_file *file, const char *name);
int sim_removexattr(struct sim_host *host, const char *path, bool follow, const char *name);

/* ---- bytes; reading and writing are file->class->read and ->write ---- */

/* SEEK_SET, SEEK_CUR, SEEK_END, SEEK_DATA, SEEK_HOLE. Returns the new position. */
int64_t sim_lseek(struct sim_file *file, int64_t offset, int whence);
int sim_ftruncate(struct sim_file *file, int64_t size);
/* 0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, FALLOC_FL_ZERO_RANGE; others: -EOPNOTSUPP. */
int sim_fallocate(struct sim_file *file, int mode, int64_t offset, int64_t length);
/* Returns the bytes copied. An offset that is NULL: the file's own position. */
int64_t sim_copy_file_range(struct sim_file *in, int64_t *in_offset, struct sim_file *out, int64_t *out_offset,
			    size_t size, unsigned flags);
/* `data_only`: fdatasync(2). After -EIO the pages count as written, though some may not be. */
int sim_fsync(struct sim_file *file, bool data_only);
/* Promises nothing: neither size nor names, and what a disk has in its cache is lost with its power. */
int sim_sync_file_range(struct sim_file *file, int64_t offset, int64_t length, unsigned flags);
/* sync(2), syncfs(2): everything becomes durable. */
int sim_sync(struct sim_host *host);

#endif
