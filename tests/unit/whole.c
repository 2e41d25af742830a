/* SPDX-License-Identifier: MIT */
/*
 * Whole files. What the library calls to replace one is wrapped by the linker, so that each step can fail, or find its
 * scope cancelled, or a file system without O_TMPFILE be had anywhere.
 */
#include "unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- Steps that fail */

static enum { STEP_FAILS, STEP_CANCELS } step_mode;
static int step, step_bad; /* the step that is bad; 0: none */
static bool no_tmpfile;
static struct noria_scope *step_scope;

static int next_step(void)
{
	if (++step != step_bad)
		return 0;
	if (step_mode == STEP_FAILS)
		return -EIO;
	noria_scope_cancel(step_scope);
	return 0;
}

#define STEP(type, name, parameters, ...) \
	type __real_##name parameters; \
	type __wrap_##name parameters; \
	type __wrap_##name parameters \
	{ \
		int r = next_step(); \
		return r < 0 ? r : __real_##name(__VA_ARGS__); \
	}

STEP(ssize_t, noria_write_all, (int fd, const void *data, size_t size), fd, data, size)
STEP(int, noria_fsync, (int fd), fd)
STEP(int, noria_fstat, (int fd, struct stat *status), fd, status)
STEP(int, noria_fstatat, (int fd, const char *path, struct stat *status, int flags), fd, path, status, flags)
STEP(int, noria_fchmod, (int fd, mode_t mode), fd, mode)
STEP(int, noria_fchown, (int fd, uid_t owner, gid_t group), fd, owner, group)
STEP(int, noria_linkat, (int from, const char *old, int to, const char *new, int flags), from, old, to, new, flags)
STEP(int, noria_renameat, (int from, const char *old, int to, const char *new), from, old, to, new)

int __real_noria_openat(int dirfd, const char *path, int flags, mode_t mode);
int __wrap_noria_openat(int dirfd, const char *path, int flags, mode_t mode);
int __wrap_noria_openat(int dirfd, const char *path, int flags, mode_t mode)
{
	int r = next_step();

	if (no_tmpfile && (flags & O_TMPFILE) == O_TMPFILE)
		return -EOPNOTSUPP;
	return r < 0 ? r : __real_noria_openat(dirfd, path, flags, mode);
}

/* ---- A place, and what is in it */

static char place[32];

static int make_place(void)
{
	int fd;

	step_bad = 0;
	no_tmpfile = false;
	strcpy(place, "/tmp/noria-unit-XXXXXX");
	MUST(mkdtemp(place));
	fd = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	MUST(fd >= 0);
	return fd;
}

static void remove_place(int fd)
{
	char command[64];

	snprintf(command, sizeof command, "rm -rf %s", place);
	MUST(close(fd) == 0 && system(command) == 0);
}

