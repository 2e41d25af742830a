/* SPDX-License-Identifier: MIT */
/*
 * A simulated machine: a name, addresses, a disk, a clock that may be wrong, and power that may fail. A crash takes its
 * memory: sockets vanish without a word to their peers, what was not yet durable on the disk may be lost, and whatever
 * its tasks still ask for is answered -EHOSTDOWN, without any effect.
 */
#ifndef NORIA_SIMULATION_HOST_H
#define NORIA_SIMULATION_HOST_H

#include "simulation/file.h"
#include "simulation/world.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

enum { SIM_HOST_NAME_MAX = 64, SIM_ADDRESSES_MAX = 4 };

struct sim_host {
	struct sim_world *world;
	unsigned number; /* in world->hosts; the `personality` of an entry */
	char name[SIM_HOST_NAME_MAX];
	struct in6_addr addresses[SIM_ADDRESSES_MAX]; /* IPv4 ones mapped */
	unsigned addresses_count;
	bool up;
	unsigned boots;        /* files of an earlier boot are dead */
	int64_t skew_ns;       /* of its wall clock */
	int64_t drift_ppm;     /* how fast that clock runs away */
	int64_t disk_ns;       /* a read of its disk typically takes so long, and all else in proportion; 0: as usual */
	struct sim_disk *disk; /* made by the first use */
};

/* Returns 0; -EINVAL (an address that is none, or taken), -ENOSPC, -ENOMEM with noria_message(). */
int sim_host_add(struct sim_world *world, const char *name, const char *address, struct sim_host **ret_host);
int sim_host_add_address(struct sim_host *host, const char *address);
void sim_host_free(struct sim_host *host);
/* The one with this number; the first when there is none such. */
struct sim_host *sim_host_numbered(struct sim_world *world, unsigned number);
struct sim_host *sim_host_named(struct sim_world *world, const char *name);
/* Lose power; get it back. A host that is down already, or up, stays so. */
void sim_host_crash(struct sim_host *host);
void sim_host_restart(struct sim_host *host);
/* Its wall clock now, in ns since 1970. */
int64_t sim_host_realtime(const struct sim_host *host);

#endif
