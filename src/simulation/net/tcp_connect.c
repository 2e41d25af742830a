/* SPDX-License-Identifier: MIT */
/*
 * How TCP connections begin. A SYN that is lost, or that finds the listener's queue full or the host down, is sent
 * again after a second, and then after twice as long each time. The last packet of the handshake is the first segment
 * of the flow, without any bytes.
 */
#include "simulation/net/tcp.h"

#include "base/assert.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#define SECOND INT64_C(1000000000)

enum { UNREACHABLE_S = 3, BACKLOG_MAX = 4096 };

static void happen_step(struct sim_world *world, struct sim_event *event);

/* ---- records ---- */

struct tcp_connection *tcp_connection_new(struct sim_net *net)
{
	struct list *idle = list_pop_front(&net->connections_idle);
	struct tcp_connection *connection =
		idle ? list_entry(idle, struct tcp_connection, node) : calloc(1, sizeof *connection);

	if (!connection)
		return NULL;
	connection->world = net->world;
	connection->event = (struct sim_event){.happen = happen_step};
	connection->tries = 0;
	for (unsigned i = 0; i < 2; i++) {
		tcp_end_init(connection, i);
		tcp_flow_init(&connection->flows[i], connection);
	}
	list_push_back(&net->connections, &connection->node);
	return connection;
}

static bool is_known(const struct tcp_end *end)
{
	return end->state == TCP_END_SYN || end->state == TCP_END_OPEN || end->socket || end->listener;
}

void tcp_settle(struct tcp_connection *connection)
{
	struct sim_world *world = connection->world;

	if (is_known(&connection->ends[0]) || is_known(&connection->ends[1]))
		return;
	sim_event_never(world, &connection->event);
	for (int i = 0; i < 2; i++) {
		tcp_flow_stop(&connection->flows[i]);
		sim_event_never(world, &connection->ends[i].reset);
		sim_event_never(world, &connection->ends[i].probe);
	}
	list_remove(&connection->node);
	list_push_front(&world->net->connections_idle, &connection->node);
}

static void free_all(struct list *connections)
{
	struct list *node;

	while ((node = list_pop_front(connections))) {
		struct tcp_connection *connection = list_entry(node, struct tcp_connection, node);

		free(connection->flows[0].bytes.memory);
		free(connection->flows[1].bytes.memory);
		free(connection);
	}
}

void sim_tcp_free(struct sim_net *net)
{
	free_all(&net->connections);
	free_all(&net->connections_idle);
}

/* ---- the handshake ---- */

static void step_after(struct tcp_connection *connection, enum tcp_step step, int64_t ns)
{
	connection->step = step;
	sim_event_at(connection->world, &connection->event, connection->world->now + ns);
}

static void step_again(struct tcp_connection *connection)
{
	step_after(connection, TCP_STEP_AGAIN, SECOND << connection->tries);
}

static void send_syn(struct tcp_connection *connection)
{
	int64_t ns;

	if (!connection->ends[1].host) {
		step_after(connection, TCP_STEP_UNREACHABLE, UNREACHABLE_S * SECOND);
		return;
	}
	ns = sim_cross(connection->ends[0].host, connection->ends[1].host, TCP_HEADER, true);
	if (ns < 0)
		step_again(connection);
	else
		step_after(connection, TCP_STEP_SYN, ns);
}

static void reply(struct tcp_connection *connection, enum tcp_step step)
{
	int64_t ns = sim_cross(connection->ends[1].host, connection->ends[0].host, TCP_HEADER, true);

	if (ns < 0)
		step_again(connection);
	else
		step_after(connection, step, ns);
}

static struct tcp_socket *listener_of(struct tcp_connection *connection)
{
	struct tcp_end *from = &connection->ends[0], *to = &connection->ends[1];
	struct sim_inet *inet = sim_port_receiver(to->host, IPPROTO_TCP, &to->address, &from->address);

	if (!inet || sim_strikes(&connection->world->plan, SIM_FAULT_REFUSE))
		return NULL;
	return tcp_socket_of(&inet->socket);
}

static void ask(struct tcp_end *end, struct tcp_socket *listener)
{
	tcp_end_move(end, TCP_END_SYN);
	end->listener = listener;
	end->port = listener->inet.port;
	end->port->connections++;
	end->port->reusable = listener->inet.socket.options.reuse_address;
	listener->queued++;
	list_push_back(&listener->pending, &end->queued);
}

