/* SPDX-License-Identifier: MIT */
/*
 * S14: with the grace spent, soft shields hide nothing any more, those that are up and those that are raised later; a hard
 * shield holds until its deadline.
 */
#include "group_tasks.h"
#include "ring_inside.h"

/* A cancelled scope whose grace is spent. */
static void open_spent(struct noria_scope *scope)
{
	MUST(noria_scope_open(scope, NORIA_FOREVER, 0) == 0);
	MUST(noria_scope_set_grace(scope, 0) == 0);
	noria_scope_cancel(scope);
}

struct shielded {
	bool started;
	int fd, received, inside, after;
};

static int receive_behind_a_shield(void *arg)
{
	struct shielded *child = arg;
	struct noria_scope shield;
	char byte;

	MUST(noria_scope_open(&shield, noria_now() + noria_sec(1000), NORIA_SCOPE_SHIELD) == 0);
	child->started = true;
	child->received = (int)noria_recv(child->fd, &byte, 1, 0);
	child->inside = noria_check();
	EXPECT(noria_scope_close(&shield, 3) == 3);
	return child->after = noria_check();
}

/* S14: the end of the grace wakes what is parked behind a soft shield, and every call there says -ECANCELED. */
RULE(S14, the_end_of_the_grace_wakes_what_is_parked)
{
	struct noria_group group;
	struct shielded child = {0};
	int fd[2];

	socket_pair(fd);
	child.fd = fd[0];
	MUST(noria_group_open(&group) == 0);
	MUST(noria_scope_set_grace(noria_group_scope(&group), noria_msec(5)) == 0);
	MUST(noria_spawn(&group, receive_behind_a_shield, &child) == 0);
	UNTIL(child.started);
	let_the_kernel_see();
	noria_group_cancel(&group);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(child.received == -ECANCELED && child.inside == -ECANCELED && child.after == -ECANCELED);
	close_pair(fd);
	return 0;
}

/* S14, R01: an operation that has completed when the grace ends delivers its result. */
RULE(S14, a_result_that_is_there_is_delivered)
{
	struct noria_group group;
	struct shielded child = {0};
	int fd[2];

	socket_pair(fd);
	child.fd = fd[0];
	MUST(noria_group_open(&group) == 0);
	MUST(noria_scope_set_grace(noria_group_scope(&group), 0) == 0);
	MUST(noria_spawn(&group, receive_behind_a_shield, &child) == 0);
	UNTIL(child.started);
	let_the_kernel_see();
	MUST(send(fd[1], "x", 1, 0) == 1);
	inside_enter_until(1);
	noria_group_cancel(&group);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(child.received == 1 && child.inside == -ECANCELED);
	close_pair(fd);
	return 0;
}

static void expect_refused(void)
{
	char byte;

	EXPECT(noria_check() == -ECANCELED && noria_yield() == -ECANCELED && noria_sleep(1) == -ECANCELED);
	EXPECT(noria_read(-1, &byte, 1) == -ECANCELED);
}

/* S14: a soft shield raised after the end hides nothing, nor does a scope opened in it. */
RULE(S14, a_shield_raised_after_the_end_hides_nothing)
{
	struct noria_scope outer, shield, inner, second;

	open_spent(&outer);
	MUST(noria_scope_open(&shield, NORIA_FOREVER, NORIA_SCOPE_SHIELD) == 0);
	expect_refused();
	MUST(noria_scope_open(&inner, NORIA_FOREVER, 0) == 0);
	expect_refused();
	MUST(noria_scope_open(&second, NORIA_FOREVER, NORIA_SCOPE_SHIELD) == 0);
	expect_refused();
	EXPECT(noria_scope_close(&second, -ECANCELED) == -ECANCELED);
	EXPECT(noria_scope_close(&inner, -ECANCELED) == -ECANCELED);
	EXPECT(noria_scope_close(&shield, -ECANCELED) == -ECANCELED);
	EXPECT(noria_scope_close(&outer, -ECANCELED) == 0);
	EXPECT(noria_check() == 0);
	return 0;
}

/* S14: with no grace at all soft shields do not hold from the cancel on; without a cancel they change nothing. */
RULE(S14, without_grace_soft_shields_do_not_hold)
{
	struct noria_scope outer, shield, inner;

	MUST(noria_scope_open(&outer, NORIA_FOREVER, 0) == 0);
	MUST(noria_scope_set_grace(&outer, 0) == 0);
	MUST(noria_scope_open(&shield, NORIA_FOREVER, NORIA_SCOPE_SHIELD) == 0);
	MUST(noria_scope_open(&inner, NORIA_FOREVER, NORIA_SCOPE_SHIELD) == 0);
	EXPECT(noria_sleep(1) == 0);
	noria_scope_cancel(&outer);
	expect_refused();
	EXPECT(noria_scope_close(&inner, -ECANCELED) == -ECANCELED);
	EXPECT(noria_scope_close(&shield, -ECANCELED) == -ECANCELED);
	EXPECT(noria_scope_close(&outer, -ECANCELED) == 0);
	return 0;
}

