/* SPDX-License-Identifier: MIT */
/*
 * What a group's failures look like from the outside: which, in which order, with which story; how those of nested groups
 * stand in one tree; and how many are kept.
 */
#include "failure_tasks.h"

#include <malloc.h>

/* G27: in the order in which they happened, whatever the order of the spawns. */
RULE(G27, failures_stand_in_the_order_of_their_happening)
{
	static const struct noria_group_options race = {.policy = NORIA_RACE};
	struct noria_group group;
	bool at[3] = {0};
	struct teller bad[4] = {{&at[2], -EPIPE, "d", NULL},
				{&at[0], -EPROTO, "b", &at[1]},
				{NULL, -EIO, "a", &at[0]},
				{&at[1], -ENOSPC, "c", &at[2]}};
	const struct noria_failure *cause;
	int64_t before = noria_now(), last = before;
	char letter = 'a';

	MUST(noria_group_open_with(&group, &race) == 0);
	for (int i = 0; i < 4; i++)
		MUST(noria_spawn(&group, teller, &bad[i]) == 0);
	EXPECT(noria_group_close(&group, 0) == -EIO);
	MUST(CAUSES_ARE(noria_last_failure(), -EIO, -EPROTO, -ENOSPC, -EPIPE));
	for (cause = noria_last_failure()->causes; cause; cause = cause->next) {
		EXPECT(cause->text[0] == letter++ && cause->text[1] == 0);
		EXPECT(cause->time_ns >= last && cause->time_ns <= noria_now());
		last = cause->time_ns;
	}
	return 0;
}

static uint64_t id_of_failer;

static int fail_with_id(void *arg)
{
	id_of_failer = noria_task_id();
	return *(int *)arg;
}

/* Tasks of another name come where the one that failed was. */
static void use_the_memory_again(const struct noria_spawn_options *options)
{
	struct noria_group group;
	bool ran[8] = {0};

	MUST(noria_group_open(&group) == 0);
	for (int i = 0; i < 8; i++)
		MUST(noria_spawn_with(&group, setter, &ran[i], options) == 0);
	EXPECT(noria_group_close(&group, 0) == 0);
}

/* G27: the task, its name, where it was spawned; no message where none was given. All of it outlives the task. */
RULE(G27, a_failure_names_its_task_and_its_spawn)
{
	struct noria_group group;
	struct noria_spawn_options options = {.name = NULL};
	const struct noria_failure *cause;
	char name[32] = "reader of config";
	int code = -EIO, line;

	options.name = name;
	MUST(noria_group_open(&group) == 0);
	line = __LINE__ + 1;
	MUST(noria_spawn_with(&group, fail_with_id, &code, &options) == 0);
	EXPECT(noria_sleep(NORIA_FOREVER) == -ECANCELED);
	EXPECT(noria_group_close(&group, -ECANCELED) == -EIO);
	memset(name, 'x', sizeof name - 1);
	use_the_memory_again(&options);
	MUST(CAUSES_ARE(noria_last_failure(), -EIO));
	cause = noria_last_failure()->causes;
	EXPECT(strcmp(cause->task, "reader of config") == 0 && cause->task_id == id_of_failer);
	MUST(cause->spawn);
	EXPECT(cause->spawn->line == line && strcmp(cause->spawn->what, "fail_with_id") == 0);
	EXPECT(strcmp(cause->text, "") == 0 && cause->causes == NULL && cause->causes_lost == 0);
	EXPECT(cause->path_length == 0 && cause->path_lost == 0);
	return 0;
}

/* G27: the error of the group itself is the closing task's. */
RULE(G27, the_groups_error_is_the_closing_tasks)
{
	struct noria_group group;
	int code = -EIO;
	const struct noria_failure *failure;

	EXPECT(noria_last_failure() == NULL);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, returner, &code) == 0);
	EXPECT(noria_group_close(&group, 0) == -EIO);
	failure = noria_last_failure();
	MUST(failure);
	EXPECT(failure->code == -EIO && failure->task_id == noria_task_id());
	EXPECT(strcmp(failure->task, noria_task_name()) == 0);
	EXPECT(failure->next == NULL && failure->causes_lost == 0);
	return 0;
}

