/* SPDX-License-Identifier: MIT */
/* Messages: with addresses, with descriptors beside the bytes, and without copying; and pairs of sockets. */
#include "ops.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <unistd.h>

static const struct sockaddr_in loopback = {.sin_family = AF_INET, .sin_addr.s_addr = 0x0100007f};

static int bound_udp(struct sockaddr_in *ret_address)
{
	socklen_t length = sizeof *ret_address;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	MUST(fd >= 0 && bind(fd, (const struct sockaddr *)&loopback, sizeof loopback) == 0);
	MUST(getsockname(fd, (struct sockaddr *)ret_address, &length) == 0);
	return fd;
}

/* `fd` receives what comes from `other`; their addresses are in `buffer` and `second`. */
static void open_udp(struct op_place *place, bool ready)
{
	struct sockaddr_in here, there;

	place->fd = bound_udp(&here);
	place->other = bound_udp(&there);
	memcpy(place->buffer, &here, sizeof here);
	memcpy(place->second, &there, sizeof there);
	if (ready)
		MUST(sendto(place->other, "bytes", 5, 0, (struct sockaddr *)&here, sizeof here) == 5);
}

static void send_datagram(struct op_place *place)
{
	MUST(sendto(place->other, "bytes", 5, 0, (struct sockaddr *)(void *)place->buffer,
		    sizeof(struct sockaddr_in)) == 5);
}

static void close_both(struct op_place *place)
{
	EXPECT_EQ(noria_close(place->fd), 0);
	EXPECT_EQ(noria_close(place->other), 0);
}

static int64_t call_recvfrom(struct op_place *place)
{
	struct sockaddr_in from = {0};
	socklen_t length = sizeof from;
	char bytes[8] = "";
	ssize_t r = noria_recvfrom(place->fd, bytes, sizeof bytes, 0, (struct sockaddr *)&from, &length);

	if (r < 0)
		return r;
	EXPECT_EQ(length, sizeof from);
	EXPECT(memcmp(&from, place->second, sizeof from) == 0);
	EXPECT(memcmp(bytes, "bytes", 5) == 0);
	return r;
}

static void did_five(struct op_place *place, int64_t result)
{
	(void)place;
	EXPECT_EQ(result, 5);
}

static void still_there(struct op_place *place)
{
	EXPECT_EQ(call_recvfrom(place), 5);
}

static int64_t recvfrom_dontwait(struct op_place *place)
{
	char bytes[8];

	EXPECT_EQ(call_recvfrom(place), 5);
	return noria_recvfrom(place->fd, bytes, sizeof bytes, MSG_DONTWAIT, NULL, NULL);
}

static int64_t recvfrom_closed(struct op_place *place)
{
	return noria_recvfrom(9999, place->buffer, sizeof place->buffer, 0, NULL, NULL);
}

static const struct op_error recvfrom_errors[] = {{-EAGAIN, recvfrom_dontwait}, {-EBADF, recvfrom_closed}, {0, NULL}};

static int64_t call_sendto(struct op_place *place)
{
	return noria_sendto(place->other, "other", 5, 0, (struct sockaddr *)(void *)place->buffer,
			    sizeof(struct sockaddr_in));
}

static void did_sendto(struct op_place *place, int64_t result)
{
	char bytes[8] = "";

	EXPECT_EQ(result, 5);
	EXPECT_EQ(recv(place->fd, bytes, sizeof bytes, 0), 5);
	EXPECT(memcmp(bytes, "bytes", 5) == 0);
	EXPECT_EQ(recv(place->fd, bytes, sizeof bytes, MSG_DONTWAIT), 5);
	EXPECT(memcmp(bytes, "other", 5) == 0);
}

static void not_sent(struct op_place *place)
{
	char bytes[8];

	EXPECT_EQ(recv(place->fd, bytes, sizeof bytes, 0), 5);
	EXPECT_EQ(recv(place->fd, bytes, sizeof bytes, MSG_DONTWAIT), -1);
}

static int64_t sendto_nobody(struct op_place *place)
{
	return noria_sendto(place->other, "x", 1, 0, NULL, 0);
}

static int64_t sendto_short_address(struct op_place *place)
{
	return noria_sendto(place->other, "x", 1, 0, (struct sockaddr *)(void *)place->buffer, 3);
}

static int64_t sendto_long(struct op_place *place)
{
	static char bytes[70000];

	return noria_sendto(place->other, bytes, sizeof bytes, 0, (struct sockaddr *)(void *)place->buffer,
			    sizeof(struct sockaddr_in));
}

static const struct op_error sendto_errors[] = {
	{-EDESTADDRREQ, sendto_nobody}, {-EINVAL, sendto_short_address}, {-EMSGSIZE, sendto_long}, {0, NULL}};

static void open_nothing(struct op_place *place, bool ready)
{
	(void)place, (void)ready;
}

