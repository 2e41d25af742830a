/* SPDX-License-Identifier: MIT */
/*
 * Slabs of stacks. Guards are installed when a stack is first used and stay. With MADV_GUARD_INSTALL they are marks in
 * the page table and the whole slab remains one mapping (neighbouring slabs even merge), so that vm.max_map_count
 * is no limit to the number of tasks; with mprotect each guard splits its mapping.
 *
 * The first use of a stack costs a page fault and a guard, several times what the task on it does. So where there are
 * many stacks, a number of them is made ready at once, guards and first pages by a system call each; and free slabs
 * are kept as they are, for as long as neither the kernel wants their pages nor this process their room.
 */
#include "task/stack.h"

#include "base/assert.h"
#include "base/memcheck.h"
#include "base/memory.h"
#include "base/message.h"
#include "ring/compat.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
	SLAB_BYTES = 16 * 1024 * 1024,
	SLAB_STACKS_MAX = 128,
	RESERVE_MAX = 1024, /* 16 GiB of addresses */
	AHEAD_MAX = 32,     /* stacks made ready at once */
	PAGE = 4096,
};

struct slab {
	struct list node;
	char *memory;
	size_t bytes, stack_size;
	unsigned count, used;
	unsigned fresh;      /* stacks from here on were never used: no guard yet */
	unsigned free_count; /* how many of `free` count */
	bool offered;        /* its pages, to the kernel */
	struct {
		struct stack stack; /* by index */
		struct stack *free; /* by position: a stack of free stacks */
	} slots[];
};

/* STACK_SIZES or more: too large. */
static int size_class(size_t size)
{
	return size <= (size_t)1 << STACK_MIN_LOG2 ? 0 : 64 - STACK_MIN_LOG2 - __builtin_clzl(size - 1);
}

void noria_stack_pool_init(struct stack_pool *pool, enum stack_guards guards)
{
	memset(pool, 0, sizeof *pool);
	for (int i = 0; i < STACK_SIZES; i++) {
		list_init(&pool->partial[i]);
		list_init(&pool->full[i]);
		list_init(&pool->reserve[i]);
	}
	pool->guards = guards;
}

static struct slab *slab_new(size_t stack_size)
{
	size_t slot = stack_size + STACK_GUARD;
	unsigned count = (unsigned)(SLAB_BYTES / slot);
	struct slab *slab;

