/* SPDX-License-Identifier: MIT */
/*
 * The threads' side of an executor: calls, the queue, workers. Everything here is under one lock, which a worker takes
 * once between two calls: there it accounts for the one that has ended and takes the next.
 *
 * Waking is done by few. As long as one worker is about to look at the queue (it spins, has been woken, or is being
 * started) nobody wakes another; whoever takes a call and leaves others behind, while nobody is about to look, wakes
 * the next. Where calls have been short lately, not even that: whoever is awake works off the queue, since a wake-up
 * takes longer than the calls. For the case that one of them then turns out to be long there are guards: a call that
 * was queued while fewer workers were about to look than calls waited is kept in a list by its loop until it returns,
 * and as long as that list is not empty the loop's timer looks whether the queue moves, and wakes somebody if not.
 *
 * Where the loop and its workers have one processor between them, a worker that is woken runs at once in the loop's
 * place: it would find one call, end it, and sleep before the next task makes another. So a call that is made while
 * other tasks are ready to run is `late`: nobody is woken for it until these have had their turn. The loop posts that
 * to itself, and before it sleeps it does what is posted. A late call starts no later than an operation, which is
 * submitted at the end of the turn too. In a simulated world, which has no processors, calls are late as well.
 *
 * Why no call is forgotten: the calls that wait are at most as many as the workers about to look, plus the guarded and
 * late calls that wait or run. A call that is neither adds one to the first when there was a looker for it; a worker
 * that takes a call leaves both sides equal; one that has ended a call looks at the queue by itself. Late calls become
 * guarded ones at the end of the turn, unless as many are about to look by then as calls wait.
 */
#ifndef NORIA_EXECUTOR_POOL_H
#define NORIA_EXECUTOR_POOL_H

#include "base/list.h"
#include "noria/executor.h"
#include "scope/failure.h"
#include "task/loop.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct bridge;
struct executors;
struct offload;
struct values;

enum { PRIORITIES = 3, PRIORITY_PATIENCE = 8, CALL_SHORT_NS = 10000, CALL_LONG_NS = 50000 };

/* X(state, what may follow) */
#define CALL_STATES(X) \
	X(NEW, 1 << CALL_WAITING | 1 << CALL_QUEUED) \
	X(WAITING, 1 << CALL_QUEUED | 1 << CALL_WITHDRAWN | 1 << CALL_REFUSED) /* for a place in the queue */ \
	X(QUEUED, 1 << CALL_RUNNING | 1 << CALL_WITHDRAWN | 1 << CALL_REFUSED) \
	X(RUNNING, 1 << CALL_ENDED | 1 << CALL_ABANDONED) \
	X(ENDED, 0) \
	X(ABANDONED, 0) /* runs, and nobody waits for it */ \
	X(WITHDRAWN, 0) /* cancelled, and never ran */ \
	X(REFUSED, 0)   /* there is no thread, and never ran */

enum call_state {
#define X(state, next) CALL_##state,
	CALL_STATES(X)
#undef X
};

/* In its caller's frame, who waits for its end; or on the heap, when it may be abandoned. */
struct call {
	struct list node;  /* in the queue, or among those that wait for a place */
	struct list guard; /* in executors->guarded: the loop's */
	uint64_t taken;    /* guarded: executor->taken when its timer last looked */
	enum call_state state;
	enum noria_priority priority;
	struct noria_executor *executor;
	struct worker *worker; /* who runs it */
	noria_task_fn *fn;
	void *arg;
	const struct noria_site *site;
	struct executors *home; /* of the caller's loop; the loop lasts while somebody waits for the call */
	struct remote remote;   /* how the end comes home */
	struct offload *offload;
	void (*dispose)(int result, void *arg);
	uint16_t persona; /* its caller's */
	bool abandonable;
	bool keeps; /* `arg` is the caller's again unless the call is abandoned */
	atomic_bool cancelled;
	int result;            /* REFUSED: why there is no thread */
	struct values *values; /* what it sees of its caller's; abandonable: a reference */
	struct bridge *bridge; /* abandonable, with values: how the reference is given back */
	struct error error;    /* the call's own */
};

/* A slot for a thread. */
struct worker {
	struct noria_executor *executor;
	struct worker *next; /* in executor->sleeping */
	pthread_t thread;
	struct virtual_thread *virtual_thread; /* of a test kit, instead; NULL: it has none */
	atomic_uint awake;                     /* a futex: 0 while it sleeps */
	bool used;                             /* there is a thread, or will be */
	bool started;
	bool spins;
	int64_t took_ns; /* its last call */
	bool orphan;     /* runs a call that nobody waits for */
	bool dropped;    /* the executor was closed meanwhile: nobody joins it */
};

