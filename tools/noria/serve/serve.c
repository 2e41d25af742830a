/* SPDX-License-Identifier: MIT */
/*
 * `noria serve`: the server as a whole. The root task listens, accepts, and spawns a task for each connection into a
 * group; SIGTERM makes noria_accept() answer -ECANCELED, and closing the group waits for the connections to finish.
 * The access log's task lives in a group around that one, because it must outlive them.
 *
 * Above --max-connections a client is told 503 and Retry-After rather than left waiting in the accept queue, where it
 * cannot tell a full server from a dead one, and where a balancer would not learn to go elsewhere. Those answers take a
 * task too, so there is a limit to them as well; beyond it the server does not accept until one has ended.
 */
#include "serve.h"

#include "../command.h"

#include <errno.h>
#include <fcntl.h>
#include <noria/noria.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REFUSED_MAX      64 /* clients being told 503 at once */
#define DESCRIPTORS_BASE 64 /* kept for what is not a connection: the ring, the log */
#define PIPES_MAX        256
#define POOL_KEPT        256 /* free buffers of each kind */

/* Give a connection its task. Returns: 0, or -ECANCELED when the server is to end. */
static int welcome(struct server *server, struct noria_group *group, int fd, const struct sockaddr_storage *peer)
{
	bool refuse = server->connections >= server->options->connections_max;
	struct connection connection = {
		.server = server,
		.fd = fd,
		.refuse = refuse,
		.id = ++server->connections_total,
		.peer = *peer,
	};
	int error = noria_spawn_copy(group, connection_main, &connection, sizeof connection);
	if (error == 0) {
		server->connections += !refuse;
		server->refused += refuse;
		return 0;
	}
	noria_close(fd);
	if (error == -ECANCELED)
		return error;
	report("a connection was closed: %s", strerror(-error));
	return 0;
}

static int accept_loop(struct server *server, struct noria_group *group)
{
	struct sockaddr_storage peer;
	socklen_t size;
	for (;;) {
		while (server->refused >= REFUSED_MAX && server->connections >= server->options->connections_max)
			noria_try(noria_idle(noria_sleep(noria_msec(10))));
		int fd = listener_accept(&server->listener, &peer, &size);
		noria_try(fd);
		noria_try(welcome(server, group, fd, &peer));
	}
}

/* The drain has begun: take what had arrived before it, and then nobody any more. */
static void last_welcome(struct server *server, struct noria_group *group)
{
	struct sockaddr_storage peer;
	socklen_t size;
	int fd;
	while ((fd = listener_accept_rest(&server->listener, &peer, &size)) >= 0)
		if (welcome(server, group, fd, &peer) < 0)
			break;
	listener_close(&server->listener);
}

static int serve_connections(struct server *server)
{
	struct noria_group group;
	noria_try(noria_group_open(&group));
	int error = accept_loop(server, &group);
	if (noria_draining() && noria_check() == 0) {
		last_welcome(server, &group);
		report_detail("draining: %u connections are open", server->connections);
		error = 0; /* close waits for them */
	}
	return noria_group_close(&group, error);
}

static int serve_main(void *arg)
{
	struct server *server = arg;
	struct noria_group log_group;
	server->entered = true;
	noria_try(listener_open(&server->listener, "serve", &server->options->address));
	server->listener.accept_flags = SOCK_NONBLOCK; /* for splice(2): see body.c */
	server->listening = true;
	if (isatty(STDOUT_FILENO))
		printf("http://%s/ shows %s; Ctrl-C drains and ends\n", server->listener.name,
		       server->options->directory);
	noria_try(noria_group_open(&log_group));
	server->log.group = &log_group;
	int error = serve_connections(server);
	listener_close(&server->listener);
	noria_group_cancel(&log_group);
	error = noria_group_close(&log_group, error);
	access_log_finish(&server->log);
	return error;
}

