/* SPDX-License-Identifier: MIT */
/* The size of a file, and which of its pages there are. Both are the journal's affair: it keeps what is cut off. */
#include "simulation/disk/inode.h"

#include "simulation/host.h"
#include "simulation/world.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>

bool sim_disk_has_room(struct sim_disk *disk, uint64_t pages)
{
	return disk->pages + pages <= disk->pages_max;
}

static bool strikes_full(struct sim_disk *disk)
{
	return sim_strikes(&disk->host->world->plan, SIM_FAULT_NOSPC);
}

/* ---- sizes ---- */

static struct sim_record *record_of(struct sim_inode *inode, uint64_t from, uint64_t to)
{
	struct sim_record *record = sim_record_new(inode->disk, SIM_RECORD_BYTES, inode);

	if (!record)
		return NULL;
	record->bytes.from = from;
	record->bytes.to = to;
	record->bytes.size = inode->size;
	record->bytes.disk_size = inode->disk_size;
	return record;
}

/* Pages from here to there are no longer the file's, but the record's. */
static void cut(struct sim_record *record, uint64_t from, uint64_t to)
{
	struct sim_inode *inode = record->inode;
	struct sim_page *page;

	while ((page = sim_page_next(inode, from)) && page->index < to) {
		from = page->index + 1;
		sim_page_take(inode, page);
		list_push_back(&record->bytes.pages, &page->node);
		record->weight++;
	}
}

/* Of the page in which the file will end the record has a copy. */
static int cut_end(struct sim_record *record, int64_t size)
{
	struct sim_page *page = sim_page_find(record->inode, (uint64_t)size / SIM_PAGE), *copy;

	if (!page || size % SIM_PAGE == 0)
		return 0;
	copy = sim_page_copy(record->inode->disk, page);
	if (!copy)
		return -ENOMEM;
	list_push_back(&record->bytes.pages, &copy->node);
	sim_page_zero_end(page, (size_t)size % SIM_PAGE);
	return 0;
}

static int shrink(struct sim_inode *inode, int64_t size)
{
	struct sim_record *record = record_of(inode, (uint64_t)size / SIM_PAGE, UINT64_MAX);
	int r = record ? cut_end(record, size) : -ENOMEM;

	if (r < 0) {
		if (record)
			sim_record_drop(inode->disk, record);
		return r;
	}
	cut(record, sim_pages_in(size), UINT64_MAX);
	inode->size = inode->disk_size = size;
	sim_record_add(inode->disk, record);
	return 0;
}

static int grow(struct sim_inode *inode, int64_t size)
{
	struct sim_record *record = record_of(inode, sim_pages_in(inode->size), UINT64_MAX);

	if (!record)
		return -ENOMEM;
	inode->size = inode->disk_size = size;
	sim_record_add(inode->disk, record);
	return 0;
}

int sim_inode_resize(struct sim_inode *inode, int64_t size)
{
	sim_inode_touch(inode, true);
	return size < inode->size ? shrink(inode, size) : grow(inode, size);
}

static int check(struct sim_file *file)
{
	if (file->class != &sim_regular_class || (file->flags & O_ACCMODE) == O_RDONLY)
		return -EINVAL;
	return sim_file_is_dead(file) ? -EHOSTDOWN : 0;
}

int sim_ftruncate(struct sim_file *file, int64_t size)
{
	int r = file->flags & O_PATH ? -EBADF : check(file);

	if (r < 0)
		return r;
	if (size < 0)
		return -EINVAL;
	return size > SIM_FILE_MAX ? -EFBIG : sim_inode_resize(sim_disk_file(file)->inode, size);
}

/* ---- pages ---- */

static int add_pages(struct sim_inode *inode, uint64_t from, uint64_t to)
{
	uint64_t missing = 0;

	for (uint64_t i = from; i < to; i++)
		missing += !sim_page_find(inode, i);
	if (!sim_disk_has_room(inode->disk, missing))
		return -ENOSPC;
	for (uint64_t i = from; i < to; i++)
		if (!sim_page_find(inode, i) && !sim_page_add(inode, i))
			return -ENOMEM;
	return 0;
}

/* Zeros in a part of a page, as if they were written. */
static int zero_part(struct sim_inode *inode, int64_t from, int64_t to)
{
	struct sim_page *page = sim_page_find(inode, (uint64_t)from / SIM_PAGE);

	if (!page || from >= to)
		return 0;
	if (!sim_page_dirty(inode, page))
		return -ENOMEM;
	memset(page->bytes + from % SIM_PAGE, 0, (size_t)(to - from));
	return 0;
}

static int punch(struct sim_inode *inode, int64_t begin, int64_t end)
{
	uint64_t first = sim_pages_in(begin), last = (uint64_t)end / SIM_PAGE;
	int64_t head = (int64_t)first * SIM_PAGE, tail = (int64_t)last * SIM_PAGE;
	struct sim_record *record;
	int r;

	if (first > last) /* within one page */
		return zero_part(inode, begin, end);
	r = zero_part(inode, begin, head);
	if (r >= 0)
		r = zero_part(inode, tail, end);
	if (r < 0 || first == last)
		return r;
	record = record_of(inode, first, last);
	if (!record)
		return -ENOMEM;
	cut(record, first, last);
	sim_record_add(inode->disk, record);
	return 0;
}

static int change(struct sim_inode *inode, int mode, int64_t begin, int64_t end)
{
	int r = 0;

	if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		r = punch(inode, begin, end);
	if (r < 0 || mode & FALLOC_FL_PUNCH_HOLE)
		return r;
	if (strikes_full(inode->disk))
		return -ENOSPC;
	r = add_pages(inode, (uint64_t)begin / SIM_PAGE, sim_pages_in(end));
	if (r >= 0 && !(mode & FALLOC_FL_KEEP_SIZE) && end > inode->size)
		r = grow(inode, end);
	return r;
}

int sim_fallocate(struct sim_file *file, int mode, int64_t offset, int64_t length)
{
	int r;

	if (offset < 0 || length <= 0)
		return -EINVAL;
	if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE) ||
	    (mode & FALLOC_FL_PUNCH_HOLE && mode != (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)))
		return -EOPNOTSUPP;
	if (file->flags & O_PATH || (file->flags & O_ACCMODE) == O_RDONLY)
		return -EBADF;
	if (file->class != &sim_regular_class)
		return sim_file_is_on_disk(file) ? -ENODEV : -ESPIPE;
	r = check(file);
	if (r < 0)
		return r;
	if (offset > SIM_FILE_MAX - length)
		return -EFBIG;
	sim_inode_touch(sim_disk_file(file)->inode, true);
	return change(sim_disk_file(file)->inode, mode, offset, offset + length);
}
