/* SPDX-License-Identifier: MIT */
/*
 * The position of a file after a write that came short. The kernel's ring tries the rest by itself before it answers;
 * when that fails (no space, RLIMIT_FSIZE) it answers with what went before, and leaves the position where it was (seen
 * on Linux 6.18). Who goes on would write over that, and on a full disk believe to have written everything.
 */
#ifndef NORIA_OP_POSITION_H
#define NORIA_OP_POSITION_H

#include "task/loop.h"

#include <sys/types.h>

/* Before the write: who has the descriptor's number. */
static inline uint32_t file_closes(int fd)
{
	struct loop *loop = noria_loop;

	return loop ? *loop_closes(loop, fd) : 0;
}

/*
 * A write at the position of `fd` came to less than it was given: `moved` bytes, more than 0. Sees to it that the
 * position has moved as well. May park; no checkpoint. `closes` is from before the write.
 */
void noria_file_came_short(int fd, uint32_t closes, size_t moved);

#endif
