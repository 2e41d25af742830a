/* SPDX-License-Identifier: MIT */
/*
 * Shields: what they keep out, what they let through, and that nothing they kept out is lost.
 */
#include "group_tasks.h"

/* S05: a shielded scope ends its own cancel at its own close, whether the outer scope was cancelled before or after. */
RULE(S05, a_shielded_scope_catches_its_own_cancel)
{
	struct noria_scope outer, inner;

	for (int outer_first = 0; outer_first < 2; outer_first++) {
		MUST(noria_scope_open(&outer, NORIA_FOREVER, 0) == 0);
		MUST(noria_scope_open(&inner, NORIA_FOREVER, NORIA_SCOPE_SHIELD) == 0);
		noria_scope_cancel(outer_first ? &outer : &inner);
		noria_scope_cancel(outer_first ? &inner : &outer);
		EXPECT(noria_sleep(NORIA_FOREVER) == -ECANCELED);
		EXPECT(noria_scope_close(&inner, -ECANCELED) == 0);
		EXPECT(noria_check() == -ECANCELED);
		EXPECT(noria_scope_close(&outer, -ECANCELED) == 0);
	}
	return 0;
}

/* S05: so it is when the outer one fires while the task is parked behind the shield. */
RULE(S05, an_outer_cancel_meanwhile_does_not_take_the_catch_away)
{
	struct noria_group others;
	struct noria_scope outer, inner;
	bool yes = true;
	struct scope_canceller first = {&outer, &yes}, second = {&inner, &yes};

	MUST(noria_group_open(&others) == 0);
	MUST(noria_spawn(&others, scope_canceller, &first) == 0);
	MUST(noria_spawn(&others, scope_canceller, &second) == 0);
	MUST(noria_scope_open(&outer, NORIA_FOREVER, 0) == 0);
	MUST(noria_scope_open(&inner, NORIA_FOREVER, NORIA_SCOPE_SHIELD) == 0);
	EXPECT(noria_sleep(NORIA_FOREVER) == -ECANCELED);
	EXPECT(noria_scope_cause(&outer, NULL) == NORIA_CAUSE_EXPLICIT);
	EXPECT(noria_scope_close(&inner, -ECANCELED) == 0);
	EXPECT(noria_scope_close(&outer, noria_check()) == 0);
	EXPECT(noria_group_close(&others, 0) == 0);
	return 0;
}

static void work_normally(void)
{
	int fd[2];
	char byte = 0;

	socket_pair(fd);
	EXPECT(noria_check() == 0 && noria_yield() == 0 && noria_sleep(1) == 0);
	EXPECT(noria_send(fd[0], "x", 1, 0) == 1);
	EXPECT(noria_recv(fd[1], &byte, 1, 0) == 1);
	EXPECT(noria_close(fd[0]) == 0 && noria_close(fd[1]) == 0);
}

/* S06: behind a shield, in a cancelled scope, everything works, in scopes inside it and after them. */
RULE(S06, a_shield_hides_outer_cancels)
{
	struct noria_scope outer, shield, inner;

	MUST(noria_scope_open(&outer, NORIA_FOREVER, 0) == 0);
	noria_scope_cancel(&outer);
	MUST(noria_scope_open(&shield, NORIA_FOREVER, NORIA_SCOPE_SHIELD) == 0);
	work_normally();
	MUST(noria_scope_open(&inner, NORIA_FOREVER, 0) == 0);
	work_normally();
	EXPECT(noria_scope_close(&inner, 0) == 0);
	EXPECT(noria_scope_close(&shield, 5) == 5);
	EXPECT(noria_check() == -ECANCELED);
	EXPECT(noria_scope_close(&outer, -ECANCELED) == 0);
	return 0;
}

struct shielded {
	bool started, ended;
	int fd, received, after;
};

