/* SPDX-License-Identifier: MIT */
/*
 * The first frame of a stack, for aarch64: as context_x86_64.S says, with the context in x19.
 */
#if defined(__aarch64__)

	.text

	.globl noria_machine_start
	.hidden noria_machine_start
	.hidden noria_context_start
	.type noria_machine_start, %function
	.p2align 4
noria_machine_start:
	.cfi_startproc
	.cfi_undefined x30
	hint #36                /* bti j */
	mov x0, x19
	bl noria_context_start
	ldp x10, x29, [x0, #0]
	ldp x19, x16, [x0, #16]
	mov sp, x10
	br x16
	.cfi_endproc
	.size noria_machine_start, . - noria_machine_start

	.section .note.GNU-stack, "", %progbits
#endif
