/* SPDX-License-Identifier: MIT */
/* Files, pipes, writers, direct descriptors, blocks of memory: what was said to be written is there, as often as said. */
#include "sweep.h"

enum { SIZE = 3000, LINES = 25 };

static char pattern[SIZE];

static void fill(int seed)
{
	for (int i = 0; i < SIZE; i++)
		pattern[i] = (char)(seed + i * 7 + i / 251);
}

/* ---- whole transfers ---- */

static int write_and_read(int fd)
{
	static char back[SIZE + 1];
	ssize_t n = noria_write_all(fd, pattern, SIZE);

	CHECK(n != -EINTR); /* that is mended in there */
	noria_try(n);
	CHECK_EQ(n, SIZE);
	n = noria_pread(fd, back, 10, 5);
	noria_try(n);
	CHECK(memcmp(back, pattern + 5, (size_t)n) == 0);
	noria_try(noria_fsync(fd));
	CHECK(lseek(fd, 0, SEEK_SET) == 0);
	n = noria_read_all(fd, back, sizeof back);
	CHECK(n != -EINTR);
	noria_try(n);
	CHECK_EQ(n, SIZE);
	CHECK(memcmp(back, pattern, SIZE) == 0);
	return 0;
}

static int whole(void *arg)
{
	int fd = noria_open("whole", O_RDWR | O_CREAT | O_TRUNC, 0600), r;

	(void)arg;
	noria_try(fd);
	fill(1);
	r = write_and_read(fd);
	noria_close(fd);
	return r;
}

/* ---- chains ---- */

