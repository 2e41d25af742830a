/* SPDX-License-Identifier: MIT */
/* Files and their names, under a directory of the test's own. */
#include "rig.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static int directory(struct rig *rig)
{
	char path[64];

	snprintf(path, sizeof path, "/tmp/conformance.%d", (int)getpid());
	rig_do(rig, "mkdir", io_uring_prep_mkdir, path, 0700);
	return rig_fd(rig, "open directory", io_uring_prep_open, path, O_RDONLY | O_DIRECTORY, 0);
}

static void remove_directory(struct rig *rig, int fd)
{
	char path[64];

	snprintf(path, sizeof path, "/tmp/conformance.%d", (int)getpid());
	rig_close(rig, fd);
	rig_do(rig, "rmdir", io_uring_prep_unlink, path, AT_REMOVEDIR);
}

static void reads_and_writes(struct rig *rig)
{
	char buffer[64] = {0};
	struct iovec out[2] = {{.iov_base = (char *)"one ", .iov_len = 4}, {.iov_base = (char *)"two", .iov_len = 3}};
	struct iovec in[2] = {{.iov_base = buffer, .iov_len = 2}, {.iov_base = buffer + 2, .iov_len = 62}};
	int dir = directory(rig);
	int fd = rig_fd(rig, "create", io_uring_prep_openat, dir, "file", O_RDWR | O_CREAT | O_EXCL, 0600);

	rig_do(rig, "write", io_uring_prep_write, fd, "hello", 5, -1);
	rig_do(rig, "write", io_uring_prep_write, fd, " world", 6, -1);
	rig_do(rig, "at the end", io_uring_prep_read, fd, buffer, 64, -1);
	rig_do(rig, "read", io_uring_prep_read, fd, buffer, 64, 0);
	rig_say(rig, " got %.11s", buffer);
	rig_do(rig, "beyond", io_uring_prep_read, fd, buffer, 64, 100);
	rig_do(rig, "writev", io_uring_prep_writev, fd, out, 2, 20);
	rig_do(rig, "readv", io_uring_prep_readv, fd, in, 2, 11);
	rig_say(rig, " got %d %.7s", buffer[0], buffer + 9);
	rig_do(rig, "append", io_uring_prep_writev2, fd, out, 2, 0, RWF_APPEND);
	rig_do(rig, "fsync", io_uring_prep_fsync, fd, 0);
	rig_do(rig, "fdatasync", io_uring_prep_fsync, fd, IORING_FSYNC_DATASYNC);
	rig_do(rig, "poll", io_uring_prep_poll_add, fd, 1);
	rig_close(rig, fd);
	fd = rig_fd(rig, "open to read", io_uring_prep_openat, dir, "file", O_RDONLY, 0);
	rig_do(rig, "not to write", io_uring_prep_write, fd, "x", 1, 0);
	rig_close(rig, fd);
	rig_do(rig, "unlink", io_uring_prep_unlinkat, dir, "file", 0);
	remove_directory(rig, dir);
}

/* Less than was asked for breaks a link. */
static void links_of_transfers(struct rig *rig)
{
	char buffer[64];
	int dir = directory(rig);
	int fd = rig_fd(rig, "create", io_uring_prep_openat, dir, "file", O_RDWR | O_CREAT, 0600);

	rig_put(rig, "write", IOSQE_IO_LINK, io_uring_prep_write, fd, "hello", 5, 0);
	rig_put(rig, "fsync", IOSQE_IO_LINK, io_uring_prep_fsync, fd, 0);
	rig_put(rig, "whole", IOSQE_IO_LINK, io_uring_prep_read, fd, buffer, 5, 0);
	rig_put(rig, "part", IOSQE_IO_LINK, io_uring_prep_read, fd, buffer, 6, 0);
	rig_wait(rig, rig_put(rig, "left out", 0, io_uring_prep_nop));
	rig_close(rig, fd);
	rig_do(rig, "unlink", io_uring_prep_unlinkat, dir, "file", 0);
	remove_directory(rig, dir);
}

