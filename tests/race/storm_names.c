/* SPDX-License-Identifier: MIT */
/*
 * The storm's names: lookups that are slow at times, and left behind; races of addresses one of which accepts and one
 * refuses. Whoever gets a descriptor closes it, so that one which got lost shows when the run ends.
 */
#include "storm.h"

#include "net/name.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <time.h>

enum { ACCEPTS = 1, REFUSES = 2, SLOW = 4, KINDS = 8 };

static int listener;
static char service[8];
static unsigned long connected, refused, accepted, found;
static atomic_ulong asked;

/* The name is a number, of which the bits above say what it has. */
static int answer(const char *host, const char *port, const struct addrinfo *hints, struct addrinfo **ret_list)
{
	struct addrinfo numeric = *hints, *list[2] = {NULL, NULL};
	unsigned kind = (unsigned)atoi(host + 1);

	atomic_fetch_add(&asked, 1);
	numeric.ai_flags |= AI_NUMERICHOST;
	if (kind & SLOW)
		nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
	if (hints->ai_family == AF_INET6)
		return EAI_ADDRFAMILY;
	if (kind & ACCEPTS)
		CHECK(getaddrinfo("127.0.0.1", port, &numeric, &list[0]) == 0);
	if (kind & REFUSES)
		CHECK(getaddrinfo("127.0.0.2", port, &numeric, &list[1]) == 0);
	if (list[1])
		list[1]->ai_next = list[0]; /* the one that refuses comes first */
	*ret_list = list[1] ? list[1] : list[0];
	return *ret_list ? 0 : EAI_NONAME;
}

static unsigned choose(char host[8])
{
	unsigned kind = storm_below(KINDS);

	snprintf(host, 8, "n%u", kind);
	return kind;
}

static int connect_by_name(unsigned depth)
{
	struct noria_connect_name_options options = {.delay_ns = noria_usec(1 + storm_below(200))};
	bool numeric = storm_below(2);
	char host[8];
	unsigned kind = choose(host);
	int fd = noria_connect_name(numeric ? "127.0.0.1" : host, service, &options);

	(void)depth;
	CHECK(fd >= 0 || fd == -ECANCELED || fd == -ECONNREFUSED || fd == -ENOENT);
	kind = numeric ? ACCEPTS : kind;
	CHECK(fd < 0 || (kind & ACCEPTS));
	CHECK(fd != -ECONNREFUSED || (kind & (ACCEPTS | REFUSES)) == REFUSES);
	CHECK(fd != -ENOENT || !(kind & (ACCEPTS | REFUSES)));
	connected += fd >= 0;
	refused += fd == -ECONNREFUSED;
	if (fd >= 0)
		CHECK(noria_close(fd) == 0);
	return fd == -ECANCELED ? fd : 0;
}

static int accept_some(unsigned depth)
{
	int fd;

	(void)depth;
	while ((fd = noria_accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		accepted++;
		CHECK(noria_close(fd) == 0);
		if (storm_below(8) == 0)
			return 0;
	}
	CHECK(fd == -ECANCELED);
	return fd;
}

static int look_up(unsigned depth)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
	char host[8];
	unsigned kind = choose(host);
	int r = noria_getaddrinfo(host, service, &hints, &list);

	(void)depth;
	CHECK(r == -ECANCELED || r == (kind & (ACCEPTS | REFUSES) ? 0 : -ENOENT));
	CHECK((r == 0) == (list != NULL));
	found += r == 0;
	if (list)
		freeaddrinfo(list);
	return r == -ECANCELED ? r : 0;
}

static int listen_by_name(unsigned depth)
{
	int fd = noria_listen_name(storm_below(2) ? "127.0.0.1" : "n5", "0", NULL);

	(void)depth;
	CHECK(fd >= 0 || fd == -ECANCELED);
	if (fd >= 0)
		CHECK(noria_close(fd) == 0);
	return fd < 0 ? fd : 0;
}

static void open_all(void)
{
	struct sockaddr_in address = {0};
	socklen_t length = sizeof address;

	connected = refused = accepted = found = 0;
	asked = 0;
	noria_name_resolver = answer;
	listener = noria_listen_name("127.0.0.1", "0", NULL);
	CHECK(listener >= 0);
	CHECK(getsockname(listener, (struct sockaddr *)&address, &length) == 0);
	snprintf(service, sizeof service, "%u", ntohs(address.sin_port));
}

static void close_all(void)
{
	CHECK(noria_close(listener) == 0);
	storm_note("connections by name", connected);
	storm_note("connections by name refused", refused);
	storm_note("connections by name accepted", accepted);
	storm_note("names found", found);
	storm_note("names asked for", asked);
}

static const struct storm_operation operations[] = {
	{"connect by name", connect_by_name, 3},
	{"accept by name", accept_some, 3},
	{"look up", look_up, 2},
	{"listen by name", listen_by_name, 1},
};

const struct storm_subject storm_names = {.operations = operations,
					  .count = sizeof operations / sizeof operations[0],
					  .open = open_all,
					  .close = close_all};
