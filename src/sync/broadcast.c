/* SPDX-License-Identifier: MIT */
/*
 * Broadcasts. Items are numbered; the buffer holds the last `capacity` of them, and a subscriber is the number that it
 * gets next. A subscriber whose task waits is up to date: it gets an item straight from the sender. `holders` counts
 * those that still need the oldest item in the buffer: while there are any, senders wait, and whoever brings it down to
 * 0 lets the first of them go on. In a lossy broadcast nobody holds anything.
 */
#include "base/message.h"
#include "noria/channel.h"
#include "sync/exchange.h"
#include "sync/select.h"
#include "task/loop.h"

#include <errno.h>
#include <stdio.h>

struct broadcast {
	uint64_t magic;
	uint64_t run;
	char *buffer;
	size_t item_size, capacity;
	uint64_t next; /* number of the next item */
	size_t holders;
	struct waiters senders;
	struct list subscribers;
	const struct noria_site *site;
	bool lossy, closed;
};

struct subscriber {
	uint64_t magic;
	struct broadcast *broadcast;
	struct list node;
	struct waiters receivers;
	uint64_t next; /* number of the item that it gets next */
	uint64_t lost;
};

_Static_assert(sizeof(struct broadcast) <= sizeof(struct noria_broadcast), "struct noria_broadcast is too small");
_Static_assert(sizeof(struct subscriber) <= sizeof(struct noria_subscriber), "struct noria_subscriber is too small");

static struct broadcast *from_public(const struct noria_broadcast *broadcast)
{
	return (struct broadcast *)(uintptr_t)broadcast;
}

static struct subscriber *subscriber_from_public(const struct noria_subscriber *subscriber)
{
	return (struct subscriber *)(uintptr_t)subscriber;
}

static uint64_t magic(const void *object)
{
	return UINT64_C(0x6e6f7269612e6263) ^ (uint64_t)(uintptr_t)object;
}

static int refuse_thread(void)
{
	if (noria_loop)
		return noria_refuse(-EINVAL, "a broadcast belongs to the runtime, and the thread, that initialised it");
	noria_no_current();
	return -ENXIO;
}

static int refuse(const struct broadcast *broadcast)
{
	if (broadcast->magic != magic(broadcast))
		return noria_refuse(-EINVAL, "a broadcast that is not initialised. Remedy: noria_broadcast_init()");
	return loop_is_run(broadcast->run) ? 0 : refuse_thread();
}

static int refuse_subscriber(const struct subscriber *subscriber)
{
	if (subscriber->magic != magic(subscriber))
		return noria_refuse(-EINVAL,
				    "a subscriber that is not subscribed. Remedy: noria_broadcast_subscribe()");
	return loop_is_run(subscriber->broadcast->run) ? 0 : refuse_thread();
}

static char *place(struct broadcast *broadcast, uint64_t number)
{
	return broadcast->buffer + number % broadcast->capacity * broadcast->item_size;
}

static uint64_t behind(const struct subscriber *subscriber)
{
	return subscriber->broadcast->next - subscriber->next;
}

static bool is_holder(const struct subscriber *subscriber)
{
	const struct broadcast *broadcast = subscriber->broadcast;

	return !broadcast->lossy && behind(subscriber) == broadcast->capacity;
}

/* There is room: into the buffer, and to those that wait. */
static void push(struct broadcast *broadcast, const void *item)
{
	item_copy(place(broadcast, broadcast->next++), item, broadcast->item_size);
	for (struct list *node = broadcast->subscribers.next; node != &broadcast->subscribers; node = node->next) {
		struct subscriber *subscriber = list_entry(node, struct subscriber, node);
		struct exchange *receiver = exchange_first(&subscriber->receivers);

		if (receiver) {
			item_copy(receiver->item, item, broadcast->item_size);
			subscriber->next++;
			exchange_done(receiver, 1);
		} else if (is_holder(subscriber)) {
			broadcast->holders++;
		}
	}
}

/* Somebody no longer holds the oldest item. */
static void let_go(struct broadcast *broadcast)
{
	struct exchange *sender;

	broadcast->holders--;
	while (broadcast->holders == 0 && (sender = exchange_first(&broadcast->senders))) {
		push(broadcast, sender->item);
		exchange_done(sender, 0);
	}
}

