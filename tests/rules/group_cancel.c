/* SPDX-License-Identifier: MIT */
/*
 * Cancelling a group on purpose is a way to end it, not an error: what remains of such a cancel, what it hides and what
 * it must not hide.
 */
#include "group_tasks.h"

/* G08: after the close of a group that cancelled itself the task is as if it had never been cancelled. */
RULE(G08, a_closed_group_leaves_no_trace_of_its_cancel)
{
	struct noria_group group;
	struct life child = {0};
	int fd[2];
	char byte = 0;

	socket_pair(fd);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, sleeper, &child) == 0);
	noria_group_cancel(&group);
	EXPECT(noria_check() == -ECANCELED);
	EXPECT(noria_group_close(&group, -ECANCELED) == 0);
	EXPECT(noria_check() == 0 && noria_yield() == 0 && noria_sleep(1) == 0);
	EXPECT(noria_send(fd[0], "x", 1, 0) == 1);
	EXPECT(noria_recv(fd[1], &byte, 1, 0) == 1 && byte == 'x');
	EXPECT(noria_deadline() == NORIA_FOREVER);
	close_pair(fd);
	return 0;
}

/* G08: the same storage then serves for a group that knows nothing of the old cancel. */
RULE(G08, a_group_opened_again_is_not_cancelled)
{
	struct noria_group group;
	bool ran = false;

	MUST(noria_group_open(&group) == 0);
	noria_group_cancel(&group);
	EXPECT(noria_group_close(&group, 0) == 0);
	MUST(noria_group_open(&group) == 0);
	EXPECT(noria_check() == 0);
	EXPECT(noria_spawn(&group, setter, &ran) == 0);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(ran);
	return 0;
}

/* G08: the group's own cancel does not reach the scope around it, nor a group beside it. */
RULE(G08, a_cancel_of_a_group_stays_inside)
{
	struct noria_group outer, inner;
	struct life beside = {0}, inside = {0};

	MUST(noria_group_open(&outer) == 0);
	MUST(noria_spawn(&outer, sleeper, &beside) == 0);
	MUST(noria_group_open(&inner) == 0);
	MUST(noria_spawn(&inner, sleeper, &inside) == 0);
	UNTIL(inside.started);
	noria_group_cancel(&inner);
	EXPECT(noria_group_close(&inner, 0) == 0);
	yield_times(3);
	EXPECT(inside.ended && !beside.told);
	noria_group_cancel(&outer);
	EXPECT(noria_group_close(&outer, 0) == 0);
	return 0;
}

/* G10: a cancelled group without a failure closes with success, whether or not its body met the cancel. */
RULE(G10, a_cancelled_group_closes_with_success)
{
	struct noria_group group;
	struct life child = {0};

	for (int told = 0; told < 2; told++) {
		MUST(noria_group_open(&group) == 0);
		MUST(noria_spawn(&group, sleeper, &child) == 0);
		UNTIL(child.started);
		noria_group_cancel(&group);
		EXPECT(noria_group_close(&group, told ? noria_check() : 0) == 0);
	}
	return 0;
}

/* G10: a body that got somewhere in spite of the cancel keeps its value. */
RULE(G10, a_cancelled_group_keeps_the_value_of_its_body)
{
	struct noria_group group;

	MUST(noria_group_open(&group) == 0);
	noria_group_cancel(&group);
	EXPECT(noria_group_close(&group, 42) == 42);
	return 0;
}

/* Told to stop, it cleans up behind a shield for longer than a deadline outside. */
struct late {
	bool started;
	int64_t until;
};

static int clean_up_past_a_deadline(void *arg)
{
	struct late *late = arg;

	late->started = true;
	EXPECT(noria_sleep(NORIA_FOREVER) == -ECANCELED);
	EXPECT(noria_shielded(NORIA_FOREVER, noria_sleep_until(late->until)) == 0);
	return 0;
}

/* G11: a deadline outside passes while a cancelled group's children clean up: the scope that owns it reports it. */
RULE(G11, a_deadline_passing_during_clean_up_is_reported)
{
	struct noria_scope outer;
	struct noria_group group;
	int64_t deadline = noria_now() + noria_msec(20);
	struct late late = {.until = deadline + noria_msec(1)};

	MUST(noria_scope_open(&outer, NORIA_FOREVER, 0) == 0);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, clean_up_past_a_deadline, &late) == 0);
	UNTIL(late.started);
	noria_group_cancel(&group);
	MUST(noria_scope_set_deadline(&outer, deadline) == 0);
	EXPECT(noria_group_close(&group, 0) == -ECANCELED);
	EXPECT(noria_scope_close(&outer, -ECANCELED) == -ETIMEDOUT);
	EXPECT(noria_check() == 0);
	return 0;
}

