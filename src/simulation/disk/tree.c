/* SPDX-License-Identifier: MIT */
/* Names come, go and change places. Each call is one record of the journal: a crash leaves all of it, or nothing. */
#include "simulation/disk/inode.h"

#include "simulation/host.h"
#include "simulation/world.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- coming ---- */

static bool is_removed(const struct sim_inode *directory)
{
	return !directory->parent;
}

/* Room for what a directory grows by. */
static int make_room(struct sim_inode *directory)
{
	if (is_removed(directory))
		return -ENOENT;
	if (sim_strikes(&directory->disk->host->world->plan, SIM_FAULT_NOSPC) || !sim_disk_has_room(directory->disk, 0))
		return -ENOSPC;
	return sim_name_room(directory) ? 0 : -ENOMEM;
}

int sim_tree_add(struct sim_inode *directory, const char *text, size_t length, struct sim_inode *inode)
{
	struct sim_disk *disk = directory->disk;
	struct sim_record *record;
	struct sim_name *name;
	int r = make_room(directory);

	if (r < 0)
		return r;
	name = sim_name_new(inode, text, length);
	record = name ? sim_record_new(disk, SIM_RECORD_NAMES, NULL) : NULL;
	if (!record) {
		sim_name_free(name);
		return -ENOMEM;
	}
	sim_name_insert(directory, name);
	sim_inode_touch(directory, true);
	sim_inode_touch(inode, false);
	record->changes[0].directory = directory;
	record->changes[0].inserted = name;
	sim_record_add(disk, record);
	return 0;
}

/* Nothing may be there. Takes over the reference of a new inode; NULL: no memory. */
static int add_new(const struct sim_path *path, struct sim_inode *inode)
{
	int r = inode ? sim_tree_add(path->directory, path->text, path->length, inode) : -ENOMEM;

	if (inode)
		sim_inode_unref(inode);
	return r;
}

int sim_mkdirat(struct sim_host *host, int dirfd, const char *path, mode_t mode)
{
	struct sim_path at;
	int r = sim_path_walk(host, dirfd, path, 0, 0, &at);

	if (r < 0)
		return r == -ENOTDIR && at.inode && at.slash ? -EEXIST : r;
	if (at.inode)
		return -EEXIST;
	mode = S_IFDIR | (mode & 01777 & ~host->disk->umask);
	return add_new(&at, sim_inode_new(at.directory->disk, mode));
}

int sim_symlinkat(struct sim_host *host, const char *target, int dirfd, const char *path)
{
	size_t length = strnlen(target, PATH_MAX);
	struct sim_inode *inode;
	struct sim_path at;
	int r = sim_path_walk(host, dirfd, path, 0, 0, &at);

	if (length == 0 || length == PATH_MAX)
		return length == 0 ? -ENOENT : -ENAMETOOLONG;
	if (r < 0)
		return r;
	if (at.inode || at.slash)
		return at.inode ? -EEXIST : -ENOENT;
	inode = sim_inode_new(at.directory->disk, S_IFLNK | 0777);
	if (inode) {
		inode->size = inode->disk_size = (int64_t)length;
		inode->target = strdup(target);
	}
	if (inode && !inode->target) {
		sim_inode_unref(inode);
		inode = NULL;
	}
	return add_new(&at, inode);
}

