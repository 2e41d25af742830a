/* SPDX-License-Identifier: MIT */
/*
 * The path by which an error came up: the places of noria_fail() and noria_try(), the innermost first, of this error and
 * of no other. The functions are not inlined but where that is the point.
 */
#include "failure_tasks.h"

#define APART    __attribute__((noinline))
#define TOGETHER static inline __attribute__((always_inline))

static int line_fail, line_inner, line_outer;

/* The places are these lines of this file, the innermost first. */
static bool path_is(const struct noria_failure *failure, const int *lines, size_t count)
{
	if (!failure || failure->path_length != count || failure->path_lost != 0)
		return false;
	for (size_t i = 0; i < count; i++)
		if (failure->path[i]->line != lines[i] || !strstr(failure->path[i]->file, "failure_path.c"))
			return false;
	return true;
}

#define PATH_IS(...) path_is(noria_last_failure(), CODES_(__VA_ARGS__))

static APART int begin(int code)
{
	line_fail = __LINE__ + 1;
	return noria_fail(code, "begun");
}

static APART int plain(int code)
{
	__asm__ volatile("");
	return code;
}

static APART int inner(int (*fn)(int), int code)
{
	line_inner = __LINE__ + 1;
	noria_try(fn(code));
	return 0;
}

static APART int outer(int (*fn)(int), int code)
{
	line_outer = __LINE__ + 1;
	noria_try(inner(fn, code));
	return 0;
}

/* G27: where it began, then each place that gave it on. */
RULE(G27, the_path_is_innermost_first)
{
	EXPECT(outer(begin, -EIO) == -EIO);
	EXPECT(PATH_IS(line_fail, line_inner, line_outer));
	EXPECT(strcmp(noria_last_failure()->path[0]->function, "begin") == 0);
	EXPECT(strcmp(noria_last_failure()->path[1]->function, "inner") == 0);
	EXPECT(strcmp(noria_last_failure()->path[2]->function, "outer") == 0);
	EXPECT(strcmp(noria_last_failure()->text, "begun") == 0);
	return 0;
}

/* G27: an error that nobody announced begins at the first place that gives it on. */
RULE(G27, an_unannounced_error_begins_where_it_is_given_on)
{
	EXPECT(outer(plain, -EIO) == -EIO);
	EXPECT(PATH_IS(line_inner, line_outer));
	EXPECT(strcmp(noria_last_failure()->text, "") == 0 && noria_last_failure()->code == -EIO);
	return 0;
}

static APART int begins_and_gives_on(int code)
{
	line_fail = __LINE__ + 1;
	noria_try(noria_fail(code, "begun"));
	return 0;
}

static APART int runs_out_of_time(int code)
{
	line_fail = __LINE__ + 1;
	noria_try(noria_within(1, noria_sleep(noria_sec(1))));
	return code;
}

/* Two places, one after the other. */
static APART int begins_and_then_gives_on(int code)
{
	int r = noria_fail(code, "begun");

	line_fail = __LINE__ + 1;
	noria_try(r);
	return 0;
}

/* Each call gives it on at one and the same place. */
static APART int falls(int depth)
{
	if (depth > 0)
		noria_try(falls(depth - 1));
	return begins_and_gives_on(-EIO);
}

/* G27: a place that begins an error, and gives it on as well, is told once; each other one as often as it does. */
RULE(G27, a_place_that_begins_an_error_and_gives_it_on_is_told_once)
{
	for (int i = 0; i < 2; i++) {
		EXPECT(outer(begins_and_gives_on, -EIO) == -EIO);
		EXPECT(PATH_IS(line_fail, line_inner, line_outer));
		EXPECT(outer(runs_out_of_time, -EIO) == -ETIMEDOUT);
		EXPECT(PATH_IS(line_fail, line_inner, line_outer));
		EXPECT(inner(begins_and_then_gives_on, -EIO) == -EIO);
		EXPECT(PATH_IS(line_fail - 3, line_fail, line_inner));
		EXPECT(falls(3) == -EIO);
		MUST(noria_last_failure() && noria_last_failure()->path_length == 4);
		EXPECT(noria_last_failure()->path[0]->line == line_fail);
		EXPECT(noria_last_failure()->path[3] == noria_last_failure()->path[1]);
	}
	return 0;
}

/* G27: values that are no errors pass, and leave no trace; the type stays. */
RULE(G27, what_is_no_error_leaves_no_trace)
{
	ssize_t big = noria_try((ssize_t)1 << 40);

	EXPECT(big == (ssize_t)1 << 40);
	EXPECT(noria_try(plain(5)) == 5 && noria_try(plain(0)) == 0);
	EXPECT(noria_last_failure() == NULL);
	return 0;
}

