/* SPDX-License-Identifier: MIT */
/*
 * UDP: each datagram takes its own time, so between hosts they may pass one another; some are lost, some come twice.
 * Nobody is told of that, except that a host without such a port says so to a connected sender.
 */
#include "simulation/net/socket.h"

#include <errno.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

enum {
	DATAGRAM_MAX = 65507,
	OVERHEAD = 512, /* of each in the receiver's buffer */
	SEGMENTS_MAX = 64,
};

struct udp_socket {
	struct sim_inet inet;
	struct list queue; /* of packets */
	size_t queued;     /* bytes, with overhead */
};

static struct udp_socket *udp_of(struct sim_socket *socket)
{
	return container_of(sim_inet_of(socket), struct udp_socket, inet);
}

static struct sim_packet *first(const struct udp_socket *udp)
{
	return list_empty(&udp->queue) ? NULL : list_entry(udp->queue.next, struct sim_packet, node);
}

/* ---- arrivals ---- */

static void drop(struct sim_net *net, struct sim_packet *packet)
{
	sim_packet_free(net, packet);
}

/* Nobody has this port: word of that goes back. */
static void refuse(struct sim_net *net, struct sim_packet *packet)
{
	struct sim_host *host = packet->receiver;
	struct sim_address from = packet->from;
	int64_t ns = sim_cross(host, packet->sender, 0, false);

	if (packet->refusal || ns < 0) {
		drop(net, packet);
		return;
	}
	packet->refusal = true;
	packet->receiver = packet->sender;
	packet->sender = host;
	packet->from = packet->to;
	packet->to = from;
	list_push_back(&net->packets_flying, &packet->node);
	sim_event_at(net->world, &packet->event, net->world->now + ns);
}

static void queue(struct udp_socket *udp, struct sim_packet *packet)
{
	struct sim_net *net = sim_net_of(&udp->inet.socket);
	size_t most = (size_t)udp->inet.socket.options.receive_buffer;

	if ((udp->queued > 0 && udp->queued + packet->size + OVERHEAD > most) ||
	    (udp->inet.socket.shut & SIM_SHUT_RECV)) {
		drop(net, packet);
		return;
	}
	udp->queued += packet->size + OVERHEAD;
	list_push_back(&udp->queue, &packet->node);
	sim_file_wake(&udp->inet.socket.file, POLLIN);
}

static void is_refused(struct sim_net *net, struct sim_inet *inet, struct sim_packet *packet)
{
	if (inet && inet->peer.port != 0) {
		inet->socket.error = ECONNREFUSED;
		sim_file_wake(&inet->socket.file, POLLIN | POLLERR);
	}
	drop(net, packet);
}

static void arrive(struct sim_world *world, struct sim_event *event)
{
	struct sim_packet *packet = container_of(event, struct sim_packet, event);
	struct sim_net *net = world->net;
	struct sim_inet *inet;

	list_remove(&packet->node);
	if (!packet->receiver->up || sim_is_cut(packet->sender, packet->receiver)) {
		drop(net, packet);
		return;
	}
	inet = sim_port_receiver(packet->receiver, IPPROTO_UDP, &packet->to, &packet->from);
	if (packet->refusal)
		is_refused(net, inet, packet);
	else if (inet)
		queue(udp_of(&inet->socket), packet);
	else
		refuse(net, packet);
}

/* ---- sending ---- */

/* Where it goes, and how. */
struct outgoing {
	struct sim_address to, from;
	struct sim_host *receiver;
	size_t segment; /* 0: it is one datagram */
	int ttl, tos;
};

static int set_out(struct sim_socket *socket, const struct outgoing *outgoing, const struct sim_transfer *transfer,
		   size_t skip, size_t size)
{
	struct sim_net *net = sim_net_of(socket);
	struct sim_host *host = socket->file.host;
	int64_t ns = sim_cross(host, outgoing->receiver, size, false), due_ns = net->world->now + ns;
	struct sim_packet *packet;

	if (ns < 0)
		return 0;
	packet = sim_packet_new(net, size);
	if (!packet)
		return -ENOBUFS;
	sim_transfer_from(transfer, skip, packet->bytes, size);
	packet->from = outgoing->from;
	packet->to = outgoing->to;
	packet->sender = host;
	packet->receiver = outgoing->receiver;
	packet->sent_ns = net->world->now;
	packet->ttl = outgoing->ttl;
	packet->tos = outgoing->tos;
	packet->event.happen = arrive;
	list_push_back(&net->packets_flying, &packet->node);
	if (host == outgoing->receiver)
		due_ns = sim_cross_in_order(host, due_ns);
	sim_event_at(net->world, &packet->event, due_ns);
	return 0;
}

