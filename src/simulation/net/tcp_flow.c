/* SPDX-License-Identifier: MIT */
/*
 * The flow of bytes from one end to the other. Segments arrive in order: one that is lost comes when it is sent again,
 * and holds up those behind it. What has arrived is acknowledged, and acknowledged bytes make room for the writer.
 *
 * Acknowledgements that nobody waits for are no events of their own: the writer looks at them when it writes.
 */
#include "simulation/net/tcp.h"

#include <errno.h>
#include <poll.h>

#define RETRY_NS     INT64_C(200000000)
#define RETRY_MAX_NS INT64_C(120000000000)
#define MS           INT64_C(1000000)

enum { TRIES_MAX = 15, TRIES_OF_HANDSHAKE = 5, DOUBLED_MAX = 10 };

/* ---- what is under way ---- */

static struct tcp_passage *first(struct tcp_course *course)
{
	return &course->passages[course->first];
}

static void pop(struct tcp_course *course)
{
	course->first = (course->first + 1) % TCP_COURSE_MAX;
	course->count--;
}

/* Not before those ahead of it. */
static void push(struct tcp_course *course, struct tcp_passage passage)
{
	struct tcp_passage *last =
		course->count > 0 ? &course->passages[(course->first + course->count - 1) % TCP_COURSE_MAX] : NULL;

	if (last && passage.due_ns < last->due_ns)
		passage.due_ns = last->due_ns;
	if (course->count == TCP_COURSE_MAX) {
		*last = passage;
		return;
	}
	course->passages[(course->first + course->count) % TCP_COURSE_MAX] = passage;
	course->count++;
}

static int64_t now_of(const struct tcp_flow *flow)
{
	return flow->connection->world->now;
}

static void await_arrival(struct tcp_flow *flow)
{
	struct sim_world *world = flow->connection->world;

	if (flow->segments.count > 0 && !flow->stalled && !sim_event_set(&flow->arrival))
		sim_event_at(world, &flow->arrival, first(&flow->segments)->due_ns);
}

static void await_answer(struct tcp_flow *flow)
{
	if (flow->acks.count > 0 && !sim_event_set(&flow->answer) &&
	    (flow->starved || flow->closed || first(&flow->acks)->lost))
		sim_event_at(flow->connection->world, &flow->answer, first(&flow->acks)->due_ns);
}

/* ---- losses ---- */

static int64_t patience(struct tcp_flow *flow)
{
	const struct tcp_end *from = tcp_sender(flow), *to = tcp_receiver(flow);
	unsigned doubled = flow->tries < DOUBLED_MAX ? flow->tries : DOUBLED_MAX;
	int64_t ns = (RETRY_NS + 2 * sim_cross_typical(from->host, to->host)) << doubled;

	return ns < RETRY_MAX_NS ? ns : RETRY_MAX_NS;
}

static int64_t user_timeout_ns(struct tcp_flow *flow)
{
	const struct tcp_socket *tcp = tcp_sender(flow)->socket;

	return tcp ? tcp->inet.socket.options.user_timeout_ms * MS : 0;
}

/* It did not get through. When is it tried again? */
static int64_t next_try(struct tcp_flow *flow)
{
	int64_t due_ns = now_of(flow) + patience(flow), timeout_ns = user_timeout_ns(flow);

	if (flow->tries++ == 0)
		flow->lost_since_ns = now_of(flow);
	if (timeout_ns > 0 && due_ns > flow->lost_since_ns + timeout_ns)
		due_ns = flow->lost_since_ns + timeout_ns;
	return due_ns;
}

static bool is_hopeless(struct tcp_flow *flow)
{
	int64_t timeout_ns = user_timeout_ns(flow);

	return flow->tries > TRIES_MAX ||
	       (timeout_ns > 0 && flow->tries > 0 && now_of(flow) - flow->lost_since_ns >= timeout_ns);
}

/* The last packet of a handshake was lost again and again: who accepted forgets the matter, who asked does not know. */
static bool is_forgotten(struct tcp_flow *flow)
{
	struct tcp_end *to = tcp_receiver(flow);

	if (to->state != TCP_END_SYN || flow->tries <= TRIES_OF_HANDSHAKE)
		return false;
	tcp_end_fails(flow->connection, to, 0);
	if (flow->acked < flow->bytes.end || flow->closed)
		return false;
	tcp_flow_stop(flow);
	return true;
}

/* ---- arrivals ---- */

