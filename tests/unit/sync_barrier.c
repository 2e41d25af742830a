/* SPDX-License-Identifier: MIT */
/* The barrier: rounds, the last one, and what becomes of the others when one is cancelled. */
#include "sync_tasks.h"

#include "scope/scope.h"

enum { WAIT_LINE = __LINE__ + 4 };

static int wait_for(void *barrier)
{
	return noria_barrier_wait((struct noria_barrier *)barrier);
}

static void come_all(struct noria_group *group, struct visit *visits, int count, struct noria_barrier *barrier,
		     int *counter)
{
	for (int i = 0; i < count; i++) {
		visits[i] = (struct visit){.enter = wait_for, .thing = barrier, .counter = counter, .go = true};
		come(group, &visits[i]);
	}
}

/* Round after round; whoever is last hears of it. */
UNIT(barrier, the_last_one_lets_all_pass)
{
	struct noria_barrier barrier = NORIA_BARRIER(3);
	struct noria_group group;
	struct visit visits[2];
	int counter = 0;

	MUST(noria_group_open(&group) == 0);
	for (int round = 0; round < 3; round++) {
		come_all(&group, visits, 2, &barrier, &counter);
		EXPECT(says(&visits[1], "2 of 3 are here"));
		turns(5);
		EXPECT_EQ(counter, 2 * round);
		EXPECT_EQ(noria_barrier_wait(&barrier), 1);
		UNTIL(visits[0].ended && visits[1].ended);
		EXPECT(visits[0].result == 0 && visits[1].result == 0);
		EXPECT(visits[0].order == 2 * round + 1 && visits[1].order == 2 * round + 2);
	}
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	return 0;
}

/* The first that is cancelled breaks it; those who are cancelled with it are told so, and not that it is broken. */
UNIT(barrier, a_group_that_is_cancelled_at_it_has_not_failed)
{
	struct noria_barrier barrier = NORIA_BARRIER(4);
	struct noria_group group;
	struct visit visits[3];
	int counter = 0;

	MUST(noria_group_open(&group) == 0);
	come_all(&group, visits, 3, &barrier, &counter);
	turns(5);
	noria_group_cancel(&group);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(visits[i].result, -ECANCELED);
	return 0;
}

/* A wait that is refused was no party's. */
UNIT(barrier, a_refused_wait_does_not_break_it)
{
	struct noria_barrier barrier = NORIA_BARRIER(1);
	struct noria_scope scope;

	noria_checks = true;
	MUST(noria_scope_open(&scope, NORIA_FOREVER, NORIA_SCOPE_SHIELD) == 0);
	EXPECT_EQ(noria_barrier_wait(&barrier), -EINVAL);
	EXPECT_EQ(noria_scope_close(&scope, 0), 0);
	EXPECT_EQ(noria_barrier_wait(&barrier), 1);
	return 0;
}

UNIT(barrier, for_one_holds_nobody_up)
{
	struct noria_barrier barrier = NORIA_BARRIER(1);

	EXPECT_EQ(noria_barrier_wait(&barrier), 1);
	EXPECT_EQ(noria_barrier_wait(&barrier), 1);
	return 0;
}

