/* SPDX-License-Identifier: MIT */
/*
 * Connecting by name (RFC 8305), in two steps: the addresses are had, and raced for. Each step is a group of tasks that
 * ends before the call does, so that no attempt, no descriptor and no lookup that anybody waits for outlives it.
 *
 * The race. The caller's own task starts the attempts, one after another: a permit of `failures` lets it start the next
 * at once, else `delay_ns` must pass. The first child to return a descriptor decides the race; its group cancels the
 * others, and disposes of descriptors that come all the same. What an attempt fails with is kept in the race, and told
 * when all have failed: that one address does not answer is no failure of the program.
 *
 * The lookup. One question for all addresses is usually answered at once, and its answer is sorted (RFC 6724). But the
 * resolver answers nothing until it has both A and AAAA, and for a server that loses one kind of question it waits 15
 * seconds. So after `delay_ns` both are asked for by themselves as well.
 */
#include "net/name.h"

#include "base/message.h"
#include "noria/group.h"
#include "noria/net.h"
#include "noria/op.h"
#include "noria/sync.h"
#include "scope/scope.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { ADDRESSES_DEFAULT = 16 };

struct attempt {
	struct race *race;
	const struct sockaddr *address;
	socklen_t length;
	int protocol;
	int error; /* negative, once it has failed */
};

struct race {
	const struct noria_connect_name_options *options;
	const struct noria_site *site;
	struct task *task; /* the caller */
	int64_t delay_ns;
	bool won;
	unsigned count; /* addresses */
	struct noria_semaphore failures;
	struct noria_group group;
	struct attempt attempts[NORIA_CONNECT_ADDRESSES_MAX];
};

/* ---- the race ---- */

static int dial(const struct attempt *attempt)
{
	const struct noria_connect_name_options *options = attempt->race->options;
	noria_autoclose int fd =
		noria_socket(attempt->address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, attempt->protocol);
	int r = fd;

	if (r >= 0 && options->prepare)
		r = options->prepare(fd, attempt->address, attempt->length, options->prepare_arg);
	if (r >= 0)
		r = noria_connect(fd, attempt->address, attempt->length);
	return r < 0 ? r : noria_take(&fd);
}

/* A child of the race. It was cancelled if the race was decided before it failed: only then it is. */
static int connect_attempt(void *arg)
{
	struct attempt *attempt = arg;
	struct race *race = attempt->race;
	int fd = dial(attempt);

	if (fd >= 0)
		race->won = true;
	else if (race->won)
		return -ECANCELED;
	else if (noria_check() == 0)
		attempt->error = fd;
	if (attempt->error < 0)
		(void)noria_semaphore_release(&race->failures);
	return fd;
}

static void close_late(int fd, void *arg)
{
	(void)arg;
	noria_close(fd);
}

/* Until an attempt has failed, or enough time has passed. */
static int wait_turn(struct race *race)
{
	int r = noria_within(race->delay_ns, noria_semaphore_acquire(&race->failures));

	return r == -ETIMEDOUT ? 0 : r;
}

/* In the caller's task. An attempt that cannot be started has failed; if it is the first, there is no race. */
static int start_attempts(struct race *race)
{
	for (unsigned i = 0; i < race->count; i++) {
		struct attempt *attempt = &race->attempts[i];
		int r = i > 0 ? wait_turn(race) : 0;

		if (r < 0)
			return r;
		r = noria_spawn(&race->group, connect_attempt, attempt);
		if (r == -ECANCELED || (r < 0 && i == 0))
			return r;
		race->task->progress++;
		attempt->error = r;
		if (r < 0)
			(void)noria_semaphore_release(&race->failures);
	}
	return 0;
}

/* That this machine has no way to an address says less than what the address itself answered. */
static bool unreachable(int error)
{
	return error == -ENETUNREACH || error == -EADDRNOTAVAIL || error == -EAFNOSUPPORT || error == -EHOSTUNREACH;
}

static int most_telling(const struct race *race)
{
	for (unsigned i = 0; i < race->count; i++)
		if (!unreachable(race->attempts[i].error))
			return race->attempts[i].error;
	return race->attempts[0].error;
}