struct noria_executor {
	atomic_uint references; /* the program's, and those of calls that somebody waits for */
	unsigned forks;         /* the process, by the number of forks that led to it */
	char name[NORIA_EXECUTOR_NAME_MAX];
	unsigned threads_max, calls_max;
	enum noria_when_full when_full;
	int nice;
	bool pinned;
	cpu_set_t cpus;
	int64_t spin_ns; /* 0: never */
	int only_cpu;    /* that its threads may run on; or -1: they have several */

	pthread_mutex_t lock; /* for everything below; who only spins reads the atomics */
	struct list queue[PRIORITIES];
	unsigned passed[PRIORITIES]; /* calls taken while one of this priority waited */
	atomic_uint queued;
	unsigned calls;      /* queued and running */
	struct list waiting; /* calls that wait for a place */
	struct worker *sleeping;
	unsigned looking; /* workers that are about to look at the queue */
	unsigned threads, starting, asleep;
	unsigned orphans;   /* threads that run an abandoned call */
	bool told;          /* that calls wait behind nothing else; until one of these has ended */
	uint64_t taken;     /* calls so far */
	int64_t average_ns; /* of the time that calls take, lately, each counted as CALL_LONG_NS at most */
	bool spinning;      /* one of those that look spins */
	atomic_bool stop;
	int quick;        /* idle times in a row that were short enough to spin through; below 0: times not to try */
	int spins_failed; /* in a row */
	struct worker workers[];
};

/* What workers run on: the kernel's threads, unless a test kit has others. */
struct thread_class {
	/* noria_worker_main(worker) shall run. Returns 0 or a negative errno: there is no thread for it. */
	int (*start)(struct worker *worker);
	/* Of the worker itself: until `awake` is 1. */
	void (*sleep)(struct worker *worker);
	/* It has just become 1. */
	void (*wake)(struct worker *worker);
	/* Of the worker itself: make the call. */
	int (*call)(struct call *call);
	/* Wait until the worker's main function has returned; or never. */
	void (*join)(struct worker *worker);
	void (*detach)(struct worker *worker);
};

extern const struct thread_class noria_kernel_threads, *noria_threads;

/* The call that this thread runs, or NULL. */
extern __thread struct call *noria_call_running;

/*
 * Queue a call, or let it wait for a place. Returns 0, or 1 when it is to be guarded, or -EBUSY when there is no place
 * and it may not wait. `late`: wakes nobody, and 1 says that it is to be kept until noria_pool_wake(). *ret_stuck:
 * calls wait, and every thread runs an abandoned one; true once, until one of these has ended. Loop's thread.
 */
int noria_pool_submit(struct call *call, bool late, bool *ret_stuck);
/* For the late calls of an executor: wake somebody if need be. True: they are to be guarded. */
bool noria_pool_wake(struct noria_executor *executor);
/* For a guarded call: wake somebody if the queue has not moved since. False: there is nothing to guard just now. */
bool noria_pool_prod(struct call *call);
/*
 * Its caller is cancelled. True when nobody has to wait for it any more: it was taken out of the queue (WITHDRAWN), or
 * it is on its own from here on and may be gone (ABANDONED, into *ret_state). *ret_stuck as above.
 */
bool noria_pool_give_up(struct call *call, enum call_state *ret_state, bool *ret_stuck);
/* Where it is now. */
enum call_state noria_pool_state(struct call *call);
/* The last reference is gone: end the threads, and free it, or leave that to the last that runs an abandoned call. */
void noria_pool_close(struct noria_executor *executor);

/* Under the lock, for the threads and what wakes them. */
void noria_call_move(struct call *call, enum call_state state);
/* The next call for this worker, or NULL. */
struct call *noria_pool_pop(struct worker *worker);
/* A call is no longer under way: its place goes to the first that waits for one. */
void noria_pool_leave(struct noria_executor *executor);
/*
 * Does somebody have to be woken, or started, to look at the queue? Who? `patient`: those who are awake may do, if
 * calls are short.
 */
struct worker *noria_pool_rouse(struct noria_executor *executor, bool patient);

/* Without the lock: do what noria_pool_rouse() found to be needed. */
void noria_pool_awaken(struct worker *worker);
/* So many threads of a closed executor have ended: free it with the last. */
void noria_pool_threads_left(struct noria_executor *executor, unsigned count);
/* A worker's life, on a thread of its own. */
void noria_worker_main(struct worker *worker);

/* For the threads, from call.c: the end of a call goes home to the caller who waits for it. */
void noria_call_post(struct call *call);
/* Nobody waits for it: give back what it has of its caller's, and free it. */
void noria_call_release(struct call *call);

#endif