static int receive_behind_a_shield(void *arg)
{
	struct shielded *child = arg;
	char byte;

	child->started = true;
	child->received = (int)noria_shielded(NORIA_FOREVER, noria_recv(child->fd, &byte, 1, 0));
	child->ended = true;
	return child->after = noria_check();
}

/* S06: a cancel from outside that comes while something is parked behind the shield does not end it. */
RULE(S06, a_shield_hides_a_cancel_from_what_is_parked)
{
	struct noria_group group;
	struct shielded child = {0};
	int fd[2];

	socket_pair(fd);
	child.fd = fd[0];
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, receive_behind_a_shield, &child) == 0);
	UNTIL(child.started);
	let_the_kernel_see();
	noria_group_cancel(&group);
	EXPECT(noria_shielded(NORIA_FOREVER, let_the_kernel_see()) == 0);
	EXPECT(!child.ended);
	EXPECT(send(fd[1], "x", 1, 0) == 1);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(child.received == 1 && child.after == -ECANCELED);
	close_pair(fd);
	return 0;
}

/* S06: an outer deadline that passes behind a shield is not met there, and is met when the shield is left. */
RULE(S06, a_shield_hides_outer_deadlines)
{
	struct noria_scope outer, shield;
	int64_t deadline = noria_now() + noria_msec(5);

	MUST(noria_scope_open(&outer, deadline, 0) == 0);
	MUST(noria_scope_open(&shield, NORIA_FOREVER, NORIA_SCOPE_SHIELD) == 0);
	EXPECT(noria_deadline() == NORIA_FOREVER);
	EXPECT(noria_sleep_until(deadline + noria_msec(1)) == 0);
	work_normally();
	EXPECT(noria_scope_close(&shield, 0) == 0);
	EXPECT(noria_check() == -ECANCELED);
	EXPECT(noria_scope_close(&outer, -ECANCELED) == -ETIMEDOUT);
	return 0;
}

/* S06: a shield does nothing about its own cancel and deadline. */
RULE(S06, a_shield_obeys_its_own_cancel_and_deadline)
{
	struct noria_scope shield;

	MUST(noria_scope_open(&shield, NORIA_FOREVER, NORIA_SCOPE_SHIELD) == 0);
	noria_scope_cancel(&shield);
	EXPECT(noria_check() == -ECANCELED);
	EXPECT(noria_scope_close(&shield, -ECANCELED) == 0);
	EXPECT(noria_shielded(noria_msec(5), noria_sleep(NORIA_FOREVER)) == -ETIMEDOUT);
	EXPECT(noria_check() == 0);
	return 0;
}

/* S06: nor about the cancels and deadlines of scopes inside it. */
RULE(S06, a_shield_lets_inner_cancels_and_deadlines_act)
{
	struct noria_scope shield, inner;

	MUST(noria_scope_open(&shield, NORIA_FOREVER, NORIA_SCOPE_SHIELD) == 0);
	MUST(noria_scope_open(&inner, NORIA_FOREVER, 0) == 0);
	noria_scope_cancel(&inner);
	EXPECT(noria_check() == -ECANCELED);
	EXPECT(noria_scope_close(&inner, -ECANCELED) == 0);
	EXPECT(noria_within(noria_msec(5), noria_sleep(NORIA_FOREVER)) == -ETIMEDOUT);
	EXPECT(noria_check() == 0);
	EXPECT(noria_scope_close(&shield, 0) == 0);
	return 0;
}

/* S08: a cancel that was told, then hidden behind a shield, is there again when the shield is gone. */
RULE(S08, a_shield_does_not_strand_a_cancel)
{
	struct noria_scope outer;

	MUST(noria_scope_open(&outer, NORIA_FOREVER, 0) == 0);
	noria_scope_cancel(&outer);
	EXPECT(noria_check() == -ECANCELED);
	EXPECT(noria_shielded(NORIA_FOREVER, noria_sleep(1)) == 0);
	EXPECT(noria_check() == -ECANCELED);
	EXPECT(noria_shielded(noria_sec(3600), noria_check()) == 0);
	EXPECT(noria_sleep(NORIA_FOREVER) == -ECANCELED);
	EXPECT(noria_scope_close(&outer, -ECANCELED) == 0);
	return 0;
}

