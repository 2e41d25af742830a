/* SPDX-License-Identifier: MIT */
/* Directories: what an iterator and a walk show, what goes wrong with single entries, cancels between batches. */
#include "unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MANY = 3000 }; /* entries: several batches */

static char place[32];

static int make_place(void)
{
	int fd;

	strcpy(place, "/tmp/noria-unit-XXXXXX");
	MUST(mkdtemp(place));
	fd = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	MUST(fd >= 0);
	return fd;
}

static void make_file(int directory, const char *name)
{
	int fd = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	MUST(fd >= 0 && write(fd, "content", 7) == 7 && close(fd) == 0);
}

static void make_many(int directory, unsigned count)
{
	char name[16];

	for (unsigned i = 0; i < count; i++) {
		snprintf(name, sizeof name, "%u", i);
		MUST(mknodat(directory, name, S_IFREG | 0600, 0) == 0);
	}
}

static void remove_place(int fd)
{
	char command[64];

	snprintf(command, sizeof command, "rm -rf %s", place);
	MUST(close(fd) == 0 && system(command) == 0);
}

static int count_entries(struct noria_directory *directory)
{
	struct noria_directory_entry entry;
	int count = 0, r;

	while ((r = noria_directory_next(directory, &entry)) > 0)
		count++;
	return r < 0 ? r : count;
}

UNIT(directory, shows_each_entry_once_with_its_type)
{
	noria_autodirectory struct noria_directory *directory = NULL;
	int fd = make_place(), seen = 0, r;
	struct noria_directory_entry entry;
	struct stat status;

	make_file(fd, "file");
	MUST(mkdirat(fd, "directory", 0700) == 0 && symlinkat("file", fd, "link") == 0 &&
	     mkfifoat(fd, ".fifo", 0600) == 0);
	MUST(noria_directory_open(AT_FDCWD, place, &directory) == 0);
	EXPECT_EQ(fstat(noria_directory_fd(directory), &status), 0);
	while ((r = noria_directory_next(directory, &entry)) > 0) {
		const char *name = entry.name;
		int bit = strcmp(name, "file") == 0        ? 1
			  : strcmp(name, "directory") == 0 ? 2
			  : strcmp(name, "link") == 0      ? 4
			  : strcmp(name, ".fifo") == 0     ? 8
							   : 0;

		EXPECT(bit != 0 && !(seen & bit));
		seen |= bit;
		EXPECT_EQ(entry.type, bit == 1 ? DT_REG : bit == 2 ? DT_DIR : bit == 4 ? DT_LNK : DT_FIFO);
		EXPECT_EQ(fstatat(fd, name, &status, AT_SYMLINK_NOFOLLOW), 0);
		EXPECT_EQ(entry.inode, status.st_ino);
	}
	EXPECT_EQ(r, 0);
	EXPECT_EQ(seen, 15);
	EXPECT_EQ(noria_directory_next(directory, &entry), 0);
	remove_place(fd);
	return 0;
}

UNIT(directory, reads_on_in_batches)
{
	struct noria_directory *directory;
	int fd = make_place();

	make_many(fd, MANY);
	MUST(noria_directory_open(fd, ".", &directory) == 0);
	EXPECT_EQ(count_entries(directory), MANY);
	noria_directory_close(directory);
	remove_place(fd);
	return 0;
}

UNIT(directory, refuses_what_is_none)
{
	struct noria_directory *directory = NULL;
	int fd = make_place();

	make_file(fd, "file");
	EXPECT_EQ(noria_directory_open(fd, "file", &directory), -ENOTDIR);
	EXPECT_EQ(noria_directory_open(fd, "nowhere", &directory), -ENOENT);
	EXPECT_EQ(noria_directory_open(9999, "file", &directory), -EBADF);
	EXPECT(directory == NULL);
	noria_directory_close(NULL);
	remove_place(fd);
	return 0;
}

