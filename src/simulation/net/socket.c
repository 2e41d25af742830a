/* SPDX-License-Identifier: MIT */
/* The calls on sockets, up to where the families differ; and what a world has of the net as a whole. */
#include "simulation/net/socket.h"

#include "base/message.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

enum { TYPE_MASK = 0xf, BUFFER_UNIX = 212992, SEND_BUFFER_TCP = 16384 * 16, RECEIVE_BUFFER_TCP = 131072 };

int sim_net_open(struct sim_world *world)
{
	struct sim_net *net = calloc(1, sizeof *net);

	if (!net)
		return noria_refuse(-ENOMEM, "no memory for the net of a simulated world");
	net->world = world;
	list_init(&net->connections);
	list_init(&net->connections_idle);
	list_init(&net->packets_flying);
	list_init(&net->packets_idle);
	list_init(&net->unix_sockets);
	list_init(&net->signal_files);
	world->net = net;
	return 0;
}

void sim_net_close(struct sim_world *world)
{
	struct sim_net *net = world->net;

	sim_unix_free(net);
	sim_tcp_free(net);
	sim_packets_free(net);
	sim_ports_free(net);
	sim_paths_free(net);
	free(net);
	world->net = NULL;
}

void sim_net_host_crashed(struct sim_host *host)
{
	sim_tcp_host_crashed(host);
	sim_unix_host_crashed(host);
	sim_signals_host_crashed(host);
	sim_ports_forget(host);
}

/* ---- what sockets share ---- */

void sim_socket_init(struct sim_socket *socket, const struct sim_socket_class *class, struct sim_host *host,
		     const char *origin, int domain, int type, int protocol)
{
	sim_file_init(&socket->file, &class->file, host->world, host, origin,
		      O_RDWR | (type & SOCK_NONBLOCK ? O_NONBLOCK : 0));
	socket->domain = domain;
	socket->type = type & TYPE_MASK;
	socket->protocol = protocol;
	socket->options.send_buffer = protocol == IPPROTO_TCP ? SEND_BUFFER_TCP : BUFFER_UNIX;
	socket->options.receive_buffer = protocol == IPPROTO_TCP ? RECEIVE_BUFFER_TCP : BUFFER_UNIX;
	socket->options.receive_low = 1;
	socket->options.ttl = socket->options.hop_limit = 64;
	socket->options.keep_idle_s = 7200;
	socket->options.keep_interval_s = 75;
	socket->options.keep_count = 9;
	socket->options.syn_count = 6;
	socket->options.quick_ack = 1;
	socket->options.linger2_s = 60;
}

void sim_socket_inherit(struct sim_socket *child, const struct sim_socket *parent, int flags)
{
	child->options = parent->options;
	child->file.flags = O_RDWR | (flags & SOCK_NONBLOCK ? O_NONBLOCK : 0);
}

int sim_socket_take_error(struct sim_socket *socket)
{
	int error = socket->error;

	socket->error = 0;
	return -error;
}

size_t sim_shorten(struct sim_world *world, size_t size)
{
	if (size > 1 && sim_strikes(&world->plan, SIM_FAULT_SHORT))
		return 1 + (size_t)sim_draw(world, SIM_CHOICE_SHORT, size - 1);
	return size;
}

void sim_message_is_plain(struct msghdr *message)
{
	if (!message)
		return;
	message->msg_namelen = 0;
	message->msg_controllen = 0;
	message->msg_flags = 0;
}

/* ---- making ---- */

static int make_inet(struct sim_host *host, int domain, int type, int protocol, struct sim_socket **ret_socket)
{
	switch (type) {
	case SOCK_STREAM:
		return protocol == 0 || protocol == IPPROTO_TCP ? sim_tcp_new(host, domain, "socket", ret_socket)
								: -EPROTONOSUPPORT;
	case SOCK_DGRAM:
		return protocol == 0 || protocol == IPPROTO_UDP ? sim_udp_new(host, domain, ret_socket)
								: -EPROTONOSUPPORT;
	default:
		return -ESOCKTNOSUPPORT;
	}
}

