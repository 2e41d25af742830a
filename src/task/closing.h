/* SPDX-License-Identifier: MIT */
/*
 * Closing a descriptor. Whatever is under way on it ends first, with -EBADF, and nothing begins on it meanwhile. So
 * nothing reaches the number's next owner.
 */
#ifndef NORIA_TASK_CLOSING_H
#define NORIA_TASK_CLOSING_H

#include "base/list.h"
#include "ring/compat.h"
#include "task/loop.h"
#include "task/submission.h"
#include "task/wait.h"

#include <stdbool.h>
#include <sys/wait.h>

/* A descriptor's closing, while it waits for what is under way on it. */
struct closing {
	struct wait wait;
	struct list node; /* in loop->closings */
	int fd;
	unsigned left;
};

/*
 * What an entry has in the place of its descriptor is at times another number: a process, the flags of a futex, the
 * domain of a socket that is to be made; of a pipe it has nothing there.
 */
static inline int submission_fd(const struct submission *submission)
{
	const struct io_uring_sqe *sqe = &submission->sqe;

	switch (sqe->opcode) {
	case IORING_OP_WAITID:
		return sqe->len == P_PIDFD ? sqe->fd : -1;
	case IORING_OP_FUTEX_WAIT:
	case IORING_OP_FUTEX_WAITV:
	case IORING_OP_SOCKET:
	case RING_OP_PIPE:
		return -1;
	default:
		return sqe->fd;
	}
}

static inline bool fd_is_closing(struct loop *loop, int fd, int second_fd)
{
	for (struct list *node = loop->closings.next; node != &loop->closings; node = node->next) {
		int closing = list_entry(node, struct closing, node)->fd;

		if (closing == fd || closing == second_fd)
			return true;
	}
	return false;
}

/* Those that close its descriptors need not wait for it any more. */
void noria_closing_tell(struct closing *slots[2]);

/* Cancel whatever is under way on a descriptor, and park until all of it has ended. */
void noria_submissions_end_fd(struct loop *loop, int fd);

/*
 * What uses descriptors without being a submission, since it runs on another thread. Closing one of them asks for its
 * `end` and waits for it, as it does for submissions.
 */
struct fd_use {
	struct list node; /* in loop->uses */
	int fd, second_fd;
	void (*end)(struct fd_use *use); /* once a close; must not park */
	struct closing *closing[2];
};

/* Returns 0, or -EBADF when one of its descriptors is being closed. */
int noria_fd_use_begin(struct loop *loop, struct fd_use *use);
/* Returns whether one of its descriptors is being closed. */
bool noria_fd_use_end(struct fd_use *use);

#endif
