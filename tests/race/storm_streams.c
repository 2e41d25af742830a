/* SPDX-License-Identifier: MIT */
/*
 * The storm's streams of connections and of datagrams, and many datagrams sent by one call. Each operation makes what it
 * works on and closes it again, whatever a cancel cuts short. A connection is handed out or closed with its stream: its
 * client sees the end of it. Datagrams come once and in order, and as many have left as the call says.
 */
#include "storm.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { MOST = 8 };

static unsigned long handed_out, connected, received, sent;

static int listen_somewhere(struct sockaddr_un *address, socklen_t *length)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	*length = sizeof *address;
	CHECK(fd >= 0 && bind(fd, (struct sockaddr *)address, sizeof address->sun_family) == 0);
	CHECK(listen(fd, MOST) == 0 && getsockname(fd, (struct sockaddr *)address, length) == 0);
	return fd;
}

static int take_connections(struct noria_accept_stream *stream, unsigned count)
{
	int r = 0;

	for (unsigned i = 0; i < count && r >= 0; i++) {
		r = noria_within(storm_soon(), noria_accept_stream_next(stream));
		CHECK(r >= 0 || r == -ECANCELED || r == -ETIMEDOUT);
		if (r >= 0) {
			handed_out++;
			CHECK(noria_close(r) == 0);
		}
	}
	return r < 0 ? r : 0;
}

static int accept_some(unsigned depth)
{
	struct noria_accept_stream stream;
	struct sockaddr_un address;
	int clients[MOST], fd, r;
	unsigned count = storm_below(MOST);
	socklen_t length;
	char byte;

	(void)depth;
	fd = listen_somewhere(&address, &length);
	CHECK(noria_accept_stream_open(&stream, fd, SOCK_CLOEXEC) == 0);
	for (unsigned i = 0; i < count; i++) {
		clients[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		CHECK(clients[i] >= 0 && connect(clients[i], (struct sockaddr *)&address, length) == 0);
		if (storm_below(3) == 0)
			storm_pause();
	}
	r = take_connections(&stream, storm_below(count + 2));
	if (storm_below(2))
		storm_pause();
	noria_accept_stream_close(&stream);
	CHECK(noria_close(fd) == 0);
	for (unsigned i = 0; i < count; i++) {
		CHECK(recv(clients[i], &byte, 1, MSG_DONTWAIT) == 0 || errno == ECONNRESET);
		CHECK(noria_close(clients[i]) == 0);
	}
	connected += count;
	return r;
}

/* A Unix pair makes the sender wait when a few are queued. */
static void open_pair(int pair[2])
{
	CHECK(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair) == 0);
}

static void open_udp_pair(int pair[2])
{
	struct sockaddr_in address[2];
	socklen_t length = sizeof address[0];

	for (int i = 0; i < 2; i++) {
		address[i] = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
		pair[i] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		CHECK(pair[i] >= 0 && bind(pair[i], (struct sockaddr *)&address[i], length) == 0);
		CHECK(getsockname(pair[i], (struct sockaddr *)&address[i], &length) == 0);
	}
	CHECK(connect(pair[0], (struct sockaddr *)&address[1], length) == 0);
}

static void close_pair(const int pair[2])
{
	CHECK(noria_close(pair[0]) == 0 && noria_close(pair[1]) == 0);
}

/* As many as leave; `first` is the number of the first. */
static unsigned send_numbers(int fd, unsigned first, unsigned count, int *ret_result)
{
	struct mmsghdr messages[2 * MOST];
	struct iovec parts[2 * MOST];
	unsigned numbers[2 * MOST];
	int r = 0;

	for (unsigned i = 0; i < count; i++) {
		numbers[i] = first + i;
		parts[i] = (struct iovec){&numbers[i], sizeof numbers[i]};
		messages[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &parts[i], .msg_iovlen = 1}};
	}
	*ret_result = noria_within(storm_soon(), r = noria_sendmmsg(fd, messages, count, 0));
	CHECK((r > 0 && r <= (int)count) || r == -ECANCELED);
	CHECK(*ret_result == r || *ret_result == -ETIMEDOUT || *ret_result == -ECANCELED);
	sent += r > 0 ? (unsigned)r : 0;
	return r > 0 ? (unsigned)r : 0;
}

