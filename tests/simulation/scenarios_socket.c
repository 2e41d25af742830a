/* SPDX-License-Identifier: MIT */
/* Sockets and pipes, one operation at a time. */
#include "rig.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#define MS INT64_C(1000000)

static void refusals(struct rig *rig)
{
	struct sockaddr_in nobody = {.sin_family = AF_INET, .sin_port = htons(1)};
	char byte = 'x';
	int fd, pair[2];

	nobody.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	rig_do(rig, "family", io_uring_prep_socket, 9999, SOCK_STREAM, 0, 0);
	rig_do(rig, "closed", io_uring_prep_recv, 99999, &byte, 1, 0);
	fd = rig_fd(rig, "socket", io_uring_prep_socket, AF_INET, SOCK_STREAM, 0, 0);
	rig_do(rig, "not connected", io_uring_prep_recv, fd, &byte, 1, 0);
	rig_do(rig, "not connected, send", io_uring_prep_send, fd, &byte, 1, MSG_NOSIGNAL);
	rig_do(rig, "refused", io_uring_prep_connect, fd, (struct sockaddr *)&nobody, sizeof nobody);
	rig_do(rig, "shutdown", io_uring_prep_shutdown, fd, SHUT_WR);
	rig_do(rig, "accept", io_uring_prep_accept, fd, NULL, NULL, 0);
	rig_close(rig, fd);
	rig_pipe(rig, pair);
	rig_do(rig, "no socket", io_uring_prep_recv, pair[0], &byte, 1, 0);
	rig_do(rig, "wrong end", io_uring_prep_write, pair[0], &byte, 1, 0);
	rig_close(rig, pair[0]);
	rig_do(rig, "no reader", io_uring_prep_write, pair[1], &byte, 1, 0);
	rig_close(rig, pair[1]);
}

static void exchange(struct rig *rig, int pair[2])
{
	char buffer[64] = {0};
	unsigned tag;

	tag = rig_put(rig, "recv", 0, io_uring_prep_recv, pair[1], buffer, sizeof buffer, 0);
	rig_settle(rig, 1 * MS);
	rig_do(rig, "send", io_uring_prep_send, pair[0], "hello", 5, MSG_NOSIGNAL);
	rig_wait(rig, tag);
	rig_say(rig, " got %.5s", buffer);
	rig_do(rig, "send", io_uring_prep_send, pair[0], "world", 5, MSG_NOSIGNAL);
	rig_settle(rig, 1 * MS);
	rig_do(rig, "peek", io_uring_prep_recv, pair[1], buffer, sizeof buffer, MSG_PEEK);
	rig_do(rig, "read", io_uring_prep_read, pair[1], buffer, 3, 0);
	rig_say(rig, " got %.3s", buffer);
	rig_do(rig, "dontwait", io_uring_prep_recv, pair[1], buffer, sizeof buffer, MSG_DONTWAIT);
	rig_do(rig, "dontwait", io_uring_prep_recv, pair[1], buffer, sizeof buffer, MSG_DONTWAIT);
	rig_do(rig, "shutdown", io_uring_prep_shutdown, pair[0], SHUT_WR);
	rig_do(rig, "end", io_uring_prep_recv, pair[1], buffer, sizeof buffer, 0);
	rig_do(rig, "end again", io_uring_prep_recv, pair[1], buffer, sizeof buffer, 0);
	rig_do(rig, "after shutdown", io_uring_prep_send, pair[0], "x", 1, MSG_NOSIGNAL);
	rig_do(rig, "the other way", io_uring_prep_send, pair[1], "x", 1, MSG_NOSIGNAL);
	rig_do(rig, "the other way", io_uring_prep_recv, pair[0], buffer, 1, 0);
	rig_close(rig, pair[0]);
	rig_close(rig, pair[1]);
}

static void unix_exchange(struct rig *rig)
{
	int pair[2];

	rig_pair(rig, pair);
	exchange(rig, pair);
}

static void tcp_exchange(struct rig *rig)
{
	int pair[2];

	rig_tcp_pair(rig, pair);
	exchange(rig, pair);
}

/* Closed with bytes that nobody has read: a reset. Told of once, and then it is the end. */
static void tcp_reset(struct rig *rig)
{
	char buffer[16];
	int pair[2];

	rig_tcp_pair(rig, pair);
	rig_do(rig, "send", io_uring_prep_send, pair[0], "unread", 6, MSG_NOSIGNAL);
	rig_settle(rig, 1 * MS);
	rig_close(rig, pair[1]);
	rig_settle(rig, 1 * MS);
	rig_do(rig, "reset", io_uring_prep_recv, pair[0], buffer, sizeof buffer, 0);
	rig_do(rig, "then the end", io_uring_prep_recv, pair[0], buffer, sizeof buffer, 0);
	rig_do(rig, "and no way", io_uring_prep_send, pair[0], "x", 1, MSG_NOSIGNAL);
	rig_close(rig, pair[0]);
}

