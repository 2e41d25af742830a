/* SPDX-License-Identifier: MIT */
/* The hiredis adapter against a Redis server, and against servers that misbehave. */
#include "frame.h"

#include <noria/hiredis.h>
#include <sys/socket.h>

static struct noria_redis *by_unix(void)
{
	struct noria_redis *redis = NULL;

	MUST(noria_redis_connect_unix(frame_place("NORIA_TEST_REDIS_SOCKET"), &redis) == 0);
	return redis;
}

static bool is_status(redisReply *reply, const char *text)
{
	bool is = reply && reply->type == REDIS_REPLY_STATUS && strcmp(reply->str, text) == 0;

	freeReplyObject(reply);
	return is;
}

static long long number(redisReply *reply)
{
	long long value = reply && reply->type == REDIS_REPLY_INTEGER ? reply->integer : -1;

	freeReplyObject(reply);
	return value;
}

static bool is_string(redisReply *reply, const char *text)
{
	bool is = reply && reply->type == REDIS_REPLY_STRING && strcmp(reply->str, text) == 0;

	freeReplyObject(reply);
	return is;
}

/* The connection answers, and what it answers is the answer to this question. */
static bool is_well(struct noria_redis *redis)
{
	static int asked;
	char text[32];
	redisReply *reply = NULL;

	snprintf(text, sizeof text, "still here %d", ++asked);
	return noria_redis_command(redis, &reply, "ECHO %s", text) == 0 && is_string(reply, text);
}

ADAPTER(redis, commands_and_replies)
{
	struct noria_redis *redis = by_unix();
	const char *words[] = {"APPEND", "words", "a\0b"};
	size_t lengths[] = {6, 5, 3};
	redisReply *reply = NULL;

	EXPECT_EQ(noria_redis_command(redis, &reply, "FLUSHALL"), 0);
	EXPECT(is_status(reply, "OK"));
	EXPECT_EQ(noria_redis_command(redis, &reply, "SET %s %b", "key", "value", (size_t)5), 0);
	EXPECT(is_status(reply, "OK"));
	EXPECT_EQ(noria_redis_command(redis, &reply, "GET key"), 0);
	EXPECT(is_string(reply, "value"));
	EXPECT_EQ(noria_redis_command_argv(redis, &reply, 3, words, lengths), 0);
	EXPECT_EQ(number(reply), 3);
	EXPECT_EQ(noria_redis_command(redis, &reply, "GET missing"), 0);
	EXPECT_EQ(reply->type, REDIS_REPLY_NIL);
	freeReplyObject(reply);
	noria_redis_free(redis);
	return 0;
}

/* Larger than every buffer on the way, in both directions. */
ADAPTER(redis, a_large_value_passes_both_ways)
{
	enum { SIZE = 8 << 20 };
	struct noria_redis *redis = by_unix();
	char *value = malloc(SIZE);
	redisReply *reply = NULL;

	for (int i = 0; i < SIZE; i++)
		value[i] = (char)(i * 7 + i / 1024);
	MUST(noria_redis_command(redis, &reply, "SET large %b", value, (size_t)SIZE) == 0);
	EXPECT(is_status(reply, "OK"));
	MUST(noria_redis_command(redis, &reply, "GET large") == 0);
	EXPECT(reply->len == SIZE && memcmp(reply->str, value, SIZE) == 0);
	freeReplyObject(reply);
	free(value);
	noria_redis_free(redis);
	return 0;
}

ADAPTER(redis, errors_of_the_server_are_replies)
{
	struct noria_redis *redis = by_unix();
	redisReply *reply = NULL;

	EXPECT_EQ(noria_redis_command(redis, &reply, "AUTH nobody wrong"), 0);
	EXPECT(reply->type == REDIS_REPLY_ERROR && strstr(reply->str, "WRONGPASS"));
	freeReplyObject(reply);
	EXPECT(!noria_redis_error(redis));
	EXPECT(is_well(redis));
	noria_redis_free(redis);
	return 0;
}

