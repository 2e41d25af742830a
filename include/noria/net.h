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
 * As recv(2) and send(2), whatever O_NONBLOCK says; with MSG_DONTWAIT in `flags` they answer -EAGAIN instead of
 * parking. noria_send() never raises SIGPIPE: a closed peer is -EPIPE.
 */
NORIA_PUBLIC NORIA_CHECKED ssize_t noria_recv(int fd, void *buffer, size_t size, int flags);
NORIA_PUBLIC NORIA_CHECKED ssize_t noria_send(int fd, const void *buffer, size_t size, int flags);
NORIA_PUBLIC NORIA_CHECKED ssize_t noria_recvmsg(int fd, struct msghdr *message, int flags);
NORIA_PUBLIC NORIA_CHECKED ssize_t noria_sendmsg(int fd, const struct msghdr *message, int flags);

NORIA_END_DECLS
#endif
