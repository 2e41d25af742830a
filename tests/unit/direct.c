/* SPDX-License-Identifier: MIT */
/*
 * Direct descriptors over their life: a full table, closes that race with whoever gets the place next (R10), operations
 * in flight at a close (R03, R12), and what is left over at the end. A kernel without them has ordinary ones instead.
 */
#include "unit.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <unistd.h>

static int direct_of(int fd)
{
	int direct = noria_fd_direct(fd);

	MUST(direct >= 0);
	MUST(close(fd) == 0);
	return direct;
}

static void direct_pair(int pair[2])
{
	unit_pair(pair);
	pair[0] = direct_of(pair[0]);
}

static int result, ended;

static int receive(void *arg)
{
	char byte;

	result = (int)noria_recv(*(int *)arg, &byte, 1, 0);
	ended++;
	return 0;
}

/* R10: the place of what is closed is used again at once, with a receiver on it, while the old one is told. */
UNIT(direct, r10_the_next_owner_of_the_place_is_not_harmed)
{
	for (int round = 0; round < 200; round++) {
		struct noria_group group;
		int old[2], new[2];
		char byte;

		direct_pair(old);
		MUST(noria_group_open(&group) == 0);
		MUST(noria_spawn(&group, receive, &old[0]) == 0);
		MUST(noria_yield() == 0);
		EXPECT_EQ(noria_close(old[0]), 0);
		direct_pair(new);
		if (noria_fd_is_direct(new[0]))
			EXPECT_EQ(new[0], old[0]);
		EXPECT_EQ(noria_send(new[1], "x", 1, 0), 1);
		EXPECT_EQ(noria_recv(new[0], &byte, 1, 0), 1);
		EXPECT_EQ(noria_group_close(&group, 0), 0);
		EXPECT_EQ(result, -EBADF);
		EXPECT_EQ(noria_close(old[1]) | noria_close(new[0]) | noria_close(new[1]), 0);
	}
	return 0;
}

static int closes[2];

static int close_first(void *arg)
{
	closes[0] = noria_close(*(int *)arg);
	return 0;
}

static int close_second(void *arg)
{
	closes[1] = noria_close(*(int *)arg);
	return 0;
}

/* R10: two close it, and a third opens another in between: one close does it, and the other does not reach the new one. */
UNIT(direct, r10_a_second_close_never_reaches_the_next_owner)
{
	int pair[2], next;
	struct noria_group group;

	direct_pair(pair);
	if (!noria_fd_is_direct(pair[0])) {
		EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]), 0);
		return 0;
	}
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, receive, &pair[0]) == 0);
	MUST(noria_yield() == 0);
	MUST(noria_spawn(&group, close_first, &pair[0]) == 0);
	MUST(noria_spawn(&group, close_second, &pair[0]) == 0);
	MUST(noria_yield() == 0);
	next = noria_socket_direct(AF_INET, SOCK_STREAM, 0);
	MUST(next >= 0);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT_EQ(closes[0] + closes[1], -EBADF);
	EXPECT_EQ(noria_listen(next, 1) == 0 || next == pair[0] || noria_shutdown(next, SHUT_RDWR) == -ENOTCONN, 1);
	EXPECT_EQ(noria_close(next), 0);
	EXPECT_EQ(noria_close(pair[1]), 0);
	return 0;
}

static const struct noria_config four = {.direct_descriptors = 4};

/* No connection is lost for want of a place: it waits in the listener until there is one. */
UNIT_WITH(direct, a_full_table_refuses_before_anything_is_done, &four)
{
	struct sockaddr_storage address;
	socklen_t length;
	int listener = unit_listener(&address, &length), client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct noria_scope scope;
	int fds[4], fd;
	char byte = 0;

	MUST(client >= 0 && connect(client, (struct sockaddr *)&address, length) == 0);
	for (int i = 0; i < 4; i++)
		MUST((fds[i] = noria_socket_direct(AF_UNIX, SOCK_DGRAM, 0)) >= 0);
	if (noria_fd_is_direct(fds[0])) {
		EXPECT_EQ(noria_accept_direct(listener, NULL, NULL, 0), -ENFILE);
		EXPECT(strstr(noria_message(), "direct_descriptors"));
		EXPECT_EQ(noria_socket_direct(AF_UNIX, SOCK_DGRAM, 0), -ENFILE);
		EXPECT_EQ(noria_openat_direct(AT_FDCWD, "/", O_RDONLY, 0), -ENFILE);
		EXPECT_EQ(noria_fd_direct(client), -ENFILE);
	}
	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
	noria_scope_cancel(&scope);
	EXPECT_EQ(noria_accept_direct(listener, NULL, NULL, 0), -ECANCELED); /* and not that it is full */
	EXPECT_EQ(noria_scope_close(&scope, 0), 0);
	EXPECT_EQ(noria_close(fds[0]), 0);
	fd = noria_accept_direct(listener, NULL, NULL, 0);
	MUST(fd >= 0);
	EXPECT_EQ(send(client, "x", 1, 0), 1);
	EXPECT_EQ(noria_recv(fd, &byte, 1, 0), 1);
	EXPECT_EQ(noria_close(fd), 0);
	for (int i = 1; i < 4; i++)
		EXPECT_EQ(noria_close(fds[i]), 0);
	EXPECT_EQ(noria_close(listener) | noria_close(client), 0);
	return 0;
}

