/* SPDX-License-Identifier: MIT */
/* T13: the operations of a scope share one deadline, and a task can ask for the one in force. */
#include "time_waits.h"

/* T13: the effective deadline is the earliest around, up to the nearest shield. */
RULE(T13, the_deadline_in_force_can_be_asked_for)
{
	struct noria_scope outer = {0}, later = {0}, earlier = {0}, shield = {0};
	int64_t now = noria_now();

	EXPECT(noria_deadline() == NORIA_FOREVER);
	MUST(noria_scope_open(&outer, now + noria_sec(100), 0) == 0);
	EXPECT(noria_deadline() == now + noria_sec(100));
	MUST(noria_scope_open(&later, now + noria_sec(200), 0) == 0);
	EXPECT(noria_deadline() == now + noria_sec(100));
	MUST(noria_scope_open(&earlier, now + noria_sec(50), 0) == 0);
	EXPECT(noria_deadline() == now + noria_sec(50));
	EXPECT(noria_scope_close(&earlier, 0) == 0);
	MUST(noria_scope_open(&shield, now + noria_sec(300), NORIA_SCOPE_SHIELD) == 0);
	EXPECT(noria_deadline() == now + noria_sec(300));
	EXPECT(noria_scope_unshield(&shield) == 0);
	EXPECT(noria_deadline() == now + noria_sec(100));
	EXPECT(noria_scope_close(&shield, 0) == 0);
	EXPECT(noria_scope_set_deadline(&outer, now + noria_sec(150)) == 0);
	EXPECT(noria_deadline() == now + noria_sec(150));
	EXPECT(noria_scope_close(&later, 0) == 0);
	EXPECT(noria_scope_close(&outer, 0) == 0);
	EXPECT(noria_deadline() == NORIA_FOREVER);
	return 0;
}

static int ask(void *arg)
{
	*(int64_t *)arg = noria_deadline();
	return 0;
}

/* T13: children are inside their group's deadline, and inside whatever is around the group. */
RULE(T13, children_inherit_the_deadline)
{
	int64_t deadline = noria_now() + noria_sec(100), seen = 0;
	struct noria_scope outer = {0};
	struct noria_group group = {0};

	MUST(noria_scope_open(&outer, deadline, 0) == 0);
	MUST(noria_group_open_until(&group, deadline + noria_sec(100)) == 0);
	MUST(noria_spawn(&group, ask, &seen) == 0);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(seen == deadline);
	EXPECT(noria_scope_close(&outer, 0) == 0);
	return 0;
}

/* T13: many short operations, one budget: the deadline ends whichever is under way, and does not begin anew with each. */
RULE(T13, operations_share_one_budget)
{
	struct noria_scope scope = {0};
	int64_t deadline = noria_now() + noria_msec(10);
	int pair[2], count = 0;
	char byte = 0;
	ssize_t r;

	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	MUST(noria_scope_open(&scope, deadline, 0) == 0);
	do {
		r = noria_sleep(noria_msec(1));
		if (r == 0)
			r = noria_send(pair[1], &byte, 1, 0);
		if (r == 1)
			r = noria_recv(pair[0], &byte, 1, 0);
		if (r == 1)
			r = noria_within(noria_msec(1), wait_forever(count % WAITS));
		count++;
	} while (r == -ETIMEDOUT && count < 1000);
	EXPECT(r == -ECANCELED);
	EXPECT(count <= 6); /* no round takes less than 2 ms */
	EXPECT(noria_now() >= deadline);
	EXPECT(noria_scope_close(&scope, r) == -ETIMEDOUT);
	close(pair[0]);
	close(pair[1]);
	return 0;
}

struct shielded {
	struct noria_scope shield;
	int kind;
	bool waiting;
};

static int wait_behind_shield(void *arg)
{
	struct shielded *shielded = arg;
	struct noria_scope outer = {0};
	ssize_t r;

	MUST(noria_scope_open(&outer, noria_now() + noria_msec(2), 0) == 0);
	MUST(noria_scope_open(&shielded->shield, NORIA_FOREVER, NORIA_SCOPE_SHIELD) == 0);
	shielded->waiting = true;
	r = wait_forever(shielded->kind);
	r = noria_scope_close(&shielded->shield, r);
	EXPECT(r == -ECANCELED);
	EXPECT(noria_scope_close(&outer, r) == -ETIMEDOUT);
	return 0;
}

/* T13: the deadline that comes into force when a shield is lifted ends a wait that began behind the shield. */
RULE(T13, a_deadline_unshielded_during_a_wait_counts)
{
	for (int kind = 0; kind < WAITS; kind++) {
		struct shielded shielded = {.kind = kind};
		struct noria_group group = {0};

		MUST(noria_group_open(&group) == 0);
		MUST(noria_spawn(&group, wait_behind_shield, &shielded) == 0);
		UNTIL(shielded.waiting);
		MUST(noria_yield() == 0);
		EXPECT(noria_scope_unshield(&shielded.shield) == 0);
		EXPECT(noria_group_close(&group, 0) == 0);
	}
	return 0;
}
