/* SPDX-License-Identifier: MIT */
/* What all sockets share, and what the families offer one another. Of this folder only. */
#ifndef NORIA_SIMULATION_NET_SOCKET_H
#define NORIA_SIMULATION_NET_SOCKET_H

#include "base/container.h"
#include "simulation/file.h"
#include "simulation/host.h"
#include "simulation/net/net.h"
#include "simulation/world.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/un.h>

/* ---- what a world has of it ---- */

enum {
	SIM_PORT_BUCKETS = 1024,
	SIM_PORT_FIRST = 32768, /* of those that are chosen */
	SIM_PORT_LAST = 60999,
	SIM_PACKET_ROOM = 2048, /* larger ones are not kept for use again */
};

struct sim_path; /* one direction between hosts, see link.c */
struct sim_port;
struct sim_name;

struct sim_net {
	struct sim_world *world;
	struct sim_path *paths[SIM_HOSTS_MAX]; /* by who sends: an array by who receives; NULL: none was used */
	struct sim_port *ports[SIM_PORT_BUCKETS];
	struct sim_name *names;          /* of Unix sockets */
	struct list connections;         /* of TCP, in the order in which they began */
	struct list connections_idle;    /* records without one */
	struct list packets_flying;      /* of UDP */
	struct list packets_idle;        /* records without one, of SIM_PACKET_ROOM */
	struct list unix_sockets;        /* all */
	struct list signal_files;        /* all */
	uint64_t signals[SIM_HOSTS_MAX]; /* pending */
	uint16_t next_port[SIM_HOSTS_MAX];
	unsigned unnamed; /* names that were chosen for Unix sockets */
};

/* ---- between hosts: link.c ---- */

/* A packet of so many bytes, of a stream or not, sets out. How long it takes, or -1: it is lost. */
int64_t sim_cross(struct sim_host *from, struct sim_host *to, size_t size, bool stream);
/* The time of one that carries nothing that matters by itself, like an acknowledgement. */
int64_t sim_cross_typical(struct sim_host *from, struct sim_host *to);
bool sim_is_cut(struct sim_host *from, struct sim_host *to);
/* Datagrams within a host do not pass one another: when one arrives that would arrive at `due`. */
int64_t sim_cross_in_order(struct sim_host *host, int64_t due);
bool sim_is_doubled(struct sim_host *from, struct sim_host *to);
void sim_paths_free(struct sim_net *net);

/* ---- addresses and ports: address.c, port.c ---- */

struct sim_address {
	struct in6_addr ip; /* IPv4 ones mapped */
	uint16_t port;
};

static inline bool sim_address_equal(const struct sim_address *a, const struct sim_address *b)
{
	return a->port == b->port && IN6_ARE_ADDR_EQUAL(&a->ip, &b->ip);
}

bool sim_ip_is_any(const struct in6_addr *ip);
bool sim_ip_is_loopback(const struct in6_addr *ip);
struct in6_addr sim_ip_loopback4(void);
/* Of an address that is given to a socket of this domain. Returns 0, -EINVAL, -EAFNOSUPPORT. */
int sim_address_parse(int domain, const struct sockaddr *sockaddr, socklen_t length, struct sim_address *ret_address);
/* As a socket of this domain tells it; cut to *length, which becomes what it would have been. */
void sim_address_print(int domain, const struct sim_address *address, struct sockaddr *sockaddr, socklen_t *length);
void sim_sockaddr_copy(const void *from, socklen_t size, struct sockaddr *to, socklen_t *length);

/* Which host has it, seen from another; NULL: none. */
struct sim_host *sim_host_at(struct sim_host *seen_from, const struct in6_addr *ip);
/* The address that a packet to another comes from. Returns 0, or -ENETUNREACH: the host has none of that family. */
int sim_source_of(struct sim_host *host, const struct in6_addr *to, struct in6_addr *ret_ip);

/* ---- sockets ---- */

enum { SIM_SHUT_RECV = 1, SIM_SHUT_SEND = 2, SIM_SHUT_BOTH = 3 };

