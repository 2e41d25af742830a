/* SPDX-License-Identifier: MIT */
/*
 * S18: a part of a run drained by itself: one scope, with what is beneath it. The rest does not notice. (The drain of the
 * whole run is scope_drain.c's.)
 */
#include "group_tasks.h"

struct part {
	bool idling, working, go;
	int idle, work;
	bool draining_seen;
};

static int idle(void *arg)
{
	struct part *part = arg;

	part->idling = true;
	part->idle = noria_idle(noria_sleep(NORIA_FOREVER));
	part->draining_seen = noria_draining();
	return part->idle;
}

static int work(void *arg)
{
	struct part *part = arg;

	part->working = true;
	UNTIL(part->go);
	part->work = noria_sleep(1);
	return part->work;
}

static void open_part(struct noria_group *group, struct part *part)
{
	*part = (struct part){.idle = 1, .work = 1};
	MUST(noria_group_open(group) == 0);
	MUST(noria_spawn(group, idle, part) == 0);
	MUST(noria_spawn(group, work, part) == 0);
	UNTIL(part->idling && part->working);
}

/* S18: idle waits beneath end, work goes on, and both can ask; outside nothing changes. */
RULE(S18, a_drained_scope_leaves_the_rest_alone)
{
	struct noria_group rest, group;
	struct part outside, inside;

	open_part(&rest, &outside);
	open_part(&group, &inside);
	EXPECT(!noria_draining());
	EXPECT(noria_scope_drain(noria_group_scope(&group), NORIA_FOREVER) == 0);
	EXPECT(noria_draining());
	UNTIL(noria_group_size(&group) == 1);
	EXPECT(inside.idle == -ECANCELED && inside.draining_seen);
	EXPECT(noria_idle(noria_sleep(NORIA_FOREVER)) == -ECANCELED); /* those that begin later as well */
	EXPECT(noria_check() == 0 && noria_sleep(1) == 0);
	inside.go = true;
	EXPECT(noria_group_close(&group, -ECANCELED) == 0); /* it was drained in time: the drain ends here */
	EXPECT(inside.work == 0 && !noria_draining());
	EXPECT(noria_scope_cause(noria_group_scope(&group), NULL) == NORIA_CAUSE_NONE);
	EXPECT(noria_group_size(&rest) == 2 && outside.idle == 1);
	EXPECT(noria_idle(noria_sleep(1)) == 0);
	outside.go = true;
	UNTIL(noria_group_size(&rest) == 1);
	noria_group_cancel(&rest);
	EXPECT(noria_group_close(&rest, 0) == 0);
	EXPECT(rule_heard.count == 0);
	return 0;
}

/* S18: when the patience has passed, and not before, the scope is cancelled, and knows who drained it. */
RULE(S18, the_end_of_the_patience_cancels)
{
	struct noria_scope scope;
	struct noria_cause cause;
	int64_t begin = noria_now();
	int line = __LINE__ + 3;

	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
	MUST(noria_scope_drain(&scope, noria_msec(5)) == 0);
	EXPECT(noria_sleep(NORIA_FOREVER) == -ECANCELED && noria_now() >= begin + noria_msec(5));
	EXPECT(noria_task_cause(&cause) == NORIA_CAUSE_SHUTDOWN);
	EXPECT(cause.where && cause.where->line == line && cause.task_id == noria_task_id());
	EXPECT(strstr(cause.reason, "patience") != NULL);
	EXPECT(noria_scope_close(&scope, -ECANCELED) == 0);
	EXPECT(noria_check() == 0);
	return 0;
}

