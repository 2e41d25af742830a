/* SPDX-License-Identifier: MIT */
/* Sockets: making, connecting and ending them; bytes and messages. */
#include "ops.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <unistd.h>

static void close_all(struct op_place *place)
{
	int fds[] = {place->fd, place->other, place->third};

	for (int i = 0; i < 3; i++)
		EXPECT(fds[i] < 0 || noria_close(fds[i]) == 0);
}

/* ---- making: socket, bind, listen */

static void open_nothing(struct op_place *place, bool ready)
{
	(void)place;
	(void)ready;
}

static int64_t call_socket(struct op_place *place)
{
	return place->fd = noria_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static void did_socket(struct op_place *place, int64_t result)
{
	EXPECT_EQ(result, place->fd);
	EXPECT_EQ(fcntl(place->fd, F_GETFD), FD_CLOEXEC);
}

static int64_t socket_of_no_family(struct op_place *place)
{
	(void)place;
	return noria_socket(12345, SOCK_STREAM, 0);
}

static int64_t socket_of_wrong_protocol(struct op_place *place)
{
	(void)place;
	return noria_socket(AF_INET, SOCK_STREAM, IPPROTO_UDP);
}

static const struct op_error socket_errors[] = {
	{-EAFNOSUPPORT, socket_of_no_family}, {-EPROTONOSUPPORT, socket_of_wrong_protocol}, {0, NULL}};

static const struct sockaddr_in loopback = {.sin_family = AF_INET, .sin_addr.s_addr = 0x0100007f};

static void open_socket(struct op_place *place, bool ready)
{
	(void)ready;
	place->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	MUST(place->fd >= 0);
}

static int64_t call_bind(struct op_place *place)
{
	return noria_bind(place->fd, (const struct sockaddr *)&loopback, sizeof loopback);
}

static unsigned port_of(int fd)
{
	struct sockaddr_in address = {0};
	socklen_t length = sizeof address;

	MUST(getsockname(fd, (struct sockaddr *)&address, &length) == 0);
	return ntohs(address.sin_port);
}

static void did_bind(struct op_place *place, int64_t result)
{
	EXPECT_EQ(result, 0);
	EXPECT(port_of(place->fd) > 0);
}

static void not_bound(struct op_place *place)
{
	EXPECT_EQ(port_of(place->fd), 0);
}

static int64_t bind_twice(struct op_place *place)
{
	EXPECT_EQ(call_bind(place), 0);
	return call_bind(place);
}

static int64_t bind_used(struct op_place *place)
{
	struct sockaddr_in address = {0};
	socklen_t length = sizeof address;

	EXPECT_EQ(call_bind(place), 0);
	MUST(getsockname(place->fd, (struct sockaddr *)&address, &length) == 0);
	place->other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return noria_bind(place->other, (const struct sockaddr *)&address, sizeof address);
}

static int64_t bind_closed(struct op_place *place)
{
	(void)place;
	return noria_bind(9999, (const struct sockaddr *)&loopback, sizeof loopback);
}

static int64_t bind_directory(struct op_place *place)
{
	return noria_bind(place->dir, (const struct sockaddr *)&loopback, sizeof loopback);
}

static const struct op_error bind_errors[] = {
	{-EINVAL, bind_twice}, {-EADDRINUSE, bind_used}, {-EBADF, bind_closed}, {-ENOTSOCK, bind_directory}, {0, NULL}};

static int64_t call_listen(struct op_place *place)
{
	return noria_listen(place->fd, 8);
}

static bool listens(int fd)
{
	int value = -1;
	socklen_t length = sizeof value;

	MUST(getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &length) == 0);
	return value;
}

static void did_listen(struct op_place *place, int64_t result)
{
	EXPECT_EQ(result, 0);
	EXPECT(listens(place->fd));
}

static void not_listening(struct op_place *place)
{
	EXPECT(!listens(place->fd));
}

static int64_t listen_udp(struct op_place *place)
{
	place->other = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return noria_listen(place->other, 1);
}

static int64_t listen_closed(struct op_place *place)
{
	(void)place;
	return noria_listen(9999, 1);
}

static const struct op_error listen_errors[] = {{-EOPNOTSUPP, listen_udp}, {-EBADF, listen_closed}, {0, NULL}};

/* ---- meeting: accept, connect; `fd` listens */

