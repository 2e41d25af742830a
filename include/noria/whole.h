/* SPDX-License-Identifier: MIT */
/*
 * Whole files: reading one into memory, and replacing one so that whoever opens it finds the old content or the new,
 * complete either way, whatever happens in between. All since 0.2.
 */
#ifndef NORIA_WHOLE_H
#define NORIA_WHOLE_H

#include <noria/base.h>

NORIA_BEGIN_DECLS

/*
 * noria_read_file - a whole file into memory. Works for files that do not know their size (/proc), pipes and devices
 * too.
 * @dirfd, @path: as for openat(2)
 * @max: bytes it may have at most
 * @ret_data: set to memory that is yours to free(3): the bytes, and a zero behind them
 * @ret_size: set to their number; may be NULL
 * Returns: 0; -EFBIG for a file with more than `max`; -ENOMEM; -ECANCELED; -ENXIO outside a runtime; the errors of
 * openat(2) and read(2). Checkpoint.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_read_file(int dirfd, const char *path, size_t max, void **ret_data,
					       size_t *ret_size);

/*
 * noria_replace_file - the content of a file, replaced in one step and safe on the disk when it returns.
 * @dirfd, @path: as for openat(2); the file need not exist. A symbolic link is replaced itself.
 * @mode: of a new file, less the umask; that of an old file is kept, and its owner where this is permitted
 * Returns: 0; else a negative errno (of opening, writing, fsync(2), linkat(2), renameat(2); -EISDIR and -EINVAL for
 * what cannot be a file's name; -ENOMEM; -ECANCELED; -ENXIO outside a runtime). Unless it is 0, the old file stands as
 * it was, and nothing is left beside it. One exception: when the last step fails, telling the disk of the new name
 * (-EIO), the new content is there, but may not outlive a loss of power. Checkpoint.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_replace_file(int dirfd, const char *path, const void *data, size_t size,
						  mode_t mode);

/*
 * The same step by step, for content that is written in pieces: open, write to the descriptor by whatever call, commit,
 * close. It belongs to one task, and is closed for a task that forgets it, whose failure that is.
 */
struct noria_replace;

/*
 * noria_replace_open - make a new file, which nobody sees yet: without a name where the file system has that, else
 * beside the old one. Parameters and errors as of noria_replace_file().
 * @ret_replace: set to it; it is to be closed
 * Checkpoint.
 */
#define noria_replace_open(dirfd, path, mode, ret_replace) \
	noria_replace_open_at((dirfd), (path), (mode), (ret_replace), NORIA_SITE("replacement"))
NORIA_PUBLIC NORIA_CHECKED int noria_replace_open_at(int dirfd, const char *path, mode_t mode,
						     struct noria_replace **ret_replace, const struct noria_site *site);

/* noria_replace_fd - the new file's descriptor, open for reading and writing; not yours to close. Not a checkpoint. */
NORIA_PUBLIC int noria_replace_fd(const struct noria_replace *replace);

/*
 * noria_replace_commit - what was written takes the old file's place.
 * Returns: as noria_replace_file(); after an error it may be tried again. -EALREADY when it was committed before.
 * Checkpoint.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_replace_commit(struct noria_replace *replace);

/*
 * noria_replace_close - the end of it; what was not committed is gone. NULL is fine. Always done, cancelled or not; may
 * park; no checkpoint. `noria_autoreplace struct noria_replace *replace = NULL;` closes itself at the end of its block.
 */
NORIA_PUBLIC void noria_replace_close(struct noria_replace *replace);
#define noria_autoreplace __attribute__((cleanup(noria_autoreplace_), unused))
NORIA_PUBLIC void noria_autoreplace_(struct noria_replace **replace);

NORIA_END_DECLS
#endif
