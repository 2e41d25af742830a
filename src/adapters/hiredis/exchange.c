/* SPDX-License-Identifier: MIT */
/*
 * Bytes out, replies in. Sending never waits for itself: what the socket does not take stays in `leaving`, and whoever
 * waits for a reply waits for the socket to take more as well. The one who reads does so for all: replies go to the
 * head of the queue, messages to those who listen.
 *
 * noria's calls may let other tasks run, so whatever is looked at before such a call is looked at again after it. The
 * buffer that is handed to the socket is not the one that others append to.
 */
#include "adapters/hiredis/connection.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

void noria_redis_enqueue(struct redis_queue *queue, struct redis_reply *entry)
{
	entry->next = NULL;
	if (queue->last)
		queue->last->next = entry;
	else
		queue->first = entry;
	queue->last = entry;
}

struct redis_reply *noria_redis_dequeue(struct redis_queue *queue)
{
	struct redis_reply *entry = queue->first;

	if (entry)
		queue->first = entry->next;
	if (!queue->first)
		queue->last = NULL;
	return entry;
}

void noria_redis_remove(struct redis_queue *queue, struct redis_reply *entry)
{
	struct redis_reply *before = NULL, *at = queue->first;

	for (; at && at != entry; at = at->next)
		before = at;
	if (!at)
		return;
	if (before)
		before->next = at->next;
	else
		queue->first = at->next;
	if (queue->last == at)
		queue->last = before;
}

int noria_redis_tell(const struct noria_redis *redis, int result)
{
	return redis->error ? noria_fail(redis->error, "redis: %s", redis->text) : result;
}

/* From now on the connection is of no use. Whoever reads hears of it and passes that on, as it passes on reading. */
static int break_connection(struct noria_redis *redis, int error, const char *text)
{
	if (!redis->error) {
		redis->error = error;
		snprintf(redis->text, sizeof redis->text, "%s", text);
	}
	return redis->error;
}

/* Nobody reads, and somebody waits: it is that one's turn. */
static void pass_on(struct noria_redis *redis)
{
	struct redis_reply *entry = redis->due.first;

	while (entry && !entry->waiting)
		entry = entry->next;
	if (!entry)
		entry = redis->listeners.first;
	if (entry)
		noria_event_set(&entry->wake);
}

/* ---- Out ---- */

int noria_redis_put(struct noria_redis *redis, const char *data, size_t size)
{
	struct redis_buffer *buffer = &redis->filling;

	if (size > buffer->capacity - buffer->length) {
		size_t capacity = 2 * buffer->capacity + size;
		char *grown = realloc(buffer->data, capacity);

		if (!grown)
			return -ENOMEM;
		buffer->data = grown;
		buffer->capacity = capacity;
	}
	memcpy(buffer->data + buffer->length, data, size);
	buffer->length += size;
	return 0;
}

/* What was filled leaves next, when the bytes before it have left. */
static bool anything_to_send(struct noria_redis *redis)
{
	struct redis_buffer sent = redis->leaving;

	if (sent.done < sent.length)
		return true;
	if (redis->sending || redis->filling.length == 0)
		return redis->filling.length > 0;
	redis->leaving = redis->filling;
	sent.done = sent.length = 0;
	redis->filling = sent;
	return true;
}

/* As much as the socket takes. */
static int flush(struct noria_redis *redis)
{
	struct redis_buffer *out = &redis->leaving;

	while (!redis->error && !redis->sending && anything_to_send(redis)) {
		ssize_t n;

		redis->sending = true;
		n = noria_send(redis->fd, out->data + out->done, out->length - out->done, MSG_DONTWAIT);
		redis->sending = false;
		if (n == -EAGAIN)
			return 0;
		if (n == -ECANCELED)
			return (int)n;
		if (n < 0)
			return break_connection(redis, (int)n, strerror((int)-n));
		out->done += (size_t)n;
	}
	return redis->error;
}

/* ---- In ---- */

static bool is_word(const redisReply *reply, const char *const *words)
{
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 3 || reply->element[0]->type != REDIS_REPLY_STRING)
		return false;
	while (*words && strcmp(reply->element[0]->str, *words) != 0)
		words++;
	return *words;
}

