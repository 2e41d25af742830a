/* SPDX-License-Identifier: MIT */
/* The rwlock: who is admitted, in which order, cancels, and what is refused. */
#include "sync_tasks.h"

enum { READ_LINE = __LINE__ + 4, WRITE_LINE = READ_LINE + 5 };

static int read_lock(void *rwlock)
{
	return noria_rwlock_rdlock((struct noria_rwlock *)rwlock);
}

static int write_lock(void *rwlock)
{
	return noria_rwlock_wrlock((struct noria_rwlock *)rwlock);
}

static int unlock(void *rwlock)
{
	return noria_rwlock_unlock((struct noria_rwlock *)rwlock);
}

/* `kinds` is a text of r and w, a visitor for each, who come in this order. */
static void come_all(struct noria_group *group, struct visit *visits, struct noria_rwlock *rwlock, int *counter,
		     const char *kinds)
{
	for (int i = 0; kinds[i]; i++) {
		visits[i] = (struct visit){.enter = kinds[i] == 'r' ? read_lock : write_lock,
					   .leave = unlock,
					   .thing = rwlock,
					   .counter = counter};
		come(group, &visits[i]);
	}
}

/* Which of the visitors are inside, as a text of + and -. */
static const char *inside(const struct visit *visits, int count)
{
	static char text[16];

	turns(3);
	for (int i = 0; i < count; i++)
		text[i] = visits[i].inside ? '+' : '-';
	text[count] = '\0';
	return text;
}

static struct noria_rwlock shared;

UNIT(rwlock, has_many_readers_or_one_writer)
{
	EXPECT_EQ(noria_rwlock_rdlock(&shared), 0);
	EXPECT_EQ(noria_rwlock_rdlock(&shared), 0);
	EXPECT_EQ(noria_rwlock_tryrdlock(&shared), 0);
	EXPECT_EQ(noria_rwlock_trywrlock(&shared), -EBUSY);
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(noria_rwlock_unlock(&shared), 0);
	EXPECT_EQ(noria_rwlock_wrlock(&shared), 0);
	EXPECT_EQ(noria_rwlock_tryrdlock(&shared), -EBUSY);
	EXPECT_EQ(noria_rwlock_trywrlock(&shared), -EBUSY);
	EXPECT_EQ(noria_rwlock_unlock(&shared), 0);
	EXPECT_EQ(noria_rwlock_trywrlock(&shared), 0);
	EXPECT_EQ(noria_rwlock_unlock(&shared), 0);
	return 0;
}

/* Readers behind a waiting writer wait; those at the head are admitted together. */
UNIT(rwlock, admits_in_the_order_of_coming)
{
	struct noria_rwlock rwlock = {0};
	struct noria_group group;
	struct visit visits[6];
	int counter = 0;

	MUST(noria_group_open(&group) == 0);
	come_all(&group, visits, &rwlock, &counter, "rwrrwr");
	EXPECT(!strcmp(inside(visits, 6), "+-----"));
	EXPECT_EQ(noria_rwlock_tryrdlock(&rwlock), -EBUSY);
	visits[0].go = true;
	EXPECT(!strcmp(inside(visits, 6), "-+----"));
	visits[1].go = true;
	EXPECT(!strcmp(inside(visits, 6), "--++--"));
	visits[3].go = true;
	EXPECT(!strcmp(inside(visits, 6), "--+---"));
	visits[2].go = true;
	EXPECT(!strcmp(inside(visits, 6), "----+-"));
	visits[4].go = visits[5].go = true;
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	for (int i = 0; i < 6; i++)
		EXPECT_EQ(visits[i].order, i + 1);
	return 0;
}

/* A writer that gives up was all that the readers behind it waited for; the writer behind them goes on waiting. */
UNIT(rwlock, a_cancelled_writer_lets_readers_in)
{
	struct noria_rwlock rwlock = {0};
	struct noria_group group;
	struct visit visits[5];
	int counter = 0;

	MUST(noria_group_open(&group) == 0);
	come_all(&group, visits, &rwlock, &counter, "rwrrw");
	noria_scope_cancel(&visits[1].scope);
	EXPECT(!strcmp(inside(visits, 5), "+-++-"));
	EXPECT_EQ(visits[1].result, -ECANCELED);
	for (int i = 0; i < 5; i++)
		visits[i].go = true;
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT(visits[2].order == 2 && visits[3].order == 3 && visits[4].order == 4);
	return 0;
}

