/* SPDX-License-Identifier: MIT */
/* Channels and cancellation: an item is handed over or not, and both sides agree on it. */
#include "channel_tasks.h"

static int64_t now_or_never(struct noria_channel *channel)
{
	int64_t item = -1;
	int r = noria_channel_tryrecv(channel, &item);

	return r == 1 ? item : r;
}

static int cancelled_sender(struct noria_group *group, size_t capacity)
{
	struct noria_channel channel;
	struct actor actors[3] = {0};
	int64_t buffer[1], item = 1;

	MUST(noria_channel_init(&channel, sizeof item, capacity ? buffer : NULL, capacity) == 0);
	if (capacity)
		EXPECT_EQ(noria_channel_send(&channel, &item), 0);
	for (int i = 0; i < 3; i++)
		start(group, &actors[i], call_send, &channel, 2 + i);
	noria_scope_cancel(&actors[1].scope);
	UNTIL(actors[1].ended);
	EXPECT_EQ(actors[1].result, -ECANCELED);
	if (capacity)
		EXPECT_EQ(now_or_never(&channel), 1);
	EXPECT_EQ(now_or_never(&channel), 2);
	EXPECT_EQ(now_or_never(&channel), 4);
	EXPECT_EQ(now_or_never(&channel), -EAGAIN);
	UNTIL(actors[0].ended && actors[2].ended);
	EXPECT_EQ(actors[0].result, 0);
	EXPECT_EQ(actors[2].result, 0);
	return 0;
}

UNIT(channel_cancel, a_cancelled_sender_has_not_sent)
{
	struct noria_group group = {0};

	MUST(noria_grouped(&group, cancelled_sender(&group, 0)) == 0);
	return noria_grouped(&group, cancelled_sender(&group, 1));
}

static int cancelled_receiver(struct noria_group *group)
{
	struct noria_channel channel;
	struct actor actors[3] = {0};
	int64_t item = 1;

	MUST(noria_channel_init(&channel, sizeof item, NULL, 0) == 0);
	for (int i = 0; i < 3; i++)
		start(group, &actors[i], call_recv, &channel, -1);
	/* None of them runs between the cancels and the sends. */
	noria_scope_cancel(&actors[0].scope);
	noria_scope_cancel(&actors[2].scope);
	EXPECT_EQ(noria_channel_trysend(&channel, &item), 0);
	EXPECT_EQ(noria_channel_trysend(&channel, &item), -EAGAIN);
	UNTIL(actors[0].ended && actors[1].ended && actors[2].ended);
	EXPECT_EQ(actors[0].result, -ECANCELED);
	EXPECT_EQ(actors[0].item, -1);
	EXPECT_EQ(actors[1].result, 1);
	EXPECT_EQ(actors[1].item, 1);
	EXPECT_EQ(actors[2].result, -ECANCELED);
	EXPECT_EQ(actors[2].item, -1);
	return 0;
}

UNIT(channel_cancel, a_cancelled_receiver_takes_nothing)
{
	struct noria_group group = {0};

	return noria_grouped(&group, cancelled_receiver(&group));
}

/* R01 */
static int handed_over(struct noria_group *group)
{
	struct noria_channel channel;
	struct actor receiver = {0}, sender = {0};
	int64_t item = 11;

	MUST(noria_channel_init(&channel, sizeof item, NULL, 0) == 0);
	start(group, &receiver, call_recv, &channel, -1);
	EXPECT_EQ(noria_channel_trysend(&channel, &item), 0);
	noria_scope_cancel(&receiver.scope);
	UNTIL(receiver.ended);
	EXPECT_EQ(receiver.result, 1);
	EXPECT_EQ(receiver.item, 11);
	EXPECT_EQ(receiver.afterward, -ECANCELED);

	start(group, &sender, call_send, &channel, 12);
	EXPECT_EQ(noria_channel_tryrecv(&channel, &item), 1);
	noria_scope_cancel(&sender.scope);
	UNTIL(sender.ended);
	EXPECT_EQ(sender.result, 0);
	EXPECT_EQ(sender.afterward, -ECANCELED);
	EXPECT_EQ(item, 12);
	return 0;
}

UNIT(channel_cancel, a_hand_over_that_races_a_cancel_is_delivered)
{
	struct noria_group group = {0};

	return noria_grouped(&group, handed_over(&group));
}

static int closed_and_cancelled(struct noria_group *group)
{
	struct noria_channel channel;
	struct actor sender = {0};

	MUST(noria_channel_init(&channel, 8, NULL, 0) == 0);
	start(group, &sender, call_send, &channel, 1);
	noria_scope_cancel(&sender.scope);
	noria_channel_close(&channel);
	UNTIL(sender.ended);
	EXPECT_EQ(sender.result, -ECANCELED);
	return 0;
}

UNIT(channel_cancel, the_first_of_cancel_and_close_counts)
{
	struct noria_group group = {0};

	return noria_grouped(&group, closed_and_cancelled(&group));
}