ADAPTER(redis, bad_formats_are_refused_and_send_nothing)
{
	struct noria_redis *redis = by_unix();
	redisReply *reply = NULL;

	EXPECT_EQ(noria_redis_command(redis, &reply, "SET %y 1", 1), -EINVAL);
	EXPECT(!reply && strstr(frame_text(), "format"));
	EXPECT(is_well(redis));
	noria_redis_free(redis);
	return 0;
}

ADAPTER(redis, connecting_by_name_number_and_path)
{
	int port = atoi(frame_place("NORIA_TEST_REDIS_PORT"));
	const char *hosts[] = {"127.0.0.1", "localhost"};
	struct noria_redis *redis = NULL;

	for (int i = 0; i < 2; i++) {
		MUST(noria_redis_connect(hosts[i], port, &redis) == 0);
		EXPECT(is_well(redis));
		noria_redis_free(redis);
	}
	noria_redis_free(NULL);
	return 0;
}

ADAPTER(redis, connecting_where_nobody_listens)
{
	struct noria_redis *redis = NULL;
	char path[200];
	int port, fd = frame_listen(&port);

	noria_close(fd);
	EXPECT_EQ(noria_redis_connect("127.0.0.1", port, &redis), -ECONNREFUSED);
	EXPECT_EQ(noria_redis_connect("127.0.0.1", 70000, &redis), -EINVAL);
	EXPECT_EQ(noria_redis_connect_unix("/nowhere/at/all", &redis), -ENOENT);
	memset(path, 'x', sizeof path - 1);
	path[sizeof path - 1] = '\0';
	EXPECT_EQ(noria_redis_connect_unix(path, &redis), -ENAMETOOLONG);
	EXPECT(!redis);
	return 0;
}

/* A cancelled task does not wait for the resolver. */
ADAPTER(redis, names_are_resolved_beside_the_loop)
{
	struct noria_redis *redis = NULL;
	int64_t begin = noria_now();

	EXPECT_EQ(noria_within(noria_msec(30), noria_redis_connect("slow.example", 1, &redis)), -ETIMEDOUT);
	EXPECT(noria_now() - begin < noria_msec(FRAME_RESOLVER_MS - 50));
	EXPECT_EQ(noria_redis_connect("slow.example", 1, &redis), -ENOENT);
	EXPECT(strstr(frame_text(), "slow.example"));
	EXPECT(!redis);
	return 0;
}

static int connect_by_unix(struct noria_redis **redis)
{
	return noria_redis_connect_unix(frame_place("NORIA_TEST_REDIS_SOCKET"), redis);
}

ADAPTER(redis, in_a_cancelled_scope_nothing_happens)
{
	struct noria_redis *redis = by_unix(), *other = NULL;
	struct noria_scope scope;
	redisReply *reply = NULL;

	MUST(noria_redis_command(redis, &reply, "DEL untouched") == 0);
	freeReplyObject(reply);
	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
	noria_scope_cancel(&scope);
	EXPECT_EQ(noria_redis_command(redis, &reply, "INCR untouched"), -ECANCELED);
	EXPECT_EQ(noria_redis_append(redis, "INCR untouched"), -ECANCELED);
	EXPECT_EQ(noria_redis_get_reply(redis, &reply), -ECANCELED);
	EXPECT_EQ(noria_redis_receive(redis, &reply), -ECANCELED);
	EXPECT_EQ(connect_by_unix(&other), -ECANCELED);
	EXPECT_EQ(noria_redis_connect("localhost", 1, &other), -ECANCELED);
	noria_scope_close(&scope, -ECANCELED);
	EXPECT(!other);
	MUST(noria_redis_command(redis, &reply, "EXISTS untouched") == 0);
	EXPECT_EQ(number(reply), 0);
	noria_redis_free(redis);
	return 0;
}

