/* SPDX-License-Identifier: MIT */
/*
 * Receive streams: a wait with a queue. One multishot receive stays submitted and fills buffers of the loop; each
 * completion puts one into the stream's queue, and the task takes them from there.
 *
 * The submission lives in the stream, not on the waiting task's stack, so a wait for the next bytes can be abandoned at
 * once; only closing waits for the kernel's last word. A stream whose task is slow is stopped at its share of the
 * buffers and goes on when its queue is empty. A stream for which there is no buffer left does not wait for the others:
 * it receives one message into memory of its own, and looks for buffers again at the next. So it does where the kernel
 * cannot choose.
 */
#include "noria/stream.h"

#include "base/memcheck.h"
#include "base/message.h"
#include "noria/net.h"
#include "noria/op.h"
#include "op/buffers.h"
#include "ring/ring.h"
#include "scope/scope.h"
#include "task/submission.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { QUEUE_MAX = 16, NO_BUFFER = 0xffff, OWN_SIZE = 16 * 1024 };

struct stream {
	struct submission submission;
	struct leftover leftover; /* closed for the task that forgets it */
	struct buffers *buffers;
	struct task *receiver; /* a task that receives into `own` */
	struct wait *wait;     /* of the task that waits for the next bytes, or for the end */
	void *own;             /* memory for one message, while the loop's buffers are all taken */
	uint64_t magic;
	uint32_t closes; /* of the descriptor, when the stream was opened */
	int fd;
	int end; /* 1: nothing yet; 0: the peer has ended; an error */
	uint16_t first, last, queued, held;
	bool armed, closing;
	bool in_next; /* a task is inside noria_recv_stream_next() */
};

_Static_assert(sizeof(struct stream) <= sizeof(struct noria_recv_stream), "struct noria_recv_stream is too small");
_Static_assert(_Alignof(struct stream) <= _Alignof(struct noria_recv_stream),
	       "struct noria_recv_stream is aligned too little");

static struct stream *from_public(const struct noria_recv_stream *stream)
{
	return (struct stream *)(uintptr_t)stream;
}

static uint64_t magic(const struct stream *stream)
{
	return UINT64_C(0x6e6f7269612e7374) ^ (uint64_t)(uintptr_t)stream;
}

/* Being closed by a task that waits for the kernel's last word: neither open nor free. */
static bool is_closing(const struct stream *stream)
{
	return stream->magic == ~magic(stream);
}

