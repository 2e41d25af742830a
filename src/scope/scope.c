/* SPDX-License-Identifier: MIT */
/*
 * The scope tree: what a scope inherits, how a cancel spreads, what counts as a deadline, what a close comes to.
 *
 * The scopes of one task are a chain (`inner`); the outermost scope of a child task hangs in its group's (`children`).
 * Deadlines are lazy: a scope's timer is on the loop's heap only once something beneath it waits in a way that the
 * kernel does not time itself; a scope around an operation that completes at once, or that carries a linked timeout,
 * never touches the heap. A passed deadline is noticed by whoever comes first: the timer, a checkpoint, or an operation
 * whose linked timeout fired. Once a scope is cancelled the same timer stands for the end of its grace (grace.c).
 */
#include "scope/scope.h"

#include "scope/enter.h"

#include <errno.h>

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* What the checks are about: a program's shield without a deadline, as far as nothing inside has one. */
static bool is_unbounded(const struct scope *scope)
{
	if (!noria_checks || scope->effective != NORIA_FOREVER)
		return false;
	return (scope->shield && scope->checked) || (scope->parent && scope->parent->unbounded);
}

void noria_scope_inherit(struct scope *scope, unsigned flags)
{
	const struct scope *parent = scope->parent;

	scope->hard = flags & NORIA_SCOPE_HARD_SHIELD;
	scope->shield = flags & (NORIA_SCOPE_SHIELD | NORIA_SCOPE_HARD_SHIELD);
	scope->idle = flags & NORIA_SCOPE_IDLE;
	scope->checked = flags & SCOPE_CHECKED;
	if (scope->shield)
		scope->effective = scope->deadline;
	scope->draining = parent->draining;
	scope->pierced = parent->pierced && !scope->hard;
	scope->cancelled = parent->cancelled && !scope_hides(scope);
	scope->told = 0;
	scope->unbounded = is_unbounded(scope);
	scope->watched = parent->watched;
	if (scope->shield && !scope->hard)
		noria_scope_arm_hidden(scope);
	if (scope->idle && scope->draining)
		noria_scope_end_idle(scope);
}

struct scope *noria_scope_next(struct scope *scope, const struct scope *top, bool descend)
{
	if (descend && !list_empty(&scope->children))
		return list_entry(scope->children.next, struct scope, sibling);
	if (descend && scope->inner)
		return scope->inner;
	for (; scope != top; scope = scope->parent) {
		if (scope->task == scope->parent->task)
			continue;
		if (scope->sibling.next != &scope->parent->children)
			return list_entry(scope->sibling.next, struct scope, sibling);
		if (scope->parent->inner)
			return scope->parent->inner;
	}
	return NULL;
}

static void mark_cancelled(struct scope *scope)
{
	struct task *task = scope->task;

	scope->cancelled = true;
	scope->told = 0;
	if (task->scope == scope && task->wait)
		noria_wait_abandon(task->wait);
}

/* Down to every scope that does not hide behind a shield; what is beneath a cancelled one is cancelled already. */
void noria_scope_spread(struct scope *top)
{
	bool descend = true;

	mark_cancelled(top);
	for (struct scope *scope = top; (scope = noria_scope_next(scope, top, descend));) {
		descend = !scope_hides(scope) && !scope->cancelled;
		if (descend)
			mark_cancelled(scope);
	}
}

static void mark_pierced(struct scope *scope)
{
	scope->pierced = true;
	scope->task->loop->interrupts++; /* more is above it than before */
	if (!scope->cancelled)
		mark_cancelled(scope);
}

/* The second time, through soft shields; what is beneath a pierced scope is pierced already. */
void noria_scope_pierce(struct scope *top)
{
	bool descend = true;

	if (top->pierced)
		return;
	mark_pierced(top);
	for (struct scope *scope = top; (scope = noria_scope_next(scope, top, descend));) {
		descend = !scope->hard && !scope->pierced;
		if (descend)
			mark_pierced(scope);
	}
}

void noria_scope_interrupt_noted(struct scope *scope, enum noria_cause_kind cause)
{
	scope->cause = (uint8_t)cause;
	scope->task->loop->interrupts++;
	noria_timer_clear(scope->task->loop, &scope->timer);
	if (!scope->cancelled)
		noria_scope_spread(scope);
	noria_scope_begin_grace(scope);
}

