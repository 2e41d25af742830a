/* SPDX-License-Identifier: MIT */
/*
 * The storm's watch. Operations under way stand in a list, newest first, so that a hang can be told: when none has ended for
 * half a minute, the watching thread prints the list and aborts. Nothing moves then, so it may read what is not its own.
 */
#include "storm_watch.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE_S = 30, TICK_MS = 50, TOLD_MAX = 200, NOTES_MAX = 128 };

static struct {
	const char *name;
	unsigned long number;
} notes[NOTES_MAX];

static const char *phase = "storm";
static struct storm_activity *newest;
static atomic_ulong ended;
static atomic_bool stopping;
static pthread_t thread;

void storm_begin(struct storm_activity *activity)
{
	activity->before = newest;
	activity->after = NULL;
	if (newest)
		newest->after = activity;
	newest = activity;
}

void storm_end(struct storm_activity *activity)
{
	if (activity->after)
		activity->after->before = activity->before;
	else
		newest = activity->before;
	if (activity->before)
		activity->before->after = activity->after;
	atomic_fetch_add_explicit(&ended, 1, memory_order_relaxed);
}

static _Noreturn void tell_hang(void)
{
	int count = 0;

	dprintf(STDERR_FILENO,
		"storm: seed %" PRIu64 ": hangs: %s; no operation has ended for %d s; under way, newest first:\n",
		race_seed, phase, PATIENCE_S);
	for (const struct storm_activity *activity = newest; activity && count < TOLD_MAX;
	     activity = activity->before, count++)
		dprintf(STDERR_FILENO, "    task %" PRIu64 ", depth %u: %s, since %" PRIi64 " ns\n", activity->task_id,
			activity->depth, activity->entry->operation->name, activity->since_ns);
	abort();
}

static void *watch(void *arg)
{
	struct timespec tick = {.tv_nsec = TICK_MS * 1000000L};
	unsigned long seen = 0;
	int quiet_ms = 0;

	(void)arg;
	while (!atomic_load(&stopping)) {
		unsigned long now = atomic_load_explicit(&ended, memory_order_relaxed);

		quiet_ms = now == seen ? quiet_ms + TICK_MS : 0;
		seen = now;
		if (quiet_ms > PATIENCE_S * 1000)
			tell_hang();
		nanosleep(&tick, NULL);
	}
	return NULL;
}

void storm_watch_start(void)
{
	CHECK(pthread_create(&thread, NULL, watch, NULL) == 0);
}

void storm_watch_stop(void)
{
	atomic_store(&stopping, true);
	CHECK(pthread_join(thread, NULL) == 0);
}

void storm_tell(const char *now)
{
	phase = now;
}

void storm_note(const char *name, unsigned long number)
{
	unsigned i = 0;

	while (i < NOTES_MAX - 1 && notes[i].name && strcmp(notes[i].name, name) != 0)
		i++;
	CHECK(i < NOTES_MAX - 1);
	notes[i].name = name;
	notes[i].number += number;
}

static void print_line(const char *name, const struct storm_entry *entry)
{
	printf("  %-28s %10lu %10lu %10lu %10lu %10lu\n", name, entry->completed + entry->cancelled + entry->timed_out,
	       entry->completed, entry->cancelled, entry->timed_out, entry->nothing);
}

void storm_print(const struct storm_entry *entries, size_t count)
{
	struct storm_entry all = {0};

	printf("  %-28s %10s %10s %10s %10s %10s\n", "operation", "ran", "completed", "cancelled", "timed out",
	       "nothing");
	for (size_t i = 0; i < count; i++) {
		print_line(entries[i].operation->name, &entries[i]);
		all.completed += entries[i].completed;
		all.cancelled += entries[i].cancelled;
		all.timed_out += entries[i].timed_out;
		all.nothing += entries[i].nothing;
	}
	print_line("all", &all);
	for (unsigned i = 0; notes[i].name; i++)
		printf("  %-28s %10lu\n", notes[i].name, notes[i].number);
}
