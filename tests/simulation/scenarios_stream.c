/* SPDX-License-Identifier: MIT */
/* Operations with many completions, provided buffers, and direct descriptors. */
#include "rig.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#define MS INT64_C(1000000)

enum { BUFFERS = 8, BUFFER_SIZE = 64, GROUP = 7 };

struct supply {
	struct io_uring_buf_ring *ring;
	char memory[BUFFERS][BUFFER_SIZE];
};

static void supply(struct rig *rig, struct supply *supply, unsigned count, unsigned flags)
{
	supply->ring = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (supply->ring == MAP_FAILED || rig->ring->class->provide(rig->ring, supply->ring, BUFFERS, GROUP, flags) < 0)
		abort();
	io_uring_buf_ring_init(supply->ring);
	for (unsigned i = 0; i < count; i++)
		io_uring_buf_ring_add(supply->ring, supply->memory[i], BUFFER_SIZE, (unsigned short)i, BUFFERS - 1,
				      (int)i);
	io_uring_buf_ring_advance(supply->ring, (int)count);
}

static void withdraw(struct rig *rig, struct supply *supply)
{
	rig->ring->class->provide(rig->ring, NULL, 0, GROUP, 0);
	munmap(supply->ring, 4096);
}

static void select_buffers(struct io_uring_sqe *sqe)
{
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = GROUP;
}

static void prep_recv_chosen(struct io_uring_sqe *sqe, int fd)
{
	io_uring_prep_recv(sqe, fd, NULL, 0, 0);
	select_buffers(sqe);
}

static void prep_recv_many(struct io_uring_sqe *sqe, int fd)
{
	io_uring_prep_recv_multishot(sqe, fd, NULL, 0, 0);
	select_buffers(sqe);
}

static void prep_recv_bundle(struct io_uring_sqe *sqe, int fd)
{
	prep_recv_many(sqe, fd);
	sqe->ioprio |= IORING_RECVSEND_BUNDLE;
}

static void one_chosen(struct rig *rig)
{
	struct supply all;
	int pair[2];

	rig_pair(rig, pair);
	supply(rig, &all, 1, 0);
	rig_do(rig, "send", io_uring_prep_send, pair[1], "hello", 5, 0);
	rig_do(rig, "recv", prep_recv_chosen, pair[0]);
	rig_say(rig, " got %.5s", all.memory[0]);
	rig_do(rig, "send", io_uring_prep_send, pair[1], "hello", 5, 0);
	rig_do(rig, "none left", prep_recv_chosen, pair[0]);
	withdraw(rig, &all);
	rig_do(rig, "no group", prep_recv_chosen, pair[0]);
	rig_close(rig, pair[0]);
	rig_close(rig, pair[1]);
}

static void many(struct rig *rig, unsigned flags)
{
	struct supply all;
	unsigned tag;
	int pair[2];

	rig_pair(rig, pair);
	supply(rig, &all, 3, flags);
	tag = rig_put(rig, "recv", 0, prep_recv_many, pair[0]);
	rig_settle(rig, 1 * MS);
	for (int i = 1; i <= 3; i++) {
		rig_do(rig, "send", io_uring_prep_send, pair[1], "0123456789", 10, 0);
		rig_wait_for(rig, tag, i);
	}
	rig_close(rig, pair[1]);
	rig_wait(rig, tag);
	withdraw(rig, &all);
	rig_close(rig, pair[0]);
}

static void many_whole(struct rig *rig)
{
	many(rig, 0);
}

static void many_bit_by_bit(struct rig *rig)
{
	many(rig, IOU_PBUF_RING_INC);
}

/* More than the buffers hold: it ends for want of one. */
static void many_run_out(struct rig *rig)
{
	static char bytes[3 * BUFFER_SIZE];
	struct supply all;
	unsigned tag;
	int pair[2];

	rig_pair(rig, pair);
	supply(rig, &all, 2, 0);
	tag = rig_put(rig, "recv", 0, prep_recv_many, pair[0]);
	rig_settle(rig, 1 * MS);
	rig_do(rig, "send", io_uring_prep_send, pair[1], bytes, sizeof bytes, 0);
	rig_wait(rig, tag);
	withdraw(rig, &all);
	rig_close(rig, pair[0]);
	rig_close(rig, pair[1]);
}

