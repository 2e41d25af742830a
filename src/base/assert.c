/* SPDX-License-Identifier: MIT */
/*
 * What happens when an invariant is broken: one line on standard error, written without stdio because the stack may be
 * small or the heap broken, and an abort that leaves a core file.
 */
#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

_Noreturn void noria_assert_failed(const char *expression, const char *file, int line)
{
	char text[512];
	int n = snprintf(text, sizeof text, "noria: broken invariant `%s` at %s:%d\n", expression, file, line);
	ssize_t ignored = write(STDERR_FILENO, text, n < 0 ? 0 : (size_t)n < sizeof text ? (size_t)n : sizeof text - 1);

	(void)ignored;
	abort();
}
