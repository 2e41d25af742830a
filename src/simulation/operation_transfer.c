/* SPDX-License-Identifier: MIT */
/* What moves bytes, of whatever file. */
#include "simulation/operation.h"

#include "base/assert.h"
#include "simulation/ring.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

enum { SPLICE_CHUNK = 4096 };

static size_t vector_size(const struct iovec *vector, size_t count)
{
	size_t size = 0;

	for (size_t i = 0; i < count; i++)
		size += vector[i].iov_len;
	return size;
}

static int64_t read_from(struct sim_file *file, struct sim_transfer *transfer)
{
	return file->class->read ? file->class->read(file, transfer) : -EBADF;
}

static int64_t write_to(struct sim_file *file, struct sim_transfer *transfer)
{
	return file->class->write ? file->class->write(file, transfer) : -EBADF;
}

/* ---- read(2), write(2) and their variants ---- */

static int64_t move(struct sim_request *request, const struct iovec *vector, size_t count, bool out)
{
	struct sim_transfer transfer = {
		.vector = vector,
		.count = count,
		.size = vector_size(vector, count),
		.offset = (int64_t)request->sqe.off,
		.flags = request->file->class->is_socket ? 0 : request->sqe.rw_flags,
		.host = request->host,
	};

	return out ? write_to(request->file, &transfer) : read_from(request->file, &transfer);
}

/* Registered memory has to hold what is named. */
static bool is_fixed_well(const struct sim_request *request)
{
	const struct io_uring_sqe *sqe = &request->sqe;
	const struct iovec *fixed;
	uintptr_t begin;

	if (sqe->opcode != IORING_OP_READ_FIXED && sqe->opcode != IORING_OP_WRITE_FIXED)
		return true;
	if (sqe->buf_index >= SIM_FIXED_MAX || !request->ring->fixed[sqe->buf_index].iov_base)
		return false;
	fixed = &request->ring->fixed[sqe->buf_index];
	begin = (uintptr_t)fixed->iov_base;
	return sqe->addr >= begin && sqe->addr + sqe->len <= begin + fixed->iov_len;
}

int64_t sim_run_read(struct sim_request *request)
{
	struct iovec vector[SIM_VECTORS_MAX];
	int64_t r;
	int n;

	if (!is_fixed_well(request))
		return -EFAULT;
	n = sim_request_memory(request, vector, 1, request->sqe.len);
	if (n < 0)
		return n;
	r = move(request, vector, (size_t)n, false);
	if (r > 0)
		sim_request_received(request, (size_t)r);
	return r;
}

int64_t sim_run_write(struct sim_request *request)
{
	struct iovec vector = {.iov_base = (void *)(uintptr_t)request->sqe.addr, .iov_len = request->sqe.len};

	return is_fixed_well(request) ? move(request, &vector, 1, true) : -EFAULT;
}

int64_t sim_run_readv(struct sim_request *request)
{
	return move(request, (const void *)(uintptr_t)request->sqe.addr, request->sqe.len, false);
}

int64_t sim_run_writev(struct sim_request *request)
{
	return move(request, (const void *)(uintptr_t)request->sqe.addr, request->sqe.len, true);
}

/* ---- of sockets ---- */

/* The part of a vector that begins `skip` bytes into it. Returns how many there are. */
static size_t rest(const struct iovec *vector, size_t count, size_t skip, struct iovec *ret_rest, size_t most)
{
	size_t n = 0;

	for (size_t i = 0; i < count && n < most; i++) {
		if (skip >= vector[i].iov_len && (skip > 0 || vector[i].iov_len == 0)) {
			skip -= vector[i].iov_len;
			continue;
		}
		ret_rest[n].iov_base = (char *)vector[i].iov_base + skip;
		ret_rest[n++].iov_len = vector[i].iov_len - skip;
		skip = 0;
	}
	return n;
}

/* With MSG_WAITALL what was moved before it had to wait counts, whatever comes then. */
static int64_t move_all(struct sim_request *request, struct sim_transfer *whole, bool out)
{
	for (;;) {
		struct iovec vector[64];
		struct sim_transfer transfer = *whole;
		int64_t r;

		if (request->done > 0) {
			transfer.vector = vector;
			transfer.count = rest(whole->vector, whole->count, (size_t)request->done, vector, 64);
			transfer.size = vector_size(vector, transfer.count);
		}
		r = out ? write_to(request->file, &transfer) : read_from(request->file, &transfer);
		if (r == -EAGAIN || !(whole->flags & MSG_WAITALL))
			return r;
		if (r <= 0)
			return request->done > 0 ? request->done : r;
		request->done += r;
		if ((size_t)request->done == whole->size)
			return request->done;
	}
}

/* Of a socket's: to or from this vector, with `message` for address and control data. */
static int64_t exchange(struct sim_request *request, const struct iovec *vector, size_t count, struct msghdr *message,
			bool out)
{
	struct sim_transfer transfer = {
		.vector = vector,
		.count = count,
		.size = vector_size(vector, count),
		.offset = -1,
		.flags = (int)request->sqe.msg_flags,
		.message = message,
		.host = request->host,
	};

	if (!request->file->class->is_socket)
		return -ENOTSOCK;
	return move_all(request, &transfer, out);
}

static int64_t receive(struct sim_request *request, const struct iovec *vector, size_t count, struct msghdr *message)
{
	return exchange(request, vector, count, message, false);
}

int64_t sim_run_recv(struct sim_request *request)
{
	struct iovec vector[SIM_VECTORS_MAX];
	int64_t r;
	int n = sim_request_memory(request, vector, SIM_VECTORS_MAX, request->sqe.len);

	if (n < 0)
		return n;
	r = receive(request, vector, (size_t)n, NULL);
	if (r > 0)
		sim_request_received(request, (size_t)r);
	return r;
}

