/* SPDX-License-Identifier: MIT */
/* Running programs: opening, waiting, and the whole of it. */
#include "ops.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* `cat` of the pipe `fd`, which ends when that is closed. */
static void open_input(struct op_place *place)
{
	int ends[2];

	MUST(pipe2(ends, O_CLOEXEC) == 0);
	place->other = ends[0];
	place->fd = ends[1];
	place->extra = calloc(1, sizeof(struct noria_process));
	MUST(place->extra);
}

static int open_cat(struct op_place *place)
{
	const struct noria_process_options options = {.input = {NORIA_STDIO_FD, place->other}};

	return noria_process_open(place->extra, "cat", NULL, NULL, &options);
}

static void end_input(struct op_place *place)
{
	MUST(close(place->fd) == 0);
	place->fd = -1;
}

static bool no_child_is_left(void)
{
	return waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD;
}

static void close_all(struct op_place *place)
{
	pid_t pid = noria_process_pid(place->extra);

	noria_process_close(place->extra);
	EXPECT(pid < 0 || (waitpid(pid, NULL, WNOHANG) == -1 && errno == ECHILD));
	free(place->extra);
	if (place->fd >= 0)
		MUST(close(place->fd) == 0);
	MUST(close(place->other) == 0);
}

static void open_for_open(struct op_place *place, bool ready)
{
	(void)ready;
	open_input(place);
}

/* To its end: what a task opened it closes. */
static int64_t call_open(struct op_place *place)
{
	int r = open_cat(place);

	if (r < 0)
		return r;
	EXPECT_EQ(noria_process_kill(place->extra, 0), 0);
	end_input(place);
	r = noria_process_wait(place->extra);
	noria_process_close(place->extra);
	return r;
}

static void did_open(struct op_place *place, int64_t result)
{
	EXPECT_EQ(result, 0);
	EXPECT_EQ(noria_process_wait(place->extra), -EINVAL);
}

static void did_not_open(struct op_place *place)
{
	EXPECT_EQ(noria_process_wait(place->extra), -EINVAL);
	EXPECT(no_child_is_left());
}

static int64_t open_missing(struct op_place *place)
{
	return noria_process_open(place->extra, "/no/such/program", NULL, NULL, NULL);
}

static int64_t open_not_in_path(struct op_place *place)
{
	return noria_process_open(place->extra, "no-such-program", NULL, NULL, NULL);
}

static int64_t open_not_executable(struct op_place *place)
{
	return noria_process_open(place->extra, "/etc/passwd", NULL, NULL, NULL);
}

static int64_t open_too_large(struct op_place *place)
{
	static char argument[256 * 1024];

	memset(argument, 'x', sizeof argument - 1);
	return noria_process_open(place->extra, "true", ((char *[]){"true", argument, NULL}), NULL, NULL);
}

static int64_t open_elsewhere(struct op_place *place)
{
	const struct noria_process_options options = {.directory = "/no/such/directory"};

	return noria_process_open(place->extra, "true", NULL, NULL, &options);
}

static int64_t open_with_closed(struct op_place *place)
{
	const struct noria_process_options options = {.output = {NORIA_STDIO_FD, 9999}};

	return noria_process_open(place->extra, "true", NULL, NULL, &options);
}

static int64_t open_without_arguments(struct op_place *place)
{
	return noria_process_open(place->extra, "true", ((char *[]){NULL}), NULL, NULL);
}

static int64_t open_twice(struct op_place *place)
{
	MUST(open_cat(place) == 0);
	return open_cat(place);
}

static int64_t open_with_flags(struct op_place *place)
{
	const struct noria_process_options options = {.flags = 1U << 31};

	return noria_process_open(place->extra, "true", NULL, NULL, &options);
}

static int64_t open_with_negative_grace(struct op_place *place)
{
	const struct noria_process_options options = {.grace_ns = -1};

	return noria_process_open(place->extra, "true", NULL, NULL, &options);
}

static int64_t open_with_stdio(struct op_place *place)
{
	const struct noria_process_options options = {.output = {NORIA_STDIO_OUTPUT, 0}};

	return noria_process_open(place->extra, "true", NULL, NULL, &options);
}

static int64_t open_with_low_number(struct op_place *place)
{
	const struct noria_process_descriptor fd = {place->other, 2};
	const struct noria_process_options options = {.fds = &fd, .fds_count = 1};

	return noria_process_open(place->extra, "true", NULL, NULL, &options);
}

static const struct op_error open_errors[] = {{-ENOENT, open_missing},
					      {-ENOENT, open_not_in_path},
					      {-EACCES, open_not_executable},
					      {-E2BIG, open_too_large},
					      {-ENOENT, open_elsewhere},
					      {-EBADF, open_with_closed},
					      {-EINVAL, open_without_arguments},
					      {-EINVAL, open_twice},
					      {-EINVAL, open_with_flags},
					      {-EINVAL, open_with_negative_grace},
					      {-EINVAL, open_with_stdio},
					      {-EINVAL, open_with_low_number},
					      {0, NULL}};

static void open_for_wait(struct op_place *place, bool ready)
{
	open_input(place);
	MUST(open_cat(place) == 0);
	if (ready)
		end_input(place);
}

static int64_t call_wait(struct op_place *place)
{
	return noria_process_wait(place->extra);
}

static void did_wait(struct op_place *place, int64_t result)
{
	EXPECT_EQ(result, 0);
	EXPECT_EQ(noria_process_wait(place->extra), 0);
}

static int64_t wait_for_closed(struct op_place *place)
{
	noria_process_close(place->extra);
	return noria_process_wait(place->extra);
}

static int64_t wait_for_reaped(struct op_place *place)
{
	MUST(waitpid(noria_process_pid(place->extra), NULL, 0) > 0);
	return noria_process_wait(place->extra);
}

static const struct op_error wait_errors[] = {{-EINVAL, wait_for_closed}, {-ECHILD, wait_for_reaped}, {0, NULL}};

static void open_for_run(struct op_place *place, bool ready)
{
	open_input(place);
	if (ready)
		end_input(place);
}

static int64_t call_run(struct op_place *place)
{
	const struct noria_process_options options = {.input = {NORIA_STDIO_FD, place->other}};
	struct noria_process_io io = {.output = place->buffer, .output_max = sizeof place->buffer};

	return noria_process_run("cat", NULL, NULL, &io, &options);
}

static void did_run(struct op_place *place, int64_t result)
{
	(void)place;
	EXPECT_EQ(result, 0);
}

static int64_t run_missing(struct op_place *place)
{
	(void)place;
	return noria_process_run("/no/such/program", NULL, NULL, NULL, NULL);
}

static const struct op_error run_errors[] = {{-ENOENT, run_missing}, {0, NULL}};

static const struct op_case cases[] = {
	{.name = "process_open",
	 .open = open_for_open,
	 .call = call_open,
	 .did = did_open,
	 .did_not = did_not_open,
	 .close = close_all,
	 .errors = open_errors},
	{.name = "process_wait",
	 .open = open_for_wait,
	 .call = call_wait,
	 .complete = end_input,
	 .did = did_wait,
	 .close = close_all,
	 .errors = wait_errors},
	{.name = "process_run",
	 .open = open_for_run,
	 .call = call_run,
	 .complete = end_input,
	 .did = did_run,
	 .close = close_all,
	 .errors = run_errors},
	{0},
};

OPS(process, cases)
