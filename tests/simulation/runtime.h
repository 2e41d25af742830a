/* SPDX-License-Identifier: MIT */
/*
 * The runtime in a world, without the test kit: one run, with a seed, a plan of faults and an order of tasks. MUST()
 * ends the test's process: a task may not leave its stack by longjmp, as Criterion's assertions do.
 */
#ifndef NORIA_TESTS_SIMULATION_RUNTIME_H
#define NORIA_TESTS_SIMULATION_RUNTIME_H

#include "simulation/world.h"
#include "testing/order.h"
#include "testing/runtime.h"
#include "testing/thread.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <noria/noria.h>
#include <stdio.h>
#include <stdlib.h>

#define MUST(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "%s:%d: MUST(%s): %s\n", __FILE__, __LINE__, #condition, noria_message()); \
			abort(); \
		} \
	} while (0)

/* What became of a run. */
struct outcome {
	int result;
	uint64_t draws; /* a checksum of them */
	unsigned fds;   /* that are open still */
};

static inline struct outcome run_in_world(uint64_t seed, const char *plan, enum testing_order order,
					  noria_task_fn *body, void *arg)
{
	struct outcome outcome;

	testing_runtime_install();
	testing_order_set(order, 3, 20);
	MUST(sim_world_open(&sim_world, seed, plan) == 0);
	outcome.result = noria_run(NULL, body, arg);
	testing_threads_finish();
	outcome.draws = sim_world->draws.checksum;
	outcome.fds = sim_world->fds_open;
	sim_world_close(sim_world);
	sim_world = NULL;
	return outcome;
}

#endif
