/* SPDX-License-Identifier: MIT */
/*
 * Cancellation as a state: it is answered at every checkpoint while the scope lasts, ends at the scope that it belongs
 * to, and runs or skips no code by itself.
 */
#include "group_tasks.h"

#include <poll.h>

static int do_nothing(__attribute__((unused)) void *arg)
{
	return 0;
}

/* S01: every kind of checkpoint says -ECANCELED, as often as it is asked. */
RULE(S01, every_checkpoint_says_so_until_the_scope_is_left)
{
	struct noria_scope scope;
	int fd[2];
	char byte;

	socket_pair(fd);
	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
	noria_scope_cancel(&scope);
	for (int i = 0; i < 3; i++) {
		EXPECT(noria_check() == -ECANCELED);
		EXPECT(noria_yield() == -ECANCELED);
		EXPECT(noria_sleep(0) == -ECANCELED);
		EXPECT(noria_sleep(NORIA_FOREVER) == -ECANCELED);
		EXPECT(noria_sleep_until(noria_now() + noria_sec(3600)) == -ECANCELED);
		EXPECT(noria_recv(fd[0], &byte, 1, 0) == -ECANCELED);
		EXPECT(noria_recv_all(fd[0], &byte, 1, 0) == -ECANCELED);
		EXPECT(noria_poll(fd[0], POLLIN) == -ECANCELED);
		EXPECT(noria_offload(do_nothing, NULL) == -ECANCELED);
		EXPECT(noria_within(noria_sec(3600), noria_check()) == -ECANCELED);
	}
	EXPECT(noria_scope_close(&scope, 0) == 0);
	EXPECT(noria_check() == 0);
	close_pair(fd);
	return 0;
}

static int close_an_empty_group(void)
{
	struct noria_group group;

	MUST(noria_group_open(&group) == 0);
	return noria_group_close(&group, 0);
}

/* S01: closing a group inside is a checkpoint as well; and so it goes on in scopes opened after the cancel. */
RULE(S01, scopes_opened_in_a_cancelled_one_are_cancelled)
{
	struct noria_scope outer, inner;

	MUST(noria_scope_open(&outer, NORIA_FOREVER, 0) == 0);
	noria_scope_cancel(&outer);
	EXPECT(close_an_empty_group() == -ECANCELED);
	MUST(noria_scope_open(&inner, NORIA_FOREVER, 0) == 0);
	EXPECT(noria_check() == -ECANCELED);
	EXPECT(noria_scope_cause(&inner, NULL) == NORIA_CAUSE_NONE);
	EXPECT(noria_scope_close(&inner, -ECANCELED) == -ECANCELED);
	EXPECT(noria_check() == -ECANCELED);
	EXPECT(noria_scope_close(&outer, -ECANCELED) == 0);
	EXPECT(noria_check() == 0);
	return 0;
}

/* S01: a parked task that ignores its answer is told again where it parks next. */
RULE(S01, an_ignored_answer_does_not_use_the_cancel_up)
{
	struct noria_group others;
	struct noria_scope scope;
	bool yes = true;
	struct scope_canceller canceller = {&scope, &yes};

	MUST(noria_group_open(&others) == 0);
	MUST(noria_spawn(&others, scope_canceller, &canceller) == 0);
	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
	EXPECT(noria_sleep(NORIA_FOREVER) == -ECANCELED);
	EXPECT(noria_sleep(NORIA_FOREVER) == -ECANCELED);
	EXPECT(noria_sleep(NORIA_FOREVER) == -ECANCELED);
	EXPECT(noria_scope_close(&scope, 0) == 0);
	EXPECT(noria_group_close(&others, 0) == 0);
	return 0;
}

/* S02: cancelled too late for a checkpoint to meet it: the body's own result stands. */
RULE(S02, a_cancel_that_nobody_met_changes_nothing)
{
	static const ssize_t results[] = {0, 1, 4096, -EIO};
	struct noria_scope scope;

	for (size_t i = 0; i < sizeof results / sizeof results[0]; i++) {
		MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
		EXPECT(noria_yield() == 0);
		noria_scope_cancel(&scope);
		EXPECT(noria_scope_close(&scope, results[i]) == results[i]);
		EXPECT(noria_scope_cause(&scope, NULL) == NORIA_CAUSE_EXPLICIT);
		EXPECT(noria_check() == 0);
	}
	return 0;
}

