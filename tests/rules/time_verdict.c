/* SPDX-License-Identifier: MIT */
/*
 * Who reports a timeout: the one scope whose deadline passed, unless something outside it is cancelled, something in it
 * failed, or nobody noticed.
 */
#include "ring_inside.h"
#include "time_waits.h"

/* T01: of two scopes the one whose deadline passed reports, and the other goes on undisturbed. */
RULE(T01, the_inner_scope_reports_its_own_deadline)
{
	for (int kind = 0; kind < WAITS; kind++) {
		ssize_t inner = 0, outer;

		outer = noria_within(noria_sec(100), ({
					     inner = noria_within(noria_msec(2), wait_forever(kind));
					     EXPECT(noria_check() == 0);
					     (ssize_t)7;
				     }));
		EXPECT(inner == -ETIMEDOUT);
		EXPECT(outer == 7);
		EXPECT(noria_check() == 0);
	}
	return 0;
}

/* T01: the scope that did not time out passes the cancellation on; it does not claim the timeout of the outer one. */
RULE(T01, the_inner_scope_does_not_report_the_outer_deadline)
{
	for (int kind = 0; kind < WAITS; kind++) {
		ssize_t inner = 0, outer;

		outer = noria_within(noria_msec(2), inner = noria_within(noria_sec(100), wait_forever(kind)));
		EXPECT(inner == -ECANCELED);
		EXPECT(outer == -ETIMEDOUT);
		EXPECT(noria_check() == 0);
	}
	return 0;
}

/* T01: a scope whose deadline passed and around which another one is cancelled reports the cancellation. */
RULE(T01, a_cancelled_outer_scope_silences_the_timeout)
{
	struct noria_scope outer = {0}, inner = {0};
	int64_t deadline = noria_now() + noria_msec(1);

	MUST(noria_scope_open(&outer, NORIA_FOREVER, 0) == 0);
	MUST(noria_scope_open(&inner, deadline, 0) == 0);
	spin_until(deadline);
	noria_scope_cancel(&outer);
	EXPECT(noria_check() == -ECANCELED);
	EXPECT(noria_scope_cause(&inner, NULL) == NORIA_CAUSE_DEADLINE);
	EXPECT(noria_scope_close(&inner, -ECANCELED) == -ECANCELED);
	EXPECT(noria_scope_close(&outer, -ECANCELED) == 0);
	return 0;
}

/* T02: two nested scopes with one deadline: the outer one reports. */
RULE(T02, the_outer_of_two_equal_deadlines_reports)
{
	for (int kind = 0; kind < WAITS; kind++) {
		struct noria_scope outer = {0}, inner = {0};
		int64_t deadline = noria_now() + noria_msec(2);
		ssize_t r;

		MUST(noria_scope_open(&outer, deadline, 0) == 0);
		MUST(noria_scope_open(&inner, deadline, 0) == 0);
		r = noria_scope_close(&inner, wait_forever(kind));
		EXPECT(r == -ECANCELED);
		EXPECT(noria_scope_close(&outer, r) == -ETIMEDOUT);
	}
	return 0;
}

/* T02: the outer deadline passes while the inner scope, timed out before, still cleans up. */
RULE(T02, the_outer_deadline_may_pass_during_clean_up)
{
	for (int kind = 0; kind < WAITS; kind++) {
		struct noria_scope outer = {0}, inner = {0};
		int64_t now = noria_now();
		ssize_t r;

		MUST(noria_scope_open(&outer, now + noria_msec(4), 0) == 0);
		MUST(noria_scope_open(&inner, now + noria_msec(2), 0) == 0);
		r = wait_forever(kind);
		EXPECT(r == -ECANCELED);
		spin_until(now + noria_msec(4));
		r = noria_scope_close(&inner, r);
		EXPECT(r == -ECANCELED);
		EXPECT(noria_scope_close(&outer, r) == -ETIMEDOUT);
	}
	return 0;
}

static int cancel_it(void *arg)
{
	noria_scope_cancel(arg);
	return 0;
}

