/* SPDX-License-Identifier: MIT */
/* Linked to programs of tests/rules: all that they run, they run in a world, of the seed that the environment has. */
#include "runtime.h"

__attribute__((constructor)) static void open_world(void)
{
	const char *seed = getenv("NORIA_TEST_WORLD"), *kept = getenv("NORIA_TEST_KEPT");

	testing_runtime_install();
	testing_order_set(kept ? TESTING_ORDER_KEPT : TESTING_ORDER_RANDOM, 0, 0);
	MUST(sim_world_open(&sim_world, seed ? strtoull(seed, NULL, 10) : 1, "") == 0);
}
