/* SPDX-License-Identifier: MIT */
/*
 * An executor of processes, as its three kinds of process share it. The program talks to the template over one socket
 * (start this slot's worker, kill it), and over a socket for each slot to whoever is the worker there. At the worker's
 * end of a slot's socket are the worker and the template: the one answers calls, the other tells of the worker's death.
 * So one receive tells the caller how its call has ended, whatever happened.
 *
 * Argument and result lie in memory that the slot shares with its workers. Beside it is a word of the call's number and
 * state, which only ever moves by compare-and-exchange: the worker takes a call by it, the caller takes one back that
 * has not been taken, and a call that is to be killed can no longer end well. That is how nobody kills the next call.
 * What a worker wrote is not trusted, neither its result nor the word: it may have run wild. It sees its own slot only.
 */
#ifndef NORIA_WORKER_WORKERS_H
#define NORIA_WORKER_WORKERS_H

#include "noria/failure.h"
#include "noria/sync.h"
#include "noria/workers.h"
#include "task/loop.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

enum { WORKERS_MAX = 256, WORKERS_NAME_MAX = 32, TEMPLATE_STACK_BYTES = 8 << 20 };

/* Of one call, whose number stands above it in the word. */
enum slot_state { SLOT_IDLE, SLOT_ASKED, SLOT_TAKEN, SLOT_DONE, SLOT_WITHDRAWN, SLOT_KILLED, SLOT_STATE_BITS = 3 };

static inline uint64_t slot_word(uint64_t number, enum slot_state state)
{
	return number << SLOT_STATE_BITS | state;
}

/* What a slot shares with its workers. */
struct slot_memory {
	_Atomic(uint64_t) word;
	noria_task_fn *fn;
	int result;
	int error; /* the code that `text` is about; 0: none */
	char text[NORIA_FAILURE_TEXT_MAX];
	char argument[] __attribute__((aligned(64)));
};

enum message_kind {
	MESSAGE_START, /* to the template: see that the slot has a worker */
	MESSAGE_KILL,  /* to the template: its call is to end */
	MESSAGE_CALL,  /* to the worker */
	MESSAGE_ENDED, /* from the worker: the call has been run */
	MESSAGE_DIED,  /* from the template: the worker is gone; `value` is its wait status */
	MESSAGE_NONE,  /* from the template: no worker can be forked; `value` is the errno */
};

struct message {
	enum message_kind kind;
	unsigned slot;
	int value;
	uint64_t word; /* of the call that it is about */
};

struct slot {
	struct slot *next; /* in workers->free */
	struct slot_memory *memory;
	int fd;          /* the program's end */
	int worker_fd;   /* the other; -1 in the program */
	uint64_t number; /* of the last call */
	bool started;    /* there is a worker, as far as is known */
};

struct noria_workers {
	uint64_t run;             /* the runtime that opened it */
	struct leftover leftover; /* of the root task: any task may close it, until the run ends */
	char name[WORKERS_NAME_MAX];
	size_t size_max, slot_bytes;
	char *memory; /* of all slots */
	int control, template_control, template_pid_fd;
	bool broken; /* the template is gone */
	struct noria_semaphore places;
	struct slot *free;
	unsigned calls;       /* under way, or waiting for a place */
	rlim_t address_space; /* of a worker; RLIM_INFINITY: as the program */
	unsigned cpu_seconds;
	unsigned slots_count;
	struct slot slots[];
};

/* A template that somebody has stopped goes on: what waits for it cannot be given up. */
void noria_workers_continue(const struct noria_workers *workers);
/* In the child of the fork: be the template, on a stack of TEMPLATE_STACK_BYTES. */
_Noreturn void noria_template_run(struct noria_workers *workers, char *stack);
/* In a child of the template: be the worker of a slot. */
_Noreturn void noria_worker_run(struct noria_workers *workers, struct slot *slot);
/* Close all descriptors but 0, 1, 2 and these, which are sorted by this. */
void noria_worker_close_others(int *keep, unsigned count);

#endif