/* A reply that nobody waits for any more is dropped, and the next one is not taken for it. */
ADAPTER(redis, a_time_limit_leaves_the_connection_usable)
{
	struct noria_redis *redis = by_unix();
	redisReply *reply = NULL;
	int64_t start = noria_now();

	EXPECT_EQ(noria_within(noria_msec(30), noria_redis_command(redis, &reply, "BLPOP nothing 0.3")), -ETIMEDOUT);
	EXPECT(!reply && noria_now() - start < noria_msec(200));
	EXPECT(is_well(redis));
	EXPECT(noria_now() - start >= noria_msec(250)); /* Redis answers in order */
	EXPECT_EQ(noria_within(noria_sec(10), noria_redis_command(redis, &reply, "PING")), 0);
	EXPECT(is_status(reply, "PONG"));
	noria_redis_free(redis);
	return 0;
}

/* The limit passes in the middle of a long reply: what has come of it is not taken for another's. */
static int answer_slowly(void *arg)
{
	noria_autoclose int listener = *(int *)arg;
	noria_autoclose int fd = noria_try(noria_accept(listener, NULL, NULL));
	char request[256];

	noria_try(noria_recv(fd, request, sizeof request, 0));
	noria_try(noria_send_all(fd, "$10\r\n0123", 9, 0));
	noria_try(noria_recv(fd, request, sizeof request, 0));
	noria_try(noria_send_all(fd, "456789\r\n+second\r\n", 17, 0));
	return (int)noria_recv(fd, request, sizeof request, 0);
}

static int ask_slow_server(struct noria_group *group, int port, int *listener)
{
	struct noria_redis *redis = NULL;
	redisReply *reply = NULL;

	MUST(noria_spawn(group, answer_slowly, listener) == 0);
	MUST(noria_redis_connect("127.0.0.1", port, &redis) == 0);
	EXPECT_EQ(noria_within(noria_msec(50), noria_redis_command(redis, &reply, "GET first")), -ETIMEDOUT);
	EXPECT_EQ(noria_redis_command(redis, &reply, "GET second"), 0);
	EXPECT(is_status(reply, "second"));
	noria_redis_free(redis);
	return 0;
}

ADAPTER(redis, a_reply_cut_off_by_a_time_limit_is_dropped_whole)
{
	int port, listener = frame_listen(&port);
	struct noria_group group;

	EXPECT_EQ(noria_grouped(&group, ask_slow_server(&group, port, &listener)), 0);
	return 0;
}

/* What a server says that is no Redis, or that goes away. */
struct rude {
	int listener;
	const char *answer;
};

static int answer_rudely(void *arg)
{
	struct rude *rude = arg;
	noria_autoclose int listener = rude->listener;
	noria_autoclose int fd = noria_try(noria_accept(listener, NULL, NULL));
	char request[256];

	noria_try(noria_recv(fd, request, sizeof request, 0));
	return (int)noria_send_all(fd, rude->answer, strlen(rude->answer), 0);
}

static int ask_rude_server(struct noria_group *group, struct rude *rude, int port, int code)
{
	struct noria_redis *redis = NULL;
	redisReply *reply = NULL;

	MUST(noria_spawn(group, answer_rudely, rude) == 0);
	MUST(noria_redis_connect("127.0.0.1", port, &redis) == 0);
	EXPECT_EQ(noria_redis_command(redis, &reply, "PING"), code);
	EXPECT(strstr(frame_text(), "redis: "));
	EXPECT(noria_redis_error(redis));
	EXPECT_EQ(noria_redis_command(redis, &reply, "PING"), code);
	EXPECT_EQ(noria_redis_append(redis, "PING"), code);
	EXPECT_EQ(noria_redis_receive(redis, &reply), code);
	EXPECT(!reply);
	noria_redis_free(redis);
	return 0;
}

ADAPTER(redis, a_broken_connection_says_so_for_good)
{
	struct rude rudes[] = {{.answer = "$5\r\nhel"}, {.answer = "HTTP/1.1 400 Bad Request\r\n\r\n"}, {.answer = ""}};
	int codes[] = {-ECONNRESET, -EPROTO, -ECONNRESET};

	for (int i = 0; i < 3; i++) {
		struct noria_group group;
		int port;

		rudes[i].listener = frame_listen(&port);
		EXPECT_EQ(noria_grouped(&group, ask_rude_server(&group, &rudes[i], port, codes[i])), 0);
	}
	return 0;
}

