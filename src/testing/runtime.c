/* SPDX-License-Identifier: MIT */
/* Each of these asks whether this thread has a world, and leaves everything as it is where it has none. */
#include "testing/runtime.h"

#include "base/memory.h"
#include "simulation/fault.h"
#include "simulation/host.h"
#include "simulation/ring.h"
#include "simulation/world.h"
#include "task/loop.h"
#include "testing/order.h"
#include "testing/thread.h"

static unsigned whose(void)
{
	if (testing_thread())
		return testing_thread_persona();
	return noria_loop && noria_loop->current ? noria_loop->current->persona : 0;
}

static int open_ring(struct ring **ret_ring, unsigned entries, unsigned entries_max)
{
	int r;

	if (!sim_world)
		return noria_kernel_ring_open(ret_ring, entries, entries_max);
	r = sim_ring_open(ret_ring, entries, entries_max);
	if (r < 0)
		return r;
	(*ret_ring)->simulated = true;
	sim_world->whose = whose;
	return 0;
}

static void loop_opened(struct loop *loop)
{
	if (loop->ring->simulated)
		testing_order_loop(loop);
}

static bool memory_fails_here(void)
{
	return sim_world && sim_strikes(&sim_world->plan, SIM_FAULT_NOMEM);
}

void testing_runtime_install(void)
{
	noria_ring_opener = open_ring;
	noria_loop_opened = loop_opened;
	noria_memory_fails = memory_fails_here;
	testing_threads_install();
}

bool testing_simulated(void)
{
	return sim_world && (testing_thread() || (noria_loop && noria_loop->ring->simulated));
}

struct sim_host *testing_host(void)
{
	return sim_host_numbered(sim_world, whose());
}
