/* SPDX-License-Identifier: MIT */
/*
 * Opening and closing groups, and what a child's end means under each policy. Closing waits for the ordinary children,
 * then cancels the services and waits for them, runs the release handlers, and only then says what became of it all.
 *
 * What counts as a failure: a negative result, but for -ECANCELED in a task whose scope really was cancelled or is
 * draining. One that comes from the kernel of its own accord is a failure like any other.
 */
#include "scope/group.h"

#include "base/message.h"
#include "scope/child.h"
#include "scope/enter.h"
#include "scope/leftover.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { FAILURES_MAX = 64 };

_Static_assert(sizeof(struct group) <= sizeof(struct noria_group), "struct noria_group is too small");
_Static_assert(_Alignof(struct group) <= _Alignof(struct noria_group), "struct noria_group is aligned too little");

static void keep(struct group *group, struct task *task, int code, const struct noria_site *spawn)
{
	struct failure *failure = noria_failure_new(task, code, spawn);

	noria_failures_add(&group->failures, failure, group->failures_max);
}

void noria_group_fail(struct group *group, struct task *task, int code, const struct noria_site *spawn)
{
	group->failed = true;
	if (group->code == 0)
		group->code = code;
	noria_scope_interrupt(&group->scope, NORIA_CAUSE_SIBLING, task, spawn, noria_error_reason(task, code));
	keep(group, task, code, spawn);
}

static void race_ended(struct group *group, struct task *task, int result)
{
	if (result >= 0 && !group->won) {
		group->won = true;
		group->winner = result;
		noria_scope_interrupt(&group->scope, NORIA_CAUSE_DECIDED, task, task->site, "the race is won");
	} else if (result >= 0) {
		if (group->dispose)
			group->dispose(result, group->dispose_arg);
	} else if (group->won) {
		noria_error_report(task, result, "a failure in a race that another task has won");
	} else {
		if (group->code == 0)
			group->code = result;
		keep(group, task, result, task->site);
	}
}

void noria_group_take_result(struct group *group, struct task *task, struct done *done)
{
	int result = task->result;
	struct scope *root = task->outermost;
	bool failed = !group_excuses(root, result);

	switch (group->policy) {
	case NORIA_FAIL_FAST:
		if (failed)
			noria_group_fail(group, task, result, task->site);
		break;
	case NORIA_SUPERVISE:
		if (failed)
			noria_error_report(task, result, "a failure in a supervised group");
		break;
	case NORIA_RACE:
		if (failed || result >= 0)
			race_ended(group, task, result);
		break;
	case NORIA_COLLECT:
		noria_done_add(group, task, done, failed);
		break;
	}
}

static void group_enter(struct group *group, struct task *task, int64_t deadline_ns,
			const struct noria_group_options *options, const struct noria_site *site)
{
	scope_enter(&group->scope, task, task->scope, deadline_ns, 0, site);
	group->scope.group = true;
	memset((char *)group + sizeof group->scope, 0, sizeof *group - sizeof group->scope);
	group->failures_max = FAILURES_MAX;
	if (likely(!options))
		return;
	group->policy = options->policy;
	group->children_max = options->children_max;
	group->dispose = options->dispose;
	group->dispose_arg = options->dispose_arg;
	if (options->failures_max)
		group->failures_max = options->failures_max;
}

static int check_options(const struct noria_group_options *options, const struct noria_site *site)
{
	const char *wrong = NULL;

	if (options->policy > NORIA_COLLECT)
		wrong = "policy is not one of enum noria_policy";
	else if (options->dispose && options->policy != NORIA_RACE)
		wrong = "a disposer belongs to the policy NORIA_RACE";
	else if (options->grace_ns < 0 || options->deadline_ns < 0)
		wrong = "deadline_ns and grace_ns must not be negative";
	for (size_t i = 0; i < sizeof options->reserved / sizeof options->reserved[0]; i++)
		if (options->reserved[i])
			wrong = "reserved must be zero";
	return wrong ? noria_refuse(-EINVAL, "opening a group at %s:%d: struct noria_group_options: %s", site->file,
				    site->line, wrong)
		     : 0;
}

int noria_group_open_at(struct noria_group *storage, int64_t deadline_ns, const struct noria_group_options *options,
			const struct noria_site *site)
{
	struct group *group = group_from_public(storage);
	struct task *task = noria_current();
	int r;

	if (!task)
		return -ENXIO;
	r = noria_scope_refuse_open(&group->scope, task, site);
	if (r >= 0 && options)
		r = check_options(options, site);
	if (r < 0)
		return r;
	if (options && options->deadline_ns && options->deadline_ns < deadline_ns)
		deadline_ns = options->deadline_ns;
	group_enter(group, task, deadline_ns, options, site);
	if (options && options->grace_ns)
		r = noria_scope_set_grace(noria_group_scope(storage), options->grace_ns);
	if (unlikely(deadline_ns != NORIA_FOREVER)) /* it may lie behind */
		noria_scope_expire(&group->scope, noria_loop_clock(task->loop));
	return r;
}

