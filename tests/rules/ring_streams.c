/* SPDX-License-Identifier: MIT */
/*
 * R01, R07, R09, R10 for streams of connections and of datagrams, and for many datagrams sent by one call: what has come
 * is delivered once and in order, whatever cancels, overflows and closings meet it.
 */
#include "noria/datagram.h"
#include "noria/stream.h"
#include "ring_inside.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>

enum { MANY = 200 };

static const struct noria_config two_entries = {.ring_entries = 2, .ring_entries_max = 2};
static const struct noria_datagram_options few = {.size = 16, .control = 16, .buffers = 2};
static const struct noria_datagram_options many = {.size = 16, .control = 16, .buffers = 256};

static int listen_at(struct sockaddr_in *address)
{
	socklen_t length = sizeof *address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	MUST(fd >= 0 && bind(fd, (struct sockaddr *)address, length) == 0 && listen(fd, 1024) == 0);
	MUST(getsockname(fd, (struct sockaddr *)address, &length) == 0);
	return fd;
}

static int connect_to(const struct sockaddr_in *address)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	MUST(fd >= 0 && rule_connect(fd, address));
	return fd;
}

static bool are_ends_of_one(int taken, int client)
{
	struct sockaddr_in a, b;
	socklen_t length = sizeof a;

	MUST(getpeername(taken, (struct sockaddr *)&a, &length) == 0);
	MUST(getsockname(client, (struct sockaddr *)&b, &length) == 0);
	return a.sin_port == b.sin_port;
}

static void datagram_pair(int pair[2])
{
	MUST(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair) == 0);
	MUST(setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &(int){1 << 20}, sizeof(int)) == 0);
}

/* A stream of either kind, and a task that takes one thing from it. */
struct taker {
	struct noria_accept_stream connections;
	struct noria_datagram_stream datagrams;
	struct noria_scope scope;
	struct noria_datagram datagram;
	bool accepts, started;
	int result, next;
};

static int take(struct taker *taker)
{
	return taker->accepts ? noria_accept_stream_next(&taker->connections)
			      : noria_datagram_stream_next(&taker->datagrams, &taker->datagram, 1);
}

static int take_one(void *arg)
{
	struct taker *taker = arg;

	MUST(noria_scope_open(&taker->scope, NORIA_FOREVER, 0) == 0);
	taker->started = true;
	taker->result = take(taker);
	taker->next = noria_check();
	(void)noria_scope_close(&taker->scope, taker->result);
	return 0;
}

static void start(struct noria_group *group, struct taker *taker, int fd)
{
	taker->started = false;
	MUST(noria_spawn(group, take_one, taker) == 0);
	UNTIL(taker->started && inside_flying(fd) && ring_pending(noria_loop->ring) == 0);
}

/* R01: a connection was accepted, then came the cancel: this call has it, or the next. */
RULE(R01, a_connection_accepted_before_a_cancel_is_handed_out)
{
	struct taker taker = {.accepts = true};
	struct sockaddr_in address;
	int fd = listen_at(&address);

	MUST(noria_accept_stream_open(&taker.connections, fd, SOCK_CLOEXEC) == 0);
	for (int i = 0; i < 3; i++) {
		struct noria_group group = {0};
		int client, taken;

		MUST(noria_group_open(&group) == 0);
		start(&group, &taker, fd);
		client = connect_to(&address);
		inside_enter_until(1); /* the completion is there, the task does not know yet */
		noria_scope_cancel(&taker.scope);
		MUST(noria_group_close(&group, 0) == 0);
		EXPECT((taker.result < 0 ? taker.result : taker.next) == -ECANCELED);
		taken = taker.result >= 0 ? taker.result : noria_within(noria_sec(5), take(&taker));
		MUST(taken >= 0);
		EXPECT(are_ends_of_one(taken, client));
		EXPECT(noria_close(taken) == 0 && noria_close(client) == 0);
	}
	noria_accept_stream_close(&taker.connections);
	EXPECT(noria_close(fd) == 0);
	return 0;
}

/* R01: likewise a datagram. */
RULE(R01, a_datagram_received_before_a_cancel_is_delivered)
{
	struct taker taker = {0};
	int pair[2];

	datagram_pair(pair);
	MUST(noria_datagram_stream_open(&taker.datagrams, pair[0], &few) == 0);
	for (char i = 0; i < 3; i++) {
		struct noria_group group = {0};

		MUST(noria_group_open(&group) == 0);
		start(&group, &taker, pair[0]);
		MUST(send(pair[1], &i, 1, 0) == 1);
		inside_enter_until(1);
		noria_scope_cancel(&taker.scope);
		MUST(noria_group_close(&group, 0) == 0);
		EXPECT((taker.result < 0 ? taker.result : taker.next) == -ECANCELED);
		MUST(taker.result == 1 || noria_within(noria_sec(5), take(&taker)) == 1);
		EXPECT(taker.datagram.size == 1 && *(char *)taker.datagram.data == i);
	}
	noria_datagram_stream_close(&taker.datagrams);
	inside_close(pair);
	return 0;
}

