/* SPDX-License-Identifier: MIT */
/*
 * A server under load: see load_target.h.
 *
 * Edge-triggered epoll: a connection is registered once for both directions and read until a short read, so the client
 * costs the same for every server. An error closes its connection and is counted; the others go on.
 *
 * Invariant of a connection: received <= sent <= wanted <= received + depth * size whenever no event is being handled.
 */
#include "load_target.h"

#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATTERN_SIZE     (1U << 20) /* the pattern's period */
#define READ_SIZE        (1U << 18)
#define MAX_EVENTS       512
#define STALL_MS         2000
#define IDLE_PER_ADDRESS 20000
#define SETTLE_US        1000 /* for a server to fall asleep after its last answer */

struct connection {
	int fd;
	uint32_t offset; /* where in the pattern this connection's stream begins */
	uint64_t received;
	uint64_t sent;
	uint64_t wanted;
	uint64_t *issued_ns; /* when request n was issued, at n % depth */
};

/* The period and a read's length more, so that any window is contiguous. */
static unsigned char pattern[PATTERN_SIZE + READ_SIZE];
static unsigned char incoming[READ_SIZE];

static void fill_pattern(void)
{
	static uint64_t state;

	if (state)
		return;
	state = bench_now_ns() | 1;
	for (size_t i = 0; i < PATTERN_SIZE; i++) {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		pattern[i] = (unsigned char)(state >> 32);
	}
	memcpy(pattern + PATTERN_SIZE, pattern, READ_SIZE);
}

static const unsigned char *window(const struct connection *c, uint64_t position)
{
	return pattern + ((position + c->offset) & (PATTERN_SIZE - 1));
}

static void fail(struct target *t, struct connection *c, const char *why)
{
	if (t->errors++ < 3)
		fprintf(stderr, "echo_load: connection %zu: %s\n", (size_t)(c - t->connections), why);
	close(c->fd);
	c->fd = -1;
	t->live--;
}

static void push(struct target *t, struct connection *c)
{
	while (c->sent < c->wanted) {
		const uint64_t pending = c->wanted - c->sent;
		const size_t length = pending < READ_SIZE ? pending : READ_SIZE;
		const ssize_t n = send(c->fd, window(c, c->sent), length, MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN)
			return; /* edge-triggered: an event comes when it can be written */
		if (n < 0) {
			fail(t, c, strerror(errno));
			return;
		}
		c->sent += (uint64_t)n;
	}
}

/* The answers from number first up to, not including, number end are there. */
static void complete(struct target *t, struct connection *c, uint64_t first, uint64_t end)
{
	const uint64_t now = bench_now_ns();

	for (uint64_t i = first; i < end; i++) {
		uint64_t *issued = &c->issued_ns[t->load->depth == 1 ? 0 : i % t->load->depth];

		histogram_add(&t->latencies, now - *issued);
		*issued = now;
	}
	t->requests += end - first;
	if (!t->stopping)
		c->wanted += (end - first) * t->load->size;
}

static void pull(struct target *t, struct connection *c)
{
	ssize_t n;

	do {
		const uint64_t first = c->received / t->load->size;

		n = recv(c->fd, incoming, READ_SIZE, 0);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			fail(t, c, n < 0 ? strerror(errno) : "closed by the server");
			return;
		}
		if (c->received + (uint64_t)n > c->sent || memcmp(incoming, window(c, c->received), (size_t)n) != 0) {
			fail(t, c, "what came back is not what was sent");
			return;
		}
		c->received += (uint64_t)n;
		complete(t, c, first, c->received / t->load->size);
		push(t, c);
	} while (n == READ_SIZE && c->fd >= 0);
}

static int wait_for_events(const struct target *t, struct epoll_event *events)
{
	const uint64_t begin = bench_now_ns();
	int n;

	if (!t->load->awake)
		return epoll_wait(t->epoll, events, MAX_EVENTS, STALL_MS);
	do
		n = epoll_wait(t->epoll, events, MAX_EVENTS, 0);
	while (n == 0 && bench_now_ns() - begin < STALL_MS * 1000000ULL);
	return n;
}

