/* SPDX-License-Identifier: MIT */
/*
 * Offloaded calls: who waits for them, who may give them up, and how many there can be. The executor of these tests has
 * one thread and one place in its queue; calls are held back by a semaphore.
 */
#include "noria/offload.h"
#include "ring_inside.h"
#include "task/wait.h"

#include <semaphore.h>
#include <stdatomic.h>

static const struct noria_config one_thread = {.executor_threads = 1, .executor_queue = 1};

/* Another thread has to do something first: give it time. */
#define UNTIL_THREAD(condition) \
	do { \
		while (!(condition)) \
			MUST(noria_sleep(noria_usec(50)) == 0); \
	} while (0)

struct call {
	struct noria_scope scope;
	struct task *task;
	int64_t limit;
	sem_t go;
	atomic_bool begun, cancelled_seen, ended;
	int result;
	bool asked, done;
	int next;
};

static int blocking(void *arg)
{
	struct call *call = arg;

	atomic_store(&call->begun, true);
	while (sem_wait(&call->go) < 0)
		;
	atomic_store(&call->cancelled_seen, noria_offload_cancelled());
	atomic_store(&call->ended, true);
	return 42;
}

static int offload(void *arg)
{
	struct call *call = arg;

	call->task = noria_loop->current;
	MUST(noria_scope_open(&call->scope, call->limit, 0) == 0);
	call->asked = true;
	call->result = noria_offload(blocking, call);
	call->next = noria_check();
	call->done = true;
	(void)noria_scope_close(&call->scope, call->result);
	return 0;
}

static void call_init(struct call *call)
{
	*call = (struct call){.limit = NORIA_FOREVER};
	MUST(sem_init(&call->go, 0, 0) == 0);
}

static void begin(struct noria_group *group, struct call *call)
{
	MUST(noria_spawn(group, offload, call) == 0);
	UNTIL(call->asked && call->task->state == TASK_PARKED);
}

static bool waits_for_room(const struct call *call)
{
	char text[160] = "";

	if (call->task->wait)
		call->task->wait->class->describe(call->task->wait, text, sizeof text);
	return strstr(text, "room");
}

/* X01: a call that has started is waited for; its argument, on the caller's stack, is in use until then. */
RULE_WITH(X01, a_cancelled_caller_waits_for_its_call, &one_thread)
{
	struct noria_group group = {0};
	struct call call;

	call_init(&call);
	MUST(noria_group_open(&group) == 0);
	begin(&group, &call);
	UNTIL_THREAD(atomic_load(&call.begun));
	noria_scope_cancel(&call.scope);
	EXPECT(noria_sleep(noria_msec(3)) == 0);
	EXPECT(!call.done && !atomic_load(&call.ended));
	sem_post(&call.go);
	MUST(noria_group_close(&group, 0) == 0);
	EXPECT(atomic_load(&call.ended));
	EXPECT(call.result == 42); /* its result is delivered */
	EXPECT(call.next == -ECANCELED);
	return 0;
}

/* X01: a call in the queue is taken out, at once, and never runs; the one before it is not disturbed. */
RULE_WITH(X01, a_queued_call_never_starts, &one_thread)
{
	struct noria_group group = {0};
	struct call first, second;

	call_init(&first);
	call_init(&second);
	MUST(noria_group_open(&group) == 0);
	begin(&group, &first);
	UNTIL_THREAD(atomic_load(&first.begun));
	begin(&group, &second);
	EXPECT(!waits_for_room(&second));
	noria_scope_cancel(&second.scope);
	UNTIL_THREAD(second.done); /* although the thread is still busy */
	EXPECT(second.result == -ECANCELED);
	EXPECT(!first.done);
	sem_post(&first.go);
	MUST(noria_group_close(&group, 0) == 0);
	EXPECT(first.result == 42 && first.next == 0);
	EXPECT(!atomic_load(&second.begun));
	return 0;
}

/* X01: in a cancelled scope nothing is started at all. */
RULE_WITH(X01, a_cancelled_scope_starts_no_call, &one_thread)
{
	struct noria_scope scope = {0};
	struct call call;

	call_init(&call);
	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
	noria_scope_cancel(&scope);
	EXPECT(noria_offload(blocking, &call) == -ECANCELED);
	EXPECT(!atomic_load(&call.begun));
	EXPECT(noria_scope_close(&scope, -ECANCELED) == 0);
	return 0;
}

