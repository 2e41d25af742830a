/* SPDX-License-Identifier: MIT */
/*
 * Open files and their descriptors, whatever kind they are. A file goes with its last reference: a descriptor, or a
 * request that is under way.
 */
#include "simulation/file.h"

#include "base/assert.h"
#include "simulation/host.h"
#include "simulation/request.h"
#include "simulation/world.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { CONSOLE_FD = 3, CONSOLE_FD_MAX = 2 }; /* the number is in the flags, where others have O_ACCMODE */

void sim_file_init(struct sim_file *file, const struct sim_file_class *class, struct sim_world *world,
		   struct sim_host *host, const char *origin, int flags)
{
	file->class = class;
	file->world = world;
	file->host = host;
	file->boot = host->boots;
	file->origin = origin;
	file->flags = flags;
	file->references = 1;
	file->descriptors = 0;
	list_init(&file->waiting);
}

void sim_file_unref(struct sim_file *file)
{
	invariant(file->references > 0);
	if (--file->references > 0)
		return;
	invariant(list_empty(&file->waiting));
	file->class->release(file);
}

bool sim_file_is_dead(const struct sim_file *file)
{
	return !file->host->up || file->boot != file->host->boots;
}

/* ---- descriptors ---- */

static bool grow_table(struct sim_world *world)
{
	unsigned size = world->fds_size ? world->fds_size * 2 : 64;
	struct sim_file **fds = size <= SIM_FDS_MAX ? realloc(world->fds, size * sizeof *fds) : NULL;

	if (!fds)
		return false;
	memset(fds + world->fds_size, 0, (size - world->fds_size) * sizeof *fds);
	world->fds = fds;
	world->fds_size = size;
	return true;
}

int sim_fd_install(struct sim_file *file)
{
	struct sim_world *world = file->world;
	unsigned i = world->fd_hint;

	while (i < world->fds_size && world->fds[i])
		i++;
	if (sim_strikes(&world->plan, SIM_FAULT_MFILE) || (i == world->fds_size && !grow_table(world))) {
		sim_file_unref(file);
		return -EMFILE;
	}
	world->fds[i] = file;
	world->fds_open++;
	world->fd_hint = i + 1;
	file->descriptors++;
	if (world->fd_opened)
		world->fd_opened(world, SIM_FD + (int)i);
	return SIM_FD + (int)i;
}

/* ---- standard input, output and error: the process's, so that a program can be heard ---- */

static int64_t console_read(struct sim_file *file, struct sim_transfer *transfer)
{
	ssize_t n = readv(file->flags & CONSOLE_FD, transfer->vector, (int)transfer->count);

	return n < 0 ? -errno : n;
}

static int64_t console_write(struct sim_file *file, struct sim_transfer *transfer)
{
	ssize_t n = writev(file->flags & CONSOLE_FD, transfer->vector, (int)transfer->count);

	return n < 0 ? -errno : n;
}

static void console_release(struct sim_file *file)
{
	free(file);
}

static const struct sim_file_class console_class = {
	.noun = "console", .read = console_read, .write = console_write, .release = console_release};

static struct sim_file *console(struct sim_world *world, int fd)
{
	struct sim_file *file = world->console[fd];

	if (file)
		return file;
	file = calloc(1, sizeof *file);
	if (file)
		sim_file_init(file, &console_class, world, world->hosts[0], "console", fd);
	world->console[fd] = file;
	return file;
}

struct sim_file *sim_fd_file(struct sim_world *world, int fd)
{
	unsigned i = (unsigned)fd - SIM_FD;

	if (fd >= 0 && fd <= CONSOLE_FD_MAX)
		return console(world, fd);
	return fd >= SIM_FD && i < world->fds_size ? world->fds[i] : NULL;
}

int sim_fd_close(struct sim_world *world, int fd)
{
	struct sim_file *file = sim_fd_file(world, fd);
	unsigned i = (unsigned)fd - SIM_FD;

	if (!file || fd < SIM_FD)
		return file ? 0 : -EBADF;
	world->fds[i] = NULL;
	world->fds_open--;
	world->fd_hint = i < world->fd_hint ? i : world->fd_hint;
	file->descriptors--;
	sim_file_unref(file);
	return 0;
}

/* ---- vectors ---- */

/* Walk over `size` bytes that begin `skip` bytes into the vector, a part at a time. */
static size_t copy(const struct sim_transfer *transfer, size_t skip, char *memory, size_t size, bool out)
{
	size_t done = 0;

	for (size_t i = 0; i < transfer->count && done < size; i++) {
		size_t length = transfer->vector[i].iov_len, part;
		char *base = transfer->vector[i].iov_base;

		if (skip >= length) {
			skip -= length;
			continue;
		}
		part = length - skip < size - done ? length - skip : size - done;
		if (out)
			memcpy(base + skip, memory + done, part);
		else
			memcpy(memory + done, base + skip, part);
		done += part;
		skip = 0;
	}
	return done;
}

size_t sim_transfer_to(const struct sim_transfer *transfer, size_t skip, const void *from, size_t size)
{
	return copy(transfer, skip, (char *)(uintptr_t)from, size, true);
}

size_t sim_transfer_from(const struct sim_transfer *transfer, size_t skip, void *to, size_t size)
{
	return copy(transfer, skip, to, size, false);
}
