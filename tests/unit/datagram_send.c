/* SPDX-License-Identifier: MIT */
/*
 * Sending many datagrams: all leave once and in order, whether they have to wait or not; a buffer is cut into
 * datagrams by the kernel or here; and what the other side gets is the same.
 */
#include "datagram_sockets.h"
#include "ring/ring.h"
#include "task/loop.h"

#include <fcntl.h>

enum { COUNT = 100 };

static struct mmsghdr messages[COUNT];
static struct iovec parts[COUNT];
static unsigned numbers[COUNT];

static void prepare(void)
{
	for (unsigned i = 0; i < COUNT; i++) {
		numbers[i] = i;
		parts[i] = (struct iovec){&numbers[i], sizeof numbers[i]};
		messages[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &parts[i], .msg_iovlen = 1}};
	}
}

static int receive_numbers(void *arg)
{
	unsigned number;

	for (unsigned i = 0; i < COUNT; i++)
		MUST(noria_recv(*(int *)arg, &number, sizeof number, 0) == sizeof number && number == i);
	return 0;
}

UNIT(datagram_send, many_leave_together)
{
	int pair[2];

	udp_pair(pair);
	prepare();
	EXPECT_EQ(noria_sendmmsg(pair[0], messages, COUNT, 0), COUNT);
	for (int i = 0; i < COUNT; i++)
		EXPECT_EQ(messages[i].msg_len, sizeof(unsigned));
	EXPECT_EQ(receive_numbers(&pair[1]), 0);
	EXPECT_EQ(noria_sendmmsg(pair[0], messages, 0, 0), -EINVAL);
	EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]), 0);
	EXPECT_EQ(noria_sendmmsg(pair[0], messages, COUNT, 0), -EBADF);
	return 0;
}

/* A Unix socket takes a few datagrams (max_dgram_qlen), and then makes the sender wait. */
static void fill(const int pair[2], unsigned *ret_sent)
{
	prepare();
	*ret_sent = 0;
	for (int r; *ret_sent < COUNT; *ret_sent += (unsigned)r) {
		r = noria_sendmmsg(pair[0], messages + *ret_sent, COUNT - *ret_sent, MSG_DONTWAIT);
		if (r < 0) {
			EXPECT_EQ(r, -EAGAIN);
			break;
		}
	}
	MUST(*ret_sent > 0 && *ret_sent < COUNT);
}

static void full_pair(int pair[2])
{
	MUST(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair) == 0);
	MUST(setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &(int){1}, sizeof(int)) == 0);
}

static const struct noria_config small = {.ring_entries = 2, .ring_entries_max = 2};

static int those_that_wait(__attribute__((unused)) void *arg)
{
	for (int round = 0; round < 2; round++) {
		struct noria_group group;
		int pair[2];

		full_pair(pair);
		if (round == 1)
			MUST(fcntl(pair[0], F_SETFL, O_NONBLOCK) == 0);
		prepare();
		MUST(noria_group_open(&group) == 0 && noria_spawn(&group, receive_numbers, &pair[1]) == 0);
		for (unsigned sent = 0; sent < COUNT;) {
			int r = noria_sendmmsg(pair[0], messages + sent, COUNT - sent, 0);

			MUST(r > 0);
			sent += (unsigned)r;
		}
		EXPECT_EQ(noria_group_close(&group, 0), 0);
		EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]), 0);
	}
	return 0;
}

Test(datagram_send, those_that_wait_leave_in_order, .timeout = 60)
{
	unit_run_twice(those_that_wait, NULL);
	unit_run(those_that_wait, &small);
}

/* Nothing of what is stopped leaves; what has left is counted. */
static int cancelled(__attribute__((unused)) void *arg)
{
	struct noria_scope scope;
	unsigned sent, number;
	int pair[2], r, got = 0;

	full_pair(pair);
	fill(pair, &sent);
	EXPECT_EQ(noria_within(noria_msec(2), noria_sendmmsg(pair[0], messages + sent, COUNT - sent, 0)), -ETIMEDOUT);
	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
	noria_scope_cancel(&scope);
	EXPECT_EQ(noria_sendmmsg(pair[0], messages, COUNT, 0), -ECANCELED);
	MUST(noria_scope_close(&scope, -ECANCELED) == 0);
	while ((r = (int)noria_recv(pair[1], &number, sizeof number, MSG_DONTWAIT)) > 0)
		got++;
	EXPECT_EQ(r, -EAGAIN);
	EXPECT_EQ(got, (int)sent);
	/* With time enough the limit is no matter. */
	r = noria_within(noria_sec(20), noria_sendmmsg(pair[0], messages, 2, 0));
	EXPECT_EQ(r, 2);
	EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]), 0);
	return 0;
}

Test(datagram_send, a_cancel_stops_those_that_wait, .timeout = 60)
{
	unit_run_twice(cancelled, NULL);
	unit_run(cancelled, &small);
}

