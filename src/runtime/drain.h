/* SPDX-License-Identifier: MIT */
/*
 * How a run ends: drain, grace, cancel, and the naming of what is left. One object a runtime, on noria_run()'s stack.
 */
#ifndef NORIA_RUNTIME_DRAIN_H
#define NORIA_RUNTIME_DRAIN_H

#include "scope/child.h"
#include "task/timer.h"

struct drain {
	struct loop *loop;
	struct scope *root;
	struct timer grace; /* of the drain; then of the cancel */
	bool begun, forced, outlasted, deadlocked;
};

void noria_drain_init(struct drain *drain, struct loop *loop, struct scope *root);
void noria_drain_done(struct drain *drain);
/* What the run comes to. */
int noria_drain_verdict(const struct drain *drain, int result);

/* Let SIGINT and SIGTERM count for a loop, until released. Returns 0, or -EAGAIN when too many runtimes ask. */
int noria_signals_acquire(struct loop *loop);
void noria_signals_release(struct loop *loop);
/* The name of the one that came last. */
const char *noria_signals_last(void);
/* In a fork's child, whose runtimes are its parent's. */
void noria_signals_forget(void);

#endif
