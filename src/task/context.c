/* SPDX-License-Identifier: MIT */
/*
 * The switch as the rest of the runtime sees it: the machine's part, framed by what AddressSanitizer and
 * ThreadSanitizer must be told. Without sanitizers the frame is empty and the call is a tail call into assembly.
 */
#include "task/context.h"

#include "base/assert.h"

#include <pthread.h>
#include <stdint.h>

#if NORIA_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if NORIA_TSAN
#include <sanitizer/tsan_interface.h>
#endif

#ifdef NORIA_CONTEXT_UCONTEXT

static void machine_switch(struct context *from, struct context *to)
{
	int r = swapcontext(&from->ucontext, &to->ucontext);

	invariant(r == 0);
}

#else

void noria_machine_switch(void **from_sp, void *to_sp);
void *noria_machine_make(void *top, void (*start)(void *), void *arg);

static inline void machine_switch(struct context *from, struct context *to)
{
	noria_machine_switch(&from->sp, to->sp);
}

#endif

const char *noria_context_sp(const struct context *context)
{
#if !defined(NORIA_CONTEXT_UCONTEXT)
	return context->sp;
#elif defined(__x86_64__)
	return (const char *)context->ucontext.uc_mcontext.gregs[REG_RSP];
#elif defined(__aarch64__)
	return (const char *)context->ucontext.uc_mcontext.sp;
#else
	(void)context;
	return NULL;
#endif
}

/* Told on arrival: we run on this stack now. */
static inline void arrived(struct context *context)
{
#if NORIA_ASAN
	__sanitizer_finish_switch_fiber(context->fake_stack, NULL, NULL);
#else
	(void)context;
#endif
}

/* Told before: we go to that stack. A context that is left for good gives its fake stack back. */
static inline void departing(struct context *from, struct context *to, int for_good)
{
#if NORIA_ASAN
	__sanitizer_start_switch_fiber(for_good ? NULL : &from->fake_stack, to->stack_low, to->stack_size);
#endif
#if NORIA_TSAN
	__tsan_switch_to_fiber(to->fiber, 0);
#endif
	(void)from, (void)to, (void)for_good;
}

static void start(void *arg)
{
	struct context *context = arg;

	arrived(context);
	context->entry(context->arg);
	noria_assert_failed("a context's entry never returns", __FILE__, __LINE__);
}

#ifdef NORIA_CONTEXT_UCONTEXT
static void start_halves(unsigned high, unsigned low)
{
	start((void *)((uintptr_t)high << 32 | low));
}
#endif

void noria_context_make(struct context *context, void *low, size_t size, void (*entry)(void *), void *arg)
{
	context->entry = entry;
	context->arg = arg;
#ifdef NORIA_CONTEXT_UCONTEXT
	int r = getcontext(&context->ucontext);

	invariant(r == 0);
	context->ucontext.uc_stack.ss_sp = low;
	context->ucontext.uc_stack.ss_size = size;
	context->ucontext.uc_link = NULL;
	makecontext(&context->ucontext, (void (*)(void))start_halves, 2, (unsigned)((uintptr_t)context >> 32),
		    (unsigned)(uintptr_t)context);
#else
	context->sp = noria_machine_make((char *)low + size, start, context);
#endif
#if NORIA_ASAN
	__asan_unpoison_memory_region(low, size); /* frames of a former task that never returned */
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

void noria_context_switch(struct context *from, struct context *to)
{
	departing(from, to, 0);
	machine_switch(from, to);
	arrived(from);
}

_Noreturn void noria_context_leave(struct context *from, struct context *to)
{
	departing(from, to, 1);
	machine_switch(from, to);
	noria_assert_failed("a context that was left for good is never resumed", __FILE__, __LINE__);
}

void noria_context_done(struct context *context)
{
#if NORIA_TSAN
	__tsan_destroy_fiber(context->fiber);
#else
	(void)context;
#endif
}
