/* SPDX-License-Identifier: MIT */
/*
 * The buffered writer. Its buffer holds, from front to back, what has left, what is with the kernel (in flight), and
 * what is pending. While something is pending the writer hangs in its task's list of corks, which is pulled when the
 * task parks: then what is pending becomes the one send in flight, an entry placed beside that of the operation that
 * the task parks on. Its completion concerns nobody but the writer, which keeps an error for the next call.
 *
 * There is one send in flight at most, so the order is kept. It waits in the kernel for a socket that is full, whatever
 * O_NONBLOCK says (rings ask for readiness themselves); when a part is all that it moved, the rest follows.
 */
#include "noria/writer.h"

#include "base/memcheck.h"
#include "base/message.h"
#include "noria/net.h"
#include "noria/op.h"
#include "op/op.h"
#include "scope/failure.h"
#include "scope/scope.h"
#include "task/storage.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct writer {
	struct submission submission; /* the send in flight */
	struct cork cork;             /* in task->corks, while bytes are pending */
	struct leftover leftover;
	struct wait *wait; /* of the task, for the send in flight */
	uint64_t magic, sent;
	char *buffer;
	size_t size;
	size_t from, flying, used; /* in flight: `flying` bytes from `from`; pending: from there to `used` */
	int fd, error;
	uint32_t closes; /* of the descriptor, when the writer was opened */
	bool armed;      /* the submission is with the kernel */
	bool leaving;    /* what is pending follows as soon as the one in flight has ended */
};

_Static_assert(sizeof(struct writer) <= sizeof(struct noria_writer), "struct noria_writer is too small");
_Static_assert(_Alignof(struct writer) <= _Alignof(struct noria_writer), "struct noria_writer is aligned too little");

static struct writer *from_public(const struct noria_writer *writer)
{
	return (struct writer *)(uintptr_t)writer;
}

static uint64_t magic(const struct writer *writer)
{
	return UINT64_C(0x6e6f7269612e7772) ^ (uint64_t)(uintptr_t)writer;
}

static size_t pending(const struct writer *writer)
{
	return writer->used - writer->from - writer->flying;
}

static void launch(struct writer *writer)
{
	struct io_uring_sqe *sqe = &writer->submission.sqe;

	writer->flying = writer->used - writer->from;
	io_uring_initialize_sqe(sqe);
	io_uring_prep_send(sqe, writer->fd, writer->buffer + writer->from, op_length(writer->flying),
			   MSG_WAITALL | MSG_NOSIGNAL);
	writer->armed = true;
	noria_submit(noria_loop, &writer->submission);
}

static void moved(struct writer *writer, size_t size)
{
	writer->sent += size;
	writer->from += size;
	writer->flying = 0;
	if (writer->from == writer->used)
		writer->from = writer->used = 0;
}

/* Its descriptor was closed: the number may be another's by now. */
static bool lost_fd(struct writer *writer)
{
	if (likely(writer->closes == *loop_closes(noria_loop, writer->fd)))
		return false;
	if (writer->error == 0)
		writer->error = -EBADF;
	return true;
}

/* Go on with what is left, if something is, and if there is no reason to stop. */
static void follow(struct writer *writer)
{
	if (writer->used == writer->from || !writer->leaving || lost_fd(writer) || writer->error < 0)
		writer->leaving = false;
	else
		launch(writer);
}

static void completed(struct submission *submission, int32_t result, uint32_t flags, bool last)
{
	struct writer *writer = container_of(submission, struct writer, submission);

	(void)flags, (void)last; /* a send has one completion */
	writer->armed = false;
	moved(writer, result > 0 ? (size_t)result : 0);
	if (submission->cancel_asked)
		writer->leaving = false;
	if (result < 0 && result != -EINTR && !(result == -ECANCELED && submission->cancel_asked))
		writer->error = result;
	follow(writer);
	if (!writer->armed && writer->wait && !writer->wait->done)
		noria_wait_complete(writer->wait);
}

static void cork(struct writer *writer)
{
	if (!writer->cork.task)
		task_cork(writer->leftover.task, &writer->cork);
}

