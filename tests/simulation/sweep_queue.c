/* SPDX-License-Identifier: MIT */
/*
 * The queue of entries: with room for two of them, and many tasks that all want one at the same time. What does not
 * fit waits, and nothing of it may be lost, doubled or late.
 */
#include "sweep.h"

enum { CROWD = 9, ROUNDS = 3, SIZE = 48 };

static struct {
	int pairs[CROWD][2];
	int64_t cancel_ns;
	struct noria_event go;
	unsigned begun, ended;
	bool closed;
} crowd;

static int open_pairs(void)
{
	memset(&crowd, 0, sizeof crowd);
	for (int i = 0; i < CROWD; i++) {
		int r = sweep_pair(crowd.pairs[i]);

		while (r < 0 && i-- > 0)
			sweep_close_pair(crowd.pairs[i]);
		noria_try(r);
	}
	return 0;
}

static void close_pairs(void)
{
	for (int i = 0; i < CROWD; i++)
		sweep_close_pair(crowd.pairs[i]);
}

/* With all pairs open, in a group. */
static int in_crowd(int (*body)(struct noria_group *group))
{
	struct noria_group group;
	int r;

	noria_try(open_pairs());
	r = noria_group_open(&group);
	if (r >= 0) {
		r = body(&group);
		r = noria_group_close(&group, r);
	}
	close_pairs();
	return r;
}

/* ---- cancels that find the queue full ---- */

/* A wait that only the cancel ends, at the time of the cancel. */
static int stuck(void *arg)
{
	int fd = crowd.pairs[*(int *)arg][0];
	char byte;
	ssize_t r = *(int *)arg % 2 ? noria_recv(fd, &byte, 1, 0) : noria_poll(fd, POLLIN);

	noria_try(sweep_ended(r, -ECANCELED, crowd.cancel_ns));
	return (int)r;
}

/* It fills the queue at the very time of the cancel, each round with other waits that end by their limits. */
static int noisy(void *arg)
{
	int fd = crowd.pairs[*(int *)arg][1];

	noria_try(sweep_ended(noria_sleep_until(crowd.cancel_ns), 0, crowd.cancel_ns));
	for (int i = 0; i < ROUNDS; i++) {
		int64_t end = noria_now() + 5 + i;

		noria_try(sweep_ended(noria_until(end, noria_poll(fd, POLLIN)), -ETIMEDOUT, end));
	}
	return 0;
}

static int cancel_the_stuck(struct noria_group *around)
{
	struct noria_group group;
	int numbers[CROWD], r = 0;

	crowd.cancel_ns = noria_now() + MS(5);
	for (int i = 0; i < CROWD; i++)
		numbers[i] = i;
	for (int i = 0; i < CROWD && r >= 0; i++)
		r = noria_spawn_copy(around, noisy, &numbers[i], sizeof numbers[i]);
	noria_try(r);
	noria_try(noria_group_open(&group));
	for (int i = 0; i < CROWD && r >= 0; i++)
		r = noria_spawn(&group, stuck, &numbers[i]);
	if (r >= 0)
		r = sweep_ended(noria_sleep_until(crowd.cancel_ns), 0, crowd.cancel_ns);
	noria_group_cancel(&group);
	r = noria_group_close(&group, r);
	return sweep_ended(r, 0, crowd.cancel_ns);
}

static int cancels(void *arg)
{
	(void)arg;
	return in_crowd(cancel_the_stuck);
}

/* The same one by one: each task is cancelled while the others begin anew. */
static int one_by_one(void *arg)
{
	int fd = crowd.pairs[*(int *)arg][0];
	struct noria_scope scope;
	ssize_t r;
	char byte;

	for (int i = 0; i < ROUNDS; i++) {
		int64_t end = noria_now() + MS(1) + *(int *)arg % 3;

		noria_try(noria_scope_open(&scope, i == 1 ? NORIA_FOREVER : end, 0));
		if (i == 1)
			noria_scope_cancel(&scope);
		r = noria_recv(fd, &byte, 1, 0);
		noria_try(
			sweep_ended(noria_scope_close(&scope, r), i == 1 ? 0 : -ETIMEDOUT, i == 1 ? noria_now() : end));
	}
	return 0;
}

