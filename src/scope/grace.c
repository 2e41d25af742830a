/* SPDX-License-Identifier: MIT */
/*
 * Grace: how long soft shields hold. It begins when a scope is cancelled by itself, and its end is one point in time
 * for everything beneath: whoever cleans up draws on it, and what is left when it passes is cancelled behind soft
 * shields as well. Behind a hard shield, which has a deadline, nothing of this is seen.
 *
 * A task behind a soft shield waits without a look at the deadlines outside, and so would not learn that one of them
 * has passed and a grace has begun. Hence a shield that goes up puts these deadlines onto the heap, if there is a grace
 * to end.
 */
#include "base/message.h"
#include "scope/scope.h"

#include <errno.h>

static int64_t after(struct loop *loop, int64_t duration_ns)
{
	int64_t now = noria_loop_clock(loop);

	return duration_ns < NORIA_FOREVER - now ? now + duration_ns : NORIA_FOREVER;
}

void noria_scope_begin_grace(struct scope *scope)
{
	scope->grace_end = NORIA_FOREVER;
	if (scope->grace == NORIA_FOREVER)
		return;
	scope->grace_end = after(scope->task->loop, scope->grace);
	if (scope->grace > 0)
		noria_scope_arm_one(scope);
	else
		noria_scope_pierce(scope);
}

static void arm_if_grace_will_end(struct scope *scope)
{
	if (scope->grace != NORIA_FOREVER && scope->cause == NORIA_CAUSE_NONE && !timer_armed(&scope->timer))
		noria_scope_arm_one(scope);
}

void noria_scope_arm_hidden(struct scope *shield)
{
	for (struct scope *scope = shield; !scope->hard && scope->parent;) {
		scope = scope->parent;
		arm_if_grace_will_end(scope);
	}
}

/* Scopes inside have the new grace too, unless they have their own. */
static void set_grace(struct scope *top, int64_t grace_ns)
{
	bool descend = true;

	for (struct scope *scope = top; scope; scope = noria_scope_next(scope, top, descend)) {
		descend = scope == top || !scope->own_grace;
		if (!descend)
			continue;
		scope->grace = grace_ns;
		arm_if_grace_will_end(scope);
	}
}

int noria_scope_set_grace(struct noria_scope *storage, int64_t grace_ns)
{
	struct scope *scope = scope_from_public(storage);

	int r = noria_scope_refuse_use(scope, "setting the grace");

	if (r < 0)
		return r;
	if (grace_ns < 0)
		return noria_refuse(-EINVAL, "setting a negative grace for the %s of %s:%d", scope->site->what,
				    scope->site->file, scope->site->line);
	if (scope->cause != NORIA_CAUSE_NONE)
		return noria_refuse(-EBUSY, "setting the grace of the %s of %s:%d, which has been cancelled",
				    scope->site->what, scope->site->file, scope->site->line);
	scope->own_grace = true;
	set_grace(scope, grace_ns);
	return 0;
}

int64_t noria_grace(void)
{
	struct task *task = noria_current();
	int64_t end = NORIA_FOREVER;

	if (!task)
		return -ENXIO;
	for (const struct scope *scope = task->scope; scope; scope = scope->hard ? NULL : scope->parent)
		if (scope->cause != NORIA_CAUSE_NONE && scope->grace_end < end)
			end = scope->grace_end;
	return end;
}
