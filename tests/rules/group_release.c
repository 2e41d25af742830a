/* SPDX-License-Identifier: MIT */
/*
 * Release handlers of a group: what was put up for the children is taken down after them, all of it, in reverse order, in
 * peace, whatever became of the group.
 */
#include "failure_tasks.h"

static int calls;

/* What one handler saw when it ran. */
struct release {
	struct noria_group *group;
	const struct life *child; /* must have ended; may be NULL */
	int order, result;
	uint64_t task_id;
	int check, yield;
	bool ended_before;
	size_t size;
};

static int release(void *arg)
{
	struct release *release = arg;

	release->order = ++calls;
	release->task_id = noria_task_id();
	release->check = noria_check();
	release->yield = noria_yield();
	release->ended_before = !release->child || release->child->ended;
	release->size = noria_group_size(release->group);
	return release->result;
}

static void expect_undisturbed(const struct release *release, int order)
{
	EXPECT(release->order == order && release->task_id == noria_task_id());
	EXPECT(release->check == 0 && release->yield == 0);
	EXPECT(release->ended_before && release->size == 0);
}

/* Three handlers, the last to run them comes first. */
static void register_three(struct noria_group *group, struct release *three, const struct life *child)
{
	calls = 0;
	for (int i = 0; i < 3; i++) {
		three[i] = (struct release){.group = group, .child = child};
		MUST(noria_group_release(group, release, &three[i]) == 0);
	}
}

static void expect_three(const struct release *three)
{
	EXPECT(calls == 3);
	for (int i = 0; i < 3; i++)
		expect_undisturbed(&three[i], 3 - i);
}

/* G26: after the last child, the latest first, in the task that closes; what the group closes with is not touched. */
RULE(G26, handlers_run_after_the_children_the_latest_first)
{
	struct noria_group group;
	struct release three[3];
	struct life child = {0};
	struct noria_spawn_options service = {.service = true};

	MUST(noria_group_open(&group) == 0);
	register_three(&group, three, &child);
	MUST(noria_spawn_with(&group, sleeper, &child, &service) == 0);
	UNTIL(child.started);
	EXPECT(calls == 0);
	EXPECT(noria_group_close(&group, 42) == 42);
	expect_three(three);
	EXPECT(child.told);
	return 0;
}

/* G26: the same in a group that was cancelled, that failed, that is cancelled from outside, or out of time. */
RULE(G26, handlers_run_whatever_became_of_the_group)
{
	static const int answers[] = {0, -EIO, -EPROTO, -ECANCELED, -ETIMEDOUT};

	for (int way = 0; way < 5; way++) {
		struct noria_scope outer;
		struct noria_group group;
		struct release three[3];
		struct life child = {.go = true, .result = -ECANCELED};
		struct failer bad = {&child.started, -EIO};

		MUST(noria_scope_open(&outer, NORIA_FOREVER, 0) == 0);
		MUST(noria_group_open(&group) == 0);
		register_three(&group, three, &child);
		MUST(noria_spawn(&group, cleaner, &child) == 0);
		UNTIL(child.started);
		if (way == 0)
			noria_group_cancel(&group);
		else if (way == 1)
			MUST(noria_spawn(&group, failer, &bad) == 0);
		else if (way == 3)
			noria_scope_cancel(&outer);
		else if (way == 4)
			MUST(noria_scope_set_deadline(noria_group_scope(&group), noria_now()) == 0);
		EXPECT(noria_group_close(&group, way == 2 ? -EPROTO : 0) == answers[way]);
		expect_three(three);
		EXPECT(noria_scope_close(&outer, 0) == 0);
	}
	EXPECT_NOTHING_TOLD();
	return 0;
}

/* G26: a handler that fails stops none of the others; its result is a failure of the group. */
RULE(G26, a_failing_handler_fails_the_group_and_stops_no_other)
{
	struct noria_group group;
	struct release three[3];

	MUST(noria_group_open(&group) == 0);
	register_three(&group, three, NULL);
	three[2].result = -EIO;
	three[0].result = -ENOSPC;
	three[1].result = 5;
	EXPECT(noria_group_close(&group, 42) == -EIO);
	expect_three(three);
	EXPECT(CAUSES_ARE(noria_last_failure(), -EIO, -ENOSPC));
	EXPECT(noria_check() == 0);
	EXPECT_NOTHING_TOLD();
	return 0;
}

static int release_with_a_story(__attribute__((unused)) void *arg)
{
	return noria_fail(-ENOSPC, "flush");
}

/* G26, G27: its failure comes after those of the children and the body, with its story. */
RULE(G26, the_failures_of_handlers_come_last)
{
	struct noria_group group;
	struct failer bad = {NULL, -EIO};
	const struct noria_failure *last;

	MUST(noria_group_open(&group) == 0);
	MUST(noria_group_release(&group, release_with_a_story, NULL) == 0);
	MUST(noria_spawn(&group, failer, &bad) == 0);
	EXPECT(noria_sleep(NORIA_FOREVER) == -ECANCELED);
	EXPECT(noria_group_close(&group, -EPROTO) == -EIO);
	MUST(CAUSES_ARE(noria_last_failure(), -EIO, -EPROTO, -ENOSPC));
	last = noria_last_failure()->causes->next->next;
	EXPECT(strcmp(last->text, "flush") == 0 && last->task_id == noria_task_id());
	return 0;
}

struct late_release {
	struct noria_group *group;
	int spawned, opened, slept;
	bool ran;
};

