/* SPDX-License-Identifier: MIT */
/*
 * Chains: files that live for one run, what a step that falls short does to the rest, that no chain is ever split, and
 * that none holds up a close.
 */
#include "op/direct.h"
#include "unit.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[40];
static int dir;

static void open_directory(void)
{
	snprintf(directory, sizeof directory, "/tmp/noria-chain-XXXXXX");
	MUST(mkdtemp(directory));
	MUST((dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) >= 0);
}

/* And no place of the table is left taken. */
static void close_directory(void)
{
	EXPECT(!noria_loop->direct || noria_loop->direct->chained == 0);
	MUST(close(dir) == 0 && rmdir(directory) == 0);
}

static void put(const char *name, const char *text)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	MUST(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && close(fd) == 0);
}

static ssize_t get(const char *name, char *text, size_t size)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, text, size);
	MUST(close(fd) == 0);
	return n;
}

/* More often than there are places: each run gives back what it took. */
UNIT(chain, a_file_is_opened_read_and_closed_by_one_run)
{
	struct noria_chain_step steps[3];
	struct noria_chain chain;
	char buffer[16];
	int file;

	open_directory();
	put("file", "content");
	noria_chain_begin(&chain, steps);
	file = noria_chain_openat(&chain, dir, "file", O_RDONLY | O_CLOEXEC, 0);
	noria_chain_read(&chain, file, buffer, 7);
	noria_chain_close(&chain, file);
	for (int i = 0; i < 200; i++) {
		memset(buffer, 0, sizeof buffer);
		EXPECT_EQ(noria_chain_run(&chain), 3);
		EXPECT_EQ(noria_chain_done(&chain), 3);
		EXPECT_EQ(noria_chain_result(&chain, 0), 0);
		EXPECT_EQ(noria_chain_result(&chain, 1), 7);
		EXPECT_EQ(noria_chain_result(&chain, 2), 0);
		EXPECT_EQ(noria_chain_result(&chain, 3), -EINVAL);
		EXPECT(strcmp(buffer, "content") == 0);
	}
	EXPECT_EQ(unlinkat(dir, "file", 0), 0);
	close_directory();
	return 0;
}

/* Write, sync, rename: the classic replacement. */
UNIT(chain, a_file_is_replaced_by_one_run)
{
	struct noria_chain_step steps[5];
	struct noria_chain chain;
	char buffer[16] = "";
	int file;

	open_directory();
	put("file", "old");
	noria_chain_begin(&chain, steps);
	file = noria_chain_openat(&chain, dir, "new", O_WRONLY | O_CREAT | O_TRUNC, 0600);
	noria_chain_write(&chain, file, "replaced", 8);
	noria_chain_fdatasync(&chain, file);
	noria_chain_close(&chain, file);
	noria_chain_renameat(&chain, dir, "new", dir, "file");
	EXPECT_EQ(noria_chain_run(&chain), 5);
	EXPECT_EQ(get("file", buffer, sizeof buffer), 8);
	EXPECT(memcmp(buffer, "replaced", 8) == 0);
	EXPECT_EQ(get("new", buffer, sizeof buffer), -ENOENT);
	noria_chain_begin(&chain, steps);
	noria_chain_unlinkat(&chain, dir, "file", 0);
	noria_chain_unlinkat(&chain, dir, "file", 0);
	EXPECT_EQ(noria_chain_run(&chain), -ENOENT);
	EXPECT_EQ(noria_chain_done(&chain), 1);
	close_directory();
	return 0;
}

/* R06: the kernel ends what follows a failed step with -ECANCELED; the task is not cancelled by that. */
UNIT(chain, r06_a_step_that_fails_ends_the_chain_and_not_the_task)
{
	struct noria_chain_step steps[4];
	struct noria_chain chain;
	char buffer[16];
	int file;

	open_directory();
	put("kept", "kept");
	noria_chain_begin(&chain, steps);
	file = noria_chain_openat(&chain, dir, "missing", O_RDONLY, 0);
	noria_chain_read(&chain, file, buffer, 7);
	noria_chain_unlinkat(&chain, dir, "kept", 0);
	noria_chain_close(&chain, file);
	EXPECT_EQ(noria_chain_run(&chain), -ENOENT);
	EXPECT_EQ(noria_check(), 0);
	EXPECT_EQ(noria_chain_done(&chain), 0);
	for (size_t i = 1; i < 4; i++)
		EXPECT_EQ(noria_chain_result(&chain, i), -ECANCELED);
	EXPECT_EQ(get("kept", buffer, sizeof buffer), 4);
	EXPECT_EQ(unlinkat(dir, "kept", 0), 0);
	close_directory();
	return 0;
}

