/* SPDX-License-Identifier: MIT */
/* Direct descriptors: the calls that make them, and every kind of operation on one. */
#include "ops.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

/* A direct descriptor of the file, which has no other here. */
static int only_direct(int fd)
{
	int direct = noria_fd_direct(fd);

	MUST(direct >= 0);
	MUST(close(fd) == 0);
	return direct;
}

static void open_listener(struct op_place *place, bool ready)
{
	struct sockaddr_storage address;
	socklen_t length;

	place->fd = unit_listener(&address, &length);
	place->extra = malloc(sizeof address);
	MUST(place->extra);
	memcpy(place->extra, &address, sizeof address);
	place->number = length;
	if (!ready)
		return;
	place->other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	MUST(place->other >= 0 && connect(place->other, place->extra, length) == 0);
}

static void open_direct_listener(struct op_place *place, bool ready)
{
	open_listener(place, ready);
	place->fd = only_direct(place->fd);
}

static void connect_one(struct op_place *place)
{
	place->other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	MUST(place->other >= 0 && connect(place->other, place->extra, (socklen_t)place->number) == 0);
}

static int64_t call_accept(struct op_place *place)
{
	return noria_accept_direct(place->fd, NULL, NULL, SOCK_CLOEXEC);
}

static int64_t call_accept_ordinary(struct op_place *place)
{
	return noria_accept4(place->fd, NULL, NULL, SOCK_CLOEXEC);
}

static void did_accept(struct op_place *place, int64_t result)
{
	char byte = 0;

	EXPECT_EQ(send(place->other, "x", 1, 0), 1);
	EXPECT_EQ(noria_recv((int)result, &byte, 1, 0), 1);
	EXPECT(byte == 'x');
	EXPECT_EQ(noria_close((int)result), 0);
	EXPECT_EQ(recv(place->other, &byte, 1, 0), 0);
}

/* Nobody took the connection: it can still be accepted. */
static void not_accepted(struct op_place *place)
{
	did_accept(place, noria_accept4(place->fd, NULL, NULL, SOCK_CLOEXEC));
}

static void close_listener(struct op_place *place)
{
	free(place->extra);
	EXPECT_EQ(noria_close(place->fd), 0);
	if (place->other >= 0)
		MUST(close(place->other) == 0);
}

static int64_t accept_closed(struct op_place *place)
{
	(void)place;
	return noria_accept_direct(9999, NULL, NULL, 0);
}

static int64_t accept_no_socket(struct op_place *place)
{
	return noria_accept_direct(place->dir, NULL, NULL, 0);
}

static int64_t accept_stale(struct op_place *place)
{
	(void)place;
	return noria_accept_direct((1 << 30) + 77, NULL, NULL, 0);
}

static const struct op_error accept_errors[] = {
	{-EBADF, accept_closed}, {-ENOTSOCK, accept_no_socket}, {-EBADF, accept_stale}, {0, NULL}};

static void open_nothing(struct op_place *place, bool ready)
{
	(void)place, (void)ready;
}

static int64_t call_socket(struct op_place *place)
{
	(void)place;
	return noria_socket_direct(AF_UNIX, SOCK_STREAM, 0);
}

static int64_t socket_family(struct op_place *place)
{
	(void)place;
	return noria_socket_direct(AF_UNSPEC, SOCK_STREAM, 0);
}

static const struct op_error socket_errors[] = {{-EAFNOSUPPORT, socket_family}, {0, NULL}};

static void did_make(struct op_place *place, int64_t result)
{
	(void)place;
	EXPECT_EQ(noria_close((int)result), 0);
	EXPECT_EQ(noria_close((int)result), -EBADF);
}

