/* SPDX-License-Identifier: MIT */
/*
 * What is done with a descriptor of any kind: closing it, and waiting for it. A close first ends what other tasks have
 * under way on it, so that nothing reaches the number's next owner.
 */
#include "noria/op.h"

#include "op/direct.h"
#include "op/op.h"
#include "scope/scope.h"
#include "task/closing.h"

#include <errno.h>

int noria_poll(int fd, short events)
{
	return (int)op_call("poll", OP_POLLABLE, io_uring_prep_poll_add, fd, (unsigned short)events);
}

int noria_close(int fd)
{
	struct task *task = noria_current();
	uint32_t *closes, before;

	if (!task)
		return -ENXIO;
	closes = loop_closes(task->loop, fd);
	before = *closes;
	/* Before, not after: what others begin between the close and the caller's next step is for the next owner. */
	task_spend(task);
	if (fd >= 0 && !fd_is_direct(fd))
		noria_submissions_end_fd(task->loop, fd);
	if (fd < 0 || *closes != before)
		return -EBADF; /* closed meanwhile: the number may be another's by now */
	if (fd_is_direct(fd))
		return noria_direct_close(task, fd);
	++*closes;
	return (int)op_call("close", OP_ATTEMPT | OP_ALWAYS, io_uring_prep_close, fd);
}

void noria_autoclose_(int *fd)
{
	if (*fd >= 0)
		(void)noria_close(*fd);
}
