/* SPDX-License-Identifier: MIT */
/*
 * How receive streams use their buffers: small messages share one, large ones span several and are shown in one piece
 * where the buffers lie side by side, none is given back while a task looks at it, and all are free in the end.
 */
#include "op/buffers.h"
#include "ring/ring.h"
#include "task/loop.h"
#include "unit.h"

#include <sys/ioctl.h>

enum { SIZE = 4096, COUNT = 16 };

static const struct noria_config sixteen = {.receive_buffers = COUNT, .receive_buffer_size = SIZE};
static const struct noria_config tiny_queue = {
	.receive_buffers = COUNT, .receive_buffer_size = SIZE, .ring_entries = 2};

static bool has(enum feature feature)
{
	return features_has(&noria_loop->ring->features, feature);
}

static bool shares_buffers(void)
{
	return has(FEATURE_INCREMENTAL) && has(FEATURE_RECV_MULTISHOT) && has(FEATURE_BUFFER_RING);
}

static char byte_at(size_t position)
{
	return (char)(position * 2654435761u >> 13);
}

static void send_range(int fd, size_t from, size_t size)
{
	static char bytes[COUNT * SIZE];

	for (size_t i = 0; i < size; i++)
		bytes[i] = byte_at(from + i);
	MUST(noria_send_all(fd, bytes, size, MSG_DONTWAIT) == (ssize_t)size);
}

static void expect_range(const char *data, ssize_t n, size_t from)
{
	MUST(n > 0);
	for (ssize_t i = 0; i < n; i++)
		MUST(data[i] == byte_at(from + (size_t)i));
}

static void all_free(void)
{
	for (int i = 0; i < 2; i++)
		if (noria_loop->buffers[i])
			EXPECT_EQ(noria_loop->buffers[i]->left, COUNT);
}

/* Eight streams are shown a message each: where the kernel fills buffers by and by, all of them lie in one. */
UNIT_WITH(stream_buffers, small_messages_share_one, &sixteen)
{
	struct noria_recv_stream streams[8];
	const char *data[8];
	int pairs[8][2];

	for (int i = 0; i < 8; i++) {
		unit_pair(pairs[i]);
		MUST(noria_recv_stream_open(&streams[i], pairs[i][0]) == 0);
		MUST(noria_send(pairs[i][1], &(char){(char)('a' + i)}, 1, 0) == 1);
	}
	for (int i = 0; i < 8; i++)
		MUST(noria_recv_stream_next(&streams[i], (const void **)&data[i]) == 1);
	for (int i = 0; i < 8; i++)
		EXPECT_EQ(*data[i], 'a' + i); /* nobody wrote over what is shown */
	if (shares_buffers()) {
		EXPECT_EQ(noria_loop->buffers[1]->left, COUNT);
		for (int i = 1; i < 8; i++)
			EXPECT(labs(data[i] - data[0]) < 8);
	} else if (has(FEATURE_BUFFER_RING)) {
		EXPECT_EQ(noria_loop->buffers[0]->left, COUNT - 8);
	}
	for (int i = 0; i < 8; i++)
		noria_recv_stream_close(&streams[i]);
	all_free();
	for (int i = 0; i < 8; i++)
		EXPECT_EQ(noria_close(pairs[i][0]) | noria_close(pairs[i][1]), 0);
	return 0;
}

/* A buffer that is full comes back only when the last of those that look at it has let go. */
UNIT_WITH(stream_buffers, a_shared_one_stays_until_its_last_piece_is_released, &sixteen)
{
	struct noria_recv_stream keeper, other;
	const char *kept, *data;
	int a[2], b[2];
	size_t total = 0;

	unit_pair(a);
	unit_pair(b);
	MUST(noria_recv_stream_open(&keeper, a[0]) == 0 && noria_recv_stream_open(&other, b[0]) == 0);
	MUST(noria_send(a[1], "keep", 4, 0) == 4 && noria_recv_stream_next(&keeper, (const void **)&kept) == 4);
	for (int round = 0; round < 10 * COUNT; round++) {
		size_t sent = total + SIZE / 2 + 1;

		send_range(b[1], total, SIZE / 2 + 1);
		while (total < sent) {
			ssize_t n = noria_recv_stream_next(&other, (const void **)&data);

			expect_range(data, n, total);
			total += (size_t)n;
		}
		EXPECT(memcmp(kept, "keep", 4) == 0);
	}
	noria_recv_stream_close(&other);
	if (has(FEATURE_BUFFER_RING))
		EXPECT_EQ(noria_loop->buffers[shares_buffers()]->left, COUNT - 1);
	noria_recv_stream_close(&keeper);
	all_free();
	EXPECT_EQ(noria_close(a[0]) | noria_close(a[1]) | noria_close(b[0]) | noria_close(b[1]), 0);
	return 0;
}

