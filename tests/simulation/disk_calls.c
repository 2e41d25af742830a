/* SPDX-License-Identifier: MIT */
/* Calls of a simulated disk one by one: paths, what is refused, faults, and what single crashes leave. */
#include "simulation/disk/disk.h"
#include "simulation/host.h"
#include "simulation/world.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { PAGE = 4096, SEEDS = 200 };

static struct sim_world *world;
static struct sim_host *host;

static void begin(uint64_t seed, const char *plan)
{
	cr_assert_eq(sim_world_open(&world, seed, plan), 0);
	host = world->hosts[0];
}

static void end(void)
{
	sim_world_close(world);
}

static int try_open(const char *path, int flags, uint64_t resolve, struct sim_file **ret_file)
{
	bool creates = flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE;
	struct open_how how = {.flags = (unsigned)flags, .mode = creates ? 0666 : 0, .resolve = resolve};

	return sim_openat(host, AT_FDCWD, path, &how, ret_file);
}

static struct sim_file *open_file(const char *path, int flags)
{
	struct sim_file *file = NULL;

	cr_assert_eq(try_open(path, flags, 0, &file), 0, "open %s", path);
	return file;
}

static int open_error(const char *path, int flags, uint64_t resolve)
{
	struct sim_file *file;
	int r = try_open(path, flags, resolve, &file);

	if (r == 0)
		sim_file_unref(file);
	return r;
}

static int64_t put(struct sim_file *file, const char *text, int64_t offset)
{
	struct iovec vector = {.iov_base = (void *)(uintptr_t)text, .iov_len = strlen(text)};
	struct sim_transfer transfer = {.vector = &vector, .count = 1, .size = vector.iov_len, .offset = offset};

	return file->class->write(file, &transfer);
}

static int64_t get(struct sim_file *file, char *buffer, size_t size, int64_t offset)
{
	struct iovec vector = {.iov_base = buffer, .iov_len = size};
	struct sim_transfer transfer = {.vector = &vector, .count = 1, .size = size, .offset = offset};

	return file->class->read(file, &transfer);
}

static void write_whole(const char *path, const char *text, bool sync)
{
	struct sim_file *file = open_file(path, O_WRONLY | O_CREAT | O_TRUNC);

	cr_assert_eq(put(file, text, 0), (int64_t)strlen(text));
	if (sync)
		cr_assert_eq(sim_fsync(file, false), 0);
	sim_file_unref(file);
}

/* "-" where there is no such file, and '0' for a byte that is zero. */
static void read_whole(const char *path, char text[32])
{
	struct sim_file *file;
	int64_t n;

	snprintf(text, 32, "-");
	if (try_open(path, O_RDONLY, 0, &file) < 0)
		return;
	n = get(file, text, 31, 0);
	cr_assert_geq(n, 0);
	for (int64_t i = 0; i < n; i++)
		text[i] = text[i] ? text[i] : '0';
	text[n] = '\0';
	sim_file_unref(file);
}

static void crash(void)
{
	sim_host_crash(host);
	sim_host_restart(host);
}

Test(disk, a_fresh_one_has_the_usual_directories)
{
	char text[32], random[16] = {0}, none[16] = {0};
	struct sim_file *file;

	begin(1, "");
	for (const char *const *path = (const char *const[]){"/", "/tmp", "/etc", "/dev", "/home", "/var", NULL}; *path;
	     path++)
		cr_assert_eq(open_error(*path, O_RDONLY | O_DIRECTORY, 0), 0, "%s", *path);
	read_whole("/etc/hosts", text);
	cr_assert_str_eq(text, "127.0.0.1 localhost\n::1 localho");
	file = open_file("/dev/urandom", O_RDONLY);
	cr_assert_eq(get(file, random, sizeof random, -1), 16);
	cr_assert_neq(memcmp(random, none, sizeof random), 0);
	sim_file_unref(file);
	file = open_file("/dev/full", O_WRONLY);
	cr_assert_eq(put(file, "x", -1), -ENOSPC);
	sim_file_unref(file);
	end();
}

