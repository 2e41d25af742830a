/* SPDX-License-Identifier: MIT */
/*
 * Picking failures out of a tree by their code. A node with causes stands for them: it is never picked itself, and
 * leaves the tree with the last of them, unless some were counted only and nobody can know what they were.
 */
#include "scope/failure.h"

#include <errno.h>

/* In the order in which a tree is read. */
static struct failure *next_in_tree(struct failure *failure)
{
	if (failure->public.causes)
		return failure_causes(failure);
	while (failure && !failure->public.next)
		failure = failure->parent;
	return failure ? failure_next(failure) : NULL;
}

static bool stands_alone(const struct failure *failure)
{
	return !failure->public.causes && failure->public.causes_lost == 0;
}

/* And the nodes above it of which nothing remains; those that remain bear the code of their first cause, as ever. */
static void take_out(struct failures *failures, struct failure *failure)
{
	do {
		struct failure *parent = failure->parent;

		noria_failures_remove(failures, failure);
		failure = parent;
	} while (failure && stands_alone(failure));
	for (; failure && failure->public.causes; failure = failure->parent)
		failure->public.code = failure->public.causes->code;
}

static void pick(struct failures *failures, int code, void (*handle)(const struct noria_failure *, void *), void *arg)
{
	for (struct failure *failure = failures->first; failure;) {
		struct failure *next = next_in_tree(failure);

		if (stands_alone(failure) && (code == 0 || failure->public.code == code)) {
			if (handle)
				handle(&failure->public, arg);
			take_out(failures, failure);
		}
		failure = next;
	}
}

/* An error without a tree is a failure by itself. Its story is out of the way of what `handle` may do. */
static int pick_alone(struct task *task, int result, int code, void (*handle)(const struct noria_failure *, void *),
		      void *arg)
{
	struct error story = {.code = 0};
	struct noria_failure view;

	if (code != 0 && code != result)
		return result;
	if (noria_error_of(task)->code == result) {
		story = *noria_error_of(task);
		error_init(noria_error_of(task));
	}
	view = noria_error_view_of(task, &story, result, task->site);
	if (handle)
		handle(&view, arg);
	return 0;
}

int noria_failure_pick(int result, int code, void (*handle)(const struct noria_failure *failure, void *arg), void *arg)
{
	struct task *task;
	struct error *error;
	struct failures failures;
	int rest = 0;

	if (result >= 0)
		return result;
	task = noria_current();
	if (!task)
		return -ENXIO;
	error = noria_error_of(task);
	if (error->code != result || (!error->causes.first && error->causes.lost == 0))
		return pick_alone(task, result, code, handle, arg);
	failures = error->causes; /* out of the way of what `handle` may do */
	error_init(error);
	pick(&failures, code, handle, arg);
	if (failures.first)
		rest = failures.first->public.code;
	else if (failures.lost > 0)
		rest = result;
	if (rest < 0) {
		noria_error_of_group(task, rest, &failures);
		noria_error_of(task)->seen = true;
	}
	return rest;
}
