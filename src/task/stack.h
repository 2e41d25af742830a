/* SPDX-License-Identifier: MIT */
/*
 * Stacks, from slabs. A slab is one mapping that holds many stacks of one size, each above a guard region; only touched
 * pages cost memory. Taking and giving back a stack is a few instructions, the last one given back is taken first
 * (it is hot). A slab that is wholly free stays for the next, guards and all, and its pages are offered to the kernel,
 * which takes them when memory is short: what comes in bursts shall not pay for its page faults each time.
 */
#ifndef NORIA_TASK_STACK_H
#define NORIA_TASK_STACK_H

#include "base/list.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	STACK_MIN_LOG2 = 14, /* 16 KiB */
	STACK_MAX_LOG2 = 28, /* 256 MiB */
	STACK_SIZES = STACK_MAX_LOG2 - STACK_MIN_LOG2 + 1,
	STACK_GUARD = 64 * 1024, /* a frame larger than this can step over it: see -fstack-clash-protection */
};

struct slab;

/* How they are made: a mapping each, by MADV_GUARD_INSTALL, or by that for many at a time. */
enum stack_guards { GUARDS_MAPPED, GUARDS_MARKED, GUARDS_MARKED_MANY };

/* One of a slab's; its record stays where it is, and says the same for as long as the slab is there. */
struct stack {
	char *low; /* the lowest usable byte; the guard is below */
	size_t size;
	struct slab *slab;
	unsigned index;
	unsigned valgrind_id;
};

struct stack_pool {
	struct list partial[STACK_SIZES]; /* slabs with a free stack */
	struct list full[STACK_SIZES];
	struct list reserve[STACK_SIZES]; /* wholly free slabs; their pages are the kernel's if it needs them */
	unsigned reserved;                /* how many */
	enum stack_guards guards;
};

void noria_stack_pool_init(struct stack_pool *pool, enum stack_guards guards);
/* All stacks have been given back. */
void noria_stack_pool_done(struct stack_pool *pool);

/* `size` is rounded up to a power of two. Returns 0, -EINVAL (too large) or -ENOMEM, with noria_message(). */
int noria_stack_get(struct stack_pool *pool, size_t size, struct stack **ret_stack);
/* A task can give back the stack on which it stands: it stays mapped and as it is until the next call. */
void noria_stack_put(struct stack_pool *pool, struct stack *stack);

#endif
