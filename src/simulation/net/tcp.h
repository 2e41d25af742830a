/* SPDX-License-Identifier: MIT */
/*
 * TCP, as a program sees it. A connection is one record for both hosts: two ends, and two flows of bytes from one end
 * to the other. What is simulated are segments and what becomes of them, not their headers:
 *
 *     read ... arrived ... written     positions in a flow; a FIN is one position behind the last byte
 *
 * An end that is gone answers what still comes with a reset, as a host does that knows no such connection.
 */
#ifndef NORIA_SIMULATION_NET_TCP_H
#define NORIA_SIMULATION_NET_TCP_H

#include "simulation/net/socket.h"

#include <netinet/tcp.h>

enum { TCP_COURSE_MAX = 16, TCP_HEADER = 40 };

/* That all bytes before a position have arrived, or that they were acknowledged: news under way. */
struct tcp_passage {
	uint64_t position;
	int64_t due_ns;
	bool lost; /* not then: it is sent again then */
};

/* Several, in order. When there is no room the last one takes the next in. */
struct tcp_course {
	unsigned first, count;
	struct tcp_passage passages[TCP_COURSE_MAX];
};

struct tcp_flow {
	struct tcp_connection *connection;
	struct sim_event arrival; /* of the first segment */
	struct sim_event answer;  /* of the first acknowledgement, if anybody waits for it */
	struct sim_bytes bytes;   /* from what was read up to what was written */
	uint64_t arrived, acked;
	struct tcp_course segments, acks;
	unsigned tries; /* of what is first, that came to nothing */
	int64_t lost_since_ns;
	bool closed;  /* with a FIN */
	bool stalled; /* the reader's buffer is full */
	bool starved; /* the writer waits for room in its buffer */
};

/* X(state, what may follow) */
#define TCP_END_STATES(X) \
	X(NONE, 1 << TCP_END_SYN) \
	X(SYN, 1 << TCP_END_OPEN | 1 << TCP_END_GONE | 1 << TCP_END_NONE) /* a connection is asked for */ \
	X(OPEN, 1 << TCP_END_GONE) \
	X(GONE, 1 << TCP_END_SYN) /* nobody knows of it any more; a socket may still read what came before */

enum tcp_end_state {
#define X(state, next) TCP_END_##state,
	TCP_END_STATES(X)
#undef X
};

struct tcp_end {
	enum tcp_end_state state;
	unsigned side;               /* connection->ends[side] */
	struct tcp_socket *socket;   /* NULL: not accepted yet, or closed */
	struct tcp_socket *listener; /* in whose queue it is */
	struct list queued;          /* listener->pending or listener->ready */
	struct sim_host *host;       /* NULL: nobody has that address */
	struct sim_port *port;       /* where it was accepted, until it is over */
	struct sim_address address;
	struct sim_event reset; /* one is on its way to it */
	struct sim_event probe; /* keep-alive, while something is wrong */
	unsigned probes;
	int error;         /* before it has a socket */
	bool orderly;      /* it is gone since all was said */
	bool closed_first; /* the other had not sent a FIN when it did */
};

enum tcp_step { TCP_STEP_SYN, TCP_STEP_AGAIN, TCP_STEP_REFUSED, TCP_STEP_ACCEPTED, TCP_STEP_UNREACHABLE };

struct tcp_connection {
	struct list node; /* in net->connections or net->connections_idle */
	struct sim_world *world;
	struct tcp_end ends[2];   /* that asked for it, that accepted it */
	struct tcp_flow flows[2]; /* each from the end with its number to the other */
	struct sim_event event;   /* of the handshake */
	enum tcp_step step;
	unsigned tries;
};

struct tcp_socket {
	struct sim_inet inet;
	int state;       /* TCP_CLOSE, TCP_LISTEN, TCP_SYN_SENT, or TCP_ESTABLISHED for all that follow */
	bool connecting; /* connect() has not been told yet how it ended */
	struct tcp_connection *connection;
	unsigned side;
	/* of one that listens */
	struct list pending, ready;
	unsigned queued, backlog;
};

static inline struct tcp_socket *tcp_socket_of(struct sim_socket *socket)
{
	return container_of(sim_inet_of(socket), struct tcp_socket, inet);
}

static inline struct tcp_end *tcp_end_of(struct tcp_socket *tcp)
{
	return &tcp->connection->ends[tcp->side];
}

