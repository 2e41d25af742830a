/* SPDX-License-Identifier: MIT */
/*
 * Faults are data. A plan is a list of entries: at which occurrences of which kind of place something goes wrong.
 * An occurrence is counted whether or not it fails, and whether it fails depends on the seed, the kind and its number
 * alone; so an entry can be taken out of a plan and the others stay where they are.
 *
 * As text, entries are separated by commas: `eio` the first, `eio@7` the eighth, `eio@7x3` three in a row from there,
 * `eio@7x*` all from there, `eio%1.5` each with a probability of 1.5 percent.
 */
#ifndef NORIA_SIMULATION_FAULT_H
#define NORIA_SIMULATION_FAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* X(symbol, name, what goes wrong, and where) */
#define SIM_FAULT_TABLE(X) \
	X(NOMEM, "enomem", "an allocation of the runtime finds no memory") \
	X(INTERRUPT, "eintr", "a slow operation is interrupted (-EINTR)") \
	X(AGAIN, "eagain", "a file answers -EAGAIN though it could have waited, as XFS and block devices do") \
	X(NOBUFS, "enobufs", "no provided buffer is found, or a socket's memory is short (-ENOBUFS)") \
	X(SHORT, "short", "a transfer moves less than it could") \
	X(BUSY, "busy", "the ring takes none of the entries now (-EAGAIN of enter)") \
	X(OVERFLOW, "overflow", "the completion queue has no room for a completion") \
	X(END, "end", "a multishot operation ends though it could go on") \
	X(RESET, "reset", "a TCP connection is reset") \
	X(LOSS, "loss", "a packet is lost") \
	X(DUPLICATE, "duplicate", "a datagram comes twice") \
	X(DELAY, "delay", "a packet takes a hundred times as long as usual, and others pass it") \
	X(REFUSE, "refuse", "a connect finds its listener gone (-ECONNREFUSED)") \
	X(NOSPC, "enospc", "a file system has no space left") \
	X(IO, "eio", "a disk fails to read or to write (-EIO)") \
	X(SLOW, "slow", "a disk takes a hundred times as long as usual") \
	X(MFILE, "emfile", "there is no descriptor left") \
	X(THREAD, "thread", "an executor can start no thread") \
	X(CANCEL, "cancel", "the run is cancelled at a checkpoint") \
	X(LATE, "late", "the run is cancelled when what a task waits for has completed, before it goes on") \
	X(CRASH, "crash", "a host loses its power, and comes back")

enum sim_fault {
#define X(symbol, name, what) SIM_FAULT_##symbol,
	SIM_FAULT_TABLE(X)
#undef X
		SIM_FAULT_COUNT,
};

enum { SIM_PLAN_MAX = 1024, SIM_STRUCK_MAX = 4096 };

struct sim_plan_entry {
	enum sim_fault fault;
	uint32_t per_million;  /* its probability; 0: by number */
	uint64_t first, count; /* by number: `count` in a row from `first`, counted from 0 */
};

/* One that happened: enough to make it happen again. */
struct sim_struck {
	enum sim_fault fault;
	uint64_t number;
};

struct sim_plan {
	struct sim_plan_entry entries[SIM_PLAN_MAX];
	unsigned entries_count;
	uint64_t seed;
	uint64_t seen[SIM_FAULT_COUNT]; /* occurrences of each kind of place so far */
	uint64_t in_plan;               /* a bit for each kind that an entry names */
	struct sim_struck struck[SIM_STRUCK_MAX];
	unsigned struck_count, struck_lost;
};

extern const char *const sim_fault_names[SIM_FAULT_COUNT];

/* From text. Returns 0, or -EINVAL with noria_message(). Resets the counts. */
int sim_plan_parse(struct sim_plan *plan, uint64_t seed, const char *text);
/* What has struck so far, as a plan by numbers. Returns the length that it has, as snprintf() does. */
size_t sim_plan_print_struck(const struct sim_plan *plan, char *text, size_t size);

bool sim_plan_strikes(struct sim_plan *plan, enum sim_fault fault);

/* A place where this may go wrong. Does it? */
static inline bool sim_strikes(struct sim_plan *plan, enum sim_fault fault)
{
	plan->seen[fault]++;
	return __builtin_expect(plan->in_plan >> fault & 1, 0) && sim_plan_strikes(plan, fault);
}

#endif
