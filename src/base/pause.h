/* SPDX-License-Identifier: MIT */
/* For a thread that looks at memory until another one changes it: a moment less eager, as the processor wants it. */
#ifndef NORIA_BASE_PAUSE_H
#define NORIA_BASE_PAUSE_H

static inline void pause_cpu(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

#endif
