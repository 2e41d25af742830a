/* SPDX-License-Identifier: MIT */
/*
 * Accept streams: one accept stays submitted, and connections are queued as they come; where the kernel has no
 * multishot accept, one at a time. A connection in the queue is a descriptor of this process, so none may get lost: it
 * is handed out, or closed with the stream.
 *
 * The queue grows as they come: the kernel accepts on until it has seen that it is to stop. One for which there is no
 * memory is closed, and its client sees the end; the stream says -ENOMEM after those before it, and goes on.
 */
#include "noria/stream.h"

#include "base/memory.h"
#include "base/message.h"
#include "net/accept.h"
#include "noria/op.h"
#include "noria/scope.h"
#include "op/stream.h"
#include "ring/ring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { QUEUE_MAX = 64 };

struct accept_stream {
	struct stream stream;
	int *queue; /* a ring of `room` descriptors */
	unsigned first, room;
	int flags;
};

stream_fits(struct accept_stream, struct noria_accept_stream);

static struct accept_stream *from_public(const struct noria_accept_stream *stream)
{
	return (struct accept_stream *)(uintptr_t)stream;
}

static struct accept_stream *from_stream(const struct stream *stream)
{
	return container_of((struct stream *)(uintptr_t)stream, struct accept_stream, stream);
}

static void prepare(struct stream *stream, struct io_uring_sqe *sqe)
{
	int flags = from_stream(stream)->flags;

	if (features_has(&noria_loop->ring->features, FEATURE_ACCEPT_MULTISHOT))
		io_uring_prep_multishot_accept(sqe, stream->fd, NULL, NULL, flags);
	else
		io_uring_prep_accept(sqe, stream->fd, NULL, NULL, flags);
}

/* Room for one more. */
static int make_room(struct accept_stream *accept)
{
	unsigned queued = accept->stream.queued, room = accept->room > 0 ? 2 * accept->room : QUEUE_MAX;
	int *queue;

	if (queued < accept->room)
		return 0;
	queue = memory_new(room * sizeof *queue);
	if (!queue)
		return noria_refuse(-ENOMEM, "no memory for an accept stream");
	for (unsigned i = 0; i < queued; i++)
		queue[i] = accept->queue[(accept->first + i) % accept->room];
	free(accept->queue);
	accept->queue = queue;
	accept->room = room;
	accept->first = 0;
	return 0;
}

static void accepted(struct accept_stream *accept, int fd)
{
	int r = make_room(accept);

	if (r < 0) {
		close(fd); /* nobody has seen the number */
		noria_stream_end(&accept->stream, r);
		return;
	}
	accept->queue[(accept->first + accept->stream.queued++) % accept->room] = fd;
}

static void completed(struct submission *submission, int32_t result, uint32_t flags, bool last)
{
	struct stream *stream = submission_stream(submission);

	(void)flags;
	if (result >= 0)
		accepted(from_stream(stream), result);
	else if (!accept_goes_on(result))
		noria_stream_end(stream, result);
	stream_completed(stream, last, stream->queued >= QUEUE_MAX);
}

static int take(struct accept_stream *accept)
{
	int fd = accept->queue[accept->first];

	accept->first = (accept->first + 1) % accept->room;
	accept->stream.queued--;
	return fd;
}

static void release(struct stream *stream)
{
	struct accept_stream *accept = from_stream(stream);

	while (stream->queued > 0)
		(void)noria_close(take(accept));
	free(accept->queue);
}

static const struct stream_class accept_class = {
	.noun = "accept stream",
	.automatic = "noria_autoaccept",
	.size = sizeof(struct accept_stream),
	.recovers = true,
	.prepare = prepare,
	.completed = completed,
	.release = release,
};

int noria_accept_stream_open_at(struct noria_accept_stream *storage, int fd, int flags, const struct noria_site *site)
{
	struct accept_stream *accept = from_public(storage);
	int r = noria_stream_open(&accept->stream, &accept_class, fd, site);

	if (r < 0)
		return r;
	if (flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK))
		return noria_refuse(-EINVAL, "an accept stream takes SOCK_CLOEXEC and SOCK_NONBLOCK, not flags %#x",
				    (unsigned)flags);
	accept->flags = flags;
	noria_stream_opened(&accept->stream);
	return 0;
}

static int await(struct accept_stream *accept, struct task *task)
{
	int r;

	while ((r = stream_await(&accept->stream, task)) == STREAM_IDLE) {
		r = scope_checkpoint(task);
		if (r == 0)
			r = make_room(accept);
		if (r < 0)
			return r;
		noria_stream_arm(&accept->stream);
	}
	return r;
}

/*
 * The wait is idle, so a drain ends it. What had been accepted by then is handed out all the same, and nothing more is
 * accepted. What is queued when the next call comes is no wait.
 */
static int next(struct accept_stream *accept, struct task *task)
{
	struct stream *stream = &accept->stream;
	int r = stream->queued > 0 ? 0 : noria_idle(await(accept, task));

	if (r == -ECANCELED && scope_checkpoint(task) == 0)
		noria_stream_stop(stream, task);
	if (stream->closing)
		return -EBADF;
	return stream->queued > 0 && (r >= 0 || scope_checkpoint(task) == 0) ? take(accept) : r;
}

int noria_accept_stream_next(struct noria_accept_stream *storage)
{
	struct accept_stream *accept = from_public(storage);
	struct task *task;
	int r = stream_enter(&accept->stream, &accept_class, &task);

	if (r < 0)
		return r;
	r = next(accept, task);
	stream_leave(&accept->stream);
	return r;
}

void noria_accept_stream_close(struct noria_accept_stream *storage)
{
	noria_stream_close(&from_public(storage)->stream);
}
