/* SPDX-License-Identifier: MIT */
/*
 * The pool of stacks: sizes, reuse, the release of slabs, and the guards, of both kinds. A guard is touched in a child
 * process, which must die of it.
 */
#include "task/stack.h"

#include "ring/feature.h"
#include "task/loop.h"
#include "unit.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static bool works(enum stack_guards guards)
{
	static const enum feature needed[] = {
		[GUARDS_MARKED] = FEATURE_GUARD, [GUARDS_MARKED_MANY] = FEATURE_GUARD_MANY};
	struct features features;

	return guards == GUARDS_MAPPED ||
	       (noria_features_probe(&features) == 0 && features_has(&features, needed[guards]));
}

static void with_each_kind_of_guard(void (*body)(struct stack_pool *pool))
{
	for (enum stack_guards guards = GUARDS_MAPPED; guards <= GUARDS_MARKED_MANY; guards++) {
		struct stack_pool pool;

		if (!works(guards))
			break;
		noria_stack_pool_init(&pool, guards);
		body(&pool);
		noria_stack_pool_done(&pool);
	}
}

static void touch(void *arg)
{
	signal(SIGSEGV, SIG_DFL);
	signal(SIGBUS, SIG_DFL);
	*(volatile char *)arg = 1;
}

static bool faults(char *address)
{
	char text[4096];
	int status = unit_in_child(touch, address, text, sizeof text);

	return WIFSIGNALED(status) && (WTERMSIG(status) == SIGSEGV || WTERMSIG(status) == SIGBUS);
}

static void check_guards(struct stack_pool *pool)
{
	struct stack *stacks[3];

	for (int i = 0; i < 3; i++) {
		cr_assert_eq(noria_stack_get(pool, 64 * 1024, &stacks[i]), 0);
		memset(stacks[i]->low, 0x5a, stacks[i]->size);
		cr_expect(faults(stacks[i]->low - 1), "stack %d: the byte below it", i);
		cr_expect(faults(stacks[i]->low - STACK_GUARD), "stack %d: the lowest byte of its guard", i);
		cr_expect_not(faults(stacks[i]->low), "stack %d: its own lowest byte", i);
	}
	/* A guard stays when its stack is given back and taken again. */
	noria_stack_put(pool, stacks[1]);
	cr_assert_eq(noria_stack_get(pool, 64 * 1024, &stacks[1]), 0);
	cr_expect(faults(stacks[1]->low - 1));
	for (int i = 0; i < 3; i++)
		noria_stack_put(pool, stacks[i]);
}

Test(stack, guards_of_both_kinds_fault, .timeout = 60)
{
	with_each_kind_of_guard(check_guards);
}

/* More than a slab has: of those that were made ready before they were wanted, too. */
static void check_guards_of_many(struct stack_pool *pool)
{
	struct stack *stacks[200];

	for (int i = 0; i < 200; i++)
		cr_assert_eq(noria_stack_get(pool, 64 * 1024, &stacks[i]), 0);
	for (int i = 0; i < 200; i += 13) {
		cr_expect(faults(stacks[i]->low - 1), "stack %d", i);
		cr_expect(faults(stacks[i]->low - STACK_GUARD), "stack %d", i);
		cr_expect_not(faults(stacks[i]->low), "stack %d", i);
		cr_expect_not(faults(stacks[i]->low + stacks[i]->size - 1), "stack %d", i);
	}
	for (int i = 0; i < 200; i++)
		noria_stack_put(pool, stacks[i]);
}

Test(stack, guards_of_many_fault, .timeout = 60)
{
	with_each_kind_of_guard(check_guards_of_many);
}

static void check_reuse(struct stack_pool *pool)
{
	struct stack *stacks[300], *again;
	uint64_t seed = 3;

	for (int i = 0; i < 300; i++)
		cr_assert_eq(noria_stack_get(pool, 16 * 1024, &stacks[i]), 0);
	for (int i = 0; i < 300; i++)
		for (int j = 0; j < i; j++)
			cr_assert(stacks[i]->low + stacks[i]->size + STACK_GUARD <= stacks[j]->low ||
				  stacks[j]->low + stacks[j]->size + STACK_GUARD <= stacks[i]->low);
	for (int turn = 0; turn < 2000; turn++) {
		struct stack *stack = stacks[unit_random(&seed) % 300];

		noria_stack_put(pool, stack);
		cr_assert_eq(noria_stack_get(pool, 16 * 1024, &again), 0);
		cr_assert_eq(again, stack, "the last one given back is taken first");
	}
	for (int i = 0; i < 300; i++)
		noria_stack_put(pool, stacks[i]);
}

Test(stack, the_last_given_back_is_taken_first_and_none_overlap, .timeout = 60)
{
	with_each_kind_of_guard(check_reuse);
}

Test(stack, sizes_are_rounded_up_to_a_power_of_two)
{
	static const size_t asked[] = {1, 16384, 16385, 65536, 100000, 1 << 20};
	static const size_t given[] = {16384, 16384, 32768, 65536, 131072, 1 << 20};
	struct stack_pool pool;
	struct stack *stack;

	noria_stack_pool_init(&pool, GUARDS_MAPPED);
	for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++) {
		cr_assert_eq(noria_stack_get(&pool, asked[i], &stack), 0);
		cr_expect_eq(stack->size, given[i], "%zu: %zu", asked[i], stack->size);
		cr_expect_eq((uintptr_t)stack->low % 4096, 0);
		stack->low[0] = stack->low[stack->size - 1] = 1;
		noria_stack_put(&pool, stack);
	}
	cr_expect_eq(noria_stack_get(&pool, ((size_t)1 << STACK_MAX_LOG2) + 1, &stack), -EINVAL);
	cr_expect_not_null(strstr(noria_message(), "too large"));
	noria_stack_pool_done(&pool);
}

