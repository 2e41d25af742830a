/* SPDX-License-Identifier: MIT */
/*
 * Tasks: a stack, a state, and what it waits for. A task's record is kept in the uppermost bytes of its stack, inside
 * an object of the layer above (floor 3 adds its scope and its group), so that a task costs one stack and no other
 * allocation.
 */
#ifndef NORIA_TASK_TASK_H
#define NORIA_TASK_TASK_H

#include "base/list.h"
#include "noria/task.h"
#include "task/context.h"
#include "task/stack.h"

#include <stdint.h>

struct loop;
struct scope;
struct values;
struct wait;

/* X(state, what may follow) */
#define TASK_STATES(X) \
	X(NEW, 1 << TASK_READY) \
	X(READY, 1 << TASK_RUNNING) \
	X(RUNNING, 1 << TASK_READY | 1 << TASK_PARKED | 1 << TASK_ENDED) \
	X(PARKED, 1 << TASK_READY) \
	X(ENDED, 0)

enum task_state {
#define X(state, next) TASK_##state,
	TASK_STATES(X)
#undef X
};

/* What a task has opened, maybe in its own frames, and forgot to close by its end: it is closed for it, and named. */
struct leftover {
	struct list node;                         /* in task->leftovers */
	struct task *task;                        /* whose; anything else, and the storage is gone */
	bool (*close)(struct leftover *leftover); /* returns whether it was open */
	bool waits;                               /* closing it does */
	const struct noria_site *site;
};

/* What a task has held back, to leave when it parks: see task_cork(). */
struct cork {
	struct cork *next;
	const struct task *task;          /* in its corks; NULL: in none's; anything else, and the storage is gone */
	void (*leave)(struct cork *cork); /* must not park; may hold it back again */
};

struct task {
	/* what a switch and a wait touch, on two cache lines */
	struct context context;
	struct fifo_node ready; /* link in the run queue */
	struct loop *loop;
	/* a new task has zeroes from here on */
	struct wait *wait;   /* what it is parked on */
	struct scope *scope; /* its innermost scope: floor 3's */
	struct cork *corks;
	enum task_state state;
	bool has_run;
	bool has_sent;        /* on a socket, and has not waited for anything else since */
	bool copied;          /* its last zero-copy send copied all the same */
	uint16_t persona;     /* on which host of a simulated world; the spawner's */
	unsigned turned_away; /* times it was told -ECANCELED since it was last not cancelled: floor 3's */
	size_t progress;      /* bytes moved by its last whole transfer */
	struct scope *outermost;
	struct stack *stack;
	int result;
	struct values *values; /* its context values, NULL: none; floor 3's */
	/* and to here */
	struct list leftovers;
	void (*on_end)(struct task *task);
	noria_task_fn *fn;
	void *arg;
	const char *name;
	const struct noria_site *site; /* where it was spawned */
	uint64_t id;
	struct list all; /* link in loop->tasks */
};

struct task_spec {
	noria_task_fn *fn;
	void *arg;
	const char *name;
	const struct noria_site *site;
	size_t stack_size;
	size_t extra; /* bytes to reserve above the object, for a copied argument */
	void (*on_end)(struct task *task);
};

/*
 * Make a task with an object of `object_size` bytes around it, whose first member is the task, the only one that is
 * filled; it does not run until noria_task_start(). Returns 0, -ENOMEM, -EAGAIN (limit of tasks) or -EINVAL, with
 * noria_message().
 */
int noria_task_new(struct loop *loop, size_t object_size, const struct task_spec *spec, struct task **ret_task);

/* The `extra` bytes. */
static inline void *task_extra(struct task *task, size_t object_size)
{
	return (char *)task + ((object_size + 15) & ~(size_t)15);
}

/* Into the run queue: a new or a parked task. */
void noria_task_start(struct task *task);
/* The running task goes to the end of the run queue. */
void noria_task_yield(struct task *task);
/* The same, and then `r` is returned, with the message of now. */
int noria_task_answer_later(struct task *task, int r);
/* The running task stops until noria_task_start(). */
void noria_task_park(struct task *task);
/* Until the running task parks, or takes it out. */
static inline void task_cork(struct task *task, struct cork *cork)
{
	cork->next = task->corks;
	cork->task = task;
	task->corks = cork;
}

void noria_task_uncork(struct task *task, struct cork *cork);

/* Called on the hub: where a task is that does not run. Fills up to `max` return addresses, returns how many. */
int noria_task_backtrace(struct task *task, void **frames, int max);

#endif
