/* SPDX-License-Identifier: MIT */
/*
 * A buffered writer, for answers made of many small pieces. What is written gathers in a buffer of the caller's and
 * leaves by itself when the task parks, in the same system call as the operation that it parks on: a server writes its
 * answer, begins to receive the next request, and one call does both. It also leaves when the buffer is full, and when
 * it is told to.
 *
 *     char buffer[4096];
 *     noria_autowriter struct noria_writer writer = {0};
 *
 *     noria_try(noria_writer_open(&writer, fd, buffer, sizeof buffer));
 *     while ((n = noria_recv(fd, request, sizeof request, 0)) > 0)
 *         noria_try(noria_writer_printf(&writer, "%zd bytes\n", n));
 *     return noria_writer_close(&writer);
 *
 * The order of the bytes is kept. An error of a send that went by itself is told by each later call on the writer, so
 * it is never lost. In a cancelled scope nothing leaves by itself; what is with the kernel already is finished, or is
 * told of. noria_yield() does not park. A writer belongs to the task that opened it, and needs a connected socket;
 * between open and close nobody else may send on that. All since 0.2.
 */
#ifndef NORIA_WRITER_H
#define NORIA_WRITER_H

#include <noria/base.h>

NORIA_BEGIN_DECLS

/* Storage for a writer, the caller's; the content is noria's. Must stay where it is from open to close. */
struct noria_writer {
	uint64_t opaque[50];
} __attribute__((aligned(16)));

/*
 * noria_writer_open - begin to write on a connected socket.
 * @fd: stays the caller's; close it after the writer
 * @buffer, @size: where bytes gather, 1 at least; the caller's, in use until the writer is closed
 * Returns: 0; -EINVAL when it is open already or has no buffer; -ENXIO outside a runtime. Not a checkpoint.
 */
#define noria_writer_open(writer, fd, buffer, size) \
	noria_writer_open_at((writer), (fd), (buffer), (size), NORIA_SITE("writer"))
NORIA_PUBLIC NORIA_CHECKED int noria_writer_open_at(struct noria_writer *writer, int fd, void *buffer, size_t size,
						    const struct noria_site *site);

/*
 * noria_writer_write - append bytes. Waits only while the buffer is full.
 * Returns: 0 when all have been taken; otherwise noria_progress() says how many have: -ECANCELED; the error of a send,
 * now or before; -EBADF when the descriptor was closed; -EINVAL for a writer that is not open, or another task's.
 * Checkpoint.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_writer_write(struct noria_writer *writer, const void *data, size_t size);
/*
 * noria_writer_printf - append text, all of it or nothing.
 * Returns: as noria_writer_write(); -EMSGSIZE when with its final zero it is longer than the whole
 * buffer.
 */
__attribute__((format(printf, 2, 3))) NORIA_PUBLIC NORIA_CHECKED int noria_writer_printf(struct noria_writer *writer,
											 const char *format, ...);
/* noria_writer_flush - wait until the socket has taken all that was written. Returns: as noria_writer_write(). */
NORIA_PUBLIC NORIA_CHECKED int noria_writer_flush(struct noria_writer *writer);
/* noria_writer_sent - how many bytes the socket has taken since the writer was opened. Not a checkpoint. */
NORIA_PUBLIC uint64_t noria_writer_sent(const struct noria_writer *writer);

/*
 * noria_writer_close - flush as far as the scope allows, and end. Always completes: in a cancelled scope what has not
 * left is dropped, and told. May park; not a checkpoint.
 * Returns: 0 when the socket has taken everything; -ECANCELED when the scope kept it from that; the error of a send.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_writer_close(struct noria_writer *writer);

/*
 * noria_autowriter - a writer that closes itself at the end of its variable's block, by noria_try() as well:
 *     noria_autowriter struct noria_writer writer = {0};
 * Declare it after its buffer and its descriptor, so that it ends before them. What the close would have told is not
 * told: where all went well, close it by hand. Does nothing when it is not open.
 */
#define noria_autowriter __attribute__((cleanup(noria_autowriter_), unused))
NORIA_PUBLIC void noria_autowriter_(struct noria_writer *writer);

NORIA_END_DECLS
#endif
