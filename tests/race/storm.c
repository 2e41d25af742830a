/* SPDX-License-Identifier: MIT */
/*
 * The cancel storm: `storm [seed] [operations] [linked|heap|both|flat]`. Tasks do random operations inside random scopes, shields
 * and groups with random deadlines, and cancel, drain and move one another's scopes at random. Afterwards no byte is lost,
 * no item, no lock, no descriptor, no task (the subjects check: storm.h); and nothing hangs, because every wait stands
 * within some deadline. One seed does not fix the course, for the kernel's timing has its part in it, but it fixes the
 * choices. tests/race/campaign runs it at length. `flat` does the operations in ten runs, one after another, and looks
 * whether the process has more memory or descriptors after the last than after the second.
 */
#include "ring/feature.h"
#include "storm_watch.h"

#include <time.h>
#include <unistd.h>

enum { FLAT_RUNS = 10, FLAT_KIB = 4096 }; /* what the allocator may keep */
enum { WORKERS = 48, TICKETS_MAX = 2048, OPERATIONS = RACE_SANITIZED ? 60000 : 200000 };

static const struct storm_subject *const subjects[] = {
	&storm_bytes,  &storm_calls,      &storm_files,    &storm_scopes,  &storm_locks,    &storm_meetings,
	&storm_items,  &storm_broadcasts, &storm_promises, &storm_groups,  &storm_policies, &storm_children,
	&storm_values, &storm_sockets,    &storm_names,    &storm_streams, &storm_trees,
};

#define for_each_subject(i) for (size_t i = 0; i < sizeof subjects / sizeof subjects[0]; i++)

uint64_t storm_seed_state;

static struct storm_entry entries[STORM_ENTRIES_MAX];
static size_t entries_count;
/* Each entry as often as its weight: those that do not nest come first. */
static struct storm_entry *tickets[TICKETS_MAX];
static unsigned tickets_count, tickets_flat;
static unsigned long operations_left, drain_at; /* as many are left; 0: not */

int64_t storm_soon(void)
{
	switch (storm_below(8)) {
	case 0:
		return 0;
	case 1:
		return noria_usec(storm_below(3000));
	default:
		return noria_usec(storm_below(400));
	}
}

void storm_pause(void)
{
	unsigned choice = storm_below(4);
	int r = choice == 0 ? 0 : choice == 1 ? noria_sleep(noria_usec(storm_below(100))) : noria_yield();

	CHECK(r == 0 || r == -ECANCELED);
}

/* What has operations inside has time for some of them. */
static int64_t allowance(const struct storm_operation *operation)
{
	return storm_soon() * (operation->nests ? 8 : 1);
}

static int run_within(const struct storm_entry *entry, unsigned depth)
{
	int (*run)(unsigned) = entry->operation->run;
	int64_t duration = allowance(entry->operation);
	struct noria_scope scope;

	switch (storm_below(12)) {
	case 0:
		return noria_shielded(duration, run(depth));
	case 1:
		return noria_within(duration, noria_idle(run(depth)));
	case 2:
		CHECK(noria_scope_open(&scope, noria_now() + duration, NORIA_SCOPE_HARD_SHIELD) == 0);
		return (int)noria_scope_close(&scope, run(depth));
	case 3:
		return noria_until(noria_now() + duration, run(depth));
	default:
		return noria_within(duration, run(depth));
	}
}

/* Returns whether it did anything. */
static bool operation(unsigned depth)
{
	struct storm_entry *entry = tickets[storm_below(depth < STORM_DEPTH ? tickets_count : tickets_flat)];
	struct storm_activity activity = {
		.entry = entry, .task_id = noria_task_id(), .depth = depth, .since_ns = noria_now()};
	int r;

	storm_begin(&activity);
	r = run_within(entry, depth);
	storm_end(&activity);
	CHECK(r == 0 || r == STORM_NOTHING || r == -ECANCELED || r == -ETIMEDOUT);
	entry->completed += r == 0;
	entry->nothing += r == STORM_NOTHING;
	entry->cancelled += r == -ECANCELED;
	entry->timed_out += r == -ETIMEDOUT;
	return r != STORM_NOTHING;
}

void storm_some_operations(unsigned depth)
{
	for (unsigned n = 1 + storm_below(3); n > 0 && operations_left > 0; n--) {
		operations_left--;
		if (!operation(depth + 1))
			operations_left++;
	}
}

static int worker(void *arg)
{
	(void)arg;
	while (operations_left > 0) {
		operations_left--;
		if (!operation(0))
			operations_left++;
		if (operations_left < drain_at)
			noria_drain();     /* idle waits are over, work goes on */
		CHECK(noria_check() == 0); /* nothing of what was cancelled inside is left outside */
		CHECK(noria_yield() == 0);
	}
	return 0;
}

void storm_calm(const char *name, noria_task_fn *fn)
{
	struct noria_group group;

	storm_tell(name);
	CHECK(noria_group_open(&group) == 0);
	for (unsigned i = 0; i < STORM_CALM; i++)
		CHECK(noria_spawn_copy(&group, fn, &i, sizeof i) == 0);
	CHECK(noria_group_close(&group, 0) == 0);
}

