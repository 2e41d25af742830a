/* SPDX-License-Identifier: MIT */
/* An end of a connection, and how it comes to its end: in order, by a reset, by silence, or with its host. */
#include "simulation/net/tcp.h"

#include "base/assert.h"

#include <errno.h>
#include <poll.h>

#define SECOND INT64_C(1000000000)

static const unsigned char next_states[] = {
#define X(state, next) [TCP_END_##state] = (next),
	TCP_END_STATES(X)
#undef X
};

void tcp_end_move(struct tcp_end *end, enum tcp_end_state state)
{
	invariant(next_states[end->state] >> state & 1);
	end->state = state;
}

static struct tcp_end *other_of(struct tcp_connection *connection, const struct tcp_end *end)
{
	return &connection->ends[end == &connection->ends[0]];
}

static bool is_alive(const struct tcp_end *end)
{
	return end->state == TCP_END_SYN || end->state == TCP_END_OPEN;
}

void tcp_end_wake(struct tcp_end *end, unsigned events)
{
	if (end->socket)
		sim_file_wake(&end->socket->inet.socket.file, events);
}

/* ---- the end ---- */

static void leave_port(struct tcp_end *end, bool waits)
{
	if (end->port)
		sim_port_connection_ends(end->port, waits);
	end->port = NULL;
}

/* Whoever has not accepted it yet does not hear of it, unless it was complete. */
static void leave_pending(struct tcp_end *end)
{
	if (end->state != TCP_END_SYN || !end->listener)
		return;
	list_remove(&end->queued);
	end->listener->queued--;
	end->listener = NULL;
}

static void leave(struct tcp_connection *connection, struct tcp_end *end)
{
	struct tcp_flow *out = tcp_flow_from(connection, end);

	leave_pending(end);
	tcp_end_move(end, TCP_END_GONE);
	sim_event_never(connection->world, &end->reset);
	sim_event_never(connection->world, &end->probe);
	sim_event_never(connection->world, &out->answer);
	out->acks.count = 0;
	if (end == &connection->ends[0])
		sim_event_never(connection->world, &connection->event);
	if (end->socket)
		end->socket->state = TCP_CLOSE;
}

void tcp_end_fails(struct tcp_connection *connection, struct tcp_end *end, int error)
{
	struct tcp_end *other = other_of(connection, end);
	bool asking = end->state == TCP_END_SYN && end == &connection->ends[0];

	if (!is_alive(end))
		return;
	leave(connection, end);
	leave_port(end, false);
	end->error = error;
	if (end->socket) {
		end->socket->inet.socket.error = error;
		end->socket->inet.socket.shut = SIM_SHUT_BOTH;
		tcp_end_wake(end, POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP);
	}
	if (asking)
		tcp_end_fails(connection, other, 0);
	else
		tcp_end_watch(connection, other);
}

void tcp_end_check(struct tcp_connection *connection, struct tcp_end *end)
{
	struct tcp_flow *out = tcp_flow_from(connection, end);
	struct tcp_flow *in = tcp_flow_from(connection, other_of(connection, end));

	if (end->state != TCP_END_OPEN || !out->closed || out->acked <= out->bytes.end)
		return;
	if (!tcp_has_ended(in) && end->socket)
		return;
	leave(connection, end);
	end->orderly = true;
	leave_port(end, end->closed_first);
	tcp_end_wake(end, POLLHUP);
}

void tcp_end_closes(struct tcp_connection *connection, struct tcp_end *end)
{
	struct tcp_flow *out = tcp_flow_from(connection, end);

	if (end->state != TCP_END_OPEN || out->closed)
		return;
	out->closed = true;
	end->closed_first = !tcp_has_ended(tcp_flow_from(connection, other_of(connection, end)));
	tcp_transmit(out, 0);
}

/* ---- resets ---- */

void tcp_end_is_reset(struct tcp_connection *connection, struct tcp_end *end)
{
	struct tcp_end *other = other_of(connection, end);
	struct tcp_flow *out = tcp_flow_from(connection, end);
	int error = ECONNRESET;

	if (end->state == TCP_END_SYN)
		error = ECONNREFUSED;
	else if (tcp_has_ended(tcp_flow_from(connection, other)) && !out->closed)
		error = EPIPE;
	tcp_flow_stop(out);
	tcp_end_fails(connection, end, error);
}

static void happen_reset(struct sim_world *world, struct sim_event *event)
{
	struct tcp_end *end = container_of(event, struct tcp_end, reset);
	struct tcp_connection *connection = tcp_connection_of(end);

	(void)world;
	if (!sim_is_cut(other_of(connection, end)->host, end->host))
		tcp_end_is_reset(connection, end);
	tcp_settle(connection);
}

