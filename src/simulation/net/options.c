/* SPDX-License-Identifier: MIT */
/*
 * Options of sockets. Those that are numbers or switches are a table each; what can only be read, or has a shape of its
 * own, is a case. An option that is known and makes no difference in a simulation is kept and told again.
 */
#include "simulation/net/socket.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <string.h>
#include <unistd.h>

enum { BUFFER_LEAST = 2304, BUFFER_MOST = 8 << 20 };

/* ---- switches and numbers ---- */

struct number {
	int name;
	unsigned short place; /* of an int in the options */
	int least, most;
};

struct toggle {
	int name;
	unsigned short place; /* of a bool in the options */
};

#define PLACE(member) offsetof(struct sim_socket_options, member)
#define NUMBER(name, member, low, high) \
	{ \
		name, PLACE(member), low, high \
	}
#define TOGGLE(name, member) \
	{ \
		name, PLACE(member) \
	}

static const struct toggle socket_toggles[] = {
	TOGGLE(SO_REUSEADDR, reuse_address),      TOGGLE(SO_REUSEPORT, reuse_port),
	TOGGLE(SO_KEEPALIVE, keep_alive),         TOGGLE(SO_BROADCAST, broadcast),
	TOGGLE(SO_OOBINLINE, out_of_band_inline), TOGGLE(SO_NO_CHECK, no_check),
	TOGGLE(SO_PASSCRED, pass_credentials),    TOGGLE(SO_TIMESTAMP, timestamp),
	TOGGLE(SO_TIMESTAMPNS, timestamp_ns),     TOGGLE(SO_ZEROCOPY, zero_copy),
	TOGGLE(SO_DONTROUTE, dont_route),         {0},
};
static const struct toggle ip_toggles[] = {
	TOGGLE(IP_PKTINFO, receive_info), TOGGLE(IP_RECVTTL, receive_ttl), TOGGLE(IP_RECVTOS, receive_tos), {0}};
static const struct toggle ipv6_toggles[] = {TOGGLE(IPV6_V6ONLY, v6_only),
					     TOGGLE(IPV6_RECVPKTINFO, receive_info6),
					     TOGGLE(IPV6_RECVHOPLIMIT, receive_hop_limit),
					     TOGGLE(IPV6_RECVTCLASS, receive_traffic_class),
					     {0}};
static const struct toggle udp_toggles[] = {TOGGLE(UDP_GRO, gro), {0}};

static const struct number socket_numbers[] = {NUMBER(SO_RCVLOWAT, receive_low, 1, BUFFER_MOST),
					       NUMBER(SO_PRIORITY, priority, 0, 6),
					       NUMBER(SO_MARK, mark, INT32_MIN, INT32_MAX),
					       {0}};
static const struct number ip_numbers[] = {NUMBER(IP_TTL, ttl, 1, 255), NUMBER(IP_TOS, tos, 0, 255), {0}};
static const struct number ipv6_numbers[] = {
	NUMBER(IPV6_UNICAST_HOPS, hop_limit, 1, 255), NUMBER(IPV6_TCLASS, traffic_class, 0, 255), {0}};
static const struct number tcp_numbers[] = {NUMBER(TCP_NODELAY, no_delay, 0, INT32_MAX),
					    NUMBER(TCP_CORK, cork, 0, INT32_MAX),
					    NUMBER(TCP_QUICKACK, quick_ack, 0, INT32_MAX),
					    NUMBER(TCP_KEEPIDLE, keep_idle_s, 1, 32767),
					    NUMBER(TCP_KEEPINTVL, keep_interval_s, 1, 32767),
					    NUMBER(TCP_KEEPCNT, keep_count, 1, 127),
					    NUMBER(TCP_SYNCNT, syn_count, 1, 127),
					    NUMBER(TCP_USER_TIMEOUT, user_timeout_ms, 0, INT32_MAX),
					    NUMBER(TCP_DEFER_ACCEPT, defer_accept_s, 0, INT32_MAX),
					    NUMBER(TCP_MAXSEG, segment_size, 88, 32767),
					    NUMBER(TCP_NOTSENT_LOWAT, not_sent_low, 0, INT32_MAX),
					    NUMBER(TCP_LINGER2, linger2_s, -1, INT32_MAX),
					    {0}};
