/* SPDX-License-Identifier: MIT */
/*
 * Failures, as they are kept. A task's current error is one record in the task's own object, so that an error can
 * always be noted, without memory. When the task ends with that error, or a group is closed with failures, the record
 * is copied to the heap as a node of the group's list; a node that finds no memory is reported to the failure handler
 * at once and counted as lost.
 */
#ifndef NORIA_SCOPE_FAILURE_H
#define NORIA_SCOPE_FAILURE_H

#include "noria/failure.h"
#include "task/loop.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

/* A node: in the list of a group, or among the causes of another node. Its strings and its path follow it. */
struct failure {
	struct noria_failure public;
	struct failure *prev;   /* the sibling before it */
	struct failure *parent; /* whose cause it is; NULL in a group's own list */
	const struct noria_site *path[];
};

/* The errno of a code, whatever its function returned. */
static inline int failure_errno(int code)
{
	return code == INT_MIN ? INT_MAX : -code;
}

static inline struct failure *failure_of(const struct noria_failure *public)
{
	return public ? container_of((uintptr_t) public, struct failure, public) : NULL;
}

static inline struct failure *failure_next(const struct failure *failure)
{
	return failure_of(failure->public.next);
}

static inline struct failure *failure_causes(const struct failure *failure)
{
	return failure_of(failure->public.causes);
}

/* In the order in which they happened. Zeroed: none. */
struct failures {
	struct failure *first, *last;
	size_t kept, lost;
};

/* A task's current error. */
struct error {
	int code;           /* 0: there is none */
	bool seen;          /* somebody has looked at its causes */
	unsigned length;    /* of the path */
	unsigned inner;     /* where in it the places of `frame` begin */
	size_t lost;        /* further places */
	const void *frame;  /* of the place that was added last: an error comes up the stack */
	const void *caller; /* where that frame returns to */
	int64_t time_ns;
	struct failures causes;
	const struct noria_site *path[NORIA_FAILURE_PATH_MAX];
	char text[NORIA_FAILURE_TEXT_MAX];
	struct noria_failure view; /* what noria_last_failure() gives */
};

/* What a new task starts with: the arrays need no clearing. */
static inline void error_init(struct error *error)
{
	error->code = 0;
	error->causes = (struct failures){0};
}

/* The record of a task, which its floor 3 object holds (group.h). */
struct error *noria_error_of(struct task *task);

/* The task's former error is over. Causes that nobody has looked at go to the failure handler. */
void noria_error_drop(struct task *task);
/* A new error begins. */
void noria_error_begin(struct task *task, int code);
/*
 * A call of the runtime answers `code`, an error with a story of its own: an older one of the same code is not its
 * story.
 */
void noria_error_arose(struct task *task, int code);
/* A group was closed with these, which are moved, and `code`: the task's new error. */
void noria_error_of_group(struct task *task, int code, struct failures *failures);
/* Another's error becomes the task's, who waited for that other: a child that it started, an offloaded call. */
void noria_error_take(struct task *task, struct error *from);
/* This thread, which runs no task, notes its errors here; NULL: no longer. */
void noria_error_lend(struct error *error);
/* A scope that was left has timed out: that is a new error of its task, which names the scope. */
void noria_error_timed_out(const struct scope *scope);

/*
 * Tell the failure handler that a task failed with `code`: where that is its current error, with its story, which is
 * over.
 */
void noria_error_report(struct task *task, int code, const char *text);
/* A few words on the error `code` of a task, valid until its next one. */
const char *noria_error_reason(struct task *task, int code);

/* Is there more to say of the task's error `code` than that number? */
bool noria_error_speaks(struct task *task, int code);

/* A failure of a task with nothing to tell but its code. */
struct noria_failure noria_failure_bare(const struct task *task, int code, const struct noria_site *spawn);
/* The error `code` of a task as a failure, for the time of a call. */
struct noria_failure noria_error_view(struct task *task, int code, const struct noria_site *spawn);

/* The same of a record that is not the task's current one. */
struct noria_failure noria_error_view_of(const struct task *task, const struct error *error, int code,
					 const struct noria_site *spawn);

/*
 * The error `code` of `task` becomes a node; where it was the task's current error, with its story. NULL when there is
 * no memory, and then the failure handler has heard of it.
 */
struct failure *noria_failure_new(struct task *task, int code, const struct noria_site *spawn);
/* Free a node and all beneath it. */
void noria_failure_free(struct failure *failure);
/* Keep a node (NULL: one that found no memory), or if `most` are kept, count it and free it. */
void noria_failures_add(struct failures *failures, struct failure *failure, size_t most);
/* Take a node out of its parent, or out of the list where it has none, and free it. */
void noria_failures_remove(struct failures *failures, struct failure *failure);
void noria_failures_free(struct failures *failures);

/* Tell the failure handler of something no caller will see. `text` says what. */
void noria_report(struct loop *loop, const struct noria_failure *failure, const char *text);
/* As it is told where there is no handler. Returns its length; what does not fit is left out. */
size_t noria_report_print(const struct noria_failure *failure, const char *text, char *buffer, size_t size);
/* That, to standard error. */
void noria_report_write(const struct noria_failure *failure, const char *text);

#endif
