/* SPDX-License-Identifier: MIT */
/*
 * The writer: pieces leave together when the task parks, in order, whatever the socket takes at a time; an error of what
 * left by itself is told; a cancel and a close lose nothing in silence.
 */
#include "unit.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static ssize_t look(int fd, char *bytes, size_t size)
{
	return recv(fd, bytes, size, MSG_DONTWAIT);
}

UNIT(writer, pieces_leave_together_when_the_task_parks)
{
	struct noria_writer writer;
	char buffer[64], bytes[16] = "", byte;
	int pair[2];

	unit_pair(pair);
	MUST(noria_writer_open(&writer, pair[0], buffer, sizeof buffer) == 0);
	EXPECT_EQ(noria_writer_write(&writer, "one ", 4), 0);
	EXPECT_EQ(noria_writer_printf(&writer, "%d", 2), 0);
	EXPECT_EQ(noria_yield(), 0);
	EXPECT_EQ(look(pair[1], bytes, sizeof bytes), -1);
	EXPECT_EQ(noria_within(noria_msec(1), noria_recv(pair[0], &byte, 1, 0)), -ETIMEDOUT); /* parks */
	EXPECT_EQ(look(pair[1], bytes, sizeof bytes), 5);
	EXPECT(memcmp(bytes, "one 2", 5) == 0);
	EXPECT_EQ(noria_writer_sent(&writer), 5);
	EXPECT_EQ(noria_writer_write(&writer, "3", 1), 0);
	EXPECT_EQ(noria_writer_flush(&writer), 0);
	EXPECT_EQ(look(pair[1], bytes, sizeof bytes), 1);
	EXPECT_EQ(noria_writer_flush(&writer), 0);
	EXPECT_EQ(noria_writer_write(&writer, "last", 4), 0);
	EXPECT_EQ(noria_writer_close(&writer), 0);
	EXPECT_EQ(noria_writer_close(&writer), -EINVAL);
	EXPECT_EQ(look(pair[1], bytes, sizeof bytes), 4);
	EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]), 0);
	return 0;
}

static char byte_at(size_t position)
{
	return (char)(position * 131 + (position >> 8) * 17);
}

struct reader {
	int fd;
	uint64_t seed;
	size_t received;
};

/* Slowly, and in pieces: the socket is full most of the time. */
static int read_slowly(void *arg)
{
	struct reader *reader = arg;
	char bytes[3000];
	ssize_t n;

	while ((n = noria_recv(reader->fd, bytes, 1 + unit_random(&reader->seed) % sizeof bytes, 0)) > 0) {
		for (ssize_t i = 0; i < n; i++)
			MUST(bytes[i] == byte_at(reader->received + (size_t)i));
		reader->received += (size_t)n;
		if (unit_random(&reader->seed) % 4 == 0)
			MUST(noria_yield() == 0);
	}
	return (int)n;
}

static void write_some(struct noria_writer *writer, size_t *written, uint64_t *seed)
{
	char bytes[900];
	size_t size = 1 + unit_random(seed) % sizeof bytes;

	for (size_t i = 0; i < size; i++)
		bytes[i] = byte_at(*written + i);
	MUST(noria_writer_write(writer, bytes, size) == 0);
	*written += size;
}

/* Of every size, with parks in between, on sockets that wait and that do not, through a queue of two entries. */
static const struct noria_config narrow = {.ring_entries = 2, .ring_entries_max = 2};

UNIT_WITH(writer, the_order_is_kept_whatever_the_socket_takes, &narrow)
{
	for (uint64_t seed = 1; seed <= 8; seed++) {
		uint64_t state = seed;
		struct noria_writer writer;
		struct noria_group group;
		char buffer[700];
		size_t written = 0, size = 1 + unit_random(&state) % sizeof buffer;
		int pair[2], few = 4096;
		struct reader reader = {.seed = seed};

		unit_pair(pair);
		reader.fd = pair[1];
		MUST(setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &few, sizeof few) == 0);
		if (seed % 2)
			MUST(fcntl(pair[0], F_SETFL, O_NONBLOCK) == 0);
		MUST(noria_group_open(&group) == 0);
		MUST(noria_spawn(&group, read_slowly, &reader) == 0);
		MUST(noria_writer_open(&writer, pair[0], buffer, size) == 0);
		for (int i = 0; i < 400; i++) {
			write_some(&writer, &written, &state);
			if (unit_random(&state) % 3 == 0)
				MUST(noria_sleep(noria_msec(1)) == 0);
			if (unit_random(&state) % 20 == 0)
				EXPECT_EQ(noria_writer_flush(&writer), 0);
		}
		EXPECT_EQ(noria_writer_close(&writer), 0);
		EXPECT_EQ(noria_writer_sent(&writer), written);
		EXPECT_EQ(noria_close(pair[0]), 0);
		EXPECT_EQ(noria_group_close(&group, 0), 0);
		EXPECT_EQ(reader.received, written);
		EXPECT_EQ(noria_close(pair[1]), 0);
	}
	return 0;
}

