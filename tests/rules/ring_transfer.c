/* SPDX-License-Identifier: MIT */
/* Whole transfers: they look at cancellation between steps, say how far they came, and see to short counts by themselves. */
#include "ring_inside.h"

#include <fcntl.h>
#include <sys/mman.h>

enum { SIZE = 300000 };

static unsigned char out[SIZE], in[SIZE];

static void fill(void)
{
	for (int i = 0; i < SIZE; i++)
		out[i] = (unsigned char)(i * 7 + i / 251);
	memset(in, 0, sizeof in);
}

enum { BY_SEND, BY_WRITE, BY_VECTOR, WAYS };

static void thirds(struct iovec vector[4], unsigned char *buffer)
{
	vector[0] = (struct iovec){buffer, 0};
	vector[1] = (struct iovec){buffer, 1};
	vector[2] = (struct iovec){buffer + 1, SIZE / 2};
	vector[3] = (struct iovec){buffer + 1 + SIZE / 2, SIZE - 1 - SIZE / 2};
}

static ssize_t put(int way, int fd)
{
	struct iovec vector[4];

	thirds(vector, out);
	return way == BY_SEND    ? noria_send_all(fd, out, SIZE, 0)
	       : way == BY_WRITE ? noria_write_all(fd, out, SIZE)
				 : noria_writev_all(fd, vector, 4);
}

static ssize_t get(int way, int fd)
{
	struct iovec vector[4];

	thirds(vector, in);
	return way == BY_SEND    ? noria_recv_all(fd, in, SIZE, 0)
	       : way == BY_WRITE ? noria_read_all(fd, in, SIZE)
				 : noria_readv_all(fd, vector, 4);
}

struct side {
	struct noria_scope scope;
	int way, fd;
	ssize_t result;
	size_t progress;
	bool started;
};

static int put_all(void *arg)
{
	struct side *side = arg;

	side->result = put(side->way, side->fd);
	side->progress = noria_progress();
	return 0;
}

static int get_all(void *arg)
{
	struct side *side = arg;

	MUST(noria_scope_open(&side->scope, NORIA_FOREVER, 0) == 0);
	side->started = true;
	side->result = get(side->way, side->fd);
	side->progress = noria_progress();
	EXPECT(noria_scope_close(&side->scope, side->result) == (side->result == -ECANCELED ? 0 : side->result));
	return 0;
}

static void small_buffers(const int pair[2])
{
	int size = 4096;

	setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
}

static void nonblocking(const int pair[2])
{
	MUST(fcntl(pair[0], F_SETFL, O_NONBLOCK) == 0);
	MUST(fcntl(pair[1], F_SETFL, O_NONBLOCK) == 0);
}

static void transfer(int way, bool nonblock)
{
	struct noria_group group = {0};
	struct side from = {.way = way}, to = {.way = way};
	int pair[2];

	fill();
	inside_pair(pair);
	small_buffers(pair);
	if (nonblock)
		nonblocking(pair);
	from.fd = pair[1];
	to.fd = pair[0];
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, get_all, &to) == 0);
	MUST(noria_spawn(&group, put_all, &from) == 0);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(from.result == SIZE && from.progress == SIZE);
	EXPECT(to.result == SIZE && to.progress == SIZE);
	EXPECT(memcmp(in, out, SIZE) == 0);
	inside_close(pair);
}

/* R08: far more bytes than the socket's buffer holds, in each of the ways; the caller sees no short count. */
RULE(R08, short_counts_are_completed)
{
	for (int way = 0; way < WAYS; way++)
		transfer(way, false);
	return 0;
}

/* R08: descriptors with O_NONBLOCK say -EAGAIN; the caller does not see that either. */
RULE(R08, again_is_waited_for)
{
	for (int way = 0; way < WAYS; way++)
		transfer(way, true);
	return 0;
}

/* R08: the end of the input is a short count, and no error. */
RULE(R08, the_end_of_input_is_a_short_count)
{
	for (int way = 0; way < WAYS; way++) {
		int pair[2];

		inside_pair(pair);
		MUST(send(pair[1], "12345", 5, 0) == 5);
		shutdown(pair[1], SHUT_WR);
		EXPECT(get(way, pair[0]) == 5);
		EXPECT(noria_progress() == 5);
		inside_close(pair);
	}
	return 0;
}

