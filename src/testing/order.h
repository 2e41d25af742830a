/* SPDX-License-Identifier: MIT */
/*
 * Which of the ready tasks runs next, in a simulated run. At random: any of them, each time; a script in the world's
 * draws makes of this a search through all orders. PCT (Burckhardt et al. 2010): each task has a priority of its own,
 * drawn, and at a few moments, drawn as well, the task that would run loses its own; this finds bugs that need few
 * switches at certain places with a known probability, and orders that a fair draw hardly ever makes.
 */
#ifndef NORIA_TESTING_ORDER_H
#define NORIA_TESTING_ORDER_H

#include <stdint.h>

struct loop;

enum testing_order {
	TESTING_ORDER_KEPT, /* as they became ready, in turns of the usual length */
	TESTING_ORDER_RANDOM,
	TESTING_ORDER_PCT,
};

enum { TESTING_CHANGES_MAX = 16 };

/*
 * For the runs of this thread's world that begin from here on. PCT: so many changes (up to TESTING_CHANGES_MAX) among
 * the first `steps` choices.
 */
void testing_order_set(enum testing_order order, unsigned changes, uint64_t steps);
/* A loop has been opened. */
void testing_order_loop(struct loop *loop);

#endif
