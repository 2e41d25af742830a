/* SPDX-License-Identifier: MIT */
/*
 * One directory that is being read: a descriptor, and a batch of its entries. A batch is read on a thread of the
 * executor, in one call that also opens the directory, asks for what the entries do not tell, and finds out whether
 * there is more: a small directory costs one trip to a thread.
 */
#ifndef NORIA_FILE_LISTING_H
#define NORIA_FILE_LISTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct looked;
struct statx;

enum listing_flags {
	LISTING_NOFOLLOW = 1 << 0, /* the directory itself is no symbolic link */
	LISTING_TARGETS = 1 << 1,  /* of an entry that is a link tell what it points to */
	LISTING_STATX = 1 << 2,
};

struct listing {
	int fd;         /* -1: not open */
	unsigned flags; /* of enum listing_flags */
	bool ended;     /* no batch comes after this one */
	uint64_t device, inode;
	char *batch;                   /* of struct dirent64 */
	struct looked *looked;         /* for each of them, with LISTING_STATX */
	size_t size, position, before; /* of the batch; in it, the next entry and the last that was given */
	unsigned index;                /* in `looked` */
};

/* An entry, in the batch. */
struct listed {
	const char *name;
	uint64_t inode;
	int type, error;
	const struct statx *statx;
};

void noria_listing_init(struct listing *listing, unsigned flags);
/* Open it and read the first batch. A checkpoint. `path` must stay until it returns. */
int noria_listing_open(struct listing *listing, int dirfd, const char *path);
/* 1 and the next entry, valid until the next call; 0 at the end; a negative errno, and it can be tried again. */
int noria_listing_next(struct listing *listing, struct listed *ret_listed);
/* Back by the entry that was given last: it comes again. */
void noria_listing_back(struct listing *listing);
/* Always completes. */
void noria_listing_close(struct listing *listing);

#endif
