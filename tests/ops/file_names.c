/* SPDX-License-Identifier: MIT */
/* What is done by a path: opening, asking, and names in directories. Each place has a file `f` of "content". */
#include "file.h"

#include <linux/openat2.h>

#define CALL(name, expression) \
	static int64_t name(struct op_place *place) \
	{ \
		(void)place; \
		return (expression); \
	}

/* Longer than any name may be. */
static const char *long_name(void)
{
	static char name[300];

	memset(name, 'n', sizeof name - 1);
	return name;
}

/* A symbolic link that points to itself. */
static int loop_at(const struct op_place *place)
{
	MUST(symlinkat("s", place->dir, "s") == 0);
	return place->dir;
}

/* A directory that is not empty. */
static int full_at(const struct op_place *place)
{
	MUST(mkdirat(place->dir, "d", 0700) == 0 && mkdirat(place->dir, "d/inner", 0700) == 0);
	return place->dir;
}

static void is_unchanged(struct op_place *place)
{
	EXPECT(is_there(place, "f"));
	EXPECT(!is_there(place, "g") && !is_there(place, "d"));
	EXPECT(content_is(place->fd, "content"));
}

/* Opening. */

static void did_open(struct op_place *place, int64_t result)
{
	(void)place;
	EXPECT(content_is((int)result, "content"));
	EXPECT_EQ(close((int)result), 0);
}

static void did_create(struct op_place *place, int64_t result)
{
	EXPECT(is_there(place, "g"));
	EXPECT_EQ(write((int)result, "new", 3), 3);
	EXPECT_EQ(close((int)result), 0);
}

CALL(call_open, noria_open(path_of(place, "f"), O_RDONLY | O_CLOEXEC, 0))
CALL(call_openat, noria_openat(place->dir, "f", O_RDONLY | O_CLOEXEC, 0))
CALL(call_openat2, noria_openat2(place->dir, "f", &(struct open_how){.flags = O_RDONLY}, sizeof(struct open_how)))
CALL(call_creat, noria_creat(path_of(place, "g"), 0600))
CALL(open_nowhere, noria_open(path_of(place, "g"), O_RDONLY, 0))
CALL(open_exclusive, noria_openat(place->dir, "f", O_WRONLY | O_CREAT | O_EXCL, 0600))
CALL(open_beneath_file, noria_openat(place->dir, "f/g", O_RDONLY, 0))
CALL(open_to_write, noria_openat(place->dir, ".", O_WRONLY, 0))
CALL(open_closed, noria_openat(NOT_OPEN, "f", O_RDONLY, 0))
CALL(open_loop, noria_openat(loop_at(place), "s", O_RDONLY, 0))
CALL(open_long, noria_openat(place->dir, long_name(), O_RDONLY, 0))
CALL(open_at_file, noria_openat(place->fd, "f", O_RDONLY, 0))
CALL(open_without_path, noria_openat(place->dir, NULL, O_RDONLY, 0))
CALL(open_size, noria_openat2(place->dir, "f", &(struct open_how){0}, 8))
CALL(open_up, noria_openat2(place->dir, "..", &(struct open_how){.resolve = RESOLVE_BENEATH}, sizeof(struct open_how)))
CALL(creat_directory, noria_creat(place->path, 0600))

static const struct op_error open_errors[] = {{-ENOENT, open_nowhere}, {0, NULL}};
static const struct op_error openat_errors[] = {
	{-EEXIST, open_exclusive}, {-ENOTDIR, open_beneath_file}, {-EISDIR, open_to_write},
	{-EBADF, open_closed},     {-ELOOP, open_loop},           {-ENAMETOOLONG, open_long},
	{-ENOTDIR, open_at_file},  {-EFAULT, open_without_path},  {0, NULL}};
static const struct op_error openat2_errors[] = {{-EINVAL, open_size}, {-EXDEV, open_up}, {0, NULL}};
static const struct op_error creat_errors[] = {{-EISDIR, creat_directory}, {0, NULL}};

