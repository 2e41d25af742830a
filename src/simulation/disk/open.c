/* SPDX-License-Identifier: MIT */
/* openat2(2), and what has no name: O_TMPFILE, memfd_create(2). */
#include "simulation/disk/inode.h"

#include "simulation/host.h"
#include "simulation/world.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/mman.h>

enum { OF_A_PATH = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };
#define RESOLVE_KNOWN \
	(RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH | RESOLVE_IN_ROOT | \
	 RESOLVE_CACHED)

static bool is_unnamed(int flags)
{
	return (flags & O_TMPFILE) == O_TMPFILE;
}

static int check_how(const struct open_how *how)
{
	int flags = (int)how->flags;

	if (how->resolve & ~(uint64_t)RESOLVE_KNOWN ||
	    (how->resolve & RESOLVE_BENEATH && how->resolve & RESOLVE_IN_ROOT))
		return -EINVAL;
	if (how->mode & ~UINT64_C(07777) || (how->mode && !(flags & O_CREAT) && !is_unnamed(flags)))
		return -EINVAL;
	if (is_unnamed(flags))
		return (flags & O_ACCMODE) == O_RDONLY || flags & O_CREAT ? -EINVAL : 0;
	return flags & O_CREAT && flags & O_DIRECTORY ? -EINVAL : 0;
}

/* May what is there be opened like that? */
static int check_found(const struct sim_path *at, int flags)
{
	mode_t mode = at->inode->mode;

	if (flags & O_CREAT && flags & O_EXCL)
		return -EEXIST;
	if (flags & O_DIRECTORY && !S_ISDIR(mode))
		return -ENOTDIR;
	if (S_ISLNK(mode))
		return flags & O_PATH ? 0 : -ELOOP;
	if (S_ISDIR(mode) && (flags & O_CREAT || (flags & O_ACCMODE) != O_RDONLY))
		return -EISDIR;
	return 0;
}

static int open_found(struct sim_host *host, const struct sim_path *at, int flags, struct sim_file **ret_file)
{
	int r = check_found(at, flags);

	if (r >= 0 && flags & O_TRUNC && S_ISREG(at->inode->mode) && at->inode->size > 0)
		r = sim_inode_resize(at->inode, 0);
	return r < 0 ? r : sim_file_of(at->inode, host, "open", flags, ret_file);
}

static int create(struct sim_host *host, const struct sim_path *at, const struct open_how *how,
		  struct sim_file **ret_file)
{
	struct sim_inode *inode;
	int r;

	if (!(how->flags & O_CREAT))
		return -ENOENT;
	if (at->slash)
		return -EISDIR;
	inode = sim_inode_new(at->directory->disk, S_IFREG | ((mode_t)how->mode & ~host->disk->umask));
	if (!inode)
		return -ENOMEM;
	r = sim_tree_add(at->directory, at->text, at->length, inode);
	if (r >= 0)
		r = sim_file_of(inode, host, "open", (int)how->flags, ret_file);
	sim_inode_unref(inode);
	return r;
}

static int open_unnamed(struct sim_host *host, const struct sim_path *at, const struct open_how *how,
			struct sim_file **ret_file)
{
	struct sim_inode *inode;
	int r;

	if (!at->inode || !S_ISDIR(at->inode->mode))
		return at->inode ? -ENOTDIR : -ENOENT;
	if (sim_strikes(&host->world->plan, SIM_FAULT_NOSPC))
		return -ENOSPC;
	inode = sim_inode_new(at->inode->disk, S_IFREG | ((mode_t)how->mode & ~host->disk->umask));
	if (!inode)
		return -ENOMEM;
	inode->linkable = !(how->flags & O_EXCL);
	r = sim_file_of(inode, host, "open", (int)how->flags, ret_file);
	sim_inode_unref(inode);
	return r;
}

int sim_openat(struct sim_host *host, int dirfd, const char *path, const struct open_how *how,
	       struct sim_file **ret_file)
{
	int flags = (int)how->flags & (how->flags & O_PATH ? OF_A_PATH : -1);
	bool follow = !(flags & O_NOFOLLOW) && !(flags & O_CREAT && flags & O_EXCL);
	struct sim_path at;
	int r = check_how(how);

	if (r >= 0)
		r = sim_path_walk(host, dirfd, path, follow ? SIM_PATH_FOLLOW : 0, how->resolve, &at);
	if (r < 0)
		return r;
	if (is_unnamed(flags))
		return open_unnamed(host, &at, how, ret_file);
	return at.inode ? open_found(host, &at, flags, ret_file) : create(host, &at, how, ret_file);
}

int sim_memfd(struct sim_host *host, const char *name, unsigned flags, struct sim_file **ret_file)
{
	struct sim_disk *disk = sim_disk_of(host);
	struct sim_inode *inode;
	int r;

	if (strnlen(name, SIM_NAME_MAX) > SIM_NAME_MAX - sizeof "memfd:" ||
	    flags & ~(unsigned)(MFD_CLOEXEC | MFD_ALLOW_SEALING))
		return -EINVAL;
	inode = disk ? sim_inode_new(disk, S_IFREG | 0777) : NULL;
	if (!inode)
		return -ENOMEM;
	r = sim_file_of(inode, host, "memfd_create", O_RDWR, ret_file);
	sim_inode_unref(inode);
	return r;
}
