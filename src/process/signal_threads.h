/* SPDX-License-Identifier: MIT */
/* Which signals the threads of the process block. */
#ifndef NORIA_PROCESS_SIGNAL_THREADS_H
#define NORIA_PROCESS_SIGNAL_THREADS_H

#include <stdint.h>

/* Bit `n - 1` of a mask is signal n, as in /proc. */
static inline uint64_t signal_bit(int signal_number)
{
	return UINT64_C(1) << (signal_number - 1);
}

/*
 * -EBUSY, with a message that names the thread and the remedy, if another thread of the process leaves a signal of
 * `signals` unblocked; 0 if none does; a negative errno if that cannot be found out.
 */
int noria_signals_refuse_unblocked(uint64_t signals);

#endif
