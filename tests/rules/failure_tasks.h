/* SPDX-License-Identifier: MIT */
/*
 * What the tests of failures share: children that fail with a message, a way to say what a list of failures must be, and a
 * handler that remembers all that it was told, down to the leaves. A failure handler's tree is gone when it returns, so
 * what is remembered is copied.
 */
#ifndef NORIA_TESTS_RULES_FAILURE_TASKS_H
#define NORIA_TESTS_RULES_FAILURE_TASKS_H

#include "group_tasks.h"

/* Fails with a message once a flag is set. */
struct teller {
	const bool *when; /* NULL: at once */
	int code;
	const char *text;
	bool *then; /* set when it fails; may be NULL */
};

static inline int teller(void *arg)
{
	const struct teller *teller = arg;

	if (teller->when)
		UNTIL(*teller->when);
	if (teller->then)
		*teller->then = true;
	return noria_fail(teller->code, "%s", teller->text);
}

/* Returns a number once a flag is set. */
struct finisher {
	const bool *when;
	int result;
	bool *then; /* set when it ends; may be NULL */
};

static inline int finisher(void *arg)
{
	const struct finisher *finisher = arg;

	if (finisher->when)
		UNTIL(*finisher->when);
	if (finisher->then)
		*finisher->then = true;
	return finisher->result;
}

static inline int until_size(const struct noria_group *group, size_t size)
{
	UNTIL(noria_group_size(group) == size);
	return 0;
}

/* The codes of a list of failures, in order, and no further ones. */
static inline bool list_is(const struct noria_failure *list, const int *codes, size_t count)
{
	for (size_t i = 0; i < count; i++, list = list->next)
		if (!list || list->code != codes[i])
			return false;
	return list == NULL;
}

#define CODES_(...) (const int[]){__VA_ARGS__}, sizeof((const int[]){__VA_ARGS__}) / sizeof(int)
/* The causes of a failure have these codes. */
#define CAUSES_ARE(failure, ...) ((failure) && list_is((failure)->causes, CODES_(__VA_ARGS__)))

struct leaf {
	int code;
	uint64_t task_id;
	char text[NORIA_FAILURE_TEXT_MAX];
};

/* The failures of a tree that have no causes themselves. */
struct leaves {
	int told; /* calls of the handler */
	int count;
	struct leaf leaf[64];
};

static inline void add_leaves(struct leaves *leaves, const struct noria_failure *failure)
{
	if (!failure->causes) {
		struct leaf *leaf = &leaves->leaf[leaves->count % 64];

		leaves->count++;
		leaf->code = failure->code;
		leaf->task_id = failure->task_id;
		snprintf(leaf->text, sizeof leaf->text, "%s", failure->text ? failure->text : "");
	}
	for (const struct noria_failure *cause = failure->causes; cause; cause = cause->next)
		add_leaves(leaves, cause);
}

static inline bool leaves_are(const struct leaves *leaves, const int *codes, size_t count)
{
	bool same = (size_t)leaves->count == count;

	for (size_t i = 0; same && i < count; i++)
		same = leaves->leaf[i].code == codes[i];
	return same;
}

/* The leaves of a failure's tree have these codes, from the first to the last. */
static inline bool tree_is(const struct noria_failure *failure, const int *codes, size_t count)
{
	struct leaves leaves = {0};

	if (!failure)
		return false;
	add_leaves(&leaves, failure);
	return leaves_are(&leaves, codes, count);
}

#define LEAVES_ARE(leaves, ...) leaves_are((leaves), CODES_(__VA_ARGS__))
#define TREE_IS(failure, ...)   tree_is((failure), CODES_(__VA_ARGS__))

/* What the failure handler was told, in a runtime with `told_config`. */
static struct leaves told __attribute__((unused));

static inline void hear_leaves(const struct noria_failure *failure, __attribute__((unused)) const char *text, void *arg)
{
	struct leaves *leaves = arg;

	leaves->told++;
	add_leaves(leaves, failure);
}

static const struct noria_config told_config
	__attribute__((unused)) = {.on_failure = hear_leaves, .on_failure_arg = &told};

/* A failure of a runtime that nobody configured is told of once more than expected: the message names it. */
#define EXPECT_NOTHING_TOLD() \
	cr_expect(rule_heard.count == 0, "the handler heard %d, the last of code %d", rule_heard.count, \
		  rule_heard.last.code)

#endif