void noria_scope_interrupt(struct scope *scope, enum noria_cause_kind cause, const struct task *who,
			   const struct noria_site *where, const char *reason)
{
	if (scope->cause != NORIA_CAUSE_NONE)
		return;
	noria_scope_note(scope, who, cause == NORIA_CAUSE_DEADLINE ? scope->site : where, reason);
	noria_scope_interrupt_noted(scope, cause);
}

void noria_scope_expire(struct scope *scope, int64_t now)
{
	for (; scope; scope = scope->shield ? NULL : scope->parent)
		if (scope->deadline <= now)
			noria_scope_interrupt(scope, NORIA_CAUSE_DEADLINE, NULL, NULL, NULL);
}

/* The limit of a scope's life: its deadline, or the patience of its drain. */
static int64_t limit_of(const struct scope *scope)
{
	return scope->drained ? earlier(scope->deadline, scope->patience_end) : scope->deadline;
}

static void timer_fired(struct timer *timer)
{
	struct scope *scope = container_of(timer, struct scope, timer);

	if (scope->cause != NORIA_CAUSE_NONE)
		noria_scope_pierce(scope);
	else if (scope->drained && scope->patience_end < scope->deadline)
		noria_scope_lose_patience(scope);
	else
		noria_scope_interrupt(scope, NORIA_CAUSE_DEADLINE, NULL, NULL, NULL);
}

void noria_scope_arm_one(struct scope *scope)
{
	int64_t time_ns = scope->cause == NORIA_CAUSE_NONE ? limit_of(scope) : scope->grace_end;

	scope->timer.fire = timer_fired;
	noria_timer_clear(scope->task->loop, &scope->timer);
	if (time_ns != NORIA_FOREVER)
		noria_timer_set(scope->task->loop, &scope->timer, time_ns);
}

void noria_scope_arm(struct scope *scope)
{
	for (; scope; scope = scope->shield ? NULL : scope->parent)
		if (scope->deadline != NORIA_FOREVER && scope->cause == NORIA_CAUSE_NONE && !timer_armed(&scope->timer))
			noria_scope_arm_one(scope);
}

static void count_again(struct scope *scope)
{
	scope->effective = scope->deadline;
	if (!scope->shield && scope->parent)
		scope->effective = earlier(scope->deadline, scope->parent->effective);
	scope->unbounded = is_unbounded(scope);
}

void noria_scope_refresh(struct scope *top)
{
	bool descend = true;

	count_again(top);
	for (struct scope *scope = top; (scope = noria_scope_next(scope, top, descend));) {
		descend = !scope->shield;
		if (descend)
			count_again(scope);
	}
}

/* Once for all that is above, until there is a new cause somewhere: a deep tree is left one scope after the other. */
static void observe(struct scope *scope)
{
	uint64_t now = scope->task->loop->interrupts;

	for (; scope && scope->cancelled && scope->told != now; scope = scope_hides(scope) ? NULL : scope->parent) {
		scope->observed |= scope->cause != NORIA_CAUSE_NONE;
		scope->told = now;
	}
}

int noria_scope_answer(struct task *task)
{
	struct scope *scope = task->scope;

	if (!scope->cancelled && scope->effective <= task->loop->now)
		noria_scope_expire(scope, task->loop->now);
	if (!scope->cancelled)
		return 0;
	observe(scope);
	return -ECANCELED;
}

ssize_t noria_scope_verdict(const struct scope *scope, ssize_t result)
{
	struct scope *parent = scope->parent;
	bool hidden = !parent || scope_hides(scope);

	if (scope->cause == NORIA_CAUSE_NONE && !scope->drained)
		return result;
	/* Of nested deadlines that have all passed, the outermost reports: find out whether an outer one has. */
	if (scope->cause == NORIA_CAUSE_DEADLINE && !hidden && parent->effective != NORIA_FOREVER)
		noria_scope_expire(parent, noria_loop_clock(scope->task->loop));
	if (!hidden && parent->cancelled) {
		if (scope->observed)
			observe(parent);
		return result;
	}
	if (scope->cause == NORIA_CAUSE_DEADLINE)
		return result == -ECANCELED || (result >= 0 && scope->observed) ? -ETIMEDOUT : result;
	/* What ends by a drain from outside is answered like the drain. */
	if (scope->idle && scope->cause == NORIA_CAUSE_SHUTDOWN && (!scope->drained || (parent && parent->draining)))
		return result;
	/* A drain that ended in time ends here, unless a larger one goes on. */
	if (scope->cause == NORIA_CAUSE_NONE && parent && parent->draining)
		return result;
	return result == -ECANCELED ? 0 : result;
}
