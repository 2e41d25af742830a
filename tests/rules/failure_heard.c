/* SPDX-License-Identifier: MIT */
/*
 * Failures that nobody owns: the handler hears of them at the moment they happen, once each, and of nothing that somebody
 * has seen. The last tests are about the end of a run.
 */
#include "failure_tasks.h"

#include <signal.h>

/* A group of two failures, as somebody meets it who calls a function. */
static int two_failures(void)
{
	static const struct noria_group_options race = {.policy = NORIA_RACE};
	struct noria_group group;
	struct teller first = {.code = -EIO, .text = "one"}, second = {.code = -EPIPE, .text = "two"};

	MUST(noria_group_open_with(&group, &race) == 0);
	MUST(noria_spawn(&group, teller, &first) == 0);
	MUST(noria_spawn(&group, teller, &second) == 0);
	return noria_group_close(&group, 0);
}

/* G29: under supervision: at the moment, not at the close, and not at the end of the child's siblings. */
RULE_WITH(G29, a_failure_is_told_when_it_happens, &told_config)
{
	static const struct noria_group_options supervise = {.policy = NORIA_SUPERVISE};
	struct noria_group group;
	struct life child = {0};
	bool at[2] = {0};
	struct teller first = {NULL, -EIO, "one", &at[0]}, second = {&at[1], -EPIPE, "two", NULL};

	MUST(noria_group_open_with(&group, &supervise) == 0);
	MUST(noria_spawn(&group, sleeper, &child) == 0);
	MUST(noria_spawn(&group, teller, &first) == 0);
	MUST(noria_spawn(&group, teller, &second) == 0);
	UNTIL(at[0]);
	EXPECT(LEAVES_ARE(&told, -EIO) && noria_group_size(&group) == 2);
	at[1] = true;
	UNTIL(noria_group_size(&group) == 1);
	EXPECT(LEAVES_ARE(&told, -EIO, -EPIPE) && !child.told);
	noria_group_cancel(&group);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(told.told == 2);
	return 0;
}

/* G29: what a fail-fast group owns is not told: it is what the group closes with. */
RULE_WITH(G29, owned_failures_are_not_told, &told_config)
{
	EXPECT(two_failures() == -EIO);
	EXPECT(noria_last_failure() != NULL);
	EXPECT(noria_fail(-ENOENT, "the next one") == -ENOENT);
	yield_times(3);
	EXPECT(told.told == 0);
	return 0;
}

/* G29: an error that was handled without a look at its causes: they are told when the next error begins. */
RULE_WITH(G29, causes_that_nobody_looked_at_are_told, &told_config)
{
	EXPECT(two_failures() == -EIO);
	yield_times(3);
	EXPECT(told.told == 0);
	EXPECT(noria_fail(-ENOENT, "the next one") == -ENOENT);
	EXPECT(LEAVES_ARE(&told, -EIO, -EPIPE));
	EXPECT(strcmp(told.leaf[0].text, "one") == 0 && strcmp(told.leaf[1].text, "two") == 0);
	EXPECT(noria_last_failure()->code == -ENOENT && noria_last_failure()->causes == NULL);
	return 0;
}

static int give_on(int code)
{
	noria_try(code);
	return 0;
}

/* G29: so they are when the next error is that of a group, or one that nobody announced. */
RULE_WITH(G29, every_kind_of_next_error_counts, &told_config)
{
	EXPECT(two_failures() == -EIO);
	EXPECT(give_on(-EBADF) == -EBADF);
	EXPECT(told.count == 2);
	EXPECT(two_failures() == -EIO);
	EXPECT(two_failures() == -EIO);
	EXPECT(told.count == 4);
	EXPECT(noria_last_failure() != NULL);
	EXPECT(two_failures() == -EIO);
	EXPECT(told.count == 4 && noria_last_failure() != NULL);
	return 0;
}

static int clean_up_and_fail(__attribute__((unused)) void *arg)
{
	char byte;
	int r = noria_fail(-EIO, "the story");

	EXPECT(noria_read(-1, &byte, 1) == -EBADF);
	return r;
}

