/* SPDX-License-Identifier: MIT */
/*
 * Supervising groups: a child that fails is told to the failure handler, and to nobody else. The siblings, the body and
 * what the group closes with do not hear of it. And the options that a group may be opened with.
 */
#include "failure_tasks.h"

static const struct noria_group_options supervise = {.policy = NORIA_SUPERVISE};

/* G15, G29: the sibling goes on, the body goes on, and the handler hears while both still do. */
RULE(G15, a_failed_child_spares_its_siblings)
{
	struct noria_group group;
	struct life child = {0};
	struct failer bad = {&child.started, -EIO};

	MUST(noria_group_open_with(&group, &supervise) == 0);
	MUST(noria_spawn(&group, sleeper, &child) == 0);
	MUST(noria_spawn(&group, failer, &bad) == 0);
	UNTIL(noria_group_size(&group) == 1);
	EXPECT(rule_heard.count == 1 && rule_heard.last.code == -EIO);
	yield_times(5);
	EXPECT(!child.told && noria_check() == 0);
	noria_group_cancel(&group);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(child.told && rule_heard.count == 1);
	return 0;
}

/* G15: the group closes with what the body came to. */
RULE(G15, the_value_of_the_body_stands)
{
	struct noria_group group;
	struct failer bad = {NULL, -EIO};

	MUST(noria_group_open_with(&group, &supervise) == 0);
	MUST(noria_spawn(&group, failer, &bad) == 0);
	MUST(noria_spawn(&group, failer, &bad) == 0);
	EXPECT(noria_group_close(&group, 42) == 42);
	EXPECT(rule_heard.count == 2);
	return 0;
}

/* G15: a group in which children failed takes new ones. */
RULE(G15, a_group_with_failed_children_takes_new_ones)
{
	struct noria_group group;
	struct failer bad = {NULL, -EIO};
	bool ran = false;

	MUST(noria_group_open_with(&group, &supervise) == 0);
	MUST(noria_spawn(&group, failer, &bad) == 0);
	UNTIL(noria_group_size(&group) == 0);
	EXPECT(noria_spawn(&group, setter, &ran) == 0);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(ran && rule_heard.count == 1);
	return 0;
}

/* G15: the handler is told the whole story: the message and the child. */
RULE_WITH(G15, the_handler_is_told_the_story, &told_config)
{
	struct noria_group group;
	struct teller first = {.code = -EIO, .text = "disk"}, second = {.code = -EPIPE, .text = "peer"};

	MUST(noria_group_open_with(&group, &supervise) == 0);
	MUST(noria_spawn(&group, teller, &first) == 0);
	MUST(noria_spawn(&group, teller, &second) == 0);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(told.told == 2 && LEAVES_ARE(&told, -EIO, -EPIPE));
	EXPECT(strcmp(told.leaf[0].text, "disk") == 0 && strcmp(told.leaf[1].text, "peer") == 0);
	EXPECT(told.leaf[0].task_id != 0 && told.leaf[0].task_id != told.leaf[1].task_id);
	return 0;
}

static int group_of_two_failures(__attribute__((unused)) void *arg)
{
	struct noria_group group;
	struct teller first = {.code = -EIO, .text = "one"}, second = {.code = -EPIPE, .text = "two"};

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, teller, &first) == 0);
	MUST(noria_spawn(&group, teller, &second) == 0);
	return noria_group_close(&group, 0);
}

/* G15, G09: a child that fails by its own group's failures is told as one failure, which has them as its causes. */
RULE_WITH(G15, the_handler_is_told_the_causes, &told_config)
{
	struct noria_group group;

	MUST(noria_group_open_with(&group, &supervise) == 0);
	MUST(noria_spawn(&group, group_of_two_failures, NULL) == 0);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(told.told == 1 && LEAVES_ARE(&told, -EIO, -EPIPE));
	return 0;
}