static int use_the_runtime(void *arg)
{
	struct late_release *late = arg;
	struct noria_group inner;
	int fd[2], value = 3;
	char byte = 0;

	late->spawned = noria_spawn(late->group, setter, &late->ran);
	late->slept = noria_sleep(noria_usec(100));
	socket_pair(fd);
	EXPECT(noria_send(fd[0], "x", 1, 0) == 1 && noria_recv(fd[1], &byte, 1, 0) == 1);
	close_pair(fd);
	MUST(noria_group_open(&inner) == 0);
	MUST(noria_spawn(&inner, returner, &value) == 0);
	late->opened = noria_group_close(&inner, 0);
	return 0;
}

/* G26, S06: behind a shield: it sleeps, talks and opens groups of its own, in a cancelled scope. Its group is closed. */
RULE(G26, a_handler_may_use_the_runtime)
{
	struct noria_scope outer;
	struct noria_group group;
	struct late_release late = {&group, 1, 1, 1, false};
	bool expired;

	MUST(noria_scope_open(&outer, noria_now() + noria_usec(50), 0) == 0);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_group_release(&group, use_the_runtime, &late) == 0);
	noria_scope_cancel(&outer); /* unless it was so long until here that the deadline came first */
	EXPECT(noria_group_close(&group, 0) == -ECANCELED);
	EXPECT(late.spawned == -EINVAL && late.slept == 0 && late.opened == 0 && !late.ran);
	EXPECT(noria_check() == -ECANCELED);
	expired = noria_scope_cause(&outer, NULL) == NORIA_CAUSE_DEADLINE;
	EXPECT(noria_scope_close(&outer, 0) == (expired ? -ETIMEDOUT : 0));
	return 0;
}

struct registrar {
	struct noria_group *group;
	struct release *release;
	int answer;
};

static int register_one(void *arg)
{
	struct registrar *registrar = arg;

	registrar->answer = noria_group_release(registrar->group, release, registrar->release);
	return 0;
}

/* G26: a child may register one too, also while the group closes; it runs in the task that closes. */
RULE(G26, children_register_handlers)
{
	struct noria_group group;
	struct release mine[2] = {{.group = &group}, {.group = &group}};
	struct registrar registrar = {&group, &mine[1], 1};

	calls = 0;
	MUST(noria_group_open(&group) == 0);
	MUST(noria_group_release(&group, release, &mine[0]) == 0);
	MUST(noria_spawn(&group, register_one, &registrar) == 0);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(registrar.answer == 0);
	expect_undisturbed(&mine[1], 1);
	expect_undisturbed(&mine[0], 2);
	return 0;
}

/* G26: a cancelled group takes handlers still: what is put up there must come down. A closed one, and none at all, do not. */
RULE(G26, which_groups_take_handlers)
{
	struct noria_group group, never = {0};
	struct release mine = {.group = &group};

	calls = 0;
	MUST(noria_group_open(&group) == 0);
	noria_group_cancel(&group);
	EXPECT(noria_group_release(&group, release, &mine) == 0);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(calls == 1);
	EXPECT(noria_group_release(&group, release, &mine) == -EINVAL);
	EXPECT(message_names(__FILE__, __LINE__ - 1));
	EXPECT(noria_group_release(&never, release, &mine) == -EINVAL);
	MUST(noria_group_open(&group) == 0);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(calls == 1);
	return 0;
}

/* G26: more of them than anybody would keep in a fixed place. */
RULE(G26, many_handlers)
{
	struct noria_group group;
	struct release mine[300];

	calls = 0;
	MUST(noria_group_open(&group) == 0);
	for (int i = 0; i < 300; i++) {
		mine[i] = (struct release){.group = &group};
		MUST(noria_group_release(&group, release, &mine[i]) == 0);
	}
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(calls == 300 && mine[0].order == 300 && mine[299].order == 1);
	return 0;
}

static int leave_by_return(struct noria_group *group, struct release *three)
{
	(void)!noria_grouped(group, ({
				     register_three(group, three, NULL);
				     return 5;
				     0;
			     }));
	return 6;
}

/* G26: a group that was left by `return` runs them too. */
RULE(G26, a_group_left_by_return_runs_its_handlers)
{
	struct noria_group group;
	struct release three[3];

	EXPECT(leave_by_return(&group, three) == 5);
	expect_three(three);
	return 0;
}

static void dispose(int result, void *arg)
{
	*(int *)arg += result;
}

/* G26, G16: a handler that fails after a race was won is the group's failure: what the winner carries is disposed of. */
RULE(G26, a_failing_handler_of_a_race)
{
	int disposed = 0;
	struct noria_group_options options = {.policy = NORIA_RACE, .dispose = dispose, .dispose_arg = &disposed};
	struct noria_group group;
	struct finisher winner = {NULL, 7, NULL};

	MUST(noria_group_open_with(&group, &options) == 0);
	MUST(noria_group_release(&group, release_with_a_story, NULL) == 0);
	MUST(noria_spawn(&group, finisher, &winner) == 0);
	EXPECT(noria_group_close(&group, 0) == -ENOSPC);
	EXPECT(CAUSES_ARE(noria_last_failure(), -ENOSPC) && disposed == 7);
	return 0;
}

static int registered_outside(__attribute__((unused)) void *arg)
{
	return 0;
}

Test(G26, registering_without_a_runtime_is_refused)
{
	struct noria_group group = {0};

	EXPECT(noria_group_release(&group, registered_outside, NULL) == -ENXIO);
}