Test(disk, paths_lead_where_they_should_and_are_refused_where_not)
{
	char name[300];
	struct sim_file *file;

	begin(1, "");
	cr_assert_eq(sim_mkdirat(host, AT_FDCWD, "/tmp/dir/", 0755), 0);
	write_whole("/tmp/dir/file", "hello", false);
	cr_assert_eq(sim_symlinkat(host, "../tmp/dir", AT_FDCWD, "/tmp/soft"), 0);
	cr_assert_eq(sim_symlinkat(host, "loop", AT_FDCWD, "/tmp/loop"), 0);
	cr_assert_eq(sim_symlinkat(host, "/tmp/new", AT_FDCWD, "/tmp/dangling"), 0);
	cr_assert_eq(open_error("tmp//soft/./../soft/file", O_RDONLY, 0), 0);
	cr_assert_eq(open_error("tmp//soft/./file", O_RDONLY, 0), 0);
	cr_assert_eq(open_error("/tmp/loop", O_RDONLY, 0), -ELOOP);
	cr_assert_eq(open_error("/tmp/soft", O_RDONLY | O_NOFOLLOW, 0), -ELOOP);
	cr_assert_eq(open_error("/tmp/soft/file", O_RDONLY, RESOLVE_NO_SYMLINKS), -ELOOP);
	cr_assert_eq(open_error("tmp/soft/file", O_RDONLY, RESOLVE_BENEATH), 0);
	cr_assert_eq(open_error("../tmp", O_RDONLY, RESOLVE_BENEATH), -EXDEV);
	cr_assert_eq(open_error("/tmp", O_RDONLY, RESOLVE_BENEATH), -EXDEV);
	cr_assert_eq(open_error("/tmp/dir/file/", O_RDONLY, 0), -ENOTDIR);
	cr_assert_eq(open_error("/tmp/dir/file/x", O_RDONLY, 0), -ENOTDIR);
	cr_assert_eq(open_error("/tmp/dir/file", O_RDONLY | O_DIRECTORY, 0), -ENOTDIR);
	cr_assert_eq(open_error("/tmp/dir", O_RDWR, 0), -EISDIR);
	cr_assert_eq(open_error("/tmp/none/", O_RDWR | O_CREAT, 0), -EISDIR);
	cr_assert_eq(open_error("", O_RDONLY, 0), -ENOENT);
	cr_assert_eq(open_error("/tmp/dangling", O_RDWR | O_CREAT | O_EXCL, 0), -EEXIST);
	cr_assert_eq(open_error("/tmp/dangling", O_RDWR | O_CREAT, 0), 0);
	cr_assert_eq(open_error("/tmp/new", O_RDONLY, 0), 0);
	memset(name, 'x', sizeof name);
	name[sizeof name - 1] = '\0';
	cr_assert_eq(open_error(name, O_RDWR | O_CREAT, 0), -ENAMETOOLONG);
	cr_assert_eq(sim_unlinkat(host, AT_FDCWD, "/tmp/dir", AT_REMOVEDIR), -ENOTEMPTY);
	cr_assert_eq(sim_unlinkat(host, AT_FDCWD, "/", AT_REMOVEDIR), -EBUSY);
	cr_assert_eq(sim_renameat(host, AT_FDCWD, "/tmp/dir", AT_FDCWD, "/tmp/dir/sub", 0), -EINVAL);
	cr_assert_eq(sim_renameat(host, AT_FDCWD, "/tmp/new", AT_FDCWD, "/tmp/dir", 0), -EISDIR);
	cr_assert_eq(sim_renameat(host, AT_FDCWD, "/tmp", AT_FDCWD, "/tmp/dir", 0), -EINVAL);
	/* what is open lives on without a name */
	file = open_file("/tmp/dir/file", O_RDONLY);
	cr_assert_eq(sim_unlinkat(host, AT_FDCWD, "/tmp/dir/file", 0), 0);
	cr_assert_eq(get(file, name, 5, 0), 5);
	sim_file_unref(file);
	end();
}

Test(disk, a_file_without_a_name_gets_one)
{
	char path[64], text[32];
	struct sim_file *file;
	int fd;

	begin(1, "");
	file = open_file("/tmp", O_RDWR | O_TMPFILE);
	cr_assert_eq(put(file, "hello", 0), 5);
	fd = sim_fd_install(file);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	cr_assert_eq(sim_linkat(host, AT_FDCWD, path, AT_FDCWD, "/tmp/named", AT_SYMLINK_FOLLOW), 0);
	read_whole("/tmp/named", text);
	cr_assert_str_eq(text, "hello");
	cr_assert_eq(sim_readlinkat(host, AT_FDCWD, path, text, sizeof text), 10);
	cr_assert_eq(memcmp(text, "/tmp/named", 10), 0);
	cr_assert_eq(sim_unlinkat(host, AT_FDCWD, "/tmp/named", 0), 0);
	sim_fd_close(world, fd);
	end();
}

