/* SPDX-License-Identifier: MIT */
/* The event: a flag to wait for. Who waits is told when it is set, and need not find it set when it runs. */
#include "sync/select.h"
#include "sync/sync.h"

#include <errno.h>
#include <stdio.h>

struct event {
	struct waiters waiters;
	bool set;
};

_Static_assert(sizeof(struct event) <= sizeof(struct noria_event), "struct noria_event is too small");
_Static_assert(_Alignof(struct event) <= _Alignof(struct noria_event), "struct noria_event is aligned too little");

struct event_wait {
	struct turn turn;
	const struct event *event;
	const struct noria_site *site;
};

static struct event *from_public(const struct noria_event *event)
{
	return (struct event *)(uintptr_t)event;
}

static void describe(const struct wait *wait, char *text, size_t size)
{
	const struct event_wait *waiting = container_of(wait, struct event_wait, turn.wait);

	snprintf(text, size, "waits at %s:%d for the event at %p to be set", waiting->site->file, waiting->site->line,
		 (const void *)waiting->event);
}

static const struct wait_class event_class = {.abandon = noria_turn_abandon, .describe = describe};

int noria_event_wait_at(struct noria_event *storage, const struct noria_site *site)
{
	struct event *event = from_public(storage);
	struct task *task = noria_current();
	struct event_wait wait = {.event = event, .site = site};
	int r;

	if (!task)
		return -ENXIO;
	r = sync_door(task, event->set);
	if (r < 0)
		return r;
	return event->set ? 0 : noria_turn_wait(&wait.turn, task, &event->waiters, &event_class);
}

int noria_event_set(struct noria_event *storage)
{
	struct event *event = from_public(storage);

	if (!noria_current())
		return -ENXIO;
	event->set = true;
	while (noria_waiters_tell_first(&event->waiters))
		;
	return 0;
}

int noria_event_clear(struct noria_event *storage)
{
	if (!noria_current())
		return -ENXIO;
	from_public(storage)->set = false;
	return 0;
}

bool noria_event_is_set(const struct noria_event *storage)
{
	return from_public(storage)->set;
}

static bool attempt(struct arm *arm, bool thorough)
{
	(void)thorough;
	arm->result = 0;
	return from_public(arm->object)->set;
}

static void enlist(struct arm *arm)
{
	noria_arm_append(arm, &from_public(arm->object)->waiters);
}

static void describe_arm(const struct arm *arm, char *text, size_t size)
{
	snprintf(text, size, "the event at %p", arm->object);
}

const struct arm_class noria_arm_event = {
	.attempt = attempt,
	.enlist = enlist,
	.delist = noria_arm_remove,
	.describe = describe_arm,
};
