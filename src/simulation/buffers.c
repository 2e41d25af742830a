/* SPDX-License-Identifier: MIT */
/* Provided buffers, as io_uring's rings of them work: a request takes from the head what was added at the tail. */
#include "simulation/request.h"

#include "base/assert.h"
#include "simulation/ring.h"

#include <errno.h>

static struct sim_group *group_of(const struct sim_request *request)
{
	struct sim_group *groups = request->ring->groups;

	for (unsigned i = 0; i < SIM_GROUPS_MAX; i++)
		if (groups[i].buffers && groups[i].number == request->sqe.buf_group)
			return &groups[i];
	return NULL;
}

static struct io_uring_buf *buffer_at(const struct sim_group *group, uint16_t position)
{
	return &group->buffers->bufs[position & (group->entries - 1)];
}

static bool takes_several(const struct sim_request *request)
{
	return request->sqe.ioprio & IORING_RECVSEND_BUNDLE;
}

static int choose(struct sim_request *request, struct iovec *vector, unsigned count, size_t most)
{
	struct sim_group *group = group_of(request);
	uint16_t tail = group ? __atomic_load_n(&group->buffers->tail, __ATOMIC_ACQUIRE) : 0;
	unsigned n = 0;

	if (!group || tail == group->head || sim_strikes(&request->ring->world->plan, SIM_FAULT_NOBUFS))
		return -ENOBUFS;
	count = takes_several(request) ? count : 1;
	while (n < count && (uint16_t)(group->head + n) != tail && most > 0) {
		const struct io_uring_buf *buffer = buffer_at(group, (uint16_t)(group->head + n));
		size_t length = buffer->len < most ? buffer->len : most;

		vector[n++] = (struct iovec){.iov_base = (void *)(uintptr_t)buffer->addr, .iov_len = length};
		most -= length;
	}
	request->vectors = (uint16_t)n;
	request->incremental = group->flags & IOU_PBUF_RING_INC;
	return (int)n;
}

int sim_request_memory(struct sim_request *request, struct iovec *vector, unsigned count, size_t most)
{
	if (request->sqe.flags & IOSQE_BUFFER_SELECT)
		return choose(request, vector, count, most > 0 ? most : SIZE_MAX);
	vector[0] = (struct iovec){.iov_base = (void *)(uintptr_t)request->sqe.addr, .iov_len = most};
	return 1;
}

/* Of buffers that are filled bit by bit the one that is not full stays at the head. */
static void fill(struct sim_request *request, struct sim_group *group, size_t size)
{
	while (size > 0) {
		struct io_uring_buf *buffer = buffer_at(group, group->head);

		if (size < buffer->len) {
			buffer->addr += size;
			buffer->len -= (uint32_t)size;
			request->cqe_flags |= IORING_CQE_F_BUF_MORE;
			return;
		}
		size -= buffer->len;
		group->head++;
	}
}

static void use_up(struct sim_group *group, size_t size)
{
	do {
		size_t length = buffer_at(group, group->head)->len;

		size -= length < size ? length : size;
		group->head++;
	} while (size > 0);
}

void sim_request_received(struct sim_request *request, size_t size)
{
	struct sim_group *group;

	if (!(request->sqe.flags & IOSQE_BUFFER_SELECT))
		return;
	group = group_of(request);
	invariant(group);
	request->cqe_flags = IORING_CQE_F_BUFFER | (uint32_t)buffer_at(group, group->head)->bid
							   << IORING_CQE_BUFFER_SHIFT;
	if (request->incremental)
		fill(request, group, size);
	else
		use_up(group, size);
}
