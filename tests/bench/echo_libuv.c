/* SPDX-License-Identifier: MIT */
/*
 * The TCP echo server as one who knows libuv well would write it.
 *
 * One loop and one buffer for all connections, since uv_try_write() sends from it before the next read: nothing is
 * allocated for a request, and no write request is queued. What a peer does not take at once is kept, and the
 * connection is not read until it is out.
 */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <uv.h>

#define BUFFER_SIZE (1U << 16)

struct connection {
	uv_tcp_t tcp;
	uv_write_t write; /* of the rest, which is in `bytes` */
	char *bytes;
};

static char buffer[BUFFER_SIZE];

static void must(const char *what, int r)
{
	if (r < 0) {
		fprintf(stderr, "echo_libuv: %s: %s\n", what, uv_strerror(r));
		exit(1);
	}
}

static void lend(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
	(void)handle;
	(void)suggested;
	*ret = uv_buf_init(buffer, sizeof(buffer));
}

static void closed(uv_handle_t *handle)
{
	struct connection *c = (struct connection *)handle;

	free(c->bytes);
	free(c);
}

static void drop(struct connection *c)
{
	uv_close((uv_handle_t *)&c->tcp, closed);
}

static void echo(uv_stream_t *stream, ssize_t size, const uv_buf_t *from);

static void rest_written(uv_write_t *write, int status)
{
	struct connection *c = (struct connection *)write->handle;

	free(c->bytes);
	c->bytes = NULL;
	if (status == UV_ECANCELED)
		return; /* it is being closed */
	if (status < 0 || uv_read_start((uv_stream_t *)&c->tcp, lend, echo) < 0)
		drop(c);
}

static void write_rest(struct connection *c, const char *bytes, size_t size)
{
	uv_buf_t rest;

	c->bytes = malloc(size);
	if (!c->bytes) {
		drop(c);
		return;
	}
	memcpy(c->bytes, bytes, size);
	rest = uv_buf_init(c->bytes, (unsigned int)size);
	uv_read_stop((uv_stream_t *)&c->tcp);
	if (uv_write(&c->write, (uv_stream_t *)&c->tcp, &rest, 1, rest_written) < 0)
		drop(c);
}

static void echo(uv_stream_t *stream, ssize_t size, const uv_buf_t *from)
{
	struct connection *c = (struct connection *)stream;
	uv_buf_t answer;
	int sent;

	if (size < 0) {
		drop(c);
		return;
	}
	answer = uv_buf_init(from->base, (unsigned int)size);
	sent = size ? uv_try_write(stream, &answer, 1) : 0;
	if (sent == UV_EAGAIN)
		sent = 0;
	if (sent < 0)
		drop(c);
	else if (sent < size)
		write_rest(c, from->base + sent, (size_t)(size - sent));
}

static void accept_one(uv_stream_t *listener, int status)
{
	struct connection *c = calloc(1, sizeof(*c));

	must("connection", status);
	if (!c)
		must("connection", UV_ENOMEM);
	must("uv_tcp_init", uv_tcp_init(listener->loop, &c->tcp));
	must("uv_accept", uv_accept(listener, (uv_stream_t *)&c->tcp));
	must("uv_read_start", uv_read_start((uv_stream_t *)&c->tcp, lend, echo));
}

int main(int argc, char **argv)
{
	uv_tcp_t listener;

	if (argc != 3 || strcmp(argv[1], "--listen") != 0) {
		fprintf(stderr, "usage: echo_libuv --listen ADDRESS:PORT\n");
		return 2;
	}
	must("uv_tcp_init", uv_tcp_init(uv_default_loop(), &listener));
	must("uv_tcp_open", uv_tcp_open(&listener, bench_listen(argv[2])));
	must("uv_listen", uv_listen((uv_stream_t *)&listener, SOMAXCONN, accept_one));
	return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
