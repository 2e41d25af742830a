/* SPDX-License-Identifier: MIT */
/*
 * The loop's receive buffers: a provided buffer ring, from which the kernel takes one when bytes arrive. A buffer is
 * with the kernel, or in a stream's queue, or shown to a task; asking for the next gives it back.
 */
#ifndef NORIA_OP_BUFFERS_H
#define NORIA_OP_BUFFERS_H

#include <liburing.h>
#include <stdint.h>

struct loop;

enum { BUFFERS_GROUP = 0 };

struct buffers {
	struct io_uring_buf_ring *ring;
	size_t ring_bytes, memory_bytes;
	char *memory;
	unsigned count, size;
	unsigned streams;     /* open on these buffers */
	unsigned with_kernel; /* as far as completions have told */
	struct {
		uint32_t length;
		uint16_t next; /* in a stream's queue */
	} info[];
};

/* The loop's, made on first use. Returns 0, or -ENOMEM with noria_message(). */
int noria_buffers_get(struct loop *loop, struct buffers **ret_buffers);
void noria_buffers_free(struct loop *loop);
/* Back to the kernel. */
void noria_buffer_put(struct buffers *buffers, unsigned index);

static inline char *buffer_data(const struct buffers *buffers, unsigned index)
{
	return buffers->memory + (size_t)index * buffers->size;
}

#endif