/* S18: an idle wait that a drain ended knows who drained. */
RULE(S18, an_idle_wait_knows_who_drained)
{
	struct noria_scope scope, idle_scope;
	struct noria_cause cause;
	int line = __LINE__ + 3;

	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
	MUST(noria_scope_drain(&scope, NORIA_FOREVER) == 0);
	MUST(noria_scope_open(&idle_scope, NORIA_FOREVER, NORIA_SCOPE_IDLE) == 0);
	EXPECT(noria_scope_cause(&idle_scope, &cause) == NORIA_CAUSE_SHUTDOWN);
	EXPECT(cause.where && cause.where->line == line && cause.task_id == noria_task_id());
	EXPECT(noria_scope_close(&idle_scope, noria_check()) == -ECANCELED);
	EXPECT(noria_scope_close(&scope, 0) == 0);
	return 0;
}

/* S18: no patience at all; a second drain changes nothing; a scope that is not open has none. */
RULE(S18, a_drain_is_asked_for_once)
{
	struct noria_scope scope = {0};

	EXPECT(noria_scope_drain(&scope, 0) == -EINVAL);
	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
	MUST(noria_scope_drain(&scope, NORIA_FOREVER) == 0);
	MUST(noria_scope_drain(&scope, 0) == 0);
	EXPECT(noria_sleep(1) == 0);
	EXPECT(noria_scope_close(&scope, 3) == 3);
	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
	MUST(noria_scope_drain(&scope, 0) == 0);
	EXPECT(noria_check() == -ECANCELED && noria_scope_cause(&scope, NULL) == NORIA_CAUSE_SHUTDOWN);
	EXPECT(noria_scope_close(&scope, 3) == 3);
	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
	noria_scope_cancel(&scope);
	MUST(noria_scope_drain(&scope, 0) == 0);
	EXPECT(noria_draining() && noria_scope_cause(&scope, NULL) == NORIA_CAUSE_EXPLICIT);
	EXPECT(noria_scope_close(&scope, 3) == 3);
	return 0;
}

/* S18: of the deadline and the patience the earlier one counts, also when the deadline is moved meanwhile. */
RULE(S18, the_earlier_of_deadline_and_patience_counts)
{
	struct noria_scope scope;

	MUST(noria_scope_open(&scope, noria_now() + noria_msec(3), 0) == 0);
	MUST(noria_scope_drain(&scope, noria_sec(1000)) == 0);
	EXPECT(noria_sleep(NORIA_FOREVER) == -ECANCELED);
	EXPECT(noria_scope_close(&scope, -ECANCELED) == -ETIMEDOUT);
	for (int moved = 0; moved < 3; moved++) {
		int64_t deadline = moved == 1 ? NORIA_FOREVER : noria_now() + noria_sec(2000);

		MUST(noria_scope_open(&scope, noria_now() + noria_sec(1000), 0) == 0);
		MUST(noria_scope_drain(&scope, noria_msec(3)) == 0);
		if (moved)
			MUST(noria_scope_set_deadline(&scope, deadline) == 0);
		EXPECT(noria_sleep(NORIA_FOREVER) == -ECANCELED);
		EXPECT(noria_scope_cause(&scope, NULL) == NORIA_CAUSE_SHUTDOWN);
		EXPECT(noria_scope_close(&scope, -ECANCELED) == 0);
	}
	return 0;
}

/* S18: a drain inside a larger one that goes on hands -ECANCELED up to it; so does one in a cancelled scope. */
RULE(S18, a_larger_drain_goes_on)
{
	struct noria_scope outer, inner;

	for (int cancelled = 0; cancelled < 2; cancelled++) {
		MUST(noria_scope_open(&outer, NORIA_FOREVER, 0) == 0);
		MUST(noria_scope_open(&inner, NORIA_FOREVER, 0) == 0);
		MUST(noria_scope_drain(&inner, NORIA_FOREVER) == 0);
		if (cancelled)
			noria_scope_cancel(&outer);
		else
			MUST(noria_scope_drain(&outer, NORIA_FOREVER) == 0);
		EXPECT(noria_scope_close(&inner, -ECANCELED) == -ECANCELED);
		EXPECT(noria_scope_close(&outer, -ECANCELED) == 0);
	}
	return 0;
}
