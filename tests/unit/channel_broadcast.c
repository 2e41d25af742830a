/* SPDX-License-Identifier: MIT */
/* Broadcasts: every subscriber gets every item sent after its subscription; the slow one is waited for, or told its loss. */
#include "channel_tasks.h"

static int call_broadcast(struct actor *actor)
{
	return noria_broadcast_send(actor->object, &actor->item);
}

static int call_subscriber(struct actor *actor)
{
	return noria_broadcast_recv(actor->object, &actor->item);
}

static int64_t get(struct noria_subscriber *subscriber)
{
	int64_t item = -1;
	int r = noria_broadcast_tryrecv(subscriber, &item);

	return r == 1 ? item : r;
}

static int put(struct noria_broadcast *broadcast, int64_t item)
{
	return noria_broadcast_trysend(broadcast, &item);
}

UNIT(broadcast, everybody_gets_what_is_sent_after_subscribing)
{
	struct noria_broadcast broadcast;
	struct noria_subscriber first, second;
	int64_t buffer[3];

	MUST(noria_broadcast_init(&broadcast, sizeof(int64_t), buffer, 3, 0) == 0);
	for (int i = 0; i < 10; i++)
		EXPECT_EQ(put(&broadcast, i), 0); /* to nobody */
	MUST(noria_broadcast_subscribe(&broadcast, &first) == 0);
	EXPECT_EQ(get(&first), -EAGAIN);
	EXPECT_EQ(put(&broadcast, 10), 0);
	MUST(noria_broadcast_subscribe(&broadcast, &second) == 0);
	EXPECT_EQ(put(&broadcast, 11), 0);
	EXPECT_EQ(put(&broadcast, 12), 0);
	EXPECT_EQ(put(&broadcast, 13), -EAGAIN); /* the first is three behind */
	EXPECT_EQ(get(&first), 10);
	EXPECT_EQ(put(&broadcast, 13), 0);
	for (int i = 11; i < 14; i++) {
		EXPECT_EQ(get(&first), i);
		EXPECT_EQ(get(&second), i);
	}
	EXPECT_EQ(get(&first), -EAGAIN);
	EXPECT_EQ(get(&second), -EAGAIN);
	return 0;
}

static int slowest(struct noria_group *group)
{
	struct noria_broadcast broadcast;
	struct noria_subscriber fast, slow, leaver;
	struct actor senders[3] = {0};
	int64_t buffer[1];

	MUST(noria_broadcast_init(&broadcast, sizeof(int64_t), buffer, 1, 0) == 0);
	MUST(noria_broadcast_subscribe(&broadcast, &fast) == 0);
	MUST(noria_broadcast_subscribe(&broadcast, &slow) == 0);
	MUST(noria_broadcast_subscribe(&broadcast, &leaver) == 0);
	EXPECT_EQ(put(&broadcast, 0), 0);
	for (int i = 0; i < 3; i++)
		start(group, &senders[i], call_broadcast, &broadcast, 1 + i);
	EXPECT_EQ(get(&fast), 0);
	EXPECT_EQ(get(&slow), 0);
	EXPECT_EQ(noria_yield(), 0);
	EXPECT(!senders[0].ended); /* one still has not got it */
	noria_broadcast_unsubscribe(&leaver);
	UNTIL(senders[0].ended);
	EXPECT_EQ(senders[0].result, 0);
	EXPECT(!senders[1].ended);
	noria_scope_cancel(&senders[1].scope);
	UNTIL(senders[1].ended);
	EXPECT_EQ(senders[1].result, -ECANCELED);
	EXPECT_EQ(get(&fast), 1);
	EXPECT_EQ(get(&fast), -EAGAIN);
	EXPECT_EQ(get(&slow), 1);
	UNTIL(senders[2].ended);
	EXPECT_EQ(get(&slow), 3);
	EXPECT_EQ(get(&fast), 3);
	return 0;
}

UNIT(broadcast, the_sender_waits_for_the_slowest)
{
	struct noria_group group = {0};

	return noria_grouped(&group, slowest(&group));
}

