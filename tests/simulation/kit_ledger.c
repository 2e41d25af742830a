/* SPDX-License-Identifier: MIT */
/* X12: a test that leaves a task, an fd, a buffer or a timer behind fails and names it. */
#include "kit.h"

#include <fcntl.h>
#include <unistd.h>

static struct noria_sim_options quiet = {.quiet = true};

#define EXPECT_LEFT(fn) \
	do { \
		EXPECT_EQ(noria_sim_run(&quiet, fn, NULL), -EUCLEAN); \
		EXPECT_EQ(noria_sim_last_report()->finding, NORIA_SIM_LEFT); \
	} while (0)

static int nap(void *arg)
{
	(void)arg;
	return noria_sleep(noria_sec(1));
}

static int leave_a_task(void *arg)
{
	static struct noria_group group;

	(void)arg;
	memset(&group, 0, sizeof group);
	noria_try(noria_group_open(&group));
	return noria_spawn(&group, nap, NULL);
}

Test(X12, a_task)
{
	EXPECT_LEFT(leave_a_task);
	EXPECT_SAYS("left behind: task nap #3, spawned at");
	EXPECT_SAYS("kit_ledger.c");
}

static int leave_a_timer(void *arg)
{
	static struct noria_scope scope;

	(void)arg;
	memset(&scope, 0, sizeof scope);
	return noria_scope_open(&scope, noria_now() + noria_sec(5), 0);
}

Test(X12, a_timer)
{
	EXPECT_LEFT(leave_a_timer);
	EXPECT_SAYS("left behind: scope of ");
	EXPECT_SAYS("(leave_a_timer), with its timer");
}

static int leave_a_socket(void *arg)
{
	(void)arg;
	int fd = noria_socket(AF_INET, SOCK_STREAM, 0);

	return fd < 0 ? fd : 0;
}

Test(X12, a_descriptor_with_its_call_and_its_task)
{
	EXPECT_LEFT(leave_a_socket);
	EXPECT_SAYS("left behind: descriptor ");
	EXPECT_SAYS("opened by socket on host localhost in task leave_a_socket #2 (spawned at");
	EXPECT_SAYS("\n    at ");
}

static int leave_a_file(void *arg)
{
	*(int *)arg = noria_openat(AT_FDCWD, "/dev/null", O_RDONLY, 0);
	return *(int *)arg < 0 ? *(int *)arg : 0;
}

Test(X12, a_descriptor_of_the_kernel)
{
	struct noria_sim_options options = {.world = NORIA_SIM_KERNEL, .quiet = true};
	int fd = -1;

	EXPECT_EQ(noria_sim_run(&options, leave_a_file, &fd), -EUCLEAN);
	EXPECT_SAYS("/dev/null");
	close(fd);
}

static int leave_a_block(void *arg)
{
	struct noria_blocks *blocks;
	void *block;

	(void)arg;
	noria_try(noria_blocks_open(4, 4096, 0, &blocks));
	return noria_block_get(blocks, &block);
}

Test(X12, a_buffer)
{
	EXPECT_LEFT(leave_a_block);
	EXPECT_SAYS("left behind: block taken at ");
	EXPECT_SAYS("(leave_a_block)");
}

static int leave_nothing(void *arg)
{
	int fd = noria_socket(AF_INET, SOCK_STREAM, 0);

	(void)arg;
	if (fd >= 0)
		noria_close(fd);
	return fd < 0 ? fd : nap(NULL);
}

Test(X12, nothing)
{
	EXPECT_EQ(noria_sim_run(NULL, leave_nothing, NULL), 0);
	EXPECT_EQ(noria_sim_last_report()->finding, NORIA_SIM_FINE);
}

static int crash_one(void *arg)
{
	struct noria_sim_host *host = noria_sim_host_named("a", NULL);

	(void)arg;
	noria_try(noria_sim_start(host, leave_a_socket, NULL));
	noria_try(noria_sleep(noria_sec(1)));
	return noria_sim_crash(host);
}

Test(X12, what_a_crashed_host_had_open_is_gone)
{
	EXPECT_EQ(noria_sim_run(NULL, crash_one, NULL), 0);
}
