/* SPDX-License-Identifier: MIT */
/*
 * Into the tree and out of it, inline: a program opens scopes as freely as blocks, so what is common is a row of
 * stores, and everything else is behind one test of the parent's state.
 */
#ifndef NORIA_SCOPE_ENTER_H
#define NORIA_SCOPE_ENTER_H

#include "scope/scope.h"

/* A scope that is nowhere in the tree yet. */
static inline void scope_init(struct scope *scope, struct task *task, struct scope *parent, int64_t deadline_ns,
			      const struct noria_site *site)
{
	scope->magic = scope_magic(scope);
	scope->parent = parent;
	scope->inner = NULL;
	scope->task = task;
	scope->site = site;
	scope->deadline = deadline_ns;
	scope->inherited = 0;
	scope->cause = NORIA_CAUSE_NONE;
	scope->observed = scope->group = false;
	scope->shield = scope->hard = scope->idle = scope->drained = scope->own_grace = scope->checked = false;
	scope->timer.node.prev = NULL;
	list_init(&scope->children);
	if (deadline_ns != NORIA_FOREVER)
		task->loop->limits++;
}

/* What comes from the parent. */
static inline void scope_take_over(struct scope *scope, unsigned flags)
{
	const struct scope *parent = scope->parent;

	scope->effective = scope->deadline < parent->effective ? scope->deadline : parent->effective;
	scope->grace = parent->grace;
	if (unlikely(flags | parent->inherited))
		noria_scope_inherit(scope, flags);
}

/* Inside `parent`, the innermost scope of the same task, which goes into it. */
static inline void scope_enter(struct scope *scope, struct task *task, struct scope *parent, int64_t deadline_ns,
			       unsigned flags, const struct noria_site *site)
{
	scope_init(scope, task, parent, deadline_ns, site);
	parent->inner = scope;
	scope_take_over(scope, flags);
	task->scope = scope;
}

/* The outermost scope of a child task, in its group's. */
static inline void scope_enter_outermost(struct scope *scope, struct task *task, struct scope *parent, unsigned flags,
					 const struct noria_site *site)
{
	scope_init(scope, task, parent, NORIA_FOREVER, site);
	list_push_back(&parent->children, &scope->sibling);
	scope_take_over(scope, flags);
	task->scope = task->outermost = scope;
}

/* The root of the whole tree. */
static inline void scope_enter_root(struct scope *scope, struct task *task, const struct noria_site *site)
{
	scope_init(scope, task, NULL, NORIA_FOREVER, site);
	scope->effective = scope->grace = NORIA_FOREVER;
	task->scope = task->outermost = scope;
}

/* `site` is where it is closed. */
static inline void scope_leave(struct scope *scope, const struct noria_site *site)
{
	struct scope *parent = scope->parent;

	invariant(!scope->inner && list_empty(&scope->children));
	scope->closed = site;
	if (scope->deadline != NORIA_FOREVER)
		scope->task->loop->limits--;
	if (unlikely(timer_armed(&scope->timer)))
		noria_timer_clear(scope->task->loop, &scope->timer);
	if (unlikely(scope->cancelled) && !(parent && parent->cancelled))
		scope->task->turned_away = 0;
	if (parent && parent->task == scope->task)
		parent->inner = NULL;
	else if (parent)
		list_remove(&scope->sibling);
	scope->magic = ~scope_magic(scope);
}

static inline ssize_t scope_verdict(const struct scope *scope, ssize_t result)
{
	if (likely(scope->cause == NORIA_CAUSE_NONE && !scope->drained))
		return result;
	return noria_scope_verdict(scope, result);
}

#endif
