/* SPDX-License-Identifier: MIT */
/*
 * Datagram streams: one recvmsg stays submitted, and each datagram comes in a buffer of its own, behind a header that
 * says how much of address, control data and payload there is. The buffers are the stream's own, so that their size can
 * be what its datagrams need; when all are taken the kernel stops (-ENOBUFS), what arrives waits in the socket, and the
 * stream goes on when its task has come for more.
 *
 * Where the kernel cannot do that, one recvmsg at a time fills memory that is laid out alike.
 */
#include "noria/datagram.h"

#include "base/memory.h"
#include "base/message.h"
#include "net/control.h"
#include "op/buffers.h"
#include "op/stream.h"
#include "ring/ring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 64, BUFFERS_MAX = 4096, CONTROL_MAX = 4096, SIZE_LIMIT = 65535 };

struct datagram_stream {
	struct stream stream;
	struct buffers *buffers; /* NULL: one at a time, into `own` */
	struct pieces queue, held;
	struct msghdr layout; /* what is received: into `own`, or only the lengths for the kernel */
	struct iovec vector;
	char *own;
	size_t own_size; /* of the payload in it */
	unsigned control;
};

stream_fits(struct datagram_stream, struct noria_datagram_stream);

static struct datagram_stream *from_public(const struct noria_datagram_stream *stream)
{
	return (struct datagram_stream *)(uintptr_t)stream;
}

static struct datagram_stream *from_stream(const struct stream *stream)
{
	return container_of((struct stream *)(uintptr_t)stream, struct datagram_stream, stream);
}

