/* SPDX-License-Identifier: MIT */
/*
 * Groups: a scope that owns child tasks. The close of a group waits for all of them, whatever happens, so a child may
 * hold pointers into its parent's stack. Unless a group is told otherwise, the first failure cancels the other children
 * and the body, and is what close returns. No task outlives its group, no failure is lost.
 */
#ifndef NORIA_GROUP_H
#define NORIA_GROUP_H

#include <noria/base.h>
#include <noria/failure.h>
#include <noria/scope.h>
#include <noria/task.h>
#include <noria/time.h>

NORIA_BEGIN_DECLS

/* Storage for a group, the caller's; the content is noria's. Must stay where it is from open to close. */
struct noria_group {
	uint64_t opaque[80];
} __attribute__((aligned(16)));

/*
 * What a child's end means for the others. A failure of the body cancels the children under every policy, and so does
 * one of a service, but under NORIA_SUPERVISE.
 */
enum noria_policy {
	NORIA_FAIL_FAST = 0, /* a failure cancels the others, and is what the group closes with */
	NORIA_SUPERVISE,     /* a failure spares the others, and goes to the failure handler at once (run.h) */
	NORIA_RACE,          /* the first success cancels the others, and is what the group closes with */
	NORIA_COLLECT,       /* a failure spares the others; results are had one by one by noria_group_next() */
};

/* How a group is opened, where the defaults do not do. All zero: the defaults. */
struct noria_group_options {
	enum noria_policy policy;
	/*
	 * Ordinary children alive at once: a spawn beyond waits for one to end; 0: no bound. Who collects results as
	 * they come spawns in a child (a feeder, which counts as one), or takes results between the spawns.
	 */
	unsigned children_max;
	unsigned failures_max; /* failures kept, further ones are counted; 0: 64 */
	int64_t deadline_ns;   /* a point in time, for the body and all children; 0: none */
	int64_t grace_ns;      /* see noria_scope_set_grace(); 0: as around the group */
	/*
	 * Race: called with each success that nobody will get: those after the first, and the first too when the group
	 * fails after all (by its body, a service, a release handler), a deadline around it has passed, or it is left
	 * by `return`. It runs in a task that ends or closes, and must not park: close the descriptor, free the buffer.
	 * NULL: there is nothing to release.
	 */
	void (*dispose)(int result, void *arg);
	void *dispose_arg;
	uint64_t reserved[6]; /* zero */
};

/* A handle on one child: storage of the caller's, which must stay where it is until the child's group is closed. */
struct noria_child {
	uint64_t opaque[10];
} __attribute__((aligned(16)));

/* How a child is spawned, where the defaults do not do. All zero: the defaults. */
struct noria_spawn_options {
	const char *name;  /* copied, up to NORIA_TASK_NAME_MAX bytes; NULL: the function's name */
	size_t stack_size; /* bytes up to 256 MiB, rounded up to a power of two from 16 KiB; 0: the runtime's default */
	struct noria_child *child; /* filled: a handle to cancel the child and to wait for it; NULL: none */
	bool service;              /* cancelled last, when the body is done and no ordinary child lives */
	uint64_t reserved[4];      /* zero */
};

enum { NORIA_TASK_NAME_MAX = 64 };

/* The most that noria_spawn_copy() copies, in bytes. */
#define NORIA_SPAWN_COPY_MAX 1024

/*
 * noria_group_open - open a group in the calling task: a scope that can own children.
 * noria_group_open_until - the same with a deadline, a point in time, for the body and all children.
 * noria_group_open_with - the same with options (NULL: defaults).
 * Returns: 0; -EINVAL when `group` is open already or an option is not as said above (noria_message() names the
 * places); -ENXIO outside a runtime.
 * Not a checkpoint. Since 0.1.
 */
#define noria_group_open(group) noria_group_open_at((group), NORIA_FOREVER, NULL, NORIA_SITE("group"))
#define noria_group_open_until(group, deadline_ns) \
	noria_group_open_at((group), (deadline_ns), NULL, NORIA_SITE("group"))
#define noria_group_open_with(group, ...) \
	noria_group_open_at((group), NORIA_FOREVER, (__VA_ARGS__), NORIA_SITE("group"))
NORIA_PUBLIC NORIA_CHECKED int noria_group_open_at(struct noria_group *group, int64_t deadline_ns,
						   const struct noria_group_options *options,
						   const struct noria_site *site);

/*
 * noria_spawn - start `int fn(void *arg)` as a child task of a group.
 * noria_spawn_with - the same with options (NULL: defaults); `&(struct noria_spawn_options){.service = true}` will do.
 * noria_spawn_named - the same with a name of its own.
 * noria_spawn_copy - the same with a copy of `size` bytes at `arg`, which lives as long as the child; of none: NULL.
 *
 * The child runs when the caller next parks. Any task of the runtime may spawn into an open group, children of the
 * group included. The child owns its argument from the moment that 0 is returned: it always runs to its first
 * checkpoint, also when it is cancelled before. After an error the caller keeps the argument.
 *
 * Returns: 0; -ECANCELED when the group is cancelled, or, in a group with children_max, when the caller is while it
 * waits for room; -EINVAL when the group is closed, or the function, a copy, a stack or an option is not as said here;
 * -ENOMEM when no stack can be had; -EAGAIN when the runtime's limit of tasks is reached; -ENXIO outside a runtime.
 * Not a checkpoint; but in a group with children_max it is one. Since 0.1.
 */
