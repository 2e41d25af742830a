/* SPDX-License-Identifier: MIT */
/*
 * A fan-out with one shared deadline: ask several servers at once, take what comes within 300 ms, and say who was late.
 *
 * The servers are tasks of the same program, slower one after the other. The group carries the deadline for all who ask
 * at once; nobody counts down, and no answer is waited for longer than the rest. The servers are services of the group:
 * they are there for its ordinary children, and are told to end when the last of those has ended.
 */
#include <noria/noria.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { SERVERS = 5 };

struct server {
	int listener;
	struct sockaddr_in address;
	int64_t delay_ns;
	char answer[32];
	ssize_t answered; /* bytes of the answer, or why there is none */
};

/* Take one connection, think for a while, answer. */
static int serve(void *arg)
{
	struct server *server = arg;
	noria_autoclose int listener = server->listener;
	noria_autoclose int fd = noria_try(noria_accept(listener, NULL, NULL));
	char text[sizeof server->answer];

	snprintf(text, sizeof text, "hello after %d ms", (int)(server->delay_ns / noria_msec(1)));
	noria_try(noria_sleep(server->delay_ns));
	return (int)noria_send_all(fd, text, strlen(text), 0);
}

/* Ask one server. What becomes of it is noted and is no failure: the others are asked all the same. */
static int ask(void *arg)
{
	struct server *server = arg;
	noria_autoclose int fd = noria_try(noria_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));

	server->answered = noria_connect(fd, (struct sockaddr *)&server->address, sizeof server->address);
	if (server->answered == 0)
		server->answered = noria_recv_all(fd, server->answer, sizeof server->answer - 1, 0);
	return 0;
}

static int open_server(struct server *server, int64_t delay_ns)
{
	socklen_t length = sizeof server->address;

	*server = (struct server){.address.sin_family = AF_INET, .delay_ns = delay_ns, .answered = -ECANCELED};
	server->address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	server->listener = noria_try(noria_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
	noria_try(noria_bind(server->listener, (struct sockaddr *)&server->address, length));
	noria_try(noria_listen(server->listener, 1));
	return getsockname(server->listener, (struct sockaddr *)&server->address, &length) < 0 ? -errno : 0;
}

static int serve_and_ask(struct noria_group *group, struct server *servers)
{
	struct noria_spawn_options service = {.service = true};

	for (int i = 0; i < SERVERS; i++) {
		noria_try(open_server(&servers[i], noria_msec(50 * i * i)));
		noria_try(noria_spawn_with(group, serve, &servers[i], &service));
		noria_try(noria_spawn(group, ask, &servers[i]));
	}
	return 0;
}

static int fan_out(void *arg)
{
	struct noria_group group;
	int result = noria_grouped_until(&group, noria_now() + noria_msec(300), serve_and_ask(&group, arg));

	return result == -ETIMEDOUT ? 0 : result; /* late answers are expected */
}

int main(void)
{
	struct server servers[SERVERS];
	int result = noria_run(NULL, fan_out, servers);

	for (int i = 0; i < SERVERS && result == 0; i++)
		if (servers[i].answered >= 0)
			printf("server %d: %s\n", i, servers[i].answer);
		else
			printf("server %d: late (%s)\n", i, strerror((int)-servers[i].answered));
	if (result < 0)
		fprintf(stderr, "fanout: %s %s\n", strerror(-result), noria_message());
	return result < 0;
}
