/* SPDX-License-Identifier: MIT */
/*
 * What the tests of channels, selects and promises share: a task that makes one call in a scope of its own, which the test can
 * cancel, and tells how that went. Tasks are cooperative: once `started` is seen, it is parked in the call or past it.
 */
#ifndef NORIA_TESTS_UNIT_CHANNEL_TASKS_H
#define NORIA_TESTS_UNIT_CHANNEL_TASKS_H

#include "task/loop.h"
#include "task/wait.h"
#include "unit.h"

struct actor {
	int (*call)(struct actor *actor);
	void *object;
	int64_t item;
	int result;    /* what the call answered */
	int afterward; /* what a checkpoint in the same scope answered then */
	bool started, ended;
	int *order; /* if set: counts the actors that have ended */
	int place;  /* and which one this was */
	struct noria_scope scope;
};

static inline int act(void *arg)
{
	struct actor *actor = arg;

	MUST(noria_scope_open(&actor->scope, NORIA_FOREVER, 0) == 0);
	actor->started = true;
	actor->result = actor->call(actor);
	actor->afterward = noria_check();
	EXPECT(noria_scope_close(&actor->scope, 0) == 0);
	actor->ended = true;
	if (actor->order)
		actor->place = (*actor->order)++;
	return 0;
}

/* Spawn it, and let it run until it parks or ends. */
static inline void start(struct noria_group *group, struct actor *actor, int (*call)(struct actor *), void *object,
			 int64_t item)
{
	actor->call = call;
	actor->object = object;
	actor->item = item;
	MUST(noria_spawn(group, act, actor) == 0);
	UNTIL(actor->started);
}

static inline int call_send(struct actor *actor)
{
	return noria_channel_send(actor->object, &actor->item);
}

static inline int call_recv(struct actor *actor)
{
	return noria_channel_recv(actor->object, &actor->item);
}

/* What the task that has parked last says that it waits for. */
static inline const char *waits_for(char *text, size_t size)
{
	struct list *node = noria_loop->tasks.prev;
	struct task *task = list_entry(node, struct task, all);

	MUST(task->wait);
	task->wait->class->describe(task->wait, text, size);
	return text;
}

#endif