/* The server ends the connection while several tasks wait in it: each of them hears of it. */
struct waiters {
	struct noria_redis *redis;
	int heard, waiting;
};

static int wait_for_the_end(void *arg)
{
	struct waiters *waiters = arg;
	redisReply *reply = NULL;
	int r;

	waiters->waiting++;
	r = noria_redis_command(waiters->redis, &reply, "BLPOP never-there 0");
	EXPECT_EQ(r, -ECONNRESET);
	waiters->heard += r == -ECONNRESET;
	return 0;
}

static int kill_clients(struct noria_group *group, struct waiters *waiters)
{
	struct noria_redis *other = by_unix();
	redisReply *reply = NULL;
	char id[32];

	MUST(noria_redis_command(waiters->redis, &reply, "CLIENT ID") == 0);
	snprintf(id, sizeof id, "%lld", number(reply));
	for (int i = 0; i < 5; i++)
		MUST(noria_spawn(group, wait_for_the_end, waiters) == 0);
	UNTIL(waiters->waiting == 5);
	MUST(noria_redis_command(other, &reply, "CLIENT KILL ID %s", id) == 0);
	EXPECT_EQ(number(reply), 1);
	noria_redis_free(other);
	return 0;
}

ADAPTER(redis, all_who_wait_hear_of_the_end)
{
	struct waiters waiters = {.redis = by_unix()};
	struct noria_group group;

	EXPECT_EQ(noria_grouped(&group, kill_clients(&group, &waiters)), 0);
	EXPECT_EQ(waiters.heard, 5);
	noria_redis_free(waiters.redis);
	return 0;
}

ADAPTER(redis, pipelines_answer_in_order)
{
	enum { COMMANDS = 2000 };
	struct noria_redis *redis = by_unix();
	redisReply *reply = NULL;
	const char *last[] = {"ECHO", "last"};

	EXPECT_EQ(noria_redis_get_reply(redis, &reply), -ENOENT);
	for (int i = 0; i < COMMANDS; i++)
		MUST(noria_redis_append(redis, "ECHO %d", i) == 0);
	MUST(noria_redis_append_argv(redis, 2, last, NULL) == 0);
	MUST(noria_redis_command(redis, &reply, "ECHO between") == 0); /* gets its own reply, not the oldest */
	EXPECT(is_string(reply, "between"));
	for (int i = 0; i < COMMANDS; i++) {
		char text[16];

		snprintf(text, sizeof text, "%d", i);
		MUST(noria_redis_get_reply(redis, &reply) == 0);
		EXPECT(is_string(reply, text));
	}
	MUST(noria_redis_get_reply(redis, &reply) == 0);
	EXPECT(is_string(reply, "last"));
	EXPECT_EQ(noria_redis_get_reply(redis, &reply), -ENOENT);
	noria_redis_free(redis);
	return 0;
}

ADAPTER(redis, a_pipeline_that_is_given_up_leaves_no_reply)
{
	struct noria_redis *redis = by_unix();
	redisReply *reply = NULL;

	for (int i = 0; i < 10; i++)
		MUST(noria_redis_append(redis, "ECHO unwanted-%d", i) == 0);
	MUST(noria_redis_append(redis, "BLPOP nothing 0.2") == 0);
	MUST(noria_redis_get_reply(redis, &reply) == 0);
	EXPECT(is_string(reply, "unwanted-0"));
	noria_redis_give_up(redis);
	EXPECT_EQ(noria_redis_get_reply(redis, &reply), -ENOENT);
	EXPECT(is_well(redis));
	MUST(noria_redis_append(redis, "BLPOP nothing 0.2") == 0 && noria_redis_append(redis, "PING") == 0);
	EXPECT_EQ(noria_within(noria_msec(20), noria_redis_get_reply(redis, &reply)), -ETIMEDOUT);
	EXPECT_EQ(noria_redis_get_reply(redis, &reply), -ENOENT);
	EXPECT(is_well(redis));
	MUST(noria_redis_append(redis, "PING") == 0); /* never asked for: freed with the connection */
	EXPECT(is_well(redis));
	noria_redis_free(redis);
	return 0;
}