/* S03: the task that cancels its own scope carries on, and hears of it at its next checkpoint. */
RULE(S03, a_self_cancel_acts_at_the_next_checkpoint)
{
	struct noria_scope outer, inner;
	bool carried_on = false;

	MUST(noria_scope_open(&outer, NORIA_FOREVER, 0) == 0);
	MUST(noria_scope_open(&inner, NORIA_FOREVER, 0) == 0);
	noria_scope_cancel(&outer);
	carried_on = true;
	EXPECT(noria_scope_close(&inner, 3) == 3);
	EXPECT(noria_task_id() != 0 && noria_now() > 0);
	EXPECT(noria_sleep(NORIA_FOREVER) == -ECANCELED);
	EXPECT(noria_scope_close(&outer, -ECANCELED) == 0);
	EXPECT(carried_on);
	return 0;
}

/* S04: of nested cancelled scopes the outermost ends the cancellation, in whatever order they were cancelled. */
RULE(S04, the_outermost_cancelled_scope_catches)
{
	struct noria_scope scope[4];

	for (int outer_first = 0; outer_first < 2; outer_first++) {
		for (int i = 0; i < 4; i++)
			MUST(noria_scope_open(&scope[i], NORIA_FOREVER, 0) == 0);
		noria_scope_cancel(&scope[outer_first ? 1 : 3]);
		EXPECT(noria_check() == -ECANCELED);
		noria_scope_cancel(&scope[outer_first ? 3 : 1]);
		EXPECT(noria_check() == -ECANCELED);
		EXPECT(noria_scope_close(&scope[3], -ECANCELED) == -ECANCELED);
		EXPECT(noria_check() == -ECANCELED);
		EXPECT(noria_scope_close(&scope[2], -ECANCELED) == -ECANCELED);
		EXPECT(noria_scope_close(&scope[1], -ECANCELED) == 0);
		EXPECT(noria_check() == 0);
		EXPECT(noria_scope_close(&scope[0], 0) == 0);
	}
	return 0;
}

/* S04: the cancel of an inner scope alone ends there, and the scopes around it never hear of it. */
RULE(S04, an_inner_cancel_ends_inside)
{
	struct noria_scope outer, inner;

	MUST(noria_scope_open(&outer, NORIA_FOREVER, 0) == 0);
	MUST(noria_scope_open(&inner, NORIA_FOREVER, 0) == 0);
	noria_scope_cancel(&inner);
	EXPECT(noria_scope_close(&inner, noria_check()) == 0);
	EXPECT(noria_check() == 0);
	EXPECT(noria_scope_cause(&outer, NULL) == NORIA_CAUSE_NONE);
	EXPECT(noria_scope_close(&outer, 0) == 0);
	return 0;
}

struct trace {
	int cleaned, steps;
	struct life life;
};

static void clean(struct trace **trace)
{
	(*trace)->cleaned++;
}

static int half_way(struct trace *arg)
{
	__attribute__((cleanup(clean))) struct trace *trace = arg;

	trace->steps++;
	noria_try(sleeper(&trace->life));
	trace->steps += 100; /* not reached: the error path is the program's own */
	return 0;
}

static int with_clean_up(void *arg)
{
	__attribute__((cleanup(clean))) struct trace *trace = arg;
	int r = half_way(trace);

	trace->steps++;
	return r;
}

/* S20: a cancelled task goes on from its checkpoint: its error paths run, and its cleanup attributes, once each. */
RULE(S20, the_remaining_code_of_a_cancelled_task_runs)
{
	struct noria_group group;
	struct trace trace = {0};

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, with_clean_up, &trace) == 0);
	UNTIL(trace.life.started);
	EXPECT(trace.cleaned == 0);
	noria_group_cancel(&group);
	EXPECT(trace.cleaned == 0 && trace.steps == 1);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(trace.cleaned == 2 && trace.steps == 2);
	return 0;
}

static int leave_by_return(int fd[2])
{
	noria_autoclose int mine = fd[0];

	fd[0] = -1;
	noria_within(noria_sec(3600), noria_try(noria_sleep(NORIA_FOREVER)));
	return mine;
}

static int leave_scopes_by_return(void *arg)
{
	int r = leave_by_return(arg);

	EXPECT(noria_deadline() == NORIA_FOREVER); /* the scope of noria_within() is closed */
	return r;
}

/* S20: a return out of noria_within() closes its scope, and a descriptor that closes itself is closed. */
RULE(S20, cleanup_attributes_of_noria_run_in_a_cancelled_task)
{
	struct noria_group group;
	int fd[2], first;
	char byte;

	socket_pair(fd);
	first = fd[0];
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, leave_scopes_by_return, fd) == 0);
	UNTIL(fd[0] < 0);
	noria_group_cancel(&group);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(close(first) == -1 && errno == EBADF);
	EXPECT(noria_recv(fd[1], &byte, 1, 0) == 0);
	EXPECT(close(fd[1]) == 0);
	return 0;
}