static const struct number udp_numbers[] = {NUMBER(UDP_SEGMENT, gso_size, 0, 65535), {0}};

struct level {
	const struct toggle *toggles;
	const struct number *numbers;
};

static bool has_tcp(const struct sim_socket *socket)
{
	return socket->protocol == IPPROTO_TCP;
}

/* The tables of a level, as far as this socket has them. */
static struct level level_of(const struct sim_socket *socket, int level)
{
	static const struct toggle no_toggles[] = {{0}};
	static const struct number no_numbers[] = {{0}};
	const struct level none = {no_toggles, no_numbers};

	switch (level) {
	case SOL_SOCKET:
		return (struct level){socket_toggles, socket_numbers};
	case IPPROTO_IP:
		return socket->domain != AF_UNIX ? (struct level){ip_toggles, ip_numbers} : none;
	case IPPROTO_IPV6:
		return socket->domain == AF_INET6 ? (struct level){ipv6_toggles, ipv6_numbers} : none;
	case IPPROTO_TCP:
		return has_tcp(socket) ? (struct level){no_toggles, tcp_numbers} : none;
	case IPPROTO_UDP:
		return socket->protocol == IPPROTO_UDP ? (struct level){udp_toggles, udp_numbers} : none;
	default:
		return none;
	}
}

static bool *toggle_of(struct sim_socket *socket, int level, int name)
{
	for (const struct toggle *toggle = level_of(socket, level).toggles; toggle->name; toggle++)
		if (toggle->name == name)
			return (bool *)((char *)&socket->options + toggle->place);
	return NULL;
}

static const struct number *number_of(const struct sim_socket *socket, int level, int name)
{
	for (const struct number *number = level_of(socket, level).numbers; number->name; number++)
		if (number->name == name)
			return number;
	return NULL;
}

static int *place_of(struct sim_socket *socket, const struct number *number)
{
	return (int *)(void *)((char *)&socket->options + number->place);
}

/* ---- telling ---- */

/* Cut to the room there is. */
static int give(const void *from, size_t size, void *value, socklen_t *length)
{
	if (*length > size)
		*length = (socklen_t)size;
	memcpy(value, from, *length);
	return 0;
}

static int give_number(int number, void *value, socklen_t *length)
{
	return give(&number, sizeof number, value, length);
}

static int give_tcp_info(struct sim_socket *socket, void *value, socklen_t *length)
{
	struct tcp_info info = {
		.tcpi_state = (uint8_t)sim_tcp_state(socket), .tcpi_snd_mss = 1448, .tcpi_rcv_mss = 1448};

	return give(&info, sizeof info, value, length);
}

static int give_peer_credentials(const struct sim_socket *socket, void *value, socklen_t *length)
{
	struct ucred credentials = {.pid = getpid(), .uid = getuid(), .gid = getgid()};

	if (socket->domain != AF_UNIX)
		credentials = (struct ucred){.uid = (uid_t)-1, .gid = (gid_t)-1};
	return give(&credentials, sizeof credentials, value, length);
}

static int get_of_socket(struct sim_socket *socket, int name, void *value, socklen_t *length)
{
	const struct sim_socket_class *class = sim_socket_class_of(socket);
	const struct sim_socket_options *options = &socket->options;
	struct linger linger = {.l_onoff = options->lingers, .l_linger = options->linger_s};

	switch (name) {
	case SO_TYPE:
		return give_number(socket->type, value, length);
	case SO_DOMAIN:
		return give_number(socket->domain, value, length);
	case SO_PROTOCOL:
		return give_number(socket->protocol, value, length);
	case SO_ERROR:
		return give_number(-sim_socket_take_error(socket), value, length);
	case SO_ACCEPTCONN:
		return give_number(class->listens && class->listens(socket), value, length);
	case SO_SNDBUF:
		return give_number(options->send_buffer, value, length);
	case SO_RCVBUF:
		return give_number(options->receive_buffer, value, length);
	case SO_LINGER:
		return give(&linger, sizeof linger, value, length);
	case SO_PEERCRED:
		return give_peer_credentials(socket, value, length);
	case SO_RCVTIMEO:
		return give(&options->receive_timeout, sizeof options->receive_timeout, value, length);
	case SO_SNDTIMEO:
		return give(&options->send_timeout, sizeof options->send_timeout, value, length);
	default:
		return -ENOPROTOOPT;
	}
}

