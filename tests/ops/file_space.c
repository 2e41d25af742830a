/* SPDX-License-Identifier: MIT */
/* To the disk; size and room; advice. Each place has a file `f` of "content". */
#include "file.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>

#define CALL(name, expression) \
	static int64_t name(struct op_place *place) \
	{ \
		(void)place; \
		return (expression); \
	}

static int64_t size_of(const struct op_place *place)
{
	struct stat found;

	MUST(fstat(place->fd, &found) == 0);
	return found.st_size;
}

static void did_nothing_visible(struct op_place *place, int64_t result)
{
	EXPECT_EQ(result, 0);
	EXPECT(content_is(place->fd, "content"));
}

static void is_unchanged(struct op_place *place)
{
	EXPECT(content_is(place->fd, "content"));
}

/* A descriptor that cannot write: in the place of `other`. */
static int read_only(struct op_place *place)
{
	place->other = openat(place->dir, "f", O_RDONLY | O_CLOEXEC);
	MUST(place->other >= 0);
	return place->other;
}

static int pipe_end(struct op_place *place)
{
	int ends[2];

	MUST(pipe2(ends, O_CLOEXEC) == 0);
	place->other = ends[0];
	place->third = ends[1];
	return ends[1];
}

CALL(call_fsync, noria_fsync(place->fd))
CALL(call_fdatasync, noria_fdatasync(place->fd))
CALL(call_sync_file_range, noria_sync_file_range(place->fd, 0, 4, SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER))
CALL(call_sync_far, noria_sync_file_range(place->fd, 0, INT64_C(1) << 33, SYNC_FILE_RANGE_WRITE))
CALL(fsync_closed, noria_fsync(NOT_OPEN))
CALL(fsync_pipe, noria_fsync(pipe_end(place)))
CALL(fdatasync_closed, noria_fdatasync(NOT_OPEN))
CALL(sync_closed, noria_sync_file_range(NOT_OPEN, 0, 0, SYNC_FILE_RANGE_WRITE))
CALL(sync_far_closed, noria_sync_file_range(NOT_OPEN, 0, INT64_C(1) << 33, SYNC_FILE_RANGE_WRITE))
CALL(sync_before, noria_sync_file_range(place->fd, -1, 0, SYNC_FILE_RANGE_WRITE))
CALL(sync_flag, noria_sync_file_range(place->fd, 0, 0, 1 << 30))
CALL(sync_pipe, noria_sync_file_range(pipe_end(place), 0, 0, SYNC_FILE_RANGE_WRITE))

static const struct op_error fsync_errors[] = {{-EBADF, fsync_closed}, {-EINVAL, fsync_pipe}, {0, NULL}};
static const struct op_error fdatasync_errors[] = {{-EBADF, fdatasync_closed}, {0, NULL}};
static const struct op_error sync_errors[] = {
	{-EBADF, sync_closed}, {-EINVAL, sync_before}, {-EINVAL, sync_flag}, {-ESPIPE, sync_pipe}, {0, NULL}};
static const struct op_error sync_far_errors[] = {{-EBADF, sync_far_closed}, {0, NULL}};

static void did_extend(struct op_place *place, int64_t result)
{
	EXPECT_EQ(result, 0);
	EXPECT_EQ(size_of(place), 10000);
}

static void did_cut(struct op_place *place, int64_t result)
{
	EXPECT_EQ(result, 0);
	EXPECT(content_is(place->fd, "con"));
}