/* A header, address and control data go before the bytes, each in as much room as was asked for. */
static int64_t receive_many(struct sim_request *request, const struct msghdr *wanted)
{
	struct io_uring_recvmsg_out header;
	size_t before = sizeof header + wanted->msg_namelen + wanted->msg_controllen;
	struct msghdr message = *wanted;
	struct iovec buffer, payload;
	int64_t r;
	int n = sim_request_memory(request, &buffer, 1, 0);

	if (n < 0)
		return n;
	if (buffer.iov_len < before)
		return -EFAULT;
	payload.iov_base = (char *)buffer.iov_base + before;
	payload.iov_len = buffer.iov_len - before;
	message.msg_name = wanted->msg_namelen > 0 ? (char *)buffer.iov_base + sizeof header : NULL;
	message.msg_control =
		wanted->msg_controllen > 0 ? (char *)buffer.iov_base + sizeof header + wanted->msg_namelen : NULL;
	r = receive(request, &payload, 1, &message);
	if (r < 0)
		return r;
	header = (struct io_uring_recvmsg_out){
		.namelen = message.msg_namelen,
		.controllen = (uint32_t)message.msg_controllen,
		.payloadlen = (uint32_t)r,
		.flags = (uint32_t)message.msg_flags,
	};
	memcpy(buffer.iov_base, &header, sizeof header);
	r = (int64_t)before + (r < (int64_t)payload.iov_len ? r : (int64_t)payload.iov_len);
	sim_request_received(request, (size_t)r);
	return r;
}

int64_t sim_run_recvmsg(struct sim_request *request)
{
	struct msghdr *message = (void *)(uintptr_t)request->sqe.addr;
	struct iovec buffer;
	int64_t r;
	int n;

	if (request->multishot)
		return receive_many(request, message);
	if (!(request->sqe.flags & IOSQE_BUFFER_SELECT))
		return receive(request, message->msg_iov, message->msg_iovlen, message);
	n = sim_request_memory(request, &buffer, 1, message->msg_iovlen > 0 ? message->msg_iov[0].iov_len : 0);
	if (n < 0)
		return n;
	r = receive(request, &buffer, 1, message);
	if (r > 0)
		sim_request_received(request, (size_t)r);
	return r;
}

int64_t sim_run_send(struct sim_request *request)
{
	const struct io_uring_sqe *sqe = &request->sqe;
	struct iovec vector = {.iov_base = (void *)(uintptr_t)sqe->addr, .iov_len = sqe->len};
	struct msghdr message = {.msg_name = (void *)(uintptr_t)sqe->addr2, .msg_namelen = sqe->addr_len};

	return exchange(request, &vector, 1, sqe->addr2 ? &message : NULL, true);
}

int64_t sim_run_sendmsg(struct sim_request *request)
{
	struct msghdr *message = (void *)(uintptr_t)request->sqe.addr;

	return exchange(request, message->msg_iov, message->msg_iovlen, message, true);
}

/* ---- from one file to another ---- */

struct splice {
	struct sim_file *in, *out;
	int64_t in_offset, out_offset;
	struct sim_host *host;
};

/* All of it, though a read may be short. Returns how many bytes it was. */
static int64_t take_away(const struct splice *splice, char *chunk, size_t size)
{
	for (size_t left = size; left > 0;) {
		struct iovec vector = {.iov_base = chunk, .iov_len = left};
		struct sim_transfer transfer = {
			.vector = &vector, .count = 1, .size = left, .offset = -1, .host = splice->host};
		int64_t n = read_from(splice->in, &transfer);

		invariant(n > 0);
		left -= (size_t)n;
	}
	return (int64_t)size;
}

/* Up to a chunk: look at the bytes, give as many as are taken, and only then take those away. */
static int64_t move_chunk(const struct splice *splice, size_t size, bool keep)
{
	char chunk[SPLICE_CHUNK];
	struct iovec vector = {.iov_base = chunk, .iov_len = size < sizeof chunk ? size : sizeof chunk};
	struct sim_transfer transfer = {.vector = &vector, .count = 1, .size = vector.iov_len, .host = splice->host};
	int64_t n;

	transfer.offset = splice->in_offset;
	transfer.flags = MSG_PEEK;
	n = read_from(splice->in, &transfer);
	if (n <= 0)
		return n;
	vector.iov_len = transfer.size = (size_t)n;
	transfer.offset = splice->out_offset;
	transfer.flags = 0;
	n = write_to(splice->out, &transfer);
	if (n <= 0 || keep || splice->in_offset >= 0)
		return n;
	return take_away(splice, chunk, (size_t)n);
}

static int64_t splice_bytes(struct sim_request *request, bool keep)
{
	struct splice splice = {
		.in = request->second,
		.out = request->file,
		.in_offset = keep ? -1 : (int64_t)request->sqe.splice_off_in,
		.out_offset = keep ? -1 : (int64_t)request->sqe.off,
		.host = request->host,
	};
	size_t left = request->sqe.len;
	int64_t done = 0, n = 0;

	while (left > 0 && (!keep || done == 0)) {
		n = move_chunk(&splice, left, keep);
		if (n <= 0)
			break;
		done += n;
		left -= (size_t)n;
		splice.in_offset += splice.in_offset >= 0 ? n : 0;
		splice.out_offset += splice.out_offset >= 0 ? n : 0;
	}
	return done > 0 ? done : n;
}

/* Callers poll both sides first, so that it need not wait inside. */
int64_t sim_run_splice(struct sim_request *request)
{
	return splice_bytes(request, false);
}

int64_t sim_run_tee(struct sim_request *request)
{
	return splice_bytes(request, true);
}
