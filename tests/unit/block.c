/* SPDX-License-Identifier: MIT */
/* Blocks: taken and put back, in use by operations, registered or not with the same meaning. */
#include "unit.h"

#include "ring/ring.h"
#include "task/loop.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

enum { SIZE = 8192 };

/* A file that can be read with O_DIRECT, or by other means where that does not work. */
static int direct_file(char *path)
{
	char bytes[SIZE];
	int fd, direct;

	strcpy(path, "/var/tmp/noria-unit-XXXXXX");
	fd = mkstemp(path);
	MUST(fd >= 0);
	memset(bytes, 'a', sizeof bytes);
	MUST(write(fd, bytes, sizeof bytes) == sizeof bytes && fsync(fd) == 0);
	direct = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (direct < 0)
		return fd;
	MUST(close(fd) == 0);
	return direct;
}

UNIT(block, reads_and_writes_with_o_direct)
{
	struct noria_blocks *blocks;
	void *block = NULL;
	char path[40];
	int fd = direct_file(path), alignment = noria_direct_alignment(fd);

	EXPECT(alignment > 0 && (alignment & (alignment - 1)) == 0);
	MUST(noria_blocks_open(2, SIZE, (size_t)(alignment > 0 ? alignment : 0), &blocks) == 0);
	MUST(noria_block_get(blocks, &block) == 0);
	EXPECT_EQ((uintptr_t)block % (unsigned)alignment, 0);
	EXPECT_EQ(noria_pread(fd, block, SIZE, 0), SIZE);
	EXPECT_EQ(((char *)block)[0], 'a');
	EXPECT_EQ(((char *)block)[SIZE - 1], 'a');
	memset(block, 'b', SIZE);
	EXPECT_EQ(noria_pwrite(fd, block, SIZE, 0), SIZE);
	memset(block, 'c', SIZE);
	EXPECT_EQ(noria_read(fd, block, SIZE), SIZE);
	EXPECT_EQ(((char *)block)[SIZE - 1], 'b');
	EXPECT_EQ(noria_write(fd, block, SIZE), SIZE);
	EXPECT_EQ(noria_block_put(block), 0);
	EXPECT_EQ(noria_blocks_close(blocks), 0);
	EXPECT(noria_close(fd) == 0 && unlink(path) == 0);
	return 0;
}

static bool kernel_registers(void)
{
	return features_has(&noria_loop->ring->features, FEATURE_REGISTERED_BUFFERS);
}

UNIT(block, says_whether_it_is_registered)
{
	struct noria_blocks *blocks[66];
	unsigned i;

	for (i = 0; i < 66; i++) {
		MUST(noria_blocks_open(1, 4096, 0, &blocks[i]) == 0);
		EXPECT_EQ(noria_blocks_registered(blocks[i]), !kernel_registers() ? -EOPNOTSUPP : i < 64 ? 1 : -ENOSPC);
	}
	EXPECT_EQ(noria_blocks_close(blocks[7]), 0); /* its place is another's then */
	MUST(noria_blocks_open(1, 4096, 0, &blocks[7]) == 0);
	EXPECT_EQ(noria_blocks_registered(blocks[7]), kernel_registers() ? 1 : -EOPNOTSUPP);
	for (i = 0; i < 66; i++)
		EXPECT_EQ(noria_blocks_close(blocks[i]), 0);
	EXPECT_EQ(noria_blocks_close(NULL), 0);
	return 0;
}

/* Two registered pools: an operation uses the one that its memory lies in. A pipe has no O_DIRECT, and works as well. */
UNIT(block, each_operation_finds_its_own)
{
	struct noria_blocks *blocks[3];
	void *block[3];
	int pair[2];

	MUST(pipe2(pair, O_CLOEXEC) == 0);
	for (unsigned i = 0; i < 3; i++) {
		MUST(noria_blocks_open(1, 4096, 0, &blocks[i]) == 0 && noria_block_get(blocks[i], &block[i]) == 0);
		memset(block[i], 'x' + (int)i, 4096);
	}
	EXPECT_EQ(noria_write(pair[1], (char *)block[1] + 100, 50), 50);
	EXPECT_EQ(noria_read(pair[0], (char *)block[2] + 4000, 96), 50);
	EXPECT_EQ(((char *)block[2])[3999], 'z');
	EXPECT_EQ(((char *)block[2])[4000], 'y');
	EXPECT_EQ(((char *)block[2])[4050], 'z');
	for (unsigned i = 0; i < 3; i++)
		EXPECT(noria_block_put(block[i]) == 0 && noria_blocks_close(blocks[i]) == 0);
	EXPECT(noria_close(pair[0]) == 0 && noria_close(pair[1]) == 0);
	return 0;
}

