/* SPDX-License-Identifier: MIT */
/*
 * Fail-fast groups: what counts as a failure, whom it stops, and who hears of it. Wherever a sibling can be parked, the
 * failure must reach it there; each kind of wait has its own way of being abandoned, so each has its own test.
 */
#include "group_tasks.h"

#include <netinet/in.h>
#include <poll.h>

/* G03: a sibling that sleeps is cancelled, and close returns the failure. */
RULE(G03, a_failure_cancels_a_sleeping_sibling)
{
	struct noria_group group;
	struct life child = {0};
	struct failer bad = {&child.started, -EIO};

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, sleeper, &child) == 0);
	MUST(noria_spawn(&group, failer, &bad) == 0);
	EXPECT(noria_group_close(&group, 0) == -EIO);
	EXPECT(child.told && child.ended);
	EXPECT(rule_heard.count == 0);
	return 0;
}

struct parked {
	struct life life;
	int fd;
};

static int park_in_recv(void *arg)
{
	struct parked *parked = arg;
	char byte;

	parked->life.started = true;
	return parked->life.heard = (int)noria_recv(parked->fd, &byte, 1, 0);
}

static int park_in_read(void *arg)
{
	struct parked *parked = arg;
	char byte;

	parked->life.started = true;
	return parked->life.heard = (int)noria_read(parked->fd, &byte, 1);
}

static int park_in_poll(void *arg)
{
	struct parked *parked = arg;

	parked->life.started = true;
	return parked->life.heard = noria_poll(parked->fd, POLLIN);
}

static int park_in_a_stream(void *arg)
{
	struct parked *parked = arg;
	struct noria_recv_stream stream;
	const void *data;

	MUST(noria_recv_stream_open(&stream, parked->fd) == 0);
	parked->life.started = true;
	parked->life.heard = (int)noria_recv_stream_next(&stream, &data);
	noria_recv_stream_close(&stream);
	return parked->life.heard;
}

static int park_in_accept(void *arg)
{
	struct parked *parked = arg;
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	noria_autoclose int fd = noria_socket(AF_INET, SOCK_STREAM, 0);

	MUST(fd >= 0);
	MUST(noria_bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && noria_listen(fd, 1) == 0);
	parked->life.started = true;
	return parked->life.heard = noria_accept(fd, NULL, NULL);
}

/* One sibling parked in `body` on a socket where nothing happens, with or without a time limit, and one that fails. */
static void fail_beside(noria_task_fn *body, int64_t deadline_ns)
{
	struct noria_group group;
	struct parked child = {0};
	struct failer bad = {&child.life.started, -EIO};
	int fd[2];

	socket_pair(fd);
	child.fd = fd[0];
	MUST(noria_group_open_until(&group, deadline_ns) == 0);
	MUST(noria_spawn(&group, body, &child) == 0);
	MUST(noria_spawn(&group, failer, &bad) == 0);
	EXPECT(noria_group_close(&group, 0) == -EIO);
	EXPECT(child.life.heard == -ECANCELED);
	EXPECT(rule_heard.count == 0);
	EXPECT(noria_check() == 0);
	close_pair(fd);
}

static void fail_beside_both(noria_task_fn *body)
{
	fail_beside(body, NORIA_FOREVER);
	fail_beside(body, noria_now() + noria_sec(3600));
}

/* G03: a sibling parked in an operation of the ring, with and without a time limit on it. */
RULE(G03, a_failure_cancels_a_sibling_in_recv)
{
	fail_beside_both(park_in_recv);
	return 0;
}

/* G03: the same in a read, whose time limit the heap keeps. */
RULE(G03, a_failure_cancels_a_sibling_in_read)
{
	fail_beside_both(park_in_read);
	return 0;
}

/* G03: the same in a poll. */
RULE(G03, a_failure_cancels_a_sibling_in_poll)
{
	fail_beside_both(park_in_poll);
	return 0;
}

/* G03: the same in an accept, which has a scope of its own. */
RULE(G03, a_failure_cancels_a_sibling_in_accept)
{
	fail_beside_both(park_in_accept);
	return 0;
}

/* G03: the same in a receive stream, whose submission goes on after the wait. */
RULE(G03, a_failure_cancels_a_sibling_in_a_stream)
{
	fail_beside_both(park_in_a_stream);
	return 0;
}

static atomic_bool on_thread;

static int block_until_cancelled(__attribute__((unused)) void *arg)
{
	atomic_store(&on_thread, true);
	while (!noria_offload_cancelled())
		usleep(50);
	return 7;
}

static int offload_blocking(__attribute__((unused)) void *arg)
{
	int r = noria_offload(block_until_cancelled, NULL);

	EXPECT(r == 7);
	return noria_check();
}

static int fail_when_on_thread(__attribute__((unused)) void *arg)
{
	until_thread(&on_thread);
	return -EIO;
}

/* G03: a call that runs on another thread learns of the cancel; the task has its result, then the cancellation. */
RULE(G03, a_failure_cancels_a_sibling_in_an_offloaded_call)
{
	struct noria_group group;

	atomic_store(&on_thread, false);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, offload_blocking, NULL) == 0);
	MUST(noria_spawn(&group, fail_when_on_thread, NULL) == 0);
	EXPECT(noria_group_close(&group, 0) == -EIO);
	EXPECT(rule_heard.count == 0);
	return 0;
}

