/* SPDX-License-Identifier: MIT */
/* What the storm knows of itself: how each operation ended, what is under way, and a thread that notices when nothing ends. */
#ifndef NORIA_TESTS_RACE_STORM_WATCH_H
#define NORIA_TESTS_RACE_STORM_WATCH_H

#include "storm.h"

enum { STORM_ENTRIES_MAX = 192 };

/* An operation of the table, and how it has ended so far. */
struct storm_entry {
	const struct storm_operation *operation;
	unsigned long completed, cancelled, timed_out, nothing;
};

/* One that is under way: lies on its task's stack. */
struct storm_activity {
	struct storm_activity *before, *after;
	const struct storm_entry *entry;
	uint64_t task_id;
	unsigned depth;
	int64_t since_ns;
};

void storm_begin(struct storm_activity *activity);
void storm_end(struct storm_activity *activity);

void storm_watch_start(void);
void storm_watch_stop(void);

/* The tables, with all numbers since the program began. */
void storm_print(const struct storm_entry *entries, size_t count);

#endif