static void uncork(struct writer *writer)
{
	if (writer->cork.task)
		noria_task_uncork(writer->leftover.task, &writer->cork);
}

/* The task parks. */
static void leave(struct cork *cork_)
{
	struct writer *writer = container_of(cork_, struct writer, cork);

	if (writer->leftover.task->scope->cancelled) {
		cork(writer); /* an operation of a cancelled scope: not now */
		return;
	}
	writer->leaving = true;
	if (!writer->armed)
		follow(writer);
}

static void abandon(struct wait *wait)
{
	noria_wait_complete(wait);
}

static void describe(const struct wait *wait, char *text, size_t size)
{
	(void)wait;
	snprintf(text, size, "waits until a socket has taken what a writer sends");
}

static const struct wait_class flight_class = {.abandon = abandon, .describe = describe};
static const struct wait_class close_class = {.describe = describe};

/* Until nothing is in flight. Returns 0, or -ECANCELED: then something may be. */
static int land(struct writer *writer, struct task *task, const struct wait_class *class)
{
	struct wait wait;

	while (writer->armed) {
		noria_wait_init(&wait, class);
		writer->wait = &wait;
		scope_wait(task, &wait);
		writer->wait = NULL;
		if (wait.abandoned)
			return noria_scope_answer(task);
	}
	return 0;
}

/* All that was written, with the socket. The system call is tried first. */
static int push(struct writer *writer, struct task *task)
{
	ssize_t r;

	uncork(writer);
	r = land(writer, task, &flight_class);
	if (r < 0 || writer->error < 0 || writer->used == writer->from) {
		if (pending(writer) > 0 && writer->error == 0)
			cork(writer);
		return r < 0 ? (int)r : writer->error;
	}
	if (lost_fd(writer))
		return writer->error;
	r = noria_send_all(writer->fd, writer->buffer + writer->from, pending(writer), 0);
	moved(writer, noria_progress());
	if (r < 0 && r != -ECANCELED)
		writer->error = (int)r;
	else if (r == -ECANCELED && pending(writer) > 0)
		cork(writer);
	return r < 0 ? (int)r : 0;
}

/* Everything that does not fit is not worth a copy. Returns how many bytes were taken, or an error. */
static ssize_t pass(struct writer *writer, const char *data, size_t size)
{
	ssize_t r;

	if (lost_fd(writer))
		return writer->error;
	r = noria_send_all(writer->fd, data, size, 0);
	writer->sent += noria_progress();
	if (r < 0 && r != -ECANCELED)
		writer->error = (int)r;
	return r;
}

static int append(struct writer *writer, struct task *task, const char *data, size_t size, size_t *done)
{
	while (*done < size) {
		size_t room = writer->size - writer->used, part = size - *done < room ? size - *done : room;
		ssize_t r = 0;

		if (writer->used == 0 && !writer->armed && size - *done >= writer->size) {
			r = pass(writer, data + *done, size - *done);
			*done += noria_progress();
		} else if (part > 0) {
			memcpy(writer->buffer + writer->used, data + *done, part);
			writer->used += part;
			*done += part;
			cork(writer);
		} else {
			r = push(writer, task);
		}
		if (r < 0)
			return (int)r;
	}
	return 0;
}

static bool is_own(const struct writer *writer, const struct task *task)
{
	return task && writer->magic == magic(writer) && writer->leftover.task == task;
}

/* 0, or what a call on it answers at once. */
static int check(struct writer *writer, struct task *task)
{
	if (!task)
		return -ENXIO;
	if (!is_own(writer, task))
		return noria_refuse(-EINVAL, "a writer that is not open, or that another task has opened");
	if (lost_fd(writer) || writer->error < 0)
		noria_error_arose(task, writer->error);
	return writer->error;
}

static int enter(struct writer *writer, struct task *task)
{
	int r = check(writer, task);

	if (!task)
		return r;
	task->progress = 0; /* what is refused here has moved nothing */
	return r < 0 ? task_answer(task, r) : scope_door(task);
}