static int end_by_limits(struct noria_group *group)
{
	int r = 0;

	for (int i = 0; i < CROWD && r >= 0; i++)
		r = noria_spawn_copy(group, one_by_one, &i, sizeof i);
	return r;
}

static int limits(void *arg)
{
	(void)arg;
	return in_crowd(end_by_limits);
}

/* ---- bytes through a full queue ---- */

static void fill(char *bytes, int number, int round)
{
	for (int i = 0; i < SIZE; i++)
		bytes[i] = (char)(number * 31 + round * 7 + i);
}

/* One at a time answers what the other says, so that each waits for each other's bytes. */
static int talk(void *arg)
{
	int number = *(int *)arg, fd = crowd.pairs[number][0];
	char out[SIZE], in[SIZE];

	for (int i = 0; i < ROUNDS; i++) {
		fill(out, number, i);
		noria_try(noria_send_all(fd, out, SIZE, 0));
		noria_try(noria_within(noria_sec(10), noria_recv_all(fd, in, SIZE, 0)));
		CHECK(memcmp(in, out, SIZE) == 0);
	}
	return 0;
}

static int answer(void *arg)
{
	int fd = crowd.pairs[*(int *)arg][1];
	char bytes[SIZE];

	for (int i = 0; i < ROUNDS; i++) {
		ssize_t n = noria_recv_all(fd, bytes, SIZE, 0);

		noria_try(n);
		CHECK_EQ(n, SIZE);
		noria_try(noria_send_all(fd, bytes, SIZE, 0));
	}
	return 0;
}

static int talk_in_pairs(struct noria_group *group)
{
	int r = 0;

	for (int i = 0; i < CROWD && r >= 0; i++) {
		r = noria_spawn_copy(group, talk, &i, sizeof i);
		if (r >= 0)
			r = noria_spawn_copy(group, answer, &i, sizeof i);
	}
	return r;
}

static int bytes(void *arg)
{
	(void)arg;
	return in_crowd(talk_in_pairs);
}

/* ---- a cancel that meets a success ---- */

/* What a task has received counts, whatever else has happened to it meanwhile. */
static int taker(void *arg)
{
	int fd = crowd.pairs[*(int *)arg][0];
	char byte = 0;
	ssize_t n = noria_recv(fd, &byte, 1, 0);

	if (n == 1)
		crowd.ended++;
	return n < 0 ? (int)n : 0;
}

/* The bytes are sent, and the takers cancelled, at once: each byte has been taken, or is there still. */
static int send_and_cancel(struct noria_group *around)
{
	struct noria_group group;
	char byte = 'x';
	int r = 0, there = 0;

	(void)around;
	for (int round = 0; round < ROUNDS; round++) {
		crowd.ended = 0;
		there = 0;
		noria_try(noria_group_open(&group));
		for (int i = 0; i < CROWD && r >= 0; i++)
			r = noria_spawn_copy(&group, taker, &i, sizeof i);
		if (r >= 0)
			r = noria_sleep(MS(1));
		for (int i = 0; i < CROWD && r >= 0; i += 1 + i % 2)
			r = noria_send(crowd.pairs[i][1], &byte, 1, 0) == 1 ? ++there : -ECANCELED;
		noria_group_cancel(&group);
		r = noria_group_close(&group, r);
		noria_try(r);
		for (int i = 0; i < CROWD; i++) {
			ssize_t n = noria_recv(crowd.pairs[i][0], &byte, 1, MSG_DONTWAIT);

			noria_try(n == -EAGAIN ? 0 : n);
			there -= n == 1;
		}
		if (!sweep_cancelled())
			CHECK_EQ(crowd.ended, there);
	}
	return 0;
}

static int races(void *arg)
{
	(void)arg;
	return in_crowd(send_and_cancel);
}

/* ---- a descriptor that is closed under those who wait ---- */

static int until_closed(void *arg)
{
	int fd = *(int *)arg;
	char byte;
	ssize_t r = noria_recv(fd, &byte, 1, 0);

	noria_try(sweep_ended(r, -EBADF, crowd.cancel_ns));
	return 0;
}

