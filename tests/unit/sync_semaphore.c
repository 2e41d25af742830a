/* SPDX-License-Identifier: MIT */
/* The semaphore: permits, order, large requests, cancels, and a maximum. */
#include "sync_tasks.h"

#include "sync/sync.h"

struct request {
	struct noria_semaphore *semaphore;
	uint64_t n;
};

static int acquire(void *arg)
{
	struct request *request = arg;

	return noria_semaphore_acquire_many(request->semaphore, request->n);
}

static int release(void *arg)
{
	struct request *request = arg;

	return noria_semaphore_release_many(request->semaphore, request->n);
}

/* Visitors who ask for so many, and come in this order; 0 ends the list. */
static void come_all(struct noria_group *group, struct visit *visits, struct request *requests,
		     struct noria_semaphore *semaphore, int *counter, const int *wants)
{
	for (int i = 0; wants[i]; i++) {
		requests[i] = (struct request){semaphore, (uint64_t)wants[i]};
		visits[i] =
			(struct visit){.enter = acquire, .leave = release, .thing = &requests[i], .counter = counter};
		come(group, &visits[i]);
	}
}

static struct noria_semaphore shared = NORIA_SEMAPHORE(2);

UNIT(semaphore, counts_permits)
{
	EXPECT_EQ(noria_semaphore_permits(&shared), 2);
	EXPECT_EQ(noria_semaphore_acquire(&shared), 0);
	EXPECT_EQ(noria_semaphore_tryacquire_many(&shared, 2), -EBUSY);
	EXPECT_EQ(noria_semaphore_tryacquire(&shared), 0);
	EXPECT_EQ(noria_semaphore_tryacquire(&shared), -EBUSY);
	EXPECT_EQ(noria_semaphore_permits(&shared), 0);
	EXPECT_EQ(noria_semaphore_release_many(&shared, 2), 0);
	EXPECT_EQ(noria_semaphore_acquire_many(&shared, 2), 0);
	EXPECT_EQ(noria_semaphore_release(&shared), 0);
	EXPECT_EQ(noria_semaphore_release(&shared), 0);
	EXPECT_EQ(noria_semaphore_permits(&shared), 2);
	return 0;
}

/* A large request at the head is not overtaken: neither by one that waits behind it nor by one that comes. */
UNIT(semaphore, serves_in_the_order_of_coming)
{
	struct noria_semaphore semaphore = {0}; /* ready: no permits yet */
	struct noria_group group;
	struct visit visits[4];
	struct request requests[4];
	int counter = 0;

	MUST(noria_group_open(&group) == 0);
	come_all(&group, visits, requests, &semaphore, &counter, (const int[]){1, 3, 1, 2, 0});
	EXPECT_EQ(noria_semaphore_release_many(&semaphore, 3), 0);
	turns(3);
	EXPECT(visits[0].inside && !visits[1].inside && !visits[2].inside);
	EXPECT_EQ(noria_semaphore_permits(&semaphore), 2);
	EXPECT_EQ(noria_semaphore_tryacquire(&semaphore), -EBUSY);
	visits[0].go = true;
	turns(3);
	EXPECT(visits[1].inside && !visits[2].inside);
	EXPECT_EQ(noria_semaphore_release(&semaphore), 0);
	turns(3);
	EXPECT(visits[2].inside && !visits[3].inside);
	for (int i = 0; i < 4; i++)
		visits[i].go = true;
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	for (int i = 0; i < 4; i++)
		EXPECT_EQ(visits[i].order, i + 1);
	EXPECT_EQ(noria_semaphore_permits(&semaphore), 4);
	return 0;
}

