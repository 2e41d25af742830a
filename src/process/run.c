/* SPDX-License-Identifier: MIT */
/*
 * A program from start to end: a task writes its input, a task each reads what it writes, and the caller waits for it.
 * So none of the three pipes can stand still for another that is full.
 *
 * Writing to a program that has ended is no error here, and must not be a SIGPIPE: the write is made by this thread,
 * with that signal blocked and taken away, on a pipe that does not wait; the waiting is the ring's.
 */
#include "noria/process.h"

#include "base/message.h"
#include "noria/file.h"
#include "noria/group.h"
#include "noria/op.h"
#include "task/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

struct feed {
	struct noria_process *process;
	const char *data;
	size_t size;
};

struct drain_pipe {
	struct noria_process *process;
	int number;
	char *data;
	size_t max;
	size_t *size;
};

static ssize_t write_without_sigpipe(int fd, const void *data, size_t size)
{
	const struct timespec none = {0};
	sigset_t sigpipe, before, pending;
	ssize_t r;

	sigemptyset(&sigpipe);
	sigaddset(&sigpipe, SIGPIPE);
	sigpending(&pending);
	pthread_sigmask(SIG_BLOCK, &sigpipe, &before);
	r = write(fd, data, size);
	r = r < 0 ? -errno : r;
	if (r == -EPIPE && !sigismember(&pending, SIGPIPE))
		(void)sigtimedwait(&sigpipe, NULL, &none);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return r;
}

static ssize_t feed_some(int fd, const struct feed *feed)
{
	int r = noria_poll(fd, POLLOUT);

	return r < 0 ? r : write_without_sigpipe(fd, feed->data, feed->size);
}

/* -EBADF: the program has ended, and the pipe was closed for that. */
static int feed_program(void *arg)
{
	struct feed *feed = arg;

	while (feed->size > 0) {
		int fd = noria_process_fd(feed->process, 0);
		ssize_t n = fd < 0 ? fd : feed_some(fd, feed);

		if (n == -EPIPE || n == -EBADF)
			break;
		if (n == -EAGAIN || n == -EINTR)
			continue;
		if (n < 0)
			return (int)n;
		feed->data += n;
		feed->size -= (size_t)n;
	}
	(void)noria_process_close_fd(feed->process, 0);
	return 0;
}

static int drain_program(void *arg)
{
	struct drain_pipe *pipe = arg;
	int fd = noria_process_fd(pipe->process, pipe->number);
	char dropped[4096];
	ssize_t n;

	do {
		size_t left = *pipe->size < pipe->max ? pipe->max - *pipe->size : 0;

		n = left > 0 ? noria_read(fd, pipe->data + *pipe->size, left) : noria_read(fd, dropped, sizeof dropped);
		*pipe->size += n > 0 ? (size_t)n : 0;
	} while (n > 0);
	return (int)n;
}

static int spawn_drain(struct noria_group *group, struct drain_pipe *pipe, const struct noria_site *site)
{
	return pipe->data ? noria_spawn_at(group, drain_program, pipe, NULL, site) : 0;
}

static int spawn_feed(struct noria_group *group, struct feed *feed, const struct noria_site *site)
{
	int fd = noria_process_fd(feed->process, 0);

	if (!feed->data)
		return 0;
	if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	return noria_spawn_at(group, feed_program, feed, NULL, site);
}

static int run_in_group(struct noria_group *group, struct noria_process *process, struct noria_process_io *io,
			const struct noria_site *site)
{
	struct feed feed = {process, io->input, io->input_size};
	struct drain_pipe output = {process, 1, io->output, io->output_max, &io->output_size};
	struct drain_pipe errors = {process, 2, io->errors, io->errors_max, &io->errors_size};
	int status = 0, r = spawn_feed(group, &feed, site);

	if (r >= 0)
		r = spawn_drain(group, &output, site);
	if (r >= 0)
		r = spawn_drain(group, &errors, site);
	if (r >= 0)
		r = status = noria_process_wait(process);
	if (r >= 0 && io->input)
		(void)noria_process_close_fd(process, 0); /* who else has the other end will not be fed */
	r = noria_group_close_at(group, r < 0 ? r : 0, site);
	return r < 0 ? r : status;
}

static int run_open(struct noria_process *process, struct noria_process_io *io, const struct noria_site *site)
{
	struct noria_group group;
	int r = noria_group_open_at(&group, NORIA_FOREVER, NULL, site);

	if (r >= 0)
		r = run_in_group(&group, process, io, site);
	noria_process_close(process);
	return r;
}

static void choose_pipes(struct noria_process_options *options, const struct noria_process_io *io)
{
	if (io->input)
		options->input.kind = NORIA_STDIO_PIPE;
	else if (options->input.kind == NORIA_STDIO_INHERIT)
		options->input.kind = NORIA_STDIO_NULL;
	if (io->output)
		options->output.kind = NORIA_STDIO_PIPE;
	if (io->errors)
		options->errors.kind = NORIA_STDIO_PIPE;
}

int noria_process_run_at(const char *program, char *const argv[], char *const envp[], struct noria_process_io *io,
			 const struct noria_process_options *options, const struct noria_site *site)
{
	struct noria_process_options filled = {0};
	struct noria_process_io nothing = {0};
	struct noria_process process = {0};
	int r;

	io = io ? io : &nothing;
	io->output_size = io->errors_size = 0;
	if (options)
		filled = *options;
	choose_pipes(&filled, io);
	r = noria_process_open_at(&process, program, argv, envp, &filled, site);
	return r < 0 ? r : run_open(&process, io, site);
}