static void unix_peer_closes(struct rig *rig)
{
	char buffer[16];
	int pair[2];

	rig_pair(rig, pair);
	rig_do(rig, "send", io_uring_prep_send, pair[1], "last", 4, MSG_NOSIGNAL);
	rig_close(rig, pair[1]);
	rig_do(rig, "recv", io_uring_prep_recv, pair[0], buffer, sizeof buffer, 0);
	rig_do(rig, "end", io_uring_prep_recv, pair[0], buffer, sizeof buffer, 0);
	rig_do(rig, "no peer", io_uring_prep_send, pair[0], "x", 1, MSG_NOSIGNAL);
	rig_close(rig, pair[0]);
}

/* MSG_WAITALL waits for all of it; a cancel brings what there is. */
static void wait_for_all(struct rig *rig)
{
	char buffer[16];
	unsigned tag;
	int pair[2];

	rig_pair(rig, pair);
	tag = rig_put(rig, "all", 0, io_uring_prep_recv, pair[0], buffer, 8, MSG_WAITALL);
	rig_do(rig, "send", io_uring_prep_send, pair[1], "1234", 4, 0);
	rig_settle(rig, 1 * MS);
	rig_do(rig, "send", io_uring_prep_send, pair[1], "5678", 4, 0);
	rig_wait(rig, tag);
	rig_say(rig, " got %.8s", buffer);
	tag = rig_put(rig, "part", 0, io_uring_prep_recv, pair[0], buffer, 8, MSG_WAITALL);
	rig_do(rig, "send", io_uring_prep_send, pair[1], "abc", 3, 0);
	rig_settle(rig, 1 * MS);
	rig_do(rig, "cancel", io_uring_prep_cancel64, (uint64_t)(tag + 1) << 3, 0);
	rig_wait(rig, tag);
	rig_put(rig, "cut", IOSQE_IO_LINK, io_uring_prep_recv, pair[0], buffer, 8, MSG_WAITALL);
	rig_put(rig, "linked", 0, io_uring_prep_nop);
	rig_settle(rig, 1 * MS);
	rig_do(rig, "send", io_uring_prep_send, pair[1], "de", 2, 0);
	rig_close(rig, pair[1]);
	rig_settle(rig, 5 * MS);
	rig_close(rig, pair[0]);
}

static void sends_without_copying(struct rig *rig)
{
	char buffer[4096] = {0};
	unsigned tag;
	int pair[2];

	rig_tcp_pair(rig, pair);
	tag = rig_put(rig, "send_zc", 0, io_uring_prep_send_zc, pair[0], buffer, sizeof buffer, MSG_NOSIGNAL, 0);
	rig_settle(rig, 1 * MS);
	rig_do(rig, "recv", io_uring_prep_recv, pair[1], buffer, sizeof buffer, MSG_WAITALL);
	rig_wait(rig, tag);
	rig_close(rig, pair[0]);
	rig_close(rig, pair[1]);
}

static void datagrams(struct rig *rig)
{
	struct sockaddr_in address, from = {0};
	char buffer[16] = {0};
	struct iovec vector = {.iov_base = buffer, .iov_len = sizeof buffer};
	struct msghdr message = {.msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &vector, .msg_iovlen = 1};
	int in = rig_udp(rig, &address), out = rig_fd(rig, "socket", io_uring_prep_socket, AF_INET, SOCK_DGRAM, 0, 0);
	unsigned tag;

	rig_do(rig, "connect", io_uring_prep_connect, out, (struct sockaddr *)&address, sizeof address);
	tag = rig_put(rig, "recvmsg", 0, io_uring_prep_recvmsg, in, &message, 0);
	rig_settle(rig, 1 * MS);
	rig_do(rig, "send", io_uring_prep_send, out, "one", 3, 0);
	rig_wait(rig, tag);
	rig_say(rig, " got %.3s of family %d, %u, flags %x", buffer, from.sin_family, message.msg_namelen,
		(unsigned)message.msg_flags);
	rig_do(rig, "send", io_uring_prep_send, out, "a longer message, cut", 21, 0);
	rig_settle(rig, 1 * MS);
	message.msg_namelen = sizeof from;
	rig_do(rig, "cut", io_uring_prep_recvmsg, in, &message, 0);
	rig_say(rig, " flags %x", (unsigned)message.msg_flags);
	rig_do(rig, "send", io_uring_prep_send, out, "", 0, 0);
	rig_settle(rig, 1 * MS);
	rig_do(rig, "empty", io_uring_prep_recv, in, buffer, sizeof buffer, 0);
	rig_close(rig, in);
	rig_do(rig, "nobody", io_uring_prep_send, out, "x", 1, 0);
	rig_settle(rig, 1 * MS);
	rig_do(rig, "told of it", io_uring_prep_recv, out, buffer, sizeof buffer, MSG_DONTWAIT);
	rig_close(rig, out);
}

