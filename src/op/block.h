/* SPDX-License-Identifier: MIT */
/* What operations and the end of a run know of the pools of blocks. */
#ifndef NORIA_OP_BLOCK_H
#define NORIA_OP_BLOCK_H

#include <liburing.h>

struct block;
struct loop;
struct noria_site;

/* The blocks that an operation is on. */
struct block_use {
	struct block *first;
	unsigned count; /* 0: none */
};

/*
 * An operation with this entry begins. If its memory is in blocks, these are in use until noria_block_used(), and where
 * the pool is registered the entry becomes one for registered memory. Returns 0; -EFAULT with noria_message() for a
 * block that was put back, and behind the last one.
 */
int noria_block_use(struct loop *loop, struct io_uring_sqe *sqe, struct block_use *ret_use);
void noria_block_used(const struct block_use *use);

/* Each block that was not put back: where it was taken. */
void noria_blocks_tell(const struct loop *loop, void (*tell)(const struct noria_site *taken, void *arg), void *arg);
/* At the end of the run: those whose blocks never came back. */
void noria_blocks_free_all(struct loop *loop);

#endif
