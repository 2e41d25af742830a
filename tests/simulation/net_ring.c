/* SPDX-License-Identifier: MIT */
/* The ring's operations of sockets and pipes, by entries: those that wait, and what is left when they fail. */
#include "net_world.h"

#include "ring/compat.h"
#include "simulation/ring.h"

#include <stddef.h>
#include <sys/un.h>

static struct ring *ring;

static void begin_with(const char *plan)
{
	open_world(5, plan);
	cr_assert(sim_ring_open(&ring, 32, 32) == 0);
}

static void begin(void)
{
	begin_with("");
}

static void end(void)
{
	ring->class->close(ring);
	close_world();
}

TestSuite(net_ring, .init = begin, .fini = end, .timeout = 30);

static struct io_uring_sqe *entry(uint64_t number)
{
	struct io_uring_sqe *sqe = ring_reserve(ring);

	sqe->user_data = number << 3;
	return sqe;
}

/* liburing's prepare functions clear the number. */
#define put_entry(number, prepare, ...) \
	do { \
		struct io_uring_sqe *sqe_ = entry(number); \
		prepare(sqe_, __VA_ARGS__); \
		sqe_->user_data = (uint64_t)(number) << 3; \
	} while (0)

/* Until this one has completed; the others that come are noted, too. */
static int results[16];
static bool done[16];

static int await(unsigned number)
{
	while (!done[number]) {
		cr_assert(ring->class->enter(ring, 1, world->now + 200 * SECOND) == 0);
		cr_assert(ring_ready(ring) > 0, "nothing completes");
		for (; ring_ready(ring) > 0; ring_reaped(ring, 1)) {
			const struct io_uring_cqe *cqe = ring_peek(ring, 0);

			results[cqe->user_data >> 3] = cqe->res;
			done[cqe->user_data >> 3] = true;
		}
	}
	done[number] = false;
	return results[number];
}

#define do_entry(prepare, ...) \
	(__extension__({ \
		put_entry(1, prepare, __VA_ARGS__); \
		await(1); \
	}))

static int socket_of(int type)
{
	return do_entry(io_uring_prep_socket, AF_INET, type, 0, 0);
}

Test(net_ring, accept_and_connect_wait)
{
	struct sockaddr_in address = at("127.0.0.1", 80), name = {0};
	socklen_t length = sizeof name;
	int listening = socket_of(SOCK_STREAM), fd = socket_of(SOCK_STREAM), accepted;
	char byte = 0;

	EXPECT_EQ(do_entry(io_uring_prep_bind, listening, (struct sockaddr *)&address, sizeof address), 0);
	EXPECT_EQ(do_entry(io_uring_prep_listen, listening, 5), 0);
	put_entry(2, io_uring_prep_accept, listening, (struct sockaddr *)&name, &length, 0);
	EXPECT_EQ(do_entry(io_uring_prep_connect, fd, (struct sockaddr *)&address, sizeof address), 0);
	accepted = await(2);
	cr_expect(accepted >= SIM_FD);
	EXPECT_EQ(name.sin_family, AF_INET);
	EXPECT_EQ(length, sizeof name);
	put_entry(3, io_uring_prep_recv, accepted, &byte, 1, 0);
	address.sin_port = htons(81);
	fd = socket_of(SOCK_STREAM);
	EXPECT_EQ(do_entry(io_uring_prep_connect, fd, (struct sockaddr *)&address, sizeof address), -ECONNREFUSED);
	EXPECT_EQ(do_entry(io_uring_prep_shutdown, accepted, SHUT_RD), 0);
	EXPECT_EQ(await(3), 0);
}

Test(net_ring, a_connect_that_is_cancelled_says_so)
{
	struct sockaddr_in address = at("10.99.0.1", 80); /* nobody's */
	int fd = socket_of(SOCK_STREAM);

	put_entry(2, io_uring_prep_connect, fd, (struct sockaddr *)&address, sizeof address);
	EXPECT_EQ(do_entry(io_uring_prep_cancel64, 2 << 3, 0), 0);
	EXPECT_EQ(await(2), -ECANCELED);
}

Test(net_ring, a_connection_is_not_lost_with_its_descriptor)
{
	struct sockaddr_in address = at("127.0.0.1", 80);
	int listening, fd, accepted;
	char byte;

	end();
	begin_with("emfile@2");
	listening = socket_of(SOCK_STREAM);
	fd = socket_of(SOCK_STREAM);
	EXPECT_EQ(do_entry(io_uring_prep_bind, listening, (struct sockaddr *)&address, sizeof address), 0);
	EXPECT_EQ(do_entry(io_uring_prep_listen, listening, 5), 0);
	EXPECT_EQ(do_entry(io_uring_prep_connect, fd, (struct sockaddr *)&address, sizeof address), 0);
	EXPECT_EQ(do_entry(io_uring_prep_send, fd, "x", 1, 0), 1);
	EXPECT_EQ(do_entry(io_uring_prep_accept, listening, NULL, NULL, 0), -EMFILE);
	accepted = do_entry(io_uring_prep_accept, listening, NULL, NULL, 0);
	EXPECT_EQ(do_entry(io_uring_prep_recv, accepted, &byte, 1, 0), 1);
}

