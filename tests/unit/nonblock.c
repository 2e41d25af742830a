/* SPDX-License-Identifier: MIT */
/*
 * Descriptors with O_NONBLOCK: operations park all the same, and neither spin nor answer -EAGAIN. Each test has a task
 * that makes the descriptor ready a little later.
 */
#include "unit.h"

#include <fcntl.h>
#include <sys/un.h>
#include <unistd.h>

static void nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	MUST(flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0);
}

static void pipe_nonblocking(int channel[2])
{
	MUST(pipe2(channel, O_CLOEXEC | O_NONBLOCK) == 0);
}

static int send_later(void *arg)
{
	noria_try(noria_sleep(noria_msec(2)));
	EXPECT_EQ(noria_write(*(int *)arg, "hello", 5), 5);
	return 0;
}

static int drain_later(void *arg)
{
	static char bytes[1 << 20];

	noria_try(noria_sleep(noria_msec(2)));
	EXPECT(noria_read(*(int *)arg, bytes, sizeof bytes) > 0);
	return 0;
}

static void close_both(const int pair[2])
{
	EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]), 0);
}

/* Run `expression` while a child runs `helper` with `fd`. */
#define WHILE(helper, fd, expression) \
	do { \
		struct noria_group group_; \
		MUST(noria_group_open(&group_) == 0); \
		MUST(noria_spawn(&group_, helper, &(fd)) == 0); \
		expression; \
		EXPECT_EQ(noria_group_close(&group_, 0), 0); \
	} while (0)

UNIT(nonblock, receiving_parks)
{
	char buffer[8];
	struct iovec vector = {.iov_base = buffer, .iov_len = sizeof buffer};
	struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
	int pair[2];

	unit_pair(pair);
	nonblocking(pair[0]);
	WHILE(send_later, pair[1], EXPECT_EQ(noria_recv(pair[0], buffer, sizeof buffer, 0), 5));
	WHILE(send_later, pair[1], EXPECT_EQ(noria_recvmsg(pair[0], &message, 0), 5));
	WHILE(send_later, pair[1], EXPECT_EQ(noria_read(pair[0], buffer, sizeof buffer), 5));
	WHILE(send_later, pair[1], EXPECT_EQ(noria_readv(pair[0], &vector, 1), 5));
	WHILE(send_later, pair[1], EXPECT_EQ(noria_recv_all(pair[0], buffer, 5, 0), 5));
	EXPECT_EQ(noria_within(noria_msec(2), noria_recv(pair[0], buffer, sizeof buffer, 0)), -ETIMEDOUT);
	EXPECT_EQ(noria_within(noria_msec(2), noria_read(pair[0], buffer, sizeof buffer)), -ETIMEDOUT);
	EXPECT_EQ(noria_recv(pair[0], buffer, sizeof buffer, MSG_DONTWAIT), -EAGAIN);
	close_both(pair);
	return 0;
}

UNIT(nonblock, sending_parks)
{
	static char bytes[1 << 16];
	struct iovec vector = {.iov_base = bytes, .iov_len = sizeof bytes};
	struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
	int pair[2];

	unit_pair(pair);
	nonblocking(pair[0]);
	while (send(pair[0], bytes, sizeof bytes, MSG_DONTWAIT) > 0)
		;
	EXPECT_EQ(noria_within(noria_msec(2), noria_send(pair[0], bytes, sizeof bytes, 0)), -ETIMEDOUT);
	WHILE(drain_later, pair[1], EXPECT(noria_send(pair[0], bytes, sizeof bytes, 0) > 0));
	while (send(pair[0], bytes, sizeof bytes, MSG_DONTWAIT) > 0)
		;
	WHILE(drain_later, pair[1], EXPECT(noria_sendmsg(pair[0], &message, 0) > 0));
	close_both(pair);
	return 0;
}

UNIT(nonblock, pipes_park)
{
	static char bytes[1 << 16];
	struct iovec vector = {.iov_base = bytes, .iov_len = sizeof bytes};
	int channel[2];

	pipe_nonblocking(channel);
	WHILE(send_later, channel[1], EXPECT_EQ(noria_read(channel[0], bytes, sizeof bytes), 5));
	while (write(channel[1], bytes, sizeof bytes) > 0)
		;
	EXPECT_EQ(noria_within(noria_msec(2), noria_write(channel[1], bytes, sizeof bytes)), -ETIMEDOUT);
	WHILE(drain_later, channel[0], EXPECT(noria_write(channel[1], bytes, sizeof bytes) > 0));
	while (write(channel[1], bytes, sizeof bytes) > 0)
		;
	WHILE(drain_later, channel[0], EXPECT(noria_writev(channel[1], &vector, 1) > 0));
	close_both(channel);
	return 0;
}

static int connect_later(void *arg)
{
	struct sockaddr_un address;
	socklen_t length = sizeof address;
	int fd;

	noria_try(noria_sleep(noria_msec(2)));
	MUST(getsockname(*(int *)arg, (struct sockaddr *)&address, &length) == 0);
	fd = noria_try(noria_socket(AF_UNIX, SOCK_STREAM, 0));
	EXPECT_EQ(noria_connect(fd, (struct sockaddr *)&address, length), 0);
	return noria_close(fd);
}

UNIT(nonblock, accepting_parks)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int listener = noria_socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), fd = -1;

	MUST(listener >= 0);
	EXPECT_EQ(noria_bind(listener, (struct sockaddr *)&address, sizeof address.sun_family), 0);
	EXPECT_EQ(noria_listen(listener, 4), 0);
	EXPECT_EQ(noria_within(noria_msec(2), noria_accept(listener, NULL, NULL)), -ETIMEDOUT);
	WHILE(connect_later, listener, fd = noria_accept(listener, NULL, NULL));
	EXPECT(fd >= 0);
	EXPECT_EQ(noria_close(fd), 0);
	EXPECT_EQ(noria_close(listener), 0);
	return 0;
}

/* connect(2) would answer -EINPROGRESS here; the task waits until it is decided. */
UNIT(nonblock, connecting_parks)
{
	struct sockaddr_storage address;
	socklen_t length;
	int listener = unit_listener(&address, &length), fd;

	fd = noria_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	MUST(fd >= 0);
	EXPECT_EQ(noria_connect(fd, (struct sockaddr *)&address, length), 0);
	EXPECT_EQ(noria_send(fd, "x", 1, 0), 1);
	EXPECT_EQ(noria_close(fd), 0);
	EXPECT_EQ(noria_close(listener), 0);
	fd = noria_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	EXPECT_EQ(noria_connect(fd, (struct sockaddr *)&address, length), -ECONNREFUSED);
	EXPECT_EQ(noria_close(fd), 0);
	return 0;
}

/* Whole transfers through small pipes: many steps, each of which finds the pipe full or empty. */
static int read_whole(void *arg)
{
	static char bytes[1 << 20];

	EXPECT_EQ(noria_read_all(*(int *)arg, bytes, sizeof bytes), sizeof bytes);
	for (size_t i = 0; i < sizeof bytes; i++)
		MUST(bytes[i] == (char)(i * 7 >> 8));
	return 0;
}

UNIT(nonblock, whole_transfers_go_through_a_pipe)
{
	static char bytes[1 << 20];
	int channel[2];

	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (char)(i * 7 >> 8);
	pipe_nonblocking(channel);
	WHILE(read_whole, channel[0], EXPECT_EQ(noria_write_all(channel[1], bytes, sizeof bytes), sizeof bytes));
	close_both(channel);
	return 0;
}
