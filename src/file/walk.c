/* SPDX-License-Identifier: MIT */
/*
 * A walk through a tree, parents first: a stack of listings, one for each directory that it is in. What is wrong with a
 * directory is an entry like another, and the walk goes on behind it; only what concerns the walk itself (a cancel,
 * memory, threads) ends a call, and the next call goes on at the same place.
 */
#include "noria/directory.h"

#include "base/memory.h"
#include "base/message.h"
#include "file/listing.h"
#include "scope/scope.h"
#include "task/storage.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { FLAGS = NORIA_WALK_FOLLOW | NORIA_WALK_STATX | NORIA_WALK_ONE_DEVICE };

struct level {
	struct listing listing;
	uint64_t inode;     /* as its entry in the level above says */
	size_t path_length; /* of the directory's own path */
};

struct noria_walk {
	struct leftover leftover; /* closed for the task that forgets it */
	struct level *levels;
	unsigned depth, depth_max, room;
	unsigned flags;
	char *path;
	size_t path_length, path_room;
	uint64_t inode; /* of what was shown last */
	bool descend;   /* that is a directory to go into */
	bool inside;    /* a task is in noria_walk_next() */
	bool closing;   /* and another has closed it meanwhile */
};

static struct level *top(const struct noria_walk *walk)
{
	return &walk->levels[walk->depth - 1];
}

static void pop(struct noria_walk *walk)
{
	noria_listing_close(&top(walk)->listing);
	walk->depth--;
}

static void free_walk(struct noria_walk *walk)
{
	while (walk->depth > 0)
		pop(walk);
	free(walk->levels);
	free(walk->path);
	free(walk);
}

static void close_walk(struct noria_walk *walk)
{
	leftover_remove(&walk->leftover);
	walk->closing = true;
	if (!walk->inside)
		free_walk(walk);
}

static bool close_leftover(struct leftover *leftover)
{
	close_walk(container_of(leftover, struct noria_walk, leftover));
	return true;
}

static int no_memory(void)
{
	return noria_refuse(-ENOMEM, "no memory for a walk");
}

/* Room for one more level. */
static int make_room(struct noria_walk *walk)
{
	unsigned room = walk->room ? walk->room * 2 : 8;
	struct level *levels;

	if (walk->depth < walk->room)
		return 0;
	levels = memory_resize(walk->levels, room * sizeof *levels);
	if (!levels)
		return no_memory();
	walk->levels = levels;
	walk->room = room;
	return 0;
}

static unsigned listing_flags(const struct noria_walk *walk)
{
	unsigned flags = walk->flags & NORIA_WALK_STATX ? LISTING_STATX : 0;

	if (walk->flags & NORIA_WALK_FOLLOW)
		return flags | LISTING_TARGETS;
	return walk->depth > 0 ? flags | LISTING_NOFOLLOW : flags;
}

/* A level for `path`, below `dirfd`. Returns 0, or why it cannot be opened. */
static int push(struct noria_walk *walk, int dirfd, const char *path)
{
	struct level *level = &walk->levels[walk->depth];
	int r;

	noria_listing_init(&level->listing, listing_flags(walk));
	level->inode = walk->inode;
	level->path_length = walk->path_length;
	r = noria_listing_open(&level->listing, dirfd, path);
	if (r < 0)
		noria_listing_close(&level->listing);
	else
		walk->depth++;
	return r;
}

/* Is the directory at the top one of those that it lies in? */
static bool is_loop(const struct noria_walk *walk)
{
	const struct listing *here = &top(walk)->listing;

	for (unsigned i = 0; i + 1 < walk->depth; i++)
		if (walk->levels[i].listing.device == here->device && walk->levels[i].listing.inode == here->inode)
			return true;
	return false;
}

static bool is_elsewhere(const struct noria_walk *walk)
{
	return (walk->flags & NORIA_WALK_ONE_DEVICE) && top(walk)->listing.device != walk->levels[0].listing.device;
}

/* The path of what is called `name` in the directory at the top. */
static int set_path(struct noria_walk *walk, const char *name)
{
	size_t before = top(walk)->path_length, length = strlen(name), room = walk->path_room;
	char *path = walk->path;

	while (before + length + 2 > room)
		room = room ? room * 2 : 256;
	if (room > walk->path_room) {
		path = memory_resize(walk->path, room);
		if (!path)
			return no_memory();
		walk->path = path;
		walk->path_room = room;
	}
	if (before > 0)
		path[before++] = '/';
	memcpy(path + before, name, length + 1);
	walk->path_length = before + length;
	return 0;
}

/* The last component of what `path` is now. */
static const char *last_name(const struct noria_walk *walk)
{
	const char *slash;

	walk->path[walk->path_length] = '\0';
	slash = memrchr(walk->path, '/', walk->path_length);
	return slash ? slash + 1 : walk->path;
}

