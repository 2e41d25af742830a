/* SPDX-License-Identifier: MIT */
/*
 * Listening and accepting. Two things deserve a word.
 *
 * noria_accept4() goes on by itself over connections that were gone before they could be accepted. Of the other
 * errors only those that say the socket itself is unusable end the loop. When descriptors or memory are short, trying
 * again at once would burn the processor; a short sleep lets connections end first.
 *
 * In a drain noria_accept() stops at once, but the kernel may hold connections that were established before, with a
 * request already sent. Closing the listener would reset them, so they are taken first, with accept4(2) on a socket
 * made non-blocking for the purpose, which cannot park.
 */
#include "listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <noria/noria.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define BACKLOG     4096 /* the kernel cuts it to net.core.somaxconn */
#define SHORTAGE_MS 50

void address_format(const struct sockaddr_storage *address, char *text, size_t size)
{
	char host[INET6_ADDRSTRLEN] = "?";
	if (address->ss_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const void *)address;
		inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof host);
		snprintf(text, size, "[%s]:%u", host, ntohs(in6->sin6_port));
	} else {
		const struct sockaddr_in *in = (const void *)address;
		inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
		snprintf(text, size, "%s:%u", host, ntohs(in->sin_port));
	}
}

static int explain(const char *command, const char *name, int error)
{
	const char *remedy = "";
	if (error == -EADDRINUSE)
		remedy = " Another program listens there: choose another port, or 0 for any that is free.";
	else if (error == -EACCES)
		remedy = " Ports below 1024 need privileges: choose a higher one.";
	else if (error == -EADDRNOTAVAIL)
		remedy = " That is not an address of this machine: try 127.0.0.1.";
	if (error != -ECANCELED)
		fprintf(stderr, "noria %s: cannot listen on %s: %s.%s\n", command, name, strerror(-error), remedy);
	return error;
}

static int bind_and_listen(int fd, const struct address *address)
{
	const int on = 1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* accepted sockets inherit it */
	noria_try(noria_bind(fd, (const struct sockaddr *)&address->socket, address->size));
	return noria_listen(fd, BACKLOG);
}

int listener_open(struct listener *listener, const char *command, const struct address *address)
{
	*listener = (struct listener){.command = command, .fd = -1};
	address_format(&address->socket, listener->name, sizeof listener->name);
	int fd = noria_socket(address->socket.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return explain(command, listener->name, fd);
	int error = bind_and_listen(fd, address);
	if (error < 0) {
		noria_close(fd);
		return explain(command, listener->name, error);
	}
	listener->fd = fd;
	struct address bound = {.size = sizeof bound.socket};
	if (getsockname(fd, (struct sockaddr *)&bound.socket, &bound.size) == 0)
		address_format(&bound.socket, listener->name, sizeof listener->name);
	printf("listening on %s\n", listener->name);
	fflush(stdout);
	return 0;
}

static void complain(struct listener *listener, int error)
{
	listener->failures++;
	int64_t now_ns = noria_now();
	if (listener->complained_ns != 0 && now_ns - listener->complained_ns < noria_sec(1))
		return;
	fprintf(stderr, "noria %s: cannot accept: %s (%u times).%s\n", listener->command, strerror(-error),
		listener->failures, error == -EMFILE ? " Raise the limit of open files (ulimit -n)." : "");
	listener->complained_ns = now_ns;
	listener->failures = 0;
}

int listener_accept(struct listener *listener, struct sockaddr_storage *peer, socklen_t *ret_size)
{
	for (;;) {
		*ret_size = sizeof *peer;
		int fd = listener->direct ? noria_accept_direct(listener->fd, (struct sockaddr *)peer, ret_size, 0)
					  : noria_accept4(listener->fd, (struct sockaddr *)peer, ret_size,
							  SOCK_CLOEXEC | listener->accept_flags);
		if (fd >= 0 || fd == -ECANCELED || fd == -EBADF || fd == -EINVAL || fd == -ENOTSOCK)
			return fd;
		complain(listener, fd);
		noria_try(noria_idle(noria_sleep(noria_msec(SHORTAGE_MS))));
	}
}

int listener_accept_rest(struct listener *listener, struct sockaddr_storage *peer, socklen_t *ret_size)
{
	int fd;
	fcntl(listener->fd, F_SETFL, O_NONBLOCK);
	do {
		*ret_size = sizeof *peer;
		fd = accept4(listener->fd, (struct sockaddr *)peer, ret_size, SOCK_CLOEXEC | listener->accept_flags);
	} while (fd < 0 && (errno == ECONNABORTED || errno == EINTR));
	return fd < 0 ? -EAGAIN : fd;
}

void listener_close(struct listener *listener)
{
	if (listener->fd >= 0)
		noria_close(listener->fd);
	listener->fd = -1;
}

size_t raise_descriptor_limit(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return 1024;
	if (limit.rlim_cur < limit.rlim_max) {
		rlim_t before = limit.rlim_cur;
		limit.rlim_cur = limit.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
			limit.rlim_cur = before;
	}
	return limit.rlim_cur == RLIM_INFINITY ? SIZE_MAX : (size_t)limit.rlim_cur;
}
