/* SPDX-License-Identifier: MIT */
/*
 * S06: what a shield keeps out may be the only thing that would have ended a wait. A build with checks refuses waits in a
 * shield of the program's that has no deadline; here the checks are switched on by hand.
 */
#include "group_tasks.h"
#include "noria/offload.h"
#include "scope/scope.h"

static int nothing(__attribute__((unused)) void *arg)
{
	return 0;
}

static bool refused(int64_t r, int line)
{
	return r == -EINVAL && message_names(__FILE__, line) && strstr(noria_message(), "noria_shielded");
}

/* S06: every kind of wait; the message names the shield's place and the task. */
RULE(S06, a_wait_in_a_shield_without_a_deadline_is_refused)
{
	struct noria_scope shield;
	int fd[2], line = __LINE__ + 5;
	char byte;

	socket_pair(fd);
	noria_checks = true;
	MUST(noria_scope_open(&shield, NORIA_FOREVER, NORIA_SCOPE_SHIELD) == 0);
	EXPECT(refused(noria_sleep(NORIA_FOREVER), line));
	EXPECT(strstr(noria_message(), noria_task_name()) != NULL);
	EXPECT(refused(noria_recv(fd[0], &byte, 1, 0), line));
	EXPECT(refused(noria_send(fd[0], "x", 1, 0), line));
	EXPECT(refused(noria_offload(nothing, NULL), line));
	EXPECT(noria_yield() == 0 && noria_check() == 0);
	EXPECT(noria_close(fd[0]) == 0 && noria_close(fd[1]) == 0);
	EXPECT(noria_scope_close(&shield, 0) == 0);
	EXPECT(noria_sleep(noria_usec(200)) == 0);
	return 0;
}

/* S06: in a scope opened inside as well, and in the children of a group; the join is no such wait. */
RULE(S06, scopes_and_tasks_inside_such_a_shield_are_refused_too)
{
	struct noria_group group;
	struct life life = {0};
	struct noria_scope shield, inner;
	int line = __LINE__ + 3;

	noria_checks = true;
	MUST(noria_scope_open(&shield, NORIA_FOREVER, NORIA_SCOPE_SHIELD) == 0);
	MUST(noria_scope_open(&inner, NORIA_FOREVER, 0) == 0);
	EXPECT(refused(noria_sleep(NORIA_FOREVER), line));
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, sleeper, &life) == 0);
	EXPECT(noria_group_close(&group, 0) == -EINVAL && life.heard == -EINVAL);
	EXPECT(noria_scope_close(&inner, 0) == 0);
	EXPECT(noria_scope_close(&shield, 0) == 0);
	return 0;
}

/* S06: a deadline of the shield, or of a scope inside it, will do, given at once or later; taken away it is missed. */
RULE(S06, a_deadline_inside_will_do)
{
	struct noria_scope shield;

	noria_checks = true;
	EXPECT(noria_shielded(noria_sec(1000), noria_sleep(noria_usec(200))) == 0);
	EXPECT(noria_shielded(NORIA_FOREVER, noria_within(noria_sec(1000), noria_sleep(1))) == 0);
	EXPECT(noria_shielded(NORIA_FOREVER, noria_sleep(NORIA_FOREVER)) == -EINVAL);
	MUST(noria_scope_open(&shield, NORIA_FOREVER, NORIA_SCOPE_SHIELD) == 0);
	EXPECT(noria_sleep(NORIA_FOREVER) == -EINVAL);
	MUST(noria_scope_set_deadline(&shield, noria_now() + noria_sec(1000)) == 0);
	EXPECT(noria_sleep(noria_usec(200)) == 0);
	MUST(noria_scope_set_deadline(&shield, NORIA_FOREVER) == 0);
	EXPECT(noria_sleep(NORIA_FOREVER) == -EINVAL);
	MUST(noria_scope_unshield(&shield) == 0);
	EXPECT(noria_sleep(noria_usec(200)) == 0);
	EXPECT(noria_scope_close(&shield, 0) == 0);
	return 0;
}

/* S06: a cancel is told all the same, and a task that ignores the refusal does not keep the others from running. */
RULE(S06, a_refused_wait_counts_as_a_turn)
{
	struct noria_group group;
	struct noria_scope shield;
	bool ran = false;

	noria_checks = true;
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, setter, &ran) == 0);
	MUST(noria_scope_open(&shield, NORIA_FOREVER, NORIA_SCOPE_SHIELD) == 0);
	for (int i = 0; i < 1000; i++)
		EXPECT(noria_sleep(NORIA_FOREVER) == -EINVAL);
	EXPECT(ran);
	noria_scope_cancel(&shield);
	EXPECT(noria_sleep(1) == -ECANCELED);
	EXPECT(noria_scope_close(&shield, 0) == 0);
	EXPECT(noria_group_close(&group, 0) == 0);
	return 0;
}

/* S06: an automatic scope is closed by whatever leaves its block. */
RULE(S06, an_automatic_scope_closes_itself)
{
	for (int i = 0; i < 2; i++) {
		noria_autoscope struct noria_scope scope = {0};

		if (i == 0)
			continue; /* never opened */
		MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
		noria_scope_cancel(&scope);
		EXPECT(noria_check() == -ECANCELED);
	}
	EXPECT(noria_check() == 0);
	return 0;
}
