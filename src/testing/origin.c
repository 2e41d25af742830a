/* SPDX-License-Identifier: MIT */
/*
 * Where descriptors of a world come from: the call, the task, and the place in its code, noted when one is made. The
 * place is read from the stack of the task that waits for the call, which costs some microseconds; so it is not done
 * for other files than those that get a descriptor.
 */
#include "testing/kit.h"

#include "op/op.h"
#include "op/stream.h"
#include "simulation/file.h"
#include "simulation/request.h"
#include "task/loop.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <stdlib.h>
#include <string.h>

enum { FRAMES = 24, KEPT = 3 };

struct origin {
	void *frames[KEPT];
	char task[NORIA_TASK_NAME_MAX];
	uint64_t task_id;
	const struct noria_site *spawn, *opened; /* of the task; of a stream whose item it is */
};

struct testing_origins {
	unsigned count;
	struct origin *list; /* by number, from SIM_FD */
};

struct testing_origins *testing_origins_new(void)
{
	return calloc(1, sizeof(struct testing_origins));
}

void testing_origins_free(struct testing_origins *origins)
{
	if (origins)
		free(origins->list);
	free(origins);
}

static struct origin *place_for(struct testing_origins *origins, unsigned i)
{
	struct origin *list;
	unsigned count = origins->count ? origins->count : 64;

	while (count <= i)
		count *= 2;
	if (count > origins->count) {
		list = realloc(origins->list, count * sizeof *list);
		if (!list)
			return NULL;
		memset(list + origins->count, 0, (count - origins->count) * sizeof *list);
		origins->list = list;
		origins->count = count;
	}
	return &origins->list[i];
}

/* A frame of noria's own: its public functions are named so, wherever they are linked. */
static bool is_own(void *frame)
{
	static const int here;
	Dl_info info, own;

	if (!dladdr(frame, &info))
		return false;
	if (info.dli_sname)
		return strncmp(info.dli_sname, "noria_", 6) == 0;
	return dladdr(&here, &own) && own.dli_fbase == info.dli_fbase && strstr(info.dli_fname, "libnoria");
}

static void keep_frames(struct origin *origin, void *const *frames, int count)
{
	int kept = 0;

	for (int i = 0; i < count && kept < KEPT; i++)
		if (kept > 0 || !is_own(frames[i]))
			origin->frames[kept++] = frames[i];
}

/* Who waits for this entry: an operation's task, or a stream's owner. */
static struct task *task_of(struct submission *submission, const struct noria_site **ret_opened)
{
	struct task *task = noria_op_task(submission);
	struct stream *stream = submission_stream(submission);

	if (task)
		return task;
	if (!stream_is_open(stream))
		return NULL;
	*ret_opened = stream->leftover.site;
	return stream->leftover.task;
}

static struct task *asker(struct sim_world *world, const struct noria_site **ret_opened)
{
	struct sim_request *request = world->running;

	if (noria_loop && noria_loop->current)
		return noria_loop->current;
	if (!request || (request->sqe.user_data & RING_TAG) != RING_OPERATION || request->inline_call)
		return NULL;
	return task_of(noria_token_submission(request->sqe.user_data), ret_opened);
}

void testing_origin_note(struct sim_world *world, int fd)
{
	struct origin *origin = place_for(testing_run->origins, (unsigned)(fd - SIM_FD));
	const struct noria_site *opened = NULL;
	void *frames[FRAMES];
	struct task *task;

	if (!origin)
		return;
	memset(origin, 0, sizeof *origin);
	task = asker(world, &opened);
	if (!task)
		return;
	snprintf(origin->task, sizeof origin->task, "%s", task->name);
	origin->task_id = task->id;
	origin->spawn = task->site;
	origin->opened = opened;
	if (task == noria_loop->current)
		keep_frames(origin, frames, backtrace(frames, FRAMES));
	else if (!opened)
		keep_frames(origin, frames, noria_task_backtrace(task, frames, FRAMES));
}

void testing_origin_print(const struct testing_origins *origins, int fd, char *text, size_t size)
{
	unsigned i = (unsigned)(fd - SIM_FD);
	const struct origin *origin = i < origins->count ? &origins->list[i] : NULL;
	char **symbols;
	int kept = 0;
	size_t n;

	text[0] = '\0';
	if (!origin || !origin->spawn)
		return;
	n = (size_t)snprintf(text, size, " in task %s #%llu (spawned at %s:%d)", origin->task,
			     (unsigned long long)origin->task_id, origin->spawn->file, origin->spawn->line);
	if (origin->opened && n < size)
		n += (size_t)snprintf(text + n, size - n, ", by the stream of %s:%d", origin->opened->file,
				      origin->opened->line);
	while (kept < KEPT && origin->frames[kept])
		kept++;
	symbols = kept > 0 ? backtrace_symbols(origin->frames, kept) : NULL;
	for (int j = 0; symbols && j < kept && n < size; j++)
		n += (size_t)snprintf(text + n, size - n, "\n    at %s", symbols[j]);
	free(symbols);
}
