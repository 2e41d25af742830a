/* SPDX-License-Identifier: MIT */
/* What a task is doing, for people: what it waits for, and where in its code. */
#ifndef NORIA_SCOPE_DESCRIBE_H
#define NORIA_SCOPE_DESCRIBE_H

#include <stddef.h>

struct task;

/*
 * On the hub: "sleeps until 5 ns\n    at symbol\n    at symbol", as much as fits, of a task that does not run. Where
 * its stack has no room for the unwinder, the frames are missing.
 */
void noria_describe_task(struct task *task, char *text, size_t size);

#endif