/* 0, -EPIPE, or -EAGAIN where it has to wait. */
static int send_now(struct broadcast *broadcast, const void *item)
{
	if (broadcast->closed)
		return -EPIPE;
	if (broadcast->holders > 0)
		return -EAGAIN;
	push(broadcast, item);
	return 0;
}

/* 1, 0 at the end, -EOVERFLOW, or -EAGAIN where it has to wait. */
static int recv_now(struct subscriber *subscriber, void *ret_item)
{
	struct broadcast *broadcast = subscriber->broadcast;
	bool holder = is_holder(subscriber);

	if (behind(subscriber) == 0)
		return broadcast->closed ? 0 : -EAGAIN;
	if (behind(subscriber) > broadcast->capacity) {
		subscriber->lost = behind(subscriber) - broadcast->capacity;
		subscriber->next += subscriber->lost;
		return -EOVERFLOW;
	}
	item_copy(ret_item, place(broadcast, subscriber->next), broadcast->item_size);
	subscriber->next++;
	if (holder)
		let_go(broadcast);
	return 1;
}

static void describe_at(const char *what, const struct broadcast *broadcast, char *text, size_t size)
{
	snprintf(text, size, "%s the broadcast of %s:%d", what, broadcast->site->file, broadcast->site->line);
}

static void describe_send(const struct wait *wait, char *text, size_t size)
{
	describe_at("sends to", encounter_object(wait), text, size);
}

static void describe_recv(const struct wait *wait, char *text, size_t size)
{
	const struct subscriber *subscriber = encounter_object(wait);

	describe_at("receives from", subscriber->broadcast, text, size);
}

static const struct wait_class send_class = {.abandon = noria_exchange_abandon, .describe = describe_send};
static const struct wait_class recv_class = {.abandon = noria_exchange_abandon, .describe = describe_recv};

int noria_broadcast_init_at(struct noria_broadcast *storage, size_t item_size, void *buffer, size_t capacity,
			    unsigned flags, const struct noria_site *site)
{
	struct broadcast *broadcast = from_public(storage);

	if (!noria_loop)
		return refuse_thread();
	if (item_size == 0 || capacity == 0 || !buffer)
		return noria_refuse(-EINVAL, "the broadcast of %s:%d has items of %zu bytes, and %s buffer for %zu",
				    site->file, site->line, item_size, buffer ? "a" : "no", capacity);
	if (flags & ~(unsigned)NORIA_BROADCAST_LOSSY)
		return noria_refuse(-EINVAL, "unknown flags %#x of the broadcast of %s:%d", flags, site->file,
				    site->line);
	*broadcast = (struct broadcast){.magic = magic(broadcast),
					.run = noria_loop->run,
					.buffer = buffer,
					.item_size = item_size,
					.capacity = capacity,
					.site = site,
					.lossy = flags & NORIA_BROADCAST_LOSSY};
	list_init(&broadcast->subscribers);
	return 0;
}

int noria_broadcast_send(struct noria_broadcast *storage, const void *item)
{
	struct broadcast *broadcast = from_public(storage);
	struct task *task = noria_current();
	int r;

	if (!task)
		return -ENXIO;
	r = refuse(broadcast);
	if (r < 0)
		return task_answer(task, r);
	r = scope_door(task);
	if (r < 0)
		return r;
	r = send_now(broadcast, item);
	if (r == -EAGAIN)
		return noria_exchange_wait(task, &broadcast->senders, (void *)(uintptr_t)item, &send_class, broadcast);
	return task_answer(task, r);
}

int noria_broadcast_trysend(struct noria_broadcast *storage, const void *item)
{
	struct broadcast *broadcast = from_public(storage);
	int r = refuse(broadcast);

	return r < 0 ? r : send_now(broadcast, item);
}

void noria_broadcast_close(struct noria_broadcast *storage)
{
	struct broadcast *broadcast = from_public(storage);

	if (refuse(broadcast) < 0)
		return;
	broadcast->closed = true;
	noria_exchange_all(&broadcast->senders, -EPIPE);
	for (struct list *node = broadcast->subscribers.next; node != &broadcast->subscribers; node = node->next)
		noria_exchange_all(&list_entry(node, struct subscriber, node)->receivers, 0);
}

