/* SPDX-License-Identifier: MIT */
/*
 * Long runs in short: after many short connections no descriptor is left, and a mix of operations that goes on and on
 * makes neither descriptors nor memory grow. Rounds are compared with the state after a first one that warms up.
 */
#include "unit.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

enum {
	CONNECTIONS = UNIT_SANITIZED ? 5000 : 100000,
	CLIENTS = 50,
	OPERATIONS = UNIT_SANITIZED ? 10000 : 100000, /* a round */
	ROUNDS = 10,
};

static struct sockaddr_storage address;
static socklen_t length;
static unsigned left, served;

static int client(__attribute__((unused)) void *arg)
{
	const struct linger reset = {.l_onoff = 1}; /* no port stays in TIME_WAIT */
	char byte;

	while (left > 0) {
		int fd;

		left--;
		fd = noria_try(noria_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
		MUST(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset) == 0);
		EXPECT_EQ(noria_connect(fd, (struct sockaddr *)&address, length), 0);
		EXPECT_EQ(noria_send(fd, "x", 1, 0), 1);
		if (left % 2)
			EXPECT_EQ(noria_recv(fd, &byte, 1, 0), 1);
		EXPECT_EQ(noria_close(fd), 0);
	}
	return 0;
}

static int serve(void *arg)
{
	int fd = *(int *)arg;
	char byte;

	if (noria_recv(fd, &byte, 1, 0) == 1 && noria_send(fd, &byte, 1, 0) == 1)
		served++;
	return noria_close(fd) == 0 ? 0 : -EIO;
}

static int server(void *arg)
{
	struct noria_group group;
	int r = 0;

	noria_try(noria_group_open(&group));
	while (r >= 0) {
		int fd = noria_accept4(*(int *)arg, NULL, NULL, SOCK_CLOEXEC);

		r = fd < 0 ? fd : noria_spawn_copy(&group, serve, &fd, sizeof fd);
		if (fd >= 0 && r < 0) /* cancelled meanwhile: the connection is still ours */
			(void)noria_close(fd);
	}
	return noria_group_close(&group, r);
}

UNIT_ONCE(lasting, short_connections_leave_no_descriptor)
{
	struct noria_group servers, clients;
	int listener = unit_listener(&address, &length), before = unit_count_fds();

	left = CONNECTIONS;
	MUST(noria_group_open(&servers) == 0);
	MUST(noria_spawn(&servers, server, &listener) == 0);
	MUST(noria_group_open(&clients) == 0);
	for (int i = 0; i < CLIENTS; i++)
		MUST(noria_spawn(&clients, client, NULL) == 0);
	EXPECT_EQ(noria_group_close(&clients, 0), 0);
	noria_group_cancel(&servers);
	EXPECT_EQ(noria_group_close(&servers, 0), 0);
	EXPECT_EQ(unit_count_fds(), before);
	EXPECT(served > CONNECTIONS / 4);
	EXPECT_EQ(noria_close(listener), 0);
	return 0;
}

/* Kilobytes of this process that are in memory. */
static long resident(void)
{
	long total, pages = -1;
	FILE *file = fopen("/proc/self/statm", "re");

	if (file) {
		if (fscanf(file, "%ld %ld", &total, &pages) != 2)
			pages = -1;
		fclose(file);
	}
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static unsigned budget;
static uint64_t seed = 1;

static int nothing(void *arg)
{
	return *(int *)arg;
}

static void one_operation(const int pair[2], const int channel[2])
{
	char bytes[64] = "";
	int zero = 0, fd;

	switch (unit_random(&seed) % 8) {
	case 0:
		EXPECT_EQ(noria_send(pair[1], bytes, sizeof bytes, 0), sizeof bytes);
		EXPECT_EQ(noria_recv_all(pair[0], bytes, sizeof bytes, 0), sizeof bytes);
		break;
	case 1:
		EXPECT_EQ(noria_write(channel[1], bytes, 8), 8);
		EXPECT_EQ(noria_read(channel[0], bytes, sizeof bytes), 8);
		break;
	case 2:
		EXPECT_EQ(noria_within(noria_usec(20), noria_recv(pair[0], bytes, 1, 0)), -ETIMEDOUT);
		break;
	case 3:
		EXPECT_EQ(noria_sleep(noria_usec(10)), 0);
		break;
	case 4:
		EXPECT_EQ(noria_poll(pair[0], POLLOUT), POLLOUT);
		break;
	case 5:
		EXPECT_EQ(noria_within(noria_usec(20), noria_read(channel[0], bytes, 1)), -ETIMEDOUT);
		break;
	case 6:
		fd = noria_openat(AT_FDCWD, "/dev/null", O_RDONLY | O_CLOEXEC, 0);
		EXPECT(fd >= 0);
		EXPECT_EQ(noria_close(fd), 0);
		break;
	default:
		EXPECT_EQ(unit_random(&seed) % 8 ? noria_yield() : noria_offload(nothing, &zero), 0);
	}
}

static int worker(__attribute__((unused)) void *arg)
{
	int pair[2], channel[2];

	unit_pair(pair);
	MUST(pipe2(channel, O_CLOEXEC) == 0);
	while (budget > 0) {
		budget--;
		one_operation(pair, channel);
	}
	return noria_close(pair[0]) | noria_close(pair[1]) | noria_close(channel[0]) | noria_close(channel[1]);
}

static void round_of_operations(void)
{
	struct noria_group group;

	budget = OPERATIONS;
	MUST(noria_group_open(&group) == 0);
	for (int i = 0; i < 100; i++)
		MUST(noria_spawn(&group, worker, NULL) == 0);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
}

UNIT_ONCE(lasting, mixed_operations_keep_descriptors_and_memory_flat)
{
	long memory;
	int before;

	round_of_operations();
	before = unit_count_fds();
	memory = resident();
	for (int i = 1; i < ROUNDS; i++)
		round_of_operations();
	EXPECT_EQ(unit_count_fds(), before);
	cr_expect(UNIT_SANITIZED || resident() < memory + 1024, "%ld KiB after a round, %ld KiB after %d", memory,
		  resident(), ROUNDS);
	return 0;
}
