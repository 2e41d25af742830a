/* SPDX-License-Identifier: MIT */
/* Regular files that are open: reading and writing at offsets, positions, and copies from one to another. */
#include "simulation/disk/inode.h"

#include "simulation/host.h"
#include "simulation/world.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* RWF_*, by number: older headers do not have them all. */
enum { DSYNC = 0x02, SYNC = 0x04, APPEND = 0x10, NOAPPEND = 0x20, KNOWN = 0xbf };

static const unsigned char zeros[SIM_PAGE];

bool sim_file_is_on_disk(const struct sim_file *file)
{
	return file->class == &sim_regular_class || file->class == &sim_directory_class ||
	       file->class == &sim_device_class;
}

/* ---- what is the same for reading and writing ---- */

static bool is_aligned(const struct sim_transfer *transfer, int64_t offset)
{
	uintptr_t all = (uintptr_t)offset;

	for (size_t i = 0; i < transfer->count; i++)
		all |= (uintptr_t)transfer->vector[i].iov_base | transfer->vector[i].iov_len;
	return all % SIM_SECTOR == 0;
}

/* Returns where it begins, or an error. */
static int64_t check(struct sim_file *file, const struct sim_transfer *transfer, int closed_mode)
{
	int64_t offset = transfer->offset == -1 ? sim_disk_file(file)->position : transfer->offset;

	if ((file->flags & O_ACCMODE) == closed_mode || file->flags & O_PATH)
		return -EBADF;
	if (transfer->flags & ~KNOWN)
		return -EOPNOTSUPP;
	if (offset < 0)
		return -EINVAL;
	if (closed_mode == O_RDONLY && !(transfer->flags & NOAPPEND) &&
	    (file->flags & O_APPEND || transfer->flags & APPEND))
		offset = sim_disk_file(file)->inode->size;
	if (file->flags & O_DIRECT && !is_aligned(transfer, offset))
		return -EINVAL;
	return offset;
}

/* A fault makes it less, but not nothing; what is moved directly stays whole sectors. */
static size_t shorten(struct sim_file *file, size_t size)
{
	size_t unit = file->flags & O_DIRECT ? SIM_SECTOR : 1;

	if (size <= unit || !sim_strikes(&file->world->plan, SIM_FAULT_SHORT))
		return size;
	return (1 + sim_draw(file->world, SIM_CHOICE_SHORT, (size - 1) / unit)) * unit;
}

static size_t part_of_page(int64_t offset, size_t left)
{
	size_t part = SIM_PAGE - (size_t)offset % SIM_PAGE;

	return part < left ? part : left;
}

/* ---- reading ---- */

static void read_pages(struct sim_inode *inode, struct sim_transfer *transfer, int64_t offset, size_t size)
{
	for (size_t done = 0; done < size;) {
		const struct sim_page *page = sim_page_find(inode, (uint64_t)offset / SIM_PAGE);
		const unsigned char *bytes = page ? page->bytes : zeros;
		size_t part = part_of_page(offset, size - done);

		sim_transfer_to(transfer, done, bytes + (size_t)offset % SIM_PAGE, part);
		done += part;
		offset += (int64_t)part;
	}
}

static int64_t regular_read(struct sim_file *file, struct sim_transfer *transfer)
{
	struct sim_disk_file *opened = sim_disk_file(file);
	int64_t offset = check(file, transfer, O_WRONLY), left = opened->inode->size - offset;
	size_t size;

	if (offset < 0)
		return offset;
	if (transfer->size > 0 && sim_strikes(&file->world->plan, SIM_FAULT_IO))
		return -EIO;
	if (left <= 0)
		return 0;
	size = shorten(file, transfer->size < (uint64_t)left ? transfer->size : (size_t)left);
	read_pages(opened->inode, transfer, offset, size);
	if (transfer->offset == -1 && !(transfer->flags & MSG_PEEK))
		opened->position = offset + (int64_t)size;
	return (int64_t)size;
}

/* ---- writing ---- */

/* The page to be written, `asked` for room once in a call. NULL: *ret says why. */
static struct sim_page *page_to_write(struct sim_inode *inode, uint64_t index, bool *asked, int *ret)
{
	struct sim_page *page = sim_page_find(inode, index);

	*ret = -ENOMEM;
	if (page)
		return sim_page_dirty(inode, page) ? page : NULL;
	if ((!*asked && sim_strikes(&inode->disk->host->world->plan, SIM_FAULT_NOSPC)) ||
	    !sim_disk_has_room(inode->disk, 1)) {
		*ret = -ENOSPC;
		return NULL;
	}
	*asked = true;
	return sim_page_add(inode, index);
}

static int64_t write_pages(struct sim_inode *inode, struct sim_transfer *transfer, int64_t offset, size_t size)
{
	bool asked = false;
	size_t done = 0;

	while (done < size) {
		int r;
		struct sim_page *page = page_to_write(inode, (uint64_t)offset / SIM_PAGE, &asked, &r);
		size_t part = part_of_page(offset, size - done);

		if (!page)
			return done > 0 ? (int64_t)done : r;
		sim_transfer_from(transfer, done, page->bytes + (size_t)offset % SIM_PAGE, part);
		done += part;
		offset += (int64_t)part;
		inode->size = offset > inode->size ? offset : inode->size;
	}
	return (int64_t)done;
}

