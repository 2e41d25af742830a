/* SPDX-License-Identifier: MIT */
/* G18, G22: refusals that name both places, and refuse what comes from another thread. */
#include "group_tasks.h"

#include <pthread.h>

/* G22: closing twice names where it was opened, and where it was closed. */
RULE(G22, closing_twice_names_both_places)
{
	struct noria_scope scope;
	struct noria_group group;
	int opened, closed;

	opened = __LINE__ + 1;
	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
	closed = __LINE__ + 1;
	EXPECT(noria_scope_close(&scope, 0) == 0);
	EXPECT(noria_scope_close(&scope, 0) == -EINVAL);
	EXPECT(message_names(__FILE__, opened) && message_names(__FILE__, closed));
	opened = __LINE__ + 1;
	MUST(noria_group_open(&group) == 0);
	closed = __LINE__ + 1;
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(noria_group_close(&group, 0) == -EINVAL);
	EXPECT(message_names(__FILE__, opened) && message_names(__FILE__, closed));
	return 0;
}

/* G18: spawning into a closed group names where that was closed. */
RULE(G18, spawning_too_late_names_both_places)
{
	struct noria_group group;
	bool ran = false;
	int closed;

	MUST(noria_group_open(&group) == 0);
	closed = __LINE__ + 1;
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(noria_spawn(&group, setter, &ran) == -EINVAL);
	EXPECT(message_names(__FILE__, closed) && message_names(__FILE__, __LINE__ - 1));
	return 0;
}

static void *meddle(void *arg)
{
	struct noria_scope *scope = arg;

	noria_scope_cancel(scope);
	EXPECT(strstr(noria_message(), "thread without a runtime") != NULL);
	EXPECT(noria_scope_set_deadline(scope, 0) == -EINVAL);
	EXPECT(noria_scope_set_grace(scope, 0) == -EINVAL);
	EXPECT(noria_scope_drain(scope, 0) == -EINVAL);
	EXPECT(noria_scope_unshield(scope) == -EINVAL);
	return NULL;
}

/* G22: a scope belongs to its runtime's thread: others are refused, and nothing has changed. */
RULE(G22, other_threads_are_refused)
{
	struct noria_scope scope;
	pthread_t thread;

	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
	MUST(pthread_create(&thread, NULL, meddle, &scope) == 0);
	MUST(pthread_join(thread, NULL) == 0);
	EXPECT(noria_check() == 0);
	EXPECT(noria_scope_cause(&scope, NULL) == NORIA_CAUSE_NONE);
	EXPECT(noria_scope_close(&scope, 3) == 3);
	return 0;
}

static int copy_is_null(void *arg)
{
	return arg == NULL ? 0 : -EIO;
}

/* G30: a copy of nothing is nothing, and nothing cannot be copied from. */
RULE(G30, a_copy_of_no_bytes)
{
	struct noria_group group;

	MUST(noria_group_open(&group) == 0);
	EXPECT(noria_spawn_copy(&group, copy_is_null, "x", 0) == 0);
	EXPECT(noria_spawn_copy(&group, copy_is_null, NULL, 4) == -EINVAL);
	EXPECT(noria_group_close(&group, 0) == 0);
	return 0;
}

/* T07: deadlines that lie behind count from the first checkpoint on, within the same turn, whatever is ready. */
RULE(T07, deadlines_in_the_past)
{
	struct noria_scope scope;
	struct noria_group group;
	int fd[2];
	char byte;

	socket_pair(fd);
	MUST(noria_send(fd[1], "x", 1, 0) == 1);
	MUST(noria_scope_open(&scope, noria_now(), 0) == 0);
	EXPECT(noria_recv(fd[0], &byte, 1, 0) == -ECANCELED);
	EXPECT(noria_scope_close(&scope, -ECANCELED) == -ETIMEDOUT);
	MUST(noria_group_open_until(&group, noria_now()) == 0);
	EXPECT(noria_recv(fd[0], &byte, 1, 0) == -ECANCELED);
	EXPECT(noria_group_close(&group, -ECANCELED) == -ETIMEDOUT);
	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
	EXPECT(noria_scope_set_deadline(&scope, noria_now()) == 0);
	EXPECT(noria_recv(fd[0], &byte, 1, 0) == -ECANCELED);
	EXPECT(noria_scope_close(&scope, -ECANCELED) == -ETIMEDOUT);
	EXPECT(noria_recv(fd[0], &byte, 1, 0) == 1);
	close_pair(fd);
	return 0;
}

static struct noria_mutex mutex;
static struct noria_condition condition;

static int wait_for_the_condition(void *arg)
{
	bool *waiting = arg;

	noria_try(noria_mutex_lock(&mutex));
	*waiting = true;
	return noria_locked(&mutex, 0) == -EDEADLK ? noria_condition_wait(&condition, &mutex) : 0;
}

static int forget_everything(__attribute__((unused)) void *arg)
{
	static struct noria_group group; /* it lasts longer than the frame */
	bool waiting = false;

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, wait_for_the_condition, &waiting) == 0);
	UNTIL(waiting);
	return noria_mutex_lock(&mutex);
}

/* S15: the locks of a task that has ended are free before anybody waits for its children. */
RULE(S15, forgotten_locks_come_before_forgotten_groups)
{
	struct noria_group group;

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, forget_everything, NULL) == 0);
	EXPECT(noria_group_close(&group, 0) == -EINVAL);
	EXPECT(noria_mutex_trylock(&mutex) == 0);
	EXPECT(noria_mutex_unlock(&mutex) == 0);
	return 0;
}