static unsigned slabs(const struct list *lists)
{
	unsigned count = 0;

	for (int i = 0; i < STACK_SIZES; i++)
		for (struct list *node = lists[i].next; node != &lists[i]; node = node->next)
			count++;
	return count;
}

enum { MANY = 1000 };

/* Take many stacks, touch them, give them back. Returns how many slabs they needed. */
static unsigned take_many(struct stack_pool *pool)
{
	static struct stack *stacks[MANY];
	const struct stack *last;
	unsigned count;

	for (int i = 0; i < MANY; i++) {
		cr_assert_eq(noria_stack_get(pool, 64 * 1024, &stacks[i]), 0);
		stacks[i]->low[stacks[i]->size - 1] = 1;
	}
	last = stacks[(MANY - 1) * 7 % MANY];
	count = slabs(pool->partial) + slabs(pool->full);
	cr_expect_eq(slabs(pool->reserve), 0);
	for (int i = 0; i < MANY; i++)
		noria_stack_put(pool, stacks[(i * 7) % MANY]);
	cr_expect_eq(slabs(pool->partial) + slabs(pool->full), 0);
	cr_expect_eq(last->low[last->size - 1], 1, "somebody may stand on it");
	return count;
}

static void check_reserve(struct stack_pool *pool)
{
	struct stack *stack;
	unsigned count;

	for (int round = 0; round < 3; round++) {
		count = take_many(pool);
		cr_expect_gt(count, 5);
		cr_expect_eq(slabs(pool->reserve), pool->guards != GUARDS_MAPPED ? count : 1);
	}
	cr_assert_eq(noria_stack_get(pool, 64 * 1024, &stack), 0);
	cr_expect(faults(stack->low - 1), "a guard stays in the reserve");
	noria_stack_put(pool, stack);
}

Test(stack, free_slabs_are_kept_where_guards_cost_no_mappings, .timeout = 60)
{
	with_each_kind_of_guard(check_reserve);
}

/* A line of a file in /proc/self that begins with `name`: the number there. */
static long number_of(const char *path, const char *name)
{
	FILE *file = fopen(path, "r");
	char line[256];
	long number = -1;

	cr_assert_not_null(file);
	while (number < 0 && fgets(line, sizeof line, file))
		if (strncmp(line, name, strlen(name)) == 0)
			number = strtol(line + strlen(name), NULL, 10);
	fclose(file);
	return number;
}

Test(stack, the_kernel_may_take_the_pages_of_free_slabs)
{
	struct stack_pool pool;

	if (!works(GUARDS_MARKED))
		cr_skip("skip: kernel lacks MADV_GUARD_INSTALL");
	noria_stack_pool_init(&pool, GUARDS_MARKED);
	take_many(&pool);
	cr_expect_gt(number_of("/proc/self/smaps_rollup", "LazyFree:"), MANY / 2 * 4);
	noria_stack_pool_done(&pool);
}

Test(stack, free_slabs_make_room_for_stacks_of_another_size)
{
	struct stack_pool pool;
	struct stack *stack;
	struct rlimit limit;

	if (UNIT_SANITIZED)
		return; /* the sanitizer needs address space too */
	if (!works(GUARDS_MARKED))
		cr_skip("skip: kernel lacks MADV_GUARD_INSTALL");
	noria_stack_pool_init(&pool, GUARDS_MARKED);
	take_many(&pool);
	getrlimit(RLIMIT_AS, &limit);
	limit.rlim_cur = (rlim_t)number_of("/proc/self/status", "VmSize:") * 1024 + (1 << 20);
	cr_assert_eq(setrlimit(RLIMIT_AS, &limit), 0);
	cr_expect_eq(noria_stack_get(&pool, 128 * 1024, &stack), 0);
	cr_expect_eq(slabs(pool.reserve), 0);
	limit.rlim_cur = limit.rlim_max;
	cr_assert_eq(setrlimit(RLIMIT_AS, &limit), 0);
	noria_stack_put(&pool, stack);
	noria_stack_pool_done(&pool);
}

static __attribute__((noinline)) int deeper(volatile char *above, int depth)
{
	volatile char frame[1024];

	frame[0] = above ? above[0] : 0;
	return depth == 0 ? frame[0] : deeper(frame, depth - 1) + frame[0];
}

static int overflow(void *arg)
{
	(void)arg;
	return deeper(NULL, 1000000);
}

static int overflow_in_child(void *arg)
{
	struct noria_spawn_options options = {.name = "greedy", .stack_size = 32 * 1024};
	struct noria_group group;

	(void)arg;
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn_with(&group, overflow, NULL, &options) == 0);
	return noria_group_close(&group, 0);
}

static void run_overflow(void *arg)
{
	(void)arg;
	signal(SIGSEGV, SIG_DFL);
	_exit(noria_run(NULL, overflow_in_child, NULL) == 0);
}

/* Rule R13, seen from outside. */
Test(stack, an_overflow_names_the_task_its_place_and_its_size, .timeout = 60)
{
	char text[16384];
	int status = unit_in_child(run_overflow, NULL, text, sizeof text);

	cr_expect(WIFSIGNALED(status) || (UNIT_SANITIZED && WEXITSTATUS(status) != 0), "status %#x", (unsigned)status);
	if (UNIT_SANITIZED)
		return; /* the sanitizer has a report of its own */
	cr_expect_not_null(strstr(text, "stack overflow in task greedy"), "%s", text);
	cr_expect_not_null(strstr(text, "stack.c"), "%s", text);
	cr_expect_not_null(strstr(text, "32768"), "%s", text);
}
