/* SPDX-License-Identifier: MIT */
/* Descriptors, whatever they stand for: closing, doubling, flags. */
#include "base/message.h"
#include "simulation/file.h"
#include "simulation/net/net.h"
#include "testing/libc.h"

#include <fcntl.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int libc_close(int fd)
{
	return libc_is_ours(fd) ? (int)libc_answer(sim_fd_close(sim_world, fd)) : (int)LIBC_RAW(SYS_close, fd);
}

static int dup_ours(int fd)
{
	struct sim_file *file = noria_libc_file(fd);

	return file ? (int)libc_answer(sim_fd_install(sim_file_ref(file))) : -1;
}

static int libc_dup(int fd)
{
	return libc_is_ours(fd) ? dup_ours(fd) : (int)LIBC_RAW(SYS_dup, fd);
}

static int libc_dup3(int fd, int new_fd, int flags)
{
	if (libc_is_ours(fd) || libc_is_ours(new_fd))
		return (int)noria_libc_refuse("dup2() of a simulated descriptor");
	return (int)LIBC_RAW(SYS_dup3, fd, new_fd, flags);
}

static int libc_dup2(int fd, int new_fd)
{
	if (fd == new_fd && libc_is_ours(fd))
		return noria_libc_file(fd) ? fd : -1;
	if (fd == new_fd)
		return LIBC_RAW(SYS_fcntl, fd, F_GETFD) < 0 ? -1 : fd;
	return libc_dup3(fd, new_fd, 0);
}

LIBC_EXPORT(close, close);
LIBC_EXPORT(dup, dup);
LIBC_EXPORT(dup2, dup2);
LIBC_EXPORT(dup3, dup3);

/* ---- flags ---- */

enum { CHANGEABLE = O_APPEND | O_NONBLOCK | O_ASYNC | O_DIRECT | O_NOATIME };

static int64_t control(int fd, struct sim_file *file, int command, long argument)
{
	switch (command) {
	case F_GETFL:
		return file->flags;
	case F_SETFL:
		file->flags = (file->flags & ~CHANGEABLE) | ((int)argument & CHANGEABLE);
		return 0;
	case F_GETFD:
		return FD_CLOEXEC; /* no program is ever started with it */
	case F_SETFD:
		return 0;
	case F_DUPFD:
	case F_DUPFD_CLOEXEC:
		return argument > fd ? -EINVAL : sim_fd_install(sim_file_ref(file));
	case F_GETPIPE_SZ:
		return sim_pipe_size(file);
	case F_SETPIPE_SZ:
		return argument < 0 ? -EINVAL : sim_pipe_resize(file, (size_t)argument);
	default:
		return noria_refuse(-EINVAL, "fcntl: a simulated descriptor knows no command %d", command);
	}
}

static int libc_fcntl(int fd, int command, ...)
{
	struct sim_file *file;
	va_list list;
	long argument;

	va_start(list, command);
	argument = va_arg(list, long);
	va_end(list);
	if (!libc_is_ours(fd))
		return (int)LIBC_RAW(SYS_fcntl, fd, command, argument);
	file = noria_libc_file(fd);
	return file ? (int)libc_answer(control(fd, file, command, argument)) : -1;
}

static int libc_ioctl(int fd, unsigned long request, ...)
{
	struct sim_file *file;
	va_list list;
	void *value;

	va_start(list, request);
	value = va_arg(list, void *);
	va_end(list);
	if (!libc_is_ours(fd))
		return (int)LIBC_RAW(SYS_ioctl, fd, request, value);
	file = noria_libc_file(fd);
	return file ? (int)libc_answer(sim_socket_ioctl(file, request, value)) : -1;
}

LIBC_EXPORT(fcntl, fcntl);
LIBC_EXPORT(fcntl, fcntl64);
LIBC_EXPORT(ioctl, ioctl);

static int libc_isatty(int fd)
{
	char termios[64]; /* of the kernel's, with room */

	if (libc_is_ours(fd)) {
		errno = sim_fd_file(sim_world, fd) ? ENOTTY : EBADF;
		return 0;
	}
	return LIBC_RAW(SYS_ioctl, fd, TCGETS, termios) == 0;
}

LIBC_EXPORT(isatty, isatty);
