/* SPDX-License-Identifier: MIT */
/*
 * Receive streams of one connection: bytes in order, ends, slow consumers, closing and cancelling. Each test runs also
 * on kernels that lack one or more of what streams use (NORIA_HIDE).
 */
#include "unit.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* The stream of bytes that every test sends: the byte at a position tells the position. */
static char byte_at(size_t position)
{
	return (char)(position * 2654435761u >> 13);
}

static void send_range(int fd, size_t from, size_t size)
{
	char bytes[4096];

	for (size_t i = 0; i < size; i++)
		bytes[i] = byte_at(from + i);
	EXPECT_EQ(noria_send_all(fd, bytes, size, 0), size);
}

/* Take what is next and compare it; returns how many. */
static ssize_t take(struct noria_recv_stream *stream, size_t from)
{
	const char *data;
	ssize_t n = noria_recv_stream_next(stream, (const void **)&data);

	for (ssize_t i = 0; i < n; i++)
		MUST(data[i] == byte_at(from + (size_t)i)); /* none is wrong, or out of its place */
	return n;
}

struct sender {
	int fd;
	unsigned messages;
	size_t size, pause_every;
};

static int send_messages(void *arg)
{
	const struct sender *sender = arg;

	for (unsigned i = 0; i < sender->messages; i++) {
		send_range(sender->fd, i * sender->size, sender->size);
		if (sender->pause_every && i % sender->pause_every == 0)
			noria_try(noria_yield());
	}
	return noria_shutdown(sender->fd, SHUT_WR);
}

static void receive_all(int from, struct sender *sender, unsigned pause_every)
{
	struct noria_recv_stream stream;
	struct noria_group group;
	size_t total = 0;
	ssize_t n;

	MUST(noria_recv_stream_open(&stream, from) == 0);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, send_messages, sender) == 0);
	for (unsigned i = 1; (n = take(&stream, total)) > 0; i++) {
		total += (size_t)n;
		if (pause_every && i % pause_every == 0)
			MUST(noria_sleep(noria_usec(200)) == 0);
	}
	EXPECT_EQ(n, 0);
	EXPECT_EQ(take(&stream, total), 0);
	EXPECT_EQ(total, sender->messages * sender->size);
	noria_recv_stream_close(&stream);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
}

static int many_messages(__attribute__((unused)) void *arg)
{
	int pair[2];

	for (int kind = 0; kind < 2; kind++) {
		(kind ? unit_tcp_pair : unit_pair)(pair);
		receive_all(pair[0], &(struct sender){pair[1], 2000, 100, 7}, 0);
		EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]), 0);
	}
	return 0;
}

static int a_slow_consumer(__attribute__((unused)) void *arg)
{
	int pair[2];

	unit_tcp_pair(pair);
	receive_all(pair[0], &(struct sender){pair[1], 400, 4096, 0}, 10);
	EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]), 0);
	return 0;
}

static int errors_and_ends(__attribute__((unused)) void *arg)
{
	struct noria_recv_stream stream;
	const void *data;
	int pair[2], gone = dup(0);

	MUST(gone >= 0 && close(gone) == 0);
	MUST(noria_recv_stream_open(&stream, gone) == 0);
	EXPECT_EQ(noria_recv_stream_next(&stream, &data), -EBADF);
	noria_recv_stream_close(&stream);
	EXPECT_EQ(noria_recv_stream_next(&stream, &data), -EINVAL);
	noria_recv_stream_close(&stream); /* closing twice does nothing */
	unit_pair(pair);
	MUST(noria_recv_stream_open(&stream, pair[0]) == 0);
	EXPECT_EQ(noria_close(pair[1]), 0);
	EXPECT_EQ(noria_recv_stream_next(&stream, &data), 0);
	EXPECT_EQ(noria_recv_stream_next(&stream, &data), 0);
	noria_recv_stream_close(&stream);
	MUST(noria_recv_stream_open(&stream, pair[0]) == 0);
	noria_recv_stream_close(&stream); /* without ever having received */
	EXPECT_EQ(noria_close(pair[0]), 0);
	return 0;
}

