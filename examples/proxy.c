/* SPDX-License-Identifier: MIT */
/*
 * A TCP proxy: `proxy 127.0.0.1:8080 example.org:80` takes connections at the first and passes them on to the second, by
 * whichever of its addresses answers first; `:8080` is every address of this machine, `[::1]:80` one of IPv6. Two tasks for
 * each connection, one a direction, so that either side may end its half while the other still sends.
 *
 * A direction receives only when what it had has been taken, so a slow reader slows its writer down, and nobody else. A
 * connection ends when both halves have, when one breaks, or after a minute in which no byte went either way. At SIGTERM
 * the listener closes; connections have ten seconds to come to their end, and are then cut.
 */
#include <noria/noria.h>

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>

#define CONNECT_LIMIT noria_sec(5)
#define IDLE_LIMIT    noria_sec(60)
#define DRAIN_LIMIT   noria_sec(10)

enum { PART = 32 * 1024 }; /* of a task's stack of 64 KiB */

static struct end {
	const char *host, *service;
} target;

struct connection {
	int64_t active_ns; /* when a byte last went either way */
	struct noria_group directions;
};

struct direction {
	struct connection *connection;
	int from, to;
};

/* The next bytes. A direction may be silent for as long as the other one is not. */
static ssize_t receive(struct connection *connection, int from, char *buffer)
{
	ssize_t n;

	do
		n = noria_until(connection->active_ns + IDLE_LIMIT, noria_recv(from, buffer, PART, 0));
	while (n == -ETIMEDOUT && noria_now() < connection->active_ns + IDLE_LIMIT);
	return n;
}

static ssize_t pass_on(struct connection *connection, int from, int to)
{
	char buffer[PART];
	ssize_t n;

	while ((n = receive(connection, from, buffer)) > 0) {
		noria_try(noria_within(IDLE_LIMIT, noria_send_all(to, buffer, (size_t)n, 0)));
		connection->active_ns = noria_now();
	}
	return n;
}

/* One way, to the end of that half. If it breaks, or is silent for too long, so has the other to end. */
static int carry(void *arg)
{
	const struct direction *direction = arg;

	if (pass_on(direction->connection, direction->from, direction->to) < 0)
		noria_group_cancel(&direction->connection->directions);
	else
		noria_shutdown(direction->to, SHUT_WR);
	return 0;
}

static int join(int client, int server)
{
	struct connection connection = {.active_ns = noria_now()};
	struct direction directions[] = {{&connection, client, server}, {&connection, server, client}};
	int error = 0;

	noria_try(noria_group_open(&connection.directions));
	for (int i = 0; i < 2 && error == 0; i++)
		error = noria_spawn(&connection.directions, carry, &directions[i]);
	return noria_group_close(&connection.directions, error);
}

/* Bytes that have come are not held back for more to come. */
static int send_at_once(int fd, const struct sockaddr *address, socklen_t length, void *arg)
{
	(void)address, (void)length, (void)arg;
	return noria_setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
}

/* Whatever becomes of one connection, the proxy goes on. */
static int serve(void *arg)
{
	struct noria_connect_name_options options = {.prepare = send_at_once};
	noria_autoclose int client = *(int *)arg;
	noria_autoclose int server =
		noria_within(CONNECT_LIMIT, noria_connect_name(target.host, target.service, &options));
	int error = server < 0 ? server : join(client, server);

	if (error < 0 && error != -ECANCELED)
		fprintf(stderr, "proxy: %s\n", strerror(-error));
	return 0;
}

static int accept_all(int listener, struct noria_group *connections)
{
	for (;;) {
		int client = noria_accept4(listener, NULL, NULL, SOCK_CLOEXEC);

		if (client == -EMFILE || client == -ENFILE || client == -ENOBUFS || client == -ENOMEM)
			noria_try(noria_idle(noria_sleep(noria_msec(100)))); /* the next waits until one has gone */
		else if (client < 0)
			return client;
		else if (noria_spawn_copy(connections, serve, &client, sizeof client) < 0)
			noria_close(client); /* no room: this client is turned away */
	}
}

static int proxy(void *arg)
{
	const struct end *end = arg;
	struct noria_listen_name_options options = {.prepare = send_at_once}; /* accepted ones inherit it */
	int listener = noria_try(noria_listen_name(end->host, end->service, &options)), error;
	struct noria_group connections;

	noria_try(noria_group_open(&connections));
	error = accept_all(listener, &connections);
	noria_close(listener); /* whoever comes now is told at once, not when the last connection has ended */
	return noria_group_close(&connections, error);
}

/* Part "host:service" or "[::1]:service" in two, in place. */
static bool part(char *text, struct end *ret_end)
{
	char *colon = strrchr(text, ':');

	if (!colon || colon[1] == '\0')
		return false;
	*colon = '\0';
	*ret_end = (struct end){.host = text, .service = colon + 1};
	if (*text == '[' && colon[-1] == ']') {
		colon[-1] = '\0';
		ret_end->host = text + 1;
		return true;
	}
	return !strchr(text, ':'); /* else an IPv6 address without its brackets */
}

int main(int argc, char **argv)
{
	struct noria_config config = {.drain_timeout_ns = DRAIN_LIMIT};
	struct end end;
	int result;

	if (argc != 3 || !part(argv[1], &end) || !part(argv[2], &target) || !*target.host) {
		fprintf(stderr, "usage: proxy [HOST]:PORT HOST:PORT\n");
		return 2;
	}
	result = noria_run(&config, proxy, &end);
	if (result < 0)
		fprintf(stderr, "proxy: %s %s\n", strerror(-result), noria_message());
	return result < 0;
}