/* G27: clean-up code that meets errors of other kinds does not take the story of the error away. */
RULE(G27, a_story_survives_the_clean_up)
{
	struct noria_group group;

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, clean_up_and_fail, NULL) == 0);
	EXPECT(noria_group_close(&group, 0) == -EIO);
	MUST(CAUSES_ARE(noria_last_failure(), -EIO));
	EXPECT(strcmp(noria_last_failure()->causes->text, "the story") == 0);
	return 0;
}

/* G27: but a call that answers the same code is an error of its own: the older one is over. */
RULE(G27, a_call_that_answers_the_same_code_ends_the_story)
{
	struct noria_group group;
	char byte;

	MUST(noria_group_open(&group) == 0);
	EXPECT(noria_fail(-EBADF, "older") == -EBADF);
	EXPECT(noria_group_close(&group, (int)noria_read(-1, &byte, 1)) == -EBADF);
	MUST(CAUSES_ARE(noria_last_failure(), -EBADF));
	EXPECT(strcmp(noria_last_failure()->causes->text, "") == 0);
	return 0;
}

static int handles_blindly(__attribute__((unused)) void *arg)
{
	EXPECT(two_failures() == -EIO);
	return 3;
}

static int gives_another(__attribute__((unused)) void *arg)
{
	EXPECT(two_failures() == -EIO);
	return -EPROTO;
}

/* G29: so they are when the task ends without giving them up: with success, or with another error. */
RULE_WITH(G29, causes_that_a_task_leaves_are_told, &told_config)
{
	struct noria_group group;

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, handles_blindly, NULL) == 0);
	UNTIL(noria_group_size(&group) == 0);
	EXPECT(LEAVES_ARE(&told, -EIO, -EPIPE));
	MUST(noria_spawn(&group, gives_another, NULL) == 0);
	EXPECT(noria_group_close(&group, 0) == -EPROTO);
	EXPECT(LEAVES_ARE(&told, -EIO, -EPIPE, -EIO, -EPIPE));
	EXPECT(CAUSES_ARE(noria_last_failure(), -EPROTO));
	return 0;
}

static int gives_them_up(__attribute__((unused)) void *arg)
{
	return two_failures();
}

/* G29, G09: given up to the group around, they have an owner: nobody is told. */
RULE_WITH(G29, causes_given_upward_are_not_told, &told_config)
{
	struct noria_group group;

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, gives_them_up, NULL) == 0);
	EXPECT(noria_group_close(&group, 0) == -EIO);
	EXPECT(TREE_IS(noria_last_failure(), -EIO, -EPIPE));
	EXPECT(noria_fail(-ENOENT, "the next one") == -ENOENT && told.told == 0);
	return 0;
}

static void count(__attribute__((unused)) const struct noria_failure *failure, void *arg)
{
	++*(int *)arg;
}

/* G29, G28: failures that were picked have been handled; nobody is told of them, nor of a tree that is empty. */
RULE_WITH(G29, picked_failures_are_not_told, &told_config)
{
	int picked = 0;

	EXPECT(noria_failure_pick(two_failures(), -EIO, count, &picked) == -EPIPE);
	EXPECT(noria_failure_pick(-EPIPE, -EPIPE, count, &picked) == 0 && picked == 2);
	EXPECT(noria_fail(-ENOENT, "the next one") == -ENOENT);
	EXPECT(told.told == 0);
	return 0;
}

static int leave_open(__attribute__((unused)) void *arg)
{
	struct noria_group group;
	static struct teller first = {.code = -EIO, .text = "one"}, second = {.code = -EPIPE, .text = "two"};

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, teller, &first) == 0);
	MUST(noria_spawn(&group, teller, &second) == 0);
	return 0;
}

/* G29, G22: what fails in a group that was left open is told, each failure once. */
RULE_WITH(G29, failures_in_a_group_left_open_are_told, &told_config)
{
	struct noria_group group;

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, leave_open, NULL) == 0);
	EXPECT(noria_group_close(&group, 0) == -EINVAL);
	EXPECT(LEAVES_ARE(&told, -EIO, -EPIPE));
	return 0;
}

