/* SPDX-License-Identifier: MIT */
/*
 * Picking failures of one code out of a tree, and giving the others upward: what is handed to the caller, what remains,
 * and by which code.
 */
#include "failure_tasks.h"

/* A group whose children fail with these codes, in order; `nested`, if not NULL, is a child that has such a group too. */
struct codes {
	const int *code;
	int count;
	struct codes *nested; /* spawned first */
};

static int fail_with(void *arg)
{
	int code = *(const int *)arg;

	return noria_fail(code, "code %d", -code);
}

static int group_of(void *arg)
{
	static const struct noria_group_options race = {.policy = NORIA_RACE};
	const struct codes *codes = arg;
	struct noria_group group;
	struct noria_child handle;
	struct noria_spawn_options options = {.child = &handle};

	MUST(noria_group_open_with(&group, &race) == 0);
	if (codes->nested) {
		MUST(noria_spawn_with(&group, group_of, codes->nested, &options) == 0);
		MUST(noria_child_wait(&handle, NULL) == 0);
	}
	for (int i = 0; i < codes->count; i++)
		MUST(noria_spawn(&group, fail_with, (void *)(uintptr_t)&codes->code[i]) == 0);
	return noria_group_close(&group, 0);
}

/* What `handle` was given. */
struct picked {
	int count, code[16];
	bool clean; /* no causes, and each with its own message */
	uint64_t task_id;
};

static void handle(const struct noria_failure *failure, void *arg)
{
	struct picked *picked = arg;
	char text[32];

	snprintf(text, sizeof text, "code %d", -failure->code);
	picked->code[picked->count++] = failure->code;
	picked->clean = picked->clean && !failure->causes && strcmp(failure->text, text) == 0;
	picked->task_id = failure->task_id;
}

#define PICKED_ARE(picked, ...) codes_are((picked), CODES_(__VA_ARGS__))

static bool codes_are(const struct picked *picked, const int *codes, size_t count)
{
	bool same = (size_t)picked->count == count;

	for (size_t i = 0; same && i < count; i++)
		same = picked->code[i] == codes[i];
	return same;
}

static const int mixed[] = {-EIO, -EPROTO, -EIO, -EPIPE};

/* G28: those of the code are handled, in order; the first of the others is what remains, and the others its causes. */
RULE(G28, failures_of_one_code_are_picked)
{
	struct codes codes = {mixed, 4, NULL};
	struct picked picked = {.clean = true};
	int r = group_of(&codes);

	EXPECT(r == -EIO);
	r = noria_failure_pick(r, -EIO, handle, &picked);
	EXPECT(r == -EPROTO && PICKED_ARE(&picked, -EIO, -EIO) && picked.clean && picked.task_id != 0);
	MUST(noria_last_failure());
	EXPECT(noria_last_failure()->code == -EPROTO && CAUSES_ARE(noria_last_failure(), -EPROTO, -EPIPE));
	EXPECT_NOTHING_TOLD();
	return 0;
}

/* G28: one code after another, until nothing is left: 0. What was picked is not told to anybody later. */
RULE(G28, picking_until_nothing_remains)
{
	struct codes codes = {mixed, 4, NULL};
	struct picked picked = {.clean = true};
	int r = group_of(&codes);

	r = noria_failure_pick(r, -EPIPE, handle, &picked);
	EXPECT(r == -EIO && CAUSES_ARE(noria_last_failure(), -EIO, -EPROTO, -EIO));
	r = noria_failure_pick(r, -EIO, handle, &picked);
	EXPECT(r == -EPROTO);
	r = noria_failure_pick(r, -EPROTO, NULL, NULL);
	EXPECT(r == 0);
	EXPECT(noria_failure_pick(r, 0, handle, &picked) == 0);
	EXPECT(PICKED_ARE(&picked, -EPIPE, -EIO, -EIO));
	(void)noria_fail(-ENOENT, "the next one");
	EXPECT_NOTHING_TOLD();
	return 0;
}