/* A pipe needs two places; with one left it takes none, and gives back what it was promised. */
UNIT_WITH(direct, a_pipe_takes_both_places_or_none, &four)
{
	int fds[4], ends[2] = {-1, -1}, r;

	for (int i = 0; i < 3; i++)
		MUST((fds[i] = noria_socket_direct(AF_UNIX, SOCK_DGRAM, 0)) >= 0);
	r = noria_pipe_direct(ends, 0);
	EXPECT(r == 0 || (r == -ENFILE && ends[0] == -1));
	for (int i = 0; r == 0 && i < 2; i++)
		EXPECT_EQ(noria_close(ends[i]), 0);
	MUST((fds[3] = noria_socket_direct(AF_UNIX, SOCK_DGRAM, 0)) >= 0);
	for (int i = 0; i < 4; i++)
		EXPECT_EQ(noria_close(fds[i]), 0);
	MUST(noria_pipe_direct(ends, 0) == 0);
	EXPECT_EQ(noria_close(ends[0]) | noria_close(ends[1]), 0);
	return 0;
}

static int accept_direct(void *arg)
{
	result = noria_accept_direct(*(int *)arg, NULL, NULL, 0);
	return 0;
}

/* What waits has a promise, which comes back when it is cancelled. */
UNIT_WITH(direct, a_cancelled_accept_gives_its_place_back, &four)
{
	struct sockaddr_storage address;
	socklen_t length;
	int listener = unit_listener(&address, &length);

	for (int round = 0; round < 20; round++) {
		struct noria_group group;

		MUST(noria_group_open(&group) == 0);
		for (int i = 0; i < 4; i++)
			MUST(noria_spawn(&group, accept_direct, &listener) == 0);
		MUST(noria_yield() == 0);
		noria_group_cancel(&group);
		EXPECT_EQ(noria_group_close(&group, 0), 0);
		EXPECT_EQ(result, -ECANCELED);
	}
	EXPECT_EQ(noria_close(listener), 0);
	return 0;
}

UNIT(direct, options_and_names_of_a_direct_socket)
{
	struct sockaddr_in loopback = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}, name = {0};
	int fd = noria_socket_direct(AF_INET, SOCK_STREAM, 0), on = 1, value = 0, r;
	socklen_t size = sizeof value, length = sizeof name;

	MUST(fd >= 0);
	r = noria_setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	EXPECT(r == 0 || r == -EOPNOTSUPP);
	if (r == 0) {
		EXPECT_EQ(noria_getsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &value, &size), 0);
		EXPECT_EQ(value, 1);
		EXPECT_EQ(size, sizeof value);
		EXPECT_EQ(noria_setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), 0);
		value = 0;
		r = noria_getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, &size);
		EXPECT((r == 0 && value != 0) || r == -EOPNOTSUPP);
		EXPECT_EQ(noria_setsockopt(fd, SOL_SOCKET, 9999, &on, sizeof on), -ENOPROTOOPT);
	}
	r = noria_bind(fd, (struct sockaddr *)&loopback, sizeof loopback);
	EXPECT(r == 0 || r == -EOPNOTSUPP);
	if (r == 0) {
		EXPECT_EQ(noria_listen(fd, 1), 0);
		r = noria_getsockname(fd, (struct sockaddr *)&name, &length);
		EXPECT((r == 0 && name.sin_port != 0) || r == -EOPNOTSUPP);
	} else {
		EXPECT(strstr(noria_message(), "noria_fd_direct"));
		EXPECT_EQ(noria_listen(fd, 1), -EOPNOTSUPP);
	}
	length = sizeof name;
	r = noria_getpeername(fd, (struct sockaddr *)&name, &length);
	EXPECT(r == -ENOTCONN || r == -EOPNOTSUPP);
	EXPECT_EQ(noria_close(fd), 0);
	return 0;
}