static int64_t regular_write(struct sim_file *file, struct sim_transfer *transfer)
{
	struct sim_disk_file *opened = sim_disk_file(file);
	int64_t offset = check(file, transfer, O_RDONLY), n;
	size_t size = transfer->size;
	int r = 0;

	if (offset < 0 || size == 0)
		return offset < 0 ? offset : 0;
	if (offset >= SIM_FILE_MAX)
		return -EFBIG;
	if (sim_strikes(&file->world->plan, SIM_FAULT_IO))
		return -EIO;
	size = size < (uint64_t)(SIM_FILE_MAX - offset) ? size : (size_t)(SIM_FILE_MAX - offset);
	n = write_pages(opened->inode, transfer, offset, shorten(file, size));
	if (n < 0)
		return n;
	sim_inode_touch(opened->inode, true);
	if (transfer->offset == -1)
		opened->position = offset + n;
	if (file->flags & O_DSYNC || transfer->flags & (DSYNC | SYNC))
		r = sim_fsync(file, (file->flags & O_SYNC) != O_SYNC && !(transfer->flags & SYNC));
	return r < 0 ? r : n;
}

const struct sim_file_class sim_regular_class = {
	.noun = "file",
	.seekable = true,
	.read = regular_read,
	.write = regular_write,
	.release = sim_disk_file_release,
};

/* ---- positions ---- */

static int64_t find_data(const struct sim_inode *inode, int64_t offset)
{
	const struct sim_page *page = sim_page_next(inode, (uint64_t)offset / SIM_PAGE);
	int64_t begin = page ? (int64_t)page->index * SIM_PAGE : INT64_MAX;

	if (begin >= inode->size)
		return -ENXIO;
	return begin > offset ? begin : offset;
}

static int64_t find_hole(const struct sim_inode *inode, int64_t offset)
{
	while (offset < inode->size && sim_page_find(inode, (uint64_t)offset / SIM_PAGE))
		offset = (offset / SIM_PAGE + 1) * SIM_PAGE;
	return offset < inode->size ? offset : inode->size;
}

static int64_t seek_to(const struct sim_disk_file *opened, int64_t offset, int whence)
{
	const struct sim_inode *inode = opened->inode;

	switch (whence) {
	case SEEK_SET:
		return offset;
	case SEEK_CUR:
		return opened->position + offset;
	case SEEK_END:
		return inode->size + offset;
	case SEEK_DATA:
	case SEEK_HOLE:
		if (offset < 0 || offset >= inode->size)
			return -ENXIO;
		return whence == SEEK_DATA ? find_data(inode, offset) : find_hole(inode, offset);
	default:
		return -EINVAL;
	}
}

int64_t sim_lseek(struct sim_file *file, int64_t offset, int whence)
{
	int64_t to;

	if (!sim_file_is_on_disk(file))
		return -ESPIPE;
	if (file->flags & O_PATH)
		return -EBADF;
	if (sim_file_is_dead(file))
		return -EHOSTDOWN;
	if (file->class == &sim_device_class)
		return 0;
	to = seek_to(sim_disk_file(file), offset, whence);
	if (to < 0 || to > SIM_FILE_MAX)
		return to == -ENXIO ? -ENXIO : -EINVAL;
	sim_disk_file(file)->position = to;
	return to;
}

/* ---- copies ---- */

/* Up to a page. `in` and `out` are where, or -1. */
static int64_t copy_page(struct sim_file *in, int64_t in_offset, struct sim_file *out, int64_t out_offset, size_t size)
{
	unsigned char page[SIM_PAGE];
	struct iovec vector = {.iov_base = page, .iov_len = size < sizeof page ? size : sizeof page};
	struct sim_transfer transfer = {.vector = &vector, .count = 1, .size = vector.iov_len, .host = in->host};
	int64_t n;

	transfer.offset = in_offset;
	n = in->class->read(in, &transfer);
	if (n <= 0)
		return n;
	vector.iov_len = transfer.size = (size_t)n;
	transfer.offset = out_offset;
	return out->class->write(out, &transfer);
}

static int check_copy(struct sim_file *in, int64_t in_offset, struct sim_file *out, int64_t out_offset, size_t size)
{
	if (in->class == &sim_directory_class || out->class == &sim_directory_class)
		return -EISDIR;
	if (in->class != &sim_regular_class || out->class != &sim_regular_class)
		return -EINVAL;
	if (sim_file_is_dead(in) || sim_file_is_dead(out))
		return -EHOSTDOWN;
	if ((in->flags & O_ACCMODE) == O_WRONLY || (out->flags & O_ACCMODE) == O_RDONLY || out->flags & O_APPEND ||
	    (in->flags | out->flags) & O_PATH)
		return -EBADF;
	if (sim_disk_file(in)->inode->disk != sim_disk_file(out)->inode->disk)
		return -EXDEV;
	if (in_offset < 0 || out_offset < 0)
		return -EINVAL;
	if (sim_disk_file(in)->inode == sim_disk_file(out)->inode && in_offset < out_offset + (int64_t)size &&
	    out_offset < in_offset + (int64_t)size)
		return -EINVAL;
	return 0;
}

int64_t sim_copy_file_range(struct sim_file *in, int64_t *in_offset, struct sim_file *out, int64_t *out_offset,
			    size_t size, unsigned flags)
{
	int64_t *from = in_offset, *to = out_offset, done = 0, n = 0;
	int r;

	if (flags)
		return -EINVAL;
	from = from || !sim_file_is_on_disk(in) ? from : &sim_disk_file(in)->position;
	to = to || !sim_file_is_on_disk(out) ? to : &sim_disk_file(out)->position;
	size = size < SIM_FILE_MAX ? size : SIM_FILE_MAX;
	r = check_copy(in, from ? *from : 0, out, to ? *to : 0, size);
	if (r < 0)
		return r;
	while ((uint64_t)done < size) {
		n = copy_page(in, *from, out, *to, size - (size_t)done);
		if (n <= 0)
			break;
		*from += n;
		*to += n;
		done += n;
	}
	return done > 0 ? done : n;
}
