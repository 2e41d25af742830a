/* SPDX-License-Identifier: MIT */
/*
 * Families of sockets: datagrams and packets keep their bounds, abstract addresses work, options and names are those of
 * the system; descriptors and credentials that travel with bytes are neither lost nor left open; a zero-copy send gives
 * its buffer back.
 */
#include "unit.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <unistd.h>

/* A name without a file, of this process. */
static socklen_t abstract(struct sockaddr_un *ret_address, const char *name)
{
	*ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
	return (socklen_t)offsetof(struct sockaddr_un, sun_path) + 1 +
	       (socklen_t)snprintf(ret_address->sun_path + 1, sizeof ret_address->sun_path - 1, "noria-%d-%s",
				   (int)getpid(), name);
}

UNIT(net_family, datagrams_over_udp_keep_their_bounds_and_senders)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}, b = a, from = {0};
	socklen_t length = sizeof a;
	int one = noria_socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int two = noria_socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	char bytes[16] = "";

	MUST(one >= 0 && two >= 0);
	EXPECT_EQ(noria_bind(one, (struct sockaddr *)&a, sizeof a), 0);
	EXPECT_EQ(noria_bind(two, (struct sockaddr *)&b, sizeof b), 0);
	EXPECT_EQ(noria_getsockname(one, (struct sockaddr *)&a, &length), 0);
	length = sizeof b;
	EXPECT_EQ(noria_getsockname(two, (struct sockaddr *)&b, &length), 0);
	EXPECT_EQ(noria_sendto(one, "first", 5, 0, (struct sockaddr *)&b, sizeof b), 5);
	EXPECT_EQ(noria_sendto(one, "", 0, 0, (struct sockaddr *)&b, sizeof b), 0);
	EXPECT_EQ(noria_connect(one, (struct sockaddr *)&b, sizeof b), 0);
	EXPECT_EQ(noria_send(one, "third", 5, 0), 5);
	length = sizeof from;
	EXPECT_EQ(noria_recvfrom(two, bytes, 3, 0, (struct sockaddr *)&from, &length), 3); /* the rest is cut off */
	EXPECT(memcmp(bytes, "fir", 3) == 0 && from.sin_port == a.sin_port);
	EXPECT_EQ(noria_recvfrom(two, bytes, sizeof bytes, 0, NULL, NULL), 0);
	EXPECT_EQ(noria_recv(two, bytes, sizeof bytes, 0), 5);
	EXPECT(memcmp(bytes, "third", 5) == 0);
	length = sizeof from;
	EXPECT_EQ(noria_getpeername(one, (struct sockaddr *)&from, &length), 0);
	EXPECT_EQ(from.sin_port, b.sin_port);
	EXPECT_EQ(noria_getpeername(two, (struct sockaddr *)&from, &length), -ENOTCONN);
	EXPECT_EQ(noria_close(one) | noria_close(two), 0);
	return 0;
}

static struct sockaddr_un service;
static socklen_t service_length;

static int greet(void *arg)
{
	noria_autoclose int fd = noria_try(noria_socket(AF_UNIX, *(int *)arg | SOCK_CLOEXEC, 0));
	char bytes[8] = "";

	EXPECT_EQ(noria_connect(fd, (struct sockaddr *)&service, service_length), 0);
	EXPECT_EQ(noria_send(fd, "one", 3, 0), 3);
	EXPECT_EQ(noria_send(fd, "two!", 4, 0), 4);
	EXPECT_EQ(noria_recv(fd, bytes, sizeof bytes, 0), 2);
	return 0;
}

/* By an abstract address; a stream may join what packets keep apart. */
UNIT(net_family, unix_streams_and_packets_by_an_abstract_address)
{
	for (int i = 0; i < 2; i++) {
		int type = i ? SOCK_SEQPACKET : SOCK_STREAM, listener = noria_socket(AF_UNIX, type | SOCK_CLOEXEC, 0),
		    fd;
		struct sockaddr_un name;
		socklen_t length = sizeof name;
		struct noria_group group;
		char bytes[16] = "";

		service_length = abstract(&service, i ? "packets" : "stream");
		MUST(listener >= 0);
		EXPECT_EQ(noria_bind(listener, (struct sockaddr *)&service, service_length), 0);
		EXPECT_EQ(noria_listen(listener, 4), 0);
		EXPECT_EQ(noria_getsockname(listener, (struct sockaddr *)&name, &length), 0);
		EXPECT(length == service_length && memcmp(&name, &service, length) == 0);
		MUST(noria_group_open(&group) == 0);
		MUST(noria_spawn(&group, greet, &type) == 0);
		fd = noria_accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		MUST(fd >= 0);
		if (type == SOCK_SEQPACKET)
			EXPECT_EQ(noria_recv(fd, bytes, sizeof bytes, 0), 3);
		EXPECT_EQ(noria_recv_all(fd, bytes, i ? 4 : 7, 0), i ? 4 : 7);
		EXPECT_EQ(noria_send(fd, "ok", 2, 0), 2);
		EXPECT_EQ(noria_group_close(&group, 0), 0);
		EXPECT_EQ(noria_close(fd) | noria_close(listener), 0);
	}
	return 0;
}

