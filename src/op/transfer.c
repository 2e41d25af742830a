/* SPDX-License-Identifier: MIT */
/*
 * Whole transfers: steps of one operation each, until everything has moved. Each step is a checkpoint, so a cancel
 * stops the transfer between steps; how far it came is kept with the task.
 */
#include "noria/file.h"
#include "noria/net.h"
#include "noria/op.h"

#include "op/send.h"
#include "scope/scope.h"

#include <errno.h>

struct transfer {
	ssize_t (*step)(struct transfer *transfer, size_t done);
	int fd, flags;
	char *buffer;
	size_t size;
	struct iovec *vector;
	int count;
	off_t *offset_in, *offset_out;
	int fd_out;
};

static ssize_t step_splice(struct transfer *t, size_t done);

/* Closes of the transfer's descriptors; a sum tells a change as well as two counts. */
static uint32_t closes_of(struct loop *loop, const struct transfer *transfer)
{
	uint32_t closes = *loop_closes(loop, transfer->fd);

	return transfer->step == step_splice ? closes + *loop_closes(loop, transfer->fd_out) : closes;
}

/*
 * From the result of the first step on. A count of 0 is the end of the input; the size may be unknown (SIZE_MAX) for
 * vectors. `closes` is from before that step.
 */
static ssize_t go_on(struct task *task, struct transfer *transfer, uint32_t closes, ssize_t r)
{
	size_t done = 0;

	for (;;) {
		if (r < 0 && r != -EINTR)
			return r;
		if (r == 0)
			break;
		if (r > 0)
			task->progress = done += (size_t)r;
		if (done >= transfer->size)
			break;
		if (closes != closes_of(task->loop, transfer))
			return -EBADF; /* closed between two steps: the number may be another's by now */
		r = transfer->step(transfer, done);
	}
	return (ssize_t)done;
}

static ssize_t run(struct transfer *transfer)
{
	struct task *task = noria_current();
	uint32_t closes;

	if (!task)
		return -ENXIO;
	task->progress = 0;
	if (transfer->size == 0)
		return 0;
	closes = closes_of(task->loop, transfer);
	return go_on(task, transfer, closes, transfer->step(transfer, 0));
}

static ssize_t step_recv(struct transfer *t, size_t done)
{
	return noria_recv(t->fd, t->buffer + done, t->size - done, t->flags | MSG_WAITALL);
}

static ssize_t step_send(struct transfer *t, size_t done)
{
	return noria_send(t->fd, t->buffer + done, t->size - done, t->flags | MSG_WAITALL);
}

static ssize_t step_read(struct transfer *t, size_t done)
{
	return noria_read(t->fd, t->buffer + done, t->size - done);
}

static ssize_t step_write(struct transfer *t, size_t done)
{
	return noria_write(t->fd, t->buffer + done, t->size - done);
}

/* Off the front of the vector with what has moved. */
static void consume(struct transfer *t, size_t moved)
{
	while (t->count > 0 && moved >= t->vector->iov_len) {
		moved -= t->vector->iov_len;
		t->vector->iov_len = 0;
		t->vector++;
		t->count--;
	}
	if (t->count > 0) {
		t->vector->iov_base = (char *)t->vector->iov_base + moved;
		t->vector->iov_len -= moved;
	}
}

static ssize_t step_vector(struct transfer *t, ssize_t (*call)(int, const struct iovec *, int))
{
	ssize_t r = call(t->fd, t->vector, t->count < 1024 ? t->count : 1024);

	if (r > 0)
		consume(t, (size_t)r);
	return r;
}

static ssize_t step_readv(struct transfer *t, size_t done)
{
	(void)done;
	return step_vector(t, noria_readv);
}

static ssize_t step_writev(struct transfer *t, size_t done)
{
	(void)done;
	return step_vector(t, noria_writev);
}

static ssize_t step_splice(struct transfer *t, size_t done)
{
	return noria_splice(t->fd, t->offset_in, t->fd_out, t->offset_out, t->size - done, (unsigned)t->flags);
}

ssize_t noria_recv_all(int fd, void *buffer, size_t size, int flags)
{
	return run(&(struct transfer){.step = step_recv, .fd = fd, .buffer = buffer, .size = size, .flags = flags});
}

/* Nearly always the first step is all. */
ssize_t noria_send_all(int fd, const void *buffer, size_t size, int flags)
{
	struct task *task = noria_current();
	uint32_t closes;
	ssize_t r;

	if (unlikely(!task))
		return -ENXIO;
	task->progress = 0;
	if (unlikely(size == 0))
		return 0;
	closes = *loop_closes(task->loop, fd);
	r = send_some(task, fd, buffer, size, flags | MSG_WAITALL);
	if (unlikely(r != (ssize_t)size)) {
		struct transfer rest = {
			.step = step_send, .fd = fd, .buffer = (char *)(uintptr_t)buffer, .size = size, .flags = flags};

		return go_on(task, &rest, closes, r);
	}
	task->progress = size;
	return r;
}

ssize_t noria_read_all(int fd, void *buffer, size_t size)
{
	return run(&(struct transfer){.step = step_read, .fd = fd, .buffer = buffer, .size = size});
}

ssize_t noria_write_all(int fd, const void *buffer, size_t size)
{
	return run(&(struct transfer){.step = step_write, .fd = fd, .buffer = (char *)(uintptr_t)buffer, .size = size});
}

static ssize_t run_vector(int fd, struct iovec *vector, int count, ssize_t (*step)(struct transfer *, size_t))
{
	struct transfer transfer = {.step = step, .fd = fd, .vector = vector, .count = count};

	if (count < 0)
		return -EINVAL;
	for (int i = 0; i < count; i++)
		if (__builtin_add_overflow(transfer.size, vector[i].iov_len, &transfer.size))
			return -EINVAL;
	consume(&transfer, 0); /* past empty entries, which a step would take for the end */
	return run(&transfer);
}

ssize_t noria_readv_all(int fd, struct iovec *vector, int count)
{
	return run_vector(fd, vector, count, step_readv);
}

ssize_t noria_writev_all(int fd, struct iovec *vector, int count)
{
	return run_vector(fd, vector, count, step_writev);
}

ssize_t noria_splice_all(int fd_in, off_t *offset_in, int fd_out, off_t *offset_out, size_t size, unsigned flags)
{
	return run(&(struct transfer){.step = step_splice,
				      .fd = fd_in,
				      .fd_out = fd_out,
				      .offset_in = offset_in,
				      .offset_out = offset_out,
				      .size = size,
				      .flags = (int)flags});
}

size_t noria_progress(void)
{
	struct task *task = noria_current();

	return task ? task->progress : 0;
}
