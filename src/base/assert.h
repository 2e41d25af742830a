/* SPDX-License-Identifier: MIT */
/*
 * Assertions. A broken invariant of the runtime ends the process with its place and its text: going on would corrupt
 * memory that the kernel may be writing to. Misuse by the program never comes here; it is refused with an errno.
 */
#ifndef NORIA_BASE_ASSERT_H
#define NORIA_BASE_ASSERT_H

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

_Noreturn void noria_assert_failed(const char *expression, const char *file, int line);

#define invariant(expression) \
	do { \
		if (unlikely(!(expression))) \
			noria_assert_failed(#expression, __FILE__, __LINE__); \
	} while (0)

#endif