/* R08: a size beyond what one entry can say (32 bits) is no size of zero. */
RULE(R08, sizes_beyond_an_entry)
{
	size_t size = (size_t)1 << 32;
	char *huge = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	int pair[2];

	MUST(huge != MAP_FAILED);
	inside_pair(pair);
	EXPECT(noria_send(pair[1], huge, size, MSG_DONTWAIT) > 0);
	EXPECT(noria_recv(pair[0], huge, size, MSG_DONTWAIT) > 0);
	while (recv(pair[0], in, sizeof in, MSG_DONTWAIT) > 0)
		;
	MUST(send(pair[1], "12345", 5, 0) == 5);
	shutdown(pair[1], SHUT_WR);
	EXPECT(noria_recv_all(pair[0], huge, size, 0) == 5);
	inside_close(pair);
	munmap(huge, size);
	return 0;
}

/* R05: a cancelled transfer gives back -ECANCELED, and what it moved can be learned; nothing more is taken. */
RULE(R05, a_cancelled_transfer_tells_how_far_it_came)
{
	for (int way = 0; way < WAYS; way++) {
		struct noria_group group = {0};
		struct side to = {.way = way};
		int pair[2];

		fill();
		inside_pair(pair);
		to.fd = pair[0];
		MUST(noria_group_open(&group) == 0);
		MUST(noria_spawn(&group, get_all, &to) == 0);
		UNTIL(to.started);
		MUST(send(pair[1], out, 1000, 0) == 1000);
		UNTIL(recv(pair[0], in + SIZE - 1, 1, MSG_PEEK | MSG_DONTWAIT) < 0); /* it has been read */
		noria_scope_cancel(&to.scope);
		MUST(noria_group_close(&group, 0) == 0);
		EXPECT(to.result == -ECANCELED);
		EXPECT(to.progress == 1000);
		EXPECT(memcmp(in, out, 1000) == 0);
		MUST(send(pair[1], "!", 1, 0) == 1);
		EXPECT(recv(pair[0], in, 8, MSG_DONTWAIT) == 1);
		inside_close(pair);
	}
	return 0;
}

/* R05: a time limit stops it as well, and the progress is that of the last whole transfer. */
RULE(R05, a_limited_transfer_tells_how_far_it_came)
{
	for (int way = 0; way < WAYS; way++) {
		int pair[2];

		fill();
		inside_pair(pair);
		MUST(send(pair[1], out, 1000, 0) == 1000);
		EXPECT(noria_within(noria_msec(100), get(way, pair[0])) == -ETIMEDOUT);
		EXPECT(noria_progress() == 1000);
		EXPECT(memcmp(in, out, 1000) == 0);
		EXPECT(noria_within(0, get(way, pair[0])) == -ETIMEDOUT);
		EXPECT(noria_progress() == 0);
		inside_close(pair);
	}
	return 0;
}

/* R05: cancelled between two steps, the second is not begun: what has arrived for it stays in the socket. */
RULE(R05, a_transfer_looks_at_cancellation_between_steps)
{
	for (int way = BY_WRITE; way < WAYS; way++) { /* their steps end with what is there */
		struct noria_group group = {0};
		struct side to = {.way = way};
		int pair[2];

		fill();
		inside_pair(pair);
		to.fd = pair[0];
		MUST(noria_group_open(&group) == 0);
		MUST(noria_spawn(&group, get_all, &to) == 0);
		UNTIL(to.started && inside_flying(pair[0]) && ring_pending(noria_loop->ring) == 0);
		MUST(send(pair[1], out, 10, 0) == 10);
		inside_enter_until(1); /* the first step has its bytes */
		noria_scope_cancel(&to.scope);
		MUST(send(pair[1], out + 10, 10, 0) == 10);
		MUST(noria_group_close(&group, 0) == 0);
		EXPECT(to.result == -ECANCELED && to.progress == 10);
		EXPECT(recv(pair[0], in, 64, MSG_DONTWAIT) == 10);
		inside_close(pair);
	}
	return 0;
}

static int64_t (*true_send)(struct ring *ring, int fd, const void *buffer, size_t size, int flags);
static int interruptions;

static int64_t interrupted_send(struct ring *ring, int fd, const void *buffer, size_t size, int flags)
{
	return interruptions-- > 0 ? -EINTR : true_send(ring, fd, buffer, size, flags);
}

/* R08: a step that a signal interrupted is done again. */
RULE(R08, an_interrupted_step_is_repeated)
{
	const struct ring_class *class = noria_loop->ring->class;
	struct ring_class interrupted = *class;
	char buffer[10];
	int pair[2];

	inside_pair(pair);
	true_send = class->send;
	interrupted.send = interrupted_send;
	interruptions = 3;
	noria_loop->ring->class = &interrupted;
	EXPECT(noria_send_all(pair[1], "0123456789", 10, 0) == 10);
	noria_loop->ring->class = class;
	EXPECT(interruptions < 0);
	EXPECT(noria_recv_all(pair[0], buffer, 10, 0) == 10 && memcmp(buffer, "0123456789", 10) == 0);
	inside_close(pair);
	return 0;
}
