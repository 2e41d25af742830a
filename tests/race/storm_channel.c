/* SPDX-License-Identifier: MIT */
/* The channels of the cancel storm: see storm.h. */
#include "storm.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

struct channel storm_channels[CHANNELS];
uint64_t storm_seed_state;

static char byte_at(const struct channel *channel, uint64_t position)
{
	return (char)(position * 131 + (position >> 8) * 17 + channel->number);
}

void storm_channels_open(void)
{
	for (unsigned i = 0; i < CHANNELS; i++) {
		int pair[2], flags = storm_below(2) ? O_NONBLOCK : 0;

		storm_channels[i] = (struct channel){.number = i, .pipe = i >= STREAMS && i % 2};
		if (storm_channels[i].pipe)
			CHECK(pipe2(pair, O_CLOEXEC | flags) == 0);
		else
			CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | (flags ? SOCK_NONBLOCK : 0), 0, pair) ==
			      0);
		storm_channels[i].in = pair[0];
		storm_channels[i].out = pair[1];
		if (i < STREAMS)
			storm_channels[i].receiving = true;
	}
}

static void verify(struct channel *channel, const char *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		CHECK(bytes[i] == byte_at(channel, channel->received + i));
	channel->received += size;
	CHECK(channel->received <= channel->sent + CHUNK);
}

void storm_channels_check_and_close(void)
{
	for (unsigned i = 0; i < CHANNELS; i++) {
		struct channel *channel = &storm_channels[i];
		char bytes[4096];
		ssize_t n;

		CHECK(noria_close(channel->out) == 0);
		while ((n = noria_read(channel->in, bytes, sizeof bytes)) > 0)
			verify(channel, bytes, (size_t)n);
		CHECK(n == 0);
		CHECK(channel->received == channel->sent);
		CHECK(noria_close(channel->in) == 0);
	}
}

static struct channel *choose(bool to_send)
{
	struct channel *channel = &storm_channels[storm_below(CHANNELS)];
	bool *busy = to_send ? &channel->sending : &channel->receiving;

	if (*busy)
		return NULL;
	*busy = true;
	return channel;
}

static ssize_t send_somehow(struct channel *channel, char *bytes, size_t size, bool *ret_whole)
{
	struct iovec vector[2] = {{bytes, size / 3}, {bytes + size / 3, size - size / 3}};
	struct msghdr message = {.msg_iov = vector, .msg_iovlen = 2};
	unsigned way = storm_below(7);

	*ret_whole = way >= 4;
	switch (way) {
	case 0:
		return noria_write(channel->out, bytes, size);
	case 1:
		return noria_writev(channel->out, vector, 2);
	case 2:
		return channel->pipe ? noria_write(channel->out, bytes, size)
				     : noria_send(channel->out, bytes, size, 0);
	case 3:
		return channel->pipe ? noria_write(channel->out, bytes, size)
				     : noria_sendmsg(channel->out, &message, 0);
	case 4:
		return noria_write_all(channel->out, bytes, size);
	case 5:
		return noria_writev_all(channel->out, vector, 2);
	default:
		return channel->pipe ? noria_write_all(channel->out, bytes, size)
				     : noria_send_all(channel->out, bytes, size, 0);
	}
}

void storm_send(void)
{
	struct channel *channel = choose(true);
	size_t size = 1 + storm_below(CHUNK);
	char bytes[CHUNK];
	bool whole;
	ssize_t n;

	if (!channel)
		return;
	for (size_t i = 0; i < size; i++)
		bytes[i] = byte_at(channel, channel->sent + i);
	n = send_somehow(channel, bytes, size, &whole);
	CHECK(n == -ECANCELED || (n > 0 && (size_t)n <= size));
	if (n < 0 && whole)
		n = (ssize_t)noria_progress();
	channel->sent += n > 0 ? (uint64_t)n : 0;
	channel->sending = false;
}

static ssize_t receive_somehow(struct channel *channel, char *bytes, size_t size, bool *ret_whole)
{
	struct iovec vector[2] = {{bytes, size / 3}, {bytes + size / 3, size - size / 3}};
	struct msghdr message = {.msg_iov = vector, .msg_iovlen = 2};
	unsigned way = storm_below(7);

	*ret_whole = way >= 4;
	switch (way) {
	case 0:
		return noria_read(channel->in, bytes, size);
	case 1:
		return noria_readv(channel->in, vector, 2);
	case 2:
		return channel->pipe ? noria_read(channel->in, bytes, size) : noria_recv(channel->in, bytes, size, 0);
	case 3:
		return channel->pipe ? noria_read(channel->in, bytes, size) : noria_recvmsg(channel->in, &message, 0);
	case 4:
		return noria_read_all(channel->in, bytes, size);
	case 5:
		return noria_readv_all(channel->in, vector, 2);
	default:
		return channel->pipe ? noria_read_all(channel->in, bytes, size)
				     : noria_recv_all(channel->in, bytes, size, 0);
	}
}

void storm_receive(void)
{
	struct channel *channel = choose(false);
	size_t size = 1 + storm_below(CHUNK);
	char bytes[CHUNK];
	bool whole;
	ssize_t n;

	if (!channel)
		return;
	n = receive_somehow(channel, bytes, size, &whole);
	CHECK(n == -ECANCELED || (n > 0 && (size_t)n <= size));
	if (n < 0 && whole)
		n = (ssize_t)noria_progress();
	if (n > 0)
		verify(channel, bytes, (size_t)n);
	channel->receiving = false;
}

int storm_stream(void *arg)
{
	struct channel *channel = arg;
	struct noria_recv_stream stream;
	const void *data;
	ssize_t n;

	CHECK(noria_recv_stream_open(&stream, channel->in) == 0);
	do {
		n = noria_within(noria_usec(storm_below(300)), noria_recv_stream_next(&stream, &data));
		CHECK(n >= 0 || n == -ETIMEDOUT);
		if (n > 0)
			verify(channel, data, (size_t)n);
		if (storm_below(16) == 0)
			CHECK(noria_sleep(noria_usec(storm_below(500))) == 0);
	} while (n != 0);
	noria_recv_stream_close(&stream);
	return 0;
}

void storm_streams_end(void)
{
	for (unsigned i = 0; i < STREAMS; i++)
		CHECK(noria_shutdown(storm_channels[i].out, SHUT_WR) == 0);
}
