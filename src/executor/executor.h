/* SPDX-License-Identifier: MIT */
/*
 * The executor: threads for calls that block. Bounded in threads and in queue; threads are started when calls wait and
 * none is idle. Workers share nothing with the loop but the queue, under one lock, and hand results over through
 * noria_loop_post(), which wakes a sleeping loop.
 */
#ifndef NORIA_EXECUTOR_EXECUTOR_H
#define NORIA_EXECUTOR_EXECUTOR_H

struct loop;

/* Stop the workers and free the executor, if there is one. No call is under way. */
void noria_executor_free(struct loop *loop);

#endif
