/* SPDX-License-Identifier: MIT */
/*
 * What was done to names, sizes and attributes and may not be durable yet, in order; and the crash that undoes the last
 * of it. Undoing needs no memory: a record holds what it took away.
 */
#include "simulation/disk/inode.h"

#include "base/assert.h"
#include "simulation/host.h"
#include "simulation/world.h"

#include <stdlib.h>
#include <string.h>

/* ---- records ---- */

struct sim_record *sim_record_new(struct sim_disk *disk, enum sim_record_kind kind, struct sim_inode *inode)
{
	struct sim_record *record = calloc(1, sizeof *record);

	if (!record)
		return NULL;
	list_init(&record->node);
	record->kind = kind;
	record->number = ++disk->record_number;
	record->inode = inode ? sim_inode_ref(inode) : NULL;
	if (kind == SIM_RECORD_BYTES)
		list_init(&record->bytes.pages);
	return record;
}

/* What it took away is wanted no more. */
void sim_record_drop(struct sim_disk *disk, struct sim_record *record)
{
	struct list *node;

	switch (record->kind) {
	case SIM_RECORD_NAMES:
		sim_name_free(record->changes[0].removed);
		sim_name_free(record->changes[1].removed);
		break;
	case SIM_RECORD_BYTES:
		while ((node = list_pop_front(&record->bytes.pages)))
			sim_page_free(disk, list_entry(node, struct sim_page, node));
		break;
	case SIM_RECORD_ATTRIBUTE:
		free(record->attribute.removed);
		break;
	case SIM_RECORD_MODE:
		break;
	}
	if (record->inode)
		sim_inode_unref(record->inode);
	free(record);
}

static void concern(struct sim_inode *inode, const struct sim_record *record, bool data)
{
	inode->last_record = record->number;
	if (data)
		inode->data_record = record->number;
}

static void concern_names(struct sim_record *record)
{
	for (int i = 0; i < 2; i++) {
		struct sim_name *removed = record->changes[i].removed, *inserted = record->changes[i].inserted;

		if (removed) {
			concern(removed->inode, record, false);
			record->weight += removed->inode->pages_count;
		}
		if (inserted) /* the first name of a file: its bytes are of no use without it */
			concern(inserted->inode, record, inserted->inode->last_record == 0);
		if (record->changes[i].directory)
			concern(record->changes[i].directory, record, false);
	}
}

static struct sim_record *first(struct sim_disk *disk)
{
	return list_entry(disk->journal.next, struct sim_record, node);
}

void sim_record_add(struct sim_disk *disk, struct sim_record *record)
{
	if (record->kind == SIM_RECORD_NAMES)
		concern_names(record);
	else
		concern(record->inode, record, record->kind == SIM_RECORD_BYTES);
	list_push_back(&disk->journal, &record->node);
	disk->records++;
	disk->records_weight += record->weight;
	if (disk->records > SIM_JOURNAL_RECORDS)
		sim_journal_write(disk, first(disk)->number + SIM_JOURNAL_RECORDS / 2);
	while (disk->records_weight > SIM_JOURNAL_PAGES)
		sim_journal_write(disk, first(disk)->number);
}

static void leave_journal(struct sim_disk *disk, struct sim_record *record)
{
	list_remove(&record->node);
	disk->records--;
	disk->records_weight -= record->weight;
}

void sim_journal_write(struct sim_disk *disk, uint64_t number)
{
	while (!list_empty(&disk->journal) && first(disk)->number <= number) {
		struct sim_record *record = first(disk);

		leave_journal(disk, record);
		sim_record_drop(disk, record);
	}
}

/* ---- undoing ---- */

static void undo_names(struct sim_record *record)
{
	for (int i = 1; i >= 0; i--) {
		struct sim_inode *directory = record->changes[i].directory;

		if (record->changes[i].inserted)
			sim_name_remove(directory, record->changes[i].inserted);
	}
	for (int i = 1; i >= 0; i--) {
		struct sim_inode *directory = record->changes[i].directory;
		struct sim_name *removed = record->changes[i].removed;

		record->changes[i].removed = NULL;
		if (removed)
			sim_name_insert(directory, removed);
	}
	for (int i = 1; i >= 0; i--)
		sim_name_free(record->changes[i].inserted);
}

/* Behind its end a file has nothing, or zeros. */
static void end_at_size(struct sim_inode *inode)
{
	struct sim_page *page;

	sim_pages_drop(inode, sim_pages_in(inode->size), UINT64_MAX);
	page = sim_page_find(inode, (uint64_t)inode->size / SIM_PAGE);
	if (page && inode->size % SIM_PAGE > 0)
		sim_page_zero_end(page, (size_t)inode->size % SIM_PAGE);
}

