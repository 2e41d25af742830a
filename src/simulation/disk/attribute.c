/* SPDX-License-Identifier: MIT */
/* What is set of a file besides its bytes: its mode, its times, which no crash takes, and its extended attributes. */
#include "simulation/disk/inode.h"

#include "simulation/host.h"
#include "simulation/world.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

enum { SECOND_NS = 1000000000 };

/* The inode of an open file, if it may be asked for. */
static int inode_of(struct sim_file *file, struct sim_inode **ret_inode)
{
	if (!sim_file_is_on_disk(file))
		return -EOPNOTSUPP;
	if (file->flags & O_PATH)
		return -EBADF;
	if (sim_file_is_dead(file))
		return -EHOSTDOWN;
	*ret_inode = sim_disk_file(file)->inode;
	return 0;
}

/* ---- modes ---- */

static int set_mode(struct sim_inode *inode, mode_t mode)
{
	struct sim_record *record = sim_record_new(inode->disk, SIM_RECORD_MODE, inode);

	if (!record)
		return -ENOMEM;
	record->mode = inode->mode;
	inode->mode = (inode->mode & S_IFMT) | (mode & 07777);
	sim_inode_touch(inode, false);
	sim_record_add(inode->disk, record);
	return 0;
}

int sim_fchmod(struct sim_file *file, mode_t mode)
{
	struct sim_inode *inode;
	int r = inode_of(file, &inode);

	return r < 0 ? r : set_mode(inode, mode);
}

int sim_fchmodat(struct sim_host *host, int dirfd, const char *path, mode_t mode, int flags)
{
	struct sim_inode *inode;
	int r;

	if (flags & ~AT_SYMLINK_NOFOLLOW)
		return -EINVAL;
	r = sim_path_find(host, dirfd, path, flags & AT_SYMLINK_NOFOLLOW ? 0 : SIM_PATH_FOLLOW, &inode);
	if (r < 0)
		return r;
	return S_ISLNK(inode->mode) ? -EOPNOTSUPP : set_mode(inode, mode);
}

/* ---- times ---- */

static int set_time(struct sim_host *host, const struct timespec *time, int64_t *ret_ns)
{
	if (!time || time->tv_nsec == UTIME_NOW)
		*ret_ns = sim_host_realtime(host);
	else if (time->tv_nsec < 0 || (time->tv_nsec >= SECOND_NS && time->tv_nsec != UTIME_OMIT))
		return -EINVAL;
	else if (time->tv_nsec != UTIME_OMIT)
		*ret_ns = time->tv_sec * INT64_C(1000000000) + time->tv_nsec;
	return 0;
}

static int set_times(struct sim_inode *inode, const struct timespec *times)
{
	int64_t accessed_ns = inode->accessed_ns, modified_ns = inode->modified_ns;
	int r = set_time(inode->disk->host, times ? &times[0] : NULL, &accessed_ns);

	if (r >= 0)
		r = set_time(inode->disk->host, times ? &times[1] : NULL, &modified_ns);
	if (r < 0)
		return r;
	inode->accessed_ns = accessed_ns;
	inode->modified_ns = modified_ns;
	sim_inode_touch(inode, false);
	return 0;
}

int sim_futimens(struct sim_file *file, const struct timespec times[2])
{
	struct sim_inode *inode;
	int r = inode_of(file, &inode);

	return r < 0 ? r : set_times(inode, times);
}

int sim_utimensat(struct sim_host *host, int dirfd, const char *path, const struct timespec times[2], int flags)
{
	struct sim_inode *inode;
	unsigned how =
		(flags & AT_SYMLINK_NOFOLLOW ? 0 : SIM_PATH_FOLLOW) | (flags & AT_EMPTY_PATH ? SIM_PATH_EMPTY : 0);
	int r = flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) ? -EINVAL
							       : sim_path_find(host, dirfd, path, how, &inode);

	return r < 0 ? r : set_times(inode, times);
}

/* ---- extended attributes ---- */

static struct sim_attribute *find(struct sim_inode *inode, const char *name)
{
	for (struct list *node = inode->attributes.next; node != &inode->attributes; node = node->next) {
		struct sim_attribute *attribute = list_entry(node, struct sim_attribute, node);

		if (strcmp(attribute->name, name) == 0)
			return attribute;
	}
	return NULL;
}

static int check_name(const struct sim_inode *inode, const char *name)
{
	static const char *const prefixes[] = {"user.", "trusted.", "security."};
	size_t length = strnlen(name, XATTR_NAME_MAX + 1);

	if (length == 0 || length > XATTR_NAME_MAX)
		return -ERANGE;
	for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++)
		if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0) {
			if (!name[strlen(prefixes[i])])
				return -EINVAL;
			return i == 0 && !S_ISREG(inode->mode) && !S_ISDIR(inode->mode) ? -EPERM : 0;
		}
	return -EOPNOTSUPP;
}

static struct sim_attribute *attribute_new(const char *name, const void *value, size_t size)
{
	size_t length = strlen(name) + 1;
	struct sim_attribute *attribute = malloc(sizeof *attribute + length + size);

