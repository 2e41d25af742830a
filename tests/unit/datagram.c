/* SPDX-License-Identifier: MIT */
/*
 * Datagram streams: each datagram whole and once, in order, with its sender and what the socket's options add; cut ones
 * are told; errors are told once; cancels, slow tasks and closings lose none that the socket could keep. Each test runs
 * on kernels that lack one or more of what these streams use as well.
 */
#include "datagram_sockets.h"
#include "ring/ring.h"
#include "task/loop.h"

#include <fcntl.h>
#include <unistd.h>

static const struct noria_datagram_options few = {.size = 2000, .control = 128, .buffers = 4};

static void send_number(int fd, unsigned number, size_t size)
{
	char bytes[2000] = {0};

	memcpy(bytes, &number, sizeof number);
	MUST(send(fd, bytes, size, 0) == (ssize_t)size);
}

static unsigned number_of(const struct noria_datagram *datagram)
{
	unsigned number;

	MUST(datagram->size >= sizeof number);
	memcpy(&number, datagram->data, sizeof number);
	return number;
}

static int each_once_and_in_order(__attribute__((unused)) void *arg)
{
	struct noria_datagram_stream stream;
	struct noria_datagram some[16];
	unsigned next = 0;
	int pair[2];

	udp_pair(pair);
	MUST(noria_datagram_stream_open(&stream, pair[0], &few) == 0);
	for (unsigned i = 0; i < 500; i++)
		send_number(pair[1], i, 4 + i);
	while (next < 500) {
		int n = noria_datagram_stream_next(&stream, some, 16);

		MUST(n >= 1 && n <= 16);
		for (int i = 0; i < n; i++, next++) {
			const struct sockaddr_in *from = (void *)some[i].address;

			EXPECT_EQ(number_of(&some[i]), next);
			EXPECT_EQ(some[i].size, 4 + next);
			EXPECT_EQ(some[i].flags, 0);
			EXPECT_EQ(some[i].address_length, sizeof *from);
			EXPECT_EQ(from->sin_port, udp_port(pair[1]));
			EXPECT_EQ(noria_datagram_segments(&some[i]), 1);
		}
	}
	EXPECT_EQ(noria_within(noria_msec(1), noria_datagram_stream_next(&stream, some, 16)), -ETIMEDOUT);
	noria_datagram_stream_close(&stream);
	EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]), 0);
	return 0;
}

static int empty_and_cut_ones(__attribute__((unused)) void *arg)
{
	const struct noria_datagram_options tiny = {.size = 100};
	struct noria_datagram_stream stream;
	struct noria_datagram one;
	int pair[2];

	udp_pair(pair);
	MUST(noria_datagram_stream_open(&stream, pair[0], &tiny) == 0);
	MUST(send(pair[1], NULL, 0, 0) == 0);
	send_number(pair[1], 7, 1000);
	send_number(pair[1], 8, 100);
	MUST(noria_datagram_stream_next(&stream, &one, 1) == 1);
	EXPECT_EQ(one.size, 0);
	EXPECT_EQ(one.flags, 0);
	EXPECT_EQ(one.address_length, sizeof(struct sockaddr_in));
	EXPECT_EQ(noria_datagram_segments(&one), 1);
	MUST(noria_datagram_stream_next(&stream, &one, 1) == 1);
	EXPECT_EQ(number_of(&one), 7);
	EXPECT(one.size >= 100 && one.size < 1000);
	EXPECT_EQ(one.flags, MSG_TRUNC);
	MUST(noria_datagram_stream_next(&stream, &one, 1) == 1);
	EXPECT_EQ(number_of(&one), 8);
	EXPECT_EQ(one.size, 100);
	EXPECT_EQ(one.flags, 0);
	noria_datagram_stream_close(&stream);
	EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]), 0);
	return 0;
}

static void ask(int fd, int level, int option)
{
	MUST(setsockopt(fd, level, option, &(int){1}, sizeof(int)) == 0);
}

