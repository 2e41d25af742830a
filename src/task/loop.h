/* SPDX-License-Identifier: MIT */
/*
 * The loop: one thread's ring, tasks and timers. A turn runs the ready tasks within a budget, makes at most one system
 * call, which submits everything and waits for what comes next, hands out what has completed, and fires the timers that
 * are due.
 */
#ifndef NORIA_TASK_LOOP_H
#define NORIA_TASK_LOOP_H

#include "base/assert.h"
#include "base/heap.h"
#include "base/list.h"
#include "ring/direct.h"
#include "task/context.h"
#include "task/spin.h"
#include "task/stack.h"
#include "task/task.h"
#include "task/timer.h"

#include <noria/run.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bridge;
struct noria_blocks;
struct buffers;
struct direct;
struct drain;
struct executors;
struct ring;

enum {
	LOOP_BUDGET = 64,   /* switches a turn: bounds how late timers and completions are looked at */
	LOOP_FDS = 1 << 20, /* descriptors told apart by their closes (fs.nr_open's default), and as many direct ones */
	LOOP_FD_BUCKETS = 4096, /* of submissions in flight, by descriptor */
	LOOP_NOTES_BITS = 8,
	LOOP_NOTES = 1 << LOOP_NOTES_BITS, /* of storage (storage.h) */
};

/* What a program's storage is in use for. */
struct storage_note {
	const void *storage; /* NULL: for nothing */
	size_t size;
	const struct noria_site *site;
	const char *automatic;
};

/* Work that another thread hands to the loop. */
struct remote {
	struct remote *next;
	void (*run)(struct remote *remote); /* on the loop; must not park */
};

/* Asked of a parked task: the return addresses on its stack. */
struct inspection {
	void **frames;
	int max, count;
};

struct loop {
	/* what a switch touches */
	struct task *current; /* NULL on the hub */
	struct fifo ready;
	unsigned budget;      /* switches left in this turn */
	unsigned turn_budget; /* switches in each turn; less of a test kit */
	struct context hub;
	struct inspection *inspection; /* set while a parked task is resumed only to be asked */

	/* what an operation touches */
	struct ring *ring;
	int64_t now; /* the time when this turn began, or before: nobody asked (needs_time()) */
	uint64_t generation;
	unsigned batch;       /* completions that this turn has begun with */
	unsigned reply_pause; /* so many crowded turns more in which replies shall not wait for others */
	size_t in_flight;
	struct list *flying;         /* LOOP_FD_BUCKETS lists */
	struct noria_blocks *blocks; /* pools of memory for O_DIRECT, made on first use */
	uint32_t *closes;     /* how often each descriptor was closed: 2 * LOOP_FDS counters, see loop_closes() */
	struct list backlog;  /* submissions that found no room */
	struct list cancels;  /* submissions that wait for an entry to be cancelled with */
	struct list asked;    /* cancelled by an entry, but not ended yet */
	struct list closings; /* descriptors that are being closed */

	/* what a turn touches; other threads and signal handlers among it */
	_Atomic(struct remote *) remotes;
	atomic_bool asleep;
	bool expects_posts; /* from other threads: it tells them when it sleeps */
	bool timeouts_linked;
	bool crowded;             /* the completion queue overflowed: grow */
	atomic_uint signals;      /* SIGINT and SIGTERM so far */
	unsigned signals_handled; /* of these, by on_signal */
	size_t tasks_alive;
	size_t limits;   /* open scopes that have a deadline */
	size_t external; /* tasks parked on waits that something outside their runtime may complete */
	struct spin spin;
	void (*arrange)(
		struct loop *loop); /* a test kit's: puts first whom the turn shall begin with; NULL: as they came */
	struct heap timers;

	struct timer ask_again;
	int64_t ask_again_ns;
	struct list pairs; /* in flight, with a second descriptor */
	struct list uses;  /* of descriptors, by other threads (struct fd_use) */
	void (*on_signal)(struct loop *loop);
	/*
	 * Asked before a sleep from which nothing that is known of can wake a task: true if there is to be none.
	 * `sure`: not even a signal can.
	 */
	bool (*on_stuck)(struct loop *loop, bool sure);

