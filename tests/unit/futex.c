/* SPDX-License-Identifier: MIT */
/* Futexes between tasks and other processes and threads; that no wake is lost, however it meets a cancel. */
#include "unit.h"

#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void *share(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	MUST(memory != MAP_FAILED);
	return memory;
}

/* Two processes that take turns: `turn` says whose it is. */
enum { TURNS = 300 };

static void play_other(uint32_t *turn)
{
	for (int i = 0; i < TURNS; i++) {
		while (__atomic_load_n(turn, __ATOMIC_ACQUIRE) == 0)
			syscall(SYS_futex, turn, FUTEX_WAIT, 0, NULL, NULL, 0);
		__atomic_store_n(turn, 0, __ATOMIC_RELEASE);
		syscall(SYS_futex, turn, FUTEX_WAKE, 1, NULL, NULL, 0);
	}
}

UNIT(futex, turns_with_another_process)
{
	uint32_t *turn = share(sizeof *turn);
	pid_t child = fork();
	int status;

	MUST(child >= 0);
	if (child == 0) {
		play_other(turn);
		_exit(0);
	}
	for (int i = 0; i < TURNS; i++) {
		int r;

		__atomic_store_n(turn, 1, __ATOMIC_RELEASE);
		EXPECT(noria_futex_wake(turn, NORIA_FUTEX_ANY, 1, NORIA_FUTEX_32) >= 0);
		while (__atomic_load_n(turn, __ATOMIC_ACQUIRE) == 1) {
			r = noria_futex_wait(turn, 1, NORIA_FUTEX_ANY, NORIA_FUTEX_32);
			MUST(r == 0 || r == -EAGAIN);
		}
	}
	EXPECT_EQ(noria_waitpid(child, &status, 0), child);
	EXPECT_EQ(status, 0);
	MUST(munmap(turn, sizeof *turn) == 0);
	return 0;
}

struct waiter {
	uint32_t *word;
	uint64_t mask;
	int result;
	bool ended;
};

static int wait_on(void *arg)
{
	struct waiter *waiter = arg;

	waiter->result = noria_futex_wait(waiter->word, 0, waiter->mask, NORIA_FUTEX_32 | NORIA_FUTEX_PRIVATE);
	waiter->ended = true;
	return 0;
}

/* Wake until as many as that have been woken: whether a wait has begun, only a wake can tell. */
static void wake(uint32_t *word, uint64_t mask, int count)
{
	for (int woken = 0; woken < count;) {
		int r = noria_futex_wake(word, mask, count - woken, NORIA_FUTEX_32 | NORIA_FUTEX_PRIVATE);

		MUST(r >= 0 && r <= count - woken);
		woken += r;
		MUST(noria_yield() == 0);
	}
}

UNIT(futex, wakes_as_many_as_asked)
{
	struct waiter waiters[8];
	struct noria_group group;
	uint32_t word = 0;

	MUST(noria_group_open(&group) == 0);
	for (int i = 0; i < 8; i++) {
		waiters[i] = (struct waiter){&word, NORIA_FUTEX_ANY, 1, false};
		MUST(noria_spawn(&group, wait_on, &waiters[i]) == 0);
	}
	wake(&word, NORIA_FUTEX_ANY, 3);
	UNTIL(noria_group_size(&group) <= 5);
	EXPECT_EQ(noria_group_size(&group), 5);
	wake(&word, NORIA_FUTEX_ANY, 5);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	for (int i = 0; i < 8; i++)
		EXPECT_EQ(waiters[i].result, 0);
	return 0;
}

UNIT(futex, masks_choose)
{
	uint32_t word = 0;
	struct waiter waiters[2] = {{&word, 1, 1, false}, {&word, 2, 1, false}};
	struct noria_group group;

	MUST(noria_group_open(&group) == 0);
	for (int i = 0; i < 2; i++)
		MUST(noria_spawn(&group, wait_on, &waiters[i]) == 0);
	for (int i = 0; i < 4; i++)
		MUST(noria_yield() == 0);
	if (waiters[0].ended) { /* the ring has no futexes */
		EXPECT_EQ(waiters[0].result, -EOPNOTSUPP);
		EXPECT_EQ(noria_group_close(&group, 0), 0);
		return 0;
	}
	wake(&word, 2, 1);
	UNTIL(waiters[1].ended);
	EXPECT(!waiters[0].ended);
	wake(&word, 5, 1);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT(waiters[0].result == 0 && waiters[1].result == 0);
	return 0;
}