static void make_file(int directory, const char *name, const char *content, mode_t mode)
{
	int fd = openat(directory, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	MUST(fd >= 0 && write(fd, content, strlen(content)) == (ssize_t)strlen(content));
	MUST(fchmod(fd, mode) == 0 && close(fd) == 0);
}

static int count_files(void)
{
	DIR *directory = opendir(place);
	int count = -2;

	MUST(directory);
	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

static bool contains(int directory, const char *name, const char *content)
{
	char bytes[64] = "";
	int fd = openat(directory, name, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, bytes, sizeof bytes);
	MUST(close(fd) == 0);
	return n == (ssize_t)strlen(content) && memcmp(bytes, content, (size_t)n) == 0;
}

/* ---- Reading */

UNIT(whole, reads_files_that_know_their_size_and_others)
{
	int fd = make_place();
	size_t size = 99;
	void *data;

	make_file(fd, "file", "content", 0600);
	make_file(fd, "empty", "", 0600);
	MUST(noria_read_file(fd, "file", 7, &data, &size) == 0);
	EXPECT_EQ(size, 7);
	EXPECT(strcmp(data, "content") == 0);
	free(data);
	MUST(noria_read_file(fd, "empty", 0, &data, &size) == 0);
	EXPECT(size == 0 && *(char *)data == '\0');
	free(data);
	MUST(noria_read_file(AT_FDCWD, "/proc/self/status", SIZE_MAX, &data, &size) == 0);
	EXPECT(size > 100 && strlen(data) == size && strstr(data, "VmPeak"));
	free(data);
	MUST(noria_read_file(AT_FDCWD, "/proc/kallsyms", 64 << 20, &data, NULL) == 0); /* it doubles many times */
	EXPECT(strlen(data) > 100000);
	free(data);
	remove_place(fd);
	return 0;
}

static size_t mapped_bytes(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	size_t pages = 0;

	MUST(file && fscanf(file, "%zu", &pages) == 1 && fclose(file) == 0);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

UNIT(whole, reads_no_more_than_is_allowed)
{
	int fd = make_place(), huge;
	void *data = NULL;
	size_t size = 99, before;

	make_file(fd, "file", "content", 0600);
	EXPECT_EQ(noria_read_file(fd, "file", 6, &data, &size), -EFBIG);
	EXPECT(strstr(noria_message(), "file has more than 6"));
	EXPECT_EQ(noria_read_file(AT_FDCWD, "/proc/self/status", 100, &data, &size), -EFBIG);
	EXPECT_EQ(noria_read_file(AT_FDCWD, "/dev/zero", 1 << 20, &data, &size), -EFBIG);
	before = mapped_bytes();
	for (int i = 0; i < 64; i++) /* and what was read is freed */
		EXPECT_EQ(noria_read_file(AT_FDCWD, "/dev/zero", 1 << 20, &data, &size), -EFBIG);
	EXPECT(UNIT_SANITIZED || mapped_bytes() < before + (16U << 20)); /* a sanitizer keeps what was freed */
	/* One that says that it is too large is not even begun: there is no memory for what is allowed. */
	MUST((huge = openat(fd, "huge", O_WRONLY | O_CREAT | O_CLOEXEC, 0600)) >= 0);
	MUST(ftruncate(huge, INT64_C(1) << 42) == 0 && close(huge) == 0);
	EXPECT_EQ(noria_read_file(fd, "huge", (size_t)1 << 41, &data, &size), -EFBIG);
	MUST(unlinkat(fd, "huge", 0) == 0);
	EXPECT_EQ(noria_read_file(fd, "nowhere", 6, &data, &size), -ENOENT);
	EXPECT_EQ(noria_read_file(fd, ".", 100000, &data, &size), -EISDIR);
	EXPECT_EQ(noria_within(0, noria_read_file(fd, "file", 7, &data, &size)), -ETIMEDOUT);
	EXPECT(data == NULL && size == 99);
	remove_place(fd);
	return 0;
}

/* A FIFO with a writer that does not write. */
UNIT(whole, a_limit_ends_reading)
{
	int fd = make_place(), writer;
	void *data = NULL;

	MUST(mkfifoat(fd, "fifo", 0600) == 0);
	writer = openat(fd, "fifo", O_RDWR | O_CLOEXEC);
	MUST(writer >= 0 && write(writer, "bytes", 5) == 5);
	EXPECT_EQ(noria_within(noria_msec(5), noria_read_file(fd, "fifo", 100, &data, NULL)), -ETIMEDOUT);
	EXPECT(data == NULL);
	MUST(close(writer) == 0);
	remove_place(fd);
	return 0;
}

/* ---- Replacing */

static mode_t mode_of(int directory, const char *name)
{
	struct stat status;

	MUST(fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0);
	return status.st_mode & 07777;
}

static void replaces(int fd)
{
	char bytes[8];
	int old;

	umask(022);
	EXPECT_EQ(noria_replace_file(fd, "new", "one", 3, 0666), 0);
	EXPECT(contains(fd, "new", "one"));
	EXPECT_EQ(mode_of(fd, "new"), 0644);
	make_file(fd, "old", "before", 0640);
	old = openat(fd, "old", O_RDONLY | O_CLOEXEC);
	MUST(old >= 0);
	EXPECT_EQ(noria_replace_file(fd, "old", "after", 5, 0666), 0);
	EXPECT(contains(fd, "old", "after"));
	EXPECT_EQ(mode_of(fd, "old"), 0640);
	EXPECT_EQ(read(old, bytes, sizeof bytes), 6); /* who has it open keeps what it was */
	MUST(close(old) == 0);
	MUST(symlinkat("old", fd, "link") == 0);
	EXPECT_EQ(noria_replace_file(fd, "link", "", 0, 0600), 0);
	EXPECT(contains(fd, "link", "") && contains(fd, "old", "after"));
	EXPECT_EQ(mode_of(fd, "link"), 0600);
	EXPECT_EQ(count_files(), 3);
}

UNIT(whole, replaces_a_file_and_keeps_its_mode)
{
	int fd = make_place();

	replaces(fd);
	remove_place(fd);
	fd = make_place();
	no_tmpfile = true;
	replaces(fd);
	remove_place(fd);
	return 0;
}

UNIT(whole, keeps_the_owner_where_it_may)
{
	int fd = make_place();
	struct stat status;

	make_file(fd, "old", "before", 0644);
	if (fchownat(fd, "old", 12345, 54321, 0) == 0) {
		MUST(fchmodat(fd, "old", 06755, 0) == 0);
		EXPECT_EQ(noria_replace_file(fd, "old", "after", 5, 0600), 0);
		MUST(fstatat(fd, "old", &status, 0) == 0);
		EXPECT_EQ(status.st_uid, 12345);
		EXPECT_EQ(status.st_gid, 54321);
		EXPECT_EQ(mode_of(fd, "old"), 06755);
	}
	remove_place(fd);
	return 0;
}

UNIT(whole, replaces_by_paths_of_every_form)
{
	char path[64];
	int fd = make_place();

	MUST(mkdirat(fd, "sub", 0700) == 0);
	snprintf(path, sizeof path, "%s/sub/file", place);
	EXPECT_EQ(noria_replace_file(AT_FDCWD, path, "1", 1, 0600), 0);
	EXPECT(contains(fd, "sub/file", "1"));
	EXPECT_EQ(noria_replace_file(fd, "sub/file", "2", 1, 0600), 0);
	EXPECT(contains(fd, "sub/file", "2"));
	EXPECT_EQ(noria_replace_file(fd, "sub", "3", 1, 0600), -EISDIR);
	EXPECT_EQ(noria_replace_file(fd, "sub/", "3", 1, 0600), -EINVAL);
	EXPECT_EQ(noria_replace_file(fd, "", "3", 1, 0600), -EINVAL);
	EXPECT_EQ(noria_replace_file(fd, "sub/..", "3", 1, 0600), -EINVAL);
	EXPECT_EQ(noria_replace_file(fd, "nowhere/file", "3", 1, 0600), -ENOENT);
	EXPECT_EQ(noria_replace_file(fd, "sub/file/file", "3", 1, 0600), -ENOTDIR);
	EXPECT_EQ(count_files(), 1);
	remove_place(fd);
	return 0;
}

/* Each step in turn fails, or is met by a cancel: the old file stands, nothing is beside it, no descriptor is left. */
static int bad_steps(int fd)
{
	int fds = unit_count_fds(), number;

	for (number = 1;; number++) {
		struct noria_scope scope;
		int r;

		MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
		step_scope = &scope;
		step = 0;
		step_bad = number;
		r = noria_replace_file(fd, "old", "after", 5, 0600);
		step_bad = 0;
		EXPECT_EQ(noria_scope_close(&scope, 0), 0);
		if (step < number) {
			EXPECT_EQ(r, 0);
			break;
		}
		cr_expect(r == (step_mode == STEP_FAILS ? -EIO : -ECANCELED) || (r == 0 && no_tmpfile && number == 3),
			  "step %d: %d", number, r);
		if (r == 0)
			make_file(fd, "old", "before", 0640);
		cr_expect(contains(fd, "old", "before"), "step %d: the old file is not what it was", number);
		cr_expect_eq(count_files(), 1, "step %d: %d files", number, count_files());
		cr_expect_eq(unit_count_fds(), fds, "step %d: descriptors", number);
	}
	EXPECT(contains(fd, "old", "after"));
	return number;
}

UNIT(whole, whatever_fails_the_old_file_stands)
{
	for (int i = 0; i < 4; i++) {
		int fd = make_place();

		step_mode = i & 1 ? STEP_FAILS : STEP_CANCELS;
		no_tmpfile = i & 2;
		make_file(fd, "old", "before", 0640);
		EXPECT(bad_steps(fd) > 7);
		remove_place(fd);
	}
	return 0;
}

/* The first part fits. */
UNIT(whole, without_room_for_all_of_it_the_old_file_stands)
{
	char *bytes = calloc(1, 1 << 20);
	int fd = make_place();
	struct rlimit limit, room;

	no_tmpfile = false;
	MUST(bytes && getrlimit(RLIMIT_FSIZE, &limit) == 0 && signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
	make_file(fd, "old", "before", 0640);
	room = limit;
	room.rlim_cur = 64 << 10;
	MUST(setrlimit(RLIMIT_FSIZE, &room) == 0);
	EXPECT_EQ(noria_replace_file(fd, "old", bytes, 1 << 20, 0600), -EFBIG);
	MUST(setrlimit(RLIMIT_FSIZE, &limit) == 0);
	EXPECT(contains(fd, "old", "before"));
	EXPECT_EQ(count_files(), 1);
	remove_place(fd);
	free(bytes);
	return 0;
}

/* A cancel at any moment: the one content or the other, and nothing beside it. */
UNIT(whole, a_limit_at_any_moment_leaves_one_of_both)
{
	int fd = make_place(), cancelled = 0;

	for (int i = 0; i < 60; i++) {
		int r;

		no_tmpfile = i % 2;
		make_file(fd, "old", "before", 0640);
		r = noria_within(noria_usec(20 * i), noria_replace_file(fd, "old", "after", 5, 0600));
		EXPECT(r == 0 || r == -ETIMEDOUT);
		EXPECT(contains(fd, "old", "after") || (r < 0 && contains(fd, "old", "before")));
		EXPECT_EQ(count_files(), 1);
		cancelled += r < 0;
	}
	EXPECT(cancelled > 0);
	remove_place(fd);
	return 0;
}

UNIT(whole, written_in_pieces_and_committed_once)
{
	noria_autoreplace struct noria_replace *replace = NULL;
	int fd = make_place();

	make_file(fd, "old", "before", 0640);
	MUST(noria_replace_open(fd, "old", 0600, &replace) == 0);
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(noria_write_all(noria_replace_fd(replace), "abc", 3), 3);
	EXPECT(contains(fd, "old", "before"));
	EXPECT_EQ(count_files(), 1);
	EXPECT_EQ(noria_within(0, noria_replace_commit(replace)), -ETIMEDOUT);
	EXPECT(contains(fd, "old", "before"));
	EXPECT_EQ(noria_replace_commit(replace), 0); /* the second time */
	EXPECT(contains(fd, "old", "abcabcabc"));
	EXPECT_EQ(noria_replace_commit(replace), -EALREADY);
	remove_place(fd);
	return 0;
}

UNIT(whole, what_is_not_committed_is_gone)
{
	struct noria_replace *replace;
	int fd = make_place();

	for (int i = 0; i < 2; i++) {
		no_tmpfile = i;
		MUST(noria_replace_open(fd, "new", 0600, &replace) == 0);
		EXPECT_EQ(noria_write_all(noria_replace_fd(replace), "abc", 3), 3);
		EXPECT_EQ(count_files(), i);
		noria_replace_close(replace);
		EXPECT_EQ(count_files(), 0);
	}
	noria_replace_close(NULL);
	remove_place(fd);
	return 0;
}

static int forget(void *arg)
{
	struct noria_replace *replace;

	return noria_replace_open(*(int *)arg, "new", 0600, &replace);
}

/* Also in a scope that is cancelled: what clears the name away is not reached by that. */
UNIT(whole, what_a_task_forgets_is_cleared_away_and_named)
{
	int fd = make_place(), fds = unit_count_fds();
	struct noria_group group;

	no_tmpfile = true;
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, forget, &fd) == 0);
	EXPECT_EQ(noria_group_close(&group, 0), -EINVAL);
	EXPECT(strstr(noria_message(), "replacement"));
	EXPECT_EQ(count_files(), 0);
	EXPECT_EQ(unit_count_fds(), fds);
	remove_place(fd);
	return 0;
}

Test(whole, outside_a_runtime)
{
	struct noria_replace *replace = NULL;
	void *data = NULL;

	EXPECT_EQ(noria_read_file(AT_FDCWD, "/dev/null", 1, &data, NULL), -ENXIO);
	EXPECT_EQ(noria_replace_open(AT_FDCWD, "/tmp/file", 0600, &replace), -ENXIO);
	EXPECT(data == NULL && replace == NULL);
}