static int send_one(struct sim_socket *socket, const struct outgoing *outgoing, const struct sim_transfer *transfer,
		    size_t skip, size_t size)
{
	int r = set_out(socket, outgoing, transfer, skip, size);

	if (r >= 0 && sim_is_doubled(socket->file.host, outgoing->receiver))
		r = set_out(socket, outgoing, transfer, skip, size);
	return r;
}

static void read_number(const struct cmsghdr *control, int *ret_number)
{
	if (control->cmsg_len >= CMSG_LEN(sizeof *ret_number))
		memcpy(ret_number, CMSG_DATA(control), sizeof *ret_number);
}

static void read_control(const struct cmsghdr *control, struct outgoing *outgoing)
{
	uint16_t segment;

	if (control->cmsg_level == SOL_UDP && control->cmsg_type == UDP_SEGMENT &&
	    control->cmsg_len >= CMSG_LEN(sizeof segment)) {
		memcpy(&segment, CMSG_DATA(control), sizeof segment);
		outgoing->segment = segment;
	} else if ((control->cmsg_level == IPPROTO_IP && control->cmsg_type == IP_TTL) ||
		   (control->cmsg_level == IPPROTO_IPV6 && control->cmsg_type == IPV6_HOPLIMIT)) {
		read_number(control, &outgoing->ttl);
	} else if ((control->cmsg_level == IPPROTO_IP && control->cmsg_type == IP_TOS) ||
		   (control->cmsg_level == IPPROTO_IPV6 && control->cmsg_type == IPV6_TCLASS)) {
		read_number(control, &outgoing->tos);
	}
}

/* As connect() or the message says. */
static int find_target(struct sim_socket *socket, const struct msghdr *message, struct sim_address *ret_to)
{
	struct sim_inet *inet = sim_inet_of(socket);

	if (message && message->msg_name && message->msg_namelen > 0) {
		int r = sim_address_parse(socket->domain, message->msg_name, message->msg_namelen, ret_to);

		if (r < 0)
			return r;
		if (ret_to->port == 0)
			return -EINVAL;
		if (sim_ip_is_any(&ret_to->ip))
			ret_to->ip = IN6_IS_ADDR_V4MAPPED(&ret_to->ip) ? sim_ip_loopback4() : in6addr_loopback;
		return 0;
	}
	if (inet->peer.port == 0)
		return -EDESTADDRREQ;
	*ret_to = inet->peer;
	return 0;
}

static int prepare(struct sim_socket *socket, struct msghdr *message, struct outgoing *ret_outgoing)
{
	struct sim_inet *inet = sim_inet_of(socket);
	const struct sim_socket_options *options = &socket->options;
	struct in6_addr source;
	int r = find_target(socket, message, &ret_outgoing->to);

	if (r >= 0)
		r = sim_source_of(socket->file.host, &ret_outgoing->to.ip, &source);
	if (r >= 0 && !inet->port)
		r = sim_port_take(inet, &(struct sim_address){.ip = inet->local.ip});
	if (r < 0)
		return r;
	ret_outgoing->from = inet->local;
	if (sim_ip_is_any(&inet->local.ip))
		ret_outgoing->from.ip = source;
	ret_outgoing->receiver = sim_host_at(socket->file.host, &ret_outgoing->to.ip);
	ret_outgoing->segment = (size_t)options->gso_size;
	ret_outgoing->ttl = socket->domain == AF_INET ? options->ttl : options->hop_limit;
	ret_outgoing->tos = socket->domain == AF_INET ? options->tos : options->traffic_class;
	if (message && message->msg_control)
		for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c))
			read_control(c, ret_outgoing);
	return 0;
}

