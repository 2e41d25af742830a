/* SPDX-License-Identifier: MIT */
/*
 * Files, pipes and whatever has a descriptor, by the names of their system calls. What holds for all operations
 * (checkpoints, results, buffers, time limits) is said in op.h; every function here is a checkpoint, belongs to the
 * runtime's thread, and returns what its system call returns or a negative errno: the call's own errors, -ECANCELED
 * when the scope is cancelled, -ENXIO outside a runtime. Paths and buffers must stay valid until the call returns.
 *
 * Most of these are carried out by the kernel's ring, and where that may wait for a disk, by its workers. Some have no
 * operation there, or this kernel has none (`noria doctor`): then a thread of the executor makes the system call, and
 * the call may also return -EAGAIN (no thread can be created) or -ENOMEM, and with a direct descriptor -EOPNOTSUPP;
 * such a function says "executor". What a worker or a thread has begun is not stopped by a cancel or a time limit, but
 * waited for, and its result is delivered; what has not begun ends with -ECANCELED, and nothing has happened.
 *
 * Signals are as with the system calls: a pipe that nobody reads from answers -EPIPE, a write beyond RLIMIT_FSIZE
 * -EFBIG, if the program ignores SIGPIPE or SIGXFSZ; else the kernel may end it.
 */
#ifndef NORIA_FILE_H
#define NORIA_FILE_H

#include <noria/base.h>
#include <sys/uio.h>

struct open_how;
struct stat;
struct statx;
struct timespec;

NORIA_BEGIN_DECLS

/*
 * Reading and writing. As read(2), write(2), readv(2), writev(2), pread(2), pwrite(2), preadv(2), pwritev(2),
 * preadv2(2), pwritev2(2) (flags: RWF_DSYNC, RWF_SYNC, RWF_APPEND, RWF_NOWAIT, ...; what the file does not know:
 * -EOPNOTSUPP). Counts may be short: noria_read_all(3) and its kin go on. A descriptor with O_NONBLOCK is waited for
 * all the same. On a pipe or a socket, which have no positions, the kernel's ring ignores an offset. After a write that
 * came short a direct descriptor's position is where it was before: give it offsets.
 * Since 0.1; the last four since 0.2.
 */
NORIA_PUBLIC NORIA_CHECKED ssize_t noria_read(int fd, void *buffer, size_t size);
NORIA_PUBLIC NORIA_CHECKED ssize_t noria_write(int fd, const void *buffer, size_t size);
NORIA_PUBLIC NORIA_CHECKED ssize_t noria_readv(int fd, const struct iovec *vector, int count);
NORIA_PUBLIC NORIA_CHECKED ssize_t noria_writev(int fd, const struct iovec *vector, int count);
NORIA_PUBLIC NORIA_CHECKED ssize_t noria_pread(int fd, void *buffer, size_t size, off_t offset);
NORIA_PUBLIC NORIA_CHECKED ssize_t noria_pwrite(int fd, const void *buffer, size_t size, off_t offset);
NORIA_PUBLIC NORIA_CHECKED ssize_t noria_preadv(int fd, const struct iovec *vector, int count, off_t offset);
NORIA_PUBLIC NORIA_CHECKED ssize_t noria_pwritev(int fd, const struct iovec *vector, int count, off_t offset);
NORIA_PUBLIC NORIA_CHECKED ssize_t noria_preadv2(int fd, const struct iovec *vector, int count, off_t offset,
						 int flags);
NORIA_PUBLIC NORIA_CHECKED ssize_t noria_pwritev2(int fd, const struct iovec *vector, int count, off_t offset,
						  int flags);

