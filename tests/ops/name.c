/* SPDX-License-Identifier: MIT */
/* Connecting, listening and looking up by name; what they wait for here is the lookup. */
#include "ops.h"

#include "net/name.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

/* A lookup, which its thread may still read when the place is gone: so they are never freed, and each used once. */
struct answer {
	atomic_bool ready;
};

enum { ANSWERS_MAX = 4096 };

static struct answer answers[ANSWERS_MAX];
static unsigned answers_count;

/* The host is "n" and the number of an answer, which is waited for; then 127.0.0.1. */
static int resolve(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **ret_list)
{
	while (!atomic_load(&answers[atoi(host + 1)].ready))
		nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL);
	return getaddrinfo("127.0.0.1", service, hints, ret_list);
}

static void ready(struct op_place *place)
{
	atomic_store(&answers[place->number].ready, true);
}

static void open_name(struct op_place *place, bool now)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof address;

	noria_name_resolver = resolve;
	MUST(answers_count < ANSWERS_MAX);
	place->number = answers_count++;
	place->other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	MUST(place->other >= 0 && bind(place->other, (struct sockaddr *)&address, length) == 0);
	MUST(listen(place->other, 64) == 0);
	MUST(getsockname(place->other, (struct sockaddr *)&address, &length) == 0);
	snprintf(place->buffer, sizeof place->buffer, "n%u", (unsigned)place->number);
	snprintf(place->second, sizeof place->second, "%u", ntohs(address.sin_port));
	if (now)
		ready(place);
}

static void close_name(struct op_place *place)
{
	ready(place); /* whoever was left behind */
	if (place->fd >= 0)
		MUST(close(place->fd) == 0);
	MUST(close(place->other) == 0);
}

static int64_t call_connect(struct op_place *place)
{
	return place->fd = noria_connect_name(place->buffer, place->second, NULL);
}

static void did_connect(struct op_place *place, int64_t result)
{
	struct sockaddr_in address = {0}, wanted = {0};
	socklen_t length = sizeof address, wanted_length = sizeof wanted;

	MUST(getpeername((int)result, (struct sockaddr *)&address, &length) == 0);
	MUST(getsockname(place->other, (struct sockaddr *)&wanted, &wanted_length) == 0);
	EXPECT_EQ(address.sin_port, wanted.sin_port);
}

static void did_not_connect(struct op_place *place)
{
	EXPECT_EQ(place->fd, -ECANCELED);
	EXPECT_EQ(noria_progress(), 0);
}

static int64_t connect_nowhere(struct op_place *place)
{
	(void)place;
	return noria_connect_name("127.0.0.1", "1", NULL);
}

static int64_t connect_no_service(struct op_place *place)
{
	return noria_connect_name(place->buffer, NULL, NULL);
}

static int64_t connect_bad_port(struct op_place *place)
{
	return noria_connect_name(place->buffer, "65536", NULL);
}

static const struct op_error connect_errors[] = {
	{-ECONNREFUSED, connect_nowhere}, {-EINVAL, connect_no_service}, {-EINVAL, connect_bad_port}, {0, NULL}};

static int64_t call_listen(struct op_place *place)
{
	return place->fd = noria_listen_name(place->buffer, "0", NULL);
}

static void did_listen(struct op_place *place, int64_t result)
{
	int listens = 0;
	socklen_t length = sizeof listens;

	(void)place;
	MUST(getsockopt((int)result, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) == 0);
	EXPECT_EQ(listens, 1);
}

static int64_t listen_taken(struct op_place *place)
{
	return noria_listen_name(place->buffer, place->second, NULL);
}

static int64_t listen_elsewhere(struct op_place *place)
{
	(void)place;
	return noria_listen_name("240.0.0.1", "0", NULL);
}

static const struct op_error listen_errors[] = {
	{-EADDRINUSE, listen_taken}, {-EADDRNOTAVAIL, listen_elsewhere}, {0, NULL}};

static int64_t call_look_up(struct op_place *place)
{
	static const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *list = NULL;
	int r = noria_getaddrinfo(place->buffer, place->second, &hints, &list);

	place->extra = list;
	return r;
}

static void did_look_up(struct op_place *place, int64_t result)
{
	struct addrinfo *list = place->extra;

	EXPECT_EQ(result, 0);
	MUST(list && list->ai_family == AF_INET && !list->ai_next);
	freeaddrinfo(list);
	place->extra = NULL;
}

static void did_not_look_up(struct op_place *place)
{
	EXPECT_EQ(place->extra == NULL, true);
}

static int64_t look_up_nothing(struct op_place *place)
{
	struct addrinfo *list;

	(void)place;
	return noria_getaddrinfo(NULL, NULL, NULL, &list);
}

static const struct op_error look_up_errors[] = {{-EINVAL, look_up_nothing}, {0, NULL}};

static const struct op_case cases[] = {
	{.name = "connect_name",
	 .open = open_name,
	 .call = call_connect,
	 .complete = ready,
	 .did = did_connect,
	 .did_not = did_not_connect,
	 .close = close_name,
	 .errors = connect_errors},
	{.name = "listen_name",
	 .open = open_name,
	 .call = call_listen,
	 .complete = ready,
	 .did = did_listen,
	 .close = close_name,
	 .errors = listen_errors},
	{.name = "getaddrinfo",
	 .open = open_name,
	 .call = call_look_up,
	 .complete = ready,
	 .did = did_look_up,
	 .did_not = did_not_look_up,
	 .close = close_name,
	 .errors = look_up_errors},
	{0},
};

OPS(name, cases)
