/* SPDX-License-Identifier: MIT */
/*
 * Pools of blocks: one mapping, cut into equal pieces, registered with the ring as one. A pool that is closed goes when
 * its last block has come back, and a block comes back only when no operation uses it: so the kernel never writes to
 * memory that is free. The loop knows all pools; an operation finds its own by address, and where there are no pools
 * that is one look at a pointer.
 */
#include "op/block.h"

#include "base/memory.h"
#include "base/message.h"
#include "noria/block.h"
#include "ring/ring.h"
#include "scope/waiters.h"
#include "task/storage.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { ALIGNMENT = 4096, ALIGNMENT_MAX = 2 << 20, BYTES_MAX = 1 << 30 };

struct block {
	const struct noria_site *taken; /* where; NULL: it is free */
	unsigned operations;            /* that are using it */
	unsigned next;                  /* free one: its number and one, 0: none */
};

struct noria_blocks {
	struct leftover leftover;  /* closed for the task that forgets it */
	struct noria_blocks *next; /* of the loop's */
	struct loop *loop;
	void *mapping;
	size_t mapping_bytes;
	uintptr_t memory;
	size_t bytes, size;
	size_t count, taken;
	unsigned free; /* the first free one, and one */
	int slot;      /* in the ring; or why it is not */
	bool closing;
	struct waiters waiters;
	struct block table[];
};

static void free_pool(struct noria_blocks *blocks)
{
	struct noria_blocks **link = &blocks->loop->blocks;

	while (*link != blocks)
		link = &(*link)->next;
	*link = blocks->next;
	if (blocks->slot >= 0)
		blocks->loop->ring->class->unfix(blocks->loop->ring, (unsigned)blocks->slot);
	munmap(blocks->mapping, blocks->mapping_bytes);
	free(blocks);
}

void noria_blocks_tell(const struct loop *loop, void (*tell)(const struct noria_site *taken, void *arg), void *arg)
{
	for (const struct noria_blocks *blocks = loop->blocks; blocks; blocks = blocks->next)
		for (size_t i = 0; i < blocks->count; i++)
			if (blocks->table[i].taken)
				tell(blocks->table[i].taken, arg);
}

void noria_blocks_free_all(struct loop *loop)
{
	while (loop->blocks)
		free_pool(loop->blocks);
}

/* The places of those who wait are theirs no longer. */
static void close_pool(struct noria_blocks *blocks)
{
	leftover_remove(&blocks->leftover);
	blocks->closing = true;
	while (noria_waiters_tell_first(&blocks->waiters))
		continue;
	if (blocks->taken == 0)
		free_pool(blocks);
}

static bool close_leftover(struct leftover *leftover)
{
	close_pool(container_of(leftover, struct noria_blocks, leftover));
	return true;
}

static int check(size_t count, size_t size, size_t alignment)
{
	if (alignment > ALIGNMENT_MAX || (alignment & (alignment - 1)))
		return noria_refuse(-EINVAL, "blocks: the alignment (%zu) must be a power of two up to 2 MiB",
				    alignment);
	if (count == 0 || size == 0 || size % alignment != 0)
		return noria_refuse(-EINVAL, "blocks: %zu of %zu bytes: the size must be a multiple of %zu", count,
				    size, alignment);
	if (count > BYTES_MAX / size)
		return noria_refuse(-EINVAL, "blocks: %zu of %zu bytes are more than 1 GiB: make several pools", count,
				    size);
	return 0;
}

static struct noria_blocks *make(size_t count, size_t size, size_t alignment)
{
	struct noria_blocks *blocks = memory_zeroed(1, sizeof *blocks + count * sizeof blocks->table[0]);

