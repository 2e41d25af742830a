/* SPDX-License-Identifier: MIT */
/*
 * A host of a run, as the kit knows it: its main task and whether it has power. host.c makes hosts and keeps them
 * running, crash.c is what befalls them, link.c what lies between them.
 */
#ifndef NORIA_TESTING_HOST_H
#define NORIA_TESTING_HOST_H

#include "testing/kit.h"

#include "base/list.h"
#include "simulation/host.h"
#include "simulation/world.h"

#include <netinet/in.h>
#include <stdbool.h>

struct wait;

struct noria_sim_host {
	struct list node;           /* in run->hosts */
	struct sim_host *simulated; /* NULL: with the kernel's ring */
	char name[SIM_HOST_NAME_MAX];
	char address[INET6_ADDRSTRLEN];
	noria_task_fn *fn; /* NULL: it was never started */
	void *arg;
	const struct noria_site *site;
	struct scope *boot; /* the group of its main task; NULL: that does not run */
	struct wait *power; /* of the keeper, while it waits for a boot */
	bool up, wanted;    /* its power; it is to be booted */
	bool crashed;       /* since its boot */
	unsigned signals;
	struct list callers; /* who waits for the end of this boot */
	struct sim_event back;
};

/* On which the calling task is; NULL: none that was asked for. */
struct noria_sim_host *testing_host_own(void);
/* Until the tasks of its last boot have ended. */
int testing_host_await_end(struct noria_sim_host *host);

#endif
