/* SPDX-License-Identifier: MIT */
/*
 * S16: a cancelled scope knows why: what kind of cause, by whom, at which place, and a reason if there was one. The first
 * cause stays, and outlives whoever gave it.
 */
#include "group_tasks.h"

#include <signal.h>

static bool is_at(const struct noria_site *site, int line)
{
	return site && strcmp(site->file, __FILE__) == 0 && site->line == line;
}

/* S16: an explicit cancel: who, where, and a reason if one was given. */
RULE(S16, an_explicit_cancel_is_kept)
{
	struct noria_scope scope;
	struct noria_cause cause = {.task_id = 77};
	int opened, cancelled;

	opened = __LINE__ + 1;
	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
	EXPECT(noria_scope_cause(&scope, &cause) == NORIA_CAUSE_NONE && noria_task_cause(&cause) == NORIA_CAUSE_NONE);
	EXPECT(cause.task_id == 77); /* left alone */
	cancelled = __LINE__ + 1;
	noria_scope_cancel_because(&scope, "no longer wanted");
	EXPECT(noria_scope_cause(&scope, NULL) == NORIA_CAUSE_EXPLICIT);
	EXPECT(noria_scope_cause(&scope, &cause) == NORIA_CAUSE_EXPLICIT && cause.kind == NORIA_CAUSE_EXPLICIT);
	EXPECT(is_at(cause.scope, opened) && is_at(cause.where, cancelled));
	EXPECT(cause.task_id == noria_task_id() && strcmp(cause.task, noria_task_name()) == 0);
	EXPECT(strcmp(cause.reason, "no longer wanted") == 0);
	EXPECT(noria_scope_close(&scope, 0) == 0);
	EXPECT(noria_scope_cause(&scope, &cause) == NORIA_CAUSE_EXPLICIT); /* also after the close */
	EXPECT(strcmp(cause.reason, "no longer wanted") == 0);
	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
	EXPECT(noria_scope_cause(&scope, NULL) == NORIA_CAUSE_NONE);
	noria_scope_cancel(&scope);
	EXPECT(noria_scope_cause(&scope, &cause) == NORIA_CAUSE_EXPLICIT && cause.reason[0] == '\0');
	EXPECT(noria_scope_close(&scope, 0) == 0);
	return 0;
}

/* S16: the first cause stays, whatever comes after it. */
RULE(S16, the_first_cause_stays)
{
	struct noria_scope scope;
	struct noria_cause cause;

	MUST(noria_scope_open(&scope, noria_now() + noria_msec(1), 0) == 0);
	noria_scope_cancel_because(&scope, "first");
	noria_scope_cancel_because(&scope, "second");
	EXPECT(noria_shielded(NORIA_FOREVER, noria_sleep(noria_msec(2))) == 0);
	EXPECT(noria_check() == -ECANCELED);
	EXPECT(noria_scope_drain(&scope, 0) == 0);
	EXPECT(noria_scope_cause(&scope, &cause) == NORIA_CAUSE_EXPLICIT && strcmp(cause.reason, "first") == 0);
	EXPECT(noria_scope_close(&scope, -ECANCELED) == 0);
	return 0;
}

struct passer {
	struct noria_scope *scope;
	uint64_t id;
};

static int cancel_and_end(void *arg)
{
	struct passer *passer = arg;
	char reason[200];

	memset(reason, 'r', sizeof reason - 1);
	reason[sizeof reason - 1] = '\0';
	passer->id = noria_task_id();
	noria_scope_cancel_because(passer->scope, reason);
	memset(reason, 'x', sizeof reason - 1);
	return 0;
}

