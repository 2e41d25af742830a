/* SPDX-License-Identifier: MIT */
/* The condition: signals and who gets them, cancels that race with them, and the mutex in every outcome. */
#include "sync_tasks.h"

struct meeting {
	struct noria_mutex mutex;
	struct noria_condition condition;
};

enum { LOCK_LINE = __LINE__ + 7, WAIT_LINE = LOCK_LINE + 1 };

static int wait_locked(void *arg)
{
	struct meeting *meeting = arg;
	int r;

	MUST(noria_mutex_lock(&meeting->mutex) == 0);
	r = noria_condition_wait(&meeting->condition, &meeting->mutex);
	EXPECT_EQ(noria_mutex_lock(&meeting->mutex), r == 0 ? -EDEADLK : -ECANCELED); /* checkpoint first */
	EXPECT_EQ(noria_mutex_unlock(&meeting->mutex), 0); /* it is locked, whatever came of it */
	return r;
}

static void come_all(struct noria_group *group, struct visit *visits, int count, struct meeting *meeting, int *counter)
{
	for (int i = 0; i < count; i++) {
		visits[i] = (struct visit){.enter = wait_locked, .thing = meeting, .counter = counter, .go = true};
		come(group, &visits[i]);
	}
}

UNIT(condition, a_signal_wakes_the_first)
{
	struct meeting meeting = {0};
	struct noria_group group;
	struct visit visits[3];
	int counter = 0;

	MUST(noria_group_open(&group) == 0);
	EXPECT_EQ(noria_condition_signal(&meeting.condition), 0); /* nobody: it is not kept */
	come_all(&group, visits, 3, &meeting, &counter);
	EXPECT(says(&visits[0], "for a signal of the condition at 0x"));
	turns(10);
	EXPECT_EQ(counter, 0);
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(noria_condition_signal(&meeting.condition), 1);
		turns(10);
		EXPECT(counter == i + 1 && visits[i].order == i + 1);
	}
	EXPECT_EQ(noria_condition_signal(&meeting.condition), 0);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	return 0;
}

/* They go through the mutex one by one, behind those who wait for it already. */
UNIT(condition, a_broadcast_wakes_all_in_their_order)
{
	struct meeting meeting = {0};
	struct noria_group group;
	struct visit visits[4];
	int counter = 0;

	MUST(noria_group_open(&group) == 0);
	come_all(&group, visits, 4, &meeting, &counter);
	MUST(noria_mutex_lock(&meeting.mutex) == 0);
	EXPECT_EQ(noria_condition_broadcast(&meeting.condition), 4);
	EXPECT_EQ(noria_condition_broadcast(&meeting.condition), 0);
	EXPECT(says(&visits[3], "for the mutex at 0x"));
	turns(3);
	EXPECT_EQ(counter, 0);
	EXPECT_EQ(noria_mutex_unlock(&meeting.mutex), 0);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	for (int i = 0; i < 4; i++)
		EXPECT(visits[i].order == i + 1 && visits[i].result == 0);
	return 0;
}

/* Whoever waits for the mutex has it as soon as the other waits for the signal. */
UNIT(condition, waiting_passes_the_mutex_on)
{
	struct meeting meeting = {0};
	struct noria_group group;
	struct visit visits[2];
	int counter = 0;

	MUST(noria_group_open(&group) == 0);
	MUST(noria_mutex_lock(&meeting.mutex) == 0);
	come_all(&group, visits, 2, &meeting, &counter); /* both wait for the mutex */
	EXPECT(says(&visits[0], "for the mutex"));
	EXPECT_EQ(noria_within(noria_msec(1), noria_condition_wait(&meeting.condition, &meeting.mutex)), -ETIMEDOUT);
	EXPECT(says(&visits[0], "for a signal") && says(&visits[1], "for a signal"));
	EXPECT_EQ(noria_condition_broadcast(&meeting.condition), 2);
	EXPECT_EQ(noria_mutex_unlock(&meeting.mutex), 0);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	return 0;
}

/* Cancelled first: the signal is the next one's. */
UNIT(condition, a_signal_after_a_cancel_goes_to_the_next)
{
	struct meeting meeting = {0};
	struct noria_group group;
	struct visit visits[3];
	int counter = 0;

	MUST(noria_group_open(&group) == 0);
	come_all(&group, visits, 3, &meeting, &counter);
	noria_scope_cancel(&visits[0].scope);
	EXPECT_EQ(noria_condition_signal(&meeting.condition), 1);
	UNTIL(visits[0].ended && visits[1].ended);
	EXPECT(visits[0].result == -ECANCELED && visits[0].closed == 0);
	EXPECT(visits[1].result == 0 && visits[1].order == 1);
	noria_scope_cancel(&visits[2].scope);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT_EQ(visits[2].result, -ECANCELED);
	return 0;
}

static int lock_yourself(void *arg)
{
	struct meeting *meeting = arg;

	MUST(noria_mutex_lock(&meeting->mutex) == 0);
	return noria_condition_wait(&meeting->condition, &meeting->mutex);
}

