/* SPDX-License-Identifier: MIT */
/* R04: a submission queue of two entries, and a crowd: operations, timeouts and cancels wait for room, none is lost. */
#include "noria/offload.h"
#include "ring_inside.h"

enum { CROWD = 300 };

static const struct noria_config two_entries = {.ring_entries = 2, .ring_entries_max = 2, .executor_threads = 1};

struct member {
	struct noria_scope scope;
	int fd;
	int64_t limit;
	ssize_t result, closed;
	bool started;
};

static int receive(void *arg)
{
	struct member *member = arg;
	char byte;

	MUST(noria_scope_open(&member->scope,
			      member->limit == NORIA_FOREVER ? NORIA_FOREVER : noria_now() + member->limit, 0) == 0);
	member->started = true;
	member->result = noria_recv(member->fd, &byte, 1, 0);
	member->closed = noria_scope_close(&member->scope, member->result);
	return 0;
}

/* Members of a crowd that all wait on one silent socket, or each on its own. */
static struct member *crowd_new(struct noria_group *group, int (*pairs)[2], int count, int64_t limit)
{
	struct member *members = calloc((size_t)count, sizeof *members);

	MUST(members && noria_group_open(group) == 0);
	inside_whole_turns();
	for (int i = 0; i < count; i++) {
		inside_pair(pairs[i]);
		members[i].fd = pairs[i][0];
		members[i].limit = limit;
		MUST(noria_spawn(group, receive, &members[i]) == 0);
	}
	return members;
}

static void crowd_free(struct member *members, int (*pairs)[2], int count)
{
	for (int i = 0; i < count; i++)
		inside_close(pairs[i]);
	free(members);
}

static void wait_started(const struct member *members, int count)
{
	for (int i = 0; i < count; i++)
		UNTIL(members[i].started);
}

/* R04: every operation reaches the kernel and completes, with and without a linked timeout. */
RULE_WITH(R04, no_operation_is_dropped, &two_entries)
{
	static int pairs[CROWD][2];
	int64_t limits[] = {NORIA_FOREVER, noria_sec(100)};

	for (int round = 0; round < 2; round++) {
		struct noria_group group = {0};
		struct member *members = crowd_new(&group, pairs, CROWD, limits[round]);

		wait_started(members, CROWD);
		EXPECT(!list_empty(&noria_loop->backlog));
		for (int i = 0; i < CROWD; i++)
			MUST(send(pairs[i][1], "!", 1, 0) == 1);
		MUST(noria_group_close(&group, 0) == 0);
		for (int i = 0; i < CROWD; i++)
			EXPECT(members[i].result == 1 && members[i].closed == 1);
		EXPECT(noria_loop->in_flight == 0 && noria_loop->ring->sq_entries == 2);
		crowd_free(members, pairs, CROWD);
	}
	return 0;
}

/* R04: every timeout fires. */
RULE_WITH(R04, no_timeout_is_dropped, &two_entries)
{
	static int pairs[CROWD][2];
	struct noria_group group = {0};
	struct member *members = crowd_new(&group, pairs, CROWD, noria_msec(5));

	MUST(noria_group_close(&group, 0) == 0);
	for (int i = 0; i < CROWD; i++)
		EXPECT(members[i].result == -ECANCELED && members[i].closed == -ETIMEDOUT);
	EXPECT(noria_loop->in_flight == 0);
	crowd_free(members, pairs, CROWD);
	return 0;
}

/* R04: every cancel arrives: of operations in flight, and of operations that still wait for room themselves. */
RULE_WITH(R04, no_cancel_is_dropped, &two_entries)
{
	static int pairs[CROWD][2];

	for (int settled = 0; settled < 2; settled++) {
		struct noria_group group = {0};
		struct member *members = crowd_new(&group, pairs, CROWD, settled ? noria_sec(100) : NORIA_FOREVER);

		wait_started(members, CROWD);
		if (settled)
			UNTIL(list_empty(&noria_loop->backlog));
		for (int i = 0; i < CROWD; i++)
			noria_scope_cancel(&members[i].scope);
		MUST(noria_group_close(&group, 0) == 0);
		for (int i = 0; i < CROWD; i++)
			EXPECT(members[i].result == -ECANCELED && members[i].closed == 0);
		EXPECT(noria_loop->in_flight == 0 && list_empty(&noria_loop->cancels));
		crowd_free(members, pairs, CROWD);
	}
	return 0;
}

/* R04: all at once: some receive, some time out, some are cancelled, and each gets what is its own. */
RULE_WITH(R04, operations_timeouts_and_cancels_together, &two_entries)
{
	static int pairs[CROWD][2];
	struct noria_group group = {0};
	struct member *members = crowd_new(&group, pairs, CROWD, noria_sec(100));

	for (int i = 0; i < CROWD; i += 3)
		members[i].limit = noria_msec(3);
	wait_started(members, CROWD);
	for (int i = 1; i < CROWD; i += 3)
		noria_scope_cancel(&members[i].scope);
	for (int i = 2; i < CROWD; i += 3)
		MUST(send(pairs[i][1], "!", 1, 0) == 1);
	MUST(noria_group_close(&group, 0) == 0);
	for (int i = 0; i < CROWD; i++)
		EXPECT(members[i].closed == (i % 3 == 0 ? -ETIMEDOUT : i % 3 == 1 ? 0 : 1));
	EXPECT(noria_loop->in_flight == 0);
	crowd_free(members, pairs, CROWD);
	return 0;
}

static int succeed(void *arg)
{
	*(bool *)arg = true;
	return 0;
}

/* R04: a queue that is exactly full when the loop goes to sleep does not make it deaf to other threads. */
static int offload(void *arg)
{
	return noria_offload(succeed, arg);
}

static int full_queue_and_offload(void *arg)
{
	int pair[2];
	bool ran = false;
	struct member member = {.limit = noria_sec(100)};
	struct member more = {.limit = NORIA_FOREVER};
	struct noria_group group = {0};

	(void)arg;
	inside_pair(pair);
	more.fd = member.fd = pair[0];
	MUST(noria_group_open(&group) == 0);
	/* Before the loop has slept for the first time: two entries in a queue of two, and a call on another thread. */
	MUST(noria_spawn(&group, receive, &member) == 0);
	if (rule_timeouts == NORIA_TIMEOUTS_HEAP)
		MUST(noria_spawn(&group, receive, &more) == 0);
	EXPECT(offload(&ran) == 0);
	EXPECT(ran);
	noria_group_cancel(&group);
	EXPECT(noria_group_close(&group, 0) == 0);
	inside_close(pair);
	return 0;
}

RULE_WITH(R04, a_full_queue_can_be_woken, &two_entries)
{
	return full_queue_and_offload(NULL);
}

/* The same with the wake-up that kernels before 6.13 need: an eventfd, which wants an entry itself. */
Test(R04, a_full_queue_can_be_woken_by_an_eventfd, .timeout = 20)
{
	setenv("NORIA_HIDE", "sync_msg", 1);
	cr_expect_eq(rule_run(full_queue_and_offload, NULL, &two_entries, NORIA_TIMEOUTS_LINKED), 0);
}
