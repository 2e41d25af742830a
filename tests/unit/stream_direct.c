/* SPDX-License-Identifier: MIT */
/*
 * Streams on direct descriptors: receiving, by the kernel's buffers and into memory of their own; connections and
 * datagrams; sending many messages, which only the ring can do. A kernel without them has ordinary ones instead.
 */
#include "datagram_sockets.h"

static int direct_of(int fd)
{
	int direct = noria_fd_direct(fd);

	MUST(direct >= 0);
	MUST(close(fd) == 0);
	return direct;
}

static int receiving(__attribute__((unused)) void *arg)
{
	struct noria_recv_stream stream;
	const void *data;
	int pair[2];

	unit_pair(pair);
	pair[0] = direct_of(pair[0]);
	MUST(noria_recv_stream_open(&stream, pair[0]) == 0);
	EXPECT_EQ(noria_within(noria_msec(1), noria_recv_stream_next(&stream, &data)), -ETIMEDOUT);
	for (int i = 0; i < 100; i++) {
		MUST(noria_send(pair[1], &(char){(char)i}, 1, 0) == 1);
		MUST(noria_recv_stream_next(&stream, &data) == 1);
		EXPECT_EQ(*(const char *)data, i);
	}
	EXPECT_EQ(noria_close(pair[1]), 0);
	EXPECT_EQ(noria_recv_stream_next(&stream, &data), 0);
	noria_recv_stream_close(&stream);
	EXPECT_EQ(noria_close(pair[0]), 0);
	return 0;
}

static int accepting(__attribute__((unused)) void *arg)
{
	struct sockaddr_storage address;
	struct noria_accept_stream stream;
	socklen_t length;
	int fd = direct_of(unit_listener(&address, &length));

	MUST(noria_accept_stream_open(&stream, fd, SOCK_CLOEXEC) == 0);
	for (int i = 0; i < 20; i++) {
		int client = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0), taken;

		MUST(client >= 0 && connect(client, (struct sockaddr *)&address, length) == 0);
		taken = noria_accept_stream_next(&stream);
		MUST(taken >= 0);
		EXPECT_EQ(noria_close(taken) | noria_close(client), 0);
	}
	noria_accept_stream_close(&stream);
	EXPECT_EQ(noria_close(fd), 0);
	return 0;
}

enum { COUNT = 50 };

static int datagrams(__attribute__((unused)) void *arg)
{
	struct noria_datagram_stream stream;
	struct noria_datagram one;
	struct mmsghdr messages[COUNT];
	struct iovec parts[COUNT];
	char bytes[COUNT];
	int pair[2];

	udp_pair(pair);
	pair[0] = direct_of(pair[0]);
	pair[1] = direct_of(pair[1]);
	for (int i = 0; i < COUNT; i++) {
		bytes[i] = (char)i;
		parts[i] = (struct iovec){&bytes[i], 1};
		messages[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &parts[i], .msg_iovlen = 1}};
	}
	MUST(noria_datagram_stream_open(&stream, pair[0], NULL) == 0);
	EXPECT_EQ(noria_sendmmsg(pair[1], messages, COUNT, 0), COUNT);
	for (int i = 0; i < COUNT; i++) {
		EXPECT_EQ(messages[i].msg_len, 1);
		MUST(noria_datagram_stream_next(&stream, &one, 1) == 1);
		EXPECT_EQ(*(char *)one.data, i);
	}
	EXPECT_EQ(noria_send_segments(pair[1], bytes, COUNT, 20, NULL, 0), COUNT);
	for (int i = 0; i < 3; i++)
		MUST(noria_datagram_stream_next(&stream, &one, 1) == 1);
	EXPECT_EQ(one.size, COUNT - 40);
	noria_datagram_stream_close(&stream);
	EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]), 0);
	return 0;
}

static const struct noria_config one_buffer = {.receive_buffers = 1, .receive_buffer_size = 512};

#define DIRECT(name, hidden) \
	Test(stream_direct, name, .timeout = 60) \
	{ \
		setenv("NORIA_HIDE", hidden, 1); \
		unit_run_twice(receiving, NULL); \
		unit_run(receiving, &one_buffer); \
		unit_run_twice(accepting, NULL); \
		unit_run_twice(datagrams, NULL); \
	}

DIRECT(with_everything, "")
DIRECT(without_buffer_rings, "buffer_ring")
DIRECT(without_multishots, "recv_multishot,accept_multishot,recvmsg_multishot")
DIRECT(without_direct_ones, "direct")
DIRECT(with_nothing, "all")
