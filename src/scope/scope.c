/* SPDX-License-Identifier: MIT */
/*
 * Scopes: entering and leaving the tree, spreading a cancel, deadlines, and the verdict on closing.
 *
 * A scope's timer is armed only when something parks beneath it in a way that the kernel does not time itself; a scope
 * around an operation that completes at once, or that carries a linked timeout, never touches the heap. A passed
 * deadline is noticed by whoever comes first: the timer, a checkpoint, or an operation whose linked timeout fired.
 */
#include "scope/scope.h"

#include "base/memcheck.h"
#include "base/message.h"

#include <errno.h>

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static void timer_fired(struct timer *timer)
{
	noria_scope_interrupt(container_of(timer, struct scope, timer), NORIA_CAUSE_DEADLINE);
}

void noria_scope_enter(struct scope *scope, struct task *task, struct scope *parent, int64_t deadline_ns,
		       unsigned flags, const struct noria_site *site)
{
	scope->magic = scope_magic(scope);
	scope->parent = parent;
	scope->task = task;
	scope->site = site;
	scope->deadline = deadline_ns;
	scope->timer.fire = timer_fired;
	scope->timer.node.prev = NULL;
	scope->cause = NORIA_CAUSE_NONE;
	scope->observed = scope->group = false;
	scope->shield = flags & NORIA_SCOPE_SHIELD;
	scope->idle = flags & NORIA_SCOPE_IDLE;
	list_init(&scope->children);
	if (!parent) { /* the root of the whole tree */
		list_init(&scope->sibling);
		scope->cancelled = scope->draining = false;
		scope->effective = deadline_ns;
		return;
	}
	list_push_back(&parent->children, &scope->sibling);
	scope->cancelled = parent->cancelled && !scope->shield;
	scope->effective = scope->shield ? deadline_ns : earlier(deadline_ns, parent->effective);
	scope->draining = parent->draining;
	if (unlikely(scope->idle && scope->draining))
		noria_scope_interrupt(scope, NORIA_CAUSE_SHUTDOWN);
}

void noria_scope_leave(struct scope *scope)
{
	invariant(list_empty(&scope->children));
	noria_timer_clear(scope->task->loop, &scope->timer);
	list_remove(&scope->sibling);
	scope->magic = 0;
}

/* Pre-order, without recursion: a tree may be deeper than a task's stack. */
static struct scope *next_below(struct scope *scope, const struct scope *top, bool descend)
{
	if (descend && !list_empty(&scope->children))
		return list_entry(scope->children.next, struct scope, sibling);
	for (; scope != top; scope = scope->parent)
		if (scope->sibling.next != &scope->parent->children)
			return list_entry(scope->sibling.next, struct scope, sibling);
	return NULL;
}

static void mark_cancelled(struct scope *scope)
{
	struct task *task = scope->task;

	scope->cancelled = true;
	if (task->scope == scope && task->wait)
		noria_wait_abandon(task->wait);
}

/* Down to every scope that does not hide behind a shield; what is beneath a cancelled one is cancelled already. */
void noria_scope_spread(struct scope *top)
{
	bool descend = true;

	mark_cancelled(top);
	for (struct scope *scope = top; (scope = next_below(scope, top, descend));) {
		descend = !scope->shield && !scope->cancelled;
		if (descend)
			mark_cancelled(scope);
	}
}

void noria_scope_interrupt(struct scope *scope, enum noria_cause_kind cause)
{
	if (scope->cause != NORIA_CAUSE_NONE)
		return;
	scope->cause = cause;
	noria_timer_clear(scope->task->loop, &scope->timer);
	if (!scope->cancelled)
		noria_scope_spread(scope);
}

void noria_scope_drain(struct scope *top)
{
	for (struct scope *scope = top; scope; scope = next_below(scope, top, true)) {
		scope->draining = true;
		if (scope->idle)
			noria_scope_interrupt(scope, NORIA_CAUSE_SHUTDOWN);
	}
}

void noria_scope_arm(struct scope *scope)
{
	for (; scope; scope = scope->shield ? NULL : scope->parent)
		if (scope->deadline != NORIA_FOREVER && scope->cause == NORIA_CAUSE_NONE && !timer_armed(&scope->timer))
			noria_timer_set(scope->task->loop, &scope->timer, scope->deadline);
}

void noria_scope_expire(struct scope *scope, int64_t now)
{
	for (; scope; scope = scope->shield ? NULL : scope->parent)
		if (scope->deadline <= now)
			noria_scope_interrupt(scope, NORIA_CAUSE_DEADLINE);
}

void noria_scope_refresh(struct scope *top)
{
	bool descend = true;

	top->effective = top->deadline;
	if (!top->shield && top->parent)
		top->effective = earlier(top->deadline, top->parent->effective);
	for (struct scope *scope = top; (scope = next_below(scope, top, descend));) {
		descend = !scope->shield;
		if (descend)
			scope->effective = earlier(scope->deadline, scope->parent->effective);
	}
}

static void observe(struct scope *scope)
{
	for (; scope; scope = scope->shield ? NULL : scope->parent)
		scope->observed |= scope->cause != NORIA_CAUSE_NONE;
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
	bool hidden = scope->shield || !parent;

	if (scope->cause == NORIA_CAUSE_NONE)
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
	if (scope->idle && scope->cause == NORIA_CAUSE_SHUTDOWN)
		return result;
	return result == -ECANCELED ? 0 : result;
}

int noria_scope_refuse_open(const struct scope *scope, const struct noria_site *site)
{
	(void)VALGRIND_MAKE_MEM_DEFINED(&scope->magic, sizeof scope->magic);
	if (likely(!scope_is_open(scope)))
		return 0;
	return noria_refuse(-EINVAL,
			    "the %s at %s:%d (%s) is open already: it was opened at %s:%d (%s). Remedy: close it "
			    "first, or use another",
			    site->what, site->file, site->line, site->function, scope->site->file, scope->site->line,
			    scope->site->function);
}

_Noreturn void noria_scope_lost(const struct task *task)
{
	noria_refuse(-EINVAL,
		     "a function of task %s (spawned at %s:%d) returned and left a scope, a group or a stream open "
		     "that lay in its "
		     "frame",
		     task->name, task->site->file, task->site->line);
	noria_assert_failed(noria_message(), __FILE__, __LINE__);
}

int noria_scope_refuse_close(const struct scope *scope, const struct task *task)
{
	const struct scope *innermost = task->scope;

	(void)VALGRIND_MAKE_MEM_DEFINED(&scope->magic, sizeof scope->magic);
	if (likely(scope == innermost && scope_is_open(scope)))
		return 0;
	if (!scope_is_open(innermost))
		noria_scope_lost(task);
	if (!scope_is_open(scope))
		return noria_refuse(
			-EINVAL,
			"closing a scope that is not open; the innermost open one of task %s is the %s of %s:%d",
			task->name, innermost->site->what, innermost->site->file, innermost->site->line);
	if (scope->task != task)
		return noria_refuse(-EINVAL,
				    "task %s (spawned at %s:%d) closes the %s that task %s opened at %s:%d. Remedy: "
				    "the task that opens "
				    "a scope closes it",
				    task->name, task->site->file, task->site->line, scope->site->what,
				    scope->task->name, scope->site->file, scope->site->line);
	return noria_refuse(
		-EINVAL,
		"closing the %s of %s:%d while the %s of %s:%d, opened inside it, is open. Remedy: close in "
		"reverse order",
		scope->site->what, scope->site->file, scope->site->line, innermost->site->what, innermost->site->file,
		innermost->site->line);
}
