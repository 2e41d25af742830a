/* SPDX-License-Identifier: MIT */
/*
 * Running: a runtime is one thread, one ring, one tree of tasks. Any number of threads may each run one.
 *
 * How a run ends. It ends when the root task has ended. SIGINT, SIGTERM or noria_drain() begin a drain: waits marked
 * as idle (noria_accept(), noria_idle()) answer -ECANCELED, work in progress goes on. When the drain's grace is spent,
 * or a second signal comes, everything is cancelled. Tasks that outlast this for cancel_timeout_ns, behind shields or
 * in waits that cannot be cancelled, are named to the failure handler, with what they wait for and their stacks; after
 * that soft shields no longer hold (grace_ns can make them fall sooner, and then who needed them too long is not
 * named). A third signal has its default effect.
 *
 * Deadlock. When every task waits, and there is no timer, no operation in flight (an open receive stream has one), no
 * offloaded call and nothing else from outside that could wake one, nobody ever would. The failure handler then gets
 * one failure, -EDEADLK, whose text is the tree of tasks: where each was spawned, what it waits for, and their stacks
 * as far as there is room. The run is cancelled, with the cause NORIA_CAUSE_DEADLOCK, so that clean-up runs; clean-up
 * that gets stuck as well loses its shields; and noria_run() returns -EDEADLK. If waits remain that cannot be
 * cancelled, the process is ended by abort(). A signal counts as what may wake a task while it takes part in the run
 * (NORIA_SIGNALS_DRAIN) and some task sleeps for ever, or waits in an idle scope: that is how a program waits for its
 * end. So two tasks that lock each other out are not reported while a third sleeps for ever, serves, or has a timer
 * running.
 */
#ifndef NORIA_RUN_H
#define NORIA_RUN_H

#include <noria/base.h>
#include <noria/executor.h>
#include <noria/group.h>
#include <noria/task.h>

NORIA_BEGIN_DECLS

/* How a time limit around one pollable operation is kept. The rules are the same; the costs differ (docs/). */
enum noria_timeouts {
	NORIA_TIMEOUTS_LINKED = 0, /* by the kernel: a linked timeout SQE */
	NORIA_TIMEOUTS_HEAP,       /* by the loop: its own heap of timers, and IORING_OP_ASYNC_CANCEL */
};

enum noria_signals {
	NORIA_SIGNALS_DRAIN = 0, /* SIGINT and SIGTERM drain this runtime (while it runs) */
	NORIA_SIGNALS_NONE,      /* signals are the program's own affair */
};

