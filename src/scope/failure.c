/* SPDX-License-Identifier: MIT */
/*
 * The life of an error: it begins, comes up the stack by noria_try(), is taken over by a group or handled. The path is an
 * error return trace as Zig has it. A place belongs to the current error if the code is the same and its frame lies further
 * up than that of the place before; otherwise a new error begins there.
 */
#include "scope/failure.h"

#include "base/assert.h"
#include "base/message.h"
#include "scope/scope.h"

#include <errno.h>
#include <stdarg.h>
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

static struct noria_failure view_of(const struct task *task, const struct error *error, int code,
				    const struct noria_site *spawn)
{
	struct noria_failure view = noria_failure_bare(task, code, spawn);

	if (error->code != code)
		return view;
	view.time_ns = error->time_ns;
	view.text = error->text;
	view.path = error->path;
	view.path_length = error->length;
	view.path_lost = error->lost;
	view.causes = error->causes.first ? &error->causes.first->public : NULL;
	view.causes_lost = error->causes.lost;
	return view;
}

struct noria_failure noria_error_view(struct task *task, int code, const struct noria_site *spawn)
{
	return view_of(task, noria_error_of(task), code, spawn);
}

void noria_error_begin(struct task *task, int code)
{
	struct error *error = noria_error_of(task);

	noria_error_drop(task);
	error->code = code;
	error->seen = false;
	error->length = 0;
	error->lost = 0;
	error->frame = NULL;
	error->time_ns = noria_loop_clock(task->loop);
	error->text[0] = '\0';
}

void noria_error_arose(struct task *task, int code)
{
	if (noria_error_of(task)->code == code)
		noria_error_drop(task);
}

/*
 * A single cause without causes of its own is told by its code, which somebody got; but at the end of a run, when clean-up
 * code is bound to ignore what it gets, it is told all the same.
 */
static bool has_unseen(const struct task *task, const struct error *error)
{
	const struct failure *first = error->causes.first;

	if (error->code == 0 || error->seen)
		return false;
	return error->causes.kept + error->causes.lost > 1 ||
	       (first && (first->public.causes || task->outermost->draining));
}

/* The record is out of the way of what the handler may do; what the handler is shown stays as it is. */
static void report_and_drop(struct task *task, const char *text)
{
	struct error kept = *noria_error_of(task);
	struct noria_failure view = view_of(task, &kept, kept.code, task->site);

	error_init(noria_error_of(task));
	noria_report(task->loop, &view, text);
	noria_failures_free(&kept.causes);
	noria_error_drop(task);
}

void noria_error_drop(struct task *task)
{
	struct error *error = noria_error_of(task);

	if (unlikely(has_unseen(task, error))) {
		report_and_drop(task, "failures of a group whose error was handled without a look at them");
		return;
	}
	noria_failures_free(&error->causes);
	error->code = 0;
}

void noria_error_report(struct task *task, int code, const char *text)
{
	struct noria_failure bare;

	if (noria_error_of(task)->code == code) {
		report_and_drop(task, text);
		return;
	}
	bare = noria_failure_bare(task, code, task->site);
	noria_report(task->loop, &bare, text);
}

void noria_error_of_group(struct task *task, int code, struct failures *failures)
{
	struct error *error = noria_error_of(task);

	noria_error_begin(task, code);
	error->causes = *failures;
	*failures = (struct failures){0};
}

void noria_error_move(struct task *from, struct task *to)
{
	struct error *source = noria_error_of(from), *target = noria_error_of(to);

	noria_error_drop(to);
	*target = *source;
	target->frame = NULL;
	error_init(source);
}

const char *noria_error_reason(struct task *task, int code)
{
	const struct error *error = noria_error_of(task);
	const char *description = strerrordesc_np(failure_errno(code));

	if (error->code == code && error->text[0])
		return error->text;
	return description ? description : "an unknown error";
}

bool noria_error_speaks(struct task *task, int code)
{
	const struct error *error = noria_error_of(task);

	return error->code == code && code != 0 && (error->text[0] || error->length > 0 || error->causes.first);
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
	struct failure *failure = malloc(sizeof *failure + path + name + text);
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

int noria_fail_at(int code, const struct noria_site *site, const char *format, ...)
{
	struct task *task = noria_loop ? noria_loop->current : NULL;
	char text[NORIA_FAILURE_TEXT_MAX];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof text, format ? format : "?", arguments);
	va_end(arguments);
	if (!task)
		return noria_refuse(code < 0 ? code : -EINVAL, "%s", text);
	noria_error_begin(task, code < 0 ? code : -EINVAL);
	struct error *error = noria_error_of(task);

	if (code < 0)
		memcpy(error->text, text, sizeof text);
	else
		snprintf(error->text, sizeof error->text, "%.*s (noria_fail() with %d, which is no negative errno)",
			 NORIA_FAILURE_TEXT_MAX - 64, text, code);
	error->path[error->length++] = site;
	return error->code;
}

/*
 * Code that was inlined shares the frame of the function that it was inlined into; so does a later call, which returns to
 * another place, and a later round of a loop, which comes by the same functions.
 */
static bool comes_from_below(const struct error *error, const struct noria_site *site, const void *frame,
			     const void *caller)
{
	if (!error->frame)
		return true;
	if (frame != error->frame)
		return (uintptr_t)frame > (uintptr_t)error->frame;
	for (unsigned i = error->inner; i < error->length; i++)
		if (strcmp(error->path[i]->function, site->function) == 0)
			return false;
	return caller == error->caller;
}

int noria_tried_at(int code, const struct noria_site *site, const void *frame, const void *caller)
{
	struct task *task = noria_loop ? noria_loop->current : NULL;
	struct error *error;

	if (!task)
		return code;
	error = noria_error_of(task);
	if (error->code != code || !comes_from_below(error, site, frame, caller))
		noria_error_begin(task, code);
	if (error->frame != frame)
		error->inner = error->length;
	error->frame = frame;
	error->caller = caller;
	if (error->length < NORIA_FAILURE_PATH_MAX)
		error->path[error->length++] = site;
	else
		error->lost++;
	return code;
}

const struct noria_failure *noria_last_failure(void)
{
	struct task *task = noria_current();
	struct error *error = task ? noria_error_of(task) : NULL;

	if (!error || error->code == 0)
		return NULL;
	error->seen = true;
	error->view = noria_error_view(task, error->code, task->site);
	return &error->view;
}

/* The failure's tree follows its line. */
static void write_line(const struct noria_failure *failure, const char *text)
{
	char line[4096];
	size_t length = (size_t)snprintf(line, sizeof line, "noria: %s: ", text);

	if (length < sizeof line)
		length += noria_failure_print(failure, line + length, sizeof line - length);
	if (length >= sizeof line)
		length = sizeof line - 1;
	if (write(STDERR_FILENO, line, length) < 0)
		return; /* nowhere left to say it */
}

void noria_report(struct loop *loop, const struct noria_failure *failure, const char *text)
{
	if (loop->config.on_failure)
		loop->config.on_failure(failure, text, loop->config.on_failure_arg);
	else
		write_line(failure, text);
}
