/* SPDX-License-Identifier: MIT */
/*
 * Memory. Whatever the runtime allocates it asks for here, so that a test kit can let any of it fail (rule R14): the C
 * library's allocator for objects, mappings for stacks, tables and buffers. Each answers NULL, with ENOMEM, when there
 * is none. Objects go back by free(), mappings by munmap().
 */
#ifndef NORIA_BASE_MEMORY_H
#define NORIA_BASE_MEMORY_H

#include "base/assert.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>

/* Asked at each allocation whether it shall fail; NULL: none shall. */
extern bool (*noria_memory_fails)(void);

static inline bool memory_fails(void)
{
	if (likely(!noria_memory_fails) || !noria_memory_fails())
		return false;
	errno = ENOMEM;
	return true;
}

static inline __attribute__((malloc)) void *memory_new(size_t size)
{
	return memory_fails() ? NULL : malloc(size);
}

static inline __attribute__((malloc)) void *memory_zeroed(size_t count, size_t size)
{
	return memory_fails() ? NULL : calloc(count, size);
}

static inline void *memory_resize(void *block, size_t size)
{
	return memory_fails() ? NULL : realloc(block, size);
}

/* Zeroes, of this process alone; `flags` are MAP_* beside those that say so. */
static inline void *memory_map(size_t bytes, int flags)
{
	void *memory = memory_fails()
			       ? MAP_FAILED
			       : mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

#endif
