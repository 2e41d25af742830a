/* SPDX-License-Identifier: MIT */
/* Waiting on futexes where the ring cannot. */
#ifndef NORIA_PROCESS_FUTEX_THREAD_H
#define NORIA_PROCESS_FUTEX_THREAD_H

struct futex_waitv;
struct task;

/* As noria_futex_waitv(), past the door; up to NORIA_FUTEX_WAITV_MAX words. */
int noria_futex_wait_in_thread(struct task *task, const struct futex_waitv *waiters, unsigned count);

#endif
