/* SPDX-License-Identifier: MIT */
/* What is sent over Unix sockets: bytes, messages, and with them open files and credentials. */
#include "simulation/net/unix.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	CHUNK_MAX = 32768, /* of a stream */
	OVERHEAD = 512,    /* of each packet in a buffer */
	MESSAGES_MAX = 10, /* that wait in a socket whose peer is another */
	FILES_MAX = 253,   /* in one message */
};

/* ---- room ---- */

static size_t room_in(const struct unix_socket *sock, const struct unix_socket *to)
{
	size_t size = (size_t)sock->socket.options.send_buffer;

	return size > to->queued ? size - to->queued : 0;
}

static bool is_crowded(const struct unix_socket *sock, const struct unix_socket *to)
{
	return sock->socket.type == SOCK_DGRAM && to->peer != sock && to->queued_count > MESSAGES_MAX;
}

bool unix_is_writable(const struct unix_socket *sock, const struct unix_socket *to)
{
	return to->queued * 4 <= (size_t)sock->socket.options.send_buffer && !is_crowded(sock, to);
}

void unix_wait_for(struct unix_socket *sock, struct unix_socket *to)
{
	if (!list_linked(&sock->as_stuck))
		list_push_back(&to->stuck, &sock->as_stuck);
}

void unix_wake_stuck(struct unix_socket *sock)
{
	struct list *node = sock->stuck.next;

	while (node != &sock->stuck) {
		struct unix_socket *stuck = list_entry(node, struct unix_socket, as_stuck);

		node = node->next;
		if (sock->listening || unix_is_writable(stuck, sock)) {
			list_remove(&stuck->as_stuck);
			sim_file_wake(&stuck->socket.file, POLLOUT);
		}
	}
}

/* ---- sending ---- */

/* The descriptors that a message names, with a reference each. */
static int take_files(struct sim_packet *packet, struct sim_world *world, const struct cmsghdr *control)
{
	size_t count = (control->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	int fd;

	if (packet->files || count > FILES_MAX)
		return -EINVAL;
	packet->files = calloc(count ? count : 1, sizeof(struct sim_file *));
	if (!packet->files)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		struct sim_file *file;

		memcpy(&fd, CMSG_DATA(control) + i * sizeof fd, sizeof fd);
		file = sim_fd_file(world, fd);
		if (!file)
			return -EBADF;
		packet->files[packet->files_count++] = sim_file_ref(file);
	}
	return 0;
}

static int take_control(struct sim_packet *packet, struct sim_world *world, struct msghdr *message)
{
	int r = 0;

	if (!message || !message->msg_control)
		return 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c && r >= 0; c = CMSG_NXTHDR(message, c)) {
		if (c->cmsg_level != SOL_SOCKET)
			continue;
		if (c->cmsg_type == SCM_RIGHTS)
			r = take_files(packet, world, c);
		else if (c->cmsg_type != SCM_CREDENTIALS)
			r = -EINVAL;
	}
	return r;
}

static int deliver(struct unix_socket *sock, struct unix_socket *to, const struct sim_transfer *transfer, size_t size)
{
	struct sim_net *net = sim_net_of(&sock->socket);
	struct sim_packet *packet = sim_packet_new(net, size);
	int r;

	if (!packet)
		return -ENOBUFS;
	r = take_control(packet, net->world, transfer->message);
	if (r < 0) {
		sim_packet_free(net, packet);
		return r;
	}
	sim_transfer_from(transfer, 0, packet->bytes, size);
	packet->name = sock->name;
	if (packet->name)
		packet->name->references++;
	list_push_back(&to->queue, &packet->node);
	to->queued += size + (unix_is_stream(sock) ? 0 : OVERHEAD);
	to->queued_count++;
	sim_file_wake(&to->socket.file, POLLIN);
	return 0;
}

static bool is_named(const struct sim_transfer *transfer)
{
	return transfer->message && transfer->message->msg_namelen > 0;
}