	struct stack_pool stacks;
	size_t stack_size, tasks_max;
	uint64_t last_task_id;
	struct list tasks;

	struct noria_config config; /* with the defaults filled in */
	uint64_t overflows;         /* times the completion queue was too small (nothing is lost, see ring.h) */

	struct drain *drain; /* how this run ends: noria_run()'s */

	/* made on first use by the floors above, freed by noria_run() */
	struct executors *executors;
	struct buffers *buffers[2]; /* for messages, for bytes */
	uint16_t buffer_group;      /* the next to be given a ring of buffers */
	struct direct *direct;      /* the table of direct descriptors */
	struct bridge *bridge;      /* by which other threads reach it, as long as it is there */

	struct storage_note notes[LOOP_NOTES]; /* of streams and writers that were opened last, by address */

	bool reporting;      /* the failure handler runs */
	uint64_t draws;      /* of selects so far */
	uint64_t interrupts; /* cancels of scopes, and falls of shields, so far */
	uint64_t run;        /* number of this run in the process: addresses come again */
};

/* The loop of this thread, or NULL. */
extern __thread struct loop *noria_loop;

/* Is this that run, and its thread? */
static inline bool loop_is_run(uint64_t run)
{
	return noria_loop && noria_loop->run == run;
}

/* Says why there is no task here, and returns NULL. */
struct task *noria_no_current(void);

/* The task that is running on this thread, or NULL with -ENXIO's message. */
static inline struct task *noria_current(void)
{
	struct loop *loop = noria_loop;

	return likely(loop && loop->current) ? loop->current : noria_no_current();
}

/*
 * Before what only the kernel has, and no simulated world: processes, threads of the kernel's, watches of its files.
 * Returns 0, or -EOPNOTSUPP with noria_message(). `what` is the beginning of a sentence.
 */
int noria_loop_refuse_simulated(const struct loop *loop, const char *what);

/*
 * The running task did something that cost no switch: count it, and yield when the turn's budget is spent: the others
 * get their turn although this one never has to wait.
 */
static inline void task_spend(struct task *task)
{
	if (likely(task->loop->budget > 0))
		task->loop->budget--;
	else
		noria_task_yield(task);
}

/*
 * A checkpoint that has not parked answers through this: an answer counts against the turn, also a refusal, or a task
 * that tries again until it succeeds would keep away whatever it tries for. What noria_message() says stays. Returns
 * `r`.
 */
static inline int task_answer(struct task *task, int r)
{
	if (unlikely(task->loop->budget == 0))
		return noria_task_answer_later(task, r);
	task->loop->budget--;
	return r;
}

/*
 * How often noria_close() has closed this number. A call of several steps looks between them: if the count has changed,
 * the number may be somebody else's by now.
 */
static inline uint32_t *loop_closes(struct loop *loop, int fd)
{
	return &loop->closes[(unsigned)fd % LOOP_FDS + (fd_is_direct(fd) ? LOOP_FDS : 0)];
}

/* Told of each loop that has been opened, before it runs; NULL: nobody. A test kit's. */
extern void (*noria_loop_opened)(struct loop *loop);

int noria_loop_open(struct loop *loop, const struct noria_config *config);
void noria_loop_close(struct loop *loop);
/* Until no task is left. */
void noria_loop_run(struct loop *loop);
void noria_loop_run_ready(struct loop *loop);

/* Before there is a thread that may post: from then on the loop tells when it sleeps. On its own thread. */
static inline void loop_expect_posts(struct loop *loop)
{
	if (!loop->expects_posts) /* which those threads read, once there is one */
		loop->expects_posts = true;
}

/* Hand work to a loop from any thread, after loop_expect_posts(). */
void noria_loop_post(struct loop *loop, struct remote *remote);
/* Count a signal for a loop, from its handler on any thread. */
void noria_loop_signal(struct loop *loop);
/* The ring's clock, read now. */
int64_t noria_loop_clock(struct loop *loop);

#endif