	if (!blocks)
		return NULL;
	blocks->bytes = count * size;
	blocks->mapping_bytes = blocks->bytes + alignment;
	blocks->mapping = memory_map(blocks->mapping_bytes, 0);
	if (!blocks->mapping) {
		free(blocks);
		return NULL;
	}
	blocks->memory = ((uintptr_t)blocks->mapping + alignment - 1) & ~(uintptr_t)(alignment - 1);
	blocks->size = size;
	blocks->count = count;
	for (unsigned i = 0; i < count; i++)
		blocks->table[i].next = i + 1 < count ? i + 2 : 0;
	blocks->free = 1;
	return blocks;
}

int noria_blocks_open_at(size_t count, size_t size, size_t alignment, struct noria_blocks **ret_blocks,
			 const struct noria_site *site)
{
	struct task *task = noria_current();
	struct noria_blocks *blocks;
	int r;

	if (!task)
		return -ENXIO;
	alignment = alignment ? alignment : ALIGNMENT;
	r = check(count, size, alignment);
	if (r < 0)
		return r;
	blocks = make(count, size, alignment);
	if (!blocks)
		return noria_refuse(-ENOMEM, "no memory for %zu blocks of %zu bytes", count, size);
	blocks->loop = task->loop;
	blocks->slot = task->loop->ring->class->fix(task->loop->ring, (void *)blocks->memory, blocks->bytes);
	blocks->next = task->loop->blocks;
	task->loop->blocks = blocks;
	blocks->leftover = (struct leftover){.task = task, .site = site, .close = close_leftover, .waits = true};
	leftover_add(&blocks->leftover);
	*ret_blocks = blocks;
	return 0;
}

int noria_blocks_registered(const struct noria_blocks *blocks)
{
	return blocks->slot < 0 ? blocks->slot : 1;
}

static const struct noria_site *first_taken(const struct noria_blocks *blocks)
{
	const struct block *block = blocks->table;

	while (!block->taken)
		block++;
	return block->taken;
}

int noria_blocks_close(struct noria_blocks *blocks)
{
	const struct noria_site *site;

	if (!blocks)
		return 0;
	if (!noria_current())
		return -ENXIO;
	if (blocks->taken > 0) {
		site = first_taken(blocks);
		return noria_refuse(-EBUSY, "%zu blocks of the pool of %s:%d are taken, one of them at %s:%d",
				    blocks->taken, blocks->leftover.site->file, blocks->leftover.site->line, site->file,
				    site->line);
	}
	close_pool(blocks);
	return 0;
}

static void *take(struct noria_blocks *blocks, const struct noria_site *site)
{
	unsigned number = blocks->free - 1;
	struct block *block = &blocks->table[number];

	blocks->free = block->next;
	blocks->taken++;
	block->taken = site;
	return (void *)(blocks->memory + number * blocks->size);
}

struct getting {
	struct turn turn;
	struct noria_blocks *blocks;
	const struct noria_site *site;
	void *block; /* NULL: the pool was closed */
};

/* A block has come back, and is this task's at once. */
static void told(struct waiter *waiter)
{
	struct getting *getting = container_of(waiter, struct getting, turn.waiter);

	getting->block = getting->blocks->closing ? NULL : take(getting->blocks, getting->site);
	noria_turn_come(waiter);
}

static void describe(const struct wait *wait, char *text, size_t size)
{
	const struct getting *getting = container_of(wait, struct getting, turn.wait);

	snprintf(text, size, "waits at %s:%d for one of %zu blocks, which are all taken", getting->site->file,
		 getting->site->line, getting->blocks->count);
}

static const struct wait_class get_class = {.abandon = noria_turn_abandon, .describe = describe};

int noria_block_get_at(struct noria_blocks *blocks, void **ret_block, const struct noria_site *site)
{
	struct task *task = noria_current();
	struct getting getting = {.blocks = blocks, .site = site};
	int r;

	if (!task)
		return -ENXIO;
	r = scope_door(task);
	if (r < 0)
		return r;
	if (blocks->free && !blocks->closing) {
		getting.block = take(blocks, site);
		task_spend(task);
	} else if (!blocks->closing) {
		r = noria_turn_wait_told(&getting.turn, task, &blocks->waiters, &get_class, told);
		if (r < 0)
			return r;
	}
	if (!getting.block)
		return noria_refuse(-EBADF, "the pool of blocks was closed");
	*ret_block = getting.block;
	return 0;
}

