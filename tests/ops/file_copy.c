/* SPDX-License-Identifier: MIT */
/* From one file into another. Each place has `f` of "content" as `fd`, and the empty `g` as `other`. */
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

static void open_two(struct op_place *place, bool ready)
{
	open_file(place, ready);
	place->other = make_file(place, "g", "");
}

static void did_copy(struct op_place *place, int64_t result)
{
	EXPECT_EQ(result, 7);
	EXPECT(content_is(place->other, "content"));
	EXPECT_EQ(lseek(place->fd, 0, SEEK_CUR), 7);
	EXPECT_EQ(lseek(place->other, 0, SEEK_CUR), 7);
}

/* "tent" at 2; positions stay. */
static void did_copy_at(struct op_place *place, int64_t result)
{
	char bytes[8];

	EXPECT_EQ(result, 4);
	EXPECT_EQ(pread(place->other, bytes, sizeof bytes, 0), 6);
	EXPECT(memcmp(bytes, "\0\0tent", 6) == 0);
	EXPECT_EQ(lseek(place->fd, 0, SEEK_CUR), 0);
	EXPECT_EQ(lseek(place->other, 0, SEEK_CUR), 0);
}

static void not_copied(struct op_place *place)
{
	EXPECT(content_is(place->other, ""));
	EXPECT_EQ(lseek(place->fd, 0, SEEK_CUR), 0);
	EXPECT_EQ(lseek(place->other, 0, SEEK_CUR), 0);
}

typedef ssize_t copy_fn(int, off_t *, int, off_t *, size_t, unsigned);

/* With offsets, which say how far it came. */
static int64_t copy_at(struct op_place *place, copy_fn *copy)
{
	off_t in = 3, out = 2;
	ssize_t r = copy(place->fd, &in, place->other, &out, 4, 0);

	EXPECT_EQ(in, r > 0 ? 7 : 3);
	EXPECT_EQ(out, r > 0 ? 6 : 2);
	return r;
}

/* Bytes of one file onto others of the same that they overlap. */
static int64_t overlap(struct op_place *place, copy_fn *copy)
{
	off_t in = 0, out = 2;
	int64_t r = copy(place->fd, &in, place->fd, &out, 5, 0);

	EXPECT(content_is(place->fd, "content"));
	return r;
}

static int read_only(struct op_place *place)
{
	place->third = openat(place->dir, "g", O_RDONLY | O_CLOEXEC);
	MUST(place->third >= 0);
	return place->third;
}

CALL(call_range, noria_copy_file_range(place->fd, NULL, place->other, NULL, 7, 0))
CALL(call_range_at, copy_at(place, noria_copy_file_range))
CALL(range_closed, noria_copy_file_range(NOT_OPEN, NULL, place->other, NULL, 7, 0))
CALL(range_to_closed, noria_copy_file_range(place->fd, NULL, NOT_OPEN, NULL, 7, 0))
CALL(range_flag, noria_copy_file_range(place->fd, NULL, place->other, NULL, 7, 1))
CALL(range_read_only, noria_copy_file_range(place->fd, NULL, read_only(place), NULL, 7, 0))
CALL(range_directory, noria_copy_file_range(place->dir, NULL, place->other, NULL, 7, 0))
CALL(range_overlap, overlap(place, noria_copy_file_range))
CALL(range_direct, noria_copy_file_range(place->fd, NULL, (1 << 30) + 1, NULL, 7, 0))
CALL(call_all, noria_copy_file_range_all(place->fd, NULL, place->other, NULL, 7, 0))
CALL(call_all_at, copy_at(place, noria_copy_file_range_all))
CALL(all_closed, noria_copy_file_range_all(NOT_OPEN, NULL, place->other, NULL, 7, 0))
CALL(all_to_closed, noria_copy_file_range_all(place->fd, &(off_t){0}, NOT_OPEN, &(off_t){0}, 7, 0))
CALL(all_flag, noria_copy_file_range_all(place->fd, NULL, place->other, NULL, 7, 1))
CALL(all_before, noria_copy_file_range_all(place->fd, &(off_t){-1}, place->other, NULL, 7, 0))
CALL(all_directory, noria_copy_file_range_all(place->dir, NULL, place->other, NULL, 7, 0))
CALL(all_overlap, overlap(place, noria_copy_file_range_all))
CALL(all_direct, noria_copy_file_range_all(place->fd, NULL, (1 << 30) + 1, NULL, 7, 0))

static int64_t all_from_pipe(struct op_place *place)
{
	int ends[2];
	int64_t r;

	MUST(pipe2(ends, O_CLOEXEC) == 0);
	r = noria_copy_file_range_all(ends[0], NULL, place->other, NULL, 7, 0);
	MUST(close(ends[0]) == 0 && close(ends[1]) == 0);
	return r;
}

static const struct op_error range_errors[] = {
	{-EBADF, range_closed},     {-EBADF, range_to_closed}, {-EINVAL, range_flag},       {-EBADF, range_read_only},
	{-EISDIR, range_directory}, {-EINVAL, range_overlap},  {-EOPNOTSUPP, range_direct}, {0, NULL}};