/* Those behind a large request that gives up have enough at once. */
UNIT(semaphore, a_cancelled_large_request_lets_small_ones_go)
{
	struct noria_semaphore semaphore = NORIA_SEMAPHORE(2);
	struct noria_group group;
	struct visit visits[4];
	struct request requests[4];
	int counter = 0;

	MUST(noria_group_open(&group) == 0);
	come_all(&group, visits, requests, &semaphore, &counter, (const int[]){3, 1, 1, 1, 0});
	EXPECT(says(&visits[0], "for 3 of the semaphore at 0x") && says(&visits[0], "which has 2"));
	noria_scope_cancel(&visits[0].scope);
	turns(3);
	EXPECT(visits[0].result == -ECANCELED && visits[1].inside && visits[2].inside && !visits[3].inside);
	for (int i = 0; i < 4; i++)
		visits[i].go = true;
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT(visits[1].order == 1 && visits[2].order == 2 && visits[3].order == 3);
	EXPECT_EQ(noria_semaphore_permits(&semaphore), 2);
	return 0;
}

/* One in the middle of the queue. */
UNIT(semaphore, a_cancelled_waiter_leaves_the_queue_as_it_was)
{
	struct noria_semaphore semaphore = {0};
	struct noria_group group;
	struct visit visits[3];
	struct request requests[3];
	int counter = 0;

	MUST(noria_group_open(&group) == 0);
	come_all(&group, visits, requests, &semaphore, &counter, (const int[]){1, 1, 1, 0});
	noria_scope_cancel(&visits[1].scope);
	EXPECT_EQ(noria_semaphore_release_many(&semaphore, 2), 0);
	visits[0].go = visits[2].go = true;
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT(visits[0].order == 1 && visits[1].result == -ECANCELED && visits[2].order == 2);
	EXPECT_EQ(noria_semaphore_permits(&semaphore), 2);
	return 0;
}

/* Released to it, then cancelled: it has the permits; nothing is lost, nothing counted twice. */
UNIT(semaphore, a_hand_over_before_a_cancel_counts)
{
	struct noria_semaphore semaphore = {0};
	struct noria_group group;
	struct visit visits[2];
	struct request requests[2];
	int counter = 0;

	MUST(noria_group_open(&group) == 0);
	come_all(&group, visits, requests, &semaphore, &counter, (const int[]){2, 1, 0});
	EXPECT_EQ(noria_semaphore_release_many(&semaphore, 2), 0);
	EXPECT_EQ(noria_semaphore_permits(&semaphore), 0);
	noria_scope_cancel(&visits[0].scope);
	turns(3);
	EXPECT(visits[0].result == 0 && visits[0].after == -ECANCELED && !visits[1].inside);
	visits[0].go = visits[1].go = true;
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT_EQ(visits[1].order, 2);
	EXPECT_EQ(noria_semaphore_permits(&semaphore), 2);
	return 0;
}

UNIT(semaphore, waits_with_a_deadline)
{
	struct noria_semaphore semaphore = NORIA_SEMAPHORE(1);

	EXPECT_EQ(noria_within(noria_msec(2), noria_semaphore_acquire_many(&semaphore, 2)), -ETIMEDOUT);
	EXPECT_EQ(noria_semaphore_permits(&semaphore), 1);
	EXPECT_EQ(noria_within(noria_msec(2), noria_semaphore_acquire(&semaphore)), 0);
	EXPECT_EQ(noria_within(noria_msec(2), noria_acquired(&semaphore, 1)), -ETIMEDOUT);
	return 0;
}

static int leave_early(struct noria_semaphore *semaphore)
{
	return noria_acquired(semaphore, noria_try(-EIO));
}

/* By `return` too; not where nothing was acquired. */
UNIT(semaphore, is_released_by_a_return)
{
	struct noria_semaphore semaphore = NORIA_SEMAPHORE(1);
	struct noria_scope scope;
	int evaluated = 0;

	EXPECT_EQ(leave_early(&semaphore), -EIO);
	EXPECT_EQ(noria_semaphore_permits(&semaphore), 1);
	EXPECT_EQ(noria_acquired(&semaphore, (int)noria_semaphore_permits(&semaphore)), 0);
	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
	noria_scope_cancel(&scope);
	EXPECT_EQ(noria_semaphore_acquire(&semaphore), -ECANCELED);
	EXPECT_EQ(noria_acquired(&semaphore, ++evaluated), -ECANCELED);
	EXPECT_EQ(noria_semaphore_tryacquire(&semaphore), 0);
	EXPECT_EQ(noria_semaphore_release(&semaphore), 0);
	EXPECT_EQ(noria_scope_close(&scope, 0), 0);
	EXPECT(evaluated == 0 && noria_semaphore_permits(&semaphore) == 1);
	return 0;
}

