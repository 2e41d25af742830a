/* SPDX-License-Identifier: MIT */
/*
 * Handles on single children: cancelling one of them, and waiting for one, by any task and any number of tasks. A wait
 * that could never end is refused.
 */
#include "failure_tasks.h"

static struct noria_spawn_options with(struct noria_child *child)
{
	return (struct noria_spawn_options){.child = child};
}

/* G14: one child is cancelled; its siblings and the body are not, and the group closes as if nothing had been. */
RULE(G14, one_child_is_cancelled_by_its_handle)
{
	struct noria_group group;
	struct noria_child handle;
	struct noria_spawn_options options = with(&handle);
	struct life child = {0}, sibling = {0};
	int result = 1;

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn_with(&group, sleeper, &child, &options) == 0);
	MUST(noria_spawn(&group, sleeper, &sibling) == 0);
	UNTIL(sibling.started);
	EXPECT(!noria_child_ended(&handle));
	noria_child_cancel(&handle);
	EXPECT(noria_child_wait(&handle, &result) == 0);
	EXPECT(result == -ECANCELED && child.told && noria_child_ended(&handle));
	yield_times(3);
	EXPECT(!sibling.told && noria_check() == 0);
	noria_group_cancel(&group);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT_NOTHING_TOLD();
	return 0;
}

/* G14: what goes wrong in the clean-up of a child that was cancelled alone is a failure of the group. */
RULE(G14, an_error_of_a_cancelled_childs_clean_up_counts)
{
	struct noria_group group;
	struct noria_child handle;
	struct noria_spawn_options options = with(&handle);
	struct life child = {.go = true, .result = -ENOSPC}, sibling = {0};

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn_with(&group, cleaner, &child, &options) == 0);
	MUST(noria_spawn(&group, sleeper, &sibling) == 0);
	UNTIL(sibling.started);
	noria_child_cancel(&handle);
	EXPECT(noria_group_close(&group, 0) == -ENOSPC);
	EXPECT(sibling.told && CAUSES_ARE(noria_last_failure(), -ENOSPC));
	return 0;
}

static int check_and_yield(void *arg)
{
	struct life *life = arg;

	life->started = true;
	EXPECT(noria_check() == -ECANCELED);
	return life->heard = noria_yield();
}

/* G14, G20: a child that is cancelled before its first instruction runs, to its first checkpoint. */
RULE(G14, a_child_cancelled_before_it_ran_still_runs)
{
	struct noria_group group;
	struct noria_child handle;
	struct noria_spawn_options options = with(&handle);
	struct life child = {0};

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn_with(&group, check_and_yield, &child, &options) == 0);
	noria_child_cancel(&handle);
	EXPECT(!child.started && !noria_child_ended(&handle));
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(child.started && child.heard == -ECANCELED);
	return 0;
}

/* G14, G13: twice is once, and after the end it is nothing, to the others neither. */
RULE(G14, cancelling_a_child_again_or_late_does_nothing)
{
	struct noria_group group;
	struct noria_child handle;
	struct noria_spawn_options options = with(&handle);
	struct life child = {0}, sibling = {0};
	int result = 1;

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, sleeper, &sibling) == 0);
	MUST(noria_spawn_with(&group, cleaner, &child, &options) == 0);
	UNTIL(child.started);
	noria_child_cancel(&handle);
	UNTIL(child.told);
	noria_child_cancel(&handle);
	yield_times(3);
	EXPECT(!child.ended);
	child.go = true;
	EXPECT(noria_child_wait(&handle, NULL) == 0);
	noria_child_cancel(&handle);
	yield_times(3);
	EXPECT(!sibling.told && noria_check() == 0);
	EXPECT(noria_child_wait(&handle, &result) == 0 && result == 0);
	noria_group_cancel(&group);
	EXPECT(noria_group_close(&group, 0) == 0);
	noria_child_cancel(&handle);
	EXPECT(noria_child_ended(&handle) && noria_check() == 0);
	return 0;
}

static int parent_of_a_sleeper(void *arg)
{
	struct noria_group group;

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, sleeper, arg) == 0);
	return noria_group_close(&group, 0);
}

/* G14: a cancelled child takes its own children with it, and they are awaited first. */
RULE(G14, a_cancelled_child_takes_its_children_along)
{
	struct noria_group group;
	struct noria_child handle;
	struct noria_spawn_options options = with(&handle);
	struct life grandchild = {0};
	int result = 1;

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn_with(&group, parent_of_a_sleeper, &grandchild, &options) == 0);
	UNTIL(grandchild.started);
	noria_child_cancel(&handle);
	EXPECT(noria_child_wait(&handle, &result) == 0 && result == -ECANCELED);
	EXPECT(grandchild.told && grandchild.ended);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT_NOTHING_TOLD();
	return 0;
}

struct self {
	struct noria_child child;
	int before, after, waited;
};