/* Limits that follow from how many files the process may have open. */
static void fit_descriptors(struct server *server, struct serve_options *options)
{
	size_t descriptors = raise_descriptor_limit();
	size_t usable = descriptors > DESCRIPTORS_BASE * 2 ? descriptors - DESCRIPTORS_BASE : DESCRIPTORS_BASE;
	size_t most = usable - usable / 4; /* the rest is for the files that busy connections read */
	if (options->connections_max > most) {
		if (options->connections_given)
			report("--max-connections %u: %zu files may be open (ulimit -n), enough for %zu connections",
			       options->connections_max, descriptors, most);
		options->connections_max = (unsigned)most;
	}
	server->pipes.out_max = usable / 16 < PIPES_MAX ? (unsigned)(usable / 16) : PIPES_MAX;
}

static void make_instance(struct server *server)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	struct text text = text_on(server->instance, sizeof server->instance - 1);
	text_hex(&text, ((uint64_t)now.tv_sec << 20 ^ (uint64_t)getpid() << 12 ^ (uint64_t)now.tv_nsec) & UINT32_MAX);
	*text.at = '\0';
}

/* What can be wrong before anything runs. Returns: EXIT_OK or EXIT_FAILED, explained. */
static int prepare(struct server *server, struct serve_options *options)
{
	tzset(); /* or the first date would open the time zone's file, within the runtime */
	server->options = options;
	server->listener.fd = -1;
	server->log.fd = server->log.own = -1;
	server->root_fd = open(options->directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (server->root_fd < 0) {
		report("%s: %s. Give the directory whose files are to be served.", options->directory, strerror(errno));
		return EXIT_FAILED;
	}
	int error = access_log_open(&server->log, options->access_log);
	if (error < 0) {
		report("--access-log %s: %s", options->access_log, strerror(-error));
		return EXIT_FAILED;
	}
	size_t text_room = request_text_room(&options->limits) + options->limits.target + sizeof "/index.html" + 8;
	server->workspaces = (struct pool){.size = sizeof(struct workspace) + text_room, .kept_max = POOL_KEPT};
	server->outputs = (struct pool){.size = OUTPUT_SIZE, .kept_max = POOL_KEPT};
	fit_descriptors(server, options);
	make_instance(server);
	return EXIT_OK;
}

static int conclude(const struct server *server, int result)
{
	if (server->listening)
		report("%llu requests on %llu connections, %llu bytes; %llu answers not delivered in full",
		       (unsigned long long)server->requests_total, (unsigned long long)server->connections_total,
		       (unsigned long long)server->bytes_total, (unsigned long long)server->cut_total);
	if (result >= 0)
		return EXIT_OK;
	if (result == -ECANCELED && server->cut_total == 0)
		return EXIT_OK; /* the end was forced, but nothing was under way */
	if (result == -ECANCELED || result == -ETIMEDOUT) {
		report("ended before every answer was out");
		return EXIT_CUT;
	}
	if (!server->entered) /* what failed later was explained where it failed */
		report("%s. %s", strerror(-result), noria_message());
	else if (server->listening)
		report("%s", strerror(-result));
	return EXIT_FAILED;
}

int cmd_serve(int argc, char **argv)
{
	struct serve_options options;
	struct server server = {0};
	int answer = serve_arguments(argc, argv, &options);
	if (answer != SERVE_GO_ON)
		return answer;
	int code = prepare(&server, &options);
	if (code == EXIT_OK) {
		struct noria_config config = {.timeouts = NORIA_TIMEOUTS_HEAP,
					      .drain_timeout_ns = options.drain_timeout_ns};
		code = conclude(&server, noria_run(&config, serve_main, &server));
	}
	access_log_close(&server.log);
	pool_done(&server.workspaces);
	pool_done(&server.outputs);
	pipes_done(&server.pipes);
	if (server.root_fd >= 0)
		close(server.root_fd);
	return code;
}