/*
 * Opening. As open(2), openat(2), openat2(2) (with the size of the struct open_how it was built with), creat(2).
 * O_CLOEXEC is yours to give. A FIFO is opened as with O_NONBLOCK where its path is cached by the kernel: it does not
 * wait for the other end (and writing answers -ENXIO when there is no reader). A descriptor that comes in spite of a
 * cancel is returned. noria_openat() and noria_openat2() since 0.1, the others since 0.2.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_open(const char *path, int flags, mode_t mode);
NORIA_PUBLIC NORIA_CHECKED int noria_openat(int dirfd, const char *path, int flags, mode_t mode);
NORIA_PUBLIC NORIA_CHECKED int noria_openat2(int dirfd, const char *path, const struct open_how *how, size_t size);
NORIA_PUBLIC NORIA_CHECKED int noria_creat(const char *path, mode_t mode);

/*
 * Asking. As statx(2), and as stat(2), lstat(2), fstat(2), fstatat(2), which are made of it; the result is untouched on
 * failure. noria_statx() since 0.1, the others since 0.2.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_statx(int dirfd, const char *path, int flags, unsigned mask, struct statx *result);
NORIA_PUBLIC NORIA_CHECKED int noria_stat(const char *path, struct stat *ret_status);
NORIA_PUBLIC NORIA_CHECKED int noria_lstat(const char *path, struct stat *ret_status);
NORIA_PUBLIC NORIA_CHECKED int noria_fstat(int fd, struct stat *ret_status);
NORIA_PUBLIC NORIA_CHECKED int noria_fstatat(int dirfd, const char *path, struct stat *ret_status, int flags);

/*
 * To the disk. As fsync(2), fdatasync(2), sync_file_range(2) (which promises nothing about metadata). Since 0.2.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_fsync(int fd);
NORIA_PUBLIC NORIA_CHECKED int noria_fdatasync(int fd);
NORIA_PUBLIC NORIA_CHECKED int noria_sync_file_range(int fd, off_t offset, off_t size, unsigned flags);

/*
 * Size and room. As fallocate(2), ftruncate(2) (executor on older kernels), truncate(2) (executor), and what the kernel
 * should expect: as posix_fadvise(3), but errors are negative, and as madvise(2). All since 0.2.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_fallocate(int fd, int mode, off_t offset, off_t size);
NORIA_PUBLIC NORIA_CHECKED int noria_ftruncate(int fd, off_t size);
NORIA_PUBLIC NORIA_CHECKED int noria_truncate(const char *path, off_t size);
NORIA_PUBLIC NORIA_CHECKED int noria_posix_fadvise(int fd, off_t offset, off_t size, int advice);
NORIA_PUBLIC NORIA_CHECKED int noria_madvise(void *address, size_t size, int advice);

/*
 * Names. As rename(2), renameat(2), renameat2(2), unlink(2), unlinkat(2), rmdir(2), link(2), linkat(2), symlink(2),
 * symlinkat(2), mkdir(2), mkdirat(2), and readlink(2), readlinkat(2) (both executor), which end what they read with no
 * zero. Direct descriptors are no directories: -EOPNOTSUPP. All since 0.2.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_rename(const char *old_path, const char *new_path);
NORIA_PUBLIC NORIA_CHECKED int noria_renameat(int old_dirfd, const char *old_path, int new_dirfd, const char *new_path);
NORIA_PUBLIC NORIA_CHECKED int noria_renameat2(int old_dirfd, const char *old_path, int new_dirfd, const char *new_path,
					       unsigned flags);
NORIA_PUBLIC NORIA_CHECKED int noria_unlink(const char *path);
NORIA_PUBLIC NORIA_CHECKED int noria_unlinkat(int dirfd, const char *path, int flags);
NORIA_PUBLIC NORIA_CHECKED int noria_rmdir(const char *path);
NORIA_PUBLIC NORIA_CHECKED int noria_link(const char *old_path, const char *new_path);
NORIA_PUBLIC NORIA_CHECKED int noria_linkat(int old_dirfd, const char *old_path, int new_dirfd, const char *new_path,
					    int flags);
NORIA_PUBLIC NORIA_CHECKED int noria_symlink(const char *target, const char *path);
NORIA_PUBLIC NORIA_CHECKED int noria_symlinkat(const char *target, int new_dirfd, const char *path);
NORIA_PUBLIC NORIA_CHECKED int noria_mkdir(const char *path, mode_t mode);
NORIA_PUBLIC NORIA_CHECKED int noria_mkdirat(int dirfd, const char *path, mode_t mode);
NORIA_PUBLIC NORIA_CHECKED ssize_t noria_readlink(const char *path, char *buffer, size_t size);
NORIA_PUBLIC NORIA_CHECKED ssize_t noria_readlinkat(int dirfd, const char *path, char *buffer, size_t size);

/*
 * Owner, mode and times: executor, all of them. As fchmod(2), fchmodat(2) (which has no flags: -EOPNOTSUPP), fchown(2),
 * fchownat(2), futimens(3), utimensat(2). Use AT_FDCWD for a path from the working directory. All since 0.2.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_fchmod(int fd, mode_t mode);
NORIA_PUBLIC NORIA_CHECKED int noria_fchmodat(int dirfd, const char *path, mode_t mode, int flags);
NORIA_PUBLIC NORIA_CHECKED int noria_fchown(int fd, uid_t owner, gid_t group);
NORIA_PUBLIC NORIA_CHECKED int noria_fchownat(int dirfd, const char *path, uid_t owner, gid_t group, int flags);
NORIA_PUBLIC NORIA_CHECKED int noria_futimens(int fd, const struct timespec times[2]);
NORIA_PUBLIC NORIA_CHECKED int noria_utimensat(int dirfd, const char *path, const struct timespec times[2], int flags);

/*
 * Extended attributes. As setxattr(2), getxattr(2), listxattr(2), removexattr(2) and their forms for descriptors (f)
 * and for symbolic links themselves (l). Setting and getting, but for the l forms, is the ring's where it has them; the
 * rest is executor. All since 0.2.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_setxattr(const char *path, const char *name, const void *value, size_t size,
					      int flags);
NORIA_PUBLIC NORIA_CHECKED int noria_lsetxattr(const char *path, const char *name, const void *value, size_t size,
					       int flags);
NORIA_PUBLIC NORIA_CHECKED int noria_fsetxattr(int fd, const char *name, const void *value, size_t size, int flags);
NORIA_PUBLIC NORIA_CHECKED ssize_t noria_getxattr(const char *path, const char *name, void *value, size_t size);
NORIA_PUBLIC NORIA_CHECKED ssize_t noria_lgetxattr(const char *path, const char *name, void *value, size_t size);
NORIA_PUBLIC NORIA_CHECKED ssize_t noria_fgetxattr(int fd, const char *name, void *value, size_t size);
NORIA_PUBLIC NORIA_CHECKED ssize_t noria_listxattr(const char *path, char *list, size_t size);
NORIA_PUBLIC NORIA_CHECKED ssize_t noria_llistxattr(const char *path, char *list, size_t size);
NORIA_PUBLIC NORIA_CHECKED ssize_t noria_flistxattr(int fd, char *list, size_t size);
NORIA_PUBLIC NORIA_CHECKED int noria_removexattr(const char *path, const char *name);
NORIA_PUBLIC NORIA_CHECKED int noria_lremovexattr(const char *path, const char *name);
NORIA_PUBLIC NORIA_CHECKED int noria_fremovexattr(int fd, const char *name);

/* Pipes. As pipe(2), pipe2(2): the first end reads, the second writes. Never waits. Since 0.2. */
NORIA_PUBLIC NORIA_CHECKED int noria_pipe(int ret_ends[2]);
NORIA_PUBLIC NORIA_CHECKED int noria_pipe2(int ret_ends[2], int flags);

