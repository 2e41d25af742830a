/* SPDX-License-Identifier: MIT */
/*
 * Failures as texts and as JSON. What is printed is looked at as a reader would: lines, indentation, and a JSON parser that
 * is not noria's. Messages and names come from outside, so they are hostile here.
 */
#include "failure_tasks.h"

#include <jansson.h>
#include <limits.h>
#include <stdlib.h>

/* All of a failure's text, to be freed. */
static char *text_of(const struct noria_failure *failure, size_t (*print)(const struct noria_failure *, char *, size_t))
{
	size_t length = print(failure, NULL, 0);
	char *text = malloc(length + 1);

	MUST(text);
	EXPECT(print(failure, text, length + 1) == length);
	EXPECT(strlen(text) == length);
	return text;
}

static json_t *json_of(const struct noria_failure *failure)
{
	char *text = text_of(failure, noria_failure_json);
	json_error_t error;
	json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, &error);

	if (!json)
		fprintf(stderr, "%s at %d: %s\n", error.text, error.position, text);
	MUST(json && json_is_object(json));
	free(text);
	return json;
}

static size_t lines_of(const char *text)
{
	size_t lines = 0;

	for (; *text; text++)
		lines += *text == '\n' || text[1] == 0;
	return lines;
}

/* The object has, under some key, this string. */
static bool has_string(json_t *json, const char *value)
{
	const char *key;
	json_t *member;

	json_object_foreach(json, key, member) if (json_is_string(member) &&
						   strcmp(json_string_value(member), value) == 0) return true;
	return false;
}

static bool has_number(json_t *json, int64_t value)
{
	const char *key;
	json_t *member;

	json_object_foreach(json, key,
			    member) if (json_is_integer(member) && json_integer_value(member) == value) return true;
	return false;
}

/* JSON objects of failures in the tree that hang together by "causes", as the failures do. */
static size_t compare(json_t *json, const struct noria_failure *failure)
{
	json_t *causes = json_object_get(json, "causes");
	size_t count = 1, i = 0;

	EXPECT(has_number(json, failure->code));
	EXPECT(has_string(json, failure->task));
	EXPECT(has_number(json, (int64_t)failure->task_id));
	EXPECT(failure->text[0] == 0 || has_string(json, failure->text));
	EXPECT(!failure->causes || json_is_array(causes));
	for (const struct noria_failure *cause = failure->causes; cause; cause = cause->next) {
		MUST(json_is_object(json_array_get(causes, i)));
		count += compare(json_array_get(causes, i++), cause);
	}
	EXPECT(json_array_size(causes) == i);
	return count;
}

static int fail_inside(__attribute__((unused)) void *arg)
{
	int r = noria_fail(-ENOSPC, "the inner one");

	noria_try(r); /* a second place */
	return 0;
}

static int nested(__attribute__((unused)) void *arg)
{
	struct noria_group group;

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, fail_inside, NULL) == 0);
	return noria_group_close(&group, 0);
}

/* A current error with two causes, of which the second has one. */
static const struct noria_failure *make_tree(void)
{
	static const struct noria_group_options race = {.policy = NORIA_RACE};
	struct noria_group group;
	struct teller bad = {.code = -EIO, .text = "the first one"};

	MUST(noria_group_open_with(&group, &race) == 0);
	MUST(noria_spawn(&group, teller, &bad) == 0);
	MUST(noria_spawn(&group, nested, NULL) == 0);
	EXPECT(noria_group_close(&group, 0) == -EIO);
	MUST(CAUSES_ARE(noria_last_failure(), -EIO, -ENOSPC));
	return noria_last_failure();
}

/* Where the line that contains `what` begins, and how far it is indented. */
static size_t indent_of(const char *text, const char *what)
{
	const char *at = strstr(text, what);

	MUST(at);
	while (at > text && at[-1] != '\n')
		at--;
	return strspn(at, " \t|`-+");
}

