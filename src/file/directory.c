/* SPDX-License-Identifier: MIT */
/*
 * An iterator over one directory: a listing that belongs to a task. It lies on the heap, because a task that leaves its
 * function without closing it must find it at its end. Closing it under a task that is inside leaves the freeing to
 * that task, since a thread of the executor may be writing to it.
 */
#include "noria/directory.h"

#include "base/memory.h"
#include "base/message.h"
#include "file/listing.h"
#include "scope/scope.h"
#include "task/storage.h"

#include <errno.h>
#include <stdlib.h>

struct noria_directory {
	struct leftover leftover; /* closed for the task that forgets it */
	struct listing listing;
	bool inside;  /* a task is in noria_directory_next() */
	bool closing; /* and another has closed it meanwhile */
};

static void free_directory(struct noria_directory *directory)
{
	noria_listing_close(&directory->listing);
	free(directory);
}

static void close_directory(struct noria_directory *directory)
{
	leftover_remove(&directory->leftover);
	directory->closing = true;
	if (!directory->inside)
		free_directory(directory);
}

static bool close_leftover(struct leftover *leftover)
{
	close_directory(container_of(leftover, struct noria_directory, leftover));
	return true;
}

int noria_directory_open_at(int dirfd, const char *path, struct noria_directory **ret_directory,
			    const struct noria_site *site)
{
	struct task *task = noria_current();
	struct noria_directory *directory;
	int r;

	if (!task)
		return -ENXIO;
	directory = memory_zeroed(1, sizeof *directory);
	if (!directory)
		return noria_refuse(-ENOMEM, "no memory for a directory");
	noria_listing_init(&directory->listing, 0);
	r = noria_listing_open(&directory->listing, dirfd, path);
	if (r < 0) {
		free_directory(directory);
		return r;
	}
	directory->leftover = (struct leftover){.task = task, .site = site, .close = close_leftover, .waits = true};
	leftover_add(&directory->leftover);
	*ret_directory = directory;
	return 0;
}

int noria_directory_next(struct noria_directory *directory, struct noria_directory_entry *ret_entry)
{
	struct task *task = noria_current();
	struct listed listed;
	int r;

	if (!task)
		return -ENXIO;
	if (directory->inside)
		return task_answer(task, noria_refuse(-EINVAL, "another task is listing this directory"));
	directory->inside = true;
	task_spend(task); /* what is in the batch costs no switch */
	r = scope_door(task);
	if (r == 0 && !directory->closing)
		r = noria_listing_next(&directory->listing, &listed);
	directory->inside = false;
	if (directory->closing) {
		free_directory(directory);
		return -EBADF;
	}
	if (r > 0)
		*ret_entry =
			(struct noria_directory_entry){.name = listed.name, .inode = listed.inode, .type = listed.type};
	return r;
}

int noria_directory_fd(const struct noria_directory *directory)
{
	return directory->listing.fd;
}

void noria_directory_close(struct noria_directory *directory)
{
	if (directory && noria_current())
		close_directory(directory);
}

void noria_autodirectory_(struct noria_directory **directory)
{
	noria_directory_close(*directory);
}
