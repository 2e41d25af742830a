/* SPDX-License-Identifier: MIT */
/* What is read of names: listings, the targets of symbolic links, the paths of open files. */
#include "simulation/disk/inode.h"

#include "simulation/host.h"
#include "simulation/world.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

static int64_t directory_read(struct sim_file *file, struct sim_transfer *transfer)
{
	(void)transfer;
	return file->flags & O_PATH ? -EBADF : -EISDIR;
}

static int64_t directory_write(struct sim_file *file, struct sim_transfer *transfer)
{
	(void)file;
	(void)transfer;
	return -EBADF;
}

const struct sim_file_class sim_directory_class = {
	.noun = "directory", .read = directory_read, .write = directory_write, .release = sim_disk_file_release};

/* ---- listing ---- */

/* As in struct linux_dirent64. */
struct entry {
	uint64_t number;
	int64_t next;
	uint16_t length;
	uint8_t type;
	char name[];
};

/* Positions: 0 before ".", 1 before "..", and behind a name its order and 2. */
enum { DOTS = 2, ALIGN = 8 };

/* Returns its length, or 0: it does not fit. */
static size_t put_entry(void *buffer, size_t size, const struct sim_inode *inode, int64_t next, const char *name)
{
	size_t length = strlen(name), whole = offsetof(struct entry, name) + length + 1;
	struct entry *entry = buffer;

	whole = (whole + ALIGN - 1) / ALIGN * ALIGN;
	if (whole > size)
		return 0;
	memset(buffer, 0, whole);
	entry->number = inode->number;
	entry->next = next;
	entry->length = (uint16_t)whole;
	entry->type = IFTODT(inode->mode);
	memcpy(entry->name, name, length);
	return whole;
}

static const struct sim_name *name_behind(const struct sim_inode *directory, int64_t position)
{
	const struct list *node = directory->names.next;

	while (node != &directory->names) {
		const struct sim_name *name = list_entry(node, struct sim_name, node);

		if (name->order + DOTS > (uint64_t)position)
			return name;
		node = node->next;
	}
	return NULL;
}

static size_t put_dots(struct sim_disk_file *opened, char *buffer, size_t size)
{
	const struct sim_inode *parent = opened->inode->parent ? opened->inode->parent : opened->inode;
	size_t done = 0;

	while (opened->position < DOTS) {
		bool one = opened->position == 0;
		size_t n = put_entry(buffer + done, size - done, one ? opened->inode : parent, opened->position + 1,
				     one ? "." : "..");

		if (n == 0)
			break;
		done += n;
		opened->position++;
	}
	return done;
}

int64_t sim_getdents(struct sim_file *file, void *buffer, size_t size)
{
	struct sim_disk_file *opened = sim_disk_file(file);
	const struct sim_name *name;
	size_t done;

	if (file->class != &sim_directory_class)
		return -ENOTDIR;
	if (file->flags & O_PATH)
		return -EBADF;
	if (sim_file_is_dead(file))
		return -EHOSTDOWN;
	done = put_dots(opened, buffer, size);
	name = opened->position < DOTS ? NULL : name_behind(opened->inode, opened->position);
	if (!name && done == 0)
		return opened->position < DOTS ? -EINVAL : 0;
	while (name) {
		int64_t next = (int64_t)name->order + DOTS;
		size_t n = put_entry((char *)buffer + done, size - done, name->inode, next, name->text);

		if (n == 0)
			return done > 0 ? (int64_t)done : -EINVAL;
		done += n;
		opened->position = next;
		name = name->node.next == &opened->inode->names ? NULL
								: list_entry(name->node.next, struct sim_name, node);
	}
	return (int64_t)done;
}

/* ---- where things are ---- */

static int64_t copy_text(const char *text, char *buffer, size_t size)
{
	size_t length = strlen(text);

	length = length < size ? length : size;
	memcpy(buffer, text, length);
	return (int64_t)length;
}

int64_t sim_readlinkat(struct sim_host *host, int dirfd, const char *path, char *target, size_t size)
{
	struct sim_file *of_fd = sim_path_of_fd(host, path);
	struct sim_inode *inode;
	int64_t r;

	if (size == 0)
		return -EINVAL;
	if (of_fd)
		return sim_file_is_on_disk(of_fd) ? sim_file_path(of_fd, target, size) : -ENOENT;
	r = sim_path_find(host, dirfd, path, SIM_PATH_EMPTY, &inode);
	if (r < 0)
		return r;
	return S_ISLNK(inode->mode) ? copy_text(inode->target, target, size) : -EINVAL;
}

int sim_faccessat(struct sim_host *host, int dirfd, const char *path, int mode, int flags)
{
	unsigned how =
		(flags & AT_SYMLINK_NOFOLLOW ? 0 : SIM_PATH_FOLLOW) | (flags & AT_EMPTY_PATH ? SIM_PATH_EMPTY : 0);
	struct sim_inode *inode;
	int r;

	if (mode & ~(R_OK | W_OK | X_OK) || flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_EACCESS))
		return -EINVAL;
	r = sim_path_find(host, dirfd, path, how, &inode);
	if (r < 0)
		return r;
	return mode & X_OK && S_ISREG(inode->mode) && !(inode->mode & 0111) ? -EACCES : 0;
}

/* A name by which an inode is known in a directory. */
static const struct sim_name *name_of(const struct sim_inode *directory, const struct sim_inode *inode)
{
	for (const struct list *node = directory->names.next; node != &directory->names; node = node->next) {
		const struct sim_name *name = list_entry(node, struct sim_name, node);

		if (name->inode == inode)
			return name;
	}
	return NULL;
}

/* Files do not know their directory: it is looked for. */
static const struct sim_inode *directory_of(const struct sim_inode *inode)
{
	const struct list *all = &inode->disk->inodes;

	if (S_ISDIR(inode->mode))
		return inode->parent;
	for (const struct list *node = all->next; node != all; node = node->next) {
		const struct sim_inode *directory = list_entry(node, struct sim_inode, node);

		if (directory->names_count > 0 && name_of(directory, inode))
			return directory;
	}
	return NULL;
}

/* From the end of the buffer to its beginning. */
static int64_t put_path(const struct sim_inode *inode, char *buffer, size_t size)
{
	size_t at = size;

	while (inode != inode->disk->root) {
		const struct sim_inode *directory = directory_of(inode);
		const struct sim_name *name = directory ? name_of(directory, inode) : NULL;

		if (!name)
			return -ENOENT;
		if (at < name->length + 1U)
			return -ERANGE;
		at -= name->length;
		memcpy(buffer + at, name->text, name->length);
		buffer[--at] = '/';
		inode = directory;
	}
	if (at == size && at > 0)
		buffer[--at] = '/';
	memmove(buffer, buffer + at, size - at);
	return (int64_t)(size - at);
}

int64_t sim_file_path(struct sim_file *file, char *path, size_t size)
{
	if (!sim_file_is_on_disk(file))
		return -ENOENT;
	return put_path(sim_disk_file(file)->inode, path, size);
}
