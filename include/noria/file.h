/* SPDX-License-Identifier: MIT */
/*
 * Files, pipes and whatever has a descriptor, by the names of their system calls. What holds for all operations
 * (checkpoints, results, buffers, time limits) is said in op.h; every function here is a checkpoint. All since 0.1.
 */
#ifndef NORIA_FILE_H
#define NORIA_FILE_H

#include <noria/base.h>
#include <sys/uio.h>

struct open_how;
struct statx;

NORIA_BEGIN_DECLS

/*
 * Files, pipes and whatever has a descriptor. As read(2), write(2), readv(2), writev(2), pread(2), pwrite(2); but on a
 * pipe or a socket, which have no positions, the kernel's ring ignores the offset of the last two.
 */
NORIA_PUBLIC NORIA_CHECKED ssize_t noria_read(int fd, void *buffer, size_t size);
NORIA_PUBLIC NORIA_CHECKED ssize_t noria_write(int fd, const void *buffer, size_t size);
NORIA_PUBLIC NORIA_CHECKED ssize_t noria_readv(int fd, const struct iovec *vector, int count);
NORIA_PUBLIC NORIA_CHECKED ssize_t noria_writev(int fd, const struct iovec *vector, int count);
NORIA_PUBLIC NORIA_CHECKED ssize_t noria_pread(int fd, void *buffer, size_t size, off_t offset);
NORIA_PUBLIC NORIA_CHECKED ssize_t noria_pwrite(int fd, const void *buffer, size_t size, off_t offset);

/*
 * As openat(2), openat2(2) (with the size of the struct open_how it was built with), statx(2). O_CLOEXEC is yours to
 * give. A FIFO is opened as with O_NONBLOCK where its path is cached by the kernel: it does not wait for the other end
 * (and writing answers -ENXIO when there is no reader).
 */
NORIA_PUBLIC NORIA_CHECKED int noria_openat(int dirfd, const char *path, int flags, mode_t mode);
NORIA_PUBLIC NORIA_CHECKED int noria_openat2(int dirfd, const char *path, const struct open_how *how, size_t size);
NORIA_PUBLIC NORIA_CHECKED int noria_statx(int dirfd, const char *path, int flags, unsigned mask, struct statx *result);

/*
 * As splice(2): moves bytes between a pipe and another descriptor without copying them through user space.
 * An offset of NULL means the descriptor's own position; otherwise it is advanced. Give a socket on the output side
 * O_NONBLOCK: the kernel waits inside the call for one that has not, and then holds the pipe for as long as the peer is
 * slow.
 */
NORIA_PUBLIC NORIA_CHECKED ssize_t noria_splice(int fd_in, off_t *offset_in, int fd_out, off_t *offset_out, size_t size,
						unsigned flags);

NORIA_END_DECLS
#endif