UNIT(net_family, unix_datagrams_by_an_abstract_address)
{
	struct sockaddr_un here, from = {0};
	socklen_t length = abstract(&here, "datagrams"), from_length = sizeof from;
	int fd = noria_socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	char bytes[8] = "";

	MUST(fd >= 0);
	EXPECT_EQ(noria_bind(fd, (struct sockaddr *)&here, length), 0);
	EXPECT_EQ(noria_sendto(fd, "me", 2, 0, (struct sockaddr *)&here, length), 2);
	EXPECT_EQ(noria_recvfrom(fd, bytes, sizeof bytes, 0, (struct sockaddr *)&from, &from_length), 2);
	EXPECT(from_length == length && memcmp(&from, &here, length) == 0);
	EXPECT_EQ(noria_close(fd), 0);
	return 0;
}

UNIT(net_family, options_are_those_of_the_system)
{
	int pair[2], value = 1, other = 0;
	socklen_t length = sizeof other;
	struct ucred peer = {0};
	socklen_t peer_length = sizeof peer;
	struct noria_scope scope;

	unit_tcp_pair(pair);
	/* Not a checkpoint: clean-up may set what it needs. */
	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
	noria_scope_cancel(&scope);
	EXPECT_EQ(noria_setsockopt(pair[0], IPPROTO_TCP, TCP_NODELAY, &value, sizeof value), 0);
	EXPECT_EQ(noria_scope_close(&scope, 0), 0);
	EXPECT_EQ(noria_getsockopt(pair[0], IPPROTO_TCP, TCP_NODELAY, &other, &length), 0);
	EXPECT(other != 0 && length == sizeof other);
	EXPECT_EQ(noria_getsockopt(pair[0], SOL_SOCKET, 9999, &other, &length), -ENOPROTOOPT);
	EXPECT_EQ(noria_setsockopt(pair[0], SOL_SOCKET, SO_KEEPALIVE, &value, 1), -EINVAL);
	EXPECT_EQ(noria_setsockopt(9999, SOL_SOCKET, SO_KEEPALIVE, &value, sizeof value), -EBADF);
	EXPECT_EQ(noria_getsockname(9999, NULL, NULL), -EBADF);
	EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]), 0);
	EXPECT_EQ(noria_socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	EXPECT_EQ(noria_getsockopt(pair[0], SOL_SOCKET, SO_PEERCRED, &peer, &peer_length), 0);
	EXPECT(peer.pid == getpid() && peer.uid == getuid() && peer.gid == getgid());
	EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]), 0);
	return 0;
}

UNIT(net_family, credentials_come_with_a_message)
{
	struct noria_ancillary ancillary = {0};
	int pair[2], on = 1, by_pidfd;
	char bytes[8];

	unit_pair(pair);
	EXPECT_EQ(noria_setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on), 0);
	by_pidfd = noria_setsockopt(pair[1], SOL_SOCKET, 76 /* SO_PASSPIDFD, Linux 6.5 */, &on, sizeof on);
	EXPECT(by_pidfd == 0 || by_pidfd == -ENOPROTOOPT);
	EXPECT_EQ(noria_send(pair[0], "hello", 5, 0), 5);
	EXPECT_EQ(noria_recv_ancillary(pair[1], bytes, sizeof bytes, 0, &ancillary), 5);
	EXPECT(ancillary.pid == getpid() && ancillary.uid == getuid() && ancillary.gid == getgid());
	EXPECT_EQ(ancillary.fds_count, 0);
	EXPECT_EQ(ancillary.pidfd >= 0, by_pidfd == 0);
	if (ancillary.pidfd >= 0)
		EXPECT_EQ(noria_close(ancillary.pidfd), 0);
	EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]), 0);
	return 0;
}

