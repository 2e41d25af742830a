/* SPDX-License-Identifier: MIT */
/*
 * S13: the grace of a cancelled scope is one point in time, which everything beneath shares and inherits. No test here says
 * how soon something happens, only that it does, and not before its time.
 */
#include "group_tasks.h"

/* A clean-up of a few milliseconds, behind a soft shield that would allow it much longer. */
static int clean_up_a_little(void)
{
	return noria_shielded(noria_sec(1000), noria_sleep(noria_msec(2)));
}

/* Clean-ups, one after another, until one of them fails. */
static int clean_up_while_it_works(void)
{
	int r;

	do
		r = clean_up_a_little();
	while (r == 0);
	return r;
}

/* S13: successive clean-ups draw on one sum, though each of them alone is shorter; its end does not move. */
RULE(S13, successive_clean_ups_share_one_grace)
{
	struct noria_scope scope;
	int64_t end;

	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
	MUST(noria_scope_set_grace(&scope, noria_msec(20)) == 0);
	EXPECT(noria_grace() == NORIA_FOREVER);
	end = noria_now() + noria_msec(20);
	noria_scope_cancel(&scope);
	EXPECT(noria_grace() >= end && noria_grace() < NORIA_FOREVER);
	end = noria_grace();
	EXPECT(clean_up_while_it_works() == -ECANCELED);
	EXPECT(noria_now() >= end && noria_grace() == end);
	EXPECT(clean_up_a_little() == -ECANCELED);
	EXPECT(noria_scope_close(&scope, -ECANCELED) == 0);
	EXPECT(noria_grace() == NORIA_FOREVER);
	EXPECT(clean_up_a_little() == 0);
	return 0;
}

struct sharer {
	bool started;
	int told, cleaned;
	int64_t grace, woken;
};

static int share(void *arg)
{
	struct sharer *sharer = arg;

	sharer->started = true;
	sharer->told = noria_sleep(NORIA_FOREVER);
	sharer->grace = noria_grace();
	sharer->cleaned = noria_shielded(noria_sec(1000), noria_sleep(NORIA_FOREVER));
	sharer->woken = noria_now();
	return sharer->cleaned;
}

/* S13: tasks that clean up side by side have the same end, also one that begins later, in a group of its own. */
RULE(S13, tasks_share_one_grace)
{
	struct noria_group group, later;
	struct sharer sharers[3] = {0};
	int64_t end;

	MUST(noria_group_open(&group) == 0);
	MUST(noria_scope_set_grace(noria_group_scope(&group), noria_msec(10)) == 0);
	MUST(noria_spawn(&group, share, &sharers[0]) == 0);
	MUST(noria_spawn(&group, share, &sharers[1]) == 0);
	UNTIL(sharers[0].started && sharers[1].started);
	MUST(noria_group_open(&later) == 0);
	MUST(noria_spawn(&later, share, &sharers[2]) == 0);
	noria_group_cancel(&group);
	end = noria_grace();
	noria_group_cancel(&later);
	EXPECT(noria_grace() == end);
	EXPECT(noria_group_close(&later, 0) == -ECANCELED);
	EXPECT(noria_group_close(&group, 0) == 0);
	for (int i = 0; i < 3; i++) {
		EXPECT(sharers[i].told == -ECANCELED && sharers[i].cleaned == -ECANCELED);
		EXPECT(sharers[i].grace == end && sharers[i].woken >= end);
	}
	return 0;
}

static int64_t grace_after_cancel(struct noria_scope *scope)
{
	noria_scope_cancel(scope);
	return noria_grace();
}