static void names(struct rig *rig)
{
	struct statx status;
	int dir = directory(rig), fd;

	rig_do(rig, "nothing", io_uring_prep_openat, dir, "nothing", O_RDONLY, 0);
	rig_do(rig, "mkdir", io_uring_prep_mkdirat, dir, "inner", 0755);
	rig_do(rig, "mkdir again", io_uring_prep_mkdirat, dir, "inner", 0755);
	rig_do(rig, "is a directory", io_uring_prep_openat, dir, "inner", O_RDWR, 0);
	fd = rig_fd(rig, "create", io_uring_prep_openat, dir, "inner/file", O_RDWR | O_CREAT, 0600);
	rig_do(rig, "write", io_uring_prep_write, fd, "12345", 5, 0);
	rig_do(rig, "exists", io_uring_prep_openat, dir, "inner/file", O_RDWR | O_CREAT | O_EXCL, 0600);
	rig_do(rig, "no directory", io_uring_prep_openat, dir, "inner/file/more", O_RDONLY, 0);
	rig_do(rig, "not empty", io_uring_prep_unlinkat, dir, "inner", AT_REMOVEDIR);
	rig_do(rig, "unlink a directory", io_uring_prep_unlinkat, dir, "inner", 0);
	rig_do(rig, "link", io_uring_prep_linkat, dir, "inner/file", dir, "second", 0);
	rig_do(rig, "symlink", io_uring_prep_symlinkat, "inner/file", dir, "soft");
	rig_do(rig, "statx", io_uring_prep_statx, dir, "soft", 0, STATX_BASIC_STATS, &status);
	rig_say(rig, " size %llu links %u mode %o", (unsigned long long)status.stx_size, status.stx_nlink,
		status.stx_mode);
	rig_do(rig, "statx of the link", io_uring_prep_statx, dir, "soft", AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS,
	       &status);
	rig_say(rig, " size %llu", (unsigned long long)status.stx_size);
	rig_do(rig, "no replace", io_uring_prep_renameat, dir, "second", dir, "soft", RENAME_NOREPLACE);
	rig_do(rig, "rename", io_uring_prep_renameat, dir, "second", dir, "soft", 0);
	rig_do(rig, "into itself", io_uring_prep_renameat, dir, "inner", dir, "inner/deeper", 0);
	rig_do(rig, "ftruncate", io_uring_prep_ftruncate, fd, 2);
	rig_do(rig, "fallocate", io_uring_prep_fallocate, fd, 0, 0, 4096);
	rig_do(rig, "statx of a descriptor", io_uring_prep_statx, fd, "", AT_EMPTY_PATH, STATX_SIZE, &status);
	rig_say(rig, " size %llu", (unsigned long long)status.stx_size);
	rig_do(rig, "unlink", io_uring_prep_unlinkat, dir, "soft", 0);
	rig_do(rig, "unlink", io_uring_prep_unlinkat, dir, "inner/file", 0);
	rig_do(rig, "unlink again", io_uring_prep_unlinkat, dir, "inner/file", 0);
	rig_do(rig, "rmdir", io_uring_prep_unlinkat, dir, "inner", AT_REMOVEDIR);
	rig_close(rig, fd);
	remove_directory(rig, dir);
}

static void splice_with_a_file(struct rig *rig)
{
	char buffer[64] = {0};
	int dir = directory(rig), pair[2];
	int fd = rig_fd(rig, "create", io_uring_prep_openat, dir, "file", O_RDWR | O_CREAT, 0600);

	rig_pipe(rig, pair);
	rig_do(rig, "write", io_uring_prep_write, fd, "0123456789", 10, 0);
	rig_do(rig, "splice", io_uring_prep_splice, fd, 2, pair[1], -1, 4, 0);
	rig_do(rig, "read", io_uring_prep_read, pair[0], buffer, 64, 0);
	rig_say(rig, " got %.4s", buffer);
	rig_do(rig, "write", io_uring_prep_write, pair[1], "xyz", 3, 0);
	rig_do(rig, "splice back", io_uring_prep_splice, pair[0], -1, fd, 8, 64, 0);
	rig_do(rig, "read", io_uring_prep_read, fd, buffer, 64, 0);
	rig_say(rig, " got %.11s", buffer);
	rig_close(rig, pair[0]);
	rig_close(rig, pair[1]);
	rig_close(rig, fd);
	rig_do(rig, "unlink", io_uring_prep_unlinkat, dir, "file", 0);
	remove_directory(rig, dir);
}

const struct scenario file_scenarios[] = {
	{"reads and writes", reads_and_writes, RIG_ANY},
	{"links of transfers", links_of_transfers, RIG_ANY},
	{"names", names, FEATURE_FTRUNCATE},
	{"splice with a file", splice_with_a_file, RIG_ANY},
	{NULL},
};
