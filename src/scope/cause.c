/* SPDX-License-Identifier: MIT */
/*
 * Causes: why a scope was cancelled. The first one stays. What there is to know about whoever did it is copied, because
 * that task may have ended, and its name with it, when somebody asks.
 */
#include "scope/scope.h"

#include <stdio.h>
#include <string.h>

static void copy(char *to, size_t size, const char *from)
{
	size_t length = from ? strnlen(from, size - 1) : 0;

	memcpy(to, from ? from : "", length);
	to[length] = '\0';
}

void noria_scope_note(struct scope *scope, const struct task *who, const struct noria_site *where, const char *reason)
{
	struct scope_record *record = &scope->record;

	record->where = where;
	record->task_id = who ? who->id : 0;
	copy(record->task, sizeof record->task, who ? who->name : NULL);
	copy(record->reason, sizeof record->reason, reason);
}

const struct scope *noria_scope_culprit(const struct task *task)
{
	const struct scope *culprit = NULL;

	if (!task->scope->cancelled)
		return NULL;
	for (const struct scope *scope = task->scope; scope; scope = scope_hides(scope) ? NULL : scope->parent)
		if (scope->cause != NORIA_CAUSE_NONE)
			culprit = scope;
	return culprit;
}

static void fill(const struct scope *scope, struct noria_cause *cause)
{
	*cause = (struct noria_cause){.kind = (enum noria_cause_kind)scope->cause,
				      .scope = scope->site,
				      .where = scope->record.where,
				      .task_id = scope->record.task_id};
	copy(cause->task, sizeof cause->task, scope->record.task);
	copy(cause->reason, sizeof cause->reason, scope->record.reason);
}

enum noria_cause_kind noria_scope_cause(const struct noria_scope *storage, struct noria_cause *ret_cause)
{
	const struct scope *scope = scope_from_public(storage);

	if (ret_cause && scope->cause != NORIA_CAUSE_NONE)
		fill(scope, ret_cause);
	return (enum noria_cause_kind)scope->cause;
}

enum noria_cause_kind noria_task_cause(struct noria_cause *ret_cause)
{
	const struct task *task = noria_loop ? noria_loop->current : NULL;
	const struct scope *scope = task ? noria_scope_culprit(task) : NULL;

	if (!scope)
		return NORIA_CAUSE_NONE;
	if (ret_cause)
		fill(scope, ret_cause);
	return (enum noria_cause_kind)scope->cause;
}

static const char *in_words(const struct scope *scope)
{
	static const char *const words[] = {
		[NORIA_CAUSE_NONE] = "not at all",          [NORIA_CAUSE_EXPLICIT] = "on request",
		[NORIA_CAUSE_DEADLINE] = "by its deadline", [NORIA_CAUSE_SIBLING] = "for a failure",
		[NORIA_CAUSE_SHUTDOWN] = "for shutdown",    [NORIA_CAUSE_DECIDED] = "as no longer needed",
		[NORIA_CAUSE_DEADLOCK] = "for a deadlock",
	};

	return words[scope->cause];
}

void noria_scope_explain(const struct scope *scope, char *text, size_t size)
{
	const struct scope_record *record = &scope->record;
	const struct noria_site *where = scope->cause == NORIA_CAUSE_DEADLINE ? NULL : record->where;
	char who[64] = "", place[256] = "";

	if (record->task_id)
		snprintf(who, sizeof who, " by task %s #%llu", record->task, (unsigned long long)record->task_id);
	if (where)
		snprintf(place, sizeof place, " at %s:%d", where->file, where->line);
	snprintf(text, size, "%s%s%s%s%s", in_words(scope), who, place, record->reason[0] ? ": " : "", record->reason);
}
