/* SPDX-License-Identifier: MIT */
/* Channels: items in their order, those who wait in theirs, the end, and what is refused. */
#include "channel_tasks.h"

#include <pthread.h>

enum { MANY = 5 };

UNIT(channel, items_keep_their_order_in_the_buffer)
{
	struct noria_channel channel;
	int64_t buffer[3], item = 0, next = 0;

	MUST(noria_channel_init(&channel, sizeof item, buffer, 3) == 0);
	for (int64_t sent = 0; sent < 20;) {
		while (noria_channel_trysend(&channel, &sent) == 0)
			sent++;
		EXPECT_EQ(noria_channel_count(&channel), 3);
		for (int i = 0; i < 2; i++) {
			EXPECT_EQ(noria_channel_recv(&channel, &item), 1);
			EXPECT_EQ(item, next++);
		}
		EXPECT_EQ(noria_channel_send(&channel, &sent), 0);
		sent++;
		EXPECT_EQ(noria_channel_count(&channel), 2);
	}
	return 0;
}

UNIT(channel, items_of_any_size)
{
	struct noria_channel channel;
	char buffer[2][13], item[13];

	MUST(noria_channel_init(&channel, sizeof item, buffer, 2) == 0);
	EXPECT_EQ(noria_channel_send(&channel, "twelve bytes"), 0);
	EXPECT_EQ(noria_channel_send(&channel, "dozen at all"), 0);
	EXPECT_EQ(noria_channel_recv(&channel, item), 1);
	EXPECT(strcmp(item, "twelve bytes") == 0);
	EXPECT_EQ(noria_channel_recv(&channel, item), 1);
	EXPECT(strcmp(item, "dozen at all") == 0);
	return 0;
}

static int meet(struct noria_group *group)
{
	struct noria_channel channel;
	struct actor actor = {0};
	int64_t item = 7;

	MUST(noria_channel_init(&channel, sizeof item, NULL, 0) == 0);
	EXPECT_EQ(noria_channel_trysend(&channel, &item), -EAGAIN);
	EXPECT_EQ(noria_channel_tryrecv(&channel, &item), -EAGAIN);
	EXPECT_EQ(item, 7);

	start(group, &actor, call_send, &channel, 42);
	EXPECT(!actor.ended);
	EXPECT_EQ(noria_channel_trysend(&channel, &item), -EAGAIN);
	EXPECT_EQ(noria_channel_recv(&channel, &item), 1);
	EXPECT_EQ(item, 42);
	UNTIL(actor.ended);
	EXPECT_EQ(actor.result, 0);

	actor = (struct actor){0};
	start(group, &actor, call_recv, &channel, 0);
	EXPECT_EQ(noria_channel_trysend(&channel, &item), 0);
	UNTIL(actor.ended);
	EXPECT_EQ(actor.result, 1);
	EXPECT_EQ(actor.item, 42);
	return 0;
}

UNIT(channel, without_a_buffer_sender_and_receiver_meet)
{
	struct noria_group group = {0};

	return noria_grouped(&group, meet(&group));
}

static int receivers_in_line(struct noria_group *group)
{
	struct noria_channel channel;
	struct actor actors[MANY] = {0};
	int64_t buffer[2];
	int order = 0;

	MUST(noria_channel_init(&channel, sizeof(int64_t), buffer, 2) == 0);
	for (int i = 0; i < MANY; i++) {
		actors[i].order = &order;
		start(group, &actors[i], call_recv, &channel, -1);
	}
	for (int64_t item = 100; item < 100 + MANY; item++)
		EXPECT_EQ(noria_channel_send(&channel, &item), 0);
	EXPECT_EQ(noria_channel_count(&channel), 0);
	for (int i = 0; i < MANY; i++) {
		UNTIL(actors[i].ended);
		EXPECT_EQ(actors[i].result, 1);
		EXPECT_EQ(actors[i].item, 100 + i);
		EXPECT_EQ(actors[i].place, i);
	}
	return 0;
}

UNIT(channel, receivers_are_served_first_come_first_served)
{
	struct noria_group group = {0};

	return noria_grouped(&group, receivers_in_line(&group));
}