/* Those who wait and those who come later hear who it was; after a reset it is as new. */
UNIT(barrier, a_cancelled_party_breaks_it)
{
	struct noria_barrier barrier = NORIA_BARRIER(4);
	struct noria_group group;
	struct noria_scope late;
	struct visit visits[3];
	char who[64];
	int counter = 0;

	MUST(noria_group_open(&group) == 0);
	come_all(&group, visits, 3, &barrier, &counter);
	snprintf(who, sizeof who, "task %llu was cancelled", (unsigned long long)visits[1].task->id);
	noria_scope_cancel(&visits[1].scope);
	UNTIL(visits[2].ended);
	EXPECT(visits[0].result == -EPIPE && visits[1].result == -ECANCELED && visits[2].result == -EPIPE);
	EXPECT(names(__FILE__, WAIT_LINE) && strstr(noria_message(), who));
	EXPECT_EQ(noria_barrier_wait(&barrier), -EPIPE);
	EXPECT(names(__FILE__, WAIT_LINE) && names(__FILE__, __LINE__ - 1) && strstr(noria_message(), who));

	MUST(noria_scope_open(&late, NORIA_FOREVER, 0) == 0);
	noria_scope_cancel(&late);
	EXPECT_EQ(noria_barrier_wait(&barrier), -ECANCELED);
	EXPECT_EQ(noria_scope_close(&late, 0), 0);
	EXPECT_EQ(noria_barrier_wait(&barrier), -EPIPE);
	EXPECT(strstr(noria_message(), who)); /* the first stays */

	EXPECT_EQ(noria_barrier_reset(&barrier), 0);
	come_all(&group, visits, 3, &barrier, &counter);
	EXPECT_EQ(noria_barrier_wait(&barrier), 1);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT_EQ(counter, 3);
	return 0;
}

/* A party that is cancelled already will not come either. */
UNIT(barrier, a_party_that_comes_cancelled_breaks_it)
{
	struct noria_barrier barrier = NORIA_BARRIER(2);
	struct noria_group group;
	struct noria_scope scope;
	struct visit visit;
	int counter = 0;

	MUST(noria_group_open(&group) == 0);
	come_all(&group, &visit, 1, &barrier, &counter);
	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
	noria_scope_cancel(&scope);
	EXPECT_EQ(noria_barrier_wait(&barrier), -ECANCELED);
	EXPECT_EQ(noria_scope_close(&scope, 0), 0);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT_EQ(visit.result, -EPIPE);
	return 0;
}

/* All have come: a cancel that finds one of them before it runs is too late. */
UNIT(barrier, a_cancel_after_the_last_one_breaks_nothing)
{
	struct noria_barrier barrier = NORIA_BARRIER(3);
	struct noria_group group;
	struct visit visits[2];
	int counter = 0;

	MUST(noria_group_open(&group) == 0);
	come_all(&group, visits, 2, &barrier, &counter);
	EXPECT_EQ(noria_barrier_wait(&barrier), 1);
	noria_scope_cancel(&visits[0].scope);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT(visits[0].result == 0 && visits[0].after == -ECANCELED && visits[1].result == 0);
	EXPECT_EQ(noria_within(noria_msec(2), noria_barrier_wait(&barrier)), -ETIMEDOUT); /* not broken before */
	EXPECT_EQ(noria_barrier_wait(&barrier), -EPIPE);
	return 0;
}

UNIT(barrier, a_reset_sends_away_who_waits)
{
	struct noria_barrier barrier = NORIA_BARRIER(3);
	struct noria_group group;
	struct visit visits[2];
	int counter = 0;

	MUST(noria_group_open(&group) == 0);
	come_all(&group, visits, 2, &barrier, &counter);
	EXPECT_EQ(noria_barrier_reset(&barrier), 0);
	UNTIL(visits[0].ended && visits[1].ended);
	EXPECT(visits[0].result == -EPIPE && visits[1].result == -EPIPE);
	EXPECT(names(__FILE__, __LINE__ - 3) && strstr(noria_message(), "reset it"));
	come_all(&group, visits, 2, &barrier, &counter);
	EXPECT_EQ(noria_barrier_wait(&barrier), 1);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT_EQ(counter, 2);
	return 0;
}

UNIT(barrier, without_parties_is_refused)
{
	struct noria_barrier barrier = {0};

	EXPECT_EQ(noria_barrier_wait(&barrier), -EINVAL);
	EXPECT(names(__FILE__, __LINE__ - 1) && strstr(noria_message(), "NORIA_BARRIER"));
	return 0;
}

Test(barrier, outside_a_runtime_nobody_waits)
{
	struct noria_barrier barrier = NORIA_BARRIER(1);

	EXPECT_EQ(noria_barrier_wait(&barrier), -ENXIO);
	EXPECT_EQ(noria_barrier_reset(&barrier), -ENXIO);
}
