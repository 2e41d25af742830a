/* SPDX-License-Identifier: MIT */
/*
 * Provided buffers: making them, following what the kernel does with them, giving them back. Records of pieces can
 * never run out: there are as many as buffers, or where a buffer is shared as many as bytes, in memory that is only
 * touched when it is used.
 */
#include "op/buffers.h"

#include "base/assert.h"
#include "base/memcheck.h"
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
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
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
	struct buffers *buffers = calloc(1, sizeof *buffers + count * sizeof buffers->table[0]);

	if (!buffers)
		return NULL;
	buffers->loop = loop;
	buffers->count = count;
	buffers->size = size;
	buffers->incremental = incremental;
	buffers->free_piece = NO_PIECE;
	buffers->ring_bytes = count * sizeof(struct io_uring_buf);
	buffers->memory_bytes = (size_t)count * size;
	buffers->pieces_bytes = sizeof(struct piece) * (incremental ? buffers->memory_bytes : count);
	buffers->ring = map(buffers->ring_bytes);
	buffers->memory = map(buffers->memory_bytes);
	buffers->pieces = map(buffers->pieces_bytes);
	buffers->order = calloc(count, sizeof *buffers->order);
	buffers->reserve = calloc(words(count), sizeof *buffers->reserve);
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

static uint32_t new_piece(struct buffers *buffers)
{
	uint32_t number = buffers->free_piece;

	if (number == NO_PIECE)
		return buffers->fresh_piece++;
	buffers->free_piece = buffers->pieces[number].next;
	return number;
}

static void append(struct buffers *buffers, struct pieces *pieces, uint32_t number)
{
	if (pieces->count++ == 0)
		pieces->first = number;
	else
		buffers->pieces[pieces->last].next = number;
	pieces->last = number;
	pieces->bytes += buffers->pieces[number].length;
}

/* `length` more bytes of a buffer are filled. */
static void filled(struct buffers *buffers, unsigned index, uint32_t length, struct pieces *pieces, bool join)
{
	struct buffer *buffer = &buffers->table[index];
	struct piece *last = pieces->count > 0 ? &buffers->pieces[pieces->last] : NULL;

	if (join && last && last->buffer == index && last->offset + last->length == buffer->offset) {
		last->length += length;
		pieces->bytes += length;
	} else {
		uint32_t number = new_piece(buffers);

		buffers->pieces[number] =
			(struct piece){.offset = buffer->offset, .length = length, .buffer = (uint16_t)index};
		buffer->pieces++;
		append(buffers, pieces, number);
	}
	(void)VALGRIND_MAKE_MEM_DEFINED(buffers->memory + (size_t)index * buffers->size + buffer->offset, length);
	buffer->offset += length;
	invariant(buffer->offset <= buffers->size);
}

/*
 * Completions tell how much, and not where: pieces of one buffer follow each other in the order of their completions.
 * That holds for multishot receives, whose completions are posted as they happen, and not between these and one-shot
 * ones, which are posted in batches; so an incremental ring is used by the former alone.
 */
void noria_buffers_received(struct buffers *buffers, int32_t result, uint32_t flags, struct pieces *pieces, bool join)
{
	unsigned index = flags >> IORING_CQE_BUFFER_SHIFT;
	uint32_t left = result > 0 ? (uint32_t)result : 0;

	if (left == 0 && buffers->incremental)
		return; /* nothing was put into it, so it stays where it is */
	if (left == 0) {
		taken(buffers, &buffers->table[index]);
		put(buffers, index);
		return;
	}
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

void noria_buffers_ran_out(struct buffers *buffers)
{
	if (buffers->left == buffers->stocked)
		return;
	if (buffers->stock < buffers->count)
		buffers->stock *= 2;
	stock_up(buffers);
}

const struct piece *noria_pieces_move(struct buffers *buffers, struct pieces *from, struct pieces *to)
{
	uint32_t number = from->first;
	struct piece *piece = &buffers->pieces[number];

	from->first = piece->next;
	from->count--;
	from->bytes -= piece->length;
	append(buffers, to, number);
	return piece;
}

void noria_pieces_release(struct buffers *buffers, struct pieces *pieces)
{
	while (pieces->count > 0) {
		uint32_t number = pieces->first;
		struct piece *piece = &buffers->pieces[number];
		struct buffer *buffer = &buffers->table[piece->buffer];

		pieces->first = piece->next;
		pieces->count--;
		if (--buffer->pieces == 0 && !buffer->with_kernel)
			put(buffers, piece->buffer);
		piece->next = buffers->free_piece;
		buffers->free_piece = number;
	}
	pieces->bytes = 0;
}
