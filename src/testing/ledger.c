/* SPDX-License-Identifier: MIT */
/*
 * The ledger: what a run leaves behind, each with its origin (rule X12). Tasks that outlive their owner, scopes and
 * their timers, streams and locks are known when their task ends; blocks, receive buffers, timers and offloaded calls
 * when the last task has ended; descriptors when the run is over. What a crashed host had open is not left behind.
 */
#include "testing/kit.h"

#include "executor/executor.h"
#include "noria/stream.h"
#include "op/block.h"
#include "op/buffers.h"
#include "op/direct.h"
#include "scope/child.h"
#include "simulation/file.h"
#include "simulation/host.h"
#include "simulation/ring.h"
#include "task/loop.h"
#include "testing/thread.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LEFT(run, ...) testing_find((run), NORIA_SIM_LEFT, __VA_ARGS__)

/* ---- at the end of a task ---- */

static void tell_children(struct testing_run *run, const struct scope *scope)
{
	for (const struct list *node = scope->children.next; node != &scope->children; node = node->next) {
		const struct task *child = list_entry(node, struct scope, sibling)->task;

		LEFT(run, "left behind: task %s #%llu, spawned at %s:%d (%s) into that group", child->name,
		     (unsigned long long)child->id, child->site->file, child->site->line, child->site->function);
	}
}

void testing_ledger_left_open(const struct task *task, const struct noria_site *site, const struct scope *scope)
{
	struct testing_run *run = testing_run;
	bool timer = scope && scope->deadline != NORIA_FOREVER;

	if (!run || run->options.leaks_allowed || run->cancelled)
		return;
	LEFT(run, "left behind: %s of %s:%d (%s)%s, open at the end of task %s #%llu", site->what, site->file,
	     site->line, site->function, timer ? ", with its timer" : "", task->name, (unsigned long long)task->id);
	if (scope)
		tell_children(run, scope);
}

/* ---- at the end of the run ---- */

static void tell_block(const struct noria_site *taken, void *arg)
{
	LEFT((struct testing_run *)arg, "left behind: block taken at %s:%d (%s)", taken->file, taken->line,
	     taken->function);
}

static void look_at_buffers(struct testing_run *run, const struct buffers *buffers)
{
	unsigned held = 0;

	for (unsigned i = 0; buffers && i < buffers->count; i++)
		held += buffers->table[i].pieces > 0;
	if (held > 0)
		LEFT(run, "left behind: %u receive buffers of %u bytes, with pieces that were not released", held,
		     buffers->size);
}

static void look_at_direct(struct testing_run *run)
{
	struct sim_ring *ring = run->world ? run->world->ring : NULL;

	for (unsigned i = 0; ring && i < ring->direct_places; i++)
		if (ring->direct[i] && !sim_file_is_dead(ring->direct[i]))
			LEFT(run, "left behind: direct descriptor %u, a %s, opened by %s on host %s", i,
			     ring->direct[i]->class->noun, ring->direct[i]->origin, ring->direct[i]->host->name);
}

/* The loop's own timers go with it. */
static bool is_own(const struct loop *loop, const struct heap_node *node)
{
	return node == &loop->ask_again.node || container_of(node, struct timer, node)->fire == noria_calls_guard;
}

void testing_ledger_ending(struct testing_run *run, struct loop *loop)
{
	const struct heap_node *first = heap_first(&loop->timers);

	if (run->options.leaks_allowed)
		return;
	noria_blocks_tell(loop, tell_block, run);
	for (int i = 0; i < 2; i++)
		look_at_buffers(run, loop->buffers[i]);
	look_at_direct(run);
	if (loop->direct && loop->direct->chained)
		LEFT(run, "left behind: places for the files of chains that have ended");
	if (first && !is_own(loop, first))
		LEFT(run, "left behind: a timer that would have fired %lld ns after the end",
		     (long long)(first->key - noria_loop_clock(loop)));
	if (run->world && testing_threads_busy() > 0)
		LEFT(run, "left behind: %u offloaded calls that are still under way", testing_threads_busy());
}

void testing_ledger_world(struct testing_run *run)
{
	struct sim_world *world = run->world;
	char origin[768];

	if (run->options.leaks_allowed)
		return;
	for (unsigned i = 0; i < world->fds_size; i++) {
		struct sim_file *file = world->fds[i];

		if (!file || sim_file_is_dead(file))
			continue;
		testing_origin_print(run->origins, SIM_FD + (int)i, origin, sizeof origin);
		LEFT(run, "left behind: descriptor %d, a %s, opened by %s on host %s%s", SIM_FD + (int)i,
		     file->class->noun, file->origin, file->host->name, origin);
	}
}

/* ---- the process's own descriptors ---- */

struct testing_fds {
	unsigned count;
	int list[];
};

enum { FDS_MAX = 65536 };

struct testing_fds *testing_fds_count(void)
{
	struct testing_fds *fds = malloc(sizeof *fds + FDS_MAX * sizeof fds->list[0]);
	DIR *directory = fds ? opendir("/proc/self/fd") : NULL;
	struct dirent *entry;

	if (!directory) {
		free(fds);
		return NULL;
	}
	fds->count = 0;
	while ((entry = readdir(directory)) && fds->count < FDS_MAX) {
		int fd = atoi(entry->d_name);

		if (entry->d_name[0] != '.' && fd != dirfd(directory))
			fds->list[fds->count++] = fd;
	}
	closedir(directory);
	return fds;
}

static bool has(const struct testing_fds *fds, int fd)
{
	for (unsigned i = 0; i < fds->count; i++)
		if (fds->list[i] == fd)
			return true;
	return false;
}

void testing_fds_compare(struct testing_run *run, struct testing_fds *before)
{
	struct testing_fds *after = before && !run->options.leaks_allowed ? testing_fds_count() : NULL;

	for (unsigned i = 0; after && i < after->count; i++) {
		char path[64], target[256];
		ssize_t length;

		if (has(before, after->list[i]))
			continue;
		snprintf(path, sizeof path, "/proc/self/fd/%d", after->list[i]);
		length = readlink(path, target, sizeof target - 1);
		target[length > 0 ? length : 0] = '\0';
		LEFT(run, "left behind: descriptor %d, %s", after->list[i], target);
	}
	free(after);
	free(before);
}