static int64_t call_socketpair(struct op_place *place)
{
	int pair[2];
	int r = noria_socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);

	if (r >= 0) {
		place->fd = pair[0];
		place->other = pair[1];
	}
	return r;
}

static void did_socketpair(struct op_place *place, int64_t result)
{
	char bytes[8] = "";

	EXPECT_EQ(result, 0);
	EXPECT_EQ(noria_send(place->fd, "bytes", 5, 0), 5);
	EXPECT_EQ(noria_recv(place->other, bytes, sizeof bytes, 0), 5);
	EXPECT_EQ(noria_close(place->fd) | noria_close(place->other), 0);
}

static int64_t socketpair_inet(struct op_place *place)
{
	int pair[2];

	(void)place;
	return noria_socketpair(AF_INET, SOCK_STREAM, 0, pair);
}

static const struct op_error socketpair_errors[] = {{-EOPNOTSUPP, socketpair_inet}, {0, NULL}};

static void open_unix(struct op_place *place, bool ready)
{
	int pair[2];

	unit_pair(pair);
	place->fd = pair[0];
	place->other = pair[1];
	if (ready)
		MUST(noria_send_fds(place->other, "bytes", 5, 0, &place->dir, 1) == 5);
}

static void send_with_fd(struct op_place *place)
{
	MUST(noria_send_fds(place->other, "bytes", 5, 0, &place->dir, 1) == 5);
}

static int64_t call_recv_ancillary(struct op_place *place)
{
	int fds[2] = {-1, -1};
	struct noria_ancillary ancillary = {.fds = fds, .fds_room = 2, .fds_count = 7};
	ssize_t r = noria_recv_ancillary(place->fd, place->buffer, sizeof place->buffer, 0, &ancillary);

	if (r < 0) {
		EXPECT(ancillary.fds_count == 7 && fds[0] == -1);
		return r;
	}
	EXPECT_EQ(ancillary.fds_count, 1);
	EXPECT_EQ(ancillary.pid, 0);
	EXPECT_EQ(ancillary.pidfd, -1);
	EXPECT_EQ(fcntl(fds[0], F_GETFD), FD_CLOEXEC);
	EXPECT_EQ(faccessat(fds[0], ".", F_OK, 0), 0);
	EXPECT_EQ(noria_close(fds[0]), 0);
	return r;
}

static void not_taken(struct op_place *place)
{
	EXPECT_EQ(call_recv_ancillary(place), 5);
}

/* More than there is room for: all are closed, which the count of descriptors at the end proves. */
static int64_t recv_too_many(struct op_place *place)
{
	int fds[3] = {place->dir, place->dir, place->dir}, room;
	struct noria_ancillary ancillary = {.fds = &room, .fds_room = 1};

	EXPECT_EQ(call_recv_ancillary(place), 5);
	EXPECT_EQ(noria_send_fds(place->other, "many", 4, 0, fds, 3), 4);
	return noria_recv_ancillary(place->fd, place->buffer, sizeof place->buffer, 0, &ancillary);
}

static int64_t recv_no_room(struct op_place *place)
{
	struct noria_ancillary ancillary = {0};

	return noria_recv_ancillary(place->fd, place->buffer, sizeof place->buffer, 0, &ancillary);
}

static const struct op_error ancillary_errors[] = {{-EMSGSIZE, recv_too_many}, {-EMSGSIZE, recv_no_room}, {0, NULL}};

static int64_t call_send_fds(struct op_place *place)
{
	return noria_send_fds(place->fd, "bytes", 5, 0, &place->dir, 1);
}

static void did_send_fds(struct op_place *place, int64_t result)
{
	int swap = place->fd;

	EXPECT_EQ(result, 5);
	place->fd = place->other;
	EXPECT_EQ(call_recv_ancillary(place), 5);
	place->other = place->fd;
	place->fd = swap;
}

static void nothing_came(struct op_place *place)
{
	EXPECT_EQ(recv(place->other, place->buffer, 1, MSG_DONTWAIT), -1);
}

static int64_t send_no_byte(struct op_place *place)
{
	return noria_send_fds(place->fd, "", 0, 0, &place->dir, 1);
}

static int64_t send_too_many(struct op_place *place)
{
	int fds[NORIA_FDS_MAX + 1] = {0};

	return noria_send_fds(place->fd, "x", 1, 0, fds, NORIA_FDS_MAX + 1);
}

static int64_t send_closed_fd(struct op_place *place)
{
	return noria_send_fds(place->fd, "x", 1, 0, (int[]){9999}, 1);
}

static int64_t send_direct_fd(struct op_place *place)
{
	return noria_send_fds(place->fd, "x", 1, 0, (int[]){1 << 30}, 1);
}

