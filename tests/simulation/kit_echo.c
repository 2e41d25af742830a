/* SPDX-License-Identifier: MIT */
#include "kit.h"

enum { PORT = 7, SIZE = 64 };

static int echo(void *arg)
{
	int fd = *(int *)arg;
	char bytes[SIZE];
	ssize_t n;

	while ((n = noria_recv(fd, bytes, sizeof bytes, 0)) > 0)
		if ((n = noria_send_all(fd, bytes, (size_t)n, 0)) < 0)
			break;
	noria_close(fd);
	return n == -ECONNRESET || n == -EPIPE ? 0 : (int)n;
}

static int accept_all(int listener)
{
	struct noria_group group;
	int r;

	noria_try(noria_group_open(&group));
	for (;;) {
		int fd = noria_idle(noria_accept(listener, NULL, NULL));

		r = fd < 0 ? fd : noria_spawn_copy(&group, echo, &fd, sizeof fd);
		if (r < 0 && fd >= 0)
			noria_close(fd);
		if (r < 0)
			break;
	}
	return noria_group_close(&group, r);
}

int serve_echo(void *arg)
{
	struct sockaddr_in address = address_of("0.0.0.0", PORT);
	int fd = noria_socket(AF_INET, SOCK_STREAM, 0), r;

	(void)arg;
	noria_try(fd);
	r = noria_bind(fd, (struct sockaddr *)&address, sizeof address);
	if (r >= 0)
		r = noria_listen(fd, 16);
	if (r >= 0)
		r = accept_all(fd);
	noria_close(fd);
	return r;
}

static int talk(int fd, int rounds)
{
	char out[SIZE], in[SIZE];

	for (int i = 0; i < rounds; i++) {
		ssize_t n;

		memset(out, 'a' + i % 26, sizeof out);
		noria_try(noria_send_all(fd, out, sizeof out, 0));
		n = noria_recv_all(fd, in, sizeof in, 0);
		if (n != SIZE)
			return n < 0 ? (int)n : -EPIPE;
		if (memcmp(in, out, SIZE) != 0)
			return -EBADMSG;
	}
	return 0;
}

int talk_echo(const struct noria_sim_host *host, int rounds)
{
	struct sockaddr_in address = address_of(noria_sim_address(host), PORT);
	int fd = noria_socket(AF_INET, SOCK_STREAM, 0), r;

	noria_try(fd);
	r = noria_connect(fd, (struct sockaddr *)&address, sizeof address);
	if (r >= 0)
		r = talk(fd, rounds);
	noria_close(fd);
	return r;
}

int echo_between_hosts(void *arg)
{
	struct noria_sim_host *server = noria_sim_host_named("server", NULL),
			      *client = noria_sim_host_named("client", NULL);

	(void)arg;
	MUST(server && client);
	noria_try(noria_sim_start(server, serve_echo, NULL));
	noria_try(noria_sleep(noria_msec(10)));
	return noria_sim_on(client, noria_within(noria_sec(60), talk_echo(server, 5)));
}
