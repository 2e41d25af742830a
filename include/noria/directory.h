/* SPDX-License-Identifier: MIT */
/*
 * Directories: what is in one, and all that is beneath one. The kernel's ring cannot read directories, so threads of
 * the runtime's executor do (offload.h), many entries in one go; between these batches everything is in memory.
 *
 * An iterator belongs to the task that opened it, is closed for that task if it forgets, and is used by one task at a
 * time. `.` and `..` are not shown. Directories that change meanwhile are shown as readdir(3) would: an entry that is
 * created or removed while they are read may or may not appear.
 */
#ifndef NORIA_DIRECTORY_H
#define NORIA_DIRECTORY_H

#include <noria/base.h>

struct statx;

NORIA_BEGIN_DECLS

/* ---- One directory */

struct noria_directory;

struct noria_directory_entry {
	const char *name; /* valid until the next call on the iterator */
	uint64_t inode;
	int type; /* DT_REG, DT_DIR, DT_LNK, ... of <dirent.h>; DT_UNKNOWN: it vanished before that could be told */
};

/*
 * noria_directory_open - begin to list a directory.
 * @dirfd, @path: as for openat(2); a symbolic link is followed
 * @ret_directory: set to the iterator, which is to be closed
 * Returns: 0; the errors of openat(2), -ENOTDIR among them; -ENOMEM; -ECANCELED; -ENXIO outside a runtime. Checkpoint.
 * Since 0.2.
 */
#define noria_directory_open(dirfd, path, ret_directory) \
	noria_directory_open_at((dirfd), (path), (ret_directory), NORIA_SITE("directory"))
NORIA_PUBLIC NORIA_CHECKED int noria_directory_open_at(int dirfd, const char *path,
						       struct noria_directory **ret_directory,
						       const struct noria_site *site);

/*
 * noria_directory_next - the next entry, in the order of the file system.
 * @ret_entry: set to it
 * Returns: 1; 0 at the end; -ECANCELED (the entry comes with the next call made outside the cancelled scope); -ENOMEM;
 * -EBADF when another task closed it meanwhile; -EINVAL when another task is in this call; the errors of getdents64(2);
 * -ENXIO outside a runtime. Checkpoint. Since 0.2.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_directory_next(struct noria_directory *directory,
						    struct noria_directory_entry *ret_entry);

/*
 * noria_directory_fd - its descriptor, for calls that take a `dirfd`. The iterator closes it. Not a checkpoint. Since
 * 0.2.
 */
NORIA_PUBLIC int noria_directory_fd(const struct noria_directory *directory);

/*
 * noria_directory_close - end the listing; NULL is fine. Always done, cancelled or not; no checkpoint. Since 0.2.
 * `noria_autodirectory struct noria_directory *directory = NULL;` closes itself at the end of its block.
 */
NORIA_PUBLIC void noria_directory_close(struct noria_directory *directory);
#define noria_autodirectory __attribute__((cleanup(noria_autodirectory_), unused))
NORIA_PUBLIC void noria_autodirectory_(struct noria_directory **directory);

/* ---- A tree */

struct noria_walk;

enum noria_walk_flags {
	NORIA_WALK_FOLLOW = 1 << 0,     /* through symbolic links; one that points nowhere is shown as a link */
	NORIA_WALK_STATX = 1 << 1,      /* with a struct statx for each entry */
	NORIA_WALK_ONE_DEVICE = 1 << 2, /* not into directories of another file system: those are only shown */
};

struct noria_walk_entry {
	const char *path; /* from the beginning of the walk, without a leading slash */
	const char *name; /* the last component of `path` */
	uint64_t inode;
	const struct statx *statx; /* with NORIA_WALK_STATX, unless `error` says why not; else NULL */
	int dirfd;                 /* the directory that `name` is in; do not close it */
	int type;                  /* DT_REG, ... of <dirent.h>; with NORIA_WALK_FOLLOW of what a link points to */
	int depth;                 /* 1 in the directory where the walk began */
	/*
	 * 0, or a negative errno: its struct statx cannot be had (-ENOENT: it vanished); or it is a directory that has
	 * been shown already, and whose content cannot be: it cannot be opened or read (on), it is one of those that
	 * the walk is in (-ELOOP), or too deep (-ENAMETOOLONG). The walk goes on.
	 */
	int error;
};

/* How deep a walk goes unless it is told: as many descriptors it keeps open at most. */
enum { NORIA_WALK_DEPTH = 128 };

/*
 * noria_walk_open - begin to walk all that is beneath a directory; a directory is shown before its content.
 * @dirfd, @path: where to begin, as for openat(2); a symbolic link is followed
 * @flags: of enum noria_walk_flags
 * @depth_max: directories within directories; 1: no deeper than the first; 0: NORIA_WALK_DEPTH
 * @ret_walk: set to the walk, which is to be closed
 * A walk keeps a descriptor and a batch of entries (up to 32 KiB, four times that with NORIA_WALK_STATX) for each
 * directory that it is in, and nothing else.
 * Returns: 0; -EINVAL for unknown flags; the errors of openat(2), -ENOTDIR among them; -ENOMEM; -ECANCELED; -ENXIO
 * outside a runtime. Checkpoint. Since 0.2.
 */
#define noria_walk_open(dirfd, path, flags, depth_max, ret_walk) \
	noria_walk_open_at((dirfd), (path), (flags), (depth_max), (ret_walk), NORIA_SITE("walk"))
NORIA_PUBLIC NORIA_CHECKED int noria_walk_open_at(int dirfd, const char *path, unsigned flags, unsigned depth_max,
						  struct noria_walk **ret_walk, const struct noria_site *site);

/*
 * noria_walk_next - the next entry.
 * @ret_entry: set to it; its pointers and `dirfd` are valid until the next call on the walk
 * Returns: 1; 0 at the end; -ECANCELED (nothing is lost: the entry comes with the next call made outside the cancelled
 * scope); -ENOMEM and -EAGAIN (no thread), after which it may be called again; -EBADF when another task closed it
 * meanwhile; -EINVAL when another task is in this call; -ENXIO outside a runtime. What is wrong with an entry is told
 * in the entry. Checkpoint. Since 0.2.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_walk_next(struct noria_walk *walk, struct noria_walk_entry *ret_entry);

/* noria_walk_skip - do not go into the directory that was shown last. Not a checkpoint. Since 0.2. */
NORIA_PUBLIC void noria_walk_skip(struct noria_walk *walk);

/*
 * noria_walk_close - end the walk; NULL is fine. Always done, cancelled or not; no checkpoint. Since 0.2.
 * `noria_autowalk struct noria_walk *walk = NULL;` closes itself at the end of its block.
 */
NORIA_PUBLIC void noria_walk_close(struct noria_walk *walk);
#define noria_autowalk __attribute__((cleanup(noria_autowalk_), unused))
NORIA_PUBLIC void noria_autowalk_(struct noria_walk **walk);

NORIA_END_DECLS
#endif
