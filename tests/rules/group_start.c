/* SPDX-License-Identifier: MIT */
/*
 * Starting with a handshake: until a child says that it is ready it is its starter's, afterwards its group's. Each way in
 * which a start can end has a test: ready, failed, ended without a word, cancelled from each side.
 */
#include "failure_tasks.h"

/* A child that is started: what it does before and after it is ready. */
struct server {
	bool started, go, told, ready, on, ended;
	int value, before; /* `before`: it ends with this and is never ready, unless it is positive */
	int ready_answer, second_answer, result;
};

/* Waits until it may go, is ready, waits until it may go on, ends. */
static int serve(void *arg)
{
	struct server *server = arg;

	server->started = true;
	UNTIL(server->go);
	if (server->before <= 0)
		return server->before;
	server->ready_answer = noria_ready(server->value);
	server->ready = true;
	UNTIL(server->on);
	server->ended = true;
	return server->result;
}

/* Is never ready: waits until it is told to stop, then cleans up behind a shield, and says that it is ready after all. */
static int never_ready(void *arg)
{
	struct server *server = arg;

	server->started = true;
	EXPECT(noria_sleep(NORIA_FOREVER) == -ECANCELED);
	server->told = true;
	EXPECT(noria_shielded(NORIA_FOREVER, until_set(&server->go)) == 0);
	server->ready_answer = noria_ready(server->value);
	server->ended = true;
	return server->result;
}

static int set_go(void *arg)
{
	struct server *server = arg;

	UNTIL(server->started);
	yield_times(3);
	server->go = true;
	return 0;
}

/* G24: the start comes back when the child is ready, with its value; the child goes on as a child of the group. */
RULE(G24, a_start_comes_back_when_the_child_is_ready)
{
	struct noria_group group, others;
	struct server server = {.before = 1, .value = 8080};

	MUST(noria_group_open(&others) == 0);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&others, set_go, &server) == 0);
	EXPECT(noria_start(&group, serve, &server) == 8080);
	EXPECT(server.ready && server.ready_answer == 0 && !server.ended);
	EXPECT(noria_group_size(&group) == 1);
	server.on = true;
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(server.ended);
	EXPECT(noria_group_close(&others, 0) == 0);
	EXPECT_NOTHING_TOLD();
	return 0;
}

/* G24: ready at once and ended at once; zero is a value. */
RULE(G24, a_child_that_is_ready_and_ends_at_once)
{
	struct noria_group group;
	struct server server = {.before = 1, .value = 0, .go = true, .on = true};

	MUST(noria_group_open(&group) == 0);
	EXPECT(noria_start(&group, serve, &server) == 0);
	EXPECT(server.ready);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(server.ended);
	return 0;
}

/* G24: a failure before that is the starter's: the group does not hear of it and goes on. */
RULE(G24, a_failure_before_it_is_ready_is_the_starters)
{
	struct noria_group group;
	struct life sibling = {0};
	struct teller bad = {.code = -EADDRINUSE, .text = "port 80"};
	struct leaves leaves = {0};

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, sleeper, &sibling) == 0);
	UNTIL(sibling.started);
	EXPECT(noria_start(&group, teller, &bad) == -EADDRINUSE);
	MUST(noria_last_failure());
	EXPECT(noria_last_failure()->code == -EADDRINUSE);
	add_leaves(&leaves, noria_last_failure());
	EXPECT(LEAVES_ARE(&leaves, -EADDRINUSE) && strcmp(leaves.leaf[0].text, "port 80") == 0);
	EXPECT(noria_group_size(&group) == 1);
	yield_times(3);
	EXPECT(!sibling.told && noria_check() == 0);
	noria_group_cancel(&group);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT_NOTHING_TOLD();
	return 0;
}

/* G24: a start that failed and is given upward is the failure of whoever gives it. */
RULE(G24, a_failed_start_that_is_given_upward)
{
	struct noria_group group;
	struct teller bad = {.code = -EADDRINUSE, .text = "port 80"};

	MUST(noria_group_open(&group) == 0);
	EXPECT(noria_group_close(&group, noria_start(&group, teller, &bad)) == -EADDRINUSE);
	EXPECT(TREE_IS(noria_last_failure(), -EADDRINUSE));
	EXPECT_NOTHING_TOLD();
	return 0;
}