UNIT(channel_cancel, a_time_limit_ends_the_wait)
{
	struct noria_channel channel;
	int64_t item = 3;

	MUST(noria_channel_init(&channel, sizeof item, NULL, 0) == 0);
	EXPECT_EQ(noria_within(noria_msec(1), noria_channel_recv(&channel, &item)), -ETIMEDOUT);
	EXPECT_EQ(noria_within(noria_msec(1), noria_channel_send(&channel, &item)), -ETIMEDOUT);
	EXPECT_EQ(item, 3);
	/* It was told, so it counts although the body goes on (T04). */
	EXPECT_EQ(noria_within(noria_msec(1), noria_channel_recv(&channel, &item) == -ECANCELED), -ETIMEDOUT);
	EXPECT_EQ(noria_channel_destroy(&channel), 0); /* nobody stands there any more */
	return 0;
}

static int in_cancelled_scope(struct noria_channel *channel)
{
	int64_t item = 8;

	EXPECT_EQ(noria_channel_recv(channel, &item), -ECANCELED);
	EXPECT_EQ(noria_channel_send(channel, &item), -ECANCELED);
	EXPECT_EQ(noria_channel_count(channel), 1);
	EXPECT_EQ(noria_channel_tryrecv(channel, &item), 1);
	EXPECT_EQ(item, 7);
	EXPECT_EQ(noria_channel_trysend(channel, &item), 0);
	return 0;
}

UNIT(channel_cancel, a_cancelled_scope_moves_nothing)
{
	struct noria_channel channel;
	struct noria_scope scope = {0};
	int64_t buffer[2], item = 7;

	MUST(noria_channel_init(&channel, sizeof item, buffer, 2) == 0);
	EXPECT_EQ(noria_channel_send(&channel, &item), 0);
	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
	noria_scope_cancel(&scope);
	return (int)noria_scope_close(&scope, in_cancelled_scope(&channel));
}

/* Seeded: producers and consumers with random limits. Nothing is lost, nothing comes twice, each producer's order is kept. */
enum { PRODUCERS = 6, CONSUMERS = 5, ITEMS = 4000 };

struct storm {
	struct noria_channel channel;
	uint64_t seed;
	int producing;
	int64_t sent[PRODUCERS], received[PRODUCERS]; /* how many */
	int64_t seen[PRODUCERS][ITEMS];
};

struct producer {
	struct storm *storm;
	int64_t number;
};

static int64_t limit(struct storm *storm)
{
	uint64_t dice = unit_random(&storm->seed) % 8;

	return dice == 0 ? 0 : dice < 3 ? noria_usec((int64_t)(unit_random(&storm->seed) % 30)) : NORIA_FOREVER;
}

static int produce(void *arg)
{
	struct producer *producer = arg;
	struct storm *storm = producer->storm;

	for (int64_t i = 0; i < ITEMS; i++) {
		int64_t item = producer->number * ITEMS + i;
		int r = noria_within(limit(storm), noria_channel_send(&storm->channel, &item));

		MUST(r == 0 || r == -ETIMEDOUT);
		storm->seen[producer->number][i] -= r == 0; /* +1 once it is received */
		storm->sent[producer->number] += r == 0;
		if (unit_random(&storm->seed) % 4 == 0)
			MUST(noria_yield() == 0);
	}
	if (--storm->producing == 0)
		noria_channel_close(&storm->channel);
	return 0;
}

static int consume(void *arg)
{
	struct storm *storm = arg;
	int64_t item;

	for (;;) {
		int r = noria_within(limit(storm), noria_channel_recv(&storm->channel, &item));

		if (r == 0)
			return 0;
		MUST(r == 1 || r == -ETIMEDOUT);
		if (r == 1) {
			storm->seen[item / ITEMS][item % ITEMS]++;
			storm->received[item / ITEMS]++;
		}
		if (unit_random(&storm->seed) % 4 == 0)
			MUST(noria_yield() == 0);
	}
}

static int rage(struct noria_group *group, struct storm *storm, struct producer *producers)
{
	for (int i = 0; i < PRODUCERS; i++) {
		producers[i] = (struct producer){storm, i};
		MUST(noria_spawn(group, produce, &producers[i]) == 0);
	}
	for (int i = 0; i < CONSUMERS; i++)
		MUST(noria_spawn(group, consume, storm) == 0);
	return 0;
}

UNIT(channel_cancel, storm)
{
	static struct storm storm;
	static int64_t buffer[7];

	for (size_t capacity = 0; capacity < 8; capacity += 1 + capacity * 6 / 2) {
		struct noria_group group = {0};
		struct producer producers[PRODUCERS];

		memset(&storm, 0, sizeof storm);
		storm.seed = 1 + capacity;
		storm.producing = PRODUCERS;
		MUST(noria_channel_init(&storm.channel, sizeof(int64_t), capacity ? buffer : NULL, capacity) == 0);
		MUST(noria_grouped(&group, rage(&group, &storm, producers)) == 0);
		EXPECT_EQ(noria_channel_count(&storm.channel), 0);
		for (int i = 0; i < PRODUCERS; i++) {
			EXPECT(storm.sent[i] > ITEMS / 2);
			EXPECT_EQ(storm.received[i], storm.sent[i]);
			for (int j = 0; j < ITEMS; j++)
				MUST(storm.seen[i][j] == 0);
		}
	}
	return 0;
}
