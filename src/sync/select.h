/* SPDX-License-Identifier: MIT */
/*
 * The arms of a select. A case of the caller's is an arm inside; each kind of case is a small class beside the thing it
 * waits for, and one line of the table in select.c.
 *
 * A select is one wait. When an arm says that it has happened, or the wait is abandoned, all arms leave what they stand
 * in, at once; the kernel may take its time to let go of a poll, and the task resumes when it has.
 */
#ifndef NORIA_SYNC_SELECT_H
#define NORIA_SYNC_SELECT_H

#include "noria/select.h"
#include "sync/exchange.h"
#include "task/submission.h"
#include "task/timer.h"

struct selection;

struct arm {
	unsigned kind;
	int result;
	void *object;
	void *item;
	int64_t number;
	struct selection *selection;
	union {
		size_t drawn; /* before it is enlisted: the case that is drawn where this one stands */
		struct exchange exchange;
		struct timer timer;
		struct submission submission;
	};
};

struct arm_class {
	/* 0, or a negative errno for misuse. Asked of all before any is tried. NULL: there is none. */
	int (*refuse)(const struct arm *arm);
	/* The same for a select that does not wait. NULL: it can be tried like any other. */
	int (*refuse_try)(const struct arm *arm);
	/*
	 * Let it happen now if that needs no waiting: then true, with arm->result set. Unless `thorough`, a kind that
	 * would need a system call to know answers false.
	 */
	bool (*attempt)(struct arm *arm, bool thorough);
	/* Stand in line: what comes calls noria_arm_happened(), maybe before this returns. */
	void (*enlist)(struct arm *arm);
	/* Leave; nothing if it has happened. */
	void (*delist)(struct arm *arm);
	void (*describe)(const struct arm *arm, char *text, size_t size);
	/* May it be completed from outside the runtime's tasks? NULL: no. */
	bool (*external)(const struct arm *arm);
};

/* The first of them is the one that select returns; later ones have no effect that could be lost. */
void noria_arm_happened(struct arm *arm, int result);

/* For an arm that cannot leave at once: from `hold` to `release` the select does not resume. */
void noria_arm_hold(struct arm *arm);
void noria_arm_release(struct arm *arm);

/* Enlist in a queue of exchanges, and leave it. */
void noria_arm_append(struct arm *arm, struct waiters *queue);
void noria_arm_remove(struct arm *arm);

extern const struct arm_class noria_arm_recv, noria_arm_send, noria_arm_subscriber, noria_arm_promise, noria_arm_until,
	noria_arm_fd, noria_arm_event, noria_arm_semaphore, noria_arm_child;

#endif
