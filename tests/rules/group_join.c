/* SPDX-License-Identifier: MIT */
/*
 * Closing a group waits for all of its children, whatever happens to the task that closes: nothing outlives its group.
 * The proofs let a child clean up behind a shield for as long as the test likes, and look whether close has come back.
 */
#include "group_tasks.h"

struct meddler {
	struct noria_scope *outer;
	struct life *child;
	const bool *closed;
	int cancels;
};

/* A child that cancels the task which closes its group, and lets the last child go only much later. */
static int cancel_the_closer(void *arg)
{
	struct meddler *meddler = arg;

	UNTIL(meddler->child->started);
	let_the_kernel_see();
	for (int i = 0; i < meddler->cancels; i++)
		noria_scope_cancel(meddler->outer);
	EXPECT(noria_shielded(NORIA_FOREVER, until_set(&meddler->child->told)) == 0);
	EXPECT(noria_shielded(NORIA_FOREVER, let_the_kernel_see()) == 0);
	EXPECT(noria_shielded(NORIA_FOREVER, yield_times(200)) == 0);
	EXPECT(!*meddler->closed);
	EXPECT(!meddler->child->ended);
	meddler->child->go = true;
	return 0;
}

static void close_while_cancelled(int cancels)
{
	struct noria_scope outer;
	struct noria_group group;
	struct life child = {0};
	bool closed = false;
	struct meddler meddler = {&outer, &child, &closed, cancels};

	MUST(noria_scope_open(&outer, NORIA_FOREVER, 0) == 0);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, cleaner, &child) == 0);
	MUST(noria_spawn(&group, cancel_the_closer, &meddler) == 0);
	EXPECT(noria_group_close(&group, 0) == -ECANCELED);
	closed = true;
	EXPECT(child.ended);
	EXPECT(noria_group_size(&group) == 0);
	EXPECT(noria_scope_close(&outer, -ECANCELED) == 0);
}

/* G01: the closing task is cancelled during the wait; close comes back only after the child's clean-up. */
RULE(G01, close_outwaits_a_cancel_of_the_closer)
{
	close_while_cancelled(1);
	return 0;
}

/* G01: a second cancel does not shorten the wait either. */
RULE(G01, close_outwaits_repeated_cancels_of_the_closer)
{
	close_while_cancelled(3);
	return 0;
}

/* G01: with nothing cancelled, close waits for children that were not even started when it was called. */
RULE(G01, close_waits_for_children_that_have_not_run_yet)
{
	bool ran[100] = {false};
	struct noria_group group;

	MUST(noria_group_open(&group) == 0);
	for (int i = 0; i < 100; i++)
		MUST(noria_spawn(&group, setter, &ran[i]) == 0);
	EXPECT(noria_group_size(&group) == 100);
	EXPECT(noria_group_close(&group, 0) == 0);
	for (int i = 0; i < 100; i++)
		EXPECT(ran[i]);
	return 0;
}

static int take_a_while(void *arg)
{
	let_the_kernel_see();
	return setter(arg);
}

/* G01: it is the last child that ends the wait, however many have ended before. */
RULE(G01, close_waits_for_the_last_child)
{
	bool ran[3] = {false};
	struct noria_group group;

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, take_a_while, &ran[0]) == 0);
	MUST(noria_spawn(&group, setter, &ran[1]) == 0);
	MUST(noria_spawn(&group, setter, &ran[2]) == 0);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(ran[0] && ran[1] && ran[2]);
	return 0;
}

/* G01: close called by a task that was cancelled before waits as well. */
RULE(G01, close_by_a_task_already_cancelled_waits)
{
	struct noria_scope outer;
	struct noria_group group;
	struct life child = {.go = true};

	MUST(noria_scope_open(&outer, NORIA_FOREVER, 0) == 0);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, cleaner, &child) == 0);
	noria_scope_cancel(&outer);
	EXPECT(noria_check() == -ECANCELED);
	EXPECT(!child.started);
	EXPECT(noria_group_close(&group, -ECANCELED) == -ECANCELED);
	EXPECT(child.ended);
	EXPECT(noria_scope_close(&outer, -ECANCELED) == 0);
	return 0;
}

/* G01: the body's own error, and a failed child, do not shorten the wait for the others. */
RULE(G01, close_with_an_error_waits_for_clean_up)
{
	struct noria_group group, releasers;
	struct life child = {0};

	MUST(noria_group_open(&releasers) == 0);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, cleaner, &child) == 0);
	MUST(noria_spawn(&releasers, setter, &child.go) == 0);
	EXPECT(noria_group_close(&group, -EPROTO) == -EPROTO);
	EXPECT(child.ended);
	EXPECT(noria_group_close(&releasers, 0) == 0);
	return 0;
}