#define noria_spawn(group, fn, arg)             noria_spawn_at((group), (fn), (arg), NULL, NORIA_SITE(#fn))
#define noria_spawn_with(group, fn, arg, ...)   noria_spawn_at((group), (fn), (arg), (__VA_ARGS__), NORIA_SITE(#fn))
#define noria_spawn_copy(group, fn, arg, size)  noria_spawn_copy_at((group), (fn), (arg), (size), NULL, NORIA_SITE(#fn))
#define noria_spawn_named(group, fn, arg, name) noria_spawn_named_((group), (fn), (arg), (name), NORIA_SITE(#fn))
NORIA_PUBLIC NORIA_CHECKED int noria_spawn_at(struct noria_group *group, noria_task_fn *fn, void *arg,
					      const struct noria_spawn_options *options, const struct noria_site *site);
NORIA_PUBLIC NORIA_CHECKED int noria_spawn_copy_at(struct noria_group *group, noria_task_fn *fn, const void *arg,
						   size_t size, const struct noria_spawn_options *options,
						   const struct noria_site *site);

static inline NORIA_CHECKED int noria_spawn_named_(struct noria_group *group, noria_task_fn *fn, void *arg,
						   const char *name, const struct noria_site *site)
{
	struct noria_spawn_options options;

	__builtin_memset(&options, 0, sizeof options);
	options.name = name;
	return noria_spawn_at(group, fn, arg, &options, site);
}

/*
 * noria_start - spawn a child and wait until it calls noria_ready(): a server that listens, a connection that stands.
 * noria_start_with - the same with options (NULL: defaults).
 *
 * Until it is ready a child belongs to its starter: its failure is what noria_start() returns, and the group does not
 * hear of it; a cancel (or deadline) of the starter cancels the child, and not the group, and the child is awaited.
 * Afterwards it is a child of the group like any other.
 * Returns: the value given to noria_ready(); the error that the child ended with before it was ready; -EPROTO when it
 * ended with success and never was; -ECANCELED when the starter was cancelled; or as noria_spawn(). Checkpoint. Since
 * 0.2.
 */
#define noria_start(group, fn, arg)           noria_start_at((group), (fn), (arg), NULL, NORIA_SITE(#fn))
#define noria_start_with(group, fn, arg, ...) noria_start_at((group), (fn), (arg), (__VA_ARGS__), NORIA_SITE(#fn))
NORIA_PUBLIC NORIA_CHECKED int noria_start_at(struct noria_group *group, noria_task_fn *fn, void *arg,
					      const struct noria_spawn_options *options, const struct noria_site *site);

/*
 * noria_ready - the calling task says that it is ready, and its noria_start() returns `value` (>= 0: a port, say).
 * Returns: 0; -EINVAL when it said so already, was not started by noria_start(), or `value` is negative;
 * -ECANCELED when its starter has been cancelled meanwhile: clean up and end; -ENXIO outside a runtime.
 * Not a checkpoint. Since 0.2.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_ready(int value);

/*
 * noria_child_cancel - cancel one child; its end with -ECANCELED is no failure of the group. Idempotent; nothing once
 * the child has ended. Not a checkpoint. Since 0.2.
 */
#define noria_child_cancel(child) noria_child_cancel_at((child), NORIA_SITE("cancel"))
NORIA_PUBLIC void noria_child_cancel_at(struct noria_child *child, const struct noria_site *site);

/*
 * noria_child_wait - park until a child has ended. Any number of tasks may wait for one child.
 * @ret_result: filled with what the child returned; NULL: not wanted
 * Returns: 0; -ECANCELED when the caller is cancelled (the child is not); -EDEADLK for the child itself, or one whose
 * group the child around it waits for; -EINVAL when the handle was never spawned with; -ENXIO outside a runtime.
 * Checkpoint. Since 0.2.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_child_wait(struct noria_child *child, int *ret_result);

/* noria_child_ended - has it? Not a checkpoint. Since 0.2. */
NORIA_PUBLIC bool noria_child_ended(const struct noria_child *child);

/* What became of one child of a collecting group. */
struct noria_result {
	int result;                          /* what it returned */
	uint64_t task_id;                    /* which task */
	void *arg;                           /* the argument that it was spawned with; of a copy: NULL */
	const struct noria_failure *failure; /* when it failed: the whole story; else NULL */
};

