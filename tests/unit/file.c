/* SPDX-License-Identifier: MIT */
/* The operations of files: what they do, and the errors they pass on from the system call of their name. */
#include "unit.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NARROW = 64 << 10 }; /* a page, or several */

/* An unnamed file. */
static int scratch(void)
{
	int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	MUST(fd >= 0);
	return fd;
}

UNIT(file, reads_and_writes_at_the_position_and_at_offsets)
{
	char buffer[16] = "", other[8] = "";
	struct iovec out[2] = {{"ab", 2}, {"cdef", 4}}, in[2] = {{buffer, 4}, {other, 8}};
	int fd = scratch();

	EXPECT_EQ(noria_write(fd, "0123", 4), 4);
	EXPECT_EQ(noria_writev(fd, out, 2), 6);
	EXPECT_EQ(noria_pread(fd, buffer, sizeof buffer, 2), 8);
	EXPECT(memcmp(buffer, "23abcdef", 8) == 0);
	EXPECT_EQ(noria_read(fd, buffer, 1), 0);
	EXPECT_EQ(noria_pwrite(fd, "XY", 2, 0), 2);
	EXPECT_EQ(lseek(fd, 0, SEEK_CUR), 10);
	EXPECT_EQ(lseek(fd, 0, SEEK_SET), 0);
	EXPECT_EQ(noria_readv(fd, in, 2), 10);
	EXPECT(memcmp(buffer, "XY23", 4) == 0 && memcmp(other, "abcdef", 6) == 0);
	EXPECT_EQ(noria_read(fd, buffer, 0), 0);
	EXPECT_EQ(noria_pread(fd, buffer, 1, 1 << 20), 0);
	EXPECT_EQ(noria_close(fd), 0);
	return 0;
}

UNIT(file, errors_of_reading_and_writing)
{
	char byte = 0;
	struct iovec vector = {&byte, 1};
	int gone = dup(0), fd = open("/dev/null", O_RDONLY | O_CLOEXEC), channel[2];

	MUST(gone >= 0 && fd >= 0 && close(gone) == 0);
	EXPECT_EQ(noria_read(gone, &byte, 1), -EBADF);
	EXPECT_EQ(noria_write(gone, &byte, 1), -EBADF);
	EXPECT_EQ(noria_readv(gone, &vector, 1), -EBADF);
	EXPECT_EQ(noria_writev(gone, &vector, 1), -EBADF);
	EXPECT_EQ(noria_pread(gone, &byte, 1, 0), -EBADF);
	EXPECT_EQ(noria_pwrite(gone, &byte, 1, 0), -EBADF);
	EXPECT_EQ(noria_write(fd, &byte, 1), -EBADF);
	EXPECT_EQ(noria_pread(fd, &byte, 1, -1), -EINVAL);
	EXPECT_EQ(noria_pwrite(fd, &byte, 1, -5), -EINVAL);
	EXPECT_EQ(noria_readv(fd, &vector, -1), -EINVAL);
	EXPECT_EQ(noria_close(fd), 0);
	fd = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	EXPECT_EQ(noria_read(fd, &byte, 1), -EISDIR);
	EXPECT_EQ(noria_close(fd), 0);
	MUST(pipe2(channel, O_CLOEXEC) == 0);
	EXPECT_EQ(noria_pwrite(channel[1], &byte, 1, 7), 1); /* a pipe has no positions */
	EXPECT_EQ(noria_pread(channel[0], &byte, 1, 3), 1);
	EXPECT_EQ(noria_read(channel[1], &byte, 1), -EBADF);
	EXPECT_EQ(noria_close(channel[1]), 0);
	EXPECT_EQ(noria_read(channel[0], &byte, 1), 0);
	EXPECT_EQ(noria_close(channel[0]), 0);
	EXPECT_EQ(noria_close(channel[0]), -EBADF);
	return 0;
}

