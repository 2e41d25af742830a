/* SPDX-License-Identifier: MIT */
/* Pipes: bytes within a host, at once. Writes of up to PIPE_BUF bytes are made whole or not at all. */
#include "simulation/net/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>

enum { CAPACITY = 65536, CAPACITY_MAX = 1 << 20 };

struct pipe_end {
	struct sim_file file;
	struct pipe *pipe;
};

struct pipe {
	struct pipe_end ends[2]; /* that is read from, that is written to */
	bool open[2];
	struct sim_bytes bytes;
	size_t capacity;
};

static struct pipe *pipe_of(const struct sim_file *file)
{
	return container_of(file, struct pipe_end, file)->pipe;
}

static size_t used(const struct pipe *pipe)
{
	return (size_t)(pipe->bytes.end - pipe->bytes.first);
}

static size_t room(const struct pipe *pipe)
{
	return used(pipe) < pipe->capacity ? pipe->capacity - used(pipe) : 0;
}

static bool is_writable(const struct pipe *pipe)
{
	return room(pipe) >= PIPE_BUF;
}

static int64_t pipe_read(struct sim_file *file, struct sim_transfer *transfer)
{
	struct pipe *pipe = pipe_of(file);
	bool was_writable = is_writable(pipe);
	size_t size = transfer->size < used(pipe) ? transfer->size : used(pipe);

	if (transfer->size == 0)
		return 0;
	if (size == 0)
		return pipe->open[1] ? -EAGAIN : 0;
	size = sim_shorten(file->world, size);
	sim_bytes_copy(&pipe->bytes, transfer, size);
	if (transfer->flags & MSG_PEEK)
		return (int64_t)size;
	sim_bytes_drop(&pipe->bytes, size);
	if (!was_writable && is_writable(pipe))
		sim_file_wake(&pipe->ends[1].file, POLLOUT);
	return (int64_t)size;
}

static int64_t pipe_write(struct sim_file *file, struct sim_transfer *transfer)
{
	struct pipe *pipe = pipe_of(file);
	size_t size = transfer->size < room(pipe) ? transfer->size : room(pipe);

	if (!pipe->open[0])
		return -EPIPE;
	if (transfer->size == 0)
		return 0;
	if (size == 0 || (transfer->size <= PIPE_BUF && size < transfer->size))
		return -EAGAIN;
	if (transfer->size > PIPE_BUF)
		size = sim_shorten(file->world, size);
	if (!sim_bytes_reserve(&pipe->bytes, size))
		return -ENOMEM;
	sim_bytes_append(&pipe->bytes, transfer, size);
	sim_file_wake(&pipe->ends[0].file, POLLIN);
	return (int64_t)size;
}

static unsigned poll_reader(struct sim_file *file)
{
	struct pipe *pipe = pipe_of(file);

	return (used(pipe) > 0 ? POLLIN | POLLRDNORM : 0) | (pipe->open[1] ? 0 : POLLHUP);
}

static unsigned poll_writer(struct sim_file *file)
{
	struct pipe *pipe = pipe_of(file);

	return (is_writable(pipe) ? POLLOUT | POLLWRNORM : 0) | (pipe->open[0] ? 0 : POLLERR);
}

static void pipe_release(struct sim_file *file)
{
	struct pipe *pipe = pipe_of(file);
	bool reader = file == &pipe->ends[0].file;

	pipe->open[reader ? 0 : 1] = false;
	if (pipe->open[reader ? 1 : 0]) {
		sim_file_wake(&pipe->ends[reader ? 1 : 0].file, reader ? POLLERR | POLLOUT : POLLHUP | POLLIN);
		return;
	}
	free(pipe->bytes.memory);
	free(pipe);
}

static const struct sim_file_class reader_class = {
	.noun = "pipe", .poll = poll_reader, .read = pipe_read, .release = pipe_release};
static const struct sim_file_class writer_class = {
	.noun = "pipe", .poll = poll_writer, .write = pipe_write, .release = pipe_release};

static bool is_pipe(const struct sim_file *file)
{
	return file->class == &reader_class || file->class == &writer_class;
}

int sim_pipe_new(struct sim_host *host, int flags, struct sim_file *ret_files[2])
{
	struct pipe *pipe;

	if (flags & ~(O_CLOEXEC | O_NONBLOCK | O_DIRECT))
		return -EINVAL;
	pipe = calloc(1, sizeof *pipe);
	if (!pipe)
		return -ENOMEM;
	pipe->capacity = CAPACITY;
	sim_file_init(&pipe->ends[0].file, &reader_class, host->world, host, "pipe", O_RDONLY | (flags & O_NONBLOCK));
	sim_file_init(&pipe->ends[1].file, &writer_class, host->world, host, "pipe", O_WRONLY | (flags & O_NONBLOCK));
	for (int i = 0; i < 2; i++) {
		pipe->ends[i].pipe = pipe;
		pipe->open[i] = true;
		ret_files[i] = &pipe->ends[i].file;
	}
	return 0;
}

int64_t sim_pipe_size(struct sim_file *file)
{
	return is_pipe(file) ? (int64_t)pipe_of(file)->capacity : -EBADF;
}

int64_t sim_pipe_resize(struct sim_file *file, size_t size)
{
	size_t capacity = PIPE_BUF;

	if (!is_pipe(file))
		return -EBADF;
	if (size > CAPACITY_MAX)
		return -EPERM;
	while (capacity < size)
		capacity *= 2;
	if (capacity < used(pipe_of(file)))
		return -EBUSY;
	pipe_of(file)->capacity = capacity;
	sim_file_wake(&pipe_of(file)->ends[1].file, POLLOUT);
	return (int64_t)capacity;
}

int sim_pipe_unread(struct sim_file *file, int *ret_size)
{
	if (!is_pipe(file))
		return -ENOTTY;
	*ret_size = (int)used(pipe_of(file));
	return 0;
}