static void closed_while_it_waits(struct rig *rig)
{
	char byte;
	unsigned tag;
	int pair[2];

	rig_pair(rig, pair);
	tag = rig_put(rig, "recv", 0, io_uring_prep_recv, pair[0], &byte, 1, 0);
	rig_settle(rig, 1 * MS);
	rig_close(rig, pair[0]);
	rig_settle(rig, 1 * MS);
	rig_do(rig, "send", io_uring_prep_send, pair[1], "x", 1, MSG_NOSIGNAL);
	rig_wait(rig, tag);
	rig_close(rig, pair[1]);
}

static void pipes(struct rig *rig)
{
	static char page[65536 + 4096];
	char buffer[64] = {0};
	unsigned tag;
	int pair[2];

	rig_pipe(rig, pair);
	tag = rig_put(rig, "read", 0, io_uring_prep_read, pair[0], buffer, sizeof buffer, 0);
	rig_settle(rig, 1 * MS);
	rig_do(rig, "write", io_uring_prep_write, pair[1], "bytes", 5, 0);
	rig_wait(rig, tag);
	rig_say(rig, " got %.5s", buffer);
	rig_do(rig, "as many as there is room for", io_uring_prep_write, pair[1], page, 65536, 0);
	tag = rig_put(rig, "full", 0, io_uring_prep_write, pair[1], page, 4096, 0);
	rig_settle(rig, 1 * MS);
	rig_do(rig, "read", io_uring_prep_read, pair[0], page, 65536, 0);
	rig_wait(rig, tag);
	rig_close(rig, pair[1]);
	rig_do(rig, "read", io_uring_prep_read, pair[0], page, 65536, 0);
	rig_do(rig, "end", io_uring_prep_read, pair[0], page, 1, 0);
	rig_close(rig, pair[0]);
}

static void splices(struct rig *rig)
{
	char buffer[64] = {0};
	int a[2], b[2], pair[2];

	rig_pipe(rig, a);
	rig_pipe(rig, b);
	rig_pair(rig, pair);
	rig_do(rig, "write", io_uring_prep_write, a[1], "bytes", 5, 0);
	rig_do(rig, "tee", io_uring_prep_tee, a[0], b[1], 64, 0);
	rig_do(rig, "read", io_uring_prep_read, b[0], buffer, 64, 0);
	rig_say(rig, " got %.5s", buffer);
	rig_do(rig, "splice", io_uring_prep_splice, a[0], -1, pair[0], -1, 3, 0);
	rig_do(rig, "recv", io_uring_prep_recv, pair[1], buffer, 64, 0);
	rig_do(rig, "read", io_uring_prep_read, a[0], buffer, 64, 0);
	rig_say(rig, " got %.2s", buffer);
	rig_close(rig, a[1]);
	rig_do(rig, "end", io_uring_prep_splice, a[0], -1, pair[0], -1, 3, 0);
	rig_close(rig, a[0]);
	rig_close(rig, b[0]);
	rig_close(rig, b[1]);
	rig_close(rig, pair[0]);
	rig_close(rig, pair[1]);
}

const struct scenario socket_scenarios[] = {
	{"refusals", refusals, FEATURE_BIND_LISTEN},
	{"unix exchange", unix_exchange, RIG_ANY},
	{"tcp exchange", tcp_exchange, FEATURE_BIND_LISTEN},
	{"tcp reset", tcp_reset, FEATURE_BIND_LISTEN},
	{"unix peer closes", unix_peer_closes, RIG_ANY},
	{"wait for all", wait_for_all, RIG_ANY},
	{"sends without copying", sends_without_copying, FEATURE_SEND_ZC},
	{"datagrams", datagrams, FEATURE_BIND_LISTEN},
	{"closed while it waits", closed_while_it_waits, RIG_ANY},
	{"pipes", pipes, RIG_ANY},
	{"splices", splices, RIG_ANY},
	{NULL},
};
