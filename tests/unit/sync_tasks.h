/* SPDX-License-Identifier: MIT */
/*
 * A task that comes to a primitive, gets in or not, stays until it may go, and leaves. Each has a scope of its own around
 * the entering, by which it can be cancelled. Tasks are cooperative: one that has `started` is parked in its call.
 */
#ifndef NORIA_TESTS_UNIT_SYNC_TASKS_H
#define NORIA_TESTS_UNIT_SYNC_TASKS_H

#include "unit.h"

#include "task/loop.h"
#include "task/wait.h"

struct visit {
	int (*enter)(void *thing);
	int (*leave)(void *thing); /* NULL: nothing to do */
	void *thing;
	int *counter; /* counted on by those who get in */
	struct noria_scope scope;
	int result, after, closed; /* of entering, of the next checkpoint, of the scope */
	int order;                 /* the counter's, 0: it did not get in */
	struct task *task;
	bool go; /* it may leave */
	bool started, inside, ended;
};

static inline int visitor(void *arg)
{
	struct visit *visit = arg;

	visit->task = noria_loop->current;
	MUST(noria_scope_open(&visit->scope, NORIA_FOREVER, 0) == 0);
	visit->started = true;
	visit->result = visit->enter(visit->thing);
	if (visit->result >= 0)
		visit->order = ++*visit->counter;
	visit->inside = visit->result >= 0;
	visit->after = noria_check();
	visit->closed = (int)noria_scope_close(&visit->scope, visit->after);
	if (visit->inside) {
		while (!visit->go)
			MUST(noria_yield() == 0);
		visit->inside = false;
		if (visit->leave)
			EXPECT_EQ(visit->leave(visit->thing), 0);
	}
	visit->ended = true;
	return 0;
}

/* Spawn a visitor, and let it run until it is parked in its call, or inside. */
static inline void come(struct noria_group *group, struct visit *visit)
{
	MUST(noria_spawn(group, visitor, visit) == 0);
	UNTIL(visit->started);
}

/* What the parked visitor says of its wait holds this text. */
static inline bool says(const struct visit *visit, const char *part)
{
	char text[512];

	visit->task->wait->class->describe(visit->task->wait, text, sizeof text);
	return strstr(text, part) != NULL;
}

/* noria_message() names this line of the calling test's file. */
static inline bool names(const char *file, int line)
{
	char place[256];

	snprintf(place, sizeof place, "%s:%d", file, line);
	return strstr(noria_message(), place) != NULL;
}

/* So many turns for everybody else. */
static inline void turns(int times)
{
	while (times-- > 0)
		MUST(noria_yield() == 0);
}

#endif
