/* SPDX-License-Identifier: MIT */
/* Many small files, by tasks of noria: open, stat, read, close; DEPTH tasks. See files_small.h. */
#include "files_small.h"

#include <errno.h>
#include <fcntl.h>
#include <noria/noria.h>
#include <sys/stat.h>

static struct small_options options;
static struct files_result result;
static uint64_t next_file, end_ns;

static int one(const char *path)
{
	char content[SMALL_SIZE];
	struct statx status;
	ssize_t n;
	int fd = noria_try(noria_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0));

	n = noria_statx(fd, "", AT_EMPTY_PATH, STATX_SIZE, &status);
	if (n >= 0)
		n = noria_pread(fd, content, sizeof content, 0);
	noria_close(fd);
	if (n >= 0 && (uint64_t)n != status.stx_size)
		return -EIO;
	return n < 0 ? (int)n : 0;
}

static int reader(void *arg)
{
	(void)arg;
	while (bench_now_ns() < end_ns) {
		char path[SMALL_PATH_SIZE];

		small_path(&options, next_file++, path);
		noria_try(one(path));
		result.reads++;
	}
	return 0;
}

static int run(void *arg)
{
	struct noria_group group;

	(void)arg;
	files_begin(&result);
	end_ns = bench_now_ns() + options.ns;
	noria_try(noria_group_open(&group));
	for (unsigned i = 0; i < options.depth; i++)
		noria_try(noria_spawn(&group, reader, NULL));
	noria_try(noria_group_close(&group, 0));
	files_end(&result);
	return 0;
}

int main(int argc, char **argv)
{
	int r;

	small_parse(&options, argc, argv);
	r = noria_run(NULL, run, NULL);
	if (r < 0)
		bench_die(noria_message(), r);
	files_print(&result);
	return 0;
}
