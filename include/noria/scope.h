/* SPDX-License-Identifier: MIT */
/*
 * Scopes: a region of one task that can be cancelled and can have a deadline.
 *
 * Cancellation is level-triggered: in a cancelled scope every checkpoint answers -ECANCELED until the scope is left,
 * so that a return code somebody ignored does no harm. Scopes nest, and are closed in reverse order by the task that
 * opened them. All functions here belong to the runtime's thread.
 */
#ifndef NORIA_SCOPE_H
#define NORIA_SCOPE_H

#include <noria/base.h>
#include <noria/time.h>

NORIA_BEGIN_DECLS

/* Storage for a scope, the caller's; the content is noria's. Must stay where it is from open to close. */
struct noria_scope {
	uint64_t opaque[28];
} __attribute__((aligned(16)));

/* Why a scope was cancelled. The first cause stays. */
enum noria_cause_kind {
	NORIA_CAUSE_NONE = 0, /* it was not */
	NORIA_CAUSE_EXPLICIT, /* noria_scope_cancel(), noria_group_cancel() */
	NORIA_CAUSE_DEADLINE, /* its deadline passed */
	NORIA_CAUSE_SIBLING,  /* a child of the group, or its body, failed */
	NORIA_CAUSE_SHUTDOWN, /* the runtime drains or ends */
};

enum noria_scope_flags {
	/* Hide outer cancels and deadlines from what runs inside; the scope's own still count. Give it a deadline. */
	NORIA_SCOPE_SHIELD = 1 << 0,
	/* Waits inside are idle: they end with -ECANCELED as soon as the runtime drains (see run.h). */
	NORIA_SCOPE_IDLE = 1 << 1,
};

/*
 * noria_scope_open - open a scope in the calling task, inside its innermost one.
 * @scope: storage, closed before it goes out of scope
 * @deadline_ns: a point in time (noria_now() + duration), NORIA_FOREVER for none; one that has passed already lets
 *               the body run to its first checkpoint
 * @flags: enum noria_scope_flags
 *
 * Returns: 0; -EINVAL when `scope` is open already or `flags` is unknown (noria_message() names both places);
 * -ENXIO outside a runtime. Not a checkpoint. Since 0.1.
 */
#define noria_scope_open(scope, deadline_ns, flags) \
	noria_scope_open_at((scope), (deadline_ns), (flags), NORIA_SITE("scope"))
NORIA_PUBLIC NORIA_CHECKED int noria_scope_open_at(struct noria_scope *scope, int64_t deadline_ns, unsigned flags,
						   const struct noria_site *site);

/*
 * noria_scope_close - leave a scope and say what became of its body.
 * @scope: the calling task's innermost scope
 * @result: what the body came to: a count, 0, or a negative errno
 *
 * Returns `result`, but
 *  - -ETIMEDOUT when the scope's own deadline passed, a checkpoint inside said so, no outer scope was cancelled, and
 *    the body brought no error of its own (an error of the body beats its timeout);
 *  - 0 for a `result` of -ECANCELED that comes of noria_scope_cancel() on this very scope: the cancel ends here;
 *  - -EINVAL when `scope` is not the task's innermost open scope: nothing was closed, noria_message() names both.
 * Not a checkpoint: always completes. Since 0.1.
 */
NORIA_PUBLIC ssize_t noria_scope_close(struct noria_scope *scope, ssize_t result);

/*
 * noria_scope_cancel - cancel everything that runs in a scope, from any task of the runtime.
 * What is parked beneath is abandoned and wakes when its operation has really ended. Idempotent; on a closed scope it
 * does nothing. Not a checkpoint. Since 0.1.
 */
NORIA_PUBLIC void noria_scope_cancel(struct noria_scope *scope);

/* noria_scope_cause - why this scope was cancelled, by itself (not by an outer one). Not a checkpoint. Since 0.1. */
NORIA_PUBLIC enum noria_cause_kind noria_scope_cause(const struct noria_scope *scope);

/*
 * noria_scope_set_deadline - move the deadline of an open scope, from any task of the runtime. (An idle limit for two
 * directions of a proxy: a scope around their group, whose deadline either task moves when bytes pass.)
 * Returns: 0; -EBUSY when the scope is cancelled or expired already; -EINVAL when it is not open.
 * Not a checkpoint. Since 0.1.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_scope_set_deadline(struct noria_scope *scope, int64_t deadline_ns);

/*
 * noria_scope_unshield - lift the shield: an outer cancel that waited behind it acts at once.
 * Returns: 0; -EINVAL when the scope is not open. Not a checkpoint. Since 0.1.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_scope_unshield(struct noria_scope *scope);

/*
 * noria_deadline - the effective deadline of the calling task: the earliest of its scopes', up to the nearest shield.
 * Returns: a point in time; NORIA_FOREVER for none; -ENXIO outside a runtime. Not a checkpoint. Since 0.1.
 */
NORIA_PUBLIC int64_t noria_deadline(void);

/*
 * noria_draining - has the runtime been asked to end (SIGTERM, noria_drain())? Work in progress may go on until the
 * grace ends; new work should not be begun. Not a checkpoint. Since 0.1.
 */
NORIA_PUBLIC bool noria_draining(void);

NORIA_PUBLIC void noria_scope_open_quietly_(struct noria_scope *scope, int64_t duration_ns, unsigned flags,
					    const struct noria_site *site);
NORIA_PUBLIC void noria_scope_cleanup_(struct noria_scope *scope);

#define NORIA_IN_SCOPE_(duration_ns, flags, text, expression) \
	NORIA_IN_SCOPE_AS_(NORIA_UNIQUE_(noria_scope_), NORIA_UNIQUE_(noria_value_), duration_ns, flags, text, \
			   expression)
#define NORIA_IN_SCOPE_AS_(scope_, value_, duration_ns, flags, text, expression) \
	(__extension__({ \
		__attribute__((cleanup(noria_scope_cleanup_))) struct noria_scope scope_; \
		noria_scope_open_quietly_(&scope_, (duration_ns), (flags), NORIA_SITE(text)); \
		NORIA_AUTO_ value_ = (expression); \
		(__typeof__(value_))noria_scope_close(&scope_, (ssize_t)value_); \
	}))

/*
 * The following are no checkpoints themselves. A duration of zero or less lets the expression run to its first checkpoint.
 * Outside a runtime they give the expression's own value. Since 0.1.
 *
 * noria_within(duration, expression) - evaluate `expression` with a time limit (nanoseconds; noria_sec(30)).
 * Value: that of noria_scope_close(): the expression's own, or -ETIMEDOUT. A `return` inside closes the scope too.
 */
#define noria_within(duration_ns, expression) NORIA_IN_SCOPE_(duration_ns, 0, "within", expression)

/*
 * noria_shielded(duration, expression) - evaluate `expression`, hidden from outer cancels and deadlines, for
 * `duration` at the most: for clean-up that must reach its peer.
 */
#define noria_shielded(duration_ns, expression) NORIA_IN_SCOPE_(duration_ns, NORIA_SCOPE_SHIELD, "shielded", expression)

/*
 * noria_idle(expression) - evaluate `expression` as a wait for new work (the next connection, the next request): it
 * ends with -ECANCELED when the runtime begins to drain.
 */
#define noria_idle(expression) NORIA_IN_SCOPE_(NORIA_FOREVER, NORIA_SCOPE_IDLE, "idle", expression)

NORIA_END_DECLS
#endif