/* Tries what a handler may: it fails itself before it looks at what it was told. */
static void fail_and_hear(const struct noria_failure *failure, const char *text, void *arg)
{
	static int depth;

	MUST(depth == 0);
	depth++;
	EXPECT(noria_fail(-ENOENT, "in the handler") == -ENOENT);
	EXPECT(give_on(-EPROTO) == -EPROTO);
	hear_leaves(failure, text, arg);
	depth--;
}

static const struct noria_config failing_handler = {.on_failure = fail_and_hear, .on_failure_arg = &told};

/* G29: a handler that meets errors itself: it is not called from within itself, and what it was told stays as it is. */
RULE_WITH(G29, a_handler_may_meet_errors, &failing_handler)
{
	static const struct noria_group_options supervise = {.policy = NORIA_SUPERVISE};
	struct noria_group group;
	struct teller bad = {.code = -ENOSPC, .text = "three"};

	EXPECT(two_failures() == -EIO);
	EXPECT(noria_fail(-ESRCH, "the next one") == -ESRCH);
	EXPECT(LEAVES_ARE(&told, -EIO, -EPIPE));
	EXPECT(strcmp(told.leaf[0].text, "one") == 0 && strcmp(told.leaf[1].text, "two") == 0);
	told = (struct leaves){0};
	MUST(noria_group_open_with(&group, &supervise) == 0);
	MUST(noria_spawn(&group, gives_them_up, NULL) == 0);
	MUST(noria_spawn(&group, teller, &bad) == 0);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(told.told == 2 && told.count == 3 && told.leaf[0].code != told.leaf[2].code);
	for (int i = 0; i < 3; i++)
		EXPECT(told.leaf[i].code != -ENOENT && strcmp(told.leaf[i].text, "in the handler") != 0);
	return 0;
}

static int release_blindly(__attribute__((unused)) void *arg)
{
	EXPECT(two_failures() == -EIO);
	return 0;
}

static int leave_with_a_release(void)
{
	noria_autogroup struct noria_group group = {0};

	MUST(noria_group_open(&group) == 0);
	MUST(noria_group_release(&group, release_blindly, NULL) == 0);
	return noria_fail(-EPROTO, "mine");
}

/* G29, G26: what a release handler of a group that was left early looked away from is told, and not mixed with the error. */
RULE_WITH(G29, causes_that_a_release_handler_left_are_told, &told_config)
{
	EXPECT(leave_with_a_release() == -EPROTO);
	MUST(noria_last_failure());
	EXPECT(noria_last_failure()->code == -EPROTO && strcmp(noria_last_failure()->text, "mine") == 0);
	EXPECT(noria_fail(-ENOENT, "the next one") == -ENOENT);
	EXPECT(LEAVES_ARE(&told, -EIO, -EPIPE));
	return 0;
}

/* Runs a root task by itself, twice; what the handler heard is counted from zero. */
static void run_twice(noria_task_fn *root, const struct noria_config *config, int answer, const int *codes,
		      size_t count_of)
{
	for (int t = NORIA_TIMEOUTS_LINKED; t <= NORIA_TIMEOUTS_HEAP; t++) {
		told = (struct leaves){0};
		EXPECT(rule_run(root, NULL, config, (enum noria_timeouts)t) == answer);
		EXPECT(leaves_are(&told, codes, count_of));
	}
}

/* G29: the root task gives its failures to noria_run(), which can give only a code: the handler is told of them. */
Test(G29, failures_of_the_root_task_are_told, .timeout = 60)
{
	run_twice(gives_them_up, &told_config, -EIO, CODES_(-EIO, -EPIPE));
}

/* G29: what the root task has left unseen is told at its end. */
Test(G29, failures_that_the_root_task_left_are_told, .timeout = 60)
{
	run_twice(handles_blindly, &told_config, 3, CODES_(-EIO, -EPIPE));
}

static int fails_in_the_end(void *arg)
{
	bool *started = arg;

	*started = true;
	EXPECT(noria_sleep(NORIA_FOREVER) == -ECANCELED);
	return noria_fail(-ENOSPC, "flush at the end");
}