/* The socket is full, whether it has O_NONBLOCK or not: what left by itself goes on by itself, while the task waits for the answer. */
static int read_and_answer(void *arg)
{
	static char bytes[1 << 16];
	int fd = *(int *)arg;
	size_t sum = 0;
	ssize_t n;

	while (sum < 300000 && (n = noria_recv(fd, bytes, sizeof bytes, 0)) > 0)
		sum += (size_t)n;
	return (int)noria_send(fd, "!", 1, 0);
}

UNIT(writer, what_does_not_fit_the_socket_follows_by_itself)
{
	static char buffer[300100];
	struct noria_writer writer;
	struct noria_group group;
	int pair[2], few = 4096;
	char byte = 0;

	unit_pair(pair);
	MUST(setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &few, sizeof few) == 0);
	MUST(fcntl(pair[0], F_SETFL, O_NONBLOCK) == 0);
	MUST(noria_writer_open(&writer, pair[0], buffer, sizeof buffer) == 0);
	for (int i = 0; i < 300; i++) {
		EXPECT_EQ(noria_writer_printf(&writer, "%0999d\n", i), 0);
		if (i == 150)
			EXPECT_EQ(noria_sleep(noria_msec(1)), 0); /* these are in flight, the others are behind them */
	}
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, read_and_answer, &pair[1]) == 0);
	EXPECT_EQ(noria_recv(pair[0], &byte, 1, 0), 1);
	EXPECT(byte == '!');
	EXPECT_EQ(noria_writer_sent(&writer), 300000);
	EXPECT_EQ(noria_writer_close(&writer), 0);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]), 0);
	return 0;
}

/* R01: nobody waits for what leaves by itself; its error is told by every call that follows. */
UNIT(writer, r01_an_error_of_what_left_by_itself_is_told)
{
	struct noria_writer writer;
	char buffer[64];
	int pair[2];

	unit_pair(pair);
	MUST(noria_writer_open(&writer, pair[0], buffer, sizeof buffer) == 0);
	MUST(close(pair[1]) == 0);
	EXPECT_EQ(noria_writer_write(&writer, "lost", 4), 0);
	EXPECT_EQ(noria_sleep(noria_msec(1)), 0);
	EXPECT_EQ(noria_writer_write(&writer, "more", 4), -EPIPE);
	EXPECT_EQ(noria_writer_printf(&writer, "more"), -EPIPE);
	EXPECT_EQ(noria_writer_flush(&writer), -EPIPE);
	EXPECT_EQ(noria_writer_close(&writer), -EPIPE);
	EXPECT_EQ(noria_writer_sent(&writer), 0);
	EXPECT_EQ(noria_close(pair[0]), 0);
	return 0;
}

static int end_slowly(__attribute__((unused)) void *arg)
{
	(void)!noria_sleep(NORIA_FOREVER);
	return noria_shielded(noria_sec(20), noria_sleep(noria_msec(2))); /* some turns of the loop */
}

/* S19: in a cancelled scope nothing is handed to the kernel; the close tells what did not leave. */
UNIT(writer, s19_nothing_leaves_in_a_cancelled_scope)
{
	struct noria_writer writer, idle;
	struct noria_scope scope;
	struct noria_group group;
	char buffer[64], other[8], bytes[8];
	int pair[2];

	unit_pair(pair);
	MUST(noria_writer_open(&writer, pair[0], buffer, sizeof buffer) == 0);
	MUST(noria_writer_open(&idle, pair[1], other, sizeof other) == 0);
	EXPECT_EQ(noria_writer_write(&writer, "kept", 4), 0);
	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, end_slowly, NULL) == 0);
	MUST(noria_yield() == 0);
	noria_scope_cancel(&scope);
	EXPECT_EQ(noria_group_close(&group, 0), -ECANCELED); /* parks, for the child to end */
	EXPECT_EQ(noria_writer_write(&writer, "x", 1), -ECANCELED);
	EXPECT_EQ(noria_progress(), 0);
	EXPECT_EQ(noria_writer_flush(&writer), -ECANCELED);
	EXPECT_EQ(noria_sleep(noria_msec(1)), -ECANCELED);
	EXPECT_EQ(look(pair[1], bytes, sizeof bytes), -1);
	EXPECT_EQ(noria_writer_close(&idle), 0);
	EXPECT_EQ(noria_scope_close(&scope, 0), 0);
	/* Outside it goes on where it was. */
	EXPECT_EQ(noria_writer_flush(&writer), 0);
	EXPECT_EQ(look(pair[1], bytes, sizeof bytes), 4);
	EXPECT_EQ(noria_writer_write(&writer, "dropped", 7), 0);
	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
	noria_scope_cancel(&scope);
	EXPECT_EQ(noria_writer_close(&writer), -ECANCELED);
	EXPECT_EQ(noria_scope_close(&scope, 0), 0);
	EXPECT_EQ(look(pair[1], bytes, sizeof bytes), -1);
	EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]), 0);
	return 0;
}