static int64_t udp_write(struct sim_file *file, struct sim_transfer *transfer)
{
	struct sim_socket *socket = sim_socket_of(file);
	struct outgoing outgoing = {0};
	int r = sim_socket_take_error(socket);
	size_t segment;

	if (r < 0)
		return r;
	if (socket->shut & SIM_SHUT_SEND)
		return -EPIPE;
	if (transfer->flags & MSG_OOB)
		return -EOPNOTSUPP;
	r = prepare(socket, transfer->message, &outgoing);
	if (r < 0)
		return r;
	if (transfer->size > DATAGRAM_MAX)
		return -EMSGSIZE;
	segment = outgoing.segment > 0 ? outgoing.segment : transfer->size;
	if (outgoing.segment > 0 && transfer->size > outgoing.segment * SEGMENTS_MAX)
		return -EINVAL;
	if (sim_strikes(&file->world->plan, SIM_FAULT_NOBUFS))
		return -ENOBUFS;
	if (!outgoing.receiver)
		return (int64_t)transfer->size; /* nobody has that address, and nobody says so */
	if (transfer->size == 0)
		r = send_one(socket, &outgoing, transfer, 0, 0);
	for (size_t skip = 0; r >= 0 && skip < transfer->size; skip += segment)
		r = send_one(socket, &outgoing, transfer, skip,
			     transfer->size - skip < segment ? transfer->size - skip : segment);
	return r < 0 ? r : (int64_t)transfer->size;
}

/* ---- receiving ---- */

