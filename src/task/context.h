/* SPDX-License-Identifier: MIT */
/*
 * Contexts: a stack and the place where it stopped. Three implementations of one switch: assembly for x86-64 and
 * aarch64, ucontext elsewhere and as a build option. The sanitizers are told of each switch here, so that nothing above
 * needs to know of them; without them a switch is the machine's few instructions, in place.
 *
 * The floating-point control words (mxcsr, x87, fpcr) are not saved: a program that changes them does so for its
 * whole thread.
 */
#ifndef NORIA_TASK_CONTEXT_H
#define NORIA_TASK_CONTEXT_H

#include "base/assert.h"
#include "base/sanitize.h"

#include <stddef.h>

#ifdef NORIA_CONTEXT_UCONTEXT
#include <signal.h>
#include <ucontext.h>
#endif
#if NORIA_ASAN
#include <sanitizer/common_interface_defs.h>
#endif
#if NORIA_TSAN
#include <sanitizer/tsan_interface.h>
#endif

/* What is kept of a context that does not run; all else is saved on its stack. */
struct machine {
#ifdef NORIA_CONTEXT_UCONTEXT
	ucontext_t ucontext;
#else
	void *sp;
	void *fp;   /* rbp, x29 */
	void *base; /* rbx, x19 */
	void *pc;
#endif
};

struct context {
	struct machine machine;
	struct context *(*entry)(void *arg);
	void *arg;
#if NORIA_ASAN
	void *fake_stack;
	const void *stack_low;
	size_t stack_size;
#endif
#if NORIA_TSAN
	void *fiber;
#endif
};

/*
 * A context that will run entry(arg) on the stack [low, low + size). When `entry` returns, the context is left for
 * good, for the one that it returned.
 */
void noria_context_make(struct context *context, void *low, size_t size, struct context *(*entry)(void *), void *arg);

/* The context of the calling thread itself, on its own stack. */
void noria_context_adopt(struct context *context);

/* How far down a context that does not run has come: its stack pointer; NULL where that cannot be told. */
const char *noria_context_sp(const struct context *context);

/* Forget what was kept for a context that nobody goes on with: it has been left for good, or is about to leave. */
void noria_context_done(struct context *context);

#if defined(NORIA_CONTEXT_UCONTEXT)
/* The signal mask is the thread's; a ucontext's own would bring back what a task has changed since. */
static inline void machine_keep_mask(struct machine *to)
{
	pthread_sigmask(SIG_SETMASK, NULL, &to->ucontext.uc_sigmask);
}

static inline void machine_switch(struct machine *from, struct machine *to)
{
	int r;

	machine_keep_mask(to);
	r = swapcontext(&from->ucontext, &to->ucontext);

	invariant(r == 0);
}
#elif defined(__x86_64__)
#include "task/context_x86_64.h"
#elif defined(__aarch64__)
#include "task/context_aarch64.h"
#endif

/* We go on there soon: have the innermost of its frames in the cache by then. */
static inline void context_prefetch(const struct context *context)
{
#ifndef NORIA_CONTEXT_UCONTEXT
	for (int i = 0; i < 6; i++)
		__builtin_prefetch((const char *)context->machine.sp + 64 * i);
#else
	(void)context;
#endif
}

/* Told before: we go to that stack. `from` is NULL if where we are is left for good. */
static inline __attribute__((always_inline)) void context_departing(struct context *from, struct context *to)
{
#if NORIA_ASAN
	__sanitizer_start_switch_fiber(from ? &from->fake_stack : NULL, to->stack_low, to->stack_size);
#endif
#if NORIA_TSAN
	__tsan_switch_to_fiber(to->fiber, 0);
#endif
	(void)from, (void)to;
}

#if NORIA_TSAN
extern __thread void *noria_context_left; /* the fiber that was left for good by whoever came here */
#endif

/* Told on arrival: we run on this stack now. */
static inline __attribute__((always_inline)) void context_arrived(struct context *context)
{
#if NORIA_ASAN
	__sanitizer_finish_switch_fiber(context->fake_stack, NULL, NULL);
#endif
#if NORIA_TSAN
	if (noria_context_left)
		__tsan_destroy_fiber(noria_context_left);
	noria_context_left = NULL;
#endif
	(void)context;
}

/* Save here, go on there. */
static inline __attribute__((always_inline)) void context_switch(struct context *from, struct context *to)
{
	context_departing(from, to);
	machine_switch(&from->machine, &to->machine);
	context_arrived(from);
}

#endif
