/* SPDX-License-Identifier: MIT */
/*
 * Replacing a file. The new one has no name (O_TMPFILE) until it is complete and on the disk; then it gets one beside
 * the old, and is renamed over it. Where there is no O_TMPFILE it has that name from the beginning. Only the name is
 * ever left to be cleared away, by an operation that no cancel reaches. Nor does one reach the last step, which tells
 * the disk of the renaming: there is no way back then, and success means that it is safe.
 */
#include "noria/whole.h"

#include "base/memory.h"
#include "base/message.h"
#include "noria/file.h"
#include "noria/op.h"
#include "op/op.h"
#include "scope/scope.h"
#include "task/storage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

enum { NAMES_TRIED = 16 };

struct noria_replace {
	struct leftover leftover; /* closed for the task that forgets it */
	int directory, fd;
	bool exists; /* there is an old file: its `old` mode and owner are kept */
	bool named;  /* the new file has the name `temporary` */
	bool committed;
	bool inside; /* a task is in noria_replace_commit() */
	bool closing;
	struct stat old;
	char temporary[32];
	char name[];
};

static void make_name(struct noria_replace *replace)
{
	uint64_t number = 0;

	while (getrandom(&number, sizeof number, GRND_NONBLOCK) != sizeof number && errno == EINTR)
		continue;
	number ^= (uint64_t)(uintptr_t)replace; /* without random numbers other names are tried */
	snprintf(replace->temporary, sizeof replace->temporary, ".noria-%016llx", (unsigned long long)number);
}

static void free_replace(struct noria_replace *replace)
{
	if (replace->named)
		(void)op_call("unlinkat", OP_ALWAYS, io_uring_prep_unlinkat, replace->directory, replace->temporary, 0);
	if (replace->fd >= 0)
		(void)noria_close(replace->fd);
	if (replace->directory >= 0)
		(void)noria_close(replace->directory);
	free(replace);
}

static void close_replace(struct noria_replace *replace)
{
	leftover_remove(&replace->leftover);
	replace->closing = true;
	if (!replace->inside)
		free_replace(replace);
}

static bool close_leftover(struct leftover *leftover)
{
	close_replace(container_of(leftover, struct noria_replace, leftover));
	return true;
}

