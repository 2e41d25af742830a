/* SPDX-License-Identifier: MIT */
/*
 * Names of hosts. A simulated world knows its own hosts, and no name server: "localhost" and no name are whoever asks,
 * a host's name is its addresses, and an address is itself. Services are numbers, and the few names that programs use.
 */
#include "simulation/host.h"
#include "testing/libc.h"
#include "testing/thread.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOOKUP_NS = 500 * 1000, ANSWERS_MAX = SIM_ADDRESSES_MAX * 3 };

/* One piece of memory: the list, its addresses, and a name. */
struct answer {
	struct addrinfo info;
	struct sockaddr_in6 address; /* or a smaller one */
	char name[NI_MAXHOST];
	struct answer *next; /* of all that were given out and not freed: by their first */
};

static struct answer *given_out;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- a question ---- */

struct question {
	const struct addrinfo *hints;
	in_port_t port; /* in the order of the network */
	struct in6_addr addresses[SIM_ADDRESSES_MAX];
	unsigned count;
};

static int parse_service(const char *service, const struct addrinfo *hints, in_port_t *ret_port)
{
	static const struct {
		const char *name;
		unsigned port;
	} known[] = {{"domain", 53},  {"http", 80},         {"https", 443}, {"echo", 7},
		     {"redis", 6379}, {"postgresql", 5432}, {"ssh", 22},    {"smtp", 25}};
	unsigned long port;
	char *end;

	*ret_port = 0;
	if (!service)
		return 0;
	port = strtoul(service, &end, 10);
	if (*service && !*end && port <= UINT16_MAX) {
		*ret_port = htons((uint16_t)port);
		return 0;
	}
	if (hints->ai_flags & AI_NUMERICSERV)
		return EAI_NONAME;
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (strcmp(known[i].name, service) == 0) {
			*ret_port = htons((uint16_t)known[i].port);
			return 0;
		}
	return EAI_SERVICE;
}

static bool parse_address(const char *text, struct in6_addr *ret_address)
{
	struct in_addr v4;

	if (inet_pton(AF_INET6, text, ret_address) == 1)
		return true;
	if (inet_pton(AF_INET, text, &v4) != 1)
		return false;
	*ret_address = (struct in6_addr){.s6_addr = {[10] = 0xff, [11] = 0xff}};
	memcpy(ret_address->s6_addr + 12, &v4, sizeof v4);
	return true;
}

static void take(struct question *question, const char *address)
{
	parse_address(address, &question->addresses[question->count++]);
}

static int find(struct question *question, const char *node)
{
	struct sim_host *host;

	if (!node || strcmp(node, "localhost") == 0) {
		bool any = !node && (question->hints->ai_flags & AI_PASSIVE);

		take(question, any ? "::" : "::1");
		take(question, any ? "0.0.0.0" : "127.0.0.1");
		return 0;
	}
	if (parse_address(node, &question->addresses[0])) {
		question->count = 1;
		return 0;
	}
	if (question->hints->ai_flags & AI_NUMERICHOST)
		return EAI_NONAME;
	if (testing_thread()) /* it is asked of somebody, and takes a while */
		testing_thread_sleep(sim_draw_latency(sim_world, LOOKUP_NS));
	host = sim_host_named(sim_world, node);
	if (!host)
		return EAI_NONAME;
	memcpy(question->addresses, host->addresses, sizeof question->addresses);
	question->count = host->addresses_count;
	return 0;
}

/* ---- the answer ---- */

static socklen_t fill_address(struct sockaddr_in6 *storage, const struct question *question,
			      const struct in6_addr *address)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)storage;

	if (!IN6_IS_ADDR_V4MAPPED(address)) {
		*storage = (struct sockaddr_in6){
			.sin6_family = AF_INET6, .sin6_port = question->port, .sin6_addr = *address};
		return sizeof *storage;
	}
	*v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = question->port};
	memcpy(&v4->sin_addr, address->s6_addr + 12, sizeof v4->sin_addr);
	return sizeof *v4;
}

