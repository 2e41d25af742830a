/* SPDX-License-Identifier: MIT */
/*
 * The storm's channels and selects. An item is a slot in a table: offered by its sender, sent when the sender was told so,
 * received when a receiver has it. It may be received before the sender runs to hear that; but never when it was not sent,
 * and never twice. A select that sends and receives at once does one of them.
 */
#include "storm.h"

#include <poll.h>

enum { SLOTS = 4096, CHANNELS = 6, CAPACITY_MAX = 8, LOCAL = 1000 };

enum state { FREE, OFFERED, SENT, RECEIVED };

static struct {
	uint64_t serial;
	enum state state;
} slots[SLOTS];

static struct {
	struct noria_channel channel;
	struct storm_item buffer[CAPACITY_MAX];
} channels[CHANNELS];

static unsigned free_slots[SLOTS], free_count, locals;
static uint64_t serials;
static unsigned long sent, received, kept, chosen[NORIA_CASE_FD + 1];

static void release(unsigned slot)
{
	slots[slot].state = FREE;
	free_slots[free_count++] = slot;
}

bool storm_item_offer(struct storm_item *ret_item, unsigned channel)
{
	if (free_count == 0)
		return false;
	*ret_item = (struct storm_item){.serial = ++serials, .slot = free_slots[--free_count], .channel = channel};
	slots[ret_item->slot].serial = ret_item->serial;
	slots[ret_item->slot].state = OFFERED;
	return true;
}

void storm_item_sent(const struct storm_item *item)
{
	CHECK(slots[item->slot].serial == item->serial);
	CHECK(slots[item->slot].state == OFFERED || slots[item->slot].state == RECEIVED);
	sent++;
	if (slots[item->slot].state == OFFERED)
		slots[item->slot].state = SENT;
	else
		release(item->slot);
}

void storm_item_kept(const struct storm_item *item)
{
	CHECK(slots[item->slot].serial == item->serial && slots[item->slot].state == OFFERED);
	kept++;
	release(item->slot);
}

void storm_item_received(const struct storm_item *item, unsigned channel)
{
	CHECK(item->slot < SLOTS && item->channel == channel && slots[item->slot].serial == item->serial);
	CHECK(slots[item->slot].state == OFFERED || slots[item->slot].state == SENT);
	received++;
	if (slots[item->slot].state == OFFERED)
		slots[item->slot].state = RECEIVED;
	else
		release(item->slot);
}

static int send_to(struct noria_channel *channel, unsigned number)
{
	struct storm_item item;
	int r;

	if (!storm_item_offer(&item, number))
		return STORM_NOTHING;
	r = storm_below(5) ? noria_channel_send(channel, &item) : noria_channel_trysend(channel, &item);
	CHECK(r == 0 || r == -ECANCELED || r == -EAGAIN || (r == -EPIPE && number >= LOCAL));
	if (r == 0)
		storm_item_sent(&item);
	else
		storm_item_kept(&item);
	return r == -EAGAIN ? STORM_NOTHING : r;
}

static int receive_from(struct noria_channel *channel, unsigned number)
{
	struct storm_item item = {.slot = SLOTS};
	int r = storm_below(5) ? noria_channel_recv(channel, &item) : noria_channel_tryrecv(channel, &item);

	CHECK(r == 1 || r == -ECANCELED || r == -EAGAIN || (r == 0 && number >= LOCAL));
	if (r == 1)
		storm_item_received(&item, number);
	else
		CHECK(item.slot == SLOTS);
	return r;
}

static int send_one(unsigned depth)
{
	unsigned number = storm_below(CHANNELS);

	(void)depth;
	return send_to(&channels[number].channel, number);
}

static int receive_one(unsigned depth)
{
	unsigned number = storm_below(CHANNELS);
	int r = receive_from(&channels[number].channel, number);

	(void)depth;
	return r == 1 ? 0 : r == -EAGAIN ? STORM_NOTHING : r;
}

/* ---- a channel of its own, which somebody closes ---- */

struct pipeline {
	struct noria_channel channel;
	struct storm_item buffer[CAPACITY_MAX];
	unsigned number;
};

static int send_until_end(void *arg)
{
	struct pipeline *pipeline = arg;
	int r;

	do
		r = send_to(&pipeline->channel, pipeline->number);
	while (r >= 0 && storm_below(6));
	if (storm_below(3) == 0)
		noria_channel_close(&pipeline->channel);
	return 0;
}

