/* SPDX-License-Identifier: MIT */
/*
 * Chance. Whatever a simulated run leaves to chance is drawn here, from one seed, so that the same seed gives the same
 * run. Each kind of choice has a name, under which a checking run logs it with the clock.
 *
 * Choices are drawn from a sequence, or in an exhaustive search read from a script that is turned on like an odometer:
 * each run takes the next branch at the deepest choice that has one left.
 */
#ifndef NORIA_SIMULATION_DRAW_H
#define NORIA_SIMULATION_DRAW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* X(symbol, name, what is chosen) */
#define SIM_CHOICE_TABLE(X) \
	X(READY, "ready", "which of the ready tasks runs next") \
	X(ORDER, "order", "which of several things that are due happens first") \
	X(POST, "post", "the order of completions that become visible together") \
	X(INLINE, "inline", "whether a call that need not wait is made at once or by an entry") \
	X(LATENCY, "latency", "how long something takes") \
	X(CANCEL, "cancel", "whether a cancel still comes in time") \
	X(SHORT, "short", "how much of a transfer is made at once") \
	X(FATE, "fate", "what a crash leaves of what was not yet durable") \
	X(PROGRAM, "program", "what the program itself asks for: getrandom() and its like")

enum sim_choice {
#define X(symbol, name, what) SIM_CHOICE_##symbol,
	SIM_CHOICE_TABLE(X)
#undef X
		SIM_CHOICE_COUNT,
};

struct sim_draws {
	uint64_t seed;
	uint64_t state;    /* of the sequence */
	uint64_t count;    /* draws so far */
	uint64_t checksum; /* of all of them: two runs of one seed have the same */
	/* hears of each, with the clock; NULL: nobody */
	void (*log)(void *arg, int64_t now, enum sim_choice choice, uint64_t among, uint64_t drawn);
	void *log_arg;
	/* exhaustive: see sim_script_next() */
	struct sim_script *script;
};

struct sim_world;

/*
 * Choices that are prescribed. A run reads as many as there are, takes the first branch at each choice beyond, and
 * writes down what it chose; sim_script_next() then turns to the next run of all those that are possible.
 */
enum { SIM_SCRIPT_MAX = 4096 };

struct sim_script {
	unsigned given;  /* prescribed */
	unsigned length; /* met in this run */
	bool too_long;   /* it met more than can be written down: the search is not exhaustive */
	struct {
		uint32_t drawn, among;
	} steps[SIM_SCRIPT_MAX];
};

/* Prescribe the next run. False: all have been made. */
bool sim_script_next(struct sim_script *script);

void sim_draws_init(struct sim_draws *draws, uint64_t seed);
/* One of 0 .. among - 1; `among` is at least 1. */
uint64_t sim_draw(struct sim_world *world, enum sim_choice choice, uint64_t among);
/* A duration around `typical_ns`: half of it up to twice, and now and then much more. */
int64_t sim_draw_latency(struct sim_world *world, int64_t typical_ns);
/* A number that depends on these alone: for decisions that must not shift when others are left out. */
uint64_t sim_hash(uint64_t seed, uint64_t kind, uint64_t index);

#endif
