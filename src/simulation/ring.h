/* SPDX-License-Identifier: MIT */
/*
 * The simulated ring: the second implementation of the boundary (ring/ring.h). It has every feature of the table that
 * NORIA_HIDE does not name. Its enter answers -EDEADLK when it is asked to wait without end, and nothing will ever
 * happen again.
 */
#ifndef NORIA_SIMULATION_RING_H
#define NORIA_SIMULATION_RING_H

#include "base/container.h"
#include "base/list.h"
#include "ring/ring.h"
#include "simulation/request.h"
#include "simulation/world.h"

#include <sys/uio.h>

enum {
	SIM_BUCKETS = 256,    /* of requests, by user_data */
	SIM_FIXED_MAX = 64,   /* pieces of registered memory */
	SIM_GROUPS_MAX = 256, /* of provided buffers */
	SIM_VECTORS_MAX = 16, /* buffers in a bundle */
};

/* A group of provided buffers. */
struct sim_group {
	struct io_uring_buf_ring *buffers; /* NULL: there is none */
	unsigned entries, number, flags;
	uint16_t head;
};

/* A completion that is not yet visible. */
struct sim_posted {
	uint64_t user_data; /* as in a struct io_uring_cqe, which may be larger */
	int32_t result;
	uint32_t flags;
	uint64_t order;
	bool incremental; /* those that fill the same buffers stay in order, too */
};

struct sim_ring {
	struct ring ring;
	struct sim_world *world;
	unsigned sq_head, sq_flags, cq_head, cq_tail;
	struct list requests[SIM_BUCKETS];
	struct list all;
	struct list woken, idle; /* to be tried again; records without a request */
	struct list futexes;     /* requests that wait for one */
	struct sim_slab *slabs;
	uint64_t submitted; /* requests so far */
	unsigned alive;
	struct sim_request *chain, *chain_last; /* being submitted */
	struct sim_posted *posted;
	unsigned posted_first, posted_end, posted_size;
	struct sim_file **direct;
	unsigned direct_places, direct_chosen;
	struct sim_group groups[SIM_GROUPS_MAX];
	struct iovec fixed[SIM_FIXED_MAX]; /* iov_base NULL: free */
	bool prodded;                      /* class->wake was called */
};

static inline struct sim_ring *sim_ring(struct ring *ring)
{
	return container_of(ring, struct sim_ring, ring);
}

/* In the world of this thread. Returns 0, -ENOMEM, or -EBUSY when it has a ring already. */
int sim_ring_open(struct ring **ret_ring, unsigned entries, unsigned entries_max);

/* A record for a request, or NULL. */
struct sim_request *sim_request_new(struct sim_ring *ring);
void sim_request_free(struct sim_request *request);
struct list *sim_requests_like(struct sim_ring *ring, uint64_t user_data);

/* Have a completion be visible after the next enter that finds room for it; until then it is kept. */
void sim_post(struct sim_request *request, int32_t result, uint32_t flags);
/* Would one more find room? */
bool sim_has_room(struct sim_ring *ring);
/* Is there any, visible or not? */
bool sim_any_posted(const struct sim_ring *ring);
/* Make those visible that find room. */
void sim_show_posted(struct sim_ring *ring);

/* ---- registration.c: what the ring's class has of it ---- */

int sim_provide(struct ring *base, struct io_uring_buf_ring *buffers, unsigned entries, unsigned number,
		unsigned flags);
int sim_fix(struct ring *base, void *memory, size_t size);
void sim_unfix(struct ring *base, unsigned index);
int sim_direct(struct ring *base, unsigned places, unsigned chosen);
void sim_direct_close(struct sim_ring *ring);
int sim_grow(struct ring *base);

/* Returns how many waited on this word, and wait no more. */
unsigned sim_futex_wake(struct sim_world *world, const void *word, unsigned count, uint64_t mask);
/* What a call on this thread is for: a request that is no entry. */
void sim_request_init(struct sim_request *request, struct sim_ring *ring);

#endif