/* S16: what is told of a task that has ended is still right; long names and reasons are cut off. */
RULE(S16, a_cause_outlives_the_canceller)
{
	struct noria_group others;
	struct noria_scope scope;
	struct passer passer = {.scope = &scope};
	char name[48] = "a_name_that_is_much_longer_than_there_is_room";
	struct noria_spawn_options options = {.name = name};
	struct noria_cause cause;

	MUST(noria_group_open(&others) == 0);
	MUST(noria_spawn_with(&others, cancel_and_end, &passer, &options) == 0);
	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
	EXPECT(noria_sleep(NORIA_FOREVER) == -ECANCELED);
	EXPECT(noria_shielded(NORIA_FOREVER, yield_times(3)) == 0);
	EXPECT(noria_group_size(&others) == 0);
	memset(name, 'x', sizeof name - 1);
	EXPECT(noria_scope_cause(&scope, &cause) == NORIA_CAUSE_EXPLICIT);
	EXPECT(cause.task_id == passer.id && strcmp(cause.task, "a_name_that_is_much_longer_than") == 0);
	EXPECT(strlen(cause.reason) == 95 && strspn(cause.reason, "r") == 95);
	EXPECT(noria_scope_close(&scope, -ECANCELED) == 0);
	EXPECT(noria_group_close(&others, 0) == 0);
	return 0;
}

/* S16: a deadline: the place is the scope's own, and nobody did it. */
RULE(S16, a_deadline_is_kept)
{
	struct noria_scope scope;
	struct noria_cause cause;
	int opened = __LINE__ + 2;

	MUST(noria_scope_open(&scope, noria_now() + noria_msec(1), 0) == 0);
	EXPECT(noria_sleep(NORIA_FOREVER) == -ECANCELED);
	EXPECT(noria_task_cause(&cause) == NORIA_CAUSE_DEADLINE && cause.kind == NORIA_CAUSE_DEADLINE);
	EXPECT(is_at(cause.scope, opened) && is_at(cause.where, opened));
	EXPECT(cause.task_id == 0 && cause.task[0] == '\0' && cause.reason[0] == '\0');
	noria_scope_cancel_because(&scope, "too late");
	EXPECT(noria_task_cause(&cause) == NORIA_CAUSE_DEADLINE && cause.reason[0] == '\0');
	EXPECT(noria_scope_close(&scope, -ECANCELED) == -ETIMEDOUT);
	return 0;
}

/* S16: a failed child: the place is the one where it was spawned. */
RULE(S16, a_failed_sibling_is_kept)
{
	struct noria_group group;
	struct failer fail = {.code = -EIO};
	struct noria_cause cause;
	int opened, spawned;

	opened = __LINE__ + 1;
	MUST(noria_group_open(&group) == 0);
	spawned = __LINE__ + 1;
	MUST(noria_spawn(&group, failer, &fail) == 0);
	EXPECT(noria_sleep(NORIA_FOREVER) == -ECANCELED);
	EXPECT(noria_task_cause(&cause) == NORIA_CAUSE_SIBLING);
	EXPECT(is_at(cause.scope, opened) && is_at(cause.where, spawned));
	EXPECT(noria_group_close(&group, 0) == -EIO);
	return 0;
}

/* S16: a task asks for its own: the outermost cancelled scope that no shield hides. */
RULE(S16, a_task_learns_of_the_outermost_cause)
{
	struct noria_scope outer, middle, shield, inner;
	struct noria_cause cause;

	MUST(noria_scope_open(&outer, NORIA_FOREVER, 0) == 0);
	MUST(noria_scope_open(&middle, NORIA_FOREVER, 0) == 0);
	noria_scope_cancel_because(&middle, "middle");
	EXPECT(noria_task_cause(&cause) == NORIA_CAUSE_EXPLICIT && strcmp(cause.reason, "middle") == 0);
	noria_scope_cancel_because(&outer, "outer");
	EXPECT(noria_task_cause(&cause) == NORIA_CAUSE_EXPLICIT && strcmp(cause.reason, "outer") == 0);
	MUST(noria_scope_open(&shield, NORIA_FOREVER, NORIA_SCOPE_SHIELD) == 0);
	EXPECT(noria_task_cause(&cause) == NORIA_CAUSE_NONE);
	MUST(noria_scope_open(&inner, NORIA_FOREVER, 0) == 0);
	noria_scope_cancel_because(&inner, "inner");
	EXPECT(noria_task_cause(&cause) == NORIA_CAUSE_EXPLICIT && strcmp(cause.reason, "inner") == 0);
	EXPECT(noria_scope_close(&inner, 0) == 0 && noria_scope_close(&shield, 0) == 0);
	EXPECT(noria_scope_close(&middle, -ECANCELED) == -ECANCELED && noria_scope_close(&outer, 0) == 0);
	EXPECT(noria_task_cause(NULL) == NORIA_CAUSE_NONE);
	return 0;
}

