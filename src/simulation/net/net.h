/* SPDX-License-Identifier: MIT */
/*
 * Sockets, pipes and their like, and what lies between simulated hosts.
 *
 * These are the system calls as they would be made on a descriptor that is O_NONBLOCK: they answer 0 or a positive
 * number, or a negative errno, and -EAGAIN where they would wait; sim_file_wake() then tells when to try again. Bytes
 * are moved by class->read and class->write of the file (file.h). The ring's operations and the calls of the C library
 * both end here.
 *
 * Whatever crosses from host to host takes the time that the link between them takes, and may be lost on it. On the
 * loopback TCP and UDP take a few microseconds. Unix sockets and pipes are there at once, as in a kernel.
 */
#ifndef NORIA_SIMULATION_NET_NET_H
#define NORIA_SIMULATION_NET_NET_H

#include "simulation/file.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct sim_host;
struct sim_world;

/* ---- the world's side ---- */

/* Returns 0 or -ENOMEM with noria_message(). */
int sim_net_open(struct sim_world *world);
/* No descriptor of it is open any more. */
void sim_net_close(struct sim_world *world);
/* The power of a host is gone: its sockets vanish, and peers are not told. Its files stay until they are closed. */
void sim_net_host_crashed(struct sim_host *host);

/* ---- between hosts ---- */

/* One direction. A packet takes latency_ns, and around jitter_ns more; the bytes of all go one after another. */
struct sim_link {
	int64_t latency_ns;
	int64_t jitter_ns;      /* drawn: half of it up to twice, and now and then much more; 0: never anything */
	uint64_t bandwidth;     /* bytes per second; 0: no limit */
	uint32_t loss_ppm;      /* packets of a million that are lost */
	uint32_t duplicate_ppm; /* datagrams of a million that come twice */
};

/* From one host to another; from a host to itself it is its loopback. */
void sim_net_link(struct sim_host *from, struct sim_host *to, const struct sim_link *link);
const struct sim_link *sim_net_link_of(struct sim_host *from, struct sim_host *to);
/* Nothing gets through from one to the other any more, or again. The other direction stays as it is. */
void sim_net_partition(struct sim_host *from, struct sim_host *to, bool cut);

/* ---- making ---- */

/*
 * The _new variants give the open file, one reference, for whoever installs it elsewhere; the others a descriptor.
 * Flags are those of the system call, with SOCK_CLOEXEC and its like ignored.
 */
int sim_socket_new(struct sim_host *host, int domain, int type, int protocol, struct sim_file **ret_file);
int sim_socket(struct sim_host *host, int domain, int type, int protocol);
int sim_socketpair(struct sim_host *host, int domain, int type, int protocol, int ret_fds[2]);
int sim_pipe_new(struct sim_host *host, int flags, struct sim_file *ret_files[2]);
int sim_pipe(struct sim_host *host, int flags, int ret_fds[2]);
int sim_eventfd(struct sim_host *host, unsigned initial, int flags);
/* `file` NULL: a new one; otherwise its mask is changed, and 0 returned. */
int sim_signalfd(struct sim_host *host, struct sim_file *file, const sigset_t *mask, int flags);

/*
 * A connection that has come. When no descriptor is left for it, it stays: sim_accept() leaves it in the queue, and
 * sim_accept_undo() puts it back there, with the reference.
 */
int sim_accept_new(struct sim_file *listener, struct sockaddr *address, socklen_t *length, int flags,
		   struct sim_file **ret_file);
void sim_accept_undo(struct sim_file *listener, struct sim_file *file);
int sim_accept(struct sim_file *listener, struct sockaddr *address, socklen_t *length, int flags);

/* ---- on a socket; on any other file -ENOTSOCK ---- */

int sim_bind(struct sim_file *file, const struct sockaddr *address, socklen_t length);
int sim_listen(struct sim_file *file, int backlog);
/*
 * -EINPROGRESS: it has begun; -EALREADY: it is under way, until POLLOUT; then, once, how it ended. -EAGAIN (Unix
 * sockets): the listener's queue is full.
 */
int sim_connect(struct sim_file *file, const struct sockaddr *address, socklen_t length);
int sim_shutdown(struct sim_file *file, int how);
int sim_getsockopt(struct sim_file *file, int level, int name, void *value, socklen_t *length);
int sim_setsockopt(struct sim_file *file, int level, int name, const void *value, socklen_t length);
int sim_getsockname(struct sim_file *file, struct sockaddr *address, socklen_t *length);
int sim_getpeername(struct sim_file *file, struct sockaddr *address, socklen_t *length);
/* FIONREAD, SIOCOUTQ, FIONBIO, SIOCATMARK; also of pipes. -ENOTTY: it knows no such thing. */
int sim_socket_ioctl(struct sim_file *file, unsigned long request, void *value);

/* ---- of pipes ---- */

/* F_GETPIPE_SZ and F_SETPIPE_SZ. -EBADF: it is no pipe. */
int64_t sim_pipe_size(struct sim_file *file);
int64_t sim_pipe_resize(struct sim_file *file, size_t size);

/* ---- signals ---- */

/* Somebody sends a host's program a signal. It stays pending until a signalfd of that host takes it. */
void sim_host_signal(struct sim_host *host, int signal);

#endif