/* A directory that was removed has no entries; glibc's readdir(3) says the same. */
UNIT(directory, ends_when_it_is_removed)
{
	noria_autodirectory struct noria_directory *directory = NULL;
	int fd = make_place(), other;

	MUST(mkdirat(fd, "inner", 0700) == 0);
	other = openat(fd, "inner", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	MUST(other >= 0 && unlinkat(fd, "inner", AT_REMOVEDIR) == 0);
	MUST(noria_directory_open(other, ".", &directory) == -ENOENT || directory);
	if (directory)
		EXPECT_EQ(count_entries(directory), 0);
	MUST(close(other) == 0);
	remove_place(fd);
	return 0;
}

UNIT(directory, cancelled_between_batches_loses_no_entry)
{
	noria_autodirectory struct noria_directory *directory = NULL;
	int fd = make_place(), count = 0, cancels = 0, r;
	struct noria_directory_entry entry;
	static bool seen[MANY];

	memset(seen, 0, sizeof seen);
	make_many(fd, MANY);
	EXPECT_EQ(noria_within(0, noria_directory_open(fd, ".", &directory)), -ETIMEDOUT);
	EXPECT(directory == NULL);
	MUST(noria_directory_open(fd, ".", &directory) == 0);
	for (unsigned i = 0;; i++) {
		struct noria_scope scope;

		MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
		if (i % 3 == 0)
			noria_scope_cancel(&scope);
		r = noria_directory_next(directory, &entry);
		EXPECT_EQ(noria_scope_close(&scope, 0), 0);
		if (r == 0)
			break;
		cancels += r == -ECANCELED;
		if (r < 0)
			continue;
		EXPECT(!seen[atoi(entry.name)]);
		seen[atoi(entry.name)] = true;
		count++;
	}
	EXPECT_EQ(count, MANY);
	EXPECT(cancels >= MANY / 3);
	remove_place(fd);
	return 0;
}

/* The next batch is asked for within a limit that passes while a thread reads it, or before one has begun. */
UNIT(directory, a_limit_that_passes_in_a_batch_loses_no_entry)
{
	int fd = make_place(), cancels = 0;

	make_many(fd, MANY);
	for (int round = 0; round < 30; round++) {
		struct noria_walk *walk;
		struct noria_walk_entry entry;
		int count = 0, r;

		MUST(noria_walk_open(fd, ".", NORIA_WALK_STATX, 0, &walk) == 0);
		for (;;) {
			r = noria_within(noria_usec(10 * round), noria_walk_next(walk, &entry));
			if (r == -ETIMEDOUT && ++cancels % 4 == 0)
				r = noria_walk_next(walk, &entry);
			if (r == 0)
				break;
			EXPECT(r == 1 || r == -ETIMEDOUT);
			if (r == 1)
				EXPECT(entry.statx && entry.error == 0);
			count += r == 1;
		}
		EXPECT_EQ(count, MANY);
		noria_walk_close(walk);
	}
	EXPECT(cancels > 0);
	remove_place(fd);
	return 0;
}

struct lister {
	struct noria_directory *directory;
	int result;
};

static int list_all(void *arg)
{
	struct lister *lister = arg;

	lister->result = count_entries(lister->directory);
	return 0;
}

UNIT(directory, one_task_at_a_time_and_closed_under_it)
{
	struct lister lister = {.result = 1};
	int fd = make_place(), refused = 0;
	struct noria_directory_entry entry;
	struct noria_group group;

	make_many(fd, MANY);
	MUST(noria_directory_open(fd, ".", &lister.directory) == 0);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, list_all, &lister) == 0);
	for (int i = 0; i < 1000000 && lister.result == 1 && !refused; i++) {
		refused = noria_directory_next(lister.directory, &entry) == -EINVAL;
		MUST(noria_yield() == 0);
	}
	EXPECT_EQ(refused, 1); /* it waits for a thread */
	if (lister.result == 1)
		noria_directory_close(lister.directory);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT(lister.result == -EBADF || lister.result > 0);
	remove_place(fd);
	return 0;
}

static int list_below(void *arg)
{
	struct noria_directory *directory = NULL;
	int r = noria_directory_open(*(int *)arg, ".", &directory);

	EXPECT_EQ(r, -EBADF);
	noria_directory_close(directory);
	return 0;
}

static int walk_below(void *arg)
{
	struct noria_walk *walk = NULL;
	int r = noria_walk_open(*(int *)arg, ".", 0, 0, &walk);

	EXPECT_EQ(r, -EBADF);
	noria_walk_close(walk);
	return 0;
}

static const struct noria_config one_thread = {.executor_threads = 1};

