/* SPDX-License-Identifier: MIT */
/*
 * The ring's side: entries are taken, completions become visible (completion.c), and in between the clock moves. Calls
 * on the spot are requests, too, of which nothing stays.
 */
#include "simulation/ring.h"

#include "base/assert.h"
#include "base/message.h"
#include "ring/compat.h"
#include "simulation/host.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { SLAB_REQUESTS = 64, FULL_ATTEMPT_ODDS = 4 };

struct sim_slab {
	struct sim_slab *next;
	struct sim_request requests[SLAB_REQUESTS];
};

/* ---- records ---- */

static bool add_slab(struct sim_ring *ring)
{
	struct sim_slab *slab = malloc(sizeof *slab);

	if (!slab)
		return false;
	slab->next = ring->slabs;
	ring->slabs = slab;
	for (int i = 0; i < SLAB_REQUESTS; i++)
		list_push_back(&ring->idle, &slab->requests[i].node);
	return true;
}

void sim_request_init(struct sim_request *request, struct sim_ring *ring)
{
	memset(request, 0, sizeof *request);
	request->ring = ring;
	list_init(&request->node);
	list_init(&request->all);
	list_init(&request->waiting);
	list_init(&request->futex);
}

struct list *sim_requests_like(struct sim_ring *ring, uint64_t user_data)
{
	return &ring->requests[(user_data ^ user_data >> 11 ^ user_data >> 22) % SIM_BUCKETS];
}

struct sim_request *sim_request_new(struct sim_ring *ring)
{
	struct sim_request *request;

	if (list_empty(&ring->idle) && !add_slab(ring))
		return NULL;
	request = list_entry(list_pop_front(&ring->idle), struct sim_request, node);
	sim_request_init(request, ring);
	request->number = request->order = ++ring->submitted;
	ring->alive++;
	return request;
}

void sim_request_free(struct sim_request *request)
{
	struct sim_ring *ring = request->ring;

	list_remove(&request->node);
	list_remove(&request->all);
	list_push_front(&ring->idle, &request->node);
	ring->alive--;
}

/* ---- submission ---- */

static void trace_entry(const struct sim_request *request)
{
	const struct io_uring_sqe *sqe = &request->sqe;
	struct sim_world *world = request->ring->world;
	const char *name = sim_operations[sqe->opcode].name;

	sim_trace(world, "%s #%llu %s submitted: fd %d%s, %u%s", sim_host_numbered(world, sqe->personality)->name,
		  (unsigned long long)request->number, name ? name : "unknown", sqe->fd,
		  sqe->flags & IOSQE_FIXED_FILE ? " (direct)" : "", sqe->len,
		  sqe->flags & (IOSQE_IO_LINK | IOSQE_IO_HARDLINK) ? ", linked" : "");
}

/* The chain is complete: its first begins. */
static void begin_chain(struct sim_ring *ring)
{
	struct sim_request *first = ring->chain;

	ring->chain = ring->chain_last = NULL;
	if (first)
		sim_request_begin(first);
}

static void add_to_chain(struct sim_ring *ring, struct sim_request *request)
{
	if (!ring->chain) {
		ring->chain = ring->chain_last = request;
		return;
	}
	request->order = ring->chain->order;
	request->state = SIM_REQUEST_LINKED;
	request->operation = &sim_operations[request->sqe.opcode];
	request->host = sim_host_numbered(ring->world, request->sqe.personality);
	if (request->sqe.opcode == IORING_OP_LINK_TIMEOUT) {
		request->limited = ring->chain_last;
		ring->chain_last->limit = request;
	} else {
		ring->chain_last->link = request;
		ring->chain_last = request;
	}
}

static bool take(struct sim_ring *ring, const struct io_uring_sqe *sqe)
{
	struct sim_request *request = sim_request_new(ring);

	if (!request)
		return false;
	request->sqe = *sqe;
	list_push_back(sim_requests_like(ring, sqe->user_data), &request->node);
	list_push_back(&ring->all, &request->all);
	trace_entry(request);
	add_to_chain(ring, request);
	if (!(sqe->flags & (IOSQE_IO_LINK | IOSQE_IO_HARDLINK)))
		begin_chain(ring);
	return true;
}

