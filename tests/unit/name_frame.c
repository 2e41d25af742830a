/* SPDX-License-Identifier: MIT */
/* The resolver of name.h, and sockets that answer, refuse, or keep silent. */
#include "name.h"

#include "net/name.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

struct names names;

static void pause_thread(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL);
}

static bool takes(const char *host, const char *prefix, const char **ret_rest)
{
	size_t length = strlen(prefix);

	if (strncmp(host, prefix, length) != 0)
		return false;
	*ret_rest = host + length;
	return true;
}

/* glibc allocates each entry by itself, and frees it so: lists can be strung together. */
static int answer(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **ret_list)
{
	struct addrinfo numeric = hints ? *hints : (struct addrinfo){0}, **last = ret_list;
	char text[256], *at = text, *one;

	MUST(strlen(host) < sizeof text);
	memcpy(text, host, strlen(host) + 1);
	numeric.ai_flags |= AI_NUMERICHOST;
	*ret_list = NULL;
	while ((one = strsep(&at, "+"))) {
		int error = getaddrinfo(one, service, &numeric, last);

		if (error != 0 && error != EAI_ADDRFAMILY) {
			if (*ret_list)
				freeaddrinfo(*ret_list);
			return error;
		}
		while (*last)
			last = &(*last)->ai_next;
	}
	return *ret_list ? 0 : EAI_NODATA;
}

static int resolve(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **ret_list)
{
	const char *rest;
	int now = atomic_fetch_add(&names.under_way, 1) + 1, most = atomic_load(&names.most), r;

	while (now > most && !atomic_compare_exchange_weak(&names.most, &most, now))
		;
	atomic_fetch_add(&names.asked, 1);
	if (takes(host, "hold6:", &rest)) {
		while (!atomic_load(&names.released) && hints && hints->ai_family != AF_INET)
			pause_thread();
		host = rest;
	} else if (takes(host, "hold:", &rest)) {
		while (!atomic_load(&names.released))
			pause_thread();
		host = rest;
	}
	if (takes(host, "eai:", &rest)) {
		errno = EMFILE;
		r = atoi(rest);
	} else {
		r = answer(host, service, hints, ret_list);
	}
	atomic_fetch_sub(&names.under_way, 1);
	return r;
}

void names_use(void)
{
	names_settle();
	memset(&names, 0, sizeof names);
	noria_name_resolver = resolve;
}

void names_release(void)
{
	atomic_store(&names.released, true);
}

void names_settle(void)
{
	while (atomic_load(&names.under_way) > 0)
		pause_thread();
}

static struct sockaddr_in loopback(int x, int port)
{
	return (struct sockaddr_in){.sin_family = AF_INET,
				    .sin_port = htons((uint16_t)port),
				    .sin_addr.s_addr = htonl(0x7f000000U | (unsigned)x)};
}

int names_refusing(int x, int *port)
{
	struct sockaddr_in address = loopback(x, *port);
	socklen_t length = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	MUST(fd >= 0 && bind(fd, (struct sockaddr *)&address, length) == 0);
	MUST(getsockname(fd, (struct sockaddr *)&address, &length) == 0);
	*port = ntohs(address.sin_port);
	return fd;
}

int names_listen(int x, int *port)
{
	int fd = names_refusing(x, port);

	MUST(listen(fd, 128) == 0);
	return fd;
}

int names_deaf(int x, int *port, int crowd[NAMES_CROWD])
{
	int fd = names_refusing(x, port);
	struct sockaddr_in address = loopback(x, *port);

	MUST(listen(fd, 0) == 0);
	for (int i = 0; i < NAMES_CROWD; i++) {
		crowd[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		MUST(crowd[i] >= 0);
		(void)!connect(crowd[i], (struct sockaddr *)&address, sizeof address);
	}
	return fd;
}

int names_peer(int fd)
{
	struct sockaddr_in address = {0};
	socklen_t length = sizeof address;

	MUST(getpeername(fd, (struct sockaddr *)&address, &length) == 0);
	MUST(address.sin_family == AF_INET);
	return ntohl(address.sin_addr.s_addr) & 0xff;
}

bool names_have_ipv6(void)
{
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	bool have = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0;

	if (fd >= 0)
		close(fd);
	return have;
}