/* R10: what waits for a thread must not list the directory that gets the descriptor's number next. */
UNIT_WITH(directory, closing_what_it_lies_below_ends_opening, &one_thread)
{
	struct noria_group holding, listing;
	int ends[2], fd = make_place(), number = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC), next;

	MUST(number >= 0 && pipe2(ends, O_CLOEXEC) == 0);
	MUST(noria_group_open(&holding) == 0 && noria_spawn(&holding, unit_hold_thread, &ends[0]) == 0);
	MUST(noria_yield() == 0);
	MUST(noria_group_open(&listing) == 0 && noria_spawn(&listing, list_below, &number) == 0 &&
	     noria_spawn(&listing, walk_below, &number) == 0);
	MUST(noria_yield() == 0);
	EXPECT_EQ(noria_close(number), 0);
	next = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	EXPECT_EQ(next, number);
	MUST(write(ends[1], "", 1) == 1);
	EXPECT_EQ(noria_group_close(&listing, 0), 0);
	EXPECT_EQ(noria_group_close(&holding, 0), 0);
	EXPECT(noria_close(next) == 0 && noria_close(ends[0]) == 0 && noria_close(ends[1]) == 0);
	remove_place(fd);
	return 0;
}

static int forget(void *arg)
{
	struct noria_directory *directory;
	struct noria_walk *walk;

	MUST(noria_directory_open(AT_FDCWD, arg, &directory) == 0);
	MUST(noria_walk_open(AT_FDCWD, arg, 0, 0, &walk) == 0);
	return 0;
}

UNIT(directory, what_a_task_forgets_is_closed_and_named)
{
	int fd = make_place(), before = unit_count_fds();
	struct noria_group group;

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, forget, place) == 0);
	EXPECT_EQ(noria_group_close(&group, 0), -EINVAL);
	EXPECT(strstr(noria_message(), "directory") || strstr(noria_message(), "walk"));
	EXPECT_EQ(unit_count_fds(), before);
	remove_place(fd);
	return 0;
}

/* ---- Walks */

/* a/ a/1 a/b/ a/b/2 a/b/up -> .. 3 dangling -> nowhere */
static int make_tree(void)
{
	int fd = make_place();

	MUST(mkdirat(fd, "a", 0700) == 0 && mkdirat(fd, "a/b", 0700) == 0);
	make_file(fd, "a/1");
	make_file(fd, "a/b/2");
	make_file(fd, "3");
	MUST(symlinkat("..", fd, "a/b/up") == 0 && symlinkat("nowhere", fd, "dangling") == 0);
	return fd;
}

/* What a walk shows, sorted; an error is told behind the path. */
struct shown {
	char lines[32][64];
	unsigned count;
};

static int compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void walk_all(struct shown *shown, int fd, unsigned flags, unsigned depth)
{
	noria_autowalk struct noria_walk *walk = NULL;
	struct noria_walk_entry entry;
	struct stat status;
	int r;

	memset(shown, 0, sizeof *shown);
	MUST(noria_walk_open(fd, ".", flags, depth, &walk) == 0);
	while ((r = noria_walk_next(walk, &entry)) > 0) {
		const char *slash = strrchr(entry.path, '/');
		int slashes = 0;

		MUST(shown->count < 32);
		snprintf(shown->lines[shown->count], 64, "%s%s%s", entry.path, entry.error ? " " : "",
			 entry.error ? strerrorname_np(-entry.error) : "");
		shown->count++;
		EXPECT(strcmp(entry.name, slash ? slash + 1 : entry.path) == 0);
		for (const char *c = entry.path; *c; c++)
			slashes += *c == '/';
		EXPECT_EQ(entry.depth, slashes + 1);
		if (entry.error == 0) {
			bool follow = (flags & NORIA_WALK_FOLLOW) && entry.type != DT_LNK;

			EXPECT_EQ(fstatat(entry.dirfd, entry.name, &status, follow ? 0 : AT_SYMLINK_NOFOLLOW), 0);
			EXPECT_EQ(IFTODT(status.st_mode), entry.type);
			EXPECT_EQ(entry.statx != NULL, (flags & NORIA_WALK_STATX) != 0);
			if (entry.statx)
				EXPECT_EQ(entry.statx->stx_ino, status.st_ino);
		}
	}
	EXPECT_EQ(r, 0);
	EXPECT_EQ(noria_walk_next(walk, &entry), 0);
	qsort(shown->lines, shown->count, 64, compare);
}

static void expect_shown(const struct shown *shown, const char *const *wanted)
{
	unsigned n = 0;

	for (; wanted[n] && n < shown->count; n++)
		cr_expect_str_eq(shown->lines[n], wanted[n]);
	cr_expect(!wanted[n] && n == shown->count, "%u shown: %s is too much or missing", shown->count,
		  wanted[n] ? wanted[n] : shown->lines[n]);
}