static int receive_until_end(void *arg)
{
	struct pipeline *pipeline = arg;
	int r;

	do
		r = receive_from(&pipeline->channel, pipeline->number);
	while (r > 0 || (r == -EAGAIN && noria_yield() == 0));
	return 0;
}

static int run_pipeline(struct pipeline *pipeline)
{
	struct noria_group group;
	int r = 0;

	CHECK(noria_group_open(&group) == 0);
	for (unsigned n = 2 + storm_below(4); n > 0 && r == 0; n--)
		r = noria_spawn(&group, storm_below(2) ? send_until_end : receive_until_end, pipeline);
	CHECK(r == 0 || r == -ECANCELED);
	if (storm_below(2)) {
		storm_pause();
		noria_channel_close(&pipeline->channel);
	}
	r = noria_group_close(&group, r);
	CHECK(r == 0 || r == -ECANCELED);
	return r;
}

static int local_channel(unsigned depth)
{
	struct pipeline pipeline = {.number = LOCAL + locals++};
	size_t capacity = storm_below(4);
	struct storm_item item;
	int r, drained;

	(void)depth;
	CHECK(noria_channel_init(&pipeline.channel, sizeof item, capacity ? pipeline.buffer : NULL, capacity) == 0);
	r = run_pipeline(&pipeline);
	while ((drained = noria_channel_tryrecv(&pipeline.channel, &item)) == 1)
		storm_item_received(&item, pipeline.number);
	CHECK(drained == 0 || drained == -EAGAIN);
	CHECK(noria_channel_destroy(&pipeline.channel) == 0);
	return r;
}

/* ---- select ---- */

struct choice {
	struct noria_case cases[6];
	struct storm_item out, in, news;
	unsigned from, promise;
	int64_t value, expected;
	size_t count;
	struct noria_subscriber subscriber;
	bool offered;
};

static void add(struct choice *choice, struct noria_case made)
{
	choice->cases[choice->count++] = made;
}

static void make_cases(struct choice *choice)
{
	unsigned to = storm_below(CHANNELS);

	if (storm_below(3))
		add(choice, noria_case_recv(&channels[choice->from].channel, &choice->in));
	if (storm_below(3) && storm_item_offer(&choice->out, to)) {
		choice->offered = true;
		add(choice, noria_case_send(&channels[to].channel, &choice->out));
	}
	if (storm_below(4) == 0)
		add(choice, noria_case_fd(storm_wire_below(storm_below(64)), POLLIN));
	if (storm_below(4) == 0)
		add(choice, noria_case_subscriber(&choice->subscriber, &choice->news));
	if (storm_below(3) == 0)
		add(choice,
		    noria_case_promise(storm_promise_borrow(choice->promise, &choice->expected), &choice->value));
	else
		choice->promise = UINT32_MAX;
	if (choice->count == 0 || storm_below(2))
		add(choice, noria_case_until(noria_now() + storm_soon()));
}

/* What has happened is true, and what has not has left no trace. */
static void check_choice(struct choice *choice, int index)
{
	const struct noria_case *happened = index >= 0 ? &choice->cases[index] : NULL;
	unsigned kind = happened ? happened->kind : 0;

	if (kind == NORIA_CASE_RECV && happened->result == 1)
		storm_item_received(&choice->in, choice->from);
	else
		CHECK(choice->in.slot == SLOTS);
	if (choice->offered && kind == NORIA_CASE_SEND)
		storm_item_sent(&choice->out);
	else if (choice->offered)
		storm_item_kept(&choice->out);
	if (kind == NORIA_CASE_PROMISE)
		CHECK(choice->value == choice->expected);
	else
		CHECK(choice->value == 0);
	if (kind == NORIA_CASE_UNTIL)
		CHECK(noria_now() >= happened->number);
	if (kind == NORIA_CASE_FD)
		CHECK(happened->result > 0);
	if (happened && kind != NORIA_CASE_FD && kind != NORIA_CASE_UNTIL)
		CHECK(happened->result == (kind == NORIA_CASE_RECV || kind == NORIA_CASE_SUBSCRIBER) ||
		      (kind == NORIA_CASE_SUBSCRIBER && happened->result == -EOVERFLOW));
	chosen[kind]++;
}

