/* SPDX-License-Identifier: MIT */
/* What the linker puts in the place of the allocating calls (-Wl,--wrap); see memory.h. */
#include "memory.h"

#include <errno.h>
#include <liburing.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

static atomic_long asked, live, fail_at;
static atomic_bool all_from, failed;

void memory_begin(long number, enum memory_mode mode)
{
	asked = 0;
	failed = false;
	fail_at = number;
	all_from = mode == MEMORY_ALL_FROM;
}

long memory_end(void)
{
	fail_at = 0;
	return asked;
}

bool memory_failed(void)
{
	return failed;
}

long memory_live(void)
{
	return live;
}

static bool fails(void)
{
	long number = ++asked, at = fail_at;

	if (at == 0 || (all_from ? number < at : number != at))
		return false;
	failed = true;
	return true;
}

static void *count(void *block)
{
	if (block)
		live++;
	return block;
}

#define REAL(type, name, ...) \
	type __real_##name(__VA_ARGS__); \
	type __wrap_##name(__VA_ARGS__);

/* clang-format off */
REAL(void *, malloc, size_t)
REAL(void *, calloc, size_t, size_t)
REAL(void *, realloc, void *, size_t)
REAL(void *, aligned_alloc, size_t, size_t)
REAL(void, free, void *)
REAL(void *, mmap, void *, size_t, int, int, int, off_t)
REAL(int, pthread_create, pthread_t *, const pthread_attr_t *, void *(*)(void *), void *)
REAL(int, io_uring_queue_init_params, unsigned, struct io_uring *, struct io_uring_params *)
REAL(int, io_uring_register_buf_ring, struct io_uring *, struct io_uring_buf_reg *, unsigned)
REAL(int, io_uring_register_files_sparse, struct io_uring *, unsigned)
REAL(int, io_uring_register_buffers_sparse, struct io_uring *, unsigned)
REAL(int, io_uring_resize_rings, struct io_uring *, struct io_uring_params *)
/* clang-format on */

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : count(__real_malloc(size));
}

void *__wrap_calloc(size_t items, size_t size)
{
	return fails() ? NULL : count(__real_calloc(items, size));
}

void *__wrap_realloc(void *block, size_t size)
{
	if (fails())
		return NULL;
	return block ? __real_realloc(block, size) : count(__real_realloc(block, size));
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
	return fails() ? NULL : count(__real_aligned_alloc(alignment, size));
}

void __wrap_free(void *block)
{
	if (block)
		live--;
	__real_free(block);
}

void *__wrap_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
	if (!fails())
		return __real_mmap(address, size, protection, flags, fd, offset);
	errno = ENOMEM;
	return MAP_FAILED;
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *arg)
{
	return fails() ? EAGAIN : __real_pthread_create(thread, attributes, start, arg);
}

int __wrap_io_uring_queue_init_params(unsigned entries, struct io_uring *ring, struct io_uring_params *params)
{
	return fails() ? -ENOMEM : __real_io_uring_queue_init_params(entries, ring, params);
}

int __wrap_io_uring_register_buf_ring(struct io_uring *ring, struct io_uring_buf_reg *registration, unsigned flags)
{
	return fails() ? -ENOMEM : __real_io_uring_register_buf_ring(ring, registration, flags);
}

int __wrap_io_uring_register_files_sparse(struct io_uring *ring, unsigned count_)
{
	return fails() ? -ENOMEM : __real_io_uring_register_files_sparse(ring, count_);
}

int __wrap_io_uring_register_buffers_sparse(struct io_uring *ring, unsigned count_)
{
	return fails() ? -ENOMEM : __real_io_uring_register_buffers_sparse(ring, count_);
}

int __wrap_io_uring_resize_rings(struct io_uring *ring, struct io_uring_params *params)
{
	return fails() ? -ENOMEM : __real_io_uring_resize_rings(ring, params);
}
