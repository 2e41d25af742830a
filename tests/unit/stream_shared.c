/* SPDX-License-Identifier: MIT */
/*
 * Streams that compete for few buffers: each gets its bytes, all of them, in order; one that holds its buffers for long
 * does not keep the others from going on when it gives them back; one that is full does not take what is not its own.
 */
#include "unit.h"

#include <unistd.h>

enum { STREAMS = 8, MESSAGES = 300, SIZE = 700 };

struct connection {
	int pair[2], number;
	bool slow;
	size_t total;
};

static char byte_at(const struct connection *connection, size_t position)
{
	return (char)(position * 31 + (size_t)connection->number * 7);
}

static int send_all(void *arg)
{
	const struct connection *connection = arg;
	char bytes[SIZE];

	for (size_t done = 0; done < (size_t)MESSAGES * SIZE; done += SIZE) {
		for (size_t i = 0; i < SIZE; i++)
			bytes[i] = byte_at(connection, done + i);
		EXPECT_EQ(noria_send_all(connection->pair[1], bytes, SIZE, 0), SIZE);
	}
	return noria_shutdown(connection->pair[1], SHUT_WR);
}

static int receive_all(void *arg)
{
	struct connection *connection = arg;
	struct noria_recv_stream stream;
	const char *data;
	ssize_t n;

	noria_try(noria_recv_stream_open(&stream, connection->pair[0]));
	while ((n = noria_recv_stream_next(&stream, (const void **)&data)) > 0) {
		for (ssize_t i = 0; i < n; i++)
			MUST(data[i] == byte_at(connection, connection->total + (size_t)i));
		connection->total += (size_t)n;
		if (connection->slow && connection->total % 5 == 0)
			noria_try(noria_sleep(noria_usec(100)));
	}
	noria_recv_stream_close(&stream);
	return (int)n;
}

static int compete(__attribute__((unused)) void *arg)
{
	struct connection connections[STREAMS] = {0};
	struct noria_group group;

	MUST(noria_group_open(&group) == 0);
	for (int i = 0; i < STREAMS; i++) {
		connections[i].number = i;
		connections[i].slow = i % 2;
		(i % 3 ? unit_tcp_pair : unit_pair)(connections[i].pair);
		MUST(noria_spawn(&group, receive_all, &connections[i]) == 0);
		MUST(noria_spawn(&group, send_all, &connections[i]) == 0);
	}
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	for (int i = 0; i < STREAMS; i++) {
		EXPECT_EQ(connections[i].total, (size_t)MESSAGES * SIZE);
		EXPECT_EQ(noria_close(connections[i].pair[0]) | noria_close(connections[i].pair[1]), 0);
	}
	return 0;
}

static const struct noria_config one_buffer = {.receive_buffers = 1, .receive_buffer_size = 512};
static const struct noria_config two_buffers = {.receive_buffers = 2, .receive_buffer_size = 1024};
static const struct noria_config few_buffers = {.receive_buffers = 16, .receive_buffer_size = 256};

Test(stream_shared, eight_streams_and_one_buffer, .timeout = 60)
{
	unit_run_twice(compete, &one_buffer);
}

Test(stream_shared, eight_streams_and_two_buffers, .timeout = 60)
{
	unit_run_twice(compete, &two_buffers);
}

Test(stream_shared, eight_streams_and_a_few_buffers, .timeout = 60)
{
	unit_run_twice(compete, &few_buffers);
}

/* The only buffer is shown to one task; the other stream does not wait for it. */
UNIT_WITH(stream_shared, a_stream_without_a_buffer_goes_on, &one_buffer)
{
	struct noria_recv_stream first, second;
	const void *data;
	int a[2], b[2];

	unit_pair(a);
	unit_pair(b);
	MUST(noria_recv_stream_open(&first, a[0]) == 0 && noria_recv_stream_open(&second, b[0]) == 0);
	MUST(noria_send(a[1], "a", 1, 0) == 1 && noria_send(b[1], "b", 1, 0) == 1);
	EXPECT_EQ(noria_recv_stream_next(&first, &data), 1);
	EXPECT_EQ(noria_recv_stream_next(&second, &data), 1);
	EXPECT(*(const char *)data == 'b');
	EXPECT_EQ(noria_within(noria_msec(3), noria_recv_stream_next(&second, &data)), -ETIMEDOUT);
	noria_recv_stream_close(&first);
	noria_recv_stream_close(&second);
	EXPECT_EQ(noria_close(a[0]) | noria_close(a[1]) | noria_close(b[0]) | noria_close(b[1]), 0);
	return 0;
}

/* A stream that starves and is closed is not armed by a buffer that comes back later. */
UNIT_WITH(stream_shared, a_starving_stream_can_be_closed, &one_buffer)
{
	struct noria_recv_stream first, second;
	const void *data;
	char byte;
	int a[2], b[2];

	unit_pair(a);
	unit_pair(b);
	MUST(noria_recv_stream_open(&first, a[0]) == 0 && noria_recv_stream_open(&second, b[0]) == 0);
	MUST(noria_send(a[1], "a", 1, 0) == 1);
	EXPECT_EQ(noria_recv_stream_next(&first, &data), 1);
	EXPECT_EQ(noria_within(noria_msec(2), noria_recv_stream_next(&second, &data)), -ETIMEDOUT);
	noria_recv_stream_close(&second);
	noria_recv_stream_close(&first);
	MUST(noria_send(b[1], "b", 1, 0) == 1);
	EXPECT_EQ(noria_recv(b[0], &byte, 1, 0), 1);
	EXPECT_EQ(noria_close(a[0]) | noria_close(a[1]) | noria_close(b[0]) | noria_close(b[1]), 0);
	return 0;
}
