/* SPDX-License-Identifier: MIT */
/*
 * The table of direct descriptors: making it, counting its places, closing one, and what cannot be done with them.
 *
 * A place is reused by the kernel as soon as it is free, so a close takes the number out of `open` before anything
 * else: a second task that closes it too is told -EBADF, and never reaches the number's next owner.
 */
#include "op/direct.h"

#include "base/memory.h"
#include "base/message.h"
#include "op/op.h"
#include "scope/failure.h"
#include "scope/scope.h"
#include "task/closing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static unsigned default_places(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= DIRECT_DEFAULT + DIRECT_CHAINED)
		return DIRECT_DEFAULT;
	return limit.rlim_cur > DIRECT_CHAINED ? (unsigned)limit.rlim_cur - DIRECT_CHAINED : 1;
}

int noria_direct_get(struct loop *loop, struct direct **ret_direct)
{
	unsigned places = loop->config.direct_descriptors ? loop->config.direct_descriptors : default_places();
	struct direct *direct = loop->direct;
	int r;

	if (direct) {
		*ret_direct = direct;
		return 0;
	}
	direct = memory_zeroed(1, sizeof *direct + (places + DIRECT_CHAINED) * sizeof direct->open[0]);
	if (!direct)
		return noria_refuse(-ENOMEM, "no memory for a table of direct descriptors");
	direct->places = places;
	r = loop->ring->class->direct(loop->ring, places + DIRECT_CHAINED, places);
	if (r < 0) {
		free(direct);
		return noria_refuse(r,
				    "no table of %u direct descriptors (and %d for chains): %s. Remedy: fewer "
				    "direct_descriptors, or a higher RLIMIT_NOFILE",
				    places, DIRECT_CHAINED, strerror(-r));
	}
	*ret_direct = loop->direct = direct;
	return 0;
}

void noria_direct_free(struct loop *loop)
{
	if (!loop->direct)
		return;
	loop->ring->class->direct(loop->ring, 0, 0);
	free(loop->direct);
	loop->direct = NULL;
}

static int promise(struct task *task)
{
	struct direct *direct = NULL;
	int r = scope_door(task);

	if (r >= 0)
		r = noria_direct_get(task->loop, &direct);
	if (r < 0)
		return r;
	if (direct->taken >= direct->places)
		return noria_refuse(-ENFILE,
				    "all %u direct descriptors are open, or promised to operations under way. Remedy: "
				    "close some, or raise direct_descriptors",
				    direct->places);
	direct->taken++;
	return 0;
}

int noria_direct_promise(struct task *task)
{
	int r = promise(task);

	if (likely(r >= 0))
		return 0;
	r = task_answer(task, r);
	noria_error_arose(task, r);
	return r;
}

int noria_direct_keep(struct task *task, int64_t result)
{
	struct direct *direct = task->loop->direct;

	if (result < 0) {
		direct->taken--;
		return (int)result;
	}
	invariant(result < direct->places && !direct->open[result]);
	direct->open[result] = true;
	return fd_from_direct((unsigned)result);
}

int noria_direct_close(struct task *task, int fd)
{
	struct direct *direct = task->loop->direct;
	unsigned index = fd_direct_index(fd);
	int r;

	if (!direct || index >= direct->places || !direct->open[index])
		return -EBADF;
	direct->open[index] = false;
	noria_submissions_end_fd(task->loop, fd);
	++*loop_closes(task->loop, fd);
	r = (int)op_call("close", OP_ALWAYS, io_uring_prep_close, fd);
	direct->taken--;
	return r;
}

static int lacks(const struct loop *loop, enum feature feature, const char *name)
{
	if (features_has(&loop->ring->features, feature))
		return 0;
	return noria_refuse(-EOPNOTSUPP,
			    "%s on a direct descriptor: this kernel has no `%s` (Linux %s). Remedy: do it on an "
			    "ordinary descriptor, and hand that to noria_fd_direct()",
			    name, noria_feature_table[feature].name, noria_feature_table[feature].release);
}

int noria_direct_refuse(const struct loop *loop, const struct io_uring_sqe *sqe, const char *name)
{
	switch (sqe->opcode) {
	case IORING_OP_OPENAT:
	case IORING_OP_OPENAT2:
	case IORING_OP_STATX:
	case IORING_OP_RENAMEAT:
	case IORING_OP_UNLINKAT:
	case IORING_OP_MKDIRAT:
	case IORING_OP_SYMLINKAT:
	case IORING_OP_LINKAT:
		return noria_refuse(-EOPNOTSUPP,
				    "%s in a direct descriptor: the kernel looks up paths only from ordinary ones. "
				    "Remedy: open the directory with noria_openat(), or noria_fd_install() it",
				    name);
	case IORING_OP_BIND:
	case IORING_OP_LISTEN:
		return lacks(loop, FEATURE_BIND_LISTEN, name);
	case IORING_OP_URING_CMD:
		return lacks(loop, FEATURE_SOCKET_CMD, name);
	case IORING_OP_FIXED_FD_INSTALL:
		return lacks(loop, FEATURE_FD_INSTALL, name);
	default:
		return 0;
	}
}

/* The ring goes, and they with it: nothing leaks, but somebody forgot to close them. */
void noria_direct_report(struct task *task)
{
	struct direct *direct = task->loop->direct;
	struct noria_failure failure;
	char text[96];
	unsigned left = 0;

	for (unsigned i = 0; direct && i < direct->places; i++)
		left += direct->open[i];
	if (left == 0)
		return;
	snprintf(text, sizeof text, "%u direct descriptors were left open at the end of the run", left);
	failure = noria_failure_bare(task, -EINVAL, task->site);
	noria_report(task->loop, &failure, text);
}