static void poll_once(struct target *t)
{
	struct epoll_event events[MAX_EVENTS];
	const int n = wait_for_events(t, events);

	if (n < 0 && errno != EINTR)
		bench_die("epoll_wait", errno);
	if (n == 0)
		bench_die("no answer within two seconds", ETIMEDOUT);

	for (int i = 0; i < n; i++) {
		struct connection *c = events[i].data.ptr;

		if (c->fd >= 0 && (events[i].events & EPOLLOUT))
			push(t, c);
		if (c->fd >= 0 && (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
			pull(t, c);
	}
}

static void issue_all(struct target *t)
{
	for (uint64_t i = 0; i < t->load->connections; i++) {
		struct connection *c = &t->connections[i];
		const uint64_t now = bench_now_ns();

		if (c->fd < 0)
			continue;
		for (uint64_t d = 0; d < t->load->depth; d++)
			c->issued_ns[d] = now;
		c->wanted += t->load->depth * t->load->size;
		push(t, c);
	}
}

static bool all_answered(const struct target *t)
{
	for (uint64_t i = 0; i < t->load->connections; i++)
		if (t->connections[i].fd >= 0 && t->connections[i].received < t->connections[i].wanted)
			return false;
	return true;
}

struct slice target_run(struct target *t, uint64_t length_ns)
{
	const struct usage server = usage_read(t->pid), client = usage_read("self");
	const uint64_t begin = bench_now_ns();
	struct slice slice;

	t->requests = 0;
	t->stopping = false;
	issue_all(t);
	while (t->live && (!t->stopping || !all_answered(t))) {
		poll_once(t);
		if (!t->stopping && bench_now_ns() - begin >= length_ns)
			t->stopping = true;
	}

	slice.elapsed_ns = bench_now_ns() - begin;
	slice.requests = t->requests;
	slice.client = usage_between(client, usage_read("self"));
	usleep(SETTLE_US);
	slice.server = usage_between(server, usage_read(t->pid));
	return slice;
}

static int connect_one(const struct target *t)
{
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		bench_die("socket", errno);
	if (connect(fd, (const struct sockaddr *)&t->address, sizeof(t->address)) < 0)
		bench_die("connect", errno);
	bench_no_delay(fd);
	if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
		bench_die("O_NONBLOCK", errno);
	return fd;
}

/* From an address of its own for every so many, since each has few ports. */
static void connect_idle(const struct target *t, uint64_t number)
{
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const struct sockaddr_in source = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + (uint32_t)(number / IDLE_PER_ADDRESS)),
	};
	const int on = 1;

	if (fd < 0)
		bench_die("socket", errno);
	if (setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on)) < 0 ||
	    bind(fd, (const struct sockaddr *)&source, sizeof(source)) < 0)
		bench_die("bind", errno);
	if (connect(fd, (const struct sockaddr *)&t->address, sizeof(t->address)) < 0)
		bench_die("connect", errno);
}

void target_open(struct target *t)
{
	fill_pattern();
	t->live = t->load->connections;
	t->epoll = epoll_create1(EPOLL_CLOEXEC);
	t->connections = calloc(t->load->connections, sizeof(*t->connections));
	if (t->epoll < 0 || !t->connections)
		bench_die("set-up", errno);

	for (uint64_t i = 0; i < t->idle; i++)
		connect_idle(t, i);
	for (uint64_t i = 0; i < t->load->connections; i++) {
		struct connection *c = &t->connections[i];
		struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};

		c->fd = connect_one(t);
		c->offset = (uint32_t)(i * 7919);
		c->issued_ns = calloc(t->load->depth, sizeof(*c->issued_ns));
		if (!c->issued_ns)
			bench_die("set-up", ENOMEM);
		if (epoll_ctl(t->epoll, EPOLL_CTL_ADD, c->fd, &event) < 0)
			bench_die("epoll_ctl", errno);
	}
}
