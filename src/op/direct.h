/* SPDX-License-Identifier: MIT */
/*
 * The ring's table of direct descriptors, as the loop keeps account of it. The kernel chooses the place of each new
 * one; here is counted how many are open or promised, so that no operation is submitted that could find the table full:
 * an accept that did would have lost its connection.
 *
 * Behind the places that the kernel chooses from lie some that chains choose themselves (chain.c), since an entry that
 * uses a descriptor must name it before the entry that opens it has run.
 */
#ifndef NORIA_OP_DIRECT_H
#define NORIA_OP_DIRECT_H

#include "ring/direct.h"
#include "ring/ring.h"
#include "task/loop.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	DIRECT_CHAINED = 64, /* places of chains */
	DIRECT_MAX = LOOP_FDS - DIRECT_CHAINED,
	DIRECT_DEFAULT = 16384,
};

struct direct {
	unsigned places;  /* that the kernel chooses from */
	unsigned taken;   /* of these, open or promised to an operation under way */
	uint64_t chained; /* places of chains that are taken, a bit each */
	bool open[];      /* all places */
};

/* Can this runtime have any? Where not, ordinary descriptors stand in for them. */
static inline bool direct_there(const struct loop *loop)
{
	return features_has(&loop->ring->features, FEATURE_DIRECT);
}

/* The loop's table, made on first use. Returns 0, -EMFILE or -ENOMEM with noria_message(). */
int noria_direct_get(struct loop *loop, struct direct **ret_direct);
void noria_direct_free(struct loop *loop);
/* Promise a place to an operation of the running task. Returns 0, or what the call shall answer: -ENFILE, ... */
int noria_direct_promise(struct task *task);
/* What the operation came to: a place that is open now, or an error. Returns the descriptor, or the error. */
int noria_direct_keep(struct task *task, int64_t result);
/* noria_close() of a direct one. */
int noria_direct_close(struct task *task, int fd);
/* 0, or -EOPNOTSUPP and why: an entry that the kernel does not do, or not here, on the direct descriptor it names. */
int noria_direct_refuse(const struct loop *loop, const struct io_uring_sqe *sqe, const char *name);
/* An ordinary descriptor for a call that the ring has not; close(2) it at once. Never a checkpoint. */
int noria_direct_borrow(int fd);
/* The root task has ended: say so if any are open. */
void noria_direct_report(struct task *task);

/* An operation that makes a direct descriptor, `prepare` with IORING_FILE_INDEX_ALLOC at its end. */
#define op_call_direct(task, name, flags, prepare, ...) \
	(__extension__({ \
		int r_ = noria_direct_promise(task); \
		if (r_ >= 0) \
			r_ = noria_direct_keep(task, \
					       op_call(name, flags, prepare, __VA_ARGS__, IORING_FILE_INDEX_ALLOC)); \
		r_; \
	}))

#endif
