/* SPDX-License-Identifier: MIT */
/*
 * The public face of scopes: checks at the door, then the tree. The caller's opaque storage is a struct scope.
 */
#include "base/message.h"
#include "scope/enter.h"
#include "scope/failure.h"
#include "scope/leftover.h"
#include "scope/scope.h"

#include <errno.h>

_Static_assert(sizeof(struct scope) <= sizeof(struct noria_scope), "struct noria_scope is too small");
_Static_assert(_Alignof(struct scope) <= _Alignof(struct noria_scope), "struct noria_scope is aligned too little");

/* A scope of noria_within() and its like that could not be opened: closing it gives the result as it is. */
enum { MAGIC_NONE = 1 };

enum { FLAGS = NORIA_SCOPE_SHIELD | NORIA_SCOPE_IDLE | NORIA_SCOPE_HARD_SHIELD };

static inline void open_in(struct task *task, struct scope *scope, int64_t deadline_ns, unsigned flags,
			   const struct noria_site *site)
{
	scope_enter(scope, task, task->scope, deadline_ns, unlikely(flags) ? flags | SCOPE_CHECKED : 0, site);
}

/* A computation may have lasted past its deadline within one turn of the loop; one that is given may lie behind. */
static inline void expire_by_real_clock(struct task *task)
{
	if (unlikely(task->scope->effective != NORIA_FOREVER))
		noria_scope_expire(task->scope, noria_loop_clock(task->loop));
}

int noria_scope_open_at(struct noria_scope *storage, int64_t deadline_ns, unsigned flags, const struct noria_site *site)
{
	struct scope *scope = scope_from_public(storage);
	struct task *task = noria_current();
	int r;

	if (unlikely(!task))
		return -ENXIO;
	if (unlikely(flags & ~(unsigned)FLAGS))
		return noria_refuse(-EINVAL, "unknown scope flags %#x at %s:%d", flags, site->file, site->line);
	r = unlikely(flags & NORIA_SCOPE_HARD_SHIELD) ? noria_scope_refuse_hard(deadline_ns, site) : 0;
	if (likely(r == 0))
		r = noria_scope_refuse_open(scope, task, site);
	if (unlikely(r < 0))
		return r;
	open_in(task, scope, deadline_ns, flags, site);
	expire_by_real_clock(task);
	return 0;
}

void noria_scope_open_until_quietly_(struct noria_scope *storage, int64_t deadline_ns, unsigned flags,
				     const struct noria_site *site)
{
	struct scope *scope = scope_from_public(storage);
	struct task *task = noria_current();

	if (unlikely(!task)) {
		scope->magic = MAGIC_NONE;
		return;
	}
	open_in(task, scope, deadline_ns, flags, site);
	expire_by_real_clock(task);
}

void noria_scope_open_quietly_(struct noria_scope *storage, int64_t duration_ns, unsigned flags,
			       const struct noria_site *site)
{
	struct scope *scope = scope_from_public(storage);
	struct task *task = noria_current();
	int64_t deadline_ns = NORIA_FOREVER;

	if (unlikely(!task)) {
		scope->magic = MAGIC_NONE;
		return;
	}
	if (duration_ns != NORIA_FOREVER) {
		int64_t now = noria_loop_clock(task->loop);

		deadline_ns = duration_ns <= 0                    ? now
			      : now < NORIA_FOREVER - duration_ns ? now + duration_ns
								  : NORIA_FOREVER;
	}
	open_in(task, scope, deadline_ns, flags, site);
	if (unlikely(duration_ns <= 0))
		noria_scope_interrupt(scope, NORIA_CAUSE_DEADLINE, NULL, NULL, NULL);
}