static int bytes_survive_a_cancel(__attribute__((unused)) void *arg)
{
	struct noria_recv_stream stream;
	const void *data;
	size_t sent = 0, total = 0;
	int pair[2];

	unit_pair(pair);
	MUST(noria_recv_stream_open(&stream, pair[0]) == 0);
	for (int round = 0; round < 20; round++) {
		struct noria_scope scope;
		ssize_t n = noria_within(noria_usec(300), noria_recv_stream_next(&stream, &data));

		EXPECT_EQ(n, -ETIMEDOUT);
		send_range(pair[1], sent, 50);
		sent += 50;
		MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
		noria_scope_cancel(&scope);
		EXPECT_EQ(noria_recv_stream_next(&stream, &data), -ECANCELED);
		MUST(noria_scope_close(&scope, -ECANCELED) == 0);
		while (total < sent) {
			n = take(&stream, total);
			MUST(n > 0);
			total += (size_t)n;
		}
	}
	noria_recv_stream_close(&stream);
	EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]), 0);
	return 0;
}

/* Over and over with more queued than the loop has buffers: if closing kept some, they would run out. */
static int closing_gives_the_buffers_back(__attribute__((unused)) void *arg)
{
	struct noria_recv_stream stream;
	struct noria_scope scope;
	int pair[2];

	for (int round = 0; round < 100; round++) {
		unit_tcp_pair(pair);
		MUST(noria_recv_stream_open(&stream, pair[0]) == 0);
		for (int i = 0; i < 12; i++)
			send_range(pair[1], (size_t)i * 1000, 1000);
		EXPECT(noria_within(noria_sec(2), take(&stream, 0)) > 0);
		if (round % 2)
			MUST(noria_sleep(noria_usec(100)) == 0);
		MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
		if (round % 3 == 0)
			noria_scope_cancel(&scope);
		noria_recv_stream_close(&stream); /* completes, cancelled or not */
		EXPECT_EQ(noria_scope_close(&scope, 0), 0);
		EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]), 0);
	}
	return 0;
}

static int close_later(void *arg)
{
	noria_try(noria_sleep(noria_msec(2)));
	return noria_close(*(int *)arg);
}

static int closing_the_descriptor_ends_the_stream(__attribute__((unused)) void *arg)
{
	struct noria_recv_stream stream;
	struct noria_group group;
	const void *data;
	int pair[2];

	unit_pair(pair);
	MUST(noria_recv_stream_open(&stream, pair[0]) == 0);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, close_later, &pair[0]) == 0);
	EXPECT_EQ(noria_within(noria_sec(2), noria_recv_stream_next(&stream, &data)), -EBADF);
	EXPECT_EQ(noria_recv_stream_next(&stream, &data), -EBADF);
	noria_recv_stream_close(&stream);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT_EQ(noria_close(pair[1]), 0);
	return 0;
}

static void run_with(noria_task_fn *body, const char *hidden)
{
	struct noria_config config = {.receive_buffers = 32};

	setenv("NORIA_HIDE", hidden, 1);
	unit_run_twice(body, &config);
}

#define STREAM(name) \
	Test(stream, name, .timeout = 60) \
	{ \
		run_with(name, ""); \
	} \
	Test(stream, name##_without_multishot, .timeout = 60) \
	{ \
		run_with(name, "recv_multishot"); \
	} \
	Test(stream, name##_without_buffer_rings, .timeout = 60) \
	{ \
		run_with(name, "buffer_ring"); \
	} \
	Test(stream, name##_without_incremental, .timeout = 60) \
	{ \
		run_with(name, "incremental"); \
	} \
	Test(stream, name##_without_bundles, .timeout = 60) \
	{ \
		run_with(name, "bundle"); \
	} \
	Test(stream, name##_with_plain_buffers, .timeout = 60) \
	{ \
		run_with(name, "bundle,incremental"); \
	} \
	Test(stream, name##_with_nothing, .timeout = 60) \
	{ \
		run_with(name, "all"); \
	}

STREAM(many_messages)
STREAM(a_slow_consumer)
STREAM(errors_and_ends)
STREAM(bytes_survive_a_cancel)
STREAM(closing_gives_the_buffers_back)
STREAM(closing_the_descriptor_ends_the_stream)