static int root(void *arg)
{
	struct noria_group workers;

	(void)arg;
	storm_tell("storm");
	for_each_subject(i) if (subjects[i]->open) subjects[i]->open();
	CHECK(noria_group_open(&workers) == 0);
	for (int i = 0; i < WORKERS; i++)
		CHECK(noria_spawn(&workers, worker, NULL) == 0);
	CHECK(noria_group_close(&workers, 0) == 0);
	for_each_subject(i) if (subjects[i]->close) subjects[i]->close();
	return 0;
}

static void draw_tickets(bool nests)
{
	for (size_t i = 0; i < entries_count; i++)
		for (unsigned n = entries[i].operation->nests == nests ? entries[i].operation->weight : 0; n > 0; n--) {
			CHECK(tickets_count < TICKETS_MAX);
			tickets[tickets_count++] = &entries[i];
		}
}

static void read_tables(void)
{
	for_each_subject(i) for (size_t n = 0; n < subjects[i]->count; n++)
	{
		CHECK(entries_count < STORM_ENTRIES_MAX);
		entries[entries_count++].operation = &subjects[i]->operations[n];
	}
	draw_tickets(false);
	tickets_flat = tickets_count;
	draw_tickets(true);
}

/* A runtime of this run's own kind: small queues, few buffers and threads, with and without a grace, sleeping and
 * spinning. */
static struct noria_config draw_config(enum noria_timeouts timeouts)
{
	return (struct noria_config){
		.timeouts = timeouts,
		.ring_entries = 4U << storm_below(5),
		.receive_buffers = 4U << storm_below(3),
		.executor_threads = 1 + storm_below(4),
		.names_threads = 1 + storm_below(4),
		.executor_queue = storm_below(2) ? 0 : 1 + storm_below(4),
		.grace_ns = storm_below(3) ? 0 : noria_usec(1 + storm_below(500)),
		.drain_timeout_ns = NORIA_FOREVER,
		.spin_max_ns = storm_below(2) ? 0 : noria_usec(1 + storm_below(100)),
		.zombie_answers = storm_below(4) ? 0 : 60,
		.on_failure = storm_hear,
	};
}

static void run(enum noria_timeouts timeouts, unsigned long operations)
{
	struct noria_config config = draw_config(timeouts);
	int before = race_count_fds();

	operations_left = operations;
	drain_at = storm_below(4) ? 0 : operations / 2;
	storm_forget_heard();
	CHECK(race_run(&config, root, NULL) == 0);
	for_each_subject(i) if (subjects[i]->after) subjects[i]->after();
	CHECK(race_count_fds() == before);
}

/* At times without what newer kernels have. Before the first run: the kernel is asked once in a process. */
static void hide_features(void)
{
	char hidden[1024] = "";

	for (int i = 0; i < FEATURE_COUNT; i++)
		if (i != FEATURE_EXT_ARG && storm_below(4) == 0)
			strcat(strcat(hidden, hidden[0] ? "," : ""), noria_feature_table[i].name);
	if (!getenv("NORIA_HIDE") && storm_below(2))
		CHECK(setenv("NORIA_HIDE", hidden, 1) == 0);
}

static long resident_kib(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	long size, resident;

	CHECK(file && fscanf(file, "%ld %ld", &size, &resident) == 2);
	fclose(file);
	return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

static void run_flat(unsigned long operations)
{
	long second = 0, last = 0;
	int fds = 0;

	for (int i = 1; i <= FLAT_RUNS; i++) {
		run(i % 2 ? NORIA_TIMEOUTS_LINKED : NORIA_TIMEOUTS_HEAP, operations / FLAT_RUNS);
		last = resident_kib();
		if (i == 2) {
			second = last;
			fds = race_count_fds();
		}
	}
	printf("flat: %ld KiB and %d descriptors after run 2, %ld KiB and %d after run %d\n", second, fds, last,
	       race_count_fds(), FLAT_RUNS);
	CHECK(race_count_fds() == fds);
	CHECK(RACE_SANITIZED || last <= second + FLAT_KIB);
}

int main(int argc, char **argv)
{
	unsigned long operations = argc > 2 ? strtoul(argv[2], NULL, 0) : OPERATIONS;
	const char *timeouts = argc > 3 ? argv[3] : "both";
	bool flat = strcmp(timeouts, "flat") == 0;
	bool linked = !flat && strcmp(timeouts, "heap") != 0, heap = !flat && strcmp(timeouts, "linked") != 0;
	unsigned long by_heap = linked ? operations / 2 : operations;

	race_seed = argc > 1 ? strtoull(argv[1], NULL, 0) : (uint64_t)time(NULL);
	storm_seed_state = race_seed;
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("seed %llu\n", (unsigned long long)race_seed); /* a sanitizer that ends the program does not tell */
	hide_features();
	read_tables();
	storm_watch_start();
	if (flat)
		run_flat(operations);
	if (linked)
		run(NORIA_TIMEOUTS_LINKED, heap ? operations - by_heap : operations);
	if (heap)
		run(NORIA_TIMEOUTS_HEAP, by_heap);
	storm_watch_stop();
	storm_print(entries, entries_count);
	printf("ok: %lu operations in a storm of cancels, seed %llu, timeouts %s\n", operations,
	       (unsigned long long)race_seed, timeouts);
	return 0;
}
