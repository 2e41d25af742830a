/* SPDX-License-Identifier: MIT */
/*
 * Reading directories in batches. The reader runs on a thread of the executor and owns the listing until its call
 * returns. A reader whose caller was cancelled puts the directory's position back to where the batch began, so that
 * nothing is lost for whoever goes on later.
 */
#include "file/listing.h"

#include "base/memory.h"
#include "file/blocking.h"
#include "noria/offload.h"
#include "noria/op.h"
#include "scope/failure.h"
#include "scope/scope.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum {
	BATCH = 32 * 1024,
	BATCH_LOOKED = 8 * 1024, /* each of its entries, of 24 bytes or more, brings a struct statx */
	ENTRY_MAX = sizeof(struct dirent64) + 8,
};

struct looked {
	struct statx statx;
	int error;
};

struct reader {
	struct listing *listing;
	int dirfd;
	const char *path;
};

void noria_listing_init(struct listing *listing, unsigned flags)
{
	*listing = (struct listing){.fd = -1, .flags = flags};
}

static void drop_batch(struct listing *listing)
{
	free(listing->batch);
	free(listing->looked);
	listing->batch = NULL;
	listing->looked = NULL;
	listing->size = listing->position = 0;
	listing->index = 0;
}

static int open_directory(struct reader *reader)
{
	struct listing *listing = reader->listing;
	int nofollow = listing->flags & LISTING_NOFOLLOW ? O_NOFOLLOW : 0;
	struct stat status;
	int fd = openat(reader->dirfd, reader->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | nofollow);

	if (fd < 0)
		return -errno;
	if (fstat(fd, &status) < 0) {
		int r = -errno;

		close(fd);
		return r;
	}
	listing->fd = fd;
	listing->device = status.st_dev;
	listing->inode = status.st_ino;
	return 0;
}

/* As much as fits, so that the end of a small directory is known at once. */
static int read_entries(struct listing *listing, size_t room)
{
	while (!listing->ended && room - listing->size >= ENTRY_MAX) {
		ssize_t n = getdents64(listing->fd, listing->batch + listing->size, room - listing->size);

		if (n < 0 && errno != ENOENT)
			return listing->size > 0 ? 0 : -errno; /* it says so again at the next batch */
		if (n <= 0)
			listing->ended = true; /* -ENOENT: it was removed */
		else
			listing->size += (size_t)n;
	}
	return 0;
}

static struct dirent64 *entry_at(const struct listing *listing, size_t position)
{
	return (struct dirent64 *)(listing->batch + position);
}

static size_t count_entries(const struct listing *listing)
{
	size_t count = 0;

	for (size_t at = 0; at < listing->size; at += entry_at(listing, at)->d_reclen)
		count++;
	return count;
}

static int ask(const struct listing *listing, const char *name, struct statx *ret_statx)
{
	int flags = AT_NO_AUTOMOUNT | AT_SYMLINK_NOFOLLOW, r = -1;

	if (listing->flags & LISTING_TARGETS)
		r = statx(listing->fd, name, AT_NO_AUTOMOUNT, STATX_BASIC_STATS | STATX_BTIME, ret_statx);
	if (r < 0) /* a link may point nowhere */
		r = statx(listing->fd, name, flags, STATX_BASIC_STATS | STATX_BTIME, ret_statx);
	return r < 0 ? -errno : 0;
}

static bool must_ask(const struct listing *listing, const struct dirent64 *entry)
{
	return entry->d_type == DT_UNKNOWN || listing->looked ||
	       (entry->d_type == DT_LNK && (listing->flags & LISTING_TARGETS));
}

static int look_at_entries(struct listing *listing)
{
	struct looked one, *looked = listing->looked ? listing->looked : &one;

	for (size_t at = 0; at < listing->size; at += entry_at(listing, at)->d_reclen) {
		struct dirent64 *entry = entry_at(listing, at);

		if (must_ask(listing, entry)) {
			if (noria_offload_cancelled())
				return -ECANCELED;
			looked->error = ask(listing, entry->d_name, &looked->statx);
			if (looked->error == 0)
				entry->d_type = (unsigned char)IFTODT(looked->statx.stx_mode);
		}
		looked += listing->looked ? 1 : 0;
	}
	return 0;
}

static int read_batch(struct listing *listing)
{
	size_t room = listing->flags & LISTING_STATX ? BATCH_LOOKED : BATCH;
	char *smaller;
	int r;

	listing->batch = memory_new(room);
	if (!listing->batch)
		return -ENOMEM;
	r = read_entries(listing, room);
	if (r < 0)
		return r;
	smaller = memory_resize(listing->batch, listing->size + 1);
	listing->batch = smaller ? smaller : listing->batch;
	if (listing->flags & LISTING_STATX) {
		listing->looked = memory_new((count_entries(listing) + 1) * sizeof *listing->looked);
		if (!listing->looked)
			return -ENOMEM;
	}
	return look_at_entries(listing);
}

/* On a thread of the executor. */
static int read_directory(void *arg)
{
	struct reader *reader = arg;
	struct listing *listing = reader->listing;
	off_t begin;
	int r = 0;

	if (listing->fd < 0)
		r = open_directory(reader);
	if (r < 0)
		return r;
	begin = lseek(listing->fd, 0, SEEK_CUR);
	r = read_batch(listing);
	if (r < 0) {
		drop_batch(listing);
		listing->ended = false;
		if (begin >= 0)
			lseek(listing->fd, begin, SEEK_SET);
	}
	return r;
}

/*
 * It uses the descriptor that it reads, or the one below which it looks for that. A reader that stopped early for a
 * cancel has not told the scope that it was heard of.
 */
static int run_reader(struct reader *reader)
{
	int fd = reader->listing->fd < 0 ? reader->dirfd : reader->listing->fd;
	struct task *task = noria_current();
	int r = noria_file_refuse_direct("reading a directory", fd, -1);

	if (r == 0)
		r = noria_file_offload(task, fd, -1, read_directory, reader);
	if (r == -ECANCELED)
		(void)scope_checkpoint(task);
	if (r < 0)
		noria_error_arose(task, r);
	return r;
}

int noria_listing_open(struct listing *listing, int dirfd, const char *path)
{
	return run_reader(&(struct reader){.listing = listing, .dirfd = dirfd, .path = path});
}

static bool is_dots(const char *name)
{
	return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

static int next_batch(struct listing *listing)
{
	drop_batch(listing);
	return run_reader(&(struct reader){.listing = listing});
}

int noria_listing_next(struct listing *listing, struct listed *ret_listed)
{
	for (;;) {
		const struct dirent64 *entry = entry_at(listing, listing->position);
		const struct looked *looked = listing->looked ? &listing->looked[listing->index] : NULL;
		int r;

		if (listing->position == listing->size) {
			if (listing->ended)
				return 0;
			r = next_batch(listing);
			if (r < 0)
				return r;
			continue;
		}
		listing->before = listing->position;
		listing->position += entry->d_reclen;
		listing->index++;
		if (is_dots(entry->d_name))
			continue;
		*ret_listed = (struct listed){.name = entry->d_name, .inode = entry->d_ino, .type = entry->d_type};
		if (looked) {
			ret_listed->error = looked->error;
			ret_listed->statx = looked->error ? NULL : &looked->statx;
		}
		return 1;
	}
}

void noria_listing_back(struct listing *listing)
{
	listing->position = listing->before;
	listing->index--;
}

void noria_listing_close(struct listing *listing)
{
	drop_batch(listing);
	if (listing->fd >= 0)
		(void)noria_close(listing->fd);
	listing->fd = -1;
}
