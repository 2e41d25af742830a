/* SPDX-License-Identifier: MIT */
/*
 * Sockets. Calls that never block are made at once (a call costs less than an entry); sending is tried first, because
 * the socket's buffer usually has room, unless there is company for an entry; receiving, accepting and connecting are
 * submitted.
 */
#include "noria/net.h"

#include "net/accept.h"
#include "noria/direct.h"
#include "noria/scope.h"
#include "op/direct.h"
#include "op/op.h"
#include "op/send.h"
#include "task/loop.h"

#include <errno.h>

int noria_socket(int domain, int type, int protocol)
{
	return (int)op_call("socket", OP_ATTEMPT, io_uring_prep_socket, domain, type, protocol, 0);
}

/* io_uring_prep_socket_direct_alloc() has the place first. */
static void prepare_socket(struct io_uring_sqe *sqe, int domain, int type, int protocol, unsigned index)
{
	io_uring_prep_socket_direct(sqe, domain, type, protocol, index, 0);
}

int noria_socket_direct(int domain, int type, int protocol)
{
	struct task *task = noria_current();

	if (!task)
		return -ENXIO;
	if (!direct_there(task->loop))
		return noria_socket(domain, type | SOCK_CLOEXEC, protocol);
	return op_call_direct(task, "socket", 0, prepare_socket, domain, type & ~SOCK_CLOEXEC, protocol);
}

int noria_bind(int fd, const struct sockaddr *address, socklen_t length)
{
	return (int)op_call("bind", OP_ATTEMPT, io_uring_prep_bind, fd, (struct sockaddr *)(uintptr_t)address, length);
}

int noria_listen(int fd, int backlog)
{
	return (int)op_call("listen", OP_ATTEMPT, io_uring_prep_listen, fd, backlog);
}

/* What other tasks send, and maybe as entries that wait for the end of the turn, leaves before. */
int noria_shutdown(int fd, int how)
{
	const struct task *task = noria_current();

	if (task && ring_pending(task->loop->ring) > 0)
		task->loop->ring->class->push(task->loop->ring);
	return (int)op_call("shutdown", OP_ATTEMPT | OP_ALWAYS, io_uring_prep_shutdown, fd, how);
}

static int accept_one(int fd, struct sockaddr *address, socklen_t *length, int flags, bool direct)
{
	struct task *task = noria_current();
	uint32_t closes;
	int r;

	if (!task)
		return -ENXIO;
	closes = *loop_closes(task->loop, fd);
	do
		r = direct ? op_call_direct(task, "accept", OP_POLLABLE, io_uring_prep_accept_direct, fd, address,
					    length, flags)
			   : (int)op_call("accept", OP_POLLABLE, io_uring_prep_accept, fd, address, length, flags);
	while (accept_goes_on(r) && closes == *loop_closes(task->loop, fd));
	return r;
}

int noria_accept4(int fd, struct sockaddr *address, socklen_t *length, int flags)
{
	return noria_idle(accept_one(fd, address, length, flags, false));
}

/* Direct ones know no close-on-exec; the ordinary ones that stand in for them have it. */
int noria_accept_direct(int fd, struct sockaddr *address, socklen_t *length, int flags)
{
	struct task *task = noria_current();

	if (!task)
		return -ENXIO;
	if (!direct_there(task->loop))
		return noria_accept4(fd, address, length, flags | SOCK_CLOEXEC);
	return noria_idle(accept_one(fd, address, length, flags & ~SOCK_CLOEXEC, true));
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

ssize_t noria_send_entry(int fd, const void *buffer, size_t size, int flags, unsigned op_flags)
{
	return op_call("send", dontwait(flags) | OP_WORKER | op_flags, io_uring_prep_send, fd, buffer, op_length(size),
		       flags | MSG_NOSIGNAL);
}

ssize_t noria_send(int fd, const void *buffer, size_t size, int flags)
{
	struct task *task = noria_current();

	return likely(task) ? send_some(task, fd, buffer, size, flags) : -ENXIO;
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

ssize_t noria_sendto(int fd, const void *buffer, size_t size, int flags, const struct sockaddr *address,
		     socklen_t length)
{
	struct iovec vector = {.iov_base = (void *)(uintptr_t)buffer, .iov_len = size};
	struct msghdr message = {.msg_name = (void *)(uintptr_t)address,
				 .msg_namelen = address ? length : 0,
				 .msg_iov = &vector,
				 .msg_iovlen = 1};

	return noria_sendmsg(fd, &message, flags);
}

ssize_t noria_recvfrom(int fd, void *buffer, size_t size, int flags, struct sockaddr *address, socklen_t *length)
{
	struct iovec vector = {.iov_base = buffer, .iov_len = size};
	struct msghdr message = {
		.msg_name = address, .msg_namelen = address ? *length : 0, .msg_iov = &vector, .msg_iovlen = 1};
	ssize_t r = noria_recvmsg(fd, &message, flags);

	if (r >= 0 && address)
		*length = message.msg_namelen;
	return r;
}