static void syn_arrives(struct tcp_connection *connection)
{
	struct tcp_end *to = &connection->ends[1];
	struct tcp_socket *listener;

	if (!to->host->up) {
		step_again(connection);
		return;
	}
	if (to->state == TCP_END_SYN) { /* the answer to the last one was lost */
		reply(connection, TCP_STEP_ACCEPTED);
		return;
	}
	listener = listener_of(connection);
	if (!listener) {
		reply(connection, TCP_STEP_REFUSED);
	} else if (listener->queued > listener->backlog) {
		step_again(connection);
	} else {
		ask(to, listener);
		reply(connection, TCP_STEP_ACCEPTED);
	}
}

static void is_accepted(struct tcp_connection *connection)
{
	struct tcp_end *end = &connection->ends[0];

	tcp_end_move(end, TCP_END_OPEN);
	end->socket->state = TCP_ESTABLISHED;
	tcp_end_wake(end, POLLOUT);
	tcp_transmit(&connection->flows[0], 0);
}

static void try_again(struct tcp_connection *connection)
{
	struct tcp_end *end = &connection->ends[0];

	if (connection->tries++ >= (unsigned)end->socket->inet.socket.options.syn_count)
		tcp_end_fails(connection, end, ETIMEDOUT);
	else
		send_syn(connection);
}

static void happen_step(struct sim_world *world, struct sim_event *event)
{
	struct tcp_connection *connection = container_of(event, struct tcp_connection, event);

	(void)world;
	switch (connection->step) {
	case TCP_STEP_SYN:
		syn_arrives(connection);
		break;
	case TCP_STEP_AGAIN:
		try_again(connection);
		break;
	case TCP_STEP_REFUSED:
		tcp_end_is_reset(connection, &connection->ends[0]);
		break;
	case TCP_STEP_ACCEPTED:
		is_accepted(connection);
		break;
	case TCP_STEP_UNREACHABLE:
		tcp_end_fails(connection, &connection->ends[0], EHOSTUNREACH);
		break;
	}
	tcp_settle(connection);
}

void tcp_end_opens(struct tcp_connection *connection, struct tcp_end *end)
{
	(void)connection;
	tcp_end_move(end, TCP_END_OPEN);
	list_remove(&end->queued);
	list_push_back(&end->listener->ready, &end->queued);
	sim_file_wake(&end->listener->inet.socket.file, POLLIN);
}

/* ---- connect ---- */

/* Its own address, and a port, chosen unless it is bound. */
static int choose_source(struct tcp_socket *tcp, const struct in6_addr *to)
{
	struct sim_address source = {0};
	int r = sim_source_of(tcp->inet.socket.file.host, to, &source.ip);

	if (r < 0)
		return r;
	if (tcp->inet.port) {
		if (sim_ip_is_any(&tcp->inet.local.ip))
			tcp->inet.local.ip = source.ip;
		return 0;
	}
	r = sim_port_take(&tcp->inet, &source);
	return r == -EADDRINUSE ? -EADDRNOTAVAIL : r;
}

static int begin(struct tcp_socket *tcp, struct sim_address *to)
{
	struct sim_host *host = tcp->inet.socket.file.host;
	struct tcp_connection *connection;
	int r;

	if (sim_ip_is_any(&to->ip))
		to->ip = IN6_IS_ADDR_V4MAPPED(&to->ip) ? sim_ip_loopback4() : in6addr_loopback;
	if (to->port == 0)
		return -ECONNREFUSED;
	r = choose_source(tcp, &to->ip);
	if (r < 0)
		return r;
	connection = tcp_connection_new(host->world->net);
	if (!connection)
		return -ENOBUFS;
	tcp->connection = connection;
	tcp->side = 0;
	tcp->inet.peer = *to;
	tcp->state = TCP_SYN_SENT;
	connection->ends[0].socket = tcp;
	connection->ends[0].host = host;
	connection->ends[0].address = tcp->inet.local;
	connection->ends[1].host = sim_host_at(host, &to->ip);
	connection->ends[1].address = *to;
	tcp_end_move(&connection->ends[0], TCP_END_SYN);
	send_syn(connection);
	return -EINPROGRESS;
}

/* It has ended, and whoever asked is told how, once. */
static int tell(struct tcp_socket *tcp)
{
	int r;

	tcp->connecting = false;
	if (tcp->state == TCP_ESTABLISHED)
		return 0;
	r = sim_socket_take_error(&tcp->inet.socket);
	tcp_disconnect(tcp);
	return r < 0 ? r : -ECONNABORTED;
}

