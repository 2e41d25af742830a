/* SPDX-License-Identifier: MIT */
/*
 * How many exchanges a second a simulated world gets through: connections over its TCP on which 64 bytes go and come
 * back, one exchange at a time on each. By the real clock, on one processor.
 * `bench_simulation [CONNECTIONS [EXCHANGES [host]]]`; `host`: client and server are on hosts of their own.
 */
#include "bench.h"

#include <errno.h>
#include <noria/noria.h>
#include <noria/test.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PORT = 7, SIZE = 64 };

static uint64_t connections = 64, exchanges = 1000000;
static bool two_hosts;
static const char *server_address = "127.0.0.1";

static struct sockaddr_in address_of(const char *host)
{
	char text[64];

	snprintf(text, sizeof text, "%s:%d", host, PORT);
	return bench_parse_address(text);
}

static int echo(void *arg)
{
	int fd = *(int *)arg;
	char bytes[SIZE];
	ssize_t n;

	while ((n = noria_recv(fd, bytes, sizeof bytes, 0)) > 0)
		if ((n = noria_send_all(fd, bytes, (size_t)n, 0)) < 0)
			break;
	noria_close(fd);
	return (int)n;
}

static int serve(void *arg)
{
	struct sockaddr_in address = address_of("0.0.0.0");
	struct noria_group group;
	int listener = noria_socket(AF_INET, SOCK_STREAM, 0), r;

	(void)arg;
	noria_try(listener);
	noria_try(noria_bind(listener, (struct sockaddr *)&address, sizeof address));
	noria_try(noria_listen(listener, 4096));
	noria_try(noria_ready(0));
	noria_try(noria_group_open(&group));
	do {
		int fd = r = noria_accept(listener, NULL, NULL);

		if (fd >= 0)
			r = noria_spawn_copy(&group, echo, &fd, sizeof fd);
	} while (r >= 0);
	r = noria_group_close(&group, r);
	noria_close(listener);
	return r;
}

static int ask(void *arg)
{
	struct sockaddr_in address = address_of(server_address);
	char out[SIZE] = "ping", in[SIZE];
	int fd = noria_socket(AF_INET, SOCK_STREAM, 0);

	(void)arg;
	noria_try(fd);
	noria_try(noria_connect(fd, (struct sockaddr *)&address, sizeof address));
	for (uint64_t i = 0; i < exchanges / connections; i++) {
		noria_try(noria_send_all(fd, out, sizeof out, 0));
		if (noria_recv_all(fd, in, sizeof in, 0) != SIZE || memcmp(in, out, SIZE) != 0)
			return -EBADMSG;
	}
	noria_close(fd);
	return 0;
}

static int ask_all(void)
{
	struct noria_group clients;

	noria_try(noria_group_open(&clients));
	for (uint64_t i = 0; i < connections; i++)
		if (noria_spawn(&clients, ask, NULL) < 0)
			break;
	return noria_group_close(&clients, 0);
}

static int run(void *arg)
{
	struct noria_sim_host *other = two_hosts ? noria_sim_host_named("other", NULL) : NULL;
	struct noria_group servers;
	int r;

	(void)arg;
	if (other)
		server_address = "10.0.0.1";
	noria_try(noria_group_open(&servers));
	noria_try(noria_start(&servers, serve, NULL));
	r = other ? noria_sim_on(other, ask_all()) : ask_all();
	noria_group_cancel(&servers);
	return noria_group_close(&servers, r);
}

int main(int argc, char **argv)
{
	struct noria_sim_options options = {.seed = 1, .time_limit_ns = NORIA_FOREVER};
	uint64_t start_ns;
	double seconds;
	int r;

	if (argc > 1)
		connections = bench_parse_number("CONNECTIONS", argv[1], 1, 100000);
	if (argc > 2)
		exchanges = bench_parse_number("EXCHANGES", argv[2], connections, UINT64_MAX / 2);
	two_hosts = argc > 3 && strcmp(argv[3], "host") == 0;
	start_ns = bench_now_ns();
	r = noria_sim_run(&options, run, NULL);
	seconds = (double)(bench_now_ns() - start_ns) / 1e9;
	if (r < 0)
		bench_die(noria_sim_last_report()->what, r);
	printf("%llu exchanges over %llu connections: %.0f a second by the real clock; %.3f s of the world's\n",
	       (unsigned long long)exchanges, (unsigned long long)connections, (double)exchanges / seconds,
	       (double)noria_sim_last_report()->time_ns / 1e9);
	return 0;
}
