/* SPDX-License-Identifier: MIT */
/* R10: closing a descriptor that operations use ends them, and leaves the number's next owner alone. */
#include "noria/stream.h"
#include "ring_inside.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>

struct user {
	int fd, kind;
	int64_t limit;
	ssize_t result;
	char byte;
	bool started, done;
};

enum { USE_RECV, USE_READ, USE_POLL, USE_STREAM, USE_RECV_ALL, USES };

static ssize_t use_stream(int fd)
{
	struct noria_recv_stream stream;
	const void *data;
	ssize_t r;

	MUST(noria_recv_stream_open(&stream, fd) == 0);
	r = noria_recv_stream_next(&stream, &data);
	noria_recv_stream_close(&stream);
	return r;
}

static ssize_t use(struct user *user)
{
	switch (user->kind) {
	case USE_RECV:
		return noria_recv(user->fd, &user->byte, 1, 0);
	case USE_READ:
		return noria_read(user->fd, &user->byte, 1);
	case USE_POLL:
		return noria_poll(user->fd, POLLIN);
	case USE_STREAM:
		return use_stream(user->fd);
	default:
		return noria_recv_all(user->fd, &user->byte, 1, 0);
	}
}

static int use_it(void *arg)
{
	struct user *user = arg;

	user->started = true;
	user->result = noria_within(user->limit, use(user));
	user->done = true;
	return 0;
}

static void check_ended(const struct user *user)
{
	EXPECT(user->result == -EBADF || user->result == -ECANCELED);
}

/* R10: whatever kind of operation it is, and with a time limit or without. */
RULE(R10, closing_ends_every_kind_of_operation)
{
	for (int i = 0; i < 2 * USES; i++) {
		struct user user = {.kind = i / 2, .limit = i % 2 ? noria_sec(100) : NORIA_FOREVER};
		struct noria_group group = {0};
		int pair[2];

		inside_pair(pair);
		user.fd = pair[0];
		MUST(noria_group_open(&group) == 0);
		MUST(noria_spawn(&group, use_it, &user) == 0);
		UNTIL(inside_flying(pair[0]) && (i % 4 < 2 || ring_pending(noria_loop->ring) == 0));
		EXPECT(noria_close(pair[0]) == 0);
		EXPECT(!inside_flying(pair[0]));
		EXPECT(fcntl(pair[0], F_GETFD) < 0);
		MUST(noria_group_close(&group, 0) == 0);
		check_ended(&user);
		close(pair[1]);
	}
	return 0;
}

static const struct noria_config two_entries = {.ring_entries = 2, .ring_entries_max = 2};

/* R10: many operations on it at once, most of which still stand in line for an entry. */
RULE_WITH(R10, closing_ends_operations_that_wait_for_an_entry, &two_entries)
{
	struct user users[50];
	struct noria_group group = {0};
	int pair[2];

	inside_pair(pair);
	inside_whole_turns();
	MUST(noria_group_open(&group) == 0);
	for (int i = 0; i < 50; i++) {
		users[i] =
			(struct user){.fd = pair[0], .kind = USE_RECV, .limit = i % 2 ? NORIA_FOREVER : noria_sec(100)};
		MUST(noria_spawn(&group, use_it, &users[i]) == 0);
	}
	for (int i = 0; i < 50; i++)
		UNTIL(users[i].started);
	EXPECT(!list_empty(&noria_loop->backlog));
	EXPECT(noria_close(pair[0]) == 0);
	MUST(noria_group_close(&group, 0) == 0);
	for (int i = 0; i < 50; i++)
		check_ended(&users[i]);
	close(pair[1]);
	return 0;
}

/* R10: who gets the number next keeps all of its bytes, and an operation of its own is not hit by the old cancel. */
RULE(R10, the_next_owner_is_not_touched)
{
	for (int i = 0; i < 50; i++) {
		struct user old = {.kind = USE_RECV, .limit = i % 2 ? noria_sec(100) : NORIA_FOREVER};
		struct user new = {.kind = USE_RECV, .limit = old.limit};
		struct noria_group group = {0};
		int pair[2], next[2];

		inside_pair(pair);
		old.fd = pair[0];
		MUST(noria_group_open(&group) == 0);
		MUST(noria_spawn(&group, use_it, &old) == 0);
		UNTIL(inside_flying(pair[0]));
		EXPECT(noria_close(pair[0]) == 0);
		inside_pair(next);
		MUST(next[0] == pair[0] || next[1] == pair[0]);
		new.fd = pair[0];
		MUST(noria_spawn(&group, use_it, &new) == 0);
		MUST(send(next[0] == pair[0] ? next[1] : next[0], "n", 1, 0) == 1);
		MUST(noria_group_close(&group, 0) == 0);
		check_ended(&old);
		EXPECT(new.result == 1 && new.byte == 'n');
		inside_close(next);
		close(pair[1]);
	}
	return 0;
}