/* Beyond the largest file that this process may make. */
static int64_t limited(struct op_place *place, int64_t (*call)(struct op_place *))
{
	struct rlimit before, limit;
	int64_t r;

	MUST(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
	MUST(getrlimit(RLIMIT_FSIZE, &before) == 0);
	limit = before;
	limit.rlim_cur = 1 << 20;
	MUST(setrlimit(RLIMIT_FSIZE, &limit) == 0);
	r = call(place);
	MUST(setrlimit(RLIMIT_FSIZE, &before) == 0);
	return r;
}

CALL(call_fallocate, noria_fallocate(place->fd, 0, 0, 10000))
CALL(fallocate_closed, noria_fallocate(NOT_OPEN, 0, 0, 1))
CALL(fallocate_read_only, noria_fallocate(read_only(place), 0, 0, 1))
CALL(fallocate_nothing, noria_fallocate(place->fd, 0, 0, 0))
CALL(fallocate_before, noria_fallocate(place->fd, 0, -1, 1))
CALL(fallocate_pipe, noria_fallocate(pipe_end(place), 0, 0, 1))
CALL(fallocate_mode, noria_fallocate(place->fd, 1 << 30, 0, 1))
CALL(fallocate_directory, noria_fallocate(place->dir, 0, 0, 1))
CALL(fallocate_more, noria_fallocate(place->fd, 0, 0, 2 << 20))
CALL(fallocate_limit, limited(place, fallocate_more))

static const struct op_error fallocate_errors[] = {
	{-EBADF, fallocate_closed},    {-EBADF, fallocate_read_only}, {-EINVAL, fallocate_nothing},
	{-EINVAL, fallocate_before},   {-ESPIPE, fallocate_pipe},     {-EOPNOTSUPP, fallocate_mode},
	{-EBADF, fallocate_directory}, {-EFBIG, fallocate_limit},     {0, NULL}};

CALL(call_ftruncate, noria_ftruncate(place->fd, 3))
CALL(ftruncate_closed, noria_ftruncate(NOT_OPEN, 3))
CALL(ftruncate_read_only, noria_ftruncate(read_only(place), 3))
CALL(ftruncate_negative, noria_ftruncate(place->fd, -1))
CALL(ftruncate_directory, noria_ftruncate(place->dir, 3))
CALL(ftruncate_more, noria_ftruncate(place->fd, 2 << 20))
CALL(ftruncate_limit, limited(place, ftruncate_more))

static const struct op_error ftruncate_errors[] = {{-EBADF, ftruncate_closed},    {-EINVAL, ftruncate_read_only},
						   {-EINVAL, ftruncate_negative}, {-EINVAL, ftruncate_directory},
						   {-EFBIG, ftruncate_limit},     {0, NULL}};

CALL(call_truncate, noria_truncate(path_of(place, "f"), 3))
CALL(truncate_nowhere, noria_truncate(path_of(place, "g"), 3))
CALL(truncate_directory, noria_truncate(place->path, 3))
CALL(truncate_negative, noria_truncate(path_of(place, "f"), -1))

static const struct op_error truncate_errors[] = {
	{-ENOENT, truncate_nowhere}, {-EISDIR, truncate_directory}, {-EINVAL, truncate_negative}, {0, NULL}};

CALL(call_fadvise, noria_posix_fadvise(place->fd, 0, 4, POSIX_FADV_WILLNEED))
CALL(call_fadvise_far, noria_posix_fadvise(place->fd, 0, INT64_C(1) << 33, POSIX_FADV_DONTNEED))
CALL(fadvise_closed, noria_posix_fadvise(NOT_OPEN, 0, 0, POSIX_FADV_NORMAL))
CALL(fadvise_pipe, noria_posix_fadvise(pipe_end(place), 0, 0, POSIX_FADV_NORMAL))
CALL(fadvise_advice, noria_posix_fadvise(place->fd, 0, 0, 99))
CALL(fadvise_negative, noria_posix_fadvise(place->fd, 0, -1, POSIX_FADV_NORMAL))
CALL(fadvise_far_closed, noria_posix_fadvise(NOT_OPEN, 0, INT64_C(1) << 33, POSIX_FADV_NORMAL))

static const struct op_error fadvise_errors[] = {{-EBADF, fadvise_closed},
						 {-ESPIPE, fadvise_pipe},
						 {-EINVAL, fadvise_advice},
						 {-EINVAL, fadvise_negative},
						 {0, NULL}};
static const struct op_error fadvise_far_errors[] = {{-EBADF, fadvise_far_closed}, {0, NULL}};

/* Memory of its own in `extra`: a page of which the first byte is set. */
enum { MAPPED = 1 << 16 };

static void open_memory(struct op_place *place, bool ready)
{
	(void)ready;
	place->extra = mmap(NULL, MAPPED, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	MUST(place->extra != MAP_FAILED);
	*(char *)place->extra = 'x';
}

static void close_memory(struct op_place *place)
{
	MUST(munmap(place->extra, MAPPED) == 0);
}

static void did_forget(struct op_place *place, int64_t result)
{
	EXPECT_EQ(result, 0);
	EXPECT_EQ(*(char *)place->extra, 0);
}

static void not_forgotten(struct op_place *place)
{
	EXPECT_EQ(*(char *)place->extra, 'x');
}

CALL(call_madvise, noria_madvise(place->extra, MAPPED, MADV_DONTNEED))
CALL(madvise_advice, noria_madvise(place->extra, MAPPED, 9999))
CALL(madvise_unaligned, noria_madvise((char *)place->extra + 1, MAPPED, MADV_DONTNEED))
CALL(madvise_unmapped, noria_madvise((void *)4096, MAPPED, MADV_WILLNEED))
CALL(madvise_everything, noria_madvise((void *)4096, SIZE_MAX / 4, MADV_WILLNEED))

static const struct op_error madvise_errors[] = {{-EINVAL, madvise_advice},
						 {-EINVAL, madvise_unaligned},
						 {-ENOMEM, madvise_unmapped},
						 {-ENOMEM, madvise_everything},
						 {0, NULL}};

/* Of more than an entry has room for, only the last page is touched. */
#define MAPPED_FAR ((size_t)1 << 32 | MAPPED)

static void open_much_memory(struct op_place *place, bool ready)
{
	(void)ready;
	place->extra =
		mmap(NULL, MAPPED_FAR, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	MUST(place->extra != MAP_FAILED);
	((char *)place->extra)[MAPPED_FAR - 1] = 'x';
}

static void close_much_memory(struct op_place *place)
{
	MUST(munmap(place->extra, MAPPED_FAR) == 0);
}

static void did_forget_far(struct op_place *place, int64_t result)
{
	EXPECT_EQ(result, 0);
	EXPECT_EQ(((char *)place->extra)[MAPPED_FAR - 1], 0);
}

static void far_not_forgotten(struct op_place *place)
{
	EXPECT_EQ(((char *)place->extra)[MAPPED_FAR - 1], 'x');
}

CALL(call_madvise_far, noria_madvise(place->extra, MAPPED_FAR, MADV_DONTNEED))

#define CASE(name_, call_, did_, errors_, ...) \
	{ \
		.name = name_, .open = open_file, .call = call_, .did = did_, .did_not = is_unchanged, \
		.close = close_file, .errors = errors_, ##__VA_ARGS__ \
	}

static const struct op_case cases[] = {
	CASE("fsync", call_fsync, did_nothing_visible, fsync_errors),
	CASE("fdatasync", call_fdatasync, did_nothing_visible, fdatasync_errors),
	CASE("sync_file_range", call_sync_file_range, did_nothing_visible, sync_errors),
	CASE("sync_file_range, 8 GiB", call_sync_far, did_nothing_visible, sync_far_errors,
	     .offloaded = OPS_ALWAYS_OFFLOADED),
	CASE("fallocate", call_fallocate, did_extend, fallocate_errors),
	CASE("ftruncate", call_ftruncate, did_cut, ftruncate_errors, .offloaded = "ftruncate"),
	CASE("truncate", call_truncate, did_cut, truncate_errors, .offloaded = OPS_ALWAYS_OFFLOADED),
	CASE("posix_fadvise", call_fadvise, did_nothing_visible, fadvise_errors),
	CASE("posix_fadvise, 8 GiB", call_fadvise_far, did_nothing_visible, fadvise_far_errors,
	     .offloaded = OPS_ALWAYS_OFFLOADED),
	{.name = "madvise, 4 GiB",
	 .open = open_much_memory,
	 .call = call_madvise_far,
	 .did = did_forget_far,
	 .did_not = far_not_forgotten,
	 .close = close_much_memory,
	 .offloaded = OPS_ALWAYS_OFFLOADED},
	{.name = "madvise",
	 .open = open_memory,
	 .call = call_madvise,
	 .did = did_forget,
	 .did_not = not_forgotten,
	 .close = close_memory,
	 .errors = madvise_errors},
	{0},
};

OPS(file_space, cases)
