/* SPDX-License-Identifier: MIT */
/*
 * Sockets, by the names of their system calls. What holds for all operations (checkpoints, results, buffers, time
 * limits) is said in op.h; every function here but noria_shutdown() is a checkpoint. All since 0.1.
 */
#ifndef NORIA_NET_H
#define NORIA_NET_H

#include <noria/base.h>
#include <sys/socket.h>

NORIA_BEGIN_DECLS

/*
 * Sockets. As socket(2), bind(2), listen(2), accept(2), accept4(2), connect(2), shutdown(2). Shutting down is no
 * checkpoint: it is done in a cancelled scope as well, and may let other tasks run. Accepting goes on by itself over
 * connections that were gone before they could be accepted (-ECONNABORTED and the network errors that accept(2)
 * names), and it is an idle wait: in a drain it ends with -ECANCELED (run.h). It returns -EMFILE, -ENFILE, -ENOBUFS
 * and -ENOMEM: a server sleeps a little and accepts again; to end the loop is to end the server.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_socket(int domain, int type, int protocol);
NORIA_PUBLIC NORIA_CHECKED int noria_bind(int fd, const struct sockaddr *address, socklen_t length);
NORIA_PUBLIC NORIA_CHECKED int noria_listen(int fd, int backlog);
NORIA_PUBLIC NORIA_CHECKED int noria_accept(int fd, struct sockaddr *address, socklen_t *length);
NORIA_PUBLIC NORIA_CHECKED int noria_accept4(int fd, struct sockaddr *address, socklen_t *length, int flags);
NORIA_PUBLIC NORIA_CHECKED int noria_connect(int fd, const struct sockaddr *address, socklen_t length);
NORIA_PUBLIC int noria_shutdown(int fd, int how);

/*
 * As socketpair(2), setsockopt(2), getsockopt(2), getsockname(2), getpeername(2). Making a pair is a checkpoint; the
 * others are none and wait for nobody: on an ordinary descriptor each is its system call. On a direct one (direct.h)
 * options go by way of the ring where the kernel can (`socket_cmd`), and what it cannot is asked through an ordinary
 * descriptor that lives for as long as the call (`fd_install`); they may park then, and where the kernel lacks both
 * they answer -EOPNOTSUPP. Bind and listen need `bind_listen` for a direct descriptor. Since 0.2.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_socketpair(int domain, int type, int protocol, int ret_fds[2]);
NORIA_PUBLIC NORIA_CHECKED int noria_setsockopt(int fd, int level, int name, const void *value, socklen_t length);
NORIA_PUBLIC NORIA_CHECKED int noria_getsockopt(int fd, int level, int name, void *value, socklen_t *length);
NORIA_PUBLIC NORIA_CHECKED int noria_getsockname(int fd, struct sockaddr *address, socklen_t *length);
NORIA_PUBLIC NORIA_CHECKED int noria_getpeername(int fd, struct sockaddr *address, socklen_t *length);

/*
 * As recv(2) and send(2), whatever O_NONBLOCK says; with MSG_DONTWAIT in `flags` they answer -EAGAIN instead of
 * parking. noria_send() never raises SIGPIPE: a closed peer is -EPIPE.
 */
NORIA_PUBLIC NORIA_CHECKED ssize_t noria_recv(int fd, void *buffer, size_t size, int flags);
NORIA_PUBLIC NORIA_CHECKED ssize_t noria_send(int fd, const void *buffer, size_t size, int flags);
NORIA_PUBLIC NORIA_CHECKED ssize_t noria_recvmsg(int fd, struct msghdr *message, int flags);
NORIA_PUBLIC NORIA_CHECKED ssize_t noria_sendmsg(int fd, const struct msghdr *message, int flags);
/* As sendto(2) and recvfrom(2); otherwise as noria_sendmsg() and noria_recvmsg(). Since 0.2. */
NORIA_PUBLIC NORIA_CHECKED ssize_t noria_sendto(int fd, const void *buffer, size_t size, int flags,
						const struct sockaddr *address, socklen_t length);
NORIA_PUBLIC NORIA_CHECKED ssize_t noria_recvfrom(int fd, void *buffer, size_t size, int flags,
						  struct sockaddr *address, socklen_t *length);

