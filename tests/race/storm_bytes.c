/* SPDX-License-Identifier: MIT */
/*
 * The storm's bytes: socket pairs and pipes ("wires") through which a known sequence goes. At most one task sends and one
 * receives on a wire at a time, so each byte's place is known, and whatever a cancel cuts short, the next to send or
 * receive goes on at the very byte where the last one stopped.
 */
#include "storm.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { WIRES = 24, STREAMS = 4 /* of these, received by streams */, CHUNK = 3000 };

struct wire {
	int in, out; /* received from, sent to */
	bool pipe, sending, receiving;
	uint64_t sent, received;
	unsigned number;
};

static struct wire wires[WIRES];
static struct noria_group streams;
static unsigned long bytes_moved;

static char byte_at(const struct wire *wire, uint64_t position)
{
	return (char)(position * 131 + (position >> 8) * 17 + wire->number);
}

static void open_wires(void)
{
	for (unsigned i = 0; i < WIRES; i++) {
		int pair[2], flags = storm_below(2) ? O_NONBLOCK : 0;

		wires[i] = (struct wire){.number = i, .pipe = i >= STREAMS && i % 2};
		if (wires[i].pipe)
			CHECK(pipe2(pair, O_CLOEXEC | flags) == 0);
		else
			CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | (flags ? SOCK_NONBLOCK : 0), 0, pair) ==
			      0);
		wires[i].in = pair[0];
		wires[i].out = pair[1];
		wires[i].receiving = i < STREAMS;
	}
}

static void verify(struct wire *wire, const char *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		CHECK(bytes[i] == byte_at(wire, wire->received + i));
	wire->received += size;
	bytes_moved += size;
	CHECK(wire->received <= wire->sent + CHUNK);
}

static void close_wires(void)
{
	for (unsigned i = 0; i < WIRES; i++) {
		struct wire *wire = &wires[i];
		char bytes[4096];
		ssize_t n;

		CHECK(noria_close(wire->out) == 0);
		while ((n = noria_read(wire->in, bytes, sizeof bytes)) > 0)
			verify(wire, bytes, (size_t)n);
		CHECK(n == 0);
		CHECK(wire->received == wire->sent);
		CHECK(noria_close(wire->in) == 0);
	}
}

static struct wire *choose(bool to_send)
{
	struct wire *wire = &wires[storm_below(WIRES)];
	bool *busy = to_send ? &wire->sending : &wire->receiving;

	if (*busy)
		return NULL;
	*busy = true;
	return wire;
}

static ssize_t send_somehow(struct wire *wire, char *bytes, size_t size, bool *ret_whole)
{
	struct iovec vector[2] = {{bytes, size / 3}, {bytes + size / 3, size - size / 3}};
	struct msghdr message = {.msg_iov = vector, .msg_iovlen = 2};
	unsigned way = storm_below(7);

	*ret_whole = way >= 4;
	switch (way) {
	case 0:
		return noria_write(wire->out, bytes, size);
	case 1:
		return noria_writev(wire->out, vector, 2);
	case 2:
		return wire->pipe ? noria_write(wire->out, bytes, size) : noria_send(wire->out, bytes, size, 0);
	case 3:
		return wire->pipe ? noria_write(wire->out, bytes, size) : noria_sendmsg(wire->out, &message, 0);
	case 4:
		return noria_write_all(wire->out, bytes, size);
	case 5:
		return noria_writev_all(wire->out, vector, 2);
	default:
		return wire->pipe ? noria_write_all(wire->out, bytes, size) : noria_send_all(wire->out, bytes, size, 0);
	}
}

