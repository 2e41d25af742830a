/* SPDX-License-Identifier: MIT */
/*
 * The storm's sockets: direct descriptors, chains, writers, descriptors that travel. Each operation makes what it works
 * on and closes it again, whatever a cancel cuts short. In the end each connection made was accepted once or is still to
 * be, no place of the ring's table is taken, and no descriptor is left.
 */
#include "op/direct.h"
#include "storm.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct sockaddr_un address;
static socklen_t address_length;
static int listener;
static char path[] = "/tmp/noria-storm-XXXXXX";
static unsigned long connected, accepted, chained, written, passed;

static void open_pair(int pair[2])
{
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
}

static void close_pair(const int pair[2])
{
	CHECK(noria_close(pair[0]) == 0 && noria_close(pair[1]) == 0);
}

/* Returns 0 or -ECANCELED, and then nothing is left. */
static int open_direct_pair(int pair[2])
{
	int direct;

	open_pair(pair);
	direct = noria_fd_direct(pair[0]);
	CHECK(direct >= 0 || direct == -ECANCELED);
	CHECK(noria_close(pair[0]) == 0);
	pair[0] = direct;
	if (direct < 0)
		CHECK(noria_close(pair[1]) == 0);
	return direct < 0 ? direct : 0;
}

static int talk(unsigned depth)
{
	ssize_t r = 0;
	int pair[2];
	char byte = 0;

	(void)depth;
	if (open_direct_pair(pair) < 0)
		return -ECANCELED;
	if (storm_below(2))
		r = noria_send_zc(pair[0], "x", 1, 0);
	else
		r = noria_send(pair[0], "x", 1, 0);
	CHECK(r == 1 || r == -ECANCELED);
	if (r == 1) {
		r = noria_recv(pair[1], &byte, 1, 0);
		CHECK((r == 1 && byte == 'x') || r == -ECANCELED);
	}
	close_pair(pair);
	return r < 0 ? (int)r : 0;
}

static int wait_in_vain(unsigned depth)
{
	int pair[2];
	char byte;
	ssize_t r;

	(void)depth;
	if (open_direct_pair(pair) < 0)
		return -ECANCELED;
	r = noria_within(storm_soon(), noria_recv(pair[0], &byte, 1, 0));
	CHECK(r == -ECANCELED || r == -ETIMEDOUT);
	close_pair(pair);
	return (int)r;
}

/* With a connection of its own, or for somebody else's. */
static int accept_one(unsigned depth)
{
	int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), r;

	(void)depth;
	CHECK(client >= 0);
	if (storm_below(3) > 0) {
		r = connect(client, (struct sockaddr *)&address, address_length);
		CHECK(r == 0 || errno == EAGAIN); /* cancelled ones have filled the backlog */
		connected += r == 0;
	}
	r = noria_within(storm_soon(), noria_accept_direct(listener, NULL, NULL, 0));
	CHECK(r >= 0 || r == -ECANCELED || r == -ETIMEDOUT);
	CHECK(noria_close(client) == 0);
	if (r < 0)
		return r;
	accepted++;
	CHECK(noria_close(r) == 0);
	return 0;
}

static int install(unsigned depth)
{
	int pair[2], r;

	(void)depth;
	if (open_direct_pair(pair) < 0)
		return -ECANCELED;
	r = noria_fd_install(pair[0], O_CLOEXEC);
	CHECK(r >= 0 || r == -ECANCELED || r == -EOPNOTSUPP);
	if (r >= 0)
		CHECK(noria_close(r) == 0);
	close_pair(pair);
	return r == -ECANCELED ? r : 0;
}

static int run_chain(unsigned depth)
{
	struct noria_chain_step steps[3];
	struct noria_chain chain;
	char bytes[5];
	int file, r;

	(void)depth;
	noria_chain_begin(&chain, steps);
	file = noria_chain_openat(&chain, AT_FDCWD, path, O_RDONLY, 0);
	noria_chain_read(&chain, file, bytes, sizeof bytes);
	noria_chain_close(&chain, file);
	r = noria_chain_run(&chain);
	CHECK(r == 3 || r == -ECANCELED);
	if (r == 3)
		CHECK(memcmp(bytes, "bytes", 5) == 0);
	chained += r == 3;
	return r < 0 ? r : 0;
}