static int drained_root(__attribute__((unused)) void *arg)
{
	struct noria_group group;
	bool started = false;
	int r;

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, fails_in_the_end, &started) == 0);
	UNTIL(started);
	noria_drain();
	r = noria_group_close(&group, 0);
	EXPECT(r == -ENOSPC);
	return 0;
}

static int drained_root_that_gives_up(__attribute__((unused)) void *arg)
{
	struct noria_group group;
	bool started = false;

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, fails_in_the_end, &started) == 0);
	UNTIL(started);
	noria_drain();
	return noria_group_close(&group, 0);
}

static const struct noria_config impatient = {
	.on_failure = hear_leaves, .on_failure_arg = &told, .drain_timeout_ns = 2000000};

/* X08: tasks that ran when the grace was spent, and then failed: told, if the root task looks away. */
Test(X08, failures_at_shutdown_reach_the_handler, .timeout = 60)
{
	for (int t = NORIA_TIMEOUTS_LINKED; t <= NORIA_TIMEOUTS_HEAP; t++) {
		told = (struct leaves){0};
		EXPECT(rule_run(drained_root, NULL, &impatient, (enum noria_timeouts)t) == -ECANCELED);
		EXPECT(LEAVES_ARE(&told, -ENOSPC) && strcmp(told.leaf[0].text, "flush at the end") == 0);
	}
}

/* X08: and if it gives them up: nobody above it could see more than a code. */
Test(X08, failures_at_shutdown_that_the_root_gives_up, .timeout = 60)
{
	for (int t = NORIA_TIMEOUTS_LINKED; t <= NORIA_TIMEOUTS_HEAP; t++) {
		told = (struct leaves){0};
		EXPECT(rule_run(drained_root_that_gives_up, NULL, &impatient, (enum noria_timeouts)t) < 0);
		EXPECT(LEAVES_ARE(&told, -ENOSPC) && strcmp(told.leaf[0].text, "flush at the end") == 0);
	}
}

static int idle_at_the_end(void *arg)
{
	bool *started = arg;

	*started = true;
	EXPECT(noria_idle(noria_sleep(NORIA_FOREVER)) == -ECANCELED);
	return noria_fail(-EPIPE, "goodbye refused");
}

static int drained_supervisor(__attribute__((unused)) void *arg)
{
	static const struct noria_group_options supervise = {.policy = NORIA_SUPERVISE};
	struct noria_group group;
	bool started = false;

	MUST(noria_group_open_with(&group, &supervise) == 0);
	MUST(noria_spawn(&group, idle_at_the_end, &started) == 0);
	UNTIL(started);
	noria_drain();
	return noria_group_close(&group, 0);
}

/* X08: in a drain as well, where nothing is cancelled yet. */
Test(X08, failures_in_a_drain_reach_the_handler, .timeout = 60)
{
	run_twice(drained_supervisor, &told_config, 0, CODES_(-EPIPE));
}

static int left_open_at_the_end(__attribute__((unused)) void *arg)
{
	struct noria_group group;
	static bool started;

	started = false;
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, fails_in_the_end, &started) == 0);
	UNTIL(started);
	return 0;
}

/* X08, G22: a root task that returns while its children run: they are cancelled; what they fail with is told, and that. */
Test(X08, failures_of_what_the_root_left_open, .timeout = 60)
{
	run_twice(left_open_at_the_end, &told_config, -EINVAL, CODES_(-ENOSPC, -EINVAL));
}

static char said[NORIA_FAILURE_TEXT_MAX];

static void keep_text(const struct noria_failure *failure, __attribute__((unused)) const char *text,
		      __attribute__((unused)) void *arg)
{
	if (failure->code == -EINVAL)
		snprintf(said, sizeof said, "%s", failure->text);
}

/* G22: what was left open is told with its place, also to who looks at no return value. */
Test(G22, what_was_left_open_is_told_with_its_place, .timeout = 60)
{
	static const struct noria_config config = {.on_failure = keep_text};

	EXPECT(rule_run(left_open_at_the_end, NULL, &config, NORIA_TIMEOUTS_LINKED) == -EINVAL);
	cr_expect(strstr(said, "the group of") && strstr(said, "failure_heard.c:") && strstr(said, "left open"), "%s",
		  said);
}
