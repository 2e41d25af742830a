/* SPDX-License-Identifier: MIT */
/*
 * A post happens under the lock that the end of the run takes too: noria_loop_post() uses the loop until its last
 * instruction, and by then the loop may have done the work and have nothing left to do.
 */
#include "task/bridge.h"

#include "base/memory.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

struct bridge {
	atomic_uint references;
	pid_t process;
	pthread_mutex_t lock; /* for: */
	struct loop *loop;    /* NULL: it is gone */
};

struct bridge *noria_bridge_get(struct loop *loop)
{
	struct bridge *bridge = loop->bridge;

	if (!bridge) {
		bridge = memory_new(sizeof *bridge);
		if (!bridge)
			return NULL;
		atomic_init(&bridge->references, 1); /* the loop's */
		bridge->process = getpid();
		pthread_mutex_init(&bridge->lock, NULL);
		bridge->loop = loop;
		loop->bridge = bridge;
		loop_expect_posts(loop);
	}
	atomic_fetch_add_explicit(&bridge->references, 1, memory_order_relaxed);
	return bridge;
}

void noria_bridge_unref(struct bridge *bridge)
{
	if (atomic_fetch_sub_explicit(&bridge->references, 1, memory_order_acq_rel) > 1)
		return;
	pthread_mutex_destroy(&bridge->lock);
	free(bridge);
}

bool noria_bridge_forked(const struct bridge *bridge)
{
	return bridge->process != getpid();
}

bool noria_bridge_post(struct bridge *bridge, struct remote *remote)
{
	bool there;

	pthread_mutex_lock(&bridge->lock);
	there = bridge->loop != NULL;
	if (there)
		noria_loop_post(bridge->loop, remote);
	pthread_mutex_unlock(&bridge->lock);
	return there;
}

void noria_bridge_end(struct loop *loop)
{
	struct bridge *bridge = loop->bridge;
	struct remote *remote, *next;

	if (!bridge)
		return;
	pthread_mutex_lock(&bridge->lock);
	bridge->loop = NULL;
	pthread_mutex_unlock(&bridge->lock);
	for (remote = atomic_exchange(&loop->remotes, NULL); remote; remote = next) {
		next = remote->next;
		remote->run(remote);
	}
	noria_bridge_unref(bridge);
}
