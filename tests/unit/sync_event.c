/* SPDX-License-Identifier: MIT */
/* The event: set, cleared, waited for, and stood in line for by waiters of another kind. */
#include "sync_tasks.h"

#include "sync/sync.h"

static int wait_for(void *event)
{
	return noria_event_wait((struct noria_event *)event);
}

static void come_all(struct noria_group *group, struct visit *visits, int count, struct noria_event *event,
		     int *counter)
{
	for (int i = 0; i < count; i++) {
		visits[i] = (struct visit){.enter = wait_for, .thing = event, .counter = counter, .go = true};
		come(group, &visits[i]);
	}
}

static struct noria_event shared;

UNIT(event, is_set_until_it_is_cleared)
{
	EXPECT(!noria_event_is_set(&shared));
	EXPECT_EQ(noria_event_set(&shared), 0);
	EXPECT_EQ(noria_event_set(&shared), 0);
	EXPECT(noria_event_is_set(&shared));
	EXPECT_EQ(noria_event_wait(&shared), 0);
	EXPECT_EQ(noria_event_wait(&shared), 0);
	EXPECT_EQ(noria_event_clear(&shared), 0);
	EXPECT(!noria_event_is_set(&shared));
	EXPECT_EQ(noria_within(noria_msec(2), noria_event_wait(&shared)), -ETIMEDOUT);
	return 0;
}

/* Also when it is cleared before they run. */
UNIT(event, wakes_all_in_the_order_of_coming)
{
	struct noria_event event = {0};
	struct noria_group group;
	struct visit visits[4];
	int counter = 0;

	MUST(noria_group_open(&group) == 0);
	come_all(&group, visits, 4, &event, &counter);
	EXPECT(says(&visits[0], "for the event at 0x"));
	noria_scope_cancel(&visits[1].scope);
	EXPECT_EQ(noria_event_set(&event), 0);
	EXPECT_EQ(noria_event_clear(&event), 0);
	noria_scope_cancel(&visits[2].scope); /* too late */
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT(visits[0].order == 1 && visits[2].order == 2 && visits[3].order == 3);
	EXPECT(visits[1].result == -ECANCELED && visits[2].result == 0 && visits[2].after == -ECANCELED);
	return 0;
}

UNIT(event, no_wait_in_a_cancelled_scope)
{
	struct noria_event event = {0};
	struct noria_scope scope;

	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
	noria_scope_cancel(&scope);
	EXPECT_EQ(noria_event_wait(&event), -ECANCELED);
	EXPECT_EQ(noria_event_set(&event), 0);
	EXPECT_EQ(noria_event_wait(&event), -ECANCELED); /* a checkpoint also when it is set */
	EXPECT_EQ(noria_scope_close(&scope, 0), 0);
	EXPECT(noria_event_is_set(&event));
	return 0;
}

static int ask_often(void *arg)
{
	struct noria_event event = {0};
	const bool *stop = arg;

	noria_event_set(&event);
	for (long i = 0; !*stop; i++) {
		MUST(i < 1000000);
		MUST(noria_event_wait(&event) == 0);
	}
	return 0;
}

/* R15: an event that is set is no way to keep the others from running. */
UNIT(event, R15_waiting_in_a_loop_lets_others_run)
{
	struct noria_group group;
	bool stop = false;

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, ask_often, &stop) == 0);
	turns(3);
	stop = true;
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	return 0;
}

Test(event, outside_a_runtime_nobody_waits)
{
	struct noria_event event = {0};

	EXPECT_EQ(noria_event_wait(&event), -ENXIO);
	EXPECT_EQ(noria_event_set(&event), -ENXIO);
	EXPECT_EQ(noria_event_clear(&event), -ENXIO);
}
