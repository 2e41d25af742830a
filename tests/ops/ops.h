/* SPDX-License-Identifier: MIT */
/*
 * What every operation must do, proven from a table. A family of operations is a program: a table of `op_case`, and
 * OPS(family, table), which makes the tests. Each case is taken through
 *
 *   success     it does what it says
 *   errors      each error of its list
 *   before      in a scope that is cancelled already: -ECANCELED, and nothing has happened
 *   during      cancelled while it waits: -ECANCELED, and what it waited for is still there for the next call
 *   after       cancelled once it has completed, but before its task has run: the result is delivered, the next
 *               checkpoint says -ECANCELED
 *   late        its time limit passes while it waits: -ETIMEDOUT, and nothing is lost
 *   early       it completes within its time limit
 *   crowded     many at once through a queue of two entries
 *
 * all of them with linked timeouts and with the loop's heap. Operations that never wait for anybody (no `complete`)
 * skip during, after and late, but those that run on the executor: they wait there for its only thread, which is held,
 * and told off meanwhile they have never begun. No descriptor may be left.
 */
#ifndef NORIA_TESTS_OPS_OPS_H
#define NORIA_TESTS_OPS_OPS_H

#include "../unit/unit.h"

/* What one call works on; the members are the case's to use. `path` is an empty directory of its own, `dir` it opened. */
struct op_place {
	int fd, other, third, dir;
	char path[40];
	char buffer[256], second[256];
	uint64_t number;
	void *extra;
};

struct op_error {
	int error; /* negative */
	int64_t (*call)(struct op_place *place);
};

struct op_case {
	const char *name;
	/* Make what the call needs. `ready`: it can complete at once; else it waits until `complete`. */
	void (*open)(struct op_place *place, bool ready);
	int64_t (*call)(struct op_place *place);
	/* Let a waiting call complete. NULL: this operation never waits for anybody. */
	void (*complete)(struct op_place *place);
	/* The call returned `result` >= 0: check what it did. */
	void (*did)(struct op_place *place, int64_t result);
	/* The call was told off before it began: check that nothing has happened. May be NULL where nothing can be seen. */
	void (*did_not)(struct op_place *place);
	void (*close)(struct op_place *place);
	const struct op_error *errors; /* each called in an open, ready place; ends with a zero */
	bool always;                   /* done in a cancelled scope too: no checkpoint */
	/*
	 * A cancel or a limit that comes while it waits in a worker of the kernel is not told from one that lost; then it
	 * may end as if it had succeeded.
	 */
	bool unsure;
	/* It runs on a thread of the executor if the ring lacks this feature (its name in the table), or always. */
	const char *offloaded;
};

#define OPS_ALWAYS_OFFLOADED ""

void ops_success(const struct op_case *op);
void ops_errors(const struct op_case *op);
void ops_before(const struct op_case *op);
void ops_during(const struct op_case *op);
void ops_after(const struct op_case *op);
void ops_late(const struct op_case *op);
void ops_early(const struct op_case *op);
void ops_crowded(const struct op_case *op);

extern const struct noria_config ops_narrow, ops_one_thread;

/* `table` ends with an entry without a name. */
#define OPS(family, table) \
	OPS_TEST_(family, table, success, NULL) \
	OPS_TEST_(family, table, errors, NULL) \
	OPS_TEST_(family, table, before, NULL) \
	OPS_TEST_(family, table, during, &ops_one_thread) \
	OPS_TEST_(family, table, after, &ops_one_thread) \
	OPS_TEST_(family, table, late, &ops_one_thread) \
	OPS_TEST_(family, table, early, NULL) \
	OPS_TEST_(family, table, crowded, &ops_narrow)

#define OPS_TEST_(family, table, what, config) \
	UNIT_WITH(family, what, config) \
	{ \
		for (const struct op_case *op = (table); op->name; op++) \
			ops_##what(op); \
		return 0; \
	}

#endif