static int tell(const struct race *race, const char *host, const char *service)
{
	char list[384] = "";
	size_t used = 0;

	for (unsigned i = 0; i < race->count && used < sizeof list - 1; i++) {
		const struct attempt *attempt = &race->attempts[i];
		const char *words = strerrordesc_np(-attempt->error);
		char text[NAME_TEXT_MAX];

		noria_name_text(attempt->address, attempt->length, text);
		used += (size_t)snprintf(list + used, sizeof list - used, "%s%s: %s", i > 0 ? "; " : "", text,
					 words ? words : "an unknown error");
	}
	return noria_name_fail(most_telling(race), race->site, "connecting to %s%s%s: %s",
			       name_or(host, "this machine"), service ? ", service " : "", name_or(service, ""), list);
}

static bool all_failed(const struct race *race)
{
	for (unsigned i = 0; i < race->count; i++)
		if (race->attempts[i].error == 0)
			return false;
	return true;
}

static int run_race(struct race *race)
{
	struct noria_group_options options = {.policy = NORIA_RACE, .dispose = close_late};
	int r;

	if (race->count == 1) { /* nobody to race against */
		race->task->progress = 1;
		r = dial(&race->attempts[0]);
		if (r < 0 && r != -ECANCELED)
			race->attempts[0].error = r;
		return r;
	}
	race->failures = (struct noria_semaphore)NORIA_SEMAPHORE(0);
	r = noria_grouped_with(&race->group, &options, start_attempts(race));
	if (r < 0)
		noria_last_failure(); /* seen: it is told below, in other words */
	return r;
}

/* A connection to one of `race->attempts`, in their order. */
static int connect_any(struct race *race, const char *host, const char *service)
{
	int r = run_race(race);

	if (r >= 0)
		return r;
	if (all_failed(race))
		return tell(race, host, service);
	/* Some failed, but the others were cancelled. */
	return noria_check() < 0 ? -ECANCELED : r;
}

/* ---- the addresses ---- */

/* The families take turns, beginning with the resolver's first; within a family its order stays. */
static void line_up(struct race *race, const struct addrinfo *list, unsigned most)
{
	const struct addrinfo *next[2] = {list, list};

	for (int turn = 0; race->count < most && (next[0] || next[1]); turn = !turn) {
		const struct addrinfo **one = &next[turn];

		while (*one && ((*one)->ai_family == list->ai_family) == turn)
			*one = (*one)->ai_next;
		if (!*one)
			continue;
		race->attempts[race->count++] = (struct attempt){.race = race,
								 .address = (*one)->ai_addr,
								 .length = (*one)->ai_addrlen,
								 .protocol = (*one)->ai_protocol};
		*one = (*one)->ai_next;
	}
}

struct lookups;

struct lookup_task {
	struct lookups *lookups;
	struct addrinfo hints, *found;
};

/* `all` is the question for both families, which comes first; the others only help out. */
struct lookups {
	const struct name_query *query;
	struct noria_event failed; /* `all` has, with `error` */
	bool won;
	int error;
	char text[256];
	struct noria_group group;
	struct lookup_task all, v4, v6;
};

/* A child; see connect_attempt(). */
static int ask(void *arg)
{
	struct lookup_task *task = arg;
	struct lookups *lookups = task->lookups;
	struct name_query query = *lookups->query;
	int r;

	query.hints = &task->hints;
	query.spare = task != &lookups->all;
	r = noria_name_ask(&query, &task->found);
	if (r >= 0) {
		lookups->won = true;
	} else if (lookups->won) {
		return -ECANCELED;
	} else if (!query.spare) {
		lookups->error = r;
		snprintf(lookups->text, sizeof lookups->text, "%s", noria_message());
		noria_event_set(&lookups->failed);
	}
	return r;
}

static int start_lookup(struct lookups *lookups, struct lookup_task *task, int family)
{
	task->lookups = lookups;
	task->hints = *lookups->query->hints;
	task->hints.ai_family = family;
	return noria_spawn(&lookups->group, ask, task);
}

/* In the caller's task. That nobody can be started to help out is no reason to give up. */
static int start_lookups(struct lookups *lookups, int64_t delay_ns)
{
	int family = lookups->query->hints->ai_family;
	int r = start_lookup(lookups, &lookups->all, family);

	if (r < 0 || family != AF_UNSPEC)
		return r;
	r = noria_within(delay_ns, noria_event_wait(&lookups->failed));
	if (r != -ETIMEDOUT)
		return r;
	if (start_lookup(lookups, &lookups->v6, AF_INET6) == -ECANCELED ||
	    start_lookup(lookups, &lookups->v4, AF_INET) == -ECANCELED)
		return -ECANCELED;
	return 0;
}

