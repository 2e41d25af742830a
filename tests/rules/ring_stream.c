/* SPDX-License-Identifier: MIT */
/*
 * R09: receive streams that have run out of buffers go on because a buffer came back. There are two buffers, which a
 * greedy stream has taken both.
 */
#include "noria/stream.h"
#include "op/buffers.h"
#include "ring_inside.h"

static const struct noria_config two_buffers = {.receive_buffers = 2, .receive_buffer_size = 64};

struct reader {
	struct noria_recv_stream stream;
	int fd;
	ssize_t result;
	char byte;
	bool started, done;
};

static int read_one(void *arg)
{
	struct reader *reader = arg;
	const void *data;

	MUST(noria_recv_stream_open(&reader->stream, reader->fd) == 0);
	reader->started = true;
	reader->result = noria_recv_stream_next(&reader->stream, &data);
	if (reader->result > 0)
		reader->byte = *(const char *)data;
	reader->done = true;
	noria_recv_stream_close(&reader->stream);
	return 0;
}

static bool kernel_chooses_buffers(void)
{
	return features_has(&noria_loop->ring->features, FEATURE_BUFFER_RING);
}

/* Take both buffers: one is shown to the caller, the other stands in the stream's queue. */
static void take_all_buffers(struct noria_recv_stream *stream, const int pair[2])
{
	const void *data;

	MUST(noria_recv_stream_open(stream, pair[0]) == 0);
	MUST(send(pair[1], "a", 1, 0) == 1);
	EXPECT(noria_recv_stream_next(stream, &data) == 1);
	if (!kernel_chooses_buffers())
		return;
	MUST(send(pair[1], "b", 1, 0) == 1);
	if (!features_has(&noria_loop->ring->features, FEATURE_RECV_MULTISHOT))
		return; /* nothing is taken ahead of a call */
	UNTIL(noria_loop->buffers->with_kernel == 0);
}

/* Nothing was given back, so nothing happens: there is no timer, and nothing in flight for the starving stream. */
static void check_starving(const struct reader *reader)
{
	if (!kernel_chooses_buffers() || noria_loop->buffers->with_kernel > 0)
		return;
	UNTIL(!list_empty(&noria_loop->buffers->starving));
	EXPECT(!heap_first(&noria_loop->timers));
	EXPECT(noria_sleep(noria_msec(3)) == 0);
	EXPECT(!reader->done && !inside_flying(reader->fd));
}

/* R09: the stream that came too late stands in line, without a timer, and gets the buffer that is given back. */
RULE_WITH(R09, a_starving_stream_goes_on_when_a_buffer_comes_back, &two_buffers)
{
	struct noria_recv_stream greedy;
	struct noria_group group = {0};
	struct reader late = {0};
	int pairs[2][2];
	const void *data;

	for (int i = 0; i < 2; i++)
		MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pairs[i]) == 0);
	MUST(noria_group_open(&group) == 0);
	take_all_buffers(&greedy, pairs[0]);
	late.fd = pairs[1][0];
	MUST(send(pairs[1][1], "z", 1, 0) == 1);
	MUST(noria_spawn(&group, read_one, &late) == 0);
	UNTIL(late.started);
	check_starving(&late);
	if (kernel_chooses_buffers())
		EXPECT(noria_recv_stream_next(&greedy, &data) == 1); /* gives the first buffer back */
	UNTIL(late.done);
	EXPECT(late.result == 1 && late.byte == 'z');
	MUST(noria_group_close(&group, 0) == 0);
	noria_recv_stream_close(&greedy);
	inside_close(pairs[0]);
	inside_close(pairs[1]);
	return 0;
}

/* R09: closing a stream gives its buffers back as well, to as many as can use them. */
RULE_WITH(R09, closing_a_stream_feeds_those_in_line, &two_buffers)
{
	struct noria_recv_stream greedy;
	struct noria_group group = {0};
	struct reader late[4] = {0};
	int pairs[5][2];

	for (int i = 0; i < 5; i++)
		MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pairs[i]) == 0);
	MUST(noria_group_open(&group) == 0);
	take_all_buffers(&greedy, pairs[4]);
	for (int i = 0; i < 4; i++) {
		late[i].fd = pairs[i][0];
		MUST(send(pairs[i][1], &(char){(char)('0' + i)}, 1, 0) == 1);
		MUST(noria_spawn(&group, read_one, &late[i]) == 0);
	}
	for (int i = 0; i < 4; i++)
		UNTIL(late[i].started);
	check_starving(&late[3]);
	noria_recv_stream_close(&greedy);
	MUST(noria_group_close(&group, 0) == 0);
	for (int i = 0; i < 4; i++)
		EXPECT(late[i].result == 1 && late[i].byte == '0' + i);
	for (int i = 0; i < 5; i++)
		inside_close(pairs[i]);
	return 0;
}

static int stream_all(void *arg)
{
	struct reader *reader = arg;
	const void *data;
	ssize_t n;

	MUST(noria_recv_stream_open(&reader->stream, reader->fd) == 0);
	while ((n = noria_recv_stream_next(&reader->stream, &data)) > 0) {
		reader->result += n;
		MUST(noria_yield() == 0);
	}
	EXPECT(n == 0);
	noria_recv_stream_close(&reader->stream);
	return 0;
}

/* R09: sixteen streams live off two buffers, and each gets every byte. */
RULE_WITH(R09, many_streams_share_two_buffers, &two_buffers)
{
	struct noria_group group = {0};
	struct reader readers[16] = {0};
	int pairs[16][2];

	MUST(noria_group_open(&group) == 0);
	for (int i = 0; i < 16; i++) {
		inside_pair(pairs[i]);
		readers[i].fd = pairs[i][0];
		MUST(noria_spawn(&group, stream_all, &readers[i]) == 0);
	}
	for (int i = 0; i < 16 * 50; i++)
		EXPECT(noria_send_all(pairs[i % 16][1], (char[100]){0}, 100, 0) == 100);
	for (int i = 0; i < 16; i++)
		shutdown(pairs[i][1], SHUT_WR);
	MUST(noria_group_close(&group, 0) == 0);
	for (int i = 0; i < 16; i++) {
		EXPECT(readers[i].result == 50 * 100);
		inside_close(pairs[i]);
	}
	if (kernel_chooses_buffers())
		EXPECT(noria_loop->buffers->with_kernel == 2 && list_empty(&noria_loop->buffers->starving));
	return 0;
}
