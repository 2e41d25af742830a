/* SPDX-License-Identifier: MIT */
/*
 * Groups: a scope that owns child tasks. Closing a group returns only after every child has ended, whatever happens,
 * so a child may hold pointers into its parent's stack. A child that fails cancels its siblings and interrupts the
 * group's body; close returns the failure. No task outlives its group, no failure is lost.
 */
#ifndef NORIA_GROUP_H
#define NORIA_GROUP_H

#include <noria/base.h>
#include <noria/task.h>
#include <noria/time.h>

NORIA_BEGIN_DECLS

/* Storage for a group, the caller's; the content is noria's. Must stay where it is from open to close. */
struct noria_group {
	uint64_t opaque[44];
} __attribute__((aligned(16)));

/* A task that failed, as its group or the failure handler hears of it. Valid during the call. */
struct noria_failure {
	int code;                       /* negative errno */
	uint64_t task_id;               /* 0: the group's body */
	const char *task;               /* the task's name */
	const struct noria_site *spawn; /* where it was spawned, or where the group was opened */
};

/* How a child is spawned, where the defaults do not do. All zero: the defaults. */
struct noria_spawn_options {
	const char *name;  /* NULL: the function's name; not copied, must outlive the task */
	size_t stack_size; /* bytes up to 256 MiB, rounded up to a power of two from 16 KiB; 0: the runtime's default */
	uint64_t reserved[6]; /* zero */
};

/* The most that noria_spawn_copy() copies, in bytes. */
#define NORIA_SPAWN_COPY_MAX 1024

/*
 * noria_group_open - open a group in the calling task: a scope that can own children.
 * noria_group_open_until - the same with a deadline, a point in time, for the body and all children.
 * Returns: 0; -EINVAL when `group` is open already (noria_message() names both places); -ENXIO outside a runtime.
 * Not a checkpoint. Since 0.1.
 */
#define noria_group_open(group)                    noria_group_open_at((group), NORIA_FOREVER, NORIA_SITE("group"))
#define noria_group_open_until(group, deadline_ns) noria_group_open_at((group), (deadline_ns), NORIA_SITE("group"))
NORIA_PUBLIC NORIA_CHECKED int noria_group_open_at(struct noria_group *group, int64_t deadline_ns,
						   const struct noria_site *site);

/*
 * noria_spawn - start `int fn(void *arg)` as a child task of a group.
 * noria_spawn_with - the same with options (NULL: defaults).
 * noria_spawn_copy - the same with a copy of `size` bytes at `arg`, which lives as long as the child.
 *
 * The child runs when the caller next parks. Any task of the runtime may spawn into an open group, children of the
 * group included. The child owns its argument from the moment that 0 is returned: it always runs to its first
 * checkpoint, also when it is cancelled before. After an error the caller keeps the argument.
 *
 * Returns: 0; -ECANCELED when the group is cancelled; -EINVAL when it is closed, or the function, a copy, a stack or
 * an option is not as said here;
 * -ENOMEM when no stack can be had; -EAGAIN when the runtime's limit of tasks is reached; -ENXIO outside a runtime.
 * Not a checkpoint. Since 0.1.
 */
#define noria_spawn(group, fn, arg)               noria_spawn_at((group), (fn), (arg), NULL, NORIA_SITE(#fn))
#define noria_spawn_with(group, fn, arg, options) noria_spawn_at((group), (fn), (arg), (options), NORIA_SITE(#fn))
#define noria_spawn_copy(group, fn, arg, size)    noria_spawn_copy_at((group), (fn), (arg), (size), NULL, NORIA_SITE(#fn))
NORIA_PUBLIC NORIA_CHECKED int noria_spawn_at(struct noria_group *group, noria_task_fn *fn, void *arg,
					      const struct noria_spawn_options *options, const struct noria_site *site);
NORIA_PUBLIC NORIA_CHECKED int noria_spawn_copy_at(struct noria_group *group, noria_task_fn *fn, const void *arg,
						   size_t size, const struct noria_spawn_options *options,
						   const struct noria_site *site);

/*
 * noria_group_cancel - cancel the group's body and children, from any task of the runtime. A group that is cancelled
 * and has no failure closes as success. Idempotent. Not a checkpoint. Since 0.1.
 */
NORIA_PUBLIC void noria_group_cancel(struct noria_group *group);

/*
 * noria_group_close - wait for every child to end, and say what became of the group.
 * @group: the calling task's innermost scope
 * @result: what the body came to; an error of its own (not a cancellation) cancels the children
 *
 * Always completes: when the caller is cancelled meanwhile, so are the children, and they are awaited. Returns
 *  - the code of the first failure, where there is one (further ones reach the failure handler);
 *  - -ECANCELED when an outer scope is cancelled;
 *  - -ETIMEDOUT when the group's own deadline passed and the body or a child met it (they themselves saw -ECANCELED);
 *  - 0 for a `result` of -ECANCELED that comes of noria_group_cancel(); else `result`;
 *  - -EINVAL when it is not the task's innermost scope: nothing was closed, noria_message() names both places.
 * Checkpoint. Since 0.1.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_group_close(struct noria_group *group, int result);

NORIA_PUBLIC void noria_group_cleanup_(struct noria_group **group);

/*
 * noria_grouped(group, expression) - open a group, evaluate `expression`, which spawns into it, close the group.
 * noria_grouped_until(group, deadline_ns, expression) - the same with a deadline.
 *
 * Value: that of noria_group_close(). A `return` inside `expression` (noria_try() makes one) does not skip the close: the
 * children are cancelled and awaited before the function returns.
 */
#define noria_grouped(group, expression) noria_grouped_until(group, NORIA_FOREVER, expression)
#define noria_grouped_until(group, deadline_ns, expression) \
	NORIA_GROUPED_AS_(NORIA_UNIQUE_(noria_group_), NORIA_UNIQUE_(noria_value_), group, deadline_ns, expression)
#define NORIA_GROUPED_AS_(group_, value_, group, deadline_ns, expression) \
	(__extension__({ \
		__attribute__((cleanup(noria_group_cleanup_))) struct noria_group *group_ = (group); \
		int value_ = noria_group_open_until(group_, (deadline_ns)); \
		if (value_ < 0) \
			group_ = NULL; \
		else \
			value_ = noria_group_close(group_, (int)(expression)); \
		value_; \
	}))

/* noria_group_size - the number of children that have not ended. Not a checkpoint. Since 0.1. */
NORIA_PUBLIC size_t noria_group_size(const struct noria_group *group);

NORIA_END_DECLS
#endif
