/* SPDX-License-Identifier: MIT */
/* What the tutorial's programs share: the servers to ask, and one conversation with one of them. */
#ifndef PROBE_H
#define PROBE_H

#include <noria/noria.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* [server] */
struct server {
	char *name;
	int port;
	char answer[64];
	int error; /* why there is no answer */
};

struct fleet {
	struct server *servers;
	int count;
};
/* [end] */

/* [dial] */
/* A connection to a server. */
static inline int dial(int port)
{
	struct sockaddr_in peer = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	noria_autoclose int fd = noria_try(noria_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));

	peer.sin_port = htons((uint16_t)port);
	noria_try(noria_connect(fd, (struct sockaddr *)&peer, sizeof peer));
	return noria_take(&fd); /* it is the caller's now, and not closed here */
}
/* [end] */

/* [recv_line] */
/* Receives one line, and cuts off its newline. Nothing follows: the server waits for us to speak next. */
static inline int recv_line(int fd, char *line, size_t size)
{
	size_t length = 0;

	while (length < size) {
		ssize_t n = noria_try(noria_recv(fd, line + length, size - length, 0));

		if (n == 0)
			return -EPIPE; /* the server hung up */
		length += (size_t)n;
		if (line[length - 1] == '\n') {
			line[length - 1] = '\0';
			return 0;
		}
	}
	return -EMSGSIZE;
}
/* [end] */

/* Arguments of the form NAME=PORT. */
static inline struct fleet parse_fleet(int argc, char **argv)
{
	struct fleet fleet = {.servers = calloc((size_t)argc, sizeof(struct server))};

	for (int i = 1; fleet.servers && i < argc; i++) {
		char *equals = strchr(argv[i], '=');

		if (!equals)
			continue;
		*equals = '\0';
		fleet.servers[fleet.count++] = (struct server){.name = argv[i], .port = atoi(equals + 1)};
	}
	return fleet;
}

static inline void print_fleet(const struct fleet *fleet)
{
	for (int i = 0; i < fleet->count; i++) {
		const struct server *server = &fleet->servers[i];

		printf("%-8s%s\n", server->name, server->error < 0 ? strerror(-server->error) : server->answer);
	}
}

#endif
