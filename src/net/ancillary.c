/* SPDX-License-Identifier: MIT */
/*
 * What travels beside the bytes of a Unix socket: descriptors and credentials. The kernel makes received descriptors
 * before anybody has looked at them, so there is always room for as many as one message can bring, and whatever does
 * not reach the caller is closed here.
 */
#include "noria/net.h"

#include "base/message.h"
#include "noria/op.h"
#include "ring/direct.h"
#include "scope/failure.h"
#include "task/loop.h"

#include <errno.h>
#include <string.h>

#ifndef SCM_PIDFD
#define SCM_PIDFD 0x04
#endif

union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(NORIA_FDS_MAX * sizeof(int)) + CMSG_SPACE(sizeof(struct ucred)) +
		   CMSG_SPACE(sizeof(int))];
};

static ssize_t refuse_send(const int *fds, size_t count, size_t size)
{
	if (size == 0)
		return noria_refuse(-EINVAL, "noria_send_fds() without a byte: descriptors travel with bytes");
	if (count > NORIA_FDS_MAX)
		return noria_refuse(-EINVAL, "noria_send_fds() of %zu descriptors: one message takes %d", count,
				    NORIA_FDS_MAX);
	for (size_t i = 0; i < count; i++)
		if (fd_is_direct(fds[i]))
			return noria_refuse(-EOPNOTSUPP, "a direct descriptor stays in its ring. Remedy: send an "
							 "ordinary one of the file, from noria_fd_install()");
	return 0;
}

ssize_t noria_send_fds(int fd, const void *buffer, size_t size, int flags, const int *fds, size_t count)
{
	union control control = {0};
	struct iovec vector = {.iov_base = (void *)(uintptr_t)buffer, .iov_len = size};
	struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
	ssize_t r = refuse_send(fds, count, size);

	if (r < 0)
		return r;
	if (count > 0) {
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(count * sizeof(int));
		control.align = (struct cmsghdr){
			.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(count * sizeof(int))};
		memcpy(CMSG_DATA(&control.align), fds, count * sizeof(int));
	}
	return noria_sendmsg(fd, &message, flags);
}

/* Of one message: all that came, in the kernel's words. */
struct arrived {
	int fds[NORIA_FDS_MAX];
	size_t count;
	struct ucred sender;
	int pidfd;
};

static void take_header(struct arrived *arrived, const struct cmsghdr *header)
{
	size_t size = header->cmsg_len - CMSG_LEN(0);

	if (header->cmsg_level != SOL_SOCKET)
		return;
	if (header->cmsg_type == SCM_RIGHTS) {
		arrived->count = size / sizeof(int);
		memcpy(arrived->fds, CMSG_DATA(header), arrived->count * sizeof(int));
	} else if (header->cmsg_type == SCM_CREDENTIALS && size >= sizeof arrived->sender) {
		memcpy(&arrived->sender, CMSG_DATA(header), sizeof arrived->sender);
	} else if (header->cmsg_type == SCM_PIDFD && size >= sizeof(int)) {
		memcpy(&arrived->pidfd, CMSG_DATA(header), sizeof(int));
	}
}

static void close_arrived(const struct arrived *arrived)
{
	for (size_t i = 0; i < arrived->count; i++)
		noria_close(arrived->fds[i]);
	if (arrived->pidfd >= 0)
		noria_close(arrived->pidfd);
}

/* In the place of a pidfd that it could not make, the kernel puts the reason. */
static bool came_short(const struct arrived *arrived, const struct msghdr *message)
{
	return (message->msg_flags & MSG_CTRUNC) || arrived->pidfd == -EMFILE;
}

static int refuse_arrived(struct task *task, const struct arrived *arrived, const struct msghdr *message, size_t room)
{
	int r;

	if (came_short(arrived, message))
		r = noria_refuse(-EMFILE, "descriptors were received, and the process may not have so many more. "
					  "Remedy: raise RLIMIT_NOFILE");
	else
		r = noria_refuse(-EMSGSIZE, "%zu descriptors were received, and there is room for %zu", arrived->count,
				 room);
	noria_error_arose(task, r);
	return r;
}

ssize_t noria_recv_ancillary(int fd, void *buffer, size_t size, int flags, struct noria_ancillary *ancillary)
{
	union control control;
	struct iovec vector = {.iov_base = buffer, .iov_len = size};
	struct msghdr message = {
		.msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
	struct arrived arrived = {.pidfd = -1};
	ssize_t n = noria_recvmsg(fd, &message, flags | MSG_CMSG_CLOEXEC);

	if (n < 0)
		return n;
	for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header))
		take_header(&arrived, header);
	noria_loop->current->progress = (size_t)n;
	if (came_short(&arrived, &message) || arrived.count > ancillary->fds_room) {
		close_arrived(&arrived);
		return refuse_arrived(noria_loop->current, &arrived, &message, ancillary->fds_room);
	}
	if (arrived.count > 0)
		memcpy(ancillary->fds, arrived.fds, arrived.count * sizeof(int));
	ancillary->fds_count = arrived.count;
	ancillary->pid = arrived.sender.pid;
	ancillary->uid = arrived.sender.uid;
	ancillary->gid = arrived.sender.gid;
	ancillary->pidfd = arrived.pidfd < 0 ? -1 : arrived.pidfd;
	ancillary->flags = message.msg_flags;
	return n;
}