/* A file beside the old one. */
static int create_named(struct noria_replace *replace, mode_t mode)
{
	int fd = -EEXIST;

	for (int i = 0; i < NAMES_TRIED && fd == -EEXIST; i++) {
		make_name(replace);
		fd = noria_openat(replace->directory, replace->temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	}
	replace->named = fd >= 0;
	return fd;
}

static int create(struct noria_replace *replace, mode_t mode)
{
	mode_t first = replace->exists ? 0600 : mode; /* its own comes before it has the name */
	int fd = noria_openat(replace->directory, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, first);

	if (fd == -EOPNOTSUPP || fd == -EISDIR || fd == -EINVAL)
		fd = create_named(replace, first);
	replace->fd = fd;
	return fd < 0 ? fd : 0;
}

static int look_at_old(struct noria_replace *replace)
{
	int r = noria_fstatat(replace->directory, replace->name, &replace->old, AT_SYMLINK_NOFOLLOW);

	if (r == -ENOENT)
		return 0;
	if (r == 0 && S_ISDIR(replace->old.st_mode))
		return noria_refuse(-EISDIR, "%s is a directory", replace->name);
	replace->exists = r == 0 && S_ISREG(replace->old.st_mode);
	return r;
}

static int open_directory(struct noria_replace *replace, int dirfd, const char *path, size_t length)
{
	char *directory = length > 0 ? strndup(path, length) : NULL;
	int fd = -ENOMEM;

	if (directory || length == 0)
		fd = noria_openat(dirfd, directory ? directory : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	free(directory);
	replace->directory = fd;
	return fd < 0 ? fd : 0;
}

static int check_name(const char *name)
{
	if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return noria_refuse(-EINVAL, "the path to replace does not end in the name of a file");
	return 0;
}

int noria_replace_open_at(int dirfd, const char *path, mode_t mode, struct noria_replace **ret_replace,
			  const struct noria_site *site)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	struct task *task = noria_current();
	struct noria_replace *replace;
	int r = check_name(name);

	if (!task)
		return -ENXIO;
	if (r < 0)
		return task_answer(task, r);
	replace = memory_zeroed(1, sizeof *replace + strlen(name) + 1);
	if (!replace)
		return noria_refuse(-ENOMEM, "no memory for a replacement");
	memcpy(replace->name, name, strlen(name) + 1);
	replace->fd = -1;
	r = open_directory(replace, dirfd, path, (size_t)(name - path));
	if (r == 0)
		r = look_at_old(replace);
	if (r == 0)
		r = create(replace, mode);
	if (r < 0) {
		free_replace(replace);
		return r;
	}
	replace->leftover = (struct leftover){.task = task, .site = site, .close = close_leftover, .waits = true};
	leftover_add(&replace->leftover);
	*ret_replace = replace;
	return 0;
}

int noria_replace_fd(const struct noria_replace *replace)
{
	return replace->fd;
}

/* As the old one was. Who may not give a file away keeps it, and then without the set-id bits. */
static int keep_owner_and_mode(struct noria_replace *replace)
{
	mode_t mode = replace->old.st_mode & 07777;
	struct stat status;
	int r = noria_fstat(replace->fd, &status);

	if (r < 0)
		return r;
	if (status.st_uid != replace->old.st_uid || status.st_gid != replace->old.st_gid) {
		r = noria_fchown(replace->fd, replace->old.st_uid, replace->old.st_gid);
		if (r == -EPERM)
			mode &= 0777;
		else if (r < 0)
			return r;
	}
	return noria_fchmod(replace->fd, mode);
}

/* The name by which the file is renamed. Without privileges a descriptor is linked by its path in /proc. */
static int link_once(struct noria_replace *replace)
{
	char path[32];
	int r = noria_linkat(replace->fd, "", replace->directory, replace->temporary, AT_EMPTY_PATH);

	if (r != -ENOENT)
		return r;
	snprintf(path, sizeof path, "/proc/self/fd/%d", replace->fd);
	return noria_linkat(AT_FDCWD, path, replace->directory, replace->temporary, AT_SYMLINK_FOLLOW);
}

static int give_name(struct noria_replace *replace)
{
	int r = replace->named ? 0 : -EEXIST;

	for (int i = 0; i < NAMES_TRIED && r == -EEXIST; i++) {
		make_name(replace);
		r = link_once(replace);
	}
	replace->named = r == 0;
	return r;
}

/* That a directory cannot be synchronised says nothing about its entries. */
static int sync_directory(const struct noria_replace *replace)
{
	int r = (int)op_call("fsync", OP_ALWAYS, io_uring_prep_fsync, replace->directory, 0);

	return r == -EINVAL || r == -EOPNOTSUPP ? 0 : r;
}

static int commit(struct noria_replace *replace)
{
	int r = replace->exists ? keep_owner_and_mode(replace) : 0;

	if (r == 0)
		r = noria_fsync(replace->fd);
	if (r == 0)
		r = give_name(replace);
	if (r == 0)
		r = noria_renameat(replace->directory, replace->temporary, replace->directory, replace->name);
	if (r < 0)
		return r;
	replace->named = false;
	replace->committed = true;
	return sync_directory(replace);
}

int noria_replace_commit(struct noria_replace *replace)
{
	struct task *task = noria_current();
	int r;

	if (!task)
		return -ENXIO;
	if (replace->inside)
		return task_answer(task, noria_refuse(-EINVAL, "another task commits this replacement"));
	if (replace->committed)
		return task_answer(task, noria_refuse(-EALREADY, "this replacement was committed before"));
	replace->inside = true;
	r = commit(replace);
	replace->inside = false;
	if (replace->closing)
		free_replace(replace);
	return r;
}

void noria_replace_close(struct noria_replace *replace)
{
	if (replace && noria_current())
		close_replace(replace);
}

void noria_autoreplace_(struct noria_replace **replace)
{
	noria_replace_close(*replace);
}

int noria_replace_file(int dirfd, const char *path, const void *data, size_t size, mode_t mode)
{
	noria_autoreplace struct noria_replace *replace = NULL;
	ssize_t r = noria_replace_open(dirfd, path, mode, &replace);

	if (r == 0)
		r = noria_write_all(noria_replace_fd(replace), data, size);
	if (r >= 0)
		r = noria_replace_commit(replace);
	return r < 0 ? (int)r : 0;
}
