/* SPDX-License-Identifier: MIT */
/*
 * Hosts that are booted, crash and come back. Each has a keeper, a task of the kit's on no host in particular: it makes
 * a group for a boot, whose only child is the host's main task, and waits for its end; then it waits for the next boot.
 */
#include "testing/host.h"

#include "base/message.h"
#include "scope/child.h"
#include "simulation/disk/disk.h"
#include "simulation/host.h"
#include "task/loop.h"

#include <arpa/inet.h>
#include <errno.h>
#include <noria/scope.h>
#include <stdlib.h>
#include <string.h>

/* Hosts are given so long to drain at the end. */
#define DRAIN_NS INT64_C(30000000000)

struct caller {
	struct wait wait;
	struct list node;
};

static void describe_power(const struct wait *wait, char *text, size_t size)
{
	(void)wait;
	snprintf(text, size, "keeps a simulated host, whose main task does not run");
}

static void give_up(struct wait *wait)
{
	noria_wait_complete(wait);
}

static void describe_caller(const struct wait *wait, char *text, size_t size)
{
	(void)wait;
	snprintf(text, size, "waits for the tasks of a crashed host to end");
}

static const struct wait_class power_class = {.abandon = give_up, .describe = describe_power};
static const struct wait_class caller_class = {.describe = describe_caller};

/* ---- the keeper ---- */

static void tell_callers(struct noria_sim_host *host)
{
	while (!list_empty(&host->callers)) {
		struct caller *caller = list_entry(list_pop_front(&host->callers), struct caller, node);

		noria_wait_complete(&caller->wait);
	}
}

static void set_persona(const struct noria_sim_host *host)
{
	noria_loop->current->persona = host && host->simulated ? (uint16_t)host->simulated->number : 0;
}

/* The checkpoints of tests and hosts are told, the kit's own are not. It has not run yet. */
static void watch(struct noria_child *child)
{
	((struct handle *)child)->child->root.watched = true;
}

static int boot(struct noria_sim_host *host)
{
	struct noria_child main = {0};
	struct noria_group group = {0};
	struct noria_spawn_options options = {.name = host->name, .child = &main};
	int r = noria_group_open_at(&group, NORIA_FOREVER, NULL, host->site);

	if (r < 0)
		return r;
	host->boot = &group_from_public(&group)->scope;
	host->wanted = host->crashed = false;
	host->signals = 0;
	set_persona(host);
	r = noria_spawn_at(&group, host->fn, host->arg, &options, host->site);
	set_persona(NULL);
	if (r >= 0)
		watch(&main);
	r = noria_group_close_at(&group, r, host->site);
	host->boot = NULL;
	tell_callers(host);
	return r;
}

/* Until it is to be booted. Returns -ECANCELED at the end of the run. */
static int await_power(struct noria_sim_host *host)
{
	struct task *task = noria_current();
	struct wait wait;

	while (!host->wanted || !host->up) {
		int r = scope_door(task);

		if (r < 0)
			return r;
		noria_wait_init(&wait, &power_class);
		host->power = &wait;
		scope_wait(task, &wait);
		host->power = NULL;
	}
	return 0;
}

static int keep(void *arg)
{
	struct noria_sim_host *host = arg;
	int r;

	do {
		r = boot(host);
		if (r < 0 && !host->crashed)
			return r;
		(void)noria_last_failure(); /* what a crash made of its tasks is nobody's failure */
		r = await_power(host);
	} while (r == 0);
	return r;
}

int testing_host_await_end(struct noria_sim_host *host)
{
	struct caller caller;

	if (!host->boot)
		return 0;
	noria_wait_init(&caller.wait, &caller_class);
	list_push_back(&host->callers, &caller.node);
	noria_wait_park(&caller.wait);
	return 0;
}

/* ---- the end of the run ---- */

static bool any_runs(const struct testing_run *run)
{
	for (const struct list *node = run->hosts.next; node != &run->hosts; node = node->next)
		if (list_entry(node, struct noria_sim_host, node)->boot)
			return true;
	return false;
}

/* Those that still run are drained, and then cancelled. */
static void drain_hosts(struct testing_run *run)
{
	int64_t end = noria_now() + DRAIN_NS;

	for (struct list *node = run->hosts.next; node != &run->hosts; node = node->next) {
		struct noria_sim_host *host = list_entry(node, struct noria_sim_host, node);

		if (host->boot)
			noria_scope_begin_drain(host->boot, noria_loop->current, run->request.site,
						"the end of the test");
	}
	while (any_runs(run) && noria_now() < end && noria_sleep(noria_msec(10)) == 0)
		;
}

static void free_hosts(struct testing_run *run)
{
	while (!list_empty(&run->hosts)) {
		struct noria_sim_host *host = list_entry(list_pop_front(&run->hosts), struct noria_sim_host, node);

		if (run->world)
			sim_event_never(run->world, &host->back);
		free(host);
	}
}

/* The test is the group's ordinary child; the keepers are its services, which end with it. */
int testing_hosts_run(struct testing_run *run)
{
	const struct noria_site *site = run->request.site;
	struct noria_child test = {0};
	struct noria_spawn_options options = {.name = site->what, .child = &test};
	struct noria_group boots = {0};
	int r = noria_group_open_at(&boots, NORIA_FOREVER, NULL, site), result = 0;

	if (r < 0)
		return r;
	run->boots = &boots;
	r = noria_spawn_at(&boots, run->request.fn, run->request.arg, &options, site);
	if (r >= 0) {
		watch(&test);
		r = noria_child_wait(&test, &result);
	}
	if (r >= 0 && result >= 0)
		drain_hosts(run);
	r = noria_group_close_at(&boots, r == -ECANCELED ? 0 : r, site);
	run->boots = NULL;
	free_hosts(run);
	return r < 0 ? r : result;
}

