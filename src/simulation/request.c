/* SPDX-License-Identifier: MIT */
/*
 * The engine. A request runs until it would have to wait; then it stands with its file, which wakes it, or with an
 * event. Whatever happens to it, it ends in sim_request_end(), once. What an entry names is found by entry.c; what ends
 * a request from outside is in cancel.c.
 */
#include "simulation/request.h"

#include "base/assert.h"
#include "base/container.h"
#include "simulation/host.h"
#include "simulation/ring.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

enum { SLOW_TIMES = 100, NOTIFY_NS = 20 * 1000, ALWAYS_MATTERS = POLLERR | POLLHUP };

static const unsigned char next_states[] = {
#define X(state, next) [SIM_REQUEST_##state] = (next),
	SIM_REQUEST_STATES(X)
#undef X
};

void sim_request_move(struct sim_request *request, enum sim_request_state state)
{
	invariant(next_states[request->state] >> state & 1);
	request->state = state;
}

/* ---- the end ---- */

static size_t wanted(const struct sim_request *request)
{
	const struct iovec *vector = (const void *)(uintptr_t)request->sqe.addr;
	size_t size = 0;

	if (request->sqe.opcode != IORING_OP_READV && request->sqe.opcode != IORING_OP_WRITEV)
		return request->sqe.len;
	for (unsigned i = 0; i < request->sqe.len; i++)
		size += vector[i].iov_len;
	return size;
}

/* Does what is linked to it go on? A read or write must have moved all that it was asked for. */
static bool links_on(const struct sim_request *request, int64_t result)
{
	const struct sim_operation *operation = request->operation;

	if (request->sqe.flags & IOSQE_IO_HARDLINK)
		return true;
	if (result < 0)
		return false;
	if (operation->transfers)
		return (size_t)result == wanted(request);
	return !(request->sqe.opcode == IORING_OP_SEND || request->sqe.opcode == IORING_OP_RECV) ||
	       !(request->sqe.msg_flags & MSG_WAITALL) || (size_t)result == wanted(request);
}

/* The rest of a chain will not begin. */
static void cancel_links(struct sim_request *request)
{
	while (request) {
		struct sim_request *next = request->link;

		request->link = NULL;
		sim_request_end(request, -ECANCELED);
		request = next;
	}
}

static bool is_silent(const struct sim_request *request, int64_t result)
{
	if (!(request->sqe.flags & IOSQE_CQE_SKIP_SUCCESS))
		return false;
	return result >= 0 || sim_is_link_timeout(request);
}

static void leave(struct sim_request *request)
{
	struct sim_world *world = request->ring->world;

	sim_event_never(world, &request->event);
	list_remove(&request->waiting);
	list_remove(&request->futex);
	request->woken = false;
}

static void let_go(struct sim_file **file)
{
	if (*file)
		sim_file_unref(*file);
	*file = NULL;
}

void sim_request_end(struct sim_request *request, int64_t result)
{
	struct sim_request *link = request->link;

	leave(request);
	sim_request_move(request, SIM_REQUEST_DONE);
	request->link = NULL;
	if (!is_silent(request, result))
		sim_post(request, (int32_t)result, request->cqe_flags);
	if (request->limited)
		request->limited->limit = NULL;
	sim_limit_drop(request);
	if (request->forget)
		request->forget(request);
	let_go(&request->file);
	let_go(&request->second);
	if (link && links_on(request, result))
		sim_request_begin(link);
	else
		cancel_links(link);
	sim_request_free(request);
}

/* ---- waiting ---- */

static unsigned events_of(const struct sim_request *request)
{
	if (request->sqe.opcode == IORING_OP_POLL_ADD)
		return request->sqe.poll32_events | ALWAYS_MATTERS;
	return request->operation->events | ALWAYS_MATTERS;
}

static void wait_for_file(struct sim_request *request)
{
	sim_request_move(request, SIM_REQUEST_WAITING);
	list_push_back(&request->file->waiting, &request->waiting);
}

void sim_request_wake(struct sim_request *request)
{
	if (request->woken)
		return;
	list_remove(&request->waiting);
	list_push_back(&request->ring->woken, &request->waiting);
	request->woken = true;
}

void sim_file_wake(struct sim_file *file, unsigned events)
{
	struct list *node, *next;

	for (node = file->waiting.next; node != &file->waiting; node = next) {
		struct sim_request *request = list_entry(node, struct sim_request, waiting);

		next = node->next;
		if (events_of(request) & (events | (events & ALWAYS_MATTERS)))
			sim_request_wake(request);
	}
}

/* One of those in a list, by the draw. */
static struct sim_request *draw_woken(struct sim_ring *ring)
{
	struct list *node = ring->woken.next;
	uint64_t count = 0;

	if (node->next != &ring->woken) {
		for (struct list *each = node; each != &ring->woken; each = each->next)
			count++;
		for (count = sim_draw(ring->world, SIM_CHOICE_ORDER, count); count > 0; count--)
			node = node->next;
	}
	list_remove(node);
	return list_entry(node, struct sim_request, waiting);
}

static void run(struct sim_request *request);

void sim_requests_resume(struct sim_ring *ring)
{
	while (!list_empty(&ring->woken)) {
		struct sim_request *request = draw_woken(ring);

		request->woken = false;
		sim_request_move(request, SIM_REQUEST_RUNNING);
		run(request);
	}
}

/* Its event has come: a worker has done it, or a time has. */
static void happen(struct sim_world *world, struct sim_event *event)
{
	struct sim_request *request = container_of(event, struct sim_request, event);

	(void)world;
	if (request->state == SIM_REQUEST_WORKING)
		request->worked = true;
	sim_request_move(request, SIM_REQUEST_RUNNING);
	run(request);
}