static int64_t call_open(struct op_place *place)
{
	return noria_openat_direct(place->dir, "file", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
}

static int64_t call_open2(struct op_place *place)
{
	struct {
		uint64_t flags, mode, resolve;
	} how = {.flags = O_RDWR | O_CREAT | O_CLOEXEC, .mode = 0600};

	return noria_openat2_direct(place->dir, "file", (struct open_how *)(void *)&how, sizeof how);
}

static void did_open(struct op_place *place, int64_t result)
{
	char bytes[6] = "";

	EXPECT_EQ(noria_pwrite((int)result, "bytes", 5, 0), 5);
	EXPECT_EQ(noria_pread((int)result, bytes, 5, 0), 5);
	EXPECT(memcmp(bytes, "bytes", 5) == 0);
	EXPECT_EQ(noria_close((int)result), 0);
	EXPECT_EQ(unlinkat(place->dir, "file", 0), 0);
}

static void not_opened(struct op_place *place)
{
	EXPECT_EQ(faccessat(place->dir, "file", F_OK, 0), -1);
}

static int64_t open_missing(struct op_place *place)
{
	return noria_openat_direct(place->dir, "missing", O_RDONLY, 0);
}

static int64_t open_in_direct(struct op_place *place)
{
	int dir = noria_fd_direct(place->dir);
	int r = noria_openat_direct(dir, "missing", O_RDONLY, 0);

	EXPECT_EQ(noria_close(dir), 0);
	/* An ordinary descriptor that stands in for it can be searched. */
	return noria_fd_is_direct(dir) || r != -ENOENT ? r : -EOPNOTSUPP;
}

static int64_t open2_size(struct op_place *place)
{
	char how[8] = "";

	return noria_openat2_direct(place->dir, "file", (struct open_how *)(void *)how, sizeof how);
}

static const struct op_error open_errors[] = {{-ENOENT, open_missing}, {-EOPNOTSUPP, open_in_direct}, {0, NULL}};
static const struct op_error open2_errors[] = {{-EINVAL, open2_size}, {0, NULL}};

static int64_t call_pipe(struct op_place *place)
{
	int ends[2];
	int r = noria_pipe_direct(ends, O_CLOEXEC);

	if (r >= 0) {
		place->fd = ends[0];
		place->other = ends[1];
	}
	return r;
}

static void did_pipe(struct op_place *place, int64_t result)
{
	char bytes[6] = "";

	EXPECT_EQ(result, 0);
	EXPECT_EQ(noria_write(place->other, "bytes", 5), 5);
	EXPECT_EQ(noria_read(place->fd, bytes, 5), 5);
	EXPECT(memcmp(bytes, "bytes", 5) == 0);
	EXPECT_EQ(noria_close(place->fd) | noria_close(place->other), 0);
}

static int64_t pipe_flags(struct op_place *place)
{
	int ends[2];

	(void)place;
	return noria_pipe_direct(ends, 0x7000000);
}

static const struct op_error pipe_errors[] = {{-EINVAL, pipe_flags}, {0, NULL}};

static void open_pair(struct op_place *place, bool ready)
{
	int pair[2];

	unit_pair(pair);
	place->fd = only_direct(pair[0]);
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
	if (place->fd >= 0)
		EXPECT_EQ(noria_close(place->fd), 0);
	MUST(close(place->other) == 0);
}

static int64_t call_recv(struct op_place *place)
{
	return noria_recv(place->fd, place->buffer, sizeof place->buffer, 0);
}

static int64_t call_read(struct op_place *place)
{
	return noria_read(place->fd, place->buffer, sizeof place->buffer);
}

static int64_t call_recvfrom(struct op_place *place)
{
	return noria_recvfrom(place->fd, place->buffer, sizeof place->buffer, 0, NULL, NULL);
}

static void did_receive(struct op_place *place, int64_t result)
{
	EXPECT_EQ(result, 5);
	EXPECT(memcmp(place->buffer, "bytes", 5) == 0);
}

static void not_received(struct op_place *place)
{
	did_receive(place, call_recv(place));
}

static int64_t recv_dontwait(struct op_place *place)
{
	did_receive(place, call_recv(place));
	return noria_recv(place->fd, place->buffer, sizeof place->buffer, MSG_DONTWAIT);
}

static int64_t recv_after_close(struct op_place *place)
{
	int fd = place->fd;

	EXPECT_EQ(noria_close(fd), 0);
	place->fd = -1;
	return noria_recv(fd, place->buffer, sizeof place->buffer, 0);
}

static const struct op_error recv_errors[] = {{-EAGAIN, recv_dontwait}, {-EBADF, recv_after_close}, {0, NULL}};

static int64_t call_poll(struct op_place *place)
{
	return noria_poll(place->fd, POLLIN);
}

static void did_poll(struct op_place *place, int64_t result)
{
	EXPECT_EQ(result, POLLIN);
	not_received(place);
}

static int64_t call_select(struct op_place *place)
{
	struct noria_case cases[] = {noria_case_fd(place->fd, POLLIN)};
	int r = noria_select(cases, 1);

	return r < 0 ? r : cases[0].result;
}

static int64_t select_try(struct op_place *place)
{
	struct noria_case cases[] = {noria_case_fd(place->fd, POLLIN)};
	int r = noria_select_try(cases, 1);

	return noria_fd_is_direct(place->fd) || r != 0 ? r : -EOPNOTSUPP;
}

static const struct op_error select_errors[] = {{-EOPNOTSUPP, select_try}, {0, NULL}};

/* A sender waits while nobody receives. */
static void open_full(struct op_place *place, bool ready)
{
	static char bytes[1 << 16];
	int pair[2];
	ssize_t r;

	unit_pair(pair);
	place->number = 0;
	while (!ready && (r = send(pair[0], bytes, sizeof bytes, MSG_DONTWAIT)) > 0)
		place->number += (uint64_t)r;
	place->fd = only_direct(pair[0]);
	place->other = pair[1];
}

/* Takes out what was there before the call and no more: the call may send while this still takes. */
static void drain(struct op_place *place)
{
	static char bytes[1 << 16];

	while (place->number > 0) {
		size_t size = place->number < sizeof bytes ? place->number : sizeof bytes;
		ssize_t r = recv(place->other, bytes, size, MSG_DONTWAIT);

		MUST(r > 0);
		place->number -= (uint64_t)r;
	}
}

static int64_t call_send(struct op_place *place)
{
	return noria_send(place->fd, "bytes", 5, 0);
}

static void did_send(struct op_place *place, int64_t result)
{
	EXPECT_EQ(result, 5);
	EXPECT_EQ(recv(place->other, place->buffer, 5, 0), 5);
	EXPECT(memcmp(place->buffer, "bytes", 5) == 0);
}

static void not_sent(struct op_place *place)
{
	EXPECT_EQ(recv(place->other, place->buffer, 5, MSG_DONTWAIT), -1);
}

static int64_t call_install(struct op_place *place)
{
	int r = noria_fd_install(place->fd, O_CLOEXEC);

	/* Where the kernel cannot, it says so; the way round is an ordinary one from the start. */
	return r == -EOPNOTSUPP ? dup(place->other) : r;
}

static void did_install(struct op_place *place, int64_t result)
{
	(void)place;
	EXPECT(!noria_fd_is_direct((int)result));
	EXPECT(fcntl((int)result, F_GETFD) >= 0);
	MUST(close((int)result) == 0);
}

static int64_t install_flags(struct op_place *place)
{
	return noria_fd_install(place->fd, O_NONBLOCK);
}

static int64_t install_closed(struct op_place *place)
{
	(void)place;
	return noria_fd_install(9999, 0);
}

static const struct op_error install_errors[] = {{-EINVAL, install_flags}, {-EBADF, install_closed}, {0, NULL}};

static int64_t call_direct(struct op_place *place)
{
	return noria_fd_direct(place->other);
}

static int64_t direct_twice(struct op_place *place)
{
	return noria_fd_is_direct(place->fd) ? noria_fd_direct(place->fd) : -EINVAL;
}

static int64_t direct_closed(struct op_place *place)
{
	(void)place;
	return noria_fd_direct(9999);
}

static const struct op_error direct_errors[] = {{-EINVAL, direct_twice}, {-EBADF, direct_closed}, {0, NULL}};

static int64_t call_close(struct op_place *place)
{
	return noria_close(place->fd);
}

static void did_close(struct op_place *place, int64_t result)
{
	EXPECT_EQ(result, 0);
	EXPECT_EQ(noria_close(place->fd), -EBADF);
	place->fd = -1;
	while ((result = recv(place->other, place->buffer, sizeof place->buffer, 0)) > 0)
		;
	/* Bytes that it had not read make the end a reset. */
	EXPECT(result == 0 || errno == ECONNRESET);
}

static int64_t close_stale(struct op_place *place)
{
	(void)place;
	return noria_close((1 << 30) + 5000);
}

static const struct op_error close_errors[] = {{-EBADF, close_stale}, {0, NULL}};

static int64_t call_splice(struct op_place *place)
{
	int ends[2];
	int64_t r;

	MUST(pipe2(ends, O_CLOEXEC) == 0);
	r = noria_splice(place->fd, NULL, ends[1], NULL, sizeof place->buffer, 0);
	if (r > 0)
		EXPECT_EQ(read(ends[0], place->buffer, sizeof place->buffer), r);
	MUST(close(ends[0]) == 0 && close(ends[1]) == 0);
	return r;
}

static const struct op_case cases[] = {
	{.name = "accept_direct",
	 .open = open_listener,
	 .call = call_accept,
	 .complete = connect_one,
	 .did = did_accept,
	 .did_not = not_accepted,
	 .close = close_listener,
	 .errors = accept_errors},
	{.name = "accept_direct from a direct listener",
	 .open = open_direct_listener,
	 .call = call_accept,
	 .complete = connect_one,
	 .did = did_accept,
	 .did_not = not_accepted,
	 .close = close_listener},
	{.name = "accept4 from a direct listener",
	 .open = open_direct_listener,
	 .call = call_accept_ordinary,
	 .complete = connect_one,
	 .did = did_accept,
	 .did_not = not_accepted,
	 .close = close_listener},
	{.name = "socket_direct", .open = open_nothing, .call = call_socket, .did = did_make, .errors = socket_errors},
	{.name = "openat_direct",
	 .open = open_nothing,
	 .call = call_open,
	 .did = did_open,
	 .did_not = not_opened,
	 .errors = open_errors},
	{.name = "openat2_direct",
	 .open = open_nothing,
	 .call = call_open2,
	 .did = did_open,
	 .did_not = not_opened,
	 .errors = open2_errors},
	{.name = "pipe_direct", .open = open_nothing, .call = call_pipe, .did = did_pipe, .errors = pipe_errors},
	{.name = "recv",
	 .open = open_pair,
	 .call = call_recv,
	 .complete = send_bytes,
	 .did = did_receive,
	 .did_not = not_received,
	 .close = close_pair,
	 .errors = recv_errors},
	{.name = "read",
	 .open = open_pair,
	 .call = call_read,
	 .complete = send_bytes,
	 .did = did_receive,
	 .did_not = not_received,
	 .close = close_pair},
	{.name = "recvfrom",
	 .open = open_pair,
	 .call = call_recvfrom,
	 .complete = send_bytes,
	 .did = did_receive,
	 .did_not = not_received,
	 .close = close_pair},
	{.name = "splice",
	 .open = open_pair,
	 .call = call_splice,
	 .complete = send_bytes,
	 .did = did_receive,
	 .did_not = not_received,
	 .close = close_pair},
	{.name = "poll",
	 .open = open_pair,
	 .call = call_poll,
	 .complete = send_bytes,
	 .did = did_poll,
	 .did_not = not_received,
	 .close = close_pair},
	{.name = "select",
	 .open = open_pair,
	 .call = call_select,
	 .complete = send_bytes,
	 .did = did_poll,
	 .did_not = not_received,
	 .close = close_pair,
	 .errors = select_errors},
	{.name = "send",
	 .open = open_full,
	 .call = call_send,
	 .complete = drain,
	 .did = did_send,
	 .did_not = not_sent,
	 .close = close_pair},
	{.name = "fd_install",
	 .open = open_pair,
	 .call = call_install,
	 .did = did_install,
	 .close = close_pair,
	 .errors = install_errors},
	{.name = "fd_direct",
	 .open = open_pair,
	 .call = call_direct,
	 .did = did_make,
	 .close = close_pair,
	 .errors = direct_errors},
	{.name = "close",
	 .open = open_pair,
	 .call = call_close,
	 .did = did_close,
	 .close = close_pair,
	 .errors = close_errors,
	 .always = true},
	{0},
};

OPS(net_direct, cases)
