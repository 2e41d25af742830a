/* SPDX-License-Identifier: MIT */
/*
 * What very many tasks cost. `bench_scale parked N`: N tasks that wait for ever, spawned; their memory, page tables
 * included, and the time, beside that of touching one fresh page for each of them. `bench_scale sleepers N`: N tasks
 * that each sleep three times from 1 to 500 ms; the processor time of a sleep, once: sleepers_go and sleepers_tokio do
 * the same, and who compares runs them by turns.
 *
 * The two times of `parked` are taken by turns, several times each, in a child of its own, because memory once used
 * makes a second time cheaper. One line of JSON.
 */
#include "bench.h"

#include <errno.h>
#include <noria/noria.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TURNS = 3, SLEEPS = 3, PAGE = 4096 };

struct measured {
	double ns;     /* for one task */
	double memory; /* bytes of one: of pages, and of their tables */
	double peak;   /* bytes of the process */
};

static uint64_t tasks;
static struct measured result;

static uint64_t field(const char *name)
{
	FILE *file = fopen("/proc/self/status", "re");
	unsigned long long kib = 0;
	char line[128];

	if (!file)
		bench_die("/proc/self/status", errno);
	while (fgets(line, sizeof line, file))
		if (strncmp(line, name, strlen(name)) == 0)
			sscanf(line + strlen(name), ": %llu", &kib);
	fclose(file);
	return kib * 1024;
}

static uint64_t memory_used(void)
{
	return field("VmRSS") + field("VmPTE");
}

static void must(const char *what, int r)
{
	if (r < 0) {
		fprintf(stderr, "bench_scale: %s: %s. %s\n", what, strerror(-r), noria_message());
		exit(1);
	}
}

static int park(void *arg)
{
	(void)arg;
	return noria_sleep(NORIA_FOREVER);
}

/* The tasks run once, to where they wait. */
static int spawn_parked(void *arg)
{
	(void)arg;
	struct noria_group group;
	uint64_t before = memory_used(), start;

	must("group", noria_group_open(&group));
	start = bench_now_ns();
	for (uint64_t i = 0; i < tasks; i++)
		must("spawn", noria_spawn(&group, park, NULL));
	must("yield", noria_yield());
	result.ns = (double)(bench_now_ns() - start) / (double)tasks;
	result.peak = (double)memory_used();
	result.memory = (result.peak - (double)before) / (double)tasks;
	noria_group_cancel(&group);
	return noria_group_close(&group, 0);
}

static void measure_parked(void)
{
	must("run", noria_run(NULL, spawn_parked, NULL));
}

static void measure_touch(void)
{
	const size_t size = tasks * PAGE;
	const uint64_t start = bench_now_ns();
	volatile char *pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (pages == MAP_FAILED)
		bench_die("mmap", errno);
	/* A page each, as a stack has it, and not 512 at once. */
	madvise((void *)pages, size, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < size; i += PAGE)
		pages[i] = 1;
	result.ns = (double)(bench_now_ns() - start) / (double)tasks;
}

static int sleep_thrice(void *arg)
{
	uint64_t random = (uint64_t)(uintptr_t)arg;

	for (int i = 0; i < SLEEPS; i++) {
		random = random * 6364136223846793005u + 1442695040888963407u;
		noria_try(noria_sleep(noria_msec(1) + (int64_t)((random >> 33) % (uint64_t)noria_msec(499))));
	}
	return 0;
}

static int spawn_sleepers(void *arg)
{
	(void)arg;
	struct noria_group group;

	must("group", noria_group_open(&group));
	for (uint64_t i = 0; i < tasks; i++)
		must("spawn", noria_spawn(&group, sleep_thrice, (void *)(uintptr_t)(i + 1)));
	return noria_group_close(&group, 0);
}

/* The whole process, from its first task to the end of the runtime. */
static void measure_sleepers(void)
{
	struct rusage usage;
	struct timeval time;

	must("run", noria_run(NULL, spawn_sleepers, NULL));
	getrusage(RUSAGE_SELF, &usage);
	timeradd(&usage.ru_utime, &usage.ru_stime, &time);
	result.ns = ((double)time.tv_sec * 1e9 + (double)time.tv_usec * 1e3) / (double)(tasks * SLEEPS);
}

static struct measured in_a_child(void (*measure)(void))
{
	struct measured seen;
	int ends[2], status;
	pid_t pid;

	if (pipe(ends) < 0 || (pid = fork()) < 0)
		bench_die("child", errno);
	if (pid == 0) {
		measure();
		_exit(write(ends[1], &result, sizeof result) != sizeof result);
	}
	close(ends[1]);
	if (read(ends[0], &seen, sizeof seen) != sizeof seen || waitpid(pid, &status, 0) < 0 || status != 0)
		bench_die("the child failed", ECHILD);
	close(ends[0]);
	return seen;
}

static int compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values)
{
	qsort(values, TURNS, sizeof *values, compare);
	return values[TURNS / 2];
}

static void report_parked(void)
{
	double spawn[TURNS], touch[TURNS], ratio[TURNS], memory[TURNS], peak[TURNS];

	for (int i = 0; i < TURNS; i++) {
		const struct measured page = in_a_child(measure_touch), task = in_a_child(measure_parked);

		spawn[i] = task.ns;
		touch[i] = page.ns;
		ratio[i] = task.ns / page.ns;
		memory[i] = task.memory;
		peak[i] = task.peak;
	}
	printf("{\"tasks\": %llu, \"spawn_ns\": %.1f, \"touch_ns\": %.1f, \"ratio\": %.3f, \"bytes_per_task\": %.0f, "
	       "\"peak_bytes\": %.0f}\n",
	       (unsigned long long)tasks, median(spawn), median(touch), median(ratio), median(memory), median(peak));
}

static void report_sleepers(void)
{
	measure_sleepers();
	printf("{\"tasks\": %llu, \"cpu_ns_per_sleep\": %.1f}\n", (unsigned long long)tasks, result.ns);
}

int main(int argc, char **argv)
{
	if (argc != 3 || (strcmp(argv[1], "parked") != 0 && strcmp(argv[1], "sleepers") != 0))
		bench_usage("the arguments are `parked N` or `sleepers N`");
	tasks = bench_parse_number("N", argv[2], 1, 10000000);
	if (argv[1][0] == 'p')
		report_parked();
	else
		report_sleepers();
	return 0;
}
