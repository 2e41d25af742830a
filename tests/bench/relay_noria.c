/* SPDX-License-Identifier: MIT */
/*
 * The relay of relay.h as tasks of noria. A proxied connection is two tasks, one a direction, of which the first to end
 * ends the other; with more upstreams a client is one task, which writes to all and then reads from each in turn: what
 * it has written leaves as it begins to wait, by one system call.
 *
 * It reads by receives and not by streams: when the first answer has come most of the others have, and a receive that
 * finds its message touches less memory than a stream that stands ready for it. The connections of all clients are more
 * than a cache holds, so for the same reason all that belongs to a client lies together.
 */
#include "relay.h"

#include <errno.h>
#include <noria/noria.h>
#include <stdlib.h>
#include <sys/socket.h>

struct direction {
	int from, to;
	struct noria_group *both;
};

struct upstream {
	int fd;
	struct noria_writer writer;
};

static struct relay_options options;

static int connect_upstream(int *ret_fd)
{
	int fd = noria_try(noria_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
	int r = noria_connect(fd, (const struct sockaddr *)&options.upstream, sizeof options.upstream);

	if (r < 0) {
		noria_close(fd);
		return r;
	}
	bench_no_delay(fd);
	*ret_fd = fd;
	return 0;
}

static int pass(void *arg)
{
	const struct direction *direction = arg;
	struct noria_recv_stream stream;
	const void *data;
	ssize_t size;

	noria_try(noria_recv_stream_open(&stream, direction->from));
	while ((size = noria_recv_stream_next(&stream, &data)) > 0)
		if (noria_send_all(direction->to, data, (size_t)size, 0) < 0)
			break;
	noria_recv_stream_close(&stream);
	noria_group_cancel(direction->both);
	return 0;
}

static int proxy(int fd)
{
	struct noria_group both;
	int upstream = -1;

	noria_try(connect_upstream(&upstream));
	int r = noria_group_open(&both);
	if (r == 0) {
		struct direction up = {fd, upstream, &both}, down = {upstream, fd, &both};

		r = noria_spawn(&both, pass, &up);
		if (r == 0)
			r = noria_spawn(&both, pass, &down);
		r = (int)noria_group_close(&both, r);
	}
	noria_close(upstream);
	return r;
}

/* A message of options.size bytes; 0 when the peer has ended. */
static ssize_t receive(int fd, char *message)
{
	ssize_t n = noria_recv_all(fd, message, options.size, 0);

	return n < 0 || n == (ssize_t)options.size ? n : 0;
}

static ssize_t exchange(int fd, struct upstream *upstreams, char *message)
{
	ssize_t n = receive(fd, message);

	for (unsigned i = 0; n > 0 && i < options.fan; i++)
		noria_try(noria_writer_write(&upstreams[i].writer, message, options.size));
	for (unsigned i = 0; n > 0 && i < options.fan; i++)
		n = receive(upstreams[i].fd, message);
	return n > 0 ? noria_send_all(fd, message, options.size, 0) : n;
}

/* Of a writer. A message that is as large would not be held back. */
static size_t buffer_size(void)
{
	return 2 * (size_t)options.size;
}

static int open_upstream(struct upstream *upstream, char *buffer)
{
	noria_try(connect_upstream(&upstream->fd));
	int r = noria_writer_open(&upstream->writer, upstream->fd, buffer, buffer_size());
	if (r < 0)
		noria_close(upstream->fd);
	return r;
}

static void close_upstream(struct upstream *upstream)
{
	int ignored = noria_writer_close(&upstream->writer); /* the client has gone: nobody wants the answer */
	(void)ignored;
	noria_close(upstream->fd);
}

/* `memory` for a message, and for what the writers hold. */
static int serve_all(int fd, struct upstream *upstreams, char *memory)
{
	char *buffers = memory + options.size;
	unsigned open = 0;
	int r = 0;

	while (r == 0 && open < options.fan) {
		r = open_upstream(&upstreams[open], buffers + open * buffer_size());
		open += r == 0;
	}
	while (r == 0 && exchange(fd, upstreams, memory) > 0)
		;
	while (open-- > 0)
		close_upstream(&upstreams[open]);
	return r;
}

static int fan_out(int fd)
{
	size_t size = options.fan * (sizeof(struct upstream) + buffer_size()) + options.size;
	struct upstream *upstreams = calloc(1, size);
	int r = upstreams ? serve_all(fd, upstreams, (char *)(upstreams + options.fan)) : -ENOMEM;

	free(upstreams);
	return r;
}

static int connection(void *arg)
{
	int fd = *(int *)arg;
	int r = options.fan == 1 ? proxy(fd) : fan_out(fd);

	noria_close(fd);
	return r == -ECANCELED ? r : 0;
}

static int serve(void *arg)
{
	int listener = *(int *)arg, fd;
	struct noria_group group;

	noria_try(noria_group_open(&group));
	while ((fd = noria_accept(listener, NULL, NULL)) >= 0)
		noria_try(noria_spawn_copy(&group, connection, &fd, sizeof fd));
	return (int)noria_group_close(&group, fd);
}

int main(int argc, char **argv)
{
	int listener, r;

	options = relay_parse(argc, argv);
	listener = bench_listen(options.listen);
	r = noria_run(NULL, serve, &listener);
	if (r < 0)
		bench_die(noria_message(), r);
	return 0;
}