UNIT(walk, shows_all_beneath_and_does_not_follow_links)
{
	static const char *const all[] = {"3", "a", "a/1", "a/b", "a/b/2", "a/b/up", "dangling", NULL};
	int fd = make_tree();
	struct shown shown;

	walk_all(&shown, fd, 0, 0);
	expect_shown(&shown, all);
	walk_all(&shown, fd, NORIA_WALK_STATX, 0);
	expect_shown(&shown, all);
	walk_all(&shown, fd, NORIA_WALK_ONE_DEVICE, 0);
	expect_shown(&shown, all);
	remove_place(fd);
	return 0;
}

UNIT(walk, a_directory_comes_before_its_content)
{
	noria_autowalk struct noria_walk *walk = NULL;
	struct noria_walk_entry entry;
	bool a = false, b = false;
	int fd = make_tree();

	MUST(noria_walk_open(AT_FDCWD, place, 0, 0, &walk) == 0);
	while (noria_walk_next(walk, &entry) > 0) {
		EXPECT(strncmp(entry.path, "a/", 2) != 0 || a);
		EXPECT(strncmp(entry.path, "a/b/", 4) != 0 || b);
		a |= strcmp(entry.path, "a") == 0;
		b |= strcmp(entry.path, "a/b") == 0;
	}
	EXPECT(a && b);
	remove_place(fd);
	return 0;
}

UNIT(walk, follows_links_when_asked_and_ends_in_loops)
{
	static const char *const all[] = {"3", "a", "a/1", "a/b", "a/b/2", "a/b/up", "a/b/up ELOOP", "dangling", NULL};
	int fd = make_tree();
	struct shown shown;

	walk_all(&shown, fd, NORIA_WALK_FOLLOW, 0);
	expect_shown(&shown, all);
	walk_all(&shown, fd, NORIA_WALK_FOLLOW | NORIA_WALK_STATX, 0);
	expect_shown(&shown, all);
	remove_place(fd);
	return 0;
}

UNIT(walk, tells_of_directories_that_are_too_deep)
{
	static const char *const one[] = {"3", "a", "a ENAMETOOLONG", "dangling", NULL};
	static const char *const two[] = {"3", "a", "a/1", "a/b", "a/b ENAMETOOLONG", "dangling", NULL};
	int fd = make_tree();
	struct shown shown;

	walk_all(&shown, fd, 0, 1);
	expect_shown(&shown, one);
	walk_all(&shown, fd, 0, 2);
	expect_shown(&shown, two);
	remove_place(fd);
	return 0;
}

UNIT(walk, skips_what_it_is_told_to)
{
	noria_autowalk struct noria_walk *walk = NULL;
	struct noria_walk_entry entry;
	int fd = make_tree(), count = 0;

	MUST(noria_walk_open(fd, ".", 0, 0, &walk) == 0);
	while (noria_walk_next(walk, &entry) > 0) {
		count++;
		EXPECT(strncmp(entry.path, "a/b/", 4) != 0);
		if (strcmp(entry.path, "a/b") == 0)
			noria_walk_skip(walk);
	}
	EXPECT_EQ(count, 5);
	remove_place(fd);
	return 0;
}

/* Shown, and gone when the walk wants to go in. */
UNIT(walk, survives_directories_that_vanish)
{
	noria_autowalk struct noria_walk *walk = NULL;
	struct noria_walk_entry entry;
	int fd = make_place(), errors = 0, count = 0;

	MUST(mkdirat(fd, "x", 0700) == 0 && mkdirat(fd, "y", 0700) == 0 && mkdirat(fd, "z", 0700) == 0);
	MUST(noria_walk_open(fd, ".", 0, 0, &walk) == 0);
	while (noria_walk_next(walk, &entry) > 0) {
		if (entry.error == 0) {
			count++;
			if (strcmp(entry.name, "z") == 0) /* replaced by a link, which is not followed */
				MUST(unlinkat(fd, "z", AT_REMOVEDIR) == 0 && symlinkat("/", fd, "z") == 0);
			else
				MUST(unlinkat(fd, entry.name, AT_REMOVEDIR) == 0);
			continue;
		}
		errors++;
		EXPECT(entry.error == (strcmp(entry.name, "z") == 0 ? -ENOTDIR : -ENOENT) || entry.error == -ELOOP);
		EXPECT_EQ(entry.type, DT_DIR);
	}
	EXPECT_EQ(count, 3);
	EXPECT_EQ(errors, 3);
	remove_place(fd);
	return 0;
}

