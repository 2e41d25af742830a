/* SPDX-License-Identifier: MIT */
/*
 * What a chain is in the storage that the program gives for it. chain_steps.c fills it, a step at a time, and chain.c
 * runs it.
 */
#ifndef NORIA_OP_CHAIN_H
#define NORIA_OP_CHAIN_H

#include "noria/chain.h"
#include "op/block.h"
#include "op/direct.h"
#include "task/loop.h"
#include "task/submission.h"
#include "task/wait.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Until the run, steps name what the chain opens by these numbers, beyond those of the table. */
enum { OPENED_FIRST = FD_DIRECT + LOOP_FDS, OPENED_MAX = 8 };

#define OFFSET_CURRENT ((uint64_t)-1)

struct step {
	struct submission submission;
	struct chain *chain;
	const char *name;
	struct block_use blocks; /* during the run */
	int64_t result;
	unsigned whole; /* a smaller result falls short */
	int fd;         /* as the caller named it */
};

struct chain {
	struct step *steps;
	const struct noria_site *site;
	struct wait wait;
	size_t room, count, done;
	size_t left;           /* of the run: steps that have not ended */
	unsigned opened;       /* descriptors given out */
	int files[OPENED_MAX]; /* during the run: what they are; -1: not open */
	uint32_t closes;       /* before the run: of all that the caller named, together */
	int error;             /* of building it */
	bool running;
};

static inline struct chain *chain_from_public(const struct noria_chain *chain)
{
	return (struct chain *)(uintptr_t)chain;
}

#endif