	count = count < 1 ? 1 : count > SLAB_STACKS_MAX ? SLAB_STACKS_MAX : count;
	slab = memory_zeroed(1, sizeof *slab + count * sizeof slab->slots[0]);
	if (!slab)
		return NULL;
	slab->bytes = count * slot;
	slab->memory = memory_map(slab->bytes, MAP_NORESERVE | MAP_STACK);
	if (!slab->memory) {
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
		VALGRIND_STACK_DEREGISTER(slab->slots[i].stack.valgrind_id);
	munmap(slab->memory, slab->bytes);
	free(slab);
}

static struct slab *first_slab(const struct list *slabs)
{
	return list_empty(slabs) ? NULL : list_entry(slabs->next, struct slab, node);
}

/* Returns whether there was any. */
static bool free_slabs(struct list *slabs)
{
	bool any = !list_empty(slabs);
	struct slab *slab;

	while ((slab = first_slab(slabs))) {
		invariant(slab->used == 0);
		list_remove(&slab->node);
		slab_free(slab);
	}
	return any;
}

static bool free_reserves(struct stack_pool *pool)
{
	bool any = false;

	for (int i = 0; i < STACK_SIZES; i++)
		any |= free_slabs(&pool->reserve[i]);
	pool->reserved = 0;
	return any;
}

void noria_stack_pool_done(struct stack_pool *pool)
{
	for (int i = 0; i < STACK_SIZES; i++) {
		invariant(list_empty(&pool->full[i]));
		free_slabs(&pool->partial[i]); /* one whose guards could not be had */
	}
	free_reserves(pool);
}

static int guard(struct stack_pool *pool, char *memory)
{
	if (pool->guards != GUARDS_MAPPED) {
		if (madvise(memory, STACK_GUARD, MADV_GUARD_INSTALL) == 0)
			return 0;
		if (errno == ENOMEM)
			return -errno;
		pool->guards = GUARDS_MAPPED;
	}
	return mprotect(memory, STACK_GUARD, PROT_NONE) < 0 ? -errno : 0;
}

/* The guard is the lower part of a slot, the stack the rest. */
static char *slot(const struct slab *slab, unsigned index)
{
	return slab->memory + index * (slab->stack_size + STACK_GUARD);
}

/* Advice for `size` bytes at `offset` of each of some slots, by one system call. Returns how many took it. */
static unsigned advise_many(const struct slab *slab, unsigned count, size_t offset, size_t size, int advice)
{
	struct iovec places[AHEAD_MAX];
	long done;

	for (unsigned i = 0; i < count; i++)
		places[i] = (struct iovec){slot(slab, slab->fresh + i) + offset, size};
	done = syscall(SYS_process_madvise, PIDFD_SELF_THREAD, places, count, advice, 0);
	return done < 0 ? 0 : (unsigned)((size_t)done / size);
}

/*
 * As many as the slab has used already, or where there are others, the most: half of what is made ready at worst is
 * never wanted. The first page of each comes along, if the kernel likes.
 */
static unsigned guard_ahead(struct stack_pool *pool, const struct slab *slab, bool first_of_its_size)
{
	unsigned count = first_of_its_size && slab->fresh < AHEAD_MAX ? slab->fresh : AHEAD_MAX;

	count = count < slab->count - slab->fresh ? count : slab->count - slab->fresh;
	if (pool->guards != GUARDS_MARKED_MANY || count < 2)
		return 0;
	count = advise_many(slab, count, 0, STACK_GUARD, MADV_GUARD_INSTALL);
	if (count == 0) {
		pool->guards = GUARDS_MARKED; /* forbidden, since it was tried */
		return 0;
	}
	(void)advise_many(slab, count, STACK_GUARD + slab->stack_size - PAGE, PAGE, MADV_POPULATE_WRITE);
	return count;
}

static void add_fresh(struct slab *slab)
{
	char *low = slot(slab, slab->fresh) + STACK_GUARD;
	struct stack *stack = &slab->slots[slab->fresh].stack;

	*stack = (struct stack){.low = low,
				.size = slab->stack_size,
				.slab = slab,
				.index = slab->fresh++,
				.valgrind_id = VALGRIND_STACK_REGISTER(low, low + slab->stack_size)};
}

/* The lowest shall be taken first: it goes onto the free ones last. */
static void free_fresh(struct slab *slab, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		add_fresh(slab);
	for (unsigned i = 0; i < count; i++)
		slab->slots[slab->free_count++].free = &slab->slots[slab->fresh - 1 - i].stack;
}

static int slab_prepare_fresh(struct stack_pool *pool, struct slab *slab, bool first_of_its_size)
{
	unsigned count = guard_ahead(pool, slab, first_of_its_size);
	int r = count > 0 ? 0 : guard(pool, slot(slab, slab->fresh));

	if (r < 0)
		return noria_refuse(
			-ENOMEM, "no guard for a task's stack (%s). Remedy: raise vm.max_map_count, or run fewer tasks",
			strerror(-r));
	free_fresh(slab, count > 0 ? count : 1);
	return 0;
}

/* A slab with a stack that is free and guarded, where there was none: of the reserve, or new. */
static int make_stack(struct stack_pool *pool, int class)
{
	struct slab *slab = first_slab(&pool->partial[class]);

	if (!slab) {
		slab = first_slab(&pool->reserve[class]);
		if (slab)
			pool->reserved--;
		else
			slab = slab_new((size_t)1 << (class + STACK_MIN_LOG2));
		if (!slab)
			return noria_refuse(-ENOMEM,
					    "no memory for task stacks (%s). Remedy: more memory or address space "
					    "(`ulimit -v`, vm.overcommit_memory), or smaller stacks",
					    strerror(errno));
		slab->offered = false;
		list_remove(&slab->node);
		list_push_front(&pool->partial[class], &slab->node);
	}
	return slab->free_count > 0 ? 0 : slab_prepare_fresh(pool, slab, list_empty(&pool->full[class]));
}

/* What is kept in reserve may be what is missing now: memory, address space, mappings. */
static __attribute__((noinline)) int make_stack_somehow(struct stack_pool *pool, int class)
{
	int r = make_stack(pool, class);

	return r < 0 && free_reserves(pool) ? make_stack(pool, class) : r;
}

int noria_stack_get(struct stack_pool *pool, size_t size, struct stack **ret_stack)
{
	int class = size_class(size), r;
	struct slab *slab;

	if (unlikely(class >= STACK_SIZES))
		return noria_refuse(-EINVAL, "a stack of %zu bytes is too large: the limit is %zu", size,
				    (size_t)1 << STACK_MAX_LOG2);
	slab = first_slab(&pool->partial[class]);
	if (unlikely(!slab || slab->free_count == 0)) {
		r = make_stack_somehow(pool, class);
		if (r < 0)
			return r;
		slab = first_slab(&pool->partial[class]);
	}
	slab->used++;
	*ret_stack = slab->slots[--slab->free_count].free;
	if (slab->used == slab->count) {
		list_remove(&slab->node);
		list_push_back(&pool->full[class], &slab->node);
	}
	return 0;
}

/*
 * Into the reserve. The caller may stand on a stack of it, so that it stays as it is until the next comes. There is a
 * limit, since address space and page tables stay taken; and where each guard costs a mapping, of which a process has
 * few, one slab is reserve enough.
 */
static void keep(struct stack_pool *pool, struct slab *slab, int class)
{
	struct slab *before = first_slab(&pool->reserve[class]);

	list_remove(&slab->node);
	list_push_front(&pool->reserve[class], &slab->node);
	pool->reserved++;
	if (!before)
		return;
	if (pool->guards == GUARDS_MAPPED || pool->reserved > RESERVE_MAX) {
		list_remove(&before->node);
		slab_free(before);
		pool->reserved--;
	} else if (!before->offered) {
		madvise(before->memory, before->bytes, MADV_FREE);
		before->offered = true;
	}
}

void noria_stack_put(struct stack_pool *pool, struct stack *stack)
{
	struct slab *slab = stack->slab;
	int class = size_class(slab->stack_size);

	if (slab->used-- == slab->count) {
		list_remove(&slab->node);
		list_push_front(&pool->partial[class], &slab->node);
	}
	slab->slots[slab->free_count++].free = stack;
	if (slab->used == 0)
		keep(pool, slab, class);
}
