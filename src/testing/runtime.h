/* SPDX-License-Identifier: MIT */
/*
 * How the runtime comes to run in a simulated world: what is put in the places that it leaves for that. A thread that
 * has no world goes on as if nothing had been put there.
 */
#ifndef NORIA_TESTING_RUNTIME_H
#define NORIA_TESTING_RUNTIME_H

#include <stdbool.h>

struct sim_host;

/* Before the first simulated run of the process. Any number of times. */
void testing_runtime_install(void);
/* Does this thread run in a world just now: a task of a simulated ring, its loop, or a call on a virtual thread? */
bool testing_simulated(void);
/* The host on which the running task is, or the call that it made; the default one between tasks. There is a world. */
struct sim_host *testing_host(void);

#endif
