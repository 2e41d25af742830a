/* SPDX-License-Identifier: MIT */
/*
 * Children that the tests of groups and scopes spawn. Tasks are cooperative: whoever sees a flag that another task set
 * right before a call that parks knows that this task is parked by now. Nothing here depends on how long anything takes.
 */
#ifndef NORIA_TESTS_RULES_GROUP_TASKS_H
#define NORIA_TESTS_RULES_GROUP_TASKS_H

#include "rule.h"

#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

/* A child's life as its parent sees it. */
struct life {
	bool started; /* it is parked, or about to park without another switch */
	bool told;    /* it has been told of a cancel */
	bool go;      /* it may end its clean-up */
	bool ended;   /* its last instruction has run */
	int heard;    /* what its checkpoint answered */
	int result;   /* what it returns after a clean-up */
};

/* Wait as a call whose value can stand in noria_shielded(). */
static inline int until_set(const bool *flag)
{
	UNTIL(*flag);
	return 0;
}

/* So many turns for everybody else. */
static inline int yield_times(int times)
{
	while (times-- > 0)
		MUST(noria_yield() == 0);
	return 0;
}

/* Until the kernel has taken everything that was queued: an entry, good or bad, is answered after those before it. */
static inline int let_the_kernel_see(void)
{
	char byte;

	MUST(noria_read(-1, &byte, 1) == -EBADF);
	MUST(noria_read(-1, &byte, 1) == -EBADF); /* what the first answer has set going was queued before this one */
	return 0;
}

/* Until another thread has set a flag: turns cannot be counted here, the thread takes the time that it takes. */
static inline void until_thread(const atomic_bool *flag)
{
	while (!atomic_load(flag))
		MUST(noria_sleep(noria_usec(100)) == 0);
}

/* Sleeps for ever, and ends with what it is told. */
static inline int sleeper(void *arg)
{
	struct life *life = arg;

	life->started = true;
	life->heard = noria_sleep(NORIA_FOREVER);
	life->told = life->heard == -ECANCELED;
	life->ended = true;
	return life->heard;
}

/* Sleeps for ever; when it is told to stop it cleans up behind a shield until it may go, and returns `result`. */
static inline int cleaner(void *arg)
{
	struct life *life = arg;

	life->started = true;
	life->heard = noria_sleep(NORIA_FOREVER);
	life->told = life->heard == -ECANCELED;
	EXPECT(noria_shielded(NORIA_FOREVER, until_set(&life->go)) == 0);
	life->ended = true;
	return life->result;
}

/* Returns the number that is pointed to. */
static inline int returner(void *arg)
{
	return *(const int *)arg;
}

/* Sets a flag. */
static inline int setter(void *arg)
{
	*(bool *)arg = true;
	return 0;
}

struct failer {
	const bool *when; /* NULL: at once */
	int code;
};

/* Fails once a flag is set, and the kernel has seen what was queued before. */
static inline int failer(void *arg)
{
	const struct failer *failer = arg;

	if (failer->when) {
		UNTIL(*failer->when);
		let_the_kernel_see();
	}
	return failer->code;
}

struct scope_canceller {
	struct noria_scope *scope;
	const bool *when;
};

/* Cancels a scope once a flag is set, and the kernel has seen what was queued before. */
static inline int scope_canceller(void *arg)
{
	const struct scope_canceller *canceller = arg;

	UNTIL(*canceller->when);
	let_the_kernel_see();
	noria_scope_cancel(canceller->scope);
	return 0;
}

static inline void socket_pair(int fd[2])
{
	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) == 0);
}

static inline void close_pair(const int fd[2])
{
	EXPECT(close(fd[0]) == 0);
	EXPECT(close(fd[1]) == 0);
}

/* noria_message() names this line of this file. */
static inline bool message_names(const char *file, int line)
{
	char place[256];

	snprintf(place, sizeof place, "%s:%d", file, line);
	return strstr(noria_message(), place) != NULL;
}

#endif
