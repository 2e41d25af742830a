/* SPDX-License-Identifier: MIT */
/*
 * One operation's result: it is delivered whatever else happened, the task waits for it and for nothing else, a cancel
 * aims at one activation, and a kernel's own -ECANCELED is a result.
 */
#include "ring_inside.h"
#include "scope/scope.h"

#include <netinet/in.h>

struct receiver {
	struct noria_scope scope;
	struct task *task;
	int fd;
	int64_t limit;
	ssize_t result, next, closed;
	char buffer[16];
	bool started, done;
};

static int receive(void *arg)
{
	struct receiver *receiver = arg;

	receiver->task = noria_loop->current;
	MUST(noria_scope_open(&receiver->scope, receiver->limit, 0) == 0);
	receiver->started = true;
	receiver->result = noria_recv(receiver->fd, receiver->buffer, sizeof receiver->buffer, 0);
	receiver->next = noria_check();
	receiver->done = true;
	receiver->closed = noria_scope_close(&receiver->scope, receiver->result);
	return 0;
}

/* A receiver that is parked, its entry with the kernel. */
static void start(struct noria_group *group, struct receiver *receiver)
{
	MUST(noria_spawn(group, receive, receiver) == 0);
	UNTIL(receiver->started);
	UNTIL(inside_flying(receiver->fd) && ring_pending(noria_loop->ring) == 0);
}

/* R01: the bytes were read, then came the cancel: the bytes are delivered, the next checkpoint tells of the cancel. */
RULE(R01, bytes_read_before_a_cancel_are_delivered)
{
	int64_t limits[] = {NORIA_FOREVER, noria_now() + noria_sec(100)};
	int pair[2];

	inside_pair(pair);
	for (int i = 0; i < 2; i++) {
		struct receiver receiver = {.fd = pair[0], .limit = limits[i]};
		struct noria_group group = {0};

		MUST(noria_group_open(&group) == 0);
		start(&group, &receiver);
		MUST(send(pair[1], "data", 4, 0) == 4);
		inside_enter_until(1); /* the completion is there, the task does not know yet */
		noria_scope_cancel(&receiver.scope);
		EXPECT(!receiver.done);
		MUST(noria_group_close(&group, 0) == 0);
		EXPECT(receiver.result == 4);
		EXPECT(memcmp(receiver.buffer, "data", 4) == 0);
		EXPECT(receiver.next == -ECANCELED);
		EXPECT(receiver.closed == 4);
	}
	inside_close(pair);
	return 0;
}

/* R01: the same when it is the deadline that came. */
RULE(R01, bytes_read_before_a_deadline_are_delivered)
{
	struct noria_group group = {0};
	struct receiver receiver = {.limit = noria_now() + noria_msec(200)};
	int pair[2];

	inside_pair(pair);
	receiver.fd = pair[0];
	MUST(noria_group_open(&group) == 0);
	start(&group, &receiver);
	MUST(send(pair[1], "data", 4, 0) == 4);
	inside_enter();
	if (ring_ready(noria_loop->ring) > 0) { /* or this machine was too slow */
		while (noria_now() <= receiver.limit)
			;
		MUST(noria_group_close(&group, 0) == 0);
		EXPECT(receiver.result == 4);
		EXPECT(receiver.next == -ECANCELED);
		EXPECT(receiver.closed == -ETIMEDOUT);
	} else {
		MUST(noria_group_close(&group, 0) == 0);
	}
	inside_close(pair);
	return 0;
}

/* R01: whoever wins the race, the bytes are either with the task or in the socket. */
RULE(R01, no_byte_is_lost_in_the_race)
{
	int delivered = 0, left = 0, pair[2];

	inside_pair(pair);
	for (int i = 0; i < 400; i++) {
		struct receiver receiver = {.fd = pair[0],
					    .limit = i % 2 ? noria_now() + noria_sec(100) : NORIA_FOREVER};
		struct noria_group group = {0};
		char buffer[16];

		MUST(noria_group_open(&group) == 0);
		start(&group, &receiver);
		if (i % 4 < 2)
			noria_scope_cancel(&receiver.scope);
		if (i % 8 < 4)
			inside_enter();
		MUST(send(pair[1], "data", 4, 0) == 4);
		noria_scope_cancel(&receiver.scope);
		MUST(noria_group_close(&group, 0) == 0);
		EXPECT(receiver.result == 4 || receiver.result == -ECANCELED);
		EXPECT(receiver.next == -ECANCELED);
		delivered += receiver.result == 4;
		left += recv(pair[0], buffer, sizeof buffer, MSG_DONTWAIT) == 4;
	}
	EXPECT(delivered + left == 400);
	inside_close(pair);
	return 0;
}

