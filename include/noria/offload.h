/* SPDX-License-Identifier: MIT */
/*
 * Offload: a call that blocks, or computes for long, runs on a thread, so that it freezes nobody. Every runtime has two
 * executors of its own, made on first use and bounded by the configuration (run.h): one for calls that block, one for
 * work that keeps a processor busy. Executors of the program's own making are in executor.h.
 *
 * What may be done inside such a call: anything that blocks. Of noria only noria_offload_cancelled(),
 * noria_value_get(), which reads the caller's context values, noria_fail() and noria_try(), whose message and path go
 * over to the caller's error, and what is said to be callable on any thread.
 */
#ifndef NORIA_OFFLOAD_H
#define NORIA_OFFLOAD_H

#include <noria/base.h>
#include <noria/task.h>

NORIA_BEGIN_DECLS

/*
 * Which of the calls that wait for a thread comes first. Among equals, who comes first is served first. After eight
 * calls that went past it, a lower one has its turn: nobody starves.
 */
enum noria_priority {
	NORIA_PRIORITY_NORMAL = 0,
	NORIA_PRIORITY_HIGH,
	NORIA_PRIORITY_LOW,
};

/* How a call is made, where the defaults do not do. All zero: the defaults. */
struct noria_call_options {
	enum noria_priority priority;
	/*
	 * Opts in to abandoning: a cancelled caller does not wait for its call, and `arg` belongs to the call.
	 * `dispose` gets the argument exactly once, after `fn` has ended, on its thread and with its result (a
	 * descriptor, say, that nobody else will close), or when `fn` never ran, in the caller, with -ECANCELED or the
	 * error that the call is refused with. It must not park. NULL: a cancelled caller waits for a call that has
	 * started.
	 */
	void (*dispose)(int result, void *arg);
	/*
	 * With `dispose`: who wants the argument back when the call was not given up. Set to true when `arg` is the
	 * call's (it was or will be disposed of), to false when it is the caller's again (dispose is not called). NULL:
	 * it is disposed of whatever comes of the call, before the caller goes on unless that was cancelled.
	 */
	bool *ret_abandoned;
	uint64_t reserved[4]; /* zero */
};

/*
 * noria_offload - run `int fn(void *arg)` on a thread of the runtime's executor for calls that block, and wait for its
 * result.
 * noria_compute - the same on the executor for work that keeps a processor busy: as many threads as there are
 * processors for the process.
 * noria_offload_with, noria_compute_with - the same with options (NULL: the defaults).
 *
 * The executor has a bounded number of threads and a bounded queue (run.h); a full queue makes the caller wait, first
 * come, first served. A cancel takes a call that has not started out of the queue; one that has started is waited for,
 * so `arg` may be on the caller's stack, and its result is delivered. Unless the options say that the call may be
 * abandoned: then the cancelled caller goes on at once, and the call ends when it does, maybe after the runtime.
 *
 * An abandoned call keeps its thread, and its place in the bounds, until it ends: however many are abandoned, there are
 * no more threads than are allowed. When all of them run abandoned calls, further ones wait for one of these to end.
 * They can be cancelled and have deadlines, but are no deadlock, since a thread may come back at any time; the failure
 * handler (run.h) is told with -EBUSY, once until one has come back. Remedy: calls that end by themselves
 * (noria_offload_cancelled(), a limit of their own), more threads, or an executor of their own for calls that may hang.
 *
 * Returns: what `fn` returned; -ECANCELED when the call was never started, or was abandoned; -EAGAIN when no thread can
 * be created, and none is there but those of abandoned calls; -ENOMEM; -EINVAL without a function, or when an option is
 * not as said above; -ENXIO outside a runtime. Checkpoint. noria_offload since 0.1, the others since 0.2.
 */
#define noria_offload(fn, arg)           noria_offload_at((fn), (arg), NULL, NORIA_SITE(#fn))
#define noria_compute(fn, arg)           noria_compute_at((fn), (arg), NULL, NORIA_SITE(#fn))
#define noria_offload_with(fn, arg, ...) noria_offload_at((fn), (arg), (__VA_ARGS__), NORIA_SITE(#fn))
#define noria_compute_with(fn, arg, ...) noria_compute_at((fn), (arg), (__VA_ARGS__), NORIA_SITE(#fn))
NORIA_PUBLIC NORIA_CHECKED int noria_offload_at(noria_task_fn *fn, void *arg, const struct noria_call_options *options,
						const struct noria_site *site);
NORIA_PUBLIC NORIA_CHECKED int noria_compute_at(noria_task_fn *fn, void *arg, const struct noria_call_options *options,
						const struct noria_site *site);

/*
 * noria_offload_cancelled - asked inside `fn`: was the caller cancelled meanwhile? True as well once the call has been
 * abandoned. Any thread; false outside such a call. Since 0.1.
 */
NORIA_PUBLIC bool noria_offload_cancelled(void);

NORIA_END_DECLS
#endif
