/* SPDX-License-Identifier: MIT */
/*
 * Channels. Receivers wait only while the buffer is empty, senders only while it is full; so never both (but for a
 * capacity of 0, where whoever comes second serves the first). Each call puts this in order again before it returns, by
 * copying straight from or to the memory of the task that waits. Nobody overtakes anybody.
 */
#include "noria/channel.h"

#include "base/message.h"
#include "sync/exchange.h"
#include "sync/select.h"
#include "task/loop.h"

#include <errno.h>
#include <stdio.h>

struct channel {
	uint64_t magic;
	uint64_t run;
	char *buffer;
	size_t item_size, capacity;
	size_t first, count; /* items in the buffer */
	struct waiters receivers, senders;
	const struct noria_site *site;
	bool closed;
};

_Static_assert(sizeof(struct channel) <= sizeof(struct noria_channel), "struct noria_channel is too small");

static struct channel *from_public(const struct noria_channel *channel)
{
	return (struct channel *)(uintptr_t)channel;
}

static uint64_t magic(const struct channel *channel)
{
	return UINT64_C(0x6e6f7269612e6368) ^ (uint64_t)(uintptr_t)channel;
}

static int explain(const struct channel *channel)
{
	if (channel->magic != magic(channel))
		return noria_refuse(-EINVAL, "a channel that is not initialised. Remedy: noria_channel_init()");
	if (!noria_loop) {
		noria_no_current();
		return -ENXIO;
	}
	return noria_refuse(-EINVAL,
			    "the channel of %s:%d belongs to another runtime, on another thread. Remedy: a promise, "
			    "or a pipe",
			    channel->site->file, channel->site->line);
}

/* 0, or -EINVAL or -ENXIO with the reason in the message. */
static inline int refuse(const struct channel *channel)
{
	if (likely(channel->magic == magic(channel) && loop_is_run(channel->run)))
		return 0;
	return explain(channel);
}

static char *place(struct channel *channel, size_t index)
{
	if (index >= channel->capacity)
		index -= channel->capacity;
	return channel->buffer + index * channel->item_size;
}

/* 0, -EPIPE, or -EAGAIN where it has to wait. */
static int send_now(struct channel *channel, const void *item)
{
	struct exchange *receiver = exchange_first(&channel->receivers);

	if (unlikely(channel->closed))
		return -EPIPE;
	if (receiver) {
		item_copy(receiver->item, item, channel->item_size);
		exchange_done(receiver, 1);
		return 0;
	}
	if (channel->count == channel->capacity)
		return -EAGAIN;
	item_copy(place(channel, channel->first + channel->count), item, channel->item_size);
	channel->count++;
	return 0;
}

/* 1, 0 at the end, or -EAGAIN where it has to wait. */
static int recv_now(struct channel *channel, void *ret_item)
{
	struct exchange *sender = exchange_first(&channel->senders);

	if (channel->count > 0) {
		item_copy(ret_item, place(channel, channel->first), channel->item_size);
		if (++channel->first == channel->capacity)
			channel->first = 0;
		channel->count--;
		if (sender) {
			item_copy(place(channel, channel->first + channel->count), sender->item, channel->item_size);
			channel->count++;
			exchange_done(sender, 0);
		}
		return 1;
	}
	if (sender) {
		item_copy(ret_item, sender->item, channel->item_size);
		exchange_done(sender, 0);
		return 1;
	}
	return channel->closed ? 0 : -EAGAIN;
}

static void describe_at(const char *what, const struct channel *channel, char *text, size_t size)
{
	snprintf(text, size, "%s the channel of %s:%d", what, channel->site->file, channel->site->line);
}

static void describe_send(const struct wait *wait, char *text, size_t size)
{
	describe_at("sends to", encounter_object(wait), text, size);
}

static void describe_recv(const struct wait *wait, char *text, size_t size)
{
	describe_at("receives from", encounter_object(wait), text, size);
}

static const struct wait_class send_class = {.abandon = noria_exchange_abandon, .describe = describe_send};
static const struct wait_class recv_class = {.abandon = noria_exchange_abandon, .describe = describe_recv};

int noria_channel_init_at(struct noria_channel *storage, size_t item_size, void *buffer, size_t capacity,
			  const struct noria_site *site)
{
	struct channel *channel = from_public(storage);

	if (!noria_loop) {
		noria_no_current();
		return -ENXIO;
	}
	if (item_size == 0 || (capacity > 0 && !buffer))
		return noria_refuse(-EINVAL, "the channel of %s:%d has items of %zu bytes, and %s buffer for %zu",
				    site->file, site->line, item_size, buffer ? "a" : "no", capacity);
	*channel = (struct channel){.magic = magic(channel),
				    .run = noria_loop->run,
				    .buffer = buffer,
				    .item_size = item_size,
				    .capacity = capacity,
				    .site = site};
	return 0;
}