static int unlock_yourself(void *arg)
{
	return noria_mutex_unlock(&((struct meeting *)arg)->mutex);
}

/* Signalled first: the cancel finds it locking, which goes on; it has the signal, and hears of the cancel afterwards. */
UNIT(condition, a_signal_before_a_cancel_counts)
{
	for (int locked = 0; locked < 2; locked++) {
		struct meeting meeting = {0};
		struct noria_group group;
		struct visit visit = {.enter = lock_yourself, .leave = unlock_yourself, .thing = &meeting};
		int counter = 0;

		visit.counter = &counter;
		MUST(noria_group_open(&group) == 0);
		come(&group, &visit);
		if (locked)
			MUST(noria_mutex_lock(&meeting.mutex) == 0);
		EXPECT_EQ(noria_condition_signal(&meeting.condition), 1);
		noria_scope_cancel(&visit.scope);
		turns(3);
		EXPECT_EQ(visit.inside, !locked);
		if (locked)
			EXPECT_EQ(noria_mutex_unlock(&meeting.mutex), 0);
		UNTIL(visit.inside);
		EXPECT(visit.result == 0 && visit.after == -ECANCELED);
		EXPECT_EQ(noria_mutex_trylock(&meeting.mutex), -EBUSY);
		visit.go = true;
		EXPECT_EQ(noria_group_close(&group, 0), 0);
	}
	return 0;
}

/* A deadline that passes while somebody has the mutex: the wait is given up, and the mutex waited for all the same. */
UNIT(condition, waits_with_a_deadline)
{
	struct meeting meeting = {0};

	MUST(noria_mutex_lock(&meeting.mutex) == 0);
	EXPECT_EQ(noria_within(noria_msec(2), noria_condition_wait(&meeting.condition, &meeting.mutex)), -ETIMEDOUT);
	EXPECT_EQ(noria_mutex_lock(&meeting.mutex), -EDEADLK);
	EXPECT_EQ(noria_mutex_unlock(&meeting.mutex), 0);
	EXPECT_EQ(noria_condition_signal(&meeting.condition), 0);
	return 0;
}

/* In a cancelled scope nobody begins to wait, and the mutex stays locked throughout. */
UNIT(condition, no_wait_in_a_cancelled_scope)
{
	struct meeting meeting = {0};
	struct noria_group group;
	struct noria_scope scope;
	struct visit other = {.enter = lock_yourself, .leave = unlock_yourself, .thing = &meeting};
	int counter = 0;

	other.counter = &counter;
	MUST(noria_group_open(&group) == 0);
	MUST(noria_mutex_lock(&meeting.mutex) == 0);
	come(&group, &other);
	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
	noria_scope_cancel(&scope);
	EXPECT_EQ(noria_condition_wait(&meeting.condition, &meeting.mutex), -ECANCELED);
	EXPECT_EQ(noria_scope_close(&scope, 0), 0);
	EXPECT(says(&other, "for the mutex"));
	EXPECT_EQ(noria_mutex_unlock(&meeting.mutex), 0);
	UNTIL(says(&other, "for a signal"));
	EXPECT_EQ(noria_condition_signal(&meeting.condition), 1);
	other.go = true;
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	return 0;
}

UNIT(condition, refuses_what_cannot_be)
{
	struct meeting meeting = {0};
	struct noria_mutex another = {0};
	struct noria_group group;
	struct visit visits[1];
	int counter = 0;

	EXPECT_EQ(noria_condition_wait(&meeting.condition, &meeting.mutex), -EPERM);
	EXPECT(names(__FILE__, __LINE__ - 1) && strstr(noria_message(), "not locked"));
	MUST(noria_group_open(&group) == 0);
	come_all(&group, visits, 1, &meeting, &counter);
	MUST(noria_mutex_lock(&another) == 0);
	EXPECT_EQ(noria_condition_wait(&meeting.condition, &another), -EINVAL);
	EXPECT(names(__FILE__, __LINE__ - 1));
	EXPECT_EQ(noria_mutex_unlock(&another), 0);
	EXPECT_EQ(noria_condition_signal(&meeting.condition), 1); /* it has the mutex, and has not run */
	EXPECT_EQ(noria_condition_wait(&meeting.condition, &meeting.mutex), -EPERM);
	EXPECT(names(__FILE__, __LINE__ - 1) && names(__FILE__, WAIT_LINE) && strstr(noria_message(), "task visitor"));
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	return 0;
}

Test(condition, outside_a_runtime_nobody_waits)
{
	struct meeting meeting = {0};

	EXPECT_EQ(noria_condition_wait(&meeting.condition, &meeting.mutex), -ENXIO);
	EXPECT_EQ(noria_condition_signal(&meeting.condition), -ENXIO);
	EXPECT_EQ(noria_condition_broadcast(&meeting.condition), -ENXIO);
}
