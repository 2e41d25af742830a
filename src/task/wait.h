/* SPDX-License-Identifier: MIT */
/*
 * Waits: the one way in which a task waits. Whatever it waits for (an operation of the ring, a timer, its children, an
 * offloaded call), it parks on a `wait`, and each kind of wait says three things: how it is completed (somebody calls
 * noria_wait_complete()), what giving it up takes, and what to tell people about it.
 *
 * Abandoning is a request: the kind does what makes the wait end soon, and the task resumes when it has ended, never
 * before. It is asked for at most once. A kind without `abandon` cannot be cancelled and is not woken.
 */
#ifndef NORIA_TASK_WAIT_H
#define NORIA_TASK_WAIT_H

#include <stdbool.h>
#include <stddef.h>

struct task;
struct wait;

struct wait_class {
	void (*abandon)(struct wait *wait);
	void (*describe)(const struct wait *wait, char *text, size_t size);
	bool external; /* it may be completed from outside the runtime's tasks */
	bool lasting;  /* it may be meant to last until a signal ends the run */
};

struct wait {
	const struct wait_class *class;
	struct task *task;
	bool done;
	bool abandoned;
};

/* A wait of the running task. */
void noria_wait_init(struct wait *wait, const struct wait_class *class);
/* Park until the wait is done. One that is done already (what was asked for was refused) counts against the turn. */
void noria_wait_park(struct wait *wait);
/* The wait has ended; its task becomes ready if it is parked on it. */
void noria_wait_complete(struct wait *wait);
/* Ask for its end, once; later calls do nothing. */
void noria_wait_abandon(struct wait *wait);

#endif
