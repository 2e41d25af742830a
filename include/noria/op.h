/* SPDX-License-Identifier: MIT */
/*
 * Operations: the system calls you know, with a prefix. Each has its system call's own arguments in the system call's
 * own order, parks the task instead of the thread, and returns what the call returns, or a negative errno.
 *
 * Every function here but noria_close(), noria_shutdown(), noria_autoclose and noria_progress() is a checkpoint:
 * -ECANCELED when the scope is cancelled (nothing was submitted, or the operation was stopped before it had an effect;
 * a connect that was stopped goes on in the socket: close it); -ENXIO outside a runtime. An operation that completed in
 * spite of a cancel delivers its result; the next checkpoint says -ECANCELED. Buffers must stay valid until the call
 * returns, and no longer. A time limit is put around a call: noria_within(noria_sec(5), noria_recv(fd, buf, size, 0)).
 * All belong to the runtime's thread. All since 0.1.
 */
#ifndef NORIA_OP_H
#define NORIA_OP_H

#include <noria/base.h>
#include <sys/socket.h>
#include <sys/uio.h>

struct open_how;
struct statx;

NORIA_BEGIN_DECLS

/*
 * Sockets. As socket(2), bind(2), listen(2), accept(2), accept4(2), connect(2), shutdown(2). Shutting down is no
 * checkpoint: it is done in a cancelled scope as well, and may let other tasks run.
 * Accepting goes on by itself over connections that were gone before they could be accepted (-ECONNABORTED and the
 * network errors that accept(2) names), and it is an idle wait: in a drain it ends with -ECANCELED (run.h). It returns
 * -EMFILE, -ENFILE, -ENOBUFS and -ENOMEM: a server sleeps a little and accepts again; to end the loop is to end the
 * server.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_socket(int domain, int type, int protocol);
NORIA_PUBLIC NORIA_CHECKED int noria_bind(int fd, const struct sockaddr *address, socklen_t length);
NORIA_PUBLIC NORIA_CHECKED int noria_listen(int fd, int backlog);
NORIA_PUBLIC NORIA_CHECKED int noria_accept(int fd, struct sockaddr *address, socklen_t *length);
NORIA_PUBLIC NORIA_CHECKED int noria_accept4(int fd, struct sockaddr *address, socklen_t *length, int flags);
NORIA_PUBLIC NORIA_CHECKED int noria_connect(int fd, const struct sockaddr *address, socklen_t length);
NORIA_PUBLIC int noria_shutdown(int fd, int how);

/*
 * As recv(2) and send(2), whatever O_NONBLOCK says; with MSG_DONTWAIT in `flags` they answer -EAGAIN instead of
 * parking. noria_send() never raises SIGPIPE: a closed peer is -EPIPE.
 */
NORIA_PUBLIC NORIA_CHECKED ssize_t noria_recv(int fd, void *buffer, size_t size, int flags);
NORIA_PUBLIC NORIA_CHECKED ssize_t noria_send(int fd, const void *buffer, size_t size, int flags);
NORIA_PUBLIC NORIA_CHECKED ssize_t noria_recvmsg(int fd, struct msghdr *message, int flags);
NORIA_PUBLIC NORIA_CHECKED ssize_t noria_sendmsg(int fd, const struct msghdr *message, int flags);

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

/*
 * As close(2), and always done by a task (outside a runtime: -ENXIO, and it stays open): a cancelled scope does not
 * keep it open, and the call is no checkpoint, but it may park: operations of other tasks on `fd` are ended first, and
 * those answer -EBADF. What close(2) blocks for itself (a socket with SO_LINGER and unsent bytes, a file system that
 * flushes) holds up the runtime: shut such a socket down and wait for its end before, or close it in noria_offload().
 */
NORIA_PUBLIC int noria_close(int fd);

/*
 * noria_autoclose - a descriptor that closes itself when its variable goes out of scope, if it is not negative:
 *     noria_autoclose int fd = noria_try(noria_socket(AF_INET, SOCK_STREAM, 0));
 * noria_take(&fd) - the descriptor itself, for whoever keeps it: the variable is -1 afterwards. `return
 * noria_take(&fd);`
 */
#define noria_autoclose __attribute__((cleanup(noria_autoclose_)))
NORIA_PUBLIC void noria_autoclose_(int *fd);
static inline int noria_take(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

/*
 * noria_poll - wait until a descriptor is ready.
 * @events: POLLIN, POLLOUT, ... as for poll(2)
 * Returns: the events that are ready (POLLERR and POLLHUP always count).
 */
NORIA_PUBLIC NORIA_CHECKED int noria_poll(int fd, short events);

/*
 * Whole transfers. They go on over short counts, -EINTR and -EAGAIN (unless MSG_DONTWAIT or SPLICE_F_NONBLOCK asks for
 * it) until `size` bytes have moved, and look at cancellation between the steps.
 * Returns: `size`; for recv_all, read_all, readv_all and splice_all less, when the other side ended first; or the
 * negative errno that stopped it, and then noria_progress() says how far it came.
 */
NORIA_PUBLIC NORIA_CHECKED ssize_t noria_recv_all(int fd, void *buffer, size_t size, int flags);
NORIA_PUBLIC NORIA_CHECKED ssize_t noria_send_all(int fd, const void *buffer, size_t size, int flags);
NORIA_PUBLIC NORIA_CHECKED ssize_t noria_read_all(int fd, void *buffer, size_t size);
NORIA_PUBLIC NORIA_CHECKED ssize_t noria_write_all(int fd, const void *buffer, size_t size);
/* The whole of a vector; the vector itself is used up: its entries are advanced as bytes leave. */
NORIA_PUBLIC NORIA_CHECKED ssize_t noria_readv_all(int fd, struct iovec *vector, int count);
NORIA_PUBLIC NORIA_CHECKED ssize_t noria_writev_all(int fd, struct iovec *vector, int count);
/* The whole of a splice, until `size` bytes have moved or the input ended; for a pipe on either side. */
NORIA_PUBLIC NORIA_CHECKED ssize_t noria_splice_all(int fd_in, off_t *offset_in, int fd_out, off_t *offset_out,
						    size_t size, unsigned flags);

/* noria_progress - how many bytes the calling task's last whole transfer moved. Not a checkpoint. */
NORIA_PUBLIC size_t noria_progress(void);

NORIA_END_DECLS
#endif