struct sim_socket_options {
	int send_buffer, receive_buffer, receive_low, linger_s, priority, mark;
	bool reuse_address, reuse_port, keep_alive, lingers, broadcast, out_of_band_inline, no_check;
	bool v6_only, pass_credentials, timestamp_ns, timestamp, zero_copy, dont_route;
	struct timeval receive_timeout, send_timeout;
	/* of IP */
	int ttl, tos, hop_limit, traffic_class;
	bool receive_info, receive_ttl, receive_tos, receive_info6, receive_hop_limit, receive_traffic_class;
	/* of TCP */
	int no_delay, cork, keep_idle_s, keep_interval_s, keep_count, user_timeout_ms, quick_ack, defer_accept_s,
		syn_count;
	int segment_size, not_sent_low, linger2_s;
	/* of UDP */
	int gso_size;
	bool gro;
};

struct sim_socket {
	struct sim_file file;
	int domain, type, protocol;
	int error; /* positive; the next call that looks is told, once */
	unsigned shut;
	struct sim_socket_options options;
};

/* The calls of a family; NULL: -EOPNOTSUPP. */
struct sim_socket_class {
	struct sim_file_class file;
	int (*bind)(struct sim_socket *socket, const struct sockaddr *address, socklen_t length);
	int (*listen)(struct sim_socket *socket, int backlog);
	int (*accept)(struct sim_socket *socket, int flags, struct sim_socket **ret_socket);
	void (*accept_undo)(struct sim_socket *socket, struct sim_socket *accepted);
	int (*connect)(struct sim_socket *socket, const struct sockaddr *address, socklen_t length);
	int (*shutdown)(struct sim_socket *socket, unsigned shut);
	int (*name)(struct sim_socket *socket, bool of_peer, struct sockaddr *address, socklen_t *length);
	size_t (*unread)(struct sim_socket *socket);
	size_t (*unsent)(struct sim_socket *socket); /* NULL: always none */
	bool (*listens)(const struct sim_socket *socket);
};

static inline struct sim_socket *sim_socket_of(struct sim_file *file)
{
	return container_of(file, struct sim_socket, file);
}

static inline const struct sim_socket_class *sim_socket_class_of(const struct sim_socket *socket)
{
	return container_of(socket->file.class, const struct sim_socket_class, file);
}

static inline struct sim_net *sim_net_of(const struct sim_socket *socket)
{
	return socket->file.world->net;
}

/* Fill what every socket has. */
void sim_socket_init(struct sim_socket *socket, const struct sim_socket_class *class, struct sim_host *host,
		     const char *origin, int domain, int type, int protocol);
/* What a child has of the socket that it was accepted from. */
void sim_socket_inherit(struct sim_socket *child, const struct sim_socket *parent, int flags);
/* What there is to tell, negative, or 0; it is told once. */
int sim_socket_take_error(struct sim_socket *socket);
/* A plan may have a transfer be shorter than it could. */
size_t sim_shorten(struct sim_world *world, size_t size);
/* Nothing but bytes was received. */
void sim_message_is_plain(struct msghdr *message);

/* ---- Internet sockets ---- */

struct sim_inet {
	struct sim_socket socket;
	struct sim_address local, peer;
	struct sim_port *port; /* local.port; NULL: it has none yet */
	struct list bound;     /* in port->sockets */
	bool bound_by_program; /* not by a connect */
};

static inline struct sim_inet *sim_inet_of(struct sim_socket *socket)
{
	return container_of(socket, struct sim_inet, socket);
}

/* A port of a host: who has it, and who may have it, too. */
struct sim_port {
	struct sim_port *next; /* in its bucket */
	struct sim_host *host;
	int protocol;
	uint16_t number;
	struct list sockets;        /* sim_inet.bound */
	unsigned connections;       /* that were accepted here, and are not over */
	int64_t time_wait_until_ns; /* of those that are over and were closed from here */
	bool reusable;              /* they had SO_REUSEADDR */
};

/* Bind to address->ip and address->port; 0: one is chosen. Returns 0, -EADDRINUSE, -ENOMEM. */
int sim_port_take(struct sim_inet *inet, const struct sim_address *address);
/* May it listen there, beside the others? */
int sim_port_may_listen(struct sim_inet *inet);
void sim_port_release(struct sim_inet *inet);
struct sim_port *sim_port_find(struct sim_host *host, int protocol, uint16_t number);
/* Whose is a packet to this address, or a connection; NULL: nobody's. */
struct sim_inet *sim_port_receiver(struct sim_host *host, int protocol, const struct sim_address *to,
				   const struct sim_address *from);