static void bundles(struct rig *rig, unsigned flags)
{
	static char bytes[3 * BUFFER_SIZE];
	struct supply all;
	unsigned tag;
	int pair[2];

	rig_pair(rig, pair);
	supply(rig, &all, 5, flags);
	rig_do(rig, "send", io_uring_prep_send, pair[1], bytes, 2 * BUFFER_SIZE + 7, 0);
	tag = rig_put(rig, "recv", 0, prep_recv_bundle, pair[0]);
	rig_only_total(rig, tag);
	rig_wait_for(rig, tag, 1);
	rig_close(rig, pair[1]);
	rig_wait(rig, tag);
	withdraw(rig, &all);
	rig_close(rig, pair[0]);
}

static void bundles_whole(struct rig *rig)
{
	bundles(rig, 0);
}

static void bundles_bit_by_bit(struct rig *rig)
{
	bundles(rig, IOU_PBUF_RING_INC);
}

static void many_are_cancelled(struct rig *rig)
{
	struct supply all;
	unsigned tag;
	int pair[2];

	rig_pair(rig, pair);
	supply(rig, &all, 3, 0);
	tag = rig_put(rig, "recv", 0, prep_recv_many, pair[0]);
	rig_settle(rig, 1 * MS);
	rig_do(rig, "send", io_uring_prep_send, pair[1], "x", 1, 0);
	rig_wait_for(rig, tag, 1);
	rig_do(rig, "cancel", io_uring_prep_cancel64, (uint64_t)(tag + 1) << 3, 0);
	rig_wait(rig, tag);
	withdraw(rig, &all);
	rig_close(rig, pair[0]);
	rig_close(rig, pair[1]);
}

static void prep_accept_many(struct io_uring_sqe *sqe, int fd)
{
	io_uring_prep_multishot_accept(sqe, fd, NULL, NULL, 0);
}

static void many_connections(struct rig *rig)
{
	struct sockaddr_in address;
	int listener = rig_listener(rig, &address), clients[3], accepted[3];
	unsigned tag = rig_put(rig, "accept", 0, prep_accept_many, listener);

	rig_makes_fd(rig, tag);
	for (int i = 0; i < 3; i++) {
		clients[i] = rig_fd(rig, "socket", io_uring_prep_socket, AF_INET, SOCK_STREAM, 0, 0);
		rig_do(rig, "connect", io_uring_prep_connect, clients[i], (struct sockaddr *)&address, sizeof address);
		rig_wait_for(rig, tag, i + 1);
		accepted[i] = rig->results[tag];
	}
	rig_do(rig, "cancel", io_uring_prep_cancel64, (uint64_t)(tag + 1) << 3, 0);
	rig_wait(rig, tag);
	for (int i = 0; i < 3; i++) {
		rig_close(rig, clients[i]);
		rig_close(rig, accepted[i]);
	}
	rig_close(rig, listener);
}

static void prep_recvmsg_many(struct io_uring_sqe *sqe, int fd, struct msghdr *message)
{
	io_uring_prep_recvmsg_multishot(sqe, fd, message, 0);
	select_buffers(sqe);
}