static size_t window(struct tcp_flow *flow)
{
	const struct tcp_end *to = tcp_receiver(flow);
	const struct tcp_socket *tcp = to->socket ? to->socket : to->listener;
	size_t size = tcp ? (size_t)tcp->inet.socket.options.receive_buffer : 0;

	return size > tcp_unread(flow) ? size - tcp_unread(flow) : 0;
}

static void acknowledge(struct tcp_flow *flow)
{
	struct sim_host *from = tcp_receiver(flow)->host, *to = tcp_sender(flow)->host;
	struct tcp_passage ack = {.position = flow->arrived, .lost = sim_is_cut(from, to)};

	if (tcp_sender(flow)->state != TCP_END_OPEN)
		return;
	ack.due_ns = ack.lost ? next_try(flow) : now_of(flow) + sim_cross_typical(from, to);
	push(&flow->acks, ack);
	await_answer(flow);
}

static bool is_closed(const struct tcp_end *end)
{
	return end->state == TCP_END_OPEN && !end->socket && !end->listener;
}

/*
 * What comes for a connection that is over on this side is answered with a reset; whoever sent it goes on sending until
 * that has come.
 */
static void arrive_nowhere(struct tcp_flow *flow, struct tcp_passage *segment)
{
	struct tcp_end *to = tcp_receiver(flow);

	if (to->orderly && flow->closed && flow->arrived == flow->bytes.end && segment->position > flow->arrived) {
		flow->arrived = segment->position;
		pop(&flow->segments);
		acknowledge(flow);
		return;
	}
	segment->lost = true;
	segment->due_ns = next_try(flow);
	tcp_reset_to(flow->connection, tcp_sender(flow));
}

/* As much of it as there is room for. */
static void arrive_at(struct tcp_flow *flow, const struct tcp_passage *segment)
{
	uint64_t bytes = segment->position < flow->bytes.end ? segment->position : flow->bytes.end, size;
	size_t most = window(flow);

	size = flow->arrived < bytes ? bytes - flow->arrived : 0;
	flow->arrived += size < most ? size : most;
	if (flow->arrived < bytes) {
		flow->stalled = true;
	} else {
		flow->arrived = segment->position > flow->arrived ? segment->position : flow->arrived;
		pop(&flow->segments);
	}
	acknowledge(flow);
}

static void arrive(struct tcp_flow *flow, struct tcp_passage *segment)
{
	struct tcp_connection *connection = flow->connection;
	struct tcp_end *to = tcp_receiver(flow);

	if (to->state == TCP_END_SYN)
		tcp_end_opens(connection, to);
	if (is_closed(to) && flow->arrived < flow->bytes.end && segment->position > flow->arrived)
		tcp_end_fails(connection, to, 0);
	if (to->state == TCP_END_OPEN)
		arrive_at(flow, segment);
	else
		arrive_nowhere(flow, segment);
}

/* The first segment: it arrives, or sets out again. */
static void attend(struct tcp_flow *flow)
{
	struct tcp_passage *segment = first(&flow->segments);
	struct sim_host *from = tcp_sender(flow)->host, *to = tcp_receiver(flow)->host;
	int64_t ns;

	if (!segment->lost && !sim_is_cut(from, to) && to->up) {
		arrive(flow, segment);
		return;
	}
	if (is_hopeless(flow))
		tcp_end_fails(flow->connection, tcp_sender(flow), ETIMEDOUT);
	if (tcp_sender(flow)->state != TCP_END_OPEN) { /* nobody is left to send it again */
		tcp_flow_stop(flow);
		return;
	}
	if (is_forgotten(flow))
		return;
	ns = segment->lost ? sim_cross(from, to, TCP_HEADER, true) : -1;
	segment->lost = ns < 0;
	segment->due_ns = ns < 0 ? next_try(flow) : now_of(flow) + ns;
}

static void happen_arrival(struct sim_world *world, struct sim_event *event)
{
	struct tcp_flow *flow = container_of(event, struct tcp_flow, arrival);
	struct tcp_connection *connection = flow->connection;
	struct tcp_end *to = tcp_receiver(flow);
	uint64_t before = flow->arrived;

	while (flow->segments.count > 0 && !flow->stalled && first(&flow->segments)->due_ns <= world->now)
		attend(flow);
	await_arrival(flow);
	if (flow->arrived > before) {
		tcp_end_wake(to, tcp_has_ended(flow) ? POLLIN | POLLRDHUP | POLLHUP : POLLIN);
		tcp_end_check(connection, to);
	}
	tcp_settle(connection);
}

/* ---- acknowledgements ---- */

