/* SPDX-License-Identifier: MIT */
/* TCP sockets: which call answers what in which state, as Linux has it. */
#include "simulation/net/tcp.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>

/* ---- bytes ---- */

/* Nothing can be sent: the error, told once, and after it -EPIPE. */
static int refuse_write(struct sim_socket *socket)
{
	int r = sim_socket_take_error(socket);

	return r < 0 ? r : -EPIPE;
}

static void maybe_break(struct tcp_socket *tcp)
{
	struct tcp_connection *connection = tcp->connection;

	if (!sim_strikes(&connection->world->plan, SIM_FAULT_RESET))
		return;
	tcp_end_is_reset(connection, &connection->ends[0]);
	tcp_end_is_reset(connection, &connection->ends[1]);
}

static int64_t tcp_write(struct sim_file *file, struct sim_transfer *transfer)
{
	struct sim_socket *socket = sim_socket_of(file);
	struct tcp_socket *tcp = tcp_socket_of(socket);
	size_t size;

	if (transfer->flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (tcp->state == TCP_SYN_SENT)
		return -EAGAIN;
	if (tcp->state == TCP_ESTABLISHED)
		maybe_break(tcp);
	if (tcp->state != TCP_ESTABLISHED || socket->error || (socket->shut & SIM_SHUT_SEND))
		return refuse_write(socket);
	if (transfer->size == 0)
		return 0;
	size = tcp_room(tcp_out(tcp));
	if (size == 0)
		return -EAGAIN;
	size = sim_shorten(file->world, transfer->size < size ? transfer->size : size);
	if (!sim_bytes_reserve(&tcp_out(tcp)->bytes, size))
		return -ENOBUFS;
	sim_bytes_append(&tcp_out(tcp)->bytes, transfer, size);
	tcp_transmit(tcp_out(tcp), size);
	return (int64_t)size;
}

/* There is nothing to read. Why? */
static int64_t explain_nothing(struct tcp_socket *tcp)
{
	struct sim_socket *socket = &tcp->inet.socket;

	if (tcp->connection && tcp_has_ended(tcp_in(tcp)))
		return 0;
	if (socket->error)
		return sim_socket_take_error(socket);
	if (socket->shut & SIM_SHUT_RECV)
		return 0;
	if (tcp->state == TCP_CLOSE || tcp->state == TCP_LISTEN)
		return -ENOTCONN;
	return -EAGAIN;
}

static int64_t tcp_read(struct sim_file *file, struct sim_transfer *transfer)
{
	struct tcp_socket *tcp = tcp_socket_of(sim_socket_of(file));
	struct tcp_flow *in = tcp->connection ? tcp_in(tcp) : NULL;
	size_t size = in ? tcp_unread(in) : 0;

	if (transfer->flags & MSG_ERRQUEUE)
		return -EAGAIN;
	if (transfer->flags & MSG_OOB)
		return -EINVAL;
	if (size == 0 || transfer->size == 0) {
		int64_t r = size == 0 ? explain_nothing(tcp) : 0;

		if (r >= 0)
			sim_message_is_plain(transfer->message);
		return r;
	}
	size = sim_shorten(file->world, transfer->size < size ? transfer->size : size);
	if (!(transfer->flags & MSG_TRUNC))
		sim_bytes_copy(&in->bytes, transfer, size);
	sim_message_is_plain(transfer->message);
	if (transfer->flags & MSG_PEEK)
		return (int64_t)size;
	sim_bytes_drop(&in->bytes, size);
	tcp_was_read(in);
	return (int64_t)size;
}

static unsigned poll_connection(struct tcp_socket *tcp)
{
	struct sim_socket *socket = &tcp->inet.socket;
	bool ended = (tcp->connection && tcp_has_ended(tcp_in(tcp))) || (socket->shut & SIM_SHUT_RECV);
	bool both = ended && (socket->shut & SIM_SHUT_SEND);
	unsigned events = socket->error ? POLLERR : 0;

	if (both || tcp->state == TCP_CLOSE)
		events |= POLLHUP;
	if (ended)
		events |= POLLIN | POLLRDNORM | POLLRDHUP;
	if (tcp->state == TCP_SYN_SENT)
		return events;
	if (tcp->connection && tcp_unread(tcp_in(tcp)) >= (size_t)socket->options.receive_low)
		events |= POLLIN | POLLRDNORM;
	if (tcp->state == TCP_CLOSE || (socket->shut & SIM_SHUT_SEND) || tcp_is_writable(tcp_out(tcp)))
		events |= POLLOUT | POLLWRNORM;
	return events;
}

static unsigned tcp_poll(struct sim_file *file)
{
	struct tcp_socket *tcp = tcp_socket_of(sim_socket_of(file));

	if (tcp->state == TCP_LISTEN)
		return list_empty(&tcp->ready) ? 0 : POLLIN | POLLRDNORM;
	return poll_connection(tcp);
}

/* ---- ends ---- */

static int tcp_shutdown(struct sim_socket *socket, unsigned shut)
{
	struct tcp_socket *tcp = tcp_socket_of(socket);
	int r = 0;

	switch (tcp->state) {
	case TCP_SYN_SENT:
		tcp_disconnect(tcp);
		break;
	case TCP_LISTEN:
		if (shut & SIM_SHUT_RECV)
			tcp_disconnect(tcp);
		break;
	case TCP_CLOSE:
		r = -ENOTCONN;
		socket->shut |= shut;
		break;
	default:
		socket->shut |= shut;
		if (shut & SIM_SHUT_SEND)
			tcp_end_closes(tcp->connection, tcp_end_of(tcp));
		break;
	}
	sim_file_wake(&socket->file, POLLIN | POLLOUT | POLLHUP | POLLRDHUP);
	return r;
}

/* Whoever closes without having read everything, or does not want to linger, resets the connection. */
static void leave_connection(struct tcp_socket *tcp)
{
	const struct sim_socket_options *options = &tcp->inet.socket.options;
	struct tcp_connection *connection = tcp->connection;
	struct tcp_end *end = tcp_end_of(tcp);
	bool abrupt = tcp_unread(tcp_in(tcp)) > 0 || (options->lingers && options->linger_s == 0);

	end->socket = NULL;
	tcp_flow_kick(tcp_in(tcp));
	if (abrupt || end->state == TCP_END_SYN)
		tcp_end_aborts(connection, end);
	else
		tcp_end_closes(connection, end);
	tcp_end_check(connection, end);
	tcp_settle(connection);
}

static void tcp_release(struct sim_file *file)
{
	struct tcp_socket *tcp = tcp_socket_of(sim_socket_of(file));

	if (tcp->state == TCP_LISTEN)
		tcp_stop_listening(tcp);
	if (tcp->connection)
		leave_connection(tcp);
	sim_port_release(&tcp->inet);
	free(tcp);
}

/* ---- the rest ---- */

static int tcp_bind(struct sim_socket *socket, const struct sockaddr *address, socklen_t length)
{
	struct tcp_socket *tcp = tcp_socket_of(socket);
	int r;

	if (tcp->state != TCP_CLOSE || tcp->connection)
		return -EINVAL;
	r = sim_inet_bind(socket, address, length);
	tcp->inet.bound_by_program = r >= 0 || tcp->inet.bound_by_program;
	return r;
}

static int tcp_name(struct sim_socket *socket, bool of_peer, struct sockaddr *address, socklen_t *length)
{
	struct tcp_socket *tcp = tcp_socket_of(socket);

	if (of_peer && tcp->state != TCP_ESTABLISHED)
		return -ENOTCONN;
	return sim_inet_name(socket, of_peer, address, length);
}

static size_t tcp_unread_bytes(struct sim_socket *socket)
{
	struct tcp_socket *tcp = tcp_socket_of(socket);

	return tcp->connection ? tcp_unread(tcp_in(tcp)) : 0;
}

static size_t tcp_unsent_bytes(struct sim_socket *socket)
{
	struct tcp_socket *tcp = tcp_socket_of(socket);

	if (tcp->state != TCP_ESTABLISHED)
		return 0;
	tcp_room(tcp_out(tcp));
	return (size_t)(tcp_out(tcp)->bytes.end + tcp_out(tcp)->closed - tcp_out(tcp)->acked);
}

bool sim_tcp_listens(const struct sim_socket *socket)
{
	return tcp_socket_of((struct sim_socket *)(uintptr_t)socket)->state == TCP_LISTEN;
}

int sim_tcp_state(const struct sim_socket *socket)
{
	struct tcp_socket *tcp = tcp_socket_of((struct sim_socket *)(uintptr_t)socket);
	bool ended, closed;

	if (tcp->state != TCP_ESTABLISHED)
		return tcp->state;
	ended = tcp_has_ended(tcp_in(tcp));
	closed = tcp_out(tcp)->closed;
	if (!closed)
		return ended ? TCP_CLOSE_WAIT : TCP_ESTABLISHED;
	if (ended)
		return tcp_end_of(tcp)->closed_first ? TCP_CLOSING : TCP_LAST_ACK;
	return tcp_out(tcp)->acked > tcp_out(tcp)->bytes.end ? TCP_FIN_WAIT2 : TCP_FIN_WAIT1;
}

void sim_tcp_keep_alive(struct sim_socket *socket)
{
	struct tcp_socket *tcp = tcp_socket_of(socket);

	if (tcp->connection)
		tcp_end_watch(tcp->connection, tcp_end_of(tcp));
}

static const struct sim_socket_class tcp_class = {
	.file = {.noun = "TCP socket",
		 .is_socket = true,
		 .poll = tcp_poll,
		 .read = tcp_read,
		 .write = tcp_write,
		 .release = tcp_release},
	.bind = tcp_bind,
	.listen = tcp_listen,
	.accept = tcp_accept,
	.accept_undo = tcp_accept_undo,
	.connect = tcp_connect,
	.shutdown = tcp_shutdown,
	.name = tcp_name,
	.unread = tcp_unread_bytes,
	.unsent = tcp_unsent_bytes,
	.listens = sim_tcp_listens,
};

int sim_tcp_new(struct sim_host *host, int domain, const char *origin, struct sim_socket **ret_socket)
{
	struct tcp_socket *tcp = calloc(1, sizeof *tcp);

	if (!tcp)
		return -ENOMEM;
	sim_socket_init(&tcp->inet.socket, &tcp_class, host, origin, domain, SOCK_STREAM, IPPROTO_TCP);
	sim_inet_init(&tcp->inet);
	list_init(&tcp->pending);
	list_init(&tcp->ready);
	tcp->state = TCP_CLOSE;
	*ret_socket = &tcp->inet.socket;
	return 0;
}
