/* SPDX-License-Identifier: MIT */
/* What makes files durable, and what is left when that fails. */
#include "simulation/disk/inode.h"

#include "simulation/host.h"
#include "simulation/world.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

static void leave_dirty(struct sim_inode *inode)
{
	if (list_empty(&inode->stale))
		list_remove(&inode->dirty_node);
}

/* The journal is one: what was done before the last record of this file is durable with it. */
void sim_inode_sync(struct sim_inode *inode, bool data_only)
{
	while (!list_empty(&inode->dirty))
		sim_page_clean(inode, list_entry(inode->dirty.next, struct sim_page, node));
	inode->disk_size = inode->size;
	sim_journal_write(inode->disk, data_only ? inode->data_record : inode->last_record);
	leave_dirty(inode);
}

/* ---- failures ---- */

enum { FATE_WRITTEN, FATE_STALE, FATE_REVERTED, FATES };

/* Memory has it still, but the disk has not, and no later sync will try again. */
static void make_stale(struct sim_inode *inode, struct sim_page *page)
{
	struct sim_disk *disk = inode->disk;

	if (!page->durable) {
		page->durable = sim_page_alloc(disk);
		if (page->durable)
			memset(page->durable->bytes, 0, SIM_PAGE);
	}
	page->dirty = false;
	list_remove(&page->node);
	if (page->durable)
		list_push_back(&inode->stale, &page->node);
}

/* It was dropped from memory, too, and read again. */
static void revert(struct sim_inode *inode, struct sim_page *page)
{
	if (page->durable)
		memcpy(page->bytes, page->durable->bytes, SIM_PAGE);
	else
		memset(page->bytes, 0, SIM_PAGE);
	sim_page_clean(inode, page);
}

static void fail(struct sim_inode *inode)
{
	inode->errors++;
	while (!list_empty(&inode->dirty)) {
		struct sim_page *page = list_entry(inode->dirty.next, struct sim_page, node);

		switch (sim_draw(inode->disk->host->world, SIM_CHOICE_FATE, FATES)) {
		case FATE_WRITTEN:
			sim_page_clean(inode, page);
			break;
		case FATE_STALE:
			make_stale(inode, page);
			break;
		default:
			revert(inode, page);
			break;
		}
	}
}

/* ---- calls ---- */

static int check(struct sim_file *file)
{
	if (file->flags & O_PATH)
		return -EBADF;
	if (!sim_file_is_on_disk(file) || file->class == &sim_device_class)
		return -EINVAL;
	return sim_file_is_dead(file) ? -EHOSTDOWN : 0;
}

int sim_fsync(struct sim_file *file, bool data_only)
{
	struct sim_disk_file *opened;
	struct sim_inode *inode;
	int r = check(file);

	if (r < 0)
		return r;
	opened = sim_disk_file(file);
	inode = opened->inode;
	if (sim_strikes(&file->world->plan, SIM_FAULT_IO))
		fail(inode);
	else if (S_ISDIR(inode->mode))
		sim_journal_write(inode->disk, UINT64_MAX);
	else
		sim_inode_sync(inode, data_only);
	if (opened->errors_seen == inode->errors)
		return 0;
	opened->errors_seen = inode->errors;
	return -EIO;
}

int sim_sync_file_range(struct sim_file *file, int64_t offset, int64_t length, unsigned flags)
{
	int r = check(file);

	if (r < 0)
		return r == -EINVAL ? -ESPIPE : r;
	if (offset < 0 || length < 0 ||
	    flags & ~(unsigned)(SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER))
		return -EINVAL;
	return flags && sim_strikes(&file->world->plan, SIM_FAULT_IO) ? -EIO : 0;
}

int sim_sync(struct sim_host *host)
{
	struct sim_disk *disk = sim_disk_of(host);
	struct list *node, *next;

	if (!disk)
		return -ENOMEM;
	if (!host->up)
		return -EHOSTDOWN;
	sim_journal_write(disk, UINT64_MAX); /* first: with it may go what is on the list */
	for (node = disk->dirty.next; node != &disk->dirty; node = next) {
		next = node->next;
		sim_inode_sync(list_entry(node, struct sim_inode, dirty_node), false);
	}
	return 0;
}