static void collect(struct tcp_flow *flow)
{
	int64_t now = now_of(flow);

	while (flow->acks.count > 0 && first(&flow->acks)->due_ns <= now && !first(&flow->acks)->lost) {
		flow->acked = first(&flow->acks)->position;
		flow->tries = 0;
		pop(&flow->acks);
	}
}

/* One that was lost is asked for again, by sending the segment again. */
static void attend_lost(struct tcp_flow *flow)
{
	struct tcp_passage *ack = first(&flow->acks);
	struct sim_host *from = tcp_receiver(flow)->host, *to = tcp_sender(flow)->host;

	if (flow->acks.count == 0 || !ack->lost || ack->due_ns > now_of(flow))
		return;
	if (is_hopeless(flow)) {
		tcp_end_fails(flow->connection, tcp_sender(flow), ETIMEDOUT);
		return;
	}
	ack->lost = sim_is_cut(from, to) || sim_is_cut(to, from) || !from->up;
	ack->due_ns = ack->lost ? next_try(flow) : now_of(flow) + 2 * sim_cross_typical(from, to);
}

static void happen_answer(struct sim_world *world, struct sim_event *event)
{
	struct tcp_flow *flow = container_of(event, struct tcp_flow, answer);
	struct tcp_connection *connection = flow->connection;

	(void)world;
	collect(flow);
	attend_lost(flow);
	if (flow->starved && tcp_is_writable(flow)) {
		flow->starved = false;
		tcp_end_wake(tcp_sender(flow), POLLOUT);
	}
	await_answer(flow);
	tcp_end_check(connection, tcp_sender(flow));
	tcp_settle(connection);
}

/* ---- what is done to a flow ---- */

void tcp_flow_init(struct tcp_flow *flow, struct tcp_connection *connection)
{
	struct sim_bytes bytes = flow->bytes;

	*flow = (struct tcp_flow){.connection = connection,
				  .bytes = {.memory = bytes.memory, .capacity = bytes.capacity}};
	flow->arrival.happen = happen_arrival;
	flow->answer.happen = happen_answer;
}

void tcp_transmit(struct tcp_flow *flow, size_t size)
{
	struct tcp_passage segment = {.position = flow->bytes.end + flow->closed};
	int64_t ns = sim_cross(tcp_sender(flow)->host, tcp_receiver(flow)->host, size + TCP_HEADER, true);

	segment.lost = ns < 0;
	segment.due_ns = ns < 0 ? next_try(flow) : now_of(flow) + ns;
	push(&flow->segments, segment);
	await_arrival(flow);
}

static size_t room(struct tcp_flow *flow)
{
	const struct tcp_socket *tcp = tcp_sender(flow)->socket;
	size_t size = tcp ? (size_t)tcp->inet.socket.options.send_buffer : 0;
	size_t used = flow->acked < flow->bytes.end ? (size_t)(flow->bytes.end - flow->acked) : 0;

	return size > used ? size - used : 0;
}

size_t tcp_room(struct tcp_flow *flow)
{
	size_t size;

	collect(flow);
	size = room(flow);
	if (size == 0) {
		flow->starved = true;
		await_answer(flow);
	}
	return size;
}

bool tcp_is_writable(struct tcp_flow *flow)
{
	const struct tcp_socket *tcp = tcp_sender(flow)->socket;

	collect(flow);
	if (tcp && room(flow) >= (size_t)tcp->inet.socket.options.send_buffer / 3)
		return true;
	flow->starved = true;
	await_answer(flow);
	return false;
}

void tcp_was_read(struct tcp_flow *flow)
{
	const struct tcp_end *from = tcp_sender(flow), *to = tcp_receiver(flow);

	if (!flow->stalled || window(flow) < (size_t)to->socket->inet.socket.options.receive_buffer / 2)
		return;
	flow->stalled = false;
	sim_event_at(flow->connection->world, &flow->arrival, now_of(flow) + sim_cross_typical(to->host, from->host));
}

int64_t tcp_last_due(const struct tcp_flow *flow)
{
	const struct tcp_course *segments = &flow->segments;

	if (segments->count == 0)
		return 0;
	return segments->passages[(segments->first + segments->count - 1) % TCP_COURSE_MAX].due_ns;
}

void tcp_flow_kick(struct tcp_flow *flow)
{
	flow->stalled = false;
	await_arrival(flow);
}

void tcp_flow_stop(struct tcp_flow *flow)
{
	struct sim_world *world = flow->connection->world;

	sim_event_never(world, &flow->arrival);
	sim_event_never(world, &flow->answer);
	flow->segments.count = flow->acks.count = 0;
	flow->stalled = flow->starved = false;
}
