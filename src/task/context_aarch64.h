/* SPDX-License-Identifier: MIT */
/*
 * The switch for aarch64, AAPCS64, expanded where it is used for the reason that context_x86_64.h gives. The stack
 * pointer, the frame pointer and x19, which clang may need to find its frame, are exchanged; of the others the compiler
 * is told that they are lost. It arrives by `br x16`, for which `bti j` (hint 36) is the landing.
 */
#ifndef NORIA_TASK_CONTEXT_AARCH64_H
#define NORIA_TASK_CONTEXT_AARCH64_H

/* The offsets are those of struct machine; context_aarch64.S knows them too. */
static inline __attribute__((always_inline)) void machine_switch(struct machine *from, struct machine *to)
{
	register struct machine *x0 __asm__("x0") = from;
	register struct machine *x1 __asm__("x1") = to;

	__asm__ volatile("adr x9, 1f\n\t"
			 "mov x10, sp\n\t"
			 "stp x10, x29, [x0, #0]\n\t"
			 "stp x19, x9, [x0, #16]\n\t"
			 "ldp x10, x29, [x1, #0]\n\t"
			 "ldp x19, x16, [x1, #16]\n\t"
			 "mov sp, x10\n\t"
			 "br x16\n"
			 "1:\n\t"
			 "hint #36"
			 : "+r"(x0), "+r"(x1)
			 :
			 : "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15",
			   "x16", "x17", "x18", "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27", "x28", "x30",
			   "cc", "memory", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11",
			   "v12", "v13", "v14", "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24",
			   "v25", "v26", "v27", "v28", "v29", "v30", "v31");
}

#endif
