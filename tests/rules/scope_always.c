/* SPDX-License-Identifier: MIT */
/*
 * What a cancel cannot stop: waits that have to be seen through, which are not woken, and clean-up calls, which are
 * carried out in a cancelled scope as in any other.
 */
#include "group_tasks.h"

#include "task/loop.h"

#include <fcntl.h>

static atomic_bool on_thread, release_thread;

static int block_until_released(__attribute__((unused)) void *arg)
{
	atomic_store(&on_thread, true);
	while (!atomic_load(&release_thread))
		usleep(50);
	return 7;
}

struct offload {
	struct noria_scope scope;
	bool returned;
	int result, after, closed;
};

static int offload_in_a_scope(void *arg)
{
	struct offload *offload = arg;

	MUST(noria_scope_open(&offload->scope, NORIA_FOREVER, 0) == 0);
	offload->result = noria_offload(block_until_released, NULL);
	offload->returned = true;
	offload->after = noria_check();
	offload->closed = (int)noria_scope_close(&offload->scope, offload->after);
	return 0;
}

/* S11: a call that runs on another thread is not abandoned: its caller has the result, then hears of the cancel. */
RULE(S11, a_running_offloaded_call_is_not_woken)
{
	struct noria_group group;
	struct offload offload = {0};

	atomic_store(&on_thread, false);
	atomic_store(&release_thread, false);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, offload_in_a_scope, &offload) == 0);
	until_thread(&on_thread);
	noria_scope_cancel(&offload.scope);
	let_the_kernel_see();
	yield_times(200);
	EXPECT(!offload.returned);
	atomic_store(&release_thread, true);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(offload.result == 7 && offload.after == -ECANCELED && offload.closed == 0);
	return 0;
}

struct joiner {
	struct noria_scope scope;
	struct life child;
	bool joining, joined;
	int result, after;
};

static int join_in_a_scope(void *arg)
{
	struct joiner *joiner = arg;
	struct noria_group group;

	MUST(noria_scope_open(&joiner->scope, NORIA_FOREVER, 0) == 0);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, cleaner, &joiner->child) == 0);
	joiner->joining = true;
	joiner->result = noria_group_close(&group, 0);
	joiner->joined = true;
	joiner->after = noria_check();
	EXPECT(noria_scope_close(&joiner->scope, joiner->after) == 0);
	return 0;
}

/* S11: a join is not woken by a cancel, only by the end of the children; it then says that it was cancelled. */
RULE(S11, a_join_is_not_woken)
{
	struct noria_group group;
	struct joiner joiner = {0};

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, join_in_a_scope, &joiner) == 0);
	UNTIL(joiner.child.started);
	noria_scope_cancel(&joiner.scope);
	UNTIL(joiner.child.told);
	let_the_kernel_see();
	yield_times(200);
	EXPECT(!joiner.joined);
	joiner.child.go = true;
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(joiner.result == -ECANCELED && joiner.after == -ECANCELED);
	return 0;
}

/* S15: noria_close() closes in a cancelled scope. */
RULE(S15, a_descriptor_is_closed_in_a_cancelled_scope)
{
	struct noria_scope scope;
	int fd[2];
	char byte;

	socket_pair(fd);
	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
	noria_scope_cancel(&scope);
	EXPECT(noria_check() == -ECANCELED);
	EXPECT(noria_close(fd[0]) == 0);
	EXPECT(fcntl(fd[0], F_GETFD) == -1 && errno == EBADF);
	EXPECT(noria_scope_close(&scope, 0) == 0);
	EXPECT(noria_recv(fd[1], &byte, 1, 0) == 0);
	EXPECT(noria_close(fd[1]) == 0);
	return 0;
}

struct receiver {
	int fd, result;
	bool started, ended;
};

static int receive(void *arg)
{
	struct receiver *receiver = arg;
	char byte;

	receiver->started = true;
	receiver->result = (int)noria_recv(receiver->fd, &byte, 1, 0);
	receiver->ended = true;
	return 0;
}

/* S15: also where it has to wait for another task's operation on the descriptor: the wait is seen through. */
RULE(S15, closing_waits_for_operations_in_a_cancelled_scope)
{
	struct noria_group group;
	struct noria_scope scope;
	struct receiver receiver = {0};
	int fd[2];

	socket_pair(fd);
	receiver.fd = fd[0];
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, receive, &receiver) == 0);
	UNTIL(receiver.started);
	let_the_kernel_see();
	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
	noria_scope_cancel(&scope);
	EXPECT(noria_close(fd[0]) == 0);
	EXPECT(fcntl(fd[0], F_GETFD) == -1 && errno == EBADF);
	EXPECT(noria_scope_close(&scope, 0) == 0);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(receiver.ended && receiver.result == -EBADF);
	EXPECT(noria_close(fd[1]) == 0);
	return 0;
}

struct closer {
	struct noria_scope scope;
	int fd, result, after;
	size_t left;
	bool closing, closed;
};

static int close_in_a_scope(void *arg)
{
	struct closer *closer = arg;

	MUST(noria_scope_open(&closer->scope, NORIA_FOREVER, 0) == 0);
	closer->closing = true;
	closer->result = noria_close(closer->fd);
	closer->left = noria_loop->in_flight;
	closer->closed = true;
	closer->after = noria_check();
	EXPECT(noria_scope_close(&closer->scope, 0) == 0);
	return 0;
}

/* S15, S11: a cancel that comes while closing waits does not wake it; it closes, and the next checkpoint fails. */
RULE(S15, a_cancel_during_closing_does_not_stop_it)
{
	struct noria_group group;
	struct receiver receiver = {0};
	struct closer closer = {0};
	int fd[2];

	socket_pair(fd);
	receiver.fd = closer.fd = fd[0];
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, receive, &receiver) == 0);
	UNTIL(receiver.started);
	let_the_kernel_see();
	MUST(noria_spawn(&group, close_in_a_scope, &closer) == 0);
	EXPECT(noria_yield() == 0); /* no kernel in between: the closer is parked now, and not yet served */
	EXPECT(closer.closing && !closer.closed);
	noria_scope_cancel(&closer.scope);
	EXPECT(!closer.closed);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(closer.result == 0 && closer.after == -ECANCELED);
	EXPECT(receiver.result == -EBADF);
	EXPECT(closer.left == 0); /* the operation ended before the descriptor was closed */
	EXPECT(fcntl(fd[0], F_GETFD) == -1 && errno == EBADF);
	EXPECT(noria_close(fd[1]) == 0);
	return 0;
}

/* S15: ending a connection and a receive stream are clean-up as well, and are carried through. */
RULE(S15, shutdown_and_closing_a_stream_are_carried_through)
{
	struct noria_scope scope;
	struct noria_recv_stream stream;
	const void *data;
	int fd[2];
	char byte;

	socket_pair(fd);
	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
	MUST(noria_recv_stream_open(&stream, fd[0]) == 0);
	EXPECT(noria_within(noria_msec(1), noria_recv_stream_next(&stream, &data)) == -ETIMEDOUT);
	noria_scope_cancel(&scope);
	EXPECT(noria_check() == -ECANCELED);
	noria_recv_stream_close(&stream);
	EXPECT(noria_shutdown(fd[0], SHUT_WR) == 0);
	EXPECT(noria_scope_close(&scope, 0) == 0);
	EXPECT(noria_recv(fd[1], &byte, 1, 0) == 0);
	EXPECT(send(fd[1], "x", 1, 0) == 1);
	EXPECT(noria_recv(fd[0], &byte, 1, 0) == 1); /* no stream takes it away */
	close_pair(fd);
	return 0;
}
