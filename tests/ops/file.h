/* SPDX-License-Identifier: MIT */
/* What the programs of the file operations share: files and names in the place's directory, and pipes. */
#ifndef NORIA_TESTS_OPS_FILE_H
#define NORIA_TESTS_OPS_FILE_H

#include "ops.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIPE_SIZE = 4096 };

static inline int make_file(const struct op_place *place, const char *name, const char *content)
{
	int fd = openat(place->dir, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	MUST(fd >= 0);
	MUST(write(fd, content, strlen(content)) == (ssize_t)strlen(content));
	MUST(lseek(fd, 0, SEEK_SET) == 0);
	return fd;
}

static inline bool is_there(const struct op_place *place, const char *name)
{
	return faccessat(place->dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Files and directories alike, as far as they are there. */
static inline void remove_name(const struct op_place *place, const char *name)
{
	if (unlinkat(place->dir, name, 0) < 0)
		(void)unlinkat(place->dir, name, AT_REMOVEDIR);
}

/* The path of a name, kept with the place, where names with different first letters have places of their own. */
static inline const char *path_of(struct op_place *place, const char *name)
{
	char *path = place->second + 64 * (name[0] % 4);

	snprintf(path, 64, "%s/%s", place->path, name);
	return path;
}

static inline bool content_is(int fd, const char *content)
{
	char bytes[64];
	ssize_t n = pread(fd, bytes, sizeof bytes, 0);

	return n == (ssize_t)strlen(content) && memcmp(bytes, content, (size_t)n) == 0;
}

static inline int waiting_in(int pipe)
{
	int n;

	MUST(ioctl(pipe, FIONREAD, &n) == 0);
	return n;
}

/* The reading end is `fd`, and has bytes in it if it is ready. */
static inline void open_input(struct op_place *place, bool ready)
{
	int ends[2];

	MUST(pipe2(ends, O_CLOEXEC) == 0);
	place->fd = ends[0];
	place->other = ends[1];
	if (ready)
		MUST(write(place->other, "bytes", 5) == 5);
}

static inline void fill_input(struct op_place *place)
{
	MUST(write(place->other, "bytes", 5) == 5);
}

/* The writing end is `fd`, and the pipe is full if it is not ready. */
static inline void open_output(struct op_place *place, bool ready)
{
	static char full[PIPE_SIZE];
	int ends[2];

	MUST(pipe2(ends, O_CLOEXEC) == 0);
	MUST(fcntl(ends[1], F_SETPIPE_SZ, PIPE_SIZE) == PIPE_SIZE);
	place->fd = ends[1];
	place->other = ends[0];
	if (!ready)
		MUST(write(place->fd, full, PIPE_SIZE) == PIPE_SIZE);
}

static inline void empty_output(struct op_place *place)
{
	char bytes[PIPE_SIZE];

	MUST(read(place->other, bytes, PIPE_SIZE) == PIPE_SIZE);
}

static inline void close_fds(struct op_place *place)
{
	const int fds[] = {place->fd, place->other, place->third};

	for (int i = 0; i < 3; i++)
		if (fds[i] >= 0)
			MUST(close(fds[i]) == 0);
}

/* A file `f` of "content", opened as `fd`. */
static inline void open_file(struct op_place *place, bool ready)
{
	(void)ready;
	place->fd = make_file(place, "f", "content");
}

static inline void close_file(struct op_place *place)
{
	close_fds(place);
	for (const char *const *name = (const char *const[]){"f", "g", "d/inner", "d", "s", NULL}; *name; name++)
		remove_name(place, *name);
}

/* A descriptor that is not open. */
enum { NOT_OPEN = 9999 };

#endif