/* Many tasks, few connections: 200 tasks with 20 commands each, some of which are cancelled on the way. */
enum { TASKS = 200, CONNECTIONS = 10, ROUNDS = 20 };

struct crowd {
	struct noria_redis *redis[CONNECTIONS];
	int right, cancelled;
};

struct one_of_crowd {
	struct crowd *crowd;
	int number;
};

static int ask_often(void *arg)
{
	struct one_of_crowd *one = arg;
	struct crowd *crowd = one->crowd;
	struct noria_redis *redis = crowd->redis[one->number % CONNECTIONS];

	for (int i = 0; i < ROUNDS; i++) {
		bool hasty = (one->number + i) % 7 == 0;
		redisReply *reply = NULL;
		char text[32];
		int r;

		snprintf(text, sizeof text, "%d-%d", one->number, i);
		r = noria_within(hasty ? noria_usec(1 + i * 20) : noria_sec(30),
				 noria_redis_command(redis, &reply, "ECHO %s", text));
		EXPECT(r == 0 || (r == -ETIMEDOUT && hasty && !reply));
		crowd->cancelled += r == -ETIMEDOUT;
		if (r == 0)
			crowd->right += is_string(reply, text);
	}
	return 0;
}

static int spawn_crowd(struct noria_group *group, struct crowd *crowd, struct frame_ticker *ticker)
{
	frame_tick(group, ticker);
	for (int i = 0; i < TASKS; i++) {
		struct one_of_crowd one = {crowd, i};

		MUST(noria_spawn_copy(group, ask_often, &one, sizeof one) == 0);
	}
	return 0;
}

ADAPTER(redis, many_tasks_share_few_connections)
{
	struct crowd crowd = {.right = 0};
	struct frame_ticker ticker;
	struct noria_group group;

	for (int i = 0; i < CONNECTIONS; i++)
		crowd.redis[i] = by_unix();
	EXPECT_EQ(noria_grouped(&group, spawn_crowd(&group, &crowd, &ticker)), 0);
	EXPECT_EQ(crowd.right + crowd.cancelled, TASKS * ROUNDS);
	EXPECT(crowd.right > TASKS * ROUNDS / 2);
	for (int i = 0; i < CONNECTIONS; i++) {
		EXPECT(is_well(crowd.redis[i]));
		noria_redis_free(crowd.redis[i]);
	}
	return 0;
}

static int ask_slowly(struct noria_group *group, struct noria_redis *redis, struct frame_ticker *ticker)
{
	redisReply *reply = NULL;

	frame_tick(group, ticker);
	EXPECT_EQ(noria_redis_command(redis, &reply, "BLPOP nothing 0.2"), 0);
	freeReplyObject(reply);
	return 0;
}

ADAPTER(redis, a_slow_reply_holds_up_nobody)
{
	struct noria_redis *redis = by_unix();
	struct frame_ticker ticker;
	struct noria_group group;

	EXPECT_EQ(noria_grouped(&group, ask_slowly(&group, redis, &ticker)), 0);
	EXPECT(ticker.ticks > 50);
	noria_redis_free(redis);
	return 0;
}

/* The one who reads for all is cancelled: another goes on. */
static int read_for_all(void *arg)
{
	struct waiters *waiters = arg;
	redisReply *reply = NULL;

	waiters->waiting++;
	EXPECT_EQ(noria_within(noria_msec(30), noria_redis_command(waiters->redis, &reply, "BLPOP nothing 0.2")),
		  -ETIMEDOUT);
	return 0;
}

static int come_later(void *arg)
{
	struct waiters *waiters = arg;
	redisReply *reply = NULL;

	EXPECT_EQ(noria_redis_command(waiters->redis, &reply, "ECHO later"), 0);
	waiters->heard += is_string(reply, "later");
	return 0;
}

