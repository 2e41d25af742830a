/* SPDX-License-Identifier: MIT */
/*
 * Offload: a blocking call runs on a thread of the runtime's executor, so that it freezes nobody.
 */
#ifndef NORIA_OFFLOAD_H
#define NORIA_OFFLOAD_H

#include <noria/base.h>
#include <noria/task.h>

NORIA_BEGIN_DECLS

/*
 * noria_offload - run `int fn(void *arg)` on another thread and wait for its result.
 *
 * The executor has a bounded number of threads and a bounded queue (run.h); a full queue makes the caller wait. A
 * cancel takes a call that has not started out of the queue; one that has started is waited for, so `arg` may be on
 * the caller's stack, and its result is delivered. `fn` may call no noria function but noria_offload_cancelled(),
 * noria_value_get(), which reads the caller's context values, and noria_fail() and noria_try(), whose message and path
 * go over to the caller's error.
 *
 * Returns: what `fn` returned; -ECANCELED when the call was never started; -EAGAIN when no thread can be created;
 * -ENOMEM; -EINVAL without a function; -ENXIO outside a runtime. Checkpoint. Since 0.1.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_offload(noria_task_fn *fn, void *arg);

/* noria_offload_cancelled - asked inside `fn`: was the caller cancelled meanwhile? Any thread. Since 0.1. */
NORIA_PUBLIC bool noria_offload_cancelled(void);

NORIA_END_DECLS
#endif