/* ---- workers ---- */

static bool is_for_worker(const struct sim_request *request)
{
	const struct sim_operation *operation = request->operation;

	return operation->works || (operation->transfers && request->file && request->file->class->seekable);
}

static void give_to_worker(struct sim_request *request)
{
	struct sim_world *world = request->ring->world;
	int64_t latency_ns = sim_draw_latency(world, request->operation->typical_ns);

	if (request->host->disk_ns > 0)
		latency_ns = (int64_t)((double)latency_ns / SIM_READ_NS * (double)request->host->disk_ns);
	if (sim_strikes(&world->plan, SIM_FAULT_SLOW))
		latency_ns *= SLOW_TIMES;
	sim_request_move(request, SIM_REQUEST_WORKING);
	sim_event_at(world, &request->event, world->now + latency_ns);
}

/* A worker's call may be interrupted, and some file systems are not ready to wait. */
static int64_t fail_in_worker(struct sim_request *request)
{
	struct sim_plan *plan = &request->ring->world->plan;

	if (request->interrupted || sim_strikes(plan, SIM_FAULT_INTERRUPT))
		return -EINTR;
	if (request->operation->transfers && sim_strikes(plan, SIM_FAULT_AGAIN))
		return -EAGAIN;
	return 0;
}

/* ---- running ---- */

/* -EAGAIN is its result, not a reason to wait. */
static bool is_impatient(const struct sim_request *request)
{
	if (request->sqe.opcode == IORING_OP_POLL_ADD)
		return false;
	switch (request->sqe.opcode) {
	case IORING_OP_SEND:
	case IORING_OP_SENDMSG:
	case IORING_OP_SEND_ZC:
	case IORING_OP_SENDMSG_ZC:
	case IORING_OP_RECV:
	case IORING_OP_RECVMSG:
		if (request->sqe.msg_flags & MSG_DONTWAIT)
			return true;
		break;
	default:
		break;
	}
	return request->file->flags & 04000 /* O_NONBLOCK */;
}

/* The bytes of a zero-copy send are the caller's again, a while after its result. */
static void notify_later(struct sim_request *request, int64_t result)
{
	struct sim_world *world = request->ring->world;

	sim_post(request, (int32_t)result, IORING_CQE_F_MORE);
	request->cqe_flags = IORING_CQE_F_NOTIF;
	request->notifies = true;
	sim_request_move(request, SIM_REQUEST_WAITING);
	sim_event_at(world, &request->event, world->now + sim_draw_latency(world, NOTIFY_NS));
}

static bool is_poll(const struct sim_request *request)
{
	return request->sqe.opcode == IORING_OP_POLL_ADD;
}

/* One completion of several. Does it go on? */
static bool goes_on(struct sim_request *request, int64_t result)
{
	uint32_t flags = request->cqe_flags;

	if (result < 0 ||
	    (result == 0 && request->operation->events == POLLIN && request->sqe.opcode != IORING_OP_ACCEPT))
		return false;
	if (sim_strikes(&request->ring->world->plan, SIM_FAULT_END))
		return false;
	if (!sim_has_room(request->ring))
		return false; /* a completion queue that overflows ends it */
	sim_post(request, (int32_t)result, flags | IORING_CQE_F_MORE);
	request->cqe_flags = 0;
	return true;
}

static int64_t call(struct sim_request *request)
{
	int64_t r;

	if (request->file && sim_file_is_dead(request->file) && request->sqe.opcode != IORING_OP_CLOSE)
		return -EHOSTDOWN;
	if (request->worked) {
		r = fail_in_worker(request);
		if (r < 0)
			return r;
	}
	request->ring->world->running = request;
	r = request->operation->run(request);
	request->ring->world->running = NULL;
	return r;
}

/* Who does not wait for the rest has what was moved. */
static int64_t settle(const struct sim_request *request, int64_t result)
{
	return result == -EAGAIN && request->done > 0 ? request->done : result;
}

static void run(struct sim_request *request)
{
	for (;;) {
		int64_t result;

		if (request->notifies) {
			sim_request_end(request, 0);
			return;
		}
		if (is_for_worker(request) && !request->worked) {
			give_to_worker(request);
			return;
		}
		result = call(request);
		if (result == SIM_WAIT) {
			sim_request_move(request, SIM_REQUEST_WAITING);
			return;
		}
		if (result == -EAGAIN && request->operation->has_file && !request->worked && !is_impatient(request)) {
			wait_for_file(request);
			return;
		}
		result = settle(request, result);
		if (request->operation->zero_copy) {
			notify_later(request, result);
			return;
		}
		if (!request->multishot) {
			sim_request_end(request, result);
			return;
		}
		if (!goes_on(request, result)) {
			sim_request_end(request, result);
			return;
		}
		if (is_poll(request)) { /* told of once for each edge */
			wait_for_file(request);
			return;
		}
	}
}

/* ---- the beginning ---- */

void sim_request_begin(struct sim_request *request)
{
	int r = sim_request_prepare(request);

	request->event.happen = happen;
	sim_request_move(request, SIM_REQUEST_RUNNING);
	sim_limit_begin(request);
	if (r < 0)
		sim_request_end(request, r);
	else
		run(request);
}

int64_t sim_request_attempt(struct sim_request *request)
{
	int64_t r;

	request->inline_call = true;
	r = sim_request_prepare(request);
	if (r >= 0)
		r = settle(request, call(request));
	let_go(&request->file);
	let_go(&request->second);
	return r;
}
