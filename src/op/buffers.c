/* SPDX-License-Identifier: MIT */
/* Receive buffers: making them, and giving one back. */
#include "op/buffers.h"

#include "base/message.h"
#include "ring/ring.h"
#include "task/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static void *map(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

static void unmap(struct buffers *buffers)
{
	if (buffers->ring)
		munmap(buffers->ring, buffers->ring_bytes);
	if (buffers->memory)
		munmap(buffers->memory, buffers->memory_bytes);
	free(buffers);
}

int noria_buffers_get(struct loop *loop, struct buffers **ret_buffers)
{
	unsigned count = loop->config.receive_buffers, size = loop->config.receive_buffer_size;
	struct buffers *buffers = loop->buffers;
	int r;

	if (buffers) {
		*ret_buffers = buffers;
		return 0;
	}
	buffers = calloc(1, sizeof *buffers + count * sizeof buffers->info[0]);
	if (!buffers)
		return noria_refuse(-ENOMEM, "no memory for receive buffers");
	buffers->count = count;
	buffers->size = size;
	buffers->ring_bytes = count * sizeof(struct io_uring_buf);
	buffers->memory_bytes = (size_t)count * size;
	buffers->ring = map(buffers->ring_bytes);
	buffers->memory = map(buffers->memory_bytes);
	r = !buffers->ring || !buffers->memory
		    ? -ENOMEM
		    : loop->ring->class->provide(loop->ring, buffers->ring, count, BUFFERS_GROUP);
	if (r < 0) {
		unmap(buffers);
		return noria_refuse(
			r,
			"no receive buffers (%u of %u bytes): %s. Remedy: fewer or smaller receive_buffers, or a "
			"higher RLIMIT_MEMLOCK",
			count, size, strerror(-r));
	}
	io_uring_buf_ring_init(buffers->ring);
	for (unsigned i = 0; i < count; i++)
		noria_buffer_put(buffers, i);
	*ret_buffers = loop->buffers = buffers;
	return 0;
}

void noria_buffers_free(struct loop *loop)
{
	if (!loop->buffers)
		return;
	loop->ring->class->provide(loop->ring, NULL, 0, BUFFERS_GROUP);
	unmap(loop->buffers);
	loop->buffers = NULL;
}

void noria_buffer_put(struct buffers *buffers, unsigned index)
{
	io_uring_buf_ring_add(buffers->ring, buffer_data(buffers, index), buffers->size, (unsigned short)index,
			      (int)buffers->count - 1, 0);
	io_uring_buf_ring_advance(buffers->ring, 1);
	buffers->with_kernel++;
}
