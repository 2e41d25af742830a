/* SPDX-License-Identifier: MIT */
/*
 * Several operations under one wait: all results come, whatever their order; a cancel ends those that wait and spares
 * the results of those that are done; time limits, a small queue and the closing of one's descriptor included.
 */
#include "op/several.h"

#include "unit.h"

#include <unistd.h>

enum { COUNT = 12 };

struct receives {
	int pairs[COUNT][2];
	struct part parts[COUNT];
	char bytes[COUNT];
};

static struct receives receives;

static void prepare(void)
{
	for (int i = 0; i < COUNT; i++) {
		unit_pair(receives.pairs[i]);
		io_uring_prep_recv(part_entry(&receives.parts[i]), receives.pairs[i][0], &receives.bytes[i], 1, 0);
	}
}

static void finish(void)
{
	for (int i = 0; i < COUNT; i++)
		EXPECT_EQ(noria_close(receives.pairs[i][0]) | noria_close(receives.pairs[i][1]), 0);
}

static void send_to(int i)
{
	MUST(noria_send(receives.pairs[i][1], &(char){(char)('a' + i)}, 1, 0) == 1);
}

static int run(void)
{
	noria_several_run(receives.parts, COUNT, "receives");
	return 0;
}

static int send_backwards(void *arg)
{
	(void)arg;
	for (int i = COUNT - 1; i >= 0; i--) {
		if (i == 0)
			MUST(noria_sleep(noria_msec(1)) == 0); /* all but one are done, and nobody may be woken */
		send_to(i);
		MUST(noria_yield() == 0);
	}
	return 0;
}

static int all_results(__attribute__((unused)) void *arg)
{
	struct noria_group group;

	prepare();
	MUST(noria_group_open(&group) == 0 && noria_spawn(&group, send_backwards, NULL) == 0);
	EXPECT_EQ(noria_within(noria_sec(20), run()), 0);
	for (int i = 0; i < COUNT; i++) {
		EXPECT_EQ(receives.parts[i].result, 1);
		EXPECT_EQ(receives.bytes[i], 'a' + i);
	}
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	finish();
	return 0;
}

static int some_results(__attribute__((unused)) void *arg)
{
	char byte;

	prepare();
	send_to(3);
	EXPECT_EQ(noria_within(noria_msec(2), run()), -ETIMEDOUT);
	for (int i = 0; i < COUNT; i++)
		EXPECT_EQ(receives.parts[i].result, i == 3 ? 1 : -ECANCELED);
	send_to(5); /* nothing that was stopped takes it */
	EXPECT_EQ(noria_recv(receives.pairs[5][0], &byte, 1, MSG_DONTWAIT), 1);
	finish();
	return 0;
}

static int close_the_fourth(void *arg)
{
	(void)arg;
	MUST(noria_sleep(noria_msec(1)) == 0);
	EXPECT_EQ(noria_close(receives.pairs[4][0]), 0);
	for (int i = 0; i < COUNT; i++)
		if (i != 4)
			send_to(i);
	return 0;
}

static int a_closed_one(__attribute__((unused)) void *arg)
{
	struct noria_group group;

	prepare();
	MUST(noria_group_open(&group) == 0 && noria_spawn(&group, close_the_fourth, NULL) == 0);
	EXPECT_EQ(noria_within(noria_sec(20), run()), 0);
	for (int i = 0; i < COUNT; i++)
		EXPECT_EQ(receives.parts[i].result, i == 4 ? -EBADF : 1);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	receives.pairs[4][0] = dup(0);
	finish();
	return 0;
}

static const struct noria_config small = {.ring_entries = 2, .ring_entries_max = 2};

#define SEVERAL(name) \
	Test(several, name, .timeout = 60) \
	{ \
		unit_run_twice(name, NULL); \
		unit_run(name, &small); \
	}

SEVERAL(all_results)
SEVERAL(some_results)
SEVERAL(a_closed_one)
