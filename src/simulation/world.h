/* SPDX-License-Identifier: MIT */
/*
 * A simulated world: a clock, what will happen, the hosts, and the descriptors that stand for its files and sockets.
 * It belongs to one thread, and outlives the rings that are opened in it: what a run leaves on the disks the next
 * finds there.
 *
 * Time only moves when a ring waits and nothing is left to do: then the clock jumps to what happens next.
 */
#ifndef NORIA_SIMULATION_WORLD_H
#define NORIA_SIMULATION_WORLD_H

#include "base/heap.h"
#include "base/list.h"
#include "simulation/draw.h"
#include "simulation/fault.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct sim_disk;
struct sim_file;
struct sim_host;
struct sim_net;
struct sim_request;
struct sim_ring;
struct sim_world;

/*
 * The clock begins here (a monotonic clock's zero is no use to find mistakes). Descriptors of the world begin at
 * SIM_FD; of the process's own only 0, 1 and 2 are known to it.
 */
#define SIM_EPOCH_NS    INT64_C(1000000000000)
#define SIM_REALTIME_NS INT64_C(1767225600000000000) /* the wall clock at that time: 2026-01-01 00:00 UTC */
enum { SIM_FD = 1 << 20, SIM_FDS_MAX = 1 << 20, SIM_HOSTS_MAX = 64 };
enum { SIM_LOOKS_MAX = 20000, SIM_LOOK_NS = 1000 }; /* see sim_world_look() */

/* Something that will happen. */
struct sim_event {
	struct heap_node node;
	void (*happen)(struct sim_world *world, struct sim_event *event);
};

struct sim_world {
	int64_t now;
	int64_t looked_at; /* a time for which somebody has asked so often: */
	unsigned looks;
	struct heap events;
	struct sim_draws draws;
	struct sim_plan plan;
	struct sim_host *hosts[SIM_HOSTS_MAX]; /* by their number; 0: the one that a task is on unless told otherwise */
	unsigned hosts_count;
	struct sim_file **fds; /* by number, from SIM_FD; NULL: not open */
	unsigned fds_size, fds_open;
	unsigned fd_hint;            /* none below is free */
	struct sim_file *console[3]; /* the process's own 0, 1 and 2, as files; NULL: not used yet */
	struct sim_net *net;
	struct sim_ring *ring;                              /* the one that is open, or NULL */
	struct sim_request *running;                        /* whose operation is being carried out, or NULL */
	void (*fd_opened)(struct sim_world *world, int fd); /* told of each descriptor; NULL: nobody */
	FILE *trace; /* what is submitted, what completes, and when; NULL: nobody looks */
	/* on which host the running task is; 0 between tasks. Set by the floor that knows tasks */
	unsigned (*whose)(void);
};

/* The world of this thread, or NULL. */
extern __thread struct sim_world *sim_world;

/* Returns 0 or -ENOMEM or -EINVAL (the plan) with noria_message(). */
int sim_world_open(struct sim_world **ret_world, uint64_t seed, const char *plan);
/* Frees everything, also what is still open. No ring is open. */
void sim_world_close(struct sim_world *world);

static inline bool sim_event_set(const struct sim_event *event)
{
	return heap_node_linked(&event->node);
}

/* Let it happen at this time (or as soon as possible if that has passed), instead of when it was set to before. */
void sim_event_at(struct sim_world *world, struct sim_event *event, int64_t time_ns);
void sim_event_never(struct sim_world *world, struct sim_event *event);
/* Jump to the next thing that happens no later than `until_ns`, and let it happen. False: there is none. */
bool sim_world_step(struct sim_world *world, int64_t until_ns);
/* Is something due that has not happened yet? */
bool sim_world_is_behind(const struct sim_world *world);
/*
 * The time, for whoever runs in the world. Who asks over and over waits for time to pass without letting it: after
 * SIM_LOOKS_MAX answers that are the same each further one is later by SIM_LOOK_NS.
 */
int64_t sim_world_look(struct sim_world *world);

/* A line of the trace. `format` has no addresses: they differ from run to run. */
#define sim_trace(world, ...) \
	do { \
		if (__builtin_expect((world)->trace != NULL, 0)) \
			sim_trace_line((world), __VA_ARGS__); \
	} while (0)
__attribute__((format(printf, 2, 3))) void sim_trace_line(struct sim_world *world, const char *format, ...);

#endif
