/* SPDX-License-Identifier: MIT */
/* The proof that a run depends on nothing but its seed: see draws.c. */
#ifndef NORIA_TESTING_DRAWS_H
#define NORIA_TESTING_DRAWS_H

struct testing_run;

/* The world of the run is open: from here on each of its draws is written down, or compared. */
void testing_draws_attach(struct testing_run *run);
/* It is over. */
void testing_draws_detach(struct testing_run *run);

#endif
