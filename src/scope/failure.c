/* SPDX-License-Identifier: MIT */
/*
 * Failures as they are kept: nodes on the heap, in lists, as trees; and the failure handler. Nothing here recurses: a
 * tree may be deeper than a task's stack.
 */
#include "scope/failure.h"

#include "base/assert.h"
#include "base/memory.h"
#include "scope/leftover.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct noria_failure noria_failure_bare(const struct task *task, int code, const struct noria_site *spawn)
{
	return (struct noria_failure){.code = code,
				      .time_ns = noria_loop_clock(task->loop),
				      .task_id = task->id,
				      .task = task->name,
				      .spawn = spawn,
				      .text = ""};
}

/* Takes the causes of an error along. */
static void adopt(struct failure *failure, struct error *error)
{
	for (struct failure *cause = error->causes.first; cause; cause = failure_next(cause))
		cause->parent = failure;
	error_init(error);
}

static char *put(char *at, const char **ret_string, const char *string, size_t size)
{
	memcpy(at, string, size);
	*ret_string = at;
	return at + size;
}

struct failure *noria_failure_new(struct task *task, int code, const struct noria_site *spawn)
{
	struct error *error = noria_error_of(task);
	struct noria_failure view = noria_error_view(task, code, spawn);
	size_t path = view.path_length * sizeof view.path[0];
	size_t name = strlen(view.task) + 1, text = strlen(view.text) + 1;
	struct failure *failure = memory_new(sizeof *failure + path + name + text);
	char *at;

	if (unlikely(!failure)) {
		noria_error_report(task, code, "a failure for which the group has no memory");
		return NULL;
	}
	failure->public = view;
	failure->parent = NULL;
	failure->public.path = failure->path;
	if (path > 0)
		memcpy(failure->path, view.path, path);
	at = (char *)failure->path + path;
	at = put(at, &failure->public.task, view.task, name);
	put(at, &failure->public.text, view.text, text);
	if (error->code == code)
		adopt(failure, error);
	return failure;
}

/* The causes of a node come before its next sibling on the list of what is still to be freed: no recursion. */
void noria_failure_free(struct failure *failure)
{
	failure->public.next = NULL;
	while (failure) {
		struct failure *next = failure_next(failure), *cause = failure_causes(failure);

		if (cause) {
			struct failure *last = cause;

			while (last->public.next)
				last = failure_next(last);
			last->public.next = next ? &next->public : NULL;
			next = cause;
		}
		free(failure);
		failure = next;
	}
}

void noria_failures_add(struct failures *failures, struct failure *failure, size_t most)
{
	if (!failure || failures->kept >= most) {
		failures->lost++;
		if (failure)
			noria_failure_free(failure);
		return;
	}
	failure->public.next = NULL;
	failure->prev = failures->last;
	if (failures->last)
		failures->last->public.next = &failure->public;
	else
		failures->first = failure;
	failures->last = failure;
	failures->kept++;
}

void noria_failures_remove(struct failures *failures, struct failure *failure)
{
	struct failure *next = failure_next(failure);

	if (failure->prev)
		failure->prev->public.next = failure->public.next;
	else if (failure->parent)
		failure->parent->public.causes = failure->public.next;
	else
		failures->first = next;
	if (next)
		next->prev = failure->prev;
	else if (!failure->parent)
		failures->last = failure->prev;
	failures->kept -= !failure->parent;
	noria_failure_free(failure);
}

void noria_failures_free(struct failures *failures)
{
	for (struct failure *failure = failures->first; failure;) {
		struct failure *next = failure_next(failure);

		noria_failure_free(failure);
		failure = next;
	}
	*failures = (struct failures){0};
}

/* A text of one line comes before the failure, whose tree may follow; one of several lines comes after it. */
size_t noria_report_print(const struct noria_failure *failure, const char *text, char *buffer, size_t size)
{
	bool lines = strchr(text, '\n');
	size_t length = (size_t)snprintf(buffer, size, "%s%s", lines ? "" : text, lines ? "" : ": ");

	if (length < size)
		length += noria_failure_print(failure, buffer + length, size - length);
	if (lines && length < size)
		length += (size_t)snprintf(buffer + length, size - length, "%s\n", text);
	return length < size ? length : size - 1;
}

void noria_report_write(const struct noria_failure *failure, const char *text)
{
	static __thread char report[4096] = "noria: "; /* task stacks are small, and nothing parks here */
	size_t length = strlen("noria: ");

	length += noria_report_print(failure, text, report + length, sizeof report - length);
	if (write(STDERR_FILENO, report, length) < 0)
		return; /* nowhere left to say it */
}

/* The handler's own mishaps are written: it cannot be asked about itself. */
void noria_report(struct loop *loop, const struct noria_failure *failure, const char *text)
{
	struct task *task = loop->current;
	const struct scope *scope = task ? task->scope : NULL;

	if (!loop->config.on_failure || loop->reporting) {
		noria_report_write(failure, text);
		return;
	}
	loop->reporting = true;
	loop->config.on_failure(failure, text, loop->config.on_failure_arg);
	if (task && task->scope != scope && !noria_scopes_close_inside(task, scope))
		noria_scope_lost(task);
	loop->reporting = false;
}
