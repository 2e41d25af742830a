/* SPDX-License-Identifier: MIT */
/* R15: nor does a task starve anybody whose calls are answered at once, with a refusal or because there is nothing to wait for. */
#include "rule.h"

static struct noria_mutex mutex, other;
static struct noria_rwlock rwlock;
static struct noria_once once;
static struct noria_condition condition;
static struct noria_barrier broken, empty;
static struct noria_semaphore semaphore = NORIA_SEMAPHORE_MAX(1, 1);
static struct noria_child child, never;
static struct noria_group collecting;

static int nothing(__attribute__((unused)) void *arg)
{
	return 0;
}

static int lock(__attribute__((unused)) void *arg)
{
	return noria_mutex_lock(&mutex);
}

static int lock_rwlock(__attribute__((unused)) void *arg)
{
	return noria_rwlock_wrlock(&rwlock);
}

static int wait_with_another(__attribute__((unused)) void *arg)
{
	return noria_condition_wait(&condition, &mutex);
}

static int wait_unlocked(__attribute__((unused)) void *arg)
{
	return noria_condition_wait(&condition, &other);
}

static int wait_at_a_broken_barrier(__attribute__((unused)) void *arg)
{
	return noria_barrier_wait(&broken);
}

static int wait_at_an_empty_barrier(__attribute__((unused)) void *arg)
{
	return noria_barrier_wait(&empty);
}

static int acquire_too_much(__attribute__((unused)) void *arg)
{
	return noria_semaphore_acquire_many(&semaphore, 2);
}

static int run_no_function(__attribute__((unused)) void *arg)
{
	return noria_once(&once, NULL, NULL);
}

static int receive(__attribute__((unused)) void *arg)
{
	static struct noria_channel channel;
	int item;

	return noria_channel_recv(&channel, &item);
}

static int send_item(__attribute__((unused)) void *arg)
{
	static struct noria_channel channel;
	int item = 0;

	return noria_channel_send(&channel, &item);
}

static int receive_broadcast(__attribute__((unused)) void *arg)
{
	static struct noria_subscriber subscriber;
	int item;

	return noria_broadcast_recv(&subscriber, &item);
}

static int send_broadcast(__attribute__((unused)) void *arg)
{
	static struct noria_broadcast broadcast;
	int item = 0;

	return noria_broadcast_send(&broadcast, &item);
}

static int wait_for_no_promise(__attribute__((unused)) void *arg)
{
	static struct noria_promise promise;

	return noria_promise_wait(&promise, NULL);
}

static int select_none(__attribute__((unused)) void *arg)
{
	return noria_select(NULL, 0);
}

static int offload_nothing(__attribute__((unused)) void *arg)
{
	return noria_offload(NULL, NULL);
}

static int wait_for_an_ended_child(__attribute__((unused)) void *arg)
{
	return noria_child_wait(&child, NULL);
}

static int wait_for_no_child(__attribute__((unused)) void *arg)
{
	return noria_child_wait(&never, NULL);
}

static int next_of_nothing(__attribute__((unused)) void *arg)
{
	struct noria_result result;

	return noria_group_next(&collecting, &result);
}

static int open_and_close(__attribute__((unused)) void *arg)
{
	struct noria_group group = {0};

	MUST(noria_group_open(&group) == 0);
	return noria_group_close(&group, 0);
}

static const struct answer {
	const char *name;
	noria_task_fn *call;
	int answer;
	bool refuses; /* and says why */
} answers[] = {
	{"mutex", lock, -EDEADLK, true},
	{"rwlock", lock_rwlock, -EDEADLK, true},
	{"condition, another mutex", wait_with_another, -EINVAL, true},
	{"condition, not locked", wait_unlocked, -EPERM, true},
	{"barrier, broken", wait_at_a_broken_barrier, -EPIPE, true},
	{"barrier, empty", wait_at_an_empty_barrier, -EINVAL, true},
	{"semaphore", acquire_too_much, -EINVAL, true},
	{"once, no function", run_no_function, -EINVAL, true},
	{"receive", receive, -EINVAL, true},
	{"send", send_item, -EINVAL, true},
	{"broadcast, receive", receive_broadcast, -EINVAL, true},
	{"broadcast, send", send_broadcast, -EINVAL, true},
	{"promise", wait_for_no_promise, -EINVAL, true},
	{"select", select_none, -EINVAL, true},
	{"offload", offload_nothing, -EINVAL, true},
	{"child, ended", wait_for_an_ended_child, 0, false},
	{"child, never spawned", wait_for_no_child, -EINVAL, true},
	{"next", next_of_nothing, 0, false},
	{"group", open_and_close, 0, false},
};

