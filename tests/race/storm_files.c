/* SPDX-License-Identifier: MIT */
/*
 * The storm's files: unnamed ones, of which a copy in memory says what each byte must be. A write that was cancelled has not
 * changed the file, and one that was not has changed as much as it says. One task at a time uses a file.
 */
#include "storm.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILES = 6, SIZE = 8192, CHUNK = 2000 };

struct file {
	int fd;
	bool busy;
	char content[SIZE];
};

static struct file files[FILES];
static unsigned long bytes_written, bytes_read, opened;

static struct file *choose(void)
{
	struct file *file = &files[storm_below(FILES)];

	if (file->busy)
		return NULL;
	file->busy = true;
	return file;
}

static int write_somewhere(unsigned depth)
{
	struct file *file = choose();
	size_t size = 1 + storm_below(CHUNK), at = storm_below(SIZE - CHUNK);
	char bytes[CHUNK];
	ssize_t n;

	(void)depth;
	if (!file)
		return STORM_NOTHING;
	memset(bytes, (int)storm_below(256), size);
	n = noria_pwrite(file->fd, bytes, size, (off_t)at);
	CHECK(n == -ECANCELED || (n > 0 && (size_t)n <= size));
	if (n > 0) {
		memcpy(file->content + at, bytes, (size_t)n);
		bytes_written += (size_t)n;
	}
	file->busy = false;
	return n < 0 ? (int)n : 0;
}

static int read_somewhere(unsigned depth)
{
	struct file *file = choose();
	size_t size = 1 + storm_below(CHUNK), at = storm_below(SIZE - CHUNK);
	char bytes[CHUNK];
	ssize_t n;

	(void)depth;
	if (!file)
		return STORM_NOTHING;
	n = noria_pread(file->fd, bytes, size, (off_t)at);
	CHECK(n == -ECANCELED || (n > 0 && (size_t)n <= size));
	if (n > 0) {
		CHECK(memcmp(bytes, file->content + at, (size_t)n) == 0);
		bytes_read += (size_t)n;
	}
	file->busy = false;
	return n < 0 ? (int)n : 0;
}

/* From the file into a pipe, and out of that. */
static int splice_somewhere(unsigned depth)
{
	struct file *file = choose();
	off_t at = storm_below(SIZE - CHUNK), from = at;
	char bytes[CHUNK];
	ssize_t moved, n;
	int pair[2];

	(void)depth;
	if (!file)
		return STORM_NOTHING;
	CHECK(pipe2(pair, O_CLOEXEC) == 0);
	moved = noria_splice(file->fd, &from, pair[1], NULL, 1 + storm_below(CHUNK), 0);
	CHECK(moved == -ECANCELED || (moved > 0 && from == at + moved));
	n = moved > 0 ? noria_read_all(pair[0], bytes, (size_t)moved) : 0;
	CHECK(n == -ECANCELED || n == (moved > 0 ? moved : 0));
	if (n > 0)
		CHECK(memcmp(bytes, file->content + at, (size_t)n) == 0);
	file->busy = false;
	CHECK(noria_close(pair[0]) == 0 && noria_close(pair[1]) == 0);
	return moved < 0 ? (int)moved : n < 0 ? (int)n : 0;
}

/* A descriptor that comes in spite of a cancel is not lost: the run ends with as many as it began with. */
static int open_and_close(unsigned depth)
{
	struct statx status;
	int fd = noria_openat(AT_FDCWD, "/", O_PATH | O_CLOEXEC, 0), r;

	(void)depth;
	CHECK(fd >= 0 || fd == -ECANCELED);
	if (fd < 0)
		return fd;
	opened++;
	r = noria_statx(fd, "", AT_EMPTY_PATH, STATX_TYPE, &status);
	CHECK(r == -ECANCELED || (r == 0 && S_ISDIR(status.stx_mode)));
	CHECK(noria_close(fd) == 0);
	return r;
}

static void open_all(void)
{
	bytes_written = bytes_read = opened = 0;
	for (unsigned i = 0; i < FILES; i++) {
		files[i] = (struct file){.fd = memfd_create("storm", MFD_CLOEXEC)};
		CHECK(files[i].fd >= 0);
		CHECK(ftruncate(files[i].fd, SIZE) == 0);
	}
}

static void close_all(void)
{
	for (unsigned i = 0; i < FILES; i++) {
		char bytes[SIZE];

		CHECK(pread(files[i].fd, bytes, SIZE, 0) == SIZE);
		CHECK(memcmp(bytes, files[i].content, SIZE) == 0);
		CHECK(noria_close(files[i].fd) == 0);
	}
	storm_note("bytes written to files", bytes_written);
	storm_note("bytes read from files", bytes_read);
	storm_note("descriptors opened", opened);
}

static const struct storm_operation operations[] = {
	{"pwrite", write_somewhere, 4},
	{"pread", read_somewhere, 4},
	{"splice", splice_somewhere, 3},
	{"openat, statx", open_and_close, 3},
};

const struct storm_subject storm_files = {.operations = operations,
					  .count = sizeof operations / sizeof operations[0],
					  .open = open_all,
					  .close = close_all};