/* T03: the cancel came first; that the deadline passes afterwards, with the loop watching, does not make it a timeout. */
RULE(T03, an_explicit_cancel_stays_a_cancel)
{
	for (int kind = 0; kind < WAITS; kind++) {
		struct noria_scope scope = {0};
		struct noria_group group = {0};
		int64_t deadline = noria_now() + noria_sec(100);
		ssize_t r;

		MUST(noria_group_open(&group) == 0);
		MUST(noria_scope_open(&scope, deadline, 0) == 0);
		MUST(noria_spawn(&group, cancel_it, &scope) == 0);
		EXPECT(wait_forever(kind) == -ECANCELED);
		EXPECT(noria_scope_cause(&scope, NULL) == NORIA_CAUSE_EXPLICIT);
		r = noria_scope_close(&scope, -ECANCELED);
		EXPECT(r == 0);
		EXPECT(noria_group_close(&group, (int)r) == 0);
	}
	return 0;
}

/* T03: the same with a deadline that does pass, while the cancelled scope cleans up. */
RULE(T03, a_deadline_that_passes_after_the_cancel_changes_nothing)
{
	for (int kind = 0; kind < WAITS; kind++) {
		struct noria_scope scope = {0};
		int64_t deadline = noria_now() + noria_msec(3);

		MUST(noria_scope_open(&scope, deadline, 0) == 0);
		noria_scope_cancel(&scope);
		EXPECT(wait_forever(kind) == -ECANCELED);
		EXPECT(noria_shielded(noria_sec(100), noria_sleep_until(deadline + 1)) == 0);
		EXPECT(noria_check() == -ECANCELED);
		EXPECT(noria_scope_cause(&scope, NULL) == NORIA_CAUSE_EXPLICIT);
		EXPECT(noria_scope_close(&scope, -ECANCELED) == 0);
	}
	return 0;
}

/* T04: nobody was told that the deadline passed: the body's result stands. */
RULE(T04, a_deadline_that_nobody_met_is_success)
{
	struct noria_scope scope = {0};
	int64_t deadline = noria_now() + noria_msec(1);

	MUST(noria_scope_open(&scope, deadline, 0) == 0);
	spin_until(deadline);
	EXPECT(noria_scope_close(&scope, 7) == 7);
	EXPECT(noria_check() == 0);
	return 0;
}

struct late {
	struct noria_scope scope;
	int fd;
	int64_t deadline;
	bool started, met;
};

static int read_and_finish(void *arg)
{
	struct late *late = arg;
	char byte;

	MUST(noria_scope_open(&late->scope, late->deadline, 0) == 0);
	late->started = true;
	if (noria_read(late->fd, &byte, 1) == -ECANCELED)
		late->met = true; /* this machine was too slow */
	else
		EXPECT(noria_scope_cause(&late->scope, NULL) == NORIA_CAUSE_DEADLINE);
	EXPECT(noria_scope_close(&late->scope, 7) == (late->met ? -ETIMEDOUT : 7));
	return 0;
}

/* T04: the same when the loop's timer has cancelled the scope already, in the moment in which its last operation ended. */
RULE(T04, a_deadline_that_fired_and_was_not_met_is_success)
{
	struct late late = {.met = true};
	int pair[2];

	inside_pair(pair);
	for (int64_t limit = noria_msec(5); late.met && limit < noria_sec(20); limit *= 2) {
		struct noria_group group = {0};

		late = (struct late){.fd = pair[0], .deadline = noria_now() + limit};
		MUST(noria_group_open(&group) == 0);
		MUST(noria_spawn(&group, read_and_finish, &late) == 0);
		UNTIL(late.started && ring_pending(noria_loop->ring) == 0);
		MUST(send(pair[1], "!", 1, 0) == 1);
		for (int i = 0; i < 1000 && ring_ready(noria_loop->ring) == 0; i++)
			inside_enter(); /* it is read, before the loop looks at its timers */
		spin_until(late.deadline);
		MUST(noria_group_close(&group, 0) == 0);
		(void)!recv(pair[0], &(char){0}, 1, MSG_DONTWAIT);
	}
	EXPECT(!late.met);
	inside_close(pair);
	return 0;
}

