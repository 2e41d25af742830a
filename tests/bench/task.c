/* SPDX-License-Identifier: MIT */
/*
 * What tasks cost: nanoseconds for a switch, a yield, a spawned and joined task, a scope, a cancel, a time limit around a
 * send that completes at once, and a sleep among many sleepers. Several rounds of each; the median is printed, with the
 * least and the most. `bench_task [--json] [--rounds N] [--only NAME]`.
 */
#include "rows.h"
#include "task/context.h"

#include <errno.h>
#include <noria/noria.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ROUNDS_MAX = 101, COUNT = ROW_COUNT, SLEEPERS = 100000, STACK = 64 * 1024 };

static uint64_t not_counted_ns; /* of a round: what it took to prepare */

static struct context hub, partner;

static struct context *bounce(void *arg)
{
	(void)arg;
	for (int i = 0; i < COUNT / 2; i++)
		context_switch(&partner, &hub);
	return &hub;
}

/* Outside a runtime: the machine's switch alone, one way. */
static void measure_switch(void)
{
	char *stack = malloc(STACK);

	if (!stack)
		bench_die("malloc", 12);
	noria_context_adopt(&hub);
	noria_context_make(&partner, stack, STACK, bounce, NULL);
	for (int i = 0; i < COUNT / 2; i++)
		context_switch(&hub, &partner);
	noria_context_done(&partner);
	free(stack);
}

static void yield_times(int count)
{
	for (int i = 0; i < count; i++)
		must(noria_yield(), "yield");
}

/* One task alone: nobody is switched to. */
static void measure_yield_alone(void)
{
	yield_times(COUNT);
}

static int yield_often(void *arg)
{
	(void)arg;
	yield_times(COUNT / 2);
	return 0;
}

/* Two tasks that yield to each other. */
static void measure_yield(void)
{
	struct noria_group group;

	must(noria_group_open(&group), "group");
	must(noria_spawn(&group, yield_often, NULL), "spawn");
	must(noria_spawn(&group, yield_often, NULL), "spawn");
	must(noria_group_close(&group, 0), "close");
}

static int empty(void *arg)
{
	(void)arg;
	return 0;
}

static void measure_spawn(void)
{
	struct noria_group group;

	must(noria_group_open(&group), "group");
	for (int i = 0; i < COUNT; i++) {
		must(noria_spawn(&group, empty, NULL), "spawn");
		while (noria_group_size(&group) > 0)
			must(noria_yield(), "yield");
	}
	must(noria_group_close(&group, 0), "close");
}

static void measure_group(void)
{
	for (int i = 0; i < COUNT; i++) {
		struct noria_group group;

		must(noria_group_open(&group), "group");
		must(noria_spawn(&group, empty, NULL), "spawn");
		must(noria_group_close(&group, 0), "close");
	}
}

static void measure_scope(void)
{
	for (int i = 0; i < COUNT; i++) {
		struct noria_scope scope;

		must(noria_scope_open(&scope, NORIA_FOREVER, 0), "scope");
		must((int)noria_scope_close(&scope, 0), "close");
	}
}

static int sleep_for_ever(void *arg)
{
	(void)arg;
	return noria_sleep(NORIA_FOREVER) == -ECANCELED ? 0 : -EIO;
}

/* From the cancel of a scope to the end of the last of the parked tasks beneath it; making them is not counted. */
static void measure_cancel(int tasks)
{
	for (int done = 0; done < SLEEPERS; done += tasks) {
		struct noria_group group;
		uint64_t start = bench_now_ns();

		must(noria_group_open(&group), "group");
		for (int i = 0; i < tasks; i++)
			must(noria_spawn(&group, sleep_for_ever, NULL), "spawn");
		must(noria_yield(), "yield");
		not_counted_ns += bench_now_ns() - start;
		noria_group_cancel(&group);
		must(noria_group_close(&group, 0), "close");
	}
}

static void measure_cancel_10(void)
{
	measure_cancel(10);
}

static void measure_cancel_1000(void)
{
	measure_cancel(1000);
}

static void measure_cancel_100000(void)
{
	measure_cancel(100000);
}

static int pair[2];

/* Of no bytes, so that what is measured is not the kernel's copying. */
static void measure_send(void)
{
	for (int i = 0; i < COUNT; i++)
		must((int)noria_send(pair[1], "", 0, 0), "send");
}