/*
 * As splice(2): moves bytes between a pipe and another descriptor without copying them through user space.
 * An offset of NULL means the descriptor's own position; otherwise it is advanced. Give a socket on the output side
 * O_NONBLOCK: the kernel waits inside the call for one that has not, and then holds the pipe for as long as the peer is
 * slow. Since 0.1.
 *
 * As tee(2): what is in one pipe also goes into another, and stays. Since 0.2.
 */
NORIA_PUBLIC NORIA_CHECKED ssize_t noria_splice(int fd_in, off_t *offset_in, int fd_out, off_t *offset_out, size_t size,
						unsigned flags);
NORIA_PUBLIC NORIA_CHECKED ssize_t noria_tee(int fd_in, int fd_out, size_t size, unsigned flags);

/*
 * As copy_file_range(2), which shares or copies within the kernel (executor). Once begun it is not stopped, however
 * large `size` is. Since 0.2.
 */
NORIA_PUBLIC NORIA_CHECKED ssize_t noria_copy_file_range(int fd_in, off_t *offset_in, int fd_out, off_t *offset_out,
							 size_t size, unsigned flags);

/*
 * noria_copy_file_range_all - the same for a whole range: goes on over short counts until `size` bytes have moved or
 * the input ended, in parts of 16 MiB, between which it sees a cancel. Where copy_file_range(2) will not do it (-EXDEV,
 * -EOPNOTSUPP, -EINVAL of two files, -ENOSYS, a file of /proc) it reads and writes.
 * @offset_in, @offset_out: where to begin; NULL: the descriptor's position, which only what is seekable has (-ESPIPE)
 * @size: SIZE_MAX: up to the end of the input
 * @flags: 0
 * Returns: how many bytes have moved, less than `size` where the input ended; or the negative errno that stopped it,
 * and then noria_progress() says how far it came. Offsets or positions are advanced by what has moved, in both cases.
 * -EINVAL: `flags`, or parts of one file that overlap; -ENOMEM: no buffer. Since 0.2.
 */
NORIA_PUBLIC NORIA_CHECKED ssize_t noria_copy_file_range_all(int fd_in, off_t *offset_in, int fd_out, off_t *offset_out,
							     size_t size, unsigned flags);

/*
 * As sendfile(2): from a file to any descriptor within the kernel, through a pipe that the call makes (two descriptors
 * for as long as it runs: -EMFILE). A count may be short: after an error or a cancel in its midst it tells what was
 * sent, and the next call tells the error. Of the socket, see noria_splice(). Since 0.2.
 */
NORIA_PUBLIC NORIA_CHECKED ssize_t noria_sendfile(int fd_out, int fd_in, off_t *offset, size_t size);

NORIA_END_DECLS
#endif
