/* SPDX-License-Identifier: MIT */
/*
 * Groups within groups that fail together. Today the first failure of a group is what its close returns, and every
 * other one reaches the failure handler at once; the branches of G09's tree are still to come, so that rule stays
 * planned. What holds already is proven here: neither failure is hidden.
 */
#include "group_tasks.h"

static int inner_fails_in_clean_up(struct life *leaf)
{
	struct noria_group inner;

	MUST(noria_group_open(&inner) == 0);
	MUST(noria_spawn(&inner, cleaner, leaf) == 0);
	return noria_group_close(&inner, 0);
}

/* G09: the outer group fails, the inner one fails while it is stopped: one is returned, the other is told. */
RULE(G09, failures_of_inner_and_outer_group_both_reach_someone)
{
	struct noria_group outer;
	struct life leaf = {.go = true, .result = -ENOSPC};
	struct failer bad = {&leaf.started, -EIO};
	int r;

	MUST(noria_group_open(&outer) == 0);
	MUST(noria_spawn(&outer, failer, &bad) == 0);
	r = inner_fails_in_clean_up(&leaf);
	EXPECT(r == -ENOSPC);
	EXPECT(noria_group_close(&outer, r) == -EIO);
	EXPECT(rule_heard.count == 1);
	EXPECT(rule_heard.last.code == -ENOSPC);
	return 0;
}

static int nested(void *arg)
{
	return inner_fails_in_clean_up(arg);
}

/* G09: the same when the inner group belongs to a child: its failure is the child's, and is told by the child's name. */
RULE(G09, the_failure_of_a_childs_group_reaches_the_handler)
{
	struct noria_group outer;
	struct life leaf = {.go = true, .result = -ENOSPC};
	struct failer bad = {&leaf.started, -EIO};

	MUST(noria_group_open(&outer) == 0);
	MUST(noria_spawn(&outer, nested, &leaf) == 0);
	MUST(noria_spawn(&outer, failer, &bad) == 0);
	EXPECT(noria_group_close(&outer, 0) == -EIO);
	EXPECT(rule_heard.count == 1);
	EXPECT(rule_heard.last.code == -ENOSPC);
	EXPECT(rule_heard.last.task && strcmp(rule_heard.last.task, "nested") == 0);
	return 0;
}