/* Messages come between the replies of a connection that has subscribed; what they are is to be told by their form. */
static bool is_message(struct noria_redis *redis, const redisReply *reply)
{
	static const char *const messages[] = {"message", "pmessage", "smessage", NULL};
	static const char *const changes[] = {"subscribe",    "psubscribe",   "ssubscribe", "unsubscribe",
					      "punsubscribe", "sunsubscribe", NULL};

	if (is_word(reply, changes) && reply->element[2]->type == REDIS_REPLY_INTEGER)
		redis->subscribed = reply->element[2]->integer > 0;
	return redis->subscribed && is_word(reply, messages);
}

static void deliver(struct redis_reply *entry, redisReply *reply)
{
	entry->reply = reply;
	noria_event_set(&entry->wake);
}

static int take_message(struct noria_redis *redis, redisReply *reply)
{
	struct redis_reply *entry = noria_redis_dequeue(&redis->listeners);

	if (entry) {
		deliver(entry, reply);
		return 0;
	}
	entry = calloc(1, sizeof *entry);
	if (!entry) {
		freeReplyObject(reply);
		return break_connection(redis, -ENOMEM, "no memory for a message");
	}
	entry->reply = reply;
	noria_redis_enqueue(&redis->messages, entry);
	return 0;
}

static int take(struct noria_redis *redis, redisReply *reply)
{
	struct redis_reply *entry;

	if (is_message(redis, reply) || !redis->due.first)
		return take_message(redis, reply);
	entry = noria_redis_dequeue(&redis->due);
	if (!entry->given_up) {
		deliver(entry, reply);
		return 0;
	}
	freeReplyObject(reply);
	free(entry);
	return 0;
}

static int take_all(struct noria_redis *redis)
{
	void *reply;

	while (!redis->error) {
		if (redisReaderGetReply(redis->reader, &reply) != REDIS_OK)
			return break_connection(redis, redis->reader->err == REDIS_ERR_OOM ? -ENOMEM : -EPROTO,
						redis->reader->errstr);
		if (!reply)
			return 0;
		if (take(redis, reply) < 0)
			break;
	}
	return redis->error;
}

/* Waits for bytes, and for room while there is something to send. Several tasks never wait here. */
static ssize_t receive(struct noria_redis *redis)
{
	int events = 0;

	if (anything_to_send(redis)) {
		events = noria_poll(redis->fd, POLLIN | POLLOUT);
		if (events < 0 || events == POLLOUT)
			return events < 0 ? events : -EAGAIN;
	}
	return noria_recv(redis->fd, redis->input, REDIS_INPUT_SIZE, events ? MSG_DONTWAIT : 0);
}

static int read_some(struct noria_redis *redis)
{
	ssize_t n;

	redis->reading = true;
	n = flush(redis);
	if (n == 0)
		n = receive(redis);
	redis->reading = false;
	if (redis->error)
		return redis->error;
	if (n == -EAGAIN || n == -ECANCELED)
		return n == -EAGAIN ? 0 : (int)n;
	if (n <= 0)
		return n < 0 ? break_connection(redis, (int)n, strerror((int)-n))
			     : break_connection(redis, -ECONNRESET, "the server closed the connection");
	if (redisReaderFeed(redis->reader, redis->input, (size_t)n) != REDIS_OK)
		return break_connection(redis, -ENOMEM, redis->reader->errstr);
	return take_all(redis);
}

/* Another task reads: wait for what it brings, or for it to leave. */
static int wait_turn(struct noria_redis *redis, struct redis_reply *expected)
{
	struct noria_case cases[] = {noria_case_event(&expected->wake), noria_case_fd(redis->fd, POLLOUT)};
	int r = flush(redis);

	if (r == 0 && !expected->reply)
		r = noria_select(cases, anything_to_send(redis) ? 2 : 1);
	noria_event_clear(&expected->wake);
	return r < 0 ? r : 0;
}

/* Who was told -ECANCELED says so, although the reply may have come meanwhile: a scope around would hide a success. */
int noria_redis_await(struct noria_redis *redis, struct redis_reply *expected)
{
	int r = 0;

	expected->waiting = true;
	while (!expected->reply && r == 0)
		r = redis->error ? redis->error : redis->reading ? wait_turn(redis, expected) : read_some(redis);
	expected->waiting = false;
	if (!redis->reading)
		pass_on(redis);
	return r;
}