static int listener(struct sockaddr_in *address)
{
	socklen_t length = sizeof *address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	MUST(fd >= 0 && bind(fd, (struct sockaddr *)address, length) == 0 && listen(fd, 8) == 0);
	MUST(getsockname(fd, (struct sockaddr *)address, &length) == 0);
	return fd;
}

static int accept_one(void *arg)
{
	struct receiver *receiver = arg;

	MUST(noria_scope_open(&receiver->scope, receiver->limit, 0) == 0);
	receiver->started = true;
	receiver->result = noria_accept4(receiver->fd, NULL, NULL, SOCK_CLOEXEC);
	receiver->next = noria_check();
	if (receiver->result >= 0)
		EXPECT(noria_close((int)receiver->result) == 0);
	receiver->closed = noria_scope_close(&receiver->scope, receiver->result);
	return 0;
}

/* R01: a descriptor that was accepted before the cancel is delivered (the frame counts descriptors). */
RULE(R01, an_accepted_descriptor_is_delivered)
{
	struct sockaddr_in address;
	int fd = listener(&address);

	for (int i = 0; i < 2; i++) {
		struct receiver receiver = {.fd = fd, .limit = i ? noria_now() + noria_sec(100) : NORIA_FOREVER};
		int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		struct noria_group group = {0};

		MUST(noria_group_open(&group) == 0);
		MUST(noria_spawn(&group, accept_one, &receiver) == 0);
		UNTIL(receiver.started && inside_flying(fd) && ring_pending(noria_loop->ring) == 0);
		MUST(rule_connect(client, &address));
		inside_enter_until(1);
		noria_scope_cancel(&receiver.scope);
		MUST(noria_group_close(&group, 0) == 0);
		EXPECT(receiver.result >= 0);
		EXPECT(receiver.next == -ECANCELED);
		close(client);
	}
	close(fd);
	return 0;
}

/* R02: a cancel does not wake the task; the operation's own completion does. */
RULE(R02, a_cancelled_task_waits_for_its_completion)
{
	int64_t limits[] = {NORIA_FOREVER, noria_now() + noria_sec(100)};
	int pair[2];

	inside_pair(pair);
	for (int i = 0; i < 2; i++) {
		struct receiver receiver = {.fd = pair[0], .limit = limits[i]};
		struct noria_group group = {0};
		struct submission *submission;

		MUST(noria_group_open(&group) == 0);
		start(&group, &receiver);
		submission = inside_flying(pair[0]);
		inside_new_turn();
		noria_scope_cancel(&receiver.scope);
		EXPECT(receiver.task->state == TASK_PARKED);
		EXPECT(submission->state == SUBMISSION_FLYING && inside_flying(pair[0]) == submission);
		EXPECT(!receiver.done);
		MUST(noria_yield() == 0); /* nobody else is ready: a whole turn has not passed */
		MUST(noria_group_close(&group, 0) == 0);
		EXPECT(receiver.result == -ECANCELED);
		EXPECT(receiver.closed == 0);
		EXPECT(noria_loop->in_flight == 0);
	}
	/* The kernel has let go: what arrives now stays in the socket. */
	MUST(send(pair[1], "data", 4, 0) == 4);
	inside_enter();
	EXPECT(recv(pair[0], &(char[8]){0}, 8, MSG_DONTWAIT) == 4);
	inside_close(pair);
	return 0;
}

/* R02: as long as the completion does not come, a cancelled task sleeps, and its siblings go on. */
RULE(R02, a_cancelled_task_waits_as_long_as_it_takes)
{
	struct receiver receiver = {.limit = NORIA_FOREVER};
	struct noria_group group = {0};
	struct submission *submission;
	int pair[2];

	inside_pair(pair);
	receiver.fd = pair[0];
	MUST(noria_group_open(&group) == 0);
	start(&group, &receiver);
	submission = inside_flying(pair[0]);
	submission->cancel_asked = true; /* withhold the cancel from the kernel */
	noria_scope_cancel(&receiver.scope);
	EXPECT(noria_sleep(noria_msec(3)) == 0);
	EXPECT(!receiver.done && receiver.task->state == TASK_PARKED);
	inside_kernel_cancel(submission->token);
	MUST(noria_group_close(&group, 0) == 0);
	EXPECT(receiver.result == -ECANCELED);
	EXPECT(receiver.closed == 0);
	inside_close(pair);
	return 0;
}

static int receive_twice(void *arg)
{
	struct receiver *receiver = arg;

	for (int i = 0; i < 2; i++) {
		receiver->result = noria_recv(receiver->fd, receiver->buffer, 1, 0);
		EXPECT(receiver->result == 1);
	}
	return 0;
}