/* What follows may count on the whole. Only a close at the end runs all the same; what has no close is closed. */
UNIT(chain, a_step_that_falls_short_ends_the_chain)
{
	struct noria_chain_step steps[3];
	struct noria_chain chain;
	char buffer[16] = "";
	int before, file;

	open_directory();
	put("file", "content");
	before = unit_count_fds();
	for (int i = 0; i < 100; i++) {
		noria_chain_begin(&chain, steps);
		file = noria_chain_openat(&chain, dir, "file", O_RDONLY, 0);
		noria_chain_pread(&chain, file, buffer, sizeof buffer, 3);
		noria_chain_unlinkat(&chain, dir, "file", 0);
		EXPECT_EQ(noria_chain_run(&chain), 1);
		EXPECT_EQ(noria_chain_result(&chain, 1), 4);
		EXPECT(memcmp(buffer, "tent", 4) == 0);
		EXPECT_EQ(noria_chain_result(&chain, 2), -ECANCELED);
		noria_chain_begin(&chain, steps);
		file = noria_chain_openat(&chain, dir, "file", O_RDONLY, 0);
		noria_chain_read(&chain, file, buffer, sizeof buffer);
		noria_chain_close(&chain, file);
		EXPECT_EQ(noria_chain_run(&chain), 1);
		EXPECT_EQ(noria_chain_result(&chain, 1), 7);
		EXPECT_EQ(noria_chain_result(&chain, 2), 0);
	}
	EXPECT(unit_count_fds() == before || unit_count_fds() == before + 1); /* the ring's own, while it has one */
	EXPECT_EQ(unlinkat(dir, "file", 0), 0);
	close_directory();
	return 0;
}

/* What has no close is closed when the run returns, not when its place is wanted again. */
UNIT(chain, what_a_chain_leaves_open_is_closed)
{
	struct noria_chain_step steps[2];
	struct noria_chain chain;
	char byte;
	int file, reader;

	open_directory();
	MUST(mkfifoat(dir, "fifo", 0600) == 0);
	MUST((reader = openat(dir, "fifo", O_RDONLY | O_NONBLOCK | O_CLOEXEC)) >= 0);
	noria_chain_begin(&chain, steps);
	file = noria_chain_openat(&chain, dir, "fifo", O_WRONLY, 0);
	noria_chain_write(&chain, file, "x", 1);
	EXPECT_EQ(noria_chain_run(&chain), 2);
	EXPECT_EQ(read(reader, &byte, 1), 1);
	EXPECT_EQ(read(reader, &byte, 1), 0);
	EXPECT_EQ(noria_close(reader), 0);
	EXPECT_EQ(unlinkat(dir, "fifo", 0), 0);
	close_directory();
	return 0;
}

/* A whole send, over a socket's buffer, and then the end: nothing is cut off. */
static int receive_all(void *arg)
{
	static char bytes[1 << 16];
	size_t sum = 0;
	ssize_t n;

	while ((n = noria_recv(*(int *)arg, bytes, sizeof bytes, 0)) > 0)
		sum += (size_t)n;
	return n < 0 ? (int)n : sum == 1 << 22 ? 0 : -EIO;
}

UNIT(chain, a_send_is_whole_before_the_shutdown)
{
	static char bytes[1 << 22];
	struct noria_chain_step steps[2];
	struct noria_chain chain;
	struct noria_group group;
	int pair[2];

	unit_tcp_pair(pair);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, receive_all, &pair[1]) == 0);
	noria_chain_begin(&chain, steps);
	noria_chain_send(&chain, pair[0], bytes, sizeof bytes, 0);
	noria_chain_shutdown(&chain, pair[0], SHUT_WR);
	EXPECT_EQ(noria_chain_run(&chain), 2);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]), 0);
	return 0;
}

static int result;

static int receive_then_send(void *arg)
{
	const int *fds = arg;
	struct noria_chain_step steps[2];
	struct noria_chain chain;
	char byte;

	noria_chain_begin(&chain, steps);
	noria_chain_recv(&chain, fds[0], &byte, 1, 0);
	noria_chain_send(&chain, fds[1], "x", 1, 0);
	result = noria_chain_run(&chain);
	return 0;
}