static int64_t write_stream(struct unix_socket *sock, struct sim_transfer *transfer)
{
	struct sim_world *world = sock->socket.file.world;
	size_t size;
	int r;

	if (is_named(transfer))
		return sock->connected ? -EISCONN : -EOPNOTSUPP;
	if (sock->socket.shut & SIM_SHUT_SEND)
		return -EPIPE;
	if (!sock->connected)
		return -ENOTCONN;
	if (!sock->peer || (sock->peer->socket.shut & SIM_SHUT_RECV))
		return -EPIPE;
	if (transfer->size == 0)
		return 0;
	size = room_in(sock, sock->peer);
	if (size == 0) {
		unix_wait_for(sock, sock->peer);
		return -EAGAIN;
	}
	size = size < transfer->size ? size : transfer->size;
	size = sim_shorten(world, size < CHUNK_MAX ? size : CHUNK_MAX);
	r = deliver(sock, sock->peer, transfer, size);
	return r < 0 ? r : (int64_t)size;
}

static int find_receiver(struct unix_socket *sock, const struct sim_transfer *transfer, struct unix_socket **ret_to)
{
	if (is_named(transfer) && sock->socket.type == SOCK_DGRAM)
		return unix_name_find(sock, transfer->message->msg_name, transfer->message->msg_namelen, ret_to);
	if (!sock->connected)
		return -ENOTCONN;
	if (!sock->peer && sock->socket.type == SOCK_DGRAM)
		sock->connected = false;
	if (!sock->peer)
		return sock->socket.type == SOCK_DGRAM ? -ECONNREFUSED : -EPIPE;
	*ret_to = sock->peer;
	return 0;
}

static int64_t write_message(struct unix_socket *sock, struct sim_transfer *transfer)
{
	struct unix_socket *to;
	int r;

	if (sock->socket.shut & SIM_SHUT_SEND)
		return -EPIPE;
	r = find_receiver(sock, transfer, &to);
	if (r < 0)
		return r;
	if (to->socket.shut & SIM_SHUT_RECV)
		return -EPIPE;
	if (transfer->size > (size_t)sock->socket.options.send_buffer)
		return -EMSGSIZE;
	if (sim_strikes(&sock->socket.file.world->plan, SIM_FAULT_NOBUFS))
		return -ENOBUFS;
	if (is_crowded(sock, to) || room_in(sock, to) < transfer->size) {
		unix_wait_for(sock, to);
		return -EAGAIN;
	}
	r = deliver(sock, to, transfer, transfer->size);
	return r < 0 ? r : (int64_t)transfer->size;
}