int noria_broadcast_destroy(struct noria_broadcast *storage)
{
	struct broadcast *broadcast = from_public(storage);
	int r = refuse(broadcast);

	if (r < 0)
		return r;
	if (!list_empty(&broadcast->subscribers))
		return noria_refuse(
			-EBUSY,
			"the broadcast of %s:%d has subscribers. Remedy: close it, and destroy it when they "
			"have unsubscribed",
			broadcast->site->file, broadcast->site->line);
	broadcast->magic = 0;
	return 0;
}

int noria_broadcast_subscribe(struct noria_broadcast *storage, struct noria_subscriber *subscriber_storage)
{
	struct broadcast *broadcast = from_public(storage);
	struct subscriber *subscriber = subscriber_from_public(subscriber_storage);
	int r = refuse(broadcast);

	if (r < 0)
		return r;
	for (struct list *node = broadcast->subscribers.next; node != &broadcast->subscribers; node = node->next)
		if (node == &subscriber->node)
			return noria_refuse(-EINVAL, "a subscriber of the broadcast of %s:%d subscribes again",
					    broadcast->site->file, broadcast->site->line);
	*subscriber = (struct subscriber){.magic = magic(subscriber), .broadcast = broadcast, .next = broadcast->next};
	list_push_back(&broadcast->subscribers, &subscriber->node);
	return 0;
}

void noria_broadcast_unsubscribe(struct noria_subscriber *storage)
{
	struct subscriber *subscriber = subscriber_from_public(storage);

	if (refuse_subscriber(subscriber) < 0)
		return;
	subscriber->magic = 0;
	list_remove(&subscriber->node);
	noria_exchange_all(&subscriber->receivers, 0);
	if (is_holder(subscriber))
		let_go(subscriber->broadcast);
}

int noria_broadcast_recv(struct noria_subscriber *storage, void *ret_item)
{
	struct subscriber *subscriber = subscriber_from_public(storage);
	struct task *task = noria_current();
	int r;

	if (!task)
		return -ENXIO;
	r = refuse_subscriber(subscriber);
	if (r < 0)
		return task_answer(task, r);
	r = scope_door(task);
	if (r < 0)
		return r;
	r = recv_now(subscriber, ret_item);
	if (r == -EAGAIN)
		return noria_exchange_wait(task, &subscriber->receivers, ret_item, &recv_class, subscriber);
	/* How many were lost can be asked until the next loss: nobody may come between. The next item counts. */
	return r == -EOVERFLOW ? r : task_answer(task, r);
}

int noria_broadcast_tryrecv(struct noria_subscriber *storage, void *ret_item)
{
	struct subscriber *subscriber = subscriber_from_public(storage);
	int r = refuse_subscriber(subscriber);

	return r < 0 ? r : recv_now(subscriber, ret_item);
}

uint64_t noria_broadcast_lost(const struct noria_subscriber *storage)
{
	const struct subscriber *subscriber = subscriber_from_public(storage);

	return refuse_subscriber(subscriber) < 0 ? 0 : subscriber->lost;
}

static int refuse_arm(const struct arm *arm)
{
	return refuse_subscriber(arm->object);
}

static bool attempt(struct arm *arm, bool thorough)
{
	struct subscriber *subscriber = arm->object;

	(void)thorough;
	arm->result = recv_now(subscriber, arm->item);
	return arm->result != -EAGAIN;
}

static void enlist(struct arm *arm)
{
	struct subscriber *subscriber = arm->object;

	noria_arm_append(arm, &subscriber->receivers);
}

static void describe_arm(const struct arm *arm, char *text, size_t size)
{
	const struct subscriber *subscriber = arm->object;

	describe_at("receive from", subscriber->broadcast, text, size);
}

const struct arm_class noria_arm_subscriber = {
	.refuse = refuse_arm,
	.attempt = attempt,
	.enlist = enlist,
	.delist = noria_arm_remove,
	.describe = describe_arm,
};