/* G28: a code that none of them has: nothing is handled, nothing changes. */
RULE(G28, picking_a_code_that_nobody_has)
{
	struct codes codes = {mixed, 4, NULL};
	struct picked picked = {0};
	int r = group_of(&codes);

	EXPECT(noria_failure_pick(r, -ENOENT, handle, &picked) == -EIO);
	EXPECT(picked.count == 0 && CAUSES_ARE(noria_last_failure(), -EIO, -EPROTO, -EIO, -EPIPE));
	return 0;
}

/* G28: every code. */
RULE(G28, picking_every_code)
{
	struct codes codes = {mixed, 4, NULL};
	struct picked picked = {.clean = true};

	EXPECT(noria_failure_pick(group_of(&codes), 0, handle, &picked) == 0);
	EXPECT(PICKED_ARE(&picked, -EIO, -EPROTO, -EIO, -EPIPE) && picked.clean);
	return 0;
}

/* G28: inside nested groups too, in order; a nested group with something left stays a branch, by the code of that. */
RULE(G28, picking_inside_nested_groups)
{
	struct codes inner = {mixed, 4, NULL}, outer = {mixed, 2, &inner};
	struct picked picked = {.clean = true};
	int r = group_of(&outer);

	EXPECT(r == -EIO && CAUSES_ARE(noria_last_failure(), -EIO, -EIO, -EPROTO));
	r = noria_failure_pick(r, -EIO, handle, &picked);
	EXPECT(PICKED_ARE(&picked, -EIO, -EIO, -EIO) && picked.clean);
	EXPECT(r == -EPROTO);
	MUST(noria_last_failure());
	EXPECT(noria_last_failure()->code == -EPROTO);
	EXPECT(TREE_IS(noria_last_failure(), -EPROTO, -EPIPE, -EPROTO));
	EXPECT(CAUSES_ARE(noria_last_failure(), -EPROTO, -EPROTO));
	EXPECT(noria_last_failure()->causes && CAUSES_ARE(noria_last_failure()->causes, -EPROTO, -EPIPE));
	return 0;
}

/* G28: a nested group of which nothing remains leaves the tree, also when it was the last one. */
RULE(G28, an_empty_branch_leaves_the_tree)
{
	static const int only[] = {-EIO, -EIO}, other[] = {-EPIPE};
	struct codes innermost = {only, 2, NULL}, inner = {only, 1, &innermost}, outer = {other, 1, &inner};
	struct picked picked = {.clean = true};
	int r = group_of(&outer);

	r = noria_failure_pick(r, -EIO, handle, &picked);
	EXPECT(picked.count == 3 && r == -EPIPE && CAUSES_ARE(noria_last_failure(), -EPIPE));
	EXPECT(noria_failure_pick(r, -EPIPE, handle, &picked) == 0 && picked.count == 4);

	outer.count = 0;
	EXPECT(noria_failure_pick(group_of(&outer), -EIO, handle, &picked) == 0);
	EXPECT(picked.count == 7 && picked.clean);
	return 0;
}

/* G28: what remains goes upward as the failure of the task that gives it up. */
static int pick_and_give_up(void *arg)
{
	return noria_failure_pick(group_of(arg), -EIO, NULL, NULL);
}

RULE(G28, the_remainder_is_given_upward)
{
	struct codes codes = {mixed, 4, NULL};
	struct noria_group group;

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, pick_and_give_up, &codes) == 0);
	EXPECT(noria_group_close(&group, 0) == -EPROTO);
	EXPECT(TREE_IS(noria_last_failure(), -EPROTO, -EPIPE));
	EXPECT(CAUSES_ARE(noria_last_failure(), -EPROTO));
	EXPECT_NOTHING_TOLD();
	return 0;
}