static void arm(struct stream *stream)
{
	struct loop *loop = noria_loop;
	struct io_uring_sqe *sqe = &stream->submission.sqe;

	io_uring_initialize_sqe(sqe);
	/* A multishot takes many buffers in one go: not while they are scarce. */
	if (features_has(&loop->ring->features, FEATURE_RECV_MULTISHOT) &&
	    stream->buffers->with_kernel >= stream->buffers->count / 2)
		io_uring_prep_recv_multishot(sqe, stream->fd, NULL, 0, 0);
	else
		io_uring_prep_recv(sqe, stream->fd, NULL, 0, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = BUFFERS_GROUP;
	/*
	 * Not IORING_RECVSEND_POLL_FIRST: a multishot polls for edges, so bytes that are there already when it is armed
	 * again would never be told of (seen on Linux 6.18).
	 */
	stream->armed = true;
	noria_submit(loop, &stream->submission);
}

/*
 * How many buffers a stream may queue before it is stopped; one is no queue: a busy stream is not stopped at every
 * message.
 */
static unsigned share(const struct buffers *buffers)
{
	unsigned share = buffers->count / (2 * buffers->streams);

	return share < 1 ? 1 : share > QUEUE_MAX ? QUEUE_MAX : share;
}

static void enqueue(struct stream *stream, uint16_t index, uint32_t length)
{
	struct buffers *buffers = stream->buffers;

	(void)VALGRIND_MAKE_MEM_DEFINED(buffer_data(buffers, index), length);
	buffers->info[index].length = length;
	buffers->info[index].next = NO_BUFFER;
	if (stream->queued++ == 0)
		stream->first = index;
	else
		buffers->info[stream->last].next = index;
	stream->last = index;
}

static uint16_t dequeue(struct stream *stream)
{
	uint16_t index = stream->first;

	stream->first = stream->buffers->info[index].next;
	stream->queued--;
	return index;
}

static void completed(struct submission *submission, int32_t result, uint32_t flags, bool last)
{
	struct stream *stream = container_of(submission, struct stream, submission);
	uint16_t index = (uint16_t)(flags >> IORING_CQE_BUFFER_SHIFT);

	if (flags & IORING_CQE_F_BUFFER) {
		stream->buffers->with_kernel--;
		if (result > 0)
			enqueue(stream, index, (uint32_t)result);
		else
			noria_buffer_put(stream->buffers, index);
	}
	if (last)
		stream->armed = false;
	if (result == 0)
		stream->end = 0;
	else if (result < 0 && result != -ENOBUFS && !(result == -ECANCELED && submission->cancel_asked))
		stream->end = result;
	if (stream->queued > share(stream->buffers) && !last)
		noria_submission_cancel(noria_loop, submission);
	if (stream->wait && !stream->wait->done && (stream->closing ? last : true))
		noria_wait_complete(stream->wait);
}

static void abandon(struct wait *wait)
{
	noria_wait_complete(wait);
}

static void describe(const struct wait *wait, char *text, size_t size)
{
	(void)wait;
	snprintf(text, size, "waits for bytes of a receive stream");
}

static const struct wait_class next_class = {.abandon = abandon, .describe = describe};
static const struct wait_class close_class = {.describe = describe};

static void wait_on(struct stream *stream, struct task *task, const struct wait_class *class)
{
	struct wait wait;

	noria_wait_init(&wait, class);
	stream->wait = &wait;
	scope_wait(task, &wait);
	stream->wait = NULL;
}

/*
 * Another task waits for bytes, in a buffer of the stream perhaps: it is told -EBADF, and has left before anything is
 * freed.
 */
static void send_waiter_away(struct stream *stream, struct task *task)
{
	while (stream->in_next) {
		if (stream->wait && !stream->wait->done)
			noria_wait_complete(stream->wait);
		if (stream->receiver && stream->receiver->wait)
			noria_wait_abandon(stream->receiver->wait);
		noria_task_yield(task);
	}
}

/* Until its last statement the storage is in use: another task that closes it too waits for that. */
static void close_stream(struct stream *stream, struct task *task)
{
	stream->magic = ~magic(stream);
	stream->closing = true;
	send_waiter_away(stream, task);
	if (stream->armed) {
		noria_submission_cancel(task->loop, &stream->submission);
		while (stream->armed)
			wait_on(stream, task, &close_class);
	}
	if (stream->held != NO_BUFFER)
		noria_buffer_put(stream->buffers, stream->held);
	while (stream->queued > 0)
		noria_buffer_put(stream->buffers, dequeue(stream));
	if (stream->buffers)
		stream->buffers->streams--;
	free(stream->own);
	list_remove(&stream->leftover.node);
	stream->magic = 0;
}

/* Returns whether it was open. */
static bool close_once(struct stream *stream, struct task *task)
{
	bool open = stream->magic == magic(stream);

	if (open)
		close_stream(stream, task);
	while (is_closing(stream))
		noria_task_yield(task);
	return open;
}

static bool close_leftover(struct leftover *leftover)
{
	return close_once(container_of(leftover, struct stream, leftover), noria_loop->current);
}

int noria_recv_stream_open_at(struct noria_recv_stream *storage, int fd, const struct noria_site *site)
{
	struct stream *stream = from_public(storage);
	struct task *task = noria_current();
	int r = 0;

	if (!task)
		return -ENXIO;
	(void)VALGRIND_MAKE_MEM_DEFINED(&stream->magic, sizeof stream->magic);
	if (stream->magic == magic(stream) || is_closing(stream))
		return noria_refuse(-EINVAL, "the receive stream at %s:%d is open already: it was opened at %s:%d",
				    site->file, site->line, stream->leftover.site->file, stream->leftover.site->line);
	memset(stream, 0, sizeof *stream);
	stream->fd = fd;
	stream->end = 1;
	stream->held = NO_BUFFER;
	if (features_has(&task->loop->ring->features, FEATURE_BUFFER_RING))
		r = noria_buffers_get(task->loop, &stream->buffers);
	if (r < 0)
		return r;
	noria_submission_init(&stream->submission, -1, completed);
	stream->leftover.task = task;
	stream->leftover.site = site;
	stream->leftover.close = close_leftover;
	stream->leftover.waits = true;
	list_push_back(&task->leftovers, &stream->leftover.node);
	if (stream->buffers)
		stream->buffers->streams++;
	stream->closes = *loop_closes(task->loop, fd);
	stream->magic = magic(stream);
	return 0;
}

static int make_own(struct stream *stream)
{
	if (!stream->own)
		stream->own = malloc(OWN_SIZE);
	return stream->own ? 0 : noria_refuse(-ENOMEM, "no memory for a receive stream");
}

/* One message into memory of its own, which is taken only when there is one. Returns as recv(2), -EAGAIN included. */
static ssize_t receive_own(struct stream *stream, const void **ret_data)
{
	ssize_t r;

	stream->receiver = noria_loop->current;
	r = noria_poll(stream->fd, POLLIN);
	if (r >= 0 && stream->closes != *loop_closes(noria_loop, stream->fd))
		r = -EBADF; /* closed while it was ready: the number may be another's by now */
	if (r >= 0)
		r = make_own(stream);
	if (r >= 0)
		r = noria_recv(stream->fd, stream->own, OWN_SIZE, MSG_DONTWAIT);
	stream->receiver = NULL;
	if (stream->closing)
		return -EBADF;
	if (r == 0 || (r < 0 && r != -EAGAIN && r != -ECANCELED && r != -ENOMEM))
		stream->end = (int)r;
	*ret_data = stream->own;
	return r;
}

/* Nothing is queued: wait for something. Returns -EAGAIN when there may be, else what to answer. */
static ssize_t await(struct stream *stream, struct task *task, const void **ret_data)
{
	if (stream->end <= 0)
		return stream->end;
	if (stream->closes != *loop_closes(task->loop, stream->fd))
		return -EBADF; /* the number may be another's by now */
	if (!stream->armed) {
		if (!stream->buffers || stream->buffers->with_kernel == 0)
			return receive_own(stream, ret_data);
		free(stream->own);
		stream->own = NULL;
		arm(stream);
		if (stream->end <= 0)
			return stream->end; /* the descriptor is being closed: it was refused at once */
	}
	wait_on(stream, task, &next_class);
	return stream->queued > 0 || stream->closing || scope_door(task) == 0 ? -EAGAIN : -ECANCELED;
}

static ssize_t take(struct stream *stream, struct task *task, const void **ret_data)
{
	ssize_t r;

	while (stream->queued == 0) {
		r = await(stream, task, ret_data);
		if (r != -EAGAIN)
			return r;
		if (stream->closing)
			return -EBADF;
	}
	stream->held = dequeue(stream);
	*ret_data = buffer_data(stream->buffers, stream->held);
	return stream->buffers->info[stream->held].length;
}

static ssize_t next(struct stream *stream, struct task *task, const void **ret_data)
{
	int r;

	if (stream->queued > 0)
		task_spend(task); /* what is queued costs no switch */
	r = scope_door(task);
	if (r < 0)
		return r;
	if (stream->held != NO_BUFFER)
		noria_buffer_put(stream->buffers, stream->held);
	stream->held = NO_BUFFER;
	return stream->closing ? -EBADF : take(stream, task, ret_data);
}

ssize_t noria_recv_stream_next(struct noria_recv_stream *storage, const void **ret_data)
{
	struct stream *stream = from_public(storage);
	struct task *task = noria_current();
	ssize_t r;

	if (!task)
		return -ENXIO;
	if (stream->magic != magic(stream) || stream->in_next)
		return noria_refuse(-EINVAL, "a receive stream that is not open, or that another task waits on");
	stream->in_next = true;
	r = next(stream, task, ret_data);
	stream->in_next = false;
	return r;
}

void noria_recv_stream_close(struct noria_recv_stream *storage)
{
	struct stream *stream = from_public(storage);
	struct task *task = noria_current();

	if (task)
		(void)close_once(stream, task);
}
