/* SPDX-License-Identifier: MIT */
/*
 * One-shot operations: an entry of the ring, awaited. The families (socket.c, file.c, ...) fill an entry and call
 * noria_op_run(); checkpoints, cancellation, both kinds of time limit and resubmission are here, once.
 */
#ifndef NORIA_OP_OP_H
#define NORIA_OP_OP_H

#include "base/assert.h"
#include "ring/ring.h"
#include "task/submission.h"
#include "task/wait.h"

#include <stdint.h>

enum op_flags {
	/* A time limit travels with the entry as a linked timeout; without this it is the loop's heap that keeps it. */
	OP_POLLABLE = 1 << 0,
	/* A worker of the kernel may block in it, out of the linked timeout's reach: the heap stands by. */
	OP_WORKER = 1 << 4,
	/* Try the call first: it likely succeeds without waiting. */
	OP_ATTEMPT = 1 << 1,
	/* -EAGAIN is the caller's wish (MSG_DONTWAIT), not a reason to wait. */
	OP_DONTWAIT = 1 << 2,
	/* Completes whatever becomes of the scope: no checkpoint, no cancel. */
	OP_ALWAYS = 1 << 3,
};

struct op {
	struct submission submission;
	struct wait wait;
	int64_t result;
	const char *name;
	bool copied;   /* a send without copying copied after all */
	int second_fd; /* of a splice; -1: none */
};

/*
 * Run what `op->submission.sqe` says in the calling task. Returns its result or a negative errno; -ECANCELED when the
 * scope was cancelled, -ENXIO outside a runtime.
 */
int64_t noria_op_run(struct op *op, const char *name, unsigned flags);
/* The same, for what has another way: its error is not noted as one that arose. */
int64_t noria_op_run_quietly(struct op *op, const char *name, unsigned flags);

/* Whose operation this is; NULL: none of these. */
struct task *noria_op_task(struct submission *submission);

/*
 * For a call that never blocks and is made by its system call, not by an entry: the checkpoint before it, 0 or a
 * negative errno; and what it came to, from what it returned and errno.
 */
int noria_op_door(void);
int noria_op_made(int result);

/* An entry's length has 32 bits; the kernel itself moves at most this much in one call. */
static inline unsigned op_length(size_t size)
{
	return size < 0x7ffff000 ? (unsigned)size : 0x7ffff000;
}

/* An `op` on the stack whose entry is filled by `prepare(sqe, ...)` of liburing, which expects a cleared one. */
#define op_call(name, flags, prepare, ...) op_call_pair(-1, name, flags, prepare, ##__VA_ARGS__)

/* The same for one that also concerns a second descriptor: closing either ends it. */
#define op_call_pair(fd, name, flags, prepare, ...) \
	(__extension__({ \
		struct op op_; \
		op_.second_fd = (fd); \
		io_uring_initialize_sqe(&op_.submission.sqe); \
		prepare(&op_.submission.sqe, ##__VA_ARGS__); \
		noria_op_run(&op_, name, flags); \
	}))

#endif
