/* SPDX-License-Identifier: MIT */
/*
 * Copies a file or a tree: `copy SOURCE TARGET`. What is there already is not overwritten; mode and times are kept. A file
 * that cannot be copied is named, and does not stop the others.
 *
 * One task walks the tree, makes directories, and spawns a child for each file into a group that takes FILES_AT_ONCE of
 * them: a spawn beyond waits until one has ended. SIGINT ends the walk; files under way are finished, and after a second
 * one, or when that takes too long, what was begun of them is removed. The counters need no lock: tasks of one runtime run
 * on one thread.
 */
#include <noria/noria.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/stat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILES_AT_ONCE = 16 };

/* What goes over from the source besides its bytes. */
struct attributes {
	mode_t mode;
	struct timespec times[2];
};

/* A directory gets its mode and times when all is in it. */
struct directory {
	struct directory *next;
	struct attributes attributes;
	char path[];
};

struct copy {
	const char *source, *target;
	int from, to; /* directories, of a tree */
	uint64_t target_inode;
	struct directory *directories; /* the last one first */
	unsigned long files, failed;
	size_t bytes;
	bool interrupted;
};

/* A child's own. */
struct file {
	struct copy *copy;
	struct attributes attributes;
	int from, to;
	const char *source, *target;
	char path[];
};

static struct timespec to_timespec(struct statx_timestamp stamp)
{
	return (struct timespec){.tv_sec = stamp.tv_sec, .tv_nsec = stamp.tv_nsec};
}

static struct attributes attributes_of(const struct statx *status)
{
	return (struct attributes){
		.mode = status->stx_mode & 07777,
		.times = {to_timespec(status->stx_atime), to_timespec(status->stx_mtime)},
	};
}

/* An error of one file is noted. To be cancelled is none, and ends the caller. */
static int note(struct copy *copy, const char *path, int error)
{
	if (error == -ECANCELED || error >= 0)
		return error;
	fprintf(stderr, "copy: %s: %s\n", path, strerror(-error));
	copy->failed++;
	return 0;
}

static int fill(int in, int out, const struct file *file)
{
	ssize_t moved = noria_try(noria_copy_file_range_all(in, NULL, out, NULL, SIZE_MAX, 0));

	noria_try(noria_fchmod(out, file->attributes.mode));
	noria_try(noria_futimens(out, file->attributes.times));
	file->copy->files++;
	file->copy->bytes += (size_t)moved;
	return 0;
}

