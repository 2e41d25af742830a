/* SPDX-License-Identifier: MIT */
/*
 * An operation is aborted at most once, however many cancels and deadlines meet. A wait made for the purpose counts how
 * often it is asked to end; it ends only later, so that all of them find it pending.
 */
#include "group_tasks.h"

#include "scope/scope.h"

struct counted {
	struct wait wait;
	int aborts;
};

static void count(struct wait *wait)
{
	container_of(wait, struct counted, wait)->aborts++;
}

static void describe(__attribute__((unused)) const struct wait *wait, char *text, size_t size)
{
	snprintf(text, size, "waits to be counted");
}

static const struct wait_class counted_class = {.abandon = count, .describe = describe};

enum { DEPTH = 4 };

struct waiter {
	struct noria_scope scope[DEPTH];
	int64_t deadline;
	struct counted counted;
	bool started, ended;
	int after;
};

static int wait_to_be_counted(void *arg)
{
	struct waiter *waiter = arg;

	for (int i = 0; i < DEPTH; i++)
		MUST(noria_scope_open(&waiter->scope[i], waiter->deadline, 0) == 0);
	noria_wait_init(&waiter->counted.wait, &counted_class);
	waiter->started = true;
	scope_wait(noria_current(), &waiter->counted.wait);
	waiter->ended = true;
	waiter->after = noria_check();
	for (int i = DEPTH - 1; i >= 0; i--)
		(void)noria_scope_close(&waiter->scope[i], waiter->after);
	return 0;
}

/* S12: the same scope twice, scopes inside and around it, and the group: one abort. */
RULE(S12, many_cancels_abort_an_operation_once)
{
	static const int orders[][DEPTH] = {{0, 1, 2, 3}, {3, 2, 1, 0}, {2, 2, 0, 3}};

	for (size_t order = 0; order < sizeof orders / sizeof orders[0]; order++) {
		struct noria_group group;
		struct waiter waiter = {.deadline = NORIA_FOREVER};

		MUST(noria_group_open(&group) == 0);
		MUST(noria_spawn(&group, wait_to_be_counted, &waiter) == 0);
		UNTIL(waiter.started);
		for (int i = 0; i < DEPTH; i++) {
			noria_scope_cancel(&waiter.scope[orders[order][i]]);
			noria_scope_cancel(&waiter.scope[orders[order][i]]);
			EXPECT(waiter.counted.aborts == 1);
		}
		noria_group_cancel(&group);
		EXPECT(waiter.counted.aborts == 1 && !waiter.ended);
		noria_wait_complete(&waiter.counted.wait);
		EXPECT(noria_group_close(&group, 0) == 0);
		EXPECT(waiter.ended && waiter.after == -ECANCELED);
		EXPECT(waiter.counted.aborts == 1);
	}
	return 0;
}

/* S12: deadlines of all scopes pass, then they are cancelled by name: one abort. */
RULE(S12, deadlines_and_cancels_abort_an_operation_once)
{
	struct noria_group group;
	struct waiter waiter = {.deadline = noria_now() + noria_msec(5)};

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, wait_to_be_counted, &waiter) == 0);
	MUST(noria_sleep_until(waiter.deadline + noria_msec(1)) == 0);
	EXPECT(waiter.counted.aborts == 1);
	for (int i = 0; i < DEPTH; i++)
		noria_scope_cancel(&waiter.scope[i]);
	noria_group_cancel(&group);
	EXPECT(waiter.counted.aborts == 1 && !waiter.ended);
	noria_wait_complete(&waiter.counted.wait);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(waiter.counted.aborts == 1);
	return 0;
}

/* S12: a wait that has ended already, and whose task has not run since, is not aborted at all. */
RULE(S12, what_has_ended_is_not_aborted)
{
	struct noria_group group;
	struct waiter waiter = {.deadline = NORIA_FOREVER};

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, wait_to_be_counted, &waiter) == 0);
	UNTIL(waiter.started);
	noria_wait_complete(&waiter.counted.wait);
	noria_scope_cancel(&waiter.scope[0]);
	EXPECT(waiter.counted.aborts == 0 && !waiter.ended);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(waiter.ended && waiter.after == -ECANCELED);
	return 0;
}

struct receiver {
	struct noria_scope outer, inner;
	int fd, result;
	bool started;
};

static int receive(void *arg)
{
	struct receiver *receiver = arg;
	char byte;

	MUST(noria_scope_open(&receiver->outer, NORIA_FOREVER, 0) == 0);
	MUST(noria_scope_open(&receiver->inner, noria_now() + noria_sec(3600), 0) == 0);
	receiver->started = true;
	receiver->result = (int)noria_recv(receiver->fd, &byte, 1, 0);
	EXPECT(noria_scope_close(&receiver->inner, receiver->result) == receiver->result);
	return (int)noria_scope_close(&receiver->outer, 0);
}

static unsigned cancels_waiting(void)
{
	const struct list *head = &noria_loop->cancels;
	unsigned count = 0;

	for (const struct list *node = head->next; node != head && count < 1000; node = node->next)
		count++;
	return count;
}

/* S12: two cancels and a close of the descriptor, in one turn, ask the kernel once for each operation. */
RULE(S12, a_cancel_and_a_close_ask_the_kernel_once)
{
	struct noria_group group;
	struct receiver receiver[2] = {0};
	int fd[2];

	socket_pair(fd);
	MUST(noria_group_open(&group) == 0);
	for (int i = 0; i < 2; i++) {
		receiver[i].fd = fd[0];
		MUST(noria_spawn(&group, receive, &receiver[i]) == 0);
	}
	UNTIL(receiver[1].started);
	let_the_kernel_see();
	for (int i = 0; i < 2; i++) {
		noria_scope_cancel(&receiver[i].inner);
		noria_scope_cancel(&receiver[i].outer);
	}
	EXPECT(cancels_waiting() == 2);
	EXPECT(noria_close(fd[0]) == 0);
	EXPECT(cancels_waiting() == 0);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(receiver[0].result < 0 && receiver[1].result < 0);
	EXPECT(noria_close(fd[1]) == 0);
	return 0;
}
