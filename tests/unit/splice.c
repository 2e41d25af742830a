/* SPDX-License-Identifier: MIT */
/* Splicing from a file through a pipe to a socket, with and without offsets, and when one side is not ready. */
#include "unit.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

enum { SIZE = 300000 };

static char content[SIZE], arrived[SIZE];

static int file_with_content(void)
{
	int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	for (int i = 0; i < SIZE; i++)
		content[i] = (char)(i % 253);
	MUST(fd >= 0 && write(fd, content, SIZE) == SIZE && lseek(fd, 0, SEEK_SET) == 0);
	return fd;
}

UNIT(splice, offsets_are_advanced_and_positions_stay)
{
	int file = file_with_content(), channel[2], copy = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	off_t in = 1000, out = 50;
	char buffer[100];

	MUST(copy >= 0 && pipe2(channel, O_CLOEXEC) == 0);
	EXPECT_EQ(noria_splice(file, &in, channel[1], NULL, 100, 0), 100);
	EXPECT_EQ(in, 1100);
	EXPECT_EQ(lseek(file, 0, SEEK_CUR), 0);
	EXPECT_EQ(noria_splice(channel[0], NULL, copy, &out, 100, 0), 100);
	EXPECT_EQ(out, 150);
	EXPECT_EQ(noria_pread(copy, buffer, 100, 50), 100);
	EXPECT(memcmp(buffer, content + 1000, 100) == 0);
	EXPECT_EQ(noria_splice(file, NULL, channel[1], NULL, 10, 0), 10);
	EXPECT_EQ(lseek(file, 0, SEEK_CUR), 10);
	in = SIZE;
	EXPECT_EQ(noria_splice(file, &in, channel[1], NULL, 10, 0), 0);
	EXPECT_EQ(in, SIZE);
	EXPECT_EQ(noria_close(channel[0]) | noria_close(channel[1]) | noria_close(file) | noria_close(copy), 0);
	return 0;
}

UNIT(splice, errors)
{
	int file = file_with_content(), channel[2];
	off_t offset = 0;

	MUST(pipe2(channel, O_CLOEXEC) == 0);
	EXPECT_EQ(noria_splice(file, NULL, file, NULL, 10, 0), -EINVAL);
	EXPECT_EQ(noria_splice(channel[0], &offset, file, NULL, 10, 0), -ESPIPE);
	EXPECT_EQ(noria_splice(9999, NULL, channel[1], NULL, 10, 0), -EBADF);
	EXPECT_EQ(noria_splice(file, NULL, 9999, NULL, 10, 0), -EBADF);
	EXPECT_EQ(noria_splice(file, NULL, channel[0], NULL, 10, 0), -EBADF);
	EXPECT_EQ(offset, 0);
	offset = -1; /* no position, although the kernel's entry knows it as one */
	EXPECT_EQ(noria_splice(file, &offset, channel[1], NULL, 10, 0), -EINVAL);
	EXPECT_EQ(noria_splice(channel[0], NULL, file, &offset, 10, SPLICE_F_NONBLOCK), -EINVAL);
	EXPECT_EQ(offset, -1);
	EXPECT_EQ(noria_close(channel[0]) | noria_close(channel[1]) | noria_close(file), 0);
	return 0;
}

static int receive(void *arg)
{
	EXPECT_EQ(noria_recv_all(*(int *)arg, arrived, SIZE - 7, 0), SIZE - 7);
	return 0;
}

/* As a file server does it: as much as the pipe takes, then out of the pipe whatever is in it. */
UNIT(splice, a_file_goes_through_a_pipe_to_a_socket)
{
	int file = file_with_content(), channel[2], pair[2];
	struct noria_group group;
	off_t offset = 7;

	memset(arrived, 0, sizeof arrived);
	unit_tcp_pair(pair);
	MUST(pipe2(channel, O_CLOEXEC) == 0);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, receive, &pair[1]) == 0);
	while (offset < SIZE) {
		ssize_t n = noria_splice(file, &offset, channel[1], NULL, (size_t)(SIZE - offset), 0);

		MUST(n > 0);
		EXPECT_EQ(noria_splice_all(channel[0], NULL, pair[0], NULL, (size_t)n, 0), n);
		EXPECT_EQ(noria_progress(), n);
	}
	EXPECT_EQ(offset, SIZE);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT(memcmp(arrived, content + 7, SIZE - 7) == 0);
	EXPECT_EQ(noria_close(channel[0]) | noria_close(channel[1]) | noria_close(file), 0);
	EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]), 0);
	return 0;
}

static int fill_later(void *arg)
{
	noria_try(noria_sleep(noria_msec(3)));
	EXPECT_EQ(noria_write(*(int *)arg, "later", 5), 5);
	return 0;
}

