/* SPDX-License-Identifier: MIT */
/*
 * Ports. Who may bind where another is bound already follows Linux: with SO_REUSEPORT on both; with SO_REUSEADDR on
 * both, unless one listens; and a port whose connections are not long over is refused to whoever lacks SO_REUSEADDR.
 */
#include "simulation/net/socket.h"

#include <errno.h>
#include <stdlib.h>

#define TIME_WAIT_NS INT64_C(60000000000)

static struct sim_port **bucket_of(const struct sim_host *host, int protocol, uint16_t number)
{
	unsigned hash = number ^ host->number * 193 ^ (unsigned)protocol * 769;

	return &host->world->net->ports[hash % SIM_PORT_BUCKETS];
}

static bool is_free(const struct sim_port *port)
{
	return list_empty(&port->sockets) && port->connections == 0 &&
	       port->time_wait_until_ns <= port->host->world->now;
}

struct sim_port *sim_port_find(struct sim_host *host, int protocol, uint16_t number)
{
	struct sim_port **place = bucket_of(host, protocol, number);

	while (*place) {
		struct sim_port *port = *place;

		if (is_free(port)) {
			*place = port->next;
			free(port);
		} else if (port->host == host && port->protocol == protocol && port->number == number) {
			return port;
		} else {
			place = &port->next;
		}
	}
	return NULL;
}

static struct sim_port *make(struct sim_host *host, int protocol, uint16_t number)
{
	struct sim_port **place = bucket_of(host, protocol, number);
	struct sim_port *port = calloc(1, sizeof *port);

	if (!port)
		return NULL;
	port->host = host;
	port->protocol = protocol;
	port->number = number;
	list_init(&port->sockets);
	port->next = *place;
	*place = port;
	return port;
}

/* ---- who may be where ---- */

static bool only_v6(const struct sim_inet *inet)
{
	return inet->socket.domain == AF_INET6 && inet->socket.options.v6_only;
}

/* Is an address one of those that a socket is bound to? */
static bool covers(const struct sim_inet *inet, const struct in6_addr *bound, const struct in6_addr *ip)
{
	if (!sim_ip_is_any(bound))
		return IN6_ARE_ADDR_EQUAL(bound, ip);
	if (IN6_IS_ADDR_V4MAPPED(ip))
		return inet->socket.domain == AF_INET || !only_v6(inet);
	return inet->socket.domain == AF_INET6;
}

static bool overlap(const struct sim_inet *a, const struct in6_addr *a_ip, const struct sim_inet *b)
{
	return covers(a, a_ip, &b->local.ip) || covers(b, &b->local.ip, a_ip);
}

static bool listens(const struct sim_inet *inet)
{
	return inet->socket.type == SOCK_STREAM && sim_tcp_listens(&inet->socket);
}

static bool get_along(const struct sim_inet *inet, const struct sim_inet *other, bool one_listens)
{
	if (inet->socket.options.reuse_port && other->socket.options.reuse_port)
		return true;
	return inet->socket.options.reuse_address && other->socket.options.reuse_address && !one_listens;
}

static bool is_taken(const struct sim_inet *inet, const struct in6_addr *ip, const struct sim_port *port)
{
	const struct sim_socket_options *options = &inet->socket.options;

	if ((port->connections > 0 || port->time_wait_until_ns > port->host->world->now) &&
	    !(options->reuse_address && port->reusable) && !options->reuse_port)
		return true;
	for (struct list *node = port->sockets.next; node != &port->sockets; node = node->next) {
		const struct sim_inet *other = list_entry(node, struct sim_inet, bound);

		if (overlap(inet, ip, other) && !get_along(inet, other, listens(other)))
			return true;
	}
	return false;
}

/* ---- taking and giving back ---- */