/* R10: the descriptor of a step that has not begun is closed: the chain ends, though its first step waits for ever. */
UNIT(chain, r10_closing_the_descriptor_of_any_step_ends_the_chain)
{
	for (int which = 0; which < 2; which++) {
		struct noria_group group;
		int a[2], b[2], fds[2];

		unit_pair(a);
		unit_pair(b);
		fds[0] = a[0];
		fds[1] = b[0];
		MUST(noria_group_open(&group) == 0);
		MUST(noria_spawn(&group, receive_then_send, fds) == 0);
		MUST(noria_sleep(noria_msec(1)) == 0);
		EXPECT_EQ(noria_within(noria_sec(20), noria_close(fds[which])), 0);
		EXPECT_EQ(noria_group_close(&group, 0), 0);
		EXPECT_EQ(result, -EBADF);
		EXPECT_EQ(noria_close(fds[!which]) | noria_close(a[1]) | noria_close(b[1]), 0);
	}
	return 0;
}

static struct noria_chain shared;

static int run_shared(void *arg)
{
	(void)arg;
	return noria_chain_run(&shared);
}

UNIT(chain, one_that_runs_is_not_run_by_another_task)
{
	struct noria_chain_step steps[1];
	struct noria_group group;
	int pair[2];
	char byte;

	unit_pair(pair);
	noria_chain_begin(&shared, steps);
	noria_chain_recv(&shared, pair[0], &byte, 1, 0);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, run_shared, NULL) == 0);
	MUST(noria_yield() == 0);
	EXPECT_EQ(noria_chain_run(&shared), -EINVAL);
	EXPECT(strstr(noria_message(), "another task"));
	EXPECT_EQ(send(pair[1], "x", 1, 0), 1);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT_EQ(noria_chain_done(&shared), 1);
	EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]), 0);
	return 0;
}

/* What another chain opens is no descriptor here: least of all that of standard input, the first of all. */
UNIT(chain, what_another_opens_is_refused)
{
	struct noria_chain_step steps[2], others[2];
	struct noria_chain chain, other;
	int file;

	noria_chain_begin(&chain, steps);
	file = noria_chain_openat(&chain, AT_FDCWD, "/dev/null", O_RDONLY, 0);
	noria_chain_begin(&other, others);
	noria_chain_close(&other, file);
	EXPECT_EQ(noria_chain_run(&other), -EINVAL);
	noria_chain_begin(&other, others);
	noria_chain_write(&other, file, "x", 1);
	EXPECT_EQ(noria_chain_run(&other), -EINVAL);
	noria_chain_begin(&other, others);
	noria_chain_write(&other, INT_MAX, "x", 1);
	EXPECT_EQ(noria_chain_run(&other), -EINVAL);
	EXPECT(fcntl(0, F_GETFD) >= 0);
	return 0;
}

/*
 * A queue of four entries, three of them used by others at any time: a chain of three is placed whole or waits. Were
 * it split, its steps would run side by side, and the send would overtake the receive.
 */
static const struct noria_config narrow = {.ring_entries = 4, .ring_entries_max = 4};
static bool done;

static int make_noise(void *arg)
{
	(void)arg;
	while (!done) {
		char byte;
		int pair[2];

		unit_pair(pair);
		EXPECT_EQ(noria_write(pair[0], "n", 1), 1);
		EXPECT_EQ(noria_read(pair[1], &byte, 1), 1);
		EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]), 0);
	}
	return 0;
}

static int answer_in_order(void *arg)
{
	struct noria_chain_step steps[3];
	struct noria_chain chain;
	int pair[2];

	(void)arg;
	unit_pair(pair);
	for (int i = 0; i < 50; i++) {
		char bytes[3] = "";

		noria_chain_begin(&chain, steps);
		noria_chain_send(&chain, pair[0], "1", 1, 0);
		noria_chain_recv(&chain, pair[1], bytes, 1, 0);
		noria_chain_send(&chain, pair[0], "2", 1, 0);
		EXPECT_EQ(noria_chain_run(&chain), 3);
		EXPECT(bytes[0] == '1');
		EXPECT_EQ(noria_recv(pair[1], bytes, 2, MSG_DONTWAIT), 1);
		EXPECT(bytes[0] == '2');
	}
	EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]), 0);
	return 0;
}

UNIT_WITH(chain, r04_a_full_queue_splits_no_chain, &narrow)
{
	struct noria_group noise, chains;

	done = false;
	MUST(noria_group_open(&noise) == 0);
	for (int i = 0; i < 3; i++)
		MUST(noria_spawn(&noise, make_noise, NULL) == 0);
	MUST(noria_group_open(&chains) == 0);
	for (int i = 0; i < 4; i++)
		MUST(noria_spawn(&chains, answer_in_order, NULL) == 0);
	EXPECT_EQ(noria_group_close(&chains, 0), 0);
	done = true;
	EXPECT_EQ(noria_group_close(&noise, 0), 0);
	return 0;
}