static int make_unix(struct sim_host *host, int type, int protocol, const char *origin, struct sim_socket **ret_socket)
{
	if (protocol != 0 && protocol != PF_UNIX)
		return -EPROTONOSUPPORT;
	if (type != SOCK_STREAM && type != SOCK_DGRAM && type != SOCK_SEQPACKET)
		return -ESOCKTNOSUPPORT;
	return sim_unix_new(host, type, origin, ret_socket);
}

static int make(struct sim_host *host, int domain, int type, int protocol, struct sim_socket **ret_socket)
{
	int kind = type & TYPE_MASK;

	if (type & ~(TYPE_MASK | SOCK_NONBLOCK | SOCK_CLOEXEC))
		return -EINVAL;
	switch (domain) {
	case AF_INET:
	case AF_INET6:
		return make_inet(host, domain, kind, protocol, ret_socket);
	case AF_UNIX:
		return make_unix(host, kind, protocol, "socket", ret_socket);
	default:
		return -EAFNOSUPPORT;
	}
}

int sim_socket_new(struct sim_host *host, int domain, int type, int protocol, struct sim_file **ret_file)
{
	struct sim_socket *socket;
	int r = make(host, domain, type, protocol, &socket);

	if (r < 0)
		return r;
	socket->file.flags = O_RDWR | (type & SOCK_NONBLOCK ? O_NONBLOCK : 0);
	*ret_file = &socket->file;
	return 0;
}

int sim_socket(struct sim_host *host, int domain, int type, int protocol)
{
	struct sim_file *file;
	int r = sim_socket_new(host, domain, type, protocol, &file);

	return r < 0 ? r : sim_fd_install(file);
}

/* Two descriptors or none. */
static int install_pair(struct sim_file *files[2], int ret_fds[2])
{
	struct sim_world *world = files[0]->world;
	int first = sim_fd_install(files[0]), second;

	if (first < 0) {
		sim_file_unref(files[1]);
		return first;
	}
	second = sim_fd_install(files[1]);
	if (second < 0) {
		sim_fd_close(world, first);
		return second;
	}
	ret_fds[0] = first;
	ret_fds[1] = second;
	return 0;
}

int sim_pipe(struct sim_host *host, int flags, int ret_fds[2])
{
	struct sim_file *files[2];
	int r = sim_pipe_new(host, flags, files);

	return r < 0 ? r : install_pair(files, ret_fds);
}

int sim_socketpair(struct sim_host *host, int domain, int type, int protocol, int ret_fds[2])
{
	struct sim_socket *a, *b;
	int flags = O_RDWR | (type & SOCK_NONBLOCK ? O_NONBLOCK : 0), r;

	if (domain != AF_UNIX)
		return domain == AF_INET || domain == AF_INET6 ? -EOPNOTSUPP : -EAFNOSUPPORT;
	if (type & ~(TYPE_MASK | SOCK_NONBLOCK | SOCK_CLOEXEC))
		return -EINVAL;
	r = make_unix(host, type & TYPE_MASK, protocol, "socketpair", &a);
	if (r < 0)
		return r;
	r = make_unix(host, type & TYPE_MASK, protocol, "socketpair", &b);
	if (r < 0) {
		sim_file_unref(&a->file);
		return r;
	}
	a->file.flags = b->file.flags = flags;
	sim_unix_join(a, b);
	return install_pair((struct sim_file *[]){&a->file, &b->file}, ret_fds);
}

/* ---- calls on a socket ---- */

/* Its class, or NULL: it is no socket. */
static const struct sim_socket_class *class_of(const struct sim_file *file)
{
	return file->class->is_socket ? container_of(file->class, const struct sim_socket_class, file) : NULL;
}

