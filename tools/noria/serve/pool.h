/* SPDX-License-Identifier: MIT */
/* What connections borrow while they are busy: buffers of one size, and pipes. For one runtime, so without locks. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Buffers. The last one given back is the next one handed out: it is still in the processor's cache. */
struct pool {
	size_t size;        /* of each buffer */
	unsigned kept_max;  /* how many free ones are kept; more go back to the allocator */
	unsigned kept, out; /* free ones, and those in use */
	void *free;
};

/* Returns: a buffer with any content, NULL when there is no memory. */
void *pool_get(struct pool *pool);
void pool_put(struct pool *pool, void *buffer); /* NULL is fine */
void pool_done(struct pool *pool);

struct pipe {
	int read_fd, write_fd;
	size_t size; /* how many bytes it holds */
};

#define PIPES_KEPT 64 /* for each that is made anew, a file of 100 KiB costs a quarter more: measured */

struct pipes {
	unsigned out_max;   /* how many may exist at once */
	unsigned kept, out; /* free ones, and those in use */
	struct pipe free[PIPES_KEPT];
};

/* Returns: false when there is none to be had: copy instead. */
bool pipes_get(struct pipes *pipes, struct pipe *ret_pipe);
/* A pipe that may have bytes left in it is not `clean`, and is closed. */
void pipes_put(struct pipes *pipes, const struct pipe *pipe, bool clean);
void pipes_done(struct pipes *pipes);