/* ---- making ---- */

static struct noria_sim_host *find(struct testing_run *run, const char *name)
{
	for (struct list *node = run->hosts.next; node != &run->hosts; node = node->next) {
		struct noria_sim_host *host = list_entry(node, struct noria_sim_host, node);

		if (strcmp(host->name, name) == 0)
			return host;
	}
	return NULL;
}

static unsigned count_hosts(const struct testing_run *run)
{
	unsigned count = 0;

	for (const struct list *node = run->hosts.next; node != &run->hosts; node = node->next)
		count++;
	return count;
}

/* In the world: found, or made. Returns NULL with noria_message(). */
static struct sim_host *simulate(struct testing_run *run, const char *name, const char *address, char *text)
{
	struct sim_host *simulated = sim_host_named(run->world, name);

	if (simulated) {
		snprintf(text, INET6_ADDRSTRLEN, "%s", simulated->number == 0 ? "10.0.0.1" : "");
		return simulated;
	}
	if (address)
		snprintf(text, INET6_ADDRSTRLEN, "%s", address);
	else
		snprintf(text, INET6_ADDRSTRLEN, "10.0.0.%u", run->world->hosts_count + 1);
	return sim_host_add(run->world, name, text, &simulated) < 0 ? NULL : simulated;
}

struct noria_sim_host *noria_sim_host_named(const char *name, const char *address)
{
	struct testing_run *run = testing_run;
	struct noria_sim_host *host;

	if (!run || !run->boots) {
		noria_refuse(-EINVAL, "a host outside noria_sim_run()");
		return NULL;
	}
	host = name ? find(run, name) : NULL;
	if (host)
		return host;
	if (!name || strlen(name) >= sizeof host->name || !(host = calloc(1, sizeof *host))) {
		noria_refuse(-EINVAL, "a host without a name, or with one of more than 63 bytes, or no memory");
		return NULL;
	}
	if (run->world)
		host->simulated = simulate(run, name, address, host->address);
	else
		snprintf(host->address, sizeof host->address, "127.0.%u.1", count_hosts(run) + 1);
	if (run->world && !host->simulated) {
		free(host);
		return NULL;
	}
	snprintf(host->name, sizeof host->name, "%s", name);
	host->up = true;
	list_init(&host->callers);
	list_push_back(&run->hosts, &host->node);
	return host;
}

const char *noria_sim_address(const struct noria_sim_host *host)
{
	return host ? host->address : "";
}

struct noria_sim_host *testing_host_own(void)
{
	const struct scope *scope = noria_loop && noria_loop->current ? noria_loop->current->scope : NULL;

	for (; scope && testing_run; scope = scope->parent)
		for (struct list *node = testing_run->hosts.next; node != &testing_run->hosts; node = node->next) {
			struct noria_sim_host *host = list_entry(node, struct noria_sim_host, node);

			if (host->boot == scope)
				return host;
		}
	return NULL;
}

const char *noria_sim_host_name(void)
{
	const struct noria_sim_host *host;

	if (testing_run && testing_run->world && noria_loop && noria_loop->current)
		return sim_host_numbered(testing_run->world, noria_loop->current->persona)->name;
	host = testing_host_own();
	return host ? host->name : "localhost";
}

int noria_sim_start_at(struct noria_sim_host *host, noria_task_fn *fn, void *arg, const struct noria_site *site)
{
	struct noria_spawn_options options = {.service = true};
	uint16_t persona;
	int r;

	if (!host || !fn || !testing_run || !testing_run->boots)
		return noria_refuse(-EINVAL, "noria_sim_start() without a host, a function or a run");
	if (host->fn)
		return noria_refuse(-EBUSY, "host %s was started before. Remedy: noria_sim_restart() boots it again",
				    host->name);
	options.name = host->name;
	host->fn = fn;
	host->arg = arg;
	host->site = site;
	host->wanted = true;
	persona = noria_loop->current->persona;
	noria_loop->current->persona = 0;
	r = noria_spawn_at(testing_run->boots, keep, host, &options, site);
	noria_loop->current->persona = persona;
	if (r < 0)
		host->fn = NULL;
	return r < 0 ? r : 0;
}

unsigned noria_sim_enter_(struct noria_sim_host *host)
{
	unsigned before = noria_loop && noria_loop->current ? noria_loop->current->persona : 0;

	if (host && host->simulated && noria_loop && noria_loop->current)
		set_persona(host);
	return before;
}

void noria_sim_leave_(unsigned *before)
{
	if (noria_loop && noria_loop->current)
		noria_loop->current->persona = (uint16_t)*before;
}

/* ---- its clock and its disk ---- */

void noria_sim_clock(struct noria_sim_host *host, int64_t skew_ns, int64_t drift_ppm)
{
	if (!host || !host->simulated)
		return;
	host->simulated->skew_ns = skew_ns;
	host->simulated->drift_ppm = drift_ppm;
}

int noria_sim_disk(struct noria_sim_host *host, uint64_t capacity, int64_t latency_ns)
{
	struct sim_disk *disk;

	if (!host || latency_ns < 0)
		return noria_refuse(-EINVAL, "noria_sim_disk() without a host, or with a negative time");
	if (!host->simulated)
		return 0;
	disk = sim_disk_of(host->simulated);
	if (!disk)
		return noria_refuse(-ENOMEM, "no memory for a simulated disk");
	sim_disk_set_capacity(disk, capacity ? capacity : UINT64_C(1) << 30);
	host->simulated->disk_ns = latency_ns;
	return 0;
}
