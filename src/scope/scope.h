/* SPDX-License-Identifier: MIT */
/*
 * The one scope tree. Every task has a root scope, which hangs in the scope of its group; the scopes that it opens hang
 * in one another. Cancellation, deadlines, shields and draining are properties of scopes and nothing else.
 *
 * `cancelled` and `effective` hold what an operation must know, inherited from above already, so that a checkpoint is
 * two comparisons; a cancel spreads downward once, to what it concerns, and abandons the waits it meets.
 */
#ifndef NORIA_SCOPE_SCOPE_H
#define NORIA_SCOPE_SCOPE_H

#include "base/assert.h"
#include "base/list.h"
#include "noria/scope.h"
#include "task/loop.h"
#include "task/timer.h"
#include "task/wait.h"

#include <stdbool.h>
#include <stdint.h>

struct scope {
	uint64_t magic; /* open: SCOPE_MAGIC of this address */
	struct scope *parent;
	struct list children, sibling;
	struct task *task; /* who opened it */
	const struct noria_site *site;
	int64_t deadline;  /* its own */
	int64_t effective; /* the earliest that counts here */
	struct timer timer;
	enum noria_cause_kind cause; /* NONE unless cancelled by itself */
	bool cancelled;              /* a checkpoint in here answers -ECANCELED */
	bool observed;               /* one has, because of this scope */
	bool shield, idle, draining;
	bool group; /* it is the scope of a struct group */
};

/* What a scope's storage holds while it is open. */
static inline uint64_t scope_magic(const void *address)
{
	return UINT64_C(0x6e6f7269612e7363) ^ (uint64_t)(uintptr_t)address;
}

static inline bool scope_is_open(const struct scope *scope)
{
	return scope->magic == scope_magic(scope);
}

/* Into the tree, below `parent`; the task's innermost scope is not changed. */
void noria_scope_enter(struct scope *scope, struct task *task, struct scope *parent, int64_t deadline_ns,
		       unsigned flags, const struct noria_site *site);
/* Out of the tree. */
void noria_scope_leave(struct scope *scope);
/* What the body's result comes to, once the scope has been left. */
ssize_t noria_scope_verdict(const struct scope *scope, ssize_t result);
/* -EINVAL with both places in the message unless storage is free for a scope. */
int noria_scope_refuse_open(const struct scope *scope, const struct noria_site *site);
/* -EINVAL with both places in the message unless `scope` is the innermost one of the task. */
int noria_scope_refuse_close(const struct scope *scope, const struct task *task);

/* The storage of the task's innermost scope is gone: the tree points into garbage, and the process ends. */
_Noreturn void noria_scope_lost(const struct task *task);

void noria_scope_interrupt(struct scope *scope, enum noria_cause_kind cause);
/* The scope became cancelled: tell everything beneath. */
void noria_scope_spread(struct scope *scope);
/* Its deadline or shield changed: work out again what counts beneath. */
void noria_scope_refresh(struct scope *scope);
/* Soft cancel: idle scopes beneath end, now and later. */
void noria_scope_drain(struct scope *scope);
/* Set the deadlines that count in this scope onto the loop's heap. */
void noria_scope_arm(struct scope *scope);
/* The scope is cancelled or its deadline has passed: say so. Returns -ECANCELED, or 0 if it was neither. */
int noria_scope_answer(struct task *task);
/* The task's effective deadline has passed by the real clock: cancel the scopes concerned. */
void noria_scope_expire(struct scope *scope, int64_t now);

/* The checkpoint at the door of every operation. */
static inline int scope_checkpoint(struct task *task)
{
	const struct scope *scope = task->scope;

	if (unlikely(scope->cancelled || scope->effective <= task->loop->now))
		return noria_scope_answer(task);
	return 0;
}

/*
 * The same at the door of a call that may park. A task that takes no notice of -ECANCELED and calls again must not keep
 * the others from running: being turned away counts against its turn.
 */
static inline int scope_door(struct task *task)
{
	int r = scope_checkpoint(task);

	if (unlikely(r < 0))
		noria_task_spend(task);
	return r;
}

/* Park on a wait that the scope's cancellation and deadlines may abandon. */
static inline void scope_wait(struct task *task, struct wait *wait)
{
	if (task->scope->effective != NORIA_FOREVER)
		noria_scope_arm(task->scope);
	noria_wait_park(wait);
}

#endif