int noria_channel_send(struct noria_channel *storage, const void *item)
{
	struct channel *channel = from_public(storage);
	struct task *task = noria_current();
	int r;

	if (unlikely(!task))
		return -ENXIO;
	r = refuse(channel);
	if (unlikely(r < 0))
		return task_answer(task, r);
	r = scope_door(task);
	if (unlikely(r < 0))
		return r;
	r = send_now(channel, item);
	if (r == -EAGAIN)
		return noria_exchange_wait(task, &channel->senders, (void *)(uintptr_t)item, &send_class, channel);
	return task_answer(task, r);
}

int noria_channel_trysend(struct noria_channel *storage, const void *item)
{
	struct channel *channel = from_public(storage);
	int r = refuse(channel);

	return r < 0 ? r : send_now(channel, item);
}

int noria_channel_recv(struct noria_channel *storage, void *ret_item)
{
	struct channel *channel = from_public(storage);
	struct task *task = noria_current();
	int r;

	if (unlikely(!task))
		return -ENXIO;
	r = refuse(channel);
	if (unlikely(r < 0))
		return task_answer(task, r);
	r = scope_door(task);
	if (unlikely(r < 0))
		return r;
	r = recv_now(channel, ret_item);
	if (r == -EAGAIN)
		return noria_exchange_wait(task, &channel->receivers, ret_item, &recv_class, channel);
	return task_answer(task, r);
}

int noria_channel_tryrecv(struct noria_channel *storage, void *ret_item)
{
	struct channel *channel = from_public(storage);
	int r = refuse(channel);

	return r < 0 ? r : recv_now(channel, ret_item);
}

void noria_channel_close(struct noria_channel *storage)
{
	struct channel *channel = from_public(storage);

	if (refuse(channel) < 0)
		return;
	channel->closed = true;
	noria_exchange_all(&channel->senders, -EPIPE);
	noria_exchange_all(&channel->receivers, 0);
}

size_t noria_channel_count(const struct noria_channel *storage)
{
	const struct channel *channel = from_public(storage);

	return refuse(channel) < 0 ? 0 : channel->count;
}

int noria_channel_destroy(struct noria_channel *storage)
{
	struct channel *channel = from_public(storage);
	int r = refuse(channel);

	if (r < 0)
		return r;
	if (!waiters_empty(&channel->senders) || !waiters_empty(&channel->receivers))
		return noria_refuse(-EBUSY,
				    "tasks wait at the channel of %s:%d. Remedy: close it, and destroy it when their "
				    "group has been closed",
				    channel->site->file, channel->site->line);
	channel->magic = 0;
	return 0;
}

static int refuse_arm(const struct arm *arm)
{
	return refuse(arm->object);
}

static bool attempt_recv(struct arm *arm, bool thorough)
{
	struct channel *channel = arm->object;

	(void)thorough;
	arm->result = recv_now(channel, arm->item);
	return arm->result != -EAGAIN;
}

static void enlist_recv(struct arm *arm)
{
	struct channel *channel = arm->object;

	noria_arm_append(arm, &channel->receivers);
}

static void describe_arm_recv(const struct arm *arm, char *text, size_t size)
{
	describe_at("receive from", arm->object, text, size);
}

const struct arm_class noria_arm_recv = {
	.refuse = refuse_arm,
	.attempt = attempt_recv,
	.enlist = enlist_recv,
	.delist = noria_arm_remove,
	.describe = describe_arm_recv,
};

static bool attempt_send(struct arm *arm, bool thorough)
{
	struct channel *channel = arm->object;

	(void)thorough;
	arm->result = send_now(channel, arm->item);
	return arm->result != -EAGAIN;
}

static void enlist_send(struct arm *arm)
{
	struct channel *channel = arm->object;

	noria_arm_append(arm, &channel->senders);
}

static void describe_arm_send(const struct arm *arm, char *text, size_t size)
{
	describe_at("send to", arm->object, text, size);
}

const struct arm_class noria_arm_send = {
	.refuse = refuse_arm,
	.attempt = attempt_send,
	.enlist = enlist_send,
	.delist = noria_arm_remove,
	.describe = describe_arm_send,
};
