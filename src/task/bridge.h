/* SPDX-License-Identifier: MIT */
/*
 * Bridges: how another thread reaches a loop that may be gone by then. The bridge is counted and outlives the loop; the
 * end of the run takes the loop off it, and waits for whoever is about to post.
 */
#ifndef NORIA_TASK_BRIDGE_H
#define NORIA_TASK_BRIDGE_H

#include "task/loop.h"

#include <stdbool.h>

struct bridge;

/* The loop's bridge with one more reference; made on first use. NULL when there is no memory. Loop's thread. */
struct bridge *noria_bridge_get(struct loop *loop);
/* Any thread. */
void noria_bridge_unref(struct bridge *bridge);
/* Hand work to the loop, from any thread. False when the loop is gone: it will not run. */
bool noria_bridge_post(struct bridge *bridge, struct remote *remote);
/* Is this the child of a fork(), where the loop's memory is a dead copy? */
bool noria_bridge_forked(const struct bridge *bridge);
/* No task is left, and the loop is about to go: what was posted so far runs here, what comes later finds no loop. */
void noria_bridge_end(struct loop *loop);

#endif