static void prepare(struct stream *stream, struct io_uring_sqe *sqe)
{
	struct datagram_stream *datagrams = from_stream(stream);

	datagrams->layout.msg_namelen = sizeof(struct sockaddr_storage);
	datagrams->layout.msg_controllen = datagrams->control;
	if (!datagrams->buffers) {
		io_uring_prep_recvmsg(sqe, stream->fd, &datagrams->layout, 0);
		return;
	}
	io_uring_prep_recvmsg_multishot(sqe, stream->fd, &datagrams->layout, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = (uint16_t)datagrams->buffers->group;
}

static void completed(struct submission *submission, int32_t result, uint32_t flags, bool last)
{
	struct stream *stream = submission_stream(submission);
	struct datagram_stream *datagrams = from_stream(stream);

	if (flags & IORING_CQE_F_BUFFER) {
		buffers_received(datagrams->buffers, result, flags, &datagrams->queue, false);
		stream->queued = datagrams->queue.count;
	} else if (result >= 0 && !datagrams->buffers) {
		datagrams->own_size = (size_t)result;
		stream->queued = 1;
	}
	if (result == -ENOBUFS)
		noria_buffers_ran_out(datagrams->buffers);
	else if (result < 0)
		noria_stream_end(stream, result);
	stream_completed(stream, last, false); /* its buffers bound it */
}

static void release(struct stream *stream)
{
	struct datagram_stream *datagrams = from_stream(stream);

	if (datagrams->buffers)
		noria_buffers_free(datagrams->buffers);
	free(datagrams->own);
}

static const struct stream_class datagram_class = {
	.noun = "datagram stream",
	.automatic = "noria_autodatagrams",
	.size = sizeof(struct datagram_stream),
	.recovers = true,
	.prepare = prepare,
	.completed = completed,
	.release = release,
};

/* In one piece: header, address, control data, payload. */
static int make_own(struct datagram_stream *datagrams, unsigned size)
{
	const size_t address = sizeof(struct io_uring_recvmsg_out);
	const size_t control = address + sizeof(struct sockaddr_storage), payload = control + datagrams->control;

	datagrams->own = memory_new(payload + size);
	if (!datagrams->own)
		return noria_refuse(-ENOMEM, "no memory for a datagram stream");
	datagrams->vector = (struct iovec){datagrams->own + payload, size};
	datagrams->layout.msg_name = datagrams->own + address;
	datagrams->layout.msg_control = datagrams->control > 0 ? datagrams->own + control : NULL;
	datagrams->layout.msg_iov = &datagrams->vector;
	datagrams->layout.msg_iovlen = 1;
	return 0;
}

static int make_buffers(struct datagram_stream *datagrams, unsigned size, unsigned count)
{
	const struct features *features = &noria_loop->ring->features;
	size_t whole =
		sizeof(struct io_uring_recvmsg_out) + sizeof(struct sockaddr_storage) + datagrams->control + size;

	if (!features_has(features, FEATURE_RECVMSG_MULTISHOT) || !features_has(features, FEATURE_BUFFER_RING))
		return make_own(datagrams, size);
	return noria_buffers_make(noria_loop, count, (unsigned)(whole + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT, false,
				  &datagrams->buffers);
}

static int check(const struct noria_datagram_options *options)
{
	if (options->size > SIZE_LIMIT || options->control > CONTROL_MAX || options->buffers > BUFFERS_MAX ||
	    (options->buffers & (options->buffers - 1)))
		return noria_refuse(-EINVAL,
				    "a datagram stream takes sizes up to %d, control data up to %d, and buffers in a "
				    "power of two up to %d; not %u, %u and %u",
				    SIZE_LIMIT, CONTROL_MAX, BUFFERS_MAX, options->size, options->control,
				    options->buffers);
	return 0;
}

int noria_datagram_stream_open_at(struct noria_datagram_stream *storage, int fd,
				  const struct noria_datagram_options *options, const struct noria_site *site)
{
	struct datagram_stream *datagrams = from_public(storage);
	struct noria_datagram_options chosen = options ? *options : (struct noria_datagram_options){0};
	int r = noria_stream_open(&datagrams->stream, &datagram_class, fd, site);

	if (r == 0)
		r = check(&chosen);
	if (r < 0)
		return r;
	/* What follows the control data is aligned as it is. */
	datagrams->control = ((chosen.control ? chosen.control : 256) + 15) / 16 * 16;
	r = make_buffers(datagrams, chosen.size ? chosen.size : SIZE_LIMIT, chosen.buffers ? chosen.buffers : 64);
	if (r == 0)
		noria_stream_opened(&datagrams->stream);
	return r;
}

static void show_own(struct datagram_stream *datagrams, struct noria_datagram *ret)
{
	const struct msghdr *layout = &datagrams->layout;

	*ret = (struct noria_datagram){.data = datagrams->vector.iov_base,
				       .size = datagrams->own_size,
				       .address = layout->msg_name,
				       .address_length = layout->msg_namelen,
				       .control = layout->msg_control,
				       .control_size = layout->msg_controllen,
				       .flags = layout->msg_flags & (MSG_TRUNC | MSG_CTRUNC)};
	datagrams->stream.queued = 0;
}

/* The kernel's header says how long each part is; each has the room that `layout` gives it. */
static void show(struct datagram_stream *datagrams, struct noria_datagram *ret)
{
	const struct piece piece = noria_pieces_move(datagrams->buffers, &datagrams->queue, &datagrams->held);
	char *data = piece_data(datagrams->buffers, &piece);
	const struct io_uring_recvmsg_out *out = (const void *)data;
	char *address = data + sizeof *out, *control = address + sizeof(struct sockaddr_storage);
	size_t before = (size_t)(control + datagrams->control - data);

	*ret = (struct noria_datagram){.data = control + datagrams->control,
				       .size = piece.length > before ? piece.length - before : 0,
				       .address = (void *)address,
				       .address_length = out->namelen,
				       .control = control,
				       .control_size = out->controllen,
				       .flags = (int)out->flags & (MSG_TRUNC | MSG_CTRUNC)};
	if (ret->address_length > sizeof(struct sockaddr_storage))
		ret->address_length = sizeof(struct sockaddr_storage);
	datagrams->stream.queued = datagrams->queue.count;
}

static int next(struct datagram_stream *datagrams, struct task *task, struct noria_datagram *ret, unsigned count)
{
	struct stream *stream = &datagrams->stream;
	unsigned n = 0;
	int r;

	if (datagrams->buffers)
		pieces_release(datagrams->buffers, &datagrams->held);
	while ((r = stream_await(stream, task)) == STREAM_IDLE)
		noria_stream_arm(stream);
	if (r < 0)
		return r;
	for (; n < count && stream->queued > 0; n++) {
		(datagrams->buffers ? show : show_own)(datagrams, &ret[n]);
		ret[n].segment = noria_control_segment(&ret[n]);
	}
	return (int)n;
}

int noria_datagram_stream_next(struct noria_datagram_stream *storage, struct noria_datagram *ret_datagrams,
			       unsigned count)
{
	struct datagram_stream *datagrams = from_public(storage);
	struct task *task;
	int r;

	if (count == 0)
		return noria_refuse(-EINVAL, "room for no datagram");
	r = stream_enter(&datagrams->stream, &datagram_class, &task);
	if (r < 0)
		return r;
	r = next(datagrams, task, ret_datagrams, count);
	stream_leave(&datagrams->stream);
	return r;
}

void noria_datagram_stream_close(struct noria_datagram_stream *storage)
{
	noria_stream_close(&from_public(storage)->stream);
}