static const struct op_error all_errors[] = {
	{-EBADF, all_closed},      {-EBADF, all_to_closed},  {-EINVAL, all_flag},
	{-EINVAL, all_before},     {-EISDIR, all_directory}, {-EINVAL, all_overlap},
	{-EOPNOTSUPP, all_direct}, {-ESPIPE, all_from_pipe}, {0, NULL}};

#define CASE(name_, call_, did_, errors_) \
	{ \
		.name = name_, .open = open_two, .call = call_, .did = did_, .did_not = not_copied, \
		.close = close_file, .errors = errors_, .offloaded = OPS_ALWAYS_OFFLOADED \
	}

static const struct op_case cases[] = {
	CASE("copy_file_range", call_range, did_copy, range_errors),
	CASE("copy_file_range, offsets", call_range_at, did_copy_at, NULL),
	CASE("copy_file_range_all", call_all, did_copy, all_errors),
	CASE("copy_file_range_all, offsets", call_all_at, did_copy_at, NULL),
	{0},
};

OPS(file_copy, cases)

/* Two files of different file systems, one of them in memory; `size` bytes that say where they are. */
struct apart {
	int in, out;
	size_t size;
	char *bytes;
};

static struct apart open_apart(size_t size)
{
	struct apart apart = {.in = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600),
			      .out = memfd_create("copy", MFD_CLOEXEC),
			      .size = size,
			      .bytes = malloc(size)};

	MUST(apart.in >= 0 && apart.out >= 0 && apart.bytes);
	for (size_t i = 0; i < size; i++)
		apart.bytes[i] = (char)(i * 31 >> 5);
	MUST(write(apart.in, apart.bytes, size) == (ssize_t)size);
	MUST(lseek(apart.in, 0, SEEK_SET) == 0);
	return apart;
}

static void check_and_close(struct apart *apart, size_t moved)
{
	char *found = malloc(apart->size);
	struct stat status;

	MUST(found);
	EXPECT(fstat(apart->out, &status) == 0 && status.st_size == (off_t)moved);
	EXPECT_EQ(pread(apart->out, found, moved, 0), moved);
	EXPECT(memcmp(found, apart->bytes, moved) == 0);
	EXPECT_EQ(lseek(apart->in, 0, SEEK_CUR), moved);
	EXPECT_EQ(lseek(apart->out, 0, SEEK_CUR), moved);
	MUST(close(apart->in) == 0 && close(apart->out) == 0);
	free(found);
	free(apart->bytes);
}

UNIT(file_copy, goes_on_between_file_systems)
{
	struct apart apart = open_apart(1000001);

	/* Linux 5.19 and newer say so; what matters is that it is copied all the same. */
	EXPECT_EQ(noria_copy_file_range(apart.in, NULL, apart.out, NULL, 1, 0), -EXDEV);
	EXPECT_EQ(noria_copy_file_range_all(apart.in, NULL, apart.out, NULL, SIZE_MAX, 0), 1000001);
	EXPECT_EQ(noria_progress(), 1000001);
	check_and_close(&apart, 1000001);
	return 0;
}

/* Positions that are not the beginning; within the kernel, and by reading and writing. */
UNIT(file_copy, moves_the_positions_by_what_has_moved)
{
	struct apart apart = open_apart(1000);
	int other = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	MUST(other >= 0 && lseek(apart.in, 100, SEEK_SET) == 100 && lseek(other, 50, SEEK_SET) == 50);
	EXPECT_EQ(noria_copy_file_range_all(apart.in, NULL, other, NULL, 10, 0), 10);
	EXPECT_EQ(lseek(apart.in, 0, SEEK_CUR), 110);
	EXPECT_EQ(lseek(other, 0, SEEK_CUR), 60);
	MUST(lseek(apart.out, 70, SEEK_SET) == 70);
	EXPECT_EQ(noria_copy_file_range_all(apart.in, NULL, apart.out, NULL, 20, 0), 20);
	EXPECT_EQ(lseek(apart.in, 0, SEEK_CUR), 130);
	EXPECT_EQ(lseek(apart.out, 0, SEEK_CUR), 90);
	MUST(close(apart.in) == 0 && close(apart.out) == 0 && close(other) == 0);
	free(apart.bytes);
	return 0;
}

/* What has left the file, and stands in the pipe within, is not sent, and comes again. */
UNIT(file_copy, sendfile_counts_what_the_socket_took)
{
	struct apart apart = open_apart(4 << 20);
	char *found = malloc(4 << 20);
	off_t offset = 0;
	ssize_t n, got = 0;
	int pair[2];

	unit_pair(pair);
	MUST(found && fcntl(pair[0], F_SETFL, O_NONBLOCK) == 0);
	n = noria_within(noria_msec(30), noria_sendfile(pair[0], apart.in, &offset, 4 << 20));
	EXPECT_EQ(n, -ETIMEDOUT);
	while ((n = recv(pair[1], found + got, (4 << 20) - (size_t)got, MSG_DONTWAIT)) > 0)
		got += n;
	EXPECT(got > 0 && got < 4 << 20);
	EXPECT_EQ(offset, got);
	EXPECT(memcmp(found, apart.bytes, (size_t)got) == 0);
	EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]), 0);
	MUST(close(apart.in) == 0 && close(apart.out) == 0);
	free(found);
	free(apart.bytes);
	return 0;
}