/* In and out of the table: the same open file. */
UNIT(direct, installed_and_back)
{
	int pair[2], installed, again;
	char bytes[4] = "";

	direct_pair(pair);
	installed = noria_fd_install(pair[0], 0);
	if (installed == -EOPNOTSUPP) {
		EXPECT(strstr(noria_message(), "fd_install"));
		EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]), 0);
		return 0;
	}
	MUST(installed >= 0);
	EXPECT_EQ(fcntl(installed, F_GETFD), 0);
	again = noria_fd_direct(installed);
	MUST(again >= 0 && again != pair[0]);
	EXPECT_EQ(noria_send(pair[1], "abc", 3, 0), 3);
	EXPECT_EQ(noria_recv(pair[0], bytes, 1, 0), 1);
	EXPECT_EQ(recv(installed, bytes + 1, 1, 0), 1);
	EXPECT_EQ(noria_recv(again, bytes + 2, 1, 0), 1);
	EXPECT(memcmp(bytes, "abc", 3) == 0);
	EXPECT_EQ(noria_close(pair[0]) | noria_close(again) | noria_close(installed), 0);
	EXPECT_EQ(noria_recv(pair[1], bytes, 1, 0), 0);
	EXPECT_EQ(noria_close(pair[1]), 0);
	return 0;
}

static bool forgotten;

static int forget(__attribute__((unused)) void *arg)
{
	int pair[2];

	direct_pair(pair);
	*(int *)arg = pair[1];
	forgotten = noria_fd_is_direct(pair[0]);
	return forgotten ? 0 : noria_close(pair[0]);
}

static char heard[256];

static void hear(const struct noria_failure *failure, const char *text, void *arg)
{
	(void)arg;
	EXPECT_EQ(failure->code, -EINVAL);
	snprintf(heard, sizeof heard, "%s", text);
}

/* Left open: closed with the run (its peer sees the end), and said so. */
Test(direct, what_is_left_open_is_closed_and_reported)
{
	struct noria_config config = {.on_failure = hear};
	int before = unit_count_fds(), peer;
	char byte;

	heard[0] = '\0';
	cr_assert_eq(noria_run(&config, forget, &peer), 0);
	cr_expect_str_eq(heard, forgotten ? "1 direct descriptors were left open at the end of the run" : "");
	cr_expect_eq(recv(peer, &byte, 1, 0), 0);
	close(peer);
	cr_expect_eq(unit_count_fds(), before);
}

static int receive_on_direct(__attribute__((unused)) void *arg)
{
	struct noria_recv_stream stream;
	const void *data;
	int pair[2];

	direct_pair(pair);
	MUST(noria_recv_stream_open(&stream, pair[0]) == 0);
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(noria_send(pair[1], "abc", 3, 0), 3);
		EXPECT_EQ(noria_recv_stream_next(&stream, &data), 3);
		EXPECT(memcmp(data, "abc", 3) == 0);
	}
	noria_recv_stream_close(&stream);
	EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]), 0);
	return 0;
}

UNIT(direct, a_stream_receives_on_one)
{
	return receive_on_direct(NULL);
}

/* Many, with a queue of two entries, and each place used many times. */
static const struct noria_config small = {.direct_descriptors = 8, .ring_entries = 2, .ring_entries_max = 2};

static int talk(void *arg)
{
	(void)arg;
	for (int i = 0; i < 50; i++) {
		int pair[2];
		char byte;

		direct_pair(pair);
		EXPECT_EQ(noria_send(pair[1], "x", 1, 0), 1);
		EXPECT_EQ(noria_recv(pair[0], &byte, 1, 0), 1);
		EXPECT_EQ(noria_send(pair[0], "y", 1, 0), 1);
		EXPECT_EQ(noria_recv(pair[1], &byte, 1, 0), 1);
		EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]), 0);
	}
	return 0;
}

UNIT_WITH(direct, many_through_few_places, &small)
{
	struct noria_group group;

	MUST(noria_group_open(&group) == 0);
	for (int i = 0; i < 8; i++)
		MUST(noria_spawn(&group, talk, NULL) == 0);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	return 0;
}
