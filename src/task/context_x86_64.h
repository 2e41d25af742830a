/* SPDX-License-Identifier: MIT */
/*
 * The switch for x86-64, System V ABI, expanded where it is used: there is no call to it and so no return from it,
 * which keeps the return addresses that the processor predicts from those of the frames. A switch in a function of its
 * own leaves that stack of predictions off by one, and then every return above it is mispredicted (three times the cost
 * of the switch, each). What two tasks have in common of their way out of a switch is predicted right.
 *
 * The stack pointer is exchanged, with the two registers that a compiler may need to find its frame; the others are
 * declared to be lost, so that it saves those that it uses. Nothing is pushed: there may be a red zone.
 */
#ifndef NORIA_TASK_CONTEXT_X86_64_H
#define NORIA_TASK_CONTEXT_X86_64_H

#ifdef __AVX512F__
#define MACHINE_CLOBBERS_AVX512 \
	, "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25", "xmm26", "xmm27", \
		"xmm28", "xmm29", "xmm30", "xmm31", "k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7"
#else
#define MACHINE_CLOBBERS_AVX512
#endif

/* The offsets are those of struct machine; context_x86_64.S knows them too. */
static inline __attribute__((always_inline)) void machine_switch(struct machine *from, struct machine *to)
{
	__asm__ volatile("leaq 1f(%%rip), %%rax\n\t"
			 "movq %%rsp, 0(%%rdi)\n\t"
			 "movq %%rbp, 8(%%rdi)\n\t"
			 "movq %%rbx, 16(%%rdi)\n\t"
			 "movq %%rax, 24(%%rdi)\n\t"
			 "movq 0(%%rsi), %%rsp\n\t"
			 "movq 8(%%rsi), %%rbp\n\t"
			 "movq 16(%%rsi), %%rbx\n\t"
			 "notrack jmp *24(%%rsi)\n"
			 "1:"
			 : "+D"(from), "+S"(to)
			 :
			 : "rax", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "cc", "memory",
			   "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)", "xmm0", "xmm1", "xmm2",
			   "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13",
			   "xmm14", "xmm15" MACHINE_CLOBBERS_AVX512);
}

#endif
