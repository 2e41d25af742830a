/* SPDX-License-Identifier: MIT */
/* A chain as an operation (here: receive, then send), and the writer's calls. */
#include "ops.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

static void open_pair(struct op_place *place, bool ready)
{
	int pair[2];

	unit_pair(pair);
	place->fd = pair[0];
	place->other = pair[1];
	if (ready)
		MUST(send(place->other, "bytes", 5, 0) == 5);
}

static void send_bytes(struct op_place *place)
{
	MUST(send(place->other, "bytes", 5, 0) == 5);
}

static void close_pair(struct op_place *place)
{
	EXPECT_EQ(noria_close(place->fd) | noria_close(place->other), 0);
}

static int64_t call_chain(struct op_place *place)
{
	struct noria_chain_step steps[2];
	struct noria_chain chain;
	int r;

	noria_chain_begin(&chain, steps);
	noria_chain_recv(&chain, place->fd, place->buffer, 5, 0);
	noria_chain_send(&chain, place->fd, "answer", 6, 0);
	r = noria_chain_run(&chain);
	if (r == 2)
		EXPECT(noria_chain_result(&chain, 0) == 5 && noria_chain_result(&chain, 1) == 6);
	else
		EXPECT(noria_chain_result(&chain, 1) == -ECANCELED && noria_chain_done(&chain) == 0);
	return r;
}

static void did_chain(struct op_place *place, int64_t result)
{
	EXPECT_EQ(result, 2);
	EXPECT(memcmp(place->buffer, "bytes", 5) == 0);
	EXPECT_EQ(recv(place->other, place->second, sizeof place->second, 0), 6);
	EXPECT(memcmp(place->second, "answer", 6) == 0);
}

static void not_begun(struct op_place *place)
{
	EXPECT_EQ(recv(place->other, place->second, 1, MSG_DONTWAIT), -1);
	EXPECT_EQ(recv(place->fd, place->second, 5, MSG_DONTWAIT), 5);
}

static int64_t chain_missing(struct op_place *place)
{
	struct noria_chain_step steps[2];
	struct noria_chain chain;
	int file;

	noria_chain_begin(&chain, steps);
	file = noria_chain_openat(&chain, place->dir, "missing", O_RDONLY, 0);
	noria_chain_read(&chain, file, place->buffer, 5);
	return noria_chain_run(&chain);
}

static int64_t chain_no_room(struct op_place *place)
{
	struct noria_chain_step steps[1];
	struct noria_chain chain;

	noria_chain_begin(&chain, steps);
	noria_chain_send(&chain, place->fd, "x", 1, 0);
	noria_chain_send(&chain, place->fd, "x", 1, 0);
	return noria_chain_run(&chain);
}

static int64_t chain_closes_other(struct op_place *place)
{
	struct noria_chain_step steps[1];
	struct noria_chain chain;

	noria_chain_begin(&chain, steps);
	noria_chain_close(&chain, place->fd);
	return noria_chain_run(&chain);
}

static int64_t chain_negative(struct op_place *place)
{
	struct noria_chain_step steps[1];
	struct noria_chain chain;

	noria_chain_begin(&chain, steps);
	noria_chain_pread(&chain, place->fd, place->buffer, 1, -1);
	return noria_chain_run(&chain);
}

static int64_t chain_too_long(struct op_place *place)
{
	static struct noria_chain_step steps[300];
	struct noria_chain chain;

	noria_chain_begin(&chain, steps);
	for (int i = 0; i < 300; i++)
		noria_chain_send(&chain, place->fd, "x", 1, 0);
	return noria_chain_run(&chain);
}

static int64_t chain_bad_fd(struct op_place *place)
{
	struct noria_chain_step steps[2];
	struct noria_chain chain;

	noria_chain_begin(&chain, steps);
	noria_chain_send(&chain, 9999, "x", 1, 0);
	noria_chain_send(&chain, place->fd, "x", 1, 0);
	return noria_chain_run(&chain);
}

static const struct op_error chain_errors[] = {{-ENOENT, chain_missing},
					       {-EINVAL, chain_no_room},
					       {-EINVAL, chain_closes_other},
					       {-EINVAL, chain_negative},
					       {-E2BIG, chain_too_long},
					       {-EBADF, chain_bad_fd},
					       {0, NULL}};