/* R07: more connections at once than the completion queue holds, by far. */
RULE_WITH(R07, connections_survive_an_overflow, &two_entries)
{
	struct noria_accept_stream stream;
	struct sockaddr_in address;
	static int clients[MANY];
	int fd = listen_at(&address);

	EXPECT(noria_loop->ring->cq_entries < MANY / 4);
	MUST(noria_accept_stream_open(&stream, fd, SOCK_CLOEXEC) == 0);
	EXPECT(noria_within(noria_usec(100), noria_accept_stream_next(&stream)) == -ETIMEDOUT);
	for (int i = 0; i < MANY; i++)
		clients[i] = connect_to(&address);
	for (int i = 0; i < MANY; i++) {
		int taken = noria_within(noria_sec(20), noria_accept_stream_next(&stream));

		MUST(taken >= 0);
		EXPECT(are_ends_of_one(taken, clients[i]));
		EXPECT(noria_close(taken) == 0 && noria_close(clients[i]) == 0);
	}
	noria_accept_stream_close(&stream);
	EXPECT(noria_close(fd) == 0);
	if (features_has(&noria_loop->ring->features, FEATURE_ACCEPT_MULTISHOT))
		EXPECT(noria_loop->overflows > 0);
	return 0;
}

static void udp_pair(int pair[2])
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof address;

	for (int i = 0; i < 2; i++)
		pair[i] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	MUST(pair[0] >= 0 && pair[1] >= 0 && bind(pair[0], (struct sockaddr *)&address, length) == 0);
	MUST(setsockopt(pair[0], SOL_SOCKET, SO_RCVBUF, &(int){4 << 20}, sizeof(int)) == 0);
	MUST(getsockname(pair[0], (struct sockaddr *)&address, &length) == 0);
	MUST(connect(pair[1], (struct sockaddr *)&address, length) == 0);
}

/* R07: likewise datagrams. */
RULE_WITH(R07, datagrams_survive_an_overflow, &two_entries)
{
	struct noria_datagram_stream stream;
	struct noria_datagram one;
	int pair[2];

	udp_pair(pair);
	MUST(noria_datagram_stream_open(&stream, pair[0], &many) == 0);
	EXPECT(noria_within(noria_usec(100), noria_datagram_stream_next(&stream, &one, 1)) == -ETIMEDOUT);
	for (int i = 0; i < MANY; i++)
		MUST(send(pair[1], &i, sizeof i, 0) == sizeof i);
	for (int i = 0; i < MANY; i++) {
		MUST(noria_within(noria_sec(20), noria_datagram_stream_next(&stream, &one, 1)) == 1);
		EXPECT(one.size == sizeof i && memcmp(one.data, &i, sizeof i) == 0);
	}
	noria_datagram_stream_close(&stream);
	inside_close(pair);
	if (features_has(&noria_loop->ring->features, FEATURE_RECVMSG_MULTISHOT) &&
	    features_has(&noria_loop->ring->features, FEATURE_BUFFER_RING))
		EXPECT(noria_loop->overflows > 0);
	return 0;
}

/*
 * R09: a datagram stream whose buffers are all shown or queued lets the socket keep what comes, disturbs no other
 * stream, and goes on because its task came back.
 */
RULE(R09, a_datagram_stream_goes_on_when_its_buffers_come_back)
{
	struct noria_datagram_stream busy, other;
	struct noria_datagram some[2], one;
	int pairs[2][2];

	for (int i = 0; i < 2; i++)
		udp_pair(pairs[i]);
	MUST(noria_datagram_stream_open(&busy, pairs[0][0], &few) == 0);
	MUST(noria_datagram_stream_open(&other, pairs[1][0], &few) == 0);
	for (int i = 0; i < 50; i++)
		MUST(send(pairs[0][1], &i, sizeof i, 0) == sizeof i);
	for (int next = 0; next < 50;) {
		int n = noria_datagram_stream_next(&busy, some, 2);

		MUST(n >= 1 && n <= 2);
		for (int i = 0; i < n; i++, next++)
			EXPECT(memcmp(some[i].data, &next, sizeof next) == 0);
		EXPECT(!heap_first(&noria_loop->timers));
		MUST(send(pairs[1][1], &next, sizeof next, 0) == sizeof next);
		MUST(noria_datagram_stream_next(&other, &one, 1) == 1);
		EXPECT(memcmp(one.data, &next, sizeof next) == 0);
	}
	noria_datagram_stream_close(&busy);
	noria_datagram_stream_close(&other);
	for (int i = 0; i < 2; i++)
		inside_close(pairs[i]);
	return 0;
}

