/* SPDX-License-Identifier: MIT */
/*
 * Completions, from their posting until the program sees them. Those that are due together become visible in an order
 * that is drawn, as far as the kernel does not promise one: those of one request, of one chain, and those that fill
 * buffers bit by bit stay as they are. What finds no room in the ring's queue is kept, and the ring says so.
 */
#include "simulation/ring.h"

#include "base/assert.h"
#include "simulation/host.h"

#include <stdlib.h>
#include <string.h>

enum { ORDER_WINDOW = 8 };

static unsigned visible(const struct sim_ring *ring)
{
	return ring->cq_tail - ring->cq_head;
}

static unsigned posted(const struct sim_ring *ring)
{
	return ring->posted_end - ring->posted_first;
}

bool sim_any_posted(const struct sim_ring *ring)
{
	return posted(ring) > 0 || visible(ring) > 0;
}

bool sim_has_room(struct sim_ring *ring)
{
	if (sim_strikes(&ring->world->plan, SIM_FAULT_OVERFLOW))
		return false;
	return visible(ring) + posted(ring) < ring->ring.cq_entries;
}

/* The kernel allocates for those that find no room, and drops them where it cannot; a simulation has to have it. */
static void make_room(struct sim_ring *ring)
{
	struct sim_posted *larger;
	unsigned count = posted(ring);

	if (ring->posted_end < ring->posted_size)
		return;
	if (ring->posted_first >= ring->posted_size / 2 && count > 0) {
		memmove(ring->posted, ring->posted + ring->posted_first, count * sizeof *ring->posted);
	} else {
		larger = realloc(ring->posted, ring->posted_size * 2 * sizeof *larger);
		invariant(larger);
		ring->posted = larger;
		ring->posted_size *= 2;
		return;
	}
	ring->posted_first = 0;
	ring->posted_end = count;
}

void sim_post(struct sim_request *request, int32_t result, uint32_t flags)
{
	struct sim_ring *ring = request->ring;

	sim_trace(ring->world, "%s #%llu %s: %d%s", request->host->name, (unsigned long long)request->number,
		  request->operation->name, result, flags & IORING_CQE_F_MORE ? ", more" : "");
	make_room(ring);
	ring->posted[ring->posted_end++] = (struct sim_posted){
		.user_data = request->sqe.user_data,
		.result = result,
		.flags = flags,
		.order = request->order,
		.incremental = request->incremental,
	};
}

/* May this one overtake those before it? */
static bool may_pass(const struct sim_ring *ring, unsigned i)
{
	const struct sim_posted *posted = &ring->posted[i];

	for (unsigned j = ring->posted_first; j < i; j++)
		if (ring->posted[j].order == posted->order || (ring->posted[j].incremental && posted->incremental))
			return false;
	return true;
}

/* Which one becomes visible next. */
static unsigned draw_posted(struct sim_ring *ring)
{
	unsigned count = posted(ring), among = count < ORDER_WINDOW ? count : ORDER_WINDOW;
	unsigned i = ring->posted_first;

	if (among > 1)
		i += (unsigned)sim_draw(ring->world, SIM_CHOICE_POST, among);
	return may_pass(ring, i) ? i : ring->posted_first;
}

void sim_show_posted(struct sim_ring *ring)
{
	while (posted(ring) > 0 && visible(ring) < ring->ring.cq_entries) {
		unsigned i = draw_posted(ring);
		struct io_uring_cqe *cqe = &ring->ring.cqes[ring->cq_tail & (ring->ring.cq_entries - 1)];

		cqe->user_data = ring->posted[i].user_data;
		cqe->res = ring->posted[i].result;
		cqe->flags = ring->posted[i].flags;
		__atomic_store_n(&ring->cq_tail, ring->cq_tail + 1, __ATOMIC_RELEASE);
		memmove(&ring->posted[ring->posted_first + 1], &ring->posted[ring->posted_first],
			(i - ring->posted_first) * sizeof *ring->posted);
		ring->posted_first++;
	}
	if (posted(ring) == 0) {
		ring->posted_first = ring->posted_end = 0;
		ring->sq_flags = 0;
	} else {
		ring->sq_flags = IORING_SQ_CQ_OVERFLOW;
	}
}
