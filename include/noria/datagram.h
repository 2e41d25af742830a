/* SPDX-License-Identifier: MIT */
/*
 * Datagrams in numbers: many received by one submission, many sent by one call. What arrives is shown in buffers of the
 * stream, with the sender's address and the control data that the socket's options ask for.
 */
#ifndef NORIA_DATAGRAM_H
#define NORIA_DATAGRAM_H

#include <noria/base.h>
#include <sys/socket.h>
#include <sys/uio.h>

NORIA_BEGIN_DECLS

struct mmsghdr; /* of <sys/socket.h>, with _GNU_SOURCE */

/* Storage for a stream, the caller's; the content is noria's. Must stay where it is from open to close. */
struct noria_datagram_stream {
	uint64_t opaque[72];
} __attribute__((aligned(16)));

/* All zero: the defaults. */
struct noria_datagram_options {
	unsigned size;    /* bytes of the largest payload that is wanted whole, up to 65535; 0: 65535 */
	unsigned control; /* bytes of control data with each, up to 4096; 0: 256 */
	unsigned buffers; /* datagrams that may be queued and shown, a power of two up to 4096; 0: 64 */
};

/* One that was received: views, valid until the next call on its stream. */
struct noria_datagram {
	void *data; /* the payload, which may be written to (an answer in its place) */
	size_t size;
	struct sockaddr *address; /* of the sender */
	socklen_t address_length; /* 0: it has none, as that of an unbound Unix socket */
	void *control;            /* struct cmsghdr and what follows; noria_datagram_get_info() reads the usual ones */
	size_t control_size;
	int flags;        /* MSG_TRUNC: the payload was longer; MSG_CTRUNC: the control data was */
	unsigned segment; /* with UDP_GRO: it is many in one, each of so many bytes, the last may have less; 0: one */
};

/*
 * noria_datagram_stream_open - begin to receive datagrams.
 * @fd: a datagram socket, bound or connected; stays the caller's; close it after the stream
 * @options: NULL for the defaults; copied
 * Returns: 0; -EINVAL when it is open already (noria_message() names both places) or for the options; -ENOMEM when the
 * buffers cannot be had; -ENXIO outside a runtime. Not a checkpoint. Since 0.2.
 */
#define noria_datagram_stream_open(stream, fd, options) \
	noria_datagram_stream_open_at((stream), (fd), (options), NORIA_SITE("datagram stream"))
NORIA_PUBLIC NORIA_CHECKED int noria_datagram_stream_open_at(struct noria_datagram_stream *stream, int fd,
							     const struct noria_datagram_options *options,
							     const struct noria_site *site);

/*
 * noria_datagram_stream_next - wait for datagrams.
 * @ret_datagrams: set to those that are there, in their order, at most `count`
 * Returns: how many, at least 1; -ECANCELED; -EINVAL when it is not open, another task waits on it, or `count` is 0;
 * -EBADF when the stream or its descriptor was closed; -ENXIO outside a runtime; errors of recvmsg(2), told once: after
 * the -ECONNREFUSED of a connected socket it goes on. Datagrams that arrived before a cancel come with the next call
 * made outside the cancelled scope; while a task is slow the kernel queues, and drops, as for any socket. Checkpoint.
 * Since 0.2.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_datagram_stream_next(struct noria_datagram_stream *stream,
							  struct noria_datagram *ret_datagrams, unsigned count);

/*
 * noria_datagram_stream_close - end the stream. Always completes, cancelled or not; may park until the kernel has let
 * go. A task that waits in noria_datagram_stream_next() meanwhile is told -EBADF. Datagrams received and not taken are
 * dropped. Does nothing when it is not open. Since 0.2.
 *
 * noria_autodatagrams - a stream that closes itself at the end of its variable's block, by noria_try() as well:
 *     noria_autodatagrams struct noria_datagram_stream stream = {0};
 */
NORIA_PUBLIC void noria_datagram_stream_close(struct noria_datagram_stream *stream);
#define noria_autodatagrams __attribute__((cleanup(noria_datagram_stream_close)))

/*
 * noria_datagram_segments - how many datagrams it is: with UDP_GRO the kernel may hand over many as one.
 * noria_datagram_segment - one of them, by its number from 0. Not checkpoints, any thread. Since 0.2.
 */
static inline size_t noria_datagram_segments(const struct noria_datagram *datagram)
{
	return datagram->segment > 0 && datagram->size > 0
		       ? (datagram->size + datagram->segment - 1) / datagram->segment
		       : 1;
}

static inline struct iovec noria_datagram_segment(const struct noria_datagram *datagram, size_t number)
{
	size_t start = number * datagram->segment, left = datagram->size - start;
	struct iovec part;

	part.iov_base = (char *)datagram->data + start;
	part.iov_len = datagram->segment > 0 && left > datagram->segment ? datagram->segment : left;
	return part;
}

/* What the usual options of a socket add to a datagram. */
struct noria_datagram_info {
	struct sockaddr_storage local; /* IP_PKTINFO, IPV6_RECVPKTINFO: sent to this; ss_family is 0: not told */
	unsigned interface;            /* and arrived here; 0: not told */
	int ttl, tos;                  /* IP_RECVTTL, IPV6_RECVHOPLIMIT; IP_RECVTOS, IPV6_RECVTCLASS; -1: not told */
	int64_t time_ns;               /* SO_TIMESTAMPNS: arrived at this time of CLOCK_REALTIME; -1: not told */
};

/* noria_datagram_get_info - read the control data. Not a checkpoint, any thread. Since 0.2. */
NORIA_PUBLIC void noria_datagram_get_info(const struct noria_datagram *datagram, struct noria_datagram_info *ret_info);

/*
 * noria_sendmmsg - as sendmmsg(2): messages that leave together. It never raises SIGPIPE; with MSG_DONTWAIT it answers
 * -EAGAIN instead of parking.
 * Returns: how many were sent, with their msg_len set, up to the first that was not; when that is the first of all, its
 * negative errno; -EINVAL when `count` is 0; the errors of all operations (op.h). Those for a
 * direct descriptor are submitted together: of these, later ones than the first that failed may have left. Checkpoint.
 * Since 0.2.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags);

/*
 * noria_send_segments - send a buffer as datagrams of `segment` bytes, the last may have less: by one system call for
 * many (UDP_SEGMENT) where the socket and the kernel can, else one by one.
 * @address: where to; NULL: where the socket is connected
 * Returns: `size`; -EINVAL when `segment` is 0 or above 65507; or the negative errno that stopped it, and then
 * noria_progress() says how many bytes had left. Checkpoint. Since 0.2.
 */
NORIA_PUBLIC NORIA_CHECKED ssize_t noria_send_segments(int fd, const void *buffer, size_t size, unsigned segment,
						       const struct sockaddr *address, socklen_t length);

NORIA_END_DECLS
#endif
