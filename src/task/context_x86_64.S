/* SPDX-License-Identifier: MIT */
/*
 * The switch for x86-64, System V ABI: the callee-saved registers go onto the stack, the stack pointer is exchanged.
 * It ends in an indirect jump and not in `ret`: the return address stack of the processor predicts the caller of the
 * old stack, so that a `ret` would be mispredicted every time (three times the cost, docs/architecture.md).
 */
#if defined(__x86_64__)

	.text

/* void noria_machine_switch(void **from_sp: rdi, void *to_sp: rsi) */
	.globl noria_machine_switch
	.hidden noria_machine_switch
	.type noria_machine_switch, @function
	.p2align 4
noria_machine_switch:
	.cfi_startproc
	endbr64
	pushq %rbp
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset rbp, 0
	pushq %rbx
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset rbx, 0
	pushq %r12
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset r12, 0
	pushq %r13
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset r13, 0
	pushq %r14
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset r14, 0
	pushq %r15
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset r15, 0
	movq %rsp, (%rdi)
	movq %rsi, %rsp
	popq %r15
	.cfi_adjust_cfa_offset -8
	.cfi_restore r15
	popq %r14
	.cfi_adjust_cfa_offset -8
	.cfi_restore r14
	popq %r13
	.cfi_adjust_cfa_offset -8
	.cfi_restore r13
	popq %r12
	.cfi_adjust_cfa_offset -8
	.cfi_restore r12
	popq %rbx
	.cfi_adjust_cfa_offset -8
	.cfi_restore rbx
	popq %rbp
	.cfi_adjust_cfa_offset -8
	.cfi_restore rbp
	popq %rcx
	.cfi_adjust_cfa_offset -8
	.cfi_register rip, rcx
	notrack jmp *%rcx
	.cfi_endproc
	.size noria_machine_switch, . - noria_machine_switch

/* The first frame of a stack: start (r12) is called with arg (r13); unwinders stop here. */
	.type machine_start, @function
	.p2align 4
machine_start:
	.cfi_startproc
	.cfi_undefined rip
	movq %r13, %rdi
	callq *%r12
	ud2
	.cfi_endproc
	.size machine_start, . - machine_start

/* void *noria_machine_make(void *top: rdi, void (*start)(void *): rsi, void *arg: rdx), returns the stack pointer */
	.globl noria_machine_make
	.hidden noria_machine_make
	.type noria_machine_make, @function
	.p2align 4
noria_machine_make:
	.cfi_startproc
	endbr64
	andq $-16, %rdi
	leaq machine_start(%rip), %rax
	movq %rax, -8(%rdi)   /* where the switch jumps to */
	movq $0, -16(%rdi)     /* rbp */
	movq $0, -24(%rdi)     /* rbx */
	movq %rsi, -32(%rdi)   /* r12 */
	movq %rdx, -40(%rdi)   /* r13 */
	movq $0, -48(%rdi)     /* r14 */
	movq $0, -56(%rdi)     /* r15 */
	leaq -56(%rdi), %rax
	ret
	.cfi_endproc
	.size noria_machine_make, . - noria_machine_make

	.section .note.GNU-stack, "", @progbits
#endif
