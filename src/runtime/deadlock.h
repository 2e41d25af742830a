/* SPDX-License-Identifier: MIT */
/* What happens when no task can ever go on: see deadlock.c. */
#ifndef NORIA_RUNTIME_DEADLOCK_H
#define NORIA_RUNTIME_DEADLOCK_H

struct drain;

/* Watch the run that this drain will end. */
void noria_deadlock_watch(struct drain *drain);

#endif
