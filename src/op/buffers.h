/* SPDX-License-Identifier: MIT */
/*
 * Provided buffers: a ring of buffers from which the kernel takes when something arrives. A buffer is with the kernel,
 * in reserve, or taken: what was received into it is queued somewhere or shown to a task, as `pieces`, and when the
 * last piece has been released and the kernel is done with it, it is free again.
 *
 * Where a ring is incremental the kernel fills a buffer by and by, with pieces of several streams, and lets go of it
 * when it is full; a completion that bundles spans several buffers, in the order in which they were provided. Only
 * sockets without message boundaries may use either: a message that meets the end of a buffer would be cut.
 *
 * The kernel is given as many as it needs at a time, those with the lowest numbers first: the fewer take part, the more
 * of what is received is in the processor's cache when it is read.
 */
#ifndef NORIA_OP_BUFFERS_H
#define NORIA_OP_BUFFERS_H

#include "base/assert.h"

#include <liburing.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;

/* Something received: part of one buffer. */
struct piece {
	uint32_t next, offset, length;
	uint16_t buffer;
};

/* Pieces in the order in which they came. The first stands here, since there is rarely a second; records hold these. */
struct pieces {
	struct piece first;
	uint32_t last; /* where there are several */
	unsigned count;
	size_t bytes;
};

struct buffer {
	uint32_t offset; /* up to where it is filled */
	uint32_t pieces;
	uint16_t slot; /* in the ring, while the kernel has it */
	bool with_kernel;
};

struct buffers {
	struct loop *loop;
	struct io_uring_buf_ring *ring;
	char *memory;
	struct piece *pieces;
	uint64_t *reserve; /* a bit for each buffer that is free and not with the kernel */
	uint16_t *order;   /* the buffers in the ring's slots */
	size_t ring_bytes, memory_bytes, pieces_bytes;
	uint32_t free_piece, fresh_piece; /* released ones, and the first that was never used */
	unsigned count, size, group;
	unsigned streams; /* open on these buffers */
	unsigned left;    /* not taken, as far as completions have told */
	unsigned stocked; /* of these, with the kernel */
	unsigned stock;   /* as many it should have */
	bool incremental, memcheck;
	struct buffer table[];
};

/*
 * A ring of `count` (a power of two) buffers of `size` bytes. Returns 0, or a negative errno with noria_message().
 */
int noria_buffers_make(struct loop *loop, unsigned count, unsigned size, bool incremental,
		       struct buffers **ret_buffers);
void noria_buffers_free(struct buffers *buffers);

/* The loop's, made on first use: one for messages, one for bytes where that is better. As noria_buffers_make(). */
int noria_buffers_get(struct loop *loop, bool bytes, struct buffers **ret_buffers);
/* At the end of the run. */
void noria_buffers_free_all(struct loop *loop);

/* See buffers_received(), and pieces_release(). */
void noria_buffers_received(struct buffers *buffers, int32_t result, uint32_t flags, struct pieces *pieces, bool join);
void noria_pieces_release(struct buffers *buffers, struct pieces *pieces);
/* A completion said -ENOBUFS: let the kernel have more, if there are any. */
void noria_buffers_ran_out(struct buffers *buffers);
/* Move the first from one queue to the end of another. */
struct piece noria_pieces_move(struct buffers *buffers, struct pieces *from, struct pieces *to);

static inline char *piece_data(const struct buffers *buffers, const struct piece *piece)
{
	return buffers->memory + (size_t)piece->buffer * buffers->size + piece->offset;
}

/* A completion with IORING_CQE_F_BUFFER: account for it, and append what it brought. `join` adjacent pieces. */
static inline void buffers_received(struct buffers *buffers, int32_t result, uint32_t flags, struct pieces *pieces,
				    bool join)
{
	unsigned index = flags >> IORING_CQE_BUFFER_SHIFT;
	struct buffer *buffer = &buffers->table[index];
	uint32_t offset = buffer->offset, length = (uint32_t)result;

	if (unlikely(pieces->count > 0 || !(flags & IORING_CQE_F_BUF_MORE) || result <= 0 ||
		     length > buffers->size - offset || buffers->memcheck)) {
		noria_buffers_received(buffers, result, flags, pieces, join);
		return;
	}
	buffer->offset = offset + length;
	buffer->pieces++;
	pieces->first = (struct piece){.offset = offset, .length = length, .buffer = (uint16_t)index};
	pieces->count = 1;
	pieces->bytes = length;
}

/* Give back all of these. */
static inline void pieces_release(struct buffers *buffers, struct pieces *pieces)
{
	struct buffer *buffer = &buffers->table[pieces->first.buffer];

	if (pieces->count == 1 && likely(buffer->with_kernel || buffer->pieces > 1)) {
		buffer->pieces--;
		pieces->count = 0;
		pieces->bytes = 0;
	} else if (pieces->count > 0) {
		noria_pieces_release(buffers, pieces);
	}
}

#endif
