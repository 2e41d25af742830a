/* SPDX-License-Identifier: MIT */
/*
 * Receive streams that are closed under somebody: by another task while one waits, by two tasks at once, by the end of a
 * task that forgot, by the end of a block, and by the closing of their descriptor while the number gets a new owner.
 */
#include "task/loop.h"
#include "unit.h"

#include <netinet/in.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct noria_config one_buffer = {.receive_buffers = 1, .receive_buffer_size = 512};

static struct noria_recv_stream shared;
static ssize_t heard;

static int wait_then_close(void *arg)
{
	const void *data;

	(void)arg;
	heard = noria_recv_stream_next(&shared, &data);
	noria_recv_stream_close(&shared);
	return 0;
}

/* The task that waits is told, and both may close: nobody returns before the kernel has let go. */
UNIT(stream_closed, by_another_task_while_one_waits)
{
	struct noria_group group;
	int pair[2];

	unit_pair(pair);
	heard = 1;
	MUST(noria_recv_stream_open(&shared, pair[0]) == 0);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, wait_then_close, NULL) == 0);
	MUST(noria_sleep(noria_msec(1)) == 0);
	noria_recv_stream_close(&shared);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT_EQ(heard, -EBADF);
	MUST(noria_recv_stream_open(&shared, pair[0]) == 0); /* the storage is free again */
	noria_recv_stream_close(&shared);
	EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]), 0);
	return 0;
}

/* A stream that was not under way when its descriptor was closed does not begin with the number's next owner. */
UNIT(stream_closed, an_idle_one_leaves_the_next_owner_alone)
{
	const void *data;
	int pair[2], next[2];

	unit_pair(pair);
	MUST(noria_recv_stream_open(&shared, pair[0]) == 0);
	EXPECT_EQ(noria_close(pair[0]), 0);
	unit_pair(next);
	MUST(next[0] == pair[0]);
	MUST(noria_send(next[1], "x", 1, 0) == 1);
	EXPECT_EQ(noria_within(noria_msec(5), noria_recv_stream_next(&shared, &data)), -EBADF);
	noria_recv_stream_close(&shared);
	EXPECT_EQ(noria_close(pair[1]) | noria_close(next[0]) | noria_close(next[1]), 0);
	return 0;
}

static int send_lots(void *arg)
{
	static char lots[1 << 20];

	return noria_send_all(*(int *)arg, lots, sizeof lots, 0) == (ssize_t)sizeof lots ? 0 : -EIO;
}

/* Closing a stream that receives into its own memory ends that receive, and nothing else on the descriptor. */
UNIT_WITH(stream_closed, spares_what_others_do_on_the_descriptor, &one_buffer)
{
	struct noria_recv_stream greedy;
	struct noria_group group;
	static char bytes[1 << 20];
	const void *data;
	int pair[2], other[2];

	unit_pair(pair);
	unit_pair(other);
	MUST(noria_recv_stream_open(&greedy, other[0]) == 0 && noria_recv_stream_open(&shared, pair[0]) == 0);
	MUST(noria_send(other[1], "x", 1, 0) == 1 && noria_recv_stream_next(&greedy, &data) == 1);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, wait_then_close, NULL) == 0 && noria_spawn(&group, send_lots, &pair[0]) == 0);
	MUST(noria_sleep(noria_msec(1)) == 0);
	noria_recv_stream_close(&shared);
	EXPECT_EQ(noria_recv_all(pair[1], bytes, sizeof bytes, 0), (ssize_t)sizeof bytes);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT_EQ(heard, -EBADF);
	noria_recv_stream_close(&greedy);
	EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]) | noria_close(other[0]) | noria_close(other[1]), 0);
	return 0;
}

static int forget(void *arg)
{
	struct noria_recv_stream stream;
	const void *data;

	MUST(noria_recv_stream_open(&stream, *(int *)arg) == 0);
	EXPECT_EQ(noria_recv_stream_open(&stream, *(int *)arg), -EINVAL);
	EXPECT(strstr(noria_message(), "open already"));
	EXPECT_EQ(noria_within(noria_msec(1), noria_recv_stream_next(&stream, &data)), -ETIMEDOUT);
	return 0;
}

/* A task that ends with an open stream is at fault, and nothing is left in flight. */
UNIT(stream_closed, for_the_task_that_forgot)
{
	struct noria_group group;
	int pair[2];

	unit_pair(pair);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, forget, &pair[0]) == 0);
	EXPECT_EQ(noria_group_close(&group, 0), -EINVAL);
	EXPECT(strstr(noria_message(), "receive stream"));
	EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]), 0);
	return 0;
}

static int write_on(void *arg)
{
	static char lots[1 << 20];

	heard = noria_write_all(*(int *)arg, lots, sizeof lots);
	return 0;
}

