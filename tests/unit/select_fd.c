/* SPDX-License-Identifier: MIT */
/*
 * Select and descriptors: the kernel has let go of every poll when a select returns (R02), and what it says in the meantime is
 * neither lost nor taken for something else.
 */
#include "channel_tasks.h"
#include "sync/select.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

enum { FDS = 3 };

struct watch {
	struct noria_channel channel;
	int64_t item;
	int pair[FDS][2];
	struct noria_case cases[1 + FDS];
};

static void watch_make(struct watch *watch)
{
	MUST(noria_channel_init(&watch->channel, sizeof(int64_t), NULL, 0) == 0);
	for (int i = 0; i < FDS; i++)
		unit_pair(watch->pair[i]);
}

static void watch_close(struct watch *watch)
{
	for (int i = 0; i < FDS; i++) {
		close(watch->pair[i][0]);
		close(watch->pair[i][1]);
	}
}

/* All that the kernel held is back. */
static int call_watch(struct actor *actor)
{
	struct watch *watch = actor->object;
	int which;

	watch->cases[0] = noria_case_recv(&watch->channel, &watch->item);
	for (int i = 0; i < FDS; i++)
		watch->cases[1 + i] = noria_case_fd(watch->pair[i][0], POLLIN);
	which = noria_select(watch->cases, 1 + FDS);
	for (int i = 1; i <= FDS; i++)
		EXPECT_EQ(((struct arm *)(void *)&watch->cases[i])->submission.state, SUBMISSION_IDLE);
	return which;
}

/* Let the kernel have what was queued: an entry is answered after those before it. */
static void let_the_kernel_see(void)
{
	char byte;

	for (int i = 0; i < 2; i++)
		MUST(noria_read(-1, &byte, 1) == -EBADF);
}

static int channel_first(struct noria_group *group, bool seen)
{
	struct watch watch;
	struct actor actor = {0};
	int64_t item = 9;

	watch_make(&watch);
	start(group, &actor, call_watch, &watch, 0);
	if (seen)
		let_the_kernel_see();
	EXPECT_EQ(noria_channel_trysend(&watch.channel, &item), 0);
	EXPECT(!actor.ended);
	UNTIL(actor.ended);
	EXPECT_EQ(actor.result, 0);
	EXPECT_EQ(watch.item, 9);
	watch_close(&watch);
	return 0;
}

UNIT(select_fd, polls_have_ended_when_another_case_happens)
{
	struct noria_group group = {0};

	MUST(noria_grouped(&group, channel_first(&group, false)) == 0);
	return noria_grouped(&group, channel_first(&group, true));
}

static int descriptor_first(struct noria_group *group)
{
	struct watch watch;
	struct actor actor = {0};
	int64_t item = 9;

	watch_make(&watch);
	start(group, &actor, call_watch, &watch, 0);
	let_the_kernel_see();
	EXPECT_EQ(write(watch.pair[1][1], "x", 1), 1);
	UNTIL(actor.ended);
	EXPECT_EQ(actor.result, 2);
	EXPECT_EQ(watch.cases[2].result, POLLIN);
	EXPECT_EQ(noria_channel_trysend(&watch.channel, &item), -EAGAIN);
	watch_close(&watch);
	return 0;
}

UNIT(select_fd, other_polls_have_ended_when_one_happens)
{
	struct noria_group group = {0};

	return noria_grouped(&group, descriptor_first(&group));
}

static int cancel_watch(struct noria_group *group, bool seen)
{
	struct watch watch;
	struct actor actor = {0};

	watch_make(&watch);
	start(group, &actor, call_watch, &watch, 0);
	if (seen)
		let_the_kernel_see();
	noria_scope_cancel(&actor.scope);
	UNTIL(actor.ended);
	EXPECT_EQ(actor.result, -ECANCELED);
	watch_close(&watch);
	return 0;
}

UNIT(select_fd, polls_have_ended_when_a_cancel_is_told)
{
	struct noria_group group = {0};

	MUST(noria_grouped(&group, cancel_watch(&group, false)) == 0);
	return noria_grouped(&group, cancel_watch(&group, true));
}

/* A poll of the test's own, at whose completion a scope is cancelled. */
struct trap {
	struct submission submission;
	struct noria_scope *scope;
	bool sprung;
};

static void spring(struct submission *submission, __attribute__((unused)) int32_t result,
		   __attribute__((unused)) uint32_t flags, __attribute__((unused)) bool last)
{
	struct trap *trap = container_of(submission, struct trap, submission);

	noria_scope_cancel(trap->scope);
	trap->sprung = true;
}

