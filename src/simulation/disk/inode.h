/* SPDX-License-Identifier: MIT */
/*
 * What a disk is made of. Programs see inodes, names and pages as they are here; what makes them durable or takes them
 * back is kept beside them:
 *
 * - A page that was written since it was last made durable has its durable contents in `durable`.
 * - What was done to names, sizes and attributes is in the journal, in order, each with what is needed to undo it. To
 *   make it durable is to forget how it is undone; a crash undoes some of the last.
 * - `size` is what programs see, `disk_size` what it would be if no page were written any more.
 *
 * Bytes of a page behind the end of the file are zero in both of its versions.
 */
#ifndef NORIA_SIMULATION_DISK_INODE_H
#define NORIA_SIMULATION_DISK_INODE_H

#include "base/list.h"
#include "simulation/disk/disk.h"

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

enum {
	SIM_PAGE = 4096,
	SIM_SECTOR = 512,
	SIM_PAGES_FANOUT = 64,
	SIM_NAME_MAX = 255,
	SIM_JOURNAL_RECORDS = 1024,  /* then the older half is written */
	SIM_JOURNAL_PAGES = 1 << 14, /* as many, held by what is not yet durable: the same */
	SIM_PAGES_SPARE = 1 << 10,   /* kept for the next that are needed */
};
#define SIM_FILE_MAX (INT64_C(1) << 44)

struct sim_page {
	struct list node; /* in inode->dirty or inode->stale, in a record, among the spare ones */
	uint64_t index;   /* from the beginning of the file */
	bool dirty;
	struct sim_page *durable; /* its durable contents, if they may be others; NULL, and dirty: zeros */
	unsigned char bytes[SIM_PAGE];
};

/* The pages of a file by their index: a tree that is as deep as the last one needs. */
struct sim_pages {
	void *root;
	unsigned depth; /* 0: the root is page 0 itself */
};

/* A name in a directory. */
struct sim_name {
	struct list node; /* in directory->names, in the order in which they came */
	struct sim_name *chain;
	uint64_t order;
	struct sim_inode *inode; /* a reference */
	uint32_t hash;
	uint8_t length;
	char text[];
};

struct sim_attribute {
	struct list node;
	size_t size;
	char *value; /* behind the name */
	char name[];
};

struct sim_inode {
	struct list node;       /* in disk->inodes */
	struct list dirty_node; /* in disk->dirty, if a crash may change its bytes */
	struct sim_disk *disk;
	uint64_t number;
	unsigned references; /* names, open files, records */
	unsigned links;      /* names in directories */
	mode_t mode;
	bool linkable; /* it has no name yet, and may get one: O_TMPFILE */
	dev_t device;  /* of a device */
	int64_t accessed_ns, modified_ns, changed_ns, born_ns;
	struct list attributes;

	/* bytes; of a symbolic link its target */
	int64_t size, disk_size;
	struct sim_pages pages;
	uint64_t pages_count;
	struct list dirty; /* pages that are written by the next sync */
	struct list stale; /* pages whose write failed: they look written, and are not */
	unsigned errors;   /* syncs that failed: each open file hears of it once */
	char *target;

	/* a directory */
	struct list names;
	struct sim_name **buckets;
	unsigned buckets_count, names_count, directories;
	uint64_t order;
	struct sim_inode *parent; /* NULL: it has been removed */

	/* records that have to be durable with it: of its data and size; of anything */
	uint64_t data_record, last_record;
};

/* ---- the journal ---- */

enum sim_record_kind { SIM_RECORD_NAMES, SIM_RECORD_BYTES, SIM_RECORD_MODE, SIM_RECORD_ATTRIBUTE };

struct sim_record {
	struct list node;
	enum sim_record_kind kind;
	uint64_t number;
	uint64_t weight;         /* pages that it keeps */
	struct sim_inode *inode; /* of all but names; a reference */
	union {
		/* In this directory the one took the place of the other; either may be NULL. */
		struct {
			struct sim_inode *directory;
			struct sim_name *removed, *inserted;
		} changes[2];
		/* From this page to that one there were these only, and sizes were as they say. */
		struct {
			uint64_t from, to;
			struct list pages;
			int64_t size, disk_size;
		} bytes;
		mode_t mode;
		/* The value took the place of the other; either may be NULL. */
		struct {
			struct sim_attribute *removed, *inserted;
		} attribute;
	};
};

struct sim_disk {
	struct sim_host *host;
	struct sim_inode *root;
	struct list inodes, dirty;
	struct list journal;
	unsigned records;
	uint64_t record_number, records_weight;
	uint64_t inode_number;
	uint64_t pages, pages_max; /* of capacity */
	struct list spare;
	unsigned spares;
	mode_t umask;
};

struct sim_disk_file {
	struct sim_file file;
	struct sim_inode *inode;
	int64_t position;
	unsigned errors_seen;
};

