/* SPDX-License-Identifier: MIT */
/*
 * The switch for aarch64, AAPCS64: x19 to x28, the frame pointer, the link register and the low halves of v8 to v15 go
 * onto the stack, the stack pointer is exchanged. It ends in `br` and not in `ret`, for the same reason as on x86-64.
 */
#if defined(__aarch64__)

	.text

/* void noria_machine_switch(void **from_sp: x0, void *to_sp: x1) */
	.globl noria_machine_switch
	.hidden noria_machine_switch
	.type noria_machine_switch, %function
	.p2align 4
noria_machine_switch:
	.cfi_startproc
	sub sp, sp, #160
	.cfi_adjust_cfa_offset 160
	stp x19, x20, [sp, #0]
	stp x21, x22, [sp, #16]
	stp x23, x24, [sp, #32]
	stp x25, x26, [sp, #48]
	stp x27, x28, [sp, #64]
	stp x29, x30, [sp, #80]
	stp d8, d9, [sp, #96]
	stp d10, d11, [sp, #112]
	stp d12, d13, [sp, #128]
	stp d14, d15, [sp, #144]
	.cfi_rel_offset x29, 80
	.cfi_rel_offset x30, 88
	mov x9, sp
	str x9, [x0]
	mov sp, x1
	ldp x19, x20, [sp, #0]
	ldp x21, x22, [sp, #16]
	ldp x23, x24, [sp, #32]
	ldp x25, x26, [sp, #48]
	ldp x27, x28, [sp, #64]
	ldp x29, x30, [sp, #80]
	ldp d8, d9, [sp, #96]
	ldp d10, d11, [sp, #112]
	ldp d12, d13, [sp, #128]
	ldp d14, d15, [sp, #144]
	add sp, sp, #160
	.cfi_adjust_cfa_offset -160
	.cfi_restore x29
	.cfi_restore x30
	mov x16, x30
	br x16
	.cfi_endproc
	.size noria_machine_switch, . - noria_machine_switch

/* The first frame of a stack: start (x19) is called with arg (x20); unwinders stop here. */
	.type machine_start, %function
	.p2align 4
machine_start:
	.cfi_startproc
	.cfi_undefined x30
	mov x0, x20
	blr x19
	brk #1
	.cfi_endproc
	.size machine_start, . - machine_start

/* void *noria_machine_make(void *top: x0, void (*start)(void *): x1, void *arg: x2), returns the stack pointer */
	.globl noria_machine_make
	.hidden noria_machine_make
	.type noria_machine_make, %function
	.p2align 4
noria_machine_make:
	.cfi_startproc
	and x0, x0, #-16
	sub x0, x0, #160
	stp x1, x2, [x0, #0]
	adr x9, machine_start
	stp xzr, x9, [x0, #80]
	stp xzr, xzr, [x0, #96]
	stp xzr, xzr, [x0, #112]
	stp xzr, xzr, [x0, #128]
	stp xzr, xzr, [x0, #144]
	ret
	.cfi_endproc
	.size noria_machine_make, . - noria_machine_make

	.section .note.GNU-stack, "", %progbits
#endif