/* A join cannot be abandoned: the cancel that would do so has reached the children already, and they are awaited. */
static void describe_join(const struct wait *wait, char *text, size_t size)
{
	const struct scope *scope = wait->task->scope;

	snprintf(text, size, "waits for the children of the group of %s:%d", scope->site->file, scope->site->line);
}

static const struct wait_class join_class = {.describe = describe_join};

static void wait_for(struct group *group, struct task *task)
{
	struct wait wait;

	noria_wait_init(&wait, &join_class);
	group->join = &wait;
	scope_wait(task, &wait);
}

static void join(struct group *group, struct task *task)
{
	if (group->live == 0)
		task_spend(task); /* in which somebody may spawn into it */
	if (group->live > 0)
		wait_for(group, task);
	group->closed = true;
	if (likely(group->services == 0))
		return;
	noria_services_cancel(group);
	wait_for(group, task);
}

/* The first failure's code, with all of them as the causes of the closing task's error. */
static int close_with_failures(struct group *group, struct task *task)
{
	if (group->won && group->dispose)
		group->dispose(group->winner, group->dispose_arg);
	noria_error_of_group(task, group->code, &group->failures);
	return group->code;
}

static bool has_timed_out(const struct scope *scope)
{
	while (scope && scope->cause != NORIA_CAUSE_DEADLINE)
		scope = scope_hides(scope) ? NULL : scope->parent;
	return scope;
}

static int group_verdict(struct group *group, struct task *task, int result, const struct noria_site *site)
{
	struct scope *parent = group->scope.parent;
	ssize_t verdict;

	task->scope = parent;
	scope_leave(&group->scope, site);
	verdict = noria_scope_verdict(&group->scope, result);
	if (group->failed || (group->code < 0 && !group->won))
		return close_with_failures(group, task);
	if (group->won) {
		noria_failures_free(&group->failures);
		if (likely(noria_scope_answer(task) == 0 || !has_timed_out(parent)))
			return group->winner;
		/* Nobody will see it: the scope whose deadline that was says -ETIMEDOUT in its place. */
		if (group->dispose)
			group->dispose(group->winner, group->dispose_arg);
		return -ECANCELED;
	}
	if (verdict == -ETIMEDOUT) {
		if (result != -ETIMEDOUT)
			noria_error_timed_out(&group->scope);
		return -ETIMEDOUT;
	}
	/* Closing is a checkpoint of the scope around the group, and counts as one. */
	if (likely(noria_scope_answer(task) == 0))
		return (int)verdict;
	noria_scope_told(task);
	task_spend(task);
	return -ECANCELED;
}

int noria_group_leave(struct group *group, struct task *task, int result, const struct noria_site *site)
{
	bool collects = group->policy == NORIA_COLLECT;

	if (unlikely(collects))
		noria_done_settle(group); /* what happened before the body's end comes before it */
	if (!group_excuses(&group->scope, result))
		noria_group_fail(group, task, result, group->scope.site);
	join(group, task);
	if (unlikely(collects))
		noria_done_settle(group);
	if (unlikely(group->releases))
		noria_releases_run(group, task);
	return group_verdict(group, task, result, site);
}

int noria_group_close_at(struct noria_group *storage, int result, const struct noria_site *site)
{
	struct group *group = group_from_public(storage);
	struct task *task = noria_current();
	int r;

	if (!task)
		return -ENXIO;
	r = noria_scope_refuse_close(&group->scope, task, site);
	if (r < 0)
		return r;
	return noria_group_leave(group, task, result, site);
}

void noria_group_abandon(struct group *group, struct task *task, const char *text)
{
	struct error *error = noria_error_of(task), kept = *error; /* what the `return` carries upward */
	int r;

	error_init(error);
	noria_scope_interrupt(&group->scope, NORIA_CAUSE_EXPLICIT, task, group->scope.site, "left without a close");
	r = noria_group_leave(group, task, 0, group->scope.site);
	if (r >= 0 && group->won && group->dispose)
		group->dispose(r, group->dispose_arg);
	else if (r < 0 && group->code == r)
		noria_error_report(task, r, text);
	noria_error_drop(task);
	*error = kept;
}

/* Left by a `return` in the middle: the error that went with it is its function's to report; the children end here. */
void noria_autogroup_(struct noria_group *storage)
{
	struct group *group = group_from_public(storage);
	struct task *task = scope_is_open(&group->scope) ? noria_current() : NULL;

	if (task && noria_scopes_close_inside(task, &group->scope))
		noria_group_abandon(group, task, "a failure in a group that its body left early");
}

void noria_group_cleanup_(struct noria_group **pointer)
{
	if (*pointer)
		noria_autogroup_(*pointer);
}

size_t noria_group_size(const struct noria_group *storage)
{
	const struct group *group = group_from_public(storage);

	return scope_is_open(&group->scope) ? group->live + group->services : 0;
}
