/* SPDX-License-Identifier: MIT */
/*
 * Several operations of one task under way together: submitted in one go, awaited by one wait, which is over when the
 * last of them is. Cancelled together; each keeps a result of its own.
 */
#ifndef NORIA_OP_SEVERAL_H
#define NORIA_OP_SEVERAL_H

#include "task/submission.h"
#include "task/wait.h"

#include <stdint.h>

struct several;

struct part {
	struct submission submission;
	struct several *several;
	int64_t result; /* of the operation */
};

/* The cleared entry of a part, to be filled before it is run. */
static inline struct io_uring_sqe *part_entry(struct part *part)
{
	io_uring_initialize_sqe(&part->submission.sqe);
	return &part->submission.sqe;
}

/*
 * Run them in the calling task, which has passed its checkpoint. Their results say what became of them, -ECANCELED
 * where the scope's cancel came first.
 */
void noria_several_run(struct part *parts, unsigned count, const char *name);

#endif