/* The next of the list, unless the hints leave it out. */
static void add(struct answer *answers, unsigned *count, const struct question *question,
		const struct in6_addr *address, int type, int protocol)
{
	const struct addrinfo *hints = question->hints;
	struct answer *answer = &answers[*count];
	socklen_t length = fill_address(&answer->address, question, address);
	int family = answer->address.sin6_family;

	if ((hints->ai_family != AF_UNSPEC && hints->ai_family != family) ||
	    (hints->ai_socktype && hints->ai_socktype != type) ||
	    (hints->ai_protocol && hints->ai_protocol != protocol))
		return;
	answer->info = (struct addrinfo){.ai_flags = hints->ai_flags,
					 .ai_family = family,
					 .ai_socktype = type,
					 .ai_protocol = protocol,
					 .ai_addrlen = length,
					 .ai_addr = (struct sockaddr *)&answer->address};
	if (*count > 0)
		answers[*count - 1].info.ai_next = &answer->info;
	++*count;
}

static int answer(const struct question *question, const char *node, struct addrinfo **ret_list)
{
	struct answer *answers = calloc(ANSWERS_MAX, sizeof *answers);
	unsigned count = 0;

	if (!answers)
		return EAI_MEMORY;
	for (unsigned i = 0; i < question->count; i++) {
		add(answers, &count, question, &question->addresses[i], SOCK_STREAM, IPPROTO_TCP);
		add(answers, &count, question, &question->addresses[i], SOCK_DGRAM, IPPROTO_UDP);
	}
	if (count == 0) {
		free(answers);
		return EAI_NONAME;
	}
	if (question->hints->ai_flags & AI_CANONNAME) {
		snprintf(answers->name, sizeof answers->name, "%s", node ? node : "localhost");
		answers->info.ai_canonname = answers->name;
	}
	pthread_mutex_lock(&lock);
	answers->next = given_out;
	given_out = answers;
	pthread_mutex_unlock(&lock);
	*ret_list = &answers->info;
	return 0;
}

static int libc_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
			    struct addrinfo **ret_list)
{
	static int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
	static const struct addrinfo none;
	struct question question = {.hints = hints ? hints : &none};
	int r;

	if (!testing_simulated()) {
		if (!real)
			real = (__typeof__(real))dlsym(RTLD_NEXT, "getaddrinfo");
		return real(node, service, hints, ret_list);
	}
	if (!node && !service)
		return EAI_NONAME;
	r = parse_service(service, question.hints, &question.port);
	if (r == 0)
		r = find(&question, node);
	return r == 0 ? answer(&question, node, ret_list) : r;
}

/* Is this one of ours, and not to be given out any more? */
static bool take_back(const struct addrinfo *list)
{
	bool found = false;

	pthread_mutex_lock(&lock);
	for (struct answer **link = &given_out; *link; link = &(*link)->next)
		if (&(*link)->info == list) {
			*link = (*link)->next;
			found = true;
			break;
		}
	pthread_mutex_unlock(&lock);
	return found;
}

static void libc_freeaddrinfo(struct addrinfo *list)
{
	static void (*real)(struct addrinfo *);

	if (list && take_back(list)) {
		free(list);
		return;
	}
	if (!real)
		real = (__typeof__(real))dlsym(RTLD_NEXT, "freeaddrinfo");
	real(list);
}

static int libc_gethostname(char *name, size_t size)
{
	static int (*real)(char *, size_t);

	if (testing_simulated())
		return snprintf(name, size, "%s", testing_host()->name) < (int)size ? 0
										    : (int)libc_answer(-ENAMETOOLONG);
	if (!real)
		real = (__typeof__(real))dlsym(RTLD_NEXT, "gethostname");
	return real(name, size);
}

LIBC_EXPORT(getaddrinfo, getaddrinfo);
LIBC_EXPORT(freeaddrinfo, freeaddrinfo);
LIBC_EXPORT(gethostname, gethostname);
