/* SPDX-License-Identifier: MIT */
/*
 * Scopes: a stretch of one task's work that can be cancelled as a whole, and that can have a deadline.
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
	uint64_t opaque[48];
} __attribute__((aligned(16)));

/* Why a scope was cancelled. The first cause stays. */
enum noria_cause_kind {
	NORIA_CAUSE_NONE = 0, /* it was not */
	NORIA_CAUSE_EXPLICIT, /* noria_scope_cancel(), noria_group_cancel(), noria_child_cancel() */
	NORIA_CAUSE_DEADLINE, /* its deadline passed */
	NORIA_CAUSE_SIBLING,  /* a child of the group, or its body, failed */
	NORIA_CAUSE_SHUTDOWN, /* the runtime, or the scope, drains or ends */
	NORIA_CAUSE_DECIDED,  /* the group has what it was opened for: a race is won, only services are left */
	NORIA_CAUSE_DEADLOCK, /* no task of the runtime can ever go on (run.h) */
};

struct noria_cause {
	enum noria_cause_kind kind;
	const struct noria_site *scope; /* where the cancelled scope was opened */
	/*
	 * The cancelling call; of a deadline, the scope itself; the spawn of the failed child; NULL: the runtime
	 * itself.
	 */
	const struct noria_site *where;
	uint64_t task_id; /* who cancelled, or failed; 0: the runtime itself */
	char task[32];    /* its name, as much as fits */
	char reason[96];  /* of noria_scope_cancel_because(); the failure; "SIGTERM"; "" without one */
};

enum noria_scope_flags {
	/*
	 * Hide outer cancels and deadlines from what runs inside; the scope's own still count. It is a soft shield:
	 * once the grace of a cancelled scope around it is spent (noria_scope_set_grace()), it no longer hides that
	 * cancel. Give it a deadline, or what waits inside one: a build for debugging (the Meson option `checks`)
	 * refuses calls that would wait in a shield without any, with -EINVAL.
	 */
	NORIA_SCOPE_SHIELD = 1 << 0,
	/* Waits inside are idle: they end with -ECANCELED as soon as the runtime, or a scope around, drains. */
	NORIA_SCOPE_IDLE = 1 << 1,
	/* A shield that holds when the grace is spent as well. It must have a deadline, and keeps one. */
	NORIA_SCOPE_HARD_SHIELD = 1 << 2,
};

/*
 * noria_scope_open - open a scope in the calling task, inside its innermost one.
 * @scope: storage, closed before it goes out of scope
 * @deadline_ns: a point in time (noria_now() + duration), NORIA_FOREVER for none; one that has passed already lets
 *               the body run to its first checkpoint
 * @flags: enum noria_scope_flags
 *
 * Returns: 0; -EINVAL when `scope` is open already, `flags` is unknown, or a hard shield has no deadline
 * (noria_message() names the places);
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
 *  - 0 for a `result` of -ECANCELED that comes of noria_scope_cancel() or noria_scope_drain() on this very scope: the
 *    cancel ends here (of a scope that hides nothing, unless an outer one is cancelled or drains as well);
 *  - -EINVAL when `scope` is not the task's innermost open scope, or closed already, or a group's (which
 *    noria_group_close() closes): nothing was closed, noria_message() names both places; -ENXIO outside a runtime.
 * Not a checkpoint: always completes. Since 0.1.
 */
#define noria_scope_close(scope, result) noria_scope_close_at((scope), (result), NORIA_SITE("close"))
NORIA_PUBLIC ssize_t noria_scope_close_at(struct noria_scope *scope, ssize_t result, const struct noria_site *site);

/*
 * noria_scope_cancel - cancel everything that runs in a scope, from any task of the runtime.
 * noria_scope_cancel_because - the same with a reason for the people who will ask (copied, up to 95 bytes; NULL: none).
 * What is parked beneath is abandoned and wakes when its operation has really ended. Idempotent; on a closed scope, or
 * one of another thread's runtime, it does nothing, and noria_message() says so. Not a checkpoint. Since 0.1.
 */
