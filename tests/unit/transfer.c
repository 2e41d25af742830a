/* SPDX-License-Identifier: MIT */
/* Whole transfers: short counts, ends, errors and cancels on the way, empty entries, and what noria_progress() says. */
#include "unit.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

enum { LARGE = 3 << 20 };

static char large[LARGE], arrived[LARGE];

static void fill_large(void)
{
	for (size_t i = 0; i < LARGE; i++)
		large[i] = (char)(i % 251);
	memset(arrived, 0, sizeof arrived);
}

static int receive_large(void *arg)
{
	EXPECT_EQ(noria_recv_all(*(int *)arg, arrived, LARGE, 0), LARGE);
	EXPECT_EQ(noria_progress(), LARGE);
	return 0;
}

UNIT(transfer, large_ones_go_both_ways_at_once)
{
	static char back[LARGE];
	struct noria_group group;
	int pair[2];

	fill_large();
	unit_tcp_pair(pair);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, receive_large, &pair[1]) == 0);
	EXPECT_EQ(noria_send_all(pair[0], large, LARGE, 0), LARGE);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT(memcmp(large, arrived, LARGE) == 0);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, receive_large, &pair[0]) == 0);
	EXPECT_EQ(noria_write_all(pair[1], large, LARGE), LARGE);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT_EQ(noria_recv(pair[0], back, 1, MSG_DONTWAIT), -EAGAIN);
	EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]), 0);
	return 0;
}

UNIT(transfer, the_end_makes_receiving_short)
{
	char buffer[16];
	int pair[2], channel[2];

	unit_pair(pair);
	EXPECT_EQ(noria_send_all(pair[0], "12345", 5, 0), 5);
	EXPECT_EQ(noria_close(pair[0]), 0);
	EXPECT_EQ(noria_recv_all(pair[1], buffer, sizeof buffer, 0), 5);
	EXPECT_EQ(noria_progress(), 5);
	EXPECT_EQ(noria_recv_all(pair[1], buffer, sizeof buffer, 0), 0);
	EXPECT_EQ(noria_progress(), 0);
	EXPECT_EQ(noria_close(pair[1]), 0);
	MUST(pipe2(channel, O_CLOEXEC) == 0);
	EXPECT_EQ(noria_write_all(channel[1], "123", 3), 3);
	EXPECT_EQ(noria_close(channel[1]), 0);
	EXPECT_EQ(noria_read_all(channel[0], buffer, sizeof buffer), 3);
	EXPECT_EQ(noria_close(channel[0]), 0);
	return 0;
}

UNIT(transfer, nothing_to_move_is_nothing)
{
	struct iovec empty[3] = {{0}};

	EXPECT_EQ(noria_recv_all(-1, NULL, 0, 0), 0);
	EXPECT_EQ(noria_send_all(-1, NULL, 0, 0), 0);
	EXPECT_EQ(noria_read_all(-1, NULL, 0), 0);
	EXPECT_EQ(noria_write_all(-1, NULL, 0), 0);
	EXPECT_EQ(noria_readv_all(-1, empty, 3), 0);
	EXPECT_EQ(noria_writev_all(-1, empty, 0), 0);
	EXPECT_EQ(noria_splice_all(-1, NULL, -1, NULL, 0, 0), 0);
	EXPECT_EQ(noria_writev_all(-1, NULL, -1), -EINVAL);
	return 0;
}

UNIT(transfer, errors_stop_it)
{
	char byte = 0;
	struct iovec vector = {&byte, 1};
	struct iovec too_long[2] = {{&byte, SIZE_MAX}, {&byte, 1}};
	int gone = dup(0), pair[2];

	MUST(gone >= 0 && close(gone) == 0);
	EXPECT_EQ(noria_recv_all(gone, &byte, 1, 0), -EBADF);
	EXPECT_EQ(noria_send_all(gone, &byte, 1, 0), -EBADF);
	EXPECT_EQ(noria_read_all(gone, &byte, 1), -EBADF);
	EXPECT_EQ(noria_write_all(gone, &byte, 1), -EBADF);
	EXPECT_EQ(noria_readv_all(gone, &vector, 1), -EBADF);
	EXPECT_EQ(noria_writev_all(gone, &vector, 1), -EBADF);
	EXPECT_EQ(noria_writev_all(gone, too_long, 2), -EINVAL);
	signal(SIGPIPE, SIG_IGN); /* write(2) raises it; noria_write() is no different */
	MUST(pipe2(pair, O_CLOEXEC) == 0);
	EXPECT_EQ(noria_close(pair[0]), 0);
	EXPECT_EQ(noria_write_all(pair[1], large, LARGE), -EPIPE);
	EXPECT_EQ(noria_close(pair[1]), 0);
	return 0;
}