/* G27: a new error begins a new path, of the same code too, at any depth. */
RULE(G27, a_new_error_begins_a_new_path)
{
	EXPECT(outer(begin, -EIO) == -EIO);
	EXPECT(outer(begin, -EPIPE) == -EPIPE);
	EXPECT(PATH_IS(line_fail, line_inner, line_outer) && noria_last_failure()->code == -EPIPE);
	EXPECT(outer(begin, -EPIPE) == -EPIPE);
	EXPECT(PATH_IS(line_fail, line_inner, line_outer));
	EXPECT(inner(begin, -EPIPE) == -EPIPE);
	EXPECT(PATH_IS(line_fail, line_inner));
	EXPECT(begin(-EPIPE) == -EPIPE);
	EXPECT(PATH_IS(line_fail));
	return 0;
}

/* G27: an error that was handled, and a later one of the same code that nobody announced: no place of the old one. */
RULE(G27, a_handled_error_leaves_no_stale_places)
{
	EXPECT(outer(begin, -EIO) == -EIO);
	EXPECT(outer(plain, -EIO) == -EIO);
	EXPECT(PATH_IS(line_inner, line_outer) && strcmp(noria_last_failure()->text, "") == 0);
	for (int i = 0; i < 3; i++) {
		EXPECT(outer(plain, -EIO) == -EIO);
		EXPECT(PATH_IS(line_inner, line_outer));
		EXPECT(inner(plain, -EIO) == -EIO);
		EXPECT(PATH_IS(line_inner));
	}
	EXPECT(outer(begin, -EIO) == -EIO);
	EXPECT(inner(plain, -EPROTO) == -EPROTO);
	EXPECT(PATH_IS(line_inner) && noria_last_failure()->code == -EPROTO);
	return 0;
}

/* Meets an error, handles it, and then gives up with another one. */
static APART int handles_and_fails(int code)
{
	EXPECT(inner(begin, code) == code);
	line_fail = __LINE__ + 1;
	return noria_fail(code, "another");
}

/* G27: the same in the middle: what a function handled is not on the path of the error that it begins. */
RULE(G27, a_function_that_handles_one_and_begins_another)
{
	EXPECT(outer(handles_and_fails, -EIO) == -EIO);
	EXPECT(PATH_IS(line_fail, line_inner, line_outer));
	EXPECT(strcmp(noria_last_failure()->text, "another") == 0);
	return 0;
}

static APART int gives_a_second_one(int code)
{
	EXPECT(inner(begin, code) == code);
	line_fail = __LINE__ + 1;
	noria_try(plain(-EPROTO));
	return 0;
}

/* G27: the same where it is told by the code. */
RULE(G27, a_function_that_handles_one_and_gives_another)
{
	EXPECT(outer(gives_a_second_one, -EIO) == -EPROTO);
	EXPECT(PATH_IS(line_fail, line_inner, line_outer));
	EXPECT(strcmp(noria_last_failure()->text, "") == 0);
	return 0;
}

/* G27: a call into noria that fails begins an error, so an older one of the same code is over. */
RULE(G27, a_failing_call_begins_an_error)
{
	char byte;
	int r;

	EXPECT(inner(begin, -EBADF) == -EBADF);
	r = (int)noria_read(-1, &byte, 1);
	EXPECT(r == -EBADF);
	EXPECT(inner(plain, r) == -EBADF);
	EXPECT(PATH_IS(line_inner) && strcmp(noria_last_failure()->text, "") == 0);
	return 0;
}

TOGETHER int inlined_inner(int code)
{
	line_inner = __LINE__ + 1;
	noria_try(plain(code));
	return 0;
}

TOGETHER int inlined_outer(int code)
{
	line_outer = __LINE__ + 1;
	noria_try(inlined_inner(code));
	return 0;
}

static APART int calls_inlined(int code)
{
	return inlined_outer(code);
}

/* G27: functions that the compiler has put into one frame are places of their own still, once each. */
RULE(G27, inlined_functions_are_on_the_path)
{
	for (int i = 0; i < 3; i++) {
		EXPECT(calls_inlined(-EIO) == -EIO);
		EXPECT(PATH_IS(line_inner, line_outer));
	}
	return 0;
}

/* The compiler must not make one frame of it, nor a loop. */
static APART int descend(int depth)
{
	__asm__ volatile("" : "+r"(depth));
	if (depth == 0)
		return noria_fail(-EIO, "bottom");
	noria_try(descend(depth - 1));
	__asm__ volatile("");
	return 0;
}