/* X01: a deadline does the same as a cancel, to calls queued and started. */
RULE_WITH(X01, a_deadline_is_a_cancel, &one_thread)
{
	struct noria_group group = {0};
	struct call first, second;

	call_init(&first);
	call_init(&second);
	MUST(noria_group_open(&group) == 0);
	begin(&group, &first);
	UNTIL_THREAD(atomic_load(&first.begun));
	second.limit = noria_now() + noria_msec(3);
	begin(&group, &second);
	EXPECT(noria_scope_set_deadline(&first.scope, noria_now() + noria_msec(3)) == 0);
	UNTIL_THREAD(second.done);
	EXPECT(noria_sleep(noria_msec(4)) == 0);
	EXPECT(second.result == -ECANCELED && !first.done);
	EXPECT(noria_now() >= second.limit);
	sem_post(&first.go);
	MUST(noria_group_close(&group, 0) == 0);
	EXPECT(first.result == 42 && first.next == -ECANCELED);
	EXPECT(!atomic_load(&second.begun));
	return 0;
}

/* X02: the function can ask; it is told of the cancel of its own caller only. */
RULE(X02, a_call_can_ask_whether_it_is_wanted)
{
	struct noria_group group = {0};
	struct call calls[2];

	EXPECT(!noria_offload_cancelled());
	MUST(noria_group_open(&group) == 0);
	for (int i = 0; i < 2; i++) {
		call_init(&calls[i]);
		begin(&group, &calls[i]);
		UNTIL_THREAD(atomic_load(&calls[i].begun));
	}
	noria_scope_cancel(&calls[0].scope);
	sem_post(&calls[0].go);
	sem_post(&calls[1].go);
	MUST(noria_group_close(&group, 0) == 0);
	EXPECT(atomic_load(&calls[0].cancelled_seen));
	EXPECT(!atomic_load(&calls[1].cancelled_seen));
	return 0;
}

static int until_cancelled(void *arg)
{
	atomic_store((atomic_bool *)arg, true);
	while (!noria_offload_cancelled())
		usleep(100);
	return 7;
}

/* X02: so that a long call can end when its caller's time is over. */
RULE(X02, a_long_call_can_end_early)
{
	atomic_bool begun = false;
	int64_t limit = noria_msec(2);
	ssize_t r;

	do /* with more time on a machine that had no thread for it in time */
		r = noria_within(limit, noria_offload(until_cancelled, &begun));
	while (r == -ETIMEDOUT && !atomic_load(&begun) && (limit *= 2) < noria_sec(20));
	EXPECT(r == 7);
	EXPECT(noria_check() == 0);
	return 0;
}

/* X04: never more calls than threads at a time, never more waiting than the queue holds; callers wait for room, in order. */
RULE_WITH(X04, a_full_queue_makes_callers_wait, &one_thread)
{
	struct noria_group group = {0};
	struct call calls[5];

	MUST(noria_group_open(&group) == 0);
	for (int i = 0; i < 5; i++) {
		call_init(&calls[i]);
		begin(&group, &calls[i]);
		EXPECT(waits_for_room(&calls[i]) == (i >= 2));
	}
	UNTIL_THREAD(atomic_load(&calls[0].begun));
	for (int i = 0; i < 5; i++) {
		UNTIL_THREAD(atomic_load(&calls[i].begun));
		for (int j = i + 1; j < 5; j++)
			EXPECT(!atomic_load(&calls[j].begun));
		for (int j = i + 2; j < 5; j++)
			EXPECT(waits_for_room(&calls[j]));
		sem_post(&calls[i].go);
		UNTIL_THREAD(calls[i].done);
	}
	MUST(noria_group_close(&group, 0) == 0);
	for (int i = 0; i < 5; i++)
		EXPECT(calls[i].result == 42);
	return 0;
}

/* X04: the wait for room can be cancelled, and takes nobody else's place with it. */
RULE_WITH(X04, a_wait_for_room_can_be_cancelled, &one_thread)
{
	struct noria_group group = {0};
	struct call calls[4];

	MUST(noria_group_open(&group) == 0);
	for (int i = 0; i < 4; i++) {
		call_init(&calls[i]);
		begin(&group, &calls[i]);
	}
	EXPECT(waits_for_room(&calls[2]) && waits_for_room(&calls[3]));
	noria_scope_cancel(&calls[2].scope);
	UNTIL_THREAD(calls[2].done);
	EXPECT(calls[2].result == -ECANCELED);
	for (int i = 0; i < 4; i++)
		sem_post(&calls[i].go);
	MUST(noria_group_close(&group, 0) == 0);
	EXPECT(!atomic_load(&calls[2].begun));
	EXPECT(calls[0].result == 42 && calls[1].result == 42 && calls[3].result == 42);
	return 0;
}
