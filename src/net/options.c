/* SPDX-License-Identifier: MIT */
/*
 * What a socket is asked and told. None of it waits, and the system call costs a third of an entry, a switch and a
 * completion, so ordinary descriptors take it. Of a direct one only the ring knows: it passes options on by URING_CMD,
 * where the kernel can; for what it cannot the file is lent an ordinary descriptor for the time of the call.
 */
#include "noria/net.h"

#include "op/direct.h"
#include "op/op.h"
#include "scope/failure.h"
#include "task/loop.h"

#include <errno.h>
#include <unistd.h>

/* Of a call that is no checkpoint. */
static int made(struct task *task, int result)
{
	int r = result < 0 ? -errno : 0;

	if (r < 0)
		noria_error_arose(task, r);
	return r;
}

int noria_socketpair(int domain, int type, int protocol, int ret_fds[2])
{
	int r = noria_op_door();

	return r < 0 ? r : noria_op_made(socketpair(domain, type, protocol, ret_fds));
}

int noria_setsockopt(int fd, int level, int name, const void *value, socklen_t length)
{
	struct task *task = noria_current();

	if (!task)
		return -ENXIO;
	if (!fd_is_direct(fd))
		return made(task, setsockopt(fd, level, name, value, length));
	return (int)op_call("setsockopt", OP_ALWAYS, io_uring_prep_cmd_sock, SOCKET_URING_OP_SETSOCKOPT, fd, level,
			    name, (void *)(uintptr_t)value, (int)length);
}

static int getsockopt_lent(struct task *task, int fd, int level, int name, void *value, socklen_t *length)
{
	int lent = noria_direct_borrow(fd), r;

	if (lent < 0)
		return lent;
	r = made(task, getsockopt(lent, level, name, value, length));
	close(lent);
	return r;
}

int noria_getsockopt(int fd, int level, int name, void *value, socklen_t *length)
{
	struct task *task = noria_current();
	int r;

	if (!task)
		return -ENXIO;
	if (!fd_is_direct(fd))
		return made(task, getsockopt(fd, level, name, value, length));
	/* The ring knows only the options of every socket. */
	if (level != SOL_SOCKET || !features_has(&task->loop->ring->features, FEATURE_SOCKET_CMD))
		return getsockopt_lent(task, fd, level, name, value, length);
	r = (int)op_call("getsockopt", OP_ALWAYS, io_uring_prep_cmd_sock, SOCKET_URING_OP_GETSOCKOPT, fd, level, name,
			 value, (int)*length);
	if (r < 0)
		return r;
	*length = (socklen_t)r;
	return 0;
}

static int get_name(int fd, struct sockaddr *address, socklen_t *length,
		    int (*call)(int fd, struct sockaddr *address, socklen_t *length))
{
	struct task *task = noria_current();
	int lent, r;

	if (!task)
		return -ENXIO;
	if (!fd_is_direct(fd))
		return made(task, call(fd, address, length));
	lent = noria_direct_borrow(fd);
	if (lent < 0)
		return lent;
	r = made(task, call(lent, address, length));
	close(lent);
	return r;
}

int noria_getsockname(int fd, struct sockaddr *address, socklen_t *length)
{
	return get_name(fd, address, length, getsockname);
}

int noria_getpeername(int fd, struct sockaddr *address, socklen_t *length)
{
	return get_name(fd, address, length, getpeername);
}
