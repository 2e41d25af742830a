/* SPDX-License-Identifier: MIT */
/* Events in a buffer. Closing it under the task that waits leaves the freeing to that task. */
#include "file/events.h"

#include "base/memory.h"
#include "base/message.h"
#include "noria/file.h"
#include "noria/op.h"
#include "task/storage.h"

#include <errno.h>
#include <stdlib.h>

static void free_events(struct events *events)
{
	for (; events->position < events->size; events->position += events->length(events->buffer + events->position))
		if (events->drop)
			events->drop(events->buffer + events->position);
	free(events);
}

/* The descriptor goes first: that ends the wait of whoever is inside. */
static void close_events(struct events *events)
{
	bool inside = events->inside;

	leftover_remove(&events->leftover);
	events->closing = true;
	(void)noria_close(events->fd);
	if (!inside)
		free_events(events);
}

static bool close_leftover(struct leftover *leftover)
{
	close_events(container_of(leftover, struct events, leftover));
	return true;
}

int noria_events_new(struct task *task, int fd, const struct noria_site *site, struct events **ret_events)
{
	struct events *events = memory_new(sizeof *events);

	if (!events) {
		(void)noria_close(fd);
		return noria_refuse(-ENOMEM, "no memory for %s", site->what);
	}
	*events = (struct events){.fd = fd};
	events->leftover = (struct leftover){.task = task, .site = site, .close = close_leftover, .waits = true};
	leftover_add(&events->leftover);
	*ret_events = events;
	return 0;
}

/* Read until there is one. */
static int fill(struct events *events)
{
	ssize_t n = 0;

	while (n == 0) {
		n = noria_idle(noria_read(events->fd, events->buffer, sizeof events->buffer));
		if (n == -EINTR)
			n = 0;
	}
	if (n > 0) {
		events->size = (size_t)n;
		events->position = 0;
	}
	return n < 0 ? (int)n : 0;
}

static int next(struct events *events, struct task *task, const void **ret_event)
{
	int r = 0;

	if (events->position < events->size)
		task_spend(task); /* what is in the buffer costs no switch */
	r = noria_idle(noria_check());
	if (r == 0 && events->position >= events->size && !events->closing)
		r = fill(events);
	if (r < 0 || events->closing)
		return r < 0 ? r : -EBADF;
	*ret_event = events->buffer + events->position;
	events->position += events->length(*ret_event);
	return 0;
}

int noria_events_next(struct events *events, const void **ret_event)
{
	struct task *task = noria_current();
	const void *event;
	int r;

	if (!task)
		return -ENXIO;
	if (events->inside)
		return task_answer(task, noria_refuse(-EINVAL, "another task waits for these events"));
	events->inside = true;
	r = next(events, task, &event);
	events->inside = false;
	if (events->closing) {
		if (r == 0 && events->drop)
			events->drop((void *)(uintptr_t)event);
		free_events(events);
		return -EBADF;
	}
	if (r == 0)
		*ret_event = event;
	return r;
}

void noria_events_close(struct events *events)
{
	if (events && noria_current())
		close_events(events);
}