static void connect_to(struct op_place *place)
{
	struct sockaddr_in address = {0};
	socklen_t length = sizeof address;

	place->other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	MUST(getsockname(place->fd, (struct sockaddr *)&address, &length) == 0);
	MUST(connect(place->other, (struct sockaddr *)&address, length) == 0);
}

static void open_listener(struct op_place *place, bool ready)
{
	struct sockaddr_storage address;
	socklen_t length;

	place->fd = unit_listener(&address, &length);
	if (ready)
		connect_to(place);
}

static int64_t call_accept(struct op_place *place)
{
	return place->third = noria_accept(place->fd, NULL, NULL);
}

static int64_t call_accept4(struct op_place *place)
{
	struct sockaddr_in peer = {0};
	socklen_t length = sizeof peer;

	place->third = noria_accept4(place->fd, (struct sockaddr *)&peer, &length, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (place->third >= 0) {
		EXPECT_EQ(ntohs(peer.sin_port), port_of(place->other));
		EXPECT_EQ(fcntl(place->third, F_GETFD), FD_CLOEXEC);
		EXPECT(fcntl(place->third, F_GETFL) & O_NONBLOCK);
	}
	return place->third;
}

static void did_accept(struct op_place *place, int64_t result)
{
	char byte = 0;

	EXPECT_EQ(result, place->third);
	MUST(send(place->other, "x", 1, 0) == 1);
	EXPECT_EQ(noria_recv(place->third, &byte, 1, 0), 1);
}

/* Whoever connected is still there for the next call. */
static void not_accepted(struct op_place *place)
{
	did_accept(place, call_accept(place));
}

static int64_t accept_closed(struct op_place *place)
{
	(void)place;
	return noria_accept(9999, NULL, NULL);
}

static int64_t accept_on_connection(struct op_place *place)
{
	return noria_accept(place->other, NULL, NULL);
}

static int64_t accept_with_unknown_flags(struct op_place *place)
{
	return noria_accept4(place->fd, NULL, NULL, 1);
}

static const struct op_error accept_errors[] = {
	{-EBADF, accept_closed}, {-EINVAL, accept_on_connection}, {-EINVAL, accept_with_unknown_flags}, {0, NULL}};

static void open_target(struct op_place *place, bool ready)
{
	(void)ready;
	open_listener(place, false);
	place->other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	MUST(place->other >= 0);
}

static int64_t connect_with(struct op_place *place, int fd, socklen_t length)
{
	struct sockaddr_in address = {0};
	socklen_t whole = sizeof address;

	MUST(getsockname(place->fd, (struct sockaddr *)&address, &whole) == 0);
	return noria_connect(fd, (struct sockaddr *)&address, length);
}

static int64_t call_connect(struct op_place *place)
{
	return connect_with(place, place->other, sizeof(struct sockaddr_in));
}

static void did_connect(struct op_place *place, int64_t result)
{
	EXPECT_EQ(result, 0);
	place->third = accept4(place->fd, NULL, NULL, SOCK_CLOEXEC);
	EXPECT(place->third >= 0);
}

static void not_connected(struct op_place *place)
{
	MUST(fcntl(place->fd, F_SETFL, O_NONBLOCK) == 0);
	EXPECT_EQ(accept(place->fd, NULL, NULL), -1);
}

static int64_t connect_refused(struct op_place *place)
{
	struct sockaddr_in address = {0};
	socklen_t length = sizeof address;

	place->third = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	MUST(bind(place->third, (const struct sockaddr *)&loopback, sizeof loopback) == 0); /* and does not listen */
	MUST(getsockname(place->third, (struct sockaddr *)&address, &length) == 0);
	return noria_connect(place->other, (struct sockaddr *)&address, length);
}

static int64_t connect_twice(struct op_place *place)
{
	EXPECT_EQ(call_connect(place), 0);
	return call_connect(place);
}

static int64_t connect_short_address(struct op_place *place)
{
	return connect_with(place, place->other, 3);
}

static int64_t connect_closed(struct op_place *place)
{
	return connect_with(place, 9999, sizeof(struct sockaddr_in));
}

static const struct op_error connect_errors[] = {{-ECONNREFUSED, connect_refused},
						 {-EISCONN, connect_twice},
						 {-EINVAL, connect_short_address},
						 {-EBADF, connect_closed},
						 {0, NULL}};

/* ---- bytes: recv, send, messages, shutdown; `fd` and `other` are connected */

static void open_pair(struct op_place *place, bool ready)
{
	int pair[2];

	unit_tcp_pair(pair);
	place->fd = pair[0];
	place->other = pair[1];
	if (ready)
		MUST(send(place->other, "bytes", 5, 0) == 5);
}

static void send_bytes(struct op_place *place)
{
	MUST(send(place->other, "bytes", 5, 0) == 5);
}

static int64_t call_recv(struct op_place *place)
{
	return noria_recv(place->fd, place->buffer, sizeof place->buffer, 0);
}

static int64_t call_recvmsg(struct op_place *place)
{
	struct iovec parts[2] = {{place->buffer, 2}, {place->buffer + 2, sizeof place->buffer - 2}};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};

	return noria_recvmsg(place->fd, &message, 0);
}

