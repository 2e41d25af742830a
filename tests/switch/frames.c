/* SPDX-License-Identifier: MIT */
/*
 * The first frame of a context: the stack is aligned as the ABI promises, wherever its top lies, and an unwinder that
 * comes to it stops. Unwinders run in debuggers, profilers and sanitizers; one that ran off the stack would crash them.
 */
#include "coroutine.h"

#include <execinfo.h>

enum { STACK = 64 * 1024, FRAMES = 64 };

static struct context hub;

static __attribute__((noinline)) void check_alignment(struct coroutine *self)
{
	_Alignas(16) volatile float vector[4] = {1, 2, 3, 4};
	uintptr_t low = (uintptr_t)self->memory, here = (uintptr_t)vector;

	CHECK(here % 16 == 0);
	CHECK((uintptr_t)__builtin_frame_address(0) % 16 == 0);
#if !NORIA_ASAN /* which may keep locals elsewhere */
	CHECK(here > low && here < low + self->size);
#endif
	coroutine_pause(self);
	CHECK(vector[3] == 4);
	(void)low;
}

static void alignment(void)
{
	for (size_t shift = 0; shift < 64; shift += 8) {
		struct coroutine coroutine;

		coroutine_make(&coroutine, &hub, STACK, shift, check_alignment, NULL);
		coroutine_resume(&coroutine);
		coroutine_resume(&coroutine);
		coroutine_free(&coroutine);
	}
}

/* Frames of the whole chain, from `deep` calls down; the count must be small and the same each time. */
static __attribute__((noinline)) int unwind(int deep, struct coroutine *self)
{
	void *frames[FRAMES];
	volatile int found;

	if (deep > 0) {
		found = unwind(deep - 1, self);
		return found;
	}
	coroutine_pause(self);
	found = backtrace(frames, FRAMES);
	return found;
}

static void unwind_some(struct coroutine *self)
{
	for (int deep = 0; deep < 10; deep++) {
		int found = unwind(deep, self);

		CHECK(found > deep && found <= deep + 8);
	}
}

static void backtraces_end(void)
{
	struct coroutine coroutine;
	void *warm[FRAMES];

	CHECK(backtrace(warm, FRAMES) > 0); /* loads the unwinder, on a stack that is large enough */
	coroutine_make(&coroutine, &hub, 256 * 1024, 0, unwind_some, NULL);
	while (!coroutine.ended)
		coroutine_resume(&coroutine);
	coroutine_free(&coroutine);
}

int main(void)
{
	noria_context_adopt(&hub);
	alignment();
	backtraces_end();
	puts("ok: first frames are aligned and end a backtrace");
	return 0;
}
