/* SPDX-License-Identifier: MIT */
/*
 * Streams: whatever ends the submission behind one (a full completion queue, no buffer, a stop, an end for no reason),
 * it goes on, and every byte, datagram and connection comes once and in its order.
 */
#include "sweep.h"

#include <arpa/inet.h>

enum { BYTES = 1500, PIECE = 37, MESSAGES = 12, CONNECTIONS = 6 };

static struct {
	int fds[2];
	int64_t sent, received;
	struct sockaddr_in address;
} flow;

static char byte_at(int64_t position)
{
	return (char)(position * 131 % 251);
}

/* What the sender waits for can be taken away by the fault that a send finds no memory. */
static ssize_t send_all(int fd, const char *bytes, size_t size)
{
	ssize_t n;

	while ((n = noria_send_all(fd, bytes, size, 0)) == -ENOBUFS)
		noria_try(noria_sleep(MS(1)));
	return n;
}

/* ---- bytes ---- */

static int sender(void *arg)
{
	char piece[PIECE];

	(void)arg;
	while (flow.sent < BYTES) {
		size_t size = 1 + noria_sim_random(PIECE);

		size = flow.sent + (int64_t)size > BYTES ? (size_t)(BYTES - flow.sent) : size;
		for (size_t i = 0; i < size; i++)
			piece[i] = byte_at(flow.sent + (int64_t)i);
		noria_try(send_all(flow.fds[1], piece, size));
		flow.sent += (int64_t)size;
		if (noria_sim_random(3) == 0)
			noria_try(noria_sleep((int64_t)noria_sim_random(3) * 1000));
	}
	return noria_shutdown(flow.fds[1], SHUT_WR);
}

/* Sometimes it waits for nothing for a while, which must not cost a byte. Returns as noria_recv_stream_next(). */
static ssize_t next_piece(struct noria_recv_stream *stream, const void **ret_data)
{
	for (;;) {
		int64_t end = noria_now() + 700;
		ssize_t n = noria_sim_random(2) ? noria_recv_stream_next(stream, ret_data)
						: noria_until(end, noria_recv_stream_next(stream, ret_data));

		if (n != -ETIMEDOUT)
			return n;
		CHECK(noria_now() == end || sweep_may_fail() || sweep_cancelled() || noria_now() <= end + MS(3));
	}
}

static int take_all(struct noria_recv_stream *stream)
{
	const void *data;
	ssize_t n;

	while ((n = next_piece(stream, &data)) > 0) {
		for (ssize_t i = 0; i < n; i++)
			CHECK_EQ(((const char *)data)[i], byte_at(flow.received + i));
		flow.received += n;
		if (noria_sim_random(4) == 0)
			noria_try(noria_sleep((int64_t)noria_sim_random(8) * 1000));
	}
	noria_try(n);
	CHECK_EQ(flow.received, BYTES);
	return 0;
}

static int take_by_stream(void)
{
	struct noria_recv_stream stream;
	int r;

	noria_try(noria_recv_stream_open(&stream, flow.fds[0]));
	r = take_all(&stream);
	noria_recv_stream_close(&stream);
	return r;
}

/* A stream that is closed in the middle has shown what it took from the socket: what it did not take is there. */
static int flow_through(int (*take)(void))
{
	struct noria_group group;
	int r = noria_group_open(&group);

	if (r >= 0) {
		r = noria_spawn(&group, sender, NULL);
		if (r >= 0)
			r = noria_within(noria_sec(60), take());
		r = noria_group_close(&group, r);
	}
	sweep_close_pair(flow.fds);
	return r;
}

static int bytes(void *arg)
{
	(void)arg;
	memset(&flow, 0, sizeof flow);
	noria_try(sweep_pair(flow.fds));
	return flow_through(take_by_stream);
}

static int listen_at(uint16_t port, int type)
{
	int fd = noria_socket(AF_INET, type, 0), r;

	noria_try(fd);
	flow.address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
	flow.address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	r = noria_bind(fd, (struct sockaddr *)&flow.address, sizeof flow.address);
	if (r >= 0 && type == SOCK_STREAM)
		r = noria_listen(fd, 16);
	if (r < 0)
		noria_close(fd);
	return r < 0 ? r : fd;
}

static int connect_there(void)
{
	int fd = noria_socket(AF_INET, SOCK_STREAM, 0), r;

	noria_try(fd);
	r = noria_connect(fd, (struct sockaddr *)&flow.address, sizeof flow.address);
	if (r < 0)
		noria_close(fd);
	return r < 0 ? r : fd;
}

static int tcp(void *arg)
{
	int listener, r;

	(void)arg;
	memset(&flow, 0, sizeof flow);
	listener = listen_at(80, SOCK_STREAM);
	noria_try(listener);
	flow.fds[1] = connect_there();
	r = flow.fds[1];
	if (r >= 0) {
		r = flow.fds[0] = noria_accept(listener, NULL, NULL);
		if (r < 0)
			noria_close(flow.fds[1]);
	}
	noria_close(listener);
	return r < 0 ? r : flow_through(take_by_stream);
}

