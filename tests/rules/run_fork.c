/* SPDX-License-Identifier: MIT */
/*
 * R11: fork() inside a task. The child has a copy of the memory and none of the runtime: its calls are refused in plain
 * words. The parent's ring, with operations in flight, does not notice.
 */
#include "noria/offload.h"
#include "noria/stream.h"
#include "ring_inside.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

/* The child has no way to free what the parent's runtime holds, and AddressSanitizer would take it for leaked. */
const char *__asan_default_options(void);
__attribute__((visibility("default"))) const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

static int nothing(void *arg)
{
	(void)arg;
	return 3;
}

/* Each call that the child makes, and what it should answer. Returns the number of the first that did otherwise. */
static int calls_of_the_child(int fd, struct noria_group *group, struct noria_scope *scope)
{
	struct noria_recv_stream stream;
	struct noria_group other = {0};
	char byte;
	const ssize_t answers[] = {
		noria_yield(),
		noria_check(),
		noria_sleep(1),
		noria_recv(fd, &byte, 1, 0),
		noria_send(fd, &byte, 1, 0),
		noria_recv_all(fd, &byte, 1, 0),
		noria_openat(AT_FDCWD, "/", O_RDONLY, 0),
		noria_socket(AF_UNIX, SOCK_STREAM, 0),
		noria_accept(fd, NULL, NULL),
		noria_close(fd),
		noria_offload(nothing, NULL),
		noria_recv_stream_open(&stream, fd),
		noria_group_open(&other),
		noria_spawn(group, nothing, NULL),
		noria_group_close(group, 0),
		noria_scope_close(scope, 0),
		noria_within(noria_msec(1), noria_sleep(NORIA_FOREVER)),
		noria_deadline(),
		noria_now(),
	};

	for (int i = 0; i < (int)(sizeof answers / sizeof answers[0]); i++)
		if (answers[i] != -ENXIO)
			return 1 + i;
	if (!strstr(noria_message(), "fork"))
		return 100;
	noria_scope_cancel(scope); /* these have no result, and no effect on the parent's */
	noria_group_cancel(group);
	noria_drain();
	return noria_task_id() == 0 && !noria_draining() && noria_group_size(group) <= 1 ? 0 : 101;
}

struct receiver {
	int fd;
	ssize_t result;
	char byte;
};

static int receive(void *arg)
{
	struct receiver *receiver = arg;

	receiver->result = noria_recv(receiver->fd, &receiver->byte, 1, 0);
	return 0;
}

static int wait_for(void *arg)
{
	int status;

	if (waitpid(*(pid_t *)arg, &status, 0) < 0)
		return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* R11: the child is refused, the parent's operation in flight and its limits go on. */
RULE(R11, a_child_of_fork_is_refused)
{
	struct receiver receiver = {0};
	struct noria_group group = {0};
	struct noria_scope scope = {0};
	int pair[2];
	pid_t pid;

	inside_pair(pair);
	receiver.fd = pair[0];
	MUST(noria_group_open(&group) == 0);
	MUST(noria_scope_open(&scope, noria_now() + noria_sec(100), 0) == 0);
	MUST(noria_spawn(&group, receive, &receiver) == 0);
	UNTIL(inside_flying(pair[0]) && ring_pending(noria_loop->ring) == 0);
	pid = fork();
	if (pid == 0)
		_exit(calls_of_the_child(pair[1], &group, &scope));
	MUST(pid > 0);
	EXPECT(noria_offload(wait_for, &pid) == 0);
	EXPECT(receiver.result == 0);
	EXPECT(noria_check() == 0);
	EXPECT(noria_sleep(noria_msec(1)) == 0);
	MUST(send(pair[1], "!", 1, 0) == 1);
	EXPECT(noria_scope_close(&scope, 0) == 0);
	MUST(noria_group_close(&group, 0) == 0);
	EXPECT(receiver.result == 1 && receiver.byte == '!');
	inside_close(pair);
	return 0;
}

/* R11: a child may run a runtime of its own, and exit through the C library. */
RULE(R11, a_child_can_run_its_own)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(noria_run(NULL, nothing, NULL) == 3 ? 0 : 1);
	MUST(pid > 0);
	EXPECT(noria_offload(wait_for, &pid) == 0);
	pid = fork();
	if (pid == 0)
		exit(0);
	MUST(pid > 0);
	EXPECT(noria_offload(wait_for, &pid) == 0);
	EXPECT(noria_sleep(noria_msec(1)) == 0);
	return 0;
}

/* R11: a signal that ends the child is the child's: the parent does not begin to drain. */
RULE(R11, a_signal_to_the_child_does_not_drain_the_parent)
{
	pid_t pid = fork();

	if (pid == 0) {
		raise(SIGTERM);
		_exit(7);
	}
	MUST(pid > 0);
	EXPECT(noria_offload(wait_for, &pid) == 1000 + SIGTERM);
	EXPECT(noria_yield() == 0);
	EXPECT(!noria_draining());
	return 0;
}
