/* SPDX-License-Identifier: MIT */
/*
 * The core of streams. A stream is closed by its own task, by another one while the first waits, by two at once, or by
 * the end of a task that forgot: whoever closes first ends what is under way, and until the last statement of that its
 * storage is in use.
 */
#include "op/stream.h"

#include "base/memcheck.h"
#include "base/message.h"
#include "ring/ring.h"
#include "task/storage.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Being closed by a task that waits for the kernel's last word: neither open nor free. */
static bool is_closing(const struct stream *stream)
{
	return stream->magic == ~stream_magic(stream);
}

void noria_stream_end(struct stream *stream, int32_t result)
{
	if (result != -ECANCELED || !stream->submission.cancel_asked)
		stream->end = result;
}

void noria_stream_arm(struct stream *stream)
{
	io_uring_initialize_sqe(&stream->submission.sqe);
	stream->class->prepare(stream, &stream->submission.sqe);
	stream->armed = true;
	noria_submit(noria_loop, &stream->submission);
}

static void abandon(struct wait *wait)
{
	noria_wait_complete(wait);
}

struct stream_wait {
	struct wait wait;
	const struct stream *stream;
};

static void describe(const struct wait *wait, char *text, size_t size)
{
	const struct stream *stream = container_of(wait, struct stream_wait, wait)->stream;

	snprintf(text, size, "waits for a %s on descriptor %d", stream->class->noun, stream->fd);
}

static const struct wait_class next_class = {.abandon = abandon, .describe = describe};
static const struct wait_class stop_class = {.describe = describe};

static void wait_on(struct stream *stream, struct task *task, const struct wait_class *class)
{
	struct stream_wait wait = {.wait = {.class = class, .task = task}, .stream = stream};

	stream->wait = &wait.wait;
	scope_wait(task, &wait.wait);
	stream->wait = NULL;
}

void noria_stream_stop(struct stream *stream, struct task *task)
{
	if (stream->armed)
		noria_submission_cancel(task->loop, &stream->submission);
	while (stream->armed)
		wait_on(stream, task, &stop_class);
}

/* Nothing is queued. */
static __attribute__((noinline)) int found_nothing(struct stream *stream)
{
	int end = stream->end;

	if (end == 0)
		return STREAM_ENDED;
	if (end < 0) {
		stream->end = stream->class->recovers ? 1 : end;
		return end;
	}
	return stream_lost_fd(stream) ? -EBADF : STREAM_IDLE;
}

int noria_stream_await(struct stream *stream, struct task *task)
{
	while (stream->queued == 0 && !stream->closing) {
		if (unlikely(stream->end <= 0 || stream_lost_fd(stream) || !stream->armed))
			return found_nothing(stream);
		wait_on(stream, task, &next_class);
		if (unlikely(stream->queued == 0 && !stream->closing && scope_door(task) < 0))
			return -ECANCELED;
	}
	return stream->closing ? -EBADF : STREAM_QUEUED;
}

int noria_stream_turn_away(const struct stream_class *class)
{
	return noria_refuse(-EINVAL, "a %s that is not open, or that another task waits on", class->noun);
}

/*
 * Another task is inside, with something of the stream in its hands perhaps: it is told -EBADF, and has left before
 * anything is freed.
 */
static void send_away(struct stream *stream, struct task *task)
{
	while (stream->in_next) {
		if (stream->wait && !stream->wait->done)
			noria_wait_complete(stream->wait);
		if (stream->operating && stream->operating->wait)
			noria_wait_abandon(stream->operating->wait);
		noria_task_yield(task);
	}
}

static void close_stream(struct stream *stream, struct task *task)
{
	stream->magic = ~stream_magic(stream);
	stream->closing = true;
	send_away(stream, task);
	noria_stream_stop(stream, task);
	stream->class->release(stream);
	leftover_remove(&stream->leftover);
	storage_forget(task->loop, stream);
	stream->magic = 0;
}

/* Returns whether it was open. */
static bool close_once(struct stream *stream, struct task *task)
{
	bool open = stream_is_open(stream);

	if (open)
		close_stream(stream, task);
	while (is_closing(stream))
		noria_task_yield(task);
	return open;
}

static bool close_leftover(struct leftover *leftover)
{
	return close_once(container_of(leftover, struct stream, leftover), noria_loop->current);
}

int noria_stream_open(struct stream *stream, const struct stream_class *class, int fd, const struct noria_site *site)
{
	struct task *task = noria_current();

	if (!task)
		return -ENXIO;
	(void)VALGRIND_MAKE_MEM_DEFINED(&stream->magic, sizeof stream->magic);
	if (stream_is_open(stream) || is_closing(stream))
		return noria_refuse(-EINVAL, "the %s at %s:%d is open already: it was opened at %s:%d", class->noun,
				    site->file, site->line, stream->leftover.site->file, stream->leftover.site->line);
	memset(stream, 0, class->size);
	stream->class = class;
	stream->fd = fd;
	stream->end = 1;
	noria_submission_init(&stream->submission, -1, class->completed);
	list_init(&stream->leftover.node);
	stream->leftover.task = task;
	stream->leftover.site = site;
	stream->leftover.close = close_leftover;
	stream->leftover.waits = true;
	stream->closes = loop_closes(task->loop, fd);
	stream->closes_before = *stream->closes;
	return 0;
}

void noria_stream_opened(struct stream *stream)
{
	leftover_add(&stream->leftover);
	storage_note(stream->leftover.task->loop, stream, stream->class->size, stream->leftover.site,
		     stream->class->automatic);
	stream->magic = stream_magic(stream);
}

void noria_stream_close(struct stream *stream)
{
	struct task *task = noria_current();

	if (task)
		(void)close_once(stream, task);
}
