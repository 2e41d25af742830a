/* SPDX-License-Identifier: MIT */
/*
 * Children: a task with its root scope, which hangs in its group's scope. How they are made, told that they are wanted
 * no more, and how they end.
 */
#ifndef NORIA_SCOPE_CHILD_H
#define NORIA_SCOPE_CHILD_H

#include "scope/failure.h"
#include "scope/group.h"
#include "scope/scope.h"

struct done;
struct start;

/* The inside of struct noria_child. */
struct handle {
	uint64_t magic;      /* spawned: HANDLE_MAGIC of this address */
	struct child *child; /* NULL once it has ended */
	struct waiters waiters;
	const struct noria_site *spawn;
	int result;
};

struct child {
	struct task task; /* first: the layer below allocates around it */
	struct scope root;
	struct group *group; /* NULL: the root task of the runtime */
	struct handle *handle;
	struct start *start; /* until it is ready: who waits for that */
	struct done *done;   /* collect: what becomes of it */
	bool service;
	bool had_start; /* it was started by noria_start() */
	struct error error;
};

static inline struct child *child_of(struct task *task)
{
	return container_of(task, struct child, task);
}

/* Make the root task of a runtime; its scope is the root of the tree. It is not started. */
int noria_root_new(struct loop *loop, noria_task_fn *fn, void *arg, const struct noria_site *site,
		   void (*on_end)(struct task *), struct child **ret_child);

/* Service children are needed no more. */
void noria_services_cancel(struct group *group);

/* What a spawn is to make. */
struct spawn_spec {
	noria_task_fn *fn;
	void *arg;
	bool copied; /* `arg` is copied, not passed on */
	size_t copy; /* so many bytes */
	const struct noria_spawn_options *options;
	const struct noria_site *site;
	struct start *start; /* who waits for the child to be ready */
};

/* Spawn, as noria_spawn_at() says. */
int noria_spawn_child(struct group *group, const struct spawn_spec *spec);

/* A starter's wait for its child, in its own frame. */
struct start {
	struct wait wait;
	struct child *child;
	int value;
	bool stopping; /* the starter has been cancelled: so is the child, and it cannot be ready any more */
	bool finished; /* `value` is what noria_start() answers */
};

/* A child whose starter still waits has ended: tell the starter. */
void noria_start_ended(struct child *child);

/* A handle for a new child. */
int noria_handle_refuse(const struct handle *handle, const struct noria_site *site);
/* May `task` wait for it? 0, -EINVAL (never spawned with) or -EDEADLK. */
int noria_handle_refuse_wait(const struct handle *handle, const struct task *task);
void noria_handle_init(struct handle *handle, struct child *child, const struct noria_site *site);
/* The child has ended: the handle keeps its result, who waits is told. */
void noria_handle_end(struct handle *handle, int result);

#endif