UNIT(file_copy, copies_what_has_no_size)
{
	int in = open("/proc/self/status", O_RDONLY | O_CLOEXEC), out = memfd_create("copy", MFD_CLOEXEC);
	char text[8192] = "";
	ssize_t n;

	MUST(in >= 0 && out >= 0);
	n = noria_copy_file_range_all(in, NULL, out, NULL, SIZE_MAX, 0);
	EXPECT(n > 100);
	EXPECT_EQ(pread(out, text, sizeof text - 1, 0), n);
	EXPECT(strstr(text, "Pid:") != NULL);
	EXPECT(close(in) == 0 && close(out) == 0);
	return 0;
}

UNIT(file_copy, says_how_far_it_came)
{
	struct apart apart = open_apart(700000);
	struct rlimit before, limit;

	MUST(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
	MUST(getrlimit(RLIMIT_FSIZE, &before) == 0);
	limit = before;
	limit.rlim_cur = 600000;
	MUST(setrlimit(RLIMIT_FSIZE, &limit) == 0);
	EXPECT_EQ(noria_copy_file_range_all(apart.in, NULL, apart.out, NULL, SIZE_MAX, 0), -EFBIG);
	EXPECT_EQ(noria_progress(), 600000);
	MUST(setrlimit(RLIMIT_FSIZE, &before) == 0);
	check_and_close(&apart, 600000);
	return 0;
}

struct copying {
	struct apart apart;
	struct noria_scope scope;
	ssize_t result;
	size_t moved;
	bool ended;
};

static int copy(void *arg)
{
	struct copying *copying = arg;

	MUST(noria_scope_open(&copying->scope, NORIA_FOREVER, 0) == 0);
	copying->result = noria_copy_file_range_all(copying->apart.in, NULL, copying->apart.out, NULL, SIZE_MAX, 0);
	copying->moved = noria_progress();
	copying->ended = true;
	return (int)noria_scope_close(&copying->scope, copying->result < 0 ? (int)copying->result : 0);
}

static off_t size_of(int fd)
{
	struct stat status;

	MUST(fstat(fd, &status) == 0);
	return status.st_size;
}

UNIT(file_copy, a_cancel_in_its_midst_leaves_what_has_moved)
{
	struct copying copying = {.apart = open_apart(16 << 20)};
	struct noria_group group;

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, copy, &copying) == 0);
	UNTIL(size_of(copying.apart.out) > 0);
	noria_scope_cancel(&copying.scope);
	MUST(noria_group_close(&group, 0) == 0);
	EXPECT_EQ(copying.result, -ECANCELED);
	EXPECT(copying.moved > 0 && copying.moved < 16 << 20);
	check_and_close(&copying.apart, copying.moved);
	return 0;
}

/* R10: between reading and writing too. */
UNIT(file_copy, a_close_of_the_output_spares_its_next_owner)
{
	for (int i = 0; i < 20; i++) {
		struct copying copying = {.apart = open_apart(16 << 20)};
		struct noria_group group;
		int out = copying.apart.out;

		MUST(noria_group_open(&group) == 0);
		MUST(noria_spawn(&group, copy, &copying) == 0);
		UNTIL(size_of(out) > 0);
		for (int turn = 0; turn < i; turn++)
			MUST(noria_yield() == 0);
		EXPECT_EQ(noria_close(out), 0);
		EXPECT_EQ(memfd_create("another", MFD_CLOEXEC), out);
		EXPECT_EQ(noria_group_close(&group, 0), -EBADF);
		EXPECT_EQ(size_of(out), 0);
		EXPECT(close(copying.apart.in) == 0 && close(out) == 0);
		free(copying.apart.bytes);
	}
	return 0;
}

UNIT(file_copy, a_close_in_its_midst_ends_it)
{
	struct copying copying = {.apart = open_apart(16 << 20)};
	struct noria_group group;
	int in;

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, copy, &copying) == 0);
	UNTIL(size_of(copying.apart.out) > 0);
	in = copying.apart.in;
	EXPECT_EQ(noria_close(in), 0);
	copying.apart.in = memfd_create("another", MFD_CLOEXEC);
	EXPECT_EQ(copying.apart.in, in);
	EXPECT_EQ(noria_group_close(&group, 0), -EBADF);
	EXPECT_EQ(copying.result, -EBADF);
	EXPECT_EQ(lseek(in, 0, SEEK_CUR), 0); /* the number's next owner is left alone */
	EXPECT(close(in) == 0 && close(copying.apart.out) == 0);
	free(copying.apart.bytes);
	return 0;
}