/* S13: a scope inside inherits the grace for a cancel of its own, which leaves the outer one alone. */
RULE(S13, scopes_inside_inherit_the_grace)
{
	struct noria_scope outer, inner;

	MUST(noria_scope_open(&outer, NORIA_FOREVER, 0) == 0);
	MUST(noria_scope_set_grace(&outer, noria_msec(5)) == 0);
	MUST(noria_scope_open(&inner, NORIA_FOREVER, 0) == 0);
	EXPECT(grace_after_cancel(&inner) < NORIA_FOREVER);
	EXPECT(noria_shielded(noria_sec(1000), noria_sleep(NORIA_FOREVER)) == -ECANCELED);
	EXPECT(noria_scope_close(&inner, -ECANCELED) == 0);
	EXPECT(noria_check() == 0);
	EXPECT(noria_shielded(noria_sec(1000), noria_sleep(1)) == 0);
	EXPECT(noria_scope_close(&outer, 0) == 0);
	return 0;
}

/* S13: a grace that is set later reaches the scopes that are open inside already, but for those that have their own. */
RULE(S13, a_later_grace_reaches_open_scopes)
{
	struct noria_scope outer, inner, own, inmost;

	MUST(noria_scope_open(&outer, NORIA_FOREVER, 0) == 0);
	MUST(noria_scope_open(&inner, NORIA_FOREVER, NORIA_SCOPE_SHIELD) == 0);
	MUST(noria_scope_open(&own, NORIA_FOREVER, 0) == 0);
	MUST(noria_scope_set_grace(&own, NORIA_FOREVER) == 0);
	MUST(noria_scope_open(&inmost, NORIA_FOREVER, 0) == 0);
	MUST(noria_scope_set_grace(&outer, noria_sec(1000)) == 0);
	EXPECT(grace_after_cancel(&inmost) == NORIA_FOREVER);
	EXPECT(noria_scope_close(&inmost, -ECANCELED) == 0);
	EXPECT(grace_after_cancel(&own) == NORIA_FOREVER);
	EXPECT(noria_scope_close(&own, -ECANCELED) == 0);
	EXPECT(grace_after_cancel(&inner) < NORIA_FOREVER);
	EXPECT(noria_scope_close(&inner, -ECANCELED) == 0);
	EXPECT(noria_scope_close(&outer, 0) == 0);
	return 0;
}

static const struct noria_config five_ms = {.grace_ns = 5000000};

/* S13: the configuration sets the grace of the whole run. */
RULE_WITH(S13, the_configuration_sets_the_grace_of_the_run, &five_ms)
{
	struct noria_scope scope;

	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
	EXPECT(grace_after_cancel(&scope) < NORIA_FOREVER);
	EXPECT(noria_shielded(noria_sec(1000), noria_sleep(NORIA_FOREVER)) == -ECANCELED);
	EXPECT(noria_scope_close(&scope, 0) == 0);
	return 0;
}

/* S13: of several cancelled scopes around, the end that comes first counts; beyond a hard shield none does. */
RULE(S13, the_earliest_end_counts)
{
	struct noria_scope outer, inner, hard;
	int64_t end;

	MUST(noria_scope_open(&outer, NORIA_FOREVER, 0) == 0);
	MUST(noria_scope_set_grace(&outer, noria_sec(1000)) == 0);
	MUST(noria_scope_open(&inner, NORIA_FOREVER, NORIA_SCOPE_SHIELD) == 0);
	MUST(noria_scope_set_grace(&inner, noria_sec(2000)) == 0);
	end = grace_after_cancel(&inner);
	EXPECT(end > noria_now() + noria_sec(1500));
	EXPECT(grace_after_cancel(&outer) < end);
	MUST(noria_scope_open(&hard, noria_now() + noria_sec(10), NORIA_SCOPE_HARD_SHIELD) == 0);
	EXPECT(noria_grace() == NORIA_FOREVER);
	EXPECT(noria_scope_close(&hard, 0) == 0);
	EXPECT(noria_scope_close(&inner, 0) == 0);
	EXPECT(noria_scope_close(&outer, 0) == 0);
	return 0;
}

