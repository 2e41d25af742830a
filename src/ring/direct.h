/* SPDX-License-Identifier: MIT */
/*
 * Direct descriptors: places in the ring's own table of files, which the process's table knows nothing of. Above the
 * boundary they are numbers like other descriptors, in a range of their own, so that every operation takes either kind;
 * an entry gets its IOSQE_FIXED_FILE where it is placed in the ring.
 */
#ifndef NORIA_RING_DIRECT_H
#define NORIA_RING_DIRECT_H

#include <stdbool.h>

/* The first of them. The process's own numbers end far below (RLIMIT_NOFILE is bounded by 2^30 - 64). */
enum { FD_DIRECT = 1 << 30 };

static inline bool fd_is_direct(int fd)
{
	return fd >= FD_DIRECT;
}

/* The place in the ring's table, and back. */
static inline unsigned fd_direct_index(int fd)
{
	return (unsigned)fd - FD_DIRECT;
}

static inline int fd_from_direct(unsigned index)
{
	return (int)(index + FD_DIRECT);
}

#endif
