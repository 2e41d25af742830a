/* SPDX-License-Identifier: MIT */
/*
 * Context values of tasks: an array of bindings, shared until somebody changes it. Tasks of one runtime are one
 * thread's, so the counts of references are plain numbers. A thread that runs an offloaded call only reads, while the
 * task that shares the array with it waits: nobody changes an array that more than one may see.
 */
#ifndef NORIA_SCOPE_VALUE_H
#define NORIA_SCOPE_VALUE_H

#include "base/assert.h"
#include "noria/value.h"
#include "task/task.h"

#include <stddef.h>

/* One key and its value. Arrays share bindings as tasks share arrays. */
struct binding {
	size_t refs; /* arrays that it stands in */
	const struct noria_key *key;
	uint64_t bits;
};

struct values {
	size_t refs; /* tasks, and noria_with_value()s that will put it back */
	unsigned count, room;
	struct binding *bindings[];
};

void noria_values_unref(struct values *values);

/* A new task begins with the values of the one that spawned it. */
static inline void noria_values_inherit(struct task *child, const struct task *spawner)
{
	child->values = spawner->values;
	if (unlikely(child->values))
		child->values->refs++;
}

/* A task ends. What its last values' release functions set is dropped as well. */
static inline void noria_values_drop(struct task *task)
{
	while (unlikely(task->values)) {
		struct values *values = task->values;

		task->values = NULL;
		noria_values_unref(values);
	}
}

/*
 * This thread, which runs no task, may read the values of one that waits for it, or that left it a reference to them
 * (NULL: it had none); false: no longer.
 */
void noria_values_lend(bool lent, const struct values *values);

#endif