/* G15: a cancel from outside reaches every child, also after one of them has failed. */
RULE(G15, an_outer_cancel_reaches_all)
{
	struct noria_scope outer;
	struct noria_group group;
	struct life child[2] = {0};
	struct failer bad = {&child[1].started, -EIO};

	MUST(noria_scope_open(&outer, NORIA_FOREVER, 0) == 0);
	MUST(noria_group_open_with(&group, &supervise) == 0);
	MUST(noria_spawn(&group, sleeper, &child[0]) == 0);
	MUST(noria_spawn(&group, sleeper, &child[1]) == 0);
	MUST(noria_spawn(&group, failer, &bad) == 0);
	UNTIL(noria_group_size(&group) == 2);
	noria_scope_cancel(&outer);
	EXPECT(noria_group_close(&group, 0) == -ECANCELED);
	EXPECT(child[0].told && child[1].told && rule_heard.count == 1);
	EXPECT(noria_scope_close(&outer, -ECANCELED) == 0);
	return 0;
}

/* G15: what fails in the clean-up after an outer cancel is told, and the group closes as cancelled. */
RULE(G15, a_failing_clean_up_after_an_outer_cancel_is_told)
{
	struct noria_scope outer;
	struct noria_group group;
	struct life child = {.go = true, .result = -ENOSPC};

	MUST(noria_scope_open(&outer, NORIA_FOREVER, 0) == 0);
	MUST(noria_group_open_with(&group, &supervise) == 0);
	MUST(noria_spawn(&group, cleaner, &child) == 0);
	UNTIL(child.started);
	noria_scope_cancel(&outer);
	EXPECT(noria_group_close(&group, -ECANCELED) == -ECANCELED);
	EXPECT(rule_heard.count == 1 && rule_heard.last.code == -ENOSPC);
	EXPECT(noria_scope_close(&outer, -ECANCELED) == 0);
	return 0;
}

/* G15: the same after the group's own cancel, which closes as success. */
RULE(G15, a_failing_clean_up_after_the_own_cancel_is_told)
{
	struct noria_group group;
	struct life child = {.go = true, .result = -ENOSPC};

	MUST(noria_group_open_with(&group, &supervise) == 0);
	MUST(noria_spawn(&group, cleaner, &child) == 0);
	UNTIL(child.started);
	noria_group_cancel(&group);
	EXPECT(noria_group_close(&group, -ECANCELED) == 0);
	EXPECT(rule_heard.count == 1 && rule_heard.last.code == -ENOSPC);
	return 0;
}

/* G15, G04: an error of the body is the group's, and cancels the children; theirs are the handler's still. */
RULE_WITH(G15, an_error_of_the_body_cancels_the_children, &told_config)
{
	struct noria_group group;
	struct life child[2] = {{.go = true, .result = -ENOSPC}, {0}};

	MUST(noria_group_open_with(&group, &supervise) == 0);
	MUST(noria_spawn(&group, cleaner, &child[0]) == 0);
	MUST(noria_spawn(&group, sleeper, &child[1]) == 0);
	UNTIL(child[1].started);
	EXPECT(noria_group_close(&group, noria_fail(-EPROTO, "body")) == -EPROTO);
	EXPECT(child[0].told && child[1].told);
	EXPECT(CAUSES_ARE(noria_last_failure(), -EPROTO));
	EXPECT(LEAVES_ARE(&told, -ENOSPC));
	return 0;
}

/* G15, G12: so is one that it comes to after the group's cancel. */
RULE(G15, an_error_of_the_body_after_the_cancel_is_reported)
{
	struct noria_group group;
	struct life child = {0};

	MUST(noria_group_open_with(&group, &supervise) == 0);
	MUST(noria_spawn(&group, sleeper, &child) == 0);
	UNTIL(child.started);
	noria_group_cancel(&group);
	EXPECT(noria_yield() == -ECANCELED);
	EXPECT(noria_group_close(&group, -EPROTO) == -EPROTO);
	EXPECT_NOTHING_TOLD();
	return 0;
}