static const struct op_error send_fds_errors[] = {{-EINVAL, send_no_byte},
						  {-EINVAL, send_too_many},
						  {-EBADF, send_closed_fd},
						  {-EOPNOTSUPP, send_direct_fd},
						  {0, NULL}};

/* A sender on TCP that waits while nobody receives. */
static void fill(struct op_place *place)
{
	static char bytes[1 << 16];

	for (int full = 0; full < 3; usleep(1000)) {
		ssize_t n = send(place->fd, bytes, sizeof bytes, MSG_DONTWAIT);

		full = n > 0 ? 0 : full + 1; /* what is on its way makes room again, for a moment */
		place->number += n > 0 ? (uint64_t)n : 0;
	}
}

static void open_tcp(struct op_place *place, bool ready)
{
	int pair[2];

	unit_tcp_pair(pair);
	place->fd = pair[0];
	place->other = pair[1];
	if (!ready)
		fill(place);
}

static void receive_filling(struct op_place *place)
{
	static char bytes[1 << 16];

	while (place->number > 0) {
		ssize_t n = recv(place->other, bytes, place->number < sizeof bytes ? place->number : sizeof bytes, 0);

		MUST(n > 0);
		place->number -= (uint64_t)n;
	}
}

static int64_t call_send_zc(struct op_place *place)
{
	return noria_send_zc(place->fd, "bytes", 5, 0);
}

static int64_t call_sendmsg_zc(struct op_place *place)
{
	struct iovec vector[2] = {{"by", 2}, {"tes", 3}};
	struct msghdr message = {.msg_iov = vector, .msg_iovlen = 2};

	return noria_sendmsg_zc(place->fd, &message, 0);
}

static void did_zc(struct op_place *place, int64_t result)
{
	EXPECT_EQ(result, 5);
	EXPECT(noria_zc_copied() || !noria_zc_copied());
	receive_filling(place);
	EXPECT_EQ(recv(place->other, place->buffer, 5, MSG_WAITALL), 5);
	EXPECT(memcmp(place->buffer, "bytes", 5) == 0);
}

static int64_t zc_closed(struct op_place *place)
{
	(void)place;
	return noria_send_zc(9999, "x", 1, 0);
}

static int64_t zc_msg_closed(struct op_place *place)
{
	struct msghdr message = {0};

	(void)place;
	return noria_sendmsg_zc(9999, &message, 0);
}

static int64_t zc_no_socket(struct op_place *place)
{
	return noria_send_zc(place->dir, "x", 1, 0);
}

static int64_t zc_epipe(struct op_place *place)
{
	MUST(shutdown(place->fd, SHUT_WR) == 0);
	return noria_send_zc(place->fd, "x", 1, 0);
}

static int64_t zc_dontwait(struct op_place *place)
{
	fill(place);
	return noria_send_zc(place->fd, "x", 1, MSG_DONTWAIT);
}

static const struct op_error zc_errors[] = {
	{-EBADF, zc_closed}, {-ENOTSOCK, zc_no_socket}, {-EPIPE, zc_epipe}, {-EAGAIN, zc_dontwait}, {0, NULL}};
static const struct op_error zc_msg_errors[] = {{-EBADF, zc_msg_closed}, {0, NULL}};

static const struct op_case cases[] = {
	{.name = "recvfrom",
	 .open = open_udp,
	 .call = call_recvfrom,
	 .complete = send_datagram,
	 .did = did_five,
	 .did_not = still_there,
	 .close = close_both,
	 .errors = recvfrom_errors},
	{.name = "sendto",
	 .open = open_udp,
	 .call = call_sendto,
	 .did = did_sendto,
	 .did_not = not_sent,
	 .close = close_both,
	 .errors = sendto_errors},
	{.name = "socketpair",
	 .open = open_nothing,
	 .call = call_socketpair,
	 .did = did_socketpair,
	 .errors = socketpair_errors},
	{.name = "recv_ancillary",
	 .open = open_unix,
	 .call = call_recv_ancillary,
	 .complete = send_with_fd,
	 .did = did_five,
	 .did_not = not_taken,
	 .close = close_both,
	 .errors = ancillary_errors},
	{.name = "send_fds",
	 .open = open_unix,
	 .call = call_send_fds,
	 .did = did_send_fds,
	 .did_not = nothing_came,
	 .close = close_both,
	 .errors = send_fds_errors},
	{.name = "send_zc",
	 .open = open_tcp,
	 .call = call_send_zc,
	 .complete = receive_filling,
	 .did = did_zc,
	 .did_not = nothing_came,
	 .close = close_both,
	 .errors = zc_errors},
	{.name = "sendmsg_zc",
	 .open = open_tcp,
	 .call = call_sendmsg_zc,
	 .complete = receive_filling,
	 .did = did_zc,
	 .did_not = nothing_came,
	 .close = close_both,
	 .errors = zc_msg_errors},
	{0},
};

OPS(net_message, cases)
