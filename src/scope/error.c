/* SPDX-License-Identifier: MIT */
/*
 * The life of an error: it begins, comes up the stack by noria_try(), is taken over by a group or handled. The path is
 * an error return trace as Zig has it. A place belongs to the current error if the code is the same and its frame lies
 * further up than that of the place before; otherwise a new error begins there.
 */
#include "scope/failure.h"

#include "base/assert.h"
#include "base/message.h"
#include "scope/scope.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Where a thread that runs an offloaded call notes its errors: in the frame of the caller, who waits. */
static __thread struct error *lent;

struct noria_failure noria_error_view_of(const struct task *task, const struct error *error, int code,
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
	return noria_error_view_of(task, noria_error_of(task), code, spawn);
}

static void begin(struct error *error, int code)
{
	error->code = code;
	error->seen = false;
	error->length = 0;
	error->lost = 0;
	error->frame = NULL;
	error->text[0] = '\0';
}

void noria_error_begin(struct task *task, int code)
{
	struct error *error = noria_error_of(task);

	noria_error_drop(task);
	begin(error, code);
	error->time_ns = noria_loop_clock(task->loop);
}

void noria_error_arose(struct task *task, int code)
{
	if (noria_error_of(task)->code == code)
		noria_error_drop(task);
}

/*
 * A single cause without causes of its own is told by its code, which somebody got; but at the end of a run, when
 * clean-up code is bound to ignore what it gets, it is told all the same.
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
	struct noria_failure view = noria_error_view_of(task, &kept, kept.code, task->site);

	error_init(noria_error_of(task));
	noria_report(task->loop, &view, text);
	noria_failures_free(&kept.causes);
	noria_failures_free(&noria_error_of(task)->causes); /* what the handler left is not reported in its turn */
	noria_error_of(task)->code = 0;
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

void noria_error_take(struct task *task, struct error *from)
{
	struct error *error = noria_error_of(task);

	noria_error_drop(task);
	*error = *from;
	error->frame = NULL;
	error->time_ns = noria_loop_clock(task->loop);
	error_init(from);
}

void noria_error_lend(struct error *error)
{
	lent = error;
}

void noria_error_timed_out(const struct scope *scope)
{
	struct task *task = scope->task;
	struct error *error = noria_error_of(task);

	noria_error_begin(task, -ETIMEDOUT);
	snprintf(error->text, sizeof error->text, "its deadline passed (%s)", scope->site->what);
	error->path[error->length++] = scope->site;
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

/* The record of the running task, or of the offloaded call; NULL elsewhere. */
static struct error *current_error(void)
{
	return noria_loop && noria_loop->current ? noria_error_of(noria_loop->current) : lent;
}

static void begin_here(struct error *error, int code)
{
	if (error == lent)
		begin(error, code);
	else
		noria_error_begin(noria_loop->current, code);
}

int noria_fail_at(int code, const struct noria_site *site, const char *format, ...)
{
	struct error *error = current_error();
	char text[NORIA_FAILURE_TEXT_MAX];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof text, format ? format : "?", arguments);
	va_end(arguments);
	if (!error)
		return noria_refuse(code < 0 ? code : -EINVAL, "%s", text);
	begin_here(error, code < 0 ? code : -EINVAL);
	if (code < 0)
		memcpy(error->text, text, sizeof text);
	else
		snprintf(error->text, sizeof error->text, "%.*s (noria_fail() with %d, which is no negative errno)",
			 NORIA_FAILURE_TEXT_MAX - 64, text, code);
	error->path[error->length++] = site;
	return error->code;
}

/*
 * Code that was inlined shares the frame of the function that it was inlined into; so does a later call, which returns
 * to another place, and a later round of a loop, which comes by the same functions.
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

/* noria_try() around the very noria_fail(), or around the scope whose deadline passed: that place has been noted. */
static bool began_here(const struct error *error, const struct noria_site *site)
{
	const struct noria_site *last = !error->frame && error->length > 0 ? error->path[error->length - 1] : NULL;

	return last && last->line == site->line && strcmp(last->function, site->function) == 0 &&
	       strcmp(last->file, site->file) == 0;
}

int noria_tried_at(int code, const struct noria_site *site, const void *frame, const void *caller)
{
	struct error *error = current_error();
	bool noted;

	if (!error)
		return code;
	if (error->code != code || !comes_from_below(error, site, frame, caller))
		begin_here(error, code);
	noted = began_here(error, site);
	if (error->frame != frame)
		error->inner = error->length - noted;
	error->frame = frame;
	error->caller = caller;
	if (noted)
		return code;
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
