/* SPDX-License-Identifier: MIT */
/* The operations of sockets: what they do, and the errors they pass on from the system call of their name. */
#include "unit.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <unistd.h>

static const struct sockaddr_in loopback = {.sin_family = AF_INET, .sin_addr.s_addr = 0x0100007f};
static struct sockaddr_in server_address;

static int connect_and_talk(__attribute__((unused)) void *arg)
{
	char buffer[16] = "";
	int fd = noria_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	MUST(fd >= 0);
	EXPECT_EQ(noria_connect(fd, (struct sockaddr *)&server_address, sizeof server_address), 0);
	EXPECT_EQ(noria_send(fd, "question", 8, 0), 8);
	EXPECT_EQ(noria_shutdown(fd, SHUT_WR), 0);
	EXPECT_EQ(noria_recv_all(fd, buffer, 6, 0), 6);
	EXPECT(memcmp(buffer, "answer", 6) == 0);
	EXPECT_EQ(noria_recv(fd, buffer, sizeof buffer, 0), 0);
	EXPECT_EQ(noria_close(fd), 0);
	return 0;
}

UNIT(socket, a_conversation_over_tcp)
{
	struct sockaddr_in peer = {0};
	socklen_t length = sizeof server_address, peer_length = sizeof peer;
	struct noria_group group;
	char buffer[16];
	int listener = noria_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fd;

	MUST(listener >= 0);
	MUST(fcntl(listener, F_GETFD) == FD_CLOEXEC);
	EXPECT_EQ(noria_bind(listener, (const struct sockaddr *)&loopback, sizeof loopback), 0);
	EXPECT_EQ(noria_listen(listener, 16), 0);
	MUST(getsockname(listener, (struct sockaddr *)&server_address, &length) == 0);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, connect_and_talk, NULL) == 0);
	fd = noria_accept4(listener, (struct sockaddr *)&peer, &peer_length, SOCK_CLOEXEC | SOCK_NONBLOCK);
	MUST(fd >= 0);
	EXPECT_EQ(peer_length, sizeof peer);
	EXPECT_EQ(peer.sin_family, AF_INET);
	EXPECT_EQ(peer.sin_addr.s_addr, loopback.sin_addr.s_addr);
	EXPECT_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	EXPECT(fcntl(fd, F_GETFL) & O_NONBLOCK);
	EXPECT_EQ(noria_recv_all(fd, buffer, sizeof buffer, 0), 8);
	EXPECT(memcmp(buffer, "question", 8) == 0);
	EXPECT_EQ(noria_send_all(fd, "answer", 6, 0), 6);
	EXPECT_EQ(noria_close(fd), 0);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT_EQ(noria_close(listener), 0);
	return 0;
}

UNIT(socket, a_bad_descriptor_is_ebadf)
{
	struct iovec vector = {.iov_base = (char[1]){0}, .iov_len = 1};
	struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
	char byte = 0;
	int gone = dup(0);

	MUST(gone >= 0 && close(gone) == 0);
	EXPECT_EQ(noria_bind(gone, (const struct sockaddr *)&loopback, sizeof loopback), -EBADF);
	EXPECT_EQ(noria_listen(gone, 1), -EBADF);
	EXPECT_EQ(noria_accept(gone, NULL, NULL), -EBADF);
	EXPECT_EQ(noria_accept4(gone, NULL, NULL, 0), -EBADF);
	EXPECT_EQ(noria_connect(gone, (const struct sockaddr *)&loopback, sizeof loopback), -EBADF);
	EXPECT_EQ(noria_shutdown(gone, SHUT_RDWR), -EBADF);
	EXPECT_EQ(noria_recv(gone, &byte, 1, 0), -EBADF);
	EXPECT_EQ(noria_recv(gone, &byte, 1, MSG_DONTWAIT), -EBADF);
	EXPECT_EQ(noria_send(gone, &byte, 1, 0), -EBADF);
	EXPECT_EQ(noria_recvmsg(gone, &message, 0), -EBADF);
	EXPECT_EQ(noria_sendmsg(gone, &message, 0), -EBADF);
	EXPECT_EQ(noria_poll(gone, POLLIN), -EBADF);
	EXPECT_EQ(noria_close(gone), -EBADF);
	EXPECT_EQ(noria_close(-1), -EBADF);
	EXPECT_EQ(noria_recv(-1, &byte, 1, 0), -EBADF);
	return 0;
}

