/* SPDX-License-Identifier: MIT */
/* The offload comparison: noria_offload(), a task for each call under way. See offload.h. */
#include "offload.h"

#include <noria/noria.h>

static unsigned calls_left;

static int nothing(void *arg)
{
	(void)arg;
	return 0;
}

static int caller(void *arg)
{
	int r = 0;

	(void)arg;
	while (r >= 0 && calls_left > 0) {
		calls_left--;
		r = noria_offload(nothing, NULL);
	}
	return r;
}

static int call_many(unsigned depth, unsigned calls)
{
	struct noria_group group;
	int r = noria_group_open(&group);

	calls_left = calls;
	for (unsigned i = 0; r >= 0 && i < depth; i++)
		r = noria_spawn(&group, caller, NULL);
	return noria_group_close(&group, r);
}

static int root(void *arg)
{
	unsigned depth, calls;

	(void)arg;
	while (offload_read(&depth, &calls)) {
		struct offload_clock start;

		noria_try(call_many(depth, OFFLOAD_WARM_UP + depth));
		start = offload_now();
		noria_try(call_many(depth, calls));
		offload_print(start, calls);
	}
	return 0;
}

int main(void)
{
	int r = noria_run(NULL, root, NULL);

	if (r < 0)
		bench_die(noria_message(), r);
	return 0;
}
