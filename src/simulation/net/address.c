/* SPDX-License-Identifier: MIT */
/* Addresses of the Internet: inside, all are of IPv6, and those of IPv4 are mapped into it. */
#include "simulation/net/socket.h"

#include <errno.h>
#include <string.h>

static bool is_v4(const struct in6_addr *ip)
{
	return IN6_IS_ADDR_V4MAPPED(ip);
}

static struct in6_addr mapped(in_addr_t address)
{
	struct in6_addr ip = {.s6_addr[10] = 0xff, .s6_addr[11] = 0xff};

	memcpy(ip.s6_addr + 12, &address, sizeof address);
	return ip;
}

bool sim_ip_is_any(const struct in6_addr *ip)
{
	static const unsigned char none[4];

	return IN6_IS_ADDR_UNSPECIFIED(ip) || (is_v4(ip) && memcmp(ip->s6_addr + 12, none, sizeof none) == 0);
}

bool sim_ip_is_loopback(const struct in6_addr *ip)
{
	return IN6_IS_ADDR_LOOPBACK(ip) || (is_v4(ip) && ip->s6_addr[12] == 127);
}

struct in6_addr sim_ip_loopback4(void)
{
	return mapped(htonl(INADDR_LOOPBACK));
}

static int parse_v4(const struct sockaddr *sockaddr, socklen_t length, struct sim_address *ret_address)
{
	struct sockaddr_in v4;

	if (length < sizeof v4)
		return -EINVAL;
	memcpy(&v4, sockaddr, sizeof v4);
	*ret_address = (struct sim_address){.ip = mapped(v4.sin_addr.s_addr), .port = ntohs(v4.sin_port)};
	return 0;
}

static int parse_v6(const struct sockaddr *sockaddr, socklen_t length, struct sim_address *ret_address)
{
	struct sockaddr_in6 v6;

	if (length < offsetof(struct sockaddr_in6, sin6_scope_id))
		return -EINVAL;
	memcpy(&v6, sockaddr, offsetof(struct sockaddr_in6, sin6_scope_id));
	*ret_address = (struct sim_address){.ip = v6.sin6_addr, .port = ntohs(v6.sin6_port)};
	return 0;
}

int sim_address_parse(int domain, const struct sockaddr *sockaddr, socklen_t length, struct sim_address *ret_address)
{
	if (length < sizeof(sa_family_t))
		return -EINVAL;
	if (sockaddr->sa_family == AF_INET)
		return parse_v4(sockaddr, length, ret_address);
	if (sockaddr->sa_family == AF_INET6 && domain == AF_INET6)
		return parse_v6(sockaddr, length, ret_address);
	return -EAFNOSUPPORT;
}

void sim_sockaddr_copy(const void *from, socklen_t size, struct sockaddr *to, socklen_t *length)
{
	if (!to || !length)
		return;
	memcpy(to, from, size < *length ? size : *length);
	*length = size;
}

void sim_address_print(int domain, const struct sim_address *address, struct sockaddr *sockaddr, socklen_t *length)
{
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	struct sockaddr_in v4 = {.sin_family = AF_INET};

	if (domain == AF_INET6) {
		v6.sin6_addr = address->ip;
		v6.sin6_port = htons(address->port);
		sim_sockaddr_copy(&v6, sizeof v6, sockaddr, length);
		return;
	}
	memcpy(&v4.sin_addr, address->ip.s6_addr + 12, sizeof v4.sin_addr);
	v4.sin_port = htons(address->port);
	sim_sockaddr_copy(&v4, sizeof v4, sockaddr, length);
}

static bool has_address(const struct sim_host *host, const struct in6_addr *ip)
{
	for (unsigned i = 0; i < host->addresses_count; i++)
		if (IN6_ARE_ADDR_EQUAL(&host->addresses[i], ip))
			return true;
	return false;
}

struct sim_host *sim_host_at(struct sim_host *seen_from, const struct in6_addr *ip)
{
	struct sim_world *world = seen_from->world;

	if (sim_ip_is_loopback(ip) || sim_ip_is_any(ip) || has_address(seen_from, ip))
		return seen_from;
	for (unsigned i = 0; i < world->hosts_count; i++)
		if (has_address(world->hosts[i], ip))
			return world->hosts[i];
	return NULL;
}

int sim_source_of(struct sim_host *host, const struct in6_addr *to, struct in6_addr *ret_ip)
{
	if (sim_ip_is_loopback(to)) {
		*ret_ip = is_v4(to) ? sim_ip_loopback4() : in6addr_loopback;
		return 0;
	}
	if (has_address(host, to)) {
		*ret_ip = *to;
		return 0;
	}
	for (unsigned i = 0; i < host->addresses_count; i++)
		if (!sim_ip_is_loopback(&host->addresses[i]) && is_v4(&host->addresses[i]) == is_v4(to)) {
			*ret_ip = host->addresses[i];
			return 0;
		}
	return -ENETUNREACH;
}

/* ---- calls that are alike for TCP and UDP ---- */

void sim_inet_init(struct sim_inet *inet)
{
	list_init(&inet->bound);
	if (inet->socket.domain == AF_INET)
		inet->local.ip = mapped(INADDR_ANY);
}

int sim_inet_bind(struct sim_socket *socket, const struct sockaddr *sockaddr, socklen_t length)
{
	struct sim_inet *inet = sim_inet_of(socket);
	struct sim_address address;
	int r = sim_address_parse(socket->domain, sockaddr, length, &address);

	if (r < 0)
		return r;
	if (inet->port)
		return -EINVAL;
	if (socket->domain == AF_INET6 && sockaddr->sa_family == AF_INET)
		return -EAFNOSUPPORT;
	if (socket->options.v6_only && is_v4(&address.ip))
		return -EINVAL;
	if (!sim_ip_is_any(&address.ip) && sim_host_at(socket->file.host, &address.ip) != socket->file.host)
		return -EADDRNOTAVAIL;
	return sim_port_take(inet, &address);
}

int sim_inet_name(struct sim_socket *socket, bool of_peer, struct sockaddr *sockaddr, socklen_t *length)
{
	const struct sim_inet *inet = sim_inet_of(socket);

	if (of_peer && inet->peer.port == 0)
		return -ENOTCONN;
	sim_address_print(socket->domain, of_peer ? &inet->peer : &inet->local, sockaddr, length);
	return 0;
}
