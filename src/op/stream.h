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

#include "scope/scope.h"
#include "task/submission.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stream;

struct stream_class {
	const char *noun; /* "receive stream" */
	bool recovers;    /* an error is told once, and the next call goes on */
	/* Fill the cleared entry of the submission. */
	void (*prepare)(struct stream *stream, struct io_uring_sqe *sqe);
	/* A completion: queue what it brought, or noria_stream_end(). Must not park. */
	void (*arrived)(struct stream *stream, int32_t result, uint32_t flags);
	/* Is so much queued that it should stop? */
	bool (*full)(const struct stream *stream);
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
	struct submission submission;
	struct leftover leftover; /* closed for the task that forgets it */
	const struct stream_class *class;
	struct task *operating; /* a task that waits for an operation of its own in the stream's name */
	struct wait *wait;      /* of the task that waits for what comes next, or for the end */
	uint64_t magic;
	uint32_t closes; /* of the descriptor, when the stream was opened */
	int fd;
	int end; /* 1: nothing yet; 0: there is nothing more to come; an error */
	unsigned queued;
	bool armed, closing;
	bool in_next; /* a task is inside `next` */
};

/*
 * Begin to open the stream at the head of `size` bytes, which are cleared. Returns 0; -ENXIO, or -EINVAL with both
 * places in the message when it is open already. It is open with noria_stream_opened(); before that nothing need be
 * undone.
 */
int noria_stream_open(struct stream *stream, size_t size, const struct stream_class *class, int fd,
		      const struct noria_site *site);
void noria_stream_opened(struct stream *stream);

/* A task enters `next`, a checkpoint; 0, or why not. Who entered leaves by stream_leave(). */
int noria_stream_enter(struct stream *stream, const struct stream_class *class, struct task **ret_task);
/* Wait until one of `enum stream_found` is so, or for an error. */
int noria_stream_await(struct stream *stream, struct task *task);
/* Submit it. It may have ended when this returns: ask noria_stream_await(). */
void noria_stream_arm(struct stream *stream);
/* From within `next`: end what is under way, and wait for that. What it brought is queued. */
void noria_stream_stop(struct stream *stream, struct task *task);
/* For `arrived`: a result that is none. */
void noria_stream_end(struct stream *stream, int32_t result);

void noria_stream_close(struct stream *stream);

static inline void stream_leave(struct stream *stream)
{
	stream->in_next = false;
}

/* Closed since it was opened: the number may be another's by now. */
static inline bool stream_lost_fd(const struct stream *stream)
{
	return stream->closes != *loop_closes(noria_loop, stream->fd);
}

/* What stands in the caller's storage of a kind. */
#define stream_fits(kind, storage) \
	_Static_assert(sizeof(kind) <= sizeof(storage), #storage " is too small"); \
	_Static_assert(_Alignof(kind) <= _Alignof(storage), #storage " is aligned too little")

#endif
