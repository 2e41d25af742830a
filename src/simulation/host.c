/* SPDX-License-Identifier: MIT */
/* Hosts: their addresses, of which none is two hosts', and their power. */
#include "simulation/host.h"

#include "base/message.h"
#include "simulation/disk/disk.h"
#include "simulation/net/net.h"
#include "simulation/request.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool parse(const char *text, struct in6_addr *ret_address)
{
	struct in_addr v4;

	if (inet_pton(AF_INET6, text, ret_address) == 1)
		return true;
	if (inet_pton(AF_INET, text, &v4) != 1)
		return false;
	memset(ret_address, 0, sizeof *ret_address);
	ret_address->s6_addr[10] = ret_address->s6_addr[11] = 0xff;
	memcpy(ret_address->s6_addr + 12, &v4, sizeof v4);
	return true;
}

/* Each host has its own loopback; every other address is one host's. */
static bool is_loopback(const struct in6_addr *address)
{
	return IN6_IS_ADDR_LOOPBACK(address) || (IN6_IS_ADDR_V4MAPPED(address) && address->s6_addr[12] == 127);
}

static const struct sim_host *owner(const struct sim_world *world, const struct in6_addr *address)
{
	for (unsigned i = 0; i < world->hosts_count; i++)
		for (unsigned j = 0; j < world->hosts[i]->addresses_count; j++)
			if (IN6_ARE_ADDR_EQUAL(&world->hosts[i]->addresses[j], address))
				return world->hosts[i];
	return NULL;
}

int sim_host_add_address(struct sim_host *host, const char *text)
{
	const struct sim_host *other;
	struct in6_addr address;

	if (!parse(text, &address))
		return noria_refuse(-EINVAL, "a simulated host: '%s' is no IPv4 or IPv6 address", text);
	other = is_loopback(&address) ? NULL : owner(host->world, &address);
	if (other)
		return noria_refuse(-EINVAL, "a simulated host: the address %s is %s's already", text, other->name);
	if (host->addresses_count == SIM_ADDRESSES_MAX)
		return noria_refuse(-ENOSPC, "a simulated host: %s has %d addresses already", host->name,
				    SIM_ADDRESSES_MAX);
	host->addresses[host->addresses_count++] = address;
	return 0;
}

int sim_host_add(struct sim_world *world, const char *name, const char *address, struct sim_host **ret_host)
{
	struct sim_host *host;
	int r;

	if (!name[0] || strlen(name) >= SIM_HOST_NAME_MAX || sim_host_named(world, name))
		return noria_refuse(-EINVAL, "a simulated host: '%s' is too long, empty, or taken already", name);
	if (world->hosts_count == SIM_HOSTS_MAX)
		return noria_refuse(-ENOSPC, "a simulated host: there are %d already", SIM_HOSTS_MAX);
	host = calloc(1, sizeof *host);
	if (!host)
		return noria_refuse(-ENOMEM, "no memory for a simulated host");
	host->world = world;
	host->number = world->hosts_count;
	host->up = true;
	snprintf(host->name, sizeof host->name, "%s", name);
	r = sim_host_add_address(host, address);
	if (r < 0) {
		free(host);
		return r;
	}
	world->hosts[world->hosts_count++] = host;
	*ret_host = host;
	return 0;
}

void sim_host_free(struct sim_host *host)
{
	if (host->disk)
		sim_disk_free(host->disk);
	free(host);
}

struct sim_host *sim_host_numbered(struct sim_world *world, unsigned number)
{
	return world->hosts[number < world->hosts_count ? number : 0];
}

struct sim_host *sim_host_named(struct sim_world *world, const char *name)
{
	for (unsigned i = 0; i < world->hosts_count; i++)
		if (strcmp(world->hosts[i]->name, name) == 0)
			return world->hosts[i];
	return NULL;
}

void sim_host_crash(struct sim_host *host)
{
	if (!host->up)
		return;
	sim_trace(host->world, "%s crashes", host->name);
	host->up = false;
	host->boots++;
	sim_net_host_crashed(host);
	if (host->disk)
		sim_disk_crash(host->disk);
	sim_requests_of_host_fail(host);
}

void sim_host_restart(struct sim_host *host)
{
	if (host->up)
		return;
	sim_trace(host->world, "%s starts", host->name);
	host->up = true;
}

int64_t sim_host_realtime(const struct sim_host *host)
{
	int64_t since = host->world->now - SIM_EPOCH_NS;

	return SIM_REALTIME_NS + since + host->skew_ns + since / 1000000 * host->drift_ppm;
}
