/* SPDX-License-Identifier: MIT */
/*
 * Starts that meet something else: the group closing or failing meanwhile, other starters, a bound, handles, services.
 */
#include "failure_tasks.h"

struct start {
	struct noria_group *group;
	noria_task_fn *fn;
	void *arg;
	bool started, ended;
	int answer, after;
};

static int start_one(void *arg)
{
	struct start *start = arg;

	start->started = true;
	start->answer = noria_start(start->group, start->fn, start->arg);
	start->after = noria_check();
	start->ended = true;
	return 0;
}

/* A child that starts slowly. */
struct slow {
	bool started, go, ready, ended;
	int ready_answer, result;
};

static int slow_child(void *arg)
{
	struct slow *slow = arg;

	slow->started = true;
	UNTIL(slow->go);
	slow->ready_answer = noria_ready(1);
	slow->ready = true;
	yield_times(5);
	slow->ended = true;
	return slow->result;
}

static int let_go(void *arg)
{
	struct slow *slow = arg;

	UNTIL(slow->started);
	yield_times(5);
	slow->go = true;
	return 0;
}

/* G24, G01: an outsider starts a child into a group that is closed meanwhile: close waits for the start and the child. */
RULE(G24, a_close_waits_for_a_start)
{
	struct noria_group group, others;
	struct slow slow = {0};
	struct start start = {.group = &group, .fn = slow_child, .arg = &slow};

	MUST(noria_group_open(&others) == 0);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&others, start_one, &start) == 0);
	UNTIL(slow.started);
	MUST(noria_spawn(&others, let_go, &slow) == 0);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(slow.ended && slow.ready_answer == 0);
	EXPECT(noria_group_close(&others, 0) == 0);
	EXPECT(start.answer == 1);
	return 0;
}

/* G24, G01: the same when the start fails in the end: the group never had the child. */
RULE(G24, a_close_waits_for_a_start_that_fails)
{
	struct noria_group group, others;
	bool go = false, failed = false, failed_at_close;
	struct teller bad = {&go, -EIO, "start", &failed};
	struct start start = {.group = &group, .fn = teller, .arg = &bad};

	MUST(noria_group_open(&others) == 0);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&others, start_one, &start) == 0);
	UNTIL(start.started);
	yield_times(2);
	MUST(noria_spawn(&others, setter, &go) == 0);
	EXPECT(noria_group_close(&group, 0) == 0);
	failed_at_close = failed;
	EXPECT(noria_group_close(&others, 0) == 0);
	EXPECT(failed_at_close && start.answer == -EIO);
	return 0;
}

/* Is never ready unless it is told to stop, and then is, and goes on sleeping until it hears of that. */
static int ready_when_let(void *arg)
{
	struct life *life = arg;
	int r;

	life->started = true;
	EXPECT(noria_shielded(NORIA_FOREVER, until_set(&life->go)) == 0);
	r = noria_ready(1);
	EXPECT(r == 0 || r == -ECANCELED);
	return sleeper(life);
}

/* G24, G13: the group is cancelled while an outsider starts a child into it: the child hears of it, and all ends well. */
RULE(G24, a_cancel_of_the_group_reaches_a_starting_child)
{
	struct noria_group group, others;
	struct life child = {0};
	struct start start = {.group = &group, .fn = ready_when_let, .arg = &child};

	MUST(noria_group_open(&others) == 0);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&others, start_one, &start) == 0);
	UNTIL(child.started);
	noria_group_cancel(&group);
	child.go = true;
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(child.told && child.ended);
	EXPECT(noria_group_close(&others, 0) == 0);
	EXPECT((start.answer == 1 || start.answer == -ECANCELED) && start.after == 0);
	EXPECT_NOTHING_TOLD();
	return 0;
}

