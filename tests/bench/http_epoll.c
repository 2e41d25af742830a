/* SPDX-License-Identifier: MIT */
/*
 * An HTTP server on raw epoll that gives one fixed answer, for clients to be measured against: it costs as little as a
 * server can, so the client's own cost shows. One thread, edge-triggered; the answers to all requests of one receive
 * leave by one send. A client that does not read, or sends more than a bufferful of an unfinished request, is dropped.
 */
#include "bench.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_EVENTS  512
#define BUFFER_SIZE 65536

static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, World!";

static char request[BUFFER_SIZE], answers[BUFFER_SIZE];
static int epoll_fd, listen_fd;

static void accept_all(void)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET};
	int fd;

	while ((fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		event.data.fd = fd;
		if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
			bench_die("epoll_ctl", errno);
	}
}

/* As many requests as end in these bytes; they begin with one, since clients of benchmarks send whole ones. */
static size_t count_requests(const char *bytes, size_t size)
{
	const char *end = bytes + size;
	size_t count = 0;

	while ((bytes = memmem(bytes, (size_t)(end - bytes), "\r\n\r\n", 4)) != NULL) {
		bytes += 4;
		count++;
	}
	return count;
}

static void serve(int fd)
{
	const size_t length = sizeof(answer) - 1;
	ssize_t n;

	while ((n = recv(fd, request, sizeof(request), 0)) > 0) {
		size_t size = count_requests(request, (size_t)n) * length;

		if (size > sizeof(answers) || send(fd, answers, size, MSG_NOSIGNAL) != (ssize_t)size)
			break;
		if (n < BUFFER_SIZE)
			return; /* the socket is empty */
	}
	if (n >= 0 || errno != EAGAIN)
		close(fd);
}

int main(int argc, char **argv)
{
	struct epoll_event events[MAX_EVENTS], event = {.events = EPOLLIN | EPOLLET};

	if (argc != 2)
		bench_usage("usage: http_epoll ADDRESS:PORT");
	for (size_t at = 0; at + sizeof(answer) - 1 <= sizeof(answers); at += sizeof(answer) - 1)
		memcpy(answers + at, answer, sizeof(answer) - 1);
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	listen_fd = bench_listen(argv[1]);
	event.data.fd = listen_fd;
	if (epoll_fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listen_fd, &event) < 0)
		bench_die("epoll", errno);
	for (;;) {
		const int n = epoll_wait(epoll_fd, events, MAX_EVENTS, -1);

		if (n < 0 && errno != EINTR)
			bench_die("epoll_wait", errno);
		for (int i = 0; i < n; i++)
			if (events[i].data.fd == listen_fd)
				accept_all();
			else
				serve(events[i].data.fd);
	}
}
