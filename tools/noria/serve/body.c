/* SPDX-License-Identifier: MIT */
/*
 * Bytes on their way to the client, by two ways.
 *
 * Up to SMALL_MAX bytes are read into the buffer that has the header and leave with it in one send: from the page cache
 * without waiting, else by the ring. Larger bodies do not pass through this process: noria_splice() moves pages of the
 * file into a pipe, and splice(2) moves them on to the socket. The kernel runs the first in a worker thread of the
 * ring, which may wait for the disk; that costs a thread's hop, and is why small files do not go this way and why the
 * pipe is large. The second never waits: the socket is made non-blocking for the time, because a splice into a socket
 * that blocks would hold a worker thread for as long as a client is slow. Each way waits for at most send_timeout at a
 * time until the socket is writable, which the kernel calls it when a third of its buffer is free: so a client that
 * takes a byte now and then does not count as alive for ever.
 */
#include "serve.h"

#include <errno.h>
#include <fcntl.h>
#include <noria/noria.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

int send_bytes(struct connection *connection, const char *bytes, size_t size, int flags)
{
	int64_t timeout_ns = connection->server->options->send_timeout_ns;
	while (size > 0) {
		ssize_t sent = noria_within(timeout_ns, noria_send(connection->fd, bytes, size, flags));
		noria_try(sent);
		bytes += sent;
		size -= (size_t)sent;
	}
	return 0;
}

int read_file(int fd, char *buffer, size_t size, uint64_t offset)
{
	ssize_t cached = preadv2(fd, &(struct iovec){buffer, size}, 1, (off_t)offset, RWF_NOWAIT);
	size_t done = cached > 0 ? (size_t)cached : 0;
	if (done < size)
		fcntl(fd, F_SETFL, 0); /* opened non-blocking, for the sake of FIFOs */
	while (done < size) {
		ssize_t got = noria_pread(fd, buffer + done, size - done, (off_t)(offset + done));
		noria_try(got);
		if (got == 0)
			return -ENODATA;
		done += (size_t)got;
	}
	return 0;
}

/* Without a pipe: through a buffer. */
static int send_copied(struct exchange *exchange, int fd, uint64_t offset, uint64_t size)
{
	while (size > 0) {
		size_t piece = size < SMALL_MAX ? (size_t)size : SMALL_MAX;
		noria_try(read_file(fd, exchange->output, piece, offset));
		noria_try(send_bytes(exchange->connection, exchange->output, piece, size > piece ? MSG_MORE : 0));
		exchange->bytes += piece;
		offset += piece;
		size -= piece;
	}
	return 0;
}

/* Move `size` bytes that are in the pipe to the socket. */
static int empty_pipe(struct exchange *exchange, const struct pipe *pipe, size_t size, bool more)
{
	const struct connection *connection = exchange->connection;
	unsigned flags = SPLICE_F_MOVE | SPLICE_F_NONBLOCK | (more ? SPLICE_F_MORE : 0);
	while (size > 0) {
		ssize_t moved = splice(pipe->read_fd, NULL, connection->fd, NULL, size, flags);
		if (moved > 0) {
			size -= (size_t)moved;
			exchange->bytes += (size_t)moved;
		} else if (moved == 0) {
			return -EIO;
		} else if (errno == EAGAIN) {
			noria_try(noria_within(connection->server->options->send_timeout_ns,
					       noria_poll(connection->fd, POLLOUT)));
		} else if (errno != EINTR) {
			return -errno;
		}
	}
	return 0;
}

static int send_piped(struct exchange *exchange, int fd, const struct pipe *pipe, uint64_t offset, uint64_t size)
{
	off_t at = (off_t)offset;
	while (size > 0) {
		size_t piece = size < pipe->size ? (size_t)size : pipe->size;
		ssize_t filled = noria_splice(fd, &at, pipe->write_fd, NULL, piece, SPLICE_F_MOVE);
		noria_try(filled);
		if (filled == 0)
			return -ENODATA;
		size -= (uint64_t)filled;
		noria_try(empty_pipe(exchange, pipe, (size_t)filled, size > 0));
	}
	return 0;
}

int send_file(struct exchange *exchange, int fd, uint64_t offset, uint64_t size)
{
	struct connection *connection = exchange->connection;
	struct pipes *pipes = &connection->server->pipes;
	struct pipe pipe;
	if (!pipes_get(pipes, &pipe))
		return send_copied(exchange, fd, offset, size);
	ioctl(connection->fd, FIONBIO, &(int){1});
	int error = send_piped(exchange, fd, &pipe, offset, size);
	ioctl(connection->fd, FIONBIO, &(int){0});
	pipes_put(pipes, &pipe, error == 0);
	return error;
}