/*
 * noria_group_next - the next child of a NORIA_COLLECT group to have ended, in the order in which they end.
 * @ret_result: filled; what it points to is valid until the next call for this group, or its close
 *
 * A result that has been handed over is the caller's affair; failures that have not been are what the group closes
 * with.
 * Returns: 1; 0 when every child has ended and been handed over; -ECANCELED; -EINVAL for a group of another policy or
 * one that is not open, and for another task than the one that opened it; -ENXIO outside a runtime. Checkpoint. Since
 * 0.2.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_group_next(struct noria_group *group, struct noria_result *ret_result);

/*
 * noria_group_release - have `int fn(void *arg)` called when the group closes: after the last child has ended, the
 * latest registered first, behind a shield, in the task that closes. All are called, whatever the others return; a
 * negative result is a failure of the group.
 * Returns: 0; -ENOMEM (the caller keeps `arg`); -EINVAL when the group is closed; -ENXIO. Not a checkpoint. Since 0.2.
 */
#define noria_group_release(group, fn, arg) noria_group_release_at((group), (fn), (arg), NORIA_SITE(#fn))
NORIA_PUBLIC NORIA_CHECKED int noria_group_release_at(struct noria_group *group, noria_task_fn *fn, void *arg,
						      const struct noria_site *site);

/*
 * noria_group_cancel - cancel the group's body and children, from any task of the runtime. A group that is cancelled
 * and has no failure closes as success. Idempotent. Not a checkpoint. Since 0.1.
 */
#define noria_group_cancel(group) noria_scope_cancel(noria_group_scope(group))

/*
 * noria_group_scope - the scope of a group: for noria_scope_cancel_because(), noria_scope_set_deadline(),
 * noria_scope_set_grace(), noria_scope_drain(), noria_scope_cause(). A group is closed by noria_group_close() only.
 */
static inline struct noria_scope *noria_group_scope(struct noria_group *group)
{
	return (struct noria_scope *)(void *)group;
}

/*
 * noria_group_close - wait for every child to end, and say what became of the group.
 * @group: the calling task's innermost scope
 * @result: what the body came to; an error of its own (not a cancellation) cancels the children
 *
 * Always completes: when the caller is cancelled meanwhile, so are the children, and they are awaited. Returns
 *  - the code of the first failure, where there is one; noria_last_failure() then has all of them, as its causes;
 *  - under NORIA_RACE the first child's success, where there is one, neither the body, a service nor a release handler
 *    failed, and no deadline around the group has passed (then it is disposed of): failures of children before it are
 *    dropped, those of the losers' clean-up go to the failure handler;
 *  - -ECANCELED when an outer scope is cancelled;
 *  - -ETIMEDOUT when the group's own deadline passed and the body or a child met it (they themselves saw -ECANCELED);
 *  - 0 for a `result` of -ECANCELED that comes of noria_group_cancel(); else `result`;
 *  - -EINVAL when it is not the task's innermost scope, or closed already: nothing was closed, noria_message() names
 *    both places; -ENXIO outside a runtime.
 * Checkpoint. Since 0.1.
 */
#define noria_group_close(group, result) noria_group_close_at((group), (result), NORIA_SITE("close"))
NORIA_PUBLIC NORIA_CHECKED int noria_group_close_at(struct noria_group *group, int result,
						    const struct noria_site *site);

/*
 * noria_autogroup - a group that closes itself at the end of its variable's block, if it is open still, as
 * noria_grouped() does after a `return`: its children are cancelled and awaited.
 *     noria_autogroup struct noria_group group = {0};
 */
#define noria_autogroup __attribute__((cleanup(noria_autogroup_), unused))
NORIA_PUBLIC void noria_autogroup_(struct noria_group *group);

NORIA_PUBLIC void noria_group_cleanup_(struct noria_group **group);

/*
 * noria_grouped(group, expression) - open a group, evaluate `expression`, which spawns into it, close the group.
 * noria_grouped_until(group, deadline_ns, expression) - the same with a deadline.
 * noria_grouped_with(group, options, expression) - the same with options.
 *
 * Value: that of noria_group_close(). A `return` inside `expression` (noria_try() makes one) does not skip the close:
 * the children are cancelled and awaited before the function returns.
 */
#define noria_grouped(group, expression) \
	NORIA_GROUPED_AS_(NORIA_UNIQUE_(noria_group_), NORIA_UNIQUE_(noria_value_), group, NORIA_FOREVER, NULL, \
			  expression)
#define noria_grouped_until(group, deadline_ns, expression) \
	NORIA_GROUPED_AS_(NORIA_UNIQUE_(noria_group_), NORIA_UNIQUE_(noria_value_), group, deadline_ns, NULL, \
			  expression)
#define noria_grouped_with(group, options, expression) \
	NORIA_GROUPED_AS_(NORIA_UNIQUE_(noria_group_), NORIA_UNIQUE_(noria_value_), group, NORIA_FOREVER, options, \
			  expression)
#define NORIA_GROUPED_AS_(group_, value_, group, deadline_ns, options, expression) \
	(__extension__({ \
		__attribute__((cleanup(noria_group_cleanup_))) struct noria_group *group_ = (group); \
		int value_ = noria_group_open_at(group_, (deadline_ns), (options), NORIA_SITE("group")); \
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