/* G27, G04: a body's failure is its task's, and its place is that where the group was opened. */
RULE(G27, a_bodys_failure_names_the_group)
{
	struct noria_group group;
	struct failer bad = {NULL, -EIO};
	const struct noria_failure *second;
	int line;

	line = __LINE__ + 1;
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, failer, &bad) == 0);
	EXPECT(noria_sleep(NORIA_FOREVER) == -ECANCELED);
	EXPECT(noria_group_close(&group, noria_fail(-EPROTO, "the body's")) == -EIO);
	MUST(CAUSES_ARE(noria_last_failure(), -EIO, -EPROTO));
	second = noria_last_failure()->causes->next;
	EXPECT(second->task_id == noria_task_id() && strcmp(second->task, noria_task_name()) == 0);
	MUST(second->spawn);
	EXPECT(second->spawn->line == line && strcmp(second->text, "the body's") == 0);
	return 0;
}

/* G27: the message belongs to the code that it was given with: a task that returns another code has no message. */
RULE(G27, a_message_of_another_code_is_not_taken)
{
	struct noria_group group;
	struct teller bad = {.code = -EIO, .text = "of another"};

	MUST(noria_group_open(&group) == 0);
	EXPECT(teller(&bad) == -EIO);
	EXPECT(noria_group_close(&group, -EPROTO) == -EPROTO);
	MUST(CAUSES_ARE(noria_last_failure(), -EPROTO));
	EXPECT(strcmp(noria_last_failure()->causes->text, "") == 0);
	return 0;
}

static int inner_group(void *arg)
{
	struct noria_group inner;

	MUST(noria_group_open(&inner) == 0);
	MUST(noria_spawn(&inner, cleaner, arg) == 0);
	return noria_group_close(&inner, 0);
}

/* G09: the inner group is the body's: its failures are a branch, beside the sibling's, in their order. */
RULE(G09, an_inner_group_is_a_branch)
{
	struct noria_group outer;
	struct life leaf = {.go = true, .result = -ENOSPC};
	struct failer bad = {&leaf.started, -EIO};
	const struct noria_failure *second;
	int r;

	MUST(noria_group_open(&outer) == 0);
	MUST(noria_spawn(&outer, failer, &bad) == 0);
	r = inner_group(&leaf);
	EXPECT(r == -ENOSPC && CAUSES_ARE(noria_last_failure(), -ENOSPC));
	EXPECT(noria_group_close(&outer, r) == -EIO);
	MUST(CAUSES_ARE(noria_last_failure(), -EIO, -ENOSPC));
	second = noria_last_failure()->causes->next;
	EXPECT(second->task_id == noria_task_id() && CAUSES_ARE(second, -ENOSPC));
	EXPECT(second->causes && strcmp(second->causes->task, "cleaner") == 0);
	EXPECT_NOTHING_TOLD();
	return 0;
}

/* G09: the inner group is a child's: the same, by the child's name. */
RULE(G09, a_childs_group_is_a_branch)
{
	struct noria_group outer;
	struct life leaf = {.go = true, .result = -ENOSPC};
	struct failer bad = {&leaf.started, -EIO};
	const struct noria_failure *second;

	MUST(noria_group_open(&outer) == 0);
	MUST(noria_spawn(&outer, inner_group, &leaf) == 0);
	MUST(noria_spawn(&outer, failer, &bad) == 0);
	EXPECT(noria_group_close(&outer, 0) == -EIO);
	MUST(CAUSES_ARE(noria_last_failure(), -EIO, -ENOSPC));
	second = noria_last_failure()->causes->next;
	EXPECT(strcmp(second->task, "inner_group") == 0 && CAUSES_ARE(second, -ENOSPC));
	EXPECT_NOTHING_TOLD();
	return 0;
}

struct node {
	int depth, *leaves;
};

/* Two children each, down to the leaves, which all fail. */
static int branch(void *arg)
{
	struct node *node = arg, below = {node->depth - 1, node->leaves};
	static const struct noria_group_options race = {.policy = NORIA_RACE};
	struct noria_group group;

	if (node->depth == 0)
		return noria_fail(-EIO, "leaf %d", (*node->leaves)++);
	MUST(noria_group_open_with(&group, &race) == 0);
	MUST(noria_spawn(&group, branch, &below) == 0);
	MUST(noria_spawn(&group, branch, &below) == 0);
	return noria_group_close(&group, 0);
}