static int send_twice(void *arg)
{
	const int *fds = arg;
	struct noria_chain_step steps[2];
	struct noria_chain chain;
	int r;

	noria_chain_begin(&chain, steps);
	noria_chain_send(&chain, fds[0], "a", 1, 0);
	noria_chain_send(&chain, fds[1], "b", 1, 0);
	r = noria_chain_run(&chain);
	EXPECT(r == 2 || r == -EBADF || r == -ECANCELED);
	return 0;
}

/* R10: so it is in the backlog, by whatever step; and the number's next owner gets nothing. */
UNIT_WITH(chain, r10_chains_that_found_no_room_reach_no_other_owner, &narrow)
{
	int a[2], b[2], other[2], fds[2];
	struct noria_group group;
	char byte;

	unit_pair(a);
	unit_pair(b);
	fds[0] = a[0];
	fds[1] = b[0];
	MUST(noria_group_open(&group) == 0);
	for (int i = 0; i < 10; i++)
		MUST(noria_spawn(&group, send_twice, fds) == 0);
	MUST(noria_yield() == 0);
	EXPECT_EQ(noria_close(b[0]), 0);
	unit_pair(other);
	EXPECT(other[0] == fds[1] || other[1] == fds[1]);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT_EQ(recv(other[0], &byte, 1, MSG_DONTWAIT), -1);
	EXPECT_EQ(recv(other[1], &byte, 1, MSG_DONTWAIT), -1);
	EXPECT_EQ(noria_close(a[0]) | noria_close(a[1]) | noria_close(b[1]), 0);
	EXPECT_EQ(noria_close(other[0]) | noria_close(other[1]), 0);
	return 0;
}

static int wait_in_chain(void *arg)
{
	struct noria_chain_step steps[4];
	struct noria_chain chain;
	char bytes[4];

	noria_chain_begin(&chain, steps);
	for (int i = 0; i < 4; i++)
		noria_chain_recv(&chain, *(int *)arg, bytes + i, 1, 0);
	return noria_chain_run(&chain);
}

/* R04, R12: chains that are cancelled in the queue's backlog, and half run. */
UNIT_WITH(chain, r12_chains_that_found_no_room_are_cancelled, &narrow)
{
	for (int round = 0; round < 30; round++) {
		struct noria_group group;
		int pair[2];

		unit_pair(pair);
		MUST(noria_group_open(&group) == 0);
		for (int i = 0; i < 10; i++)
			MUST(noria_spawn(&group, wait_in_chain, &pair[0]) == 0);
		MUST(noria_yield() == 0);
		if (round % 2)
			EXPECT_EQ(noria_send(pair[1], "abcde", 5, 0), 5);
		if (round % 3)
			MUST(noria_yield() == 0);
		noria_group_cancel(&group);
		EXPECT_EQ(noria_group_close(&group, 0), 0);
		EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]), 0);
	}
	return 0;
}

/* Many at once want more places than there are for chains: the rest go step by step. */
static int read_file(void *arg)
{
	struct noria_chain_step steps[3];
	struct noria_chain chain;
	char buffer[8] = "";
	int file;

	(void)arg;
	noria_chain_begin(&chain, steps);
	file = noria_chain_openat(&chain, dir, "file", O_RDONLY, 0);
	noria_chain_read(&chain, file, buffer, 7);
	noria_chain_close(&chain, file);
	EXPECT_EQ(noria_chain_run(&chain), 3);
	EXPECT(memcmp(buffer, "content", 7) == 0);
	return 0;
}

UNIT(chain, more_at_once_than_there_are_places)
{
	struct noria_group group;

	open_directory();
	put("file", "content");
	MUST(noria_group_open(&group) == 0);
	for (int i = 0; i < 150; i++)
		MUST(noria_spawn(&group, read_file, NULL) == 0);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT_EQ(unlinkat(dir, "file", 0), 0);
	close_directory();
	return 0;
}

UNIT(chain, an_empty_one_is_done)
{
	struct noria_chain_step steps[1];
	struct noria_chain chain;

	noria_chain_begin(&chain, steps);
	EXPECT_EQ(noria_chain_run(&chain), 0);
	return 0;
}

