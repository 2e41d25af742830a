/* SPDX-License-Identifier: MIT */
/* Unix sockets: how they find each other, and how they part. */
#include "simulation/net/unix.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>

enum { BACKLOG_MAX = 4096 };

static void set_peer(struct unix_socket *sock, struct unix_socket *peer)
{
	list_remove(&sock->as_peer);
	sock->peer = peer;
	sock->connected = peer != NULL;
	if (peer)
		list_push_back(&peer->peers, &sock->as_peer);
}

void sim_unix_join(struct sim_socket *a, struct sim_socket *b)
{
	set_peer(unix_of(a), unix_of(b));
	set_peer(unix_of(b), unix_of(a));
}

/* ---- connecting ---- */

static int connect_message(struct unix_socket *sock, const struct sockaddr *address, socklen_t length)
{
	struct unix_socket *to;
	int r;

	if (address->sa_family == AF_UNSPEC) {
		set_peer(sock, NULL);
		return 0;
	}
	r = unix_name_find(sock, address, length, &to);
	if (r >= 0)
		set_peer(sock, to);
	return r;
}

/* The other side of it, which waits to be accepted. */
static int ask(struct unix_socket *sock, struct unix_socket *listener)
{
	struct sim_socket *made;
	struct unix_socket *child;
	int r;

	if (listener->accepting_count > listener->backlog) {
		unix_wait_for(sock, listener);
		return -EAGAIN;
	}
	r = sim_unix_new(listener->socket.file.host, sock->socket.type, "accept", &made);
	if (r < 0)
		return r;
	child = unix_of(made);
	sim_socket_inherit(made, &listener->socket, 0);
	child->name = listener->name;
	child->name->references++;
	child->embryo = true;
	sim_unix_join(&sock->socket, made);
	list_push_back(&listener->accepting, &child->as_accepting);
	listener->accepting_count++;
	sim_file_wake(&listener->socket.file, POLLIN);
	return 0;
}

static int unix_connect(struct sim_socket *socket, const struct sockaddr *address, socklen_t length)
{
	struct unix_socket *sock = unix_of(socket), *listener;
	int r;

	if (socket->type == SOCK_DGRAM)
		return connect_message(sock, address, length);
	if (sock->connected)
		return -EISCONN;
	if (sock->listening)
		return -EINVAL;
	r = unix_name_find(sock, address, length, &listener);
	if (r < 0)
		return r;
	if (!listener->listening || (listener->socket.shut & SIM_SHUT_RECV) ||
	    sim_strikes(&socket->file.world->plan, SIM_FAULT_REFUSE))
		return -ECONNREFUSED;
	return ask(sock, listener);
}

/* ---- listening ---- */

static int unix_bind(struct sim_socket *socket, const struct sockaddr *address, socklen_t length)
{
	return unix_name_bind(unix_of(socket), address, length);
}

static int unix_listen(struct sim_socket *socket, int backlog)
{
	struct unix_socket *sock = unix_of(socket);

	if (socket->type == SOCK_DGRAM)
		return -EOPNOTSUPP;
	if (!sock->name || sock->connected)
		return -EINVAL;
	sock->listening = true;
	sock->backlog = (unsigned)backlog < BACKLOG_MAX ? (unsigned)backlog : BACKLOG_MAX;
	unix_wake_stuck(sock);
	return 0;
}

static int unix_accept(struct sim_socket *socket, int flags, struct sim_socket **ret_socket)
{
	struct unix_socket *sock = unix_of(socket), *child;

	if (socket->type == SOCK_DGRAM)
		return -EOPNOTSUPP;
	if (!sock->listening || (socket->shut & SIM_SHUT_RECV))
		return -EINVAL;
	if (list_empty(&sock->accepting))
		return -EAGAIN;
	child = list_entry(list_pop_front(&sock->accepting), struct unix_socket, as_accepting);
	sock->accepting_count--;
	child->embryo = false;
	child->socket.file.flags = O_RDWR | (flags & SOCK_NONBLOCK ? O_NONBLOCK : 0);
	unix_wake_stuck(sock);
	*ret_socket = &child->socket;
	return 0;
}

static void unix_accept_undo(struct sim_socket *socket, struct sim_socket *accepted)
{
	struct unix_socket *sock = unix_of(socket), *child = unix_of(accepted);

	child->embryo = true;
	list_push_front(&sock->accepting, &child->as_accepting);
	sock->accepting_count++;
}

static bool unix_listens(const struct sim_socket *socket)
{
	return container_of(socket, const struct unix_socket, socket)->listening;
}

/* ---- ends ---- */

static int unix_shutdown(struct sim_socket *socket, unsigned shut)
{
	struct unix_socket *sock = unix_of(socket), *peer = sock->peer;

	socket->shut |= shut;
	if (peer && socket->type != SOCK_DGRAM) {
		peer->socket.shut |=
			(shut & SIM_SHUT_RECV ? SIM_SHUT_SEND : 0) | (shut & SIM_SHUT_SEND ? SIM_SHUT_RECV : 0);
		sim_file_wake(&peer->socket.file, POLLIN | POLLOUT | POLLRDHUP | POLLHUP);
	}
	sim_file_wake(&socket->file, POLLIN | POLLOUT | POLLRDHUP | POLLHUP);
	return 0;
}

