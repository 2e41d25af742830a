/* SPDX-License-Identifier: MIT */
/*
 * What ends a request from outside: a cancel, the time limit that is linked to it, and its host's loss of power. A
 * cancel may come too late, or to nothing; then the request goes on, as in the kernel.
 */
#include "simulation/request.h"

#include "base/container.h"
#include "simulation/host.h"
#include "simulation/ring.h"

#include <errno.h>

static int cancel_working(struct sim_request *request)
{
	struct sim_world *world = request->ring->world;

	switch (sim_draw(world, SIM_CHOICE_CANCEL, 3)) {
	case 0:
		return -ENOENT; /* the block layer has it: it completes */
	case 1:
		request->interrupted = true;
		return -EALREADY;
	default:
		return -EALREADY; /* the signal came to nothing */
	}
}

int sim_request_cancel(struct sim_request *request)
{
	switch (request->state) {
	case SIM_REQUEST_WAITING:
		if (request->notifies)
			return -ENOENT;
		if (request->woken && sim_draw(request->ring->world, SIM_CHOICE_CANCEL, 2) == 0) {
			request->spared = true;
			return -EALREADY;
		}
		sim_request_end(request, request->done > 0 ? request->done : -ECANCELED);
		return 0;
	case SIM_REQUEST_WORKING:
		return cancel_working(request);
	default:
		return -ENOENT;
	}
}

/* ---- time limits ---- */

static int64_t time_of(const struct io_uring_sqe *sqe, int64_t now, unsigned flags)
{
	const struct __kernel_timespec *time = (const void *)(uintptr_t)sqe->addr;
	int64_t ns = time->tv_sec * INT64_C(1000000000) + time->tv_nsec;

	return flags & IORING_TIMEOUT_ABS ? ns : now + ns;
}

static void time_is_up(struct sim_world *world, struct sim_event *event)
{
	struct sim_request *limit = container_of(event, struct sim_request, event);
	struct sim_request *limited = limit->limited;
	int r;

	(void)world;
	limit->limited = NULL;
	limited->limit = NULL;
	r = sim_request_cancel(limited);
	sim_request_end(limit, r < 0 ? r : -ETIME);
}

/* The limit of one that begins now. */
void sim_limit_begin(struct sim_request *request)
{
	struct sim_request *limit = request->limit;
	struct sim_world *world = request->ring->world;

	if (!limit)
		return;
	limit->event.happen = time_is_up;
	sim_request_move(limit, SIM_REQUEST_RUNNING);
	sim_request_move(limit, SIM_REQUEST_WAITING);
	sim_event_at(world, &limit->event, time_of(&limit->sqe, world->now, limit->sqe.timeout_flags));
}

/* The time limit of one that is over. */
void sim_limit_drop(struct sim_request *request)
{
	struct sim_request *limit = request->limit;

	request->limit = NULL;
	if (!limit)
		return;
	limit->limited = NULL;
	sim_request_end(limit, -ECANCELED);
}

/* ---- hosts without power ---- */

static bool concerns(const struct sim_request *request, const struct sim_host *host)
{
	return request->host == host || (request->file && request->file->host == host) ||
	       (request->second && request->second->host == host);
}

/* It waits or works for this host, and its end is news to somebody. */
static bool fails_with(const struct sim_request *request, const struct sim_host *host)
{
	return (request->state == SIM_REQUEST_WAITING || request->state == SIM_REQUEST_WORKING) &&
	       !sim_is_link_timeout(request) && concerns(request, host);
}

void sim_requests_of_host_fail(struct sim_host *host)
{
	struct sim_ring *ring = host->world->ring;
	struct list *node = ring ? ring->all.next : NULL;

	while (node && node != &ring->all) {
		struct sim_request *request = list_entry(node, struct sim_request, all);

		node = node->next;
		if (fails_with(request, host)) {
			sim_request_end(request, request->notifies ? 0 : -EHOSTDOWN);
			node = ring->all.next; /* others may have gone with it */
		}
	}
}
