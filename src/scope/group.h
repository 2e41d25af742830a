/* SPDX-License-Identifier: MIT */
/*
 * Groups: a scope with children. A group counts the children that live, keeps their failures, and its policy says what
 * a child's end means for the others. Children are made and ended in child.c, results are collected in collect.c.
 */
#ifndef NORIA_SCOPE_GROUP_H
#define NORIA_SCOPE_GROUP_H

#include "noria/group.h"
#include "scope/failure.h"
#include "scope/scope.h"
#include "scope/waiters.h"

#include <errno.h>
#include <stddef.h>

struct done;
struct release;

struct group {
	struct scope scope; /* first: noria_group_scope() */
	size_t live;        /* ordinary children, and places that were given to spawners */
	size_t services;
	struct wait *join; /* of the closing task, while it waits for children */
	bool closed;       /* the last ordinary child has ended under a close: no more can come */
	bool failed;       /* something failed that is more than a loser of a race */
	bool won;          /* race: `winner` is the result */
	enum noria_policy policy;
	int winner;
	int code; /* of the first failure; 0: none yet */
	unsigned children_max, failures_max;
	struct failures failures;
	struct waiters spawners;       /* wait for a place among children_max */
	struct release *releases;      /* the latest first */
	struct done *done, *done_last; /* collect: ended, not handed over */
	struct done *handed;           /* the one that was handed over last */
	struct wait *next;             /* of noria_group_next() */
	void (*dispose)(int result, void *arg);
	void *dispose_arg;
};

static inline struct group *group_from_public(const struct noria_group *group)
{
	return (struct group *)(uintptr_t)group;
}

/* A failure: a negative result, but for a cancellation that was asked for. */
static inline bool group_excuses(const struct scope *scope, int result)
{
	return result >= 0 || (result == -ECANCELED && (scope->cancelled || scope->draining));
}

/* `task`, a child, a service or the closing task itself, failed with `code`: keep it and cancel the others. */
void noria_group_fail(struct group *group, struct task *task, int code, const struct noria_site *spawn);
/* An ordinary child ended: what that means is the policy's to say. */
void noria_group_take_result(struct group *group, struct task *task, struct done *done);
/* Wait for the children and leave the group, which is innermost: what noria_group_close() returns. */
int noria_group_leave(struct group *group, struct task *task, int result, const struct noria_site *site);
/* The group was left by its function's return, or by its task's: cancel, wait, and report what nobody will see. */
void noria_group_abandon(struct group *group, struct task *task, const char *text);

/* Collecting: what became of one child, allocated when it is spawned. */
struct done *noria_done_new(void *arg);
void noria_done_free(struct done *done);
/* Put at the end of the group's list, and wake whoever waits for it. */
void noria_done_add(struct group *group, struct task *task, struct done *done, bool failed);
/* Whoever waits for a result shall look again. */
void noria_next_wake(struct group *group);
/* The group closes: failures that were not handed over are its own; free the rest. */
void noria_done_settle(struct group *group);

/* Run the release handlers of a group whose children have ended. */
void noria_releases_run(struct group *group, struct task *task);

#endif
