/* SPDX-License-Identifier: MIT */
/*
 * Tasks: stackful, cooperative, cheap. A task runs until a checkpoint parks it, and stays on its runtime's thread for
 * life. Tasks are spawned into groups (group.h); the root task is the function given to noria_run() (run.h).
 *
 * A task has a small stack (64 KiB by default; a larger one by noria_spawn_with()). Running over its end is reported,
 * by a guard of 64 KiB below it; code with larger arrays in its frames should be compiled with
 * -fstack-clash-protection.
 *
 * C++: an exception must be caught in the task that threw it, and a task must not park while it handles one or unwinds
 * (the language keeps both per thread): take what you need from the exception, leave the handler, then call noria.
 */
#ifndef NORIA_TASK_H
#define NORIA_TASK_H

#include <noria/base.h>

NORIA_BEGIN_DECLS

/* What a task runs: returns >= 0, or a negative errno, which is a failure its group will hear of. */
typedef int noria_task_fn(void *arg);

/*
 * noria_yield - let the other ready tasks run, then go on.
 * Returns: 0; -ECANCELED when the scope is cancelled or its deadline has passed; -ENXIO outside a runtime.
 * Checkpoint. Since 0.1.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_yield(void);

/*
 * noria_check - is the task still wanted? Looks at cancellation and deadlines and does not park: for long computations.
 * (It does park a task that has ignored the answer a thousand times: see zombie_answers in run.h.)
 * Returns: 0; -ECANCELED when the scope is cancelled or its deadline has passed; -ENXIO outside a runtime.
 * Checkpoint (that does not park). Since 0.1.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_check(void);

/* noria_task_name - the calling task's name, valid while it lives; "" outside a task. Not a checkpoint. Since 0.1. */
NORIA_PUBLIC const char *noria_task_name(void);

/* noria_task_id - the calling task's number, unique in its runtime and never reused; 0 outside a task. Since 0.1. */
NORIA_PUBLIC uint64_t noria_task_id(void);

/*
 * noria_message - the sentence that explains the last refusal on this thread.
 *
 * When a noria function refuses (a ring cannot be had, a group is closed out of order, no stack can be allocated) the
 * returned errno says what and this text says why, names the places concerned and the remedy.
 * It says nothing of other errors: after those it is the text of an earlier refusal.
 * Returns: the text, never NULL, "" when nothing was refused yet; valid until the next refusal on this thread.
 * Not a checkpoint; any thread. Since 0.1.
 */
NORIA_PUBLIC const char *noria_message(void);

NORIA_END_DECLS
#endif
