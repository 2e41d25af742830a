/* SPDX-License-Identifier: MIT */
/* The offload comparison: libuv's uv_queue_work(), a request for each call under way. See offload.h. */
#include "offload.h"

#include <uv.h>

static unsigned calls_left;
static uv_work_t requests[OFFLOAD_DEPTH_MAX];

static void nothing(uv_work_t *request)
{
	(void)request;
}

static void queue(uv_work_t *request);

static void done(uv_work_t *request, int status)
{
	if (status < 0)
		bench_die("uv_queue_work", status);
	if (calls_left > 0)
		queue(request);
}

static void queue(uv_work_t *request)
{
	int r = uv_queue_work(uv_default_loop(), request, nothing, done);

	if (r < 0)
		bench_die("uv_queue_work", r);
	calls_left--;
}

static void call_many(unsigned depth, unsigned calls)
{
	calls_left = calls;
	for (unsigned i = 0; i < depth; i++)
		queue(&requests[i]);
	uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}

int main(void)
{
	unsigned depth, calls;

	while (offload_read(&depth, &calls)) {
		struct offload_clock start;

		call_many(depth, OFFLOAD_WARM_UP + depth);
		start = offload_now();
		call_many(depth, calls);
		offload_print(start, calls);
	}
	return 0;
}
