/* SPDX-License-Identifier: MIT */
/*
 * The storm's files: unnamed ones, of which a copy in memory says what each byte must be. A write that was cancelled
 * has not changed the file, and one that was not has changed as much as it says. One task at a time uses a file.
 */
#include "storm.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILES = 6, SIZE = 8192, CHUNK = 2000, NAMES = 12 };

struct file {
	int fd;
	bool busy;
	char content[SIZE];
};

static struct file files[FILES];
static unsigned long bytes_written, bytes_read, opened, names_used;

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

/* Shorter, and as long again: zeros. */
static int cut_somewhere(unsigned depth)
{
	struct file *file = choose();
	size_t at = storm_below(SIZE);
	int r;

	(void)depth;
	if (!file)
		return STORM_NOTHING;
	r = noria_ftruncate(file->fd, (off_t)at);
	CHECK(r == -ECANCELED || r == 0);
	if (r == 0) {
		memset(file->content + at, 0, SIZE - at);
		CHECK(ftruncate(file->fd, SIZE) == 0);
	}
	file->busy = false;
	return r;
}

static int punch_somewhere(unsigned depth)
{
	struct file *file = choose();
	size_t size = 1 + storm_below(CHUNK), at = storm_below(SIZE - CHUNK);
	int r;

	(void)depth;
	if (!file)
		return STORM_NOTHING;
	r = noria_fallocate(file->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)at, (off_t)size);
	CHECK(r == -ECANCELED || r == 0);
	if (r == 0)
		memset(file->content + at, 0, size);
	file->busy = false;
	return r;
}

/* From one into another; what has moved before a cancel has moved. */
static int copy_somewhere(unsigned depth)
{
	struct file *from = choose(), *to = choose();
	off_t start = storm_below(SIZE - CHUNK), in = start, out = storm_below(SIZE - CHUNK);
	size_t at = (size_t)out, moved;
	ssize_t n = STORM_NOTHING;

	(void)depth;
	if (from && to) {
		n = noria_copy_file_range_all(from->fd, &in, to->fd, &out, 1 + storm_below(CHUNK), 0);
		CHECK(n == -ECANCELED || n > 0);
		moved = (size_t)(in - start);
		CHECK(n < 0 || moved == (size_t)n);
		CHECK((size_t)out - at == moved && moved <= CHUNK);
		memcpy(to->content + at, from->content + start, moved);
		n = n < 0 ? n : 0;
	}
	if (from)
		from->busy = false;
	if (to)
		to->busy = false;
	return (int)n;
}

/* Out of a file into a pipe, and a second time into another. */
static int send_somewhere(unsigned depth)
{
	struct file *file = choose();
	off_t at = storm_below(SIZE - CHUNK), from = at;
	char bytes[CHUNK];
	ssize_t sent, seen = 0;
	int first[2], second[2];

	(void)depth;
	if (!file)
		return STORM_NOTHING;
	CHECK(pipe2(first, O_CLOEXEC) == 0 && pipe2(second, O_CLOEXEC) == 0);
	sent = noria_sendfile(first[1], file->fd, &from, 1 + storm_below(CHUNK));
	CHECK(sent == -ECANCELED || sent > 0);
	CHECK(from - at == (sent > 0 ? sent : 0));
	if (sent > 0) {
		seen = noria_tee(first[0], second[1], (size_t)sent, 0);
		CHECK(seen == -ECANCELED || (seen > 0 && seen <= sent));
		CHECK(read(first[0], bytes, CHUNK) == sent);
		CHECK(memcmp(bytes, file->content + at, (size_t)sent) == 0);
	}
	if (seen > 0) {
		CHECK(read(second[0], bytes, CHUNK) == seen);
		CHECK(memcmp(bytes, file->content + at, (size_t)seen) == 0);
	}
	file->busy = false;
	CHECK(noria_close(first[0]) == 0 && noria_close(first[1]) == 0);
	CHECK(noria_close(second[0]) == 0 && noria_close(second[1]) == 0);
	return sent < 0 ? (int)sent : seen < 0 ? (int)seen : 0;
}

