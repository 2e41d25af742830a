/* SPDX-License-Identifier: MIT */
/*
 * How long an operation on a file keeps the loop from everybody else, with IOSQE_ASYNC (a worker of the kernel does it
 * from the start) and without (the kernel first tries on the loop's own thread): `files_stall DIRECTORY [ROUNDS]`.
 *
 * A ticker yields without end; the longest time between two of its turns while an operation is under way is the
 * operation's stall. Of the rounds the median and the worst are printed, of the thread's CPU time as well, in which
 * other processes have no part, and the median time of the whole operation.
 */
#include "bench.h"
#include "op/op.h"

#include <errno.h>
#include <fcntl.h>
#include <noria/noria.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ROUNDS_MAX = 1000, LARGE = 64 << 20 };

static const char *directory;
static unsigned rounds = 31, sqe_flags;
static int file = -1;
static char *bytes;

/* The ticker. */

static uint64_t worst_ns, worst_cpu_ns;
static bool over;

static uint64_t cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * BENCH_NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

static int tick(void *arg)
{
	uint64_t last = bench_now_ns(), last_cpu = cpu_ns();

	(void)arg;
	while (!over && noria_yield() == 0) {
		uint64_t now = bench_now_ns(), cpu = cpu_ns();

		worst_ns = now - last > worst_ns ? now - last : worst_ns;
		worst_cpu_ns = cpu - last_cpu > worst_cpu_ns ? cpu - last_cpu : worst_cpu_ns;
		last = now;
		last_cpu = cpu;
	}
	return 0;
}

/* The operations, each with the flags that are measured. */

static void must(int64_t r, const char *what)
{
	if (r < 0)
		bench_die(what, (int)r);
}

#define PREPARE(name, ...) \
	static void name(struct io_uring_sqe *sqe, size_t size) \
	{ \
		(void)size; \
		__VA_ARGS__; \
		sqe->flags |= (uint8_t)sqe_flags; \
	}

PREPARE(prepare_read, io_uring_prep_read(sqe, file, bytes, (unsigned)size, 0))
PREPARE(prepare_write, io_uring_prep_write(sqe, file, bytes, (unsigned)size, 0))
PREPARE(prepare_fsync, io_uring_prep_fsync(sqe, file, 0))
PREPARE(prepare_fallocate, io_uring_prep_fallocate(sqe, file, 0, 0, size))
PREPARE(prepare_ftruncate, io_uring_prep_ftruncate(sqe, file, 0))
PREPARE(prepare_open, io_uring_prep_openat(sqe, AT_FDCWD, directory, O_RDONLY | O_CLOEXEC, 0))
PREPARE(prepare_create, io_uring_prep_openat(sqe, AT_FDCWD, directory, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600))

static int64_t read_it(size_t size)
{
	return op_call("read", 0, prepare_read, size);
}

static int64_t write_it(size_t size)
{
	return op_call("write", 0, prepare_write, size);
}

static int64_t sync_it(size_t size)
{
	return op_call("fsync", 0, prepare_fsync, size);
}

static int64_t allocate_it(size_t size)
{
	return op_call("fallocate", 0, prepare_fallocate, size);
}

static int64_t cut_it(size_t size)
{
	return op_call("ftruncate", 0, prepare_ftruncate, size);
}

static int64_t open_it(size_t size)
{
	return op_call("openat", 0, prepare_open, size);
}

static int64_t create_it(size_t size)
{
	return op_call("openat", 0, prepare_create, size);
}

/* What comes before each round, not measured. */

static void fill(size_t size)
{
	for (size_t done = 0; done < size; done += LARGE / 16)
		must(pwrite(file, bytes, size - done < LARGE / 16 ? size - done : LARGE / 16, (off_t)done) < 0 ? -errno
													       : 0,
		     "pwrite");
}

static void make_cached(size_t size)
{
	fill(size);
	must(fdatasync(file) < 0 ? -errno : 0, "fdatasync");
	must(pread(file, bytes, size, 0) < 0 ? -errno : 0, "pread");
}

static void make_cold(size_t size)
{
	make_cached(size);
	must(-posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED), "posix_fadvise");
}

static void make_empty(size_t size)
{
	(void)size;
	must(ftruncate(file, 0) < 0 ? -errno : 0, "ftruncate");
}

