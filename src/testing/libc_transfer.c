/* SPDX-License-Identifier: MIT */
/* Bytes: read(2), send(2) and all that are like them. */
#include "testing/libc.h"

#include <liburing.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum { VECTORS_MAX = 1024 };

/* ---- read and write ---- */

static ssize_t move(int fd, const struct iovec *vector, int count, int64_t offset, int flags, bool out)
{
	struct io_uring_sqe sqe = {0};

	if (count < 0 || count > VECTORS_MAX)
		return libc_answer(-EINVAL);
	if (out)
		io_uring_prep_writev2(&sqe, fd, vector, (unsigned)count, (uint64_t)offset, flags);
	else
		io_uring_prep_readv2(&sqe, fd, vector, (unsigned)count, (uint64_t)offset, flags);
	return libc_answer(noria_libc_make_waiting(&sqe));
}

static ssize_t move_at(int fd, const struct iovec *vector, int count, int64_t offset, int flags, bool out)
{
	return offset < 0 ? libc_answer(-EINVAL) : move(fd, vector, count, offset, flags, out);
}

static ssize_t libc_read(int fd, void *buffer, size_t size)
{
	struct iovec vector = {.iov_base = buffer, .iov_len = size};

	return libc_is_ours(fd) ? move(fd, &vector, 1, -1, 0, false) : LIBC_RAW(SYS_read, fd, buffer, size);
}

static ssize_t libc_write(int fd, const void *buffer, size_t size)
{
	struct iovec vector = {.iov_base = (void *)(uintptr_t)buffer, .iov_len = size};

	return libc_is_ours(fd) ? move(fd, &vector, 1, -1, 0, true) : LIBC_RAW(SYS_write, fd, buffer, size);
}

static ssize_t libc_readv(int fd, const struct iovec *vector, int count)
{
	return libc_is_ours(fd) ? move(fd, vector, count, -1, 0, false) : LIBC_RAW(SYS_readv, fd, vector, count);
}

static ssize_t libc_writev(int fd, const struct iovec *vector, int count)
{
	return libc_is_ours(fd) ? move(fd, vector, count, -1, 0, true) : LIBC_RAW(SYS_writev, fd, vector, count);
}

static ssize_t libc_pread(int fd, void *buffer, size_t size, int64_t offset)
{
	struct iovec vector = {.iov_base = buffer, .iov_len = size};

	return libc_is_ours(fd) ? move_at(fd, &vector, 1, offset, 0, false)
				: LIBC_RAW(SYS_pread64, fd, buffer, size, offset);
}

static ssize_t libc_pwrite(int fd, const void *buffer, size_t size, int64_t offset)
{
	struct iovec vector = {.iov_base = (void *)(uintptr_t)buffer, .iov_len = size};

	return libc_is_ours(fd) ? move_at(fd, &vector, 1, offset, 0, true)
				: LIBC_RAW(SYS_pwrite64, fd, buffer, size, offset);
}

/* The kernel takes an offset in two halves, of which the first is enough for a machine of 64 bits. */
static ssize_t libc_preadv(int fd, const struct iovec *vector, int count, int64_t offset)
{
	return libc_is_ours(fd) ? move_at(fd, vector, count, offset, 0, false)
				: LIBC_RAW(SYS_preadv, fd, vector, count, offset, 0);
}

static ssize_t libc_pwritev(int fd, const struct iovec *vector, int count, int64_t offset)
{
	return libc_is_ours(fd) ? move_at(fd, vector, count, offset, 0, true)
				: LIBC_RAW(SYS_pwritev, fd, vector, count, offset, 0);
}

static ssize_t libc_preadv2(int fd, const struct iovec *vector, int count, int64_t offset, int flags)
{
	return libc_is_ours(fd) ? move(fd, vector, count, offset, flags, false)
				: LIBC_RAW(SYS_preadv2, fd, vector, count, offset, 0, flags);
}

static ssize_t libc_pwritev2(int fd, const struct iovec *vector, int count, int64_t offset, int flags)
{
	return libc_is_ours(fd) ? move(fd, vector, count, offset, flags, true)
				: LIBC_RAW(SYS_pwritev2, fd, vector, count, offset, 0, flags);
}

LIBC_EXPORT(read, read);
LIBC_EXPORT(write, write);
LIBC_EXPORT(readv, readv);
LIBC_EXPORT(writev, writev);
LIBC_EXPORT(pread, pread);
LIBC_EXPORT(pread, pread64);
LIBC_EXPORT(pwrite, pwrite);
LIBC_EXPORT(pwrite, pwrite64);
LIBC_EXPORT(preadv, preadv);
LIBC_EXPORT(preadv, preadv64);
LIBC_EXPORT(pwritev, pwritev);
LIBC_EXPORT(pwritev, pwritev64);
LIBC_EXPORT(preadv2, preadv2);
LIBC_EXPORT(preadv2, preadv64v2);
LIBC_EXPORT(pwritev2, pwritev2);
LIBC_EXPORT(pwritev2, pwritev64v2);

/* ---- send and receive ---- */

static ssize_t send_ours(int fd, const struct msghdr *message, int flags)
{
	struct io_uring_sqe sqe = {0};

	io_uring_prep_sendmsg(&sqe, fd, message, (unsigned)flags);
	return libc_answer(flags & MSG_DONTWAIT ? noria_libc_make(&sqe) : noria_libc_make_waiting(&sqe));
}