int sim_bind(struct sim_file *file, const struct sockaddr *address, socklen_t length)
{
	const struct sim_socket_class *class = class_of(file);

	return class ? class->bind(sim_socket_of(file), address, length) : -ENOTSOCK;
}

int sim_listen(struct sim_file *file, int backlog)
{
	const struct sim_socket_class *class = class_of(file);

	if (!class)
		return -ENOTSOCK;
	return class->listen ? class->listen(sim_socket_of(file), backlog) : -EOPNOTSUPP;
}

int sim_connect(struct sim_file *file, const struct sockaddr *address, socklen_t length)
{
	const struct sim_socket_class *class = class_of(file);

	if (!class)
		return -ENOTSOCK;
	return length >= sizeof(sa_family_t) ? class->connect(sim_socket_of(file), address, length) : -EINVAL;
}

int sim_shutdown(struct sim_file *file, int how)
{
	const struct sim_socket_class *class = class_of(file);

	if (!class)
		return -ENOTSOCK;
	if (how != SHUT_RD && how != SHUT_WR && how != SHUT_RDWR)
		return -EINVAL;
	return class->shutdown(sim_socket_of(file), (unsigned)how + 1);
}

int sim_getsockname(struct sim_file *file, struct sockaddr *address, socklen_t *length)
{
	const struct sim_socket_class *class = class_of(file);

	return class ? class->name(sim_socket_of(file), false, address, length) : -ENOTSOCK;
}

int sim_getpeername(struct sim_file *file, struct sockaddr *address, socklen_t *length)
{
	const struct sim_socket_class *class = class_of(file);

	return class ? class->name(sim_socket_of(file), true, address, length) : -ENOTSOCK;
}

int sim_accept_new(struct sim_file *listener, struct sockaddr *address, socklen_t *length, int flags,
		   struct sim_file **ret_file)
{
	const struct sim_socket_class *class = class_of(listener);
	struct sim_socket *socket;
	int r;

	if (!class)
		return -ENOTSOCK;
	if (flags & ~(SOCK_NONBLOCK | SOCK_CLOEXEC))
		return -EINVAL;
	if (!class->accept)
		return -EOPNOTSUPP;
	r = class->accept(sim_socket_of(listener), flags, &socket);
	if (r < 0)
		return r;
	if (address)
		class->name(socket, true, address, length);
	*ret_file = &socket->file;
	return 0;
}

void sim_accept_undo(struct sim_file *listener, struct sim_file *file)
{
	class_of(listener)->accept_undo(sim_socket_of(listener), sim_socket_of(file));
}

int sim_accept(struct sim_file *listener, struct sockaddr *address, socklen_t *length, int flags)
{
	struct sim_file *file;
	int r = sim_accept_new(listener, address, length, flags, &file);

	if (r < 0)
		return r;
	r = sim_fd_install(sim_file_ref(file));
	if (r < 0)
		sim_accept_undo(listener, file);
	else
		sim_file_unref(file);
	return r;
}

static int set_nonblocking(struct sim_file *file, int on)
{
	file->flags = on ? file->flags | O_NONBLOCK : file->flags & ~O_NONBLOCK;
	return 0;
}

int sim_socket_ioctl(struct sim_file *file, unsigned long request, void *value)
{
	const struct sim_socket_class *class = class_of(file);
	struct sim_socket *socket = sim_socket_of(file);

	if (request == FIONBIO)
		return set_nonblocking(file, *(int *)value);
	if (!class)
		return request == FIONREAD ? sim_pipe_unread(file, value) : -ENOTTY;
	switch (request) {
	case FIONREAD:
		if (class->listens && class->listens(socket))
			return -EINVAL;
		*(int *)value = (int)class->unread(socket);
		return 0;
	case SIOCOUTQ:
		*(int *)value = class->unsent ? (int)class->unsent(socket) : 0;
		return 0;
	case SIOCATMARK:
		*(int *)value = 0;
		return 0;
	default:
		return -ENOTTY;
	}
}
