/* SPDX-License-Identifier: MIT */
/*
 * Commands, pipelines and messages: what is asked for, and what becomes of the answer when the task that asked is gone.
 */
#include "adapters/hiredis/connection.h"

#include <errno.h>
#include <stdlib.h>

/* Takes over the formatted command `text` of `length` bytes, or the formatter's error. The reply is due from now on. */
static int ask(struct noria_redis *redis, char *text, int length, struct redis_reply **ret_expected)
{
	struct redis_reply *expected = calloc(1, sizeof *expected);
	int r = length < 0 ? (length == -1 ? -ENOMEM : -EINVAL) : !expected ? -ENOMEM : 0;

	if (r == -EINVAL)
		(void)noria_fail(r, "redis: the format of a command is wrong");
	if (r == 0)
		r = noria_redis_put(redis, text, (size_t)length);
	if (length >= 0)
		redisFreeCommand(text);
	if (r < 0) {
		free(expected);
		return r;
	}
	expected->task_id = noria_task_id();
	noria_redis_enqueue(&redis->due, expected);
	*ret_expected = expected;
	return 0;
}

static int may_ask(const struct noria_redis *redis)
{
	int r = noria_check();

	return r < 0 ? r : noria_redis_tell(redis, 0);
}

static int ask_format(struct noria_redis *redis, const char *format, va_list arguments, struct redis_reply **expected)
{
	char *text = NULL;
	int r = may_ask(redis), length = r < 0 ? 0 : redisvFormatCommand(&text, format, arguments);

	return r < 0 ? r : ask(redis, text, length, expected);
}

static int ask_argv(struct noria_redis *redis, int count, const char **arguments, const size_t *lengths,
		    struct redis_reply **expected)
{
	char *text = NULL;
	int r = may_ask(redis), length = r < 0 ? 0 : redisFormatCommandArgv(&text, count, arguments, lengths);

	return r < 0 ? r : ask(redis, text, length, expected);
}

/* Nobody waits for it: it goes when its reply has come. */
static void give_up(struct redis_reply *expected)
{
	expected->given_up = true;
	if (!expected->reply)
		return;
	freeReplyObject(expected->reply);
	free(expected);
}

static int answer(struct noria_redis *redis, struct redis_reply *expected, redisReply **ret_reply)
{
	int r = noria_redis_await(redis, expected);

	if (r < 0) {
		give_up(expected);
		return noria_redis_tell(redis, r);
	}
	*ret_reply = expected->reply;
	free(expected);
	return 0;
}

int noria_redis_vcommand(struct noria_redis *redis, redisReply **ret_reply, const char *format, va_list arguments)
{
	struct redis_reply *expected = NULL;
	int r = ask_format(redis, format, arguments, &expected);

	return r < 0 ? r : answer(redis, expected, ret_reply);
}

int noria_redis_command(struct noria_redis *redis, redisReply **ret_reply, const char *format, ...)
{
	va_list arguments;
	int r;

	va_start(arguments, format);
	r = noria_redis_vcommand(redis, ret_reply, format, arguments);
	va_end(arguments);
	return r;
}

int noria_redis_command_argv(struct noria_redis *redis, redisReply **ret_reply, int count, const char **arguments,
			     const size_t *lengths)
{
	struct redis_reply *expected = NULL;
	int r = ask_argv(redis, count, arguments, lengths, &expected);

	return r < 0 ? r : answer(redis, expected, ret_reply);
}

/* ---- Pipelines ---- */

static int append(struct noria_redis *redis, struct redis_reply *expected)
{
	*redis->appended_last = expected;
	redis->appended_last = &expected->next_appended;
	return 0;
}

int noria_redis_vappend(struct noria_redis *redis, const char *format, va_list arguments)
{
	struct redis_reply *expected = NULL;
	int r = ask_format(redis, format, arguments, &expected);

	return r < 0 ? r : append(redis, expected);
}

int noria_redis_append(struct noria_redis *redis, const char *format, ...)
{
	va_list arguments;
	int r;

	va_start(arguments, format);
	r = noria_redis_vappend(redis, format, arguments);
	va_end(arguments);
	return r;
}

int noria_redis_append_argv(struct noria_redis *redis, int count, const char **arguments, const size_t *lengths)
{
	struct redis_reply *expected = NULL;
	int r = ask_argv(redis, count, arguments, lengths, &expected);

	return r < 0 ? r : append(redis, expected);
}

/* The first that the calling task has appended, taken out; NULL: there is none. */
static struct redis_reply *first_of_mine(struct noria_redis *redis)
{
	struct redis_reply **at = &redis->appended, *found;
	uint64_t task_id = noria_task_id();

	while (*at && (*at)->task_id != task_id)
		at = &(*at)->next_appended;
	found = *at;
	if (!found)
		return NULL;
	*at = found->next_appended;
	if (!*at)
		redis->appended_last = at;
	return found;
}

void noria_redis_give_up(struct noria_redis *redis)
{
	struct redis_reply *expected;

	while ((expected = first_of_mine(redis)))
		give_up(expected);
}

int noria_redis_get_reply(struct noria_redis *redis, redisReply **ret_reply)
{
	int r = noria_check();
	struct redis_reply *expected = r < 0 ? NULL : first_of_mine(redis);

	if (r == 0)
		r = expected ? answer(redis, expected, ret_reply) : -ENOENT;
	if (r == -ECANCELED)
		noria_redis_give_up(redis);
	return r;
}

/* ---- Messages ---- */

/* It is not this task's any more: who listens beside it gets it, or who comes next. */
static void put_back(struct noria_redis *redis, struct redis_reply *message)
{
	struct redis_reply *other = noria_redis_dequeue(&redis->listeners);

	if (other) {
		other->reply = message->reply;
		noria_event_set(&other->wake);
		free(message);
		return;
	}
	message->next = redis->messages.first;
	redis->messages.first = message;
	if (!redis->messages.last)
		redis->messages.last = message;
}

static int listen_for(struct noria_redis *redis, redisReply **ret_reply)
{
	struct redis_reply *listener = calloc(1, sizeof *listener);
	int r;

	if (!listener)
		return -ENOMEM;
	noria_redis_enqueue(&redis->listeners, listener);
	r = noria_redis_await(redis, listener);
	if (r < 0 && listener->reply) {
		put_back(redis, listener);
		return r;
	}
	if (r < 0)
		noria_redis_remove(&redis->listeners, listener);
	else
		*ret_reply = listener->reply;
	free(listener);
	return noria_redis_tell(redis, r);
}

int noria_redis_receive(struct noria_redis *redis, redisReply **ret_reply)
{
	int r = noria_check();
	struct redis_reply *message = r < 0 ? NULL : noria_redis_dequeue(&redis->messages);

	if (message) {
		*ret_reply = message->reply;
		free(message);
		return 0;
	}
	return r < 0 ? r : noria_idle(listen_for(redis, ret_reply));
}