static void wait_for_an_empty_pipe(int flags)
{
	struct noria_group group;
	int channel[2], pair[2];
	char buffer[8];

	unit_pair(pair);
	MUST(pipe2(channel, O_CLOEXEC | flags) == 0);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, fill_later, &channel[1]) == 0);
	EXPECT_EQ(noria_within(noria_sec(2), noria_splice(channel[0], NULL, pair[0], NULL, 100, 0)), 5);
	EXPECT_EQ(noria_recv(pair[1], buffer, sizeof buffer, MSG_DONTWAIT), 5);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT_EQ(noria_close(channel[0]) | noria_close(channel[1]), 0);
	EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]), 0);
}

UNIT(splice, an_empty_pipe_is_waited_for)
{
	wait_for_an_empty_pipe(0);
	return 0;
}

UNIT(splice, an_empty_pipe_with_o_nonblock_is_waited_for)
{
	wait_for_an_empty_pipe(O_NONBLOCK);
	return 0;
}

static int empty_later(void *arg)
{
	static char bytes[1 << 20];

	noria_try(noria_sleep(noria_msec(3)));
	EXPECT(noria_read(*(int *)arg, bytes, sizeof bytes) > 0);
	return 0;
}

/* A socket with O_NONBLOCK whose buffer is full. */
UNIT(splice, a_full_socket_with_o_nonblock_is_waited_for)
{
	static const char bytes[1 << 16];
	struct noria_group group;
	int channel[2], pair[2];

	unit_pair(pair);
	MUST(fcntl(pair[0], F_SETFL, O_NONBLOCK) == 0 && pipe2(channel, O_CLOEXEC) == 0);
	while (send(pair[0], bytes, sizeof bytes, 0) > 0)
		;
	MUST(write(channel[1], "12345", 5) == 5);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, empty_later, &pair[1]) == 0);
	EXPECT_EQ(noria_within(noria_sec(2), noria_splice_all(channel[0], NULL, pair[0], NULL, 5, 0)), 5);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT_EQ(noria_close(channel[0]) | noria_close(channel[1]), 0);
	EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]), 0);
	return 0;
}

static int64_t cpu_ns(void)
{
	struct timespec now;

	MUST(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now) == 0);
	return noria_sec(now.tv_sec) + now.tv_nsec;
}

/*
 * Either side alone is ready; waiting for the wrong one would be asking again and again, of the kernel's workers, whose
 * time is that of the process.
 */
UNIT(splice, waiting_for_one_side_takes_no_time)
{
	static const char bytes[1 << 16];
	int empty[2], some[2], free_one[2], full[2];
	int64_t before;

	MUST(pipe2(empty, O_CLOEXEC) == 0 && pipe2(some, O_CLOEXEC) == 0);
	MUST(pipe2(free_one, O_CLOEXEC) == 0 && pipe2(full, O_CLOEXEC | O_NONBLOCK) == 0);
	MUST(write(some[1], "x", 1) == 1);
	while (write(full[1], bytes, sizeof bytes) > 0)
		;
	before = cpu_ns();
	EXPECT_EQ(noria_within(noria_msec(40), noria_splice(empty[0], NULL, free_one[1], NULL, 5, 0)), -ETIMEDOUT);
	EXPECT_EQ(noria_within(noria_msec(40), noria_splice(some[0], NULL, full[1], NULL, 5, 0)), -ETIMEDOUT);
	EXPECT_EQ(noria_within(noria_msec(40), noria_tee(empty[0], free_one[1], 5, 0)), -ETIMEDOUT);
	EXPECT_EQ(noria_within(noria_msec(40), noria_tee(some[0], full[1], 5, 0)), -ETIMEDOUT);
	EXPECT(cpu_ns() - before < noria_msec(UNIT_SANITIZED ? 30 : 15));
	for (int i = 0; i < 2; i++)
		EXPECT_EQ(noria_close(empty[i]) | noria_close(some[i]) | noria_close(free_one[i]) |
				  noria_close(full[i]),
			  0);
	return 0;
}

UNIT(splice, splice_f_nonblock_answers_instead_of_parking)
{
	int channel[2], pair[2];

	unit_pair(pair);
	MUST(pipe2(channel, O_CLOEXEC) == 0);
	EXPECT_EQ(noria_within(noria_sec(1), noria_splice(channel[0], NULL, pair[0], NULL, 10, SPLICE_F_NONBLOCK)),
		  -EAGAIN);
	EXPECT_EQ(noria_close(channel[0]) | noria_close(channel[1]), 0);
	EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]), 0);
	return 0;
}

UNIT(splice, waiting_ends_at_the_deadline_and_at_the_end_of_the_input)
{
	int channel[2], pair[2];

	unit_pair(pair);
	MUST(pipe2(channel, O_CLOEXEC) == 0);
	EXPECT_EQ(noria_within(noria_msec(3), noria_splice(channel[0], NULL, pair[0], NULL, 10, 0)), -ETIMEDOUT);
	EXPECT_EQ(noria_close(channel[1]), 0);
	EXPECT_EQ(noria_splice_all(channel[0], NULL, pair[0], NULL, 10, 0), 0);
	EXPECT_EQ(noria_close(channel[0]) | noria_close(pair[0]) | noria_close(pair[1]), 0);
	return 0;
}