/*
 * Sends that do not copy: as noria_send() and noria_sendmsg(), but the network card reads the caller's bytes, and the
 * call returns only when nobody reads them any more: when the peer has acknowledged them, by TCP. A cancel that comes
 * after the bytes were taken does not call them back, and neither does shutting the socket down. A close does not wait
 * for it. So that a peer which reads nothing does not hold the call for ever, a cancel and a close set TCP_USER_TIMEOUT
 * of the socket to 20 seconds, unless it has a value: a peer that takes nothing for so long is given up, and the
 * connection broken. If SO_LINGER made the close a reset, the call returns at once. Direct descriptors have no such
 * limit. It pays from some 10 KiB a call on a real network; on loopback the kernel copies after all
 * (noria_zc_copied()), and nothing is won. To go on while the bytes are read, let a child task send: its end says that
 * the buffer is free.
 * MSG_WAITALL sends the whole on a stream; MSG_DONTWAIT waits for no room, but for the bytes all the same. Where the
 * kernel or the socket (Unix sockets) cannot, or memory may not be pinned for it (RLIMIT_MEMLOCK), they copy.
 * Returns: how many bytes; the errors of send(2). Checkpoints. Since 0.2.
 */
NORIA_PUBLIC NORIA_CHECKED ssize_t noria_send_zc(int fd, const void *buffer, size_t size, int flags);
NORIA_PUBLIC NORIA_CHECKED ssize_t noria_sendmsg_zc(int fd, const struct msghdr *message, int flags);
/* noria_zc_copied - did the calling task's last zero-copy send copy all the same? Not a checkpoint. Since 0.2. */
NORIA_PUBLIC bool noria_zc_copied(void);

/* The most descriptors that one message takes along: the kernel's bound. */
#define NORIA_FDS_MAX 253

/*
 * noria_send_fds - send bytes, and open files with them, over a Unix socket.
 * @size: 1 at least: descriptors travel with bytes
 * @fds, @count: ordinary descriptors, up to NORIA_FDS_MAX; they stay the caller's, and the receiver gets its own
 * @flags: as for noria_send(). What is sent first takes the descriptors along, also when it is less than `size`.
 * Returns: how many bytes; -EINVAL (size, count), -EOPNOTSUPP when one is direct (noria_fd_install() it); the errors of
 * sendmsg(2): -ETOOMANYREFS when too many are on their way. Checkpoint. Since 0.2.
 */
NORIA_PUBLIC NORIA_CHECKED ssize_t noria_send_fds(int fd, const void *buffer, size_t size, int flags, const int *fds,
						  size_t count);

/* What came beside the bytes of a message. Zero it, and give room for descriptors if any may come. */
struct noria_ancillary {
	int *fds;         /* descriptors that came, close-on-exec, the caller's to close */
	size_t fds_room;  /* how many fit there */
	size_t fds_count; /* set: how many came */
	/* set: the sender at the time of sending, if the socket has SO_PASSCRED; pid 0: not told */
	pid_t pid;
	uid_t uid;
	gid_t gid;
	int pidfd; /* set: the sender's pidfd if the socket has SO_PASSPIDFD, the caller's to close; -1: none */
	int flags; /* set: MSG_TRUNC, MSG_EOR, ... of recvmsg(2) */
};

/*
 * noria_recv_ancillary - receive bytes, and the descriptors and credentials that came with them. Who is at the other
 * end of a connection, whether it sends or not, tells noria_getsockopt() with SO_PEERCRED.
 * @flags: as for noria_recv()
 * Returns: how many bytes, 0 at the end. -EMSGSIZE when more descriptors came than there is room for, and -EMFILE when
 * the process may not have so many: then all of them have been closed, none is left open or half received, and the
 * bytes are in `buffer`, as many as noria_progress() says. Errors of recvmsg(2). `ancillary` is untouched by other
 * errors. A message that was received in spite of a cancel is delivered, with its descriptors. Checkpoint. Since 0.2.
 */
NORIA_PUBLIC NORIA_CHECKED ssize_t noria_recv_ancillary(int fd, void *buffer, size_t size, int flags,
							struct noria_ancillary *ancillary);

NORIA_END_DECLS
#endif