static void many_datagrams(struct rig *rig)
{
	struct sockaddr_in address;
	struct msghdr message = {.msg_namelen = sizeof address};
	int in = rig_udp(rig, &address), out = rig_fd(rig, "socket", io_uring_prep_socket, AF_INET, SOCK_DGRAM, 0, 0);
	struct supply all;
	unsigned tag;

	supply(rig, &all, 4, 0);
	rig_do(rig, "connect", io_uring_prep_connect, out, (struct sockaddr *)&address, sizeof address);
	tag = rig_put(rig, "recvmsg", 0, prep_recvmsg_many, in, &message);
	rig_settle(rig, 1 * MS);
	for (int i = 0; i < 2; i++) {
		struct io_uring_recvmsg_out *header = (void *)all.memory[i];

		rig_do(rig, "send", io_uring_prep_send, out, "datagram", 8, 0);
		rig_wait_for(rig, tag, i + 1);
		rig_say(rig, " %u %u %u %x %.8s", header->namelen, header->controllen, header->payloadlen,
			header->flags, all.memory[i] + sizeof *header + sizeof address);
	}
	/* 16 of the header and 16 of the address leave 32. */
	rig_do(rig, "send", io_uring_prep_send, out, "0123456789012345678901234567890123456789", 40, 0);
	rig_wait_for(rig, tag, 3);
	rig_say(rig, " %u %x", ((struct io_uring_recvmsg_out *)(void *)all.memory[2])->payloadlen,
		((struct io_uring_recvmsg_out *)(void *)all.memory[2])->flags);
	rig_do(rig, "cancel", io_uring_prep_cancel64, (uint64_t)(tag + 1) << 3, 0);
	rig_wait(rig, tag);
	withdraw(rig, &all);
	rig_close(rig, in);
	rig_close(rig, out);
}

static void direct_descriptors(struct rig *rig)
{
	char buffer[8];
	int pair[2], fds[2], number;
	unsigned tag;

	if (rig->ring->class->direct(rig->ring, 8, 4) < 0)
		abort();
	tag = rig_put(rig, "chosen", 0, io_uring_prep_socket_direct_alloc, AF_INET, SOCK_STREAM, 0, 0);
	rig_wait(rig, tag);
	tag = rig_put(rig, "chosen", 0, io_uring_prep_socket_direct_alloc, AF_INET, SOCK_STREAM, 0, 0);
	rig_wait(rig, tag);
	rig_do(rig, "at 6", io_uring_prep_socket_direct, AF_INET, SOCK_STREAM, 0, 6, 0);
	rig_do(rig, "no such place", io_uring_prep_socket_direct, AF_INET, SOCK_STREAM, 0, 8, 0);
	rig_do(rig, "close", io_uring_prep_close_direct, 0);
	rig_do(rig, "close again", io_uring_prep_close_direct, 0);
	rig_do(rig, "close far", io_uring_prep_close_direct, 100);
	rig_pair(rig, pair);
	fds[0] = pair[0];
	fds[1] = -1;
	rig_do(rig, "update", io_uring_prep_files_update, fds, 2, 2);
	rig_do(rig, "send", io_uring_prep_send, pair[1], "hello", 5, 0);
	rig_wait(rig, rig_put(rig, "recv", IOSQE_FIXED_FILE, io_uring_prep_recv, 2, buffer, sizeof buffer, 0));
	rig_wait(rig, rig_put(rig, "empty place", IOSQE_FIXED_FILE, io_uring_prep_recv, 3, buffer, 1, 0));
	number = rig_fd(rig, "install", io_uring_prep_fixed_fd_install, 2, 0);
	rig_close(rig, number);
	rig_close(rig, pair[0]);
	rig_close(rig, pair[1]);
	rig->ring->class->direct(rig->ring, 0, 0);
}

const struct scenario stream_scenarios[] = {
	{"one chosen", one_chosen, FEATURE_BUFFER_RING},
	{"many, whole", many_whole, FEATURE_RECV_MULTISHOT},
	{"many, bit by bit", many_bit_by_bit, FEATURE_INCREMENTAL},
	{"many run out", many_run_out, FEATURE_RECV_MULTISHOT},
	{"bundles, whole", bundles_whole, FEATURE_BUNDLE},
	{"bundles, bit by bit", bundles_bit_by_bit, FEATURE_INCREMENTAL},
	{"many are cancelled", many_are_cancelled, FEATURE_RECV_MULTISHOT},
	{"many connections", many_connections, FEATURE_ACCEPT_MULTISHOT},
	{"many datagrams", many_datagrams, FEATURE_RECVMSG_MULTISHOT},
	{"direct descriptors", direct_descriptors, FEATURE_FD_INSTALL},
	{NULL},
};
