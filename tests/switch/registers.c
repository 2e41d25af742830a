/* SPDX-License-Identifier: MIT */
/*
 * What the ABI calls preserved across a call is preserved across a switch. A function sets every such register to a value
 * of its own in assembly, switches, and compares; several contexts do so with different values between each other.
 * On x86-64 no vector register is preserved by the ABI; on aarch64 the low halves of v8 to v15 are.
 */
#include "coroutine.h"

enum { CONTEXTS = 5, ROUNDS = 2000, REGISTERS = 18 };

static struct context hub;

void switch_here(struct context *from, struct context *to);
void switch_probe(struct context *from, struct context *to, const uint64_t in[REGISTERS], uint64_t out[REGISTERS]);

/* The switch, expanded into a function that keeps to the ABI if the switch says truly which registers are lost. */
void switch_here(struct context *from, struct context *to)
{
	context_switch(from, to);
}

#if defined(__x86_64__)

/* Preserved by the caller of the probe: the same registers, pushed around the use. rdi from, rsi to, rdx in, rcx out. */
enum { USED = 5 };

__asm__(".text\n"
	".type switch_probe, @function\n"
	"switch_probe:\n"
	"	.cfi_startproc\n"
	"	pushq %rbp\n"
	"	.cfi_adjust_cfa_offset 8\n"
	"	pushq %rbx\n"
	"	.cfi_adjust_cfa_offset 8\n"
	"	pushq %r12\n"
	"	.cfi_adjust_cfa_offset 8\n"
	"	pushq %r13\n"
	"	.cfi_adjust_cfa_offset 8\n"
	"	pushq %r14\n"
	"	.cfi_adjust_cfa_offset 8\n"
	"	pushq %r15\n"
	"	.cfi_adjust_cfa_offset 8\n"
	"	pushq %rcx\n"
	"	.cfi_adjust_cfa_offset 8\n"
	"	movq 0(%rdx), %rbx\n"
	"	movq 8(%rdx), %r12\n"
	"	movq 16(%rdx), %r13\n"
	"	movq 24(%rdx), %r14\n"
	"	movq 32(%rdx), %r15\n"
	"	callq switch_here\n"
	"	popq %rcx\n"
	"	.cfi_adjust_cfa_offset -8\n"
	"	movq %rbx, 0(%rcx)\n"
	"	movq %r12, 8(%rcx)\n"
	"	movq %r13, 16(%rcx)\n"
	"	movq %r14, 24(%rcx)\n"
	"	movq %r15, 32(%rcx)\n"
	"	popq %r15\n"
	"	.cfi_adjust_cfa_offset -8\n"
	"	popq %r14\n"
	"	.cfi_adjust_cfa_offset -8\n"
	"	popq %r13\n"
	"	.cfi_adjust_cfa_offset -8\n"
	"	popq %r12\n"
	"	.cfi_adjust_cfa_offset -8\n"
	"	popq %rbx\n"
	"	.cfi_adjust_cfa_offset -8\n"
	"	popq %rbp\n"
	"	.cfi_adjust_cfa_offset -8\n"
	"	ret\n"
	"	.cfi_endproc\n"
	".size switch_probe, . - switch_probe\n");

#elif defined(__aarch64__)

enum { USED = 18 }; /* x19 to x28, d8 to d15 */

