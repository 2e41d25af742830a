/* SPDX-License-Identifier: MIT */
/* Reading and writing, on pipes, where they wait; splice, tee, sendfile, and the making of pipes. */
#include "file.h"

#include <signal.h>
#include <sys/uio.h>

static void did_read(struct op_place *place, int64_t result)
{
	EXPECT_EQ(result, 5);
	EXPECT(memcmp(place->buffer, "by", 2) == 0);
	EXPECT_EQ(waiting_in(place->fd), 0);
}

static void still_unread(struct op_place *place)
{
	EXPECT_EQ(waiting_in(place->fd), 5);
}

static void did_write(struct op_place *place, int64_t result)
{
	EXPECT_EQ(result, 5);
	EXPECT_EQ(read(place->other, place->buffer, 64), 5);
	EXPECT(memcmp(place->buffer, "bytes", 5) == 0);
}

static void not_written(struct op_place *place)
{
	EXPECT_EQ(waiting_in(place->other), 0);
}

/* Two parts, of 2 and of 40 bytes; and the bytes to write. */
#define IN(place)  ((struct iovec[]){{(place)->buffer, 2}, {(place)->second, 40}})
#define OUT(place) ((struct iovec[]){{"by", 2}, {"tes", 3}})

#define CALL(name, expression) \
	static int64_t name(struct op_place *place) \
	{ \
		(void)place; \
		return (expression); \
	}

CALL(call_read, noria_read(place->fd, place->buffer, 64))
CALL(call_readv, noria_readv(place->fd, IN(place), 2))
CALL(call_pread, noria_pread(place->fd, place->buffer, 64, 3))
CALL(call_preadv, noria_preadv(place->fd, IN(place), 2, 3))
CALL(call_preadv2, noria_preadv2(place->fd, IN(place), 2, -1, 0))
CALL(call_write, noria_write(place->fd, "bytes", 5))
CALL(call_writev, noria_writev(place->fd, OUT(place), 2))
CALL(call_pwrite, noria_pwrite(place->fd, "bytes", 5, 3))
CALL(call_pwritev, noria_pwritev(place->fd, OUT(place), 2, 3))
CALL(call_pwritev2, noria_pwritev2(place->fd, OUT(place), 2, -1, 0))

CALL(read_closed, noria_read(NOT_OPEN, place->buffer, 1))
CALL(read_other_end, noria_read(place->other, place->buffer, 1))
CALL(read_directory, noria_read(place->dir, place->buffer, 1))
CALL(readv_closed, noria_readv(NOT_OPEN, IN(place), 2))
CALL(readv_negative, noria_readv(place->fd, IN(place), -1))
CALL(pread_closed, noria_pread(NOT_OPEN, place->buffer, 1, 0))
CALL(pread_before, noria_pread(place->fd, place->buffer, 1, -1))
CALL(preadv_closed, noria_preadv(NOT_OPEN, IN(place), 2, 0))
CALL(preadv_before, noria_preadv(place->fd, IN(place), 2, -1))
CALL(preadv2_closed, noria_preadv2(NOT_OPEN, IN(place), 2, 0, 0))
CALL(preadv2_before, noria_preadv2(place->fd, IN(place), 2, -2, 0))
CALL(preadv2_flag, noria_preadv2(place->fd, IN(place), 2, 0, 1 << 30))
CALL(write_closed, noria_write(NOT_OPEN, "", 1))
CALL(write_other_end, noria_write(place->other, "", 1))
CALL(writev_closed, noria_writev(NOT_OPEN, OUT(place), 2))
CALL(writev_negative, noria_writev(place->fd, OUT(place), -1))
CALL(pwrite_closed, noria_pwrite(NOT_OPEN, "", 1, 0))
CALL(pwrite_before, noria_pwrite(place->fd, "", 1, -1))
CALL(pwritev_closed, noria_pwritev(NOT_OPEN, OUT(place), 2, 0))
CALL(pwritev_before, noria_pwritev(place->fd, OUT(place), 2, -1))
CALL(pwritev2_closed, noria_pwritev2(NOT_OPEN, OUT(place), 2, 0, 0))
CALL(pwritev2_before, noria_pwritev2(place->fd, OUT(place), 2, -2, 0))
CALL(pwritev2_flag, noria_pwritev2(place->fd, OUT(place), 2, 0, 1 << 30))