/* G09: a tree of groups is a tree of failures, complete to the leaves, each with its message. */
RULE(G09, a_tree_of_groups_is_a_tree_of_failures)
{
	struct noria_group group;
	int count = 0;
	struct node top = {5, &count};
	struct leaves leaves = {0};
	unsigned seen = 0;

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, branch, &top) == 0);
	EXPECT(noria_group_close(&group, 0) == -EIO);
	MUST(noria_last_failure());
	add_leaves(&leaves, noria_last_failure());
	EXPECT(count == 32 && leaves.count == 32);
	for (int i = 0; i < 32; i++) {
		int number = -1;

		EXPECT(sscanf(leaves.leaf[i].text, "leaf %d", &number) == 1);
		seen |= 1U << number;
	}
	EXPECT(seen == 0xffffffffU);
	EXPECT_NOTHING_TOLD();
	return 0;
}

/* G09, G11: a scope between the groups that gives the code on gives the failures on with it. */
RULE(G09, a_scope_between_keeps_the_branch)
{
	struct noria_group outer;
	int r;

	MUST(noria_group_open(&outer) == 0);
	r = noria_within(noria_sec(3600), ({
				 struct noria_group inner;
				 int code = -ENOSPC;

				 MUST(noria_group_open(&inner) == 0);
				 MUST(noria_spawn(&inner, returner, &code) == 0);
				 noria_group_close(&inner, 0);
			 }));
	EXPECT(r == -ENOSPC);
	EXPECT(noria_group_close(&outer, r) == -ENOSPC);
	EXPECT(CAUSES_ARE(noria_last_failure(), -ENOSPC));
	EXPECT(noria_last_failure() && CAUSES_ARE(noria_last_failure()->causes, -ENOSPC));
	EXPECT_NOTHING_TOLD();
	return 0;
}

static int fail_below(void *arg)
{
	struct noria_group group;

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, returner, arg) == 0);
	return noria_group_close(&group, 0);
}

static int children_alive;

static int until_all_are_there(void)
{
	UNTIL(children_alive == 200);
	return 0;
}

static int fail_when_all_are_there(void *arg)
{
	children_alive++;
	EXPECT(noria_shielded(NORIA_FOREVER, until_all_are_there()) == 0);
	return *(int *)arg;
}

/* G27: a group keeps 64 failures, or as many as it was told to, and counts the others. */
RULE(G27, failures_beyond_the_limit_are_counted)
{
	static const unsigned limits[] = {0, 1, 3, 199, 200, 1000};
	static const size_t kept[] = {64, 1, 3, 199, 200, 200};
	int code = -EIO;

	for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
		struct noria_group_options options = {.failures_max = limits[i]};
		struct noria_group group;
		size_t count = 0;

		MUST(noria_group_open_with(&group, &options) == 0);
		for (int n = 0; n < 200; n++)
			MUST(noria_spawn(&group, fail_when_all_are_there, &code) == 0);
		children_alive = 0;
		EXPECT(noria_group_close(&group, 0) == -EIO);
		MUST(noria_last_failure());
		for (const struct noria_failure *cause = noria_last_failure()->causes; cause; cause = cause->next)
			count++;
		EXPECT(count == kept[i] && noria_last_failure()->causes_lost == 200 - kept[i]);
	}
	EXPECT_NOTHING_TOLD();
	return 0;
}

static size_t in_use(void)
{
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
}

static void fail_many(int count, noria_task_fn *fn, int64_t *ret_growth)
{
	static const struct noria_group_options bounded = {.policy = NORIA_RACE, .children_max = 50};
	struct noria_group group;
	size_t before = 0;
	int code = -EIO;

	MUST(noria_group_open_with(&group, &bounded) == 0);
	for (int i = 0; i < count; i++) {
		if (i == 1000)
			before = in_use();
		MUST(noria_spawn(&group, fn, &code) == 0);
	}
	*ret_growth = (int64_t)in_use() - (int64_t)before;
	EXPECT(noria_group_close(&group, 0) == -EIO);
	MUST(noria_last_failure());
	EXPECT(noria_last_failure()->causes_lost == (size_t)count - 64);
}

/* G27: however many fail, and however much they have to tell, memory is kept for so many only. */
RULE(G27, a_hundred_thousand_failures_take_no_memory)
{
	int64_t growth;

	fail_many(100000, returner, &growth);
	EXPECT(growth < 100000);
	fail_many(20000, fail_below, &growth);
	EXPECT(growth < 100000);
	EXPECT_NOTHING_TOLD();
	return 0;
}
