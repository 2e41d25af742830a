/* SPDX-License-Identifier: MIT */
/*
 * Draining: a cancel that comes softly. Idle scopes beneath are cancelled, now and whenever one is opened; everything
 * else goes on and may ask. The scope that was asked to drain keeps who asked and why, for the causes of the idle ones
 * and, when its patience has passed, for its own.
 */
#include "base/message.h"
#include "scope/scope.h"

#include <errno.h>
#include <stdio.h>

void noria_scope_end_idle(struct scope *scope)
{
	const struct scope *drained = scope;

	if (scope->cause != NORIA_CAUSE_NONE)
		return;
	while (!drained->drained)
		drained = drained->parent;
	scope->record = drained->record;
	noria_scope_interrupt_noted(scope, NORIA_CAUSE_SHUTDOWN);
}

void noria_scope_begin_drain(struct scope *top, const struct task *who, const struct noria_site *where,
			     const char *reason)
{
	if (top->drained)
		return;
	top->drained = true;
	top->patience_end = NORIA_FOREVER;
	if (top->cause == NORIA_CAUSE_NONE)
		noria_scope_note(top, who, where, reason);
	for (struct scope *scope = top; scope; scope = noria_scope_next(scope, top, true)) {
		scope->draining = true;
		if (scope->idle)
			noria_scope_end_idle(scope);
	}
}

void noria_scope_lose_patience(struct scope *scope)
{
	snprintf(scope->record.reason, sizeof scope->record.reason, "the patience of its drain is spent");
	noria_scope_interrupt_noted(scope, NORIA_CAUSE_SHUTDOWN);
}

int noria_scope_drain_at(struct noria_scope *storage, int64_t patience_ns, const struct noria_site *site)
{
	struct scope *scope = scope_from_public(storage);
	struct loop *loop;
	int64_t now;

	int r = noria_scope_refuse_use(scope, "draining");

	if (r < 0)
		return r;
	if (scope->drained)
		return 0;
	loop = scope->task->loop;
	now = noria_loop_clock(loop);
	noria_scope_begin_drain(scope, loop->current, site, "drain");
	if (scope->cause != NORIA_CAUSE_NONE)
		return 0;
	if (patience_ns <= 0) {
		noria_scope_lose_patience(scope);
		return 0;
	}
	scope->patience_end = patience_ns < NORIA_FOREVER - now ? now + patience_ns : NORIA_FOREVER;
	noria_scope_arm_one(scope);
	return 0;
}