static int held_by_one(struct noria_group *group)
{
	struct noria_broadcast broadcast;
	struct noria_subscriber waiting, slow;
	struct actor receiver = {0}, senders[3] = {0};
	int64_t buffer[1];

	MUST(noria_broadcast_init(&broadcast, sizeof(int64_t), buffer, 1, 0) == 0);
	MUST(noria_broadcast_subscribe(&broadcast, &waiting) == 0);
	MUST(noria_broadcast_subscribe(&broadcast, &slow) == 0);
	EXPECT_EQ(put(&broadcast, 0), 0);
	EXPECT_EQ(get(&waiting), 0);
	start(group, &receiver, call_subscriber, &waiting, -1);
	for (int i = 0; i < 3; i++)
		start(group, &senders[i], call_broadcast, &broadcast, 1 + i);
	noria_broadcast_unsubscribe(&slow); /* the first goes to who waits, the second into the buffer */
	UNTIL(receiver.ended && senders[0].ended && senders[1].ended);
	EXPECT_EQ(receiver.item, 1);
	EXPECT(!senders[2].ended);
	noria_broadcast_unsubscribe(&waiting);
	UNTIL(senders[2].ended);
	EXPECT_EQ(senders[2].result, 0);
	return 0;
}

UNIT(broadcast, all_whom_one_held_up_go_on)
{
	struct noria_group group = {0};

	return noria_grouped(&group, held_by_one(&group));
}

static int woken(struct noria_group *group)
{
	struct noria_broadcast broadcast;
	struct noria_subscriber subscribers[3];
	struct actor actors[4] = {0};
	int64_t buffer[2];

	MUST(noria_broadcast_init(&broadcast, sizeof(int64_t), buffer, 2, 0) == 0);
	for (int i = 0; i < 3; i++)
		MUST(noria_broadcast_subscribe(&broadcast, &subscribers[i]) == 0);
	/* Two tasks wait at the last one. */
	for (int i = 0; i < 4; i++)
		start(group, &actors[i], call_subscriber, &subscribers[i < 3 ? i : 2], -1);
	EXPECT_EQ(put(&broadcast, 5), 0);
	noria_scope_cancel(&actors[1].scope); /* too late: R01 */
	UNTIL(actors[0].ended && actors[1].ended && actors[2].ended);
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(actors[i].result, 1);
		EXPECT_EQ(actors[i].item, 5);
	}
	EXPECT_EQ(actors[1].afterward, -ECANCELED);
	EXPECT(!actors[3].ended);
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(get(&subscribers[i]), -EAGAIN);
	EXPECT_EQ(put(&broadcast, 6), 0);
	UNTIL(actors[3].ended);
	EXPECT_EQ(actors[3].item, 6);
	EXPECT_EQ(get(&subscribers[2]), -EAGAIN);
	EXPECT_EQ(get(&subscribers[0]), 6);
	return 0;
}

UNIT(broadcast, waiting_subscribers_get_it_straight)
{
	struct noria_group group = {0};

	return noria_grouped(&group, woken(&group));
}

UNIT(broadcast, a_lossy_one_tells_what_was_lost)
{
	struct noria_broadcast broadcast;
	struct noria_subscriber slow, fast;
	int64_t buffer[4];

	MUST(noria_broadcast_init(&broadcast, sizeof(int64_t), buffer, 4, NORIA_BROADCAST_LOSSY) == 0);
	MUST(noria_broadcast_subscribe(&broadcast, &slow) == 0);
	MUST(noria_broadcast_subscribe(&broadcast, &fast) == 0);
	for (int64_t i = 0; i < 10; i++) {
		EXPECT_EQ(noria_broadcast_send(&broadcast, &i), 0);
		EXPECT_EQ(get(&fast), i);
	}
	EXPECT_EQ(noria_broadcast_lost(&slow), 0);
	EXPECT_EQ(get(&slow), -EOVERFLOW);
	EXPECT_EQ(noria_broadcast_lost(&slow), 6);
	for (int i = 6; i < 10; i++)
		EXPECT_EQ(get(&slow), i);
	EXPECT_EQ(get(&slow), -EAGAIN);
	for (int i = 0; i < 5; i++)
		EXPECT_EQ(put(&broadcast, i), 0);
	EXPECT_EQ(get(&slow), -EOVERFLOW);
	EXPECT_EQ(noria_broadcast_lost(&slow), 1);
	EXPECT_EQ(get(&slow), 1);
	EXPECT_EQ(noria_broadcast_lost(&fast), 0);
	return 0;
}

