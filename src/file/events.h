/* SPDX-License-Identifier: MIT */
/*
 * A descriptor that tells of events, many in one read: what inotify and fanotify have in common. Events that were read
 * stay in the buffer until they are asked for, one by one.
 */
#ifndef NORIA_FILE_EVENTS_H
#define NORIA_FILE_EVENTS_H

#include "scope/scope.h"

#include <stdbool.h>
#include <stddef.h>

enum { EVENTS_SIZE = 8192 };

struct events {
	struct leftover leftover;  /* closed for the task that forgets it */
	void (*drop)(void *event); /* one that nobody will ask for; NULL: nothing to do */
	size_t (*length)(const void *event);
	int fd;
	bool inside;  /* a task waits for the next one */
	bool closing; /* and another has closed it meanwhile */
	size_t size, position;
	_Alignas(16) char buffer[EVENTS_SIZE];
};

/* On the heap; `fd` is the object's from now on, also on failure. */
int noria_events_new(struct task *task, int fd, const struct noria_site *site, struct events **ret_events);
/* Wait for the next: 0 and a pointer to it, valid until the next call; or a negative errno. A checkpoint, and idle. */
int noria_events_next(struct events *events, const void **ret_event);
/* Always completes; NULL is fine. */
void noria_events_close(struct events *events);

#endif
