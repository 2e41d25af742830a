/* SPDX-License-Identifier: MIT */
/*
 * What the time rules wait in. The same rule must hold however a wait is timed: a sleep by the loop's heap, a receive by
 * its linked timeout (in the `linked` variant), a join through what its children wait in. So each test runs through
 * all kinds: for (int kind = 0; kind < WAITS; kind++).
 */
#ifndef NORIA_TESTS_RULES_TIME_WAITS_H
#define NORIA_TESTS_RULES_TIME_WAITS_H

#include "rule.h"

#include <unistd.h>

enum { WAIT_SLEEP, WAIT_RECEIVE, WAIT_JOIN, WAITS };

static inline int waits_sleep(__attribute__((unused)) void *arg)
{
	return noria_sleep(NORIA_FOREVER);
}

static inline ssize_t waits_receive(void)
{
	int pair[2];
	char byte;
	ssize_t r;

	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	r = noria_recv(pair[0], &byte, 1, 0);
	close(pair[0]);
	close(pair[1]);
	return r;
}

static inline ssize_t waits_join(void)
{
	struct noria_group group = {0};

	MUST(noria_group_open(&group) == 0);
	/* In a cancelled scope nobody can be spawned, and the close says so. */
	EXPECT(noria_spawn(&group, waits_sleep, NULL) <= 0);
	return noria_group_close(&group, 0);
}

/* A wait that only a cancel or a deadline ends. */
static inline ssize_t wait_forever(int kind)
{
	switch (kind) {
	case WAIT_SLEEP:
		return waits_sleep(NULL);
	case WAIT_RECEIVE:
		return waits_receive();
	default:
		return waits_join();
	}
}

/* Burn time without any checkpoint, and without letting the loop look at its clock. */
static inline void spin_until(int64_t time_ns)
{
	while (noria_now() <= time_ns)
		;
}

#endif