static int what_options_add(__attribute__((unused)) void *arg)
{
	const struct noria_datagram_options tight = {.control = 16};
	struct noria_datagram_stream stream;
	struct noria_datagram_info info;
	struct noria_datagram one;
	struct timespec now;
	int pair[2];

	udp_pair(pair);
	MUST(noria_datagram_stream_open(&stream, pair[0], NULL) == 0);
	MUST(send(pair[1], "x", 1, 0) == 1 && noria_datagram_stream_next(&stream, &one, 1) == 1);
	noria_datagram_get_info(&one, &info);
	EXPECT(info.local.ss_family == 0 && info.interface == 0 && info.ttl == -1 && info.tos == -1 &&
	       info.time_ns == -1);
	ask(pair[0], IPPROTO_IP, IP_PKTINFO);
	ask(pair[0], IPPROTO_IP, IP_RECVTTL);
	ask(pair[0], IPPROTO_IP, IP_RECVTOS);
	ask(pair[0], SOL_SOCKET, SO_TIMESTAMPNS);
	MUST(setsockopt(pair[1], IPPROTO_IP, IP_TTL, &(int){17}, sizeof(int)) == 0);
	MUST(setsockopt(pair[1], IPPROTO_IP, IP_TOS, &(int){0x28}, sizeof(int)) == 0);
	MUST(send(pair[1], "x", 1, 0) == 1 && noria_datagram_stream_next(&stream, &one, 1) == 1);
	noria_datagram_get_info(&one, &info);
	EXPECT_EQ(((struct sockaddr_in *)&info.local)->sin_addr.s_addr, htonl(INADDR_LOOPBACK));
	EXPECT(info.interface > 0);
	EXPECT_EQ(info.ttl, 17);
	EXPECT_EQ(info.tos, 0x28);
	clock_gettime(CLOCK_REALTIME, &now);
	EXPECT(llabs(now.tv_sec * 1000000000LL + now.tv_nsec - info.time_ns) < 60 * 1000000000LL);
	EXPECT_EQ(one.flags, 0);
	noria_datagram_stream_close(&stream);
	MUST(noria_datagram_stream_open(&stream, pair[0], &tight) == 0);
	MUST(send(pair[1], "x", 1, 0) == 1 && noria_datagram_stream_next(&stream, &one, 1) == 1);
	EXPECT_EQ(one.flags, MSG_CTRUNC);
	EXPECT_EQ(one.size, 1);
	noria_datagram_get_info(&one, &info);
	noria_datagram_stream_close(&stream);
	EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]), 0);
	return 0;
}

static int a_refusal_is_told_once(__attribute__((unused)) void *arg)
{
	struct noria_datagram_stream stream;
	struct noria_datagram one;
	int pair[2];

	udp_pair(pair);
	EXPECT_EQ(noria_close(pair[1]), 0);
	MUST(noria_datagram_stream_open(&stream, pair[0], &few) == 0);
	EXPECT_EQ(noria_within(noria_msec(1), noria_datagram_stream_next(&stream, &one, 1)), -ETIMEDOUT);
	MUST(send(pair[0], "x", 1, 0) == 1);
	EXPECT_EQ(noria_within(noria_sec(5), noria_datagram_stream_next(&stream, &one, 1)), -ECONNREFUSED);
	EXPECT_EQ(noria_within(noria_msec(1), noria_datagram_stream_next(&stream, &one, 1)), -ETIMEDOUT);
	noria_datagram_stream_close(&stream);
	EXPECT_EQ(noria_close(pair[0]), 0);
	return 0;
}

static int a_cancel_loses_none(__attribute__((unused)) void *arg)
{
	struct noria_datagram_stream stream;
	struct noria_datagram one;
	int pair[2];

	udp_pair(pair);
	MUST(noria_datagram_stream_open(&stream, pair[0], &few) == 0);
	for (unsigned round = 0; round < 50; round++) {
		struct noria_scope scope;

		EXPECT_EQ(noria_within(noria_usec(200), noria_datagram_stream_next(&stream, &one, 1)), -ETIMEDOUT);
		send_number(pair[1], round, 50);
		MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
		noria_scope_cancel(&scope);
		EXPECT_EQ(noria_datagram_stream_next(&stream, &one, 1), -ECANCELED);
		MUST(noria_scope_close(&scope, -ECANCELED) == 0);
		MUST(noria_within(noria_sec(5), noria_datagram_stream_next(&stream, &one, 1)) == 1);
		EXPECT_EQ(number_of(&one), round);
	}
	noria_datagram_stream_close(&stream);
	EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]), 0);
	return 0;
}

static struct noria_datagram_stream shared;

static int wait_for_one(void *arg)
{
	struct noria_datagram one;

	*(int *)arg = noria_datagram_stream_next(&shared, &one, 1);
	return 0;
}

static int closed_under_somebody(__attribute__((unused)) void *arg)
{
	struct noria_datagram one;

	for (int round = 0; round < 2; round++) {
		struct noria_group group;
		int pair[2], heard = 0;

		udp_pair(pair);
		MUST(noria_datagram_stream_open(&shared, pair[0], &few) == 0 && noria_group_open(&group) == 0);
		MUST(noria_spawn(&group, wait_for_one, &heard) == 0 && noria_sleep(noria_msec(1)) == 0);
		EXPECT_EQ(noria_datagram_stream_next(&shared, &one, 1), -EINVAL);
		if (round == 0)
			noria_datagram_stream_close(&shared);
		EXPECT_EQ(noria_close(pair[0]), 0);
		EXPECT_EQ(noria_group_close(&group, 0), 0);
		EXPECT_EQ(heard, -EBADF);
		if (round == 1)
			EXPECT_EQ(noria_datagram_stream_next(&shared, &one, 1), -EBADF);
		noria_datagram_stream_close(&shared);
		EXPECT_EQ(noria_close(pair[1]), 0);
	}
	return 0;
}

