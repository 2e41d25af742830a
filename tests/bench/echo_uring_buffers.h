/* SPDX-License-Identifier: MIT */
/*
 * The provided buffers of the raw io_uring echo server.
 *
 * The kernel picks a buffer at the moment data is there. A piece is what one completion put into one buffer:
 * a buffer may hold several pieces when the ring is incremental, and one completion may fill several
 * buffers when it is a bundle. A buffer returns to the kernel when the kernel has done with it and
 * every one of its pieces was released; all that return in one batch are published by one store.
 */
#pragma once

#include <liburing.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer_use {
	size_t filled;       /* where the next piece begins */
	unsigned int pieces; /* not released yet */
	bool done;           /* the kernel will put no more into it */
};

struct buffers {
	struct io_uring_buf_ring *ring;
	unsigned char *memory;
	struct buffer_use *uses;
	uint16_t *order;    /* which buffer stands at which place of the ring */
	unsigned int count; /* a power of two */
	size_t size;        /* bytes of one */
	unsigned int head;  /* the place the kernel takes from next */
	unsigned int tail;  /* the place after the last published */
	unsigned int unpublished;
	bool incremental;
};

struct piece {
	unsigned char *bytes;
	size_t length;
	unsigned int buffer;
};

/* Registers the buffers as group 0. Returns 0 or a negative errno. */
int buffers_init(struct buffers *b, struct io_uring *ring, unsigned int count, size_t size, bool incremental);

/* The next piece of a completion of which *left bytes are not taken yet; the piece's length is subtracted. */
struct piece buffers_take(struct buffers *b, const struct io_uring_cqe *cqe, size_t *left);

/* A piece of this buffer is needed no more. */
void buffers_release(struct buffers *b, unsigned int buffer);

/* Gives the kernel what was released since the last call. */
void buffers_publish(struct buffers *b);

/* Whether the kernel has any, as far as the completions that were looked at tell. */
static inline bool buffers_available(const struct buffers *b)
{
	return b->head != b->tail;
}