UNIT(net_family, as_many_descriptors_as_one_message_takes)
{
	static int fds[NORIA_FDS_MAX];
	struct noria_ancillary ancillary = {.fds = fds, .fds_room = NORIA_FDS_MAX};
	int pair[2];
	char byte;

	unit_pair(pair);
	for (int i = 0; i < NORIA_FDS_MAX; i++)
		fds[i] = pair[i % 2];
	EXPECT_EQ(noria_send_fds(pair[0], "x", 1, 0, fds, NORIA_FDS_MAX), 1);
	EXPECT_EQ(noria_recv_ancillary(pair[1], &byte, 1, 0, &ancillary), 1);
	MUST(ancillary.fds_count == NORIA_FDS_MAX);
	for (int i = 0; i < NORIA_FDS_MAX; i++)
		EXPECT_EQ(noria_close(fds[i]), 0);
	EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]), 0);
	return 0;
}

/* The process may have one more only: of three that come none stays open. */
UNIT(net_family, too_few_descriptors_leave_none_half_received)
{
	int fds[3] = {0, 0, 0}, pair[2];
	struct noria_ancillary ancillary = {.fds = fds, .fds_room = 3};
	struct rlimit before, few;
	char bytes[4] = "";

	unit_pair(pair);
	EXPECT_EQ(noria_send_fds(pair[0], "abc", 3, 0, fds, 3), 3);
	MUST(getrlimit(RLIMIT_NOFILE, &before) == 0);
	few = before;
	few.rlim_cur = (rlim_t)dup(0) + 1;
	MUST(close((int)few.rlim_cur - 1) == 0);
	MUST(setrlimit(RLIMIT_NOFILE, &few) == 0);
	EXPECT_EQ(noria_recv_ancillary(pair[1], bytes, sizeof bytes, 0, &ancillary), -EMFILE);
	EXPECT(strstr(noria_message(), "RLIMIT_NOFILE"));
	EXPECT_EQ(noria_progress(), 3);
	EXPECT(memcmp(bytes, "abc", 3) == 0);
	MUST(setrlimit(RLIMIT_NOFILE, &before) == 0);
	EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]), 0);
	return 0;
}

/* Nor is it told that no pidfd was asked for, when there is only no room for it. */
UNIT(net_family, a_pidfd_that_cannot_be_had_is_told)
{
	struct noria_ancillary ancillary = {0};
	struct rlimit before, few;
	int pair[2], on = 1;
	char byte = 0;

	unit_pair(pair);
	if (noria_setsockopt(pair[1], SOL_SOCKET, 76 /* SO_PASSPIDFD, Linux 6.5 */, &on, sizeof on) == 0) {
		EXPECT_EQ(noria_send(pair[0], "x", 1, 0), 1);
		MUST(getrlimit(RLIMIT_NOFILE, &before) == 0);
		few = before;
		few.rlim_cur = (rlim_t)dup(0);
		MUST(close((int)few.rlim_cur) == 0);
		MUST(setrlimit(RLIMIT_NOFILE, &few) == 0);
		EXPECT_EQ(noria_recv_ancillary(pair[1], &byte, 1, 0, &ancillary), -EMFILE);
		EXPECT(noria_progress() == 1 && byte == 'x');
		MUST(setrlimit(RLIMIT_NOFILE, &before) == 0);
	}
	EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]), 0);
	return 0;
}

static char large[4 << 20];

static int receive_all(void *arg)
{
	static char bytes[1 << 16];
	size_t sum = 0;
	ssize_t n;

	while ((n = noria_recv(*(int *)arg, bytes, sizeof bytes, 0)) > 0) {
		for (ssize_t i = 0; i < n; i++)
			if (bytes[i] != (char)((sum + (size_t)i) * 131 >> 3))
				return -EIO;
		sum += (size_t)n;
	}
	return sum == sizeof large ? (int)n : -EIO;
}

/* R02: when the call has returned the buffer is ours: it is overwritten at once, and the peer gets what was sent. */
UNIT(net_family, r02_a_zero_copy_send_returns_when_the_buffer_is_free)
{
	struct noria_group group;
	int pair[2];

	unit_tcp_pair(pair);
	for (size_t i = 0; i < sizeof large; i++)
		large[i] = (char)(i * 131 >> 3);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, receive_all, &pair[1]) == 0);
	for (size_t done = 0; done < sizeof large;) {
		size_t size = sizeof large - done < 100000 ? sizeof large - done : 100000;
		ssize_t n = noria_send_zc(pair[0], large + done, size, MSG_WAITALL);

		MUST(n == (ssize_t)size);
		memset(large + done, 'x', size);
		done += size;
	}
	EXPECT_EQ(noria_shutdown(pair[0], SHUT_WR), 0);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]), 0);
	return 0;
}

static struct noria_scope sending;
static ssize_t sent;
static bool has_sent;