struct getter {
	struct noria_blocks *blocks;
	int order, result;
	void *block;
};

static int got;

static int get(void *arg)
{
	struct getter *getter = arg;

	getter->result = noria_block_get(getter->blocks, &getter->block);
	getter->order = ++got;
	return 0;
}

UNIT(block, waits_for_a_free_one_first_come_first_served)
{
	struct getter getters[3] = {0};
	struct noria_blocks *blocks;
	struct noria_group group;
	void *block;

	got = 0;
	MUST(noria_blocks_open(1, 4096, 0, &blocks) == 0 && noria_block_get(blocks, &block) == 0);
	EXPECT_EQ(noria_within(noria_msec(1), noria_block_get(blocks, &block)), -ETIMEDOUT);
	MUST(noria_group_open(&group) == 0);
	for (unsigned i = 0; i < 3; i++) {
		getters[i].blocks = blocks;
		MUST(noria_spawn(&group, get, &getters[i]) == 0);
	}
	for (unsigned i = 0; i < 3; i++) {
		MUST(noria_sleep(noria_usec(10)) == 0);
		EXPECT_EQ(got, i);
		EXPECT_EQ(noria_block_put(block), 0);
		UNTIL(got == (int)i + 1);
		EXPECT_EQ(getters[i].order, i + 1);
		EXPECT_EQ(getters[i].result, 0);
		EXPECT(getters[i].block == block);
	}
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT_EQ(noria_block_put(block), 0);
	EXPECT_EQ(noria_blocks_close(blocks), 0);
	return 0;
}

/* R01: the block that came in spite of a cancel is delivered. */
UNIT(block, one_that_comes_in_spite_of_a_cancel_is_not_lost)
{
	struct getter getter = {0};
	struct noria_group group;
	void *block;

	MUST(noria_blocks_open(1, 4096, 0, &getter.blocks) == 0 && noria_block_get(getter.blocks, &block) == 0);
	MUST(noria_group_open(&group) == 0 && noria_spawn(&group, get, &getter) == 0);
	for (int i = 0; i < 3; i++)
		MUST(noria_yield() == 0);
	EXPECT_EQ(noria_block_put(block), 0);
	noria_group_cancel(&group);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT_EQ(getter.result, 0);
	EXPECT_EQ(noria_block_put(getter.block), 0);
	EXPECT_EQ(noria_within(0, noria_block_get(getter.blocks, &block)), -ETIMEDOUT);
	EXPECT_EQ(noria_blocks_close(getter.blocks), 0);
	return 0;
}

struct use {
	void *block;
	int fd;
	ssize_t result;
};

static int read_block(void *arg)
{
	struct use *use = arg;

	use->result = noria_read(use->fd, use->block, 4096);
	return 0;
}

/* R02: what the kernel may still write to is not free. */
UNIT(block, cannot_be_put_back_while_an_operation_uses_it)
{
	struct noria_blocks *blocks;
	struct use use = {.result = 1};
	struct noria_group group;
	int pair[2];

	MUST(pipe2(pair, O_CLOEXEC) == 0);
	use.fd = pair[0];
	MUST(noria_blocks_open(1, 4096, 0, &blocks) == 0 && noria_block_get(blocks, &use.block) == 0);
	MUST(noria_group_open(&group) == 0 && noria_spawn(&group, read_block, &use) == 0);
	for (int i = 0; i < 3; i++)
		MUST(noria_yield() == 0);
	EXPECT_EQ(noria_block_put(use.block), -EBUSY);
	EXPECT(strstr(noria_message(), "in use") && strstr(noria_message(), "block.c"));
	EXPECT_EQ(noria_blocks_close(blocks), -EBUSY);
	EXPECT(strstr(noria_message(), "block.c"));
	MUST(write(pair[1], "bytes", 5) == 5);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT_EQ(use.result, 5);
	EXPECT(memcmp(use.block, "bytes", 5) == 0);
	EXPECT_EQ(noria_block_put(use.block), 0);
	EXPECT_EQ(noria_read(pair[0], use.block, 4096), -EFAULT); /* it is nobody's now */
	EXPECT(strstr(noria_message(), "put back"));
	EXPECT_EQ(noria_blocks_close(blocks), 0);
	EXPECT(noria_close(pair[0]) == 0 && noria_close(pair[1]) == 0);
	return 0;
}

