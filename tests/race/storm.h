/* SPDX-License-Identifier: MIT */
/*
 * The cancel storm's common ground. A subject is a file: a table of operations with weights, and the counters of what must
 * be conserved, which it checks when the storm is over. An operation is one thing that a task does within a short deadline,
 * somewhere in a tree of scopes and groups that others cancel; storm.c draws it and counts how it ended.
 */
#ifndef NORIA_TESTS_RACE_STORM_H
#define NORIA_TESTS_RACE_STORM_H

#include "race.h"

enum {
	STORM_DEPTH = 5,   /* of operations within operations */
	STORM_NOTHING = 1, /* an operation found nothing to do, and does not count */
};

struct storm_operation {
	const char *name;
	int (*run)(unsigned depth); /* 0: completed; STORM_NOTHING; -ECANCELED; -ETIMEDOUT of its own */
	unsigned weight;
	bool nests; /* does operations inside */
};

struct storm_subject {
	const struct storm_operation *operations;
	size_t count;
	void (*open)(void);  /* in the root task, before; may be NULL, as the others */
	void (*close)(void); /* in the root task, when no operation is left: check */
	void (*after)(void); /* when the runtime has ended */
};

extern const struct storm_subject storm_bytes, storm_calls, storm_files, storm_scopes, storm_locks, storm_meetings,
	storm_items, storm_broadcasts, storm_promises, storm_groups, storm_policies, storm_children, storm_values,
	storm_names, storm_sockets, storm_streams, storm_trees;

extern uint64_t storm_seed_state;

static inline unsigned storm_below(unsigned limit)
{
	return race_below(&storm_seed_state, limit);
}

/* A short duration, at times none. */
int64_t storm_soon(void);
/* Let others come between: yield, sleep, or neither. */
void storm_pause(void);
/* Some operations, one level deeper, as far as there are any left. */
void storm_some_operations(unsigned depth);

/* storm_watch.c: a number for the summary. */
void storm_note(const char *name, unsigned long number);
/* For who reads of a hang: what the storm is at. */
void storm_tell(const char *phase);

/*
 * The calm after the storm: STORM_CALM tasks run `fn(&number)` on what the storm has left, with nothing to cancel them and
 * no deadline. Deadlines cover up a wake-up that was lost; here it is a hang.
 */
enum { STORM_CALM = 6, STORM_ROUNDS = 30 };
void storm_calm(const char *name, noria_task_fn *fn);

/* storm_scopes.c: have a scope cancelled, drained, moved by others, until it is hidden. Returns its place. */
unsigned storm_expose(struct noria_scope *scope);
void storm_hide(unsigned place);

/* storm_failures.c: the failure handler of the runs, and the failures of children. */
void storm_hear(const struct noria_failure *failure, const char *text, void *arg);
/* How many reports of this code the handler has had. */
unsigned long storm_heard(int code);
void storm_forget_heard(void);
/* Failures without causes in a tree: those that happened, and not the groups that they went through. */
unsigned storm_count_failures(const struct noria_failure *failure);
/* Print a failure in pieces and as a whole: the same text; then pick it empty by codes. `result`: what the group closed with. */
void storm_take_apart(int result, unsigned failures, bool exact);

/* storm_items.c: an item is unique; whoever sends, receives or keeps one says so. */
struct storm_item {
	uint64_t serial;
	unsigned slot;
	unsigned channel;
};

bool storm_item_offer(struct storm_item *ret_item, unsigned channel);
void storm_item_sent(const struct storm_item *item);
void storm_item_kept(const struct storm_item *item);
void storm_item_received(const struct storm_item *item, unsigned channel);

/* What a select can wait for besides channels. */
int storm_wire_below(unsigned number);
struct noria_promise *storm_promise_borrow(unsigned number, int64_t *ret_value);
void storm_promise_return(unsigned number);
struct noria_broadcast *storm_broadcast_below(unsigned number);

#endif
