/* SPDX-License-Identifier: MIT */
/* Unix sockets of the simulated net: streams, messages, names, and what is sent with them. */
#include "net_world.h"

#include "simulation/disk/disk.h"

#include <fcntl.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/un.h>

static void begin(void)
{
	open_world(1, "");
}

TestSuite(unix_sockets, .init = begin, .fini = close_world, .timeout = 30);

static socklen_t named(const char *name, struct sockaddr_un *ret_address)
{
	*ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
	strcpy(ret_address->sun_path + (name[0] == '@'), name + (name[0] == '@'));
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name) + (name[0] != '@'));
}

static int bind_name(int fd, const char *name)
{
	struct sockaddr_un address;
	socklen_t length = named(name, &address);

	return sim_bind(file(fd), (struct sockaddr *)&address, length);
}

static int connect_name(int fd, const char *name)
{
	struct sockaddr_un address;
	socklen_t length = named(name, &address);

	return sim_connect(file(fd), (struct sockaddr *)&address, length);
}

static int made(int type)
{
	return sim_socket(here, AF_UNIX, type, 0);
}

static void pair_of(int type, int pair[2])
{
	EXPECT_EQ(sim_socketpair(here, AF_UNIX, type, 0, pair), 0);
}

Test(unix_sockets, streams_are_there_at_once)
{
	char buffer[8] = {0};
	int pair[2], unread;

	pair_of(SOCK_STREAM, pair);
	EXPECT_EQ(polled(pair[0]), POLLOUT);
	EXPECT_EQ(get(pair[1], buffer, 8), -EAGAIN);
	EXPECT_EQ(put(pair[0], "abc", 3), 3);
	EXPECT_EQ(put(pair[0], "def", 3), 3);
	EXPECT_EQ(sim_socket_ioctl(file(pair[1]), FIONREAD, &unread), 0);
	EXPECT_EQ(unread, 6);
	EXPECT_EQ(transfer(pair[1], buffer, 8, MSG_PEEK, NULL, false), 6);
	EXPECT_EQ(get(pair[1], buffer, 4), 4);
	EXPECT_EQ(get(pair[1], buffer + 4, 4), 2);
	cr_expect_str_eq(buffer, "abcdef");
	EXPECT_EQ(sim_shutdown(file(pair[0]), SHUT_WR), 0);
	EXPECT_EQ(put(pair[0], "x", 1), -EPIPE);
	EXPECT_EQ(get(pair[1], buffer, 4), 0);
	EXPECT_EQ(put(pair[1], "x", 1), 1);
	EXPECT_EQ(get(pair[0], buffer, 4), 1);
}

Test(unix_sockets, streams_fill_up)
{
	static char much[300000];
	size_t sent = 0, received = 0;
	int64_t r;
	int pair[2];

	pair_of(SOCK_STREAM, pair);
	while ((r = put(pair[0], much, sizeof much)) > 0)
		sent += (size_t)r;
	EXPECT_EQ(r, -EAGAIN);
	EXPECT_EQ(sent, number_of(pair[0], SOL_SOCKET, SO_SNDBUF));
	EXPECT_EQ(polled(pair[0]), 0);
	while ((r = get(pair[1], much, 1000)) > 0)
		received += (size_t)r;
	EXPECT_EQ(received, sent);
	EXPECT_EQ(polled(pair[0]), POLLOUT);
}

Test(unix_sockets, closing_with_bytes_unread_is_told)
{
	char byte;
	int pair[2];

	pair_of(SOCK_STREAM, pair);
	put(pair[0], "unread", 6);
	put(pair[1], "r", 1);
	shut(pair[1]);
	EXPECT_EQ(polled(pair[0]), POLLIN | POLLOUT | POLLHUP | POLLERR | POLLRDHUP);
	EXPECT_EQ(put(pair[0], "x", 1), -EPIPE);
	EXPECT_EQ(get(pair[0], &byte, 1), 1);
	EXPECT_EQ(get(pair[0], &byte, 1), -ECONNRESET);
	EXPECT_EQ(get(pair[0], &byte, 1), 0);
	pair_of(SOCK_STREAM, pair);
	shut(pair[1]);
	EXPECT_EQ(get(pair[0], &byte, 1), 0);
}