static int64_t call_recv_all(struct op_place *place)
{
	return noria_recv_all(place->fd, place->buffer, 5, 0);
}

static void did_recv(struct op_place *place, int64_t result)
{
	EXPECT_EQ(result, 5);
	EXPECT(memcmp(place->buffer, "bytes", 5) == 0);
}

static void not_received(struct op_place *place)
{
	EXPECT_EQ(recv(place->fd, place->buffer, sizeof place->buffer, MSG_DONTWAIT), 5);
}

static int64_t recv_closed(struct op_place *place)
{
	return noria_recv(9999, place->buffer, 1, 0);
}

static int64_t recv_dontwait(struct op_place *place)
{
	EXPECT_EQ(call_recv(place), 5);
	return noria_recv(place->fd, place->buffer, 1, MSG_DONTWAIT);
}

static int64_t recv_directory(struct op_place *place)
{
	return noria_recv(place->dir, place->buffer, 1, 0);
}

static int64_t recv_unconnected(struct op_place *place)
{
	place->third = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return noria_recv(place->third, place->buffer, 1, 0);
}

static int64_t recv_reset(struct op_place *place)
{
	struct linger hard = {.l_onoff = 1};

	EXPECT_EQ(call_recv(place), 5);
	MUST(setsockopt(place->other, SOL_SOCKET, SO_LINGER, &hard, sizeof hard) == 0);
	MUST(close(place->other) == 0);
	place->other = -1;
	return call_recv(place);
}

static const struct op_error recv_errors[] = {{-EBADF, recv_closed},       {-EAGAIN, recv_dontwait},
					      {-ENOTSOCK, recv_directory}, {-ENOTCONN, recv_unconnected},
					      {-ECONNRESET, recv_reset},   {0, NULL}};

/* A send waits while the socket's buffers are full: `number` bytes are in them. */
static void open_full(struct op_place *place, bool ready)
{
	static const char block[4096];
	int pair[2];
	ssize_t r;

	unit_pair(pair);
	place->fd = pair[0];
	place->other = pair[1];
	while (!ready && (r = send(place->fd, block, sizeof block, MSG_DONTWAIT)) > 0)
		place->number += (uint64_t)r;
}

/* Takes out what was there before the call, so that what it sends comes next. */
static void drain(struct op_place *place)
{
	char block[4096];

	while (place->number > 0) {
		size_t wanted = place->number < sizeof block ? (size_t)place->number : sizeof block;
		ssize_t r = recv(place->other, block, wanted, 0);

		MUST(r > 0);
		place->number -= (uint64_t)r;
	}
}

static int64_t call_send(struct op_place *place)
{
	return noria_send(place->fd, "other", 5, 0);
}

static int64_t call_sendmsg(struct op_place *place)
{
	struct iovec parts[2] = {{(char[]){"ot"}, 2}, {(char[]){"her"}, 3}};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};

	return noria_sendmsg(place->fd, &message, 0);
}

static int64_t call_send_all(struct op_place *place)
{
	return noria_send_all(place->fd, "other", 5, 0);
}

static void did_send(struct op_place *place, int64_t result)
{
	EXPECT_EQ(result, 5);
	drain(place);
	EXPECT_EQ(recv(place->other, place->buffer, sizeof place->buffer, MSG_DONTWAIT), 5);
	EXPECT(memcmp(place->buffer, "other", 5) == 0);
}