static int misuse_is_refused(__attribute__((unused)) void *arg)
{
	const struct noria_datagram_options wrong[] = {
		{.size = 65536}, {.control = 4097}, {.buffers = 3}, {.buffers = 8192}};
	struct noria_datagram_stream stream;
	struct noria_datagram one;
	int pair[2];

	udp_pair(pair);
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		EXPECT_EQ(noria_datagram_stream_open(&stream, pair[0], &wrong[i]), -EINVAL);
	EXPECT_EQ(noria_datagram_stream_next(&stream, &one, 1), -EINVAL);
	MUST(noria_datagram_stream_open(&stream, pair[0], NULL) == 0);
	EXPECT_EQ(noria_datagram_stream_open(&stream, pair[0], NULL), -EINVAL);
	EXPECT(strstr(noria_message(), "open already"));
	EXPECT_EQ(noria_datagram_stream_next(&stream, &one, 0), -EINVAL);
	noria_datagram_stream_close(&stream);
	noria_datagram_stream_close(&stream);
	EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]), 0);
	return 0;
}

enum { GROUPS = 400 };

/* Many more streams, one after the other, than there are groups of buffers in use; and many at once. */
static int many_streams(__attribute__((unused)) void *arg)
{
	static struct noria_datagram_stream streams[GROUPS];
	struct noria_datagram one;
	int pair[2];

	udp_pair(pair);
	for (int i = 0; i < GROUPS; i++)
		MUST(noria_datagram_stream_open(&streams[i], pair[0], &few) == 0);
	for (int i = 0; i < GROUPS; i++)
		noria_datagram_stream_close(&streams[i]);
	for (unsigned i = 0; i < 500; i++) {
		MUST(noria_datagram_stream_open(&streams[0], pair[0], &few) == 0);
		send_number(pair[1], i, 20);
		MUST(noria_datagram_stream_next(&streams[0], &one, 1) == 1);
		EXPECT_EQ(number_of(&one), i);
		noria_datagram_stream_close(&streams[0]);
	}
	EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]), 0);
	return 0;
}

static int a_nonblocking_socket(__attribute__((unused)) void *arg)
{
	struct noria_datagram_stream stream;
	struct noria_datagram one;
	int pair[2];

	udp_pair(pair);
	MUST(fcntl(pair[0], F_SETFL, O_NONBLOCK) == 0);
	MUST(noria_datagram_stream_open(&stream, pair[0], &few) == 0);
	EXPECT_EQ(noria_within(noria_msec(1), noria_datagram_stream_next(&stream, &one, 1)), -ETIMEDOUT);
	send_number(pair[1], 5, 20);
	EXPECT_EQ(noria_datagram_stream_next(&stream, &one, 1), 1);
	noria_datagram_stream_close(&stream);
	EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]), 0);
	return 0;
}

static size_t mapped_bytes(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	size_t pages = 0;

	MUST(file && fscanf(file, "%zu", &pages) == 1 && fclose(file) == 0);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* A megabyte each: what 64 streams had is the system's again. */
static int a_close_gives_the_memory_back(__attribute__((unused)) void *arg)
{
	static const struct noria_datagram_options large = {.size = 60000, .buffers = 16};
	struct noria_datagram_stream stream;
	size_t before = 0;
	int pair[2];

	udp_pair(pair);
	for (int i = 0; i <= 64; i++) {
		MUST(noria_datagram_stream_open(&stream, pair[0], &large) == 0);
		noria_datagram_stream_close(&stream);
		if (i == 0)
			before = mapped_bytes();
	}
	EXPECT(mapped_bytes() < before + (8U << 20));
	EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]), 0);
	return 0;
}

static const struct noria_config small = {.ring_entries = 2, .ring_entries_max = 2};

static void run_hiding(noria_task_fn *body, const char *hidden)
{
	setenv("NORIA_HIDE", hidden, 1);
	unit_run_twice(body, NULL);
	unit_run(body, &small);
}

#define DATAGRAM(name) \
	Test(datagram, name, .timeout = 60) \
	{ \
		run_hiding(name, ""); \
	} \
	Test(datagram, name##_without_multishot, .timeout = 60) \
	{ \
		run_hiding(name, "recvmsg_multishot"); \
	} \
	Test(datagram, name##_without_buffer_rings, .timeout = 60) \
	{ \
		run_hiding(name, "buffer_ring"); \
	} \
	Test(datagram, name##_with_nothing, .timeout = 60) \
	{ \
		run_hiding(name, "all"); \
	}

DATAGRAM(each_once_and_in_order)
DATAGRAM(empty_and_cut_ones)
DATAGRAM(what_options_add)
DATAGRAM(a_refusal_is_told_once)
DATAGRAM(a_cancel_loses_none)
DATAGRAM(closed_under_somebody)
DATAGRAM(misuse_is_refused)
DATAGRAM(many_streams)
DATAGRAM(a_nonblocking_socket)
DATAGRAM(a_close_gives_the_memory_back)
