/* SPDX-License-Identifier: MIT */
/*
 * Valgrind's requests, or nothing where its headers are missing. They cost a few instructions each, so hot paths ask
 * once whether they run under it at all.
 */
#ifndef NORIA_BASE_MEMCHECK_H
#define NORIA_BASE_MEMCHECK_H

#if NORIA_VALGRIND
#include <valgrind/memcheck.h>
#else
#define RUNNING_ON_VALGRIND                      0
#define VALGRIND_MAKE_MEM_DEFINED(address, size) ((void)(address), (void)(size), 0)
#define VALGRIND_STACK_REGISTER(low, high)       0
#define VALGRIND_STACK_DEREGISTER(id)            (void)(id)
#endif

#endif
