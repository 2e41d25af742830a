/* SPDX-License-Identifier: MIT */
/*
 * The provided buffers of the raw io_uring echo server: see echo_uring_buffers.h.
 *
 * A completion names only its first buffer; a bundle's others follow in the order in which they were
 * published, so order[] mirrors the ring. Invariants: tail - head never exceeds count, and the buffer at head
 * is the one that the next completion with data names.
 */
#include "echo_uring_buffers.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

static unsigned int mask(const struct buffers *b)
{
	return b->count - 1;
}

static void give(struct buffers *b, unsigned int buffer)
{
	unsigned char *bytes = b->memory + buffer * b->size;

	b->order[(b->tail + b->unpublished) & mask(b)] = (uint16_t)buffer;
	b->uses[buffer] = (struct buffer_use){0};
	io_uring_buf_ring_add(b->ring, bytes, (unsigned int)b->size, (unsigned short)buffer, (int)mask(b),
			      (int)b->unpublished);
	b->unpublished++;
}

int buffers_init(struct buffers *b, struct io_uring *ring, unsigned int count, size_t size, bool incremental)
{
	int error;

	*b = (struct buffers){.count = count, .size = size, .incremental = incremental};
	b->uses = calloc(count, sizeof(*b->uses));
	b->order = calloc(count, sizeof(*b->order));
	b->memory = mmap(NULL, count * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (!b->uses || !b->order || b->memory == MAP_FAILED)
		return -ENOMEM;

	b->ring = io_uring_setup_buf_ring(ring, count, 0, incremental ? IOU_PBUF_RING_INC : 0, &error);
	if (!b->ring)
		return error;

	for (unsigned int i = 0; i < count; i++)
		give(b, i);
	buffers_publish(b);
	return 0;
}

struct piece buffers_take(struct buffers *b, const struct io_uring_cqe *cqe, size_t *left)
{
	const unsigned int buffer = b->order[b->head & mask(b)];
	struct buffer_use *use = &b->uses[buffer];
	const size_t space = b->size - use->filled;
	const struct piece piece = {
		.bytes = b->memory + buffer * b->size + use->filled,
		.length = *left < space ? *left : space,
		.buffer = buffer,
	};

	assert(b->head != b->tail && !use->done);
	*left -= piece.length;
	use->filled += piece.length;
	use->pieces++;
	if (!b->incremental || use->filled == b->size || (*left == 0 && !(cqe->flags & IORING_CQE_F_BUF_MORE))) {
		use->done = true;
		b->head++;
	}
	return piece;
}

void buffers_release(struct buffers *b, unsigned int buffer)
{
	struct buffer_use *use = &b->uses[buffer];

	assert(use->pieces > 0);
	use->pieces--;
	if (use->pieces == 0 && use->done)
		give(b, buffer);
}

void buffers_publish(struct buffers *b)
{
	if (b->unpublished == 0)
		return;
	io_uring_buf_ring_advance(b->ring, (int)b->unpublished);
	b->tail += b->unpublished;
	b->unpublished = 0;
}
