/* SPDX-License-Identifier: MIT */
/*
 * What lies between hosts: links and partitions, each for one pair of hosts or for all of them. With the kernel's ring
 * there is nothing between them that could be set.
 */
#include "testing/host.h"

#include "base/message.h"
#include "simulation/host.h"
#include "simulation/net/net.h"

#include <errno.h>

static struct sim_link link_from_public(const struct noria_sim_link *link)
{
	return (struct sim_link){
		.latency_ns = link->latency_ns,
		.jitter_ns = link->jitter_ns,
		.bandwidth = link->bytes_per_sec,
		.loss_ppm = (uint32_t)(link->loss * 1e6),
		.duplicate_ppm = (uint32_t)(link->duplicate * 1e6),
	};
}

/* For each pair of hosts that is meant, this way; NULL means any. */
static void for_pairs(struct noria_sim_host *from, struct noria_sim_host *to,
		      void (*act)(struct sim_host *from, struct sim_host *to, const void *arg), const void *arg)
{
	struct sim_world *world = testing_run->world;

	for (unsigned i = 0; i < world->hosts_count; i++)
		for (unsigned j = 0; j < world->hosts_count; j++)
			if (i != j && (!from || from->simulated == world->hosts[i]) &&
			    (!to || to->simulated == world->hosts[j]))
				act(world->hosts[i], world->hosts[j], arg);
}

static void set_link(struct sim_host *from, struct sim_host *to, const void *arg)
{
	sim_net_link(from, to, arg);
}

static void set_partition(struct sim_host *from, struct sim_host *to, const void *arg)
{
	sim_net_partition(from, to, *(const bool *)arg);
}

int noria_sim_set_link(struct noria_sim_host *a, struct noria_sim_host *b, const struct noria_sim_link *public)
{
	struct sim_link link;

	if (!public || public->latency_ns < 0 || public->jitter_ns < 0 || !(public->loss >= 0 && public->loss <= 1) ||
	    !(public->duplicate >= 0 && public->duplicate <= 1))
		return noria_refuse(-EINVAL, "noria_sim_set_link(): a negative time, or a probability beyond 0 to 1");
	if (!testing_run || !testing_run->world)
		return 0;
	link = link_from_public(public);
	for_pairs(a, b, set_link, &link);
	for_pairs(b, a, set_link, &link);
	return 0;
}

static int partition(struct noria_sim_host *from, struct noria_sim_host *to, bool cut)
{
	if (from && from == to)
		return noria_refuse(-EINVAL, "a partition between a host and itself");
	if (testing_run && testing_run->world)
		for_pairs(from, to, set_partition, &cut);
	return 0;
}

int noria_sim_partition(struct noria_sim_host *from, struct noria_sim_host *to)
{
	return partition(from, to, true);
}

int noria_sim_heal(struct noria_sim_host *from, struct noria_sim_host *to)
{
	return partition(from, to, false);
}