/* G15, T01: the group's deadline ends all children; the group reports it, whatever was told before. */
RULE(G15, a_deadline_ends_all_children)
{
	struct noria_group group;
	struct noria_group_options options = {.policy = NORIA_SUPERVISE, .deadline_ns = noria_now() + noria_msec(5)};
	struct life child[2] = {0};
	struct failer bad = {NULL, -EIO};

	MUST(noria_group_open_with(&group, &options) == 0);
	MUST(noria_spawn(&group, sleeper, &child[0]) == 0);
	MUST(noria_spawn(&group, failer, &bad) == 0);
	MUST(noria_spawn(&group, sleeper, &child[1]) == 0);
	EXPECT(noria_group_close(&group, 0) == -ETIMEDOUT);
	EXPECT(child[0].told && child[1].told && rule_heard.count == 1);
	return 0;
}

/* G15, G06: -ECANCELED from a child whom nobody cancelled is a failure here too. */
RULE(G15, an_unasked_cancellation_is_told)
{
	struct noria_group group;
	struct life child = {0};
	int code = -ECANCELED;

	MUST(noria_group_open_with(&group, &supervise) == 0);
	MUST(noria_spawn(&group, sleeper, &child) == 0);
	MUST(noria_spawn(&group, returner, &code) == 0);
	UNTIL(noria_group_size(&group) == 1);
	EXPECT(rule_heard.count == 1 && rule_heard.last.code == -ECANCELED);
	EXPECT(!child.told);
	noria_group_cancel(&group);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(rule_heard.count == 1);
	return 0;
}

/* G15: a supervising group inside a fail-fast one: what fails outside ends it, what fails inside stays inside. */
RULE(G15, supervision_does_not_reach_outside)
{
	struct noria_group outer, inner;
	struct life child = {0}, beside = {0};
	struct failer bad = {&child.started, -EIO};
	bool yes = true;
	struct failer worse = {&yes, -EPIPE};

	MUST(noria_group_open(&outer) == 0);
	MUST(noria_spawn(&outer, sleeper, &beside) == 0);
	MUST(noria_group_open_with(&inner, &supervise) == 0);
	MUST(noria_spawn(&inner, sleeper, &child) == 0);
	MUST(noria_spawn(&inner, failer, &bad) == 0);
	UNTIL(noria_group_size(&inner) == 1);
	EXPECT(!beside.told && rule_heard.count == 1);
	MUST(noria_spawn(&outer, failer, &worse) == 0);
	EXPECT(noria_group_close(&inner, 0) == -ECANCELED);
	EXPECT(child.told);
	EXPECT(noria_group_close(&outer, -ECANCELED) == -EPIPE);
	EXPECT(beside.told && rule_heard.count == 1);
	return 0;
}

/* G04: a failure of the body cancels the children under every policy, and is what the group closes with. */
RULE(G04, an_error_of_the_body_counts_under_every_policy)
{
	static const enum noria_policy policies[] = {NORIA_FAIL_FAST, NORIA_SUPERVISE, NORIA_RACE, NORIA_COLLECT};

	for (size_t i = 0; i < sizeof policies / sizeof policies[0]; i++) {
		struct noria_group_options options = {.policy = policies[i]};
		struct noria_group group;
		struct life child = {0};

		MUST(noria_group_open_with(&group, &options) == 0);
		MUST(noria_spawn(&group, sleeper, &child) == 0);
		UNTIL(child.started);
		EXPECT(noria_group_close(&group, noria_fail(-EPROTO, "body")) == -EPROTO);
		EXPECT(child.told && CAUSES_ARE(noria_last_failure(), -EPROTO));
	}
	EXPECT_NOTHING_TOLD();
	return 0;
}

