/* SPDX-License-Identifier: MIT */
/*
 * Bytes on their way to the client, by two ways.
 *
 * Up to SMALL_MAX bytes are read into the buffer that has the header and leave with it in one send: from the page cache
 * without waiting, else by the ring. Larger bodies do not pass through this process: noria_splice() moves pages of the
 * file into a pipe, and splice(2) moves them on to the socket. The kernel runs the first in a worker thread of the
 * ring, which may wait for the disk; that costs a thread's hop, and is why small files do not go this way and why the
 * pipe is large. The hop costs as much as copying 16 KiB twice: 1.2 us, where a copy of 100 KiB takes 3.4.
 *
 * There is no asking beforehand whether the first splice would wait, to make it from here. cachestat(2) counts pages
 * that are still being read; a read with RWF_NOWAIT is content with a part of a large folio, which a splice wants
 * whole; what mincore(2) knows it tells owners alone, and a map, that call and an unmap cost twice the hop. And file
 * systems take locks of their own in a splice: XFS waits for a writer, NFS for its server.
 *
 * The second splice never waits: the sockets are accepted as non-blocking, which the ring's receives and sends do not
 * mind. Each way waits for at most send_timeout at a time until the socket is writable, which the kernel calls it when
 * a third of its buffer is free: so a client that takes a byte now and then does not count as alive for ever.
 *
 * The header leaves when the first bytes of the body are at hand: so a file that cannot be read, or has become shorter
 * meanwhile, still gets a status of its own.
 */
#include "serve.h"

#include <errno.h>
#include <fcntl.h>
#include <noria/noria.h>
#include <poll.h>
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

/* Without a pipe: through the buffer, the first piece behind the header. */
static int send_copied(struct exchange *exchange, int fd, uint64_t offset, uint64_t size)
{
	size_t head = text_size(&exchange->text);
	while (size > 0) {
		size_t piece = size < SMALL_MAX ? (size_t)size : SMALL_MAX;
		noria_try(read_file(fd, exchange->output + head, piece, offset));
		exchange->begun = true;
		noria_try(
			send_bytes(exchange->connection, exchange->output, head + piece, size > piece ? MSG_MORE : 0));
		exchange->bytes += piece;
		offset += piece;
		size -= piece;
		head = 0;
	}
	return 0;
}

/* Mostly there is room for it at once, and no timer is needed. */
static int send_head(struct exchange *exchange)
{
	size_t size = text_size(&exchange->text);
	exchange->begun = true;
	ssize_t sent = noria_send(exchange->connection->fd, exchange->output, size, MSG_MORE | MSG_DONTWAIT);
	if (sent == -EAGAIN)
		sent = 0;
	noria_try(sent);
	return send_bytes(exchange->connection, exchange->output + sent, size - (size_t)sent, MSG_MORE);
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
		/* The pipe is empty: not to wait for it only spares noria the question what these descriptors are. */
		unsigned flags = SPLICE_F_MOVE | SPLICE_F_NONBLOCK;
		ssize_t filled = noria_splice(fd, &at, pipe->write_fd, NULL, piece, flags);
		noria_try(filled);
		if (filled == 0)
			return -ENODATA;
		size -= (uint64_t)filled;
		if (!exchange->begun)
			noria_try(send_head(exchange));
		noria_try(empty_pipe(exchange, pipe, (size_t)filled, size > 0));
	}
	return 0;
}

int send_file(struct exchange *exchange, int fd, uint64_t offset, uint64_t size)
{
	struct pipes *pipes = &exchange->connection->server->pipes;
	struct pipe pipe;
	if (!pipes_get(pipes, &pipe))
		return send_copied(exchange, fd, offset, size);
	int error = send_piped(exchange, fd, &pipe, offset, size);
	pipes_put(pipes, &pipe, error == 0);
	return error;
}
