/* SPDX-License-Identifier: MIT */
/*
 * Receive streams: one receive stays submitted and fills buffers of the loop; the task is shown what they hold. On a
 * socket that carries bytes, pieces that lie next to each other are shown as one.
 *
 * A stream for which there is no buffer left does not wait for the others: it receives one message into memory of its
 * own, and looks for buffers again at the next. So it does where the kernel cannot choose.
 */
#include "noria/stream.h"

#include "base/memory.h"
#include "base/message.h"
#include "noria/net.h"
#include "noria/op.h"
#include "op/buffers.h"
#include "op/op.h"
#include "op/stream.h"
#include "ring/ring.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { QUEUE_MAX = 16, OWN_SIZE = 16 * 1024 };

struct recv_stream {
	struct stream stream;
	struct buffers *buffers; /* NULL: the kernel cannot choose */
	struct pieces queue, held;
	bool bytes; /* no message has a boundary */
	bool large; /* of these so many came at once that it pays to fill several buffers in one go */
	void *own;  /* memory for one message, while the loop's buffers are all taken */
};

stream_fits(struct recv_stream, struct noria_recv_stream);

static struct recv_stream *from_public(const struct noria_recv_stream *stream)
{
	return (struct recv_stream *)(uintptr_t)stream;
}

static struct recv_stream *from_stream(const struct stream *stream)
{
	return container_of((struct stream *)(uintptr_t)stream, struct recv_stream, stream);
}

static bool has(enum feature feature)
{
	return features_has(&noria_loop->ring->features, feature);
}

/* A multishot takes many buffers in one go: not while they are scarce, unless it shares them. */
static bool may_take_many(const struct buffers *buffers)
{
	return has(FEATURE_RECV_MULTISHOT) && (buffers->incremental || buffers->left >= buffers->count / 2);
}

static void prepare(struct stream *stream, struct io_uring_sqe *sqe)
{
	const struct recv_stream *recv = from_stream(stream);

	if (may_take_many(recv->buffers))
		io_uring_prep_recv_multishot(sqe, stream->fd, NULL, 0, 0);
	else
		io_uring_prep_recv(sqe, stream->fd, NULL, 0, 0);
	if (recv->large)
		sqe->ioprio |= IORING_RECVSEND_BUNDLE;
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = (uint16_t)recv->buffers->group;
	/*
	 * Not IORING_RECVSEND_POLL_FIRST: a multishot polls for edges, so bytes that are there already when it is armed
	 * again would never be told of (seen on Linux 6.18).
	 */
}

/* More than its share of half the buffers. */
static bool is_full(const struct recv_stream *recv)
{
	const struct buffers *buffers = recv->buffers;
	unsigned queued = recv->stream.queued;

	return queued > QUEUE_MAX || recv->queue.bytes > buffers->memory_bytes / (2 * buffers->streams) ||
	       (!buffers->incremental && queued > buffers->count / (2 * buffers->streams));
}

/*
 * One completion for several buffers costs the kernel more where one buffer would have done (1.5 % of a small request).
 * So a stream asks for that once a receive was cut at the end of a buffer that it had largely to itself.
 */
static bool turns_large(struct recv_stream *recv, int32_t result, uint32_t flags)
{
	if (likely(result <= (int32_t)(recv->buffers->size / 2)) || (flags & IORING_CQE_F_BUF_MORE) || recv->large ||
	    !recv->bytes || !has(FEATURE_BUNDLE))
		return false;
	recv->large = true;
	return true;
}

/* One piece is no queue: a busy stream is not stopped at every message. */
static void completed(struct submission *submission, int32_t result, uint32_t flags, bool last)
{
	struct stream *stream = submission_stream(submission);
	struct recv_stream *recv = from_stream(stream);

	if (likely(flags & IORING_CQE_F_BUFFER))
		buffers_received(recv->buffers, result, flags, &recv->queue, recv->bytes);
	stream->queued = recv->queue.count;
	if (unlikely(result == -ENOBUFS))
		noria_buffers_ran_out(recv->buffers);
	else if (unlikely(result <= 0))
		noria_stream_end(stream, result);
	stream_completed(stream, last, turns_large(recv, result, flags) || (stream->queued > 1 && is_full(recv)));
}

static void release(struct stream *stream)
{
	struct recv_stream *recv = from_stream(stream);

	if (recv->buffers) {
		pieces_release(recv->buffers, &recv->held);
		pieces_release(recv->buffers, &recv->queue);
		recv->buffers->streams--;
	}
	free(recv->own);
}

