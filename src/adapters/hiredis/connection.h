/* SPDX-License-Identifier: MIT */
/*
 * One connection: what is on its way out, whose replies are due, and who reads.
 *
 * Redis answers in order, so the replies that are due form a queue. Of the tasks that wait, one at a time reads from
 * the socket, for all: `reading` says that there is one. When it has what it waited for, or is cancelled, it passes the
 * work on to the next. A reply that is due is represented by memory of its own, not by the task that asked for it, so
 * that a task can leave at any time: then its reply is dropped when it comes.
 *
 * Invariants: a reply goes to the head of `due`, or is a message; while some task waits and the connection is well,
 * somebody is reading or has been woken to do so; bytes in `leaving` stay where they are while `sending`.
 */
#ifndef NORIA_ADAPTERS_HIREDIS_CONNECTION_H
#define NORIA_ADAPTERS_HIREDIS_CONNECTION_H

#include <noria/hiredis.h>
#include <noria/noria.h>

enum { REDIS_INPUT_SIZE = 16 * 1024 };

/* One reply: due, come, or given up. In a pipeline it also stands in `appended`, until somebody waits for it. */
struct redis_reply {
	struct redis_reply *next, *next_appended;
	uint64_t task_id;
	redisReply *reply;
	bool waiting, given_up;
	struct noria_event wake; /* it has come; or nobody reads */
};

struct redis_queue {
	struct redis_reply *first, *last;
};

struct redis_buffer {
	char *data;
	size_t length, capacity, done;
};

struct noria_redis {
	int fd;
	int error; /* what has broken it, or 0 */
	char text[192];
	redisReader *reader;
	char *input;
	struct redis_buffer filling, leaving;
	bool sending, reading, subscribed;
	struct redis_queue due;       /* replies that have not come */
	struct redis_queue listeners; /* tasks that wait for messages */
	struct redis_queue messages;  /* messages that nobody has waited for yet */
	struct redis_reply *appended; /* replies of pipelines, in their order, come or not */
	struct redis_reply **appended_last;
};

/* Says that `result` is what has broken the connection, and why, or gives other codes unchanged. */
int noria_redis_tell(const struct noria_redis *redis, int result);

/* Waits until `expected->reply` is there, and reads where nobody else does. */
int noria_redis_await(struct noria_redis *redis, struct redis_reply *expected);

/* Puts `size` bytes behind what is to leave. */
int noria_redis_put(struct noria_redis *redis, const char *data, size_t size);

void noria_redis_enqueue(struct redis_queue *queue, struct redis_reply *entry);
struct redis_reply *noria_redis_dequeue(struct redis_queue *queue);
/* Takes out an entry, wherever it stands, if it does. */
void noria_redis_remove(struct redis_queue *queue, struct redis_reply *entry);

#endif