/* A transfer whose descriptor is closed between two steps does not go on with the number's next owner. */
UNIT(stream_closed, a_transfer_leaves_the_next_owner_alone)
{
	struct noria_group group;
	static char bytes[1 << 20];
	int pair[2], next[2];

	unit_pair(pair);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, write_on, &pair[0]) == 0);
	MUST(noria_sleep(noria_msec(1)) == 0);
	MUST(read(pair[1], bytes, sizeof bytes) > 0);
	while (noria_loop->in_flight > 0) /* until a step has completed, and its task is ready but has not run */
		MUST(noria_yield() == 0);
	EXPECT_EQ(noria_close(pair[0]), 0);
	unit_pair(next);
	EXPECT(next[0] == pair[0] || next[1] == pair[0]);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT_EQ(heard, -EBADF);
	EXPECT_EQ(noria_recv(next[0], bytes, sizeof bytes, MSG_DONTWAIT), -EAGAIN);
	EXPECT_EQ(noria_recv(next[1], bytes, sizeof bytes, MSG_DONTWAIT), -EAGAIN);
	EXPECT_EQ(noria_close(pair[1]) | noria_close(next[0]) | noria_close(next[1]), 0);
	return 0;
}

/* Each kind is left open by a return; what the task left open itself would be its failure. */
static int leave_three(void *arg)
{
	noria_autoaccept struct noria_accept_stream clients = {0};
	noria_autodatagrams struct noria_datagram_stream datagrams = {0};
	noria_autorecv struct noria_recv_stream bytes = {0}, never = {0}, before = {0};
	const int *fds = arg;

	(void)never;
	MUST(noria_accept_stream_open(&clients, fds[0], 0) == 0);
	MUST(noria_datagram_stream_open(&datagrams, fds[1], NULL) == 0);
	MUST(noria_recv_stream_open(&before, fds[2]) == 0);
	noria_recv_stream_close(&before);
	MUST(noria_recv_stream_open(&bytes, fds[2]) == 0);
	noria_try(noria_check());
	return 0;
}

UNIT(stream_closed, by_the_end_of_a_block)
{
	struct sockaddr_storage address;
	socklen_t length = sizeof address;
	struct noria_group group;
	int pair[2], fds[3];

	unit_pair(pair);
	fds[0] = unit_listener(&address, &length);
	fds[1] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	fds[2] = pair[0];
	MUST(fds[1] >= 0 && noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, leave_three, fds) == 0);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT_EQ(noria_close(fds[0]) | noria_close(fds[1]) | noria_close(pair[0]) | noria_close(pair[1]), 0);
	return 0;
}

static __attribute__((noinline)) int lose_below(const int *fds, int kind)
{
	struct noria_accept_stream clients;
	struct noria_datagram_stream datagrams;
	struct noria_recv_stream bytes;
	const void *data;

	if (kind == 0) {
		MUST(noria_accept_stream_open(&clients, fds[0], 0) == 0);
		EXPECT_EQ(noria_within(1, noria_accept_stream_next(&clients)), -ETIMEDOUT);
	} else if (kind == 1) {
		struct noria_datagram one;

		MUST(noria_datagram_stream_open(&datagrams, fds[1], NULL) == 0);
		EXPECT_EQ(noria_within(1, noria_datagram_stream_next(&datagrams, &one, 1)), -ETIMEDOUT);
	} else {
		MUST(noria_recv_stream_open(&bytes, fds[2]) == 0);
		EXPECT_EQ(noria_within(1, noria_recv_stream_next(&bytes, &data)), -ETIMEDOUT);
	}
	return 0;
}

/* The frames that the function leaves behind are another's by now. */
static __attribute__((noinline)) void overwrite(void)
{
	volatile char frame[4096];

	for (size_t i = 0; i < sizeof frame; i++)
		frame[i] = 0x55;
}

static int lose(void *arg)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof address;
	int pair[2], fds[3];

	unit_pair(pair);
	fds[0] = socket(AF_INET, SOCK_STREAM, 0);
	fds[1] = socket(AF_INET, SOCK_DGRAM, 0);
	fds[2] = pair[0];
	MUST(listen(fds[0], 4) == 0 && bind(fds[1], (struct sockaddr *)&address, sizeof address) == 0);
	MUST(lose_below(fds, *(int *)arg) == 0);
	overwrite();
	/* Something comes for it. */
	MUST(getsockname(fds[0], (struct sockaddr *)&address, &length) == 0);
	MUST(connect(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&address, length) == 0);
	MUST(getsockname(fds[1], (struct sockaddr *)&address, &length) == 0);
	MUST(sendto(fds[1], "x", 1, 0, (struct sockaddr *)&address, length) == 1 && write(pair[1], "x", 1) == 1);
	return noria_sleep(noria_sec(10));
}

static void run_and_lose(void *arg)
{
	_exit(noria_run(NULL, lose, arg) == 0);
}

/* What the kernel brings finds no stream: the process ends, and says which it was, and what to do. */
Test(stream_closed, one_whose_storage_is_gone_is_named, .timeout = 100)
{
	static const char *const kinds[] = {"accept stream", "datagram stream", "receive stream"};
	static const char *const remedies[] = {"noria_autoaccept", "noria_autodatagrams", "noria_autorecv"};

	for (int kind = 0; kind < 3; kind++) {
		char text[1024];
		int status = unit_in_child(run_and_lose, &kind, text, sizeof text);

		EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
		EXPECT(strstr(text, kinds[kind]) && strstr(text, "task lose") && strstr(text, "stream_closed.c") &&
		       strstr(text, remedies[kind]));
	}
}
