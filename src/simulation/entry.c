/* SPDX-License-Identifier: MIT */
/*
 * What an entry names when it begins: its operation, its host, its files, and whether it asks for one completion or for
 * several.
 */
#include "simulation/request.h"

#include "simulation/host.h"
#include "simulation/ring.h"

#include <errno.h>

static bool asks_for_multishot(const struct io_uring_sqe *sqe)
{
	switch (sqe->opcode) {
	case IORING_OP_RECV:
	case IORING_OP_RECVMSG:
		return sqe->ioprio & IORING_RECV_MULTISHOT;
	case IORING_OP_ACCEPT:
		return sqe->ioprio & IORING_ACCEPT_MULTISHOT;
	case IORING_OP_POLL_ADD:
		return sqe->len & IORING_POLL_ADD_MULTI;
	default:
		return false;
	}
}

/* A descriptor is looked up when its operation begins, not when it is submitted. */
static struct sim_file *find_file(struct sim_ring *ring, int fd, bool fixed)
{
	struct sim_file *file;

	if (fixed)
		file = (unsigned)fd < ring->direct_places ? ring->direct[fd] : NULL;
	else
		file = sim_fd_file(ring->world, fd);
	return file ? sim_file_ref(file) : NULL;
}

static bool has_second_file(const struct sim_request *request)
{
	return request->sqe.opcode == IORING_OP_SPLICE || request->sqe.opcode == IORING_OP_TEE;
}

static bool closes_direct(const struct sim_request *request)
{
	return request->sqe.opcode == IORING_OP_CLOSE && request->sqe.file_index > 0;
}

static int find_files(struct sim_request *request)
{
	const struct io_uring_sqe *sqe = &request->sqe;

	if (request->operation->has_file && !closes_direct(request)) {
		request->file = find_file(request->ring, sqe->fd, sqe->flags & IOSQE_FIXED_FILE);
		if (!request->file)
			return -EBADF;
	}
	if (has_second_file(request)) {
		request->second = find_file(request->ring, sqe->splice_fd_in, sqe->splice_flags & SPLICE_F_FD_IN_FIXED);
		if (!request->second)
			return -EBADF;
	}
	return 0;
}

int sim_request_prepare(struct sim_request *request)
{
	struct sim_world *world = request->ring->world;

	request->operation = &sim_operations[request->sqe.opcode];
	request->host = sim_host_numbered(world, request->sqe.personality);
	request->boot = request->host->boots;
	request->multishot = asks_for_multishot(&request->sqe);
	if (!request->operation->run)
		return -EINVAL;
	if (!request->host->up && request->sqe.opcode != IORING_OP_CLOSE &&
	    request->sqe.opcode != IORING_OP_ASYNC_CANCEL)
		return -EHOSTDOWN;
	return find_files(request);
}
