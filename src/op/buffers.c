/* SPDX-License-Identifier: MIT */
/*
 * Provided buffers: making them, following what the kernel does with them, giving them back. Records of pieces can
 * never run out: there are as many as buffers, or where a buffer is shared as many as bytes, in memory that is only
 * touched when it is used.
 */
#include "op/buffers.h"

#include "base/assert.h"
#include "base/memcheck.h"
#include "base/memory.h"
#include "base/message.h"
#include "ring/ring.h"
#include "task/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
	/* More than one enter completes (20, with DEFER_TASKRUN), so that it does not run out within one. */
	STOCK = 32,
	STOCK_INCREMENTAL = 16, /* of several messages each, when these are small */
	NO_PIECE = INT32_MAX,
	INCREMENTAL_MAX = 64 * 1024 * 1024, /* bytes, for each a record of a piece must have an address */
};

static void *map(size_t bytes)
{
	return memory_map(bytes, MAP_NORESERVE);
}

static void unmap(struct buffers *buffers)
{
	if (buffers->ring)
		munmap(buffers->ring, buffers->ring_bytes);
	if (buffers->memory)
		munmap(buffers->memory, buffers->memory_bytes);
	if (buffers->pieces)
		munmap(buffers->pieces, buffers->pieces_bytes);
	free(buffers->order);
	free(buffers->reserve);
	free(buffers);
}

static size_t words(unsigned count)
{
	return (count + 63) / 64;
}

static struct buffers *allocate(struct loop *loop, unsigned count, unsigned size, bool incremental)
{
	struct buffers *buffers = memory_zeroed(1, sizeof *buffers + count * sizeof buffers->table[0]);

	if (!buffers)
		return NULL;
	buffers->loop = loop;
	buffers->count = count;
	buffers->size = size;
	buffers->memcheck = loop->ring->memcheck;
	buffers->incremental = incremental;
	buffers->free_piece = NO_PIECE;
	buffers->ring_bytes = count * sizeof(struct io_uring_buf);
	buffers->memory_bytes = (size_t)count * size;
	buffers->pieces_bytes = sizeof(struct piece) * (incremental ? buffers->memory_bytes : count);
	buffers->ring = map(buffers->ring_bytes);
	buffers->memory = map(buffers->memory_bytes);
	buffers->pieces = map(buffers->pieces_bytes);
	buffers->order = memory_zeroed(count, sizeof *buffers->order);
	buffers->reserve = memory_zeroed(words(count), sizeof *buffers->reserve);
	if (buffers->ring && buffers->memory && buffers->pieces && buffers->order && buffers->reserve)
		return buffers;
	unmap(buffers);
	return NULL;
}

/* Numbers of groups are the loop's: the next that is free. */
static int provide(struct buffers *buffers)
{
	struct loop *loop = buffers->loop;
	unsigned flags = buffers->incremental ? IOU_PBUF_RING_INC : 0;
	int r = -EEXIST;

	for (unsigned i = 0; r == -EEXIST && i <= UINT16_MAX; i++) {
		buffers->group = loop->buffer_group++;
		r = loop->ring->class->provide(loop->ring, buffers->ring, buffers->count, buffers->group, flags);
	}
	return r;
}

/* The free buffer with the lowest number. */
static unsigned lowest(const struct buffers *buffers)
{
	unsigned word = 0;

	while (!buffers->reserve[word])
		word++;
	return word * 64 + (unsigned)__builtin_ctzll(buffers->reserve[word]);
}

static void stock_up(struct buffers *buffers)
{
	unsigned mask = buffers->count - 1;
	unsigned added = 0;

	for (; buffers->stocked < buffers->stock && buffers->left > buffers->stocked; added++, buffers->stocked++) {
		unsigned index = lowest(buffers);
		struct buffer *buffer = &buffers->table[index];

		buffers->reserve[index / 64] &= ~(UINT64_C(1) << index % 64);
		buffer->offset = 0;
		buffer->with_kernel = true;
		buffer->slot = (uint16_t)((buffers->ring->tail + added) & mask);
		buffers->order[buffer->slot] = (uint16_t)index;
		io_uring_buf_ring_add(buffers->ring, buffers->memory + (size_t)index * buffers->size, buffers->size,
				      (unsigned short)index, (int)mask, (int)added);
	}
	if (added > 0)
		io_uring_buf_ring_advance(buffers->ring, (int)added);
}

static void put(struct buffers *buffers, unsigned index)
{
	buffers->reserve[index / 64] |= UINT64_C(1) << index % 64;
	buffers->left++;
	stock_up(buffers);
}

/* The kernel is done with it. */
static void taken(struct buffers *buffers, struct buffer *buffer)
{
	invariant(buffer->with_kernel);
	buffer->with_kernel = false;
	buffers->left--;
	buffers->stocked--;
}

int noria_buffers_make(struct loop *loop, unsigned count, unsigned size, bool incremental, struct buffers **ret_buffers)
{
	struct buffers *buffers = allocate(loop, count, size, incremental);
	int r = buffers ? provide(buffers) : -ENOMEM;

	if (r < 0) {
		if (buffers)
			unmap(buffers);
		return noria_refuse(
			r,
			"no receive buffers (%u of %u bytes): %s. Remedy: fewer or smaller receive_buffers, or a "
			"higher RLIMIT_MEMLOCK",
			count, size, strerror(-r));
	}
	io_uring_buf_ring_init(buffers->ring);
	buffers->stock = incremental ? STOCK_INCREMENTAL : STOCK;
	for (unsigned i = 0; i < count; i++)
		put(buffers, i);
	*ret_buffers = buffers;
	return 0;
}

