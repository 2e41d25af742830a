/* SPDX-License-Identifier: MIT */
/* Where a path leads. */
#include "simulation/disk/inode.h"

#include "simulation/host.h"
#include "simulation/world.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>

enum { LINKS_MAX = 40 };

static const char fds[] = "/proc/self/fd/";

struct walk {
	struct sim_disk *disk;
	struct sim_inode *top; /* that may not be left, with RESOLVE_BENEATH or RESOLVE_IN_ROOT */
	uint64_t resolve;
	unsigned links;
};

/* ---- the beginning ---- */

struct sim_file *sim_path_of_fd(struct sim_host *host, const char *path)
{
	char *end;
	long fd;

	if (strncmp(path, fds, sizeof fds - 1) != 0)
		return NULL;
	path += sizeof fds - 1;
	fd = strtol(path, &end, 10);
	return end > path && !*end && fd >= 0 && fd <= INT_MAX ? sim_fd_file(host->world, (int)fd) : NULL;
}

static int inode_of(struct sim_file *file, struct sim_inode **ret_inode)
{
	if (!file)
		return -EBADF;
	if (sim_file_is_dead(file))
		return -EHOSTDOWN;
	if (!sim_file_is_on_disk(file))
		return -ENOTDIR;
	*ret_inode = sim_disk_file(file)->inode;
	return 0;
}

static int find_start(struct sim_host *host, int dirfd, struct sim_inode **ret_inode)
{
	if (dirfd != AT_FDCWD)
		return inode_of(sim_fd_file(host->world, dirfd), ret_inode);
	*ret_inode = host->disk->root;
	return 0;
}

/* ---- a step ---- */

static int step_up(const struct walk *walk, struct sim_inode *at, struct sim_inode **ret_inode)
{
	if (at == walk->top && walk->resolve & RESOLVE_BENEATH)
		return -EXDEV;
	*ret_inode = at == walk->top ? at : at->parent;
	return *ret_inode ? 0 : -ENOENT;
}

static int walk_on(struct walk *walk, struct sim_inode *at, const char *path, unsigned flags,
		   struct sim_path *ret_path);

static int follow(struct walk *walk, struct sim_inode *at, struct sim_inode *link, struct sim_path *ret_path)
{
	if (walk->resolve & RESOLVE_NO_SYMLINKS || ++walk->links > LINKS_MAX)
		return -ELOOP;
	return walk_on(walk, at, link->target, SIM_PATH_FOLLOW, ret_path);
}

static bool is_dots(const struct sim_path *path)
{
	return path->text[0] == '.' && (path->length == 1 || (path->length == 2 && path->text[1] == '.'));
}

/* One name further. `more`: others follow it. */
static int step(struct walk *walk, struct sim_inode *at, unsigned flags, bool more, struct sim_path *path)
{
	bool slash = path->slash;
	struct sim_name *name;
	int r;

	path->directory = NULL;
	path->inode = at;
	if (path->length > SIM_NAME_MAX)
		return -ENAMETOOLONG;
	if (!S_ISDIR(at->mode))
		return -ENOTDIR;
	if (is_dots(path))
		return path->length == 1 ? 0 : step_up(walk, at, &path->inode);
	name = sim_name_find(at, path->text, path->length);
	path->directory = at;
	path->inode = name ? name->inode : NULL;
	if (name && S_ISLNK(name->inode->mode) && (more || slash || flags & SIM_PATH_FOLLOW)) {
		r = follow(walk, at, name->inode, path);
		path->slash |= slash;
		if (r < 0)
			return r;
	}
	return path->inode || !more ? 0 : -ENOENT;
}

static int walk_on(struct walk *walk, struct sim_inode *at, const char *path, unsigned flags, struct sim_path *ret_path)
{
	if (*path == '/') {
		if (walk->resolve & RESOLVE_BENEATH)
			return -EXDEV;
		at = walk->top ? walk->top : walk->disk->root;
	}
	path += strspn(path, "/");
	*ret_path = (struct sim_path){.inode = at, .text = path, .slash = true};
	while (*path) {
		size_t length = strcspn(path, "/"), slashes = strspn(path + length, "/");
		int r;

		ret_path->text = path;
		ret_path->length = length;
		ret_path->slash = slashes > 0;
		path += length + slashes;
		r = step(walk, ret_path->inode, flags, *path, ret_path);
		if (r < 0)
			return r;
	}
	return ret_path->slash && ret_path->inode && !S_ISDIR(ret_path->inode->mode) ? -ENOTDIR : 0;
}

/* ---- the whole ---- */

static int walk_fd(struct sim_file *file, uint64_t resolve, struct sim_path *ret_path)
{
	if (resolve & (RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS))
		return -ELOOP;
	*ret_path = (struct sim_path){.text = ""};
	return inode_of(file, &ret_path->inode);
}

int sim_path_walk(struct sim_host *host, int dirfd, const char *path, unsigned flags, uint64_t resolve,
		  struct sim_path *ret_path)
{
	struct walk walk = {.disk = sim_disk_of(host), .resolve = resolve};
	struct sim_inode *start = walk.disk ? walk.disk->root : NULL;
	struct sim_file *of_fd;
	int r = 0;

	if (!walk.disk)
		return -ENOMEM;
	if (!host->up)
		return -EHOSTDOWN;
	if (strnlen(path, PATH_MAX) == PATH_MAX)
		return -ENAMETOOLONG;
	if (!*path && !(flags & SIM_PATH_EMPTY))
		return -ENOENT;
	of_fd = flags & SIM_PATH_FOLLOW ? sim_path_of_fd(host, path) : NULL;
	if (of_fd)
		return walk_fd(of_fd, resolve, ret_path);
	if (*path != '/' || resolve & RESOLVE_IN_ROOT)
		r = find_start(host, dirfd, &start);
	if (r < 0)
		return r;
	if (!*path) {
		*ret_path = (struct sim_path){.inode = start, .text = path};
		return 0;
	}
	walk.disk = start->disk;
	walk.top = resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT) ? start : NULL;
	return walk_on(&walk, start, path, flags, ret_path);
}

int sim_path_find(struct sim_host *host, int dirfd, const char *path, unsigned flags, struct sim_inode **ret_inode)
{
	struct sim_path found;
	int r = sim_path_walk(host, dirfd, path, flags, 0, &found);

	if (r < 0)
		return r;
	if (!found.inode)
		return -ENOENT;
	*ret_inode = found.inode;
	return 0;
}
