/* SPDX-License-Identifier: MIT */
/*
 * What a runtime has of executors: three of its own, made on first use, and how many threads are just handing it
 * a result. See pool.h for the threads, call.c for a call.
 */
#ifndef NORIA_EXECUTOR_EXECUTOR_H
#define NORIA_EXECUTOR_EXECUTOR_H

#include "base/list.h"
#include "task/loop.h"
#include "task/timer.h"

#include <stdatomic.h>

struct noria_executor;

struct executors {
	struct loop *loop;
	struct noria_executor *blocking, *compute, *names; /* NULL: not used yet */
	struct list guarded;                               /* calls, until they return: see pool.h */
	struct timer guard;
	int only_cpu;         /* that the loop's thread may run on; or -1: it has several */
	struct list late;     /* calls for which nobody has been woken yet: see pool.h */
	struct remote waking; /* posted to its own loop: wakes somebody for these */
	bool waking_posted;
	atomic_uint posting; /* threads between the first and the last instruction of noria_loop_post() */
};

/* Made on first use. Returns 0 or -ENOMEM. */
int noria_executors_get(struct loop *loop, struct executors **ret_executors);
/* The runtime's own, made on first use. Return 0 or -ENOMEM, with noria_message(). */
int noria_executors_blocking(struct executors *executors, struct noria_executor **ret_executor);
int noria_executors_compute(struct executors *executors, struct noria_executor **ret_executor);
int noria_executors_names(struct executors *executors, struct noria_executor **ret_executor);
/* No task is left: nobody posts any more, and the runtime's own executors go. */
void noria_executors_free(struct loop *loop);

/* The timer of guarded calls; in call.c. */
void noria_calls_guard(struct timer *timer);
/* For late calls: the turn's tasks have run; there too. */
void noria_calls_wake(struct remote *remote);

/* How many forks led to this process, counted from the first executor. */
unsigned noria_executor_forks(void);

#endif