static int cancel_self(void *arg)
{
	struct self *self = arg;

	self->waited = noria_child_wait(&self->child, NULL);
	self->before = noria_check();
	noria_child_cancel(&self->child);
	return self->after = noria_check();
}

/* G14, S03: a child may cancel itself, and hears of it at its next checkpoint; to wait for itself is refused. */
RULE(G14, a_child_with_its_own_handle)
{
	struct noria_group group;
	struct self self = {0};
	struct noria_spawn_options options = with(&self.child);

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn_with(&group, cancel_self, &self, &options) == 0);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(self.waited == -EDEADLK && self.before == 0 && self.after == -ECANCELED);
	return 0;
}

struct ancestor {
	struct noria_child child;
	int answer, depth;
};

static int wait_for_the_ancestor(void *arg)
{
	struct ancestor *ancestor = arg;
	struct noria_group group;

	if (ancestor->depth-- == 0) {
		ancestor->answer = noria_child_wait(&ancestor->child, NULL);
		return 0;
	}
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, wait_for_the_ancestor, ancestor) == 0);
	return noria_group_close(&group, 0);
}

/* G14: nor may it wait for a child whose groups it is itself in, however deep: that one waits for it. */
RULE(G14, a_wait_for_an_ancestor_is_refused)
{
	for (int depth = 1; depth <= 3; depth++) {
		struct noria_group group;
		struct ancestor ancestor = {.depth = depth};
		struct noria_spawn_options options = with(&ancestor.child);

		MUST(noria_group_open(&group) == 0);
		MUST(noria_spawn_with(&group, wait_for_the_ancestor, &ancestor, &options) == 0);
		EXPECT(noria_group_close(&group, 0) == 0);
		EXPECT(ancestor.answer == -EDEADLK);
	}
	return 0;
}

struct waiting {
	struct noria_child *child;
	bool started, ended;
	int answer, result, after;
};

static int wait_for_child(void *arg)
{
	struct waiting *waiting = arg;

	waiting->started = true;
	waiting->answer = noria_child_wait(waiting->child, &waiting->result);
	waiting->after = noria_check();
	waiting->ended = true;
	return 0;
}

/* G14: any number of tasks wait for one child, siblings and strangers; all have its result. */
RULE(G14, several_tasks_wait_for_one_child)
{
	struct noria_group group, others;
	struct noria_child handle;
	struct noria_spawn_options options = with(&handle);
	bool go = false;
	struct finisher child = {&go, 42, NULL};
	struct waiting waiting[5];
	int result = 1;

	MUST(noria_group_open(&others) == 0);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn_with(&group, finisher, &child, &options) == 0);
	for (int i = 0; i < 5; i++) {
		waiting[i] = (struct waiting){.child = &handle};
		MUST(noria_spawn(i % 2 ? &group : &others, wait_for_child, &waiting[i]) == 0);
	}
	UNTIL(waiting[4].started);
	yield_times(3);
	EXPECT(!waiting[0].ended && !waiting[4].ended);
	go = true;
	EXPECT(noria_child_wait(&handle, &result) == 0 && result == 42);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(noria_group_close(&others, 0) == 0);
	for (int i = 0; i < 5; i++)
		EXPECT(waiting[i].answer == 0 && waiting[i].result == 42 && waiting[i].after == 0);
	return 0;
}

/* G14: waiting after the end has the result at once; also a failure's, which does not become the waiter's. */
RULE(G14, waiting_for_what_has_ended)
{
	static const struct noria_group_options supervise = {.policy = NORIA_SUPERVISE};
	struct noria_group group;
	struct noria_child good, bad;
	struct noria_spawn_options with_good = with(&good), with_bad = with(&bad);
	int value[2] = {7, -EIO}, result = 1;

	MUST(noria_group_open_with(&group, &supervise) == 0);
	MUST(noria_spawn_with(&group, returner, &value[0], &with_good) == 0);
	MUST(noria_spawn_with(&group, returner, &value[1], &with_bad) == 0);
	UNTIL(noria_group_size(&group) == 0);
	EXPECT(noria_child_ended(&good) && noria_child_ended(&bad));
	for (int i = 0; i < 2; i++) {
		EXPECT(noria_child_wait(&good, &result) == 0 && result == 7);
		EXPECT(noria_child_wait(&bad, &result) == 0 && result == -EIO);
		EXPECT(noria_child_wait(&bad, NULL) == 0);
	}
	EXPECT(noria_group_close(&group, 0) == 0);
	return 0;
}

/* G14, S01: a wait is a checkpoint: in a cancelled scope it says so, of a child that has ended too. */
RULE(G14, waiting_is_a_checkpoint)
{
	struct noria_group group;
	struct noria_scope scope;
	struct noria_child handle;
	struct noria_spawn_options options = with(&handle);
	int value = 7, result = 1;

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn_with(&group, returner, &value, &options) == 0);
	MUST(noria_child_wait(&handle, NULL) == 0);
	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
	noria_scope_cancel(&scope);
	EXPECT(noria_child_wait(&handle, &result) == -ECANCELED && result == 1);
	EXPECT(noria_scope_close(&scope, 0) == 0);
	EXPECT(noria_group_close(&group, 0) == 0);
	return 0;
}