static void not_sent(struct op_place *place)
{
	EXPECT_EQ(recv(place->other, place->buffer, 1, MSG_DONTWAIT), -1);
}

static int64_t send_closed(struct op_place *place)
{
	(void)place;
	return noria_send(9999, "x", 1, 0);
}

static int64_t send_to_nobody(struct op_place *place)
{
	MUST(close(place->other) == 0);
	place->other = -1;
	return call_send(place);
}

static int64_t sendmsg_to_nobody(struct op_place *place)
{
	MUST(close(place->other) == 0);
	place->other = -1;
	return call_sendmsg(place);
}

static int64_t send_full(struct op_place *place)
{
	static const char block[4096];
	int64_t r;

	do
		r = noria_send(place->fd, block, sizeof block, MSG_DONTWAIT);
	while (r > 0);
	return r;
}

static const struct op_error send_errors[] = {
	{-EBADF, send_closed}, {-EPIPE, send_to_nobody}, {-EAGAIN, send_full}, {0, NULL}};
static const struct op_error sendmsg_errors[] = {{-EPIPE, sendmsg_to_nobody}, {0, NULL}};

static int64_t call_shutdown(struct op_place *place)
{
	return noria_shutdown(place->other, SHUT_WR);
}

static void did_shutdown(struct op_place *place, int64_t result)
{
	EXPECT_EQ(result, 0);
	EXPECT_EQ(recv(place->fd, place->buffer, sizeof place->buffer, 0), 5);
	EXPECT_EQ(recv(place->fd, place->buffer, 1, 0), 0);
}

static int64_t shutdown_closed(struct op_place *place)
{
	(void)place;
	return noria_shutdown(9999, SHUT_WR);
}

static int64_t shutdown_strangely(struct op_place *place)
{
	return noria_shutdown(place->fd, 17);
}

static int64_t shutdown_unconnected(struct op_place *place)
{
	place->third = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return noria_shutdown(place->third, SHUT_WR);
}

static const struct op_error shutdown_errors[] = {
	{-EBADF, shutdown_closed}, {-EINVAL, shutdown_strangely}, {-ENOTCONN, shutdown_unconnected}, {0, NULL}};

#define ACCEPTS(name_, call_) \
	{ \
		.name = name_, .open = open_listener, .call = call_, .complete = connect_to, .did = did_accept, \
		.did_not = not_accepted, .close = close_all, .errors = accept_errors, \
	}
#define RECEIVES(name_, call_, errors_) \
	{ \
		.name = name_, .open = open_pair, .call = call_, .complete = send_bytes, .did = did_recv, \
		.did_not = not_received, .close = close_all, .errors = errors_, \
	}
#define SENDS(name_, call_, errors_) \
	{ \
		.name = name_, .open = open_full, .call = call_, .complete = drain, .did = did_send, \
		.did_not = not_sent, .close = close_all, .errors = errors_, \
	}

static const struct op_case cases[] = {
	{.name = "socket",
	 .open = open_nothing,
	 .call = call_socket,
	 .did = did_socket,
	 .close = close_all,
	 .errors = socket_errors},
	{.name = "bind",
	 .open = open_socket,
	 .call = call_bind,
	 .did = did_bind,
	 .did_not = not_bound,
	 .close = close_all,
	 .errors = bind_errors},
	{.name = "listen",
	 .open = open_socket,
	 .call = call_listen,
	 .did = did_listen,
	 .did_not = not_listening,
	 .close = close_all,
	 .errors = listen_errors},
	ACCEPTS("accept", call_accept),
	ACCEPTS("accept4", call_accept4),
	{.name = "connect",
	 .open = open_target,
	 .call = call_connect,
	 .did = did_connect,
	 .did_not = not_connected,
	 .close = close_all,
	 .errors = connect_errors},
	RECEIVES("recv", call_recv, recv_errors),
	RECEIVES("recvmsg", call_recvmsg, NULL),
	RECEIVES("recv_all", call_recv_all, NULL),
	SENDS("send", call_send, send_errors),
	SENDS("sendmsg", call_sendmsg, sendmsg_errors),
	SENDS("send_all", call_send_all, NULL),
	{.name = "shutdown",
	 .open = open_pair,
	 .call = call_shutdown,
	 .did = did_shutdown,
	 .close = close_all,
	 .errors = shutdown_errors,
	 .always = true},
	{0},
};

OPS(net_socket, cases)
