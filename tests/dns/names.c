/* SPDX-License-Identifier: MIT */
/*
 * Names, from the system's resolver over UDP to a name server and back: what noria says of answers, and of servers that
 * are slow, silent or refuse. Needs namespaces (stub.h); without them it is skipped.
 */
#include "stub.h"

#include <arpa/inet.h>
#include <errno.h>
#include <noria/noria.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHECK(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "%s:%d: CHECK(%s): %s\n", __FILE__, __LINE__, #condition, noria_message()); \
			exit(1); \
		} \
	} while (0)

static const struct addrinfo stream = {.ai_socktype = SOCK_STREAM};

/* How many addresses of each family a name has, or the error. */
static int look_up(const char *host, int *ret_v4, int *ret_v6)
{
	struct addrinfo *list;
	int r = noria_getaddrinfo(host, "80", &stream, &list);

	*ret_v4 = *ret_v6 = 0;
	if (r < 0)
		return r;
	for (const struct addrinfo *one = list; one; one = one->ai_next) {
		*ret_v4 += one->ai_family == AF_INET;
		*ret_v6 += one->ai_family == AF_INET6;
	}
	freeaddrinfo(list);
	return 0;
}

static void answers(void)
{
	int v4, v6;

	CHECK(look_up("plain.example.test", &v4, &v6) == 0 && v4 == 1 && v6 == 1);
	CHECK(look_up("many.example.test", &v4, &v6) == 0 && v4 == 3 && v6 == 3);
	CHECK(look_up("no6.example.test", &v4, &v6) == 0 && v4 == 1 && v6 == 0);
	CHECK(look_up("no4.example.test", &v4, &v6) == 0 && v4 == 0 && v6 == 1);
	CHECK(look_up("d20.example.test", &v4, &v6) == 0 && v4 == 1 && v6 == 1);
	CHECK(look_up("in-the-file.test", &v4, &v6) == 0 && v4 == 1 && v6 == 0);
}

static void errors(void)
{
	int v4, v6;

	CHECK(look_up("nx.example.test", &v4, &v6) == -ENOENT && strstr(noria_message(), "nx.example.test"));
	CHECK(look_up("no4.no6.example.test", &v4, &v6) == -ENOENT);
	CHECK(look_up("fail.example.test", &v4, &v6) == -EAGAIN && strstr(noria_message(), "/etc/resolv.conf"));
}

static void search(void)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_CANONNAME}, *list;

	CHECK(noria_getaddrinfo("short", "80", &hints, &list) == 0);
	CHECK(list->ai_canonname && strcmp(list->ai_canonname, "short.search.test") == 0);
	freeaddrinfo(list);
}

static int peer_of(int fd)
{
	struct sockaddr_in address = {0};
	socklen_t length = sizeof address;

	CHECK(getpeername(fd, (struct sockaddr *)&address, &length) == 0 && address.sin_family == AF_INET);
	return (int)ntohl(address.sin_addr.s_addr) & 0xff;
}

/* Nobody listens at ::1, ::2, ::3, 127.0.0.1 and 127.0.0.2. */
static void connections(void)
{
	int listener = noria_listen_name("127.0.0.3", "8080", NULL), fd;

	CHECK(listener >= 0);
	fd = noria_connect_name("many.example.test", "8080", NULL);
	CHECK(fd >= 0 && peer_of(fd) == 3);
	CHECK(noria_close(fd) == 0);
	CHECK(noria_connect_name("plain.example.test", "8080", NULL) == -ECONNREFUSED);
	CHECK(strstr(noria_message(), "127.0.0.1: Connection refused") && strstr(noria_message(), "::1: "));
	CHECK(noria_close(listener) == 0);
}

/* The resolver itself waits 15 seconds for the answer that is lost. */
static void silence_about_ipv6(void)
{
	struct noria_connect_name_options options = {.delay_ns = noria_msec(20)};
	int listener = noria_listen_name("127.0.0.1", "8080", NULL), fd;

	CHECK(listener >= 0);
	fd = noria_within(noria_sec(4), noria_connect_name("lost6.example.test", "8080", &options));
	CHECK(fd >= 0 && peer_of(fd) == 1);
	CHECK(noria_close(fd) == 0 && noria_close(listener) == 0);
}

static void silence(void)
{
	int64_t before = noria_now();

	CHECK(noria_within(noria_msec(50), noria_connect_name("lost.example.test", "80", NULL)) == -ETIMEDOUT);
	CHECK(noria_progress() == 0);
	CHECK(noria_now() - before < noria_sec(4));
}

static int ask(void *arg)
{
	char host[64];
	int v4, v6;

	snprintf(host, sizeof host, "d5.n%d.example.test", *(int *)arg);
	CHECK(look_up(host, &v4, &v6) == 0 && v4 == 1 && v6 == 1);
	return 0;
}

static void many(void)
{
	struct noria_group group;

	CHECK(noria_group_open(&group) == 0);
	for (int i = 0; i < 500; i++)
		CHECK(noria_spawn_copy(&group, ask, &i, sizeof i) == 0);
	CHECK(noria_group_close(&group, 0) == 0);
}

static int root(void *arg)
{
	(void)arg;
	answers();
	errors();
	search();
	connections();
	silence_about_ipv6();
	silence();
	many();
	return 0;
}

int main(void)
{
	pid_t stub;

	if (!dns_world_enter("nameserver 127.0.0.1\nsearch search.test\n", "127.0.0.9 in-the-file.test\n"))
		return 77;
	stub = dns_stub_start();
	CHECK(noria_run(NULL, root, NULL) == 0);
	dns_stub_stop(stub);
	return 0;
}