/* It comes behind what was sent before, and is not sent again when it is lost. */
void tcp_reset_to(struct tcp_connection *connection, struct tcp_end *end)
{
	struct tcp_end *other = other_of(connection, end);
	struct sim_world *world = connection->world;
	int64_t ns, due_ns, before_ns = tcp_last_due(tcp_flow_from(connection, other));

	if (!is_alive(end) || sim_event_set(&end->reset))
		return;
	ns = sim_cross(other->host, end->host, TCP_HEADER, true);
	due_ns = world->now + ns > before_ns ? world->now + ns : before_ns;
	if (ns >= 0)
		sim_event_at(world, &end->reset, due_ns);
}

void tcp_end_aborts(struct tcp_connection *connection, struct tcp_end *end)
{
	if (!is_alive(end))
		return;
	tcp_reset_to(connection, other_of(connection, end));
	tcp_end_fails(connection, end, 0);
}

/* ---- keep-alive: only while something is wrong does it make a difference ---- */

static bool is_wrong(const struct tcp_end *end, const struct tcp_end *other)
{
	return (other->state == TCP_END_GONE && !other->orderly) || !other->host->up ||
	       sim_is_cut(end->host, other->host) || sim_is_cut(other->host, end->host);
}

static bool answers(const struct tcp_end *end, const struct tcp_end *other)
{
	return other->host->up && !sim_is_cut(end->host, other->host) && !sim_is_cut(other->host, end->host);
}

void tcp_end_watch(struct tcp_connection *connection, struct tcp_end *end)
{
	struct sim_world *world = connection->world;
	struct tcp_end *other = other_of(connection, end);

	if (end->state != TCP_END_OPEN || !end->socket || !end->socket->inet.socket.options.keep_alive)
		return;
	if (sim_event_set(&end->probe) || !is_wrong(end, other))
		return;
	end->probes = 0;
	sim_event_at(world, &end->probe, world->now + end->socket->inet.socket.options.keep_idle_s * SECOND);
}

static void happen_probe(struct sim_world *world, struct sim_event *event)
{
	struct tcp_end *end = container_of(event, struct tcp_end, probe);
	struct tcp_connection *connection = tcp_connection_of(end);
	const struct tcp_end *other = other_of(connection, end);
	const struct sim_socket_options *options = end->socket ? &end->socket->inet.socket.options : NULL;

	if (!options || !options->keep_alive || !is_wrong(end, other))
		return;
	if (answers(end, other))
		tcp_end_is_reset(connection, end);
	else if (end->probes++ >= (unsigned)options->keep_count)
		tcp_end_fails(connection, end, ETIMEDOUT);
	else
		sim_event_at(world, &end->probe, world->now + options->keep_interval_s * SECOND);
	tcp_settle(connection);
}

/* ---- beginnings, and what happens to hosts ---- */

void tcp_end_init(struct tcp_connection *connection, unsigned side)
{
	struct tcp_end *end = &connection->ends[side];

	*end = (struct tcp_end){.side = side, .reset.happen = happen_reset, .probe.happen = happen_probe};
	list_init(&end->queued);
}

struct tcp_connection *tcp_connection_of(struct tcp_end *end)
{
	return container_of(end - end->side, struct tcp_connection, ends);
}

/* Its host forgets everything, at once. */
static void vanish(struct tcp_connection *connection, struct tcp_end *end)
{
	struct tcp_socket *tcp = end->socket;

	if (is_alive(end))
		leave(connection, end);
	list_remove(&end->queued);
	end->listener = NULL;
	end->port = NULL;
	end->socket = NULL;
	end->orderly = false;
	if (tcp)
		tcp->connection = NULL;
}

static bool concerns(const struct tcp_connection *connection, const struct sim_host *a, const struct sim_host *b)
{
	return (connection->ends[0].host == a && connection->ends[1].host == b) ||
	       (connection->ends[0].host == b && connection->ends[1].host == a);
}

/* What is on its way, and what waits for an answer. */
static void disturb(struct tcp_connection *connection)
{
	for (int i = 0; i < 2; i++) {
		tcp_flow_kick(&connection->flows[i]);
		tcp_end_watch(connection, &connection->ends[i]);
	}
}

void sim_tcp_partitioned(struct sim_host *from, struct sim_host *to)
{
	struct list *connections = &from->world->net->connections;

	for (struct list *node = connections->next; node != connections; node = node->next) {
		struct tcp_connection *connection = list_entry(node, struct tcp_connection, node);

		if (concerns(connection, from, to))
			disturb(connection);
	}
}

void sim_tcp_host_crashed(struct sim_host *host)
{
	struct list *connections = &host->world->net->connections, *node = connections->next;

	while (node != connections) {
		struct tcp_connection *connection = list_entry(node, struct tcp_connection, node);

		node = node->next;
		for (int i = 0; i < 2; i++)
			if (connection->ends[i].host == host)
				vanish(connection, &connection->ends[i]);
		disturb(connection);
		tcp_settle(connection);
	}
}
