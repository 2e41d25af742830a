/* SPDX-License-Identifier: MIT */
/*
 * What befalls hosts: they crash, come back, and are sent signals, by calls of the test or by a fault of the plan. A
 * crash takes the power, so that whatever the tasks still ask for has no effect, and cancels the group of their boot.
 */
#include "testing/host.h"

#include "base/message.h"
#include "ring/ring.h"
#include "scope/scope.h"
#include "simulation/host.h"
#include "simulation/net/net.h"
#include "simulation/ring.h"
#include "task/loop.h"
#include "task/wait.h"

#include <errno.h>
#include <noria/scope.h>
#include <signal.h>

/* A crashed host of a plan comes back after about so long. */
#define BACK_NS INT64_C(500000000)

static void give_power(struct noria_sim_host *host)
{
	host->wanted = true;
	if (host->power && !host->power->done)
		noria_wait_complete(host->power);
}

static void lose_power(struct noria_sim_host *host)
{
	host->up = false;
	host->crashed = true;
	host->wanted = false;
	if (host->simulated)
		sim_host_crash(host->simulated);
	if (host->boot)
		noria_scope_interrupt(host->boot, NORIA_CAUSE_EXPLICIT, noria_loop->current, host->site,
				      "its host crashed");
}

static void power_up(struct noria_sim_host *host)
{
	host->up = true;
	if (host->simulated)
		sim_host_restart(host->simulated);
}

static int refuse_own(const struct noria_sim_host *host, const char *what)
{
	if (!host || !noria_loop || !noria_loop->current)
		return noria_refuse(-EINVAL, "%s without a host or outside a run", what);
	if (host == testing_host_own() ||
	    (host->simulated && host->simulated == sim_host_numbered(testing_run->world, noria_loop->current->persona)))
		return noria_refuse(-EINVAL, "%s by a task of that host, %s, itself", what, host->name);
	return 0;
}

int noria_sim_crash(struct noria_sim_host *host)
{
	int r = refuse_own(host, "noria_sim_crash()");

	if (r >= 0)
		r = noria_check();
	if (r < 0)
		return r;
	if (host->up)
		lose_power(host);
	return testing_host_await_end(host);
}

int noria_sim_restart(struct noria_sim_host *host)
{
	int r = refuse_own(host, "noria_sim_restart()");

	if (r >= 0 && !host->fn)
		r = noria_refuse(-EINVAL, "host %s was never started", host->name);
	if (r >= 0)
		r = noria_check();
	if (r < 0 || (host->up && host->boot))
		return r;
	r = testing_host_await_end(host);
	if (!host->up)
		power_up(host);
	give_power(host);
	return r;
}

bool noria_sim_is_up(const struct noria_sim_host *host)
{
	return host && host->up;
}

static void come_back(struct sim_world *world, struct sim_event *event)
{
	struct noria_sim_host *host = container_of(event, struct noria_sim_host, back);

	if (!host->up)
		power_up(host);
	give_power(host);
	if (world->ring)
		world->ring->ring.class->wake(&world->ring->ring);
}

void testing_hosts_strike(struct testing_run *run)
{
	struct noria_sim_host *running[SIM_HOSTS_MAX], *host;
	unsigned count = 0;

	for (struct list *node = run->hosts.next; node && node != &run->hosts; node = node->next) {
		host = list_entry(node, struct noria_sim_host, node);
		if (host->boot && host->up && count < SIM_HOSTS_MAX)
			running[count++] = host;
	}
	if (count == 0 || !sim_strikes(run->plan, SIM_FAULT_CRASH))
		return;
	host = running[sim_draw(run->world, SIM_CHOICE_FATE, count)];
	lose_power(host);
	host->back.happen = come_back;
	sim_event_at(run->world, &host->back, run->world->now + sim_draw_latency(run->world, BACK_NS));
}

int noria_sim_signal(struct noria_sim_host *host, int signal_number)
{
	if (!host || (signal_number != SIGTERM && signal_number != SIGINT))
		return noria_refuse(-EINVAL, "noria_sim_signal() knows SIGTERM and SIGINT");
	if (!host->boot)
		return noria_refuse(-ESRCH, "the main task of host %s does not run", host->name);
	if (host->simulated)
		sim_host_signal(host->simulated, signal_number);
	if (host->signals++ == 0)
		noria_scope_begin_drain(host->boot, noria_loop->current, host->site, "a signal to its host");
	else
		noria_scope_interrupt(host->boot, NORIA_CAUSE_SHUTDOWN, noria_loop->current, host->site,
				      "a second signal to its host");
	return 0;
}