static void connect_by(const char *name)
{
	int listening = made(SOCK_STREAM), fds[3], other = made(SOCK_STREAM);
	struct sockaddr_un address;
	socklen_t length = sizeof address;
	char byte;

	EXPECT_EQ(sim_listen(file(listening), 1), -EINVAL);
	EXPECT_EQ(bind_name(listening, name), 0);
	EXPECT_EQ(bind_name(listening, name), -EINVAL);
	EXPECT_EQ(bind_name(other, name), -EADDRINUSE);
	EXPECT_EQ(connect_name(other, name), -ECONNREFUSED);
	EXPECT_EQ(sim_listen(file(listening), 1), 0);
	EXPECT_EQ(connect_name(made(SOCK_DGRAM), name), -EPROTOTYPE);
	for (int i = 0; i < 3; i++) {
		fds[i] = made(SOCK_STREAM);
		EXPECT_EQ(connect_name(fds[i], name), i < 2 ? 0 : -EAGAIN);
	}
	EXPECT_EQ(connect_name(fds[0], name), -EISCONN);
	EXPECT_EQ(put(fds[0], "x", 1), 1);
	other = sim_accept(file(listening), (struct sockaddr *)&address, &length, 0);
	EXPECT_EQ(length, sizeof(sa_family_t));
	EXPECT_EQ(get(other, &byte, 1), 1);
	length = sizeof address;
	EXPECT_EQ(sim_getpeername(file(fds[0]), (struct sockaddr *)&address, &length), 0);
	cr_expect_str_eq(address.sun_path + (name[0] == '@'), name + (name[0] == '@'));
	EXPECT_EQ(connect_name(fds[2], name), 0);
	shut(listening);
	EXPECT_EQ(get(fds[1], &byte, 1), -ECONNRESET); /* was never accepted */
	EXPECT_EQ(connect_name(made(SOCK_STREAM), name), -ECONNREFUSED);
}

Test(unix_sockets, are_found_by_abstract_names)
{
	connect_by("@name");
	EXPECT_EQ(bind_name(made(SOCK_STREAM), "@name"), 0);
	EXPECT_EQ(bind_name(sim_socket(there, AF_UNIX, SOCK_STREAM, 0), "@name"), 0);
}

Test(unix_sockets, are_found_by_paths)
{
	int fd = made(SOCK_STREAM);

	EXPECT_EQ(connect_name(fd, "/tmp/socket"), -ENOENT);
	connect_by("/tmp/socket");
	EXPECT_EQ(bind_name(fd, "/tmp/socket"), -EADDRINUSE); /* the file stays */
	EXPECT_EQ(sim_unlinkat(here, AT_FDCWD, "/tmp/socket", 0), 0);
	EXPECT_EQ(bind_name(fd, "/tmp/socket"), 0);
	EXPECT_EQ(bind_name(made(SOCK_STREAM), "/none/socket"), -ENOENT);
}

Test(unix_sockets, messages_keep_their_bounds)
{
	struct sockaddr_un from;
	struct msghdr message = {.msg_name = &from, .msg_namelen = sizeof from};
	int in = made(SOCK_DGRAM), out = made(SOCK_DGRAM), i;
	char buffer[4];

	EXPECT_EQ(put(out, "x", 1), -ENOTCONN);
	EXPECT_EQ(bind_name(in, "@in"), 0);
	EXPECT_EQ(bind_name(out, "@out"), 0);
	EXPECT_EQ(connect_name(out, "@in"), 0);
	EXPECT_EQ(put(out, "abcdef", 6), 6);
	EXPECT_EQ(put(out, "", 0), 0);
	EXPECT_EQ(transfer(in, buffer, 4, 0, &message, false), 4);
	EXPECT_EQ(message.msg_flags, MSG_TRUNC);
	cr_expect_str_eq(from.sun_path + 1, "out");
	EXPECT_EQ(get(in, buffer, 4), 0);
	EXPECT_EQ(get(in, buffer, 4), -EAGAIN);
	for (i = 0; put(out, "x", 1) == 1; i++)
		;
	EXPECT_EQ(i, 11); /* so many wait in a socket, and no more */
	EXPECT_EQ(polled(out), 0);
	EXPECT_EQ(get(in, buffer, 4), 1);
	EXPECT_EQ(polled(out), POLLOUT);
	shut(in);
	EXPECT_EQ(put(out, "x", 1), -ECONNREFUSED);
	EXPECT_EQ(put(out, "x", 1), -ENOTCONN);
}

Test(unix_sockets, messages_of_a_connection_end)
{
	char buffer[8];
	int pair[2];

	pair_of(SOCK_SEQPACKET, pair);
	EXPECT_EQ(put(pair[0], "ab", 2), 2);
	EXPECT_EQ(put(pair[0], "cd", 2), 2);
	EXPECT_EQ(get(pair[1], buffer, 8), 2);
	shut(pair[0]);
	EXPECT_EQ(get(pair[1], buffer, 8), 2);
	EXPECT_EQ(get(pair[1], buffer, 8), 0);
	EXPECT_EQ(put(pair[1], "x", 1), -EPIPE);
}

/* ---- descriptors and credentials ---- */

union control {
	char bytes[128];
	struct cmsghdr header;
};