/* Nobody reads any more, and SIGPIPE does not end the program for it. */
static int64_t write_broken(struct op_place *place)
{
	MUST(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
	MUST(close(place->other) == 0);
	place->other = -1;
	return noria_write(place->fd, "", 1);
}

static const struct op_error read_errors[] = {
	{-EBADF, read_closed}, {-EBADF, read_other_end}, {-EISDIR, read_directory}, {0, NULL}};
static const struct op_error readv_errors[] = {{-EBADF, readv_closed}, {-EINVAL, readv_negative}, {0, NULL}};
static const struct op_error pread_errors[] = {{-EBADF, pread_closed}, {-EINVAL, pread_before}, {0, NULL}};
static const struct op_error preadv_errors[] = {{-EBADF, preadv_closed}, {-EINVAL, preadv_before}, {0, NULL}};
static const struct op_error preadv2_errors[] = {
	{-EBADF, preadv2_closed}, {-EINVAL, preadv2_before}, {-EOPNOTSUPP, preadv2_flag}, {0, NULL}};
static const struct op_error write_errors[] = {
	{-EBADF, write_closed}, {-EBADF, write_other_end}, {-EPIPE, write_broken}, {0, NULL}};
static const struct op_error writev_errors[] = {{-EBADF, writev_closed}, {-EINVAL, writev_negative}, {0, NULL}};
static const struct op_error pwrite_errors[] = {{-EBADF, pwrite_closed}, {-EINVAL, pwrite_before}, {0, NULL}};
static const struct op_error pwritev_errors[] = {{-EBADF, pwritev_closed}, {-EINVAL, pwritev_before}, {0, NULL}};
static const struct op_error pwritev2_errors[] = {
	{-EBADF, pwritev2_closed}, {-EINVAL, pwritev2_before}, {-EOPNOTSUPP, pwritev2_flag}, {0, NULL}};

/* So large that a worker of the kernel does it from the start; which must not be blocked in it. */
enum { LARGE = 1 << 20 };

static char large[LARGE];

static void did_read_large(struct op_place *place, int64_t result)
{
	EXPECT_EQ(result, 5);
	EXPECT(memcmp(large, "bytes", 5) == 0);
	EXPECT_EQ(waiting_in(place->fd), 0);
}

/* As much as the pipe holds. */
static int64_t write_large(struct op_place *place)
{
	return noria_write(place->fd, large, LARGE);
}

static void did_write_large(struct op_place *place, int64_t result)
{
	EXPECT_EQ(result, PIPE_SIZE);
	empty_output(place);
}

static void open_output_nonblock(struct op_place *place, bool ready)
{
	open_output(place, ready);
	MUST(fcntl(place->fd, F_SETFL, O_NONBLOCK) == 0);
}

static void open_input_nonblock(struct op_place *place, bool ready)
{
	open_input(place, ready);
	MUST(fcntl(place->fd, F_SETFL, O_NONBLOCK) == 0);
}

CALL(read_large, noria_read(place->fd, large, LARGE))
CALL(readv_large, noria_readv(place->fd, ((struct iovec[]){{large, LARGE / 2}, {large + LARGE / 2, LARGE / 2}}), 2))
CALL(write_large_closed, noria_write(NOT_OPEN, large, LARGE))

static const struct op_error large_errors[] = {{-EBADF, write_large_closed}, {0, NULL}};

/* An input, and a second pipe for what comes out of it: `number` is its reading end. */
static void open_two_pipes(struct op_place *place, bool ready)
{
	int ends[2];

	open_input(place, ready);
	MUST(pipe2(ends, O_CLOEXEC) == 0);
	place->third = ends[1];
	place->number = (uint64_t)ends[0];
}

static void close_two_pipes(struct op_place *place)
{
	close_fds(place);
	MUST(close((int)place->number) == 0);
}

static void did_splice(struct op_place *place, int64_t result)
{
	EXPECT_EQ(result, 5);
	EXPECT_EQ(waiting_in(place->fd), 0);
	EXPECT_EQ(read((int)place->number, place->buffer, 64), 5);
	EXPECT(memcmp(place->buffer, "bytes", 5) == 0);
}

static void did_tee(struct op_place *place, int64_t result)
{
	EXPECT_EQ(waiting_in(place->fd), 5);
	EXPECT_EQ(read(place->fd, place->buffer, 64), 5);
	did_splice(place, result);
}

static void nothing_moved(struct op_place *place)
{
	EXPECT_EQ(waiting_in(place->fd), 5);
	EXPECT_EQ(waiting_in((int)place->number), 0);
}

CALL(call_splice, noria_splice(place->fd, NULL, place->third, NULL, 64, 0))
CALL(splice_closed, noria_splice(NOT_OPEN, NULL, place->third, NULL, 64, 0))
CALL(splice_to_closed, noria_splice(place->fd, NULL, NOT_OPEN, NULL, 64, 0))
CALL(splice_directory, noria_splice(place->fd, NULL, place->dir, NULL, 64, 0))
CALL(splice_backwards, noria_splice(place->other, NULL, place->third, NULL, 64, 0))
CALL(splice_into_itself, noria_splice(place->fd, NULL, place->other, NULL, 64, 0))
CALL(call_tee, noria_tee(place->fd, place->third, 64, 0))
CALL(tee_closed, noria_tee(NOT_OPEN, place->third, 64, 0))
CALL(tee_to_closed, noria_tee(place->fd, NOT_OPEN, 64, 0))
CALL(tee_directory, noria_tee(place->fd, place->dir, 64, 0))
CALL(tee_into_itself, noria_tee(place->fd, place->other, 64, 0))
CALL(tee_flag, noria_tee(place->fd, place->third, 64, 1 << 20))

static int64_t tee_nothing(struct op_place *place)
{
	MUST(read(place->fd, place->buffer, 64) == 5);
	return noria_tee(place->fd, place->third, 64, SPLICE_F_NONBLOCK);
}

static const struct op_error splice_errors[] = {{-EBADF, splice_closed},       {-EBADF, splice_to_closed},
						{-EBADF, splice_directory},    {-EBADF, splice_backwards},
						{-EINVAL, splice_into_itself}, {0, NULL}};
static const struct op_error tee_errors[] = {{-EBADF, tee_closed},
					     {-EBADF, tee_to_closed},
					     {-EBADF, tee_directory},
					     {-EINVAL, tee_into_itself},
					     {-EINVAL, tee_flag},
					     {-EAGAIN, tee_nothing},
					     {0, NULL}};

/* Out of the file `third` into a pipe. */
static void open_sending(struct op_place *place, bool ready)
{
	open_output(place, ready);
	place->third = make_file(place, "f", "some bytes");
}

static void close_sending(struct op_place *place)
{
	close_fds(place);
	remove_name(place, "f");
}

static int64_t call_sendfile(struct op_place *place)
{
	off_t offset = 5;
	ssize_t r = noria_sendfile(place->fd, place->third, &offset, 100);

	EXPECT_EQ(offset, r > 0 ? 10 : 5);
	return r;
}

static void did_send(struct op_place *place, int64_t result)
{
	did_write(place, result);
	EXPECT_EQ(lseek(place->third, 0, SEEK_CUR), 0);
}

static int64_t send_from_closed(struct op_place *place)
{
	return noria_sendfile(place->fd, NOT_OPEN, NULL, 1);
}

static int64_t send_from_pipe(struct op_place *place)
{
	return noria_sendfile(place->fd, place->other, NULL, 1);
}

static int64_t send_to_closed(struct op_place *place)
{
	return noria_sendfile(NOT_OPEN, place->third, NULL, 1);
}

static int64_t send_before(struct op_place *place)
{
	return noria_sendfile(place->fd, place->third, &(off_t){-1}, 1);
}

static int64_t send_broken(struct op_place *place)
{
	MUST(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
	MUST(close(place->other) == 0);
	place->other = -1;
	return noria_sendfile(place->fd, place->third, NULL, 1);
}

static const struct op_error send_errors[] = {{-EBADF, send_from_closed}, {-ESPIPE, send_from_pipe},
					      {-EBADF, send_to_closed},   {-EINVAL, send_before},
					      {-EPIPE, send_broken},      {0, NULL}};

static void open_nothing(struct op_place *place, bool ready)
{
	(void)place, (void)ready;
}

static int64_t keep(struct op_place *place, int r, const int ends[2])
{
	place->fd = ends[0];
	place->other = ends[1];
	return r;
}

static int64_t call_pipe(struct op_place *place)
{
	int ends[2] = {-1, -1}, r = noria_pipe(ends);

	return keep(place, r, ends);
}

static int64_t call_pipe2(struct op_place *place)
{
	int ends[2] = {-1, -1}, r = noria_pipe2(ends, O_CLOEXEC | O_NONBLOCK);

	return keep(place, r, ends);
}

static void did_pipe(struct op_place *place, int64_t result)
{
	EXPECT_EQ(result, 0);
	EXPECT_EQ(fcntl(place->fd, F_GETFD), 0);
	fill_input(place);
	EXPECT_EQ(read(place->fd, place->buffer, 64), 5);
}

static void did_pipe2(struct op_place *place, int64_t result)
{
	EXPECT_EQ(result, 0);
	EXPECT_EQ(fcntl(place->fd, F_GETFD), FD_CLOEXEC);
	EXPECT_EQ(fcntl(place->other, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	fill_input(place);
	EXPECT_EQ(read(place->fd, place->buffer, 64), 5);
}

static void no_pipe(struct op_place *place)
{
	EXPECT_EQ(place->fd, -1);
	EXPECT_EQ(place->other, -1);
}

CALL(pipe_flag, noria_pipe2((int[2]){0}, 1 << 30))

static const struct op_error pipe_errors[] = {{-EINVAL, pipe_flag}, {0, NULL}};

#define READ(name_, call_, errors_) \
	{ \
		.name = name_, .open = open_input, .call = call_, .complete = fill_input, .did = did_read, \
		.did_not = still_unread, .close = close_fds, .errors = errors_ \
	}

#define WRITE(name_, call_, errors_) \
	{ \
		.name = name_, .open = open_output, .call = call_, .complete = empty_output, .did = did_write, \
		.did_not = not_written, .close = close_fds, .errors = errors_ \
	}

static const struct op_case cases[] = {
	READ("read", call_read, read_errors),
	READ("readv", call_readv, readv_errors),
	READ("pread", call_pread, pread_errors),
	READ("preadv", call_preadv, preadv_errors),
	READ("preadv2", call_preadv2, preadv2_errors),
	WRITE("write", call_write, write_errors),
	WRITE("writev", call_writev, writev_errors),
	WRITE("pwrite", call_pwrite, pwrite_errors),
	WRITE("pwritev", call_pwritev, pwritev_errors),
	WRITE("pwritev2", call_pwritev2, pwritev2_errors),
	{.name = "read, large",
	 .open = open_input,
	 .call = read_large,
	 .complete = fill_input,
	 .did = did_read_large,
	 .did_not = still_unread,
	 .close = close_fds},
	{.name = "readv, large, O_NONBLOCK",
	 .open = open_input_nonblock,
	 .call = readv_large,
	 .complete = fill_input,
	 .did = did_read_large,
	 .did_not = still_unread,
	 .close = close_fds},
	{.name = "write, large, O_NONBLOCK",
	 .open = open_output_nonblock,
	 .call = write_large,
	 .complete = empty_output,
	 .did = did_write_large,
	 .did_not = not_written,
	 .close = close_fds,
	 .errors = large_errors},
	{.name = "splice",
	 .open = open_two_pipes,
	 .call = call_splice,
	 .complete = fill_input,
	 .did = did_splice,
	 .did_not = nothing_moved,
	 .close = close_two_pipes,
	 .errors = splice_errors},
	{.name = "tee",
	 .open = open_two_pipes,
	 .call = call_tee,
	 .complete = fill_input,
	 .did = did_tee,
	 .did_not = nothing_moved,
	 .close = close_two_pipes,
	 .errors = tee_errors},
	{.name = "sendfile",
	 .open = open_sending,
	 .call = call_sendfile,
	 .complete = empty_output,
	 .did = did_send,
	 .did_not = not_written,
	 .close = close_sending,
	 .errors = send_errors},
	{.name = "pipe",
	 .open = open_nothing,
	 .call = call_pipe,
	 .did = did_pipe,
	 .did_not = no_pipe,
	 .close = close_fds},
	{.name = "pipe2",
	 .open = open_nothing,
	 .call = call_pipe2,
	 .did = did_pipe2,
	 .did_not = no_pipe,
	 .close = close_fds,
	 .errors = pipe_errors},
	{0},
};

OPS(file_io, cases)