/* G24, G03: the body starts a child, a sibling fails meanwhile: the body is cancelled, and with it what it starts. */
RULE(G24, a_failing_sibling_ends_a_start_of_the_body)
{
	struct noria_group group;
	struct life child = {.result = -ECANCELED, .go = true};
	struct failer bad = {&child.started, -EIO};

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, failer, &bad) == 0);
	EXPECT(noria_start(&group, cleaner, &child) == -ECANCELED);
	EXPECT(child.told && child.ended);
	EXPECT(noria_group_close(&group, -ECANCELED) == -EIO);
	EXPECT(CAUSES_ARE(noria_last_failure(), -EIO));
	EXPECT_NOTHING_TOLD();
	return 0;
}

/* G24: children start siblings, several at once, each with its own answer. */
RULE(G24, several_starts_at_once)
{
	struct noria_group group;
	struct slow slow[3] = {0};
	struct start start[3];

	MUST(noria_group_open(&group) == 0);
	for (int i = 0; i < 3; i++) {
		start[i] = (struct start){.group = &group, .fn = slow_child, .arg = &slow[i]};
		MUST(noria_spawn(&group, start_one, &start[i]) == 0);
	}
	UNTIL(slow[2].started);
	for (int i = 2; i >= 0; i--) {
		slow[i].go = true;
		UNTIL(start[i].ended);
		EXPECT(i == 0 || !start[i - 1].ended);
	}
	EXPECT(noria_group_close(&group, 0) == 0);
	for (int i = 0; i < 3; i++)
		EXPECT(start[i].answer == 1 && slow[i].ended);
	return 0;
}

static int start_below(void *arg)
{
	struct slow *slow = arg;
	struct noria_group group;
	int r;

	MUST(noria_group_open(&group) == 0);
	r = noria_start(&group, slow_child, slow);
	EXPECT(r == 1);
	EXPECT(noria_ready(r + 1) == 0);
	return noria_group_close(&group, 0);
}

/* G24: a child that is starting starts one itself: each is ready to its own starter. */
RULE(G24, starts_nest)
{
	struct noria_group group, others;
	struct slow slow = {0};

	MUST(noria_group_open(&others) == 0);
	MUST(noria_spawn(&others, let_go, &slow) == 0);
	MUST(noria_group_open(&group) == 0);
	EXPECT(noria_start(&group, start_below, &slow) == 2);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(slow.ended);
	EXPECT(noria_group_close(&others, 0) == 0);
	return 0;
}

static int start_below_and_fail(void *arg)
{
	struct noria_group group;

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, teller, arg) == 0);
	return noria_group_close(&group, 0);
}

/* G24, G09: the failure of a start has its causes with it. */
RULE(G24, a_failed_start_has_its_causes)
{
	struct noria_group group;
	struct teller bad = {.code = -EIO, .text = "below"};

	MUST(noria_group_open(&group) == 0);
	EXPECT(noria_start(&group, start_below_and_fail, &bad) == -EIO);
	EXPECT(TREE_IS(noria_last_failure(), -EIO));
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT_NOTHING_TOLD();
	return 0;
}

struct handle_canceller {
	struct noria_child *child;
	const bool *when;
};

static int cancel_child_when(void *arg)
{
	struct handle_canceller *canceller = arg;

	UNTIL(*canceller->when);
	yield_times(2);
	noria_child_cancel(canceller->child);
	return 0;
}

/* G24, G14: the child is cancelled by its handle while it starts: the start says so, and the starter was not cancelled. */
RULE(G24, a_starting_child_is_cancelled_by_its_handle)
{
	struct noria_group group;
	struct noria_child handle;
	struct noria_spawn_options options = {.child = &handle};
	struct life child = {0};
	struct handle_canceller canceller = {&handle, &child.started};
	int result = 1;

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, cancel_child_when, &canceller) == 0);
	EXPECT(noria_start_with(&group, sleeper, &child, &options) == -ECANCELED);
	EXPECT(noria_check() == 0);
	EXPECT(noria_child_wait(&handle, &result) == 0 && result == -ECANCELED);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT_NOTHING_TOLD();
	return 0;
}

