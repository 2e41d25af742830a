/* SPDX-License-Identifier: MIT */
/*
 * The stack pointer that a task's function begins with has the alignment that the ABI promises: 16 bytes at the call.
 * Compiled with full optimization, vector stores (movaps) to locals fault when it has not. Tasks are of several sizes of
 * copied arguments, because these shift the task's object at the top of its stack.
 */
#include "unit.h"

struct vectors {
	_Alignas(16) float values[64];
};

static int ended;

static __attribute__((noinline)) float sum(const struct vectors *vectors)
{
	float total = 0;

	for (int i = 0; i < 64; i++)
		total += vectors->values[i];
	return total;
}

static __attribute__((noinline)) int fill(void *arg)
{
	struct vectors vectors;
	volatile float one = 1;

	(void)arg;
	for (int i = 0; i < 64; i++)
		vectors.values[i] = one;
	EXPECT((uintptr_t)&vectors % 16 == 0);
	EXPECT(sum(&vectors) == 64);
	EXPECT((uintptr_t)__builtin_frame_address(0) % 16 == 0);
	MUST(noria_yield() == 0);
	EXPECT(sum(&vectors) == 64);
	ended++;
	return 0;
}

UNIT(alignment, of_the_root_task)
{
	return fill(NULL);
}

UNIT(alignment, of_children_with_arguments_of_every_size)
{
	char bytes[NORIA_SPAWN_COPY_MAX] = {0};
	struct noria_group group;

	ended = 0;
	MUST(noria_group_open(&group) == 0);
	for (size_t size = 0; size <= 64; size++)
		MUST(noria_spawn_copy(&group, fill, bytes, size) == 0);
	MUST(noria_spawn_copy(&group, fill, bytes, sizeof bytes) == 0);
	MUST(noria_group_close(&group, 0) == 0);
	EXPECT_EQ(ended, 66);
	return 0;
}