static int close_it(void *arg)
{
	struct user *user = arg;

	user->started = true;
	user->result = noria_close(user->fd);
	user->done = true;
	return 0;
}

/* R10: an operation that begins while the close waits for another one ends as well. */
RULE(R10, an_operation_begun_during_the_close_ends)
{
	struct user first = {.kind = USE_RECV, .limit = NORIA_FOREVER}, closer = {0};
	struct user second = {.kind = USE_RECV, .limit = NORIA_FOREVER};
	struct noria_group group = {0};
	int pair[2];

	inside_pair(pair);
	first.fd = second.fd = closer.fd = pair[0];
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, use_it, &first) == 0);
	UNTIL(inside_flying(pair[0]) && ring_pending(noria_loop->ring) == 0);
	MUST(noria_spawn(&group, close_it, &closer) == 0);
	MUST(noria_spawn(&group, use_it, &second) == 0);
	UNTIL(closer.done);
	EXPECT(closer.result == 0);
	EXPECT(!inside_flying(pair[0]));
	EXPECT(noria_within(noria_sec(5), ({
				    while (!second.done && noria_sleep(noria_msec(1)) == 0)
					    ;
				    (ssize_t)0;
			    })) == 0);
	noria_group_cancel(&group);
	MUST(noria_group_close(&group, 0) == 0);
	check_ended(&first);
	check_ended(&second);
	close(pair[1]);
	return 0;
}

/* R10: closing twice at the same time is one close and one -EBADF, and neither waits for ever. */
RULE(R10, closing_twice_ends)
{
	struct user user = {.kind = USE_RECV, .limit = NORIA_FOREVER}, closers[2] = {0};
	struct noria_group group = {0};
	int pair[2];

	inside_pair(pair);
	user.fd = closers[0].fd = closers[1].fd = pair[0];
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, use_it, &user) == 0);
	UNTIL(inside_flying(pair[0]) && ring_pending(noria_loop->ring) == 0);
	MUST(noria_spawn(&group, close_it, &closers[0]) == 0);
	MUST(noria_spawn(&group, close_it, &closers[1]) == 0);
	UNTIL(user.done);
	for (int i = 0; i < 1000; i++)
		MUST(noria_yield() == 0);
	MUST(closers[0].done && closers[1].done);
	EXPECT((closers[0].result == 0 && closers[1].result == -EBADF) ||
	       (closers[0].result == -EBADF && closers[1].result == 0));
	MUST(noria_group_close(&group, 0) == 0);
	close(pair[1]);
	return 0;
}

static int read_all(void *arg)
{
	struct user *user = arg;
	char bytes[8];

	user->result = noria_read_all(user->fd, bytes, sizeof bytes);
	return 0;
}

/* R10: the descriptor is closed when a part of the whole has been read: the rest is not taken from the next owner. */
RULE(R10, the_next_owner_keeps_what_a_transfer_under_way_lacks)
{
	struct noria_group group = {0};
	struct user user = {0};
	int ends[2], next[2];
	char bytes[8];

	MUST(pipe2(ends, O_CLOEXEC) == 0);
	user.fd = ends[0];
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, read_all, &user) == 0);
	UNTIL(inside_flying(ends[0]) && ring_pending(noria_loop->ring) == 0);
	MUST(write(ends[1], "part", 4) == 4);
	inside_enter_until(1); /* it was read, and the task does not know */
	EXPECT(noria_close(ends[0]) == 0);
	MUST(pipe2(next, O_CLOEXEC) == 0);
	EXPECT(next[0] == ends[0]);
	MUST(write(next[1], "next", 4) == 4 && close(next[1]) == 0);
	MUST(noria_group_close(&group, 0) == 0);
	EXPECT(user.result == -EBADF);
	EXPECT(read(next[0], bytes, sizeof bytes) == 4);
	close(next[0]);
	close(ends[1]);
	return 0;
}