Test(disk, listings_miss_no_name_that_stays_and_tell_none_twice)
{
	struct {
		uint64_t number;
		int64_t next;
		uint16_t length;
		uint8_t type;
		char name[];
	} const *entry;
	char buffer[128], path[64];
	struct sim_file *file;
	unsigned seen = 0;
	int64_t n;

	begin(1, "");
	for (int i = 0; i < 100; i++) {
		snprintf(path, sizeof path, "/tmp/%d", i);
		write_whole(path, "x", false);
	}
	file = open_file("/tmp", O_RDONLY | O_DIRECTORY);
	while ((n = sim_getdents(file, buffer, sizeof buffer)) > 0)
		for (int64_t at = 0; at < n; at += entry->length) {
			entry = (const void *)(buffer + at);
			if (entry->name[0] == '.')
				continue;
			if (seen++ % 2)
				continue;
			snprintf(path, sizeof path, "/tmp/%s", entry->name);
			cr_assert_eq(sim_unlinkat(host, AT_FDCWD, path, 0), 0);
		}
	cr_assert_eq(n, 0);
	cr_assert_eq(seen, 100);
	sim_file_unref(file);
	end();
}

Test(disk, attributes_and_positions_and_copies)
{
	char buffer[32];
	struct sim_file *file, *other;
	int64_t offset = 0;

	begin(1, "");
	file = open_file("/tmp/a", O_RDWR | O_CREAT);
	cr_assert_eq(sim_fsetxattr(file, "user.x", "12", 2, XATTR_CREATE), 0);
	cr_assert_eq(sim_fsetxattr(file, "user.x", "123", 3, XATTR_CREATE), -EEXIST);
	cr_assert_eq(sim_fsetxattr(file, "user.y", "1", 1, XATTR_REPLACE), -ENODATA);
	cr_assert_eq(sim_fsetxattr(file, "other.x", "1", 1, 0), -EOPNOTSUPP);
	cr_assert_eq(sim_fgetxattr(file, "user.x", buffer, 1), -ERANGE);
	cr_assert_eq(sim_getxattr(host, "/tmp/a", true, "user.x", buffer, 32), 2);
	cr_assert_eq(sim_flistxattr(file, buffer, 32), 7);
	cr_assert_eq(put(file, "end", 3 * PAGE), 3);
	cr_assert_eq(sim_lseek(file, 0, SEEK_DATA), 3 * PAGE);
	cr_assert_eq(sim_lseek(file, 3 * PAGE, SEEK_HOLE), 3 * PAGE + 3);
	cr_assert_eq(sim_lseek(file, 0, SEEK_HOLE), 0);
	cr_assert_eq(sim_lseek(file, 4 * PAGE, SEEK_DATA), -ENXIO);
	cr_assert_eq(sim_lseek(file, 3 * PAGE, SEEK_SET), 3 * PAGE);
	other = open_file("/tmp/b", O_RDWR | O_CREAT | O_APPEND);
	cr_assert_eq(sim_copy_file_range(file, &offset, other, NULL, 10, 0), -EBADF);
	sim_file_unref(other);
	other = open_file("/tmp/b", O_RDWR);
	cr_assert_eq(sim_copy_file_range(file, &offset, other, NULL, 1 << 20, 0), 3 * PAGE + 3);
	cr_assert_eq(get(other, buffer, 32, 3 * PAGE), 3);
	cr_assert_eq(memcmp(buffer, "end", 3), 0);
	sim_file_unref(other);
	other = open_file("/tmp/b", O_RDWR | O_DIRECT);
	cr_assert_eq(get(other, buffer + 1, 31, 0), -EINVAL);
	sim_file_unref(other);
	sim_file_unref(file);
	end();
}

Test(disk, it_is_full_when_its_capacity_is_used)
{
	struct sim_file *file;
	char page[2 * PAGE + 1];

	begin(1, "");
	memset(page, 'x', sizeof page);
	page[2 * PAGE] = '\0';
	sim_disk_set_capacity(sim_disk_of(host), 4 * PAGE); /* /etc/hosts has one */
	file = open_file("/tmp/a", O_RDWR | O_CREAT);
	cr_assert_eq(put(file, page, -1), 2 * PAGE);
	cr_assert_eq(put(file, page, -1), PAGE);
	cr_assert_eq(put(file, page, -1), -ENOSPC);
	cr_assert_eq(put(file, page, 0), 2 * PAGE, "what is there may be written again");
	cr_assert_eq(sim_fallocate(file, 0, 3 * PAGE, 1), -ENOSPC);
	cr_assert_eq(sim_fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PAGE), 0);
	cr_assert_eq(put(file, "y", -1), 1);
	sim_file_unref(file);
	end();
}