/* A directory with a file in it; `path` has room for a template. */
static int make_directory(char *path)
{
	int fd, file;

	strcpy(path, "/tmp/noria-unit-XXXXXX");
	MUST(mkdtemp(path));
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	MUST(fd >= 0);
	file = openat(fd, "inside", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	MUST(file >= 0 && write(file, "content", 7) == 7 && close(file) == 0);
	MUST(symlinkat("/etc/passwd", fd, "out") == 0);
	return fd;
}

static void remove_directory(int fd, const char *path)
{
	MUST(unlinkat(fd, "inside", 0) == 0 && unlinkat(fd, "out", 0) == 0 && rmdir(path) == 0 && close(fd) == 0);
}

UNIT(file, openat_opens_creates_and_fails_like_the_call)
{
	char path[32], buffer[8];
	int directory = make_directory(path), fd;

	fd = noria_openat(directory, "inside", O_RDONLY | O_CLOEXEC, 0);
	MUST(fd >= 0);
	EXPECT_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	EXPECT_EQ(noria_read(fd, buffer, sizeof buffer), 7);
	EXPECT_EQ(noria_close(fd), 0);
	EXPECT_EQ(noria_openat(directory, "nowhere", O_RDONLY, 0), -ENOENT);
	EXPECT_EQ(noria_openat(directory, "inside", O_CREAT | O_EXCL | O_WRONLY, 0600), -EEXIST);
	EXPECT_EQ(noria_openat(directory, "inside/deeper", O_RDONLY, 0), -ENOTDIR);
	EXPECT_EQ(noria_openat(directory, ".", O_WRONLY, 0), -EISDIR);
	EXPECT_EQ(noria_openat(9999, "inside", O_RDONLY, 0), -EBADF);
	fd = noria_openat(directory, "new", O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0640);
	MUST(fd >= 0);
	EXPECT_EQ(noria_close(fd), 0);
	MUST(unlinkat(directory, "new", 0) == 0);
	remove_directory(directory, path);
	return 0;
}

UNIT(file, openat2_keeps_beneath)
{
	struct open_how how = {.flags = O_RDONLY | O_CLOEXEC, .resolve = RESOLVE_BENEATH};
	char path[32];
	int directory = make_directory(path), fd;

	fd = noria_openat2(directory, "./inside", &how, sizeof how);
	MUST(fd >= 0);
	EXPECT_EQ(noria_close(fd), 0);
	EXPECT_EQ(noria_openat2(directory, "../passwd", &how, sizeof how), -EXDEV);
	EXPECT_EQ(noria_openat2(directory, "/etc/passwd", &how, sizeof how), -EXDEV);
	EXPECT_EQ(noria_openat2(directory, "out", &how, sizeof how), -EXDEV);
	EXPECT_EQ(noria_openat2(directory, "nowhere", &how, sizeof how), -ENOENT);
	EXPECT_EQ(noria_openat2(directory, "inside", &how, sizeof how - 8), -EINVAL);
	EXPECT(strstr(noria_message(), "open_how") != NULL);
	how.resolve = UINT64_C(1) << 60;
	EXPECT_EQ(noria_openat2(directory, "inside", &how, sizeof how), -EINVAL);
	remove_directory(directory, path);
	return 0;
}

UNIT(file, statx_tells_of_paths_and_descriptors)
{
	struct statx found = {0};
	char path[32];
	int directory = make_directory(path);

	EXPECT_EQ(noria_statx(directory, "inside", 0, STATX_BASIC_STATS, &found), 0);
	EXPECT_EQ(found.stx_size, 7);
	EXPECT(S_ISREG(found.stx_mode));
	EXPECT_EQ(noria_statx(directory, "", AT_EMPTY_PATH, STATX_TYPE, &found), 0);
	EXPECT(S_ISDIR(found.stx_mode));
	EXPECT_EQ(noria_statx(directory, "out", AT_SYMLINK_NOFOLLOW, STATX_TYPE, &found), 0);
	EXPECT(S_ISLNK(found.stx_mode));
	EXPECT_EQ(noria_statx(directory, "nowhere", 0, STATX_SIZE, &found), -ENOENT);
	EXPECT_EQ(noria_statx(directory, "inside/x", 0, STATX_SIZE, &found), -ENOTDIR);
	EXPECT_EQ(noria_statx(9999, "inside", 0, STATX_SIZE, &found), -EBADF);
	remove_directory(directory, path);
	return 0;
}

/* The kernel opens a FIFO for reading without waiting for a writer; what the rest of the runtime must not do is freeze. */
UNIT(file, opening_a_fifo_freezes_nobody)
{
	char path[32];
	int directory = make_directory(path), fd;

	MUST(mkfifoat(directory, "fifo", 0600) == 0);
	fd = noria_within(noria_msec(5), noria_openat(directory, "fifo", O_RDONLY | O_CLOEXEC, 0));
	EXPECT(fd >= 0 || fd == -ETIMEDOUT);
	EXPECT(fd < 0 || noria_close(fd) == 0);
	EXPECT_EQ(noria_check(), 0);
	MUST(unlinkat(directory, "fifo", 0) == 0);
	remove_directory(directory, path);
	return 0;
}

static int change_mode(void *arg)
{
	return noria_fchmod(*(int *)arg, 0644) == -EBADF ? 0 : -EIO;
}

static const struct noria_config one_thread = {.executor_threads = 1};

/* A call that waits for a thread must not reach whoever gets its descriptor's number next. */
UNIT_WITH(file, closing_takes_out_a_call_that_waits_for_a_thread, &one_thread)
{
	struct noria_group holding, changing;
	int ends[2], fd = scratch(), number = fd;
	struct stat status;

	MUST(pipe2(ends, O_CLOEXEC) == 0);
	MUST(noria_group_open(&holding) == 0 && noria_spawn(&holding, unit_hold_thread, &ends[0]) == 0);
	MUST(noria_yield() == 0);
	MUST(noria_group_open(&changing) == 0 && noria_spawn(&changing, change_mode, &number) == 0);
	MUST(noria_yield() == 0);
	EXPECT_EQ(noria_close(fd), 0);
	fd = scratch();
	EXPECT_EQ(fd, number);
	EXPECT_EQ(noria_group_close(&changing, 0), 0); /* although the thread is not there yet */
	MUST(write(ends[1], "", 1) == 1);
	EXPECT_EQ(noria_group_close(&holding, 0), 0);
	MUST(fstat(fd, &status) == 0);
	EXPECT_EQ(status.st_mode & 0777, 0600);
	EXPECT(noria_close(fd) == 0 && noria_close(ends[0]) == 0 && noria_close(ends[1]) == 0);
	return 0;
}

/* A file in memory of two pages, which may not grow. */
static int narrow(void)
{
	int fd = memfd_create("narrow", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	MUST(fd >= 0 && ftruncate(fd, 2 * NARROW) == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_GROW) == 0);
	return fd;
}

/* R08: the kernel's ring leaves the position where it was, and the rest would go over what has been written. */
UNIT(file, a_write_that_comes_short_moves_the_position)
{
	char *bytes = malloc(4 * NARROW);
	struct iovec vector[2] = {{bytes, NARROW}, {bytes, 2 * NARROW}};
	int fd = narrow();

	MUST(bytes);
	memset(bytes, 'x', 4 * NARROW);
	EXPECT_EQ(noria_write(fd, bytes, 3 * NARROW), 2 * NARROW);
	EXPECT_EQ(lseek(fd, 0, SEEK_CUR), 2 * NARROW);
	MUST(lseek(fd, NARROW, SEEK_SET) == NARROW);
	EXPECT_EQ(noria_writev(fd, vector, 2), NARROW);
	EXPECT_EQ(lseek(fd, 0, SEEK_CUR), 2 * NARROW);
	MUST(lseek(fd, NARROW, SEEK_SET) == NARROW);
	EXPECT_EQ(noria_pwritev2(fd, vector, 2, -1, 0), NARROW);
	EXPECT_EQ(lseek(fd, 0, SEEK_CUR), 2 * NARROW);
	EXPECT_EQ(noria_pwritev2(fd, vector, 2, NARROW, 0), NARROW);
	EXPECT_EQ(lseek(fd, 0, SEEK_CUR), 2 * NARROW);
	MUST(lseek(fd, NARROW, SEEK_SET) == NARROW);
	EXPECT_EQ(noria_write(fd, bytes, NARROW), NARROW); /* as much as it was given */
	EXPECT_EQ(lseek(fd, 0, SEEK_CUR), 2 * NARROW);
	MUST(lseek(fd, 0, SEEK_SET) == 0);
	EXPECT_EQ(noria_write_all(fd, bytes, 3 * NARROW), -EPERM);
	EXPECT_EQ(noria_progress(), 2 * NARROW);
	MUST(lseek(fd, 0, SEEK_SET) == 0);
	EXPECT_EQ(noria_writev_all(fd, vector, 2), -EPERM);
	EXPECT_EQ(noria_progress(), 2 * NARROW);
	EXPECT_EQ(noria_close(fd), 0);
	free(bytes);
	return 0;
}

/* Appending moves the position to the end. */
UNIT(file, a_short_write_at_the_end_leaves_the_position_there)
{
	char *bytes = calloc(4, NARROW);
	int fd = scratch();
	struct rlimit limit, room;

	MUST(bytes && getrlimit(RLIMIT_FSIZE, &limit) == 0 && signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
	MUST(write(fd, bytes, 100) == 100 && fcntl(fd, F_SETFL, O_APPEND) == 0 && lseek(fd, 0, SEEK_SET) == 0);
	room = limit;
	room.rlim_cur = NARROW;
	MUST(setrlimit(RLIMIT_FSIZE, &room) == 0);
	EXPECT_EQ(noria_write(fd, bytes, 2 * NARROW), NARROW - 100);
	MUST(setrlimit(RLIMIT_FSIZE, &limit) == 0);
	EXPECT_EQ(lseek(fd, 0, SEEK_CUR), NARROW);
	EXPECT_EQ(noria_close(fd), 0);
	free(bytes);
	return 0;
}

/* Without room on the disk. */
UNIT(file, a_full_device_says_so)
{
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

	MUST(fd >= 0);
	EXPECT_EQ(noria_write(fd, "x", 1), -ENOSPC);
	EXPECT_EQ(noria_close(fd), 0);
	return 0;
}

UNIT(file, nowait_answers_at_once)
{
	struct iovec vector = {(char[8]){0}, 8};
	int ends[2];

	MUST(noria_pipe2(ends, O_CLOEXEC) == 0);
	EXPECT_EQ(noria_preadv2(ends[0], &vector, 1, -1, RWF_NOWAIT), -EAGAIN);
	EXPECT_EQ(noria_pwritev2(ends[1], &vector, 1, -1, RWF_NOWAIT), 8);
	EXPECT_EQ(noria_preadv2(ends[0], &vector, 1, -1, RWF_NOWAIT), 8);
	MUST(fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0);
	while (write(ends[1], "12345678", 8) == 8)
		;
	EXPECT_EQ(noria_within(noria_sec(2), noria_pwritev2(ends[1], &vector, 1, -1, RWF_NOWAIT)), -EAGAIN);
	EXPECT(noria_close(ends[0]) == 0 && noria_close(ends[1]) == 0);
	return 0;
}

/* Of all: nothing is done outside a runtime, and each says so. */
Test(file, outside_a_runtime)
{
	char byte;
	off_t offset = 0;

	cr_expect_eq(noria_fsync(0), -ENXIO);
	cr_expect_eq(noria_ftruncate(0, 0), -ENXIO);
	cr_expect_eq(noria_fchmod(0, 0), -ENXIO);
	cr_expect_eq(noria_setxattr("/", "user.x", "", 0, 0), -ENXIO);
	cr_expect_eq(noria_readlink("/", &byte, 1), -ENXIO);
	cr_expect_eq(noria_pipe((int[2]){0}), -ENXIO);
	cr_expect_eq(noria_sendfile(1, 0, &offset, 1), -ENXIO);
	cr_expect_eq(noria_copy_file_range_all(0, &offset, 1, &offset, 1, 0), -ENXIO);
}
