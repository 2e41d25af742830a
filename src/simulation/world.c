/* SPDX-License-Identifier: MIT */
/* The clock and what will happen, in the order of its time; and how a world begins and ends. */
#include "simulation/world.h"

#include "base/container.h"
#include "base/message.h"
#include "simulation/disk/disk.h"
#include "simulation/file.h"
#include "simulation/host.h"
#include "simulation/net/net.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

__thread struct sim_world *sim_world;

/* ---- what will happen ---- */

void sim_event_at(struct sim_world *world, struct sim_event *event, int64_t time_ns)
{
	if (sim_event_set(event))
		noria_heap_remove(&world->events, &event->node);
	noria_heap_insert(&world->events, &event->node, time_ns > world->now ? time_ns : world->now);
}

void sim_event_never(struct sim_world *world, struct sim_event *event)
{
	if (sim_event_set(event))
		noria_heap_remove(&world->events, &event->node);
}

bool sim_world_step(struct sim_world *world, int64_t until_ns)
{
	struct heap_node *first = heap_first(&world->events);
	struct sim_event *event;

	if (!first || first->key > until_ns)
		return false;
	event = container_of(first, struct sim_event, node);
	noria_heap_remove(&world->events, first);
	world->now = first->key > world->now ? first->key : world->now;
	event->happen(world, event);
	return true;
}

bool sim_world_is_behind(const struct sim_world *world)
{
	const struct heap_node *first = heap_first(&world->events);

	return first && first->key <= world->now;
}

int64_t sim_world_look(struct sim_world *world)
{
	if (world->now != world->looked_at) {
		world->looked_at = world->now;
		world->looks = 0;
	}
	if (++world->looks > SIM_LOOKS_MAX)
		world->looked_at = world->now += SIM_LOOK_NS;
	return world->now;
}

void sim_trace_line(struct sim_world *world, const char *format, ...)
{
	int64_t since = world->now - SIM_EPOCH_NS;
	va_list arguments;

	fprintf(world->trace, "%5lld.%09lld ", (long long)(since / 1000000000), (long long)(since % 1000000000));
	va_start(arguments, format);
	vfprintf(world->trace, format, arguments);
	va_end(arguments);
	fputc('\n', world->trace);
}

/* ---- beginning and end ---- */

int sim_world_open(struct sim_world **ret_world, uint64_t seed, const char *plan)
{
	struct sim_world *world = calloc(1, sizeof *world);
	struct sim_host *host;
	int r;

	if (!world)
		return noria_refuse(-ENOMEM, "no memory for a simulated world");
	world->now = SIM_EPOCH_NS;
	sim_draws_init(&world->draws, seed);
	r = sim_plan_parse(&world->plan, seed, plan);
	if (r >= 0)
		r = sim_net_open(world);
	if (r >= 0)
		r = sim_host_add(world, "localhost", "127.0.0.1", &host);
	if (r >= 0)
		r = sim_host_add_address(host, "::1");
	if (r >= 0)
		r = sim_host_add_address(host, "10.0.0.1");
	if (r < 0) {
		sim_world_close(world);
		return r;
	}
	*ret_world = world;
	return 0;
}

void sim_world_close(struct sim_world *world)
{
	for (unsigned i = 0; i < world->fds_size; i++)
		if (world->fds[i])
			sim_fd_close(world, SIM_FD + (int)i);
	for (int i = 0; i < 3; i++)
		if (world->console[i])
			sim_file_unref(world->console[i]);
	for (unsigned i = 0; i < world->hosts_count; i++)
		sim_host_free(world->hosts[i]);
	if (world->net)
		sim_net_close(world);
	free(world->fds);
	free(world);
}