int sim_linkat(struct sim_host *host, int old_dirfd, const char *old_path, int new_dirfd, const char *new_path,
	       int flags)
{
	unsigned how = (flags & AT_SYMLINK_FOLLOW ? SIM_PATH_FOLLOW : 0) | (flags & AT_EMPTY_PATH ? SIM_PATH_EMPTY : 0);
	struct sim_inode *inode;
	struct sim_path at;
	int r;

	if (flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	r = sim_path_find(host, old_dirfd, old_path, how, &inode);
	if (r >= 0)
		r = sim_path_walk(host, new_dirfd, new_path, 0, 0, &at);
	if (r < 0)
		return r;
	if (at.inode)
		return -EEXIST;
	if (at.slash || (inode->links == 0 && !inode->linkable))
		return -ENOENT;
	if (at.directory->disk != inode->disk)
		return -EXDEV;
	if (S_ISDIR(inode->mode))
		return -EPERM;
	return sim_tree_add(at.directory, at.text, at.length, inode);
}

/* ---- going ---- */

static int remove_name(const struct sim_path *at)
{
	struct sim_inode *directory = at->directory;
	struct sim_name *name = sim_name_find(directory, at->text, at->length);
	struct sim_record *record = sim_record_new(directory->disk, SIM_RECORD_NAMES, NULL);

	if (!record)
		return -ENOMEM;
	sim_name_remove(directory, name);
	sim_inode_touch(directory, true);
	sim_inode_touch(name->inode, false);
	record->changes[0].directory = directory;
	record->changes[0].removed = name;
	sim_record_add(directory->disk, record);
	return 0;
}

/* What a path ends in that is no name. */
static int refuse_dots(const char *path, const struct sim_path *at)
{
	if (at->length == 0)
		return *path ? -EBUSY : -ENOENT;
	return at->length == 1 ? -EINVAL : -ENOTEMPTY;
}

int sim_unlinkat(struct sim_host *host, int dirfd, const char *path, int flags)
{
	bool directory = flags & AT_REMOVEDIR;
	struct sim_path at;
	int r = flags & ~AT_REMOVEDIR ? -EINVAL : sim_path_walk(host, dirfd, path, 0, 0, &at);

	if (r < 0)
		return r;
	if (!at.directory)
		return directory ? refuse_dots(path, &at) : -EISDIR;
	if (!at.inode)
		return -ENOENT;
	if (S_ISDIR(at.inode->mode) != directory)
		return directory ? -ENOTDIR : -EISDIR;
	if (at.inode->names_count > 0 && directory)
		return -ENOTEMPTY;
	return remove_name(&at);
}

/* ---- changing places ---- */

static bool is_above(const struct sim_inode *inode, const struct sim_inode *directory)
{
	while (directory && directory != inode && directory->parent != directory)
		directory = directory->parent;
	return directory == inode;
}

/* May the one be where the other is? */
static int check_replace(const struct sim_path *from, const struct sim_path *to)
{
	bool directory = S_ISDIR(from->inode->mode);

	if (!directory && (to->slash || from->slash))
		return -ENOTDIR;
	if (!to->inode)
		return 0;
	if (S_ISDIR(to->inode->mode) != directory)
		return directory ? -ENOTDIR : -EISDIR;
	return to->inode->names_count > 0 ? -ENOTEMPTY : 0;
}

static int check_rename(const struct sim_path *from, const struct sim_path *to, unsigned flags)
{
	if (!from->directory || !to->directory)
		return flags & RENAME_NOREPLACE && from->directory ? -EEXIST : -EBUSY;
	if (from->directory->disk != to->directory->disk)
		return -EXDEV;
	if (!from->inode)
		return -ENOENT;
	if (to->inode && flags & RENAME_NOREPLACE)
		return -EEXIST;
	if (!to->inode && flags & RENAME_EXCHANGE)
		return -ENOENT;
	if (S_ISDIR(from->inode->mode) && is_above(from->inode, to->directory))
		return -EINVAL;
	if (to->inode && is_above(to->inode, from->directory))
		return flags & RENAME_EXCHANGE ? -EINVAL : -ENOTEMPTY;
	return flags & RENAME_EXCHANGE ? 0 : check_replace(from, to);
}

/* The new names that a rename or an exchange needs. */
static int new_names(const struct sim_path *from, const struct sim_path *to, bool exchange, struct sim_record **ret)
{
	struct sim_disk *disk = from->directory->disk;
	struct sim_record *record = sim_record_new(disk, SIM_RECORD_NAMES, NULL);

	if (!record)
		return -ENOMEM;
	record->changes[0].directory = from->directory;
	record->changes[1].directory = to->directory;
	record->changes[1].inserted = sim_name_new(from->inode, to->text, to->length);
	if (exchange)
		record->changes[0].inserted = sim_name_new(to->inode, from->text, from->length);
	if (record->changes[1].inserted && (!exchange || record->changes[0].inserted)) {
		*ret = record;
		return 0;
	}
	sim_name_free(record->changes[0].inserted);
	sim_name_free(record->changes[1].inserted);
	sim_record_drop(disk, record);
	return -ENOMEM;
}

static void take_places(struct sim_record *record, const struct sim_path *from, const struct sim_path *to)
{
	record->changes[0].removed = sim_name_find(from->directory, from->text, from->length);
	record->changes[1].removed = sim_name_find(to->directory, to->text, to->length);
	for (int i = 0; i < 2; i++)
		if (record->changes[i].removed)
			sim_name_remove(record->changes[i].directory, record->changes[i].removed);
	for (int i = 0; i < 2; i++)
		if (record->changes[i].inserted)
			sim_name_insert(record->changes[i].directory, record->changes[i].inserted);
	sim_inode_touch(from->directory, true);
	sim_inode_touch(to->directory, true);
	sim_inode_touch(from->inode, false);
	sim_record_add(from->directory->disk, record);
}

int sim_renameat(struct sim_host *host, int old_dirfd, const char *old_path, int new_dirfd, const char *new_path,
		 unsigned flags)
{
	struct sim_record *record;
	struct sim_path from, to;
	int r;

	if (flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE) || flags == (RENAME_NOREPLACE | RENAME_EXCHANGE))
		return -EINVAL;
	r = sim_path_walk(host, old_dirfd, old_path, 0, 0, &from);
	if (r >= 0)
		r = sim_path_walk(host, new_dirfd, new_path, 0, 0, &to);
	if (r >= 0)
		r = check_rename(&from, &to, flags);
	if (r < 0 || from.inode == to.inode) /* two names of one file: both stay */
		return r;
	r = make_room(to.directory);
	if (r >= 0)
		r = new_names(&from, &to, flags & RENAME_EXCHANGE, &record);
	if (r >= 0)
		take_places(record, &from, &to);
	return r;
}
