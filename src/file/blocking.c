/* SPDX-License-Identifier: MIT */
/*
 * A system call, or a function of several, on a thread of the executor. It runs in a scope of its own, which a close of
 * its descriptors cancels: that is what takes it out of the queue.
 */
#include "file/blocking.h"

#include "base/message.h"
#include "noria/offload.h"
#include "noria/scope.h"
#include "scope/failure.h"
#include "task/closing.h"
#include "task/loop.h"

#include <errno.h>
#include <unistd.h>

struct started {
	struct fd_use use;
	struct noria_scope scope;
	int (*fn)(void *arg);
	void *arg;
	int result;
	bool made; /* by the thread */
};

static int make(void *arg)
{
	struct started *started = arg;

	started->made = true;
	started->result = started->fn(started->arg);
	return 0;
}

static void end(struct fd_use *use)
{
	noria_scope_cancel_because(&container_of(use, struct started, use)->scope, "its descriptor is closed");
}

int noria_file_refuse_direct(const char *name, int fd, int second_fd)
{
	if (likely(!fd_is_direct(fd) && !fd_is_direct(second_fd)))
		return 0;
	return noria_refuse(
		-EOPNOTSUPP,
		"%s takes no direct descriptor: the kernel's ring has no such operation. Remedy: an ordinary one",
		name);
}

int noria_file_offload(struct task *task, int fd, int second_fd, int (*fn)(void *arg), void *arg)
{
	struct started started = {.fn = fn, .arg = arg};
	bool closed;
	int r;

	started.use = (struct fd_use){.fd = fd, .second_fd = second_fd, .end = end};
	r = noria_fd_use_begin(task->loop, &started.use);
	if (r < 0)
		return r;
	noria_scope_open_quietly_(&started.scope, NORIA_FOREVER, 0, NORIA_SITE("system call on a thread"));
	r = noria_offload(make, &started);
	r = (int)noria_scope_close(&started.scope, r);
	closed = noria_fd_use_end(&started.use);
	if (started.made)
		r = started.result;
	return closed && (!started.made || r == -ECANCELED) ? -EBADF : r;
}

struct made {
	const struct blocking *call;
	int64_t result;
};

static int make_call(void *arg)
{
	struct made *made = arg;
	const long *arguments = made->call->arguments;
	long r = syscall(made->call->number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4],
			 arguments[5]);

	made->result = r < 0 ? -errno : r;
	return 0;
}

int64_t noria_file_block(const struct blocking *call)
{
	struct task *task = noria_current();
	struct made made = {.call = call};
	int64_t r;

	if (!task)
		return -ENXIO;
	r = noria_file_refuse_direct(call->name, call->fd, call->second_fd);
	if (r >= 0)
		r = noria_file_offload(task, call->fd, call->second_fd, make_call, &made);
	if (r >= 0)
		r = made.result;
	if (r < 0)
		noria_error_arose(task, (int)r);
	return r;
}