/* S16: behind a shield that the end of the grace has taken down, it is the outer cause. */
RULE(S16, a_fallen_shield_hides_no_cause)
{
	struct noria_scope outer, shield;
	struct noria_cause cause;

	MUST(noria_scope_open(&outer, NORIA_FOREVER, 0) == 0);
	MUST(noria_scope_set_grace(&outer, 0) == 0);
	MUST(noria_scope_open(&shield, NORIA_FOREVER, NORIA_SCOPE_SHIELD) == 0);
	noria_scope_cancel_because(&outer, "outer");
	EXPECT(noria_task_cause(&cause) == NORIA_CAUSE_EXPLICIT && strcmp(cause.reason, "outer") == 0);
	EXPECT(noria_scope_cause(&shield, NULL) == NORIA_CAUSE_NONE);
	EXPECT(noria_scope_close(&shield, 0) == 0 && noria_scope_close(&outer, 0) == 0);
	return 0;
}

static struct noria_cause idle_cause, end_cause;

static int be_ended(void *arg)
{
	const int *signals = arg;
	struct noria_scope idle;

	for (int i = 0; i < signals[0]; i++)
		raise(signals[1]);
	if (signals[0] == 0)
		noria_drain();
	MUST(noria_scope_open(&idle, NORIA_FOREVER, NORIA_SCOPE_IDLE) == 0);
	EXPECT(noria_sleep(NORIA_FOREVER) == -ECANCELED);
	EXPECT(noria_scope_cause(&idle, &idle_cause) == NORIA_CAUSE_SHUTDOWN);
	EXPECT(noria_scope_close(&idle, -ECANCELED) == -ECANCELED);
	EXPECT(noria_sleep(NORIA_FOREVER) == -ECANCELED);
	EXPECT(noria_task_cause(&end_cause) == NORIA_CAUSE_SHUTDOWN);
	return 0;
}

static void end_by(int count, int signal_number)
{
	struct noria_config config = {.drain_timeout_ns = noria_msec(3)};
	int signals[2] = {count, signal_number};

	for (int t = NORIA_TIMEOUTS_LINKED; t <= NORIA_TIMEOUTS_HEAP; t++)
		cr_expect_eq(rule_run(be_ended, signals, &config, (enum noria_timeouts)t), -ECANCELED);
	cr_expect_null(end_cause.where);
	cr_expect_eq(end_cause.task_id, 0);
}

/* S16: a shutdown says what it was: a signal and which, noria_drain(), the end of the drain's grace. */
Test(S16, a_shutdown_is_kept, .timeout = 60)
{
	end_by(1, SIGTERM);
	cr_expect_str_eq(idle_cause.reason, "SIGTERM");
	cr_expect_str_eq(end_cause.reason, "the grace of the drain is spent");
	end_by(1, SIGINT);
	cr_expect_str_eq(idle_cause.reason, "SIGINT");
	end_by(0, 0);
	cr_expect_str_eq(idle_cause.reason, "noria_drain()");
	cr_expect_gt(idle_cause.task_id, 0);
	cr_expect_str_eq(idle_cause.task, "body");
}

/* S16: and the second signal. */
Test(S16, a_second_signal_is_kept, .timeout = 60)
{
	end_by(2, SIGTERM);
	cr_expect_str_eq(end_cause.reason, "second signal");
}
