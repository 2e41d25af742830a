/* SPDX-License-Identifier: MIT */
/*
 * How long to look before sleeping. A wait that is about to begin may first look for its end for `limit_ns`; when it is
 * over, the policy is told how long it took and whether anything came, and sets the limit of the next one.
 *
 * The idea is that of KVM's halt polling (virt/kvm/kvm_main.c, grow_halt_poll_ns() and shrink_halt_poll_ns(), and the
 * guest's drivers/cpuidle/governors/haltpoll.c): a wait that ended soon after the look was given up makes the next look
 * longer, one that took long makes it shorter, down to none. Added here: when looks as long as may be were in vain a
 * few times in a row, although something came soon after, the next waits are slept through, the more of them the more
 * often that has happened; else a peer that always answers a little too late would be looked for in vain for ever.
 *
 * Nothing here reads a clock or waits: the loop does.
 */
#ifndef NORIA_TASK_SPIN_H
#define NORIA_TASK_SPIN_H

#include <stdbool.h>
#include <stdint.h>

enum {
	SPIN_START_NS = 10 * 1000, /* the first look after none */
	SPIN_WAKE_NS = 100 * 1000, /* what being woken may add to a wait, its own thread and the peer's */
	SPIN_MISSES = 3,           /* looks of max_ns in a row that are in vain: enough */
	SPIN_REST_MAX = 1024,      /* waits that are slept through then, at most */
	SPIN_MAX_NS = 1000 * 1000, /* no configuration may ask for more */
};

struct spin {
	int64_t max_ns;   /* 0: never look */
	int64_t limit_ns; /* how long the next wait may look, 0 to max_ns */
	unsigned misses;  /* looks of max_ns in vain since one was not */
	unsigned rest;    /* waits that end soon, to be slept through before the next look; while limit_ns is 0 */
	unsigned last_rest;
	int64_t since_ns; /* when the last wait began: the loop's note */
	uint64_t looks;   /* so far */
};

void noria_spin_init(struct spin *spin, int64_t max_ns);

/*
 * A wait is over, and could look for limit_ns. It took `waited_ns` in all, looking and sleeping; `came`: it was ended
 * by what others did, and not by the time.
 */
void noria_spin_learn(struct spin *spin, int64_t waited_ns, bool came);

#endif
