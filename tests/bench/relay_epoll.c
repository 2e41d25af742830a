/* SPDX-License-Identifier: MIT */
/*
 * The relay of relay.h on raw epoll, in the way of echo_epoll: one thread, edge-triggered, read until a short read,
 * send at once from the one buffer. What a peer does not take at once is kept, and where it came from is not read until it
 * is out.
 */
#include "relay.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUFFER_SIZE (1U << 16)
#define MAX_EVENTS  512

struct side {
	struct client *client;
	int fd;
	unsigned got;        /* of a message, with more than one upstream */
	size_t kept;         /* bytes that it has yet to take */
	unsigned char *rest; /* ... which are these */
};

struct client {
	struct client *next_dead;
	bool dead;
	unsigned answered;
	unsigned char message[RELAY_SIZE_MAX];
	struct side self, upstream[RELAY_FAN_MAX];
};

static struct relay_options options;
static unsigned char buffer[BUFFER_SIZE];
static struct client *dead; /* freed after the turn, whose events may still name them */
static int epoll_fd, listen_fd;

static void drop(struct client *c)
{
	if (c->dead)
		return;
	c->dead = true;
	c->next_dead = dead;
	dead = c;
	close(c->self.fd);
	for (unsigned i = 0; i < options.fan; i++)
		close(c->upstream[i].fd);
}

static void bury(void)
{
	while (dead) {
		struct client *c = dead;

		dead = c->next_dead;
		free(c->self.rest);
		for (unsigned i = 0; i < options.fan; i++)
			free(c->upstream[i].rest);
		free(c);
	}
}

static void keep(struct side *to, const unsigned char *bytes, size_t size)
{
	unsigned char *rest = realloc(to->rest, to->kept + size);

	if (!rest) {
		drop(to->client);
		return;
	}
	memcpy(rest + to->kept, bytes, size);
	to->rest = rest;
	to->kept += size;
}

static void pass(struct side *to, const unsigned char *bytes, size_t size)
{
	const ssize_t n = to->kept ? 0 : send(to->fd, bytes, size, MSG_NOSIGNAL);

	if (n < 0 && errno != EAGAIN)
		drop(to->client);
	else if (n < (ssize_t)size)
		keep(to, bytes + (n > 0 ? n : 0), size - (size_t)(n > 0 ? n : 0));
}

/* A part of the client's message: on its end everyone is asked. */
static void gather(struct client *c, const unsigned char *bytes, size_t size)
{
	if (c->self.got + size > options.size) {
		drop(c); /* it asked again before it was answered */
		return;
	}
	memcpy(c->message + c->self.got, bytes, size);
	c->self.got += (unsigned)size;
	for (unsigned i = 0; c->self.got == options.size && i < options.fan && !c->dead; i++)
		pass(&c->upstream[i], c->message, options.size);
}

/* A part of an upstream's answer: on the end of the last one the client is answered. */
static void collect(struct side *from, const unsigned char *bytes, size_t size)
{
	struct client *c = from->client;

	if (from->got + size > options.size) {
		drop(c);
		return;
	}
	memcpy(c->message + from->got, bytes, size);
	from->got += (unsigned)size;
	if (from->got < options.size || ++c->answered < options.fan)
		return;
	c->answered = c->self.got = 0;
	for (unsigned i = 0; i < options.fan; i++)
		c->upstream[i].got = 0;
	pass(&c->self, c->message, options.size);
}

static void take(struct side *from, size_t size)
{
	struct client *c = from->client;

	if (options.fan == 1)
		pass(from == &c->self ? &c->upstream[0] : &c->self, buffer, size);
	else if (from == &c->self)
		gather(c, buffer, size);
	else
		collect(from, buffer, size);
}

/* Nothing is read for a proxy's side that still has bytes to take. */
static bool blocked(const struct side *from)
{
	const struct client *c = from->client;

	return options.fan == 1 && (from == &c->self ? c->upstream[0].kept : c->self.kept) > 0;
}

static void receive(struct side *from, bool ended)
{
	ssize_t n;

	do {
		if (from->client->dead || blocked(from))
			return;
		n = recv(from->fd, buffer, sizeof(buffer), 0);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			drop(from->client);
			return;
		}
		take(from, (size_t)n);
	} while (n == BUFFER_SIZE || ended);
}

/* The side can take bytes again. Whoever waited for that has had its edge: it is read now. */
static void resume(struct side *to)
{
	struct client *c = to->client;
	const ssize_t n = send(to->fd, to->rest, to->kept, MSG_NOSIGNAL);

	if (n < 0) {
		if (errno != EAGAIN)
			drop(c);
		return;
	}
	to->kept -= (size_t)n;
	memmove(to->rest, to->rest + n, to->kept);
	if (to->kept == 0 && options.fan == 1)
		receive(to == &c->self ? &c->upstream[0] : &c->self, true);
}

static void watch(struct client *c, struct side *side, int fd)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = side};

	side->client = c;
	side->fd = fd;
	if (fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		bench_die("connection", errno);
}

static int connect_upstream(void)
{
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	bench_no_delay(fd);
	if (connect(fd, (const struct sockaddr *)&options.upstream, sizeof(options.upstream)) < 0 &&
	    errno != EINPROGRESS)
		bench_die("connect", errno);
	return fd;
}

static void accept_all(void)
{
	int fd;

	while ((fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct client *c = calloc(1, sizeof(*c));

		if (!c)
			bench_die("memory", ENOMEM);
		for (unsigned i = 0; i < options.fan; i++)
			watch(c, &c->upstream[i], connect_upstream());
		watch(c, &c->self, fd);
	}
}

static void serve(const struct epoll_event *event)
{
	struct side *side = event->data.ptr;

	if (!side) {
		accept_all();
		return;
	}
	if (!side->client->dead && side->kept)
		resume(side);
	if (!side->client->dead && (event->events & ~(uint32_t)EPOLLOUT))
		receive(side, event->events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR));
}

int main(int argc, char **argv)
{
	struct epoll_event events[MAX_EVENTS] = {{.events = EPOLLIN | EPOLLET}};

	options = relay_parse(argc, argv);
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	listen_fd = bench_listen(options.listen);
	if (epoll_fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listen_fd, events) < 0)
		bench_die("epoll", errno);
	for (;;) {
		const int n = epoll_wait(epoll_fd, events, MAX_EVENTS, -1);

		if (n < 0 && errno != EINTR)
			bench_die("epoll_wait", errno);
		for (int i = 0; i < n; i++)
			serve(&events[i]);
		bury();
	}
}
