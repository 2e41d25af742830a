/* SPDX-License-Identifier: MIT */
/*
 * The connections of the raw io_uring echo server.
 *
 * What came in is sent at once by send(2), which on a socket that has room is cheaper than a round through the
 * ring. What a short send leaves is queued, one send SQE of a connection in flight at a time, and until the
 * queue is empty everything else goes behind it: that keeps the order.
 *
 * Invariants: a connection is freed only when no operation and no piece of it is left; `sending` implies a
 * queued piece. Known limit, fit for a yardstick only: peers that never read can hold all provided buffers.
 */
#include "echo_uring.h"

#include "bench.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_PIECES 64
#define COPY       UINT32_MAX /* the buffer of a queued piece whose bytes are its own */

struct queued {
	struct queued *next;
	struct piece piece;
	unsigned char copy[];
};

struct connection {
	int fd;
	bool receiving;
	bool sending;
	bool starved;
	bool ended; /* the peer sent its last, or the connection broke */
	struct queued *first;
	struct queued **last;
	struct connection *next_starved;
};

static unsigned char scratch[1U << 16]; /* where the poll variant receives */

static void aim(struct io_uring_sqe *sqe, struct connection *c, enum operation operation)
{
	io_uring_sqe_set_data64(sqe, (uintptr_t)c | operation);
	if (server.choices.direct)
		sqe->flags |= IOSQE_FIXED_FILE;
}

