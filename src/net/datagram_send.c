/* SPDX-License-Identifier: MIT */
/*
 * Sending many datagrams. Usually the socket has room for all, and one system call takes them; else the task waits
 * until the first has left, so they stay in order. A buffer of datagrams of one size goes out as one message that the
 * kernel, or the network card, cuts (UDP_SEGMENT); where that is refused, one by one.
 */
#include "noria/datagram.h"

#include "base/message.h"
#include "noria/net.h"
#include "noria/op.h"
#include "op/several.h"
#include "ring/direct.h"
#include "ring/ring.h"
#include "scope/scope.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

enum {
	TOGETHER = 16,       /* entries on the stack of the task */
	SEGMENTS_MAX = 64,   /* of one message, in all kernels */
	PAYLOAD_MAX = 65507, /* of one datagram, and of one message that is cut */
};

/* Only the ring can reach a direct descriptor: some in one submission. */
static int submit(int fd, struct mmsghdr *messages, unsigned count, int flags)
{
	struct part parts[TOGETHER];
	unsigned sent = 0;

	if (count > TOGETHER)
		count = TOGETHER;
	for (unsigned i = 0; i < count; i++)
		io_uring_prep_sendmsg(part_entry(&parts[i]), fd, &messages[i].msg_hdr, (unsigned)flags | MSG_NOSIGNAL);
	noria_several_run(parts, count, "sendmmsg");
	for (; sent < count && parts[sent].result >= 0; sent++)
		messages[sent].msg_len = (unsigned)parts[sent].result;
	return sent > 0 ? (int)sent : (int)parts[0].result;
}

/* As many as leave without waiting, by one call; else the first, when the socket has room for it. */
static int send_some(struct task *task, int fd, struct mmsghdr *messages, unsigned count, int flags)
{
	struct ring *ring = task->loop->ring;
	int r;

	if (fd_is_direct(fd))
		return submit(fd, messages, count, flags);
	r = ring->class->send_many(ring, fd, messages, count, flags);
	if (r != -EAGAIN || (flags & MSG_DONTWAIT))
		return r;
	r = (int)noria_sendmsg(fd, &messages->msg_hdr, flags);
	if (r < 0)
		return r;
	messages->msg_len = (unsigned)r;
	return 1;
}

static int send_all(struct task *task, int fd, struct mmsghdr *messages, unsigned count, int flags)
{
	uint32_t closes = *loop_closes(task->loop, fd);
	unsigned sent = 0;

	while (sent < count) {
		int r = sent > 0 ? scope_checkpoint(task) : 0;

		if (r == 0 && closes != *loop_closes(task->loop, fd))
			r = -EBADF; /* the number may be another's by now */
		if (r == 0)
			r = send_some(task, fd, messages + sent, count - sent, flags);
		if (r < 0)
			return sent > 0 ? (int)sent : r;
		sent += (unsigned)r;
	}
	return (int)sent;
}

int noria_sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags)
{
	struct task *task = noria_current();
	int r;

	if (!task)
		return -ENXIO;
	r = scope_door(task);
	if (r < 0)
		return r;
	if (count == 0)
		return noria_refuse(-EINVAL, "no message to send");
	r = send_all(task, fd, messages, count, flags);
	task_spend(task);
	return r;
}

/* Other sockets take no notice of UDP_SEGMENT, and would send all as one. */
static bool is_udp(int fd)
{
	int protocol = 0;
	socklen_t length = sizeof protocol;

	return !fd_is_direct(fd) && getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &length) == 0 &&
	       protocol == IPPROTO_UDP;
}

/* Refused as such: by a socket's options, by a kernel, a card or a route that cannot. */
static bool cannot_cut(ssize_t error)
{
	return error == -EIO || error == -EINVAL || error == -ENOPROTOOPT || error == -EOPNOTSUPP;
}

static ssize_t send_cut(int fd, const struct msghdr *one, unsigned segment)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(uint16_t))];
	} control = {.header = {.cmsg_level = IPPROTO_UDP,
				.cmsg_type = UDP_SEGMENT,
				.cmsg_len = CMSG_LEN(sizeof(uint16_t))}};
	struct msghdr message = *one;

	memcpy(CMSG_DATA(&control.header), &(uint16_t){(uint16_t)segment}, sizeof(uint16_t));
	message.msg_control = &control;
	message.msg_controllen = sizeof control;
	return noria_sendmsg(fd, &message, 0);
}

/* The first few of a buffer, uncut: bytes that have left, or why none has. */
static ssize_t send_few(int fd, const struct msghdr *one, unsigned segment)
{
	struct mmsghdr messages[TOGETHER];
	struct iovec parts[TOGETHER];
	const struct iovec *all = one->msg_iov;
	size_t done = 0, sent = 0;
	unsigned count = 0;
	int r;

	for (; count < TOGETHER && done < all->iov_len; done += parts[count++].iov_len) {
		size_t left = all->iov_len - done;

		parts[count] = (struct iovec){(char *)all->iov_base + done, left < segment ? left : segment};
		messages[count] = (struct mmsghdr){.msg_hdr = *one};
		messages[count].msg_hdr.msg_iov = &parts[count];
	}
	r = noria_sendmmsg(fd, messages, count, 0);
	for (int i = 0; i < r; i++)
		sent += parts[i].iov_len;
	return r < 0 ? r : (ssize_t)sent;
}

/* `per_message` bytes are as many segments as one message may have. */
static ssize_t step(int fd, struct msghdr *message, unsigned segment, size_t per_message, bool *cut)
{
	struct iovec *all = message->msg_iov;
	size_t left = all->iov_len;
	ssize_t r = -EIO;

	if (*cut && left > segment) {
		all->iov_len = left < per_message ? left : per_message;
		r = send_cut(fd, message, segment);
		all->iov_len = left;
		*cut = !cannot_cut(r);
		if (*cut)
			return r;
	}
	return send_few(fd, message, segment);
}

ssize_t noria_send_segments(int fd, const void *buffer, size_t size, unsigned segment, const struct sockaddr *address,
			    socklen_t length)
{
	struct task *task = noria_current();
	struct iovec all = {(void *)(uintptr_t)buffer, size};
	struct msghdr message = {.msg_name = (void *)(uintptr_t)address,
				 .msg_namelen = address ? length : 0,
				 .msg_iov = &all,
				 .msg_iovlen = 1};
	size_t most = segment > 0 ? PAYLOAD_MAX / segment : 0, done = 0;
	bool cut = most > 1 && is_udp(fd);
	uint32_t closes;

	if (!task)
		return -ENXIO;
	if (most == 0)
		return noria_refuse(-EINVAL, "datagrams of %u bytes: give 1 to %d", segment, PAYLOAD_MAX);
	closes = *loop_closes(task->loop, fd);
	task->progress = 0;
	while (done < size) {
		ssize_t r = closes == *loop_closes(task->loop, fd)
				    ? step(fd, &message, segment, (most < SEGMENTS_MAX ? most : SEGMENTS_MAX) * segment,
					   &cut)
				    : -EBADF;

		if (r < 0)
			return r;
		done += (size_t)r;
		task->progress = done;
		all = (struct iovec){(char *)(uintptr_t)buffer + done, size - done};
	}
	return (ssize_t)done;
}