static inline struct tcp_flow *tcp_out(struct tcp_socket *tcp)
{
	return &tcp->connection->flows[tcp->side];
}

static inline struct tcp_flow *tcp_in(struct tcp_socket *tcp)
{
	return &tcp->connection->flows[!tcp->side];
}

static inline struct tcp_end *tcp_sender(struct tcp_flow *flow)
{
	return &flow->connection->ends[flow - flow->connection->flows];
}

static inline struct tcp_end *tcp_receiver(struct tcp_flow *flow)
{
	return &flow->connection->ends[!(flow - flow->connection->flows)];
}

static inline struct tcp_flow *tcp_flow_from(struct tcp_connection *connection, const struct tcp_end *end)
{
	return &connection->flows[end - connection->ends];
}

/* How much is there to read? */
static inline size_t tcp_unread(const struct tcp_flow *flow)
{
	uint64_t arrived = flow->arrived < flow->bytes.end ? flow->arrived : flow->bytes.end;

	return (size_t)(arrived - flow->bytes.first);
}

static inline bool tcp_has_ended(const struct tcp_flow *flow)
{
	return flow->closed && flow->arrived > flow->bytes.end;
}

/* ---- flows: tcp_flow.c ---- */

void tcp_flow_init(struct tcp_flow *flow, struct tcp_connection *connection);
/* What was written, or the FIN, sets out; `size` bytes more than before. */
void tcp_transmit(struct tcp_flow *flow, size_t size);
/* How much more may be written; tells the writer later when that is nothing. */
size_t tcp_room(struct tcp_flow *flow);
/* Is there so much room that a writer is told of it? */
bool tcp_is_writable(struct tcp_flow *flow);
/* The reader has made room. */
void tcp_was_read(struct tcp_flow *flow);
/* The path has changed: what waited for the reader is sent now. */
void tcp_flow_kick(struct tcp_flow *flow);
/* When the last of what is under way arrives, or 0. */
int64_t tcp_last_due(const struct tcp_flow *flow);
/* Nothing of it arrives any more. */
void tcp_flow_stop(struct tcp_flow *flow);

/* ---- ends: tcp_end.c ---- */

void tcp_end_move(struct tcp_end *end, enum tcp_end_state state);
void tcp_end_init(struct tcp_connection *connection, unsigned side);
struct tcp_connection *tcp_connection_of(struct tcp_end *end);
/* Its side of the connection is over, with an error for its socket (0: an orderly end). The other is not told. */
void tcp_end_fails(struct tcp_connection *connection, struct tcp_end *end, int error);
/* A reset has come. */
void tcp_end_is_reset(struct tcp_connection *connection, struct tcp_end *end);
/* Send one to it. */
void tcp_reset_to(struct tcp_connection *connection, struct tcp_end *end);
/* Send one to the other, and be gone. */
void tcp_end_aborts(struct tcp_connection *connection, struct tcp_end *end);
/* It sends a FIN, once. */
void tcp_end_closes(struct tcp_connection *connection, struct tcp_end *end);
/* Is it over, since both have sent a FIN, and its own is acknowledged? */
void tcp_end_check(struct tcp_connection *connection, struct tcp_end *end);
/* Keep-alive: begins when something is wrong. */
void tcp_end_watch(struct tcp_connection *connection, struct tcp_end *end);
/* Something for its socket, or for who listens. */
void tcp_end_wake(struct tcp_end *end, unsigned events);

/* ---- connections: tcp_connect.c ---- */

struct tcp_connection *tcp_connection_new(struct sim_net *net);
/* Free it if nobody knows of it any more. */
void tcp_settle(struct tcp_connection *connection);
/* The end that was asked for a connection has it. */
void tcp_end_opens(struct tcp_connection *connection, struct tcp_end *end);
int tcp_connect(struct sim_socket *socket, const struct sockaddr *address, socklen_t length);
int tcp_listen(struct sim_socket *socket, int backlog);
int tcp_accept(struct sim_socket *socket, int flags, struct sim_socket **ret_socket);
void tcp_accept_undo(struct sim_socket *socket, struct sim_socket *accepted);
/* As a socket that was just made. */
void tcp_disconnect(struct tcp_socket *tcp);
void tcp_stop_listening(struct tcp_socket *tcp);

#endif
