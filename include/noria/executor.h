/* SPDX-License-Identifier: MIT */
/*
 * Executors: named pools of threads for calls that block, each with bounds of its own, so that load on one does not
 * slow another. Every runtime has two already (offload.h).
 *
 * An executor belongs to the process: tasks of any number of runtimes may call it at the same time. It is counted, and
 * lives until the last reference is dropped and the last call has ended. A child of fork() has none of its threads:
 * calls there are refused.
 */
#ifndef NORIA_EXECUTOR_H
#define NORIA_EXECUTOR_H

#include <noria/base.h>
#include <noria/offload.h>

NORIA_BEGIN_DECLS

struct noria_executor;

/* What becomes of a call for which there is neither a thread nor a place in the queue. */
enum noria_when_full {
	NORIA_FULL_WAIT = 0, /* its caller waits for a place, first come, first served, until it is cancelled */
	NORIA_FULL_FAIL,     /* it fails with -EBUSY */
};

enum { NORIA_EXECUTOR_NAME_MAX = 32 };

/* How an executor is made. All zero: the defaults. */
struct noria_executor_options {
	unsigned threads; /* the most threads, up to 1024; started when calls find none idle; 0: 4 */
	unsigned queue;   /* calls that may wait for a thread, up to 1048576; 0: 1024 */
	enum noria_when_full when_full;
	/*
	 * The niceness of its threads, as in setpriority(2), from -20 to 19; 0: as the thread has that starts them.
	 * Whether the process may have a lower one is tried when the executor is opened.
	 */
	int nice;
	const int *cpus;     /* the processors that its threads may use, by number; NULL: as the process */
	unsigned cpus_count; /* of these */
	/*
	 * An idle thread looks for new work for so long before it sleeps, in nanoseconds, provided that work has been
	 * coming that fast, and that there is more than one processor for it; one thread of an executor at a time. It
	 * saves the caller a wake-up of another processor (some 20 us) and costs that much time of a processor.
	 * 0: 50,000; NORIA_SPIN_NEVER: it sleeps at once.
	 */
	int64_t spin_ns;
	uint64_t reserved[4]; /* zero */
};

#define NORIA_SPIN_NEVER INT64_C(-1)

/*
 * noria_executor_open - make an executor; *ret_executor has one reference.
 * @name: for messages; copied, up to NORIA_EXECUTOR_NAME_MAX - 1 bytes
 * @options: NULL: the defaults
 * Returns: 0; -EINVAL when an option is not as said above, or there is no name (noria_message() says which); -EACCES
 * when the process may not have that niceness; -ENOMEM. *ret_executor is untouched on failure. Any thread, also outside
 * a runtime; not a checkpoint. Since 0.2.
 *
 * noria_executor_ref - one more reference. Returns `executor`. Any thread; not a checkpoint. Since 0.2.
 *
 * noria_executor_unref - one reference less; NULL is fine. With the last one its threads end: those that are idle are
 * awaited, which takes some microseconds; those that still run abandoned calls go when these end. Calls under way hold
 * references of their own. Any thread; not a checkpoint. Since 0.2.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_executor_open(struct noria_executor **ret_executor, const char *name,
						   const struct noria_executor_options *options);
NORIA_PUBLIC struct noria_executor *noria_executor_ref(struct noria_executor *executor);
NORIA_PUBLIC void noria_executor_unref(struct noria_executor *executor);

/*
 * noria_executor_call - run `int fn(void *arg)` on a thread of the executor, and wait for its result.
 * noria_executor_call_with - the same with options (NULL: the defaults).
 *
 * As noria_offload() otherwise, also in what abandoned calls do to the bounds: they keep thread and place until they
 * end. The caller needs a reference when it begins.
 *
 * Returns: as noria_offload(), and -EBUSY from a full executor that says so (NORIA_FULL_FAIL): take less on, or try
 * again later; -EINVAL without an executor, and with one that was opened before a fork(). Checkpoint. Since 0.2.
 */
#define noria_executor_call(executor, fn, arg) noria_executor_call_at((executor), (fn), (arg), NULL, NORIA_SITE(#fn))
#define noria_executor_call_with(executor, fn, arg, ...) \
	noria_executor_call_at((executor), (fn), (arg), (__VA_ARGS__), NORIA_SITE(#fn))
NORIA_PUBLIC NORIA_CHECKED int noria_executor_call_at(struct noria_executor *executor, noria_task_fn *fn, void *arg,
						      const struct noria_call_options *options,
						      const struct noria_site *site);

NORIA_END_DECLS
#endif
