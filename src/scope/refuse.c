/* SPDX-License-Identifier: MIT */
/*
 * Scopes used wrongly: each misuse is refused with a message that names the places concerned and the remedy, and
 * changes nothing. Where the tree has been overwritten already there is nothing to go back to, and the process ends.
 */
#include "base/memcheck.h"
#include "base/message.h"
#include "scope/scope.h"

#include <errno.h>

bool noria_checks = NORIA_CHECKS;

int noria_scope_refuse_open(const struct scope *scope, const struct task *task, const struct noria_site *site)
{
	if (unlikely(!scope_is_open(task->scope)))
		noria_scope_lost(task);
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
		     "a function of task %s (spawned at %s:%d) returned and left a scope, a group, a stream or a "
		     "locked mutex behind that lay in its frame",
		     task->name, task->site->file, task->site->line);
	noria_assert_failed(noria_message(), __FILE__, __LINE__);
}

int noria_scope_refuse_use(const struct scope *scope, const char *doing)
{
	(void)VALGRIND_MAKE_MEM_DEFINED(&scope->magic, sizeof scope->magic);
	if (unlikely(!noria_loop))
		return noria_refuse(-EINVAL,
				    "%s of a scope on a thread without a runtime. Remedy: call on the thread of its "
				    "runtime; a promise can tell a task there from any thread",
				    doing);
	if (unlikely(!scope_is_open(scope)))
		return scope_was_closed(scope)
			       ? noria_refuse(-EINVAL, "%s of the %s of %s:%d, which was closed at %s:%d", doing,
					      scope->site->what, scope->site->file, scope->site->line,
					      scope->closed->file, scope->closed->line)
			       : noria_refuse(-EINVAL, "%s of a scope that is not open", doing);
	if (unlikely(scope->task->loop != noria_loop))
		return noria_refuse(-EINVAL, "%s of the %s of %s:%d, which is another thread's runtime's", doing,
				    scope->site->what, scope->site->file, scope->site->line);
	return 0;
}

static int refuse_not_open(const struct scope *scope, const struct task *task, const struct noria_site *site)
{
	const struct noria_site *innermost = task->scope->site;

	if (scope_was_closed(scope))
		return noria_refuse(-EINVAL, "task %s closes at %s:%d the %s of %s:%d, which was closed at %s:%d",
				    task->name, site->file, site->line, scope->site->what, scope->site->file,
				    scope->site->line, scope->closed->file, scope->closed->line);
	return noria_refuse(
		-EINVAL,
		"task %s closes at %s:%d a scope that was never opened; its innermost open one is the %s of "
		"%s:%d",
		task->name, site->file, site->line, innermost->what, innermost->file, innermost->line);
}

int noria_scope_refuse_close(const struct scope *scope, const struct task *task, const struct noria_site *site)
{
	const struct scope *innermost = task->scope;

	(void)VALGRIND_MAKE_MEM_DEFINED(&scope->magic, sizeof scope->magic);
	if (likely(scope == innermost && scope_is_open(scope)))
		return 0;
	if (!scope_is_open(innermost))
		noria_scope_lost(task);
	if (!scope_is_open(scope))
		return refuse_not_open(scope, task, site);
	if (scope->task != task)
		return noria_refuse(-EINVAL,
				    "task %s (spawned at %s:%d) closes at %s:%d the %s that task %s opened at %s:%d. "
				    "Remedy: the task that opens a scope closes it",
				    task->name, task->site->file, task->site->line, site->file, site->line,
				    scope->site->what, scope->task->name, scope->site->file, scope->site->line);
	return noria_refuse(-EINVAL,
			    "closing at %s:%d the %s of %s:%d while the %s of %s:%d, opened inside it, is open. "
			    "Remedy: close in reverse order",
			    site->file, site->line, scope->site->what, scope->site->file, scope->site->line,
			    innermost->site->what, innermost->site->file, innermost->site->line);
}

int noria_scope_refuse_unbounded(const struct task *task)
{
	const struct scope *shield = task->scope;

	while (!shield->shield)
		shield = shield->parent;
	return noria_refuse(
		-EINVAL,
		"task %s (spawned at %s:%d) waits behind the %s of %s:%d (%s), a shield without a deadline: "
		"cancelled, it might never end. Remedy: give the shield a deadline, as in "
		"noria_shielded(noria_sec(5), ...), or what is waited for inside it",
		task->name, task->site->file, task->site->line, shield->site->what, shield->site->file,
		shield->site->line, shield->site->function);
}

int noria_scope_refuse_hard(int64_t deadline_ns, const struct noria_site *site)
{
	if (deadline_ns != NORIA_FOREVER)
		return 0;
	return noria_refuse(-EINVAL,
			    "the %s at %s:%d (%s) is a hard shield without a deadline: nothing could end what runs "
			    "inside. Remedy: give it one, or make it a soft one, which holds until the grace is spent",
			    site->what, site->file, site->line, site->function);
}