/* G27: a path has room for the innermost NORIA_FAILURE_PATH_MAX places; the others are counted. */
RULE(G27, places_beyond_the_limit_are_counted)
{
	const struct noria_failure *failure;

	EXPECT(descend(NORIA_FAILURE_PATH_MAX - 1) == -EIO);
	failure = noria_last_failure();
	MUST(failure);
	EXPECT(failure->path_length == NORIA_FAILURE_PATH_MAX && failure->path_lost == 0);
	EXPECT(descend(NORIA_FAILURE_PATH_MAX + 4) == -EIO);
	failure = noria_last_failure();
	EXPECT(failure->path_length == NORIA_FAILURE_PATH_MAX && failure->path_lost == 5);
	EXPECT(strcmp(failure->path[0]->what, "fail") == 0 && strcmp(failure->path[15]->what, "try") == 0);
	EXPECT(descend(1) == -EIO);
	EXPECT(noria_last_failure()->path_length == 2 && noria_last_failure()->path_lost == 0);
	return 0;
}

static int fails_below(__attribute__((unused)) void *arg)
{
	return outer(begin, -EIO);
}

/* G27: a child's failure has the child's path; the group's error begins a path of its own at the closing task. */
RULE(G27, a_child_takes_its_path_along)
{
	struct noria_group group;

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, fails_below, NULL) == 0);
	EXPECT(noria_group_close(&group, 0) == -EIO);
	MUST(CAUSES_ARE(noria_last_failure(), -EIO));
	EXPECT(path_is(noria_last_failure()->causes, CODES_(line_fail, line_inner, line_outer)));
	EXPECT(noria_last_failure()->path_length == 0);
	return 0;
}

static int close_a_failing_group(int code)
{
	struct noria_group group;

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, returner, &code) == 0);
	return noria_group_close(&group, 0);
}

/* G27: the group's error is given on like any: its path grows, and its causes stay with it. */
RULE(G27, a_groups_error_is_given_on_with_its_causes)
{
	EXPECT(outer(close_a_failing_group, -EIO) == -EIO);
	EXPECT(PATH_IS(line_inner, line_outer) && CAUSES_ARE(noria_last_failure(), -EIO));
	EXPECT_NOTHING_TOLD();
	return 0;
}

static int fail_elsewhere(void *arg)
{
	*(bool *)arg = outer(begin, -EPIPE) == -EPIPE;
	return 0;
}

/* G27: each task has its own current error; others that fail meanwhile, and calls that succeed, do not touch it. */
RULE(G27, each_task_has_its_own_error)
{
	struct noria_group group;
	const struct noria_failure *before;
	bool failed = false;

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, fail_elsewhere, &failed) == 0);
	EXPECT(inner(begin, -EIO) == -EIO);
	before = noria_last_failure();
	UNTIL(failed);
	EXPECT(noria_sleep(1) == 0);
	EXPECT(noria_last_failure() == before && before->code == -EIO && PATH_IS(line_fail, line_inner));
	EXPECT(noria_group_close(&group, 0) == 0);
	return 0;
}

/* G27: a message is cut off at its limit, with a zero, and is not grown by the next one. */
RULE(G27, a_message_is_cut_off_at_its_limit)
{
	char text[1000];

	for (size_t length = NORIA_FAILURE_TEXT_MAX - 2; length < sizeof text; length += length < 194 ? 1 : 400) {
		memset(text, 'x', length);
		text[length] = 0;
		EXPECT(noria_fail(-EIO, "%s", text) == -EIO);
		MUST(noria_last_failure());
		EXPECT(strlen(noria_last_failure()->text) ==
		       (length < NORIA_FAILURE_TEXT_MAX ? length : NORIA_FAILURE_TEXT_MAX - 1));
		EXPECT(strncmp(noria_last_failure()->text, text, strlen(noria_last_failure()->text)) == 0);
	}
	EXPECT(noria_fail(-EIO, "%d%%", 7) == -EIO && strcmp(noria_last_failure()->text, "7%") == 0);
	EXPECT(noria_fail(-EIO, "%s", "") == -EIO && strcmp(noria_last_failure()->text, "") == 0);
	return 0;
}

/* G27: a code that is no error cannot be failed with; the message says so. */
RULE(G27, a_code_that_is_no_error_becomes_einval)
{
	static const int codes[] = {7777, 0, 1};

	for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
		char number[16];

		snprintf(number, sizeof number, "%d", codes[i]);
		EXPECT(noria_fail(codes[i], "mine") == -EINVAL);
		MUST(noria_last_failure());
		EXPECT(noria_last_failure()->code == -EINVAL);
		EXPECT(strstr(noria_last_failure()->text, number) || strstr(noria_message(), number));
	}
	return 0;
}

/* G27: without a task there is no error to keep; the text is in noria_message(), and errors are given on. */
Test(G27, failing_without_a_runtime)
{
	EXPECT(outer(begin, -EIO) == -EIO);
	EXPECT(strstr(noria_message(), "begun") != NULL);
	EXPECT(noria_last_failure() == NULL);
	EXPECT(noria_fail(3, "mine") == -EINVAL);
	EXPECT(noria_failure_pick(4, 0, NULL, NULL) == 4);
}