static int ready_then_sleep(void *arg)
{
	MUST(noria_ready(4) == 0);
	return sleeper(arg);
}

/* G24, G23: a service is started with a handshake, and stopped last. */
RULE(G24, a_service_is_started)
{
	struct noria_group group;
	struct noria_spawn_options options = {.service = true, .name = "log"};
	struct life service = {0};
	bool ran = false;

	MUST(noria_group_open(&group) == 0);
	EXPECT(noria_start_with(&group, ready_then_sleep, &service, &options) == 4);
	MUST(noria_spawn(&group, setter, &ran) == 0);
	UNTIL(ran);
	yield_times(3);
	EXPECT(!service.told);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(service.told);
	return 0;
}

/* G24, G17: in a group with a bound a start waits for room first; a starting child takes room. */
RULE(G24, a_start_waits_for_room)
{
	static const struct noria_group_options one_child = {.children_max = 1};
	struct noria_group group, others;
	bool go = false;
	struct finisher first = {&go, 0, NULL};
	struct slow slow = {.go = true};
	struct start start = {.group = &group, .fn = slow_child, .arg = &slow};

	MUST(noria_group_open(&others) == 0);
	MUST(noria_group_open_with(&group, &one_child) == 0);
	MUST(noria_spawn(&group, finisher, &first) == 0);
	MUST(noria_spawn(&others, start_one, &start) == 0);
	UNTIL(start.started);
	yield_times(3);
	EXPECT(!slow.started);
	EXPECT(noria_within(noria_msec(2), noria_start(&group, slow_child, &slow)) == -ETIMEDOUT);
	EXPECT(!slow.started);
	go = true;
	UNTIL(start.ended);
	EXPECT(start.answer == 1 && slow.started);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(noria_group_close(&others, 0) == 0);
	return 0;
}

/* G24, G15: a supervising group: before it is ready the starter hears of a failure, afterwards the handler. */
RULE(G24, a_start_into_a_supervising_group)
{
	static const struct noria_group_options supervise = {.policy = NORIA_SUPERVISE};
	struct noria_group group;
	struct slow slow = {.go = true, .result = -EPIPE};
	struct teller bad = {.code = -EIO, .text = "start"};

	MUST(noria_group_open_with(&group, &supervise) == 0);
	EXPECT(noria_start(&group, teller, &bad) == -EIO);
	EXPECT(rule_heard.count == 0);
	EXPECT(noria_start(&group, slow_child, &slow) == 1);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(rule_heard.count == 1 && rule_heard.last.code == -EPIPE);
	return 0;
}

/* G24, G27: a collecting group has no result of a child that never was its own. */
RULE(G24, a_failed_start_is_no_result)
{
	static const struct noria_group_options collect = {.policy = NORIA_COLLECT};
	struct noria_group group;
	struct noria_result result;
	struct slow slow = {.go = true, .result = 3};
	struct teller bad = {.code = -EIO, .text = "start"};

	MUST(noria_group_open_with(&group, &collect) == 0);
	EXPECT(noria_start(&group, teller, &bad) == -EIO);
	EXPECT(noria_group_next(&group, &result) == 0);
	EXPECT(noria_start(&group, slow_child, &slow) == 1);
	EXPECT(noria_group_next(&group, &result) == 1 && result.result == 3);
	EXPECT(noria_group_close(&group, 0) == 0);
	return 0;
}

/* G24, G16: nor has it won a race: only a child that is the group's can. */
RULE(G24, a_start_in_a_race)
{
	static const struct noria_group_options race = {.policy = NORIA_RACE};
	struct noria_group group;
	struct slow slow = {.go = true, .result = 3};
	int value = 9;

	MUST(noria_group_open_with(&group, &race) == 0);
	EXPECT(noria_start(&group, returner, &value) == -EPROTO);
	EXPECT(noria_check() == 0);
	EXPECT(noria_start(&group, slow_child, &slow) == 1);
	EXPECT(noria_group_close(&group, 0) == 3);
	return 0;
}