/* Returns 0, or why nothing was taken. */
static int submit(struct sim_ring *ring)
{
	int r = 0;

	invariant(ring_pending(&ring->ring) <= ring->ring.sq_entries);
	if (ring->sq_head != ring->ring.sq_tail && sim_strikes(&ring->world->plan, SIM_FAULT_BUSY))
		return -EAGAIN;
	while (ring->sq_head != ring->ring.sq_tail && r == 0) {
		if (take(ring, &ring->ring.sqes[ring->sq_head & (ring->ring.sq_entries - 1)]))
			__atomic_store_n(&ring->sq_head, ring->sq_head + 1, __ATOMIC_RELEASE);
		else
			r = -ENOMEM;
	}
	begin_chain(ring);
	return r;
}

/* ---- the turn ---- */

static bool has_something(const struct sim_ring *ring)
{
	return sim_any_posted(ring) || ring->prodded;
}

/* Everything that is due by now. */
static void catch_up(struct sim_ring *ring)
{
	do
		sim_requests_resume(ring);
	while (sim_world_step(ring->world, ring->world->now));
}

/* Until there is something to see. Returns 0, also when the time is up; -EDEADLK: there will never be anything. */
static int wait_until(struct sim_ring *ring, int64_t deadline_ns)
{
	struct sim_world *world = ring->world;

	catch_up(ring);
	while (!has_something(ring)) {
		if (sim_world_step(world, deadline_ns)) {
			catch_up(ring);
		} else if (deadline_ns == INT64_MAX) {
			return -EDEADLK;
		} else {
			world->now = deadline_ns > world->now ? deadline_ns : world->now;
			return 0;
		}
	}
	return 0;
}

static int sim_enter(struct ring *base, unsigned wait, int64_t deadline_ns)
{
	struct sim_ring *ring = sim_ring(base);
	int r = submit(ring);

	if (r < 0)
		return r;
	if (wait > 0) {
		r = wait_until(ring, deadline_ns);
		ring->prodded = false;
	} else {
		catch_up(ring);
	}
	sim_show_posted(ring);
	return r;
}

static void sim_push(struct ring *base)
{
	(void)submit(sim_ring(base)); /* what is not taken stays */
}

/* ---- calls on the spot ---- */

/* Is -EAGAIN the answer, and no wish to be submitted? */
static bool is_final(const struct io_uring_sqe *sqe)
{
	switch (sqe->opcode) {
	case IORING_OP_CLOSE:
		return true;
	case IORING_OP_SEND:
	case IORING_OP_SENDMSG:
	case IORING_OP_RECV:
		return sqe->msg_flags & MSG_DONTWAIT;
	default:
		return false;
	}
}

static int64_t sim_attempt(struct ring *base, const struct io_uring_sqe *sqe)
{
	struct sim_ring *ring = sim_ring(base);
	struct sim_world *world = ring->world;
	struct sim_request request;

	if (!is_final(sqe) && sim_draw(world, SIM_CHOICE_INLINE, FULL_ATTEMPT_ODDS) == 0)
		return -EAGAIN;
	sim_request_init(&request, ring);
	request.sqe = *sqe;
	if (world->whose)
		request.sqe.personality = (uint16_t)world->whose();
	switch (sqe->opcode) {
	case IORING_OP_SEND:
	case IORING_OP_SENDMSG:
	case IORING_OP_RECV:
		request.sqe.msg_flags |= MSG_DONTWAIT;
		break;
	case IORING_OP_SOCKET:
	case IORING_OP_SHUTDOWN:
	case IORING_OP_BIND:
	case IORING_OP_LISTEN:
	case IORING_OP_CLOSE:
	case RING_OP_PIPE:
	case IORING_OP_POLL_ADD:
		break;
	default:
		return -EAGAIN;
	}
	return sim_request_attempt(&request);
}

static int64_t sim_send(struct ring *base, int fd, const void *buffer, size_t size, int flags)
{
	struct io_uring_sqe sqe = {0};

	io_uring_prep_send(&sqe, fd, buffer, size, flags | MSG_NOSIGNAL);
	return sim_attempt(base, &sqe);
}

static int sim_send_many(struct ring *base, int fd, struct mmsghdr *messages, unsigned count, int flags)
{
	for (unsigned i = 0; i < count; i++) {
		struct io_uring_sqe sqe = {0};
		int64_t r;

		io_uring_prep_sendmsg(&sqe, fd, &messages[i].msg_hdr, (unsigned)flags);
		r = sim_attempt(base, &sqe);
		if (r < 0)
			return i > 0 ? (int)i : (int)r;
		messages[i].msg_len = (unsigned)r;
	}
	return (int)count;
}

static bool sim_splice_waits(struct ring *base, int fd_in, int fd_out)
{
	(void)base, (void)fd_in, (void)fd_out;
	return true; /* as the kernel's might: both sides are polled first */
}