static int64_t put_fd(int over, int fd)
{
	union control control = {.bytes = {0}};
	struct msghdr message = {.msg_control = &control, .msg_controllen = CMSG_SPACE(sizeof fd)};

	control.header =
		(struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof fd)};
	memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
	return transfer(over, "fd", 2, 0, &message, true);
}

/* The bytes that came with it, or before it. */
static int64_t get_fd(int over, size_t room, int *ret_fd, int *ret_flags)
{
	union control control = {.bytes = {0}};
	struct msghdr message = {.msg_control = &control, .msg_controllen = room};
	char buffer[16];
	int64_t r = transfer(over, buffer, sizeof buffer, 0, &message, false);

	*ret_fd = -1;
	*ret_flags = message.msg_flags;
	if (message.msg_controllen >= CMSG_LEN(sizeof(int)) && control.header.cmsg_type == SCM_RIGHTS)
		memcpy(ret_fd, CMSG_DATA(&control.header), sizeof(int));
	return r;
}

Test(unix_sockets, descriptors_travel)
{
	int pair[2], pipe[2], fd, flags;
	unsigned open;
	char byte;

	pair_of(SOCK_STREAM, pair);
	EXPECT_EQ(sim_pipe(here, 0, pipe), 0);
	open = world->fds_open;
	EXPECT_EQ(put_fd(pair[0], 77), -EBADF);
	EXPECT_EQ(put(pair[0], "before", 6), 6);
	EXPECT_EQ(put_fd(pair[0], pipe[1]), 2);
	EXPECT_EQ(put(pair[0], "behind", 6), 6);
	shut(pipe[1]);
	EXPECT_EQ(get_fd(pair[1], sizeof(union control), &fd, &flags), 8);
	EXPECT_EQ(put(fd, "x", 1), 1);
	EXPECT_EQ(get(pipe[0], &byte, 1), 1);
	EXPECT_EQ(put_fd(pair[0], fd), 2);
	shut(fd);
	EXPECT_EQ(get(pair[1], &byte, 1), 1); /* of what was behind */
	EXPECT_EQ(get(pipe[0], &byte, 1), -EAGAIN);
	EXPECT_EQ(get_fd(pair[1], 0, &fd, &flags), 7);
	EXPECT_EQ(flags, MSG_CTRUNC);
	EXPECT_EQ(get(pipe[0], &byte, 1), 0); /* there was no room, so it was closed */
	EXPECT_EQ(world->fds_open, open - 1);
}

Test(unix_sockets, descriptors_that_nobody_takes_are_closed)
{
	int pair[2], pipe[2];
	char byte;

	pair_of(SOCK_STREAM, pair);
	EXPECT_EQ(sim_pipe(here, 0, pipe), 0);
	put_fd(pair[0], pipe[1]);
	put_fd(pair[0], pair[0]);
	put_fd(pair[0], pair[1]); /* on its way in its own queue: only the end of the world frees it */
	shut(pipe[1]);
	EXPECT_EQ(get(pipe[0], &byte, 1), -EAGAIN);
	shut(pair[0]);
	shut(pair[1]);
	pair_of(SOCK_DGRAM, pair);
	EXPECT_EQ(sim_pipe(here, 0, pipe), 0);
	put_fd(pair[0], pipe[1]);
	shut(pipe[1]);
	shut(pair[1]);
	EXPECT_EQ(get(pipe[0], &byte, 1), 0);
}

Test(unix_sockets, credentials)
{
	union control control = {.bytes = {0}};
	struct msghdr message = {.msg_control = &control, .msg_controllen = sizeof control};
	struct ucred credentials;
	socklen_t length = sizeof credentials;
	int pair[2];
	char byte;

	pair_of(SOCK_STREAM, pair);
	EXPECT_EQ(sim_getsockopt(file(pair[0]), SOL_SOCKET, SO_PEERCRED, &credentials, &length), 0);
	EXPECT_EQ(credentials.uid, getuid());
	EXPECT_EQ(set(pair[1], SOL_SOCKET, SO_PASSCRED, 1), 0);
	put(pair[0], "x", 1);
	EXPECT_EQ(transfer(pair[1], &byte, 1, 0, &message, false), 1);
	EXPECT_EQ(control.header.cmsg_type, SCM_CREDENTIALS);
	memcpy(&credentials, CMSG_DATA(&control.header), sizeof credentials);
	EXPECT_EQ(credentials.pid, getpid());
}

Test(unix_sockets, a_crash_frees_abstract_names)
{
	int fd = made(SOCK_STREAM);

	EXPECT_EQ(bind_name(fd, "@name"), 0);
	sim_host_crash(here);
	sim_host_restart(here);
	EXPECT_EQ(bind_name(made(SOCK_STREAM), "@name"), 0);
	shut(fd);
}
