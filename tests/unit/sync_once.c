/* SPDX-License-Identifier: MIT */
/* Once: who runs, who waits, whose turn it is after a failure. */
#include "sync_tasks.h"

/* One call: its function yields until it may end, then returns `value`, or what a checkpoint tells it. */
struct call {
	struct noria_once *once;
	bool may_end;
	int value;
	int ran;
};

static int body(void *arg)
{
	struct call *call = arg;

	call->ran++;
	while (!call->may_end)
		noria_try(noria_yield());
	return call->value;
}

static int call_once(void *arg)
{
	struct call *call = arg;

	return noria_once(call->once, body, call);
}

static void come_all(struct noria_group *group, struct visit *visits, struct call *calls, int count,
		     struct noria_once *once, int *counter)
{
	for (int i = 0; i < count; i++) {
		calls[i] = (struct call){.once = once, .value = 10 + i};
		visits[i] = (struct visit){.enter = call_once, .thing = &calls[i], .counter = counter, .go = true};
		come(group, &visits[i]);
	}
}

UNIT(once, runs_the_first_and_tells_all)
{
	struct noria_once once = {0};
	struct noria_group group;
	struct visit visits[3];
	struct call calls[3], late = {.once = &once, .may_end = true, .value = 99};
	int counter = 0;

	MUST(noria_group_open(&group) == 0);
	come_all(&group, visits, calls, 3, &once, &counter);
	EXPECT(says(&visits[1], "for the once at 0x") && says(&visits[1], "task visitor"));
	calls[0].may_end = true;
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	for (int i = 0; i < 3; i++)
		EXPECT(visits[i].result == 10 && calls[i].ran == (i == 0));
	EXPECT_EQ(call_once(&late), 10);
	EXPECT_EQ(late.ran, 0);
	return 0;
}

/* The one that has waited longest runs its own; the failure is told to nobody else. */
UNIT(once, after_a_failure_the_next_one_runs)
{
	struct noria_once once = {0};
	struct noria_group group;
	struct visit visits[3];
	struct call calls[3];
	int counter = 0;

	MUST(noria_group_open(&group) == 0);
	come_all(&group, visits, calls, 3, &once, &counter);
	calls[0].value = -EIO;
	calls[0].may_end = true;
	UNTIL(visits[0].ended && calls[1].ran);
	EXPECT(visits[0].result == -EIO && !visits[1].ended && !visits[2].ended);
	calls[1].may_end = true;
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT(visits[1].result == 11 && visits[2].result == 11 && calls[2].ran == 0);
	return 0;
}

UNIT(once, a_failure_without_others_can_be_tried_again)
{
	struct noria_once once = {0};
	struct call call = {.once = &once, .may_end = true, .value = -EIO};

	EXPECT_EQ(call_once(&call), -EIO);
	EXPECT_EQ(call_once(&call), -EIO);
	call.value = 0;
	EXPECT_EQ(call_once(&call), 0);
	EXPECT_EQ(call_once(&call), 0);
	EXPECT_EQ(call.ran, 3);
	return 0;
}

/* Cancelled while it runs; cancelled while it waits. */
UNIT(once, a_cancelled_one_passes_its_turn_on)
{
	struct noria_once once = {0};
	struct noria_group group;
	struct visit visits[4];
	struct call calls[4];
	int counter = 0;

	MUST(noria_group_open(&group) == 0);
	come_all(&group, visits, calls, 4, &once, &counter);
	noria_scope_cancel(&visits[1].scope);
	noria_scope_cancel(&visits[0].scope);
	UNTIL(visits[0].ended && visits[1].ended && calls[2].ran);
	EXPECT(visits[0].result == -ECANCELED && visits[1].result == -ECANCELED && calls[1].ran == 0);
	calls[2].may_end = true;
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT(visits[2].result == 12 && visits[3].result == 12);
	return 0;
}

/* Handed the turn and cancelled before it runs: its function is told, and the next one has its turn. */
UNIT(once, a_turn_that_races_a_cancel_is_not_lost)
{
	struct noria_once once = {0};
	struct noria_group group;
	struct visit visits[2];
	struct call calls[2], failing = {.once = &once, .may_end = true, .value = -EIO};
	int counter = 0;

	MUST(noria_group_open(&group) == 0);
	failing.may_end = false;
	{
		struct visit first = {.enter = call_once, .thing = &failing, .counter = &counter, .go = true};

		come(&group, &first);
		come_all(&group, visits, calls, 2, &once, &counter);
		failing.may_end = true;
		while (!first.ended)
			MUST(noria_yield() == 0);
		noria_scope_cancel(&visits[0].scope);
		calls[1].may_end = true;
		EXPECT_EQ(noria_group_close(&group, 0), 0);
		EXPECT_EQ(first.result, -EIO);
	}
	EXPECT(visits[0].result == -ECANCELED && calls[0].ran == 1);
	EXPECT(visits[1].result == 11);
	return 0;
}

UNIT(once, waits_with_a_deadline)
{
	struct noria_once once = {0};
	struct noria_group group;
	struct visit visit;
	struct call call, late = {.once = &once};
	int counter = 0;

	MUST(noria_group_open(&group) == 0);
	come_all(&group, &visit, &call, 1, &once, &counter);
	EXPECT_EQ(noria_within(noria_msec(2), call_once(&late)), -ETIMEDOUT);
	EXPECT_EQ(late.ran, 0);
	call.may_end = true;
	EXPECT_EQ(noria_within(noria_sec(3600), call_once(&late)), 10);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	return 0;
}

static int call_again(void *once)
{
	return noria_once((struct noria_once *)once, call_again, once);
}

UNIT(once, refuses_what_cannot_be)
{
	struct noria_once once = {0};
	struct noria_scope scope;
	struct call call = {.once = &once, .may_end = true, .value = 3};

	EXPECT_EQ(noria_once(&once, NULL, NULL), -EINVAL);
	EXPECT(names(__FILE__, __LINE__ - 1));
	EXPECT_EQ(noria_once(&once, call_again, &once), -EDEADLK);
	EXPECT(names(__FILE__, __LINE__ - 1) && strstr(noria_message(), "once"));
	EXPECT_EQ(call_once(&call), 3);
	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
	noria_scope_cancel(&scope);
	EXPECT_EQ(call_once(&call), -ECANCELED); /* a checkpoint also when it is done */
	EXPECT_EQ(noria_scope_close(&scope, 0), 0);
	return 0;
}

Test(once, outside_a_runtime_nothing_runs)
{
	struct noria_once once = {0};
	struct call call = {.once = &once, .may_end = true};

	EXPECT_EQ(call_once(&call), -ENXIO);
	EXPECT_EQ(call.ran, 0);
}