/* What begins before the close has returned is for the old owner of the number, and never reaches the next. */
static int as_it_closes(void *arg)
{
	noria_try(sweep_ended(noria_sleep_until(crowd.cancel_ns), 0, crowd.cancel_ns));
	return crowd.closed ? 0 : until_closed(arg);
}

/* The number's next owner has it before anybody else runs, and keeps it for a while. */
static int own_next(int next[2])
{
	int r;

	crowd.closed = true;
	r = sweep_pair(next);
	if (r >= 0) {
		r = noria_sleep(MS(2));
		sweep_close_pair(next);
	}
	return r;
}

static int close_under_them(void *arg)
{
	struct noria_group group;
	int fds[2], next[2], r = 0;

	(void)arg;
	memset(&crowd, 0, sizeof crowd);
	noria_try(sweep_pair(fds));
	crowd.cancel_ns = noria_now() + MS(3);
	r = noria_group_open(&group);
	if (r >= 0) {
		for (int i = 0; i < 5 && r >= 0; i++) {
			r = noria_spawn(&group, until_closed, &fds[0]);
			if (r >= 0)
				r = noria_spawn(&group, as_it_closes, &fds[0]);
		}
		if (r >= 0)
			r = noria_sleep_until(crowd.cancel_ns);
		noria_close(fds[0]);
		if (!sweep_cancelled() && r >= 0)
			r = sweep_ended(0, 0, crowd.cancel_ns);
		if (r >= 0)
			r = own_next(next);
		r = noria_group_close(&group, r);
	} else {
		noria_close(fds[0]);
	}
	noria_close(fds[1]);
	return r;
}

/* ---- chains in a full queue ---- */

static int chained(void *arg)
{
	int number = *(int *)arg, fd = crowd.pairs[number][0];
	struct noria_chain_step steps[2];
	struct noria_chain chain;
	char out[SIZE], in[SIZE];
	int64_t end;
	ssize_t r;

	fill(out, number, 0);
	noria_chain_begin(&chain, steps);
	noria_chain_send(&chain, fd, out, SIZE, 0);
	noria_chain_recv(&chain, fd, in, SIZE, 0);
	r = noria_chain_run(&chain);
	noria_try(r);
	CHECK_EQ(r, 2);
	CHECK(memcmp(in, out, SIZE) == 0);
	/* Nobody answers now. */
	end = noria_now() + MS(2) + number;
	noria_chain_begin(&chain, steps);
	noria_chain_recv(&chain, fd, in, 1, 0);
	noria_chain_send(&chain, fd, out, SIZE, 0);
	r = noria_until(end, noria_chain_run(&chain));
	noria_try(sweep_ended(r, -ETIMEDOUT, end));
	if (r == -ETIMEDOUT && !sweep_cancelled())
		CHECK_EQ(noria_chain_result(&chain, 1), -ECANCELED);
	return 0;
}

static int echo_once(void *arg)
{
	int fd = crowd.pairs[*(int *)arg][1];
	char bytes[SIZE];

	noria_try(noria_recv_all(fd, bytes, SIZE, 0));
	noria_try(noria_send_all(fd, bytes, SIZE, 0));
	return 0;
}

static int chain_in_pairs(struct noria_group *group)
{
	int r = 0;

	for (int i = 0; i < CROWD && r >= 0; i++) {
		r = noria_spawn_copy(group, chained, &i, sizeof i);
		if (r >= 0)
			r = noria_spawn_copy(group, echo_once, &i, sizeof i);
	}
	return r;
}

static int chains(void *arg)
{
	(void)arg;
	return in_crowd(chain_in_pairs);
}

const struct sweep_program sweep_queue[] = {
	{"cancels", cancels, "tiny plain old", 0},
	{"limits", limits, "tiny heap old", 0},
	{"bytes", bytes, "tiny plain", 0},
	{"races", races, "tiny plain old", 0},
	{"closes", close_under_them, "tiny plain", 0},
	{"chains", chains, "tiny plain", 0},
	{0},
};
