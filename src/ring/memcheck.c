/* SPDX-License-Identifier: MIT */
/* What each operation fills, by its entry. Buffers that the kernel chose are the stream's to tell of. */
#include "ring/memcheck.h"

#include "base/memcheck.h"

#include <linux/stat.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/uio.h>

static void defined(const void *address, size_t size)
{
	if (address)
		(void)VALGRIND_MAKE_MEM_DEFINED(address, size);
}

static void vector_filled(const struct iovec *vector, size_t count, size_t bytes)
{
	for (size_t i = 0; i < count && bytes > 0; i++) {
		size_t here = bytes < vector[i].iov_len ? bytes : vector[i].iov_len;

		defined(vector[i].iov_base, here);
		bytes -= here;
	}
}

static void message_filled(const struct msghdr *message, size_t bytes)
{
	defined(message, sizeof *message);
	defined(message->msg_name, message->msg_namelen);
	defined(message->msg_control, message->msg_controllen);
	vector_filled(message->msg_iov, message->msg_iovlen, bytes);
}

static void address_filled(const void *address, const socklen_t *length)
{
	defined(length, length ? sizeof *length : 0);
	defined(address, length ? *length : 0);
}

void noria_memcheck_filled(const struct io_uring_sqe *sqe, int32_t result)
{
	const void *address = (const void *)(uintptr_t)sqe->addr;

	if (result < 0 || (sqe->flags & IOSQE_BUFFER_SELECT))
		return;
	switch (sqe->opcode) {
	case IORING_OP_READ:
	case IORING_OP_READ_FIXED:
	case IORING_OP_RECV:
		defined(address, (size_t)result);
		break;
	case IORING_OP_READV:
		vector_filled(address, sqe->len, (size_t)result);
		break;
	case IORING_OP_RECVMSG:
		message_filled(address, (size_t)result);
		break;
	case IORING_OP_STATX:
		defined((const void *)(uintptr_t)sqe->addr2, sizeof(struct statx));
		break;
	case IORING_OP_WAITID:
		defined((const void *)(uintptr_t)sqe->addr2, sizeof(siginfo_t));
		break;
	case IORING_OP_ACCEPT:
		address_filled(address, (const socklen_t *)(uintptr_t)sqe->addr2);
		break;
	}
}
