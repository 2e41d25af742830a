/* SPDX-License-Identifier: MIT */
#include "rig.h"

#include "simulation/net/net.h"
#include "simulation/world.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PATIENCE_NS = 2000000000 };

static _Noreturn void give_up(const struct rig *rig, const char *what)
{
	fprintf(stderr, "%s: %s\n", rig->simulated ? "simulated ring" : "kernel's ring", what);
	abort();
}

struct io_uring_sqe *rig_entry(struct rig *rig, const char *name, unsigned *ret_tag)
{
	if (rig->tags == RIG_TAGS || !ring_room(rig->ring, 1))
		give_up(rig, "too many entries");
	rig->names[rig->tags] = name;
	if (ret_tag)
		*ret_tag = rig->tags;
	rig->tags++;
	return ring_reserve(rig->ring);
}

void rig_tag(struct io_uring_sqe *sqe, unsigned tag)
{
	sqe->user_data = (uint64_t)(tag + 1) << 3;
}

void rig_makes_fd(struct rig *rig, unsigned tag)
{
	rig->makes_fd[tag] = true;
}

void rig_only_total(struct rig *rig, unsigned tag)
{
	rig->only_total[tag] = true;
}

static void note(struct rig *rig, const struct io_uring_cqe *cqe)
{
	unsigned tag = (unsigned)(cqe->user_data >> 3) - 1;
	char *seen = rig->seen[tag];
	size_t length = strlen(seen);
	bool buffer = cqe->flags & IORING_CQE_F_BUFFER;
	char result[16];

	if (rig->makes_fd[tag] && cqe->res >= 0)
		snprintf(result, sizeof result, "fd");
	else
		snprintf(result, sizeof result, "%d", cqe->flags & IORING_CQE_F_NOTIF ? 0 : cqe->res);
	rig->totals[tag] += cqe->res > 0 ? cqe->res : 0;
	if (rig->only_total[tag])
		snprintf(seen, sizeof rig->seen[tag], " %lld in all, then %d", (long long)rig->totals[tag],
			 cqe->res > 0 ? 0 : cqe->res);
	else
		snprintf(seen + length, sizeof rig->seen[tag] - length, " %s%s%s%s%s", result,
			 cqe->flags & IORING_CQE_F_MORE ? "+" : "", cqe->flags & IORING_CQE_F_NOTIF ? "n" : "",
			 buffer ? "b" : "", buffer && (cqe->flags & IORING_CQE_F_BUF_MORE) ? "m" : "");
	rig->completions[tag]++;
	if (!(cqe->flags & IORING_CQE_F_MORE))
		rig->ended[tag]++;
	rig->results[tag] = cqe->res;
	rig->flags[tag] = cqe->flags;
}

static void reap(struct rig *rig)
{
	unsigned ready = ring_ready(rig->ring);

	for (unsigned i = 0; i < ready; i++) {
		const struct io_uring_cqe *cqe = ring_peek(rig->ring, i);

		if ((cqe->user_data & RING_TAG) == RING_OWN)
			rig->ring->class->own(rig->ring, cqe);
		else
			note(rig, cqe);
	}
	ring_reaped(rig->ring, ready);
}

static bool turn(struct rig *rig, int64_t deadline_ns)
{
	int r = rig->ring->class->enter(rig->ring, 1, deadline_ns);

	if (r < 0 && r != -EAGAIN)
		give_up(rig, strerror(-r));
	reap(rig);
	return rig->ring->class->now(rig->ring) < deadline_ns;
}

static int64_t in(struct rig *rig, int64_t ns)
{
	return rig->ring->class->now(rig->ring) + ns;
}

int32_t rig_wait(struct rig *rig, unsigned tag)
{
	int64_t deadline_ns = in(rig, PATIENCE_NS);

	while (rig->ended[tag] == 0)
		if (!turn(rig, deadline_ns))
			give_up(rig, rig->names[tag]);
	return rig->results[tag];
}

void rig_wait_for(struct rig *rig, unsigned tag, int completions)
{
	int64_t deadline_ns = in(rig, PATIENCE_NS);

	while (rig->completions[tag] < completions)
		if (!turn(rig, deadline_ns))
			give_up(rig, rig->names[tag]);
}

void rig_settle(struct rig *rig, int64_t ns)
{
	int64_t deadline_ns = in(rig, ns);

	while (turn(rig, deadline_ns))
		;
}

void rig_say(struct rig *rig, const char *format, ...)
{
	size_t length = strlen(rig->said);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(rig->said + length, sizeof rig->said - length, format, arguments);
	va_end(arguments);
}

/* ---- descriptors to work with ---- */

void rig_pair(struct rig *rig, int pair[2])
{
	int r = rig->simulated ? sim_socketpair(sim_world->hosts[0], AF_UNIX, SOCK_STREAM, 0, pair)
			       : socketpair(AF_UNIX, SOCK_STREAM, 0, pair);

	if (r < 0)
		give_up(rig, "socketpair");
}

void rig_pipe(struct rig *rig, int pair[2])
{
	int r = rig->simulated ? sim_pipe(sim_world->hosts[0], 0, pair) : pipe(pair);

	if (r < 0)
		give_up(rig, "pipe");
}

static int bound(struct rig *rig, int type, struct sockaddr_in *address)
{
	int fd = rig_fd(rig, "socket", io_uring_prep_socket, AF_INET, type, 0, 0);
	socklen_t length = sizeof *address;
	int r;

	*address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	rig_do(rig, "bind", io_uring_prep_bind, fd, (struct sockaddr *)address, sizeof *address);
	r = rig->simulated ? sim_getsockname(sim_fd_file(sim_world, fd), (struct sockaddr *)address, &length)
			   : getsockname(fd, (struct sockaddr *)address, &length);
	if (r < 0)
		give_up(rig, "getsockname");
	return fd;
}

int rig_listener(struct rig *rig, void *ret_address)
{
	int fd = bound(rig, SOCK_STREAM, ret_address);

	rig_do(rig, "listen", io_uring_prep_listen, fd, 16);
	return fd;
}

int rig_udp(struct rig *rig, void *ret_address)
{
	return bound(rig, SOCK_DGRAM, ret_address);
}

void rig_tcp_pair(struct rig *rig, int pair[2])
{
	struct sockaddr_in address;
	int listener = rig_listener(rig, &address);
	unsigned connecting;

	pair[0] = rig_fd(rig, "socket", io_uring_prep_socket, AF_INET, SOCK_STREAM, 0, 0);
	connecting =
		rig_put(rig, "connect", 0, io_uring_prep_connect, pair[0], (struct sockaddr *)&address, sizeof address);
	pair[1] = rig_fd(rig, "accept", io_uring_prep_accept, listener, NULL, NULL, 0);
	rig_wait(rig, connecting);
	rig_close(rig, listener);
}

void rig_close(struct rig *rig, int fd)
{
	rig_do(rig, "close", io_uring_prep_close, fd);
}
