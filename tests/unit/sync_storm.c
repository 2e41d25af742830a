/* SPDX-License-Identifier: MIT */
/*
 * Many tasks lock, wait, signal, and cancel one another at random, the same way for each seed in every run. What
 * must hold: one owner, readers or one writer, permits conserved, as many returns from a condition as signals that found
 * somebody; and everything is free in the end.
 */
#include "sync_tasks.h"

enum { TASKS = 40, STEPS = 400, PERMITS = 3 };

struct storm {
	struct noria_mutex mutex;
	struct noria_rwlock rwlock;
	struct noria_semaphore semaphore;
	struct noria_condition condition;
	struct noria_scope scopes[TASKS];
	uint64_t random, seed;
	int owners, readers, writers, permits;
	long signalled, woken, entered, refused;
	int running;
};

struct member {
	struct storm *storm;
	int index;
};

static unsigned pick(struct storm *storm, unsigned below)
{
	return (unsigned)(unit_random(&storm->random) % below);
}

/* Some turns inside: none in a cancelled scope. */
static void stay(struct storm *storm)
{
	for (unsigned i = pick(storm, 3); i > 0; i--)
		if (noria_yield() < 0)
			return;
}

static void count(struct storm *storm, int r)
{
	if (r == 0)
		storm->entered++;
	else
		storm->refused++;
	cr_expect(r == 0 || r == -ECANCELED, "seed %llu: %d: %s", (unsigned long long)storm->seed, r, noria_message());
}

static void use_mutex(struct storm *storm)
{
	int r = noria_mutex_lock(&storm->mutex);

	count(storm, r);
	if (r < 0)
		return;
	EXPECT_EQ(storm->owners++, 0);
	stay(storm);
	if (pick(storm, 3) == 0) {
		storm->owners--;
		r = noria_condition_wait(&storm->condition, &storm->mutex);
		EXPECT_EQ(storm->owners++, 0);
		storm->woken += r == 0;
		count(storm, r);
	}
	stay(storm);
	storm->owners--;
	EXPECT_EQ(noria_mutex_unlock(&storm->mutex), 0);
}

static void use_rwlock(struct storm *storm)
{
	bool write = pick(storm, 3) == 0;
	int r = write ? noria_rwlock_wrlock(&storm->rwlock) : noria_rwlock_rdlock(&storm->rwlock);

	count(storm, r);
	if (r < 0)
		return;
	EXPECT(write ? storm->writers++ == 0 && storm->readers == 0 : storm->readers++ >= 0 && storm->writers == 0);
	stay(storm);
	if (write && pick(storm, 2) == 0) {
		EXPECT_EQ(noria_rwlock_downgrade(&storm->rwlock), 0);
		storm->writers--;
		storm->readers++;
		write = false;
		stay(storm);
	}
	*(write ? &storm->writers : &storm->readers) -= 1;
	EXPECT_EQ(noria_rwlock_unlock(&storm->rwlock), 0);
}

static void use_semaphore(struct storm *storm)
{
	int n = 1 + (int)pick(storm, PERMITS);
	int r = noria_semaphore_acquire_many(&storm->semaphore, n);

	count(storm, r);
	if (r < 0)
		return;
	storm->permits += n;
	EXPECT(storm->permits <= PERMITS);
	stay(storm);
	storm->permits -= n;
	EXPECT_EQ(noria_semaphore_release_many(&storm->semaphore, n), 0);
}

static void disturb(struct storm *storm)
{
	if (pick(storm, 2) == 0)
		noria_scope_cancel(&storm->scopes[pick(storm, TASKS)]);
	else if (pick(storm, 4) > 0)
		storm->signalled += noria_condition_signal(&storm->condition);
	else
		storm->signalled += noria_condition_broadcast(&storm->condition);
}

static int take_part(void *arg)
{
	struct member *member = arg;
	struct storm *storm = member->storm;
	struct noria_scope *scope = &storm->scopes[member->index];
	static void (*const uses[])(struct storm *) = {use_mutex, use_rwlock, use_semaphore};

	for (int i = 0; i < STEPS; i++) {
		bool limited = pick(storm, 16) == 0;

		MUST(noria_scope_open(scope, limited ? noria_now() + noria_usec(pick(storm, 50)) : NORIA_FOREVER, 0) ==
		     0);
		uses[pick(storm, 3)](storm);
		noria_scope_close(scope, 0);
		disturb(storm);
		MUST(noria_yield() == 0);
	}
	storm->running--;
	return 0;
}

static void rage(uint64_t seed)
{
	static struct storm storm;
	struct member members[TASKS];
	struct noria_group group;

	storm = (struct storm){
		.semaphore = NORIA_SEMAPHORE_MAX(PERMITS, PERMITS), .random = seed, .seed = seed, .running = TASKS};
	MUST(noria_group_open(&group) == 0);
	for (int i = 0; i < TASKS; i++) {
		members[i] = (struct member){&storm, i};
		MUST(noria_spawn(&group, take_part, &members[i]) == 0);
	}
	while (storm.running > 0) {
		storm.signalled += noria_condition_signal(&storm.condition);
		MUST(noria_yield() == 0);
	}
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT_EQ(storm.woken, storm.signalled);
	EXPECT(storm.entered > TASKS * STEPS / 2 && storm.refused > STEPS / 2);
	EXPECT_EQ(noria_mutex_trylock(&storm.mutex), 0);
	EXPECT_EQ(noria_mutex_unlock(&storm.mutex), 0);
	EXPECT_EQ(noria_rwlock_trywrlock(&storm.rwlock), 0);
	EXPECT_EQ(noria_rwlock_unlock(&storm.rwlock), 0);
	EXPECT_EQ(noria_semaphore_permits(&storm.semaphore), PERMITS);
}

UNIT(storm, nothing_is_lost_and_nothing_shared)
{
	for (uint64_t seed = 1; seed <= 10; seed++)
		rage(seed);
	return 0;
}
