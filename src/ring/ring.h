/* SPDX-License-Identifier: MIT */
/*
 * The boundary: SQE in, CQE out. Nothing above this file knows which ring it runs on.
 *
 * A ring is two arrays in memory, as io_uring lays them out, and a few functions that act on them. Entries are reserved
 * and reaped inline, without a call; only `enter` is virtual, once a turn of the loop. A simulated ring fills the same
 * arrays from its own world.
 *
 * Everything but ring_wake() belongs to the thread that opened the ring.
 */
#ifndef NORIA_RING_RING_H
#define NORIA_RING_RING_H

#include "base/assert.h"
#include "ring/feature.h"

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>

struct mmsghdr;
struct ring;

struct ring_class {
	/*
	 * Submit all that was reserved, wait for `wait` completions (0 or 1) until the point in time `deadline_ns`
	 * (INT64_MAX: for ever), and make what has completed visible. Returns 0, also on a signal or time-out; -EAGAIN
	 * or -ENOMEM when the kernel could not take entries now (they stay queued); -EDEADLK when nothing would ever
	 * end this wait, which only a simulated ring can know; another negative errno is fatal.
	 */
	int (*enter)(struct ring *ring, unsigned wait, int64_t deadline_ns);
	/* Submit what was reserved, now; wait for nothing, and make nothing visible. What is not taken stays queued. */
	void (*push)(struct ring *ring);
	/* Carry out an operation here and now if that cannot block; -EAGAIN when it must be submitted instead. */
	int64_t (*attempt)(struct ring *ring, const struct io_uring_sqe *sqe);
	/* The same for a send, which needs no entry for that. */
	int64_t (*send)(struct ring *ring, int fd, const void *buffer, size_t size, int flags);
	/*
	 * As many of these messages as leave without waiting: how many, or when that is none a negative errno; -EAGAIN
	 * when they must be submitted instead.
	 */
	int (*send_many)(struct ring *ring, int fd, struct mmsghdr *messages, unsigned count, int flags);
	/* Might a splice between these wait inside, whatever its flags say? (From a socket into a pipe, it would.) */
	bool (*splice_waits)(struct ring *ring, int fd_in, int fd_out);
	/* Give the kernel a ring of receive buffers (NULL: take it away). Returns 0; -EEXIST: the group has one. */
	int (*provide)(struct ring *ring, struct io_uring_buf_ring *buffers, unsigned entries, unsigned group,
		       unsigned flags);
	/*
	 * Register memory that operations name by the index which is returned. Or: -EOPNOTSUPP; -ENOSPC, no index is
	 * free; -ENOMEM, RLIMIT_MEMLOCK. An operation under way keeps what it uses.
	 */
	int (*fix)(struct ring *ring, void *memory, size_t size);
	void (*unfix)(struct ring *ring, unsigned index);
	/*
	 * Make the table of direct descriptors, of `places`; the kernel chooses among the first `chosen` of them. 0
	 * places: close them all and take the table away. Returns 0 or a negative errno.
	 */
	int (*direct)(struct ring *ring, unsigned places, unsigned chosen);
	/* Twice the entries, when none is reserved. Returns 0, -EOPNOTSUPP, or why not. */
	int (*grow)(struct ring *ring);
	/* The ring's clock, in nanoseconds. */
	int64_t (*now)(struct ring *ring);
	/* A completion with the tag RING_OWN. */
	void (*own)(struct ring *ring, const struct io_uring_cqe *cqe);
	/* Make a sleeping enter return. Any thread, also from a signal handler. */
	void (*wake)(struct ring *ring);
	void (*close)(struct ring *ring);
};

struct ring {
	const struct ring_class *class;
	struct io_uring_sqe *sqes;
	const unsigned *sq_head; /* the kernel's */
	unsigned sq_tail;        /* ours, published by enter */
	unsigned sq_entries;
	struct io_uring_cqe *cqes;
	unsigned *cq_head;       /* ours, published by ring_reaped() */
	const unsigned *cq_tail; /* the kernel's */
	unsigned cq_entries;
	const unsigned *sq_flags; /* IORING_SQ_CQ_OVERFLOW, IORING_SQ_TASKRUN */
	unsigned entries_max;
	unsigned reply_batch; /* from so many completions a turn on, small sends are cheaper as entries than as calls */
	struct features features;
	bool memcheck;  /* Valgrind watches: see memcheck.h */
	bool simulated; /* of a world that has none of the kernel's processes, threads and signals */
	bool watchable; /* what completes shows in cq_tail or sq_flags by itself: it can be waited for by looking */
};

/* The low bits of user_data say whose a completion is. An operation's own word has them clear. */
enum { RING_TAG = 7, RING_OPERATION = 0, RING_IGNORE = 1, RING_OWN = 2 };

/* What opens the ring of a loop: the kernel's, unless a test kit puts another in its place before there is a loop. */
extern int (*noria_ring_opener)(struct ring **ret_ring, unsigned entries, unsigned entries_max);

/*
 * Open the kernel's ring. `entries` submission entries to begin with, four times as many completions.
 * Returns 0, or a negative errno with the cause and the remedy in noria_message().
 */
int noria_kernel_ring_open(struct ring **ret_ring, unsigned entries, unsigned entries_max);

/* Explain why io_uring_setup() gave `error`: cause and remedy, in noria_message(). Returns `error`,
 * or -ENOSYS for the -EINVAL of an old kernel. */
int noria_ring_explain(int error, unsigned entries);

static inline unsigned ring_pending(const struct ring *ring)
{
	return ring->sq_tail - __atomic_load_n(ring->sq_head, __ATOMIC_ACQUIRE);
}

/* Room for `n` entries that will be submitted together? */
static inline bool ring_room(const struct ring *ring, unsigned n)
{
	return ring_pending(ring) + n <= ring->sq_entries;
}

/* The next entry, after ring_room(), cleared as liburing's prepare functions expect it. */
static inline struct io_uring_sqe *ring_reserve(struct ring *ring)
{
	struct io_uring_sqe *sqe = &ring->sqes[ring->sq_tail++ & (ring->sq_entries - 1)];

	io_uring_initialize_sqe(sqe);
	return sqe;
}

static inline unsigned ring_ready(const struct ring *ring)
{
	return __atomic_load_n(ring->cq_tail, __ATOMIC_ACQUIRE) - *ring->cq_head;
}

/* The i-th of ring_ready() completions. */
static inline const struct io_uring_cqe *ring_peek(const struct ring *ring, unsigned i)
{
	return &ring->cqes[(*ring->cq_head + i) & (ring->cq_entries - 1)];
}

static inline void ring_reaped(struct ring *ring, unsigned n)
{
	__atomic_store_n(ring->cq_head, *ring->cq_head + n, __ATOMIC_RELEASE);
}

/* Has the kernel completions that only an enter brings? */
static inline bool ring_needs_enter(const struct ring *ring)
{
	unsigned flags = __atomic_load_n(ring->sq_flags, __ATOMIC_RELAXED);

	return (flags & (IORING_SQ_CQ_OVERFLOW | IORING_SQ_TASKRUN)) ||
	       !features_has(&ring->features, FEATURE_TASKRUN_FLAG);
}

#endif
