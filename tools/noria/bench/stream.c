/* SPDX-License-Identifier: MIT */
/*
 * Talking over a connection of bytes. One receive stream serves it from end to end: a submission for all answers. In
 * turns, as many requests leave at once as answers came at once, by one send, and the clock is read once for both.
 */
#include "caller.h"

#include <errno.h>

int stream_ask(struct caller *caller, const int64_t *from_ns, unsigned count, int64_t now_ns)
{
	const struct script *script = caller->shard->script;
	for (unsigned i = 0; i < count; i++)
		caller->flights[caller->asked++ % caller->shard->plan->depth] =
			(struct flight){.from_ns = from_ns ? from_ns[i] : now_ns, .sent_ns = now_ns};
	while (count > 0) {
		unsigned copies = count < script->copies ? count : script->copies;
		noria_try(noria_send_all(caller->fd, script->bytes, copies * script->size, 0));
		count -= copies;
	}
	return 0;
}

/* Returns: 0; -EBADMSG when more was answered than asked. */
static int take_answers(struct caller *caller, unsigned count, int64_t now_ns)
{
	struct shard *shard = caller->shard;
	if (count > caller_in_flight(caller))
		return -EBADMSG;
	for (unsigned i = 0; i < count; i++)
		caller_answered(caller, &caller->flights[caller->answered++ % shard->plan->depth], now_ns);
	if (count > 0 && shard->target->scheme == SCHEME_HTTP && caller_measured(caller, now_ns))
		for (unsigned i = 0; i < STATUS_CLASSES; i++)
			shard->tally.statuses[i] += caller->reader.statuses[i];
	return 0;
}

/* Bytes came. Returns: 1 to go on; 0 when the talk is over; a negative errno. */
static int hear(struct caller *caller, const char *bytes, size_t size)
{
	int64_t now_ns = noria_now();
	int answers = reader_feed(&caller->reader, bytes, size);
	tally_bytes(&caller->shard->tally, size, now_ns);
	if (answers < 0 || take_answers(caller, (unsigned)answers, now_ns) < 0) {
		caller->trouble = TROUBLE_BAD;
		return -EBADMSG;
	}
	if (caller->reader.closing)
		return 0;
	if (caller_finished(caller, now_ns))
		return 0;
	if (answers > 0 && caller->duplex)
		noria_event_set(&caller->room);
	else if (answers > 0)
		noria_try(stream_ask(caller, NULL, (unsigned)answers, now_ns));
	return 1;
}

/* The server closed: which may be how it ends an answer. */
static int hear_end(struct caller *caller)
{
	int answers = reader_end(&caller->reader);
	if (take_answers(caller, (unsigned)answers, noria_now()) < 0)
		caller->trouble = TROUBLE_BAD;
	return 0;
}

static int listen_to(struct caller *caller)
{
	const void *bytes;
	for (;;) {
		ssize_t size = noria_recv_stream_next(&caller->stream, &bytes);
		if (size <= 0)
			return size < 0 ? (int)size : hear_end(caller);
		int on = hear(caller, bytes, (size_t)size);
		if (on <= 0)
			return on;
	}
}

static int in_turns(struct caller *caller)
{
	noria_try(stream_ask(caller, NULL, caller->shard->plan->depth, noria_now()));
	return listen_to(caller);
}

int stream_talk(struct caller *caller)
{
	reader_begin(&caller->reader, caller->shard->script);
	noria_try(noria_recv_stream_open(&caller->stream, caller->fd));
	int error = caller->duplex ? caller_talk_in_duplex(caller, listen_to) : in_turns(caller);
	noria_recv_stream_close(&caller->stream);
	return error;
}
