/* SPDX-License-Identifier: MIT */
/*
 * A thousand streams at once, on the buffers that a run has by default: each gets its own bytes, whole and in order,
 * while the others get theirs; idle ones take no buffer; all can be ended together.
 */
#include "op/buffers.h"
#include "task/loop.h"
#include "unit.h"

#include <sys/resource.h>

enum { STREAMS = 1000, ROUNDS = 20, SIZE = 1500 };

static struct connection {
	int pair[2], number, rounds;
	ssize_t end;
} connections[STREAMS];

static char byte_at(const struct connection *connection, size_t position)
{
	return (char)(position * 31 + (size_t)connection->number * 7);
}

static void send_one(const struct connection *connection, int round)
{
	char bytes[SIZE];

	for (size_t i = 0; i < SIZE; i++)
		bytes[i] = byte_at(connection, (size_t)round * SIZE + i);
	MUST(noria_send_all(connection->pair[1], bytes, SIZE, 0) == SIZE);
}

static int receive(void *arg)
{
	struct connection *connection = arg;
	struct noria_recv_stream stream;
	size_t total = 0;
	const char *data;
	ssize_t n;

	MUST(noria_recv_stream_open(&stream, connection->pair[0]) == 0);
	while ((n = noria_recv_stream_next(&stream, (const void **)&data)) > 0) {
		for (ssize_t i = 0; i < n; i++)
			MUST(data[i] == byte_at(connection, total + (size_t)i));
		total += (size_t)n;
		connection->rounds = (int)(total / SIZE);
	}
	connection->end = n;
	noria_recv_stream_close(&stream);
	return 0;
}

/* Two descriptors for each; false where the process may not have so many. */
static bool may_open(void)
{
	struct rlimit limit;

	MUST(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	if (limit.rlim_max < 2 * STREAMS + 100)
		return false;
	if (limit.rlim_cur < 2 * STREAMS + 100)
		limit.rlim_cur = 2 * STREAMS + 100;
	return setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

static void begin(struct noria_group *group)
{
	MUST(noria_group_open(group) == 0);
	for (int i = 0; i < STREAMS; i++) {
		connections[i] = (struct connection){.number = i, .end = 1};
		unit_pair(connections[i].pair);
		MUST(noria_spawn(group, receive, &connections[i]) == 0);
	}
}

static void end(ssize_t result)
{
	for (int i = 0; i < STREAMS; i++) {
		EXPECT_EQ(connections[i].end, result);
		EXPECT_EQ(noria_close(connections[i].pair[0]), 0);
		if (connections[i].pair[1] >= 0)
			EXPECT_EQ(noria_close(connections[i].pair[1]), 0);
	}
	for (int i = 0; i < 2; i++)
		if (noria_loop->buffers[i])
			EXPECT_EQ(noria_loop->buffers[i]->left, noria_loop->buffers[i]->count);
}

UNIT(stream_thousand, each_gets_its_own)
{
	struct noria_group group;

	if (!may_open())
		return 0;
	begin(&group);
	for (int round = 0; round < ROUNDS; round++)
		for (int i = 0; i < STREAMS; i++)
			send_one(&connections[(i * 7 + round) % STREAMS], round);
	for (int i = 0; i < STREAMS; i++) {
		MUST(noria_close(connections[i].pair[1]) == 0);
		connections[i].pair[1] = -1;
	}
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	for (int i = 0; i < STREAMS; i++)
		EXPECT_EQ(connections[i].rounds, ROUNDS);
	end(0);
	return 0;
}

UNIT(stream_thousand, all_end_together)
{
	struct noria_group group;

	if (!may_open())
		return 0;
	begin(&group);
	for (int i = 0; i < STREAMS; i++)
		send_one(&connections[i], 0);
	for (int i = 0; i < STREAMS; i++)
		UNTIL(connections[i].rounds == 1);
	noria_group_cancel(&group);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	end(-ECANCELED);
	return 0;
}