static int closing(struct noria_group *group)
{
	struct noria_broadcast broadcast;
	struct noria_subscriber reader, waiter, leaver;
	struct actor sender = {0}, actors[2] = {0};
	int64_t buffer[2];

	MUST(noria_broadcast_init(&broadcast, sizeof(int64_t), buffer, 2, 0) == 0);
	MUST(noria_broadcast_subscribe(&broadcast, &reader) == 0);
	EXPECT_EQ(put(&broadcast, 1), 0);
	EXPECT_EQ(put(&broadcast, 2), 0);
	start(group, &sender, call_broadcast, &broadcast, 3);
	MUST(noria_broadcast_subscribe(&broadcast, &waiter) == 0);
	MUST(noria_broadcast_subscribe(&broadcast, &leaver) == 0);
	start(group, &actors[0], call_subscriber, &waiter, -1);
	start(group, &actors[1], call_subscriber, &leaver, -1);
	noria_broadcast_unsubscribe(&leaver);
	UNTIL(actors[1].ended);
	EXPECT_EQ(actors[1].result, 0);
	noria_broadcast_close(&broadcast);
	noria_broadcast_close(&broadcast);
	UNTIL(sender.ended && actors[0].ended);
	EXPECT_EQ(sender.result, -EPIPE);
	EXPECT_EQ(actors[0].result, 0);
	EXPECT_EQ(put(&broadcast, 4), -EPIPE);
	EXPECT_EQ(get(&reader), 1);
	EXPECT_EQ(get(&reader), 2);
	EXPECT_EQ(get(&reader), 0);
	EXPECT_EQ(noria_broadcast_destroy(&broadcast), -EBUSY);
	noria_broadcast_unsubscribe(&reader);
	noria_broadcast_unsubscribe(&reader);
	noria_broadcast_unsubscribe(&waiter);
	EXPECT_EQ(noria_broadcast_destroy(&broadcast), 0);
	return 0;
}

UNIT(broadcast, closing_wakes_everybody_and_what_was_sent_is_received)
{
	struct noria_group group = {0};

	return noria_grouped(&group, closing(&group));
}

static int limited(struct noria_broadcast *broadcast, struct noria_subscriber *subscriber)
{
	int64_t item = 4;

	EXPECT_EQ(noria_within(noria_msec(1), noria_broadcast_recv(subscriber, &item)), -ETIMEDOUT);
	EXPECT_EQ(noria_broadcast_send(broadcast, &item), 0);
	EXPECT_EQ(noria_within(noria_msec(1), noria_broadcast_send(broadcast, &item)), -ETIMEDOUT);
	EXPECT_EQ(noria_broadcast_recv(subscriber, &item), 1);
	EXPECT_EQ(noria_broadcast_tryrecv(subscriber, &item), -EAGAIN);
	return 0;
}

UNIT(broadcast, a_time_limit_ends_the_wait)
{
	struct noria_broadcast broadcast;
	struct noria_subscriber subscriber;
	int64_t buffer[1];

	MUST(noria_broadcast_init(&broadcast, sizeof(int64_t), buffer, 1, 0) == 0);
	MUST(noria_broadcast_subscribe(&broadcast, &subscriber) == 0);
	return limited(&broadcast, &subscriber);
}

