/* SPDX-License-Identifier: MIT */
/*
 * Streams: a wait with a queue. One submission, multishot where the kernel can, stays under way; what its completions
 * bring is queued, and one task takes it from there. This is what all kinds share: when the submission runs, who waits,
 * and how it ends. A kind (receiving, accepting, datagrams) fills the entry and keeps the queue.
 *
 * The submission lives in the stream and not on the waiting task's stack, so a wait for what comes next is abandoned at
 * once; only closing waits for the kernel's last word. A stream whose task is slow is stopped when its queue is full,
 * and goes on when that is empty. So it does after a completion queue that overflowed, which ends a multishot.
 */
#ifndef NORIA_OP_STREAM_H
#define NORIA_OP_STREAM_H

#include "base/container.h"
#include "scope/scope.h"
#include "task/submission.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stream;

struct stream_class {
	const char *noun;      /* "receive stream" */
	const char *automatic; /* the attribute of variables that close themselves */
	size_t size;           /* of the kind, whose first member the stream is */
	bool recovers;         /* an error is told once, and the next call goes on */
	/* Fill the cleared entry of the submission. */
	void (*prepare)(struct stream *stream, struct io_uring_sqe *sqe);
	/* A completion: queue what it brought, or noria_stream_end(); then stream_completed(). Must not park. */
	void (*completed)(struct submission *submission, int32_t result, uint32_t flags, bool last);
	/* It is being closed, and nothing is under way: give back all that it holds. */
	void (*release)(struct stream *stream);
};

/* What noria_stream_await() found. */
enum stream_found {
	STREAM_QUEUED, /* something can be taken */
	STREAM_IDLE,   /* nothing, and its submission is not under way: noria_stream_arm() */
	STREAM_ENDED,  /* nothing, and there will be nothing more */
};

struct stream {
	struct leftover leftover; /* closed for the task that forgets it */
	const struct stream_class *class;
	struct task *operating; /* a task that waits for an operation of its own in the stream's name */

	/* What a message touches, from the end of the submission to the kind's own first members, lies together. */
	struct submission submission;
	struct wait *wait; /* of the task that waits for what comes next, or for the end */
	uint64_t magic;
	const uint32_t *closes; /* of the descriptor, */
	uint32_t closes_before; /* and when the stream was opened */
	int fd;
	int end; /* 1: nothing yet; 0: there is nothing more to come; an error */
	unsigned queued;
	bool armed, closing;
	bool in_next; /* a task is inside `next` */
};

/*
 * Begin to open the stream; the whole of its kind is cleared. Returns 0; -ENXIO, or -EINVAL with both
 * places in the message when it is open already. It is open with noria_stream_opened(); before that nothing need be
 * undone.
 */
int noria_stream_open(struct stream *stream, const struct stream_class *class, int fd, const struct noria_site *site);
void noria_stream_opened(struct stream *stream);

int noria_stream_turn_away(const struct stream_class *class);
/* See stream_await(). */
int noria_stream_await(struct stream *stream, struct task *task);
/* Submit it. It may have ended when this returns: ask noria_stream_await(). */
void noria_stream_arm(struct stream *stream);
/* From within `next`: end what is under way, and wait for that. What it brought is queued. */
void noria_stream_stop(struct stream *stream, struct task *task);
/* For `completed`: a result that is none. */
void noria_stream_end(struct stream *stream, int32_t result);

void noria_stream_close(struct stream *stream);

static inline uint64_t stream_magic(const struct stream *stream)
{
	return UINT64_C(0x6e6f7269612e7374) ^ (uint64_t)(uintptr_t)stream;
}

static inline bool stream_is_open(const struct stream *stream)
{
	return stream->magic == stream_magic(stream);
}

static inline void stream_leave(struct stream *stream)
{
	stream->in_next = false;
}

/* A task enters `next`, a checkpoint; 0, or why not. Who entered leaves by stream_leave(). */
static inline int stream_enter(struct stream *stream, const struct stream_class *class, struct task **ret_task)
{
	struct task *task = noria_current();
	int r;

	*ret_task = task;
	if (unlikely(!task))
		return -ENXIO;
	if (unlikely(!stream_is_open(stream) || stream->in_next))
		return noria_stream_turn_away(class);
	stream->in_next = true;
	if (stream->queued > 0)
		task_spend(task); /* what is queued costs no switch */
	r = scope_door(task);
	if (unlikely(r == 0 && stream->closing))
		r = -EBADF;
	if (unlikely(r < 0))
		stream_leave(stream);
	return r;
}

/* Wait until one of `enum stream_found` is so, or for an error. */
static inline int stream_await(struct stream *stream, struct task *task)
{
	return likely(stream->queued > 0 && !stream->closing) ? STREAM_QUEUED : noria_stream_await(stream, task);
}

static inline struct stream *submission_stream(struct submission *submission)
{
	return container_of(submission, struct stream, submission);
}

/* The end of `completed`. `stop`: so much is queued that it should, or it is to be submitted anew. */
static inline void stream_completed(struct stream *stream, bool last, bool stop)
{
	if (last)
		stream->armed = false;
	else if (unlikely(stop))
		noria_submission_cancel(noria_loop, &stream->submission);
	if (stream->wait && !stream->wait->done && likely(last || !stream->closing))
		noria_wait_complete(stream->wait);
}

/* Closed since it was opened: the number may be another's by now. */
static inline bool stream_lost_fd(const struct stream *stream)
{
	return *stream->closes != stream->closes_before;
}

/* What stands in the caller's storage of a kind. */
#define stream_fits(kind, storage) \
	_Static_assert(sizeof(kind) <= sizeof(storage), #storage " is too small"); \
	_Static_assert(_Alignof(kind) <= _Alignof(storage), #storage " is aligned too little")

#endif