/* Asking. What comes is kept in the place's buffer. */

static struct stat *status_in(struct op_place *place)
{
	_Static_assert(sizeof(struct stat) <= sizeof place->buffer, "room for it");
	return (struct stat *)(void *)place->buffer;
}

static void did_stat(struct op_place *place, int64_t result)
{
	struct stat status = *status_in(place), wanted;

	EXPECT_EQ(result, 0);
	MUST(fstat(place->fd, &wanted) == 0);
	EXPECT(status.st_dev == wanted.st_dev && status.st_ino == wanted.st_ino);
	EXPECT(status.st_mode == wanted.st_mode && status.st_nlink == wanted.st_nlink);
	EXPECT(status.st_uid == wanted.st_uid && status.st_gid == wanted.st_gid && status.st_rdev == wanted.st_rdev);
	EXPECT(status.st_size == 7 && status.st_blksize == wanted.st_blksize && status.st_blocks == wanted.st_blocks);
	EXPECT(status.st_mtim.tv_sec == wanted.st_mtim.tv_sec && status.st_mtim.tv_nsec == wanted.st_mtim.tv_nsec);
	EXPECT(status.st_ctim.tv_sec == wanted.st_ctim.tv_sec && status.st_atim.tv_sec == wanted.st_atim.tv_sec);
}

static void not_asked(struct op_place *place)
{
	EXPECT_EQ(status_in(place)->st_ino, 0);
	is_unchanged(place);
}

static int64_t call_statx(struct op_place *place)
{
	struct statx found;
	int r = noria_statx(place->dir, "f", 0, STATX_BASIC_STATS, &found);

	return r < 0 ? r : fstat(place->fd, status_in(place));
}

CALL(call_stat, noria_stat(path_of(place, "f"), status_in(place)))
CALL(call_lstat, noria_lstat(path_of(place, "f"), status_in(place)))
CALL(call_fstat, noria_fstat(place->fd, status_in(place)))
CALL(call_fstatat, noria_fstatat(place->dir, "f", status_in(place), 0))
CALL(statx_closed, noria_statx(NOT_OPEN, "f", 0, STATX_SIZE, (struct statx *)place->buffer))
CALL(stat_nowhere, noria_stat(path_of(place, "g"), status_in(place)))
CALL(stat_loop, (loop_at(place), noria_stat(path_of(place, "s"), status_in(place))))
CALL(lstat_beneath_file, noria_lstat(path_of(place, "f/g"), status_in(place)))
CALL(fstat_closed, noria_fstat(NOT_OPEN, status_in(place)))
CALL(fstat_negative, noria_fstat(AT_FDCWD, status_in(place)))
CALL(fstatat_flag, noria_fstatat(place->dir, "f", status_in(place), 1 << 30))

static const struct op_error statx_errors[] = {{-EBADF, statx_closed}, {0, NULL}};
static const struct op_error stat_errors[] = {{-ENOENT, stat_nowhere}, {-ELOOP, stat_loop}, {0, NULL}};
static const struct op_error lstat_errors[] = {{-ENOTDIR, lstat_beneath_file}, {0, NULL}};
static const struct op_error fstat_errors[] = {{-EBADF, fstat_closed}, {-EBADF, fstat_negative}, {0, NULL}};
static const struct op_error fstatat_errors[] = {{-EINVAL, fstatat_flag}, {0, NULL}};

/* Moving: `f` becomes `g`. */

static void did_rename(struct op_place *place, int64_t result)
{
	EXPECT_EQ(result, 0);
	EXPECT(!is_there(place, "f") && is_there(place, "g"));
}