UNIT(futex, wakes_nobody_for_zero)
{
	struct waiter waiter = {NULL, NORIA_FUTEX_ANY, 1, false};
	struct noria_group group;
	uint32_t word = 0;

	waiter.word = &word;
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, wait_on, &waiter) == 0);
	MUST(noria_sleep(noria_msec(1)) == 0); /* a turn of the loop: it waits */
	EXPECT_EQ(noria_futex_wake(&word, NORIA_FUTEX_ANY, 0, NORIA_FUTEX_32 | NORIA_FUTEX_PRIVATE), 0);
	MUST(noria_sleep(noria_msec(1)) == 0); /* a turn of the loop: it waits */
	EXPECT(!waiter.ended);
	wake(&word, NORIA_FUTEX_ANY, 1);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	return 0;
}

/* A thread wakes while the waits are cancelled. As many waits must say that they were woken as wakes say they woke. */
struct contest {
	uint32_t words[3];
	atomic_bool end;
	long woken, heard;
	bool vector;
};

static void *wake_all_the_time(void *arg)
{
	struct contest *contest = arg;

	while (!atomic_load(&contest->end)) {
		int r = noria_futex_wake(&contest->words[1], NORIA_FUTEX_ANY, 1, NORIA_FUTEX_32);

		MUST(r >= 0);
		contest->woken += r;
		if (r == 0)
			sched_yield();
	}
	return NULL;
}

static int wait_in_contest(struct contest *contest)
{
	struct futex_waitv waiters[3];

	if (!contest->vector)
		return noria_futex_wait(&contest->words[1], 0, NORIA_FUTEX_ANY, NORIA_FUTEX_32);
	for (int i = 0; i < 3; i++)
		waiters[i] = (struct futex_waitv){.flags = NORIA_FUTEX_32, .uaddr = (uintptr_t)&contest->words[i]};
	return noria_futex_waitv(waiters, 3, 0);
}

static int contend(void *arg)
{
	struct contest *contest = arg;
	uint64_t state = (uint64_t)(uintptr_t)&state;

	for (int i = 0; i < (UNIT_SANITIZED ? 100 : 500); i++) {
		int64_t limit = (int64_t)(unit_random(&state) % 100000);
		int r = (int)noria_within(limit, wait_in_contest(contest));

		MUST(r == contest->vector || r == -ETIMEDOUT);
		contest->heard += r >= 0;
	}
	return 0;
}

static int contest(bool vector)
{
	struct contest contest = {.vector = vector};
	struct noria_group group;
	pthread_t thread;

	MUST(pthread_create(&thread, NULL, wake_all_the_time, &contest) == 0);
	MUST(noria_group_open(&group) == 0);
	for (int i = 0; i < 4; i++)
		MUST(noria_spawn(&group, contend, &contest) == 0);
	MUST(noria_group_close(&group, 0) == 0);
	atomic_store(&contest.end, true);
	MUST(pthread_join(thread, NULL) == 0);
	EXPECT_EQ(contest.heard, contest.woken);
	return 0;
}

UNIT(futex, no_wake_is_lost_to_a_cancel)
{
	return contest(false);
}

UNIT(futex, no_wake_is_lost_to_a_cancel_of_several)
{
	return contest(true);
}

/* What it waits by (a number among flags) is no descriptor: closing descriptor 2 or 0 does not end it. */
UNIT(futex, is_not_ended_by_closing_a_descriptor)
{
	struct waiter waiter = {NULL, NORIA_FUTEX_ANY, 1, false};
	struct noria_group group;
	uint32_t word = 0;
	int kept = dup(STDERR_FILENO), shared = NORIA_FUTEX_32 | NORIA_FUTEX_PRIVATE;

	waiter.word = &word;
	MUST(kept >= 0 && dup2(kept, shared) == shared);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, wait_on, &waiter) == 0);
	for (int i = 0; i < 4; i++)
		MUST(noria_yield() == 0);
	EXPECT_EQ(noria_close(shared), 0);
	wake(&word, NORIA_FUTEX_ANY, 1);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT_EQ(waiter.result, 0);
	MUST(close(kept) == 0);
	return 0;
}