/* S14: a hard shield holds when the grace is spent, raised before or after; then its deadline ends it. */
RULE(S14, a_hard_shield_holds_until_its_deadline)
{
	struct noria_scope outer, soft, hard;

	for (int before = 0; before < 2; before++) {
		int64_t deadline = noria_now() + noria_msec(10);

		MUST(noria_scope_open(&outer, NORIA_FOREVER, 0) == 0);
		MUST(noria_scope_set_grace(&outer, 0) == 0);
		MUST(noria_scope_open(&soft, NORIA_FOREVER, NORIA_SCOPE_SHIELD) == 0);
		if (!before)
			noria_scope_cancel(&outer);
		MUST(noria_scope_open(&hard, deadline, NORIA_SCOPE_HARD_SHIELD) == 0);
		if (before)
			noria_scope_cancel(&outer);
		EXPECT(noria_deadline() == deadline);
		EXPECT(noria_sleep(1) == 0 || noria_now() >= deadline);
		EXPECT(noria_sleep(NORIA_FOREVER) == -ECANCELED && noria_now() >= deadline);
		EXPECT(noria_scope_close(&hard, -ECANCELED) == -ETIMEDOUT);
		expect_refused();
		EXPECT(noria_scope_close(&soft, -ECANCELED) == -ECANCELED);
		EXPECT(noria_scope_close(&outer, -ECANCELED) == 0);
	}
	return 0;
}

/* S14: what is parked behind a hard shield sleeps through the end of the grace. */
RULE(S14, the_end_of_the_grace_does_not_wake_what_is_behind_a_hard_shield)
{
	struct noria_scope outer, hard;
	int64_t end;

	MUST(noria_scope_open(&outer, NORIA_FOREVER, 0) == 0);
	MUST(noria_scope_set_grace(&outer, noria_msec(3)) == 0);
	noria_scope_cancel(&outer);
	end = noria_grace();
	MUST(noria_scope_open(&hard, noria_now() + noria_sec(1000), NORIA_SCOPE_HARD_SHIELD) == 0);
	EXPECT(noria_sleep_until(end + noria_msec(3)) == 0);
	EXPECT(noria_shielded(NORIA_FOREVER, noria_sleep(1)) == 0);
	EXPECT(noria_scope_close(&hard, 0) == 0);
	EXPECT(noria_shielded(NORIA_FOREVER, noria_sleep(1)) == -ECANCELED);
	EXPECT(noria_scope_close(&outer, -ECANCELED) == 0);
	return 0;
}

/* S14: a hard shield has a deadline and keeps one; the message names its place. */
RULE(S14, a_hard_shield_without_a_deadline_is_refused)
{
	struct noria_scope hard = {0};
	int line = __LINE__ + 1;
	int r = noria_scope_open(&hard, NORIA_FOREVER, NORIA_SCOPE_HARD_SHIELD);

	EXPECT(r == -EINVAL && message_names(__FILE__, line));
	EXPECT(noria_scope_close(&hard, 0) == -EINVAL);
	MUST(noria_scope_open(&hard, noria_now() + noria_sec(1000), NORIA_SCOPE_HARD_SHIELD | NORIA_SCOPE_SHIELD) == 0);
	EXPECT(noria_scope_set_deadline(&hard, NORIA_FOREVER) == -EINVAL);
	EXPECT(noria_deadline() < NORIA_FOREVER);
	EXPECT(noria_scope_set_deadline(&hard, noria_now() + noria_sec(2000)) == 0);
	EXPECT(noria_scope_close(&hard, 4) == 4);
	return 0;
}

/* S14: lifting a hard shield lets the spent grace in, through soft shields inside. */
RULE(S14, lifting_a_hard_shield_lets_the_spent_grace_in)
{
	struct noria_scope outer, hard, soft;

	open_spent(&outer);
	MUST(noria_scope_open(&hard, noria_now() + noria_sec(1000), NORIA_SCOPE_HARD_SHIELD) == 0);
	MUST(noria_scope_open(&soft, NORIA_FOREVER, NORIA_SCOPE_SHIELD) == 0);
	EXPECT(noria_sleep(1) == 0);
	EXPECT(noria_scope_unshield(&hard) == 0);
	expect_refused();
	EXPECT(noria_scope_close(&soft, -ECANCELED) == -ECANCELED);
	EXPECT(noria_scope_close(&hard, -ECANCELED) == -ECANCELED);
	EXPECT(noria_scope_close(&outer, -ECANCELED) == 0);
	return 0;
}