/* G27: everything that is known stands in the text; a cause is indented further than what it caused. */
RULE(G27, a_text_has_the_whole_tree)
{
	const struct noria_failure *failure = make_tree();
	char *text = text_of(failure, noria_failure_print), place[64];

	EXPECT(strstr(text, "the first one") && strstr(text, "the inner one"));
	EXPECT(strstr(text, "teller") && strstr(text, "nested") && strstr(text, "fail_inside"));
	EXPECT(strstr(text, "the first one") < strstr(text, "the inner one"));
	EXPECT(lines_of(text) >= 4);
	EXPECT(indent_of(text, "the first one") > 0);
	EXPECT(indent_of(text, "the inner one") > indent_of(text, "the first one"));
	for (size_t i = 0; i < 2; i++) {
		const struct noria_site *site = failure->causes->next->causes->path[i];

		snprintf(place, sizeof place, "failure_print.c:%d", site->line);
		EXPECT(strstr(text, place));
	}
	free(text);
	return 0;
}

/* G27: a failure alone; one without a message, and one that only a call began. */
RULE(G27, a_text_of_one_failure)
{
	char *text;

	EXPECT(noria_fail(-EPROTO, "alone") == -EPROTO);
	text = text_of(noria_last_failure(), noria_failure_print);
	EXPECT(strstr(text, "alone") && strstr(text, noria_task_name()));
	EXPECT(strstr(text, "EPROTO") || strstr(text, strerror(EPROTO)));
	free(text);
	EXPECT(noria_fail(-EPIPE, "%s", "") == -EPIPE);
	text = text_of(noria_last_failure(), noria_failure_print);
	EXPECT(strstr(text, "EPIPE") || strstr(text, strerror(EPIPE)));
	EXPECT(strstr(text, "(null)") == NULL);
	free(text);
	return 0;
}

/* G27: the JSON says the same: code, task, message, and the causes as a tree of the same shape. */
RULE(G27, the_json_has_the_whole_tree)
{
	const struct noria_failure *failure = make_tree();
	json_t *json = json_of(failure);

	EXPECT(compare(json, failure) == 4);
	json_decref(json);
	EXPECT(noria_fail(-EPIPE, "%s", "") == -EPIPE);
	json = json_of(noria_last_failure());
	EXPECT(compare(json, noria_last_failure()) == 1);
	json_decref(json);
	return 0;
}

/* Each size in turn gives the beginning of the whole, a zero, and its length; nothing beyond is touched. */
static void print_in_all_sizes(const struct noria_failure *failure,
			       size_t (*print)(const struct noria_failure *, char *, size_t))
{
	char *whole = text_of(failure, print), *part = malloc(strlen(whole) + 16);
	size_t length = strlen(whole);

	MUST(part);
	for (size_t size = 0; size <= length + 8; size++) {
		size_t written = size > length ? length : size > 0 ? size - 1 : 0;

		memset(part, 0x7e, length + 16);
		EXPECT(print(failure, part, size) == length);
		EXPECT(memcmp(part, whole, written) == 0);
		EXPECT(size == 0 || part[written] == 0);
		EXPECT(part[size] == 0x7e && part[size + 1] == 0x7e);
	}
	free(part);
	free(whole);
}

/* G27: as snprintf does. */
RULE(G27, printing_into_too_little_room)
{
	const struct noria_failure *failure = make_tree();

	print_in_all_sizes(failure, noria_failure_print);
	print_in_all_sizes(failure, noria_failure_json);
	return 0;
}

static int do_nothing(__attribute__((unused)) void *arg)
{
	return -EIO;
}