static void undo_bytes(struct sim_record *record)
{
	struct sim_inode *inode = record->inode;
	struct list *node;

	sim_pages_drop(inode, record->bytes.from, record->bytes.to);
	while ((node = list_pop_front(&record->bytes.pages)))
		/* the branches that lead there have been there before; if they are gone, there is memory for them */
		if (!sim_page_put(inode, list_entry(node, struct sim_page, node)))
			sim_page_free(inode->disk, list_entry(node, struct sim_page, node));
	inode->size = record->bytes.size;
	inode->disk_size = record->bytes.disk_size;
	end_at_size(inode);
	sim_inode_is_dirty(inode);
}

static void undo_attribute(struct sim_record *record)
{
	if (record->attribute.inserted) {
		list_remove(&record->attribute.inserted->node);
		free(record->attribute.inserted);
	}
	if (record->attribute.removed)
		list_push_back(&record->inode->attributes, &record->attribute.removed->node);
	record->attribute.removed = NULL;
}

void sim_journal_undo(struct sim_disk *disk)
{
	struct sim_record *record = list_entry(disk->journal.prev, struct sim_record, node);

	leave_journal(disk, record);
	switch (record->kind) {
	case SIM_RECORD_NAMES:
		undo_names(record);
		break;
	case SIM_RECORD_BYTES:
		undo_bytes(record);
		break;
	case SIM_RECORD_MODE:
		record->inode->mode = record->mode;
		break;
	case SIM_RECORD_ATTRIBUTE:
		undo_attribute(record);
		break;
	}
	sim_record_drop(disk, record);
}

/* ---- a crash ---- */

enum { FATE_LOST, FATE_KEPT, FATE_TORN, FATES };

static uint64_t draw_fate(struct sim_disk *disk, uint64_t among)
{
	return sim_draw(disk->host->world, SIM_CHOICE_FATE, among);
}

static void lose(struct sim_page *page, size_t from, size_t size)
{
	if (page->durable)
		memcpy(page->bytes + from, page->durable->bytes + from, size);
	else
		memset(page->bytes + from, 0, size);
}

/* Some of its sectors, but neither none nor all, are still the old ones. */
static void tear(struct sim_disk *disk, struct sim_page *page)
{
	enum { SECTORS = SIM_PAGE / SIM_SECTOR };
	uint64_t lost = draw_fate(disk, (1 << SECTORS) - 2) + 1;

	for (size_t i = 0; i < SECTORS; i++)
		if (lost >> i & 1)
			lose(page, i * SIM_SECTOR, SIM_SECTOR);
}

static void meet_fate(struct sim_inode *inode, struct sim_page *page)
{
	if (inode->links > 0)
		switch (page->dirty ? draw_fate(inode->disk, FATES) : FATE_LOST) {
		case FATE_LOST:
			lose(page, 0, SIM_PAGE);
			break;
		case FATE_TORN:
			tear(inode->disk, page);
			break;
		default:
			break;
		}
	sim_page_clean(inode, page);
}

/* A file that had grown: as far as the system had come, a page at a time. */
static void draw_size(struct sim_inode *inode)
{
	uint64_t before = (uint64_t)inode->disk_size / SIM_PAGE, steps = sim_pages_in(inode->size) - before;
	uint64_t kept = draw_fate(inode->disk, steps + 1);
	int64_t size = kept > 0 ? (int64_t)(before + kept) * SIM_PAGE : inode->disk_size;

	size = size < inode->size ? size : inode->size;
	inode->size = inode->disk_size = size;
	end_at_size(inode);
}

static void crash_inode(struct sim_inode *inode)
{
	if (inode->links > 0 && inode->size > inode->disk_size)
		draw_size(inode);
	while (!list_empty(&inode->dirty))
		meet_fate(inode, list_entry(inode->dirty.next, struct sim_page, node));
	while (!list_empty(&inode->stale))
		meet_fate(inode, list_entry(inode->stale.next, struct sim_page, node));
}

void sim_disk_crash(struct sim_disk *disk)
{
	unsigned kept = (unsigned)draw_fate(disk, disk->records + 1ULL);
	struct list *node;

	while (disk->records > kept)
		sim_journal_undo(disk);
	sim_journal_write(disk, UINT64_MAX);
	while ((node = list_pop_front(&disk->dirty)))
		crash_inode(list_entry(node, struct sim_inode, dirty_node));
}