static void put_v4(struct sim_control *control, const struct sim_socket *socket, const struct sim_packet *packet)
{
	const struct sim_socket_options *options = &socket->options;
	struct in_pktinfo info = {.ipi_ifindex = 1};
	unsigned char tos = (unsigned char)packet->tos;

	memcpy(&info.ipi_addr, packet->to.ip.s6_addr + 12, sizeof info.ipi_addr);
	info.ipi_spec_dst = info.ipi_addr;
	if (options->receive_info)
		sim_control_put(control, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
	if (options->receive_ttl)
		sim_control_put(control, IPPROTO_IP, IP_TTL, &packet->ttl, sizeof packet->ttl);
	if (options->receive_tos)
		sim_control_put(control, IPPROTO_IP, IP_TOS, &tos, sizeof tos);
}

static void put_v6(struct sim_control *control, const struct sim_socket *socket, const struct sim_packet *packet)
{
	const struct sim_socket_options *options = &socket->options;
	struct in6_pktinfo info = {.ipi6_addr = packet->to.ip, .ipi6_ifindex = 1};

	if (options->receive_info6)
		sim_control_put(control, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info);
	if (options->receive_hop_limit)
		sim_control_put(control, IPPROTO_IPV6, IPV6_HOPLIMIT, &packet->ttl, sizeof packet->ttl);
	if (options->receive_traffic_class)
		sim_control_put(control, IPPROTO_IPV6, IPV6_TCLASS, &packet->tos, sizeof packet->tos);
}

static void put_time(struct sim_control *control, const struct sim_socket *socket, const struct sim_packet *packet)
{
	const struct sim_host *host = socket->file.host;
	int64_t ns = sim_host_realtime(host) - (host->world->now - packet->sent_ns);
	struct timespec stamp_ns = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
	struct timeval stamp = {.tv_sec = stamp_ns.tv_sec, .tv_usec = stamp_ns.tv_nsec / 1000};

	if (socket->options.timestamp_ns)
		sim_control_put(control, SOL_SOCKET, SO_TIMESTAMPNS, &stamp_ns, sizeof stamp_ns);
	else if (socket->options.timestamp)
		sim_control_put(control, SOL_SOCKET, SO_TIMESTAMP, &stamp, sizeof stamp);
}

static void describe(struct sim_socket *socket, const struct sim_packet *packet, struct msghdr *message, int segment)
{
	struct sim_control control = sim_control_begin(message);

	if (!message)
		return;
	sim_address_print(socket->domain, &packet->from, message->msg_name, &message->msg_namelen);
	if (!message->msg_name)
		message->msg_namelen = 0;
	put_time(&control, socket, packet);
	if (socket->domain == AF_INET)
		put_v4(&control, socket, packet);
	else
		put_v6(&control, socket, packet);
	if (segment > 0)
		sim_control_put(&control, SOL_UDP, UDP_GRO, &segment, sizeof segment);
	sim_control_end(&control);
}

static void take_out(struct udp_socket *udp, struct sim_packet *packet)
{
	udp->queued -= packet->size + OVERHEAD;
	drop(sim_net_of(&udp->inet.socket), packet);
}

/* What may be received with the first (UDP_GRO): of the same sender, and as long; the last may be shorter. */
static size_t take_alike(struct udp_socket *udp, const struct sim_transfer *transfer, size_t size, size_t done)
{
	struct sim_address from = first(udp)->from;
	struct sim_packet *next;

	take_out(udp, first(udp));
	while ((next = first(udp)) && sim_address_equal(&next->from, &from) && next->size > 0 && next->size <= size &&
	       done + next->size <= transfer->size) {
		bool last = next->size < size;

		done += sim_transfer_to(transfer, done, next->bytes, next->size);
		take_out(udp, next);
		if (last)
			break;
	}
	return done;
}

static int64_t udp_read(struct sim_file *file, struct sim_transfer *transfer)
{
	struct sim_socket *socket = sim_socket_of(file);
	struct udp_socket *udp = udp_of(socket);
	struct sim_packet *packet = first(udp);
	struct msghdr *message = transfer->message;
	bool grows = socket->options.gro && !(transfer->flags & MSG_PEEK);
	int r = sim_socket_take_error(socket);
	size_t size, whole;

	if (r < 0)
		return r;
	if (!packet || (transfer->flags & MSG_ERRQUEUE))
		return !packet && (socket->shut & SIM_SHUT_RECV) ? 0 : -EAGAIN;
	whole = packet->size;
	size = sim_transfer_to(transfer, 0, packet->bytes, whole < transfer->size ? whole : transfer->size);
	if (message)
		message->msg_flags = size < whole ? MSG_TRUNC : 0;
	describe(socket, packet, message, grows ? (int)whole : 0);
	if (grows && size == whole)
		size = take_alike(udp, transfer, whole, size);
	else if (!(transfer->flags & MSG_PEEK))
		take_out(udp, packet);
	return transfer->flags & MSG_TRUNC && size < whole ? (int64_t)whole : (int64_t)size;
}

static unsigned udp_poll(struct sim_file *file)
{
	struct sim_socket *socket = sim_socket_of(file);
	unsigned events = POLLOUT | POLLWRNORM;

	if (!list_empty(&udp_of(socket)->queue))
		events |= POLLIN | POLLRDNORM;
	if (socket->shut & SIM_SHUT_RECV)
		events |= POLLIN | POLLRDNORM | POLLRDHUP;
	if (socket->shut == SIM_SHUT_BOTH)
		events |= POLLHUP;
	if (socket->error)
		events |= POLLERR;
	return events;
}

/* ---- the rest ---- */

static int udp_connect(struct sim_socket *socket, const struct sockaddr *sockaddr, socklen_t length)
{
	struct sim_inet *inet = sim_inet_of(socket);
	struct msghdr message = {.msg_name = (void *)(uintptr_t)sockaddr, .msg_namelen = length};
	struct outgoing outgoing = {0};
	int r;

	if (sockaddr->sa_family == AF_UNSPEC) {
		inet->peer.port = 0;
		return 0;
	}
	r = prepare(socket, &message, &outgoing);
	if (r < 0)
		return r;
	inet->local = outgoing.from;
	inet->peer = outgoing.to;
	return 0;
}

static int udp_bind(struct sim_socket *socket, const struct sockaddr *address, socklen_t length)
{
	return sim_inet_bind(socket, address, length);
}

static int udp_shutdown(struct sim_socket *socket, unsigned shut)
{
	socket->shut |= shut;
	sim_file_wake(&socket->file, POLLIN | POLLOUT | POLLHUP | POLLRDHUP);
	return sim_inet_of(socket)->peer.port != 0 ? 0 : -ENOTCONN;
}

static size_t udp_unread(struct sim_socket *socket)
{
	const struct sim_packet *packet = first(udp_of(socket));

	return packet ? packet->size : 0;
}

static void udp_release(struct sim_file *file)
{
	struct udp_socket *udp = udp_of(sim_socket_of(file));

	while (!list_empty(&udp->queue))
		take_out(udp, first(udp));
	sim_port_release(&udp->inet);
	free(udp);
}

static const struct sim_socket_class udp_class = {
	.file = {.noun = "UDP socket",
		 .is_socket = true,
		 .poll = udp_poll,
		 .read = udp_read,
		 .write = udp_write,
		 .release = udp_release},
	.bind = udp_bind,
	.connect = udp_connect,
	.shutdown = udp_shutdown,
	.name = sim_inet_name,
	.unread = udp_unread,
};

int sim_udp_new(struct sim_host *host, int domain, struct sim_socket **ret_socket)
{
	struct udp_socket *udp = calloc(1, sizeof *udp);

	if (!udp)
		return -ENOMEM;
	sim_socket_init(&udp->inet.socket, &udp_class, host, "socket", domain, SOCK_DGRAM, IPPROTO_UDP);
	sim_inet_init(&udp->inet);
	list_init(&udp->queue);
	*ret_socket = &udp->inet.socket;
	return 0;
}