static int spawn_reader_and_followers(struct noria_group *group, struct waiters *waiters)
{
	MUST(noria_spawn(group, read_for_all, waiters) == 0);
	UNTIL(waiters->waiting);
	for (int i = 0; i < 3; i++)
		MUST(noria_spawn(group, come_later, waiters) == 0);
	return 0;
}

ADAPTER(redis, reading_passes_to_another_when_the_reader_is_cancelled)
{
	struct waiters waiters = {.redis = by_unix()};
	struct noria_group group;

	EXPECT_EQ(
		noria_grouped_until(&group, noria_now() + noria_sec(20), spawn_reader_and_followers(&group, &waiters)),
		0);
	EXPECT_EQ(waiters.heard, 3);
	noria_redis_free(waiters.redis);
	return 0;
}

/* ---- Messages ---- */

struct listening {
	struct noria_redis *redis;
	int subscribed, received;
	bool in_order;
};

static int listen_to_channel(void *arg)
{
	struct listening *listening = arg;
	redisReply *reply = NULL;

	EXPECT_EQ(noria_redis_command(listening->redis, &reply, "SUBSCRIBE news"), 0);
	EXPECT(reply->type == REDIS_REPLY_ARRAY && strcmp(reply->element[0]->str, "subscribe") == 0);
	freeReplyObject(reply);
	listening->subscribed++;
	for (;;) {
		char text[16];
		/* A short limit, so that waits are cut off between messages, and lose none. */
		int r = noria_within(noria_usec(300), noria_redis_receive(listening->redis, &reply));

		if (r == -ETIMEDOUT)
			continue;
		if (r < 0)
			return r;
		snprintf(text, sizeof text, "%d", listening->received);
		listening->in_order &= strcmp(reply->element[2]->str, text) == 0;
		freeReplyObject(reply);
		if (++listening->received == 300)
			return 0;
	}
}

static int publish(struct noria_group *group, struct listening *listening)
{
	struct noria_redis *redis = by_unix();
	redisReply *reply = NULL;

	MUST(noria_spawn(group, listen_to_channel, listening) == 0);
	UNTIL(listening->subscribed);
	for (int i = 0; i < 300; i++) {
		MUST(noria_redis_command(redis, &reply, "PUBLISH news %d", i) == 0);
		EXPECT_EQ(number(reply), 1);
	}
	/* Another task subscribes while the first one listens. */
	MUST(noria_redis_command(listening->redis, &reply, "SUBSCRIBE more") == 0);
	EXPECT(strcmp(reply->element[1]->str, "more") == 0);
	freeReplyObject(reply);
	noria_redis_free(redis);
	return 0;
}

ADAPTER(redis, messages_come_in_order_and_none_is_lost)
{
	struct listening listening = {.redis = by_unix(), .in_order = true};
	struct noria_group group;

	EXPECT_EQ(noria_grouped(&group, publish(&group, &listening)), 0);
	EXPECT_EQ(listening.received, 300);
	EXPECT(listening.in_order);
	noria_redis_free(listening.redis);
	return 0;
}

/*
 * The message and the cancel of the task that waits for it meet in one turn of the loop: either that task has the
 * message, or the next one that waits. A server of the test's own says when.
 */
struct meeting {
	struct noria_redis *redis;
	int listener, fd, pair[2], result;
	bool asked;
	struct noria_child child;
};

static int say(int fd, const char *text)
{
	return (int)noria_send_all(fd, text, strlen(text), 0);
}

static int serve_meeting(void *arg)
{
	struct meeting *meeting = arg;
	char request[256];

	meeting->fd = noria_try(noria_accept(meeting->listener, NULL, NULL));
	noria_try(noria_recv(meeting->fd, request, sizeof request, 0));
	noria_try(say(meeting->fd, "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n"));
	noria_try(noria_recv(meeting->fd, request, sizeof request, 0));
	meeting->asked = true;
	return 0;
}

/* Reads for all until the test is over. */
static int ask_in_meeting(void *arg)
{
	struct meeting *meeting = arg;
	redisReply *reply = NULL;

	noria_try(noria_redis_command(meeting->redis, &reply, "PING"));
	EXPECT(is_status(reply, "PONG"));
	return 0;
}

