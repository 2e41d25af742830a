/* SPDX-License-Identifier: MIT */
/* G27: stories that come from elsewhere: of an offloaded call, of a deadline; and the names that children are given. */
#include "group_tasks.h"

static int fail_inside(int n)
{
	return noria_fail(-EPROTO, "block %d is torn", n);
}

static int call_that_fails(__attribute__((unused)) void *arg)
{
	noria_try(fail_inside(7));
	return 0;
}

static int call_that_fails_plainly(__attribute__((unused)) void *arg)
{
	return -EPROTO;
}

static int offload(void *arg)
{
	noria_task_fn *const *fn = arg;

	noria_try(noria_offload(*fn, NULL));
	return 0;
}

/* G27: what an offloaded call says of its error is said of its caller's, by the same path. */
RULE(G27, an_offloaded_calls_story_is_its_callers)
{
	noria_task_fn *torn = call_that_fails, *plain = call_that_fails_plainly;
	const struct noria_failure *failure;
	struct noria_group group;

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, offload, &torn) == 0);
	EXPECT(noria_group_close(&group, 0) == -EPROTO);
	MUST(noria_last_failure() && noria_last_failure()->causes);
	failure = noria_last_failure()->causes;
	EXPECT(strcmp(failure->text, "block 7 is torn") == 0);
	MUST(failure->path_length == 3);
	EXPECT(strcmp(failure->path[0]->function, "fail_inside") == 0);
	EXPECT(strcmp(failure->path[1]->function, "call_that_fails") == 0);
	EXPECT(strcmp(failure->path[2]->function, "offload") == 0);

	/* The thread of the pool has forgotten it by the next call. */
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, offload, &plain) == 0);
	EXPECT(noria_group_close(&group, 0) == -EPROTO);
	MUST(noria_last_failure() && noria_last_failure()->causes);
	failure = noria_last_failure()->causes;
	EXPECT(failure->text[0] == '\0' && failure->path_length == 1);
	return 0;
}

static int run_out_of_time(void *arg)
{
	int *line = arg;

	*line = __LINE__ + 1;
	return noria_within(noria_usec(1), noria_sleep(NORIA_FOREVER));
}

/* G27: a failure by a deadline names the scope whose deadline it was. */
RULE(G27, a_timeout_names_its_scope)
{
	const struct noria_failure *failure;
	struct noria_group group;
	int line = 0;

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, run_out_of_time, &line) == 0);
	EXPECT(noria_group_close(&group, 0) == -ETIMEDOUT);
	MUST(noria_last_failure() && noria_last_failure()->causes);
	failure = noria_last_failure()->causes;
	EXPECT(strcmp(failure->text, "its deadline passed (within)") == 0);
	MUST(failure->path_length == 1);
	EXPECT(failure->path[0]->line == line && strcmp(failure->path[0]->what, "within") == 0);

	line = __LINE__ + 1;
	MUST(noria_group_open_until(&group, noria_now()) == 0);
	EXPECT(noria_check() == -ECANCELED);
	EXPECT(noria_group_close(&group, -ECANCELED) == -ETIMEDOUT);
	MUST(noria_last_failure() && noria_last_failure()->path_length == 1);
	EXPECT(noria_last_failure()->path[0]->line == line);
	EXPECT(strcmp(noria_last_failure()->text, "its deadline passed (group)") == 0);
	return 0;
}

/* G27: a name of its own is the child's, and the failure's, and need not outlive the spawn. */
RULE(G27, a_name_is_copied)
{
	struct failer bad = {NULL, -EIO};
	struct noria_group group;
	char name[] = "client 12";

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn_named(&group, failer, &bad, name) == 0);
	memset(name, 'x', sizeof name - 1);
	EXPECT(noria_group_close(&group, 0) == -EIO);
	MUST(noria_last_failure() && noria_last_failure()->causes);
	EXPECT(strcmp(noria_last_failure()->causes->task, "client 12") == 0);
	return 0;
}