/* G14: a cancelled waiter leaves; the child goes on, the other waiters go on waiting. */
RULE(G14, a_cancelled_wait_leaves_the_child_alone)
{
	struct noria_group group, others, cancelled;
	struct noria_child handle;
	struct noria_spawn_options options = with(&handle);
	struct life child = {0};
	struct waiting waiting[3] = {{.child = &handle, .result = 1}, {.child = &handle}, {.child = &handle}};
	int result = 1;

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn_with(&group, sleeper, &child, &options) == 0);
	MUST(noria_group_open(&others) == 0);
	MUST(noria_group_open(&cancelled) == 0);
	MUST(noria_spawn(&others, wait_for_child, &waiting[1]) == 0);
	MUST(noria_spawn(&cancelled, wait_for_child, &waiting[0]) == 0);
	MUST(noria_spawn(&others, wait_for_child, &waiting[2]) == 0);
	UNTIL(waiting[2].started);
	noria_group_cancel(&cancelled);
	EXPECT(noria_group_close(&cancelled, 0) == 0);
	EXPECT(waiting[0].answer == -ECANCELED && waiting[0].result == 1);
	EXPECT(!child.told && !waiting[1].ended && !waiting[2].ended);
	EXPECT(noria_within(noria_msec(2), noria_child_wait(&handle, &result)) == -ETIMEDOUT && result == 1);
	EXPECT(!child.told);
	noria_child_cancel(&handle);
	EXPECT(noria_group_close(&others, 0) == 0);
	EXPECT(waiting[1].result == -ECANCELED && waiting[2].result == -ECANCELED);
	EXPECT(waiting[1].answer == 0 && waiting[2].answer == 0);
	EXPECT(noria_group_close(&group, 0) == 0);
	return 0;
}

struct end_and_cancel {
	struct waiting *waiting;
	struct noria_group *group;
};

static int end_once_it_is_waited_for(void *arg)
{
	struct end_and_cancel *both = arg;

	UNTIL(both->waiting->started);
	yield_times(2);
	return 5;
}

/* Sees the child's end before the waiter does, as it stands in the queue of ready tasks before it. */
static int cancel_when_ended(void *arg)
{
	struct end_and_cancel *both = arg;

	UNTIL(noria_child_ended(both->waiting->child));
	EXPECT(!both->waiting->ended);
	noria_group_cancel(both->group);
	return 0;
}

/* G14, R01: the child ended and then the waiter is cancelled, before it ran: it has the result, then the cancellation. */
RULE(G14, an_end_that_races_a_cancel_is_delivered)
{
	struct noria_group group, waiters;
	struct noria_child handle;
	struct noria_spawn_options options = with(&handle);
	struct waiting waiting = {.child = &handle};
	struct end_and_cancel both = {&waiting, &waiters};

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn_with(&group, end_once_it_is_waited_for, &both, &options) == 0);
	MUST(noria_group_open(&waiters) == 0);
	MUST(noria_spawn(&waiters, wait_for_child, &waiting) == 0);
	MUST(noria_spawn(&group, cancel_when_ended, &both) == 0);
	EXPECT(noria_group_close(&waiters, 0) == 0);
	EXPECT(waiting.answer == 0 && waiting.result == 5 && waiting.after == -ECANCELED);
	EXPECT(noria_group_close(&group, 0) == 0);
	return 0;
}

/* G14: a handle that nothing was spawned with. */
RULE(G14, a_handle_of_nothing_is_refused)
{
	struct noria_child handle = {0};
	int result = 1;

	EXPECT(noria_child_wait(&handle, &result) == -EINVAL && result == 1);
	noria_child_cancel(&handle);
	EXPECT(noria_check() == 0);
	return 0;
}

/* G14: handles come with copied arguments as well, and one handle serves one child after another. */
RULE(G14, a_handle_can_be_used_again)
{
	struct noria_group group;
	struct noria_child handle;
	struct noria_spawn_options options = with(&handle);
	int result = 1;

	for (int value = 3; value < 6; value++) {
		MUST(noria_group_open(&group) == 0);
		MUST(noria_spawn_copy_at(&group, returner, &value, sizeof value, &options, NORIA_SITE("returner")) ==
		     0);
		EXPECT(!noria_child_ended(&handle));
		EXPECT(noria_child_wait(&handle, &result) == 0 && result == value);
		EXPECT(noria_group_close(&group, 0) == 0);
	}
	return 0;
}

/* G14: without a runtime nobody can wait. */
Test(G14, waiting_without_a_runtime_is_refused)
{
	struct noria_child handle = {0};

	EXPECT(noria_child_wait(&handle, NULL) == -ENXIO);
}