Test(disk, a_failed_sync_is_told_once_to_each_and_what_it_lost_is_lost)
{
	unsigned lost = 0, kept = 0;

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct sim_file *file, *other;
		char text[32];

		begin(seed, "eio@3");
		write_whole("/tmp/a", "old", true);
		file = open_file("/tmp/a", O_RDWR);
		other = open_file("/tmp/a", O_RDWR);
		cr_assert_eq(put(file, "new", 0), 3);
		cr_assert_eq(sim_fsync(file, false), -EIO);
		cr_assert_eq(sim_fsync(file, false), 0);
		cr_assert_eq(sim_fsync(other, true), -EIO);
		cr_assert_eq(sim_fsync(other, true), 0);
		sim_file_unref(file);
		sim_file_unref(other);
		crash();
		read_whole("/tmp/a", text);
		lost += strcmp(text, "old") == 0;
		kept += strcmp(text, "new") == 0;
		end();
	}
	cr_assert_eq(lost + kept, SEEDS);
	cr_assert_gt(lost, SEEDS / 2);
	cr_assert_gt(kept, SEEDS / 5);
}

/* What a file is replaced by, with or without a sync before the rename. */
static unsigned replace_and_crash(uint64_t seed, bool sync, bool sync_directory)
{
	static const char *const fates[] = {"old", "new", "", "000"};
	struct sim_file *file;
	unsigned fate = 0;
	char text[32];

	begin(seed, "");
	write_whole("/tmp/a", "old", true);
	write_whole("/tmp/b", "new", sync);
	cr_assert_eq(sim_renameat(host, AT_FDCWD, "/tmp/b", AT_FDCWD, "/tmp/a", 0), 0);
	if (sync_directory) {
		file = open_file("/tmp", O_RDONLY | O_DIRECTORY);
		cr_assert_eq(sim_fsync(file, false), 0);
		sim_file_unref(file);
	}
	crash();
	read_whole("/tmp/a", text);
	while (fate < 4 && strcmp(text, fates[fate]) != 0)
		fate++;
	end();
	return fate;
}

Test(disk, a_replaced_file_is_old_or_new_if_it_was_synced_and_may_be_empty_if_not)
{
	unsigned synced[5] = {0}, not_synced[5] = {0}, certain[5] = {0};

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		synced[replace_and_crash(seed, true, false)]++;
		not_synced[replace_and_crash(seed, false, false)]++;
		certain[replace_and_crash(seed, true, true)]++;
	}
	cr_assert(synced[0] > 0 && synced[1] > 0);
	cr_assert_eq(synced[0] + synced[1], SEEDS);
	cr_assert(not_synced[0] > 0 && not_synced[1] > 0 && not_synced[2] > 0 && not_synced[3] > 0);
	cr_assert_eq(not_synced[4], 0);
	cr_assert_eq(certain[1], SEEDS);
}

Test(disk, pages_are_torn_at_sectors)
{
	unsigned torn = 0;

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		char page[PAGE + 1] = {0}, text[PAGE];
		struct sim_file *file;
		unsigned changes = 0;

		begin(seed, "");
		memset(page, 'a', PAGE);
		write_whole("/tmp/a", page, true);
		memset(page, 'b', PAGE);
		file = open_file("/tmp/a", O_RDWR);
		cr_assert_eq(put(file, page, 0), PAGE);
		sim_file_unref(file);
		crash();
		file = open_file("/tmp/a", O_RDONLY);
		cr_assert_eq(get(file, text, PAGE, 0), PAGE);
		for (int i = 1; i < PAGE; i++)
			if (text[i] != text[i - 1]) {
				changes++;
				cr_assert_eq(i % 512, 0);
			}
		torn += changes > 0;
		sim_file_unref(file);
		end();
	}
	cr_assert_gt(torn, SEEDS / 5);
	cr_assert_lt(torn, SEEDS / 2);
}

Test(disk, files_of_before_a_crash_are_dead)
{
	struct sim_file *file;

	begin(1, "");
	file = open_file("/tmp/a", O_RDWR | O_CREAT);
	sim_host_crash(host);
	cr_assert_eq(open_error("/tmp/a", O_RDONLY, 0), -EHOSTDOWN);
	sim_host_restart(host);
	cr_assert_eq(sim_fsync(file, false), -EHOSTDOWN);
	cr_assert_eq(sim_ftruncate(file, 0), -EHOSTDOWN);
	sim_file_unref(file);
	end();
}