static int chain_writes(const char *path)
{
	struct noria_chain_step steps[4];
	struct noria_chain chain;
	int fd, r;

	noria_chain_begin(&chain, steps);
	fd = noria_chain_openat(&chain, AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	noria_chain_write(&chain, fd, pattern, SIZE);
	noria_chain_fsync(&chain, fd);
	noria_chain_close(&chain, fd);
	r = noria_chain_run(&chain);
	if (r == 4)
		CHECK_EQ(noria_chain_result(&chain, 1), SIZE);
	return r;
}

static int chains(void *arg)
{
	void *data;
	size_t size;
	int r;

	(void)arg;
	fill(2);
	for (int i = 0; i < 3; i++) {
		r = chain_writes("chained");
		if (r == -EAGAIN)
			continue; /* what the file answered: a chain waits for nothing */
		noria_try(r);
		if (r < 4)
			continue; /* a write fell short: nothing is said of what follows */
		noria_try(noria_read_file(AT_FDCWD, "chained", 1 << 20, &data, &size));
		CHECK_EQ(size, SIZE);
		CHECK(memcmp(data, pattern, SIZE) == 0);
		free(data);
	}
	return 0;
}

/* Several at once share the places that are kept for chains. */
static int chain_task(void *arg)
{
	char path[16];

	snprintf(path, sizeof path, "c%d", *(int *)arg);
	for (int i = 0; i < 3; i++) {
		int64_t limit = i == 1 ? 100000 + *(int *)arg * 20000 : noria_sec(10);
		int r = noria_within(limit, chain_writes(path));

		if (r < 0 && r != -ETIMEDOUT && r != -EAGAIN)
			return r;
	}
	return 0;
}

static int chained_tasks(void *arg)
{
	struct noria_group group;
	int r;

	(void)arg;
	fill(3);
	noria_try(noria_group_open(&group));
	r = 0;
	for (int i = 0; i < 4 && r >= 0; i++)
		r = noria_spawn_copy(&group, chain_task, &i, sizeof i);
	return noria_group_close(&group, r);
}

/* ---- replacing ---- */

static int replace(void *arg)
{
	char text[32];
	void *data;
	size_t size;

	(void)arg;
	for (int i = 0; i < 4; i++) {
		snprintf(text, sizeof text, "version %d", i);
		noria_try(noria_replace_file(AT_FDCWD, "replaced", text, strlen(text), 0600));
		noria_try(noria_read_file(AT_FDCWD, "replaced", 1 << 20, &data, &size));
		CHECK(size == strlen(text) && memcmp(data, text, size) == 0);
		free(data);
	}
	return 0;
}

/* ---- pipes ---- */

static struct {
	int ends[2], pair[2];
	int64_t moved;
} pipes;

static int feed(void *arg)
{
	ssize_t n = noria_write_all(pipes.ends[1], pattern, SIZE);

	(void)arg;
	noria_close(pipes.ends[1]);
	pipes.ends[1] = -1;
	noria_try(n);
	CHECK_EQ(n, SIZE);
	return 0;
}

static int pass_on(void *arg)
{
	ssize_t n = noria_splice_all(pipes.ends[0], NULL, pipes.pair[0], NULL, SIZE, 0);

	(void)arg;
	noria_shutdown(pipes.pair[0], SHUT_WR);
	noria_try(n);
	CHECK_EQ(n, SIZE);
	return 0;
}

static int drink(void)
{
	static char back[SIZE + 1];
	ssize_t n = noria_recv_all(pipes.pair[1], back, sizeof back, 0);

	noria_try(n);
	if (n == SIZE)
		CHECK(memcmp(back, pattern, SIZE) == 0);
	CHECK(n == SIZE || sweep_may_fail() || sweep_cancelled());
	return 0;
}

static int splices(void *arg)
{
	struct noria_group group;
	int r;

	(void)arg;
	fill(4);
	noria_try(noria_pipe(pipes.ends));
	r = sweep_pair(pipes.pair);
	if (r >= 0) {
		r = noria_group_open(&group);
		if (r >= 0) {
			r = noria_spawn(&group, feed, NULL);
			if (r >= 0)
				r = noria_spawn(&group, pass_on, NULL);
			if (r >= 0)
				r = noria_within(noria_sec(30), drink());
			r = noria_group_close(&group, r);
		}
		sweep_close_pair(pipes.pair);
	}
	noria_close(pipes.ends[0]);
	if (pipes.ends[1] >= 0)
		noria_close(pipes.ends[1]);
	return r;
}

/* ---- writers, and sends that do not copy ---- */

static int write_lines(void *arg)
{
	char buffer[64];
	struct noria_writer writer = {0};
	int r;

	(void)arg;
	noria_try(noria_writer_open(&writer, pipes.pair[0], buffer, sizeof buffer));
	r = 0;
	for (int i = 0; i < LINES && r >= 0; i++) {
		r = noria_writer_printf(&writer, "line %03d\n", i);
		if (r >= 0 && i % 6 == 5)
			r = noria_sleep(2000);
		if (r >= 0 && i % 9 == 8)
			r = noria_writer_flush(&writer);
	}
	if (r >= 0) {
		r = noria_writer_close(&writer);
	} else {
		int closed = noria_writer_close(&writer);

		r = closed < 0 ? closed : r;
	}
	noria_shutdown(pipes.pair[0], SHUT_WR);
	return r;
}

static int read_lines(void)
{
	char line[9], wanted[16];

	for (int i = 0; i < LINES; i++) {
		ssize_t n = noria_recv_all(pipes.pair[1], line, sizeof line, 0);

		noria_try(n);
		snprintf(wanted, sizeof wanted, "line %03d\n", i);
		CHECK(memcmp(line, wanted, (size_t)n) == 0);
		if (n < (ssize_t)sizeof line)
			return sweep_may_fail() || sweep_cancelled() ? 0 : -EPROTO;
		if (i % 7 == 6)
			noria_try(noria_sleep(3000));
	}
	return 0;
}

static int with_pair(noria_task_fn *writes, int (*reads)(void))
{
	struct noria_group group;
	int r;

	noria_try(sweep_pair(pipes.pair));
	r = noria_group_open(&group);
	if (r >= 0) {
		r = noria_spawn(&group, writes, NULL);
		if (r >= 0)
			r = noria_within(noria_sec(30), reads());
		r = noria_group_close(&group, r);
	}
	sweep_close_pair(pipes.pair);
	return r;
}

static int writers(void *arg)
{
	(void)arg;
	return with_pair(write_lines, read_lines);
}

static int listen_here(struct sockaddr_in *ret_address)
{
	int fd = noria_socket(AF_INET, SOCK_STREAM, 0), r;

	*ret_address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(90)};
	ret_address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	noria_try(fd);
	r = noria_bind(fd, (struct sockaddr *)ret_address, sizeof *ret_address);
	if (r >= 0)
		r = noria_listen(fd, 4);
	if (r < 0)
		noria_close(fd);
	return r < 0 ? r : fd;
}

