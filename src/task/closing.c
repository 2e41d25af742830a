/* SPDX-License-Identifier: MIT */
/*
 * What is under way on a descriptor that is to be closed: finding it, in flight, in the backlog or on another thread,
 * having it end, and waiting for that.
 */
#include "task/closing.h"

#include "base/container.h"
#include "task/loop.h"
#include "task/submission.h"

#include <errno.h>
#include <stdio.h>

static bool uses_fd(const struct submission *submission, int fd)
{
	return submission_fd(submission) == fd || submission->second_fd == fd;
}

void noria_closing_tell(struct closing *slots[2])
{
	for (int i = 0; i < 2; i++) {
		struct closing *closing = slots[i];

		slots[i] = NULL;
		if (closing && --closing->left == 0)
			noria_wait_complete(&closing->wait);
	}
}

/* One more for a close to wait for. It may be met twice: in the list of its descriptor, and among the pairs. */
static bool join_closing(struct closing *slots[2], struct closing *closing)
{
	int slot = slots[0] ? 1 : 0;

	if (slots[0] == closing || slots[slot])
		return false;
	slots[slot] = closing;
	closing->left++;
	return true;
}

static void end_one(struct loop *loop, struct submission *submission, int fd, struct closing *closing)
{
	if (!uses_fd(submission, fd) || submission->state == SUBMISSION_IDLE)
		return;
	if (submission->lingers || join_closing(submission->closing, closing))
		noria_submission_cancel(loop, submission);
}

static void end_in_list(struct loop *loop, struct list *head, int fd, struct closing *closing)
{
	struct list *node, *next;

	for (node = head->next; node != head; node = next) {
		struct submission *submission = list_entry(node, struct submission, node);

		next = node->next;
		end_one(loop, submission, fd, closing);
		/* In the backlog a chain stands by its first step. */
		while (head == &loop->backlog && (submission = submission->link))
			end_one(loop, submission, fd, closing);
	}
}

static void end_pairs(struct loop *loop, int fd, struct closing *closing)
{
	struct list *node, *next;

	for (node = loop->pairs.next; node != &loop->pairs; node = next) {
		next = node->next;
		end_one(loop, list_entry(node, struct submission, pair), fd, closing);
	}
}

static void end_uses(struct loop *loop, int fd, struct closing *closing)
{
	for (struct list *node = loop->uses.next; node != &loop->uses; node = node->next) {
		struct fd_use *use = list_entry(node, struct fd_use, node);

		if ((use->fd == fd || use->second_fd == fd) && join_closing(use->closing, closing))
			use->end(use);
	}
}

int noria_fd_use_begin(struct loop *loop, struct fd_use *use)
{
	if (unlikely(!list_empty(&loop->closings) && fd_is_closing(loop, use->fd, use->second_fd)))
		return -EBADF;
	use->closing[0] = use->closing[1] = NULL;
	list_push_back(&loop->uses, &use->node);
	return 0;
}

bool noria_fd_use_end(struct fd_use *use)
{
	bool closing = use->closing[0] != NULL;

	list_remove(&use->node);
	noria_closing_tell(use->closing);
	return closing;
}

static void describe_closing(const struct wait *wait, char *text, size_t size)
{
	snprintf(text, size, "closes a descriptor; waits for %u operations on it to end",
		 container_of(wait, struct closing, wait)->left);
}

static const struct wait_class closing_class = {.describe = describe_closing};

void noria_submissions_end_fd(struct loop *loop, int fd)
{
	struct list *bucket = &loop->flying[(unsigned)fd % LOOP_FD_BUCKETS];
	struct closing closing = {.fd = fd, .left = 1}; /* one for ourselves, while we look */

	if (list_empty(bucket) && list_empty(&loop->backlog) && list_empty(&loop->pairs) && list_empty(&loop->uses))
		return;
	noria_wait_init(&closing.wait, &closing_class);
	end_in_list(loop, bucket, fd, &closing);
	end_in_list(loop, &loop->backlog, fd, &closing);
	end_pairs(loop, fd, &closing);
	end_uses(loop, fd, &closing);
	list_push_back(&loop->closings, &closing.node);
	if (--closing.left > 0)
		noria_wait_park(&closing.wait);
	list_remove(&closing.node);
}