/* S15: the peer takes nothing, so what is with the kernel is called back; how far it came is told. */
UNIT(writer, s15_a_close_completes_when_cancelled)
{
	static char buffer[1 << 20], bytes[1 << 20];
	struct noria_writer writer;
	ssize_t n, sum = 0;
	int pair[2];
	char byte;

	unit_pair(pair);
	MUST(noria_writer_open(&writer, pair[0], buffer, sizeof buffer) == 0);
	EXPECT_EQ(noria_writer_write(&writer, bytes, sizeof bytes - 1), 0);
	EXPECT_EQ(noria_within(noria_msec(1), noria_recv(pair[0], &byte, 1, 0)), -ETIMEDOUT);
	EXPECT_EQ(noria_within(noria_msec(1), noria_writer_flush(&writer)), -ETIMEDOUT);
	EXPECT_EQ(noria_within(noria_msec(1), noria_writer_close(&writer)), -ETIMEDOUT);
	EXPECT_EQ(noria_close(pair[0]), 0);
	while ((n = recv(pair[1], bytes, sizeof bytes, 0)) > 0)
		sum += n;
	EXPECT_EQ(noria_writer_sent(&writer), sum);
	EXPECT(sum < (ssize_t)sizeof buffer - 1);
	EXPECT_EQ(noria_close(pair[1]), 0);
	return 0;
}

UNIT(writer, r10_a_descriptor_closed_under_it)
{
	static char buffer[1 << 20];
	struct noria_writer writer;
	int pair[2], other;

	unit_pair(pair);
	MUST(noria_writer_open(&writer, pair[0], buffer, sizeof buffer) == 0);
	for (int i = 0; i < 900; i++)
		EXPECT_EQ(noria_writer_printf(&writer, "%01000d", i), 0);
	EXPECT_EQ(noria_sleep(noria_msec(1)), 0); /* in flight, and the peer does not read */
	EXPECT_EQ(noria_close(pair[0]), 0);
	other = dup(pair[1]); /* its number */
	EXPECT_EQ(other, pair[0]);
	EXPECT_EQ(noria_writer_write(&writer, "x", 1), -EBADF);
	EXPECT_EQ(noria_writer_close(&writer), -EBADF);
	/* Pending only: it does not reach the number's next owner. */
	MUST(noria_writer_open(&writer, other, buffer, sizeof buffer) == 0);
	EXPECT_EQ(noria_writer_write(&writer, "x", 1), 0);
	EXPECT_EQ(noria_close(other), 0);
	other = dup(pair[1]);
	EXPECT_EQ(noria_writer_close(&writer), -EBADF);
	EXPECT_EQ(noria_close(pair[1]) | noria_close(other), 0);
	return 0;
}

static struct noria_writer shared;

static int write_as_other(void *arg)
{
	(void)arg;
	EXPECT_EQ(noria_writer_write(&shared, "x", 1), -EINVAL);
	EXPECT_EQ(noria_writer_close(&shared), -EINVAL);
	return 0;
}

UNIT(writer, another_task_is_refused)
{
	struct noria_group group;
	char buffer[8];
	int pair[2];

	unit_pair(pair);
	MUST(noria_writer_open(&shared, pair[0], buffer, sizeof buffer) == 0);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, write_as_other, NULL) == 0);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT_EQ(noria_writer_close(&shared), 0);
	EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]), 0);
	return 0;
}

static int forget(void *arg)
{
	struct noria_writer writer;
	char buffer[8];

	MUST(noria_writer_open(&writer, *(int *)arg, buffer, sizeof buffer) == 0);
	return noria_writer_write(&writer, "bytes", 5);
}

