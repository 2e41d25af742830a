/* SPDX-License-Identifier: MIT */
/*
 * Allocations that fail on purpose. The programs of this frame are linked so that every call of the library that may be
 * refused for want of memory (malloc() and its kin, mmap(), threads, what registers with the ring) comes here first. It
 * is counted, and the one that was asked for fails: that one alone, or all from there on.
 */
#ifndef NORIA_TESTS_RULES_MEMORY_H
#define NORIA_TESTS_RULES_MEMORY_H

#include <stdbool.h>

enum memory_mode { MEMORY_ONE, MEMORY_ALL_FROM };

/* Begin to count; the `number`-th allocation fails (from 1; 0: none). */
void memory_begin(long number, enum memory_mode mode);
/* Returns how many were asked for since. */
long memory_end(void);
/* Did one fail? */
bool memory_failed(void);
/* Blocks that are allocated now. */
long memory_live(void);

#endif
