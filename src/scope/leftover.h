/* SPDX-License-Identifier: MIT */
/* What functions and tasks forgot to close: it is closed for them, and named. */
#ifndef NORIA_SCOPE_LEFTOVER_H
#define NORIA_SCOPE_LEFTOVER_H

#include "scope/scope.h"

#include <stdbool.h>

/*
 * A function is left by `return`, and with it the scope `around`: close what is open inside, as those who opened it
 * should have done. Returns false if `around` is not one of the task's own open scopes.
 */
bool noria_scopes_close_inside(struct task *task, const struct scope *around);

/* A test kit's: told of each thing that a task's function left open; `scope` NULL: it is none. NULL: nobody. */
extern void (*noria_left_open)(const struct task *task, const struct noria_site *site, const struct scope *scope);

/* Close what a task left open when its function returned, and make that its failure. */
void noria_close_leftovers(struct task *task);

#endif