/* Those that left are there, in their order, and no others. */
static int send_many(unsigned depth)
{
	unsigned count = 1 + storm_below(2 * MOST), left, number;
	int pair[2], r;

	(void)depth;
	(storm_below(2) ? open_pair : open_udp_pair)(pair);
	left = send_numbers(pair[0], 0, count, &r);
	for (unsigned i = 0; i < left; i++)
		CHECK(recv(pair[1], &number, sizeof number, MSG_DONTWAIT) == sizeof number && number == i);
	CHECK(recv(pair[1], &number, sizeof number, MSG_DONTWAIT) < 0 && errno == EAGAIN);
	close_pair(pair);
	return r < 0 ? r : 0;
}

static int send_segments(unsigned depth)
{
	char bytes[64 * MOST] = {0};
	size_t size = 1 + storm_below(sizeof bytes), segment = 1 + storm_below(64), there = 0;
	int pair[2];
	ssize_t r, n;

	(void)depth;
	(storm_below(4) ? open_udp_pair : open_pair)(pair);
	if (size > 8 * segment)
		size = 8 * segment; /* a Unix pair takes that many */
	r = noria_send_segments(pair[0], bytes, size, (unsigned)segment, NULL, 0);
	CHECK(r == (ssize_t)size || r == -ECANCELED);
	while ((n = recv(pair[1], bytes, sizeof bytes, MSG_DONTWAIT)) > 0) {
		CHECK((size_t)n <= segment);
		there += (size_t)n;
	}
	CHECK(there == noria_progress() || r == -ECANCELED);
	CHECK(r < 0 || there == size);
	sent += (there + segment - 1) / segment;
	close_pair(pair);
	return r < 0 ? (int)r : 0;
}

static int take_datagrams(struct noria_datagram_stream *stream, unsigned *next)
{
	struct noria_datagram some[3];
	int r = noria_within(storm_soon(), noria_datagram_stream_next(stream, some, 3));

	CHECK((r >= 1 && r <= 3) || r == -ECANCELED || r == -ETIMEDOUT);
	for (int i = 0; i < r; i++) {
		CHECK(some[i].size == sizeof *next && memcmp(some[i].data, next, sizeof *next) == 0);
		(*next)++;
		received++;
	}
	return r < 0 ? r : 0;
}

static int receive_datagrams(unsigned depth)
{
	const struct noria_datagram_options few = {.size = 16, .control = 16, .buffers = 4};
	struct noria_datagram_stream stream;
	unsigned next = 0, left = 0, number;
	int pair[2], r = 0;

	(void)depth;
	(storm_below(2) ? open_pair : open_udp_pair)(pair);
	CHECK(noria_datagram_stream_open(&stream, pair[1], &few) == 0);
	for (unsigned rounds = storm_below(4); rounds > 0 && r != -ECANCELED; rounds--) {
		left += send_numbers(pair[0], left, 1 + storm_below(MOST), &r);
		if (r != -ECANCELED && next < left)
			r = take_datagrams(&stream, &next);
	}
	if (storm_below(2))
		storm_pause();
	noria_datagram_stream_close(&stream);
	while (recv(pair[1], &number, sizeof number, MSG_DONTWAIT) == sizeof number) {
		CHECK(number >= next && number < left); /* what the stream held is dropped with it */
		next = number + 1;
	}
	close_pair(pair);
	return r;
}

static void open_all(void)
{
	handed_out = connected = received = sent = 0;
}

static void close_all(void)
{
	CHECK(handed_out <= connected);
	storm_note("connections of streams handed out", handed_out);
	storm_note("connections closed with them", connected - handed_out);
	storm_note("datagrams sent", sent);
	storm_note("datagrams of streams", received);
}

static const struct storm_operation operations[] = {
	{"accept stream", accept_some, 3},
	{"datagram stream", receive_datagrams, 3},
	{"many datagrams", send_many, 2},
	{"segments", send_segments, 2},
};

const struct storm_subject storm_streams = {.operations = operations,
					    .count = sizeof operations / sizeof operations[0],
					    .open = open_all,
					    .close = close_all};