/* A reader that gives up in the middle of the queue. */
UNIT(rwlock, a_cancelled_reader_leaves_the_queue_as_it_was)
{
	struct noria_rwlock rwlock = {0};
	struct noria_group group;
	struct visit visits[4];
	int counter = 0;

	MUST(noria_group_open(&group) == 0);
	come_all(&group, visits, &rwlock, &counter, "wrrw");
	noria_scope_cancel(&visits[1].scope);
	EXPECT(!strcmp(inside(visits, 4), "+---"));
	visits[0].go = true;
	EXPECT(!strcmp(inside(visits, 4), "--+-"));
	visits[2].go = true;
	EXPECT(!strcmp(inside(visits, 4), "---+"));
	visits[3].go = true;
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT_EQ(visits[1].result, -ECANCELED);
	return 0;
}

/* Handed over, then cancelled: they are inside, and hear of it afterwards. */
UNIT(rwlock, a_hand_over_before_a_cancel_counts)
{
	for (int writes = 0; writes < 2; writes++) {
		struct noria_rwlock rwlock = {0};
		struct noria_group group;
		struct visit visits[2];
		int counter = 0;

		MUST(noria_group_open(&group) == 0);
		MUST(noria_rwlock_wrlock(&rwlock) == 0);
		come_all(&group, visits, &rwlock, &counter, writes ? "ww" : "rw");
		EXPECT_EQ(noria_rwlock_unlock(&rwlock), 0);
		noria_scope_cancel(&visits[0].scope);
		EXPECT(!strcmp(inside(visits, 2), "+-"));
		EXPECT(visits[0].result == 0 && visits[0].after == -ECANCELED);
		visits[0].go = visits[1].go = true;
		EXPECT_EQ(noria_group_close(&group, 0), 0);
		EXPECT_EQ(visits[1].order, 2);
	}
	return 0;
}

UNIT(rwlock, a_downgrade_lets_readers_in_and_no_writer)
{
	struct noria_rwlock rwlock = {0};
	struct noria_group group;
	struct visit visits[3];
	int counter = 0;

	MUST(noria_group_open(&group) == 0);
	MUST(noria_rwlock_wrlock(&rwlock) == 0);
	come_all(&group, visits, &rwlock, &counter, "rwr");
	EXPECT_EQ(noria_rwlock_downgrade(&rwlock), 0);
	EXPECT(!strcmp(inside(visits, 3), "+--"));
	EXPECT_EQ(noria_rwlock_downgrade(&rwlock), -EPERM);
	visits[0].go = true;
	EXPECT(!strcmp(inside(visits, 3), "---"));
	EXPECT_EQ(noria_rwlock_unlock(&rwlock), 0);
	EXPECT(!strcmp(inside(visits, 3), "-+-"));
	visits[1].go = visits[2].go = true;
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	return 0;
}

UNIT(rwlock, waits_with_a_deadline)
{
	struct noria_rwlock rwlock = {0};
	struct noria_group group;
	struct visit writer;
	int counter = 0;

	MUST(noria_group_open(&group) == 0);
	come_all(&group, &writer, &rwlock, &counter, "w");
	EXPECT_EQ(noria_within(noria_msec(2), noria_rwlock_rdlock(&rwlock)), -ETIMEDOUT);
	EXPECT_EQ(noria_within(noria_msec(2), noria_rwlock_wrlock(&rwlock)), -ETIMEDOUT);
	writer.go = true;
	EXPECT_EQ(noria_within(noria_sec(3600), noria_wrlocked(&rwlock, 5)), 5);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	return 0;
}

static int leave_early(struct noria_rwlock *rwlock, bool write)
{
	if (write)
		return noria_wrlocked(rwlock, noria_try(-EIO));
	return noria_rdlocked(rwlock, noria_try(-EPIPE));
}

UNIT(rwlock, is_unlocked_by_a_return)
{
	struct noria_rwlock rwlock = {0};
	struct noria_scope scope;
	int evaluated = 0;

	EXPECT_EQ(leave_early(&rwlock, true), -EIO);
	EXPECT_EQ(leave_early(&rwlock, false), -EPIPE);
	EXPECT_EQ(noria_wrlocked(&rwlock, noria_rwlock_downgrade(&rwlock)), 0);
	EXPECT_EQ(noria_rwlock_trywrlock(&rwlock), 0);
	EXPECT_EQ(noria_rwlock_unlock(&rwlock), 0);

	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
	noria_scope_cancel(&scope);
	EXPECT_EQ(noria_rdlocked(&rwlock, ++evaluated), -ECANCELED);
	EXPECT_EQ(noria_wrlocked(&rwlock, ++evaluated), -ECANCELED);
	EXPECT_EQ(noria_scope_close(&scope, 0), 0);
	EXPECT(evaluated == 0 && noria_rwlock_unlock(&rwlock) == -EPERM);
	return 0;
}