/* G02: a cancel during the wait reaches every child, they are awaited, then close reports it. */
RULE(G02, a_cancel_of_the_join_goes_on_to_the_children)
{
	struct noria_scope outer;
	struct noria_group group, others;
	struct life child[3] = {0};
	struct scope_canceller canceller = {&outer, &child[2].started};

	MUST(noria_group_open(&others) == 0);
	MUST(noria_scope_open(&outer, NORIA_FOREVER, 0) == 0);
	MUST(noria_group_open(&group) == 0);
	for (int i = 0; i < 3; i++)
		MUST(noria_spawn(&group, sleeper, &child[i]) == 0);
	MUST(noria_spawn(&others, scope_canceller, &canceller) == 0);
	EXPECT(noria_group_close(&group, 0) == -ECANCELED);
	for (int i = 0; i < 3; i++)
		EXPECT(child[i].told && child[i].ended);
	EXPECT(noria_check() == -ECANCELED);
	EXPECT(noria_scope_close(&outer, -ECANCELED) == 0);
	EXPECT(noria_group_close(&others, 0) == 0);
	return 0;
}

/* G02: a body with a value of its own hears of the cancel all the same, and not before the children are gone. */
RULE(G02, the_cancel_is_reported_instead_of_the_value_of_the_body)
{
	struct noria_scope outer;
	struct noria_group group;
	struct life child = {.go = true};
	struct scope_canceller canceller = {&outer, &child.started};

	MUST(noria_scope_open(&outer, NORIA_FOREVER, 0) == 0);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, cleaner, &child) == 0);
	MUST(noria_spawn(&group, scope_canceller, &canceller) == 0);
	EXPECT(noria_group_close(&group, 42) == -ECANCELED);
	EXPECT(child.told && child.ended);
	EXPECT(noria_scope_close(&outer, 0) == 0);
	return 0;
}

struct nest {
	struct life life;
	struct life leaf;
	int closed;
};

static int join_a_grandchild(void *arg)
{
	struct nest *nest = arg;
	struct noria_group group;

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, sleeper, &nest->leaf) == 0);
	nest->life.started = true;
	nest->closed = noria_group_close(&group, 0);
	EXPECT(nest->leaf.ended);
	nest->life.ended = true;
	return nest->closed;
}

/* G02: a child that is itself joining passes the cancel on, all the way down. */
RULE(G02, a_cancel_goes_down_through_nested_joins)
{
	struct noria_group group;
	struct nest nest = {0};

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, join_a_grandchild, &nest) == 0);
	UNTIL(nest.leaf.started);
	let_the_kernel_see();
	noria_group_cancel(&group);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(nest.closed == -ECANCELED && nest.leaf.told && nest.life.ended);
	return 0;
}

struct relay {
	struct noria_group *group;
	const bool *joining;
	int left, *ran;
	bool spawned_in_join;
};

/* Counts itself and hands the rest to a new child of its own group. */
static int run_the_relay(void *arg)
{
	struct relay *relay = arg;

	if (relay->joining)
		UNTIL(*relay->joining);
	yield_times(2);
	++*relay->ran;
	if (--relay->left == 0)
		return 0;
	relay->spawned_in_join |= relay->joining && *relay->joining;
	return noria_spawn(relay->group, run_the_relay, relay);
}

/* G17: children spawn into their own group while its body goes on. */
RULE(G17, children_spawn_into_their_own_group)
{
	struct noria_group group;
	int ran = 0;
	struct relay relay = {.group = &group, .left = 50, .ran = &ran};

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, run_the_relay, &relay) == 0);
	UNTIL(noria_group_size(&group) == 0);
	EXPECT(ran == 50);
	EXPECT(noria_group_close(&group, 0) == 0);
	return 0;
}

/* G17: they may also do so while the parent joins, one after the other; close waits for the last of them. */
RULE(G17, children_spawn_while_the_parent_joins)
{
	struct noria_group group;
	int ran = 0;
	bool joining = false;
	struct relay relay = {.group = &group, .joining = &joining, .left = 50, .ran = &ran};

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, run_the_relay, &relay) == 0);
	joining = true; /* nobody else runs before the join has parked */
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(ran == 50 && relay.spawned_in_join);
	return 0;
}

/* G17: a group that has been empty for a while, and is not closing, takes children again. */
RULE(G17, an_open_group_may_run_empty_and_fill_again)
{
	struct noria_group group;
	bool ran[3] = {false};

	MUST(noria_group_open(&group) == 0);
	for (int i = 0; i < 3; i++) {
		MUST(noria_spawn(&group, setter, &ran[i]) == 0);
		UNTIL(noria_group_size(&group) == 0);
		EXPECT(ran[i]);
	}
	EXPECT(noria_group_close(&group, 0) == 0);
	return 0;
}