static const char *const hostile[] = {
	"quotes \" and \\ and / and \\u0041 and \\\"",
	"lines\nof\r\nforged output\n\n",
	"\x1b[31mred\x1b[0m \a\b\f\v\t\x01\x1f\x7f end",
	"latin \xe9\xff\xfe end",
	"cut \xe2\x82",
	"overlong \xc0\xaf and surrogate \xed\xa0\x80 and beyond \xf4\x90\x80\x80 end",
	"lone \x80\xbf continuation",
	"good \xc3\xa9 \xe2\x82\xac \xf0\x9f\x99\x82 end",
	"{\"causes\": [{}]}",
	"%s %n %d",
	"\n",
	"\x01",
	"\xff",
};

/* No control character but the ends of the lines, and as many lines as a harmless message makes. */
static void expect_harmless(const struct noria_failure *failure, size_t lines)
{
	char *text = text_of(failure, noria_failure_print);

	for (const char *at = text; *at; at++)
		EXPECT((unsigned char)*at >= ' ' || *at == '\n' || *at == '\t');
	EXPECT(strchr(text, 0x7f) == NULL);
	EXPECT(lines_of(text) == lines);
	free(text);
}

/* G27: messages that would forge lines, colour a terminal, or break out of a string. */
RULE(G27, hostile_messages)
{
	size_t lines;
	char *text;
	json_t *json;

	(void)noria_fail(-EIO, "harmless");
	text = text_of(noria_last_failure(), noria_failure_print);
	lines = lines_of(text);
	free(text);
	for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++) {
		EXPECT(noria_fail(-EIO, "%s", hostile[i]) == -EIO);
		expect_harmless(noria_last_failure(), lines);
		json = json_of(noria_last_failure());
		EXPECT(has_number(json, -EIO) && has_string(json, noria_task_name()));
		EXPECT(json_object_get(json, "causes") == NULL ||
		       json_array_size(json_object_get(json, "causes")) == 0);
		json_decref(json);
		print_in_all_sizes(noria_last_failure(), noria_failure_json);
	}
	return 0;
}

/* G27: what is valid comes out as it went in: escapes are undone by the parser, UTF-8 stays. */
RULE(G27, messages_come_out_of_the_json_unchanged)
{
	static const size_t valid[] = {0, 1, 2, 7, 8, 9, 10, 11};

	for (size_t i = 0; i < sizeof valid / sizeof valid[0]; i++) {
		json_t *json;

		(void)noria_fail(-EIO, "%s", hostile[valid[i]]);
		json = json_of(noria_last_failure());
		EXPECT(has_string(json, hostile[valid[i]]));
		json_decref(json);
	}
	return 0;
}

/* G27: names of tasks are hostile too. */
RULE(G27, hostile_names)
{
	for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++) {
		struct noria_group group;
		struct noria_spawn_options options = {.name = hostile[i]};
		json_t *json;
		char *text;

		MUST(noria_group_open(&group) == 0);
		MUST(noria_spawn_with(&group, do_nothing, NULL, &options) == 0);
		EXPECT(noria_group_close(&group, 0) == -EIO);
		MUST(noria_last_failure() && noria_last_failure()->causes);
		text = text_of(noria_last_failure(), noria_failure_print);
		expect_harmless(noria_last_failure(), lines_of(text));
		EXPECT(lines_of(text) <= 4);
		free(text);
		json = json_of(noria_last_failure());
		EXPECT(json_array_size(json_object_get(json, "causes")) == 1);
		json_decref(json);
	}
	return 0;
}

/* G27: a message that was cut off in the middle of a letter is valid JSON all the same. */
RULE(G27, a_message_cut_off_inside_a_letter)
{
	for (int shift = 0; shift < 4; shift++) {
		char text[400] = "abc";
		json_t *json;

		for (size_t i = (size_t)shift; i + 4 < sizeof text; i += 4)
			memcpy(text + i, "\xf0\x9f\x99\x82", 5);
		(void)noria_fail(-EIO, "%s", text);
		json = json_of(noria_last_failure());
		EXPECT(has_number(json, -EIO));
		json_decref(json);
	}
	return 0;
}

struct printed {
	const struct noria_failure *failure;
	char text[2048], json[4096];
	size_t text_length, json_length;
};