/* S08: a deadline that was told is still reported after a shielded clean-up, also by a body that ends well. */
RULE(S08, a_shield_does_not_strand_a_deadline)
{
	struct noria_scope outer;

	MUST(noria_scope_open(&outer, noria_now() + noria_msec(5), 0) == 0);
	EXPECT(noria_sleep(NORIA_FOREVER) == -ECANCELED);
	EXPECT(noria_shielded(NORIA_FOREVER, noria_sleep(1)) == 0);
	EXPECT(noria_check() == -ECANCELED);
	EXPECT(noria_scope_close(&outer, 0) == -ETIMEDOUT);
	return 0;
}

/* S09: the shield that a body raises does not cover the children of a group opened outside it. */
RULE(S09, the_shield_of_a_body_does_not_cover_the_children)
{
	struct noria_scope outer, shield;
	struct noria_group group;
	struct life child = {0};

	MUST(noria_scope_open(&outer, NORIA_FOREVER, 0) == 0);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_scope_open(&shield, NORIA_FOREVER, NORIA_SCOPE_SHIELD) == 0);
	MUST(noria_spawn(&group, sleeper, &child) == 0); /* from behind the shield, into the group outside */
	UNTIL(child.started);
	noria_scope_cancel(&outer);
	EXPECT(until_set(&child.ended) == 0);
	EXPECT(child.told);
	EXPECT(noria_check() == 0);
	EXPECT(noria_scope_close(&shield, 0) == 0);
	EXPECT(noria_group_close(&group, 0) == -ECANCELED);
	EXPECT(noria_scope_close(&outer, -ECANCELED) == 0);
	return 0;
}

/* S09: the children of a group opened inside the shield are covered by it, and those of the outer group are not. */
RULE(S09, a_group_opened_behind_the_shield_is_covered)
{
	struct noria_group outside, inside;
	struct noria_scope shield;
	struct life bare = {0}, covered = {0};

	MUST(noria_group_open(&outside) == 0);
	MUST(noria_spawn(&outside, sleeper, &bare) == 0);
	MUST(noria_scope_open(&shield, NORIA_FOREVER, NORIA_SCOPE_SHIELD) == 0);
	MUST(noria_group_open(&inside) == 0);
	MUST(noria_spawn(&inside, sleeper, &covered) == 0);
	UNTIL(covered.started);
	noria_group_cancel(&outside);
	EXPECT(until_set(&bare.ended) == 0);
	let_the_kernel_see();
	EXPECT(!covered.told);
	noria_scope_cancel(&shield);
	EXPECT(noria_group_close(&inside, 0) == -ECANCELED);
	EXPECT(covered.told);
	EXPECT(noria_scope_close(&shield, -ECANCELED) == 0);
	EXPECT(noria_group_close(&outside, 0) == 0);
	return 0;
}

/* S10: a child's failure leaves the parent's shielded clean-up alone, and meets it when the shield is left. */
RULE(S10, a_failing_child_does_not_disturb_a_shielded_clean_up)
{
	struct noria_group group;
	struct noria_scope shield;
	struct failer bad = {NULL, -EIO};

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, failer, &bad) == 0);
	MUST(noria_scope_open(&shield, NORIA_FOREVER, NORIA_SCOPE_SHIELD) == 0);
	EXPECT(noria_sleep(noria_msec(2)) == 0); /* parked when the child fails */
	EXPECT(noria_group_size(&group) == 0);
	work_normally();
	EXPECT(noria_scope_close(&shield, 0) == 0);
	EXPECT(noria_check() == -ECANCELED);
	EXPECT(noria_group_close(&group, -ECANCELED) == -EIO);
	return 0;
}