void noria_buffers_free(struct buffers *buffers)
{
	struct ring *ring = buffers->loop->ring;

	ring->class->provide(ring, NULL, 0, buffers->group, 0);
	unmap(buffers);
}

/* It takes multishot receives: see noria_buffers_received(). */
static bool incremental_here(const struct loop *loop)
{
	const struct features *features = &loop->ring->features;

	return features_has(features, FEATURE_INCREMENTAL) && features_has(features, FEATURE_RECV_MULTISHOT) &&
	       (size_t)loop->config.receive_buffers * loop->config.receive_buffer_size <= INCREMENTAL_MAX;
}

int noria_buffers_get(struct loop *loop, bool bytes, struct buffers **ret_buffers)
{
	bool incremental = bytes && incremental_here(loop);
	struct buffers **of_loop = &loop->buffers[incremental];
	int r = 0;

	if (!*of_loop)
		r = noria_buffers_make(loop, loop->config.receive_buffers, loop->config.receive_buffer_size,
				       incremental, of_loop);
	if (r == 0)
		*ret_buffers = *of_loop;
	return r;
}

void noria_buffers_free_all(struct loop *loop)
{
	for (int i = 0; i < 2; i++) {
		if (loop->buffers[i])
			noria_buffers_free(loop->buffers[i]);
		loop->buffers[i] = NULL;
	}
}

static uint32_t new_record(struct buffers *buffers)
{
	uint32_t number = buffers->free_piece;

	if (number == NO_PIECE)
		return buffers->fresh_piece++;
	buffers->free_piece = buffers->pieces[number].next;
	return number;
}

static struct piece *last_of(const struct buffers *buffers, struct pieces *pieces)
{
	return pieces->count == 1 ? &pieces->first : &buffers->pieces[pieces->last];
}

static void append(struct buffers *buffers, struct pieces *pieces, struct piece piece)
{
	if (pieces->count == 0) {
		pieces->first = piece;
	} else {
		uint32_t number = new_record(buffers);

		buffers->pieces[number] = piece;
		last_of(buffers, pieces)->next = number;
		pieces->last = number;
	}
	pieces->count++;
	pieces->bytes += piece.length;
}

static struct piece remove_first(struct buffers *buffers, struct pieces *pieces)
{
	struct piece piece = pieces->first;

	pieces->bytes -= piece.length;
	if (--pieces->count > 0) {
		pieces->first = buffers->pieces[piece.next];
		buffers->pieces[piece.next].next = buffers->free_piece;
		buffers->free_piece = piece.next;
	}
	return piece;
}

/* `length` more bytes of a buffer are filled. */
static void filled(struct buffers *buffers, unsigned index, uint32_t length, struct pieces *pieces, bool join)
{
	struct buffer *buffer = &buffers->table[index];
	uint32_t offset = buffer->offset;
	struct piece *last = join && pieces->count > 0 ? last_of(buffers, pieces) : NULL;

	if (last && last->buffer == index && last->offset + last->length == offset) {
		last->length += length;
		pieces->bytes += length;
	} else {
		append(buffers, pieces, (struct piece){.offset = offset, .length = length, .buffer = (uint16_t)index});
		buffer->pieces++;
	}
	if (unlikely(buffers->memcheck))
		(void)VALGRIND_MAKE_MEM_DEFINED(buffers->memory + (size_t)index * buffers->size + offset, length);
	buffer->offset = offset + length;
	invariant(buffer->offset <= buffers->size);
}

static void received_nothing(struct buffers *buffers, unsigned index)
{
	if (buffers->incremental)
		return; /* it stays where it is */
	taken(buffers, &buffers->table[index]);
	put(buffers, index);
}

/* In several buffers when they are bundled. */
static void received_some(struct buffers *buffers, uint32_t left, uint32_t flags, struct pieces *pieces, bool join)
{
	unsigned index = flags >> IORING_CQE_BUFFER_SHIFT;

	for (;;) {
		struct buffer *buffer = &buffers->table[index];
		uint32_t room = buffers->size - buffer->offset, length = left < room ? left : room;

		filled(buffers, index, length, pieces, join);
		left -= length;
		if (left > 0 || !(flags & IORING_CQE_F_BUF_MORE))
			taken(buffers, buffer);
		if (left == 0)
			break;
		index = buffers->order[(buffer->slot + 1U) & (buffers->count - 1)];
	}
	stock_up(buffers);
}

/*
 * Completions tell how much, and not where: pieces of one buffer follow each other in the order of their completions.
 * That holds for multishot receives, whose completions are posted as they happen, and not between these and one-shot
 * ones, which are posted in batches; so an incremental ring is used by the former alone.
 */
void noria_buffers_received(struct buffers *buffers, int32_t result, uint32_t flags, struct pieces *pieces, bool join)
{
	if (result > 0)
		received_some(buffers, (uint32_t)result, flags, pieces, join);
	else
		received_nothing(buffers, flags >> IORING_CQE_BUFFER_SHIFT);
}

void noria_buffers_ran_out(struct buffers *buffers)
{
	if (buffers->left == buffers->stocked)
		return;
	if (buffers->stock < buffers->count)
		buffers->stock *= 2;
	stock_up(buffers);
}

struct piece noria_pieces_move(struct buffers *buffers, struct pieces *from, struct pieces *to)
{
	struct piece piece = remove_first(buffers, from);

	append(buffers, to, piece);
	return piece;
}

void noria_pieces_release(struct buffers *buffers, struct pieces *pieces)
{
	while (pieces->count > 0) {
		unsigned index = remove_first(buffers, pieces).buffer;
		struct buffer *buffer = &buffers->table[index];

		if (--buffer->pieces == 0 && !buffer->with_kernel)
			put(buffers, index);
	}
}