/* G10, G02: under every policy a cancelled group closes as success, and one cancelled from outside as cancelled. */
RULE(G10, a_cancel_is_the_same_under_every_policy)
{
	static const enum noria_policy policies[] = {NORIA_FAIL_FAST, NORIA_SUPERVISE, NORIA_RACE, NORIA_COLLECT};

	for (size_t i = 0; i < 2 * sizeof policies / sizeof policies[0]; i++) {
		struct noria_group_options options = {.policy = policies[i / 2]};
		bool outside = i % 2 == 1;
		struct noria_scope outer;
		struct noria_group group;
		struct life child = {0};

		MUST(noria_scope_open(&outer, NORIA_FOREVER, 0) == 0);
		MUST(noria_group_open_with(&group, &options) == 0);
		MUST(noria_spawn(&group, sleeper, &child) == 0);
		UNTIL(child.started);
		noria_scope_cancel(outside ? &outer : noria_group_scope(&group));
		EXPECT(noria_yield() == -ECANCELED);
		EXPECT(noria_group_close(&group, -ECANCELED) == (outside ? -ECANCELED : 0));
		EXPECT(child.told);
		EXPECT(noria_scope_close(&outer, 0) == 0);
	}
	EXPECT_NOTHING_TOLD();
	return 0;
}

static void refuse_options(const struct noria_group_options *options)
{
	struct noria_group group;
	bool ran = false;

	memset(&group, 0, sizeof group);
	EXPECT(noria_group_open_with(&group, options) == -EINVAL);
	EXPECT(message_names(__FILE__, __LINE__ - 1));
	EXPECT(noria_spawn(&group, setter, &ran) == -EINVAL);
	EXPECT(noria_group_close(&group, 0) == -EINVAL);
}

/* G21: options that are not as the header says are refused, and nothing is opened. */
RULE(G21, wrong_options_are_refused)
{
	struct noria_group_options options = {.policy = (enum noria_policy)99};

	refuse_options(&options);
	options = (struct noria_group_options){.reserved = {0, 0, 0, 0, 0, 1}};
	refuse_options(&options);
	options = (struct noria_group_options){.grace_ns = -1};
	refuse_options(&options);
	EXPECT(noria_check() == 0 && noria_deadline() == NORIA_FOREVER);
	return 0;
}

/* G03: without options, or with options that are all zero, a group is fail-fast and has no deadline. */
RULE(G03, no_options_and_zero_options_are_the_defaults)
{
	static const struct noria_group_options zero = {0};

	for (int i = 0; i < 2; i++) {
		struct noria_group group;
		struct life child = {0};
		struct failer bad = {&child.started, -EIO};

		MUST(noria_group_open_with(&group, i == 0 ? NULL : &zero) == 0);
		EXPECT(noria_deadline() == NORIA_FOREVER);
		MUST(noria_spawn(&group, sleeper, &child) == 0);
		MUST(noria_spawn(&group, failer, &bad) == 0);
		EXPECT(noria_group_close(&group, 0) == -EIO);
		EXPECT(child.told);
	}
	return 0;
}

/* T13: the deadline of the options is the group's. */
RULE(T13, a_deadline_in_the_options_is_in_force)
{
	struct noria_group group;
	struct noria_group_options options = {.deadline_ns = noria_now() + noria_sec(3600)};

	MUST(noria_group_open_with(&group, &options) == 0);
	EXPECT(noria_deadline() == options.deadline_ns);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(noria_deadline() == NORIA_FOREVER);
	return 0;
}

static struct noria_group restarting;
static int restarts;

static void restart(const struct noria_failure *failure, __attribute__((unused)) const char *text,
		    __attribute__((unused)) void *arg)
{
	static const int code = -EIO;

	EXPECT(failure->code == -EIO);
	if (++restarts < 4)
		EXPECT(noria_spawn(&restarting, returner, (void *)(uintptr_t)&code) == 0);
}

static const struct noria_config restart_config = {.on_failure = restart};

/* G15, G17: the handler is told while the child still counts: it may spawn the next one, also when the parent closes. */
RULE_WITH(G15, the_handler_may_spawn_a_successor, &restart_config)
{
	int code = -EIO;

	restarts = 0;
	MUST(noria_group_open_with(&restarting, &supervise) == 0);
	MUST(noria_spawn(&restarting, returner, &code) == 0);
	EXPECT(noria_group_close(&restarting, 0) == 0);
	EXPECT(restarts == 4);
	return 0;
}