/* What it sent is overwritten as soon as it may be. */
static int send_and_overwrite(void *arg)
{
	MUST(noria_scope_open(&sending, NORIA_FOREVER, 0) == 0);
	sent = noria_send_zc(*(int *)arg, large, sizeof large, 0);
	memset(large, 'x', sizeof large);
	(void)!noria_scope_close(&sending, 0);
	has_sent = true;
	return 0;
}

static size_t read_rest(int fd)
{
	static char bytes[1 << 16];
	size_t sum = 0;
	ssize_t n;

	while ((n = noria_recv(fd, bytes, sizeof bytes, 0)) > 0) {
		for (ssize_t i = 0; i < n; i++)
			MUST(bytes[i] == (char)((sum + (size_t)i) * 131 >> 3));
		sum += (size_t)n;
	}
	return sum;
}

/* R10, R02: the peer reads nothing; the close does not wait for it, the buffer does, whatever else comes. */
UNIT(net_family, r10_a_close_does_not_wait_for_the_reader_of_a_zero_copy_send)
{
	for (int reset = 0; reset < 2; reset++) {
		struct linger linger = {.l_onoff = reset};
		struct noria_group group;
		size_t rest = 0;
		int pair[2];

		unit_tcp_pair(pair);
		MUST(setsockopt(pair[0], SOL_SOCKET, SO_LINGER, &linger, sizeof linger) == 0);
		for (size_t i = 0; i < sizeof large; i++)
			large[i] = (char)(i * 131 >> 3);
		has_sent = false;
		MUST(noria_group_open(&group) == 0);
		MUST(noria_spawn(&group, send_and_overwrite, &pair[0]) == 0);
		EXPECT_EQ(noria_poll(pair[1], POLLIN), POLLIN);
		noria_scope_cancel(&sending); /* which hurries nothing */
		EXPECT_EQ(noria_close(pair[0]), 0);
		if (!reset)
			rest = read_rest(pair[1]);
		UNTIL(has_sent);
		EXPECT(reset || rest == (size_t)sent);
		EXPECT(sent > 0);
		EXPECT_EQ(noria_group_close(&group, 0), 0);
		EXPECT_EQ(noria_close(pair[1]), 0);
	}
	return 0;
}

static int given_up_after(int fd)
{
	socklen_t length = sizeof(int);
	int ms = 0;

	MUST(getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, &length) == 0);
	return ms;
}

/*
 * R10, R12: the peer never reads. A cancel and a close, each before the result and after it, set a limit, and by that
 * the kernel lets go of the bytes; the test does not wait for the whole of it.
 */
UNIT(net_family, r12_a_zero_copy_send_does_not_wait_for_ever)
{
	for (int how = 0; how < 4; how++) {
		bool close_it = how & 1, early = how & 2;
		struct noria_group group;
		int pair[2], same;

		unit_tcp_pair(pair);
		MUST((same = dup(pair[0])) >= 0);
		has_sent = false;
		MUST(noria_group_open(&group) == 0);
		MUST(noria_spawn(&group, send_and_overwrite, &pair[0]) == 0);
		if (early)
			MUST(noria_yield() == 0);
		else
			EXPECT_EQ(noria_poll(pair[1], POLLIN), POLLIN);
		EXPECT(early || given_up_after(same) == 0);
		if (close_it)
			EXPECT_EQ(noria_close(pair[0]), 0);
		else
			noria_scope_cancel(&sending);
		if (!early)
			EXPECT_EQ(given_up_after(same), 20000);
		MUST(setsockopt(same, IPPROTO_TCP, TCP_USER_TIMEOUT, &(int){100}, sizeof(int)) == 0);
		EXPECT_EQ(noria_group_close(&group, 0), 0);
		EXPECT(has_sent);
		EXPECT_EQ(close_it ? 0 : noria_close(pair[0]), 0);
		EXPECT_EQ(noria_close(same) | noria_close(pair[1]), 0);
	}
	return 0;
}

/* Unix sockets cannot: the bytes are copied, and it can be asked. */
UNIT(net_family, a_zero_copy_send_copies_where_it_must)
{
	struct iovec vector = {.iov_base = "world", .iov_len = 5};
	struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
	char bytes[16] = "";
	int pair[2];

	unit_pair(pair);
	EXPECT_EQ(noria_send_zc(pair[0], "hello", 5, 0), 5);
	EXPECT(noria_zc_copied());
	EXPECT_EQ(noria_sendmsg_zc(pair[0], &message, 0), 5);
	EXPECT(noria_zc_copied());
	EXPECT_EQ(noria_recv_all(pair[1], bytes, 10, 0), 10);
	EXPECT(memcmp(bytes, "helloworld", 10) == 0);
	EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]), 0);
	return 0;
}