/* Closed, and so flushed, for the task that forgets it; and that is a fault of the task. */
UNIT(writer, one_that_is_left_open_is_closed_and_reported)
{
	struct noria_group group;
	char bytes[8];
	int pair[2];

	unit_pair(pair);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, forget, &pair[0]) == 0);
	EXPECT_EQ(noria_group_close(&group, 0), -EINVAL);
	EXPECT_EQ(look(pair[1], bytes, sizeof bytes), 5);
	EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]), 0);
	return 0;
}

static int fail_below(const int *pair)
{
	char buffer[64];
	noria_autowriter struct noria_writer writer = {0}, never = {0}, before = {0};

	MUST(noria_writer_open(&before, pair[1], buffer, sizeof buffer) == 0);
	EXPECT_EQ(noria_writer_close(&before), 0);
	MUST(noria_writer_open(&writer, pair[0], buffer, sizeof buffer) == 0);
	noria_try(noria_writer_write(&writer, "bytes", 5));
	return noria_try(-EPIPE);
}

/* Closed, and so flushed, by the end of its block: also in a function below the task's own, left by noria_try(). */
UNIT(writer, one_closes_itself_at_the_end_of_its_block)
{
	char bytes[8];
	int pair[2];

	unit_pair(pair);
	EXPECT_EQ(fail_below(pair), -EPIPE);
	EXPECT_EQ(look(pair[1], bytes, sizeof bytes), 5);
	EXPECT_EQ(noria_sleep(noria_msec(1)), 0);
	EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]), 0);
	return 0;
}

static int lose_pending;

static __attribute__((noinline)) int lose_below(int fd)
{
	static char buffer[64];
	struct noria_writer writer;

	MUST(noria_writer_open(&writer, fd, buffer, sizeof buffer) == 0);
	return lose_pending ? noria_writer_write(&writer, "bytes", 5) : 0;
}

/* The frames that the function leaves behind are another's by now. */
static __attribute__((noinline)) void overwrite(void)
{
	volatile char frame[2048];

	for (size_t i = 0; i < sizeof frame; i++)
		frame[i] = 0x55;
}

static int lose(void *arg)
{
	int pair[2];

	(void)arg;
	unit_pair(pair);
	MUST(lose_below(pair[0]) == 0);
	overwrite();
	return lose_pending ? noria_sleep(noria_sec(10)) : 0;
}

static void run_and_lose(void *arg)
{
	(void)arg;
	_exit(noria_run(NULL, lose, NULL) == 0);
}

/* Met when the task parks, or ends: the process ends, and says which writer, and what to do. */
Test(writer, one_whose_storage_is_gone_is_named, .timeout = 100)
{
	for (lose_pending = 0; lose_pending <= 1; lose_pending++) {
		char text[1024];
		int status = unit_in_child(run_and_lose, NULL, text, sizeof text);

		EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
		EXPECT(strstr(text, "the writer that task lose") && strstr(text, "writer.c") &&
		       strstr(text, "noria_autowriter"));
	}
}

/* Several at once in one task, and one on a direct descriptor. */
UNIT(writer, several_leave_at_one_park)
{
	struct noria_writer writers[3];
	char buffers[3][16], bytes[16];
	int pairs[3][2], ordinary;

	for (int i = 0; i < 3; i++) {
		unit_pair(pairs[i]);
		if (i == 1) {
			ordinary = pairs[i][0];
			MUST((pairs[i][0] = noria_fd_direct(ordinary)) >= 0);
			MUST(close(ordinary) == 0);
		}
		MUST(noria_writer_open(&writers[i], pairs[i][0], buffers[i], sizeof buffers[i]) == 0);
		EXPECT_EQ(noria_writer_write(&writers[i], "bytes", 5), 0);
	}
	EXPECT_EQ(noria_sleep(noria_msec(1)), 0);
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(look(pairs[i][1], bytes, sizeof bytes), 5);
		EXPECT_EQ(noria_writer_write(&writers[i], "again", 5), 0);
	}
	EXPECT_EQ(noria_writer_flush(&writers[1]), 0); /* out of the middle */
	EXPECT_EQ(noria_sleep(noria_msec(1)), 0);
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(look(pairs[i][1], bytes, sizeof bytes), 5);
		EXPECT_EQ(noria_writer_write(&writers[i], "twice", 5), 0);
	}
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(noria_writer_close(&writers[i]), 0);
		EXPECT_EQ(look(pairs[i][1], bytes, sizeof bytes), 5);
		EXPECT_EQ(noria_close(pairs[i][0]) | noria_close(pairs[i][1]), 0);
	}
	return 0;
}