/* ---- connections ---- */

/* Each says its number, and hears it back. */
static int client(void *arg)
{
	char number = (char)*(int *)arg, heard = 0;
	int fd, r;

	noria_try(noria_sleep((int64_t)noria_sim_random(3) * 1000));
	fd = connect_there();
	noria_try(fd);
	r = (int)send_all(fd, &number, 1);
	if (r >= 0)
		r = (int)noria_recv_all(fd, &heard, 1, 0);
	if (r == 1)
		CHECK_EQ(heard, number);
	noria_close(fd);
	return r < 0 ? r : r == 1 || sweep_may_fail() ? 0 : -ECONNRESET;
}

static int answer(void *arg)
{
	int fd = *(int *)arg;
	char byte;
	ssize_t r = noria_recv_all(fd, &byte, 1, 0);

	if (r == 1)
		r = send_all(fd, &byte, 1);
	flow.received++;
	noria_close(fd);
	return r < 0 ? (int)r : 0;
}

static int accept_all(struct noria_group *group, struct noria_accept_stream *stream)
{
	for (int i = 0; i < CONNECTIONS; i++) {
		int fd = noria_accept_stream_next(stream), r;

		noria_try(fd);
		r = noria_spawn_copy(group, answer, &fd, sizeof fd);
		if (r < 0)
			noria_close(fd);
		noria_try(r);
		if (i == 2)
			noria_try(noria_sleep(MS(1)));
	}
	return 0;
}

static int serve(int listener)
{
	struct noria_accept_stream stream;
	struct noria_group group;
	int r;

	noria_try(noria_accept_stream_open(&stream, listener, 0));
	r = noria_group_open(&group);
	if (r >= 0) {
		for (int i = 0; i < CONNECTIONS && r >= 0; i++)
			r = noria_spawn_copy(&group, client, &i, sizeof i);
		if (r >= 0)
			r = noria_within(noria_sec(100), accept_all(&group, &stream));
		r = noria_group_close(&group, r);
	}
	if (r == 0)
		CHECK_EQ(flow.received, CONNECTIONS);
	noria_accept_stream_close(&stream);
	return r;
}

static int connections(void *arg)
{
	int listener, r;

	(void)arg;
	memset(&flow, 0, sizeof flow);
	listener = listen_at(81, SOCK_STREAM);
	noria_try(listener);
	r = serve(listener);
	noria_close(listener);
	return r;
}

/* ---- datagrams ---- */

static int send_datagrams(void *arg)
{
	(void)arg;
	for (int i = 0; i < MESSAGES; i++) {
		ssize_t n;
		char text[16];

		memset(text, i, sizeof text);
		while ((n = noria_send(flow.fds[1], text, 4 + (size_t)i, 0)) == -ENOBUFS)
			noria_try(noria_sleep(MS(1)));
		noria_try(n);
		if (i % 5 == 0)
			noria_try(noria_sleep(1000));
	}
	return 0;
}

static int take_datagrams(struct noria_datagram_stream *stream)
{
	struct noria_datagram datagrams[2];

	while (flow.received < MESSAGES) {
		int64_t end = noria_now() + 900;
		int n = noria_sim_random(2) ? noria_datagram_stream_next(stream, datagrams, 2)
					    : (int)noria_until(end, noria_datagram_stream_next(stream, datagrams, 2));

		if (n == -ETIMEDOUT)
			continue;
		noria_try(n);
		for (int i = 0; i < n; i++, flow.received++) {
			CHECK_EQ(datagrams[i].size, 4 + flow.received);
			CHECK_EQ(((char *)datagrams[i].data)[3], flow.received);
		}
		if (flow.received % 4 == 0)
			noria_try(noria_sleep(3000));
	}
	return 0;
}

static int take_by_datagrams(void)
{
	struct noria_datagram_options options = {.size = 64, .buffers = 2};
	struct noria_datagram_stream stream;
	int r;

	noria_try(noria_datagram_stream_open(&stream, flow.fds[0], &options));
	r = take_datagrams(&stream);
	noria_datagram_stream_close(&stream);
	return r;
}

/* Unix ones are neither lost nor reordered. */
static int datagrams(void *arg)
{
	struct noria_group group;
	int r;

	(void)arg;
	memset(&flow, 0, sizeof flow);
	noria_try(noria_socketpair(AF_UNIX, SOCK_DGRAM, 0, flow.fds));
	r = noria_group_open(&group);
	if (r >= 0) {
		r = noria_spawn(&group, send_datagrams, NULL);
		if (r >= 0)
			r = noria_within(noria_sec(60), take_by_datagrams());
		r = noria_group_close(&group, r);
	}
	sweep_close_pair(flow.fds);
	return r;
}