/* The kernel has said that it is ready, behind something that makes the task be cancelled: the success is delivered (R01). */
static int ready_and_cancelled(struct noria_group *group)
{
	struct watch watch;
	struct actor actor = {0};
	struct trap trap = {.scope = &actor.scope};
	int pair[2];

	unit_pair(pair);
	watch_make(&watch);
	noria_submission_init(&trap.submission, -1, spring);
	io_uring_initialize_sqe(&trap.submission.sqe);
	io_uring_prep_poll_add(&trap.submission.sqe, pair[0], POLLIN);
	noria_submit(noria_loop, &trap.submission);
	start(group, &actor, call_watch, &watch, 0);
	let_the_kernel_see();
	EXPECT_EQ(write(pair[1], "x", 1), 1);
	EXPECT_EQ(write(watch.pair[0][1], "x", 1), 1);
	UNTIL(trap.sprung && actor.ended);
	EXPECT_EQ(actor.result, 1);
	EXPECT_EQ(watch.cases[1].result, POLLIN);
	EXPECT_EQ(actor.afterward, -ECANCELED);
	watch_close(&watch);
	close(pair[0]);
	close(pair[1]);
	return 0;
}

UNIT(select_fd, a_descriptor_that_became_ready_beats_the_cancel)
{
	struct noria_group group = {0};

	return noria_grouped(&group, ready_and_cancelled(&group));
}

/* Two are ready in one batch of completions: the second says so while it is called back. */
static int both(struct noria_group *group)
{
	struct watch watch;
	struct actor actor = {0};

	watch_make(&watch);
	start(group, &actor, call_watch, &watch, 0);
	let_the_kernel_see();
	EXPECT_EQ(write(watch.pair[1][1], "x", 1), 1);
	EXPECT_EQ(write(watch.pair[0][1], "x", 1), 1);
	UNTIL(actor.ended);
	EXPECT_EQ(actor.result, 2);
	EXPECT_EQ(watch.cases[2].result, POLLIN);
	EXPECT_EQ(watch.cases[1].result, 0);
	watch_close(&watch);
	return 0;
}

UNIT(select_fd, a_poll_that_is_too_late_changes_nothing)
{
	struct noria_group group = {0};

	return noria_grouped(&group, both(&group));
}

static int close_one(struct noria_group *group)
{
	struct watch watch;
	struct actor actor = {0};

	watch_make(&watch);
	start(group, &actor, call_watch, &watch, 0);
	let_the_kernel_see();
	EXPECT_EQ(noria_close(watch.pair[2][0]), 0);
	UNTIL(actor.ended);
	EXPECT_EQ(actor.result, 3);
	EXPECT_EQ(watch.cases[3].result, -EBADF);
	close(watch.pair[2][1]);
	unit_pair(watch.pair[2]);
	watch_close(&watch);
	return 0;
}

UNIT(select_fd, closing_a_descriptor_wakes_the_select)
{
	struct noria_group group = {0};

	return noria_grouped(&group, close_one(&group));
}

UNIT(select_fd, what_is_no_descriptor_is_told)
{
	for (int fd = -1; fd < 1000; fd += 1000) {
		struct noria_case cases[] = {noria_case_fd(fd, POLLIN), noria_case_until(NORIA_FOREVER)};

		for (int i = 0; i < 10; i++) { /* by a system call or by the ring, as it comes */
			EXPECT_EQ(noria_select(cases, 2), 0);
			EXPECT_EQ(cases[0].result, -EBADF);
		}
		EXPECT_EQ(noria_select_try(cases, 2), 0);
		EXPECT_EQ(cases[0].result, -EBADF);
	}
	return 0;
}

UNIT(select_fd, events_are_those_of_poll)
{
	struct noria_case cases[1];
	int pair[2];

	unit_pair(pair);
	cases[0] = noria_case_fd(pair[0], POLLIN | POLLOUT);
	for (int i = 0; i < 4; i++) {
		EXPECT_EQ(noria_select(cases, 1), 0);
		EXPECT_EQ(cases[0].result, POLLOUT);
	}
	close(pair[1]);
	EXPECT_EQ(noria_select(cases, 1), 0);
	EXPECT(cases[0].result & POLLHUP);
	close(pair[0]);
	return 0;
}

/* More polls than the ring has entries: some wait for room, and leave from there. */
static const struct noria_config small_ring = {.ring_entries = 2, .ring_entries_max = 2};

static int crowd(struct noria_group *group)
{
	struct watch watches[4];
	struct actor actors[4] = {0};

	for (int i = 0; i < 4; i++) {
		watch_make(&watches[i]);
		start(group, &actors[i], call_watch, &watches[i], 0);
	}
	for (int i = 0; i < 4; i++) {
		int64_t item = i;

		if (i % 2)
			noria_scope_cancel(&actors[i].scope);
		else
			EXPECT_EQ(noria_channel_trysend(&watches[i].channel, &item), 0);
	}
	for (int i = 0; i < 4; i++) {
		UNTIL(actors[i].ended);
		EXPECT_EQ(actors[i].result, i % 2 ? -ECANCELED : 0);
		watch_close(&watches[i]);
	}
	return 0;
}