/* The memory is the caller's again when the send returns: it is written over at once. */
static int send_uncopied(void *arg)
{
	char part[500];

	(void)arg;
	for (int i = 0; i < SIZE; i += 500) {
		ssize_t done = 0;

		while (done < 500) {
			ssize_t n;

			memcpy(part, pattern + i, sizeof part);
			n = noria_send_zc(pipes.pair[0], part + done, sizeof part - (size_t)done, 0);
			memset(part, 0, sizeof part);
			noria_try(n);
			done += n;
		}
	}
	return noria_shutdown(pipes.pair[0], SHUT_WR);
}

static int uncopied(void *arg)
{
	struct sockaddr_in address;
	struct noria_group group;
	int listener = listen_here(&address), r;

	(void)arg;
	noria_try(listener);
	fill(5);
	r = pipes.pair[0] = noria_socket(AF_INET, SOCK_STREAM, 0);
	if (r >= 0) {
		pipes.pair[1] = -1;
		r = noria_connect(pipes.pair[0], (struct sockaddr *)&address, sizeof address);
		if (r >= 0)
			r = pipes.pair[1] = noria_accept(listener, NULL, NULL);
		if (r >= 0) {
			r = noria_group_open(&group);
			if (r >= 0) {
				r = noria_spawn(&group, send_uncopied, NULL);
				if (r >= 0)
					r = noria_within(noria_sec(60), drink());
				r = noria_group_close(&group, r);
			}
		}
		noria_close(pipes.pair[0]);
		if (pipes.pair[1] >= 0)
			noria_close(pipes.pair[1]);
	}
	noria_close(listener);
	return r;
}

/* ---- direct descriptors ---- */

static int use_direct(int fd)
{
	char back[64];
	ssize_t n = noria_pwrite(fd, pattern, sizeof back, 0);

	noria_try(n);
	noria_try(noria_fsync(fd));
	n = noria_pread(fd, back, (size_t)n, 0);
	noria_try(n);
	CHECK(memcmp(back, pattern, (size_t)n) == 0);
	return 0;
}

static int direct(void *arg)
{
	int fd, r = 0;

	(void)arg;
	fill(6);
	for (int i = 0; i < 3 && r >= 0; i++) {
		fd = noria_openat_direct(AT_FDCWD, "direct", O_RDWR | O_CREAT, 0600);
		noria_try(fd);
		r = use_direct(fd);
		noria_close(fd);
	}
	return r;
}

/* ---- blocks ---- */

static int use_block(struct noria_blocks *blocks, int fd)
{
	void *block;
	ssize_t n;

	noria_try(noria_block_get(blocks, &block));
	memcpy(block, pattern, 512);
	n = noria_pwrite(fd, block, 512, 0);
	memset(block, 0, 512);
	if (n >= 0)
		n = noria_pread(fd, block, (size_t)n, 0);
	if (n > 0)
		CHECK(memcmp(block, pattern, (size_t)n) == 0);
	CHECK_EQ(noria_block_put(block), 0);
	return n < 0 ? (int)n : 0;
}

static int blocks(void *arg)
{
	struct noria_blocks *pool;
	int fd, r;

	(void)arg;
	fill(7);
	noria_try(noria_blocks_open(2, 4096, 4096, &pool));
	fd = noria_open("blocks", O_RDWR | O_CREAT, 0600);
	r = fd;
	for (int i = 0; i < 3 && r >= 0; i++)
		r = use_block(pool, fd);
	if (fd >= 0)
		noria_close(fd);
	CHECK_EQ(noria_blocks_close(pool), 0);
	return r;
}

const struct sweep_program sweep_files[] = {
	{"whole", whole, "plain tiny", 0},
	{"chains", chains, "plain older", 0},
	{"chained-tasks", chained_tasks, "plain", 0},
	{"replace", replace, "plain", 0},
	{"splices", splices, "plain tiny", 0},
	{"writers", writers, "plain tiny", 0},
	{"uncopied", uncopied, "plain older", 0},
	{"direct", direct, "plain", 0},
	{"blocks", blocks, "plain old", 0},
	{0},
};