static int senders_in_line(struct noria_group *group, size_t capacity)
{
	struct noria_channel channel;
	struct actor actors[MANY] = {0};
	int64_t buffer[2], item;

	MUST(noria_channel_init(&channel, sizeof(int64_t), capacity ? buffer : NULL, capacity) == 0);
	for (int i = 0; i < MANY; i++)
		start(group, &actors[i], call_send, &channel, 100 + i);
	for (int i = 0; i < MANY; i++) {
		EXPECT_EQ(noria_channel_recv(&channel, &item), 1);
		EXPECT_EQ(item, 100 + i);
		/* The room that this made went to those who wait. */
		if (i + (int)capacity < MANY)
			EXPECT_EQ(noria_channel_trysend(&channel, &item), -EAGAIN);
	}
	for (int i = 0; i < MANY; i++) {
		UNTIL(actors[i].ended);
		EXPECT_EQ(actors[i].result, 0);
	}
	return 0;
}

UNIT(channel, senders_are_served_first_come_first_served)
{
	struct noria_group group = {0};

	MUST(noria_grouped(&group, senders_in_line(&group, 0)) == 0);
	return noria_grouped(&group, senders_in_line(&group, 2));
}

static int close_full(struct noria_group *group)
{
	struct noria_channel channel;
	struct actor actors[2] = {0};
	int64_t buffer[2], item = 1;

	MUST(noria_channel_init(&channel, sizeof item, buffer, 2) == 0);
	EXPECT_EQ(noria_channel_send(&channel, &item), 0);
	item = 2;
	EXPECT_EQ(noria_channel_send(&channel, &item), 0);
	for (int i = 0; i < 2; i++)
		start(group, &actors[i], call_send, &channel, 3);
	noria_channel_close(&channel);
	noria_channel_close(&channel);
	UNTIL(actors[0].ended && actors[1].ended);
	EXPECT_EQ(actors[0].result, -EPIPE);
	EXPECT_EQ(actors[1].result, -EPIPE);
	EXPECT_EQ(noria_channel_send(&channel, &item), -EPIPE);
	EXPECT_EQ(noria_channel_recv(&channel, &item), 1);
	EXPECT_EQ(item, 1);
	EXPECT_EQ(noria_channel_recv(&channel, &item), 1);
	EXPECT_EQ(item, 2);
	EXPECT_EQ(noria_channel_recv(&channel, &item), 0);
	EXPECT_EQ(noria_channel_tryrecv(&channel, &item), 0);
	EXPECT_EQ(item, 2);
	return 0;
}

UNIT(channel, what_is_buffered_can_be_received_after_the_close)
{
	struct noria_group group = {0};

	return noria_grouped(&group, close_full(&group));
}

static int close_empty(struct noria_group *group)
{
	struct noria_channel channel;
	struct actor actors[MANY] = {0};

	MUST(noria_channel_init(&channel, sizeof(int64_t), NULL, 0) == 0);
	for (int i = 0; i < MANY; i++)
		start(group, &actors[i], call_recv, &channel, 9);
	noria_channel_close(&channel);
	for (int i = 0; i < MANY; i++) {
		UNTIL(actors[i].ended);
		EXPECT_EQ(actors[i].result, 0);
		EXPECT_EQ(actors[i].item, 9);
	}
	return 0;
}

UNIT(channel, closing_wakes_all_receivers)
{
	struct noria_group group = {0};

	return noria_grouped(&group, close_empty(&group));
}

/* All that it does, a channel answers at once: others still get their turn. (R15) */
static int busy(const bool *seen, bool sends, bool receives)
{
	struct noria_channel channel;
	int64_t buffer[1], item = 0;

	MUST(noria_channel_init(&channel, sizeof item, buffer, 1) == 0);
	if (!sends || !receives)
		noria_channel_close(&channel);
	for (int i = 0; i < 10000 && !*seen; i++) {
		if (sends)
			EXPECT_EQ(noria_channel_send(&channel, &item), receives ? 0 : -EPIPE);
		if (receives)
			EXPECT_EQ(noria_channel_recv(&channel, &item), sends ? 1 : 0);
	}
	EXPECT(*seen);
	return 0;
}

static int see(void *arg)
{
	*(bool *)arg = true;
	return 0;
}

static int busy_beside(struct noria_group *group, bool sends, bool receives)
{
	bool seen = false;

	MUST(noria_spawn(group, see, &seen) == 0);
	return busy(&seen, sends, receives);
}

UNIT(channel, a_task_that_never_waits_starves_nobody)
{
	struct noria_group group = {0};

	MUST(noria_grouped(&group, busy_beside(&group, true, true)) == 0);
	MUST(noria_grouped(&group, busy_beside(&group, false, true)) == 0);
	return noria_grouped(&group, busy_beside(&group, true, false));
}