UNIT(socket, errors_of_connecting_and_listening)
{
	struct sockaddr_storage address;
	socklen_t length;
	int listener = unit_listener(&address, &length), fd = noria_socket(AF_INET, SOCK_STREAM, 0), other;

	MUST(fd >= 0);
	EXPECT_EQ(noria_socket(AF_UNSPEC, SOCK_STREAM, 0), -EAFNOSUPPORT);
	EXPECT_EQ(noria_socket(AF_INET, SOCK_STREAM, IPPROTO_UDP), -EPROTONOSUPPORT);
	EXPECT_EQ(noria_bind(fd, (struct sockaddr *)&address, length), -EADDRINUSE);
	EXPECT_EQ(noria_accept(fd, NULL, NULL), -EINVAL);
	EXPECT_EQ(noria_recv(fd, &other, sizeof other, 0), -ENOTCONN);
	EXPECT_EQ(noria_shutdown(fd, SHUT_RDWR), -ENOTCONN);
	EXPECT_EQ(noria_close(listener), 0);
	EXPECT_EQ(noria_connect(fd, (struct sockaddr *)&address, length), -ECONNREFUSED);
	EXPECT_EQ(noria_connect(fd, (struct sockaddr *)&address, 3), -EINVAL);
	EXPECT_EQ(noria_close(fd), 0);
	other = open("/dev/null", O_RDWR | O_CLOEXEC);
	MUST(other >= 0);
	EXPECT_EQ(noria_recv(other, &fd, sizeof fd, 0), -ENOTSOCK);
	EXPECT_EQ(noria_send(other, &fd, sizeof fd, 0), -ENOTSOCK);
	EXPECT_EQ(noria_listen(other, 1), -ENOTSOCK);
	EXPECT_EQ(noria_close(other), 0);
	return 0;
}

/* SIGPIPE has its default effect here: it would end the test. */
UNIT(socket, sending_to_a_closed_peer_is_epipe_and_no_signal)
{
	struct iovec vector = {.iov_base = "x", .iov_len = 1};
	struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
	int pair[2];

	unit_pair(pair);
	EXPECT_EQ(noria_close(pair[1]), 0);
	EXPECT_EQ(noria_send(pair[0], "x", 1, 0), -EPIPE);
	EXPECT_EQ(noria_send(pair[0], "x", 1, MSG_DONTWAIT), -EPIPE);
	EXPECT_EQ(noria_sendmsg(pair[0], &message, 0), -EPIPE);
	EXPECT_EQ(noria_send_all(pair[0], "x", 1, 0), -EPIPE);
	EXPECT_EQ(noria_progress(), 0);
	EXPECT_EQ(noria_close(pair[0]), 0);
	return 0;
}

static int fill_then_close(void *arg)
{
	noria_try(noria_sleep(noria_msec(2)));
	return noria_close(*(int *)arg);
}

/* The same for one that parked: the entry carries the flag as the direct call does. */
UNIT(socket, a_peer_that_closes_while_a_send_waits_is_epipe)
{
	static char bytes[1 << 20];
	struct noria_group group;
	int pair[2];

	unit_pair(pair);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, fill_then_close, &pair[1]) == 0);
	EXPECT_EQ(noria_send_all(pair[0], bytes, sizeof bytes, 0), -EPIPE);
	EXPECT(noria_progress() > 0 && noria_progress() < sizeof bytes);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT_EQ(noria_close(pair[0]), 0);
	return 0;
}

UNIT(socket, msg_dontwait_answers_instead_of_parking)
{
	static char bytes[1 << 16];
	struct iovec vector = {.iov_base = bytes, .iov_len = sizeof bytes};
	struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
	int pair[2];

	unit_pair(pair);
	EXPECT_EQ(noria_recv(pair[0], bytes, sizeof bytes, MSG_DONTWAIT), -EAGAIN);
	EXPECT_EQ(noria_recvmsg(pair[0], &message, MSG_DONTWAIT), -EAGAIN);
	while (noria_send(pair[0], bytes, sizeof bytes, MSG_DONTWAIT) > 0)
		;
	EXPECT_EQ(noria_send(pair[0], bytes, sizeof bytes, MSG_DONTWAIT), -EAGAIN);
	EXPECT_EQ(noria_sendmsg(pair[0], &message, MSG_DONTWAIT), -EAGAIN);
	EXPECT(noria_recv(pair[1], bytes, sizeof bytes, MSG_DONTWAIT) > 0);
	EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]), 0);
	return 0;
}

