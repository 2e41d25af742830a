/* SPDX-License-Identifier: MIT */
/* Numbers are those of splitmix64 (Steele, Lea, Flood 2014): one addition and a mix for each, and any seed will do. */
#include "simulation/draw.h"

#include "base/assert.h"
#include "simulation/world.h"

#include <string.h>

#define GOLDEN UINT64_C(0x9e3779b97f4a7c15)

/* One latency in so many is a straggler. */
enum { STRAGGLERS = 32, STRAGGLER_TIMES = 16 };

static uint64_t mix(uint64_t z)
{
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

uint64_t sim_hash(uint64_t seed, uint64_t kind, uint64_t index)
{
	return mix(mix(seed + GOLDEN * (kind + 1)) + GOLDEN * (index + 1));
}

void sim_draws_init(struct sim_draws *draws, uint64_t seed)
{
	memset(draws, 0, sizeof *draws);
	draws->seed = seed;
	draws->state = mix(seed + GOLDEN);
}

/* One of 0 .. among - 1, by the upper half of a product (Lemire 2019); what that is unfair by, no run will notice. */
static uint64_t draw_below(struct sim_draws *draws, uint64_t among)
{
	draws->state += GOLDEN;
	return (uint64_t)((unsigned __int128)mix(draws->state) * among >> 64);
}

static uint64_t follow_script(struct sim_script *script, uint64_t among)
{
	unsigned i = script->length;
	uint32_t drawn;

	if (i == SIM_SCRIPT_MAX) {
		script->too_long = true;
		return 0;
	}
	drawn = i < script->given ? script->steps[i].drawn : 0;
	script->steps[i].drawn = drawn;
	script->steps[i].among = (uint32_t)among;
	script->length++;
	return drawn < among ? drawn : among - 1;
}

bool sim_script_next(struct sim_script *script)
{
	unsigned i = script->length;

	while (i > 0 && script->steps[i - 1].drawn + 1 >= script->steps[i - 1].among)
		i--;
	script->given = i;
	script->length = 0;
	if (i == 0)
		return false;
	script->steps[i - 1].drawn++;
	return true;
}

/* How long things take is no branch to search: only their order is. */
static bool is_branch(enum sim_choice choice)
{
	return choice != SIM_CHOICE_LATENCY && choice != SIM_CHOICE_PROGRAM;
}

uint64_t sim_draw(struct sim_world *world, enum sim_choice choice, uint64_t among)
{
	struct sim_draws *draws = &world->draws;
	uint64_t drawn;

	invariant(among > 0);
	if (unlikely(draws->script && is_branch(choice)))
		drawn = among > 1 ? follow_script(draws->script, among) : 0;
	else
		drawn = draw_below(draws, among);
	draws->count++;
	draws->checksum = (draws->checksum ^ drawn) * UINT64_C(0x100000001b3) + choice;
	if (unlikely(draws->log))
		draws->log(draws->log_arg, world->now, choice, among, drawn);
	return drawn;
}

int64_t sim_draw_latency(struct sim_world *world, int64_t typical_ns)
{
	uint64_t half = (uint64_t)typical_ns / 2, drawn;

	drawn = sim_draw(world, SIM_CHOICE_LATENCY, (half * 3 + 1) * STRAGGLERS);
	if (unlikely(drawn % STRAGGLERS == 0))
		return (int64_t)(half + drawn / STRAGGLERS) * STRAGGLER_TIMES;
	return (int64_t)(half + drawn / STRAGGLERS);
}
