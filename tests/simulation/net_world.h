/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the simulated net share: a world with hosts, and the system calls on its descriptors. EXPECT_EQ()
 * notes what differs and goes on.
 */
#ifndef NORIA_TESTS_SIMULATION_NET_WORLD_H
#define NORIA_TESTS_SIMULATION_NET_WORLD_H

#include "simulation/host.h"
#include "simulation/net/net.h"
#include "simulation/world.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define MS     INT64_C(1000000)
#define SECOND INT64_C(1000000000)

#define EXPECT_EQ(actual, wanted) \
	do { \
		long long actual_ = (long long)(actual), wanted_ = (long long)(wanted); \
		cr_expect(actual_ == wanted_, "%s is %lld, not %s = %lld", #actual, actual_, #wanted, wanted_); \
	} while (0)

static struct sim_world *world;
static struct sim_host *here, *there;

/* Two hosts: 10.0.0.1, and 10.0.0.2 with fd00::2. */
static inline void open_world(uint64_t seed, const char *plan)
{
	cr_assert(sim_world_open(&world, seed, plan) == 0);
	sim_world = world;
	here = world->hosts[0];
	cr_assert(sim_host_add(world, "there", "10.0.0.2", &there) == 0);
	cr_assert(sim_host_add_address(there, "fd00::2") == 0);
	cr_assert(sim_host_add_address(here, "fd00::1") == 0);
}

static inline void close_world(void)
{
	sim_world_close(world);
	sim_world = NULL;
}

static inline struct sim_file *file(int fd)
{
	struct sim_file *found = sim_fd_file(world, fd);

	cr_assert(found != NULL, "no descriptor: %d", fd);
	return found;
}

static inline void shut(int fd)
{
	EXPECT_EQ(sim_fd_close(world, fd), 0);
}

/* So much time passes. */
static inline void pass(int64_t ns)
{
	int64_t until = world->now + ns;

	while (sim_world_step(world, until))
		;
	world->now = until;
}

static inline int64_t transfer(int fd, void *bytes, size_t size, int flags, struct msghdr *message, bool out)
{
	struct iovec vector = {.iov_base = bytes, .iov_len = size};
	struct sim_transfer moved = {.vector = &vector, .count = 1, .size = size, .offset = -1, .flags = flags};
	struct sim_file *of = file(fd);

	moved.message = message;
	moved.host = of->host;
	return out ? of->class->write(of, &moved) : of->class->read(of, &moved);
}

static inline int64_t put(int fd, const void *bytes, size_t size)
{
	return transfer(fd, (void *)(uintptr_t)bytes, size, 0, NULL, true);
}

static inline int64_t get(int fd, void *bytes, size_t size)
{
	return transfer(fd, bytes, size, 0, NULL, false);
}

static inline unsigned polled(int fd)
{
	return sim_file_poll(file(fd)) & (POLLIN | POLLOUT | POLLHUP | POLLERR | POLLRDHUP);
}

static inline struct sockaddr_in at(const char *ip, uint16_t port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};

	inet_pton(AF_INET, ip, &address.sin_addr);
	return address;
}

static inline int bind_to(int fd, const char *ip, uint16_t port)
{
	struct sockaddr_in address = at(ip, port);

	return sim_bind(file(fd), (struct sockaddr *)&address, sizeof address);
}

static inline int connect_to(int fd, const char *ip, uint16_t port)
{
	struct sockaddr_in address = at(ip, port);

	return sim_connect(file(fd), (struct sockaddr *)&address, sizeof address);
}

static inline int number_of(int fd, int level, int name)
{
	socklen_t length = sizeof(int);
	int value = -1;

	EXPECT_EQ(sim_getsockopt(file(fd), level, name, &value, &length), 0);
	return value;
}

static inline int set(int fd, int level, int name, int value)
{
	return sim_setsockopt(file(fd), level, name, &value, sizeof value);
}

static inline int listener(struct sim_host *host, const char *ip, uint16_t port, int backlog)
{
	int fd = sim_socket(host, AF_INET, SOCK_STREAM, 0);

	EXPECT_EQ(bind_to(fd, ip, port), 0);
	EXPECT_EQ(sim_listen(file(fd), backlog), 0);
	return fd;
}

/* A connection from `here` to a host; pair[0] asked for it. */
static inline void connected(struct sim_host *host, const char *ip, int pair[2])
{
	int listening = listener(host, "0.0.0.0", 80, 10);

	pair[0] = sim_socket(here, AF_INET, SOCK_STREAM, 0);
	EXPECT_EQ(connect_to(pair[0], ip, 80), -EINPROGRESS);
	pass(20 * MS);
	EXPECT_EQ(connect_to(pair[0], ip, 80), 0);
	pair[1] = sim_accept(file(listening), NULL, NULL, 0);
	cr_assert(pair[1] >= SIM_FD, "accept: %d", pair[1]);
	shut(listening);
}

#endif
