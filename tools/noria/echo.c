/* SPDX-License-Identifier: MIT */
/*
 * `noria echo`: every byte that comes in goes back. It exists to be measured, against the same thing written on raw
 * epoll, so it does nothing else: one task a connection, no log, and no timeout unless --idle asks for one, to see what that costs.
 *
 * --direct takes connections as direct descriptors, which spare the kernel a look-up for each operation; but a send on
 * one cannot be tried by a system call first. --spin lets the loop look for a while before it sleeps.
 *
 * Two ways to receive can be compared. A receive stream is one submission for all messages of a connection, and the
 * bytes sent back are the kernel's own view of what it received; plain noria_recv() submits once a message into a
 * buffer of the task. Sending tries the system call first in both.
 */
#include "command.h"
#include "listener.h"

#include <errno.h>
#include <getopt.h>
#include <noria/noria.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUFFER_SIZE 16384

struct echo {
	struct address address;
	noria_task_fn *connection;
	bool direct;
	int64_t idle_ns; /* 0: for ever */
	struct noria_config config;
};

struct connection {
	int fd;
	int64_t idle_ns;
};

static ssize_t next(const struct connection *connection, struct noria_recv_stream *stream, const void **ret_data)
{
	if (connection->idle_ns == 0)
		return noria_recv_stream_next(stream, ret_data);
	return noria_within(connection->idle_ns, noria_recv_stream_next(stream, ret_data));
}

static ssize_t receive(const struct connection *connection, void *buffer, size_t size)
{
	if (connection->idle_ns == 0)
		return noria_recv(connection->fd, buffer, size, 0);
	return noria_within(connection->idle_ns, noria_recv(connection->fd, buffer, size, 0));
}

static int echo_stream(void *arg)
{
	const struct connection connection =
		*(const struct connection *)arg; /* nearer than where the spawner left it */
	int fd = connection.fd;
	struct noria_recv_stream stream;
	const void *data;
	if (noria_recv_stream_open(&stream, fd) == 0) {
		ssize_t size;
		while ((size = next(&connection, &stream, &data)) > 0)
			if (noria_send_all(fd, data, (size_t)size, 0) < 0)
				break;
		noria_recv_stream_close(&stream);
	}
	noria_close(fd);
	return 0; /* a client that goes away is no failure of the server */
}

static int echo_recv(void *arg)
{
	const struct connection connection = *(const struct connection *)arg;
	int fd = connection.fd;
	char buffer[BUFFER_SIZE];
	ssize_t size;
	while ((size = receive(&connection, buffer, sizeof buffer)) > 0)
		if (noria_send_all(fd, buffer, (size_t)size, 0) < 0)
			break;
	noria_close(fd);
	return 0;
}

static int accept_loop(struct listener *listener, struct noria_group *group, const struct echo *echo)
{
	struct sockaddr_storage peer;
	socklen_t size;
	for (;;) {
		int fd = listener_accept(listener, &peer, &size);
		if (fd < 0)
			return fd;
		struct connection connection = {fd, echo->idle_ns};
		int error = noria_spawn_copy(group, echo->connection, &connection, sizeof connection);
		if (error < 0) {
			noria_close(fd);
			if (error == -ECANCELED)
				return error;
		}
	}
}

/* A drain ends an echo server at once: no message is ever in progress but inside a send. */
static int echo_main(void *arg)
{
	const struct echo *echo = arg;
	struct listener listener;
	struct noria_group group;
	noria_try(listener_open(&listener, "echo", &echo->address));
	listener.direct = echo->direct;
	int error = noria_group_open(&group);
	if (error == 0) {
		error = accept_loop(&listener, &group, echo);
		if (noria_draining())
			noria_group_cancel(&group);
		error = noria_group_close(&group, error);
	}
	listener_close(&listener);
	return error;
}

static void print_help(void)
{
	puts("Usage: noria echo [--listen ADDR:PORT] [--mode stream|recv] [--idle SECONDS] [--direct]\n"
	     "                  [--spin MICROSECONDS]\n"
	     "\n"
	     "A TCP server that sends back what it receives, for benchmarks. It prints\n"
	     "\"listening on ADDR:PORT\" once it is ready and ends on SIGINT or SIGTERM.\n"
	     "\n"
	     "Options:\n"
	     "  --listen ADDR:PORT      where to listen; port 0 takes a free one (127.0.0.1:7007)\n"
	     "  --mode stream           one submission receives all messages of a connection (the default)\n"
	     "  --mode recv             one submission a message\n"
	     "  --idle SECONDS          hang up when so long nothing comes (0: never, the default)\n"
	     "  --direct                connections are direct descriptors of the ring\n"
	     "  --spin MICROSECONDS     look so long at most before sleeping, up to 1000 (0: never, the default)\n"
	     "  --help                  this text\n"
	     "\n"
	     "Example:\n"
	     "  noria echo --listen 127.0.0.1:7007 &\n"
	     "  echo hello | nc -q1 127.0.0.1 7007\n"
	     "\n"
	     "Exit codes: 0 ended by a signal, 1 failed, 2 wrong arguments.");
}

static int run(struct echo *echo)
{
	raise_descriptor_limit();
	int result = noria_run(&echo->config, echo_main, echo);
	if (result >= 0 || result == -ECANCELED)
		return EXIT_OK;
	fprintf(stderr, "noria echo: %s. %s\n", strerror(-result), noria_message());
	return EXIT_FAILED;
}

int cmd_echo(int argc, char **argv)
{
	static const struct option options[] = {
		{"listen", required_argument, NULL, 'l'},
		{"mode", required_argument, NULL, 'm'},
		{"idle", required_argument, NULL, 'i'},
		{"direct", no_argument, NULL, 'd'},
		{"spin", required_argument, NULL, 's'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	struct echo echo = {.connection = echo_stream};
	const char *listen = "127.0.0.1:7007";
	uint64_t spin_us = 0;
	int option;
	optind = 1;
	while ((option = getopt_long(argc, argv, ":hl:m:", options, NULL)) != -1) {
		switch (option) {
		case 'l':
			listen = optarg;
			break;
		case 'm':
			if (strcmp(optarg, "recv") != 0 && strcmp(optarg, "stream") != 0) {
				fprintf(stderr, "noria echo: --mode %s: give stream or recv.\n", optarg);
				return EXIT_USAGE;
			}
			echo.connection = *optarg == 'r' ? echo_recv : echo_stream;
			break;
		case 'i':
			if (!option_seconds("echo", "idle", optarg, &echo.idle_ns))
				return EXIT_USAGE;
			break;
		case 'd':
			echo.direct = true;
			break;
		case 's':
			if (!option_number("echo", "spin", optarg, false, 0, 1000, &spin_us))
				return EXIT_USAGE;
			echo.config.spin_max_ns = (int64_t)spin_us * 1000;
			break;
		case 'h':
			print_help();
			return EXIT_OK;
		default:
			return option_unknown("echo", option, argv[optind - 1]);
		}
	}
	if (optind < argc) {
		fprintf(stderr,
			"noria echo: '%s' is one argument too many. The address is given as --listen ADDR:PORT.\n",
			argv[optind]);
		return EXIT_USAGE;
	}
	return option_address("echo", "listen", listen, &echo.address) ? run(&echo) : EXIT_USAGE;
}