#define noria_scope_cancel(scope)                 noria_scope_cancel_at((scope), NULL, NORIA_SITE("cancel"))
#define noria_scope_cancel_because(scope, reason) noria_scope_cancel_at((scope), (reason), NORIA_SITE("cancel"))
NORIA_PUBLIC void noria_scope_cancel_at(struct noria_scope *scope, const char *reason, const struct noria_site *site);

/*
 * noria_scope_cause - why this scope was cancelled, by itself (not by an outer one).
 * @ret_cause: filled when it was, and left alone otherwise; all copies, but for the places, which are static. NULL:
 *             only the kind is wanted
 * Returns: the kind, NORIA_CAUSE_NONE when it was not. Also after the close, until the storage is used again.
 * Not a checkpoint. Since 0.1.
 *
 * noria_task_cause - why the calling task is cancelled: the same of the outermost cancelled scope that it is in, as far
 * as no shield hides it; NORIA_CAUSE_NONE when it is not, and outside a runtime. Not a checkpoint. Since 0.2.
 */
NORIA_PUBLIC enum noria_cause_kind noria_scope_cause(const struct noria_scope *scope, struct noria_cause *ret_cause);
NORIA_PUBLIC enum noria_cause_kind noria_task_cause(struct noria_cause *ret_cause);

/*
 * noria_scope_set_grace - how long soft shields beneath this scope hold once it is cancelled (or its deadline has
 * passed). The grace is one sum for everything beneath: it runs from the cancel, whoever spends it, and scopes inside
 * inherit it for cancels of their own unless they set theirs. When it is spent, what runs behind soft shields is
 * cancelled as well, and so is what goes behind one afterwards; hard shields hold until their own deadlines. A scope
 * inside that is cancelled by itself and has less grace ends the shields beneath itself only.
 * @grace_ns: nanoseconds; 0: soft shields do not hold at all; NORIA_FOREVER: no end. Where nothing is set, what
 *            struct noria_config says for the whole run
 * Returns: 0; -EBUSY when the scope is cancelled already; -EINVAL when it is not open or `grace_ns` is negative.
 * Not a checkpoint. Since 0.2.
 *
 * noria_grace - until when soft shields of the calling task hold: a point in time, which may have passed; NORIA_FOREVER
 * while nothing around is cancelled or there is no end; -ENXIO outside a runtime. What is behind a hard shield counts
 * as far as this reaches. Not a checkpoint. Since 0.2.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_scope_set_grace(struct noria_scope *scope, int64_t grace_ns);
NORIA_PUBLIC int64_t noria_grace(void);

/*
 * noria_scope_drain - cancel softly, from any task of the runtime: idle waits beneath (noria_accept(), noria_idle())
 * end with -ECANCELED, now and later, noria_draining() says true there, work in progress goes on.
 * @patience_ns: when so much time has passed the scope is cancelled, with the cause NORIA_CAUSE_SHUTDOWN; 0 or less: at
 *               once; NORIA_FOREVER: never
 * Once; later calls do nothing, and neither does a drain of a scope that is cancelled already, but for
 * noria_draining().
 * Returns: 0; -EINVAL when the scope is not open. Not a checkpoint. Since 0.2.
 */
#define noria_scope_drain(scope, patience_ns) noria_scope_drain_at((scope), (patience_ns), NORIA_SITE("drain"))
NORIA_PUBLIC NORIA_CHECKED int noria_scope_drain_at(struct noria_scope *scope, int64_t patience_ns,
						    const struct noria_site *site);

/*
 * noria_scope_set_deadline - move the deadline of an open scope, from any task of the runtime. (An idle limit for two
 * directions of a proxy: a scope around their group, whose deadline either task moves when bytes pass.)
 * Returns: 0; -EBUSY when the scope is cancelled or expired already; -EINVAL when it is not open, or is a hard shield
 * that would lose its deadline. Not a checkpoint. Since 0.1.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_scope_set_deadline(struct noria_scope *scope, int64_t deadline_ns);

/*
 * noria_scope_unshield - lift the shield, soft or hard: an outer cancel that waited behind it acts at once.
 * Returns: 0; -EINVAL when the scope is not open. Not a checkpoint. Since 0.1.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_scope_unshield(struct noria_scope *scope);

/*
 * noria_deadline - the effective deadline of the calling task: the earliest of its scopes', up to the nearest shield.
 * Returns: a point in time; NORIA_FOREVER for none; -ENXIO outside a runtime. Not a checkpoint. Since 0.1.
 */
