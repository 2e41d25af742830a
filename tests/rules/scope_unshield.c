/* SPDX-License-Identifier: MIT */
/*
 * Lifting a shield while its task is parked behind it: what the shield has kept out acts at that very moment, whatever
 * the task is parked on. Another task does the lifting.
 */
#include "group_tasks.h"

struct lifter {
	struct noria_scope *outer, *shield;
	const bool *parked;
	int64_t not_before;
	bool lifted;
};

/* Cancels the outer scope, sees that the shield holds, and lifts it. */
static int cancel_and_lift(void *arg)
{
	struct lifter *lifter = arg;

	UNTIL(*lifter->parked);
	let_the_kernel_see();
	noria_scope_cancel(lifter->outer);
	let_the_kernel_see();
	EXPECT(*lifter->parked);
	EXPECT(noria_scope_unshield(lifter->shield) == 0);
	lifter->lifted = true;
	return 0;
}

/* Lifts the shield once a point in time has passed. */
static int lift_later(void *arg)
{
	struct lifter *lifter = arg;

	UNTIL(*lifter->parked);
	MUST(noria_sleep_until(lifter->not_before) == 0);
	EXPECT(*lifter->parked);
	EXPECT(noria_scope_unshield(lifter->shield) == 0);
	lifter->lifted = true;
	return 0;
}

static int sleep_for_ever(bool *parked, __attribute__((unused)) int fd)
{
	*parked = true;
	return noria_sleep(NORIA_FOREVER);
}

static int receive(bool *parked, int fd)
{
	char byte;

	*parked = true;
	return (int)noria_recv(fd, &byte, 1, 0);
}

static int receive_with_a_limit(bool *parked, int fd)
{
	return noria_within(noria_sec(3600), receive(parked, fd));
}

static int read_byte(bool *parked, int fd)
{
	char byte;

	*parked = true;
	return (int)noria_read(fd, &byte, 1);
}

static int join_a_sleeper(bool *parked, __attribute__((unused)) int fd)
{
	struct noria_group group;
	struct life life = {0};

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, sleeper, &life) == 0);
	*parked = true;
	return noria_group_close(&group, 0);
}

static void lift_over(int (*park)(bool *, int), int64_t shield_duration)
{
	struct noria_group others;
	struct noria_scope outer, shield;
	bool parked = false;
	struct lifter lifter = {&outer, &shield, &parked, 0, false};
	int fd[2], r;

	socket_pair(fd);
	MUST(noria_group_open(&others) == 0);
	MUST(noria_spawn(&others, cancel_and_lift, &lifter) == 0);
	MUST(noria_scope_open(&outer, NORIA_FOREVER, 0) == 0);
	MUST(noria_scope_open(&shield, shield_duration == NORIA_FOREVER ? NORIA_FOREVER : noria_now() + shield_duration,
			      NORIA_SCOPE_SHIELD) == 0);
	r = park(&parked, fd[0]);
	parked = false;
	EXPECT(r == -ECANCELED);
	EXPECT(lifter.lifted);
	EXPECT(noria_check() == -ECANCELED);
	EXPECT(noria_scope_close(&shield, r) == -ECANCELED);
	EXPECT(noria_scope_close(&outer, r) == 0);
	EXPECT(noria_check() == 0);
	EXPECT(noria_group_close(&others, 0) == 0);
	close_pair(fd);
}

static void lift_over_both(int (*park)(bool *, int))
{
	lift_over(park, NORIA_FOREVER);
	lift_over(park, noria_sec(3600));
}

/* S07: a task asleep behind the shield is woken by the lifting. */
RULE(S07, lifting_a_shield_wakes_a_sleeper)
{
	lift_over_both(sleep_for_ever);
	return 0;
}

/* S07: an operation in flight behind it ends, with and without a deadline of its own. */
RULE(S07, lifting_a_shield_ends_an_operation_in_flight)
{
	lift_over_both(receive);
	lift_over_both(receive_with_a_limit);
	lift_over_both(read_byte);
	return 0;
}

/* S07: a group's children, opened behind it, are cancelled. */
RULE(S07, lifting_a_shield_reaches_children)
{
	lift_over_both(join_a_sleeper);
	return 0;
}

/* S07: a task that is not parked meets the cancel at its next checkpoint. Another shield inside still holds. */
RULE(S07, lifting_ones_own_shield_acts_at_the_next_checkpoint)
{
	struct noria_scope outer, shield, inner;

	MUST(noria_scope_open(&outer, NORIA_FOREVER, 0) == 0);
	MUST(noria_scope_open(&shield, NORIA_FOREVER, NORIA_SCOPE_SHIELD) == 0);
	MUST(noria_scope_open(&inner, NORIA_FOREVER, NORIA_SCOPE_SHIELD) == 0);
	noria_scope_cancel(&outer);
	EXPECT(noria_check() == 0);
	EXPECT(noria_scope_unshield(&shield) == 0);
	EXPECT(noria_check() == 0);
	EXPECT(noria_scope_close(&inner, 0) == 0);
	EXPECT(noria_check() == -ECANCELED);
	EXPECT(noria_scope_unshield(&shield) == 0); /* there is none any more */
	EXPECT(noria_scope_close(&shield, -ECANCELED) == -ECANCELED);
	EXPECT(noria_scope_close(&outer, -ECANCELED) == 0);
	return 0;
}