/* Both ways of running a chain: linked, and step by step as where there is no place for what it opens. */
static void by_both_ways(void (*body)(struct noria_chain *chain, struct noria_chain_step *steps))
{
	for (int way = 0; way < 2; way++) {
		struct noria_chain_step steps[4];
		struct noria_chain chain;
		uint64_t chained;

		noria_chain_begin(&chain, steps);
		(void)noria_chain_openat(&chain, AT_FDCWD, "/dev/null", O_RDONLY, 0);
		EXPECT_EQ(noria_chain_run(&chain), 1); /* the table is made */
		noria_chain_begin(&chain, steps);
		(void)noria_chain_openat(&chain, AT_FDCWD, "/dev/null", O_RDONLY, 0);
		chained = noria_loop->direct ? noria_loop->direct->chained : 0;
		if (way == 1 && noria_loop->direct)
			noria_loop->direct->chained = UINT64_MAX;
		body(&chain, steps);
		if (noria_loop->direct)
			noria_loop->direct->chained = chained;
	}
}

static int answers[2][2], answered;

/* Whether the kernel waits all the same is its affair (Linux 6.18 does), but it does so either way. */
static void would_wait(struct noria_chain *chain, struct noria_chain_step *steps)
{
	int pair[2], inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	char bytes[256];

	unit_pair(pair);
	MUST(inotify >= 0 && fcntl(pair[0], F_SETFL, O_NONBLOCK) == 0);
	noria_chain_read(chain, inotify, bytes, sizeof bytes);
	answers[0][answered] = noria_within(noria_msec(20), noria_chain_run(chain));
	noria_chain_begin_at(chain, steps, 4, NORIA_SITE("chain"));
	(void)noria_chain_openat(chain, AT_FDCWD, "/dev/null", O_RDONLY, 0);
	noria_chain_recv(chain, pair[0], bytes, 1, 0);
	answers[1][answered++] = noria_within(noria_msec(20), noria_chain_run(chain));
	EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]) | noria_close(inotify), 0);
}

UNIT(chain, a_step_that_would_have_to_wait_says_the_same_either_way)
{
	answered = 0;
	by_both_ways(would_wait);
	EXPECT_EQ(answers[0][1], answers[0][0]);
	EXPECT_EQ(answers[1][1], answers[1][0]);
	return 0;
}

/* A file of a page, which may not grow, takes two thirds of what it is given; what follows does not go over that. */
static void write_too_much(struct noria_chain *chain, __attribute__((unused)) struct noria_chain_step *steps)
{
	static char bytes[3 * 4096];
	int fd = memfd_create("narrow", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	MUST(fd >= 0 && ftruncate(fd, 2 * 4096) == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_GROW) == 0);
	noria_chain_write(chain, fd, bytes, sizeof bytes);
	noria_chain_fsync(chain, fd);
	EXPECT_EQ(noria_chain_run(chain), 1);
	EXPECT_EQ(noria_chain_result(chain, 1), 2 * 4096);
	EXPECT_EQ(lseek(fd, 0, SEEK_CUR), 2 * 4096);
	EXPECT_EQ(noria_chain_run(chain), -EPERM);
	EXPECT_EQ(lseek(fd, 0, SEEK_CUR), 2 * 4096);
	EXPECT_EQ(noria_close(fd), 0);
}

UNIT(chain, a_write_that_comes_short_moves_the_position_either_way)
{
	by_both_ways(write_too_much);
	return 0;
}

static void *block;

static int put_block_back(void *arg)
{
	EXPECT_EQ(noria_block_put(block), -EBUSY);
	return noria_send(*(int *)arg, "x", 1, 0) == 1 ? 0 : -EIO;
}

static void use_block(struct noria_chain *chain, __attribute__((unused)) struct noria_chain_step *steps)
{
	struct noria_group group;
	int pair[2];

	unit_pair(pair);
	noria_chain_read(chain, pair[0], block, 1);
	for (int i = 0; i < 2; i++) { /* also when it is run again */
		MUST(noria_group_open(&group) == 0);
		MUST(noria_spawn(&group, put_block_back, &pair[1]) == 0);
		EXPECT_EQ(noria_chain_run(chain), 2);
		EXPECT_EQ(noria_group_close(&group, 0), 0);
	}
	EXPECT_EQ(noria_block_put(block), 0);
	EXPECT_EQ(noria_chain_run(chain), -EFAULT);
	EXPECT_EQ(noria_chain_done(chain), 0);
	EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]), 0);
	MUST(noria_block_get(noria_loop->blocks, &block) == 0);
}

UNIT(chain, a_block_is_not_put_back_under_a_step_either_way)
{
	struct noria_blocks *blocks;

	MUST(noria_blocks_open(1, 4096, 512, &blocks) == 0);
	MUST(noria_block_get(blocks, &block) == 0);
	by_both_ways(use_block);
	EXPECT_EQ(noria_block_put(block), 0);
	noria_blocks_close(blocks);
	return 0;
}
