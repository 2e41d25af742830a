/* SPDX-License-Identifier: MIT */
/*
 * Failures: an error with its story. A negative errno says what happened; the failure beside it says in which task,
 * with what message, by which path it came up, and of which other failures it consists.
 *
 * A task's current error is one record. It is begun by noria_fail(), by the first noria_try() that carries a code
 * upward, and by a group that closes with failures, which become its causes, so that nested groups become a tree. It is
 * carried upward by noria_try(), and taken over by the task's group when the task returns that code. It stays, also
 * while clean-up code meets errors of other kinds, until another one is begun, or a call of noria answers the same code
 * afresh; then it counts as handled. If it had several causes, or nested ones, that nobody has looked at, the failure
 * handler of run.h hears of them first; while the runtime drains, of a single one too. All functions belong to the
 * runtime's thread. All since 0.2.
 */
#ifndef NORIA_FAILURE_H
#define NORIA_FAILURE_H

#include <noria/base.h>

NORIA_BEGIN_DECLS

/* The most that is kept of a message, in bytes with the final zero, and of a path, in places. */
enum { NORIA_FAILURE_TEXT_MAX = 192, NORIA_FAILURE_PATH_MAX = 16 };

/* Read it; it is noria's, and valid for as long as the function that gives it says. */
struct noria_failure {
	int code;                       /* negative errno */
	int64_t time_ns;                /* when it happened, on the clock of noria_now() */
	uint64_t task_id;               /* the task in which it happened */
	const char *task;               /* its name */
	const struct noria_site *spawn; /* where that was spawned; for a group's body, where the group was opened */
	const char *text;               /* of noria_fail(); "" without one */
	const struct noria_site *const *path; /* places of noria_fail() and noria_try(), the innermost first */
	size_t path_length, path_lost;        /* places kept, and further ones that found no room */
	const struct noria_failure *causes; /* of a group's error: its failures, in the order in which they happened */
	size_t causes_lost;                 /* further ones, counted only */
	const struct noria_failure *next;   /* the next one in such a list */
};

/*
 * noria_fail - begin an error: `return noria_fail(-EPROTO, "header of %zu bytes", size);`
 * @code: a negative errno; anything else becomes -EINVAL, and the message says so
 * @format: as for printf; cut off at NORIA_FAILURE_TEXT_MAX
 *
 * The message, the place and the calling task go with the code for as long as noria_try() and returns carry it upward.
 * Returns: `code`. Outside a task it only returns, and noria_message() has the text. Not a checkpoint.
 */
#define noria_fail(code, ...) noria_fail_at((code), NORIA_SITE("fail"), __VA_ARGS__)
NORIA_PUBLIC int noria_fail_at(int code, const struct noria_site *site, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * noria_last_failure - the calling task's current error, with its path and its causes: after noria_group_close() to see
 * the group's failures, and where an error that came by noria_fail() and noria_try() is handled.
 * Returns: the failure, valid until the task's next error begins, or it ends; NULL when there is none. Looking counts
 * as having seen the causes. Not a checkpoint.
 */
NORIA_PUBLIC const struct noria_failure *noria_last_failure(void);

/*
 * noria_failure_pick - handle the failures of one code, and give the others upward: what `except*` does elsewhere.
 * @result: what the call has just answered
 * @code: the code to pick out, or 0 for every code
 * @handle: called for each failure of that code, in order, those inside nested groups included, and each with its own
 *          causes gone; NULL: only take them out
 * @arg: for `handle`
 *
 * The picked ones leave the tree, and a nested group of which nothing remains leaves it too; one of which something
 * remains bears the code of the first that does. A `result` that has no tree is
 * a failure by itself. Returns: the code of the first failure that remains (which is now the current error's code); 0
 * when nothing does; `result` when it is >= 0. Not a checkpoint.
 *
 *     int r = noria_grouped(&group, crawl(&group));
 *     r = noria_failure_pick(r, -ECONNRESET, count_reset, &resets);
 *     return noria_failure_pick(r, -ETIMEDOUT, retry_later, &queue);
 */
NORIA_PUBLIC NORIA_CHECKED int
noria_failure_pick(int result, int code, void (*handle)(const struct noria_failure *failure, void *arg), void *arg);

/*
 * noria_failure_print - a failure as a text for people: a line for each failure, indented as a tree, with its path.
 * noria_failure_json - the same for machines: one JSON object, nested by "causes".
 * Both write at most `size` bytes with the final zero, as snprintf does, and return the length of the whole text, so
 * that a second call with enough room gives all of it. Any thread, while the failure is valid. Not checkpoints.
 */
NORIA_PUBLIC size_t noria_failure_print(const struct noria_failure *failure, char *buffer, size_t size);
NORIA_PUBLIC size_t noria_failure_json(const struct noria_failure *failure, char *buffer, size_t size);

NORIA_END_DECLS
#endif