/* Stopped, and free again. */
UNIT(block, a_cancelled_operation_gives_it_free)
{
	struct noria_blocks *blocks;
	int pair[2];
	void *block;

	MUST(pipe2(pair, O_CLOEXEC) == 0);
	MUST(noria_blocks_open(1, 4096, 0, &blocks) == 0 && noria_block_get(blocks, &block) == 0);
	EXPECT_EQ(noria_within(noria_msec(1), noria_read(pair[0], block, 4096)), -ETIMEDOUT);
	EXPECT_EQ(noria_within(0, noria_read(pair[0], block, 4096)), -ETIMEDOUT);
	EXPECT_EQ(noria_block_put(block), 0);
	EXPECT_EQ(noria_blocks_close(blocks), 0);
	EXPECT(noria_close(pair[0]) == 0 && noria_close(pair[1]) == 0);
	return 0;
}

UNIT(block, refuses_what_is_no_block)
{
	struct noria_blocks *blocks = NULL;
	void *block;
	int number;

	EXPECT_EQ(noria_blocks_open(0, 4096, 0, &blocks), -EINVAL);
	EXPECT_EQ(noria_blocks_open(1, 0, 0, &blocks), -EINVAL);
	EXPECT_EQ(noria_blocks_open(1, 100, 0, &blocks), -EINVAL);
	EXPECT_EQ(noria_blocks_open(1, 4096, 3000, &blocks), -EINVAL);
	EXPECT_EQ(noria_blocks_open(1, 4 << 20, 4 << 20, &blocks), -EINVAL);
	EXPECT_EQ(noria_blocks_open(SIZE_MAX, 4096, 0, &blocks), -EINVAL);
	EXPECT(blocks == NULL);
	MUST(noria_blocks_open(2, 4096, 0, &blocks) == 0 && noria_block_get(blocks, &block) == 0);
	EXPECT_EQ(noria_block_put(&number), -EINVAL);
	EXPECT_EQ(noria_block_put((char *)block + 512), -EINVAL);
	EXPECT_EQ(noria_block_put((char *)block + 4096), -EINVAL); /* the other one, which nobody has taken */
	EXPECT_EQ(noria_block_put(block), 0);
	EXPECT_EQ(noria_block_put(block), -EINVAL);
	EXPECT_EQ(noria_block_put(NULL), 0);
	EXPECT_EQ(noria_blocks_close(blocks), 0);
	return 0;
}

/* Memory over two blocks is the program's own arrangement: it works, as any other memory would. */
UNIT(block, an_operation_over_several_blocks)
{
	struct noria_blocks *blocks;
	void *block[2];
	char *low;
	int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);

	MUST(fd >= 0 && noria_blocks_open(2, 4096, 0, &blocks) == 0);
	MUST(noria_block_get(blocks, &block[0]) == 0 && noria_block_get(blocks, &block[1]) == 0);
	low = block[0] < block[1] ? block[0] : block[1];
	memset(low, 'x', 8192);
	EXPECT_EQ(noria_read(fd, low + 1, 8191), 8191);
	EXPECT(low[0] == 'x' && low[1] == '\0' && low[8191] == '\0');
	EXPECT(noria_block_put(block[0]) == 0 && noria_block_put(block[1]) == 0);
	EXPECT(noria_blocks_close(blocks) == 0 && noria_close(fd) == 0);
	return 0;
}

struct over {
	char *low;
	int fd;
};

static int read_over(void *arg)
{
	struct over *over = arg;

	return noria_read(over->fd, over->low + 100, 3 * 4096) == 5 ? 0 : -EIO;
}