CALL(call_rename, noria_rename(path_of(place, "f"), path_of(place, "g")))
CALL(call_renameat, noria_renameat(place->dir, "f", place->dir, "g"))
CALL(call_renameat2, noria_renameat2(place->dir, "f", place->dir, "g", RENAME_NOREPLACE))
CALL(rename_nowhere, noria_rename(path_of(place, "g"), path_of(place, "h")))
CALL(rename_onto_directory, noria_renameat(place->dir, "f", full_at(place), "d"))
CALL(rename_directory_onto_file, noria_renameat(full_at(place), "d", place->dir, "f"))
CALL(rename_onto_full, noria_renameat(full_at(place), "d/inner", place->dir, "."))
CALL(rename_into_itself, noria_renameat(full_at(place), "d", place->dir, "d/inner/d"))
CALL(rename_away, noria_renameat(place->dir, "f", AT_FDCWD, "/dev/shm/noria-ops"))
CALL(rename_closed, noria_renameat(NOT_OPEN, "f", place->dir, "g"))
CALL(rename_to_closed, noria_renameat(place->dir, "f", NOT_OPEN, "g"))
CALL(rename_long, noria_renameat(place->dir, "f", place->dir, long_name()))
CALL(rename_keep, noria_renameat2(place->dir, "f", place->dir, "f", RENAME_NOREPLACE))
CALL(rename_flag, noria_renameat2(place->dir, "f", place->dir, "g", 1 << 30))

static const struct op_error rename_errors[] = {{-ENOENT, rename_nowhere}, {0, NULL}};
static const struct op_error renameat_errors[] = {{-EISDIR, rename_onto_directory},
						  {-ENOTDIR, rename_directory_onto_file},
						  {-EBUSY, rename_onto_full},
						  {-EINVAL, rename_into_itself},
						  {-EBADF, rename_closed},
						  {-EBADF, rename_to_closed},
						  {-ENAMETOOLONG, rename_long},
						  {-EXDEV, rename_away},
						  {0, NULL}};
static const struct op_error renameat2_errors[] = {{-EEXIST, rename_keep}, {-EINVAL, rename_flag}, {0, NULL}};

/* Removing: `f`, or the empty directory `d`. */

static void did_unlink(struct op_place *place, int64_t result)
{
	EXPECT_EQ(result, 0);
	EXPECT(!is_there(place, "f"));
}

static void open_directory(struct op_place *place, bool ready)
{
	open_file(place, ready);
	MUST(mkdirat(place->dir, "d", 0700) == 0);
}

static void did_rmdir(struct op_place *place, int64_t result)
{
	EXPECT_EQ(result, 0);
	EXPECT(!is_there(place, "d"));
}

static void still_directory(struct op_place *place)
{
	EXPECT(is_there(place, "d"));
}

static int64_t rmdir_full(struct op_place *place)
{
	MUST(mkdirat(place->dir, "d/inner", 0700) == 0);
	return noria_rmdir(path_of(place, "d"));
}

CALL(call_unlink, noria_unlink(path_of(place, "f")))
CALL(call_unlinkat, noria_unlinkat(place->dir, "f", 0))
CALL(call_rmdir, noria_rmdir(path_of(place, "d")))
CALL(unlink_nowhere, noria_unlink(path_of(place, "g")))
CALL(unlink_directory, noria_unlinkat(full_at(place), "d", 0))
CALL(unlink_closed, noria_unlinkat(NOT_OPEN, "f", 0))
CALL(unlink_flag, noria_unlinkat(place->dir, "f", 1 << 30))
CALL(unlink_file_as_directory, noria_unlinkat(place->dir, "f", AT_REMOVEDIR))
CALL(rmdir_file, noria_rmdir(path_of(place, "f")))
CALL(rmdir_dot, noria_rmdir(path_of(place, "d/.")))

static const struct op_error unlink_errors[] = {{-ENOENT, unlink_nowhere}, {0, NULL}};
static const struct op_error unlinkat_errors[] = {{-EISDIR, unlink_directory},
						  {-EBADF, unlink_closed},
						  {-EINVAL, unlink_flag},
						  {-ENOTDIR, unlink_file_as_directory},
						  {0, NULL}};
