/* SPDX-License-Identifier: MIT */
/*
 * Sockets. Calls that never block are made at once (a call costs less than an entry); sending is tried first, because
 * the socket's buffer usually has room; receiving, accepting and connecting are submitted.
 */
#include "noria/net.h"

#include "noria/scope.h"
#include "op/op.h"
#include "task/loop.h"

#include <errno.h>

int noria_socket(int domain, int type, int protocol)
{
	return (int)op_call("socket", OP_ATTEMPT, io_uring_prep_socket, domain, type, protocol, 0);
}

int noria_bind(int fd, const struct sockaddr *address, socklen_t length)
{
	return (int)op_call("bind", OP_ATTEMPT, io_uring_prep_bind, fd, (struct sockaddr *)(uintptr_t)address, length);
}

int noria_listen(int fd, int backlog)
{
	return (int)op_call("listen", OP_ATTEMPT, io_uring_prep_listen, fd, backlog);
}

int noria_shutdown(int fd, int how)
{
	return (int)op_call("shutdown", OP_ATTEMPT | OP_ALWAYS, io_uring_prep_shutdown, fd, how);
}

/* What accept(2) says to treat like "try again": the connection is gone, the listener is well. */
static bool connection_was_gone(int error)
{
	switch (-error) {
	case ECONNABORTED:
	case ENETDOWN:
	case EPROTO:
	case ENOPROTOOPT:
	case EHOSTDOWN:
	case ENONET:
	case EHOSTUNREACH:
	case ENETUNREACH:
	case EINTR:
		return true;
	}
	return false;
}

static int accept_one(int fd, struct sockaddr *address, socklen_t *length, int flags)
{
	struct task *task = noria_current();
	uint32_t closes = task ? *loop_closes(task->loop, fd) : 0;
	int r;

	do
		r = (int)op_call("accept", OP_POLLABLE, io_uring_prep_accept, fd, address, length, flags);
	while (connection_was_gone(r) && closes == *loop_closes(task->loop, fd));
	return r;
}

int noria_accept4(int fd, struct sockaddr *address, socklen_t *length, int flags)
{
	return noria_idle(accept_one(fd, address, length, flags));
}

int noria_accept(int fd, struct sockaddr *address, socklen_t *length)
{
	return noria_accept4(fd, address, length, 0);
}

/*
 * Connecting by TCP is polled for; with other families it blocks in a worker of the kernel, out of a linked timeout's
 * reach.
 */
int noria_connect(int fd, const struct sockaddr *address, socklen_t length)
{
	bool polled = address && length >= sizeof address->sa_family &&
		      (address->sa_family == AF_INET || address->sa_family == AF_INET6);

	return (int)op_call("connect", polled ? OP_POLLABLE : 0, io_uring_prep_connect, fd, address, length);
}

static unsigned dontwait(int flags)
{
	return flags & MSG_DONTWAIT ? OP_POLLABLE | OP_DONTWAIT | OP_ATTEMPT : OP_POLLABLE;
}

ssize_t noria_recv(int fd, void *buffer, size_t size, int flags)
{
	return op_call("recv", dontwait(flags), io_uring_prep_recv, fd, buffer, op_length(size), flags);
}

ssize_t noria_send(int fd, const void *buffer, size_t size, int flags)
{
	return op_call("send", dontwait(flags) | OP_ATTEMPT | OP_WORKER, io_uring_prep_send, fd, buffer,
		       op_length(size), flags | MSG_NOSIGNAL);
}

ssize_t noria_recvmsg(int fd, struct msghdr *message, int flags)
{
	return op_call("recvmsg", dontwait(flags) & ~OP_ATTEMPT, io_uring_prep_recvmsg, fd, message, (unsigned)flags);
}

ssize_t noria_sendmsg(int fd, const struct msghdr *message, int flags)
{
	return op_call("sendmsg", dontwait(flags) | OP_ATTEMPT | OP_WORKER, io_uring_prep_sendmsg, fd, message,
		       (unsigned)flags | MSG_NOSIGNAL);
}
