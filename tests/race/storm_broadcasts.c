/* SPDX-License-Identifier: MIT */
/*
 * The storm's broadcasts: items are numbered as they are sent, one sender at a time, so each subscriber must see a sequence
 * without a gap; with one that is as wide as it was told where the broadcast is lossy.
 */
#include "storm.h"

enum { BROADCASTS = 4, CAPACITY = 2 };

static struct place {
	struct noria_broadcast broadcast;
	uint64_t buffer[CAPACITY], next;
	struct noria_mutex senders;
	bool lossy;
} places[BROADCASTS];

static unsigned long sent, received, lost;

struct noria_broadcast *storm_broadcast_below(unsigned number)
{
	return &places[number % BROADCASTS].broadcast;
}

static int send_next(struct place *place)
{
	uint64_t number = place->next;
	int r = storm_below(5) ? noria_broadcast_send(&place->broadcast, &number)
			       : noria_broadcast_trysend(&place->broadcast, &number);

	CHECK(r == 0 || r == -ECANCELED || (r == -EAGAIN && !place->lossy));
	CHECK(place->next == number);
	place->next += r == 0;
	sent += r == 0;
	return r == -EAGAIN ? STORM_NOTHING : r;
}

static int send_one(unsigned depth)
{
	struct place *place = &places[storm_below(BROADCASTS)];

	(void)depth;
	return noria_locked(&place->senders, send_next(place));
}

struct listener {
	struct noria_subscriber subscriber;
	struct place *place;
	uint64_t next;
	bool began; /* before, the next item may already be on its way, its sender not yet told */
};

/* Returns as noria_broadcast_recv(). */
static int receive_next(struct listener *listener)
{
	struct noria_subscriber *subscriber = &listener->subscriber;
	uint64_t number = UINT64_MAX;
	int r = storm_below(5) ? noria_broadcast_recv(subscriber, &number)
			       : noria_broadcast_tryrecv(subscriber, &number);

	CHECK(r == 1 || r == -ECANCELED || r == -EAGAIN || (r == -EOVERFLOW && listener->place->lossy));
	CHECK((r == 1) == (number != UINT64_MAX));
	if (r == 1) {
		CHECK(number == listener->next || (!listener->began && number == listener->next + 1));
		listener->next = number + 1;
		listener->began = true;
		received++;
	} else if (r == -EOVERFLOW) {
		CHECK(noria_broadcast_lost(subscriber) > 0);
		listener->next += noria_broadcast_lost(subscriber);
		lost += noria_broadcast_lost(subscriber);
	}
	return r;
}

static int listen_some(unsigned depth)
{
	struct listener listener = {.place = &places[storm_below(BROADCASTS)]};
	unsigned count = 1 + storm_below(4);
	int r = 0;

	(void)depth;
	listener.next = listener.place->next;
	CHECK(noria_broadcast_subscribe(&listener.place->broadcast, &listener.subscriber) == 0);
	while (count-- > 0 && r != -ECANCELED) {
		r = receive_next(&listener);
		if (storm_below(2))
			storm_pause();
	}
	noria_broadcast_unsubscribe(&listener.subscriber);
	return r == -ECANCELED ? r : 0;
}

/* The calm: one sends, the others hear all of it, or of what was lost. */
static unsigned listening;

static void send_rounds(struct place *place)
{
	for (unsigned n = 0; n < STORM_ROUNDS; n++)
		while (send_next(place) != 0)
			storm_pause();
}

static void listen_rounds(struct listener *listener)
{
	uint64_t end = listener->next + STORM_ROUNDS;

	while (listener->next < end)
		if (receive_next(listener) == -EAGAIN)
			storm_pause();
}

static int broadcast_calmly(void *arg)
{
	for (unsigned i = 0; i < BROADCASTS; i++) {
		struct listener listener = {.place = &places[i], .next = places[i].next, .began = true};

		CHECK(noria_broadcast_subscribe(&places[i].broadcast, &listener.subscriber) == 0);
		if (*(unsigned *)arg == 0)
			noria_broadcast_unsubscribe(&listener.subscriber);
		listening++;
		while (listening < (i + 1) * STORM_CALM)
			CHECK(noria_yield() == 0);
		if (*(unsigned *)arg == 0)
			send_rounds(&places[i]);
		else
			listen_rounds(&listener);
		noria_broadcast_unsubscribe(&listener.subscriber);
	}
	return 0;
}

static void open_all(void)
{
	memset(places, 0, sizeof places);
	for (unsigned i = 0; i < BROADCASTS; i++) {
		places[i].lossy = i % 2;
		CHECK(noria_broadcast_init(&places[i].broadcast, sizeof(uint64_t), places[i].buffer, CAPACITY,
					   places[i].lossy ? NORIA_BROADCAST_LOSSY : 0) == 0);
	}
	sent = received = lost = 0;
}

static void close_all(void)
{
	listening = 0;
	storm_calm("broadcasts, with nothing cancelled", broadcast_calmly);
	for (unsigned i = 0; i < BROADCASTS; i++) {
		noria_broadcast_close(&places[i].broadcast);
		CHECK(noria_broadcast_destroy(&places[i].broadcast) == 0);
	}
	storm_note("broadcasts sent", sent);
	storm_note("broadcasts received", received);
	storm_note("broadcasts lost, as told", lost);
}

static const struct storm_operation operations[] = {
	{"broadcast: send", send_one, 6},
	{"broadcast: listen", listen_some, 4},
};

const struct storm_subject storm_broadcasts = {.operations = operations,
					       .count = sizeof operations / sizeof operations[0],
					       .open = open_all,
					       .close = close_all};