static int send_some(unsigned depth)
{
	struct wire *wire = choose(true);
	size_t size = 1 + storm_below(CHUNK);
	char bytes[CHUNK];
	bool whole;
	ssize_t n;
	int r;

	(void)depth;
	if (!wire)
		return STORM_NOTHING;
	for (size_t i = 0; i < size; i++)
		bytes[i] = byte_at(wire, wire->sent + i);
	n = send_somehow(wire, bytes, size, &whole);
	r = n < 0 ? (int)n : 0;
	CHECK(n == -ECANCELED || (n > 0 && (size_t)n <= size));
	if (n < 0 && whole)
		n = (ssize_t)noria_progress();
	wire->sent += n > 0 ? (uint64_t)n : 0;
	wire->sending = false;
	return r;
}

static ssize_t receive_somehow(struct wire *wire, char *bytes, size_t size, bool *ret_whole)
{
	struct iovec vector[2] = {{bytes, size / 3}, {bytes + size / 3, size - size / 3}};
	struct msghdr message = {.msg_iov = vector, .msg_iovlen = 2};
	unsigned way = storm_below(7);

	*ret_whole = way >= 4;
	switch (way) {
	case 0:
		return noria_read(wire->in, bytes, size);
	case 1:
		return noria_readv(wire->in, vector, 2);
	case 2:
		return wire->pipe ? noria_read(wire->in, bytes, size) : noria_recv(wire->in, bytes, size, 0);
	case 3:
		return wire->pipe ? noria_read(wire->in, bytes, size) : noria_recvmsg(wire->in, &message, 0);
	case 4:
		return noria_read_all(wire->in, bytes, size);
	case 5:
		return noria_readv_all(wire->in, vector, 2);
	default:
		return wire->pipe ? noria_read_all(wire->in, bytes, size) : noria_recv_all(wire->in, bytes, size, 0);
	}
}

static int receive_some(unsigned depth)
{
	struct wire *wire = choose(false);
	size_t size = 1 + storm_below(CHUNK);
	char bytes[CHUNK];
	bool whole;
	ssize_t n;
	int r;

	(void)depth;
	if (!wire)
		return STORM_NOTHING;
	n = receive_somehow(wire, bytes, size, &whole);
	r = n < 0 ? (int)n : 0;
	CHECK(n == -ECANCELED || (n > 0 && (size_t)n <= size));
	if (n < 0 && whole)
		n = (ssize_t)noria_progress();
	if (n > 0)
		verify(wire, bytes, (size_t)n);
	wire->receiving = false;
	return r;
}

static int stream(void *arg)
{
	struct wire *wire = arg;
	struct noria_recv_stream view;
	const void *data;
	ssize_t n;

	CHECK(noria_recv_stream_open(&view, wire->in) == 0);
	do {
		n = noria_within(noria_usec(storm_below(300)), noria_recv_stream_next(&view, &data));
		CHECK(n >= 0 || n == -ETIMEDOUT);
		if (n > 0)
			verify(wire, data, (size_t)n);
		if (storm_below(16) == 0)
			CHECK(noria_sleep(noria_usec(storm_below(500))) == 0);
	} while (n != 0);
	noria_recv_stream_close(&view);
	return 0;
}

static void open_all(void)
{
	bytes_moved = 0;
	open_wires();
	CHECK(noria_group_open(&streams) == 0);
	for (unsigned i = 0; i < STREAMS; i++)
		CHECK(noria_spawn(&streams, stream, &wires[i]) == 0);
}

static void close_all(void)
{
	for (unsigned i = 0; i < STREAMS; i++)
		CHECK(noria_shutdown(wires[i].out, SHUT_WR) == 0);
	CHECK(noria_group_close(&streams, 0) == 0);
	close_wires();
	storm_note("bytes moved by sockets and pipes", bytes_moved);
}

int storm_wire_below(unsigned number)
{
	return wires[number % WIRES].in;
}

static const struct storm_operation operations[] = {
	{"send", send_some, 14},
	{"receive", receive_some, 12},
};

const struct storm_subject storm_bytes = {.operations = operations,
					  .count = sizeof operations / sizeof operations[0],
					  .open = open_all,
					  .close = close_all};