/* S13: a cancelled scope's grace is as it is; a negative one, or one of a scope that is not open, is refused. */
RULE(S13, a_grace_that_runs_does_not_move)
{
	struct noria_scope scope = {0};
	int64_t end;

	EXPECT(noria_scope_set_grace(&scope, 0) == -EINVAL);
	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
	EXPECT(noria_scope_set_grace(&scope, -1) == -EINVAL);
	EXPECT(noria_scope_set_grace(&scope, noria_sec(1000)) == 0);
	end = grace_after_cancel(&scope);
	EXPECT(noria_scope_set_grace(&scope, 0) == -EBUSY);
	EXPECT(message_names(__FILE__, __LINE__ - 5));
	noria_scope_cancel(&scope);
	EXPECT(noria_grace() == end && noria_shielded(noria_sec(1000), noria_sleep(1)) == 0);
	EXPECT(noria_scope_close(&scope, 0) == 0);
	return 0;
}

/* How a deadline comes to a scope around a task that is parked behind a soft shield, with nothing else on the heap. */
enum arrival { BEFORE, MOVED, GRACE_LATER, HARD_SHIELD_LIFTED };

struct arriving {
	struct noria_scope *outer, *hard;
	enum arrival arrival;
	const bool *parked;
};

static int arrive(void *arg)
{
	struct arriving *arriving = arg;

	UNTIL(*arriving->parked);
	let_the_kernel_see();
	if (arriving->arrival == MOVED)
		MUST(noria_scope_set_deadline(arriving->outer, noria_now() + noria_msec(5)) == 0);
	if (arriving->arrival == GRACE_LATER)
		MUST(noria_scope_set_grace(arriving->outer, noria_msec(5)) == 0);
	if (arriving->arrival == HARD_SHIELD_LIFTED)
		MUST(noria_scope_unshield(arriving->hard) == 0);
	return 0;
}

static int receive_behind_a_shield(bool *parked, int fd, int64_t shield_ns)
{
	char byte;

	*parked = true;
	return (int)noria_shielded(shield_ns, noria_recv(fd, &byte, 1, 0));
}

static void meet_a_deadline(enum arrival arrival, int64_t shield_ns)
{
	struct noria_group others;
	struct noria_scope around, outer, middle;
	bool parked = false;
	struct arriving arriving = {&outer, &middle, arrival, &parked};
	unsigned flags = arrival == HARD_SHIELD_LIFTED ? NORIA_SCOPE_HARD_SHIELD : 0;
	int64_t begin = noria_now();
	int fd[2];

	socket_pair(fd);
	MUST(noria_group_open(&others) == 0);
	MUST(noria_spawn(&others, arrive, &arriving) == 0);
	MUST(noria_scope_open(&around, NORIA_FOREVER, 0) == 0);
	if (arrival != GRACE_LATER)
		MUST(noria_scope_set_grace(&around, noria_msec(5)) == 0);
	MUST(noria_scope_open(&outer, arrival == MOVED ? NORIA_FOREVER : begin + noria_msec(5), 0) == 0);
	MUST(noria_scope_open(&middle, begin + noria_sec(2000), flags) == 0);
	EXPECT(receive_behind_a_shield(&parked, fd[0], shield_ns) == -ECANCELED);
	EXPECT(noria_now() >= begin + noria_msec(10));
	EXPECT(noria_check() == -ECANCELED);
	EXPECT(noria_scope_close(&middle, -ECANCELED) == -ECANCELED);
	EXPECT(noria_scope_close(&outer, -ECANCELED) == -ETIMEDOUT);
	EXPECT(noria_scope_close(&around, 0) == 0);
	EXPECT(noria_group_close(&others, 0) == 0);
	close_pair(fd);
}

/* S13: an outer deadline begins the grace also when all tasks beneath are parked behind shields and look at nothing. */
RULE(S13, a_deadline_begins_the_grace_of_shielded_tasks)
{
	for (enum arrival arrival = BEFORE; arrival <= HARD_SHIELD_LIFTED; arrival++) {
		meet_a_deadline(arrival, NORIA_FOREVER);
		meet_a_deadline(arrival, noria_sec(1000));
	}
	return 0;
}