static int call_crowd(__attribute__((unused)) void *arg)
{
	struct noria_group group = {0};

	return noria_grouped(&group, crowd(&group));
}

Test(select_fd, polls_that_wait_for_an_entry_leave_too, .timeout = 100)
{
	unit_run(call_crowd, &small_ring);
}

/* Seeded: selects over pipes, channels and times, with time limits; what is sent on each way arrives on it, in order. */
enum { WAYS = 3, READERS = 4, ROUNDS = 400 };

struct storm {
	uint64_t seed;
	struct noria_channel channels[WAYS];
	int pipes[WAYS][2];
	int64_t sent[WAYS], received[WAYS], written[WAYS], read[WAYS];
	int writing;
};

static int64_t soon(struct storm *storm)
{
	return noria_now() + noria_usec((int64_t)(unit_random(&storm->seed) % 50));
}

static int writer(void *arg)
{
	struct storm *storm = arg;

	for (int i = 0; i < ROUNDS; i++) {
		unsigned way = (unsigned)(unit_random(&storm->seed) % WAYS);
		int64_t one = 1;

		if (unit_random(&storm->seed) % 2) {
			struct noria_case cases[] = {noria_case_send(&storm->channels[way], &one),
						     noria_case_fd(storm->pipes[way][1], POLLOUT),
						     noria_case_until(soon(storm))};
			int which = noria_select(cases, 3);

			MUST(which >= 0);
			storm->sent[way] += which == 0;
		} else {
			MUST(noria_write(storm->pipes[way][1], "x", 1) == 1);
			storm->written[way]++;
		}
		if (unit_random(&storm->seed) % 3 == 0)
			MUST(noria_yield() == 0);
	}
	if (--storm->writing == 0)
		for (int i = 0; i < WAYS; i++)
			noria_channel_close(&storm->channels[i]);
	return 0;
}

static int reader(void *arg)
{
	struct storm *storm = arg;
	int64_t items[WAYS];

	for (;;) {
		struct noria_case cases[2 * WAYS];
		int which;
		char bytes[64];

		for (int i = 0; i < WAYS; i++) {
			cases[i] = noria_case_recv(&storm->channels[i], &items[i]);
			cases[WAYS + i] = noria_case_fd(storm->pipes[i][0], POLLIN);
		}
		which = noria_within(noria_usec((int64_t)(unit_random(&storm->seed) % 50)),
				     noria_select(cases, 2 * WAYS));
		MUST(which >= 0 || which == -ETIMEDOUT);
		if (which >= WAYS) {
			ssize_t n = read(storm->pipes[which - WAYS][0], bytes, sizeof bytes);

			MUST(n > 0 || errno == EAGAIN);
			storm->read[which - WAYS] += n > 0 ? n : 0;
		} else if (which >= 0 && cases[which].result == 1) {
			MUST(items[which] == 1);
			storm->received[which]++;
		} else if (which >= 0) {
			return 0; /* the end */
		}
	}
}

static int rage(struct noria_group *group, struct storm *storm)
{
	for (int i = 0; i < READERS; i++) {
		MUST(noria_spawn(group, reader, storm) == 0);
		MUST(noria_spawn(group, writer, storm) == 0);
	}
	return 0;
}

UNIT(select_fd, storm)
{
	for (uint64_t seed = 1; seed < 4; seed++) {
		struct noria_group group = {0};
		struct storm storm = {.seed = seed, .writing = READERS};

		for (int i = 0; i < WAYS; i++) {
			MUST(noria_channel_init(&storm.channels[i], sizeof(int64_t), NULL, 0) == 0);
			MUST(pipe2(storm.pipes[i], O_NONBLOCK | O_CLOEXEC) == 0);
		}
		MUST(noria_grouped(&group, rage(&group, &storm)) == 0);
		for (int i = 0; i < WAYS; i++) {
			char bytes[ROUNDS * READERS];
			ssize_t rest = read(storm.pipes[i][0], bytes, sizeof bytes);

			EXPECT_EQ(storm.received[i], storm.sent[i]);
			EXPECT_EQ(storm.read[i] + (rest > 0 ? rest : 0), storm.written[i]);
			EXPECT_EQ(noria_channel_destroy(&storm.channels[i]), 0);
			close(storm.pipes[i][0]);
			close(storm.pipes[i][1]);
		}
	}
	return 0;
}
