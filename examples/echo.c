/* SPDX-License-Identifier: MIT */
/*
 * An echo server in thirty lines: a task for each connection, written as if it had a thread. Run `echo PORT`, then
 * `nc localhost PORT`; Ctrl-C lets the answers under way go out and ends it.
 *
 * A client that is silent for 30 seconds, resets or vanishes is no failure of the server, so its task returns 0: an
 * error returned from a task is a failure, and would end the group and all other connections with it.
 */
#include <noria/noria.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* [serve] */
static int serve(void *arg)
{
	noria_autoclose int fd = *(int *)arg;
	char buffer[4096];
	ssize_t n;

	while ((n = noria_within(noria_sec(30), noria_idle(noria_recv(fd, buffer, sizeof buffer, 0)))) > 0)
		if (noria_send_all(fd, buffer, (size_t)n, 0) < 0)
			break;
	return 0;
}
/* [end] */

/* Of descriptors or memory, which comes and goes. */
static bool is_short(int error)
{
	return error == -EMFILE || error == -ENFILE || error == -ENOBUFS || error == -ENOMEM;
}

static int server(void *arg)
{
	struct noria_group connections;
	noria_autoclose int listener = noria_try(noria_listen_name("127.0.0.1", arg, NULL));
	int fd;

	noria_try(noria_group_open(&connections));
	while ((fd = noria_accept(listener, NULL, NULL)) >= 0 || is_short(fd))
		if (is_short(fd))
			(void)!noria_sleep(noria_msec(100)); /* too many clients: the next waits until one has gone */
		else if (noria_spawn_copy(&connections, serve, &fd, sizeof fd) < 0)
			noria_close(fd); /* no room: this client is turned away */
	noria_close(
		noria_take(&listener)); /* whoever comes now is told at once, not when the last connection has ended */
	return noria_group_close(&connections, fd);
}

int main(int argc, char **argv)
{
	int result = noria_run(NULL, server, argc > 1 ? argv[1] : "7000");

	if (result < 0)
		fprintf(stderr, "echo: %s %s\n", strerror(-result), noria_message());
	return result < 0;
}