UNIT(transfer, vectors_with_empty_entries_move_whole)
{
	char a[3], b[4], c[8];
	struct iovec out[] = {{NULL, 0}, {"ab", 2}, {NULL, 0}, {NULL, 0}, {"cdefgh", 6}, {"i", 1}, {NULL, 0}};
	struct iovec in[] = {{NULL, 0}, {a, 3}, {NULL, 0}, {b, 4}, {c, 2}, {NULL, 0}};
	int channel[2];

	MUST(pipe2(channel, O_CLOEXEC) == 0);
	EXPECT_EQ(noria_writev_all(channel[1], out, 7), 9);
	for (int i = 0; i < 7; i++)
		EXPECT_EQ(out[i].iov_len, 0);
	EXPECT_EQ(noria_readv_all(channel[0], in, 6), 9);
	EXPECT(memcmp(a, "abc", 3) == 0 && memcmp(b, "defg", 4) == 0 && memcmp(c, "hi", 2) == 0);
	EXPECT_EQ(noria_close(channel[0]) | noria_close(channel[1]), 0);
	return 0;
}

static int read_long_vector(void *arg)
{
	static struct iovec in[2500];

	for (int i = 0; i < 2500; i++)
		in[i] = (struct iovec){arrived + i * 1000, i % 3 ? 1000 : 0};
	EXPECT_EQ(noria_readv_all(*(int *)arg, in, 2500), 2500 / 3 * 2000);
	return 0;
}

/* More entries than one call takes (IOV_MAX), and short counts in their middle. */
UNIT(transfer, vectors_longer_than_a_call_takes)
{
	static struct iovec out[2500];
	struct noria_group group;
	int channel[2];

	fill_large();
	MUST(pipe2(channel, O_CLOEXEC) == 0);
	for (int i = 0; i < 2500; i++)
		out[i] = (struct iovec){large + i * 1000, i % 3 ? 1000 : 0};
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, read_long_vector, &channel[0]) == 0);
	EXPECT_EQ(noria_writev_all(channel[1], out, 2499), 2499 / 3 * 2000);
	EXPECT_EQ(noria_close(channel[1]), 0);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	for (int i = 0; i < 2499; i++)
		MUST(i % 3 == 0 || memcmp(arrived + i * 1000, large + i * 1000, 1000) == 0);
	EXPECT_EQ(noria_close(channel[0]), 0);
	return 0;
}

UNIT(transfer, progress_tells_how_far_a_cancelled_one_came)
{
	static char rest[LARGE];
	size_t sent, came = 0;
	ssize_t r;
	int pair[2];

	fill_large();
	unit_pair(pair);
	EXPECT_EQ(noria_within(noria_msec(5), noria_send_all(pair[0], large, LARGE, 0)), -ETIMEDOUT);
	sent = noria_progress();
	EXPECT(sent > 0 && sent < LARGE);
	while ((r = noria_recv(pair[1], rest, LARGE, MSG_DONTWAIT)) > 0)
		came += (size_t)r;
	EXPECT_EQ(came, sent);
	EXPECT_EQ(noria_send(pair[0], "123", 3, 0), 3);
	EXPECT_EQ(noria_within(noria_msec(5), noria_recv_all(pair[1], rest, 10, 0)), -ETIMEDOUT);
	EXPECT_EQ(noria_progress(), 3);
	EXPECT(memcmp(rest, "123", 3) == 0);
	EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]), 0);
	return 0;
}

/* The next transfer starts at nothing, also when it fails at its first step. */
UNIT(transfer, progress_is_that_of_the_last_transfer_of_the_task)
{
	char buffer[4];
	int pair[2];

	unit_pair(pair);
	EXPECT_EQ(noria_send_all(pair[0], "1234", 4, 0), 4);
	EXPECT_EQ(noria_recv_all(pair[1], buffer, 4, 0), 4);
	EXPECT_EQ(noria_progress(), 4);
	EXPECT_EQ(noria_recv_all(-1, buffer, 4, 0), -EBADF);
	EXPECT_EQ(noria_progress(), 0);
	EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]), 0);
	return 0;
}