/* Four buffers full of bytes, when it has been seen that so many come at once: where the kernel bundles, one view. */
UNIT_WITH(stream_buffers, neighbours_are_shown_as_one, &sixteen)
{
	struct noria_recv_stream stream;
	const char *data;
	int pair[2];

	unit_tcp_pair(pair);
	MUST(noria_recv_stream_open(&stream, pair[0]) == 0);
	for (size_t total = 0, sent = 4 * SIZE; sent <= 3 * 4 * SIZE; sent += 4 * SIZE) {
		send_range(pair[1], total, 4 * SIZE);
		while (total < sent) {
			ssize_t n = noria_recv_stream_next(&stream, (const void **)&data);

			expect_range(data, n, total);
			total += (size_t)n;
			if (sent > 4 * SIZE && has(FEATURE_BUNDLE) && has(FEATURE_BUFFER_RING))
				EXPECT_EQ(n, 4 * SIZE);
		}
	}
	noria_recv_stream_close(&stream);
	all_free();
	EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]), 0);
	return 0;
}

/* Messages keep their boundaries, also where bytes would be joined: none is cut at the end of a shared buffer. */
UNIT_WITH(stream_buffers, messages_stay_whole, &sixteen)
{
	struct noria_recv_stream stream;
	static char message[3000];
	const void *data;
	int pair[2];

	MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
	MUST(noria_recv_stream_open(&stream, pair[0]) == 0);
	for (int round = 0; round < 50; round++) {
		for (int i = 1; i <= 3; i++)
			MUST(noria_send(pair[1], message, (size_t)i * 1000, 0) == i * 1000);
		for (int i = 1; i <= 3; i++)
			EXPECT_EQ(noria_recv_stream_next(&stream, &data), i * 1000);
	}
	noria_recv_stream_close(&stream);
	all_free();
	EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]), 0);
	return 0;
}

/* What was queued and never taken is free with the stream: messages of which the second stands in the queue. */
UNIT_WITH(stream_buffers, closing_frees_the_queue, &sixteen)
{
	struct noria_recv_stream stream;
	const void *data;
	int pair[2];

	MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
	for (int i = 0; i < 3; i++)
		MUST(noria_send(pair[1], "message", 7, 0) == 7);
	MUST(noria_recv_stream_open(&stream, pair[0]) == 0 && noria_recv_stream_next(&stream, &data) == 7);
	if (has(FEATURE_RECV_MULTISHOT) && has(FEATURE_BUFFER_RING))
		UNTIL(noria_loop->buffers[0]->left <= COUNT - 3);
	noria_recv_stream_close(&stream);
	all_free();
	EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]), 0);
	return 0;
}

struct flow {
	int pair[2];
	size_t size, total;
};

static int send_flow(void *arg)
{
	const struct flow *flow = arg;
	char bytes[5000];

	for (size_t done = 0; done < flow->size; done += sizeof bytes) {
		for (size_t i = 0; i < sizeof bytes; i++)
			bytes[i] = byte_at(done + i);
		MUST(noria_send_all(flow->pair[1], bytes, sizeof bytes, 0) == (ssize_t)sizeof bytes);
	}
	return noria_shutdown(flow->pair[1], SHUT_WR);
}

static int receive_flow(void *arg)
{
	struct flow *flow = arg;
	struct noria_recv_stream stream;
	const char *data;
	ssize_t n;

	noria_try(noria_recv_stream_open(&stream, flow->pair[0]));
	while ((n = noria_recv_stream_next(&stream, (const void **)&data)) > 0) {
		expect_range(data, n, flow->total);
		flow->total += (size_t)n;
		if (flow->total % 3 == 0)
			noria_try(noria_yield());
	}
	noria_recv_stream_close(&stream);
	return (int)n;
}

/* Bundles of several streams from one ring, buffers coming back in any order: no byte is lost or out of its place. */
static int flows(__attribute__((unused)) void *arg)
{
	struct flow flows[6] = {0};
	struct noria_group group;

	MUST(noria_group_open(&group) == 0);
	for (int i = 0; i < 6; i++) {
		flows[i].size = 1000000;
		unit_tcp_pair(flows[i].pair);
		MUST(noria_spawn(&group, receive_flow, &flows[i]) == 0 &&
		     noria_spawn(&group, send_flow, &flows[i]) == 0);
	}
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	all_free();
	for (int i = 0; i < 6; i++) {
		EXPECT_EQ(flows[i].total, flows[i].size);
		EXPECT_EQ(noria_close(flows[i].pair[0]) | noria_close(flows[i].pair[1]), 0);
	}
	return 0;
}

static const char *const hidden[] = {"",    "incremental",   "bundle", "bundle,incremental", "buffer_ring",
				     "all", "recv_multishot"};

static void hide(unsigned i)
{
	setenv("NORIA_HIDE", hidden[i], 1);
}

#define EACH(i) \
	Test(stream_buffers, flows_##i, .timeout = 60) \
	{ \
		hide(i); \
		unit_run_twice(flows, &sixteen); \
		unit_run(flows, &tiny_queue); \
	} \
	Test(stream_buffers, sharing_##i, .timeout = 60) \
	{ \
		hide(i); \
		unit_run(stream_buffers_small_messages_share_one, &sixteen); \
		unit_run(stream_buffers_a_shared_one_stays_until_its_last_piece_is_released, &sixteen); \
		unit_run(stream_buffers_neighbours_are_shown_as_one, &sixteen); \
		unit_run(stream_buffers_messages_stay_whole, &sixteen); \
	}

EACH(0)
EACH(1)
EACH(2)
EACH(3)
EACH(4)
EACH(5)
EACH(6)