/* T04: somebody was told, and ignored it. */
RULE(T04, a_deadline_that_was_met_and_swallowed_is_a_timeout)
{
	for (int kind = 0; kind < WAITS; kind++) {
		EXPECT(noria_within(noria_msec(1), ({
					    EXPECT(wait_forever(kind) == -ECANCELED);
					    (ssize_t)7;
				    })) == -ETIMEDOUT);
		EXPECT(noria_check() == 0);
	}
	return 0;
}

/* T04: told inside an inner scope, and swallowed there, counts as well. */
RULE(T04, a_deadline_met_in_an_inner_scope_counts)
{
	EXPECT(noria_within(noria_msec(1), ({
				    (void)noria_within(noria_sec(100), noria_sleep(NORIA_FOREVER));
				    (ssize_t)7;
			    })) == -ETIMEDOUT);
	return 0;
}

/* T05: what the body came to by itself is the result. */
RULE(T05, an_error_of_the_body_beats_the_timeout)
{
	for (int kind = 0; kind < WAITS; kind++) {
		EXPECT(noria_within(noria_msec(1), ({
					    EXPECT(wait_forever(kind) == -ECANCELED);
					    -EIO;
				    })) == -EIO);
		EXPECT(noria_check() == 0);
	}
	return 0;
}

/* T05: the same for a group: its body's error, and a child's, are what close answers. */
static int fail_when_cancelled(void *arg)
{
	EXPECT(noria_sleep(NORIA_FOREVER) == -ECANCELED);
	return *(int *)arg;
}

RULE(T05, an_error_of_a_child_beats_the_timeout_of_the_group)
{
	struct noria_group group = {0};
	int error = -EIO;

	MUST(noria_group_open_until(&group, noria_now() + noria_msec(2)) == 0);
	MUST(noria_spawn(&group, fail_when_cancelled, &error) == 0);
	EXPECT(noria_group_close(&group, 0) == -EIO);

	MUST(noria_group_open_until(&group, noria_now() + noria_msec(2)) == 0);
	EXPECT(noria_sleep(NORIA_FOREVER) == -ECANCELED);
	EXPECT(noria_group_close(&group, -ENOSPC) == -ENOSPC);
	EXPECT(noria_check() == 0);
	return 0;
}

/* T09: cancelled from another task, inside a time limit: no timeout. */
RULE(T09, a_cancel_from_elsewhere_is_no_timeout)
{
	for (int kind = 0; kind < WAITS; kind++) {
		struct noria_scope outer = {0};
		struct noria_group group = {0};

		MUST(noria_group_open(&group) == 0);
		MUST(noria_scope_open(&outer, NORIA_FOREVER, 0) == 0);
		MUST(noria_spawn(&group, cancel_it, &outer) == 0);
		EXPECT(noria_within(noria_sec(100), wait_forever(kind)) == -ECANCELED);
		EXPECT(noria_scope_close(&outer, -ECANCELED) == 0);
		EXPECT(noria_group_close(&group, 0) == 0);
	}
	return 0;
}

/* T09: even if the time limit passes afterwards, while the cancelled body cleans up inside it. */
RULE(T09, a_limit_that_passes_after_a_cancel_from_elsewhere_is_no_timeout)
{
	for (int kind = 0; kind < WAITS; kind++) {
		struct noria_scope outer = {0}, inner = {0};
		int64_t deadline = noria_now() + noria_msec(3);

		MUST(noria_scope_open(&outer, NORIA_FOREVER, 0) == 0);
		MUST(noria_scope_open(&inner, deadline, 0) == 0);
		noria_scope_cancel(&outer);
		EXPECT(wait_forever(kind) == -ECANCELED);
		EXPECT(noria_shielded(noria_sec(100), noria_sleep_until(deadline + 1)) == 0);
		EXPECT(noria_check() == -ECANCELED);
		EXPECT(noria_scope_close(&inner, -ECANCELED) == -ECANCELED);
		EXPECT(noria_scope_close(&outer, -ECANCELED) == 0);
	}
	return 0;
}
