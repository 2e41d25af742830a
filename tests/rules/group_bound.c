/* SPDX-License-Identifier: MIT */
/*
 * Groups with a bound on the children alive at once: a spawn beyond it waits for one to end. Who waits first is served
 * first, and whoever waits can be cancelled, with the argument still the caller's.
 */
#include "failure_tasks.h"

static const struct noria_group_options one_child = {.children_max = 1}, two_children = {.children_max = 2};

static int alive, most_alive, runs;

static int count_alive(__attribute__((unused)) void *arg)
{
	most_alive = ++alive > most_alive ? alive : most_alive;
	yield_times(3);
	alive--;
	runs++;
	return 0;
}

/* G17: never more than the bound, at least once as many, and all of them run. */
RULE(G17, a_bound_limits_the_children_alive)
{
	for (unsigned bound = 1; bound <= 7; bound += 3) {
		struct noria_group_options options = {.children_max = bound};
		struct noria_group group;

		alive = most_alive = runs = 0;
		MUST(noria_group_open_with(&group, &options) == 0);
		for (int i = 0; i < 50; i++) {
			MUST(noria_spawn(&group, count_alive, NULL) == 0);
			EXPECT(noria_group_size(&group) <= bound);
		}
		EXPECT(noria_group_close(&group, 0) == 0);
		EXPECT(runs == 50 && most_alive == (int)bound);
	}
	return 0;
}

struct spawner {
	struct noria_group *group;
	noria_task_fn *fn;
	void *arg;
	bool started, ended;
	int answer, order, after;
};

static int spawned_so_far;

static int spawn_one(void *arg)
{
	struct spawner *spawner = arg;

	spawner->started = true;
	spawner->answer = noria_spawn(spawner->group, spawner->fn, spawner->arg);
	spawner->order = spawned_so_far++;
	spawner->after = noria_check();
	spawner->ended = true;
	return 0;
}

/* G17: spawners wait in a queue: first come, first served. */
RULE(G17, spawners_are_served_in_their_order)
{
	struct noria_group group, others;
	struct spawner spawner[4];
	bool go = false, ran[4] = {0};
	struct finisher first = {&go, 0, NULL};

	spawned_so_far = 0;
	MUST(noria_group_open(&others) == 0);
	MUST(noria_group_open_with(&group, &one_child) == 0);
	MUST(noria_spawn(&group, finisher, &first) == 0);
	for (int i = 0; i < 4; i++) {
		spawner[i] = (struct spawner){.group = &group, .fn = setter, .arg = &ran[i]};
		MUST(noria_spawn(&others, spawn_one, &spawner[i]) == 0);
	}
	UNTIL(spawner[3].started);
	yield_times(3);
	EXPECT(spawned_so_far == 0 && noria_group_size(&group) == 1);
	go = true;
	UNTIL(noria_group_size(&others) == 0);
	for (int i = 0; i < 4; i++)
		EXPECT(spawner[i].answer == 0 && spawner[i].order == i);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(ran[0] && ran[1] && ran[2] && ran[3]);
	EXPECT(noria_group_close(&others, 0) == 0);
	return 0;
}

/* G17: room that has come free is the first waiter's: one that comes along before it has run does not overtake it. */
RULE(G17, a_newcomer_does_not_overtake)
{
	struct noria_group group, others;
	struct noria_child handle;
	struct noria_spawn_options options = {.child = &handle};
	bool go = false, ran[2] = {0};
	struct finisher first = {&go, 0, NULL};
	struct spawner waiter, newcomer;

	spawned_so_far = 0;
	waiter = (struct spawner){.group = &group, .fn = setter, .arg = &ran[0]};
	newcomer = (struct spawner){.group = &group, .fn = setter, .arg = &ran[1]};
	MUST(noria_group_open(&others) == 0);
	MUST(noria_group_open_with(&group, &one_child) == 0);
	MUST(noria_spawn_with(&group, finisher, &first, &options) == 0);
	MUST(noria_spawn(&others, spawn_one, &waiter) == 0);
	UNTIL(waiter.started);
	yield_times(2);
	go = true;
	MUST(noria_spawn(&others, spawn_one, &newcomer) == 0);
	UNTIL(spawned_so_far == 2);
	EXPECT(waiter.order == 0 && newcomer.order == 1);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(ran[0] && ran[1]);
	EXPECT(noria_group_close(&others, 0) == 0);
	return 0;
}

