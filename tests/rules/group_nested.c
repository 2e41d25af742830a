/* SPDX-License-Identifier: MIT */
/* Groups within groups that fail together: the failures of the inner one stand beneath those of the outer one. */
#include "group_tasks.h"

static int inner_fails_in_clean_up(struct life *leaf)
{
	struct noria_group inner;

	MUST(noria_group_open(&inner) == 0);
	MUST(noria_spawn(&inner, cleaner, leaf) == 0);
	return noria_group_close(&inner, 0);
}

/* G09: the outer group fails, the inner one fails while it is stopped: one is returned, the other is told. */
RULE(G09, failures_of_inner_and_outer_group_are_both_told)
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
	MUST(noria_last_failure() && noria_last_failure()->causes && noria_last_failure()->causes->next);
	EXPECT(noria_last_failure()->causes->next->code == -ENOSPC);
	MUST(noria_last_failure()->causes->next->causes);
	EXPECT(noria_last_failure()->causes->next->causes->code == -ENOSPC);
	EXPECT(rule_heard.count == 0);
	return 0;
}

static int nested(void *arg)
{
	return inner_fails_in_clean_up(arg);
}

/* G09: the same when the inner group belongs to a child: its failures stand beneath the child's. */
RULE(G09, the_failures_of_a_childs_group_are_beneath_its_own)
{
	struct noria_group outer;
	struct life leaf = {.go = true, .result = -ENOSPC};
	struct failer bad = {&leaf.started, -EIO};

	MUST(noria_group_open(&outer) == 0);
	MUST(noria_spawn(&outer, nested, &leaf) == 0);
	MUST(noria_spawn(&outer, failer, &bad) == 0);
	EXPECT(noria_group_close(&outer, 0) == -EIO);
	MUST(noria_last_failure() && noria_last_failure()->causes && noria_last_failure()->causes->next);
	EXPECT(strcmp(noria_last_failure()->causes->next->task, "nested") == 0);
	MUST(noria_last_failure()->causes->next->causes);
	EXPECT(strcmp(noria_last_failure()->causes->next->causes->task, "cleaner") == 0);
	EXPECT(rule_heard.count == 0);
	return 0;
}