enum { CALLS = 1000 };

static bool seen;

/* The other task refuses something too, and has a message of its own. */
static int see(__attribute__((unused)) void *arg)
{
	EXPECT(noria_spawn(&collecting, NULL, NULL) == -EINVAL);
	seen = true;
	return 0;
}

static int call_again_and_again(const struct answer *answer, struct noria_group *others)
{
	char text[300];

	seen = false;
	MUST(noria_spawn(others, see, NULL) == 0);
	for (int i = 0; i < CALLS && !seen; i++) {
		int r = answer->call(NULL);

		cr_expect(r == answer->answer, "%s answers %d", answer->name, r);
		if (i == 0)
			snprintf(text, sizeof text, "%s", noria_message());
		cr_expect(!answer->refuses || strncmp(text, noria_message(), sizeof text - 1) == 0, "%s: %s",
			  answer->name, noria_message());
	}
	cr_expect(seen, "%s starves the others", answer->name);
	return 0;
}

static int wait_locked(__attribute__((unused)) void *arg)
{
	MUST(noria_mutex_lock(&other) == 0);
	EXPECT(noria_condition_wait(&condition, &other) == -ECANCELED);
	return noria_mutex_unlock(&other);
}

static int give_up(__attribute__((unused)) void *arg)
{
	struct noria_scope scope;

	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
	noria_scope_cancel(&scope);
	EXPECT(noria_barrier_wait(&broken) == -ECANCELED);
	return (int)noria_scope_close(&scope, 0);
}

static void prepare(struct noria_group *group)
{
	struct noria_spawn_options options = {.child = &child};

	MUST(noria_mutex_lock(&mutex) == 0 && noria_rwlock_wrlock(&rwlock) == 0);
	MUST(noria_spawn_with(group, nothing, NULL, &options) == 0);
	MUST(noria_spawn(group, wait_locked, NULL) == 0);
	MUST(noria_spawn(group, give_up, NULL) == 0);
	UNTIL(noria_child_ended(&child));
	MUST(noria_yield() == 0 && noria_yield() == 0);
}

/* R15: whatever is asked again and again: another task runs, and what it is told does not take the message away. */
RULE(R15, an_answer_at_once_counts_against_the_turn)
{
	struct noria_group_options collect = {.policy = NORIA_COLLECT};
	struct noria_group group = {0}, others = {0};

	broken = (struct noria_barrier)NORIA_BARRIER(3);
	MUST(noria_group_open(&group) == 0);
	prepare(&group);
	MUST(noria_group_open(&others) == 0);
	MUST(noria_group_open_with(&collecting, &collect) == 0);
	for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++)
		MUST(call_again_and_again(&answers[i], &others) == 0);
	EXPECT(noria_group_close(&collecting, 0) == 0);
	EXPECT(noria_group_close(&others, 0) == 0);
	noria_group_cancel(&group);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(noria_mutex_unlock(&mutex) == 0 && noria_rwlock_unlock(&rwlock) == 0);
	return 0;
}

/* R15: and the task's own deadline reaches it. */
RULE(R15, a_broken_barrier_is_no_trap)
{
	struct noria_group group = {0};
	int r;

	broken = (struct noria_barrier)NORIA_BARRIER(3);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, give_up, NULL) == 0);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(noria_within(noria_msec(2), ({
				    while ((r = noria_barrier_wait(&broken)) == -EPIPE)
					    ;
				    r;
			    })) == -ETIMEDOUT);
	return 0;
}
