/* SPDX-License-Identifier: MIT */
/*
 * Groups: a scope with children. A child is a task with its root scope, which hangs in its group's scope, and the group
 * counts the children that live.
 */
#ifndef NORIA_SCOPE_GROUP_H
#define NORIA_SCOPE_GROUP_H

#include "noria/group.h"
#include "scope/scope.h"

struct group {
	struct scope scope;
	size_t live;
	struct wait *join; /* of the closing task, while it waits for children */
	bool closed;       /* the last child has ended under a close: no more can come */
	bool failed;
	struct noria_failure failure; /* the first */
};

struct child {
	struct task task; /* first: the layer below allocates around it */
	struct scope root;
	struct group *group; /* NULL: the root task of the runtime */
};

/* Make the root task of a runtime; its scope is the root of the tree. It is not started. */
int noria_root_new(struct loop *loop, noria_task_fn *fn, void *arg, const struct noria_site *site,
		   void (*on_end)(struct task *), struct child **ret_child);

/*
 * A function is left by `return`, and with it the scope `around`: close what is open inside, as those who opened it should
 * have done. Returns false if `around` is not one of the task's own open scopes.
 */
bool noria_scopes_close_inside(struct task *task, const struct scope *around);

/* Close what a task left open when its function returned, and make that its failure. */
void noria_child_close_leftovers(struct child *child);

/* Tell the failure handler of something no caller will see. `text` says what. */
void noria_report(struct loop *loop, const struct noria_failure *failure, const char *text);

#endif
