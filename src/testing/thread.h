/* SPDX-License-Identifier: MIT */
/*
 * Threads of a simulated run. On a simulated ring an executor starts no thread of the kernel's: a worker runs on a
 * stack of its own on the loop's thread, at points in time of the world. It is switched to by an event while the ring
 * waits, and goes back when it has nothing to do, or makes a call that blocks: sleeping, yielding, a semaphore. So the
 * queues, bounds and guards of executors are those of every run (executor/pool.h), and their timing is drawn.
 */
#ifndef NORIA_TESTING_THREAD_H
#define NORIA_TESTING_THREAD_H

#include <stdbool.h>
#include <stdint.h>

struct virtual_thread;

/* Executors of simulated runs take these from here on; those of other runs stay as they are. */
void testing_threads_install(void);
/* The world is about to go: let every thread of it come to its end, as far as it does not wait for something. */
void testing_threads_finish(void);
/* Those that have not ended: workers that wait for a call are not counted. */
unsigned testing_threads_busy(void);

/* The one that runs now, or NULL: a task does, or the loop. */
struct virtual_thread *testing_thread(void);
/* The host of whoever made the call that this thread runs. */
unsigned testing_thread_persona(void);
/* For what it calls: let time pass. */
void testing_thread_sleep(int64_t duration_ns);
/* For what it calls: until somebody wakes those that wait for this address. */
void testing_thread_wait(const void *address);
/* Of any task, or thread: let those go on, all of them. */
void testing_thread_wake(const void *address);

#endif