UNIT(semaphore, refuses_what_cannot_be)
{
	struct noria_semaphore semaphore = NORIA_SEMAPHORE_MAX(1, 2), endless = NORIA_SEMAPHORE(UINT64_MAX - 1);

	EXPECT_EQ(noria_semaphore_release_many(&semaphore, 2), -EOVERFLOW);
	EXPECT(names(__FILE__, __LINE__ - 1));
	EXPECT_EQ(noria_semaphore_permits(&semaphore), 1);
	EXPECT_EQ(noria_semaphore_release(&semaphore), 0);
	EXPECT_EQ(noria_semaphore_release(&semaphore), -EOVERFLOW);
	EXPECT_EQ(noria_semaphore_acquire_many(&semaphore, 3), -EINVAL);
	EXPECT(names(__FILE__, __LINE__ - 1));
	EXPECT_EQ(noria_semaphore_acquire_many(&semaphore, 0), -EINVAL);
	EXPECT(names(__FILE__, __LINE__ - 1));
	EXPECT_EQ(noria_semaphore_tryacquire_many(&semaphore, 3), -EINVAL);
	EXPECT_EQ(noria_semaphore_release_many(&semaphore, 0), -EINVAL);
	EXPECT(names(__FILE__, __LINE__ - 1));
	EXPECT_EQ(noria_semaphore_permits(&semaphore), 2);
	EXPECT_EQ(noria_semaphore_release(&endless), 0);
	EXPECT_EQ(noria_semaphore_release(&endless), -EOVERFLOW);
	return 0;
}

static int acquire_often(void *arg)
{
	struct noria_semaphore semaphore = NORIA_SEMAPHORE(1);
	const bool *stop = arg;

	for (long i = 0; !*stop; i++) {
		MUST(i < 1000000);
		MUST(noria_semaphore_acquire(&semaphore) == 0);
		noria_semaphore_release(&semaphore);
	}
	return 0;
}

/* Made with more permits than it may have, which no initialiser can refuse. */
UNIT(semaphore, one_that_has_too_many_takes_none)
{
	struct noria_semaphore semaphore = NORIA_SEMAPHORE_MAX(5, 3);

	EXPECT_EQ(noria_semaphore_release_many(&semaphore, 100), -EOVERFLOW);
	EXPECT_EQ(noria_semaphore_acquire_many(&semaphore, 3), 0);
	EXPECT_EQ(noria_semaphore_release(&semaphore), 0);
	EXPECT_EQ(noria_semaphore_release(&semaphore), -EOVERFLOW);
	return 0;
}

/* R15: permits that are always there do not keep the others from running. */
UNIT(semaphore, R15_acquiring_in_a_loop_lets_others_run)
{
	struct noria_group group;
	bool stop = false;

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, acquire_often, &stop) == 0);
	turns(3);
	stop = true;
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	return 0;
}

Test(semaphore, outside_a_runtime_nothing_is_acquired)
{
	struct noria_semaphore semaphore = NORIA_SEMAPHORE(1);

	EXPECT_EQ(noria_semaphore_acquire(&semaphore), -ENXIO);
	EXPECT_EQ(noria_semaphore_tryacquire(&semaphore), -ENXIO);
	EXPECT_EQ(noria_semaphore_release(&semaphore), -ENXIO);
	EXPECT_EQ(noria_semaphore_permits(&semaphore), 1);
}