/* A directory that was shown, again: its content cannot be. */
static int tell_error(struct noria_walk *walk, struct noria_walk_entry *ret_entry, uint64_t inode, int error)
{
	walk->descend = false;
	*ret_entry = (struct noria_walk_entry){.path = walk->path,
					       .name = last_name(walk),
					       .inode = inode,
					       .dirfd = top(walk)->listing.fd,
					       .type = DT_DIR,
					       .depth = (int)walk->depth,
					       .error = error};
	return 1;
}

/* What says nothing of the directory, but of this call. */
static bool is_own(int error)
{
	return error == -ECANCELED || error == -ENOMEM || error == -EAGAIN;
}

/* Into the directory that was shown last. Returns 0, 1 with an entry that says why not, or an error of the call. */
static int descend(struct noria_walk *walk, struct noria_walk_entry *ret_entry)
{
	int r = walk->depth >= walk->depth_max ? -ENAMETOOLONG : make_room(walk);

	if (r == 0)
		r = push(walk, top(walk)->listing.fd, last_name(walk));
	if (is_own(r))
		return r;
	if (r == 0 && is_loop(walk)) {
		pop(walk);
		r = -ELOOP;
	}
	if (r < 0)
		return tell_error(walk, ret_entry, walk->inode, r);
	walk->descend = false;
	if (is_elsewhere(walk))
		pop(walk);
	return 0;
}

/* The directory at the top cannot be read on. */
static int give_up(struct noria_walk *walk, struct noria_walk_entry *ret_entry, int error)
{
	uint64_t inode = top(walk)->inode;

	if (walk->depth == 1) { /* the first was never shown, and has no name */
		top(walk)->listing.ended = true;
		return error;
	}
	walk->path_length = top(walk)->path_length;
	pop(walk);
	return tell_error(walk, ret_entry, inode, error);
}

static int show(struct noria_walk *walk, const struct listed *listed, struct noria_walk_entry *ret_entry)
{
	if (set_path(walk, listed->name) < 0) {
		noria_listing_back(&top(walk)->listing);
		return -ENOMEM;
	}
	walk->inode = listed->inode;
	walk->descend = listed->type == DT_DIR && listed->error == 0;
	*ret_entry = (struct noria_walk_entry){.path = walk->path,
					       .name = last_name(walk),
					       .inode = listed->inode,
					       .statx = listed->statx,
					       .dirfd = top(walk)->listing.fd,
					       .type = listed->type,
					       .depth = (int)walk->depth,
					       .error = listed->error};
	return 1;
}

static int next(struct noria_walk *walk, struct noria_walk_entry *ret_entry)
{
	int r = walk->descend ? descend(walk, ret_entry) : 0;

	while (r == 0 && walk->depth > 0) {
		struct listing *listing = &top(walk)->listing;
		struct listed listed;

		r = noria_listing_next(listing, &listed);
		if (is_own(r))
			return r;
		if (r < 0)
			return give_up(walk, ret_entry, r);
		if (r > 0)
			return show(walk, &listed, ret_entry);
		pop(walk);
	}
	return r;
}

static int open_first(struct noria_walk *walk, int dirfd, const char *path)
{
	int r = make_room(walk);

	return r < 0 ? r : push(walk, dirfd, path);
}

int noria_walk_open_at(int dirfd, const char *path, unsigned flags, unsigned depth_max, struct noria_walk **ret_walk,
		       const struct noria_site *site)
{
	struct task *task = noria_current();
	struct noria_walk *walk;
	int r;

	if (!task)
		return -ENXIO;
	if (flags & ~(unsigned)FLAGS)
		return task_answer(task, noria_refuse(-EINVAL, "a walk with unknown flags %#x", flags));
	walk = memory_zeroed(1, sizeof *walk);
	if (!walk)
		return no_memory();
	walk->flags = flags;
	walk->depth_max = depth_max ? depth_max : NORIA_WALK_DEPTH;
	r = open_first(walk, dirfd, path);
	if (r < 0) {
		free_walk(walk);
		return r;
	}
	walk->leftover = (struct leftover){.task = task, .site = site, .close = close_leftover, .waits = true};
	leftover_add(&walk->leftover);
	*ret_walk = walk;
	return 0;
}

int noria_walk_next(struct noria_walk *walk, struct noria_walk_entry *ret_entry)
{
	struct task *task = noria_current();
	int r;

	if (!task)
		return -ENXIO;
	if (walk->inside)
		return task_answer(task, noria_refuse(-EINVAL, "another task is in this walk"));
	walk->inside = true;
	task_spend(task); /* what is in the batches costs no switch */
	r = scope_door(task);
	if (r == 0 && !walk->closing)
		r = next(walk, ret_entry);
	walk->inside = false;
	if (walk->closing) {
		free_walk(walk);
		return -EBADF;
	}
	return r;
}

void noria_walk_skip(struct noria_walk *walk)
{
	walk->descend = false;
}

void noria_walk_close(struct noria_walk *walk)
{
	if (walk && noria_current())
		close_walk(walk);
}

void noria_autowalk_(struct noria_walk **walk)
{
	noria_walk_close(*walk);
}