static int close_soon(void *arg)
{
	MUST(noria_sleep(noria_msec(1)) == 0);
	return noria_close(*(int *)arg);
}

UNIT(datagram_send, closing_the_descriptor_ends_them)
{
	struct noria_group group;
	unsigned sent;
	int pair[2];

	full_pair(pair);
	fill(pair, &sent);
	MUST(noria_group_open(&group) == 0 && noria_spawn(&group, close_soon, &pair[0]) == 0);
	EXPECT_EQ(noria_within(noria_sec(5), noria_sendmmsg(pair[0], messages + sent, COUNT - sent, 0)), -EBADF);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT_EQ(noria_close(pair[1]), 0);
	return 0;
}

static char byte_at(size_t position)
{
	return (char)(position * 2654435761u >> 13);
}

enum { SIZE = 200001, SEGMENT = 1000 };

static char buffer[SIZE];

static void expect_segments(int fd)
{
	char got[SEGMENT + 1];

	for (size_t at = 0; at < SIZE; at += SEGMENT) {
		size_t size = SIZE - at < SEGMENT ? SIZE - at : SEGMENT;

		MUST(noria_within(noria_sec(5), noria_recv(fd, got, sizeof got, 0)) == (ssize_t)size);
		EXPECT(memcmp(got, buffer + at, size) == 0);
	}
}

/* By the kernel, where it can. */
UNIT(datagram_send, a_buffer_is_cut_into_datagrams)
{
	int pair[2];

	for (size_t i = 0; i < SIZE; i++)
		buffer[i] = byte_at(i);
	udp_pair(pair);
	EXPECT_EQ(noria_send_segments(pair[0], buffer, SIZE, SEGMENT, NULL, 0), SIZE);
	EXPECT_EQ(noria_progress(), SIZE);
	expect_segments(pair[1]);
	EXPECT_EQ(noria_send_segments(pair[0], buffer, 10, 0, NULL, 0), -EINVAL);
	EXPECT_EQ(noria_send_segments(pair[0], buffer, 10, 65508, NULL, 0), -EINVAL);
	EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]), 0);
	EXPECT_EQ(noria_send_segments(pair[0], buffer, 10, 5, NULL, 0), -EBADF);
	EXPECT_EQ(noria_progress(), 0);
	return 0;
}

UNIT(datagram_send, a_buffer_is_cut_here_where_the_kernel_refuses)
{
	int pair[2];

	for (size_t i = 0; i < SIZE; i++)
		buffer[i] = byte_at(i);
	udp_pair(pair);
	MUST(setsockopt(pair[0], SOL_SOCKET, SO_NO_CHECK, &(int){1}, sizeof(int)) == 0); /* cutting needs checksums */
	EXPECT_EQ(noria_send_segments(pair[0], buffer, SIZE, SEGMENT, NULL, 0), SIZE);
	expect_segments(pair[1]);
	EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]), 0);
	return 0;
}

static int take_segments(void *arg)
{
	expect_segments(*(int *)arg);
	return 0;
}

UNIT(datagram_send, a_buffer_is_cut_here_for_other_sockets)
{
	struct noria_group group;
	int pair[2];

	for (size_t i = 0; i < SIZE; i++)
		buffer[i] = byte_at(i);
	MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
	MUST(noria_group_open(&group) == 0 && noria_spawn(&group, take_segments, &pair[1]) == 0);
	EXPECT_EQ(noria_send_segments(pair[0], buffer, SIZE, SEGMENT, NULL, 0), SIZE);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]), 0);
	return 0;
}

/* What was sent as one is received as one, and can be walked through datagram by datagram. */
UNIT(datagram_send, what_was_joined_is_walked_through)
{
	struct noria_datagram_stream stream;
	struct noria_datagram one;
	size_t at = 0;
	int pair[2];

	for (size_t i = 0; i < SIZE; i++)
		buffer[i] = byte_at(i);
	udp_pair(pair);
	if (setsockopt(pair[0], IPPROTO_UDP, 104 /* UDP_GRO */, &(int){1}, sizeof(int)) < 0)
		cr_skip_test("no UDP_GRO");
	MUST(noria_datagram_stream_open(&stream, pair[0], NULL) == 0);
	EXPECT_EQ(noria_send_segments(pair[1], buffer, SIZE, SEGMENT, NULL, 0), SIZE);
	while (at < SIZE) {
		MUST(noria_datagram_stream_next(&stream, &one, 1) == 1);
		EXPECT_EQ(one.flags, 0);
		for (size_t i = 0; i < noria_datagram_segments(&one); i++) {
			struct iovec part = noria_datagram_segment(&one, i);

			EXPECT_EQ(part.iov_len, SIZE - at < SEGMENT ? SIZE - at : SEGMENT);
			EXPECT(memcmp(part.iov_base, buffer + at, part.iov_len) == 0);
			at += part.iov_len;
		}
	}
	noria_datagram_stream_close(&stream);
	EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]), 0);
	return 0;
}