/* It is stopped with its file open. */
static int wait_in_chain(unsigned depth)
{
	struct noria_chain_step steps[3];
	struct noria_chain chain;
	int pair[2], file, r;
	char bytes[2];

	(void)depth;
	open_pair(pair);
	noria_chain_begin(&chain, steps);
	file = noria_chain_openat(&chain, AT_FDCWD, path, O_RDONLY, 0);
	noria_chain_recv(&chain, pair[0], bytes, 1, 0);
	noria_chain_read(&chain, file, bytes + 1, 1);
	if (storm_below(4) == 0)
		CHECK(send(pair[1], "x", 1, 0) == 1);
	r = noria_within(storm_soon(), noria_chain_run(&chain));
	CHECK(r == 3 || r == -ECANCELED || r == -ETIMEDOUT);
	close_pair(pair);
	return r < 0 ? r : 0;
}

static int write_pieces(unsigned depth)
{
	static const char text[] = "what is written in pieces arrives in their order";
	char buffer[16], bytes[sizeof text] = "";
	struct noria_writer writer;
	size_t done = 0;
	int pair[2], r = 0, closed;

	(void)depth;
	open_pair(pair);
	CHECK(noria_writer_open(&writer, pair[0], buffer, 1 + storm_below(sizeof buffer)) == 0);
	while (done < sizeof text && r == 0) {
		size_t size = 1 + storm_below(20);

		size = size < sizeof text - done ? size : sizeof text - done;
		r = noria_writer_write(&writer, text + done, size);
		done += r == 0 ? size : noria_progress();
		storm_pause();
	}
	closed = noria_writer_close(&writer);
	CHECK(r == 0 || r == -ECANCELED);
	CHECK(closed == 0 || closed == -ECANCELED);
	done = noria_writer_sent(&writer);
	CHECK(recv(pair[1], bytes, sizeof bytes, MSG_DONTWAIT) == (done > 0 ? (ssize_t)done : -1));
	CHECK(memcmp(bytes, text, done) == 0);
	CHECK(r < 0 || closed < 0 || done == sizeof text);
	written += done;
	close_pair(pair);
	return r < 0 ? r : closed;
}

static int pass_descriptors(unsigned depth)
{
	int pair[2], fds[2];
	struct noria_ancillary ancillary = {.fds = fds, .fds_room = 2};
	char byte;
	ssize_t r;

	(void)depth;
	open_pair(pair);
	r = noria_send_fds(pair[0], "x", 1, 0, pair, 1 + storm_below(3) / 2);
	CHECK(r == 1 || r == -ECANCELED);
	if (r == 1) {
		r = noria_recv_ancillary(pair[1], &byte, 1, 0, &ancillary);
		CHECK(r == 1 || r == -ECANCELED);
	}
	for (size_t i = 0; r == 1 && i < ancillary.fds_count; i++)
		CHECK(noria_close(fds[i]) == 0);
	passed += r == 1;
	close_pair(pair);
	return r < 0 ? (int)r : 0;
}

static void open_all(void)
{
	int file;

	connected = accepted = chained = written = passed = 0;
	address = (struct sockaddr_un){.sun_family = AF_UNIX};
	address_length = sizeof address;
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(listener >= 0 && bind(listener, (struct sockaddr *)&address, sizeof address.sun_family) == 0);
	CHECK(listen(listener, 128) == 0);
	CHECK(getsockname(listener, (struct sockaddr *)&address, &address_length) == 0);
	memcpy(path + sizeof path - 7, "XXXXXX", 6);
	file = mkstemp(path);
	CHECK(file >= 0 && write(file, "bytes", 5) == 5 && close(file) == 0);
}

static void close_all(void)
{
	const struct direct *direct = noria_loop->direct;
	int fd;

	CHECK(fcntl(listener, F_SETFL, O_NONBLOCK) == 0);
	while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		accepted++;
		CHECK(close(fd) == 0);
	}
	CHECK(accepted == connected);
	CHECK(!direct || (direct->taken == 0 && direct->chained == 0));
	CHECK(noria_close(listener) == 0 && unlink(path) == 0);
	storm_note("connections accepted", accepted);
	storm_note("chains run", chained);
	storm_note("bytes of writers", written);
	storm_note("messages with descriptors", passed);
}

static const struct storm_operation operations[] = {
	{"direct talk", talk, 4},         {"direct wait", wait_in_vain, 2},
	{"direct accept", accept_one, 3}, {"install", install, 2},
	{"chain", run_chain, 2},          {"chain waits", wait_in_chain, 2},
	{"writer", write_pieces, 3},      {"descriptors", pass_descriptors, 2},
};

const struct storm_subject storm_sockets = {.operations = operations,
					    .count = sizeof operations / sizeof operations[0],
					    .open = open_all,
					    .close = close_all};
