/* SPDX-License-Identifier: MIT */
/* A coroutine for the tests of the context switch: a context, a stack with canaries below it, a function. */
#ifndef NORIA_TESTS_SWITCH_COROUTINE_H
#define NORIA_TESTS_SWITCH_COROUTINE_H

#include "task/context.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "%s:%d: CHECK(%s) failed\n", __FILE__, __LINE__, #condition); \
			exit(1); \
		} \
	} while (0)

enum { CANARY = 256 };

struct coroutine {
	struct context context, *back;
	unsigned char *memory;
	size_t size;
	void (*body)(struct coroutine *self);
	void *arg;
	bool ended;
};

static struct context *coroutine_entry(void *arg)
{
	struct coroutine *self = arg;

	self->body(self);
	self->ended = true;
	return self->back;
}

/* `shift` bytes are left unused at the top: the stack's end need not be aligned. */
static inline void coroutine_make(struct coroutine *self, struct context *back, size_t size, size_t shift,
				  void (*body)(struct coroutine *), void *arg)
{
	*self = (struct coroutine){.back = back, .size = size, .body = body, .arg = arg};
	self->memory = aligned_alloc(64, size);
	CHECK(self->memory);
	memset(self->memory, 0xa5, CANARY);
	noria_context_make(&self->context, self->memory + CANARY, size - CANARY - shift, coroutine_entry, self);
}

static inline void coroutine_resume(struct coroutine *self)
{
	context_switch(self->back, &self->context);
}

static inline void coroutine_pause(struct coroutine *self)
{
	context_switch(&self->context, self->back);
}

static inline void coroutine_free(struct coroutine *self)
{
	CHECK(self->ended);
	for (int i = 0; i < CANARY; i++)
		CHECK(self->memory[i] == 0xa5);
	noria_context_done(&self->context);
	free(self->memory);
}

#endif