/* Nothing is pending when a call begins; the socket is full when it shall wait. */
static void open_full(struct op_place *place, bool ready)
{
	static char bytes[1 << 16];
	int pair[2];
	ssize_t n;

	unit_pair(pair);
	place->fd = pair[0];
	place->other = pair[1];
	while (!ready && (n = send(pair[0], bytes, sizeof bytes, MSG_DONTWAIT)) > 0)
		place->number += (uint64_t)n;
}

static void receive_filling(struct op_place *place)
{
	static char bytes[1 << 16];
	ssize_t n;

	for (; place->number > 0; place->number -= (uint64_t)n)
		MUST((n = recv(place->other, bytes, place->number < sizeof bytes ? place->number : sizeof bytes, 0)) >
		     0);
}

/* The flush waits for the socket, and takes all or nothing. */
static int64_t call_write(struct op_place *place)
{
	struct noria_writer writer;
	char buffer[8];
	int r, closed;

	MUST(noria_writer_open(&writer, place->fd, buffer, sizeof buffer) == 0);
	r = noria_writer_write(&writer, "by", 2);
	if (r == 0)
		r = noria_writer_write(&writer, "tes", 3);
	if (r == 0)
		r = noria_writer_flush(&writer);
	closed = noria_writer_close(&writer);
	EXPECT(closed == 0 || r < 0);
	return r;
}

static void did_write(struct op_place *place, int64_t result)
{
	EXPECT_EQ(result, 0);
	receive_filling(place);
	EXPECT_EQ(recv(place->other, place->buffer, 5, MSG_WAITALL), 5);
	EXPECT(memcmp(place->buffer, "bytes", 5) == 0);
}

static void nothing_came(struct op_place *place)
{
	EXPECT_EQ(recv(place->other, place->buffer, 1, MSG_DONTWAIT), -1);
}

static int64_t write_closed(struct op_place *place)
{
	struct noria_writer writer;
	char buffer[4];
	int r, closed;

	(void)place;
	MUST(noria_writer_open(&writer, 9999, buffer, sizeof buffer) == 0);
	r = noria_writer_write(&writer, "bytes", 5);
	EXPECT_EQ(noria_writer_write(&writer, "x", 1), r);
	closed = noria_writer_close(&writer);
	EXPECT_EQ(closed, r);
	return r;
}

static int64_t write_epipe(struct op_place *place)
{
	MUST(shutdown(place->fd, SHUT_WR) == 0);
	return call_write(place);
}

static int64_t print_long(struct op_place *place)
{
	struct noria_writer writer;
	char buffer[4];
	int r;

	MUST(noria_writer_open(&writer, place->fd, buffer, sizeof buffer) == 0);
	r = noria_writer_printf(&writer, "%s", "four");
	EXPECT_EQ(noria_writer_close(&writer), 0);
	return r;
}

static int64_t write_unopened(struct op_place *place)
{
	struct noria_writer writer = {0};

	(void)place;
	EXPECT_EQ(noria_writer_close(&writer), -EINVAL);
	EXPECT_EQ(noria_writer_flush(&writer), -EINVAL);
	return noria_writer_write(&writer, "x", 1);
}

static int64_t open_twice(struct op_place *place)
{
	struct noria_writer writer;
	char buffer[4];
	int r;

	MUST(noria_writer_open(&writer, place->fd, buffer, sizeof buffer) == 0);
	r = noria_writer_open(&writer, place->fd, buffer, sizeof buffer);
	EXPECT(strstr(noria_message(), "net_chain.c"));
	EXPECT_EQ(noria_writer_close(&writer), 0);
	return r;
}

static int64_t open_no_buffer(struct op_place *place)
{
	struct noria_writer writer = {0};

	return noria_writer_open(&writer, place->fd, place->buffer, 0);
}

static const struct op_error write_errors[] = {{-EBADF, write_closed},
					       {-EPIPE, write_epipe},
					       {-EMSGSIZE, print_long},
					       {-EINVAL, write_unopened},
					       {-EINVAL, open_twice},
					       {-EINVAL, open_no_buffer},
					       {0, NULL}};

static const struct op_case cases[] = {
	{.name = "chain",
	 .open = open_pair,
	 .call = call_chain,
	 .complete = send_bytes,
	 .did = did_chain,
	 .did_not = not_begun,
	 .close = close_pair,
	 .errors = chain_errors},
	{.name = "writer",
	 .open = open_full,
	 .call = call_write,
	 .complete = receive_filling,
	 .did = did_write,
	 .did_not = nothing_came,
	 .close = close_pair,
	 .errors = write_errors},
	{0},
};

OPS(net_chain, cases)