UNIT(walk, survives_a_want_of_descriptors)
{
	static const char *const wanted[] = {"3", "a", "a EMFILE", "dangling", NULL};
	struct rlimit before, low;
	int fd = make_tree();
	struct shown shown;

	MUST(getrlimit(RLIMIT_NOFILE, &before) == 0);
	low = before;
	low.rlim_cur = (rlim_t)dup(0) + 1; /* the next free number, for the first directory */
	MUST(close((int)low.rlim_cur - 1) == 0 && setrlimit(RLIMIT_NOFILE, &low) == 0);
	walk_all(&shown, fd, 0, 0);
	MUST(setrlimit(RLIMIT_NOFILE, &before) == 0);
	expect_shown(&shown, wanted);
	remove_place(fd);
	return 0;
}

/* Cancelled before each step every other time, and by a limit that passes while a thread opens a directory. */
UNIT(walk, cancelled_anywhere_loses_no_entry)
{
	int fd = make_tree(), cancels = 0;

	for (int round = 0; round < 40; round++) {
		noria_autowalk struct noria_walk *walk = NULL;
		struct noria_walk_entry entry;
		int count = 0, r = 1;

		MUST(noria_walk_open(fd, ".", 0, 0, &walk) == 0);
		while (r != 0) {
			EXPECT_EQ(noria_within(0, noria_walk_next(walk, &entry)), -ETIMEDOUT);
			r = noria_within(noria_usec(round % 5 * 15), noria_walk_next(walk, &entry));
			cancels += r == -ETIMEDOUT;
			if (r == -ETIMEDOUT)
				r = noria_walk_next(walk, &entry);
			EXPECT(r == 0 || (r == 1 && entry.error == 0));
			count += r == 1;
		}
		EXPECT_EQ(count, 7);
	}
	EXPECT(cancels > 0);
	remove_place(fd);
	return 0;
}

/* A limit that passes before the directory is opened says nothing of that: it is shown once, and its content comes. */
UNIT_WITH(walk, a_limit_while_a_directory_waits_for_a_thread, &one_thread)
{
	noria_autowalk struct noria_walk *walk = NULL;
	struct noria_walk_entry entry;
	struct noria_group holding;
	int ends[2], fd = make_place();

	MUST(mkdirat(fd, "a", 0700) == 0 && mkdirat(fd, "a/b", 0700) == 0 && pipe2(ends, O_CLOEXEC) == 0);
	MUST(noria_walk_open(fd, ".", 0, 0, &walk) == 0);
	MUST(noria_walk_next(walk, &entry) == 1);
	EXPECT(strcmp(entry.path, "a") == 0);
	MUST(noria_group_open(&holding) == 0 && noria_spawn(&holding, unit_hold_thread, &ends[0]) == 0);
	MUST(noria_yield() == 0);
	EXPECT_EQ(noria_within(noria_msec(2), noria_walk_next(walk, &entry)), -ETIMEDOUT);
	MUST(write(ends[1], "", 1) == 1);
	EXPECT_EQ(noria_group_close(&holding, 0), 0);
	MUST(noria_walk_next(walk, &entry) == 1);
	EXPECT(strcmp(entry.path, "a/b") == 0 && entry.error == 0);
	EXPECT_EQ(noria_walk_next(walk, &entry), 0);
	EXPECT(noria_close(ends[0]) == 0 && noria_close(ends[1]) == 0);
	remove_place(fd);
	return 0;
}

UNIT(walk, refuses_unknown_flags)
{
	struct noria_walk *walk = NULL;

	EXPECT_EQ(noria_walk_open(AT_FDCWD, "/tmp", 1 << 7, 0, &walk), -EINVAL);
	EXPECT(strstr(noria_message(), "flags"));
	EXPECT_EQ(noria_walk_open(AT_FDCWD, "/nowhere", 0, 0, &walk), -ENOENT);
	EXPECT(walk == NULL);
	noria_walk_close(NULL);
	return 0;
}

Test(walk, outside_a_runtime)
{
	struct noria_walk *walk = NULL;
	struct noria_directory *directory = NULL;

	EXPECT_EQ(noria_walk_open(AT_FDCWD, "/tmp", 0, 0, &walk), -ENXIO);
	EXPECT_EQ(noria_directory_open(AT_FDCWD, "/tmp", &directory), -ENXIO);
}
