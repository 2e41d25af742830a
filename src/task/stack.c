/* SPDX-License-Identifier: MIT */
/*
 * Slabs of stacks. Guards are installed when a stack is first used and stay. With MADV_GUARD_INSTALL they are marks in
 * the page table and the whole slab remains one mapping (neighbouring slabs even merge), so that a million tasks do
 * not run into vm.max_map_count; with mprotect each guard splits its mapping.
 */
#include "task/stack.h"

#include "base/assert.h"
#include "base/memcheck.h"
#include "base/message.h"
#include "ring/compat.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { SLAB_BYTES = 16 * 1024 * 1024, SLAB_STACKS_MAX = 128 };

struct slab {
	struct list node;
	char *memory;
	size_t bytes, stack_size;
	unsigned count, used;
	unsigned fresh;      /* stacks from here on were never used: no guard yet */
	unsigned free_count; /* how many of the free indices below count */
	struct {
		unsigned free_index;  /* by position: a stack of free stacks */
		unsigned valgrind_id; /* by index */
	} slots[];
};

static int size_class(size_t size)
{
	int log2 = STACK_MIN_LOG2;

	while (log2 <= STACK_MAX_LOG2 && ((size_t)1 << log2) < size)
		log2++;
	return log2 - STACK_MIN_LOG2;
}

void noria_stack_pool_init(struct stack_pool *pool, bool guard_advice)
{
	memset(pool, 0, sizeof *pool);
	for (int i = 0; i < STACK_SIZES; i++) {
		list_init(&pool->partial[i]);
		list_init(&pool->full[i]);
	}
	pool->guard_advice = guard_advice;
}

static struct slab *slab_new(size_t stack_size)
{
	size_t slot = stack_size + STACK_GUARD;
	unsigned count = (unsigned)(SLAB_BYTES / slot);
	struct slab *slab;

	count = count < 1 ? 1 : count > SLAB_STACKS_MAX ? SLAB_STACKS_MAX : count;
	slab = calloc(1, sizeof *slab + count * sizeof slab->slots[0]);
	if (!slab)
		return NULL;
	slab->bytes = count * slot;
	slab->memory = mmap(NULL, slab->bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
	if (slab->memory == MAP_FAILED) {
		free(slab);
		return NULL;
	}
	madvise(slab->memory, slab->bytes, MADV_NOHUGEPAGE); /* a parked task must cost a page, not two megabytes */
	slab->stack_size = stack_size;
	slab->count = count;
	list_init(&slab->node);
	return slab;
}

static void slab_free(struct slab *slab)
{
	for (unsigned i = 0; i < slab->fresh; i++)
		VALGRIND_STACK_DEREGISTER(slab->slots[i].valgrind_id);
	munmap(slab->memory, slab->bytes);
	free(slab);
}

void noria_stack_pool_done(struct stack_pool *pool)
{
	for (int i = 0; i < STACK_SIZES; i++) {
		struct list *node;

		invariant(list_empty(&pool->full[i]));
		while ((node = list_pop_front(&pool->partial[i]))) {
			struct slab *slab = list_entry(node, struct slab, node);

			invariant(slab->used == 0);
			slab_free(slab);
		}
	}
}

static int guard(struct stack_pool *pool, char *memory)
{
	if (pool->guard_advice) {
		if (madvise(memory, STACK_GUARD, MADV_GUARD_INSTALL) == 0)
			return 0;
		if (errno != EINVAL)
			return -errno;
		pool->guard_advice = false;
	}
	return mprotect(memory, STACK_GUARD, PROT_NONE) < 0 ? -errno : 0;
}

static int slab_prepare_fresh(struct stack_pool *pool, struct slab *slab)
{
	char *memory = slab->memory + slab->fresh * (slab->stack_size + STACK_GUARD);
	int r = guard(pool, memory);

	if (r < 0)
		return noria_refuse(
			-ENOMEM, "no guard for a task's stack (%s). Remedy: raise vm.max_map_count, or run fewer tasks",
			strerror(-r));
	slab->slots[slab->fresh].valgrind_id =
		VALGRIND_STACK_REGISTER(memory + STACK_GUARD, memory + STACK_GUARD + slab->stack_size);
	slab->slots[slab->free_count++].free_index = slab->fresh++;
	return 0;
}

int noria_stack_get(struct stack_pool *pool, size_t size, struct stack *ret_stack)
{
	int class = size_class(size), r;
	struct slab *slab;

	if (unlikely(class >= STACK_SIZES))
		return noria_refuse(-EINVAL, "a stack of %zu bytes is too large: the limit is %zu", size,
				    (size_t)1 << STACK_MAX_LOG2);
	if (unlikely(list_empty(&pool->partial[class]))) {
		slab = slab_new((size_t)1 << (class + STACK_MIN_LOG2));
		if (!slab)
			return noria_refuse(-ENOMEM,
					    "no memory for task stacks (%s). Remedy: more memory or address space "
					    "(`ulimit -v`, vm.overcommit_memory), or smaller stacks",
					    strerror(errno));
		list_push_front(&pool->partial[class], &slab->node);
		pool->empty[class]++;
	}
	slab = list_entry(pool->partial[class].next, struct slab, node);
	if (slab->free_count == 0) {
		r = slab_prepare_fresh(pool, slab);
		if (r < 0)
			return r;
	}
	if (slab->used++ == 0)
		pool->empty[class]--;
	ret_stack->slab = slab;
	ret_stack->index = slab->slots[--slab->free_count].free_index;
	ret_stack->low = slab->memory + ret_stack->index * (slab->stack_size + STACK_GUARD) + STACK_GUARD;
	ret_stack->size = slab->stack_size;
	if (slab->used == slab->count) {
		list_remove(&slab->node);
		list_push_back(&pool->full[class], &slab->node);
	}
	return 0;
}

void noria_stack_put(struct stack_pool *pool, const struct stack *stack)
{
	struct slab *slab = stack->slab;
	int class = size_class(slab->stack_size);

	if (slab->used-- == slab->count) {
		list_remove(&slab->node);
		list_push_front(&pool->partial[class], &slab->node);
	}
	slab->slots[slab->free_count++].free_index = stack->index;
	if (slab->used > 0)
		return;
	if (pool->empty[class] > 0) { /* one wholly free slab is enough in reserve */
		list_remove(&slab->node);
		slab_free(slab);
	} else {
		pool->empty[class]++;
	}
}