/* The other side of a connection hears of it, and with an error if something was not read. */
static void part(struct unix_socket *sock, struct unix_socket *from)
{
	bool connected = from->connected;

	set_peer(from, NULL);
	from->connected = connected;
	if (from->socket.type != SOCK_DGRAM) {
		from->socket.shut = SIM_SHUT_BOTH;
		if (!list_empty(&sock->queue) || sock->embryo)
			from->socket.error = ECONNRESET;
	}
	sim_file_wake(&from->socket.file, POLLIN | POLLOUT | POLLRDHUP | POLLHUP | POLLERR);
}

/* Those that wait for a place in a queue that is no more. */
static void dismiss_stuck(struct unix_socket *sock)
{
	while (!list_empty(&sock->stuck)) {
		struct unix_socket *stuck = list_entry(sock->stuck.next, struct unix_socket, as_stuck);

		list_remove(&stuck->as_stuck);
		sim_file_wake(&stuck->socket.file, POLLOUT | POLLERR);
	}
}

static void unix_release(struct sim_file *file)
{
	struct unix_socket *sock = unix_of(sim_socket_of(file));
	struct list *accepting;

	if (!sock->embryo && sock->name && sock->name->socket == sock)
		unix_name_leave(sock);
	while (!list_empty(&sock->peers))
		part(sock, list_entry(sock->peers.next, struct unix_socket, as_peer));
	while ((accepting = list_pop_front(&sock->accepting)))
		sim_file_unref(&list_entry(accepting, struct unix_socket, as_accepting)->socket.file);
	dismiss_stuck(sock);
	unix_drop_queue(sock);
	list_remove(&sock->as_peer);
	list_remove(&sock->as_stuck);
	list_remove(&sock->node);
	if (sock->name)
		sim_name_unref(sim_net_of(&sock->socket), sock->name);
	free(sock);
}

void sim_unix_host_crashed(struct sim_host *host)
{
	struct list *all = &host->world->net->unix_sockets;

	for (struct list *node = all->next; node != all; node = node->next) {
		struct unix_socket *sock = list_entry(node, struct unix_socket, node);

		if (sock->socket.file.host == host && sock->name && sock->name->socket == sock)
			unix_name_leave(sock);
	}
}

/* Sockets that are on their way in one another's queues are nobody's any more, and would stay. */
void sim_unix_free(struct sim_net *net)
{
	while (!list_empty(&net->unix_sockets)) {
		struct unix_socket *sock = list_entry(net->unix_sockets.next, struct unix_socket, node);

		sim_file_ref(&sock->socket.file);
		unix_drop_queue(sock);
		list_remove(&sock->node);
		sim_file_unref(&sock->socket.file);
	}
}

/* ---- the rest ---- */

static unsigned unix_poll(struct sim_file *file)
{
	struct unix_socket *sock = unix_of(sim_socket_of(file));
	unsigned events = sock->socket.error ? POLLERR : 0;

	if (sock->listening)
		return list_empty(&sock->accepting) ? 0 : POLLIN | POLLRDNORM;
	if (sock->socket.shut == SIM_SHUT_BOTH)
		events |= POLLHUP;
	if (sock->socket.shut & SIM_SHUT_RECV)
		events |= POLLRDHUP | POLLIN | POLLRDNORM;
	if (!list_empty(&sock->queue))
		events |= POLLIN | POLLRDNORM;
	if (sock->socket.type != SOCK_DGRAM && !sock->connected)
		events |= POLLHUP;
	if (!sock->peer || unix_is_writable(sock, sock->peer))
		events |= POLLOUT | POLLWRNORM;
	else
		unix_wait_for(sock, sock->peer);
	return events;
}

static int unix_name(struct sim_socket *socket, bool of_peer, struct sockaddr *address, socklen_t *length)
{
	const struct unix_socket *sock = unix_of(socket);

	if (of_peer && !sock->peer)
		return -ENOTCONN;
	unix_name_print(of_peer ? sock->peer->name : sock->name, address, length);
	return 0;
}

static size_t unix_unread(struct sim_socket *socket)
{
	const struct unix_socket *sock = unix_of(socket);
	const struct sim_packet *packet = unix_first(sock);
	size_t size = 0;

	if (!unix_is_stream(sock))
		return packet ? packet->size : 0;
	for (struct list *node = sock->queue.next; node != &sock->queue; node = node->next) {
		packet = list_entry(node, struct sim_packet, node);
		size += packet->size - packet->taken;
	}
	return size;
}

static const struct sim_socket_class unix_class = {
	.file = {.noun = "Unix socket",
		 .is_socket = true,
		 .poll = unix_poll,
		 .read = unix_read,
		 .write = unix_write,
		 .release = unix_release},
	.bind = unix_bind,
	.listen = unix_listen,
	.accept = unix_accept,
	.accept_undo = unix_accept_undo,
	.connect = unix_connect,
	.shutdown = unix_shutdown,
	.name = unix_name,
	.unread = unix_unread,
	.listens = unix_listens,
};

int sim_unix_new(struct sim_host *host, int type, const char *origin, struct sim_socket **ret_socket)
{
	struct unix_socket *sock = calloc(1, sizeof *sock);

	if (!sock)
		return -ENOMEM;
	sim_socket_init(&sock->socket, &unix_class, host, origin, AF_UNIX, type, 0);
	list_init(&sock->as_peer);
	list_init(&sock->peers);
	list_init(&sock->queue);
	list_init(&sock->stuck);
	list_init(&sock->as_stuck);
	list_init(&sock->accepting);
	list_init(&sock->as_accepting);
	list_push_back(&host->world->net->unix_sockets, &sock->node);
	*ret_socket = &sock->socket;
	return 0;
}