static int select_some(unsigned depth)
{
	struct choice choice = {.in.slot = SLOTS, .from = storm_below(CHANNELS), .promise = storm_below(64)};
	struct noria_broadcast *broadcast = storm_broadcast_below(storm_below(64));
	int index;

	(void)depth;
	CHECK(noria_broadcast_subscribe(broadcast, &choice.subscriber) == 0);
	make_cases(&choice);
	index = storm_below(8) ? noria_select(choice.cases, choice.count)
			       : noria_select_try(choice.cases, choice.count);
	CHECK((index >= 0 && (size_t)index < choice.count) || index == -ECANCELED || index == -EAGAIN);
	check_choice(&choice, index);
	noria_broadcast_unsubscribe(&choice.subscriber);
	if (choice.promise != UINT32_MAX)
		storm_promise_return(choice.promise);
	return index == -EAGAIN ? STORM_NOTHING : index < 0 ? index : 0;
}

/* ---- the calm: three send what three receive, half of it by select ---- */

static int send_calmly(unsigned number)
{
	struct storm_item item;
	struct noria_case cases[2];

	CHECK(storm_item_offer(&item, number));
	cases[0] = noria_case_until(NORIA_FOREVER);
	cases[1] = noria_case_send(&channels[number].channel, &item);
	if (storm_below(2))
		CHECK(noria_select(cases, 2) == 1 && cases[1].result == 0);
	else
		CHECK(noria_channel_send(&channels[number].channel, &item) == 0);
	storm_item_sent(&item);
	return 0;
}

static int receive_calmly(unsigned number)
{
	struct storm_item item;
	struct noria_case cases[2];

	cases[0] = noria_case_recv(&channels[number].channel, &item);
	cases[1] = noria_case_until(NORIA_FOREVER);
	if (storm_below(2))
		CHECK(noria_select(cases, 2) == 0 && cases[0].result == 1);
	else
		CHECK(noria_channel_recv(&channels[number].channel, &item) == 1);
	storm_item_received(&item, number);
	return 0;
}

static int exchange_calmly(void *arg)
{
	bool sends = *(unsigned *)arg % 2;

	for (unsigned i = 0; i < STORM_ROUNDS * CHANNELS; i++)
		CHECK((sends ? send_calmly(i % CHANNELS) : receive_calmly(i % CHANNELS)) == 0);
	return 0;
}

static void open_all(void)
{
	static const size_t capacities[CHANNELS] = {0, 0, 1, 2, 4, CAPACITY_MAX};

	free_count = 0;
	for (unsigned i = 0; i < SLOTS; i++)
		release(i);
	for (unsigned i = 0; i < CHANNELS; i++)
		CHECK(noria_channel_init(&channels[i].channel, sizeof channels[i].buffer[0],
					 capacities[i] ? channels[i].buffer : NULL, capacities[i]) == 0);
	sent = received = kept = 0;
	memset(chosen, 0, sizeof chosen);
}

static void close_all(void)
{
	static const char *const names[NORIA_CASE_FD + 1] = {
		"selects without a case", "selects: receive", "selects: send",       "selects: subscriber",
		"selects: promise",       "selects: until",   "selects: descriptor",
	};

	storm_calm("channels and selects, with nothing cancelled", exchange_calmly);
	for (unsigned i = 0; i < CHANNELS; i++) {
		struct storm_item item;
		int r;

		noria_channel_close(&channels[i].channel);
		while ((r = noria_channel_recv(&channels[i].channel, &item)) == 1)
			storm_item_received(&item, i);
		CHECK(r == 0);
		CHECK(noria_channel_destroy(&channels[i].channel) == 0);
	}
	CHECK(sent == received && free_count == SLOTS);
	storm_note("items sent and received", sent);
	storm_note("items not sent", kept);
	for (unsigned i = 0; i <= NORIA_CASE_FD; i++)
		storm_note(names[i], chosen[i]);
}

static const struct storm_operation operations[] = {
	{"channel: send", send_one, 8},
	{"channel: receive", receive_one, 8},
	{"channel: until closed", local_channel, 2},
	{"select", select_some, 8},
};

const struct storm_subject storm_items = {.operations = operations,
					  .count = sizeof operations / sizeof operations[0],
					  .open = open_all,
					  .close = close_all};
