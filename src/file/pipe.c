/* SPDX-License-Identifier: MIT */
/* Pipes. Making one never waits: the boundary is asked to do it at once, and the ring's own operation has no part. */
#include "noria/file.h"

#include "op/op.h"
#include "ring/compat.h"

static void prepare_pipe(struct io_uring_sqe *sqe, int *ends, int flags)
{
	io_uring_prep_rw(RING_OP_PIPE, sqe, 0, ends, 0, 0);
	sqe->rw_flags = flags;
}

int noria_pipe2(int ret_ends[2], int flags)
{
	return (int)op_call("pipe2", OP_ATTEMPT, prepare_pipe, ret_ends, flags);
}

int noria_pipe(int ret_ends[2])
{
	return noria_pipe2(ret_ends, 0);
}
