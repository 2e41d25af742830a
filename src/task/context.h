/* SPDX-License-Identifier: MIT */
/*
 * Contexts: a stack and the place where it stopped. Three implementations of one switch: assembly for x86-64 and
 * aarch64, ucontext elsewhere and as a build option. The sanitizers are told of each switch in context.c, so that
 * nothing above needs to know of them.
 *
 * The floating-point control words (mxcsr, x87, fpcr) are not saved: a program that changes them does so for its
 * whole thread.
 */
#ifndef NORIA_TASK_CONTEXT_H
#define NORIA_TASK_CONTEXT_H

#include "base/sanitize.h"

#include <stddef.h>

#ifdef NORIA_CONTEXT_UCONTEXT
#include <ucontext.h>
#endif

struct context {
#ifdef NORIA_CONTEXT_UCONTEXT
	ucontext_t ucontext;
#else
	void *sp; /* everything else is saved on the stack it points into */
#endif
	void (*entry)(void *arg);
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

/* A context that will run entry(arg) on the stack [low, low + size). `entry` never returns. */
void noria_context_make(struct context *context, void *low, size_t size, void (*entry)(void *), void *arg);

/* The context of the calling thread itself, on its own stack. */
void noria_context_adopt(struct context *context);

/* Save here, go on there. */
void noria_context_switch(struct context *from, struct context *to);

/* How far down a context that does not run has come: its stack pointer; NULL where that cannot be told. */
const char *noria_context_sp(const struct context *context);

/* Leave a context for good: it will be made anew, or its stack freed. */
_Noreturn void noria_context_leave(struct context *from, struct context *to);

/* After a context was left for good, from another one: forget what was kept for it. */
void noria_context_done(struct context *context);

#endif
