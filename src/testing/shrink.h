/* SPDX-License-Identifier: MIT */
/* A plan of faults made short, while it still does what it did. */
#ifndef NORIA_TESTING_SHRINK_H
#define NORIA_TESTING_SHRINK_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Leave entries out of the plan `text`, of a buffer, for as long as `fails(plan, arg)` says true of what remains:
 * halves first, then ever smaller parts (Zeller's ddmin). At most `tries` questions. Returns how many entries remain.
 */
unsigned noria_shrink(char *text, bool (*fails)(const char *plan, void *arg), void *arg, unsigned tries);

#endif