NORIA_PUBLIC int64_t noria_deadline(void);

/*
 * noria_draining - has the runtime been asked to end (SIGTERM, noria_drain()), or a scope around the calling task
 * (noria_scope_drain())? Work in progress may go on for a while; new work should not be begun. Not a checkpoint. Since
 * 0.1.
 */
NORIA_PUBLIC bool noria_draining(void);

/*
 * noria_autoscope - a scope that closes itself at the end of its variable's block, if it is open still, by `return`
 * too:
 *     noria_autoscope struct noria_scope scope = {0};
 */
#define noria_autoscope __attribute__((cleanup(noria_scope_cleanup_), unused))

NORIA_PUBLIC void noria_scope_open_quietly_(struct noria_scope *scope, int64_t duration_ns, unsigned flags,
					    const struct noria_site *site);
NORIA_PUBLIC void noria_scope_open_until_quietly_(struct noria_scope *scope, int64_t deadline_ns, unsigned flags,
						  const struct noria_site *site);
NORIA_PUBLIC void noria_scope_cleanup_(struct noria_scope *scope);

#define NORIA_IN_SCOPE_(duration_ns, flags, text, expression) \
	NORIA_IN_SCOPE_AS_(NORIA_UNIQUE_(noria_scope_), NORIA_UNIQUE_(noria_value_), noria_scope_open_quietly_, \
			   duration_ns, flags, text, expression)
#define NORIA_IN_SCOPE_AS_(scope_, value_, open, time_ns, flags, text, expression) \
	(__extension__({ \
		__attribute__((cleanup(noria_scope_cleanup_))) struct noria_scope scope_; \
		open(&scope_, (time_ns), (flags), NORIA_SITE(text)); \
		NORIA_AUTO_ value_ = (expression); \
		NORIA_SIGNED_(value_); \
		(__typeof__(value_))noria_scope_close(&scope_, (ssize_t)value_); \
	}))

/*
 * The following are no checkpoints themselves. A duration of zero or less lets the expression run to its first
 * checkpoint. Outside a runtime they give the expression's own value. Since 0.1.
 *
 * noria_within(duration, expression) - evaluate `expression` with a time limit (nanoseconds; noria_sec(30)).
 * Value: that of noria_scope_close(): the expression's own, or -ETIMEDOUT. A `return` inside closes the scope too.
 */
#define noria_within(duration_ns, expression) NORIA_IN_SCOPE_(duration_ns, 0, "within", expression)

/*
 * noria_until(deadline, expression) - the same with a point in time, which several tasks may share.
 */
#define noria_until(deadline_ns, expression) \
	NORIA_IN_SCOPE_AS_(NORIA_UNIQUE_(noria_scope_), NORIA_UNIQUE_(noria_value_), noria_scope_open_until_quietly_, \
			   deadline_ns, 0, "until", expression)

/*
 * noria_shielded(duration, expression) - evaluate `expression`, hidden from outer cancels and deadlines, for
 * `duration` at the most: for clean-up that must reach its peer.
 */
#define noria_shielded(duration_ns, expression) NORIA_IN_SCOPE_(duration_ns, NORIA_SCOPE_SHIELD, "shielded", expression)

/*
 * noria_idle(expression) - evaluate `expression` as a wait for new work (the next connection, the next request): it
 * ends with -ECANCELED when the runtime, or a scope around it, begins to drain.
 */
#define noria_idle(expression) NORIA_IN_SCOPE_(NORIA_FOREVER, NORIA_SCOPE_IDLE, "idle", expression)

NORIA_END_DECLS
#endif