/* G24: to end with success and without a word is an error of the start. */
RULE(G24, ending_without_being_ready_is_an_error)
{
	struct noria_group group;
	int value[2] = {0, 5};

	MUST(noria_group_open(&group) == 0);
	for (int i = 0; i < 2; i++) {
		EXPECT(noria_start(&group, returner, &value[i]) == -EPROTO);
		EXPECT(noria_check() == 0 && noria_group_size(&group) == 0);
	}
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT_NOTHING_TOLD();
	return 0;
}

/* G24, G03: a failure afterwards is the group's, and cancels the others and the body. */
RULE(G24, a_failure_after_it_was_ready_is_the_groups)
{
	struct noria_group group;
	struct life sibling = {0};
	struct server server = {.before = 1, .value = 3, .go = true, .result = -EIO};

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, sleeper, &sibling) == 0);
	EXPECT(noria_start(&group, serve, &server) == 3);
	server.on = true;
	EXPECT(noria_sleep(NORIA_FOREVER) == -ECANCELED);
	EXPECT(noria_group_close(&group, -ECANCELED) == -EIO);
	EXPECT(sibling.told && CAUSES_ARE(noria_last_failure(), -EIO));
	return 0;
}

/* G24: the same in the turn in which it became ready, before the starter has run again: the start has succeeded. */
RULE(G24, a_failure_right_after_it_was_ready_is_the_groups)
{
	struct noria_group group;
	struct server server = {.before = 1, .value = 3, .go = true, .on = true, .result = -EIO};

	MUST(noria_group_open(&group) == 0);
	EXPECT(noria_start(&group, serve, &server) == 3);
	EXPECT(noria_check() == -ECANCELED);
	EXPECT(noria_group_close(&group, -ECANCELED) == -EIO);
	return 0;
}

static int ready_twice(void *arg)
{
	struct server *server = arg;

	server->ready_answer = noria_ready(server->value);
	server->second_answer = noria_ready(server->value + 1);
	EXPECT(strlen(noria_message()) > 0);
	yield_times(1);
	server->result = noria_ready(server->value + 2);
	return 0;
}

/* G24: to be ready a second time is refused, and the first value stands. */
RULE(G24, ready_twice_is_refused)
{
	struct noria_group group;
	struct server server = {.value = 3};

	MUST(noria_group_open(&group) == 0);
	EXPECT(noria_start(&group, ready_twice, &server) == 3);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(server.ready_answer == 0 && server.second_answer == -EINVAL && server.result == -EINVAL);
	return 0;
}

static int ready_with_a_negative(void *arg)
{
	struct server *server = arg;

	server->ready_answer = noria_ready(-EIO);
	yield_times(1);
	server->second_answer = noria_ready(6);
	return 0;
}

/* G24: a negative value is refused and is not a word said: the child may say it properly. */
RULE(G24, a_negative_value_is_refused)
{
	struct noria_group group;
	struct server server = {0};

	MUST(noria_group_open(&group) == 0);
	EXPECT(noria_start(&group, ready_with_a_negative, &server) == 6);
	EXPECT(server.ready_answer == -EINVAL && server.second_answer == 0);
	EXPECT(noria_group_close(&group, 0) == 0);
	return 0;
}

static int ready_unasked(void *arg)
{
	*(int *)arg = noria_ready(1);
	return 0;
}

/* G24: who was spawned and not started has nobody to tell, nor has the root task; without a runtime there is no task. */
RULE(G24, ready_without_a_starter_is_refused)
{
	struct noria_group group;
	int answer = 1;

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, ready_unasked, &answer) == 0);
	EXPECT(noria_ready(1) == -EINVAL);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(answer == -EINVAL);
	return 0;
}

Test(G24, ready_without_a_runtime_is_refused)
{
	EXPECT(noria_ready(1) == -ENXIO);
}

