/* SPDX-License-Identifier: MIT */
/* Sockets, pipes and their like: making them, and what is asked of them; libc_transfer.c moves their bytes. */
#include "simulation/file.h"
#include "simulation/host.h"
#include "simulation/net/net.h"
#include "testing/libc.h"
#include "testing/thread.h"

#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <time.h>

/* ---- making ---- */

static int libc_socket(int domain, int type, int protocol)
{
	struct sim_host *host = noria_libc_host();

	if (!host)
		return (int)LIBC_RAW(SYS_socket, domain, type, protocol);
	return (int)libc_answer(host->up ? sim_socket(host, domain, type, protocol) : -EHOSTDOWN);
}

static int libc_socketpair(int domain, int type, int protocol, int ret_fds[2])
{
	struct sim_host *host = noria_libc_host();

	if (!host)
		return (int)LIBC_RAW(SYS_socketpair, domain, type, protocol, ret_fds);
	return (int)libc_answer(host->up ? sim_socketpair(host, domain, type, protocol, ret_fds) : -EHOSTDOWN);
}

static int libc_pipe2(int ret_fds[2], int flags)
{
	struct sim_host *host = noria_libc_host();

	if (!host)
		return (int)LIBC_RAW(SYS_pipe2, ret_fds, flags);
	return (int)libc_answer(host->up ? sim_pipe(host, flags, ret_fds) : -EHOSTDOWN);
}

static int libc_pipe(int ret_fds[2])
{
	return libc_pipe2(ret_fds, 0);
}

static int libc_eventfd(unsigned initial, int flags)
{
	struct sim_host *host = noria_libc_host();

	if (!host)
		return (int)LIBC_RAW(SYS_eventfd2, initial, flags);
	return (int)libc_answer(host->up ? sim_eventfd(host, initial, flags) : -EHOSTDOWN);
}

static int libc_signalfd(int fd, const sigset_t *set, int flags)
{
	struct sim_host *host = noria_libc_host();
	struct sim_file *file = NULL;

	if (!host)
		return (int)LIBC_RAW(SYS_signalfd4, fd, set, _NSIG / 8, flags);
	if (fd >= 0 && !(file = noria_libc_file(fd)))
		return -1;
	return (int)libc_answer(host->up ? sim_signalfd(host, file, set, flags) : -EHOSTDOWN);
}

LIBC_EXPORT(socket, socket);
LIBC_EXPORT(socketpair, socketpair);
LIBC_EXPORT(pipe2, pipe2);
LIBC_EXPORT(pipe, pipe);
LIBC_EXPORT(eventfd, eventfd);
LIBC_EXPORT(signalfd, signalfd);

/* ---- names and connections ---- */

static int libc_bind(int fd, const struct sockaddr *address, socklen_t length)
{
	struct sim_file *file;

	if (!libc_is_ours(fd))
		return (int)LIBC_RAW(SYS_bind, fd, address, length);
	file = noria_libc_file(fd);
	return file ? (int)libc_answer(sim_bind(file, address, length)) : -1;
}

static int libc_listen(int fd, int backlog)
{
	struct sim_file *file;

	if (!libc_is_ours(fd))
		return (int)LIBC_RAW(SYS_listen, fd, backlog);
	file = noria_libc_file(fd);
	return file ? (int)libc_answer(sim_listen(file, backlog)) : -1;
}

static int libc_accept4(int fd, struct sockaddr *ret_address, socklen_t *length, int flags)
{
	struct io_uring_sqe sqe = {0};

	if (!libc_is_ours(fd))
		return (int)LIBC_RAW(SYS_accept4, fd, ret_address, length, flags);
	io_uring_prep_accept(&sqe, fd, ret_address, length, flags);
	return (int)libc_answer(noria_libc_make_waiting(&sqe));
}

static int libc_accept(int fd, struct sockaddr *ret_address, socklen_t *length)
{
	return libc_accept4(fd, ret_address, length, 0);
}

static int libc_connect(int fd, const struct sockaddr *address, socklen_t length)
{
	enum { RETRY_NS = 20 * 1000 };
	struct sim_file *file;
	int r;

	if (!libc_is_ours(fd))
		return (int)LIBC_RAW(SYS_connect, fd, address, length);
	file = noria_libc_file(fd);
	if (!file)
		return -1;
	r = sim_connect(file, address, length);
	while ((r == -EINPROGRESS || r == -EALREADY) && !(file->flags & O_NONBLOCK) && testing_thread()) {
		testing_thread_sleep(RETRY_NS);
		file = noria_libc_file(fd);
		if (!file)
			return -1;
		r = sim_connect(file, address, length);
	}
	return (int)libc_answer(r);
}