UNIT(rwlock, refuses_what_cannot_be)
{
	struct noria_rwlock rwlock = {0};
	struct noria_group group;
	struct visit visits[2];
	int counter = 0, line;

	EXPECT_EQ(noria_rwlock_unlock(&rwlock), -EPERM);
	EXPECT(names(__FILE__, __LINE__ - 1));
	EXPECT_EQ(noria_rwlock_downgrade(&rwlock), -EPERM);
	EXPECT(names(__FILE__, __LINE__ - 1));
	line = __LINE__ + 1;
	EXPECT_EQ(noria_rwlock_wrlock(&rwlock), 0);
	EXPECT_EQ(noria_rwlock_rdlock(&rwlock), -EDEADLK);
	EXPECT(names(__FILE__, line) && names(__FILE__, __LINE__ - 1));
	EXPECT_EQ(noria_rwlock_wrlock(&rwlock), -EDEADLK);
	EXPECT_EQ(noria_rwlock_unlock(&rwlock), 0);

	MUST(noria_group_open(&group) == 0);
	come_all(&group, visits, &rwlock, &counter, "wr");
	EXPECT_EQ(noria_rwlock_unlock(&rwlock), -EPERM);
	EXPECT(names(__FILE__, WRITE_LINE) && names(__FILE__, __LINE__ - 1));
	EXPECT(says(&visits[1], "rwlock") && says(&visits[1], "by task visitor at"));
	visits[0].go = true;
	EXPECT(!strcmp(inside(visits, 2), "-+"));
	EXPECT_EQ(noria_rwlock_downgrade(&rwlock), -EPERM);
	EXPECT(names(__FILE__, READ_LINE) && names(__FILE__, __LINE__ - 1));
	come_all(&group, visits, &rwlock, &counter, "w");
	EXPECT(says(&visits[0], "locked by readers at"));
	visits[0].go = visits[1].go = true;
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	return 0;
}

struct pair {
	struct noria_rwlock *own, *other;
	bool has_own;
	int result;
};

static int write_own_then_read_other(void *arg)
{
	struct pair *pair = arg;

	MUST(noria_rwlock_wrlock(pair->own) == 0);
	pair->has_own = true;
	MUST(noria_yield() == 0);
	pair->result = noria_rwlock_rdlock(pair->other);
	if (pair->result == 0)
		EXPECT_EQ(noria_rwlock_unlock(pair->other), 0);
	return noria_rwlock_unlock(pair->own);
}

UNIT(rwlock, a_cycle_of_writers_is_refused)
{
	struct noria_rwlock a = {0}, b = {0};
	struct pair one = {&a, &b, false, 1}, two = {&b, &a, false, 1};
	struct noria_group group;

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, write_own_then_read_other, &one) == 0);
	MUST(noria_spawn(&group, write_own_then_read_other, &two) == 0);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT(one.result == 0 && two.result == -EDEADLK);
	return 0;
}

enum { LEFT_LINE = __LINE__ + 4 };

static int write_and_end(void *rwlock)
{
	return noria_rwlock_wrlock((struct noria_rwlock *)rwlock);
}

UNIT(rwlock, of_a_writer_that_has_ended_is_handed_on)
{
	struct noria_rwlock rwlock = {0};
	struct noria_group outer, group;
	struct visit waiter;
	int counter = 0;

	MUST(noria_group_open(&outer) == 0);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_rwlock_wrlock(&rwlock) == 0);
	MUST(noria_spawn(&group, write_and_end, &rwlock) == 0);
	turns(2);
	come_all(&outer, &waiter, &rwlock, &counter, "r");
	EXPECT_EQ(noria_rwlock_unlock(&rwlock), 0);
	EXPECT_EQ(noria_group_close(&group, 0), -EINVAL);
	EXPECT(names(__FILE__, LEFT_LINE));
	waiter.go = true;
	EXPECT_EQ(noria_group_close(&outer, 0), 0);
	EXPECT_EQ(waiter.order, 1);
	return 0;
}

Test(rwlock, outside_a_runtime_nothing_is_locked)
{
	struct noria_rwlock rwlock = {0};

	EXPECT_EQ(noria_rwlock_rdlock(&rwlock), -ENXIO);
	EXPECT_EQ(noria_rwlock_trywrlock(&rwlock), -ENXIO);
	EXPECT_EQ(noria_rwlock_tryrdlock(&rwlock), -ENXIO);
	EXPECT_EQ(noria_rwlock_unlock(&rwlock), -ENXIO);
	EXPECT_EQ(noria_rwlock_downgrade(&rwlock), -ENXIO);
}