static const struct op_error rmdir_errors[] = {
	{-ENOTEMPTY, rmdir_full}, {-ENOTDIR, rmdir_file}, {-EINVAL, rmdir_dot}, {0, NULL}};

/* Linking: `g` is another name of `f`, or `s` a symbolic link to it. */

static void did_link(struct op_place *place, int64_t result)
{
	struct stat found;

	EXPECT_EQ(result, 0);
	EXPECT(is_there(place, "f") && is_there(place, "g"));
	EXPECT(fstat(place->fd, &found) == 0 && found.st_nlink == 2);
}

static void did_symlink(struct op_place *place, int64_t result)
{
	char target[8];

	EXPECT_EQ(result, 0);
	EXPECT_EQ(readlinkat(place->dir, "s", target, sizeof target), 1);
	EXPECT_EQ(target[0], 'f');
}

static void no_symlink(struct op_place *place)
{
	EXPECT(!is_there(place, "s"));
}

CALL(call_link, noria_link(path_of(place, "f"), path_of(place, "g")))
CALL(call_linkat, noria_linkat(place->dir, "f", place->dir, "g", 0))
CALL(link_nowhere, noria_link(path_of(place, "g"), path_of(place, "h")))
CALL(link_onto_itself, noria_linkat(place->dir, "f", place->dir, "f", 0))
CALL(link_directory, noria_linkat(full_at(place), "d", place->dir, "g", 0))
CALL(link_away, noria_linkat(place->dir, "f", AT_FDCWD, "/dev/shm/noria-ops", 0))
CALL(link_closed, noria_linkat(NOT_OPEN, "f", place->dir, "g", 0))
CALL(link_to_closed, noria_linkat(place->dir, "f", NOT_OPEN, "g", 0))
CALL(link_flag, noria_linkat(place->dir, "f", place->dir, "g", 1 << 30))
CALL(call_symlink, noria_symlink("f", path_of(place, "s")))
CALL(call_symlinkat, noria_symlinkat("f", place->dir, "s"))
CALL(symlink_onto, noria_symlink("f", path_of(place, "f")))
CALL(symlink_empty, noria_symlinkat("", place->dir, "s"))
CALL(symlink_closed, noria_symlinkat("f", NOT_OPEN, "s"))

static const struct op_error link_errors[] = {{-ENOENT, link_nowhere}, {0, NULL}};
static const struct op_error linkat_errors[] = {{-EEXIST, link_onto_itself},
						{-EPERM, link_directory},
						{-EBADF, link_closed},
						{-EBADF, link_to_closed},
						{-EINVAL, link_flag},
						{-EXDEV, link_away},
						{0, NULL}};
static const struct op_error symlink_errors[] = {{-EEXIST, symlink_onto}, {0, NULL}};
static const struct op_error symlinkat_errors[] = {{-ENOENT, symlink_empty}, {-EBADF, symlink_closed}, {0, NULL}};

/* Making directories. */

static void did_mkdir(struct op_place *place, int64_t result)
{
	struct stat found;

	EXPECT_EQ(result, 0);
	EXPECT(fstatat(place->dir, "d", &found, 0) == 0 && found.st_mode == (S_IFDIR | 0750));
}

CALL(call_mkdir, noria_mkdir(path_of(place, "d"), 0750))
CALL(call_mkdirat, noria_mkdirat(place->dir, "d", 0750))
CALL(mkdir_onto, noria_mkdir(path_of(place, "f"), 0700))
CALL(mkdir_nowhere, noria_mkdirat(place->dir, "g/d", 0700))
CALL(mkdir_beneath_file, noria_mkdirat(place->dir, "f/d", 0700))
CALL(mkdir_closed, noria_mkdirat(NOT_OPEN, "d", 0700))
CALL(mkdir_long, noria_mkdirat(place->dir, long_name(), 0700))