static const struct row {
	const char *name;
	size_t size;
	void (*before)(size_t size);
	int64_t (*run)(size_t size);
	bool opens;
} table[] = {
	{"read 4 KiB, cached", 4 << 10, make_cached, read_it, false},
	{"read 64 KiB, cached", 64 << 10, make_cached, read_it, false},
	{"read 256 KiB, cached", 256 << 10, make_cached, read_it, false},
	{"read 1 MiB, cached", 1 << 20, make_cached, read_it, false},
	{"read 16 MiB, cached", 16 << 20, make_cached, read_it, false},
	{"read 4 KiB, cold", 4 << 10, make_cold, read_it, false},
	{"read 1 MiB, cold", 1 << 20, make_cold, read_it, false},
	{"read 16 MiB, cold", 16 << 20, make_cold, read_it, false},
	{"write 4 KiB", 4 << 10, make_empty, write_it, false},
	{"write 64 KiB", 64 << 10, make_empty, write_it, false},
	{"write 1 MiB", 1 << 20, make_empty, write_it, false},
	{"write 16 MiB", 16 << 20, make_empty, write_it, false},
	{"write 4 KiB, over", 4 << 10, make_cached, write_it, false},
	{"write 1 MiB, over", 1 << 20, make_cached, write_it, false},
	{"fsync of 16 MiB", 16 << 20, fill, sync_it, false},
	{"fallocate 64 MiB", 64 << 20, make_empty, allocate_it, false},
	{"ftruncate 16 MiB", 16 << 20, fill, cut_it, false},
	{"open, cached", 0, make_empty, open_it, true},
	{"create", 0, make_empty, create_it, true},
};

/* One row. */

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static double median_us(uint64_t *values)
{
	qsort(values, rounds, sizeof *values, compare);
	return (double)values[rounds / 2] / 1000;
}

static void yield_times(int times)
{
	for (int i = 0; i < times; i++)
		must(noria_yield(), "yield");
}

static void measure(const struct row *row)
{
	static uint64_t stalls[ROUNDS_MAX], cpu[ROUNDS_MAX], whole[ROUNDS_MAX];
	double median, median_cpu;

	for (unsigned i = 0; i < rounds; i++) {
		uint64_t began;
		int64_t r;

		row->before(row->size);
		yield_times(3);
		worst_ns = worst_cpu_ns = 0;
		began = bench_now_ns();
		r = row->run(row->size);
		whole[i] = bench_now_ns() - began;
		yield_times(3); /* the ticker notes its last gap */
		must(r, row->name);
		stalls[i] = worst_ns;
		cpu[i] = worst_cpu_ns;
		if (row->opens)
			must(noria_close((int)r), "close");
	}
	median = median_us(stalls);
	median_cpu = median_us(cpu);
	printf("  %9.1f %9.1f %9.1f", median, (double)stalls[rounds - 1] / 1000, median_cpu);
	printf(" %9.1f", median_us(whole));
}

static int measure_all(void *arg)
{
	struct noria_group group;

	(void)arg;
	printf("%-22s  %39s  %39s\n", "", "without IOSQE_ASYNC", "with IOSQE_ASYNC");
	printf("%-22s  %9s %9s %9s %9s  %9s %9s %9s %9s\n", "microseconds", "stall", "worst", "CPU", "whole", "stall",
	       "worst", "CPU", "whole");
	must(noria_group_open(&group), "group");
	must(noria_spawn(&group, tick, NULL), "spawn");
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		printf("%-22s", table[i].name);
		sqe_flags = 0;
		measure(&table[i]);
		sqe_flags = IOSQE_ASYNC;
		measure(&table[i]);
		printf("\n");
		fflush(stdout);
	}
	over = true;
	return (int)noria_group_close(&group, 0);
}

int main(int argc, char **argv)
{
	if (argc < 2)
		bench_usage("usage: files_stall DIRECTORY [ROUNDS]");
	directory = argv[1];
	if (argc > 2)
		rounds = (unsigned)bench_parse_number("ROUNDS", argv[2], 1, ROUNDS_MAX);
	bytes = aligned_alloc(4096, LARGE);
	if (!bytes)
		bench_die("memory", ENOMEM);
	memset(bytes, 'x', LARGE);
	file = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (file < 0)
		bench_die(directory, errno);
	must(noria_run(NULL, measure_all, NULL), "run");
	return 0;
}
