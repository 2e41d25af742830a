/* SPDX-License-Identifier: MIT */
/*
 * What a program registers with the ring: groups of provided buffers, memory, a table of direct descriptors; and larger
 * queues.
 */
#include "simulation/ring.h"

#include <errno.h>
#include <stdlib.h>

int sim_provide(struct ring *base, struct io_uring_buf_ring *buffers, unsigned entries, unsigned number, unsigned flags)
{
	struct sim_group *groups = sim_ring(base)->groups, *free_one = NULL;

	for (unsigned i = 0; i < SIM_GROUPS_MAX; i++) {
		if (groups[i].buffers && groups[i].number == number) {
			if (buffers)
				return -EEXIST;
			groups[i].buffers = NULL;
			return 0;
		}
		if (!groups[i].buffers && !free_one)
			free_one = &groups[i];
	}
	if (!buffers)
		return -ENOENT;
	if (!free_one)
		return -ENOMEM;
	*free_one = (struct sim_group){.buffers = buffers, .entries = entries, .number = number, .flags = flags};
	return 0;
}

int sim_fix(struct ring *base, void *memory, size_t size)
{
	struct sim_ring *ring = sim_ring(base);

	if (!features_has(&base->features, FEATURE_REGISTERED_BUFFERS))
		return -EOPNOTSUPP;
	for (int i = 0; i < SIM_FIXED_MAX; i++)
		if (!ring->fixed[i].iov_base) {
			ring->fixed[i] = (struct iovec){.iov_base = memory, .iov_len = size};
			return i;
		}
	return -ENOSPC;
}

void sim_unfix(struct ring *base, unsigned index)
{
	sim_ring(base)->fixed[index].iov_base = NULL;
}

void sim_direct_close(struct sim_ring *ring)
{
	for (unsigned i = 0; i < ring->direct_places; i++)
		if (ring->direct[i])
			sim_file_unref(ring->direct[i]);
	free(ring->direct);
	ring->direct = NULL;
	ring->direct_places = ring->direct_chosen = 0;
}

int sim_direct(struct ring *base, unsigned places, unsigned chosen)
{
	struct sim_ring *ring = sim_ring(base);

	if (places == 0) {
		sim_direct_close(ring);
		return 0;
	}
	if (ring->direct)
		return -EBUSY;
	ring->direct = calloc(places, sizeof *ring->direct);
	if (!ring->direct)
		return -ENOMEM;
	ring->direct_places = places;
	ring->direct_chosen = chosen;
	return 0;
}

int sim_grow(struct ring *base)
{
	struct sim_ring *ring = sim_ring(base);
	unsigned sq_entries = base->sq_entries * 2, cq_entries = base->cq_entries * 2;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;

	if (!features_has(&base->features, FEATURE_RESIZE))
		return -EOPNOTSUPP;
	if (base->sq_entries >= base->entries_max || ring_pending(base) > 0)
		return -EBUSY;
	sqes = malloc(sq_entries * sizeof *sqes);
	cqes = malloc(cq_entries * sizeof *cqes);
	if (!sqes || !cqes) {
		free(sqes);
		free(cqes);
		return -ENOMEM;
	}
	for (unsigned i = ring->cq_head; i != ring->cq_tail; i++)
		cqes[i & (cq_entries - 1)] = base->cqes[i & (base->cq_entries - 1)];
	free(base->sqes);
	free(base->cqes);
	base->sqes = sqes;
	base->cqes = cqes;
	base->sq_entries = sq_entries;
	base->cq_entries = cq_entries;
	return 0;
}