int64_t unix_write(struct sim_file *file, struct sim_transfer *transfer)
{
	struct unix_socket *sock = unix_of(sim_socket_of(file));
	int r;

	if (transfer->flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (unix_is_stream(sock))
		return write_stream(sock, transfer);
	r = sim_socket_take_error(&sock->socket);
	return r < 0 ? r : write_message(sock, transfer);
}

/* ---- receiving ---- */

/* As many as there is room for become descriptors; the others are closed. */
static void give_files(struct sim_packet *packet, struct sim_control *control, bool keep)
{
	size_t room = sim_control_room(control, sizeof(int)), given = 0;
	int fds[FILES_MAX];

	while (given < packet->files_count && given < room) {
		int fd = sim_fd_install(sim_file_ref(packet->files[given]));

		if (fd < 0)
			break;
		fds[given++] = fd;
	}
	if (given < packet->files_count && control->message)
		control->message->msg_flags |= MSG_CTRUNC;
	if (given > 0)
		sim_control_put(control, SOL_SOCKET, SCM_RIGHTS, fds, given * sizeof fds[0]);
	if (keep)
		return;
	for (unsigned i = 0; i < packet->files_count; i++)
		sim_file_unref(packet->files[i]);
	packet->files_count = 0;
}

/* All programs of a world are one process. */
static void give_credentials(const struct unix_socket *sock, struct sim_control *control)
{
	struct ucred credentials;

	if (!sock->socket.options.pass_credentials)
		return;
	credentials = (struct ucred){.pid = getpid(), .uid = getuid(), .gid = getgid()};
	sim_control_put(control, SOL_SOCKET, SCM_CREDENTIALS, &credentials, sizeof credentials);
}

static void drop_first(struct unix_socket *sock)
{
	struct sim_packet *packet = unix_first(sock);

	sock->queued -= packet->size + (unix_is_stream(sock) ? 0 : OVERHEAD);
	sock->queued_count--;
	sim_packet_free(sim_net_of(&sock->socket), packet);
}

void unix_drop_queue(struct unix_socket *sock)
{
	while (!list_empty(&sock->queue))
		drop_first(sock);
}

static int64_t explain_nothing(struct unix_socket *sock)
{
	int r = sim_socket_take_error(&sock->socket);

	if (r < 0)
		return r;
	return sock->socket.shut & SIM_SHUT_RECV ? 0 : -EAGAIN;
}

/* Up to the end of the first packet that has files with it. */
static size_t copy_stream(struct unix_socket *sock, const struct sim_transfer *transfer, size_t most,
			  struct sim_control *control)
{
	bool keep = transfer->flags & MSG_PEEK, with_files = false;
	struct list *node = sock->queue.next;
	size_t done = 0;

	give_credentials(sock, control);
	while (node != &sock->queue && done < most && !with_files) {
		struct sim_packet *packet = list_entry(node, struct sim_packet, node);
		size_t size = packet->size - packet->taken;

		node = node->next;
		size = size < most - done ? size : most - done;
		with_files = packet->files_count > 0;
		if (with_files)
			give_files(packet, control, keep);
		sim_transfer_to(transfer, done, packet->bytes + packet->taken, size);
		done += size;
		if (keep)
			continue;
		packet->taken += size;
		if (packet->taken == packet->size)
			drop_first(sock);
	}
	return done;
}

static int64_t read_stream(struct unix_socket *sock, struct sim_transfer *transfer)
{
	struct sim_control control = sim_control_begin(transfer->message);
	size_t done;

	if (!sock->connected)
		return -EINVAL;
	if (transfer->message) {
		transfer->message->msg_flags = 0;
		transfer->message->msg_namelen = 0;
	}
	if (transfer->size == 0)
		return 0;
	if (list_empty(&sock->queue)) {
		int64_t r = explain_nothing(sock);

		if (r == 0)
			sim_message_is_plain(transfer->message);
		return r;
	}
	done = copy_stream(sock, transfer, sim_shorten(sock->socket.file.world, transfer->size), &control);
	sim_control_end(&control);
	unix_wake_stuck(sock);
	return (int64_t)done;
}

static int64_t read_message(struct unix_socket *sock, struct sim_transfer *transfer)
{
	struct sim_control control = sim_control_begin(transfer->message);
	struct sim_packet *packet = unix_first(sock);
	struct msghdr *message = transfer->message;
	size_t size, whole;

	if (!packet && sock->socket.type == SOCK_SEQPACKET && !sock->connected)
		return -ENOTCONN;
	if (!packet)
		return explain_nothing(sock);
	whole = packet->size;
	size = sim_transfer_to(transfer, 0, packet->bytes, whole < transfer->size ? whole : transfer->size);
	if (message) {
		message->msg_flags =
			(size < whole ? MSG_TRUNC : 0) | (sock->socket.type == SOCK_SEQPACKET ? MSG_EOR : 0);
		if (packet->name && message->msg_name)
			unix_name_print(packet->name, message->msg_name, &message->msg_namelen);
		else
			message->msg_namelen = 0;
		give_credentials(sock, &control);
	}
	if (packet->files_count > 0)
		give_files(packet, &control, transfer->flags & MSG_PEEK);
	sim_control_end(&control);
	if (!(transfer->flags & MSG_PEEK))
		drop_first(sock);
	unix_wake_stuck(sock);
	return transfer->flags & MSG_TRUNC ? (int64_t)whole : (int64_t)size;
}

int64_t unix_read(struct sim_file *file, struct sim_transfer *transfer)
{
	struct unix_socket *sock = unix_of(sim_socket_of(file));

	if (transfer->flags & (MSG_OOB | MSG_ERRQUEUE))
		return -EOPNOTSUPP;
	return unix_is_stream(sock) ? read_stream(sock, transfer) : read_message(sock, transfer);
}