/* inode.c */
struct sim_inode *sim_inode_new(struct sim_disk *disk, mode_t mode);
struct sim_inode *sim_inode_ref(struct sim_inode *inode);
void sim_inode_unref(struct sim_inode *inode);
void sim_inode_touch(struct sim_inode *inode, bool modified);
int sim_file_of(struct sim_inode *inode, struct sim_host *host, const char *origin, int flags,
		struct sim_file **ret_file);
void sim_disk_file_release(struct sim_file *file);
static inline struct sim_disk_file *sim_disk_file(struct sim_file *file)
{
	return container_of(file, struct sim_disk_file, file);
}

/* names.c: in a directory, without a word to the journal */
struct sim_name *sim_name_find(const struct sim_inode *directory, const char *text, size_t length);
struct sim_name *sim_name_new(struct sim_inode *inode, const char *text, size_t length);
void sim_name_free(struct sim_name *name);
/* Room for one more, so that insertion cannot fail. */
bool sim_name_room(struct sim_inode *directory);
void sim_name_insert(struct sim_inode *directory, struct sim_name *name);
void sim_name_remove(struct sim_inode *directory, struct sim_name *name);

/* pages.c */
struct sim_page *sim_page_find(const struct sim_inode *inode, uint64_t index);
/* The next one at this index or behind it, or NULL. */
struct sim_page *sim_page_next(const struct sim_inode *inode, uint64_t index);
/* A page of zeros where none is, dirty; it is the caller's to keep within the capacity. NULL: no memory. */
struct sim_page *sim_page_add(struct sim_inode *inode, uint64_t index);
bool sim_page_put(struct sim_inode *inode, struct sim_page *page);
/* Out of the file, and off the lists of those that are dirty or stale. */
void sim_page_take(struct sim_inode *inode, struct sim_page *page);
struct sim_page *sim_page_alloc(struct sim_disk *disk);
void sim_page_free(struct sim_disk *disk, struct sim_page *page);
/* A copy that may take its place. */
struct sim_page *sim_page_copy(struct sim_disk *disk, const struct sim_page *page);
/* It is about to be written. False: no memory. */
bool sim_page_dirty(struct sim_inode *inode, struct sim_page *page);
void sim_page_clean(struct sim_inode *inode, struct sim_page *page);
/* Zeros from here to the end of the page, in both versions. */
void sim_page_zero_end(struct sim_page *page, size_t from);
void sim_pages_drop(struct sim_inode *inode, uint64_t from, uint64_t to);
void sim_inode_is_dirty(struct sim_inode *inode);

/* journal.c */
struct sim_record *sim_record_new(struct sim_disk *disk, enum sim_record_kind kind, struct sim_inode *inode);
void sim_record_drop(struct sim_disk *disk, struct sim_record *record);
/* It has been done. Takes it over. */
void sim_record_add(struct sim_disk *disk, struct sim_record *record);
/* All up to this number are durable. */
void sim_journal_write(struct sim_disk *disk, uint64_t number);
/* The last is undone. */
void sim_journal_undo(struct sim_disk *disk);

/* path.c */
struct sim_path {
	struct sim_inode *directory; /* that holds the last name; NULL: there is none (/, ., ..) */
	const char *text;            /* the last name: in the path, or in the target of a symbolic link */
	size_t length;
	struct sim_inode *inode; /* what is there, or NULL */
	bool slash;              /* follows: it must be a directory */
};
enum { SIM_PATH_FOLLOW = 1, SIM_PATH_EMPTY = 2 };
/* Where a path leads. A last name that does not exist is no error: `inode` is NULL. */
int sim_path_walk(struct sim_host *host, int dirfd, const char *path, unsigned flags, uint64_t resolve,
		  struct sim_path *ret_path);
/* The same, and something has to be there. */
int sim_path_find(struct sim_host *host, int dirfd, const char *path, unsigned flags, struct sim_inode **ret_inode);
/* The file that a path in /proc/self/fd stands for, or NULL. */
struct sim_file *sim_path_of_fd(struct sim_host *host, const char *path);

/* tree.c: a new name, with a word to the journal */
int sim_tree_add(struct sim_inode *directory, const char *text, size_t length, struct sim_inode *inode);

/* regular.c, directory.c, device.c */
extern const struct sim_file_class sim_regular_class, sim_directory_class, sim_device_class;

/* space.c */
int sim_inode_resize(struct sim_inode *inode, int64_t size);
bool sim_disk_has_room(struct sim_disk *disk, uint64_t pages);
static inline uint64_t sim_pages_in(int64_t size)
{
	return ((uint64_t)size + SIM_PAGE - 1) / SIM_PAGE;
}

/* sync.c */
void sim_inode_sync(struct sim_inode *inode, bool data_only);

enum {
	SIM_DEVICE_MAJOR = 1,
	SIM_DEVICE_NULL = 3,
	SIM_DEVICE_ZERO = 5,
	SIM_DEVICE_FULL = 7,
	SIM_DEVICE_RANDOM = 8,
	SIM_DEVICE_URANDOM = 9,
};

#endif
