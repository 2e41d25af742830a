/* SPDX-License-Identifier: MIT */
/* What lies between hosts: how long a packet takes, and whether it comes at all. A host is linked to itself, too. */
#include "simulation/net/socket.h"

#include <stdlib.h>

enum {
	LATENCY_NS = 50 * 1000, /* between hosts, and as much again that is drawn */
	LOOPBACK_NS = 3 * 1000,
	DELAY_TIMES = 100,
	QUEUE_NS = 100 * 1000 * 1000, /* as much as this waits for its turn on a slow link; more is lost */
};

struct sim_path {
	struct sim_link link;
	bool cut;
	int64_t busy_until_ns; /* with bytes that are sent before */
	int64_t last_due_ns;
};

static const struct sim_link between = {.latency_ns = LATENCY_NS, .jitter_ns = LATENCY_NS};
static const struct sim_link loopback = {.jitter_ns = LOOPBACK_NS};

static struct sim_path *make_paths(struct sim_host *from)
{
	struct sim_path *paths = calloc(SIM_HOSTS_MAX, sizeof *paths);

	for (unsigned i = 0; paths && i < SIM_HOSTS_MAX; i++)
		paths[i].link = i == from->number ? loopback : between;
	from->world->net->paths[from->number] = paths;
	return paths;
}

static struct sim_path *path_of(struct sim_host *from, struct sim_host *to)
{
	static struct sim_path without_memory = {.cut = true};
	struct sim_path *paths = from->world->net->paths[from->number];

	if (!paths)
		paths = make_paths(from);
	return paths ? &paths[to->number] : &without_memory;
}

void sim_net_link(struct sim_host *from, struct sim_host *to, const struct sim_link *link)
{
	path_of(from, to)->link = *link;
}

const struct sim_link *sim_net_link_of(struct sim_host *from, struct sim_host *to)
{
	return &path_of(from, to)->link;
}

void sim_net_partition(struct sim_host *from, struct sim_host *to, bool cut)
{
	sim_trace(from->world, "%s to %s is %s", from->name, to->name, cut ? "cut" : "whole");
	path_of(from, to)->cut = cut;
	if (cut)
		sim_tcp_partitioned(from, to);
}

bool sim_is_cut(struct sim_host *from, struct sim_host *to)
{
	return path_of(from, to)->cut;
}

/*
 * When the last of its bytes has left, after those before it. Returns the wait in ns, or -1: too many wait. Of a stream
 * none is lost by that: TCP sends no faster than the path can take it.
 */
static int64_t queue(struct sim_path *path, int64_t now, size_t size, bool stream)
{
	int64_t begin = path->busy_until_ns > now ? path->busy_until_ns : now;

	if (begin - now > QUEUE_NS && !stream)
		return -1;
	path->busy_until_ns = begin + (int64_t)((unsigned __int128)size * 1000000000 / path->link.bandwidth);
	return path->busy_until_ns - now;
}

static bool is_lost(struct sim_world *world, const struct sim_path *path)
{
	if (sim_strikes(&world->plan, SIM_FAULT_LOSS) || path->cut)
		return true;
	return path->link.loss_ppm > 0 && sim_draw(world, SIM_CHOICE_LATENCY, 1000000) < path->link.loss_ppm;
}

int64_t sim_cross(struct sim_host *from, struct sim_host *to, size_t size, bool stream)
{
	struct sim_world *world = from->world;
	struct sim_path *path = path_of(from, to);
	int64_t latency_ns = path->link.latency_ns, queued_ns = 0;

	if (path->link.jitter_ns > 0)
		latency_ns += sim_draw_latency(world, path->link.jitter_ns);
	if (sim_strikes(&world->plan, SIM_FAULT_DELAY))
		latency_ns *= DELAY_TIMES;
	if (path->link.bandwidth > 0)
		queued_ns = queue(path, world->now, size, stream);
	if (is_lost(world, path) || queued_ns < 0)
		return -1;
	return queued_ns + latency_ns;
}

int64_t sim_cross_typical(struct sim_host *from, struct sim_host *to)
{
	const struct sim_link *link = &path_of(from, to)->link;

	return link->latency_ns + link->jitter_ns;
}

int64_t sim_cross_in_order(struct sim_host *host, int64_t due)
{
	struct sim_path *path = path_of(host, host);

	path->last_due_ns = due > path->last_due_ns ? due : path->last_due_ns;
	return path->last_due_ns;
}

bool sim_is_doubled(struct sim_host *from, struct sim_host *to)
{
	const struct sim_link *link = &path_of(from, to)->link;
	struct sim_world *world = from->world;

	if (sim_strikes(&world->plan, SIM_FAULT_DUPLICATE))
		return true;
	return link->duplicate_ppm > 0 && sim_draw(world, SIM_CHOICE_LATENCY, 1000000) < link->duplicate_ppm;
}

void sim_paths_free(struct sim_net *net)
{
	for (unsigned i = 0; i < SIM_HOSTS_MAX; i++)
		free(net->paths[i]);
}