static int close_writer(struct writer *writer, struct task *task)
{
	int r = writer->error;

	if (r == 0 && (writer->armed || pending(writer) > 0))
		r = scope_checkpoint(task);
	if (r == 0)
		r = push(writer, task);
	uncork(writer);
	if (writer->armed) {
		noria_submission_cancel(task->loop, &writer->submission);
		while (writer->armed)
			(void)land(writer, task, &close_class);
	}
	if (writer->error < 0)
		r = writer->error;
	else if (r == -ECANCELED && writer->used == writer->from)
		r = 0; /* it has left all the same */
	leftover_remove(&writer->leftover);
	storage_forget(task->loop, writer);
	writer->magic = 0;
	return r;
}

static bool close_leftover(struct leftover *leftover)
{
	struct writer *writer = container_of(leftover, struct writer, leftover);
	bool open = writer->magic == magic(writer);

	if (open)
		(void)close_writer(writer, leftover->task);
	return open;
}

int noria_writer_open_at(struct noria_writer *storage, int fd, void *buffer, size_t size, const struct noria_site *site)
{
	struct writer *writer = from_public(storage);
	struct task *task = noria_current();

	if (!task)
		return -ENXIO;
	(void)VALGRIND_MAKE_MEM_DEFINED(&writer->magic, sizeof writer->magic);
	if (writer->magic == magic(writer))
		return noria_refuse(-EINVAL, "the writer at %s:%d is open already: it was opened at %s:%d", site->file,
				    site->line, writer->leftover.site->file, writer->leftover.site->line);
	if (!buffer || size == 0)
		return noria_refuse(-EINVAL, "the writer at %s:%d has no buffer", site->file, site->line);
	memset(writer, 0, sizeof *writer);
	writer->fd = fd;
	writer->buffer = buffer;
	writer->size = size;
	writer->closes = *loop_closes(task->loop, fd);
	noria_submission_init(&writer->submission, -1, completed);
	writer->cork.leave = leave;
	writer->leftover = (struct leftover){.task = task, .site = site, .close = close_leftover, .waits = true};
	leftover_add(&writer->leftover);
	storage_note(task->loop, writer, sizeof *writer, site, "noria_autowriter");
	writer->magic = magic(writer);
	return 0;
}

int noria_writer_write(struct noria_writer *storage, const void *data, size_t size)
{
	struct writer *writer = from_public(storage);
	struct task *task = noria_current();
	int r = enter(writer, task);
	size_t done = 0;

	if (r < 0)
		return r;
	task_spend(task);
	r = append(writer, task, data, size, &done);
	task->progress = done;
	return r;
}

int noria_writer_printf(struct noria_writer *storage, const char *format, ...)
{
	struct writer *writer = from_public(storage);
	struct task *task = noria_current();
	int r = enter(writer, task), length;

	if (r < 0)
		return r;
	task_spend(task);
	for (;;) {
		size_t room = writer->size - writer->used;
		va_list arguments;

		va_start(arguments, format);
		length = vsnprintf(writer->buffer + writer->used, room, format, arguments);
		va_end(arguments);
		if (length < 0)
			return -EINVAL;
		if ((size_t)length < room)
			break;
		if ((size_t)length >= writer->size)
			return noria_refuse(-EMSGSIZE, "%d bytes of text, and the writer of %s:%d has a buffer of %zu",
					    length, writer->leftover.site->file, writer->leftover.site->line,
					    writer->size);
		r = push(writer, task);
		if (r < 0)
			return r;
	}
	if (length == 0)
		return 0;
	writer->used += (size_t)length;
	cork(writer);
	return 0;
}

int noria_writer_flush(struct noria_writer *storage)
{
	struct writer *writer = from_public(storage);
	struct task *task = noria_current();
	int r = enter(writer, task);

	return r < 0 ? r : push(writer, task);
}

uint64_t noria_writer_sent(const struct noria_writer *writer)
{
	return from_public(writer)->sent;
}

int noria_writer_close(struct noria_writer *storage)
{
	struct writer *writer = from_public(storage);
	struct task *task = noria_current();
	int r = check(writer, task);

	return is_own(writer, task) ? close_writer(writer, task) : r;
}

void noria_autowriter_(struct noria_writer *storage)
{
	struct writer *writer = from_public(storage);
	struct task *task = noria_current();

	if (is_own(writer, task))
		(void)close_writer(writer, task);
}