UNIT(broadcast, misuse_is_refused)
{
	struct noria_broadcast broadcast = {0};
	struct noria_subscriber subscriber = {0};
	int64_t buffer[1], item = 0;

	EXPECT_EQ(noria_broadcast_send(&broadcast, &item), -EINVAL);
	EXPECT_EQ(noria_broadcast_subscribe(&broadcast, &subscriber), -EINVAL);
	EXPECT_EQ(noria_broadcast_recv(&subscriber, &item), -EINVAL);
	EXPECT_EQ(noria_broadcast_tryrecv(&subscriber, &item), -EINVAL);
	EXPECT_EQ(noria_broadcast_lost(&subscriber), 0);
	EXPECT_EQ(noria_broadcast_destroy(&broadcast), -EINVAL);
	noria_broadcast_unsubscribe(&subscriber);
	noria_broadcast_close(&broadcast);
	EXPECT_EQ(noria_broadcast_init(&broadcast, 8, buffer, 0, 0), -EINVAL);
	EXPECT_EQ(noria_broadcast_init(&broadcast, 8, NULL, 1, 0), -EINVAL);
	EXPECT_EQ(noria_broadcast_init(&broadcast, 0, buffer, 1, 0), -EINVAL);
	EXPECT_EQ(noria_broadcast_init(&broadcast, 8, buffer, 1, 2), -EINVAL);
	MUST(noria_broadcast_init(&broadcast, 8, buffer, 1, 0) == 0);
	MUST(noria_broadcast_subscribe(&broadcast, &subscriber) == 0);
	EXPECT_EQ(noria_broadcast_subscribe(&broadcast, &subscriber), -EINVAL);
	noria_broadcast_unsubscribe(&subscriber);
	EXPECT_EQ(noria_broadcast_recv(&subscriber, &item), -EINVAL);
	return 0;
}

/* Seeded: subscribers of random speed, with time limits, that come and go; senders too. Each sees one run of the numbers. */
enum { SENDERS = 3, SUBSCRIBERS = 5, ROUNDS = 3000 };

struct storm {
	struct noria_broadcast broadcast;
	uint64_t seed;
	int64_t next;
	int sending;
};

static int64_t limit(struct storm *storm)
{
	return unit_random(&storm->seed) % 4 ? NORIA_FOREVER : noria_usec((int64_t)(unit_random(&storm->seed) % 20));
}

static int send_numbers(void *arg)
{
	struct storm *storm = arg;

	for (int i = 0; i < ROUNDS; i++) {
		/* Nothing parks between the number and the attempt. */
		int r = noria_broadcast_trysend(&storm->broadcast, &storm->next);

		if (r == 0)
			storm->next++;
		if (r == -EAGAIN || unit_random(&storm->seed) % 3 == 0)
			MUST(noria_yield() == 0);
	}
	if (--storm->sending == 0)
		noria_broadcast_close(&storm->broadcast);
	return 0;
}

static int follow(void *arg)
{
	struct storm *storm = arg;
	int r = 1;

	while (r != 0) {
		struct noria_subscriber subscriber;
		int64_t expected = storm->next, item;

		MUST(noria_broadcast_subscribe(&storm->broadcast, &subscriber) == 0);
		for (uint64_t left = 1 + unit_random(&storm->seed) % 50; left > 0 && r != 0; left--) {
			r = noria_within(limit(storm), noria_broadcast_recv(&subscriber, &item));
			MUST(r >= 0 || r == -ETIMEDOUT);
			if (r == 1)
				MUST(item == expected++);
		}
		if (r == 0)
			EXPECT_EQ(expected, storm->next);
		noria_broadcast_unsubscribe(&subscriber);
	}
	return 0;
}

static int rage(struct noria_group *group, struct storm *storm)
{
	for (int i = 0; i < SENDERS; i++)
		MUST(noria_spawn(group, send_numbers, storm) == 0);
	for (int i = 0; i < SUBSCRIBERS; i++)
		MUST(noria_spawn(group, follow, storm) == 0);
	return 0;
}

UNIT(broadcast, storm)
{
	for (size_t capacity = 1; capacity < 9; capacity += 3) {
		struct storm storm = {.seed = capacity, .sending = SENDERS};
		struct noria_group group = {0};
		int64_t buffer[8];

		MUST(noria_broadcast_init(&storm.broadcast, sizeof(int64_t), buffer, capacity, 0) == 0);
		MUST(noria_grouped(&group, rage(&group, &storm)) == 0);
		EXPECT(storm.next > ROUNDS / 4);
		EXPECT_EQ(noria_broadcast_destroy(&storm.broadcast), 0);
	}
	return 0;
}