static const struct op_error mkdir_errors[] = {{-EEXIST, mkdir_onto}, {0, NULL}};
static const struct op_error mkdirat_errors[] = {{-ENOENT, mkdir_nowhere},
						 {-ENOTDIR, mkdir_beneath_file},
						 {-EBADF, mkdir_closed},
						 {-ENAMETOOLONG, mkdir_long},
						 {0, NULL}};

/* Reading symbolic links. */

static void open_symlink(struct op_place *place, bool ready)
{
	open_file(place, ready);
	MUST(symlinkat("somewhere", place->dir, "s") == 0);
}

static void did_readlink(struct op_place *place, int64_t result)
{
	EXPECT_EQ(result, 9);
	EXPECT(memcmp(place->buffer, "somewhere", 10) == 0); /* the zero is the place's own */
}

static void nothing_read(struct op_place *place)
{
	EXPECT_EQ(place->buffer[0], 0);
}

CALL(call_readlink, noria_readlink(path_of(place, "s"), place->buffer, sizeof place->buffer))
CALL(call_readlinkat, noria_readlinkat(place->dir, "s", place->buffer, sizeof place->buffer))
CALL(readlink_file, noria_readlink(path_of(place, "f"), place->buffer, 8))
CALL(readlink_nowhere, noria_readlinkat(place->dir, "g", place->buffer, 8))
CALL(readlink_closed, noria_readlinkat(NOT_OPEN, "s", place->buffer, 8))
CALL(readlink_nothing, noria_readlinkat(place->dir, "s", place->buffer, 0))

static const struct op_error readlink_errors[] = {{-EINVAL, readlink_file}, {0, NULL}};
static const struct op_error readlinkat_errors[] = {
	{-ENOENT, readlink_nowhere}, {-EBADF, readlink_closed}, {-EINVAL, readlink_nothing}, {0, NULL}};

#define CASE(name_, open_, did_, did_not_, ...) \
	{ \
		.name = #name_, .open = open_, .call = call_##name_, .did = did_, .did_not = did_not_, \
		.close = close_file, .errors = name_##_errors, ##__VA_ARGS__ \
	}

static const struct op_case cases[] = {
	CASE(open, open_file, did_open, is_unchanged),
	CASE(openat, open_file, did_open, is_unchanged),
	CASE(openat2, open_file, did_open, is_unchanged),
	CASE(creat, open_file, did_create, is_unchanged),
	CASE(statx, open_file, did_stat, not_asked),
	CASE(stat, open_file, did_stat, not_asked),
	CASE(lstat, open_file, did_stat, not_asked),
	CASE(fstat, open_file, did_stat, not_asked),
	CASE(fstatat, open_file, did_stat, not_asked),
	CASE(rename, open_file, did_rename, is_unchanged),
	CASE(renameat, open_file, did_rename, is_unchanged),
	CASE(renameat2, open_file, did_rename, is_unchanged),
	CASE(unlink, open_file, did_unlink, is_unchanged),
	CASE(unlinkat, open_file, did_unlink, is_unchanged),
	CASE(rmdir, open_directory, did_rmdir, still_directory),
	CASE(link, open_file, did_link, is_unchanged),
	CASE(linkat, open_file, did_link, is_unchanged),
	CASE(symlink, open_file, did_symlink, no_symlink),
	CASE(symlinkat, open_file, did_symlink, no_symlink),
	CASE(mkdir, open_file, did_mkdir, is_unchanged),
	CASE(mkdirat, open_file, did_mkdir, is_unchanged),
	CASE(readlink, open_symlink, did_readlink, nothing_read, .offloaded = OPS_ALWAYS_OFFLOADED),
	CASE(readlinkat, open_symlink, did_readlink, nothing_read, .offloaded = OPS_ALWAYS_OFFLOADED),
	{0},
};

OPS(file_names, cases)