static struct addrinfo *take_found(struct lookups *lookups)
{
	struct lookup_task *tasks[] = {&lookups->all, &lookups->v6, &lookups->v4};
	struct addrinfo *taken = NULL;

	for (size_t i = 0; i < sizeof tasks / sizeof tasks[0]; i++) {
		if (taken && tasks[i]->found)
			freeaddrinfo(tasks[i]->found);
		else if (tasks[i]->found)
			taken = tasks[i]->found;
	}
	return taken;
}

/* The addresses of a name that is no number. */
static int look_up(const struct name_query *query, int64_t delay_ns, struct addrinfo **ret_list)
{
	struct noria_group_options options = {.policy = NORIA_RACE};
	struct lookups lookups = {.query = query};
	struct addrinfo *found;
	int r = noria_grouped_with(&lookups.group, &options, start_lookups(&lookups, delay_ns));

	found = take_found(&lookups);
	if (r >= 0) {
		*ret_list = found;
		return 0;
	}
	if (found)
		freeaddrinfo(found); /* the group failed, or timed out, all the same */
	noria_last_failure();        /* seen */
	if (noria_check() < 0)
		return -ECANCELED;
	return lookups.error < 0 ? noria_name_fail(lookups.error, query->site, "%s", lookups.text) : r;
}

/* ---- connecting ---- */

static int connect_unix(struct race *race, const char *host, const struct sockaddr_un *address, socklen_t length)
{
	race->attempts[0] = (struct attempt){.race = race, .address = (const void *)address, .length = length};
	race->count = 1;
	return connect_any(race, host, NULL);
}

static int connect_inet(struct race *race, const char *host, const char *service)
{
	const struct noria_connect_name_options *options = race->options;
	struct addrinfo hints = {.ai_family = options->family, .ai_socktype = SOCK_STREAM}, *list;
	struct name_query query = {.host = host, .service = service, .hints = &hints, .site = race->site};
	int r;

	if (!service || !*service)
		return noria_name_fail(-EINVAL, race->site, "connecting to %s: no service",
				       name_or(host, "this machine"));
	r = noria_name_numeric(&query, &list);
	if (r == 0)
		r = look_up(&query, race->delay_ns, &list);
	if (r < 0)
		return r;
	line_up(race, list, options->addresses_max ? options->addresses_max : ADDRESSES_DEFAULT);
	r = connect_any(race, host, service);
	freeaddrinfo(list);
	return r;
}

static int check_options(const struct noria_connect_name_options *options, const struct noria_site *site)
{
	const char *wrong = NULL;

	if (options->family != AF_UNSPEC && options->family != AF_INET && options->family != AF_INET6)
		wrong = "family must be AF_INET, AF_INET6 or 0";
	else if (options->addresses_max > NORIA_CONNECT_ADDRESSES_MAX)
		wrong = "addresses_max must be at most 32";
	else if (options->delay_ns < 0)
		wrong = "delay_ns must not be negative";
	else if (name_reserved_used(options->reserved, sizeof options->reserved / sizeof options->reserved[0]))
		wrong = "reserved must be zero";
	return wrong ? noria_name_fail(-EINVAL, site, "struct noria_connect_name_options: %s", wrong) : 0;
}

int noria_connect_name_at(const char *host, const char *service, const struct noria_connect_name_options *options,
			  const struct noria_site *site)
{
	static const struct noria_connect_name_options defaults;
	struct task *task = noria_current();
	struct sockaddr_un address;
	struct race race;
	socklen_t length;
	int r;

	if (!task)
		return -ENXIO;
	race.options = options ? options : &defaults;
	race.site = site;
	race.task = task;
	race.won = false;
	race.count = 0;
	race.delay_ns = race.options->delay_ns ? race.options->delay_ns : noria_msec(250);
	task->progress = 0;
	r = scope_door(task);
	if (r >= 0)
		r = check_options(race.options, site);
	if (r >= 0)
		r = noria_name_unix(host, site, &address, &length);
	if (r < 0)
		return task_answer(task, r);
	return r > 0 ? connect_unix(&race, host, &address, length) : connect_inet(&race, host, service);
}