static int print_elsewhere(void *arg)
{
	struct printed *printed = arg;

	printed->text_length = noria_failure_print(printed->failure, printed->text, sizeof printed->text);
	printed->json_length = noria_failure_json(printed->failure, printed->json, sizeof printed->json);
	return 0;
}

/* G27: any thread may print a failure, while it is valid. */
RULE(G27, another_thread_prints)
{
	static struct printed printed;
	char *text, *json;

	printed.failure = make_tree();
	EXPECT(noria_offload(print_elsewhere, &printed) == 0);
	text = text_of(printed.failure, noria_failure_print);
	json = text_of(printed.failure, noria_failure_json);
	EXPECT(strlen(text) == printed.text_length && strcmp(text, printed.text) == 0);
	EXPECT(strlen(json) == printed.json_length && strcmp(json, printed.json) == 0);
	free(text);
	free(json);
	return 0;
}

/* As deep as `arg` says: a group in a child of a group in a child. */
static int go_deep(void *arg)
{
	int below = *(int *)arg - 1;
	struct noria_group group;

	if (below < 0)
		return noria_fail(-EIO, "the bottom");
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, go_deep, &below) == 0);
	return noria_group_close(&group, 0);
}

/* G09, G27: groups nested three hundred deep: made, printed, parsed and dropped on a task's small stack. */
RULE(G09, a_deep_tree_is_printed)
{
	int depth = 300, found = 0;
	json_t *json, *at;
	char *text;

	EXPECT(go_deep(&depth) == -EIO);
	MUST(noria_last_failure());
	text = text_of(noria_last_failure(), noria_failure_print);
	EXPECT(strstr(text, "the bottom") && lines_of(text) >= 301);
	free(text);
	json = json_of(noria_last_failure());
	for (at = json; at; at = json_array_get(json_object_get(at, "causes"), 0))
		found++;
	EXPECT(found == 301);
	json_decref(json);
	(void)noria_fail(-EPIPE, "another");
	EXPECT_NOTHING_TOLD();
	return 0;
}

static void print_one(const struct noria_failure *failure, void *arg)
{
	char *text = text_of(failure, noria_failure_print);
	json_t *json = json_of(failure);

	EXPECT(strstr(text, failure->text) && strchr(text, '\n'));
	EXPECT(strstr(text, "the inner one") == NULL || strstr(text, "the first one") == NULL);
	EXPECT(compare(json, failure) == 1);
	json_decref(json);
	free(text);
	++*(int *)arg;
}

/* G27: a failure within a list or a tree is printed by itself, without its siblings; in a handler of pick as well. */
RULE(G27, one_of_a_tree_is_printed)
{
	const struct noria_failure *second = make_tree()->causes->next;
	char *text = text_of(second, noria_failure_print);
	json_t *json = json_of(second);
	int picked = 0;

	EXPECT(strstr(text, "the inner one") && !strstr(text, "the first one"));
	EXPECT(compare(json, second) == 2);
	json_decref(json);
	free(text);
	EXPECT(noria_failure_pick(-EIO, 0, print_one, &picked) == 0 && picked == 2);
	return 0;
}

/* G27: codes that have no name are printed as numbers, up to the smallest there is. */
RULE(G27, codes_without_a_name)
{
	static const int codes[] = {-4000, -100000, INT_MIN + 1, INT_MIN};

	for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
		char number[16], *text;
		json_t *json;

		EXPECT(noria_fail(codes[i], "odd") == codes[i]);
		text = text_of(noria_last_failure(), noria_failure_print);
		snprintf(number, sizeof number, "%lld", -(long long)codes[i]);
		EXPECT(strstr(text, number) && !strstr(text, "(null)"));
		free(text);
		json = json_of(noria_last_failure());
		EXPECT(has_number(json, codes[i]));
		json_decref(json);
	}
	return 0;
}
