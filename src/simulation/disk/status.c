/* SPDX-License-Identifier: MIT */
/* What is told of a file and of its disk. */
#include "simulation/disk/inode.h"

#include "simulation/host.h"
#include "simulation/world.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/stat.h>
#include <string.h>
#include <sys/sysmacros.h>

enum { DISK_MAJOR = 8, SECOND_NS = 1000000000, EXT4_MAGIC = 0xef53, KNOWN_FLAGS = AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH };

static struct timespec timespec_of(int64_t ns)
{
	return (struct timespec){.tv_sec = ns / SECOND_NS, .tv_nsec = ns % SECOND_NS};
}

static unsigned links_of(const struct sim_inode *inode)
{
	if (!S_ISDIR(inode->mode))
		return inode->links;
	return inode->parent ? 2 + inode->directories : 0;
}

static int64_t size_of(const struct sim_inode *inode)
{
	return S_ISDIR(inode->mode) ? SIM_PAGE : inode->size;
}

static void fill(const struct sim_inode *inode, struct stat *status)
{
	*status = (struct stat){
		.st_dev = makedev(DISK_MAJOR, inode->disk->host->number),
		.st_ino = inode->number,
		.st_mode = inode->mode,
		.st_nlink = links_of(inode),
		.st_rdev = inode->device,
		.st_size = size_of(inode),
		.st_blksize = SIM_PAGE,
		.st_blocks = (blkcnt_t)inode->pages_count * (SIM_PAGE / SIM_SECTOR),
		.st_atim = timespec_of(inode->accessed_ns),
		.st_mtim = timespec_of(inode->modified_ns),
		.st_ctim = timespec_of(inode->changed_ns),
	};
}

int sim_fstat(struct sim_file *file, struct stat *ret_status)
{
	if (sim_file_is_dead(file))
		return -EHOSTDOWN;
	if (sim_file_is_on_disk(file)) {
		fill(sim_disk_file(file)->inode, ret_status);
		return 0;
	}
	*ret_status = (struct stat){.st_mode = S_IFREG | 0600, .st_nlink = 1, .st_blksize = SIM_PAGE};
	if (file->class->is_socket)
		ret_status->st_mode = S_IFSOCK | 0777;
	else if (strcmp(file->class->noun, "pipe") == 0)
		ret_status->st_mode = S_IFIFO | 0600;
	return 0;
}

static unsigned path_flags(int flags)
{
	return (flags & AT_SYMLINK_NOFOLLOW ? 0 : SIM_PATH_FOLLOW) | (flags & AT_EMPTY_PATH ? SIM_PATH_EMPTY : 0);
}

/* By an empty path also files that are on no disk. */
static struct sim_file *file_itself(struct sim_host *host, int dirfd, const char *path, int flags)
{
	return !*path && flags & AT_EMPTY_PATH && dirfd != AT_FDCWD ? sim_fd_file(host->world, dirfd) : NULL;
}

int sim_fstatat(struct sim_host *host, int dirfd, const char *path, struct stat *ret_status, int flags)
{
	struct sim_file *file = file_itself(host, dirfd, path, flags);
	struct sim_inode *inode;
	int r;

	if (file)
		return sim_fstat(file, ret_status);
	if (flags & ~(KNOWN_FLAGS | AT_NO_AUTOMOUNT))
		return -EINVAL;
	r = sim_path_find(host, dirfd, path, path_flags(flags), &inode);
	if (r >= 0)
		fill(inode, ret_status);
	return r;
}

static struct statx_timestamp timestamp_of(struct timespec time)
{
	return (struct statx_timestamp){.tv_sec = time.tv_sec, .tv_nsec = (unsigned)time.tv_nsec};
}

static void fill_statx(const struct stat *from, struct statx *status)
{
	*status = (struct statx){
		.stx_mask = STATX_BASIC_STATS,
		.stx_blksize = (unsigned)from->st_blksize,
		.stx_nlink = (unsigned)from->st_nlink,
		.stx_mode = (uint16_t)from->st_mode,
		.stx_ino = from->st_ino,
		.stx_size = (uint64_t)from->st_size,
		.stx_blocks = (uint64_t)from->st_blocks,
		.stx_atime = timestamp_of(from->st_atim),
		.stx_ctime = timestamp_of(from->st_ctim),
		.stx_mtime = timestamp_of(from->st_mtim),
		.stx_rdev_major = major(from->st_rdev),
		.stx_rdev_minor = minor(from->st_rdev),
		.stx_dev_major = major(from->st_dev),
		.stx_dev_minor = minor(from->st_dev),
	};
}

static void fill_more(const struct sim_inode *inode, unsigned mask, struct statx *status)
{
	struct timespec born = timespec_of(inode->born_ns);

	status->stx_mask |= STATX_BTIME;
	status->stx_btime = timestamp_of(born);
#ifdef STATX_DIOALIGN
	if (mask & STATX_DIOALIGN && S_ISREG(inode->mode)) {
		status->stx_mask |= STATX_DIOALIGN;
		status->stx_dio_mem_align = status->stx_dio_offset_align = SIM_SECTOR;
	}
#else
	(void)mask;
#endif
}

int sim_statx(struct sim_host *host, int dirfd, const char *path, int flags, unsigned mask, struct statx *ret_status)
{
	struct sim_file *file = file_itself(host, dirfd, path, flags);
	struct sim_inode *inode = NULL;
	struct stat status;
	int r;

	if (flags & ~(KNOWN_FLAGS | AT_NO_AUTOMOUNT | AT_STATX_SYNC_TYPE) || mask & STATX__RESERVED)
		return -EINVAL;
	if (file && !sim_file_is_on_disk(file))
		r = sim_fstat(file, &status);
	else
		r = sim_path_find(host, dirfd, path, path_flags(flags), &inode);
	if (r < 0)
		return r;
	if (inode)
		fill(inode, &status);
	fill_statx(&status, ret_status);
	if (inode)
		fill_more(inode, mask, ret_status);
	return 0;
}

/* ---- disks ---- */

static void fill_statfs(const struct sim_disk *disk, struct statfs *status)
{
	uint64_t spare = disk->pages < disk->pages_max ? disk->pages_max - disk->pages : 0;

	memset(status, 0, sizeof *status);
	status->f_type = EXT4_MAGIC;
	status->f_bsize = status->f_frsize = SIM_PAGE;
	status->f_blocks = disk->pages_max;
	status->f_bfree = status->f_bavail = spare;
	status->f_files = status->f_ffree = disk->pages_max;
	status->f_namelen = SIM_NAME_MAX;
}

int sim_fstatfs(struct sim_file *file, struct statfs *ret_status)
{
	if (!sim_file_is_on_disk(file))
		return -ENOSYS;
	if (sim_file_is_dead(file))
		return -EHOSTDOWN;
	fill_statfs(sim_disk_file(file)->inode->disk, ret_status);
	return 0;
}

int sim_statfs(struct sim_host *host, const char *path, struct statfs *ret_status)
{
	struct sim_inode *inode;
	int r = sim_path_find(host, AT_FDCWD, path, SIM_PATH_FOLLOW, &inode);

	if (r >= 0)
		fill_statfs(inode->disk, ret_status);
	return r;
}
