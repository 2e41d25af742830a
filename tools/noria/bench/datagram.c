/* SPDX-License-Identifier: MIT */
/*
 * Talking by datagrams. Each bears its number and its place among those in flight, by which an answer is known, in
 * whatever order they come. One that was given up leaves its place to the next; should its answer come after all,
 * the number tells, and it is passed over.
 */
#include "caller.h"

#include <errno.h>
#include <string.h>

#define BATCH 32

struct stamp {
	uint64_t number;
	uint32_t place, zero;
};

static void free_place(struct caller *caller, unsigned place)
{
	caller->flights[place].number = 0;
	caller->places[caller->places_free++] = place;
	caller->answered++;
	noria_event_set(&caller->room);
}

int datagram_ask(struct caller *caller, const int64_t *from_ns, unsigned count, int64_t now_ns)
{
	for (unsigned i = 0; i < count; i++) {
		struct stamp stamp = {.number = ++caller->datagram_number};
		stamp.place = caller->places[--caller->places_free];
		caller->flights[stamp.place] =
			(struct flight){.from_ns = from_ns[i], .sent_ns = now_ns, .number = stamp.number};
		caller->asked++;
		memcpy(caller->datagram, &stamp, sizeof stamp);
		noria_try(noria_send(caller->fd, caller->datagram, caller->shard->script->size, 0));
	}
	return 0;
}

/* Returns: 0; -EBADMSG. */
static int hear(struct caller *caller, const struct noria_datagram *datagram, int64_t now_ns)
{
	const struct script *script = caller->shard->script;
	struct stamp stamp;
	if (datagram->size != script->size)
		return -EBADMSG;
	memcpy(&stamp, datagram->data, sizeof stamp);
	const char *rest = (const char *)datagram->data + sizeof stamp;
	if (stamp.place >= caller->shard->plan->depth ||
	    memcmp(rest, script->bytes + sizeof stamp, script->size - sizeof stamp) != 0)
		return -EBADMSG;
	struct flight flight = caller->flights[stamp.place];
	if (stamp.number == 0 || flight.number != stamp.number)
		return 0; /* too late, or a second time */
	free_place(caller, stamp.place);
	caller_answered(caller, &flight, now_ns);
	tally_bytes(&caller->shard->tally, datagram->size, now_ns);
	return 0;
}

static int listen_to(struct caller *caller)
{
	struct noria_datagram datagrams[BATCH];
	for (;;) {
		int count = noria_try(noria_datagram_stream_next(&caller->datagrams, datagrams, BATCH));
		int64_t now_ns = noria_now();
		for (int i = 0; i < count; i++)
			if (hear(caller, &datagrams[i], now_ns) < 0)
				caller_trouble(caller, TROUBLE_BAD, 1, now_ns);
		if (caller_finished(caller, now_ns))
			return 0;
	}
}

void datagram_expire(struct caller *caller, int64_t now_ns)
{
	const struct plan *plan = caller->shard->plan;
	for (unsigned place = 0; place < plan->depth; place++) {
		struct flight flight = caller->flights[place];
		if (flight.number == 0 || now_ns - flight.sent_ns < plan->timeout_ns)
			continue;
		caller_lost(caller, &flight, now_ns);
		caller_trouble(caller, TROUBLE_TIMEOUT, 1, now_ns);
		free_place(caller, place);
	}
	if (caller_finished(caller, now_ns))
		noria_scope_cancel(&caller->scope);
}

int datagram_talk(struct caller *caller)
{
	const struct script *script = caller->shard->script;
	unsigned depth = caller->shard->plan->depth, buffers = 16;
	while (buffers < depth)
		buffers *= 2;
	struct noria_datagram_options options = {.size = (unsigned)script->size, .control = 32, .buffers = buffers};
	memcpy(caller->datagram, script->bytes, script->size);
	memset(caller->flights, 0, depth * sizeof *caller->flights);
	for (caller->places_free = 0; caller->places_free < depth; caller->places_free++)
		caller->places[caller->places_free] = caller->places_free;
	noria_try(noria_datagram_stream_open(&caller->datagrams, caller->fd, &options));
	int error = caller_talk_in_duplex(caller, listen_to);
	noria_datagram_stream_close(&caller->datagrams);
	return error;
}
