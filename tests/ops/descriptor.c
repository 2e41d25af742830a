/* SPDX-License-Identifier: MIT */
/* Operations on descriptors of any kind. */
#include "ops.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

static void open_pipe(struct op_place *place, bool ready)
{
	int ends[2];

	MUST(pipe2(ends, O_CLOEXEC) == 0);
	place->fd = ends[0];
	place->other = ends[1];
	if (ready)
		MUST(write(place->other, "bytes", 5) == 5);
}

static void fill(struct op_place *place)
{
	MUST(write(place->other, "bytes", 5) == 5);
}

static void close_both(struct op_place *place)
{
	if (place->fd >= 0)
		MUST(close(place->fd) == 0);
	MUST(close(place->other) == 0);
}

static int64_t call_poll(struct op_place *place)
{
	return noria_poll(place->fd, POLLIN);
}

static void did_poll(struct op_place *place, int64_t result)
{
	EXPECT_EQ(result, POLLIN);
	EXPECT_EQ(read(place->fd, place->buffer, sizeof place->buffer), 5);
}

static void still_there(struct op_place *place)
{
	EXPECT_EQ(read(place->fd, place->buffer, sizeof place->buffer), 5);
}

static int64_t poll_closed(struct op_place *place)
{
	(void)place;
	return noria_poll(9999, POLLIN);
}

static const struct op_error poll_errors[] = {{-EBADF, poll_closed}, {0, NULL}};

static int64_t call_close(struct op_place *place)
{
	return noria_close(place->fd);
}

static void did_close(struct op_place *place, int64_t result)
{
	EXPECT_EQ(result, 0);
	EXPECT_EQ(fcntl(place->fd, F_GETFD), -1);
	place->fd = -1;
}

static int64_t close_negative(struct op_place *place)
{
	(void)place;
	return noria_close(-1);
}

static int64_t close_closed(struct op_place *place)
{
	(void)place;
	return noria_close(9999);
}

static const struct op_error close_errors[] = {{-EBADF, close_negative}, {-EBADF, close_closed}, {0, NULL}};

static const struct op_case cases[] = {
	{.name = "poll",
	 .open = open_pipe,
	 .call = call_poll,
	 .complete = fill,
	 .did = did_poll,
	 .did_not = still_there,
	 .close = close_both,
	 .errors = poll_errors},
	{.name = "close",
	 .open = open_pipe,
	 .call = call_close,
	 .did = did_close,
	 .close = close_both,
	 .errors = close_errors,
	 .always = true},
	{0},
};

OPS(descriptor, cases)
