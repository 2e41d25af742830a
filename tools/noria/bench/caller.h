/* SPDX-License-Identifier: MIT */
/*
 * A connection: its place in the schedule, the requests in flight on it, and how it talks.
 *
 * It talks in one of two ways. In turns: one task sends, waits for answers, and sends as many again; this is the closed
 * loop, and costs a send a request. Or in duplex: a second task sends, when the schedule says so and there is room, while
 * the first receives; for the open loop, for datagrams (some are lost), and for requests so large that a server may
 * want to answer before it has read the whole.
 */
#pragma once

#include "shard.h"

#include <noria/noria.h>

struct flight {
	int64_t from_ns; /* what its latency counts from: in an open loop when it was due, else when it was sent */
	int64_t sent_ns;
	uint64_t number; /* of a datagram; 0: the place is free */
};

struct caller {
	struct shard *shard;
	unsigned number;
	bool duplex;
	int fd;

	/* Open loop: request i of this connection is due at origin_ns + i * step_ns. */
	int64_t origin_ns;
	double step_ns;
	uint64_t scheduled;
	int64_t *again; /* when those were due that the server announced not to answer here; the oldest first */
	unsigned again_count;

	/* In flight: of a stream a queue, which begins at answered % depth; of datagrams any places. */
	struct flight *flights;
	uint64_t asked, answered; /* since the connection stands */
	struct noria_event room;  /* duplex: there is room for a further request */

	struct noria_scope scope; /* around the talk: who finds trouble cancels it */
	bool talking;
	int64_t stood_ns; /* when it stood first; 0: not yet */
	int trouble;      /* enum trouble; TROUBLE_NONE */
	int64_t pause_ns; /* before the next attempt */

	struct reader reader;
	struct noria_recv_stream stream;

	struct noria_datagram_stream datagrams;
	unsigned *places; /* free ones, a stack */
	unsigned places_free;
	uint64_t datagram_number; /* the last; for the whole run, so that late answers are known */
	char *datagram;
};

enum { TROUBLE_NONE = -1 };

static inline unsigned caller_in_flight(const struct caller *caller)
{
	return (unsigned)(caller->asked - caller->answered);
}

/* When the next request of an open loop is due. */
static inline int64_t caller_due(const struct caller *caller)
{
	return caller->origin_ns + (int64_t)((double)caller->scheduled * caller->step_ns);
}

/* All is sent that was to be: in an open loop that may be later than the end of the time, if the server was slow. */
static inline bool caller_sent_all(const struct caller *caller, int64_t now_ns)
{
	int64_t next_ns = caller->shard->rate > 0 ? caller_due(caller) : now_ns;
	return caller->again_count == 0 && next_ns >= course_end(caller->shard->course);
}

/* And nothing is waited for any more: in a closed loop what is in flight at the end counts for nothing. */
static inline bool caller_finished(const struct caller *caller, int64_t now_ns)
{
	return caller_sent_all(caller, now_ns) && (caller->shard->rate == 0 || caller_in_flight(caller) == 0);
}

/* What happens now counts. */
static inline bool caller_measured(const struct caller *caller, int64_t now_ns)
{
	return now_ns >= caller->shard->course->begin_ns && now_ns < course_end(caller->shard->course);
}

/* Returns: 0 or -ENOMEM. */
int caller_init(struct caller *caller, struct shard *shard, unsigned number);
void caller_done(struct caller *caller);

/* The task of a connection, a `struct caller *`: connects, talks, and begins again, until the time is up. */
int caller_main(void *caller);

/* Look whether answers are overdue, and end the wait for them. Parks hardly ever. */
void caller_watch(struct caller *caller, int64_t now_ns);

/* An answer to this request came now. */
void caller_answered(struct caller *caller, const struct flight *flight, int64_t now_ns);
/* This request will never be answered: its time so far is the least that it took. */
void caller_lost(struct caller *caller, const struct flight *flight, int64_t now_ns);
/* Count trouble. */
void caller_trouble(struct caller *caller, enum trouble trouble, unsigned count, int64_t now_ns);

/* Send as the schedule says, in a task of its own, while `listen_to` runs; returns what that returned. */
int caller_talk_in_duplex(struct caller *caller, int (*listen_to)(struct caller *));

/*
 * stream.c and datagram.c. ask: send `count` requests, for which there is room; their latency counts from `from_ns[i]`.
 * talk: until the connection ends, there is trouble, or the time is up. Returns: 0 or a negative errno.
 */
int stream_ask(struct caller *caller, const int64_t *from_ns, unsigned count, int64_t now_ns);
int stream_talk(struct caller *caller);
int datagram_ask(struct caller *caller, const int64_t *from_ns, unsigned count, int64_t now_ns);
int datagram_talk(struct caller *caller);
/* Give up those that have been waited for too long. */
void datagram_expire(struct caller *caller, int64_t now_ns);
