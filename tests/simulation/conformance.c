/* SPDX-License-Identifier: MIT */
/*
 * Each scenario on the kernel's ring, and on the simulated one with several seeds: what is observed must be the same.
 *     conformance [SCENARIO]      prints what differs; 0: nothing
 */
#include "rig.h"

#include "simulation/ring.h"
#include "simulation/world.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEEDS = 20, ENTRIES = 64, OBSERVED = 16384 };

/* By the names of the entries, in the order in which they were first used; each with its completions. */
static void observe(const struct rig *rig, char *text)
{
	size_t length = 0;

	for (unsigned i = 0; i < rig->tags; i++)
		length += (size_t)snprintf(text + length, OBSERVED - length, "%s:%s\n", rig->names[i], rig->seen[i]);
	snprintf(text + length, OBSERVED - length, "said:%s\n", rig->said);
}

static void play(const struct scenario *scenario, struct ring *ring, bool simulated, char *text)
{
	static struct rig rig;

	memset(&rig, 0, sizeof rig);
	rig.ring = ring;
	rig.simulated = simulated;
	scenario->play(&rig);
	observe(&rig, text);
	ring->class->close(ring);
}

static void play_kernel(const struct scenario *scenario, char *text)
{
	struct ring *ring;

	if (noria_kernel_ring_open(&ring, ENTRIES, ENTRIES) < 0)
		abort();
	play(scenario, ring, false, text);
}

static void play_simulated(const struct scenario *scenario, uint64_t seed, char *text)
{
	struct ring *ring;

	if (sim_world_open(&sim_world, seed, "") < 0 || sim_ring_open(&ring, ENTRIES, ENTRIES) < 0)
		abort();
	play(scenario, ring, true, text);
	if (sim_world->fds_open > 0)
		snprintf(text + strlen(text), OBSERVED - strlen(text), "left open: %u\n", sim_world->fds_open);
	sim_world_close(sim_world);
	sim_world = NULL;
}

static const char *next_line(char **text)
{
	return strsep(text, "\n");
}

static void print_difference(const struct scenario *scenario, uint64_t seed, char *kernel, char *simulated)
{
	const char *a, *b;

	printf("%s, seed %llu:\n", scenario->name, (unsigned long long)seed);
	while ((a = next_line(&kernel)) && (b = next_line(&simulated)))
		if (strcmp(a, b) != 0)
			printf("    kernel    %s\n    simulated %s\n", a, b);
}

static int compare(const struct scenario *scenario)
{
	static char kernel[OBSERVED], simulated[OBSERVED];

	play_kernel(scenario, kernel);
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		play_simulated(scenario, seed, simulated);
		if (strcmp(kernel, simulated) != 0) {
			print_difference(scenario, seed, kernel, simulated);
			return 1;
		}
	}
	return 0;
}

static bool is_possible(const struct scenario *scenario)
{
	struct features features;

	if (noria_features_probe(&features) < 0 || !features_has(&features, FEATURE_EXT_ARG))
		return false;
	return scenario->needs == RIG_ANY || features_has(&features, (enum feature)scenario->needs);
}

int main(int argc, char **argv)
{
	const struct scenario *families[] = {basic_scenarios, socket_scenarios, stream_scenarios, file_scenarios};
	int played = 0, differ = 0;

	signal(SIGPIPE, SIG_IGN); /* a write to a pipe that nobody reads: an error will do */
	for (size_t i = 0; i < sizeof families / sizeof families[0]; i++)
		for (const struct scenario *scenario = families[i]; scenario->name; scenario++) {
			if (argc > 1 && strcmp(argv[1], scenario->name) != 0)
				continue;
			if (!is_possible(scenario)) {
				printf("%s: skip: kernel lacks a feature\n", scenario->name);
				continue;
			}
			played++;
			differ += compare(scenario);
		}
	printf("%d scenarios, %d differ\n", played, differ);
	return played == 0 || differ > 0;
}