static void measure_send_within(void)
{
	for (int i = 0; i < COUNT; i++)
		must((int)noria_within(noria_sec(5), noria_send(pair[1], "", 0, 0)), "send");
}

static int sleep_some(void *arg)
{
	(void)arg;
	return noria_sleep(noria_usec((int64_t)(noria_task_id() * 7919 % 1000)));
}

/* Spawn, sleep up to a millisecond, end: all of them at once. */
static void measure_sleepers(void)
{
	struct noria_group group;

	must(noria_group_open(&group), "group");
	for (int i = 0; i < SLEEPERS; i++)
		must(noria_spawn(&group, sleep_some, NULL), "spawn");
	must(noria_group_close(&group, 0), "close");
}

static const struct {
	const char *name, *what;
	void (*run)(void);
	int count;
} table[] = {
	{"switch", "context switch, one way", measure_switch, COUNT},
	{"yield_alone", "noria_yield(), one task alone", measure_yield_alone, COUNT},
	{"yield", "noria_yield() between two tasks", measure_yield, COUNT},
	{"spawn", "spawn and end an empty task, group open", measure_spawn, COUNT},
	{"group", "group: open, spawn one, close", measure_group, COUNT},
	{"scope", "scope: open, close", measure_scope, COUNT},
	{"cancel_10", "cancel and end, 10 tasks in a scope, per task", measure_cancel_10, SLEEPERS},
	{"cancel_1000", "cancel and end, 1,000 tasks", measure_cancel_1000, SLEEPERS},
	{"cancel_100000", "cancel and end, 100,000 tasks", measure_cancel_100000, SLEEPERS},
	{"mutex", "mutex: lock, unlock, nobody else wants it", measure_mutex, COUNT},
	{"channel", "channel: to another task and back", measure_channel, COUNT},
	{"send", "noria_send() of no bytes, which completes at once", measure_send, COUNT},
	{"send_within", "the same inside noria_within()", measure_send_within, COUNT},
	{"sleep", "spawn, sleep and end, 100,000 at once", measure_sleepers, SLEEPERS},
};

enum { MEASURES = sizeof table / sizeof table[0] };

static double results[MEASURES][ROUNDS_MAX];
static int rounds = 7;
static const char *only; /* the one row asked for */

static bool skipped(int row)
{
	return only && strcmp(only, table[row].name) != 0;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static int root(void *arg)
{
	(void)arg;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		bench_die("socketpair", 24);
	for (int round = 0; round <= rounds; round++) /* the first warms up */
		for (int i = 0; i < MEASURES; i++) {
			uint64_t start = bench_now_ns();

			if (skipped(i))
				continue;
			not_counted_ns = 0;
			table[i].run();
			results[i][round ? round - 1 : 0] =
				(double)(bench_now_ns() - start - not_counted_ns) / table[i].count;
		}
	close(pair[0]);
	close(pair[1]);
	return 0;
}

static void print(bool json)
{
	const char *separator = "{";

	for (int i = 0; i < MEASURES; i++) {
		double *r = results[i];

		if (skipped(i))
			continue;
		qsort(r, (size_t)rounds, sizeof *r, compare);
		if (json)
			printf("%s\"%s\": {\"median_ns\": %.1f, \"least_ns\": %.1f, \"most_ns\": %.1f}", separator,
			       table[i].name, r[rounds / 2], r[0], r[rounds - 1]);
		else
			printf("%-50s %9.1f ns  (%.1f to %.1f)\n", table[i].what, r[rounds / 2], r[0], r[rounds - 1]);
		separator = ", ";
	}
	if (json)
		printf("%s\"rounds\": %d}\n", separator, rounds);
}

int main(int argc, char **argv)
{
	bool json = false;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0)
			json = true;
		else if (strcmp(argv[i], "--rounds") == 0 && i + 1 < argc)
			rounds = (int)bench_parse_number("--rounds", argv[++i], 1, ROUNDS_MAX);
		else if (strcmp(argv[i], "--only") == 0 && i + 1 < argc)
			only = argv[++i];
		else
			bench_usage("the options are --json, --rounds N and --only NAME");
	}
	must(noria_run(NULL, root, NULL), noria_message());
	print(json);
	return 0;
}
