/* SPDX-License-Identifier: MIT */
/*
 * R09: receive streams go back to the kernel's buffers because one came back, and not by a timer; and meanwhile they do not
 * stand still. There are two buffers, which a greedy stream has taken both.
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
	bool done;
};

static int read_one(void *arg)
{
	struct reader *reader = arg;
	const void *data;

	MUST(noria_recv_stream_open(&reader->stream, reader->fd) == 0);
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

static bool in_buffers(const void *data)
{
	const struct buffers *buffers = noria_loop->buffers[0];

	return (const char *)data >= buffers->memory && (const char *)data < buffers->memory + buffers->memory_bytes;
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
	UNTIL(noria_loop->buffers[0]->left == 0);
}

/* R09: without buffers a stream goes on all the same, and goes back to the kernel's buffers when one is given back. */
RULE_WITH(R09, a_stream_goes_back_to_the_buffers_when_they_come_back, &two_buffers)
{
	struct noria_recv_stream greedy, late;
	int pairs[2][2];
	const void *data;

	for (int i = 0; i < 2; i++)
		MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pairs[i]) == 0);
	take_all_buffers(&greedy, pairs[0]);
	MUST(noria_recv_stream_open(&late, pairs[1][0]) == 0);
	for (int round = 0; round < 3; round++) {
		MUST(send(pairs[1][1], &(char){(char)('0' + round)}, 1, 0) == 1);
		EXPECT(noria_recv_stream_next(&late, &data) == 1 && *(const char *)data == '0' + round);
		EXPECT(!inside_flying(pairs[1][0])); /* nothing waits for a buffer in the kernel, and no timer does */
		EXPECT(!heap_first(&noria_loop->timers));
	}
	noria_recv_stream_close(&greedy);
	MUST(send(pairs[1][1], "z", 1, 0) == 1);
	EXPECT(noria_recv_stream_next(&late, &data) == 1 && *(const char *)data == 'z');
	if (kernel_chooses_buffers())
		EXPECT(in_buffers(data));
	noria_recv_stream_close(&late);
	inside_close(pairs[0]);
	inside_close(pairs[1]);
	return 0;
}

/* R09: bytes that wait while all buffers are taken reach their tasks, each its own. */
RULE_WITH(R09, streams_without_buffers_do_not_wait_for_others, &two_buffers)
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
		UNTIL(late[i].done);
	MUST(noria_group_close(&group, 0) == 0);
	for (int i = 0; i < 4; i++)
		EXPECT(late[i].result == 1 && late[i].byte == '0' + i);
	noria_recv_stream_close(&greedy);
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
	for (int i = 0; i < 2; i++)
		if (noria_loop->buffers[i])
			EXPECT(noria_loop->buffers[i]->left == 2);
	return 0;
}