/* The pool that an address lies in, or NULL. */
static inline struct noria_blocks *pool_of(const struct loop *loop, uintptr_t address)
{
	struct noria_blocks *blocks = loop->blocks;

	while (blocks && address - blocks->memory >= blocks->bytes)
		blocks = blocks->next;
	return blocks;
}

int noria_block_put(void *address)
{
	struct task *task = noria_current();
	struct noria_blocks *blocks;
	struct block *block;
	size_t offset;

	if (!address)
		return 0;
	if (!task)
		return -ENXIO;
	blocks = pool_of(task->loop, (uintptr_t)address);
	offset = blocks ? (uintptr_t)address - blocks->memory : 0;
	block = blocks ? &blocks->table[offset / blocks->size] : NULL;
	if (!blocks || offset % blocks->size != 0 || !block->taken)
		return noria_refuse(-EINVAL, "%p is not a block that was taken from a pool", address);
	if (block->operations > 0)
		return noria_refuse(-EBUSY, "the block taken at %s:%d is in use by %u operations", block->taken->file,
				    block->taken->line, block->operations);
	block->taken = NULL;
	block->next = blocks->free;
	blocks->free = (unsigned)(offset / blocks->size) + 1;
	blocks->taken--;
	if (!blocks->closing)
		(void)noria_waiters_tell_first(&blocks->waiters);
	else if (blocks->taken == 0)
		free_pool(blocks);
	return 0;
}

void noria_autoblock_(void *variable)
{
	(void)noria_block_put(*(void **)variable);
}

/* How many blocks, from the first, an operation is on: more than one by its program's own arrangement. */
static unsigned count_blocks(const struct noria_blocks *blocks, size_t offset, size_t size)
{
	size_t within = offset % blocks->size;

	return within + size <= blocks->size ? 1 : (unsigned)((within + size + blocks->size - 1) / blocks->size);
}

int noria_block_use(struct loop *loop, struct io_uring_sqe *sqe, struct block_use *ret_use)
{
	uint8_t opcode = sqe->opcode;
	struct noria_blocks *blocks;
	struct block *block;
	unsigned count;
	size_t offset;

	ret_use->count = 0;
	if (opcode != IORING_OP_READ && opcode != IORING_OP_WRITE && opcode != IORING_OP_RECV &&
	    opcode != IORING_OP_SEND)
		return 0;
	blocks = pool_of(loop, sqe->addr);
	if (!blocks)
		return 0;
	offset = sqe->addr - blocks->memory;
	if (blocks->bytes - offset < sqe->len)
		return noria_refuse(-EFAULT, "%u bytes reach behind the last block of the pool", sqe->len);
	block = &blocks->table[offset / blocks->size];
	count = count_blocks(blocks, offset, sqe->len);
	for (unsigned i = 0; i < count; i++)
		if (!block[i].taken)
			return noria_refuse(-EFAULT, "memory of a block that was put back");
	if (blocks->slot >= 0) {
		if (opcode == IORING_OP_READ)
			sqe->opcode = IORING_OP_READ_FIXED;
		else if (opcode == IORING_OP_WRITE)
			sqe->opcode = IORING_OP_WRITE_FIXED;
		if (sqe->opcode != opcode)
			sqe->buf_index = (uint16_t)blocks->slot;
	}
	*ret_use = (struct block_use){.first = block, .count = count};
	for (unsigned i = 0; i < count; i++)
		block[i].operations++;
	return 0;
}

void noria_block_used(const struct block_use *use)
{
	for (unsigned i = 0; i < use->count; i++)
		use->first[i].operations--;
}