UNIT(socket, messages_carry_vectors_and_descriptors)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0}, received_control = {0};
	struct iovec out[2] = {{"he", 2}, {"llo", 3}};
	char a[4], b[4];
	struct iovec in[2] = {{a, 1}, {b, 4}};
	struct msghdr sent = {
		.msg_iov = out, .msg_iovlen = 2, .msg_control = &control, .msg_controllen = sizeof control};
	struct msghdr received = {.msg_iov = in,
				  .msg_iovlen = 2,
				  .msg_control = &received_control,
				  .msg_controllen = sizeof received_control};
	struct cmsghdr *header = CMSG_FIRSTHDR(&sent);
	int pair[2], fd;

	unit_pair(pair);
	*header =
		(struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
	memcpy(CMSG_DATA(header), &pair[0], sizeof(int));
	EXPECT_EQ(noria_sendmsg(pair[0], &sent, 0), 5);
	EXPECT_EQ(noria_recvmsg(pair[1], &received, MSG_CMSG_CLOEXEC), 5);
	EXPECT(a[0] == 'h' && memcmp(b, "ello", 4) == 0);
	header = CMSG_FIRSTHDR(&received);
	MUST(header && header->cmsg_type == SCM_RIGHTS);
	memcpy(&fd, CMSG_DATA(header), sizeof fd);
	EXPECT_EQ(noria_close(fd), 0);
	EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]), 0);
	return 0;
}

UNIT(socket, flags_of_recv_are_passed_on)
{
	char buffer[4] = "";
	int pair[2];

	unit_pair(pair);
	EXPECT_EQ(noria_send(pair[0], "ab", 2, 0), 2);
	EXPECT_EQ(noria_recv(pair[1], buffer, 4, MSG_PEEK), 2);
	EXPECT_EQ(noria_recv(pair[1], buffer, 0, 0), 0);
	EXPECT_EQ(noria_recv(pair[1], buffer, 4, 0), 2);
	EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]), 0);
	return 0;
}

static int write_byte(void *arg)
{
	noria_try(noria_sleep(noria_msec(2)));
	return (int)noria_write(*(int *)arg, "x", 1) == 1 ? 0 : -EIO;
}

UNIT(socket, poll_tells_what_is_ready)
{
	struct noria_group group;
	int pair[2];

	unit_pair(pair);
	EXPECT_EQ(noria_poll(pair[0], POLLOUT), POLLOUT);
	EXPECT_EQ(noria_within(noria_msec(2), noria_poll(pair[0], POLLIN)), -ETIMEDOUT);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, write_byte, &pair[1]) == 0);
	EXPECT_EQ(noria_poll(pair[0], POLLIN), POLLIN);
	EXPECT_EQ(noria_poll(pair[0], POLLIN | POLLOUT), POLLIN | POLLOUT);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT_EQ(noria_close(pair[1]), 0);
	EXPECT(noria_poll(pair[0], 0) & POLLHUP);
	EXPECT_EQ(noria_close(pair[0]), 0);
	return 0;
}

static struct sockaddr_storage full_address;
static socklen_t full_length;

static int connect_in_vain(__attribute__((unused)) void *arg)
{
	noria_autoclose int fd = noria_try(noria_socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));

	EXPECT_EQ(noria_within(noria_usec(300), noria_connect(fd, (struct sockaddr *)&full_address, full_length)),
		  -ETIMEDOUT);
	return 0;
}

/* The kernel gives such a connect to a worker thread, where it blocks until it is cancelled. */
UNIT(socket, connecting_to_a_full_backlog_can_be_cancelled)
{
	int listener = noria_socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), first;
	struct noria_group group;

	full_address.ss_family = AF_UNIX;
	full_length = sizeof full_address;
	first = noria_socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	MUST(listener >= 0 && first >= 0);
	EXPECT_EQ(noria_bind(listener, (struct sockaddr *)&full_address, sizeof(sa_family_t)), 0);
	EXPECT_EQ(noria_listen(listener, 0), 0);
	MUST(getsockname(listener, (struct sockaddr *)&full_address, &full_length) == 0);
	EXPECT_EQ(noria_connect(first, (struct sockaddr *)&full_address, full_length), 0);
	MUST(noria_group_open(&group) == 0);
	for (int i = 0; i < 60; i++)
		MUST(noria_spawn(&group, connect_in_vain, NULL) == 0);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT_EQ(noria_close(first) | noria_close(listener), 0);
	return 0;
}

UNIT(socket, autoclose_closes_what_is_not_negative)
{
	int before = unit_count_fds(), keep;
	{
		noria_autoclose int fd = noria_socket(AF_INET, SOCK_STREAM, 0);
		noria_autoclose int none = -1;
		noria_autoclose int other = dup(fd);

		MUST(fd >= 0 && none < 0 && other >= 0);
		keep = other;
		other = -1;
	}
	EXPECT_EQ(unit_count_fds(), before + 1);
	EXPECT_EQ(noria_close(keep), 0);
	return 0;
}