int sim_getsockopt(struct sim_file *file, int level, int name, void *value, socklen_t *length)
{
	struct sim_socket *socket = sim_socket_of(file);
	const struct number *number;
	const bool *toggle;

	if (!file->class->is_socket)
		return -ENOTSOCK;
	if ((int)*length < 0)
		return -EINVAL;
	toggle = toggle_of(socket, level, name);
	if (toggle)
		return give_number(*toggle, value, length);
	number = number_of(socket, level, name);
	if (number)
		return give_number(*place_of(socket, number), value, length);
	if (level == SOL_SOCKET)
		return get_of_socket(socket, name, value, length);
	if (level == IPPROTO_TCP && name == TCP_INFO && has_tcp(socket))
		return give_tcp_info(socket, value, length);
	return level == IPPROTO_TCP || level == IPPROTO_IP || level == IPPROTO_IPV6 || level == IPPROTO_UDP
		       ? -ENOPROTOOPT
		       : -EOPNOTSUPP;
}

/* ---- setting ---- */

/* Twice what is asked for, as Linux counts what it needs itself. */
static int set_buffer(int *buffer, int size)
{
	size = size < BUFFER_MOST / 2 ? size : BUFFER_MOST / 2;
	*buffer = size * 2 > BUFFER_LEAST ? size * 2 : BUFFER_LEAST;
	return 0;
}

static int set_linger(struct sim_socket *socket, const void *value, socklen_t length)
{
	struct linger linger;

	if (length < sizeof linger)
		return -EINVAL;
	memcpy(&linger, value, sizeof linger);
	socket->options.lingers = linger.l_onoff;
	socket->options.linger_s = linger.l_linger;
	return 0;
}

static int set_timeout(struct timeval *timeout, const void *value, socklen_t length)
{
	if (length < sizeof *timeout)
		return -EINVAL;
	memcpy(timeout, value, sizeof *timeout);
	return 0;
}

static int set_of_socket(struct sim_socket *socket, int name, const void *value, socklen_t length, int number)
{
	switch (name) {
	case SO_SNDBUF:
	case SO_SNDBUFFORCE:
		return set_buffer(&socket->options.send_buffer, number);
	case SO_RCVBUF:
	case SO_RCVBUFFORCE:
		return set_buffer(&socket->options.receive_buffer, number);
	case SO_LINGER:
		return set_linger(socket, value, length);
	case SO_RCVTIMEO:
		return set_timeout(&socket->options.receive_timeout, value, length);
	case SO_SNDTIMEO:
		return set_timeout(&socket->options.send_timeout, value, length);
	default:
		return -ENOPROTOOPT;
	}
}

static int set_number(struct sim_socket *socket, const struct number *number, int value)
{
	if (value < number->least || value > number->most)
		return -EINVAL;
	*place_of(socket, number) = value;
	return 0;
}

static void after_change(struct sim_socket *socket, int level)
{
	if (has_tcp(socket) && (level == SOL_SOCKET || level == IPPROTO_TCP))
		sim_tcp_keep_alive(socket);
}

int sim_setsockopt(struct sim_file *file, int level, int name, const void *value, socklen_t length)
{
	struct sim_socket *socket = sim_socket_of(file);
	const struct number *number;
	bool *toggle;
	int given = 0;

	if (!file->class->is_socket)
		return -ENOTSOCK;
	if (length < sizeof given)
		return -EINVAL;
	memcpy(&given, value, sizeof given);
	toggle = toggle_of(socket, level, name);
	number = number_of(socket, level, name);
	if (toggle) {
		*toggle = given;
		after_change(socket, level);
		return 0;
	}
	if (number)
		return set_number(socket, number, given);
	if (level == SOL_SOCKET)
		return set_of_socket(socket, name, value, length, given);
	return level == IPPROTO_TCP || level == IPPROTO_IP || level == IPPROTO_IPV6 || level == IPPROTO_UDP
		       ? -ENOPROTOOPT
		       : -EOPNOTSUPP;
}
