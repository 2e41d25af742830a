/* SPDX-License-Identifier: MIT */
/*
 * How many system calls a process makes, as the kernel's tracepoint raw_syscalls:sys_enter counts them.
 *
 * While they are counted every system call of the machine is slower, so the load generator counts in a turn of its own.
 * It takes tracefs and the right to use perf events; where either is missing, there is a reason instead of a number.
 */
#pragma once

#include <stdint.h>

struct calls; /* being counted */

/* Counts the calls of the process's threads, those included that they will make. NULL, and `ret_why`, when that cannot be. */
struct calls *calls_start(const char *pid, const char **ret_why);

/* Stops counting: how many they were. */
uint64_t calls_stop(struct calls *calls);
