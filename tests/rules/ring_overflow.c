/* SPDX-License-Identifier: MIT */
/*
 * R07: more completions at once than the completion queue holds (eight, with two submission entries, which may not
 * grow). Nothing is lost, multishot receives go on, and the loop has counted it.
 */
#include "noria/stream.h"
#include "ring_inside.h"

enum { CROWD = 200, STREAMS = 8, MESSAGES = 400 };

static const struct noria_config two_entries = {
	.ring_entries = 2, .ring_entries_max = 2, .receive_buffers = 64, .receive_buffer_size = 128};
static const struct noria_config may_grow = {.ring_entries = 2, .ring_entries_max = 1024};

struct receiver {
	int fd;
	ssize_t result;
	unsigned char byte;
	int count;
};

static int receive(void *arg)
{
	struct receiver *receiver = arg;

	receiver->result = noria_recv(receiver->fd, &receiver->byte, 1, 0);
	return 0;
}

static int overflow_with_receives(void *arg)
{
	static struct receiver receivers[CROWD];
	static int pairs[CROWD][2];
	struct noria_group group = {0};

	MUST(noria_group_open(&group) == 0);
	for (int i = 0; i < CROWD; i++) {
		inside_pair(pairs[i]);
		receivers[i] = (struct receiver){.fd = pairs[i][0]};
		MUST(noria_spawn(&group, receive, &receivers[i]) == 0);
	}
	UNTIL(noria_loop->in_flight == CROWD && ring_pending(noria_loop->ring) == 0);
	for (int i = 0; i < CROWD; i++)
		MUST(send(pairs[i][1], &(unsigned char){(unsigned char)i}, 1, 0) == 1);
	MUST(noria_group_close(&group, 0) == 0);
	for (int i = 0; i < CROWD; i++) {
		EXPECT(receivers[i].result == 1 && receivers[i].byte == (unsigned char)i);
		inside_close(pairs[i]);
	}
	EXPECT(noria_loop->in_flight == 0);
	if (!arg)
		EXPECT(noria_loop->overflows > 0);
	return 0;
}

/* R07: two hundred receives complete at once. */
RULE_WITH(R07, completions_that_overflow_are_fetched, &two_entries)
{
	EXPECT(noria_loop->ring->cq_entries < CROWD / 4);
	return overflow_with_receives(NULL);
}

/* R07: likewise where the queue could grow but the kernel cannot resize rings, and where it can. */
Test(R07, overflow_without_resize, .timeout = 60)
{
	setenv("NORIA_HIDE", "resize", 1);
	cr_expect_eq(rule_run(overflow_with_receives, NULL, &may_grow, NORIA_TIMEOUTS_LINKED), 0);
}

Test(R07, growing_ring_loses_nothing, .timeout = 60)
{
	cr_expect_eq(rule_run(overflow_with_receives, &(int){0}, &may_grow, NORIA_TIMEOUTS_LINKED), 0);
}

/* Receives numbered bytes and checks that none is missing. */
static int receive_stream(void *arg)
{
	struct receiver *receiver = arg;
	struct noria_recv_stream stream;
	const void *data;
	ssize_t n;

	MUST(noria_recv_stream_open(&stream, receiver->fd) == 0);
	while ((n = noria_recv_stream_next(&stream, &data)) > 0)
		for (ssize_t i = 0; i < n; i++)
			EXPECT(((const unsigned char *)data)[i] == (unsigned char)receiver->count++);
	receiver->result = n;
	noria_recv_stream_close(&stream);
	return 0;
}

/* R07: messages for several multishot receives at once: those that the overflow ended are started anew. */
RULE_WITH(R07, streams_survive_an_overflow, &two_entries)
{
	struct receiver receivers[STREAMS];
	struct noria_group group = {0};
	int pairs[STREAMS][2];

	inside_whole_turns();
	MUST(noria_group_open(&group) == 0);
	for (int i = 0; i < STREAMS; i++) {
		MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pairs[i]) == 0);
		receivers[i] = (struct receiver){.fd = pairs[i][0], .result = 1};
		MUST(noria_spawn(&group, receive_stream, &receivers[i]) == 0);
	}
	for (int m = 0; m < MESSAGES; m++) {
		for (int i = 0; i < STREAMS; i++)
			MUST(noria_send(pairs[i][1], &(unsigned char){(unsigned char)m}, 1, 0) == 1);
		if (m % 8 == 0)
			MUST(noria_yield() == 0);
	}
	for (int i = 0; i < STREAMS; i++)
		shutdown(pairs[i][1], SHUT_WR);
	MUST(noria_group_close(&group, 0) == 0);
	for (int i = 0; i < STREAMS; i++) {
		EXPECT(receivers[i].result == 0 && receivers[i].count == MESSAGES);
		inside_close(pairs[i]);
	}
	if (features_has(&noria_loop->ring->features, FEATURE_BUFFER_RING) &&
	    features_has(&noria_loop->ring->features, FEATURE_RECV_MULTISHOT))
		EXPECT(noria_loop->overflows > 0);
	return 0;
}
