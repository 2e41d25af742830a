/* SPDX-License-Identifier: MIT */
/*
 * Unix sockets. What is written is in the receiver's queue at once, as it is in a kernel: both are on one host. A
 * stream's writes are packets, too, so that what comes with them (descriptors) stays where it was put.
 */
#ifndef NORIA_SIMULATION_NET_UNIX_H
#define NORIA_SIMULATION_NET_UNIX_H

#include "simulation/net/socket.h"

struct unix_socket {
	struct sim_socket socket;
	struct list node;      /* in net->unix_sockets */
	struct sim_name *name; /* that it is bound to; NULL: none */
	struct unix_socket *peer;
	struct list as_peer; /* in peer->peers */
	struct list peers;   /* whose peer this is */
	struct list queue;   /* of packets */
	size_t queued, queued_count;
	struct list stuck; /* sockets that wait for room here, or for a place in the queue of connections */
	struct list as_stuck;
	struct list accepting; /* sockets that ask for a connection */
	struct list as_accepting;
	unsigned accepting_count, backlog;
	bool listening, connected;
	bool embryo; /* not accepted yet */
};

static inline struct unix_socket *unix_of(struct sim_socket *socket)
{
	return container_of(socket, struct unix_socket, socket);
}

static inline bool unix_is_stream(const struct unix_socket *sock)
{
	return sock->socket.type == SOCK_STREAM;
}

static inline struct sim_packet *unix_first(const struct unix_socket *sock)
{
	return list_empty(&sock->queue) ? NULL : list_entry(sock->queue.next, struct sim_packet, node);
}

/* ---- names: unix_name.c ---- */

/* A name: of a path that of its inode, or abstract. */
struct sim_name {
	struct sim_name *next;      /* in net->names */
	struct unix_socket *socket; /* NULL: nobody has it any more */
	struct sim_host *host;
	uint64_t inode; /* 0: it is abstract */
	unsigned references;
	socklen_t length;
	struct sockaddr_un address;
};

/* Returns 0, -EINVAL, -EADDRINUSE, -ENOMEM, or what is wrong with the path. */
int unix_name_bind(struct unix_socket *sock, const struct sockaddr *address, socklen_t length);
/* Who has it. Returns 0, -ECONNREFUSED, -EINVAL, -EPROTOTYPE, or what is wrong with the path. */
int unix_name_find(struct unix_socket *sock, const struct sockaddr *address, socklen_t length,
		   struct unix_socket **ret_socket);
/* Its socket is closed. */
void unix_name_leave(struct unix_socket *sock);
/* Whose address it is; that of a socket without one has no path. */
void unix_name_print(const struct sim_name *name, struct sockaddr *address, socklen_t *length);

/* ---- bytes: unix_io.c ---- */

int64_t unix_read(struct sim_file *file, struct sim_transfer *transfer);
int64_t unix_write(struct sim_file *file, struct sim_transfer *transfer);
/* Is there so much room in the other's queue that a writer is told of it? */
bool unix_is_writable(const struct unix_socket *sock, const struct unix_socket *to);
/* It is told when there is room there. */
void unix_wait_for(struct unix_socket *sock, struct unix_socket *to);
void unix_wake_stuck(struct unix_socket *sock);
void unix_drop_queue(struct unix_socket *sock);

#endif