struct start {
	struct noria_group *group;
	noria_task_fn *fn;
	void *arg;
	const struct noria_spawn_options *options;
	bool started, ended;
	int answer, after;
};

static int start_one(void *arg)
{
	struct start *start = arg;

	start->started = true;
	start->answer = noria_start_with(start->group, start->fn, start->arg, start->options);
	start->after = noria_check();
	start->ended = true;
	return 0;
}

/* G25: a cancel of the starter cancels the child that is starting, which is awaited; the group is as before. */
RULE(G25, a_cancel_of_the_starter_cancels_the_child)
{
	struct noria_group group, starters;
	struct life sibling = {0};
	struct server server = {.result = -ECANCELED};
	struct start start = {.group = &group, .fn = never_ready, .arg = &server};

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, sleeper, &sibling) == 0);
	MUST(noria_group_open(&starters) == 0);
	MUST(noria_spawn(&starters, start_one, &start) == 0);
	UNTIL(server.started && sibling.started);
	noria_group_cancel(&starters);
	EXPECT(noria_shielded(NORIA_FOREVER, until_set(&server.told)) == 0);
	EXPECT(noria_shielded(NORIA_FOREVER, yield_times(3)) == 0);
	EXPECT(!start.ended);
	server.go = true;
	EXPECT(noria_group_close(&starters, 0) == 0);
	EXPECT(server.ended && server.ready_answer == -ECANCELED);
	EXPECT(start.answer == -ECANCELED && start.after == -ECANCELED);
	EXPECT(!sibling.told && noria_check() == 0 && noria_group_size(&group) == 1);
	noria_group_cancel(&group);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT_NOTHING_TOLD();
	return 0;
}

/* G25: what fails in the clean-up of a child whose starter was cancelled is what the start returns. */
RULE(G25, a_failing_clean_up_of_a_starting_child_is_the_starters)
{
	struct noria_group group;
	struct noria_scope scope;
	struct server server = {.result = -ENOSPC, .go = true};

	MUST(noria_group_open(&group) == 0);
	MUST(noria_scope_open(&scope, noria_now() + noria_msec(2), 0) == 0);
	EXPECT(noria_start(&group, never_ready, &server) == -ENOSPC);
	EXPECT(noria_check() == -ECANCELED);
	EXPECT(noria_scope_close(&scope, -ENOSPC) == -ENOSPC);
	EXPECT(server.ready_answer == -ECANCELED);
	EXPECT(noria_check() == 0);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT_NOTHING_TOLD();
	return 0;
}

/* G25: a child that ends with success in spite of it was not ready in time: the starter was cancelled. */
RULE(G25, a_late_success_of_a_starting_child)
{
	struct noria_group group;
	struct server server = {.result = 4, .go = true, .value = 9};

	MUST(noria_group_open(&group) == 0);
	EXPECT(noria_within(noria_msec(2), noria_start(&group, never_ready, &server)) == -ETIMEDOUT);
	EXPECT(server.ended && server.ready_answer == -ECANCELED);
	EXPECT(noria_check() == 0 && noria_group_size(&group) == 0);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT_NOTHING_TOLD();
	return 0;
}

/* G25: the time limit around a start is the child's while it starts, and no longer. */
RULE(G25, a_time_limit_around_a_start)
{
	struct noria_group group;
	struct server slow = {.result = -ECANCELED, .go = true}, quick = {.before = 1, .value = 5, .go = true};

	MUST(noria_group_open(&group) == 0);
	EXPECT(noria_within(noria_msec(2), noria_start(&group, never_ready, &slow)) == -ETIMEDOUT);
	EXPECT(slow.told && slow.ended);
	EXPECT(noria_within(noria_sec(20), noria_start(&group, serve, &quick)) == 5);
	EXPECT(noria_sleep(noria_msec(3)) == 0);
	quick.on = true;
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(quick.ended);
	return 0;
}

static int ready_then_sleep(void *arg)
{
	struct life *life = arg;

	MUST(noria_ready(1) == 0);
	return sleeper(life);
}