void sim_port_connection_ends(struct sim_port *port, bool waits);
void sim_ports_forget(struct sim_host *host);
void sim_ports_free(struct sim_net *net);

/* Bound to nothing. */
void sim_inet_init(struct sim_inet *inet);
int sim_inet_bind(struct sim_socket *socket, const struct sockaddr *address, socklen_t length);
int sim_inet_name(struct sim_socket *socket, bool of_peer, struct sockaddr *address, socklen_t *length);

/* ---- families ---- */

int sim_tcp_new(struct sim_host *host, int domain, const char *origin, struct sim_socket **ret_socket);
int sim_udp_new(struct sim_host *host, int domain, struct sim_socket **ret_socket);
int sim_unix_new(struct sim_host *host, int type, const char *origin, struct sim_socket **ret_socket);
void sim_unix_join(struct sim_socket *a, struct sim_socket *b);

void sim_tcp_host_crashed(struct sim_host *host);
void sim_tcp_partitioned(struct sim_host *from, struct sim_host *to);
void sim_tcp_free(struct sim_net *net);
bool sim_tcp_listens(const struct sim_socket *socket);
/* Its state, as TCP_INFO has it. */
int sim_tcp_state(const struct sim_socket *socket);
void sim_tcp_keep_alive(struct sim_socket *socket);
void sim_unix_host_crashed(struct sim_host *host);
void sim_unix_free(struct sim_net *net);
void sim_signals_host_crashed(struct sim_host *host);
/* FIONREAD of a pipe. -ENOTTY: it is none. */
int sim_pipe_unread(struct sim_file *file, int *ret_size);

/* ---- control data: control.c ---- */

/* Of a message that is received: what has been put so far. */
struct sim_control {
	struct msghdr *message;
	size_t used;
};

/* Begin, with all the room that the caller gave; there is none without a message. */
struct sim_control sim_control_begin(struct msghdr *message);
/* One that does not fit is left out, and MSG_CTRUNC says so. */
void sim_control_put(struct sim_control *control, int level, int type, const void *data, size_t size);
/* Room for descriptors: how many fit. */
size_t sim_control_room(const struct sim_control *control, size_t item);
void sim_control_end(struct sim_control *control);

/* ---- packets: messages that keep their bounds (packet.c) ---- */

struct sim_packet {
	struct sim_event event; /* of UDP: it arrives */
	struct list node;       /* in a queue; or in net->packets_flying or packets_idle */
	size_t size, room;
	size_t taken; /* of a stream's: what has been read of it */
	struct sim_address from, to;
	struct sim_host *sender, *receiver;
	int64_t sent_ns;
	int ttl, tos;
	bool refusal;         /* not the datagram, but word that nobody wanted it */
	unsigned files_count; /* SCM_RIGHTS, with a reference each */
	struct sim_file **files;
	struct sim_name *name; /* of a Unix sender; a reference */
	char bytes[];
};

void sim_name_unref(struct sim_net *net, struct sim_name *name);
struct sim_packet *sim_packet_new(struct sim_net *net, size_t size);
void sim_packet_free(struct sim_net *net, struct sim_packet *packet);
void sim_packets_free(struct sim_net *net);

/* ---- bytes in order: a ring that grows (bytes.c) ---- */

struct sim_bytes {
	char *memory;
	size_t capacity;     /* a power of two */
	uint64_t first, end; /* positions: what is in it */
};

/* Room for so many more; false: there is no memory. */
bool sim_bytes_reserve(struct sim_bytes *bytes, size_t more);
void sim_bytes_append(struct sim_bytes *bytes, const struct sim_transfer *transfer, size_t size);
void sim_bytes_copy(const struct sim_bytes *bytes, const struct sim_transfer *transfer, size_t size);
static inline void sim_bytes_drop(struct sim_bytes *bytes, size_t size)
{
	bytes->first += size;
}

#endif
