/* SPDX-License-Identifier: MIT */
/*
 * Workers: an executor whose threads are processes, for work that may crash, leak or run wild (a parser of foreign
 * input, a plug-in). Such a process can be killed and limited, and when it crashes that is the failure of one call.
 *
 * Opening forks a small process with one thread, the template, which forks the workers when they are needed; so what a
 * call finds there is the program as it was when the executor was opened. Open it early: a fork takes over whatever
 * locks other threads hold at that moment. A function is passed by its address, so it must have been in the program by
 * then. Of the descriptors of the program a worker has 0, 1 and 2; signal handlers and masks are the defaults. The
 * child processes are no members of the program's process group, so a terminal's signals are the program's alone.
 *
 * An executor of this kind belongs to the runtime that opened it. All since 0.2.
 */
#ifndef NORIA_WORKERS_H
#define NORIA_WORKERS_H

#include <noria/base.h>
#include <noria/task.h>

NORIA_BEGIN_DECLS

struct noria_workers;

/* How it is opened. All zero: the defaults. */
struct noria_workers_options {
	unsigned processes; /* the most processes, so the most calls at a time, up to 256; 0: as many as processors */
	size_t size_max;    /* bytes of an argument, up to 64 MiB; 0: 64 KiB; each process has so much shared memory */
	/* Bytes that a worker may map beyond what the program had mapped at the opening (RLIMIT_AS); 0: no limit. */
	size_t memory_max;
	/* Seconds of a processor's time that one call may take: then it is killed by SIGXCPU; 0: no limit. */
	unsigned cpu_seconds;
	uint64_t reserved[4]; /* zero */
};

/*
 * noria_workers_open - make an executor of processes. Forks.
 * @name: for messages; copied, up to 31 bytes
 * @options: NULL: the defaults
 * Returns: 0; -EINVAL when an option is not as said above, or there is no name (noria_message() says which); -ENOMEM,
 * -EAGAIN (RLIMIT_NPROC, pids.max), -EMFILE, -ENFILE; -ENXIO outside a runtime. *ret_workers is untouched on failure.
 * Runtime's thread; not a checkpoint. It belongs to the runtime, and any task may close it. One that is left open when
 * the root task has ended is closed then, and is the root task's failure (-EINVAL), which names where it was opened.
 *
 * noria_workers_close - end the processes and free it; NULL is fine. Waits until they are gone, a millisecond or so.
 * Returns: 0; -EBUSY when calls are under way or wait; -EINVAL when it is another runtime's; -ENXIO outside a runtime.
 * Not a checkpoint; may park.
 */
#define noria_workers_open(ret_workers, name, options) \
	noria_workers_open_at((ret_workers), (name), (options), NORIA_SITE("executor of processes"))
NORIA_PUBLIC NORIA_CHECKED int noria_workers_open_at(struct noria_workers **ret_workers, const char *name,
						     const struct noria_workers_options *options,
						     const struct noria_site *site);
NORIA_PUBLIC NORIA_CHECKED int noria_workers_close(struct noria_workers *workers);

/*
 * noria_workers_call - run `int fn(void *copy)` in a process, and wait for its result.
 * @arg, @size: copied there; when `fn` has returned, the copy with what it put there is copied back. Pointers in it
 * mean what they meant to the program when the executor was opened. NULL and 0: none.
 *
 * When all processes are busy, the caller waits, first come, first served. A cancelled caller takes a call that has not
 * started back; one that has started is killed with its process (SIGKILL), and the caller goes on when that is gone: a
 * time limit around the call is a limit on the work. The next call finds a new process. In the process no function of
 * noria does anything useful but noria_fail(), whose message goes over to the caller's error. The process is used again
 * for later calls, with whatever this one left in its memory. It sees the argument of its own call only, and what it
 * forks is no worker: that ends when it returns from `fn`.
 *
 * Returns: what `fn` returned; -EOWNERDEAD when the process ended before `fn` returned: noria_message() and the
 * failure's message say by which signal or with which exit status, and `arg` is untouched; -ECANCELED: it did not run,
 * or was killed; -EMSGSIZE when `size` is larger than size_max; -EAGAIN or -ENOMEM when no process can be forked;
 * -EPIPE when the template has been killed: close the executor and open another; -EINVAL without a function, or with
 * another runtime's executor; -ENXIO outside a runtime. Checkpoint.
 */
#define noria_workers_call(workers, fn, arg, size) \
	noria_workers_call_at((workers), (fn), (arg), (size), NORIA_SITE(#fn))
NORIA_PUBLIC NORIA_CHECKED int noria_workers_call_at(struct noria_workers *workers, noria_task_fn *fn, void *arg,
						     size_t size, const struct noria_site *site);

NORIA_END_DECLS
#endif
