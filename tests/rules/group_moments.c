/* SPDX-License-Identifier: MIT */
/* What happens between the moment at which a task is served and the moment at which it runs. */
#include "group_tasks.h"

struct watcher {
	struct noria_child *child;
	struct noria_group *group; /* respawn here with the same handle; NULL: do not */
	int result;
	bool waiting;
};

static int give_up(__attribute__((unused)) void *arg)
{
	return -EIO;
}

static int watch(void *arg)
{
	struct watcher *watcher = arg;
	struct noria_spawn_options options = {.child = watcher->child};

	watcher->waiting = true;
	EXPECT(noria_child_wait(watcher->child, &watcher->result) == 0);
	if (watcher->group)
		MUST(noria_spawn_with(watcher->group, setter, &watcher->waiting, &options) == 0);
	return 0;
}

/* G14: each who waits for a child gets that child's result, also if the handle has been used again since. */
RULE(G14, a_result_is_taken_when_the_child_ends)
{
	struct noria_child child;
	struct noria_spawn_options options = {.child = &child, .name = "first"};
	struct noria_group group, watchers;
	struct noria_group_options supervise = {.policy = NORIA_SUPERVISE};
	struct watcher one = {.child = &child, .group = &group}, other = {.child = &child};
	struct failer bad = {&other.waiting, -EIO};

	MUST(noria_group_open_with(&group, &supervise) == 0);
	MUST(noria_group_open(&watchers) == 0);
	MUST(noria_spawn_with(&group, failer, &bad, &options) == 0);
	MUST(noria_spawn(&watchers, watch, &one) == 0);
	MUST(noria_spawn(&watchers, watch, &other) == 0);
	EXPECT(noria_group_close(&watchers, 0) == 0);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(one.result == -EIO);
	EXPECT(other.result == -EIO);
	return 0;
}

struct pair_of_waiters {
	struct noria_child *mine, *others;
	int heard;
};

static int wait_for_the_other(void *arg)
{
	struct pair_of_waiters *pair = arg;

	pair->heard = noria_child_wait(pair->others, NULL);
	return 0;
}

/* G14: children that wait for one another would never end: whoever closes the circle is refused. */
RULE(G14, a_circle_of_waits_is_refused)
{
	struct noria_child handles[3];
	struct pair_of_waiters pairs[3];
	struct noria_group group;

	MUST(noria_group_open(&group) == 0);
	for (int i = 0; i < 3; i++) {
		struct noria_spawn_options options = {.child = &handles[i]};

		pairs[i] = (struct pair_of_waiters){&handles[i], &handles[(i + 1) % 3], 1};
		MUST(noria_spawn_with(&group, wait_for_the_other, &pairs[i], &options) == 0);
	}
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(pairs[0].heard == 0 && pairs[1].heard == 0);
	EXPECT(pairs[2].heard == -EDEADLK);
	return 0;
}

static int never_ready(void *arg)
{
	return sleeper(arg);
}

struct starter {
	struct noria_group *group;
	struct life *child;
	int heard;
	bool begun;
};

struct last {
	const bool *when;
	bool gone;
};

/* Ends when somebody waits for its place. */
static int make_room(void *arg)
{
	struct last *last = arg;

	UNTIL(*last->when);
	last->gone = true;
	return 0;
}

static int start_one(void *arg)
{
	struct starter *starter = arg;

	starter->begun = true;
	starter->heard = noria_start(starter->group, never_ready, starter->child);
	return 0;
}

/* G25: a starter that is cancelled when it has just got its place does not wait for its child for ever. */
RULE(G25, a_cancel_between_the_place_and_the_start)
{
	struct noria_group_options bounded = {.children_max = 1};
	struct noria_group group, starters;
	struct noria_child handle;
	struct noria_spawn_options options = {.child = &handle};
	struct life child = {0};
	struct starter starter = {&group, &child, 1, false};
	struct last last = {&starter.begun, false};

	MUST(noria_group_open_with(&group, &bounded) == 0);
	MUST(noria_group_open(&starters) == 0);
	MUST(noria_spawn(&group, make_room, &last) == 0);
	MUST(noria_spawn_with(&starters, start_one, &starter, &options) == 0);
	UNTIL(last.gone); /* and its place is the starter's, which has not run since */
	noria_child_cancel(&handle);
	EXPECT(noria_group_close(&starters, 0) == 0);
	EXPECT(starter.begun && starter.heard == -ECANCELED);
	EXPECT(noria_group_close(&group, 0) == 0);
	return 0;
}

struct link {
	struct noria_group *group;
	int left;
	bool *last;
};

static int start_the_next(void *arg)
{
	struct link *link = arg, next = {link->group, link->left - 1, link->last};

	if (link->left == 0) {
		*link->last = true;
		return noria_sleep(NORIA_FOREVER);
	}
	return noria_start(link->group, start_the_next, &next);
}

/* G25: a long chain of starts, each of which waits for the next, is cancelled without a long chain of calls. */
RULE(G25, a_long_chain_of_starts_is_cancelled)
{
	struct noria_group group;
	bool last = false;
	struct link first = {&group, 3000, &last};

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, start_the_next, &first) == 0);
	UNTIL(last);
	noria_group_cancel(&group);
	EXPECT(noria_group_close(&group, 0) == 0);
	return 0;
}

static int leave_a_race(void)
{
	noria_autogroup struct noria_group group = {0};
	struct noria_group_options race = {.policy = NORIA_RACE};
	bool won = false;

	MUST(noria_group_open_with(&group, &race) == 0);
	MUST(noria_spawn(&group, give_up, NULL) == 0);
	MUST(noria_spawn(&group, setter, &won) == 0);
	while (!won && noria_yield() == 0)
		;
	return 5;
}

/* G16: what went before a success does not come up when the race is left by a return. */
RULE(G16, a_won_race_that_is_left_has_no_failure)
{
	EXPECT(leave_a_race() == 5);
	EXPECT(rule_heard.count == 0);
	return 0;
}