__asm__(".text\n"
	".type switch_probe, %function\n"
	"switch_probe:\n"
	"	stp x29, x30, [sp, #-176]!\n"
	"	mov x29, sp\n"
	"	stp x19, x20, [sp, #16]\n"
	"	stp x21, x22, [sp, #32]\n"
	"	stp x23, x24, [sp, #48]\n"
	"	stp x25, x26, [sp, #64]\n"
	"	stp x27, x28, [sp, #80]\n"
	"	stp d8, d9, [sp, #96]\n"
	"	stp d10, d11, [sp, #112]\n"
	"	stp d12, d13, [sp, #128]\n"
	"	stp d14, d15, [sp, #144]\n"
	"	str x3, [sp, #160]\n"
	"	ldp x19, x20, [x2, #0]\n"
	"	ldp x21, x22, [x2, #16]\n"
	"	ldp x23, x24, [x2, #32]\n"
	"	ldp x25, x26, [x2, #48]\n"
	"	ldp x27, x28, [x2, #64]\n"
	"	ldp d8, d9, [x2, #80]\n"
	"	ldp d10, d11, [x2, #96]\n"
	"	ldp d12, d13, [x2, #112]\n"
	"	ldp d14, d15, [x2, #128]\n"
	"	bl switch_here\n"
	"	ldr x3, [sp, #160]\n"
	"	stp x19, x20, [x3, #0]\n"
	"	stp x21, x22, [x3, #16]\n"
	"	stp x23, x24, [x3, #32]\n"
	"	stp x25, x26, [x3, #48]\n"
	"	stp x27, x28, [x3, #64]\n"
	"	stp d8, d9, [x3, #80]\n"
	"	stp d10, d11, [x3, #96]\n"
	"	stp d12, d13, [x3, #112]\n"
	"	stp d14, d15, [x3, #128]\n"
	"	ldp x19, x20, [sp, #16]\n"
	"	ldp x21, x22, [sp, #32]\n"
	"	ldp x23, x24, [sp, #48]\n"
	"	ldp x25, x26, [sp, #64]\n"
	"	ldp x27, x28, [sp, #80]\n"
	"	ldp d8, d9, [sp, #96]\n"
	"	ldp d10, d11, [sp, #112]\n"
	"	ldp d12, d13, [sp, #128]\n"
	"	ldp d14, d15, [sp, #144]\n"
	"	ldp x29, x30, [sp], #176\n"
	"	ret\n"
	".size switch_probe, . - switch_probe\n");

#else

enum { USED = 0 };

void switch_probe(struct context *from, struct context *to, const uint64_t in[REGISTERS], uint64_t out[REGISTERS])
{
	(void)in, (void)out;
	switch_here(from, to);
}

#endif

static void probe(struct context *from, struct context *to, uint64_t value)
{
	uint64_t in[REGISTERS], out[REGISTERS] = {0};

	for (unsigned i = 0; i < REGISTERS; i++)
		in[i] = value * UINT64_C(0x9e3779b97f4a7c15) + i;
	switch_probe(from, to, in, out);
	CHECK(memcmp(in, out, USED * sizeof in[0]) == 0);
}

static void probe_often(struct coroutine *self)
{
	for (uint64_t i = 0; i < ROUNDS; i++)
		probe(&self->context, self->back, i * 100 + (uint64_t)(uintptr_t)self->arg);
}

static void preserved_registers(void)
{
	struct coroutine coroutines[CONTEXTS];

	for (uintptr_t i = 0; i < CONTEXTS; i++)
		coroutine_make(&coroutines[i], &hub, 64 * 1024, 0, probe_often, (void *)(i + 1));
	for (uint64_t round = 0; round <= ROUNDS; round++)
		for (int i = 0; i < CONTEXTS; i++)
			probe(&hub, &coroutines[i].context, ~round);
	for (int i = 0; i < CONTEXTS; i++)
		coroutine_free(&coroutines[i]);
}

/* What the compiler keeps in registers of its choosing, floating point among them. */
static __attribute__((noinline)) void compute(struct coroutine *self, double seed, double out[8])
{
	double a = seed, b = seed * 2, c = seed * 3, d = seed * 4, e = seed * 5, f = seed * 6, g = seed * 7,
	       h = seed * 8;

	for (int i = 0; i < 1000; i++) {
		a += b, b += c, c += d, d += e, e += f, f += g, g += h, h += 1;
		if (self)
			coroutine_pause(self);
	}
	out[0] = a, out[1] = b, out[2] = c, out[3] = d, out[4] = e, out[5] = f, out[6] = g, out[7] = h;
}

static void compute_in_steps(struct coroutine *self)
{
	double seed = *(double *)self->arg, wanted[8], got[8];

	compute(NULL, seed, wanted);
	compute(self, seed, got);
	CHECK(memcmp(wanted, got, sizeof got) == 0);
}

static void floating_point(void)
{
	struct coroutine coroutines[CONTEXTS];
	double seeds[CONTEXTS];

	for (int i = 0; i < CONTEXTS; i++) {
		seeds[i] = 1.25 * (i + 1);
		coroutine_make(&coroutines[i], &hub, 64 * 1024, 0, compute_in_steps, &seeds[i]);
	}
	for (int round = 0; round <= 1000; round++)
		for (int i = 0; i < CONTEXTS; i++)
			coroutine_resume(&coroutines[i]);
	for (int i = 0; i < CONTEXTS; i++)
		coroutine_free(&coroutines[i]);
}

int main(void)
{
	noria_context_adopt(&hub);
	preserved_registers();
	floating_point();
	printf("ok: %d preserved registers survive\n", USED);
	return 0;
}