/* The same by a receive stream, which keeps the messages apart. */
static int take_messages(void)
{
	struct noria_recv_stream stream;
	const void *data;
	int r = 0;

	noria_try(noria_recv_stream_open(&stream, flow.fds[0]));
	while (r >= 0 && flow.received < MESSAGES) {
		ssize_t n = next_piece(&stream, &data);

		r = n < 0 ? (int)n : 0;
		if (n < 0)
			break;
		CHECK_EQ(n, 4 + flow.received);
		CHECK_EQ(((const char *)data)[3], flow.received);
		flow.received++;
		if (flow.received % 5 == 0)
			r = noria_sleep(4000);
	}
	noria_recv_stream_close(&stream);
	return r;
}

static int messages(void *arg)
{
	struct noria_group group;
	int r;

	(void)arg;
	memset(&flow, 0, sizeof flow);
	noria_try(noria_socketpair(AF_UNIX, SOCK_DGRAM, 0, flow.fds));
	r = noria_group_open(&group);
	if (r >= 0) {
		r = noria_spawn(&group, send_datagrams, NULL);
		if (r >= 0)
			r = noria_within(noria_sec(60), take_messages());
		r = noria_group_close(&group, r);
	}
	sweep_close_pair(flow.fds);
	return r;
}

/* ---- several streams on the same few buffers ---- */

struct line {
	int fds[2];
	int64_t received;
	int number;
};

static int write_line(void *arg)
{
	struct line *line = arg;

	for (int i = 0; i < 300; i += 60) {
		char piece[60];

		for (int j = 0; j < 60; j++)
			piece[j] = byte_at(line->number + i + j);
		noria_try(send_all(line->fds[1], piece, sizeof piece));
	}
	return noria_shutdown(line->fds[1], SHUT_WR);
}

/* It holds what it is shown for a while, so that the others find no buffer. */
static int read_line(void *arg)
{
	struct line *line = arg;
	struct noria_recv_stream stream;
	const void *data;
	ssize_t n;

	noria_try(noria_recv_stream_open(&stream, line->fds[0]));
	while ((n = noria_recv_stream_next(&stream, &data)) > 0) {
		int r = noria_sleep(MS(1));

		for (ssize_t i = 0; i < n; i++)
			CHECK_EQ(((const char *)data)[i], byte_at(line->number + line->received + i));
		line->received += n;
		if (r < 0)
			n = r;
		if (r < 0)
			break;
	}
	noria_recv_stream_close(&stream);
	if (n == 0)
		CHECK_EQ(line->received, 300);
	return (int)n;
}

static int run_lines(struct line *lines, int count)
{
	struct noria_group group;
	int r;

	noria_try(noria_group_open(&group));
	r = 0;
	for (int i = 0; i < count && r >= 0; i++) {
		r = noria_spawn(&group, read_line, &lines[i]);
		if (r >= 0)
			r = noria_spawn(&group, write_line, &lines[i]);
	}
	return noria_group_close(&group, r);
}

static int shared(void *arg)
{
	struct line lines[5] = {0};
	int opened = 0, r = 0;

	(void)arg;
	for (; opened < 5 && r >= 0; opened += r >= 0) {
		r = sweep_pair(lines[opened].fds);
		lines[opened].number = opened;
	}
	if (r >= 0)
		r = noria_within(noria_sec(60), run_lines(lines, opened));
	while (opened-- > 0)
		sweep_close_pair(lines[opened].fds);
	return r;
}

/* ---- a stream that another task closes ---- */

static struct noria_recv_stream closed_stream;

static int closer(void *arg)
{
	noria_try(sweep_ended(noria_sleep_until(*(int64_t *)arg), 0, *(int64_t *)arg));
	noria_recv_stream_close(&closed_stream);
	return 0;
}

static int close_it(int fds[2])
{
	int64_t end = noria_now() + MS(2);
	struct noria_group group;
	const void *data;
	int r;

	noria_try(noria_recv_stream_open(&closed_stream, fds[0]));
	r = noria_group_open(&group);
	if (r >= 0) {
		r = noria_spawn(&group, closer, &end);
		if (r >= 0)
			r = sweep_ended(noria_recv_stream_next(&closed_stream, &data), -EBADF, end);
		r = noria_group_close(&group, r);
	}
	noria_recv_stream_close(&closed_stream);
	return r;
}

static int closes(void *arg)
{
	int fds[2], r;

	(void)arg;
	noria_try(sweep_pair(fds));
	r = close_it(fds);
	sweep_close_pair(fds);
	return r;
}

const struct sweep_program sweep_streams[] = {
	{"bytes", bytes, "plain tiny old older", 0},       {"tcp", tcp, "plain older", 0},
	{"connections", connections, "plain tiny old", 0}, {"datagrams", datagrams, "plain tiny old", 0},
	{"messages", messages, "plain older old", 0},      {"shared", shared, "plain tiny older", 0},
	{"closes", closes, "plain old older", 0},          {0},
};