Test(net_ring, a_unix_listener_that_is_full_makes_connects_wait)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "\0full"};
	int listening = sim_socket(here, AF_UNIX, SOCK_STREAM, 0), fds[2];
	socklen_t length = offsetof(struct sockaddr_un, sun_path) + 5;

	EXPECT_EQ(sim_bind(file(listening), (struct sockaddr *)&address, length), 0);
	EXPECT_EQ(sim_listen(file(listening), 0), 0);
	for (unsigned i = 0; i < 2; i++) {
		fds[i] = sim_socket(here, AF_UNIX, SOCK_STREAM, 0);
		put_entry(2 + i, io_uring_prep_connect, fds[i], (struct sockaddr *)&address, length);
	}
	EXPECT_EQ(await(2), 0);
	EXPECT_EQ(done[3], false);
	cr_expect(do_entry(io_uring_prep_accept, listening, NULL, NULL, 0) >= SIM_FD);
	EXPECT_EQ(await(3), 0);
}

/* What waits for room goes on when there is some. */
Test(net_ring, writers_wait)
{
	static char much[300000];
	int pair[2], pipe[2];
	int64_t r;

	EXPECT_EQ(sim_socketpair(here, AF_UNIX, SOCK_STREAM, 0, pair), 0);
	EXPECT_EQ(sim_pipe(here, 0, pipe), 0);
	while ((r = put(pair[0], much, sizeof much)) > 0)
		;
	while ((r = put(pipe[1], much, sizeof much)) > 0)
		;
	put_entry(2, io_uring_prep_send, pair[0], much, 1000, 0);
	put_entry(3, io_uring_prep_write, pipe[1], much, 1000, 0);
	EXPECT_EQ(do_entry(io_uring_prep_recv, pair[1], much, 10, 0), 10);
	EXPECT_EQ(done[2], false);
	EXPECT_EQ(do_entry(io_uring_prep_recv, pair[1], much, sizeof much, 0) > 10000, true);
	EXPECT_EQ(await(2), 1000);
	EXPECT_EQ(do_entry(io_uring_prep_read, pipe[0], much, 5000, 0), 5000);
	EXPECT_EQ(await(3), 1000);
}

Test(net_ring, commands_of_sockets)
{
	int fd = socket_of(SOCK_STREAM), value = 1, type = 0, pair[2];

	EXPECT_EQ(
		do_entry(io_uring_prep_cmd_sock, SOCKET_URING_OP_SETSOCKOPT, fd, IPPROTO_TCP, 1, &value, sizeof value),
		0);
	EXPECT_EQ(do_entry(io_uring_prep_cmd_sock, SOCKET_URING_OP_GETSOCKOPT, fd, SOL_SOCKET, SO_TYPE, &type,
			   sizeof type),
		  sizeof type);
	EXPECT_EQ(type, SOCK_STREAM);
	EXPECT_EQ(do_entry(io_uring_prep_cmd_sock, SOCKET_URING_OP_GETSOCKOPT, fd, IPPROTO_TCP, 1, &type, sizeof type),
		  -EOPNOTSUPP);
	EXPECT_EQ(sim_socketpair(here, AF_UNIX, SOCK_STREAM, 0, pair), 0);
	put(pair[0], "abc", 3);
	EXPECT_EQ(do_entry(io_uring_prep_cmd_sock, SOCKET_URING_OP_SIOCINQ, pair[1], 0, 0, NULL, 0), 3);
	EXPECT_EQ(do_entry(io_uring_prep_cmd_sock, SOCKET_URING_OP_SIOCOUTQ, pair[0], 0, 0, NULL, 0), 0);
}

static void prep_pipe(struct io_uring_sqe *sqe, int fds[2], unsigned file_index)
{
	io_uring_prep_rw(RING_OP_PIPE, sqe, 0, fds, 0, 0);
	sqe->file_index = file_index;
}

static void prep_direct(struct io_uring_sqe *sqe, int place, void *bytes, bool out)
{
	if (out)
		io_uring_prep_write(sqe, place, bytes, 1, 0);
	else
		io_uring_prep_read(sqe, place, bytes, 1, 0);
	sqe->flags |= IOSQE_FIXED_FILE;
}

Test(net_ring, pipes_direct_or_not)
{
	int fds[2];
	char byte = 'x';

	EXPECT_EQ(do_entry(prep_pipe, fds, 0), 0);
	EXPECT_EQ(put(fds[1], &byte, 1), 1);
	EXPECT_EQ(get(fds[0], &byte, 1), 1);
	EXPECT_EQ(ring->class->direct(ring, 4, 3), 0);
	EXPECT_EQ(do_entry(prep_pipe, fds, IORING_FILE_INDEX_ALLOC), 0);
	EXPECT_EQ(do_entry(prep_direct, fds[1], &byte, true), 1);
	EXPECT_EQ(do_entry(prep_direct, fds[0], &byte, false), 1);
	EXPECT_EQ(do_entry(prep_pipe, fds, IORING_FILE_INDEX_ALLOC), -ENFILE); /* two or none */
	EXPECT_EQ(do_entry(io_uring_prep_socket_direct_alloc, AF_INET, SOCK_STREAM, 0, 0), 2);
	EXPECT_EQ(do_entry(prep_pipe, fds, 3), 0); /* in the third place, and the next */
	EXPECT_EQ(do_entry(prep_direct, 3, &byte, true), 1);
	EXPECT_EQ(do_entry(prep_direct, 2, &byte, false), 1);
}

Test(net_ring, what_waits_on_a_crashed_host_ends)
{
	struct sockaddr_in address = at("0.0.0.0", 80);
	int fd = sim_socket(there, AF_INET, SOCK_STREAM, 0);

	EXPECT_EQ(sim_bind(file(fd), (struct sockaddr *)&address, sizeof address), 0);
	EXPECT_EQ(sim_listen(file(fd), 5), 0);
	put_entry(2, io_uring_prep_accept, fd, NULL, NULL, 0);
	(void)ring->class->enter(ring, 0, 0);
	sim_host_crash(there);
	EXPECT_EQ(await(2), -EHOSTDOWN);
	shut(fd);
}