static int destroy_with_waiters(struct noria_group *group)
{
	struct noria_channel channel;
	struct actor actor = {0};
	int64_t item = 5;

	MUST(noria_channel_init(&channel, sizeof item, NULL, 0) == 0);
	start(group, &actor, call_recv, &channel, 0);
	EXPECT_EQ(noria_channel_destroy(&channel), -EBUSY);
	EXPECT_EQ(noria_channel_send(&channel, &item), 0);
	UNTIL(actor.ended);
	EXPECT_EQ(actor.item, 5);

	actor = (struct actor){0};
	start(group, &actor, call_send, &channel, 6);
	EXPECT_EQ(noria_channel_destroy(&channel), -EBUSY);
	EXPECT_EQ(noria_channel_recv(&channel, &item), 1);
	UNTIL(actor.ended);
	EXPECT_EQ(noria_channel_destroy(&channel), 0);
	EXPECT_EQ(noria_channel_destroy(&channel), -EINVAL);
	EXPECT_EQ(noria_channel_recv(&channel, &item), -EINVAL);
	return 0;
}

UNIT(channel, destroying_one_that_is_waited_at_is_refused)
{
	struct noria_group group = {0};

	return noria_grouped(&group, destroy_with_waiters(&group));
}

static int elsewhere(void *arg)
{
	int64_t item = 0;

	EXPECT_EQ(noria_channel_send(arg, &item), -EINVAL);
	EXPECT(strstr(noria_message(), "another runtime"));
	return 0;
}

static void *thread(void *arg)
{
	struct noria_channel other;
	int64_t item = 0;

	EXPECT_EQ(noria_channel_init(&other, 8, NULL, 0), -ENXIO);
	EXPECT_EQ(noria_channel_recv(arg, &item), -ENXIO);
	EXPECT_EQ(noria_channel_tryrecv(arg, &item), -ENXIO);
	noria_channel_close(arg);
	EXPECT_EQ(noria_run(&(struct noria_config){.signals = NORIA_SIGNALS_NONE}, elsewhere, arg), 0);
	return NULL;
}

UNIT(channel, misuse_is_refused)
{
	struct noria_channel channel = {0};
	int64_t buffer[1], item = 1;
	pthread_t id;

	EXPECT_EQ(noria_channel_send(&channel, &item), -EINVAL);
	EXPECT(strstr(noria_message(), "noria_channel_init"));
	EXPECT_EQ(noria_channel_trysend(&channel, &item), -EINVAL);
	EXPECT_EQ(noria_channel_recv(&channel, &item), -EINVAL);
	EXPECT_EQ(noria_channel_tryrecv(&channel, &item), -EINVAL);
	EXPECT_EQ(noria_channel_destroy(&channel), -EINVAL);
	EXPECT_EQ(noria_channel_count(&channel), 0);
	noria_channel_close(&channel);
	EXPECT_EQ(noria_channel_init(&channel, 0, buffer, 1), -EINVAL);
	EXPECT_EQ(noria_channel_init(&channel, 8, NULL, 1), -EINVAL);
	EXPECT_EQ(noria_channel_send(&channel, &item), -EINVAL);

	MUST(noria_channel_init(&channel, sizeof item, buffer, 1) == 0);
	MUST(pthread_create(&id, NULL, thread, &channel) == 0);
	MUST(pthread_join(id, NULL) == 0);
	EXPECT_EQ(noria_channel_send(&channel, &item), 0); /* the other thread has not closed it */
	return 0;
}

static int describe_both(struct noria_group *group)
{
	struct noria_channel channel;
	struct actor actor = {0};
	int64_t item = 1;
	char text[100], place[40];
	int line = __LINE__ + 2;

	MUST(noria_channel_init(&channel, sizeof item, NULL, 0) == 0);
	snprintf(place, sizeof place, "channel.c:%d", line);
	start(group, &actor, call_recv, &channel, 0);
	EXPECT(strstr(waits_for(text, sizeof text), "receives from"));
	EXPECT(strstr(text, place));
	EXPECT_EQ(noria_channel_send(&channel, &item), 0);
	UNTIL(actor.ended);
	actor = (struct actor){0};
	start(group, &actor, call_send, &channel, 0);
	EXPECT(strstr(waits_for(text, sizeof text), "sends to"));
	EXPECT(strstr(text, place));
	EXPECT_EQ(noria_channel_recv(&channel, &item), 1);
	UNTIL(actor.ended);
	return 0;
}

UNIT(channel, a_wait_says_what_it_is)
{
	struct noria_group group = {0};

	return noria_grouped(&group, describe_both(&group));
}
