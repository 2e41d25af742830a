/* SPDX-License-Identifier: MIT */
/* The report of a stack overflow: a fault in the guard of a task's stack ends the process with a message. */
#ifndef NORIA_RUNTIME_OVERFLOW_H
#define NORIA_RUNTIME_OVERFLOW_H

#include <stddef.h>

/* A thread's alternate signal stack, on which the handler can run when the task's own is full. */
struct overflow_watch {
	void *memory; /* NULL: the thread had one already */
};

/* Returns 0 or -ENOMEM. */
int noria_overflow_watch(struct overflow_watch *watch);
void noria_overflow_unwatch(struct overflow_watch *watch);

#endif