int tcp_connect(struct sim_socket *socket, const struct sockaddr *sockaddr, socklen_t length)
{
	struct tcp_socket *tcp = tcp_socket_of(socket);
	struct sim_address address;
	int r;

	if (sockaddr->sa_family == AF_UNSPEC) {
		tcp_disconnect(tcp);
		return 0;
	}
	if (tcp->connecting)
		return tcp->state == TCP_SYN_SENT ? -EALREADY : tell(tcp);
	if (tcp->state != TCP_CLOSE || tcp->connection)
		return -EISCONN;
	r = sim_address_parse(socket->domain, sockaddr, length, &address);
	if (r < 0)
		return r;
	r = begin(tcp, &address);
	tcp->connecting = r == -EINPROGRESS;
	return r;
}

/* ---- listen and accept ---- */

int tcp_listen(struct sim_socket *socket, int backlog)
{
	struct tcp_socket *tcp = tcp_socket_of(socket);
	struct sim_address any = {.ip = in6addr_any};
	int r = 0;

	if (tcp->state != TCP_CLOSE && tcp->state != TCP_LISTEN)
		return -EINVAL;
	if (tcp->connection)
		return -EINVAL;
	if (socket->domain == AF_INET)
		any.ip.s6_addr[10] = any.ip.s6_addr[11] = 0xff;
	if (!tcp->inet.port)
		r = sim_port_take(&tcp->inet, &any);
	if (r >= 0)
		r = sim_port_may_listen(&tcp->inet);
	if (r < 0)
		return r;
	tcp->backlog = (unsigned)backlog < BACKLOG_MAX ? (unsigned)backlog : BACKLOG_MAX;
	tcp->state = TCP_LISTEN;
	return 0;
}

int tcp_accept(struct sim_socket *socket, int flags, struct sim_socket **ret_socket)
{
	struct tcp_socket *tcp = tcp_socket_of(socket), *child;
	struct sim_socket *made;
	struct tcp_end *end;
	int r;

	if (tcp->state != TCP_LISTEN)
		return -EINVAL;
	if (list_empty(&tcp->ready))
		return -EAGAIN;
	r = sim_tcp_new(socket->file.host, socket->domain, "accept", &made);
	if (r < 0)
		return r;
	end = list_entry(list_pop_front(&tcp->ready), struct tcp_end, queued);
	tcp->queued--;
	end->listener = NULL;
	child = tcp_socket_of(made);
	sim_socket_inherit(made, socket, flags);
	child->connection = tcp_connection_of(end);
	child->side = 1;
	child->inet.local = end->address;
	child->inet.peer = child->connection->ends[0].address;
	child->state = end->state == TCP_END_OPEN ? TCP_ESTABLISHED : TCP_CLOSE;
	made->error = end->error;
	made->shut = end->state == TCP_END_OPEN ? 0 : SIM_SHUT_BOTH;
	end->socket = child;
	tcp_end_watch(child->connection, end);
	*ret_socket = made;
	return 0;
}

void tcp_accept_undo(struct sim_socket *socket, struct sim_socket *accepted)
{
	struct tcp_socket *tcp = tcp_socket_of(socket), *child = tcp_socket_of(accepted);
	struct tcp_end *end = tcp_end_of(child);

	end->socket = NULL;
	end->listener = tcp;
	end->error = accepted->error;
	child->connection = NULL;
	list_push_front(&tcp->ready, &end->queued);
	tcp->queued++;
	sim_file_unref(&accepted->file);
}

static void abort_all(struct list *ends)
{
	while (!list_empty(ends)) {
		struct tcp_end *end = list_entry(ends->next, struct tcp_end, queued);
		struct tcp_connection *connection = tcp_connection_of(end);

		list_remove(&end->queued);
		end->listener = NULL;
		tcp_end_aborts(connection, end);
		tcp_settle(connection);
	}
}

void tcp_stop_listening(struct tcp_socket *tcp)
{
	abort_all(&tcp->pending);
	abort_all(&tcp->ready);
	tcp->queued = 0;
	tcp->state = TCP_CLOSE;
}

void tcp_disconnect(struct tcp_socket *tcp)
{
	struct tcp_connection *connection = tcp->connection;
	struct tcp_end *end = connection ? tcp_end_of(tcp) : NULL;

	if (tcp->state == TCP_LISTEN)
		tcp_stop_listening(tcp);
	if (connection) {
		end->socket = NULL;
		tcp_end_aborts(connection, end);
		tcp->connection = NULL;
		tcp_settle(connection);
	}
	if (tcp->inet.port && !tcp->inet.bound_by_program)
		sim_port_release(&tcp->inet);
	tcp->inet.peer.port = 0;
	tcp->inet.socket.shut = 0;
	tcp->connecting = false;
	tcp->state = TCP_CLOSE;
}