/* R09: an accept stream that was stopped, being full, goes on because its queue was emptied. */
RULE(R09, an_accept_stream_goes_on_when_its_queue_is_empty)
{
	struct noria_accept_stream stream;
	struct sockaddr_in address;
	static int clients[MANY];
	int fd = listen_at(&address), taken;

	MUST(noria_accept_stream_open(&stream, fd, SOCK_CLOEXEC) == 0);
	for (int i = 0; i < MANY; i++)
		clients[i] = connect_to(&address);
	taken = noria_accept_stream_next(&stream);
	MUST(taken >= 0 && noria_close(taken) == 0);
	UNTIL(!inside_flying(fd));               /* stopped, or one at a time */
	UNTIL(!heap_first(&noria_loop->timers)); /* that which asks again for the stop */
	for (int i = 1; i < MANY; i++) {
		taken = noria_accept_stream_next(&stream);
		MUST(taken >= 0);
		EXPECT(are_ends_of_one(taken, clients[i]));
		EXPECT(noria_close(taken) == 0);
	}
	noria_accept_stream_close(&stream);
	for (int i = 0; i < MANY; i++)
		EXPECT(noria_close(clients[i]) == 0);
	EXPECT(noria_close(fd) == 0);
	return 0;
}

/* R10: the listener is closed while a task waits; who gets its number next keeps its connections. */
RULE(R10, closing_a_listener_ends_its_stream)
{
	struct taker taker = {.accepts = true};
	struct noria_group group = {0};
	struct sockaddr_in address, next_address;
	int fd = listen_at(&address), next, client, taken;

	MUST(noria_accept_stream_open(&taker.connections, fd, SOCK_CLOEXEC) == 0);
	MUST(noria_group_open(&group) == 0);
	start(&group, &taker, fd);
	EXPECT(noria_close(fd) == 0);
	next = listen_at(&next_address);
	EXPECT(next == fd);
	client = connect_to(&next_address);
	MUST(noria_group_close(&group, 0) == 0);
	EXPECT(taker.result == -EBADF || taker.result == -ECANCELED);
	EXPECT(take(&taker) == -EBADF);
	taken = accept4(next, NULL, NULL, SOCK_CLOEXEC);
	MUST(taken >= 0);
	EXPECT(are_ends_of_one(taken, client));
	noria_accept_stream_close(&taker.connections);
	EXPECT(noria_close(taken) == 0 && noria_close(next) == 0 && noria_close(client) == 0);
	return 0;
}

/* R10: likewise a socket with datagrams. */
RULE(R10, closing_a_socket_ends_its_datagram_stream)
{
	struct taker taker = {0};
	struct noria_group group = {0};
	int pair[2], next[2];
	char byte;

	datagram_pair(pair);
	MUST(noria_datagram_stream_open(&taker.datagrams, pair[0], &few) == 0);
	MUST(noria_group_open(&group) == 0);
	start(&group, &taker, pair[0]);
	EXPECT(noria_close(pair[0]) == 0);
	datagram_pair(next);
	EXPECT(next[0] == pair[0]);
	MUST(send(next[1], "x", 1, 0) == 1);
	MUST(noria_group_close(&group, 0) == 0);
	EXPECT(taker.result == -EBADF || taker.result == -ECANCELED);
	EXPECT(take(&taker) == -EBADF);
	EXPECT(recv(next[0], &byte, 1, MSG_DONTWAIT) == 1 && byte == 'x');
	noria_datagram_stream_close(&taker.datagrams);
	inside_close(next);
	EXPECT(noria_close(pair[1]) == 0);
	return 0;
}

enum { LATER = 3 };

struct sender {
	int fd, result;
	bool done;
};

static int send_many(void *arg)
{
	struct sender *sender = arg;
	struct mmsghdr messages[1 + LATER];
	struct iovec part = {"later", 5};

	for (int i = 0; i < 1 + LATER; i++)
		messages[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &part, .msg_iovlen = 1}};
	sender->result = noria_sendmmsg(sender->fd, messages, 1 + LATER, 0);
	sender->done = true;
	return 0;
}

/* R10: the descriptor is closed when one of many datagrams has left: the others do not go to the number's next owner. */
RULE(R10, the_next_owner_gets_no_datagram_of_a_call_under_way)
{
	struct sender sender;
	struct noria_group group = {0};
	int pair[2], next[2];
	char bytes[8];

	datagram_pair(pair);
	MUST(setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &(int){1}, sizeof(int)) == 0);
	while (send(pair[0], "first", 5, MSG_DONTWAIT) == 5)
		;
	sender = (struct sender){.fd = pair[0]};
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, send_many, &sender) == 0);
	UNTIL(inside_flying(pair[0]) && ring_pending(noria_loop->ring) == 0);
	while (recv(pair[1], bytes, sizeof bytes, MSG_DONTWAIT) == 5)
		;
	inside_enter_until(1); /* the one that waited has left, and its task does not know */
	EXPECT(noria_close(pair[0]) == 0);
	EXPECT(!sender.done);
	datagram_pair(next);
	EXPECT(next[0] == pair[0]);
	MUST(noria_group_close(&group, 0) == 0);
	EXPECT(sender.result == 1);
	EXPECT(recv(next[1], bytes, sizeof bytes, MSG_DONTWAIT) < 0);
	inside_close(next);
	EXPECT(noria_close(pair[1]) == 0);
	return 0;
}
