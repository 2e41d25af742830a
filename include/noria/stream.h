/* SPDX-License-Identifier: MIT */
/*
 * Streams: one submission, many results, queued until a task takes them. Those of datagrams are in datagram.h.
 *
 * Receive streams: the kernel fills buffers that belong to the runtime, and the task is handed a view of them; a
 * connection that is idle holds no buffer. The fastest way to receive. On sockets that carry bytes small messages share
 * a buffer, and large ones are shown in one piece where their buffers lie side by side; of other sockets each view is
 * one message.
 *
 * The buffers are shared by all streams of a runtime (noria_config.receive_buffers). A stream whose task is slow queues
 * a share of them at most. When all are taken, a stream receives into memory of its own until some come back: it is
 * slower then, and never waits for another stream.
 */
#ifndef NORIA_STREAM_H
#define NORIA_STREAM_H

#include <noria/base.h>

NORIA_BEGIN_DECLS

/* Storage for a stream, the caller's; the content is noria's. Must stay where it is from open to close. */
struct noria_recv_stream {
	uint64_t opaque[60];
} __attribute__((aligned(16)));

/*
 * noria_recv_stream_open - begin to receive on a connected socket.
 * @fd: stays the caller's; no other receive may run on it while the stream is open, close it after the stream
 * Returns: 0; -EINVAL when it is open already (noria_message() names both places); -ENOMEM when the runtime's receive
 * buffers cannot be had; -ENXIO outside a runtime.
 * Not a checkpoint. Since 0.1.
 */
#define noria_recv_stream_open(stream, fd) noria_recv_stream_open_at((stream), (fd), NORIA_SITE("receive stream"))
NORIA_PUBLIC NORIA_CHECKED int noria_recv_stream_open_at(struct noria_recv_stream *stream, int fd,
							 const struct noria_site *site);

/*
 * noria_recv_stream_next - wait for bytes.
 * @ret_data: set to the bytes received, a view that is valid until the next call on this stream
 * Returns: how many; 0 when the peer has ended; -ECANCELED; -EINVAL when it is not open or another task waits on it;
 * -EBADF when the stream or its descriptor was closed; -ENOMEM; -ENXIO outside a runtime; any error of recv(2). Bytes
 * that arrived before a cancel are not lost: they come with the next call made outside the cancelled scope. Checkpoint.
 * Since 0.1.
 */
NORIA_PUBLIC NORIA_CHECKED ssize_t noria_recv_stream_next(struct noria_recv_stream *stream, const void **ret_data);

/*
 * noria_recv_stream_close - end the stream and give its buffers back. Always completes, cancelled or not; may park
 * until the kernel has let go. A task that waits in noria_recv_stream_next() meanwhile is told -EBADF. Bytes received
 * and not yet taken are dropped. Does nothing when it is not open. Since 0.1.
 *
 * noria_autorecv - a stream that closes itself at the end of its variable's block, by noria_try() as well:
 *     noria_autorecv struct noria_recv_stream stream = {0};
 * Since 0.2.
 */
NORIA_PUBLIC void noria_recv_stream_close(struct noria_recv_stream *stream);
#define noria_autorecv __attribute__((cleanup(noria_recv_stream_close)))

/*
 * Accept streams: one submission, many connections. For servers that accept much; noria_accept() does the same one by
 * one.
 */
struct noria_accept_stream {
	uint64_t opaque[52];
} __attribute__((aligned(16)));

/*
 * noria_accept_stream_open - begin to accept on a listening socket.
 * @fd: stays the caller's; close it after the stream
 * @flags: SOCK_CLOEXEC, SOCK_NONBLOCK, as for accept4(2)
 * Returns: 0; -EINVAL when the stream is open already (noria_message() names both places) or for other flags; -ENXIO
 * outside a runtime. Not a checkpoint. Since 0.2.
 */
#define noria_accept_stream_open(stream, fd, flags) \
	noria_accept_stream_open_at((stream), (fd), (flags), NORIA_SITE("accept stream"))
NORIA_PUBLIC NORIA_CHECKED int noria_accept_stream_open_at(struct noria_accept_stream *stream, int fd, int flags,
							   const struct noria_site *site);

/*
 * noria_accept_stream_next - wait for a connection. An idle wait, as noria_accept() (run.h).
 * Returns: its descriptor, the caller's from now on (its address: getpeername(2)); -ECANCELED, in a drain only when no
 * accepted connection is left to hand out; -EINVAL when it is not open or another task waits on it; -EBADF when the
 * stream or its descriptor was closed; -ENOMEM; -ENXIO outside a runtime; errors of accept(2), told once: after
 * -EMFILE, -ENFILE, -ENOBUFS and -ENOMEM a server sleeps a little and calls again. Connections that are gone before
 * they could be accepted are passed over. Checkpoint. Since 0.2.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_accept_stream_next(struct noria_accept_stream *stream);

/*
 * noria_accept_stream_close - end the stream. Always completes, cancelled or not; may park until the kernel has let go.
 * A task that waits in noria_accept_stream_next() meanwhile is told -EBADF. Connections accepted and not yet taken are
 * closed. Does nothing when it is not open. Since 0.2.
 *
 * noria_autoaccept - a stream that closes itself at the end of its variable's block, by noria_try() as well:
 *     noria_autoaccept struct noria_accept_stream stream = {0};
 */
NORIA_PUBLIC void noria_accept_stream_close(struct noria_accept_stream *stream);
#define noria_autoaccept __attribute__((cleanup(noria_accept_stream_close)))

NORIA_END_DECLS
#endif