	if (!attribute)
		return NULL;
	attribute->size = size;
	attribute->value = attribute->name + length;
	memcpy(attribute->name, name, length);
	if (size > 0)
		memcpy(attribute->value, value, size);
	return attribute;
}

/* Put the one in the place of the other; either may be NULL. Takes over the new one. */
static int exchange(struct sim_inode *inode, struct sim_attribute *old, struct sim_attribute *new)
{
	struct sim_record *record = sim_record_new(inode->disk, SIM_RECORD_ATTRIBUTE, inode);

	if (!record) {
		free(new);
		return -ENOMEM;
	}
	if (old)
		list_remove(&old->node);
	if (new)
		list_push_back(&inode->attributes, &new->node);
	record->attribute.removed = old;
	record->attribute.inserted = new;
	sim_inode_touch(inode, false);
	sim_record_add(inode->disk, record);
	return 0;
}

static int set(struct sim_inode *inode, const char *name, const void *value, size_t size, int flags)
{
	struct sim_attribute *old, *new;
	int r = check_name(inode, name);

	if (flags & ~(XATTR_CREATE | XATTR_REPLACE))
		return -EINVAL;
	if (r < 0 || size > XATTR_SIZE_MAX)
		return r < 0 ? r : -E2BIG;
	old = find(inode, name);
	if (old && flags & XATTR_CREATE)
		return -EEXIST;
	if (!old && flags & XATTR_REPLACE)
		return -ENODATA;
	if (sim_strikes(&inode->disk->host->world->plan, SIM_FAULT_NOSPC))
		return -ENOSPC;
	new = attribute_new(name, value, size);
	return new ? exchange(inode, old, new) : -ENOMEM;
}

static int64_t get(struct sim_inode *inode, const char *name, void *value, size_t size)
{
	const struct sim_attribute *attribute;
	int r = check_name(inode, name);

	if (r < 0)
		return r == -EPERM ? -ENODATA : r;
	attribute = find(inode, name);
	if (!attribute)
		return -ENODATA;
	if (size > 0 && size < attribute->size)
		return -ERANGE;
	if (size > 0 && attribute->size > 0)
		memcpy(value, attribute->value, attribute->size);
	return (int64_t)attribute->size;
}

static int64_t list_names(struct sim_inode *inode, char *names, size_t size)
{
	size_t done = 0;

	for (struct list *node = inode->attributes.next; node != &inode->attributes; node = node->next) {
		const struct sim_attribute *attribute = list_entry(node, struct sim_attribute, node);
		size_t length = strlen(attribute->name) + 1;

		if (size > 0 && length > size - done)
			return -ERANGE;
		if (size > 0)
			memcpy(names + done, attribute->name, length);
		done += length;
	}
	return (int64_t)done;
}

static int remove_attribute(struct sim_inode *inode, const char *name)
{
	struct sim_attribute *old;
	int r = check_name(inode, name);

	if (r < 0)
		return r;
	old = find(inode, name);
	return old ? exchange(inode, old, NULL) : -ENODATA;
}

static int inode_at(struct sim_host *host, const char *path, bool follow, struct sim_inode **ret_inode)
{
	return sim_path_find(host, AT_FDCWD, path, follow ? SIM_PATH_FOLLOW : 0, ret_inode);
}

int sim_fsetxattr(struct sim_file *file, const char *name, const void *value, size_t size, int flags)
{
	struct sim_inode *inode;
	int r = inode_of(file, &inode);

	return r < 0 ? r : set(inode, name, value, size, flags);
}

int sim_setxattr(struct sim_host *host, const char *path, bool follow, const char *name, const void *value, size_t size,
		 int flags)
{
	struct sim_inode *inode;
	int r = inode_at(host, path, follow, &inode);

	return r < 0 ? r : set(inode, name, value, size, flags);
}

int64_t sim_fgetxattr(struct sim_file *file, const char *name, void *value, size_t size)
{
	struct sim_inode *inode;
	int r = inode_of(file, &inode);

	return r < 0 ? r : get(inode, name, value, size);
}

int64_t sim_getxattr(struct sim_host *host, const char *path, bool follow, const char *name, void *value, size_t size)
{
	struct sim_inode *inode;
	int r = inode_at(host, path, follow, &inode);

	return r < 0 ? r : get(inode, name, value, size);
}

int64_t sim_flistxattr(struct sim_file *file, char *names, size_t size)
{
	struct sim_inode *inode;
	int r = inode_of(file, &inode);

	return r < 0 ? r : list_names(inode, names, size);
}

int64_t sim_listxattr(struct sim_host *host, const char *path, bool follow, char *names, size_t size)
{
	struct sim_inode *inode;
	int r = inode_at(host, path, follow, &inode);

	return r < 0 ? r : list_names(inode, names, size);
}

int sim_fremovexattr(struct sim_file *file, const char *name)
{
	struct sim_inode *inode;
	int r = inode_of(file, &inode);

	return r < 0 ? r : remove_attribute(inode, name);
}

int sim_removexattr(struct sim_host *host, const char *path, bool follow, const char *name)
{
	struct sim_inode *inode;
	int r = inode_at(host, path, follow, &inode);

	return r < 0 ? r : remove_attribute(inode, name);
}