/* R02: each of the blocks that it is on. */
UNIT(block, none_of_several_can_be_put_back_under_an_operation)
{
	struct noria_blocks *blocks;
	struct noria_group group;
	struct over over;
	void *block[4];
	int pair[2];

	MUST(pipe2(pair, O_CLOEXEC) == 0 && noria_blocks_open(4, 4096, 0, &blocks) == 0);
	over.fd = pair[0];
	for (unsigned i = 0; i < 4; i++)
		MUST(noria_block_get(blocks, &block[i]) == 0);
	over.low = block[0];
	MUST(block[3] == over.low + 3 * 4096);
	MUST(noria_group_open(&group) == 0 && noria_spawn(&group, read_over, &over) == 0);
	for (int i = 0; i < 3; i++)
		MUST(noria_yield() == 0);
	for (unsigned i = 0; i < 4; i++)
		EXPECT_EQ(noria_block_put(block[i]), -EBUSY);
	MUST(write(pair[1], "bytes", 5) == 5);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT(memcmp(over.low + 100, "bytes", 5) == 0);
	EXPECT_EQ(noria_read(pair[0], over.low, 4 * 4096 + 1), -EFAULT);
	EXPECT(strstr(noria_message(), "behind the last"));
	EXPECT_EQ(noria_block_put(block[2]), 0);
	EXPECT_EQ(noria_read(pair[0], block[1], 4097), -EFAULT);
	EXPECT_EQ(noria_write(pair[1], block[0], 8192), 8192); /* up to the end of the second */
	EXPECT_EQ(noria_block_put(block[0]) | noria_block_put(block[1]) | noria_block_put(block[3]), 0);
	EXPECT(noria_blocks_close(blocks) == 0 && noria_close(pair[0]) == 0 && noria_close(pair[1]) == 0);
	return 0;
}

static void *kept;
static struct noria_blocks *forgotten;

static int forget_two(__attribute__((unused)) void *arg)
{
	MUST(noria_blocks_open(2, 4096, 0, &forgotten) == 0);
	return noria_block_get(forgotten, &kept);
}

/* Whoever asks the pool for a block after its task has ended is told, whether there is one or not. */
UNIT(block, a_forgotten_pool_gives_no_more_blocks)
{
	struct noria_group group;
	void *block = NULL;

	MUST(noria_group_open(&group) == 0 && noria_spawn(&group, forget_two, NULL) == 0);
	EXPECT_EQ(noria_group_close(&group, 0), -EINVAL);
	EXPECT_EQ(noria_block_get(forgotten, &block), -EBADF);
	EXPECT_EQ(noria_block_put(kept), 0);
	return 0;
}

static int forget_one(__attribute__((unused)) void *arg)
{
	MUST(noria_blocks_open(1, 4096, 0, &forgotten) == 0);
	return noria_block_get(forgotten, &kept);
}

UNIT(block, a_forgotten_pool_without_blocks_is_not_waited_for)
{
	struct noria_group group;
	void *block = NULL;

	MUST(noria_group_open(&group) == 0 && noria_spawn(&group, forget_one, NULL) == 0);
	EXPECT_EQ(noria_group_close(&group, 0), -EINVAL);
	EXPECT_EQ(noria_within(noria_sec(5), noria_block_get(forgotten, &block)), -EBADF);
	EXPECT_EQ(noria_block_put(kept), 0);
	return 0;
}

static int forget(__attribute__((unused)) void *arg)
{
	struct noria_blocks *blocks;

	MUST(noria_blocks_open(1, 4096, 0, &blocks) == 0);
	return noria_block_get(blocks, &kept);
}

/* The task ends and leaves its pool open; the memory stays until the block has come back. */
UNIT(block, a_forgotten_pool_is_named_and_goes_with_its_last_block)
{
	struct noria_group group;

	for (int put = 1; put >= 0; put--) {
		MUST(noria_group_open(&group) == 0 && noria_spawn(&group, forget, NULL) == 0);
		EXPECT_EQ(noria_group_close(&group, 0), -EINVAL);
		EXPECT(strstr(noria_message(), "pool of blocks"));
		memset(kept, 'x', 4096);
		EXPECT_EQ(noria_loop->blocks != NULL, true);
		if (put) {
			EXPECT_EQ(noria_block_put(kept), 0);
			EXPECT(noria_loop->blocks == NULL);
		} /* else at the end of the run */
	}
	return 0;
}

