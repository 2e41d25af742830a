/* SPDX-License-Identifier: MIT */
/* The switch: back and forth, in rings of many contexts, with deep stacks, and made anew on a used stack. */
#include "coroutine.h"

enum { STACK = 64 * 1024, ROUNDS = 100000, MANY = 2000 };

static struct context hub;

static void count(struct coroutine *self)
{
	for (int i = 0; i < ROUNDS; i++) {
		++*(int *)self->arg;
		coroutine_pause(self);
	}
}

static void ping_pong(void)
{
	struct coroutine coroutine;
	int counter = 0;

	coroutine_make(&coroutine, &hub, STACK, 0, count, &counter);
	for (int i = 0; i < ROUNDS; i++) {
		CHECK(counter == i);
		coroutine_resume(&coroutine);
	}
	coroutine_resume(&coroutine);
	CHECK(counter == ROUNDS);
	coroutine_free(&coroutine);
}

/* Each passes on to the next without the hub between. */
struct ring {
	struct coroutine *members;
	int size, at, passes;
};

static void pass_on(struct coroutine *self)
{
	struct ring *ring = self->arg;
	int place = (int)(self - ring->members);

	while (ring->passes > 0) {
		ring->passes--;
		CHECK(ring->at == place);
		ring->at = (place + 1) % ring->size;
		context_switch(&self->context, &ring->members[ring->at].context);
	}
}

static void many_in_a_ring(void)
{
	struct ring ring = {.members = calloc(MANY, sizeof *ring.members), .size = MANY, .passes = MANY * 20};

	CHECK(ring.members);
	for (int i = 0; i < MANY; i++)
		coroutine_make(&ring.members[i], &hub, 16 * 1024, 0, pass_on, &ring);
	coroutine_resume(&ring.members[0]);
	for (int i = 0; i < MANY; i++)
		if (!ring.members[i].ended)
			coroutine_resume(&ring.members[i]);
	for (int i = 0; i < MANY; i++)
		coroutine_free(&ring.members[i]);
	free(ring.members);
}

static __attribute__((noinline)) unsigned descend(struct coroutine *self, unsigned depth)
{
	volatile unsigned local[8] = {depth};
	unsigned below;

	if (depth == 0) {
		coroutine_pause(self);
		return 0;
	}
	below = descend(self, depth - 1);
	CHECK(local[0] == depth);
	if (depth % 1000 == 0)
		coroutine_pause(self);
	return below + 1;
}

static void descend_and_return(struct coroutine *self)
{
	CHECK(descend(self, *(unsigned *)self->arg) == *(unsigned *)self->arg);
}

static void deep_recursion(void)
{
	struct coroutine a, b;
	unsigned depth = 20000;

	coroutine_make(&a, &hub, 16 << 20, 0, descend_and_return, &depth);
	coroutine_make(&b, &hub, 16 << 20, 0, descend_and_return, &depth);
	while (!a.ended || !b.ended) {
		if (!a.ended)
			coroutine_resume(&a);
		if (!b.ended)
			coroutine_resume(&b);
	}
	coroutine_free(&a);
	coroutine_free(&b);
}

static void once(struct coroutine *self)
{
	++*(int *)self->arg;
}

/* A stack that was left for good serves the next. */
static void made_anew(void)
{
	struct coroutine coroutine;
	int counter = 0;

	coroutine_make(&coroutine, &hub, STACK, 0, once, &counter);
	for (int i = 0; i < 1000; i++) {
		coroutine.ended = false;
		coroutine_resume(&coroutine);
		CHECK(coroutine.ended && counter == i + 1);
		noria_context_done(&coroutine.context);
		noria_context_make(&coroutine.context, coroutine.memory + CANARY, STACK - CANARY, coroutine_entry,
				   &coroutine);
	}
	coroutine_free(&coroutine);
}

static void nested_outer(struct coroutine *self);

/* A coroutine that resumes one of its own. */
static void nested(void)
{
	struct coroutine outer;
	int counter = 0;

	coroutine_make(&outer, &hub, STACK * 4, 0, nested_outer, &counter);
	while (!outer.ended)
		coroutine_resume(&outer);
	CHECK(counter == 11);
	coroutine_free(&outer);
}

static void nested_inner(struct coroutine *self)
{
	for (int i = 0; i < 10; i++) {
		++*(int *)self->arg;
		coroutine_pause(self);
	}
	++*(int *)self->arg;
}

static void nested_outer(struct coroutine *self)
{
	struct coroutine inner;

	coroutine_make(&inner, &self->context, STACK, 0, nested_inner, self->arg);
	while (!inner.ended) {
		coroutine_resume(&inner);
		coroutine_pause(self);
	}
	coroutine_free(&inner);
}

int main(void)
{
	noria_context_adopt(&hub);
	ping_pong();
	many_in_a_ring();
	deep_recursion();
	made_anew();
	nested();
	puts("ok: contexts switch");
	return 0;
}