static int copy_file(const struct file *file)
{
	noria_autoclose int in = noria_try(noria_openat(file->from, file->source, O_RDONLY | O_CLOEXEC, 0));
	noria_autoclose int out =
		noria_try(noria_openat(file->to, file->target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
	int r = fill(in, out, file);

	/* Half a file is none; and it has to go although the task may be cancelled. */
	if (r < 0)
		noria_try(noria_shielded(noria_sec(5), noria_unlinkat(file->to, file->target, 0)));
	return r;
}

static int copy_in_child(void *arg)
{
	struct file *file = arg;
	int r = note(file->copy, file->source, copy_file(file));

	free(file);
	return r;
}

static int make_link(struct copy *copy, const char *path)
{
	char target[PATH_MAX];
	ssize_t length = noria_try(noria_readlinkat(copy->from, path, target, sizeof target - 1));

	target[length] = '\0';
	return noria_symlinkat(target, copy->to, path);
}

static int make_directory(struct copy *copy, const struct noria_walk_entry *entry)
{
	size_t size = strlen(entry->path) + 1;
	struct directory *directory;

	noria_try(noria_mkdirat(copy->to, entry->path, 0700));
	directory = malloc(sizeof *directory + size);
	if (!directory)
		return -ENOMEM;
	*directory = (struct directory){.next = copy->directories, .attributes = attributes_of(entry->statx)};
	memcpy(directory->path, entry->path, size);
	copy->directories = directory;
	return 0;
}

static int start_file(struct noria_group *group, struct copy *copy, const struct noria_walk_entry *entry)
{
	size_t size = strlen(entry->path) + 1;
	struct file *file = malloc(sizeof *file + size);
	int r;

	if (!file)
		return -ENOMEM;
	*file = (struct file){.copy = copy,
			      .attributes = attributes_of(entry->statx),
			      .from = copy->from,
			      .to = copy->to,
			      .source = file->path,
			      .target = file->path};
	memcpy(file->path, entry->path, size);
	r = noria_spawn(group, copy_in_child, file);
	if (r < 0)
		free(file); /* it is the child's only if there is one */
	return r;
}

/* One entry of the tree. */
static int take(struct noria_group *group, struct copy *copy, const struct noria_walk_entry *entry)
{
	if (entry->error < 0)
		return entry->error;
	switch (entry->type) {
	case DT_REG:
		return start_file(group, copy, entry);
	case DT_LNK:
		return make_link(copy, entry->path);
	case DT_DIR:
		return make_directory(copy, entry);
	default:
		return -EOPNOTSUPP; /* devices, sockets, FIFOs */
	}
}

static int walk(struct noria_group *group, struct copy *copy)
{
	noria_autowalk struct noria_walk *walk = NULL;
	struct noria_walk_entry entry;

	noria_try(noria_walk_open(copy->from, ".", NORIA_WALK_STATX, 0, &walk));
	while (!noria_draining() && noria_try(noria_walk_next(walk, &entry)) > 0) {
		bool whole = entry.type != DT_DIR || entry.inode != copy->target_inode;
		int r = whole ? take(group, copy, &entry) : 0; /* the target itself may be in the source */

		if (entry.type == DT_DIR && (r < 0 || !whole))
			noria_walk_skip(walk);
		noria_try(note(copy, entry.path, r));
	}
	return 0;
}

/* All of them are inside those that are listed after them. */
static void finish_directories(struct copy *copy)
{
	struct directory *directory;

	while ((directory = copy->directories)) {
		int r = noria_fchmodat(copy->to, directory->path, directory->attributes.mode, 0);

		if (r >= 0)
			r = noria_utimensat(copy->to, directory->path, directory->attributes.times, 0);
		(void)note(copy, directory->path, r);
		copy->directories = directory->next;
		free(directory);
	}
}

static int copy_tree(struct copy *copy, const struct attributes *attributes)
{
	static const struct noria_group_options options = {.children_max = FILES_AT_ONCE};
	noria_autoclose int from = noria_try(noria_open(copy->source, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0));
	noria_autoclose int to = -1;
	struct noria_group files;
	struct stat status;
	int r;

	noria_try(noria_mkdir(copy->target, 0700));
	to = noria_try(noria_open(copy->target, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0));
	noria_try(noria_fstat(to, &status));
	copy->from = from;
	copy->to = to;
	copy->target_inode = status.st_ino;
	r = noria_grouped_with(&files, &options, walk(&files, copy));
	finish_directories(copy);
	noria_try(r);
	noria_try(noria_fchmod(to, attributes->mode));
	return noria_futimens(to, attributes->times);
}

static int copy_source(struct copy *copy)
{
	struct attributes attributes;
	struct statx status;

	noria_try(noria_statx(AT_FDCWD, copy->source, 0, STATX_BASIC_STATS, &status));
	attributes = attributes_of(&status);
	if (S_ISDIR(status.stx_mode))
		return copy_tree(copy, &attributes);
	return copy_file(&(struct file){.copy = copy,
					.attributes = attributes,
					.from = AT_FDCWD,
					.to = AT_FDCWD,
					.source = copy->source,
					.target = copy->target});
}

/* A service: it is cancelled when everything else has ended. */
static int show_progress(void *arg)
{
	const struct copy *copy = arg;

	while (noria_sleep(noria_msec(100)) == 0)
		fprintf(stderr, "\r%lu files, %zu MiB ", copy->files, copy->bytes >> 20);
	fprintf(stderr, "\r\33[K");
	return 0;
}

static int copy_and_show(struct noria_group *group, struct copy *copy)
{
	if (isatty(STDERR_FILENO))
		noria_try(noria_spawn_with(group, show_progress, copy, &(struct noria_spawn_options){.service = true}));
	return note(copy, copy->source, copy_source(copy));
}

static int run(void *arg)
{
	struct copy *copy = arg;
	struct noria_group group;
	int r = noria_grouped(&group, copy_and_show(&group, copy));

	copy->interrupted = noria_draining();
	return r;
}

int main(int argc, char **argv)
{
	static const struct noria_config config = {.drain_timeout_ns = 3 * INT64_C(1000000000)};
	struct copy copy = {.source = argc == 3 ? argv[1] : NULL, .target = argc == 3 ? argv[2] : NULL};
	int r;

	if (argc != 3) {
		fprintf(stderr, "usage: copy SOURCE TARGET\n");
		return 2;
	}
	r = noria_run(&config, run, &copy);
	if (r < 0 && r != -ECANCELED)
		fprintf(stderr, "copy: %s %s\n", strerror(-r), noria_message());
	printf("%lu files, %zu bytes, %lu errors%s\n", copy.files, copy.bytes, copy.failed,
	       copy.interrupted ? ", interrupted" : "");
	return r < 0 || copy.failed > 0 || copy.interrupted;
}