static const struct stream_class recv_class = {
	.noun = "receive stream",
	.automatic = "noria_autorecv",
	.size = sizeof(struct recv_stream),
	.prepare = prepare,
	.completed = completed,
	.release = release,
};

/* Of a descriptor that only the ring knows it is not asked: treated as one with messages, it works all the same. */
static bool carries_bytes(int fd)
{
	int type = 0;
	socklen_t length = sizeof type;

	return !fd_is_direct(fd) && getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0 && type == SOCK_STREAM;
}

int noria_recv_stream_open_at(struct noria_recv_stream *storage, int fd, const struct noria_site *site)
{
	struct recv_stream *recv = from_public(storage);
	int r = noria_stream_open(&recv->stream, &recv_class, fd, site);

	if (r < 0)
		return r;
	recv->bytes = carries_bytes(fd);
	if (has(FEATURE_BUFFER_RING)) {
		r = noria_buffers_get(noria_loop, recv->bytes, &recv->buffers);
		if (r < 0)
			return r;
		recv->buffers->streams++;
	}
	noria_stream_opened(&recv->stream);
	return 0;
}

static int make_own(struct recv_stream *recv)
{
	if (!recv->own)
		recv->own = memory_new(OWN_SIZE);
	return recv->own ? 0 : noria_refuse(-ENOMEM, "no memory for a receive stream");
}

/* One message into memory of its own, which is taken only when there is one. Returns as recv(2), -EAGAIN included. */
static ssize_t receive_own(struct recv_stream *recv, const void **ret_data)
{
	struct stream *stream = &recv->stream;
	ssize_t r;

	stream->operating = noria_loop->current;
	r = noria_poll(stream->fd, POLLIN);
	if (r >= 0 && stream_lost_fd(stream))
		r = -EBADF; /* closed while it was ready */
	if (r >= 0)
		r = make_own(recv);
	if (r >= 0) /* it has arrived, and is delivered, whatever has become of the scope meanwhile */
		r = op_call("recv", OP_ATTEMPT | OP_DONTWAIT | OP_ALWAYS, io_uring_prep_recv, stream->fd, recv->own,
			    OWN_SIZE, MSG_DONTWAIT);
	stream->operating = NULL;
	if (stream->closing)
		return -EBADF;
	if (r == 0 || (r < 0 && r != -EAGAIN && r != -ECANCELED && r != -ENOMEM))
		stream->end = (int)r;
	*ret_data = recv->own;
	return r;
}

/* From the front of the queue: all that lies in one place. */
static size_t show(struct recv_stream *recv, const void **ret_data)
{
	struct buffers *buffers = recv->buffers;
	const char *data = piece_data(buffers, &recv->queue.first);

	*ret_data = data;
	if (likely(recv->queue.count == 1)) {
		recv->held = recv->queue;
		recv->queue.count = 0;
		recv->queue.bytes = 0;
		recv->stream.queued = 0;
		return recv->held.bytes;
	}
	noria_pieces_move(buffers, &recv->queue, &recv->held);
	while (recv->bytes && recv->queue.count > 0 &&
	       piece_data(buffers, &recv->queue.first) == data + recv->held.bytes)
		noria_pieces_move(buffers, &recv->queue, &recv->held);
	recv->stream.queued = recv->queue.count;
	return recv->held.bytes;
}

static ssize_t next(struct recv_stream *recv, struct task *task, const void **ret_data)
{
	struct stream *stream = &recv->stream;
	int r;

	if (recv->held.count > 0)
		pieces_release(recv->buffers, &recv->held);
	while ((r = stream_await(stream, task)) == STREAM_IDLE) {
		if (!recv->buffers || recv->buffers->left == 0) {
			ssize_t n = receive_own(recv, ret_data);

			if (n != -EAGAIN)
				return n;
		} else {
			free(recv->own);
			recv->own = NULL;
			noria_stream_arm(stream);
		}
	}
	if (r == STREAM_ENDED)
		return 0;
	return r < 0 ? r : (ssize_t)show(recv, ret_data);
}

ssize_t noria_recv_stream_next(struct noria_recv_stream *storage, const void **ret_data)
{
	struct recv_stream *recv = from_public(storage);
	struct task *task;
	ssize_t r = stream_enter(&recv->stream, &recv_class, &task);

	if (r < 0)
		return r;
	r = next(recv, task, ret_data);
	stream_leave(&recv->stream);
	return r;
}

void noria_recv_stream_close(struct noria_recv_stream *storage)
{
	noria_stream_close(&from_public(storage)->stream);
}