static ssize_t receive_ours(int fd, struct msghdr *message, int flags)
{
	struct io_uring_sqe sqe = {0};

	io_uring_prep_recvmsg(&sqe, fd, message, (unsigned)flags);
	return libc_answer(flags & MSG_DONTWAIT ? noria_libc_make(&sqe) : noria_libc_make_waiting(&sqe));
}

static ssize_t libc_sendto(int fd, const void *buffer, size_t size, int flags, const void *address, socklen_t length)
{
	struct iovec vector = {.iov_base = (void *)(uintptr_t)buffer, .iov_len = size};
	struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};

	if (!libc_is_ours(fd))
		return LIBC_RAW(SYS_sendto, fd, buffer, size, flags, address, length);
	message.msg_name = (void *)(uintptr_t)address;
	message.msg_namelen = address ? length : 0;
	return send_ours(fd, &message, flags);
}

static ssize_t libc_send(int fd, const void *buffer, size_t size, int flags)
{
	return libc_sendto(fd, buffer, size, flags, NULL, 0);
}

static ssize_t libc_sendmsg(int fd, const struct msghdr *message, int flags)
{
	return libc_is_ours(fd) ? send_ours(fd, message, flags) : LIBC_RAW(SYS_sendmsg, fd, message, flags);
}

static int libc_sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags)
{
	unsigned sent = 0;

	if (!libc_is_ours(fd))
		return (int)LIBC_RAW(SYS_sendmmsg, fd, messages, count, flags);
	for (; sent < count; sent++) {
		ssize_t n = send_ours(fd, &messages[sent].msg_hdr, flags);

		if (n < 0)
			return sent > 0 ? (int)sent : -1;
		messages[sent].msg_len = (unsigned)n;
	}
	return (int)sent;
}

static ssize_t libc_recvfrom(int fd, void *buffer, size_t size, int flags, void *ret_address, socklen_t *length)
{
	struct iovec vector = {.iov_base = buffer, .iov_len = size};
	struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
	ssize_t n;

	if (!libc_is_ours(fd))
		return LIBC_RAW(SYS_recvfrom, fd, buffer, size, flags, ret_address, length);
	message.msg_name = ret_address;
	message.msg_namelen = ret_address && length ? *length : 0;
	n = receive_ours(fd, &message, flags);
	if (n >= 0 && ret_address && length)
		*length = message.msg_namelen;
	return n;
}

static ssize_t libc_recv(int fd, void *buffer, size_t size, int flags)
{
	return libc_recvfrom(fd, buffer, size, flags, NULL, NULL);
}

static ssize_t libc_recvmsg(int fd, struct msghdr *message, int flags)
{
	return libc_is_ours(fd) ? receive_ours(fd, message, flags) : LIBC_RAW(SYS_recvmsg, fd, message, flags);
}

static int libc_recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *limit)
{
	unsigned received = 0;

	if (!libc_is_ours(fd))
		return (int)LIBC_RAW(SYS_recvmmsg, fd, messages, count, flags, limit);
	for (; received < count; received++) {
		int now = received > 0 && (flags & MSG_WAITFORONE) ? flags | MSG_DONTWAIT : flags;
		ssize_t n = receive_ours(fd, &messages[received].msg_hdr, now & ~MSG_WAITFORONE);

		if (n < 0)
			return received > 0 ? (int)received : -1;
		messages[received].msg_len = (unsigned)n;
	}
	return (int)received;
}

LIBC_EXPORT(send, send);
LIBC_EXPORT(sendto, sendto);
LIBC_EXPORT(sendmsg, sendmsg);
LIBC_EXPORT(sendmmsg, sendmmsg);
LIBC_EXPORT(recv, recv);
LIBC_EXPORT(recvfrom, recvfrom);
LIBC_EXPORT(recvmsg, recvmsg);
LIBC_EXPORT(recvmmsg, recvmmsg);

/* ---- as _FORTIFY_SOURCE calls them, with the size of the buffer ---- */

static void check(size_t size, size_t there)
{
	if (size > there)
		__builtin_trap();
}

static ssize_t libc_read_chk(int fd, void *buffer, size_t size, size_t there)
{
	check(size, there);
	return libc_read(fd, buffer, size);
}

static ssize_t libc_pread_chk(int fd, void *buffer, size_t size, int64_t offset, size_t there)
{
	check(size, there);
	return libc_pread(fd, buffer, size, offset);
}

static ssize_t libc_recv_chk(int fd, void *buffer, size_t size, size_t there, int flags)
{
	check(size, there);
	return libc_recv(fd, buffer, size, flags);
}

static ssize_t libc_recvfrom_chk(int fd, void *buffer, size_t size, size_t there, int flags, void *ret_address,
				 socklen_t *length)
{
	check(size, there);
	return libc_recvfrom(fd, buffer, size, flags, ret_address, length);
}

LIBC_EXPORT(read_chk, __read_chk);
LIBC_EXPORT(pread_chk, __pread_chk);
LIBC_EXPORT(pread_chk, __pread64_chk);
LIBC_EXPORT(recv_chk, __recv_chk);
LIBC_EXPORT(recvfrom_chk, __recvfrom_chk);