static int make_a_pipe(unsigned depth)
{
	int ends[2], r = noria_pipe2(ends, O_CLOEXEC);

	(void)depth;
	CHECK(r == -ECANCELED || r == 0);
	if (r == 0)
		CHECK(noria_close(ends[0]) == 0 && noria_close(ends[1]) == 0);
	return r;
}

/*
 * Names in a directory, one task at a time for each. A call that was cancelled has changed nothing, and one that was
 * not has done what it says; in the end the directory is as these tell.
 */
static struct name {
	bool busy, there;
	mode_t mode;
	char text[8];
} names[NAMES];

static char directory_path[] = "/tmp/noria-storm-XXXXXX";
static int directory = -1;

static struct name *choose_name(void)
{
	struct name *name = &names[storm_below(NAMES)];

	if (name->busy)
		return NULL;
	name->busy = true;
	return name;
}

static int make_name(struct name *name)
{
	int fd = noria_openat(directory, name->text, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	CHECK(fd == -ECANCELED || fd >= 0);
	if (fd < 0)
		return fd;
	name->there = true;
	name->mode = 0600;
	CHECK(noria_close(fd) == 0);
	return 0;
}

static int remove_name(struct name *name)
{
	int r = noria_unlinkat(directory, name->text, 0);

	name->there = r < 0;
	return r;
}

static int change_name(struct name *name)
{
	int r = noria_fchmodat(directory, name->text, 0640, 0);

	name->mode = r < 0 ? name->mode : 0640;
	return r;
}

static int move_name(struct name *name, struct name *to)
{
	int r = noria_renameat2(directory, name->text, directory, to->text, RENAME_NOREPLACE);

	if (r == 0) {
		to->there = true;
		to->mode = name->mode;
		name->there = false;
	}
	return r;
}

static int use_names(unsigned depth)
{
	struct name *name = choose_name(), *other = choose_name();
	int r = STORM_NOTHING;

	(void)depth;
	if (name && !name->there)
		r = make_name(name);
	else if (name && other && !other->there)
		r = move_name(name, other);
	else if (name)
		r = storm_below(2) ? remove_name(name) : change_name(name);
	CHECK(r == STORM_NOTHING || r == -ECANCELED || r == 0);
	names_used += r == 0;
	if (name)
		name->busy = false;
	if (other)
		other->busy = false;
	return r;
}

static void open_names(void)
{
	strcpy(directory_path + sizeof directory_path - 7, "XXXXXX");
	CHECK(mkdtemp(directory_path));
	directory = open(directory_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(directory >= 0);
	for (unsigned i = 0; i < NAMES; i++) {
		names[i] = (struct name){0};
		snprintf(names[i].text, sizeof names[i].text, "n%u", i);
	}
}

static void close_names(void)
{
	for (unsigned i = 0; i < NAMES; i++) {
		struct stat status;
		int r = fstatat(directory, names[i].text, &status, 0);

		CHECK(names[i].there ? r == 0 && (status.st_mode & 0777) == names[i].mode : r < 0);
		CHECK(r < 0 || unlinkat(directory, names[i].text, 0) == 0);
	}
	CHECK(close(directory) == 0 && rmdir(directory_path) == 0);
	storm_note("names made, moved, changed and removed", names_used);
}

static void open_all(void)
{
	bytes_written = bytes_read = opened = names_used = 0;
	open_names();
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
	close_names();
	storm_note("bytes written to files", bytes_written);
	storm_note("bytes read from files", bytes_read);
	storm_note("descriptors opened", opened);
}

static const struct storm_operation operations[] = {
	{"pwrite", write_somewhere, 4},
	{"pread", read_somewhere, 4},
	{"splice", splice_somewhere, 3},
	{"openat, statx", open_and_close, 3},
	{"ftruncate", cut_somewhere, 2},
	{"fallocate", punch_somewhere, 2},
	{"copy_file_range_all", copy_somewhere, 2},
	{"sendfile, tee", send_somewhere, 2},
	{"pipe2", make_a_pipe, 1},
	{"openat, renameat2, fchmodat, unlinkat", use_names, 4},
};

const struct storm_subject storm_files = {.operations = operations,
					  .count = sizeof operations / sizeof operations[0],
					  .open = open_all,
					  .close = close_all};
