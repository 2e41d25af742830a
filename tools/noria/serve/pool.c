/* SPDX-License-Identifier: MIT */
/*
 * Buffers and pipes that outlive the connections using them. Making a pipe and sizing it costs two system calls and
 * touching fresh pages costs more, so a few are kept; the number in use follows the number of busy connections, not of
 * open ones: an idle connection has given everything back.
 */
#include "pool.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIPE_SIZE (1024 * 1024) /* measured: see body.c; what an unprivileged process gets by default */

void *pool_get(struct pool *pool)
{
	void *buffer = pool->free;
	if (buffer) {
		memcpy(&pool->free, buffer, sizeof pool->free);
		pool->kept--;
	} else {
		buffer = malloc(pool->size);
	}
	pool->out += buffer != NULL;
	return buffer;
}

void pool_put(struct pool *pool, void *buffer)
{
	if (buffer == NULL)
		return;
	pool->out--;
	if (pool->kept == pool->kept_max) {
		free(buffer);
		return;
	}
	memcpy(buffer, &pool->free, sizeof pool->free);
	pool->free = buffer;
	pool->kept++;
}

void pool_done(struct pool *pool)
{
	while (pool->free) {
		void *next;
		memcpy(&next, pool->free, sizeof next);
		free(pool->free);
		pool->free = next;
	}
	pool->kept = 0;
}

bool pipes_get(struct pipes *pipes, struct pipe *ret_pipe)
{
	if (pipes->out >= pipes->out_max)
		return false;
	if (pipes->kept > 0) {
		*ret_pipe = pipes->free[--pipes->kept];
	} else {
		int ends[2];
		if (pipe2(ends, O_CLOEXEC) < 0)
			return false;
		int size = fcntl(ends[1], F_SETPIPE_SZ, PIPE_SIZE);
		if (size < 0) /* over the user's share of pipe pages: it stays as small as it is */
			size = fcntl(ends[1], F_GETPIPE_SZ);
		*ret_pipe = (struct pipe){ends[0], ends[1], size > 0 ? (size_t)size : 4096};
	}
	pipes->out++;
	return true;
}

static void pipe_close(const struct pipe *pipe)
{
	close(pipe->read_fd);
	close(pipe->write_fd);
}

void pipes_put(struct pipes *pipes, const struct pipe *pipe, bool clean)
{
	pipes->out--;
	if (clean && pipes->kept < PIPES_KEPT)
		pipes->free[pipes->kept++] = *pipe;
	else
		pipe_close(pipe);
}

void pipes_done(struct pipes *pipes)
{
	while (pipes->kept > 0)
		pipe_close(&pipes->free[--pipes->kept]);
}