/* G17, G19: a spawner that waits and is cancelled keeps its argument; those behind it move up. */
RULE(G17, a_waiting_spawner_can_be_cancelled)
{
	struct noria_group group, others, cancelled;
	bool go = false, ran[2] = {0};
	struct finisher first = {&go, 0, NULL};
	struct spawner quits = {.group = &group, .fn = setter, .arg = &ran[0]};
	struct spawner stays = {.group = &group, .fn = setter, .arg = &ran[1]};

	MUST(noria_group_open_with(&group, &one_child) == 0);
	MUST(noria_spawn(&group, finisher, &first) == 0);
	MUST(noria_group_open(&others) == 0);
	MUST(noria_group_open(&cancelled) == 0);
	MUST(noria_spawn(&cancelled, spawn_one, &quits) == 0);
	MUST(noria_spawn(&others, spawn_one, &stays) == 0);
	UNTIL(stays.started);
	noria_group_cancel(&cancelled);
	EXPECT(noria_group_close(&cancelled, 0) == 0);
	EXPECT(quits.answer == -ECANCELED && quits.after == -ECANCELED && !stays.ended);
	go = true;
	EXPECT(noria_group_close(&others, 0) == 0);
	EXPECT(stays.answer == 0);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(!ran[0] && ran[1]);
	return 0;
}

/* G17: so can the body, by a time limit around the spawn. */
RULE(G17, a_time_limit_on_a_spawn)
{
	struct noria_group group;
	bool go = false, ran = false;
	struct finisher first = {&go, 0, NULL};

	MUST(noria_group_open_with(&group, &one_child) == 0);
	MUST(noria_spawn(&group, finisher, &first) == 0);
	EXPECT(noria_within(noria_msec(2), noria_spawn(&group, setter, &ran)) == -ETIMEDOUT);
	EXPECT(noria_group_size(&group) == 1);
	go = true;
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(!ran);
	return 0;
}

/* G17, S01: into a group with a bound a spawn is a checkpoint, with room or without; into one without a bound it is none. */
RULE(G17, a_bounded_spawn_is_a_checkpoint)
{
	struct noria_group bounded, open;
	struct noria_scope scope;
	bool ran[2] = {0};

	MUST(noria_group_open_with(&bounded, &two_children) == 0);
	MUST(noria_group_open(&open) == 0);
	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
	noria_scope_cancel(&scope);
	EXPECT(noria_spawn(&bounded, setter, &ran[0]) == -ECANCELED);
	EXPECT(noria_spawn(&open, setter, &ran[1]) == 0);
	EXPECT(noria_scope_close(&scope, 0) == 0);
	EXPECT(noria_group_close(&open, 0) == 0);
	EXPECT(noria_group_close(&bounded, 0) == 0);
	EXPECT(!ran[0] && ran[1]);
	return 0;
}

/* Cancels the task of a spawner when room has just come free, before the spawner has run. */
struct late_canceller {
	struct noria_child *first;
	struct spawner *spawner;
	struct noria_group *group;
};

static int cancel_when_room_came(void *arg)
{
	struct late_canceller *late = arg;

	UNTIL(noria_child_ended(late->first));
	EXPECT(!late->spawner->ended);
	noria_group_cancel(late->group);
	return 0;
}

/*
 * G17, R01: a spawner that was handed room and is cancelled before it runs: it has spawned, or the room is the next one's.
 * Whichever it is, the argument has one owner, and the room is not lost.
 */
RULE(G17, room_handed_over_is_not_lost)
{
	struct noria_group group, others, cancelled;
	struct noria_child handle;
	struct noria_spawn_options options = {.child = &handle};
	bool go = false, ran[2] = {0};
	struct finisher first = {&go, 0, NULL};
	struct spawner handed = {.group = &group, .fn = setter, .arg = &ran[0]};
	struct spawner next = {.group = &group, .fn = setter, .arg = &ran[1]};
	struct late_canceller late = {&handle, &handed, &cancelled};

	MUST(noria_group_open_with(&group, &one_child) == 0);
	MUST(noria_spawn_with(&group, finisher, &first, &options) == 0);
	MUST(noria_group_open(&others) == 0);
	MUST(noria_group_open(&cancelled) == 0);
	MUST(noria_spawn(&cancelled, spawn_one, &handed) == 0);
	MUST(noria_spawn(&others, spawn_one, &next) == 0);
	MUST(noria_spawn(&others, cancel_when_room_came, &late) == 0);
	UNTIL(next.started);
	go = true;
	EXPECT(noria_group_close(&cancelled, 0) == 0);
	EXPECT(handed.answer == 0 || handed.answer == -ECANCELED);
	EXPECT(handed.after == -ECANCELED);
	EXPECT(noria_group_close(&others, 0) == 0);
	EXPECT(next.answer == 0);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(ran[0] == (handed.answer == 0) && ran[1]);
	return 0;
}

/* G17, G19: when the group is cancelled all who wait for room are told, outsiders and those behind a shield too. */
RULE(G17, a_cancelled_group_sends_its_spawners_away)
{
	struct noria_group group, others;
	struct life holder = {0};
	bool ran[3] = {0};
	struct spawner spawner[2];

	MUST(noria_group_open(&others) == 0);
	MUST(noria_group_open_with(&group, &one_child) == 0);
	MUST(noria_spawn(&group, cleaner, &holder) == 0);
	for (int i = 0; i < 2; i++) {
		spawner[i] = (struct spawner){.group = &group, .fn = setter, .arg = &ran[i]};
		MUST(noria_spawn(&others, spawn_one, &spawner[i]) == 0);
	}
	UNTIL(spawner[1].started && holder.started);
	noria_group_cancel(&group);
	EXPECT(noria_shielded(NORIA_FOREVER, noria_spawn(&group, setter, &ran[2])) == -ECANCELED);
	holder.go = true;
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(noria_group_close(&others, 0) == 0);
	for (int i = 0; i < 2; i++)
		EXPECT(spawner[i].answer == -ECANCELED && spawner[i].after == 0);
	EXPECT(!ran[0] && !ran[1] && !ran[2]);
	return 0;
}

