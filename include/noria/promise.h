/* SPDX-License-Identifier: MIT */
/*
 * Promises: a task waits for one value that somebody else brings, on any thread: the callback of another library, a
 * thread of the program's own. The value is an int64_t; a pointer or a negative errno fits in.
 *
 * Who holds the storage while a foreign thread may still write to it? There are two kinds. A promise in the caller's
 * storage (noria_promise_init(), often on a stack) is waited for whatever happens: a cancel asks for an early end by
 * `abort`, and noria_promise_wait() returns when the promise has been completed, never before. A counted promise
 * (noria_promise_new()) lives until the last reference is dropped: a cancelled waiter leaves at once, and a value that
 * comes late, even after the end of the runtime, goes to `dispose`. All since 0.2.
 */
#ifndef NORIA_PROMISE_H
#define NORIA_PROMISE_H

#include <noria/base.h>

NORIA_BEGIN_DECLS

/* Storage for a promise, the caller's; the content is noria's. Must stay where it is until it has been completed. */
struct noria_promise {
	uint64_t opaque[20];
};

enum noria_promise_flags {
	/*
	 * Only tasks of this runtime complete it. If none ever can, that is a deadlock; and nothing is ever allocated
	 * for it. Where it lies outside the group of the tasks that complete it, make it detachable too, so that a
	 * cancel frees the waiter.
	 */
	NORIA_PROMISE_LOCAL = 1 << 0,
	/* The storage outlives whoever may complete it, so a cancelled waiter leaves at once, as with a counted one. */
	NORIA_PROMISE_DETACHABLE = 1 << 1,
};

/* How a promise is made, where the defaults do not do. All zero: the defaults. */
struct noria_promise_options {
	unsigned flags; /* enum noria_promise_flags */
	/*
	 * Called when a waiter is cancelled and the promise has not been completed, at most once, in that waiter's
	 * task: have the promise completed soon. It may complete the promise itself. A completion on another thread may
	 * cross it: what `arg` points to must last until the waiter has returned.
	 */
	void (*abort)(void *arg);
	/* Counted ones: the value that no waiter took; on the thread that drops the last reference. */
	void (*dispose)(int64_t value, void *arg);
	void *arg;            /* of both */
	uint64_t reserved[4]; /* zero */
};

/*
 * noria_promise_init - make a promise in the caller's storage.
 * noria_promise_init_with - the same with options (NULL: defaults).
 * @promise: storage that nobody uses; it is in use until the promise is completed or destroyed
 * Returns: 0; -EINVAL when an option is not as said above; -ENOMEM (a runtime allocates once, for its first promise
 * that is not local); -ENXIO outside a runtime. Runtime's thread; not a checkpoint.
 */
#define noria_promise_init(promise)               noria_promise_init_at((promise), NULL, NORIA_SITE("promise"))
#define noria_promise_init_with(promise, options) noria_promise_init_at((promise), (options), NORIA_SITE("promise"))
NORIA_PUBLIC NORIA_CHECKED int noria_promise_init_at(struct noria_promise *promise,
						     const struct noria_promise_options *options,
						     const struct noria_site *site);

/*
 * noria_promise_new - allocate a counted promise, with one reference for the caller (options may be NULL).
 * Give whoever shall complete it a reference of its own (noria_promise_ref()) before it starts.
 * Returns: 0 with *ret_promise set; or as noria_promise_init(). Runtime's thread; not a checkpoint.
 *
 * noria_promise_ref - one more reference. Returns `promise`.
 * noria_promise_unref - one reference less; the last one frees it, after `dispose` has had a value that nobody took.
 * NULL is fine, and in the caller's storage neither does anything. Both: any thread, also after the end of the runtime;
 * not checkpoints.
 */
#define noria_promise_new(options, ret_promise) noria_promise_new_at((options), (ret_promise), NORIA_SITE("promise"))
NORIA_PUBLIC NORIA_CHECKED int noria_promise_new_at(const struct noria_promise_options *options,
						    struct noria_promise **ret_promise, const struct noria_site *site);
NORIA_PUBLIC struct noria_promise *noria_promise_ref(struct noria_promise *promise);
NORIA_PUBLIC void noria_promise_unref(struct noria_promise *promise);

/*
 * noria_promise_complete - bring the value. Whoever waits goes on; later waits return at once.
 * The caller's storage is the waiter's again as soon as this has begun: do not touch the promise afterwards, unless you
 * hold a reference.
 * Returns: 0; -EALREADY when it was completed before; -EINVAL when it is not initialised, or was destroyed; -ENXIO when
 * it is local and this is not its runtime's thread, and in the child of a fork(). Any thread (not in a signal handler),
 * also after the end of the runtime; not a checkpoint.
 */
NORIA_PUBLIC int noria_promise_complete(struct noria_promise *promise, int64_t value);

/*
 * noria_promise_wait - wait for the value. Any number of tasks may.
 * @ret_value: set to the value, which is taken by that; NULL: not wanted
 *
 * In the caller's storage: returns only when the promise has been completed. A cancel of the scope (also one from
 * before the call) calls `abort`, the value is awaited and delivered, and the task's next checkpoint answers
 * -ECANCELED. A counted or detachable one: returns -ECANCELED at once; `abort` has been called if the promise was still
 * pending. A value that comes before the cancelled task has run is delivered.
 * Returns: 0; -ECANCELED as said; -EINVAL when it is not initialised, or is another runtime's, and a counted or
 * detachable one behind a shield without a deadline (with checks); -ENXIO outside a task.
 * Checkpoint, but in the caller's storage one that does not answer -ECANCELED.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_promise_wait(struct noria_promise *promise, int64_t *ret_value);

/* noria_promise_completed - does noria_promise_wait() return at once? Runtime's thread; not a checkpoint. */
NORIA_PUBLIC bool noria_promise_completed(const struct noria_promise *promise);

/*
 * noria_promise_destroy - give up a promise in the caller's storage that nobody will complete (what should have could
 * not be started), or end the use of one that is completed.
 * Returns: 0; -EBUSY while a task waits for it, also a cancelled one that has not run yet, or while another thread's
 * value is on its way; -EINVAL when it is not initialised, or is counted. Runtime's thread; not a checkpoint.
 */
NORIA_PUBLIC int noria_promise_destroy(struct noria_promise *promise);

NORIA_END_DECLS
#endif