/* S07: lifting a shield with nothing cancelled outside wakes nobody. */
RULE(S07, lifting_a_shield_without_an_outer_cancel_wakes_nobody)
{
	struct noria_scope outer, shield;

	MUST(noria_scope_open(&outer, NORIA_FOREVER, 0) == 0);
	MUST(noria_scope_open(&shield, NORIA_FOREVER, NORIA_SCOPE_SHIELD) == 0);
	EXPECT(noria_scope_unshield(&shield) == 0);
	EXPECT(noria_sleep(1) == 0);
	noria_scope_cancel(&outer);
	EXPECT(noria_check() == -ECANCELED);
	EXPECT(noria_scope_close(&shield, -ECANCELED) == -ECANCELED);
	EXPECT(noria_scope_close(&outer, -ECANCELED) == 0);
	return 0;
}

/* The shield is lifted before (`late` < 0) or after an outer deadline passes, over a task parked with no end. */
static void lift_over_a_deadline(int (*park)(bool *, int), int64_t late, int64_t shield_duration)
{
	struct noria_group others;
	struct noria_scope outer, shield;
	bool parked = false;
	int64_t deadline = noria_now() + noria_msec(20);
	struct lifter lifter = {&outer, &shield, &parked, deadline + late, false};
	int fd[2], r;

	socket_pair(fd);
	MUST(noria_group_open(&others) == 0);
	MUST(noria_spawn(&others, lift_later, &lifter) == 0);
	MUST(noria_scope_open(&outer, deadline, 0) == 0);
	MUST(noria_scope_open(&shield, shield_duration == NORIA_FOREVER ? NORIA_FOREVER : noria_now() + shield_duration,
			      NORIA_SCOPE_SHIELD) == 0);
	r = park(&parked, fd[0]);
	parked = false;
	EXPECT(r == -ECANCELED);
	EXPECT(lifter.lifted && noria_now() >= deadline);
	EXPECT(noria_scope_close(&shield, r) == -ECANCELED);
	EXPECT(noria_scope_close(&outer, r) == -ETIMEDOUT);
	EXPECT(noria_group_close(&others, 0) == 0);
	close_pair(fd);
}

/* S07: an outer deadline that passed behind the shield acts when it is lifted. */
RULE(S07, lifting_a_shield_lets_a_passed_deadline_act)
{
	lift_over_a_deadline(receive, noria_msec(1), NORIA_FOREVER);
	lift_over_a_deadline(receive, noria_msec(1), noria_sec(3600));
	lift_over_a_deadline(sleep_for_ever, noria_msec(1), NORIA_FOREVER);
	return 0;
}

/* S07: an outer deadline that is still to come acts at its time, once the shield is gone. */
RULE(S07, lifting_a_shield_lets_a_later_deadline_act)
{
	lift_over_a_deadline(receive, noria_msec(-15), NORIA_FOREVER);
	lift_over_a_deadline(receive, noria_msec(-15), noria_sec(3600));
	lift_over_a_deadline(sleep_for_ever, noria_msec(-15), NORIA_FOREVER);
	return 0;
}

/* S07: the deadline that is in force is the outer one again, in scopes further in as well, for what begins afterwards. */
RULE(S07, lifting_a_shield_puts_the_outer_deadline_into_force)
{
	struct noria_scope outer, shield, inner;
	int64_t deadline = noria_now() + noria_msec(10);
	bool parked;
	int fd[2];

	socket_pair(fd);
	MUST(noria_scope_open(&outer, deadline, 0) == 0);
	MUST(noria_scope_open(&shield, NORIA_FOREVER, NORIA_SCOPE_SHIELD) == 0);
	MUST(noria_scope_open(&inner, deadline + noria_sec(3600), 0) == 0);
	EXPECT(noria_deadline() == deadline + noria_sec(3600));
	EXPECT(noria_scope_unshield(&shield) == 0);
	EXPECT(noria_deadline() == deadline);
	EXPECT(receive(&parked, fd[0]) == -ECANCELED);
	EXPECT(noria_scope_close(&inner, -ECANCELED) == -ECANCELED);
	EXPECT(noria_scope_close(&shield, -ECANCELED) == -ECANCELED);
	EXPECT(noria_scope_close(&outer, -ECANCELED) == -ETIMEDOUT);
	close_pair(fd);
	return 0;
}

/* S07: one that passed meanwhile is met at the next checkpoint, even if that does not park. */
RULE(S07, a_passed_deadline_is_met_right_after_the_lifting)
{
	struct noria_scope outer, shield;
	int64_t deadline = noria_now() + noria_msec(2);

	MUST(noria_scope_open(&outer, deadline, 0) == 0);
	MUST(noria_scope_open(&shield, NORIA_FOREVER, NORIA_SCOPE_SHIELD) == 0);
	EXPECT(noria_sleep_until(deadline + noria_msec(1)) == 0);
	EXPECT(noria_check() == 0);
	EXPECT(noria_scope_unshield(&shield) == 0);
	EXPECT(noria_check() == -ECANCELED);
	EXPECT(noria_scope_close(&shield, -ECANCELED) == -ECANCELED);
	EXPECT(noria_scope_close(&outer, -ECANCELED) == -ETIMEDOUT);
	return 0;
}
