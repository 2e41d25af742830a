/* SPDX-License-Identifier: MIT */
/* Disks and their inodes: how they begin and end. An inode lives as long as a name, an open file or a record has it. */
#include "simulation/disk/inode.h"

#include "base/assert.h"
#include "simulation/host.h"
#include "simulation/world.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

enum { UMASK = 022 };

static const char hosts[] = "127.0.0.1 localhost\n::1 localhost\n";

/* ---- inodes ---- */

void sim_inode_touch(struct sim_inode *inode, bool modified)
{
	inode->changed_ns = sim_host_realtime(inode->disk->host);
	if (modified)
		inode->modified_ns = inode->changed_ns;
}

struct sim_inode *sim_inode_new(struct sim_disk *disk, mode_t mode)
{
	struct sim_inode *inode = calloc(1, sizeof *inode);

	if (!inode)
		return NULL;
	inode->disk = disk;
	inode->number = ++disk->inode_number;
	inode->references = 1;
	inode->mode = mode;
	sim_inode_touch(inode, true);
	inode->accessed_ns = inode->born_ns = inode->modified_ns;
	list_init(&inode->attributes);
	list_init(&inode->dirty);
	list_init(&inode->stale);
	list_init(&inode->names);
	list_init(&inode->dirty_node);
	list_push_back(&disk->inodes, &inode->node);
	return inode;
}

struct sim_inode *sim_inode_ref(struct sim_inode *inode)
{
	inode->references++;
	return inode;
}

static void inode_free(struct sim_inode *inode)
{
	struct list *node;

	sim_pages_drop(inode, 0, UINT64_MAX);
	while ((node = list_pop_front(&inode->attributes)))
		free(list_entry(node, struct sim_attribute, node));
	invariant(list_empty(&inode->names));
	list_remove(&inode->dirty_node);
	list_remove(&inode->node);
	free(inode->buckets);
	free(inode->target);
	free(inode);
}

void sim_inode_unref(struct sim_inode *inode)
{
	invariant(inode->references > 0);
	if (--inode->references == 0)
		inode_free(inode);
}

int sim_file_of(struct sim_inode *inode, struct sim_host *host, const char *origin, int flags,
		struct sim_file **ret_file)
{
	struct sim_disk_file *opened = calloc(1, sizeof *opened);
	const struct sim_file_class *class = &sim_regular_class;

	if (!opened)
		return -ENOMEM;
	if (S_ISDIR(inode->mode))
		class = &sim_directory_class;
	else if (S_ISCHR(inode->mode))
		class = &sim_device_class;
	sim_file_init(&opened->file, class, host->world, host, origin, flags);
	opened->inode = sim_inode_ref(inode);
	opened->errors_seen = inode->errors;
	*ret_file = &opened->file;
	return 0;
}

void sim_disk_file_release(struct sim_file *file)
{
	struct sim_disk_file *opened = sim_disk_file(file);

	sim_inode_unref(opened->inode);
	free(opened);
}

/* ---- disks ---- */

static struct sim_inode *make(struct sim_inode *directory, const char *text, mode_t mode)
{
	struct sim_inode *inode = sim_inode_new(directory->disk, mode);
	struct sim_name *name = inode && sim_name_room(directory) ? sim_name_new(inode, text, strlen(text)) : NULL;

	if (name)
		sim_name_insert(directory, name);
	if (inode)
		sim_inode_unref(inode);
	return name ? inode : NULL;
}

static bool make_hosts(struct sim_inode *directory)
{
	struct sim_inode *inode = make(directory, "hosts", S_IFREG | 0644);
	struct sim_page *page = inode ? sim_page_add(inode, 0) : NULL;

	if (!page)
		return false;
	memcpy(page->bytes, hosts, sizeof hosts - 1);
	sim_page_clean(inode, page);
	inode->size = inode->disk_size = sizeof hosts - 1;
	return true;
}

static bool make_devices(struct sim_inode *directory)
{
	static const struct {
		const char *name;
		unsigned minor;
	} devices[] = {
		{"null", SIM_DEVICE_NULL},     {"zero", SIM_DEVICE_ZERO},       {"full", SIM_DEVICE_FULL},
		{"random", SIM_DEVICE_RANDOM}, {"urandom", SIM_DEVICE_URANDOM},
	};

	for (size_t i = 0; i < sizeof devices / sizeof devices[0]; i++) {
		struct sim_inode *inode = make(directory, devices[i].name, S_IFCHR | 0666);

		if (!inode)
			return false;
		inode->device = makedev(SIM_DEVICE_MAJOR, devices[i].minor);
	}
	return true;
}

/* The names are kept with the disk from its beginning: no crash takes them. */
static bool fill(struct sim_disk *disk)
{
	static const struct {
		const char *name;
		mode_t mode;
	} directories[] = {{"tmp", 01777}, {"etc", 0755}, {"dev", 0755}, {"home", 0755}, {"var", 0755}};

	disk->root = sim_inode_new(disk, S_IFDIR | 0755);
	if (!disk->root)
		return false;
	disk->root->parent = disk->root;
	for (size_t i = 0; i < sizeof directories / sizeof directories[0]; i++) {
		struct sim_inode *inode = make(disk->root, directories[i].name, S_IFDIR | directories[i].mode);

		if (!inode || (i == 1 && !make_hosts(inode)) || (i == 2 && !make_devices(inode)))
			return false;
	}
	return true;
}

struct sim_disk *sim_disk_of(struct sim_host *host)
{
	struct sim_disk *disk = host->disk;

	if (disk)
		return disk;
	disk = calloc(1, sizeof *disk);
	if (!disk)
		return NULL;
	disk->host = host;
	disk->umask = UMASK;
	list_init(&disk->inodes);
	list_init(&disk->dirty);
	list_init(&disk->journal);
	list_init(&disk->spare);
	sim_disk_set_capacity(disk, SIM_DISK_CAPACITY);
	if (!fill(disk)) {
		sim_disk_free(disk);
		return NULL;
	}
	host->disk = disk;
	return disk;
}

void sim_disk_set_capacity(struct sim_disk *disk, uint64_t bytes)
{
	disk->pages_max = bytes / SIM_PAGE;
}

static void remove_names(struct sim_inode *directory)
{
	while (!list_empty(&directory->names)) {
		struct sim_name *name = list_entry(directory->names.next, struct sim_name, node);

		sim_name_remove(directory, name);
		sim_name_free(name);
	}
}

/* No file is open any more. Nothing goes before all names are gone: directories hold each other by them. */
void sim_disk_free(struct sim_disk *disk)
{
	struct list *node;

	sim_journal_write(disk, UINT64_MAX);
	for (node = disk->inodes.next; node != &disk->inodes; node = node->next)
		sim_inode_ref(list_entry(node, struct sim_inode, node));
	for (node = disk->inodes.next; node != &disk->inodes; node = node->next)
		remove_names(list_entry(node, struct sim_inode, node));
	while (!list_empty(&disk->inodes))
		inode_free(list_entry(disk->inodes.next, struct sim_inode, node));
	while ((node = list_pop_front(&disk->spare)))
		free(list_entry(node, struct sim_page, node));
	free(disk);
}

mode_t sim_umask(struct sim_host *host, mode_t mask)
{
	struct sim_disk *disk = sim_disk_of(host);
	mode_t before = disk ? disk->umask : UMASK;

	if (disk)
		disk->umask = mask & 0777;
	return before;
}
