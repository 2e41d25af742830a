/* SPDX-License-Identifier: MIT */
/*
 * Contexts as they begin and end. The first function on every stack is noria_context_start(); it returns to the
 * machine's first frame, which goes on with the context that it is given, so that nothing is left on the stack that
 * ended.
 */
#include "task/context.h"

#include "base/assert.h"

#include <pthread.h>
#include <stdint.h>

#if NORIA_ASAN
#include <sanitizer/asan_interface.h>
#endif

/* Between fibers, a function that ThreadSanitizer follows would enter on one and leave on another. */
#if NORIA_TSAN && defined(__clang__)
#define UNFOLLOWED __attribute__((disable_sanitizer_instrumentation))
#elif NORIA_TSAN
#define UNFOLLOWED __attribute__((no_sanitize_thread))
#else
#define UNFOLLOWED
#endif

struct context *noria_context_start(struct context *context);

UNFOLLOWED struct context *noria_context_start(struct context *context)
{
	struct context *next;

	context_arrived(context);
	next = context->entry(context->arg);
	context_departing(NULL, next);
	return next;
}

#ifdef NORIA_CONTEXT_UCONTEXT

static UNFOLLOWED void start_halves(unsigned high, unsigned low)
{
	struct context *next = noria_context_start((struct context *)((uintptr_t)high << 32 | low));

	machine_keep_mask(&next->machine);
	setcontext(&next->machine.ucontext);
	noria_assert_failed("a context that was left for good is never resumed", __FILE__, __LINE__);
}

static void machine_make(struct context *context, void *low, size_t size)
{
	ucontext_t *ucontext = &context->machine.ucontext;
	int r = getcontext(ucontext);

	invariant(r == 0);
	ucontext->uc_stack.ss_sp = low;
	ucontext->uc_stack.ss_size = size;
	ucontext->uc_link = NULL;
	makecontext(ucontext, (void (*)(void))start_halves, 2, (unsigned)((uintptr_t)context >> 32),
		    (unsigned)(uintptr_t)context);
}

#else

_Static_assert(offsetof(struct machine, sp) == 0 && offsetof(struct machine, fp) == 8 &&
		       offsetof(struct machine, base) == 16 && offsetof(struct machine, pc) == 24,
	       "as the assembly has it");
_Static_assert(offsetof(struct context, machine) == 0, "as the assembly has it");

extern const char noria_machine_start[];

static void machine_make(struct context *context, void *low, size_t size)
{
	context->machine.sp = (void *)(((uintptr_t)low + size) & ~(uintptr_t)15);
	context->machine.fp = NULL;
	context->machine.base = context;
	context->machine.pc = (void *)(uintptr_t)noria_machine_start;
}

#endif

const char *noria_context_sp(const struct context *context)
{
#if !defined(NORIA_CONTEXT_UCONTEXT)
	return context->machine.sp;
#elif defined(__x86_64__)
	return (const char *)context->machine.ucontext.uc_mcontext.gregs[REG_RSP];
#elif defined(__aarch64__)
	return (const char *)context->machine.ucontext.uc_mcontext.sp;
#else
	(void)context;
	return NULL;
#endif
}

void noria_context_make(struct context *context, void *low, size_t size, struct context *(*entry)(void *), void *arg)
{
	context->entry = entry;
	context->arg = arg;
	machine_make(context, low, size);
#if NORIA_ASAN
	__asan_unpoison_memory_region(low, size); /* frames of a former context that never returned */
	context->fake_stack = NULL;
	context->stack_low = low;
	context->stack_size = size;
#endif
#if NORIA_TSAN
	context->fiber = __tsan_create_fiber(0);
#endif
}

void noria_context_adopt(struct context *context)
{
	*context = (struct context){0};
#if NORIA_ASAN
	pthread_attr_t attributes;
	void *low;

	if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
		pthread_attr_getstack(&attributes, &low, &context->stack_size);
		context->stack_low = low;
		pthread_attr_destroy(&attributes);
	}
#endif
#if NORIA_TSAN
	context->fiber = __tsan_get_current_fiber();
#endif
}

#if NORIA_TSAN
/* The fiber of a context that was done before it left: nobody can destroy the fiber that runs. */
__thread void *noria_context_left;
#endif

void noria_context_done(struct context *context)
{
#if NORIA_TSAN
	if (context->fiber == __tsan_get_current_fiber())
		noria_context_left = context->fiber;
	else
		__tsan_destroy_fiber(context->fiber);
#else
	(void)context;
#endif
}