/* S14: a cancelled scope inside, with less grace, ends the shields beneath itself and no others. */
RULE(S14, a_shorter_grace_inside_ends_only_what_is_beneath)
{
	struct noria_scope outer, shield, inner, inmost;

	MUST(noria_scope_open(&outer, NORIA_FOREVER, 0) == 0);
	noria_scope_cancel(&outer);
	MUST(noria_scope_open(&shield, NORIA_FOREVER, NORIA_SCOPE_SHIELD) == 0);
	MUST(noria_scope_open(&inner, NORIA_FOREVER, 0) == 0);
	MUST(noria_scope_set_grace(&inner, 0) == 0);
	MUST(noria_scope_open(&inmost, NORIA_FOREVER, NORIA_SCOPE_SHIELD) == 0);
	EXPECT(noria_sleep(1) == 0);
	noria_scope_cancel(&inner);
	expect_refused();
	EXPECT(noria_scope_close(&inmost, -ECANCELED) == -ECANCELED);
	EXPECT(noria_scope_close(&inner, -ECANCELED) == 0);
	EXPECT(noria_sleep(1) == 0);
	EXPECT(noria_scope_close(&shield, 0) == 0);
	EXPECT(noria_scope_close(&outer, -ECANCELED) == 0);
	return 0;
}

/* S14: what a checkpoint behind a fallen shield has told counts for the outer scope: its timeout is reported. */
RULE(S14, a_timeout_met_behind_a_fallen_shield_is_reported)
{
	struct noria_scope outer;

	MUST(noria_scope_open(&outer, noria_now() + noria_msec(2), 0) == 0);
	MUST(noria_scope_set_grace(&outer, noria_msec(2)) == 0);
	EXPECT(noria_shielded(noria_sec(1000), noria_sleep(NORIA_FOREVER)) == -ECANCELED);
	EXPECT(noria_scope_close(&outer, 7) == -ETIMEDOUT);
	return 0;
}

/* S14, S04: behind a fallen shield the outermost cancelled scope catches, be the shield cancelled as well. */
RULE(S14, behind_a_fallen_shield_the_outermost_catches)
{
	struct noria_scope outer, shield;

	open_spent(&outer);
	MUST(noria_scope_open(&shield, NORIA_FOREVER, NORIA_SCOPE_SHIELD) == 0);
	noria_scope_cancel(&shield);
	EXPECT(noria_scope_close(&shield, noria_check()) == -ECANCELED);
	EXPECT(noria_scope_close(&outer, -ECANCELED) == 0);
	return 0;
}

static int ended;

static int stay_behind_a_shield(__attribute__((unused)) void *arg)
{
	int r = noria_shielded(noria_sec(1000), noria_sleep(NORIA_FOREVER));

	ended += r == -ECANCELED;
	return r;
}

static int end_with_a_shielded_task(__attribute__((unused)) void *arg)
{
	struct noria_group group;

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, stay_behind_a_shield, NULL) == 0);
	MUST(noria_yield() == 0);
	noria_drain();
	return noria_group_close(&group, 0);
}

static void expect_end(const struct noria_config *config, int result, int heard)
{
	for (int t = NORIA_TIMEOUTS_LINKED; t <= NORIA_TIMEOUTS_HEAP; t++) {
		rule_heard = (struct heard){0};
		ended = 0;
		cr_expect_eq(rule_run(end_with_a_shielded_task, NULL, config, (enum noria_timeouts)t), result);
		cr_expect_eq(ended, 1);
		cr_expect_eq(rule_heard.count, heard);
	}
}

/* S14, X07: tasks that outlast the cancel of a run behind soft shields are named, and then end. */
Test(S14, the_end_of_a_run_ends_soft_shields, .timeout = 60)
{
	struct noria_config config = {.drain_timeout_ns = 2000000, .cancel_timeout_ns = 5000000};

	expect_end(&config, -ETIMEDOUT, 2);
}

/* S14, X07: with a shorter grace they end in time, and nobody is named. */
Test(S14, a_grace_ends_soft_shields_at_the_end_of_a_run, .timeout = 60)
{
	struct noria_config config = {
		.drain_timeout_ns = 2000000, .grace_ns = 3000000, .cancel_timeout_ns = 30000000000};

	expect_end(&config, -ECANCELED, 0);
}
