/* SPDX-License-Identifier: MIT */
/*
 * The first frame of a stack, for x86-64. It calls noria_context_start() with the context (rbx), and goes on with the one
 * that this returns. All that was called has returned by then: the processor's return address predictions are as they
 * were when the context began, and those of whoever goes on are still right. Unwinders stop here.
 */
#if defined(__x86_64__)

	.text

	.globl noria_machine_start
	.hidden noria_machine_start
	.hidden noria_context_start
	.type noria_machine_start, @function
	.p2align 4
noria_machine_start:
	.cfi_startproc
	.cfi_undefined rip
	movq %rbx, %rdi
	callq noria_context_start
	movq 0(%rax), %rsp
	movq 8(%rax), %rbp
	movq 16(%rax), %rbx
	notrack jmp *24(%rax)
	.cfi_endproc
	.size noria_machine_start, . - noria_machine_start

	.section .note.GNU-stack, "", @progbits
#endif