/* The next that nobody has; 0: all are taken. */
static uint16_t choose(struct sim_inet *inet)
{
	struct sim_host *host = inet->socket.file.host;
	uint16_t *next = &host->world->net->next_port[host->number];

	for (int i = SIM_PORT_FIRST; i <= SIM_PORT_LAST; i++) {
		*next = *next >= SIM_PORT_FIRST && *next < SIM_PORT_LAST ? (uint16_t)(*next + 1) : SIM_PORT_FIRST;
		if (!sim_port_find(host, inet->socket.protocol, *next))
			return *next;
	}
	return 0;
}

int sim_port_take(struct sim_inet *inet, const struct sim_address *address)
{
	struct sim_host *host = inet->socket.file.host;
	uint16_t number = address->port ? address->port : choose(inet);
	struct sim_port *port = number ? sim_port_find(host, inet->socket.protocol, number) : NULL;

	if (number == 0 || (port && is_taken(inet, &address->ip, port)))
		return -EADDRINUSE;
	if (!port)
		port = make(host, inet->socket.protocol, number);
	if (!port)
		return -ENOMEM;
	inet->local = (struct sim_address){.ip = address->ip, .port = number};
	inet->port = port;
	list_push_back(&port->sockets, &inet->bound);
	return 0;
}

int sim_port_may_listen(struct sim_inet *inet)
{
	for (struct list *node = inet->port->sockets.next; node != &inet->port->sockets; node = node->next) {
		const struct sim_inet *other = list_entry(node, struct sim_inet, bound);

		if (other != inet && listens(other) && overlap(inet, &inet->local.ip, other) &&
		    !get_along(inet, other, true))
			return -EADDRINUSE;
	}
	return 0;
}

void sim_port_release(struct sim_inet *inet)
{
	list_remove(&inet->bound);
	inet->port = NULL;
}

void sim_port_connection_ends(struct sim_port *port, bool waits)
{
	port->connections--;
	if (waits)
		port->time_wait_until_ns = port->host->world->now + TIME_WAIT_NS;
}

/* ---- who receives ---- */

/* How well it fits; 0: not at all. */
static int fitness(const struct sim_inet *inet, const struct sim_address *to, const struct sim_address *from)
{
	if (inet->socket.type == SOCK_STREAM && !listens(inet))
		return 0;
	if (!covers(inet, &inet->local.ip, &to->ip))
		return 0;
	if (inet->peer.port != 0)
		return sim_address_equal(&inet->peer, from) ? 4 : 0;
	return (sim_ip_is_any(&inet->local.ip) ? 1 : 2);
}

/* Among equals (SO_REUSEPORT) one is drawn. */
struct sim_inet *sim_port_receiver(struct sim_host *host, int protocol, const struct sim_address *to,
				   const struct sim_address *from)
{
	struct sim_port *port = sim_port_find(host, protocol, to->port);
	struct sim_inet *best = NULL;
	int best_fit = 0;
	uint64_t equals = 0;

	for (struct list *node = port ? port->sockets.next : NULL; node && node != &port->sockets; node = node->next) {
		struct sim_inet *inet = list_entry(node, struct sim_inet, bound);
		int fit = fitness(inet, to, from);

		if (fit == 0 || fit < best_fit)
			continue;
		equals = fit > best_fit ? 1 : equals + 1;
		if (equals == 1 || sim_draw(host->world, SIM_CHOICE_ORDER, equals) == 0)
			best = inet;
		best_fit = fit;
	}
	return best;
}

/* ---- ends ---- */

void sim_ports_forget(struct sim_host *host)
{
	struct sim_net *net = host->world->net;

	for (unsigned i = 0; i < SIM_PORT_BUCKETS; i++)
		for (struct sim_port *port = net->ports[i]; port; port = port->next) {
			if (port->host != host)
				continue;
			port->time_wait_until_ns = 0;
			port->connections = 0;
			while (!list_empty(&port->sockets))
				sim_port_release(list_entry(port->sockets.next, struct sim_inet, bound));
		}
}

void sim_ports_free(struct sim_net *net)
{
	for (unsigned i = 0; i < SIM_PORT_BUCKETS; i++)
		while (net->ports[i]) {
			struct sim_port *next = net->ports[i]->next;

			free(net->ports[i]);
			net->ports[i] = next;
		}
}
