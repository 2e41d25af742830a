/* SPDX-License-Identifier: MIT */
/* Memcheck does not see what the kernel writes through the ring: tell it, once an operation has completed. */
#ifndef NORIA_RING_MEMCHECK_H
#define NORIA_RING_MEMCHECK_H

#include <liburing.h>
#include <stdint.h>

/* The memory that a completed operation with this entry and this result has filled is defined now. */
void noria_memcheck_filled(const struct io_uring_sqe *sqe, int32_t result);

#endif
