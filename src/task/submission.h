/* SPDX-License-Identifier: MIT */
/*
 * Submissions: one entry of the ring from the moment a task wants it until its terminal completion. It owns the entry's
 * content, so a full queue only delays it: what finds no room stands in the loop's backlog. A pair (an operation and
 * its linked timeout) is placed together or not at all, and so is a chain of them; a cancel of one is a cancel of its
 * whole chain.
 *
 * Each activation has a word of its own (address and generation) as user_data. A cancel aims at that word, so it can
 * never hit a later operation at the same address.
 */
#ifndef NORIA_TASK_SUBMISSION_H
#define NORIA_TASK_SUBMISSION_H

#include "base/list.h"
#include "task/wait.h"

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>

struct closing;
struct loop;
struct timer;

/* X(state, what may follow) */
#define SUBMISSION_STATES(X) \
	X(IDLE, 1 << SUBMISSION_BACKLOG | 1 << SUBMISSION_FLYING) \
	X(BACKLOG, 1 << SUBMISSION_FLYING | 1 << SUBMISSION_IDLE) \
	X(FLYING, 1 << SUBMISSION_IDLE)

enum submission_state {
#define X(state, next) SUBMISSION_##state,
	SUBMISSION_STATES(X)
#undef X
};

struct submission {
	struct io_uring_sqe sqe; /* filled by the operation; user_data is ours */
	struct submission *head; /* of a chain: its first; NULL: it is no part of one */
	struct submission *link; /* of a chain: the next, NULL for the last. All are placed together, or none is */
	struct list node;        /* in the backlog, or among those in flight on its descriptor */
	struct list pair;        /* in loop->pairs, while it flies and has a second descriptor */
	struct list cancel;      /* in loop->cancels, then in loop->asked */
	struct __kernel_timespec limit;
	uint64_t token;
	/* For each completion; `last` says that it is the terminal one. Must not park. */
	void (*complete)(struct submission *submission, int32_t result, uint32_t flags, bool last);
	enum submission_state state;
	int second_fd;    /* of a splice; -1: none */
	uint16_t persona; /* of the task that made it, for the entry */
	bool limited;     /* a linked timeout goes with it, at `limit` */
	bool cancel_asked;
	bool lingers; /* a zero-copy send has its result, and the kernel still reads the bytes, not the descriptor */
	struct closing *closing[2]; /* its descriptors are being closed, by up to two tasks: it ends with -EBADF */
} __attribute__((aligned(16)));

/* Which one a completion's word is of. */
struct submission *noria_token_submission(uint64_t token);
/* For the running task. */
void noria_submission_init(struct submission *submission, int second_fd,
			   void (*complete)(struct submission *, int32_t, uint32_t, bool));
/* Submit, or submit again after the terminal completion. A chain by its first. */
void noria_submit(struct loop *loop, struct submission *submission);
/*
 * Ask the kernel to end it; later calls for the same activation do nothing. Its terminal completion says what happened,
 * and until then the loop repeats the question.
 */
void noria_submission_cancel(struct loop *loop, struct submission *submission);

/* For the loop: the timer that asks again for cancels which had no effect. */
enum { ASK_AGAIN_MIN_NS = 1000 * 1000, ASK_AGAIN_MAX_NS = 100 * 1000 * 1000 };
void noria_submissions_ask_again(struct timer *timer);
/* For the loop: move waiting cancels and the backlog into the queue as far as there is room. */
void noria_submissions_flush(struct loop *loop);
/* For the loop: dispatch everything that has completed. */
void noria_submissions_reap(struct loop *loop);

#endif