/* G17, G03: the failure of the child that has the room is such a cancel, for the body that waits for it. */
RULE(G17, a_failure_sends_the_body_away)
{
	struct noria_group group;
	bool ran = false;
	struct failer bad = {NULL, -EIO};

	MUST(noria_group_open_with(&group, &one_child) == 0);
	MUST(noria_spawn(&group, failer, &bad) == 0);
	EXPECT(noria_spawn(&group, setter, &ran) == -ECANCELED);
	EXPECT(noria_group_close(&group, -ECANCELED) == -EIO);
	EXPECT(!ran);
	return 0;
}

/* G17: a child waits for room in its own group while the parent closes: it has room when a sibling ends. */
RULE(G17, a_child_waits_for_room_while_the_parent_closes)
{
	struct noria_group group;
	bool ran = false;
	struct spawner child = {.group = &group, .fn = setter, .arg = &ran};
	struct finisher sibling = {&child.started, 0, NULL};

	MUST(noria_group_open_with(&group, &two_children) == 0);
	MUST(noria_spawn(&group, spawn_one, &child) == 0);
	MUST(noria_spawn(&group, finisher, &sibling) == 0);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(child.answer == 0 && ran);
	return 0;
}

/* G17: an outsider waits for room while the group closes: it is a child that close awaits, or it is refused; never both. */
RULE(G17, an_outsider_waits_for_room_while_the_group_closes)
{
	struct noria_group group, others;
	bool ran = false, go = false, ran_at_close;
	struct spawner outsider = {.group = &group, .fn = setter, .arg = &ran};
	struct finisher first = {&go, 0, NULL};

	MUST(noria_group_open(&others) == 0);
	MUST(noria_group_open_with(&group, &one_child) == 0);
	MUST(noria_spawn(&group, finisher, &first) == 0);
	MUST(noria_spawn(&others, spawn_one, &outsider) == 0);
	UNTIL(outsider.started);
	go = true;
	EXPECT(noria_group_close(&group, 0) == 0);
	ran_at_close = ran;
	EXPECT(noria_group_close(&others, 0) == 0);
	EXPECT(outsider.answer == 0 || outsider.answer == -EINVAL);
	EXPECT(ran_at_close == (outsider.answer == 0) && ran == ran_at_close);
	return 0;
}

/* G17: the only child waits for room that only itself could make: a cancel ends that, and nothing else does. */
RULE(G17, a_child_that_waits_for_its_own_end_can_be_cancelled)
{
	struct noria_group group;
	bool ran = false;
	struct spawner child = {.group = &group, .fn = setter, .arg = &ran};

	MUST(noria_group_open_with(&group, &one_child) == 0);
	MUST(noria_spawn(&group, spawn_one, &child) == 0);
	UNTIL(child.started);
	yield_times(3);
	EXPECT(!child.ended);
	noria_group_cancel(&group);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(child.answer == -ECANCELED && !ran);
	return 0;
}

/* G17: every place is taken by a child that waits for one: a cancel reaches them all. */
RULE(G17, children_that_all_wait_for_room_can_be_cancelled)
{
	struct noria_group group;
	bool ran[2] = {0};
	struct spawner child[2];

	MUST(noria_group_open_with(&group, &two_children) == 0);
	for (int i = 0; i < 2; i++) {
		child[i] = (struct spawner){.group = &group, .fn = setter, .arg = &ran[i]};
		MUST(noria_spawn(&group, spawn_one, &child[i]) == 0);
	}
	UNTIL(child[0].started && child[1].started);
	yield_times(3);
	noria_group_cancel(&group);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(child[0].answer == -ECANCELED && child[1].answer == -ECANCELED && !ran[0] && !ran[1]);
	return 0;
}

/* G17: the bound goes with every policy; a collecting body takes results while spawners wait. */
RULE(G17, a_bounded_collecting_group)
{
	struct noria_group_options options = {.policy = NORIA_COLLECT, .children_max = 3};
	struct noria_group group;
	struct noria_result result;
	int value[20], sum = 0;

	MUST(noria_group_open_with(&group, &options) == 0);
	for (int i = 0; i < 20; i++) {
		value[i] = i;
		MUST(noria_spawn(&group, returner, &value[i]) == 0);
	}
	while (noria_group_next(&group, &result) == 1)
		sum += result.result;
	EXPECT(sum == 190);
	EXPECT(noria_group_close(&group, 0) == 0);
	return 0;
}