ssize_t noria_scope_close_at(struct noria_scope *storage, ssize_t result, const struct noria_site *site)
{
	struct scope *scope = scope_from_public(storage);
	struct task *task;
	ssize_t verdict;
	int r;

	if (unlikely(scope->magic == MAGIC_NONE)) {
		scope->magic = 0;
		return result;
	}
	task = noria_current();
	if (unlikely(!task))
		return -ENXIO;
	r = noria_scope_refuse_close(scope, task, site);
	if (unlikely(r < 0))
		return r;
	if (unlikely(scope->group))
		return noria_refuse(
			-EINVAL, "task %s closes at %s:%d the group of %s:%d as a scope. Remedy: noria_group_close()",
			task->name, site->file, site->line, scope->site->file, scope->site->line);
	task->scope = scope->parent;
	scope_leave(scope, site);
	verdict = scope_verdict(scope, result);
	if (unlikely(verdict == -ETIMEDOUT && result != -ETIMEDOUT))
		noria_error_timed_out(scope);
	return verdict;
}

void noria_scope_cleanup_(struct noria_scope *storage)
{
	struct scope *scope = scope_from_public(storage);

	struct task *task = scope_is_open(scope) ? noria_current() : NULL;

	if (task && noria_scopes_close_inside(task, scope))
		(void)noria_scope_close_at(storage, 0, scope->site);
}

void noria_scope_cancel_at(struct noria_scope *storage, const char *reason, const struct noria_site *site)
{
	struct scope *scope = scope_from_public(storage);

	if (noria_scope_refuse_use(scope, site->what) == 0)
		noria_scope_interrupt(scope, NORIA_CAUSE_EXPLICIT, noria_loop->current, site, reason);
}

int noria_scope_set_deadline(struct noria_scope *storage, int64_t deadline_ns)
{
	struct scope *scope = scope_from_public(storage);
	int r;

	r = noria_scope_refuse_use(scope, "moving the deadline");
	if (r < 0)
		return r;
	if (scope->cause != NORIA_CAUSE_NONE || scope->deadline <= noria_loop_clock(scope->task->loop))
		return noria_refuse(-EBUSY,
				    "moving the deadline of the %s of %s:%d, which has been cancelled or has expired",
				    scope->site->what, scope->site->file, scope->site->line);
	r = scope->hard ? noria_scope_refuse_hard(deadline_ns, scope->site) : 0;
	if (r < 0)
		return r;
	scope->task->loop->limits += (deadline_ns != NORIA_FOREVER) - (scope->deadline != NORIA_FOREVER);
	scope->deadline = deadline_ns;
	noria_scope_refresh(scope);
	/*
	 * Operations in flight may carry the old deadline as a linked timeout; from now on the heap keeps the new one.
	 */
	noria_scope_arm_one(scope);
	if (deadline_ns != NORIA_FOREVER && deadline_ns <= noria_loop_clock(scope->task->loop))
		noria_scope_interrupt(scope, NORIA_CAUSE_DEADLINE, NULL, NULL, NULL);
	return 0;
}

int noria_scope_unshield(struct noria_scope *storage)
{
	struct scope *scope = scope_from_public(storage);
	int r = noria_scope_refuse_use(scope, "lifting the shield");

	if (r < 0 || !scope->shield)
		return r;
	scope->shield = scope->hard = false;
	scope->task->loop->interrupts++;
	noria_scope_refresh(scope);
	noria_scope_arm(scope); /* for what is parked beneath already, with no limit from outside */
	if (scope->parent->cancelled && !scope->cancelled)
		noria_scope_spread(scope);
	if (scope->parent->pierced)
		noria_scope_pierce(scope);
	return 0;
}

int64_t noria_deadline(void)
{
	struct task *task = noria_current();

	return task ? task->scope->effective : -ENXIO;
}

bool noria_draining(void)
{
	struct task *task = noria_current();

	return task && task->scope->draining;
}

/* The checkpoint of a call that takes no time of its own. */
static int look(struct task *task)
{
	int r;

	expire_by_real_clock(task);
	r = scope_checkpoint(task);
	if (unlikely(r < 0))
		noria_scope_told(task);
	return r;
}

int noria_check(void)
{
	struct task *task = noria_current();

	return likely(task) ? look(task) : -ENXIO;
}

int noria_yield(void)
{
	struct task *task = noria_current();
	int r;

	if (unlikely(!task))
		return -ENXIO;
	r = look(task);
	if (unlikely(r < 0)) {
		task_spend(task);
		return r;
	}
	noria_task_yield(task);
	return scope_checkpoint(task);
}