/* A limit on locked memory that leaves room for nothing: unprivileged only, so in a child that is nobody. */
static int without_memlock(__attribute__((unused)) void *arg)
{
	struct noria_blocks *blocks;
	void *block;
	int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC), r;

	MUST(fd >= 0 && noria_blocks_open(64, 1 << 20, 0, &blocks) == 0);
	r = noria_blocks_registered(blocks);
	MUST(r == (kernel_registers() ? -ENOMEM : -EOPNOTSUPP));
	MUST(noria_block_get(blocks, &block) == 0);
	memset(block, 'x', 1 << 20);
	MUST(noria_read(fd, block, 1 << 20) > 0 && ((char *)block)[0] == '\0');
	MUST(noria_block_put(block) == 0 && noria_blocks_close(blocks) == 0);
	return noria_close(fd);
}

static void run_without_memlock(__attribute__((unused)) void *arg)
{
	struct rlimit limit;

	MUST(getrlimit(RLIMIT_MEMLOCK, &limit) == 0);
	if (limit.rlim_max > 16 << 20)
		limit.rlim_cur = limit.rlim_max = 16 << 20;
	MUST(setrlimit(RLIMIT_MEMLOCK, &limit) == 0);
	if (setresuid(65534, 65534, 65534) < 0)
		return; /* whoever is not root and has a limit of its own: the other tests do for that */
	MUST(noria_run(NULL, without_memlock, NULL) == 0);
}

Test(block, without_locked_memory_it_means_the_same)
{
	char text[1024];
	int status = unit_in_child(run_without_memlock, NULL, text, sizeof text);

	cr_expect_eq(status, 0, "%s", text);
}

static const struct noria_config two = {.ring_entries = 2, .ring_entries_max = 2};

static int read_much(void *arg)
{
	struct use *use = arg;
	noria_autoblock void *block = NULL;

	for (int i = 0; i < 50; i++) {
		MUST(noria_block_get(use->block, &block) == 0);
		memset(block, 'x', 4096);
		EXPECT_EQ(noria_pread(use->fd, block, 4096, 4096 * (i % 2)), 4096);
		EXPECT_EQ(((char *)block)[4095], 'a');
		EXPECT_EQ(noria_block_put(block), 0);
		block = NULL;
	}
	return 0;
}

/* Twelve tasks, five blocks, a queue of two entries. */
UNIT_WITH(block, many_tasks_through_a_narrow_queue, &two)
{
	struct noria_blocks *blocks;
	struct noria_group group;
	struct use use;
	char path[40];

	use.fd = direct_file(path);
	MUST(noria_blocks_open(5, 4096, 0, &blocks) == 0 && noria_group_open(&group) == 0);
	use.block = blocks;
	for (int i = 0; i < 12; i++)
		MUST(noria_spawn(&group, read_much, &use) == 0);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT_EQ(noria_blocks_close(blocks), 0);
	EXPECT(noria_close(use.fd) == 0 && unlink(path) == 0);
	return 0;
}

static int read_once(void *arg)
{
	char bytes[16];

	return noria_pread(*(int *)arg, bytes, sizeof bytes, 0) == sizeof bytes ? 0 : -EIO;
}

/* The device begins with the first of them while tasks of the same turn prepare the others. */
UNIT(block, some_operations_for_a_device_do_not_wait_for_the_end_of_the_turn)
{
	int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	struct noria_group group;

	MUST(fd >= 0);
	MUST(noria_sleep(noria_usec(1)) == 0 && noria_group_open(&group) == 0);
	for (int i = 0; i < 4; i++)
		MUST(noria_spawn(&group, read_once, &fd) == 0);
	MUST(noria_yield() == 0); /* all of them have run, in one turn */
	EXPECT_EQ(ring_pending(noria_loop->ring), 0);
	EXPECT_EQ(noria_group_size(&group), 4);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT_EQ(noria_close(fd), 0);
	return 0;
}

Test(block, outside_a_runtime)
{
	struct noria_blocks *blocks = NULL;

	EXPECT_EQ(noria_blocks_open(1, 4096, 0, &blocks), -ENXIO);
	EXPECT_EQ(noria_block_put(&blocks), -ENXIO);
	EXPECT_EQ(noria_direct_alignment(0), -ENXIO);
}