/* G28: a result without a tree is a failure by itself. */
RULE(G28, a_plain_error_is_picked_too)
{
	struct picked picked = {.clean = true};

	EXPECT(noria_failure_pick(noria_fail(-EIO, "code %d", EIO), -EPROTO, handle, &picked) == -EIO);
	EXPECT(picked.count == 0);
	EXPECT(noria_failure_pick(noria_fail(-EIO, "code %d", EIO), -EIO, handle, &picked) == 0);
	EXPECT(PICKED_ARE(&picked, -EIO) && picked.clean && picked.task_id == noria_task_id());
	EXPECT(noria_failure_pick(noria_fail(-EPIPE, "code %d", EPIPE), 0, handle, &picked) == 0);
	EXPECT(PICKED_ARE(&picked, -EIO, -EPIPE) && picked.clean);
	EXPECT(noria_failure_pick(-EPIPE, -EPIPE, NULL, NULL) == 0);
	return 0;
}

static void count_only(const struct noria_failure *failure, void *arg)
{
	EXPECT(failure->code == -ENOTCONN && failure->causes == NULL && failure->text[0] == 0);
	++*(int *)arg;
}

/* G28: also one that never was begun by noria_fail(), and one beside which an older error has a tree. */
RULE(G28, an_older_tree_is_not_picked_from)
{
	struct codes codes = {mixed, 4, NULL};
	int count = 0;

	EXPECT(noria_failure_pick(-ENOTCONN, -ENOTCONN, count_only, &count) == 0 && count == 1);
	EXPECT(group_of(&codes) == -EIO);
	EXPECT(noria_last_failure() != NULL);
	EXPECT(noria_failure_pick(-ENOTCONN, -ENOTCONN, count_only, &count) == 0 && count == 2);
	return 0;
}

/* G28: a success is no failure, whatever happened before. */
RULE(G28, a_success_is_given_on)
{
	struct codes codes = {mixed, 4, NULL};
	struct picked picked = {0};

	EXPECT(noria_failure_pick(5, 0, handle, &picked) == 5);
	EXPECT(group_of(&codes) == -EIO && noria_last_failure() != NULL);
	EXPECT(noria_failure_pick(0, -EIO, handle, &picked) == 0);
	EXPECT(noria_failure_pick(7, 0, handle, &picked) == 7 && picked.count == 0);
	return 0;
}

static void use_the_runtime(__attribute__((unused)) const struct noria_failure *failure, void *arg)
{
	struct picked *picked = arg;

	picked->count++;
	EXPECT(noria_check() == 0);
	EXPECT(noria_fail(-ENOENT, "inside the handler") == -ENOENT);
}

/* G28: a handler that meets errors of its own does not disturb what is being picked. */
RULE(G28, a_handler_may_meet_errors)
{
	struct codes codes = {mixed, 4, NULL};
	struct picked picked = {0};
	int r = group_of(&codes);

	r = noria_failure_pick(r, -EIO, use_the_runtime, &picked);
	EXPECT(r == -EPROTO && picked.count == 2);
	return 0;
}

static int all_at_once(void *arg)
{
	EXPECT(noria_sleep(NORIA_FOREVER) == -ECANCELED);
	return fail_with(arg);
}

/* G28: failures that were only counted cannot be picked: the group has failed still, whatever was picked. */
RULE(G28, counted_failures_remain)
{
	struct noria_group_options options = {.failures_max = 2};
	struct noria_group group;
	struct picked picked = {.clean = true};
	int r;

	MUST(noria_group_open_with(&group, &options) == 0);
	for (int i = 0; i < 4; i++)
		MUST(noria_spawn(&group, all_at_once, (void *)(uintptr_t)&mixed[0]) == 0);
	yield_times(2);
	noria_group_cancel(&group);
	r = noria_group_close(&group, 0);
	EXPECT(r == -EIO && noria_last_failure()->causes_lost == 2);
	r = noria_failure_pick(r, 0, handle, &picked);
	EXPECT(r == -EIO && picked.count == 2 && noria_last_failure()->causes_lost == 2);
	return 0;
}