/* G03: a sibling that has not run yet meets the cancel at its first checkpoint. */
RULE(G03, a_failure_cancels_a_sibling_that_has_not_started)
{
	struct noria_group group;
	struct life child = {0};
	struct failer bad = {NULL, -EIO};

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, failer, &bad) == 0);
	MUST(noria_spawn(&group, sleeper, &child) == 0);
	EXPECT(noria_group_close(&group, 0) == -EIO);
	EXPECT(child.started && child.told);
	return 0;
}

/* G03: the body is stopped at the checkpoint where it waits, and at the next one if it does not wait. */
RULE(G03, a_failure_interrupts_the_body)
{
	struct noria_group group;
	bool yes = true;
	struct failer bad = {&yes, -EIO};
	int fd[2];
	char byte;

	socket_pair(fd);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, failer, &bad) == 0);
	EXPECT(noria_recv(fd[0], &byte, 1, 0) == -ECANCELED);
	EXPECT(noria_check() == -ECANCELED);
	EXPECT(noria_group_close(&group, -ECANCELED) == -EIO);
	EXPECT(noria_check() == 0);
	EXPECT(rule_heard.count == 0);
	close_pair(fd);
	return 0;
}

/* G04: an error of the body cancels the children and is what close returns. */
RULE(G04, an_error_of_the_body_cancels_the_children)
{
	struct noria_group group;
	struct life child[2] = {0};

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, sleeper, &child[0]) == 0);
	MUST(noria_spawn(&group, sleeper, &child[1]) == 0);
	UNTIL(child[1].started);
	EXPECT(noria_group_close(&group, -EPROTO) == -EPROTO);
	EXPECT(child[0].told && child[1].told);
	EXPECT(rule_heard.count == 0);
	EXPECT(noria_check() == 0);
	return 0;
}

/* G04: after a child's failure the body's own error is a further failure, under the place where the group was opened. */
RULE(G04, an_error_of_the_body_joins_the_failures)
{
	const struct noria_failure *body;
	struct noria_group group;
	struct failer bad = {NULL, -EIO};
	int line;

	line = __LINE__ + 1;
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, failer, &bad) == 0);
	EXPECT(noria_sleep(NORIA_FOREVER) == -ECANCELED);
	EXPECT(noria_group_close(&group, -EPROTO) == -EIO);
	MUST(noria_last_failure() && noria_last_failure()->causes && noria_last_failure()->causes->next);
	body = noria_last_failure()->causes->next;
	EXPECT(body->code == -EPROTO && body->task_id == noria_task_id());
	EXPECT(body->spawn->line == line && strcmp(body->spawn->file, __FILE__) == 0);
	EXPECT(rule_heard.count == 0);
	return 0;
}

/* G04: a child that fails after the body did is not lost either. */
RULE(G04, a_child_that_fails_after_the_body_is_not_lost)
{
	const struct noria_failure *late;
	struct noria_group group;
	struct life child = {.go = true, .result = -EIO};

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, cleaner, &child) == 0);
	UNTIL(child.started);
	EXPECT(noria_group_close(&group, -EPROTO) == -EPROTO);
	MUST(noria_last_failure() && noria_last_failure()->causes && noria_last_failure()->causes->next);
	late = noria_last_failure()->causes->next;
	EXPECT(late->code == -EIO && late->task_id != noria_task_id());
	EXPECT(rule_heard.count == 0);
	return 0;
}

/* G05: a clean-up that fails after the group's cancel makes the group fail. */
RULE(G05, an_error_of_clean_up_after_a_cancel_is_a_failure)
{
	struct noria_group group;
	struct life child = {.go = true, .result = -ENOSPC};

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, cleaner, &child) == 0);
	UNTIL(child.started);
	noria_group_cancel(&group);
	EXPECT(noria_group_close(&group, 0) == -ENOSPC);
	EXPECT(child.told);
	EXPECT(rule_heard.count == 0);
	return 0;
}

/* G05: of several failing clean-ups the first is returned, and all of them are kept. */
RULE(G05, errors_of_several_clean_ups_are_all_kept)
{
	const struct noria_failure *cause;
	struct noria_scope outer;
	struct noria_group group;
	struct life child[3] = {
		{.go = true, .result = -ENOSPC}, {.go = true, .result = -EIO}, {.go = true, .result = -EPIPE}};

	MUST(noria_scope_open(&outer, NORIA_FOREVER, 0) == 0);
	MUST(noria_group_open(&group) == 0);
	for (int i = 0; i < 3; i++)
		MUST(noria_spawn(&group, cleaner, &child[i]) == 0);
	UNTIL(child[2].started);
	noria_scope_cancel(&outer);
	EXPECT(noria_group_close(&group, -ECANCELED) == -ENOSPC);
	MUST(noria_last_failure());
	cause = noria_last_failure()->causes;
	for (int i = 0; i < 3; i++, cause = cause->next) {
		MUST(cause);
		EXPECT(cause->code == child[i].result);
		EXPECT(strcmp(cause->task, "cleaner") == 0);
	}
	EXPECT(!cause);
	EXPECT(rule_heard.count == 0);
	EXPECT(noria_scope_close(&outer, -ECANCELED) == 0);
	return 0;
}