/* G11: the same where only the wait for the children could have noticed it: nothing else happens in the scope. */
RULE(G11, a_deadline_passing_during_the_join_is_reported)
{
	struct noria_scope outer;
	struct noria_group group;
	int64_t deadline = noria_now() + noria_msec(20);
	struct late late = {.until = deadline + noria_msec(1)};

	MUST(noria_scope_open(&outer, deadline, 0) == 0);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, clean_up_past_a_deadline, &late) == 0);
	noria_group_cancel(&group);
	EXPECT(noria_group_close(&group, 0) == -ECANCELED);
	EXPECT(noria_scope_close(&outer, -ECANCELED) == -ETIMEDOUT);
	return 0;
}

/* G12: what goes wrong in the body after the cancel is reported by close. */
RULE(G12, an_error_of_the_body_after_the_cancel_is_reported)
{
	struct noria_group group;
	struct life child = {0};

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, sleeper, &child) == 0);
	noria_group_cancel(&group);
	EXPECT(noria_check() == -ECANCELED);
	EXPECT(noria_group_close(&group, -EBADMSG) == -EBADMSG);
	EXPECT(child.told);
	EXPECT(noria_check() == 0);
	return 0;
}

/* G13: cancelling twice is cancelling once. */
RULE(G13, cancelling_twice_is_cancelling_once)
{
	struct noria_group group;
	struct life child = {.go = true};

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, cleaner, &child) == 0);
	UNTIL(child.started);
	noria_group_cancel(&group);
	noria_group_cancel(&group);
	EXPECT(noria_check() == -ECANCELED);
	noria_group_cancel(&group);
	EXPECT(noria_group_close(&group, -ECANCELED) == 0);
	EXPECT(child.ended);
	EXPECT(noria_check() == 0);
	return 0;
}

/* G13: a second cancel does not stop the clean-up that the first one began. */
RULE(G13, a_second_cancel_does_not_disturb_a_shielded_clean_up)
{
	struct noria_group group;
	struct life child = {0};

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, cleaner, &child) == 0);
	UNTIL(child.started);
	noria_group_cancel(&group);
	EXPECT(noria_shielded(NORIA_FOREVER, until_set(&child.told)) == 0);
	noria_group_cancel(&group);
	EXPECT(noria_shielded(NORIA_FOREVER, yield_times(3)) == 0);
	EXPECT(!child.ended);
	child.go = true;
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(child.ended);
	return 0;
}

/* G13: a cancel before anybody met a checkpoint acts at the first one, of the body and of each child. */
RULE(G13, a_cancel_before_the_first_checkpoint_acts_there)
{
	struct noria_group group;
	struct life child = {0};

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, sleeper, &child) == 0);
	noria_group_cancel(&group);
	EXPECT(!child.started);
	EXPECT(noria_sleep(NORIA_FOREVER) == -ECANCELED);
	EXPECT(noria_group_close(&group, -ECANCELED) == 0);
	EXPECT(child.heard == -ECANCELED);
	return 0;
}

/* G13: a cancel after the close does nothing, to the task or to the group that failed or succeeded. */
RULE(G13, a_cancel_after_the_close_does_nothing)
{
	struct noria_group group;
	struct noria_scope scope;

	MUST(noria_group_open(&group) == 0);
	MUST(noria_group_close(&group, 0) == 0);
	noria_group_cancel(&group);
	EXPECT(noria_check() == 0);
	MUST(noria_group_open(&group) == 0);
	EXPECT(noria_check() == 0);
	MUST(noria_group_close(&group, 0) == 0);

	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
	EXPECT(noria_scope_close(&scope, 0) == 0);
	noria_scope_cancel(&scope);
	EXPECT(noria_check() == 0);
	EXPECT(noria_scope_cause(&scope, NULL) == NORIA_CAUSE_NONE);
	return 0;
}

struct cancellable {
	struct noria_scope scope;
	struct life life;
	int closed;
};

static int in_a_scope_of_its_own(void *arg)
{
	struct cancellable *child = arg;

	MUST(noria_scope_open(&child->scope, NORIA_FOREVER, 0) == 0);
	child->closed = (int)noria_scope_close(&child->scope, sleeper(&child->life));
	return child->closed;
}

/* G14: one child, cancelled through the scope that it shows, ends; its sibling and its group go on. */
RULE(G14, cancelling_one_child_does_not_fail_its_group)
{
	struct noria_group group;
	struct cancellable one = {0}, other = {0};

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, in_a_scope_of_its_own, &one) == 0);
	MUST(noria_spawn(&group, in_a_scope_of_its_own, &other) == 0);
	UNTIL(other.life.started);
	noria_scope_cancel(&one.scope);
	UNTIL(noria_group_size(&group) == 1);
	EXPECT(one.life.heard == -ECANCELED && one.closed == 0);
	EXPECT(!other.life.told && noria_check() == 0);
	noria_scope_cancel(&other.scope);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(rule_heard.count == 0);
	return 0;
}