/* All zero: the defaults. Build one with `struct noria_config config = {0};` and set what you mean. */
struct noria_config {
	unsigned ring_entries; /* submission queue entries to start with, 2 to 32768; 0: 128 */
	unsigned
		/* it grows to this under load, where the kernel can resize; 0: 4096, or ring_entries */
		ring_entries_max;
	size_t stack_size;            /* bytes of a task's stack, up to 256 MiB; 0: 64 KiB (256 KiB under sanitizers) */
	size_t tasks_max;             /* tasks alive at once; 0: 4 million */
	enum noria_timeouts timeouts; /* see above */
	enum noria_signals signals;   /* see above */
	int64_t drain_timeout_ns;     /* grace of a drain; 0: 30 s; NORIA_FOREVER: no end */
	int64_t grace_ns;          /* how long soft shields hold once something is cancelled (scope.h); 0: for ever */
	int64_t cancel_timeout_ns; /* tasks that outlast a cancel of the whole run this long are named; 0: 5 s */
	/*
	 * A task that is told -ECANCELED so many times, one after another, and does not leave its cancelled scope is
	 * reported to the failure handler with its stack, once. From then on each further answer keeps it waiting, from
	 * 1 ms to 100 ms. 0: 1000.
	 */
	unsigned zombie_answers;
	unsigned executor_threads;    /* the most threads for noria_offload(), up to 1024; 0: 4 */
	unsigned executor_queue;      /* its calls that may wait for a thread, up to 1048576; 0: 1024 */
	unsigned compute_threads;     /* the most threads for noria_compute(), up to 1024; 0: as many as processors */
	unsigned compute_queue;       /* its calls that may wait for a thread, up to 1048576; 0: 1024 */
	unsigned names_threads;       /* the most lookups of names at once (name.h), up to 1024; 0: 64 */
	unsigned names_queue;         /* further ones that may wait, up to 1048576; 0: 1024 */
	int64_t executor_spin_ns;     /* spin_ns of the first two (executor.h); 0: 50,000; NORIA_SPIN_NEVER */
	unsigned receive_buffers;     /* buffers for receive streams, a power of two up to 32768; 0: 64 */
	unsigned receive_buffer_size; /* bytes of each, up to 1 MiB; 0: 32768 */
	unsigned direct_descriptors;  /* direct.h, up to 1048512; 0: 16384, or RLIMIT_NOFILE where that is less */
	/*
	 * Hears of every failure that no caller will see, when it happens: of supervised children and losers of a won
	 * race, in groups that were left early or left open, of the run itself where its code does not tell all; of
	 * causes that nobody looked at (failure.h); of scopes left open, tasks that ignore the end of the run or of
	 * their scope, deadlocks; of executors whose threads all run abandoned calls while others wait (offload.h).
	 * `text` says which. NULL: it is written to standard error.
	 * Called on the runtime's thread, in the task concerned or between tasks; must not park. Failures that happen
	 * while it runs are written to standard error.
	 */
	void (*on_failure)(const struct noria_failure *failure, const char *text, void *arg);
	void *on_failure_arg;
	/*
	 * How long the runtime's thread may look for what it waits for before it sleeps, in nanoseconds up to
	 * 1,000,000; 0: it sleeps at once. How long it does look, from nothing to this, follows from what the last
	 * waits were like: when they were long it sleeps at once. It costs a processor while requests come one after
	 * the other, and pays when a peer on another one answers within some microseconds; it gives nothing on a single
	 * processor, or when other threads want this one.
	 */
	int64_t spin_max_ns;
	uint64_t reserved[4]; /* zero */
};

/*
 * noria_run - run `int fn(void *arg)` as the root task of a new runtime on this thread, until it and all it spawned
 * have ended.
 * @config: NULL for the defaults; copied
 *
 * A root task that fails with more to tell than its code (a message, a path, causes: failure.h) is reported to the
 * failure handler as well, since the number that is returned cannot tell it.
 *
 * Returns: what the root task returned; 0 when that was the -ECANCELED of a drain that ended in time; -ECANCELED when
 * a second signal or the end of the drain's grace had to cancel what was left; -ETIMEDOUT when tasks then outlasted
 * cancel_timeout_ns as well (they were named to the failure handler, and awaited); -EDEADLK after a deadlock, whatever
 * the root task made of it; or, before anything has run and with the remedy in noria_message(): -EPERM, -EACCES
 * (io_uring is forbidden by sysctl, seccomp or a security module), -ENOSYS (no io_uring, or too old), -ENOMEM
 * (RLIMIT_MEMLOCK or memory), -EMFILE, -ENFILE (descriptors), -EBUSY (this thread runs a runtime already), -EAGAIN (256
 * runtimes of the process take signals), -EINVAL (the configuration, no function, or an unknown name in NORIA_HIDE).
 * Not to be called from a task. Since 0.1.
 */
#define noria_run(config, fn, arg) noria_run_at((config), (fn), (arg), NORIA_SITE(#fn))
NORIA_PUBLIC NORIA_CHECKED int noria_run_at(const struct noria_config *config, noria_task_fn *fn, void *arg,
					    const struct noria_site *site);

/* noria_drain - begin the drain of this thread's runtime, as the first signal does. Not a checkpoint. Since 0.1. */
NORIA_PUBLIC void noria_drain(void);

/* noria_version - the version of the library that is linked, "0.2.0". Any thread. Since 0.1. */
NORIA_PUBLIC const char *noria_version(void);

NORIA_END_DECLS
#endif