static int libc_shutdown(int fd, int how)
{
	struct sim_file *file;

	if (!libc_is_ours(fd))
		return (int)LIBC_RAW(SYS_shutdown, fd, how);
	file = noria_libc_file(fd);
	return file ? (int)libc_answer(sim_shutdown(file, how)) : -1;
}

static int libc_getsockname(int fd, struct sockaddr *ret_address, socklen_t *length)
{
	struct sim_file *file;

	if (!libc_is_ours(fd))
		return (int)LIBC_RAW(SYS_getsockname, fd, ret_address, length);
	file = noria_libc_file(fd);
	return file ? (int)libc_answer(sim_getsockname(file, ret_address, length)) : -1;
}

static int libc_getpeername(int fd, struct sockaddr *ret_address, socklen_t *length)
{
	struct sim_file *file;

	if (!libc_is_ours(fd))
		return (int)LIBC_RAW(SYS_getpeername, fd, ret_address, length);
	file = noria_libc_file(fd);
	return file ? (int)libc_answer(sim_getpeername(file, ret_address, length)) : -1;
}

static int libc_getsockopt(int fd, int level, int name, void *ret_value, socklen_t *length)
{
	struct sim_file *file;

	if (!libc_is_ours(fd))
		return (int)LIBC_RAW(SYS_getsockopt, fd, level, name, ret_value, length);
	file = noria_libc_file(fd);
	return file ? (int)libc_answer(sim_getsockopt(file, level, name, ret_value, length)) : -1;
}

static int libc_setsockopt(int fd, int level, int name, const void *value, socklen_t length)
{
	struct sim_file *file;

	if (!libc_is_ours(fd))
		return (int)LIBC_RAW(SYS_setsockopt, fd, level, name, value, length);
	file = noria_libc_file(fd);
	return file ? (int)libc_answer(sim_setsockopt(file, level, name, value, length)) : -1;
}

LIBC_EXPORT(bind, bind);
LIBC_EXPORT(listen, listen);
LIBC_EXPORT(accept, accept);
LIBC_EXPORT(accept4, accept4);
LIBC_EXPORT(connect, connect);
LIBC_EXPORT(shutdown, shutdown);
LIBC_EXPORT(getsockname, getsockname);
LIBC_EXPORT(getpeername, getpeername);
LIBC_EXPORT(getsockopt, getsockopt);
LIBC_EXPORT(setsockopt, setsockopt);

/* ---- waiting for several ---- */

static bool any_is_ours(const struct pollfd *fds, nfds_t count)
{
	for (nfds_t i = 0; i < count; i++)
		if (libc_is_ours(fds[i].fd))
			return true;
	return false;
}

static int look(struct pollfd *fds, nfds_t count)
{
	int ready = 0;

	for (nfds_t i = 0; i < count; i++) {
		struct sim_file *file = fds[i].fd >= 0 ? sim_fd_file(sim_world, fds[i].fd) : NULL;
		unsigned there = file ? sim_file_poll(file) & ((unsigned)fds[i].events | POLLERR | POLLHUP) : POLLNVAL;

		fds[i].revents = fds[i].fd < 0 ? 0 : (short)there;
		ready += fds[i].revents != 0;
	}
	return ready;
}

static int libc_poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
	enum { RETRY_NS = 20 * 1000 };
	struct timespec limit = {.tv_sec = timeout_ms / 1000, .tv_nsec = timeout_ms % 1000 * 1000000};
	int64_t end;
	int ready;

	if (!any_is_ours(fds, count))
		return (int)LIBC_RAW(SYS_ppoll, fds, count, timeout_ms < 0 ? NULL : &limit, NULL, 0);
	end = timeout_ms < 0 ? INT64_MAX : sim_world->now + timeout_ms * INT64_C(1000000);
	while ((ready = look(fds, count)) == 0 && sim_world->now < end) {
		if (!testing_thread())
			return (int)libc_answer(noria_libc_refuse_wait("poll()"));
		testing_thread_sleep(RETRY_NS);
	}
	return ready;
}

LIBC_EXPORT(poll, poll);