static int listen_in_meeting(void *arg)
{
	struct meeting *meeting = arg;
	redisReply *reply = NULL;

	meeting->result = noria_redis_receive(meeting->redis, &reply);
	freeReplyObject(reply);
	return meeting->result;
}

/* Wakes in the turn in which the message comes, before the task that reads it. */
static int cancel_listener(void *arg)
{
	struct meeting *meeting = arg;
	char byte;

	noria_try(noria_recv(meeting->pair[1], &byte, 1, 0));
	noria_child_cancel(&meeting->child);
	return 0;
}

/* Comes behind the one that is cancelled. */
static int listen_beside(void *arg)
{
	struct meeting *meeting = arg;
	redisReply *reply = NULL;

	EXPECT_EQ(noria_within(noria_sec(5), noria_redis_receive(meeting->redis, &reply)), 0);
	freeReplyObject(reply);
	return 0;
}

static void meet(struct noria_group *group, struct meeting *meeting, bool beside)
{
	struct noria_child other;
	struct noria_spawn_options first = {.child = &meeting->child}, second = {.child = &other};

	MUST(noria_spawn_with(group, listen_in_meeting, meeting, &first) == 0);
	MUST(!beside || noria_spawn_with(group, listen_beside, meeting, &second) == 0);
	MUST(noria_spawn(group, cancel_listener, meeting) == 0);
	MUST(noria_sleep(noria_msec(1)) == 0);
	MUST(noria_send_all(meeting->pair[0], "x", 1, 0) == 1);
	MUST(say(meeting->fd, "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\nhi\r\n") > 0);
	MUST(noria_child_wait(&meeting->child, NULL) == 0);
	EXPECT(meeting->result == 0 || meeting->result == -ECANCELED);
	if (meeting->result == -ECANCELED && !beside)
		listen_beside(meeting);
	if (meeting->result == 0 && beside)
		noria_child_cancel(&other);
	MUST(!beside || noria_child_wait(&other, NULL) == 0);
}

static int hold_meeting(struct noria_group *group, struct meeting *meeting, int port)
{
	redisReply *reply = NULL;

	MUST(noria_spawn(group, serve_meeting, meeting) == 0);
	MUST(noria_redis_connect("127.0.0.1", port, &meeting->redis) == 0);
	MUST(noria_redis_command(meeting->redis, &reply, "SUBSCRIBE c") == 0);
	freeReplyObject(reply);
	MUST(noria_spawn(group, ask_in_meeting, meeting) == 0);
	UNTIL(meeting->asked);
	for (int i = 0; i < 20; i++)
		meet(group, meeting, i % 2);
	return say(meeting->fd, "+PONG\r\n") > 0 ? 0 : -EIO;
}

ADAPTER(redis, a_message_that_meets_a_cancel_is_not_lost)
{
	struct meeting meeting = {.fd = -1};
	struct noria_group group;
	int port;

	meeting.listener = frame_listen(&port);
	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, meeting.pair) == 0);
	EXPECT_EQ(noria_grouped(&group, hold_meeting(&group, &meeting, port)), 0);
	noria_redis_free(meeting.redis);
	noria_close(meeting.fd);
	noria_close(meeting.listener);
	noria_close(meeting.pair[0]);
	noria_close(meeting.pair[1]);
	return 0;
}

static int listen_in_a_drain(struct noria_redis *redis)
{
	struct noria_scope scope;
	redisReply *reply = NULL;
	int r;

	MUST(noria_redis_command(redis, &reply, "SUBSCRIBE quiet") == 0);
	freeReplyObject(reply);
	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
	MUST(noria_scope_drain(&scope, NORIA_FOREVER) == 0);
	r = noria_redis_receive(redis, &reply);
	noria_scope_close(&scope, 0);
	return r;
}

ADAPTER(redis, a_drain_ends_the_wait_for_messages)
{
	struct noria_redis *redis = by_unix();

	EXPECT_EQ(listen_in_a_drain(redis), -ECANCELED);
	noria_redis_free(redis);
	return 0;
}
