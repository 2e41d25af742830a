/* SPDX-License-Identifier: MIT */
/*
 * The yardstick: a TCP echo server on raw epoll, as one who knows epoll well would write it.
 *
 * One thread; edge-triggered, so that a connection is registered once and epoll never polls it
 * a second time to find it idle; read until a short read proves the socket empty, which saves the
 * recv() that would only say EAGAIN; send() at once. Connections are nothing but a number until the
 * peer stops reading: only then is there state, and the connection is not read until the rest
 * is out, so that memory stays bounded by one buffer for each stuck peer.
 *
 * --spin asks for events without waiting, so long, before it waits for them.
 *
 * Invariant: stuck[fd] is set if and only if the last send on fd was short.
 */
#include "bench.h"

#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUFFER_SIZE (1U << 16)
#define MAX_EVENTS  512

/* What a peer that does not read has yet to get. */
struct stuck {
	size_t length;
	unsigned char bytes[];
};

static unsigned char buffer[BUFFER_SIZE];
static struct stuck **stuck;
static int epoll_fd;
static int listen_fd;
static uint64_t spin_ns;

static void drop(int fd)
{
	free(stuck[fd]);
	stuck[fd] = NULL;
	close(fd);
}

/* Sends what it can: the bytes sent, which may be fewer than asked, or a negative errno. */
static ssize_t try_send(int fd, const unsigned char *bytes, size_t length)
{
	const ssize_t n = send(fd, bytes, length, MSG_NOSIGNAL);

	if (n >= 0)
		return n;
	return errno == EAGAIN ? 0 : -errno;
}

static int keep(int fd, const unsigned char *bytes, size_t length)
{
	struct stuck *s = malloc(sizeof(*s) + length);

	if (!s)
		return -ENOMEM;
	s->length = length;
	memcpy(s->bytes, bytes, length);
	stuck[fd] = s;
	return 0;
}

/* True when nothing is left to send and the connection may be read again. */
static bool resume(int fd)
{
	struct stuck *s = stuck[fd];
	const ssize_t n = try_send(fd, s->bytes, s->length);

	if (n < 0) {
		drop(fd);
		return false;
	}
	if ((size_t)n < s->length) {
		s->length -= (size_t)n;
		memmove(s->bytes, s->bytes + n, s->length);
		return false;
	}
	free(s);
	stuck[fd] = NULL;
	return true;
}

/* With the peer's end already announced no other edge will come: then read on, to the zero. */
static void echo(int fd, bool ended)
{
	ssize_t n, sent;

	do {
		n = recv(fd, buffer, sizeof(buffer), 0);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			drop(fd);
			return;
		}

		sent = try_send(fd, buffer, (size_t)n);
		if (sent == n)
			continue;
		if (sent < 0 || keep(fd, buffer + sent, (size_t)(n - sent)) < 0)
			drop(fd);
		return;
	} while (n == BUFFER_SIZE || ended);
}

static void accept_all(void)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET};
	int fd;

	while ((fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		event.data.fd = fd;
		if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
			bench_die("epoll_ctl", errno);
	}
}

static void serve(const struct epoll_event *event)
{
	const int fd = event->data.fd;

	if (fd == listen_fd)
		accept_all();
	else if (!stuck[fd] || resume(fd))
		echo(fd, event->events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR));
}

static int wait_for_events(struct epoll_event *events)
{
	const uint64_t end = spin_ns ? bench_now_ns() + spin_ns : 0;

	while (end && bench_now_ns() < end) {
		const int n = epoll_wait(epoll_fd, events, MAX_EVENTS, 0);

		if (n != 0)
			return n;
	}
	return epoll_wait(epoll_fd, events, MAX_EVENTS, -1);
}

_Noreturn static void loop(void)
{
	struct epoll_event events[MAX_EVENTS];

	for (;;) {
		const int n = wait_for_events(events);

		if (n < 0 && errno != EINTR)
			bench_die("epoll_wait", errno);
		for (int i = 0; i < n; i++)
			serve(&events[i]);
	}
}

static void set_up(const char *address)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};

	stuck = calloc(bench_file_limit(), sizeof(*stuck));
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (!stuck || epoll_fd < 0)
		bench_die("set-up", errno);

	listen_fd = bench_listen(address);
	event.data.fd = listen_fd;
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listen_fd, &event) < 0)
		bench_die("epoll_ctl", errno);
}

int main(int argc, char **argv)
{
	static const struct option known[] = {
		{"listen", required_argument, NULL, 'l'}, {"spin", required_argument, NULL, 's'}, {0}};
	const char *address = NULL;
	int option;

	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (option == 'l')
			address = optarg;
		else if (option == 's')
			spin_ns = 1000 * bench_parse_number("--spin", optarg, 0, 1000);
		else
			bench_usage("options are --listen ADDRESS:PORT and --spin MICROSECONDS");
	}
	if (!address || optind < argc)
		bench_usage("--listen ADDRESS:PORT is needed, and nothing but options");
	set_up(address);
	loop();
}