static void start_receive(struct connection *c)
{
	const struct choices *choices = &server.choices;
	struct io_uring_sqe *sqe = next_sqe();

	c->receiving = true;
	if (choices->receive == RECEIVE_POLL) {
		io_uring_prep_poll_multishot(sqe, c->fd, POLLIN | POLLRDHUP);
		aim(sqe, c, OP_POLL);
		return;
	}

	if (choices->receive == RECEIVE_MULTISHOT)
		io_uring_prep_recv_multishot(sqe, c->fd, NULL, 0, 0);
	else
		io_uring_prep_recv(sqe, c->fd, NULL, 0, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = 0;
	if (choices->bundle)
		sqe->ioprio |= IORING_RECVSEND_BUNDLE;
	if (choices->poll_first)
		sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
	aim(sqe, c, OP_RECEIVE);
}

static void start_send(struct connection *c)
{
	const struct piece *piece = &c->first->piece;
	struct io_uring_sqe *sqe = next_sqe();

	c->sending = true;
	io_uring_prep_send(sqe, c->fd, piece->bytes, piece->length, MSG_NOSIGNAL | MSG_WAITALL);
	aim(sqe, c, OP_SEND);
}

static void release(const struct piece *piece)
{
	if (piece->buffer != COPY)
		buffers_release(&server.buffers, piece->buffer);
}

static void enqueue(struct connection *c, struct piece piece)
{
	const size_t extra = piece.buffer == COPY ? piece.length : 0;
	struct queued *q = malloc(sizeof(*q) + extra);

	if (!q)
		bench_die("queue", ENOMEM);
	if (extra)
		piece.bytes = memcpy(q->copy, piece.bytes, extra);
	q->piece = piece;
	q->next = NULL;
	*c->last = q;
	c->last = &q->next;
	if (!c->sending)
		start_send(c);
}

static void dequeue(struct connection *c)
{
	struct queued *q = c->first;

	c->first = q->next;
	if (!c->first)
		c->last = &c->first;
	release(&q->piece);
	free(q);
}

static void set_direct(int slot, int fd)
{
	const int error = io_uring_register_files_update(&server.ring, (unsigned int)slot, &fd, 1);

	if (error < 0)
		bench_die("io_uring_register_files_update", error);
}

static void free_if_over(struct connection *c)
{
	if (!c->ended || c->receiving || c->sending || c->first || c->starved)
		return;
	if (server.choices.direct)
		set_direct(c->fd, -1);
	close(c->fd);
	free(c);
}

/* Nothing more can be sent. The shutdown also ends a receive that is in flight, but not a multishot poll. */
static void give_up(struct connection *c)
{
	if (server.choices.receive == RECEIVE_POLL && c->receiving && !c->ended) {
		struct io_uring_sqe *sqe = next_sqe();

		/* POLL_REMOVE would answer -EALREADY while an event of the poll is on its way. */
		io_uring_prep_cancel64(sqe, (uintptr_t)c | OP_POLL, 0);
		io_uring_sqe_set_data64(sqe, OP_CANCEL);
	}
	while (c->first)
		dequeue(c);
	c->ended = true;
	shutdown(c->fd, SHUT_RDWR);
}

void connection_start(int fd)
{
	struct connection *c = calloc(1, sizeof(*c));

	if (!c)
		bench_die("connection", ENOMEM);
	c->fd = fd;
	c->last = &c->first;
	if (server.choices.direct)
		set_direct(fd, fd);
	start_receive(c);
}

/* Sends pieces as far as send(2) takes them: how many bytes that were. An error shows again at the send SQE. */
static size_t send_now(struct connection *c, const struct piece *pieces, unsigned int count)
{
	struct iovec vectors[MAX_PIECES];
	struct msghdr message = {.msg_iov = vectors, .msg_iovlen = count};
	ssize_t n;

	if (server.choices.send_sqe || c->first)
		return 0;

	if (count == 1) {
		n = send(c->fd, pieces[0].bytes, pieces[0].length, MSG_NOSIGNAL);
	} else {
		for (unsigned int i = 0; i < count; i++)
			vectors[i] = (struct iovec){.iov_base = pieces[i].bytes, .iov_len = pieces[i].length};
		n = sendmsg(c->fd, &message, MSG_NOSIGNAL);
	}
	return n < 0 ? 0 : (size_t)n;
}

static void answer(struct connection *c, const struct piece *pieces, unsigned int count)
{
	size_t sent = send_now(c, pieces, count);

	for (unsigned int i = 0; i < count; i++) {
		struct piece piece = pieces[i];
		const size_t part = sent < piece.length ? sent : piece.length;

		sent -= part;
		piece.bytes += part;
		piece.length -= part;
		if (piece.length == 0)
			release(&piece);
		else
			enqueue(c, piece);
	}
}

static void answer_completion(struct connection *c, const struct io_uring_cqe *cqe)
{
	size_t left = (size_t)cqe->res;

	while (left) {
		struct piece pieces[MAX_PIECES];
		unsigned int count = 0;

		while (left && count < MAX_PIECES)
			pieces[count++] = buffers_take(&server.buffers, cqe, &left);
		if (!c->ended)
			answer(c, pieces, count);
		else
			for (unsigned int i = 0; i < count; i++)
				release(&pieces[i]);
	}
}

void connection_on_receive(struct connection *c, const struct io_uring_cqe *cqe)
{
	if (!(cqe->flags & IORING_CQE_F_MORE))
		c->receiving = false;

	if (cqe->res > 0) {
		answer_completion(c, cqe);
		if (!c->receiving && !c->ended)
			start_receive(c);
	} else if (cqe->res == -ENOBUFS) {
		c->starved = true;
		c->next_starved = server.starved;
		server.starved = c;
	} else {
		c->ended = true;
	}
	free_if_over(c);
}

void connections_feed(void)
{
	struct connection *c = server.starved;

	server.starved = NULL;
	while (c) {
		struct connection *next = c->next_starved;

		c->starved = false;
		if (!c->ended)
			start_receive(c);
		free_if_over(c);
		c = next;
	}
}

/* Until a short read proves the socket empty; on to the zero when the peer's end was announced. */
static void read_ready(struct connection *c, bool announced)
{
	ssize_t n;

	do {
		n = recv(c->fd, scratch, sizeof(scratch), 0);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			give_up(c);
			return;
		}
		answer(c, &(struct piece){.bytes = scratch, .length = (size_t)n, .buffer = COPY}, 1);
	} while (!c->first && (n == sizeof(scratch) || announced));
}

void connection_on_poll(struct connection *c, const struct io_uring_cqe *cqe)
{
	if (!(cqe->flags & IORING_CQE_F_MORE))
		c->receiving = false;
	if (!c->ended && !c->first)
		read_ready(c, cqe->res < 0 || (cqe->res & (POLLRDHUP | POLLHUP | POLLERR)));
	if (!c->receiving && !c->ended)
		start_receive(c);
	free_if_over(c);
}

void connection_on_send(struct connection *c, const struct io_uring_cqe *cqe)
{
	c->sending = false;
	if (cqe->res < 0) {
		give_up(c);
	} else {
		struct piece *piece = &c->first->piece;

		piece->bytes += cqe->res;
		piece->length -= (size_t)cqe->res;
		if (piece->length == 0)
			dequeue(c);
		if (c->first)
			start_send(c);
		else if (server.choices.receive == RECEIVE_POLL && !c->ended)
			read_ready(c, true); /* events were passed over in the meantime */
	}
	free_if_over(c);
}
