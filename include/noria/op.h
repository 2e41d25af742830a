/* SPDX-License-Identifier: MIT */
/*
 * Operations: the system calls you know, with a prefix. Each has its system call's own arguments in the system call's
 * own order, parks the task instead of the thread, and returns what the call returns, or a negative errno. Those of
 * files are in file.h, those of sockets in net.h; here is what concerns any descriptor, and what holds for all of
 * them.
 *
 * Every operation is a checkpoint unless its description says otherwise: -ECANCELED when the scope is cancelled
 * (nothing was submitted, or the operation was stopped before it had an effect; a connect that was stopped goes on in
 * the socket: close it); -ENXIO outside a runtime. An operation that completed in spite of a cancel delivers its
 * result; the next checkpoint says -ECANCELED. Buffers must stay valid until the call returns, and no longer. A time
 * limit is put around a call: noria_within(noria_sec(5), noria_recv(fd, buf, size, 0)). All belong to the runtime's
 * thread. All since 0.1.
 */
#ifndef NORIA_OP_H
#define NORIA_OP_H

#include <noria/base.h>
#include <sys/uio.h>

NORIA_BEGIN_DECLS

/*
 * As close(2), and always done by a task (outside a runtime: -ENXIO, and it stays open): a cancelled scope does not
 * keep it open, and the call is no checkpoint, but it may park: operations of other tasks on `fd` are ended first, and
 * those answer -EBADF. Not so with close(2) and dup2(2): while an operation of a task is under way on `fd`, a send
 * among them, these give its number to whoever comes next, and maybe its bytes. What close(2) blocks for itself (a
 * socket with SO_LINGER and unsent bytes, a file system that flushes) holds up the runtime: shut such a socket down
 * and wait for its end before, or close it in noria_offload().
 */
NORIA_PUBLIC int noria_close(int fd);

/*
 * noria_autoclose - a descriptor that closes itself when its variable goes out of scope, if it is not negative:
 *     noria_autoclose int fd = noria_try(noria_socket(AF_INET, SOCK_STREAM, 0));
 * noria_take(&fd) - the descriptor itself, for whoever keeps it: the variable is -1 afterwards. `return
 * noria_take(&fd);`
 */
#define noria_autoclose __attribute__((cleanup(noria_autoclose_), unused))
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

/*
 * noria_progress - how many bytes the calling task's last whole transfer moved; after noria_connect_name() (name.h),
 * how many addresses it tried. Not a checkpoint.
 */
NORIA_PUBLIC size_t noria_progress(void);

NORIA_END_DECLS
#endif