/* R03: a cancel for the first activation of an operation misses the second one at the same address. */
RULE(R03, a_late_cancel_misses_the_next_operation)
{
	struct receiver receiver = {0};
	struct noria_group group = {0};
	struct submission *first, *second;
	uint64_t token;
	int pair[2];

	inside_pair(pair);
	receiver.fd = pair[0];
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, receive_twice, &receiver) == 0);
	UNTIL((first = inside_flying(pair[0])));
	token = first->token;
	MUST(send(pair[1], "1", 1, 0) == 1);
	UNTIL(receiver.result == 1 && (second = inside_flying(pair[0])));
	EXPECT(first == second); /* the same place on the same stack */
	EXPECT(second->token != token);
	UNTIL(ring_pending(noria_loop->ring) == 0);
	inside_kernel_cancel(token);
	inside_enter();
	MUST(noria_yield() == 0);
	MUST(send(pair[1], "2", 1, 0) == 1);
	MUST(noria_group_close(&group, 0) == 0);
	EXPECT(receiver.buffer[0] == '2');
	inside_close(pair);
	return 0;
}

static int cancel_self_then_receive(void *arg)
{
	struct receiver *receiver = arg;

	receiver->started = true;
	receiver->result = noria_within(NORIA_FOREVER, receive(receiver));
	receiver->next = noria_recv(receiver->fd, receiver->buffer, 1, 0);
	return 0;
}

static const struct noria_config two_entries = {.ring_entries = 2, .ring_entries_max = 2};

/* R03: a cancel that found no room before its operation completed is dropped, and does not hit the next operation. */
RULE_WITH(R03, a_cancel_that_had_to_wait_is_dropped_with_its_operation, &two_entries)
{
	struct receiver receiver = {.limit = NORIA_FOREVER};
	struct noria_group group = {0};
	int pair[2];

	inside_pair(pair);
	receiver.fd = pair[0];
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, cancel_self_then_receive, &receiver) == 0);
	UNTIL(receiver.started && inside_flying(pair[0]) && ring_pending(noria_loop->ring) == 0);
	MUST(send(pair[1], "1", 1, 0) == 1);
	inside_enter_until(1);
	noria_scope_cancel(&receiver.scope);
	EXPECT(!list_empty(&noria_loop->cancels));
	noria_submissions_reap(noria_loop); /* the completion comes before the cancel found an entry */
	EXPECT(list_empty(&noria_loop->cancels));
	UNTIL(receiver.done && inside_flying(pair[0]));
	for (int i = 0; i < 3; i++)
		MUST(noria_yield() == 0);
	inside_enter();
	MUST(send(pair[1], "2", 1, 0) == 1);
	MUST(noria_group_close(&group, 0) == 0);
	EXPECT(receiver.next == 1 && receiver.buffer[0] == '2');
	inside_close(pair);
	return 0;
}

/* R06: a cancel that the runtime did not ask for is an error of the operation, with or without a time limit. */
RULE(R06, a_foreign_cancel_does_not_cancel_the_task)
{
	int64_t limits[] = {NORIA_FOREVER, noria_now() + noria_sec(100)};
	int pair[2];

	inside_pair(pair);
	for (int i = 0; i < 2; i++) {
		struct receiver receiver = {.fd = pair[0], .limit = limits[i]};
		struct noria_group group = {0};

		MUST(noria_group_open(&group) == 0);
		start(&group, &receiver);
		inside_kernel_cancel(inside_flying(pair[0])->token);
		MUST(noria_group_close(&group, 0) == 0);
		EXPECT(receiver.result == -ECANCELED);
		EXPECT(receiver.next == 0);
		EXPECT(receiver.closed == -ECANCELED);
	}
	inside_close(pair);
	return 0;
}

static int receive_and_return(void *arg)
{
	struct receiver *receiver = arg;

	return (int)noria_recv(receiver->fd, receiver->buffer, 1, 0);
}

/* R06: so a task that ends with it has failed, which its group reports. */
RULE(R06, a_foreign_cancel_is_a_failure_of_the_group)
{
	struct receiver receiver = {0};
	struct noria_group group = {0};
	int pair[2];

	inside_pair(pair);
	receiver.fd = pair[0];
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, receive_and_return, &receiver) == 0);
	UNTIL(inside_flying(pair[0]) && ring_pending(noria_loop->ring) == 0);
	inside_kernel_cancel(inside_flying(pair[0])->token);
	EXPECT(noria_sleep(NORIA_FOREVER) == -ECANCELED); /* the failure interrupts the body */
	EXPECT(noria_group_close(&group, -ECANCELED) == -ECANCELED);
	EXPECT(noria_check() == 0);
	inside_close(pair);
	return 0;
}