/* G25: a child that is ready hears nothing of what becomes of its starter, or of the scope that it was started in. */
RULE(G25, a_cancel_after_it_was_ready_does_not_reach_the_child)
{
	struct noria_group group;
	struct noria_scope scope;
	struct life child = {0};

	MUST(noria_group_open(&group) == 0);
	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
	EXPECT(noria_start(&group, ready_then_sleep, &child) == 1);
	UNTIL(child.started);
	noria_scope_cancel(&scope);
	EXPECT(noria_shielded(NORIA_FOREVER, yield_times(3)) == 0);
	EXPECT(!child.told);
	EXPECT(noria_scope_close(&scope, 0) == 0);
	noria_group_cancel(&group);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(child.told);
	return 0;
}

struct ready_and_cancel {
	struct noria_group *starters;
	struct start *start;
	struct life life;
};

/* Is ready, and cancels the starter before that one has run. */
static int be_ready_and_cancel(void *arg)
{
	struct ready_and_cancel *both = arg;

	EXPECT(noria_ready(12) == 0);
	noria_group_cancel(both->starters);
	EXPECT(!both->start->ended && noria_check() == 0);
	return sleeper(&both->life);
}

/* G25, R01: ready first and the cancel of the starter second: the start has succeeded, the next checkpoint fails. */
RULE(G25, a_success_that_races_the_cancel_is_delivered)
{
	struct noria_group group, starters;
	struct start start = {.group = &group, .fn = be_ready_and_cancel};
	struct ready_and_cancel both = {&starters, &start, {0}};

	start.arg = &both;
	MUST(noria_group_open(&group) == 0);
	MUST(noria_group_open(&starters) == 0);
	MUST(noria_spawn(&starters, start_one, &start) == 0);
	EXPECT(noria_group_close(&starters, 0) == 0);
	EXPECT(start.answer == 12 && start.after == -ECANCELED);
	EXPECT(!both.life.told);
	noria_group_cancel(&group);
	EXPECT(noria_group_close(&group, 0) == 0);
	return 0;
}

/* G25, S06: a shield around the start keeps an outer cancel from the child as well. */
RULE(G25, a_shield_around_a_start_covers_the_child)
{
	struct noria_group group, others;
	struct noria_scope outer;
	struct server server = {.before = 1, .value = 2, .on = true};

	MUST(noria_group_open(&others) == 0);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_scope_open(&outer, NORIA_FOREVER, 0) == 0);
	noria_scope_cancel(&outer);
	MUST(noria_spawn(&others, set_go, &server) == 0);
	EXPECT(noria_shielded(NORIA_FOREVER, noria_start(&group, serve, &server)) == 2);
	EXPECT(noria_scope_close(&outer, 0) == 0);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(noria_group_close(&others, 0) == 0);
	EXPECT(server.ended);
	return 0;
}

/* G24, G18, G19: into a group that is closed or cancelled nothing is started, and nothing is waited for. */
RULE(G24, a_start_into_a_closed_or_cancelled_group)
{
	struct noria_group group;
	struct noria_scope scope;
	struct server server = {.before = 1};

	MUST(noria_group_open(&group) == 0);
	MUST(noria_group_close(&group, 0) == 0);
	EXPECT(noria_start(&group, serve, &server) == -EINVAL);
	EXPECT(message_names(__FILE__, __LINE__ - 1));
	MUST(noria_group_open(&group) == 0);
	noria_group_cancel(&group);
	EXPECT(noria_start(&group, serve, &server) == -ECANCELED);
	EXPECT(noria_shielded(NORIA_FOREVER, noria_start(&group, serve, &server)) == -ECANCELED);
	MUST(noria_group_close(&group, 0) == 0);
	/* A start is a checkpoint of its caller. */
	MUST(noria_group_open(&group) == 0);
	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
	noria_scope_cancel(&scope);
	EXPECT(noria_start(&group, serve, &server) == -ECANCELED);
	EXPECT(noria_scope_close(&scope, 0) == 0);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT_NOTHING_TOLD();
	return 0;
}
