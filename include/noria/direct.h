/* SPDX-License-Identifier: MIT */
/*
 * Direct descriptors: files that the runtime's ring knows and the process does not. An operation on one is spared the
 * kernel's look-up in the process's table, and reference counts; no other thread, no exec and no fork ever sees it; and
 * RLIMIT_NOFILE does not count it. To the program it is a number like another, from 1 << 30 upward, for every function
 * of noria that takes a descriptor, and for nobody else: system calls answer EBADF, and so does another runtime.
 *
 * A runtime has noria_config.direct_descriptors of them. When all are open, or promised to calls that wait (each
 * noria_accept_direct() that waits has one), a call that would make one answers -ENFILE before it does anything: no
 * connection is lost. They are closed by noria_close(); those left open at the end of the run are closed with it, and
 * the failure handler hears of it.
 *
 * What a direct descriptor cannot do: begin the look-up of a path (as `dirfd`), go to another process or an executor,
 * be handed to another library. Such a call answers -EOPNOTSUPP with the remedy, or EBADF if noria never sees it;
 * noria_fd_install() makes an ordinary descriptor of the same file.
 *
 * Where the kernel has no direct descriptors (`direct` in `noria doctor`), the functions here give ordinary ones in
 * their place, and the program runs unchanged. All are checkpoints but noria_fd_is_direct(), and belong to the
 * runtime's thread. Close-on-exec is implied. All since 0.2.
 */
#ifndef NORIA_DIRECT_H
#define NORIA_DIRECT_H

#include <noria/base.h>
#include <sys/socket.h>

struct open_how;

NORIA_BEGIN_DECLS

/*
 * As noria_socket(), noria_accept4(), noria_openat(), noria_openat2() and pipe2(2), but what they give is direct.
 * noria_accept_direct() is an idle wait, and its listener may be of either kind. A pipe is direct where the kernel can
 * make one so (`pipe`).
 * Returns: the descriptor (0 for the pipe); -ENFILE when there is no place; -EMFILE or -ENOMEM when the table cannot be
 * made, with the remedy in noria_message(); and the errors of the call.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_socket_direct(int domain, int type, int protocol);
NORIA_PUBLIC NORIA_CHECKED int noria_accept_direct(int fd, struct sockaddr *address, socklen_t *length, int flags);
NORIA_PUBLIC NORIA_CHECKED int noria_openat_direct(int dirfd, const char *path, int flags, mode_t mode);
NORIA_PUBLIC NORIA_CHECKED int noria_openat2_direct(int dirfd, const char *path, const struct open_how *how,
						    size_t size);
NORIA_PUBLIC NORIA_CHECKED int noria_pipe_direct(int ret_fds[2], int flags);

/*
 * noria_fd_install - an ordinary descriptor of the same open file, beside the one given: both are to be closed.
 * @fd: direct; an ordinary one is duplicated as by dup(2), so that a program runs unchanged without direct descriptors
 * @flags: 0 or O_CLOEXEC
 * Returns: the new descriptor; -EOPNOTSUPP where the kernel cannot (`fd_install`); -EBADF, -EMFILE, -EINVAL (flags).
 */
NORIA_PUBLIC NORIA_CHECKED int noria_fd_install(int fd, int flags);

/*
 * noria_fd_direct - the other way: a direct descriptor of the same open file, beside the ordinary one given.
 * Returns: the new descriptor; -EBADF; -EINVAL if `fd` is direct; -ENFILE, -EMFILE, -ENOMEM as above.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_fd_direct(int fd);

/* noria_fd_is_direct - is this the number of a direct descriptor? Any thread; not a checkpoint. */
NORIA_PUBLIC bool noria_fd_is_direct(int fd);

NORIA_END_DECLS
#endif