/* A loop that has always something to do asks for the time in each turn, and hears thereby that it has to enter. */
static int64_t sim_now(struct ring *base)
{
	struct sim_ring *ring = sim_ring(base);
	int64_t now = sim_world_look(ring->world);

	if (!list_empty(&ring->woken) || sim_world_is_behind(ring->world))
		ring->sq_flags |= IORING_SQ_TASKRUN;
	return now;
}

static void sim_own(struct ring *base, const struct io_uring_cqe *cqe)
{
	(void)base, (void)cqe;
}

static void sim_wake(struct ring *base)
{
	__atomic_store_n(&sim_ring(base)->prodded, true, __ATOMIC_RELEASE);
}

/* ---- beginning and end ---- */

static void free_ring(struct sim_ring *ring)
{
	while (ring->slabs) {
		struct sim_slab *next = ring->slabs->next;

		free(ring->slabs);
		ring->slabs = next;
	}
	free(ring->posted);
	free(ring->ring.sqes);
	free(ring->ring.cqes);
	free(ring);
}

/* What is still under way (cancels, notifications) has nobody to tell. */
static void abandon_requests(struct sim_ring *ring)
{
	while (!list_empty(&ring->all)) {
		struct sim_request *request = list_entry(ring->all.next, struct sim_request, all);

		ring->posted_first = ring->posted_end = 0;
		sim_request_end(request, -ECANCELED);
	}
}

static void sim_close(struct ring *base)
{
	struct sim_ring *ring = sim_ring(base);

	abandon_requests(ring);
	sim_direct_close(ring);
	ring->world->ring = NULL;
	free_ring(ring);
}

static const struct ring_class sim_class = {
	.enter = sim_enter,
	.push = sim_push,
	.attempt = sim_attempt,
	.send = sim_send,
	.send_many = sim_send_many,
	.splice_waits = sim_splice_waits,
	.provide = sim_provide,
	.fix = sim_fix,
	.unfix = sim_unfix,
	.direct = sim_direct,
	.grow = sim_grow,
	.now = sim_now,
	.own = sim_own,
	.wake = sim_wake,
	.close = sim_close,
};

/* Of the kernel's features a simulated ring has all but those which concern stacks, which are real. */
static void choose_features(struct sim_ring *ring)
{
	const uint64_t stacks = UINT64_C(1) << FEATURE_GUARD | UINT64_C(1) << FEATURE_GUARD_MANY;
	struct features real = {0};

	ring->ring.features.hidden = noria_features_probe(&real) >= 0 ? real.hidden : 0;
	ring->ring.features.there = ((UINT64_C(1) << FEATURE_COUNT) - 1) & (~stacks | real.there);
}

static unsigned power_of_two(unsigned n)
{
	unsigned power = 1;

	while (power < n)
		power *= 2;
	return power;
}

int sim_ring_open(struct ring **ret_ring, unsigned entries, unsigned entries_max)
{
	struct sim_ring *ring;

	if (sim_world->ring)
		return noria_refuse(-EBUSY, "this simulated world has a ring already");
	ring = calloc(1, sizeof *ring);
	if (!ring)
		return noria_refuse(-ENOMEM, "no memory for a simulated ring");
	entries = power_of_two(entries);
	ring->world = sim_world;
	ring->ring = (struct ring){
		.class = &sim_class,
		.sqes = malloc(entries * sizeof *ring->ring.sqes),
		.cqes = malloc(4 * entries * sizeof *ring->ring.cqes),
		.sq_head = &ring->sq_head,
		.sq_entries = entries,
		.cq_head = &ring->cq_head,
		.cq_tail = &ring->cq_tail,
		.cq_entries = 4 * entries,
		.sq_flags = &ring->sq_flags,
		.entries_max = power_of_two(entries_max),
		.reply_batch = UINT_MAX,
	};
	ring->posted_size = SLAB_REQUESTS;
	ring->posted = malloc(ring->posted_size * sizeof *ring->posted);
	if (!ring->ring.sqes || !ring->ring.cqes || !ring->posted) {
		free_ring(ring);
		return noria_refuse(-ENOMEM, "no memory for a simulated ring");
	}
	for (int i = 0; i < SIM_BUCKETS; i++)
		list_init(&ring->requests[i]);
	for (struct list **list = (struct list *[]){&ring->all, &ring->woken, &ring->idle, &ring->futexes, NULL}; *list;
	     list++)
		list_init(*list);
	choose_features(ring);
	sim_world->ring = ring;
	*ret_ring = &ring->ring;
	return 0;
}
