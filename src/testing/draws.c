/* SPDX-License-Identifier: MIT */
/*
 * The checking mode: a first run writes down each draw, with the clock, and a second one compares. Where they differ
 * for the first time something came in that the seed does not determine: real time, an address, uninitialized memory,
 * what an earlier run has left in a variable. The place is the code that draws in the second run.
 */
#include "testing/draws.h"

#include "testing/kit.h"

#include <execinfo.h>
#include <stdlib.h>
#include <string.h>

enum { FRAMES = 32, OWN_FRAMES = 3, TEXT_SIZE = 2048 };

struct record {
	int64_t now;
	uint64_t choice, among, drawn;
};

static const char *const choices[SIM_CHOICE_COUNT] = {
#define X(symbol, name, what) name,
	SIM_CHOICE_TABLE(X)
#undef X
};

static void describe(const struct record *record, char *text, size_t size)
{
	int64_t since = record->now - SIM_EPOCH_NS;

	snprintf(text, size, "'%s' at %lld.%09lld s, %llu of %llu", choices[record->choice % SIM_CHOICE_COUNT],
		 (long long)(since / 1000000000), (long long)(since % 1000000000), (unsigned long long)record->drawn,
		 (unsigned long long)record->among);
}

static void describe_place(char *text, size_t size)
{
	void *frames[FRAMES];
	int count = backtrace(frames, FRAMES);
	char **symbols = backtrace_symbols(frames, count);
	size_t n = 0;

	text[0] = '\0';
	for (int i = OWN_FRAMES; symbols && i < count && n < size; i++)
		n += (size_t)snprintf(text + n, size - n, "\n    at %s", symbols[i]);
	free(symbols);
}

static void differ(struct testing_run *run, const struct record *first, const struct record *second)
{
	char a[128] = "nothing: it was over", b[128], place[TEXT_SIZE];

	run->differed = true;
	if (first)
		describe(first, a, sizeof a);
	describe(second, b, sizeof b);
	describe_place(place, sizeof place);
	testing_find(run, NORIA_SIM_DIFFERENT,
		     "two runs of seed %llu differ at draw %llu: the first drew %s, the second %s%s",
		     (unsigned long long)run->options.seed, (unsigned long long)run->world->draws.count, a, b, place);
}

static void log_draw(void *arg, int64_t now, enum sim_choice choice, uint64_t among, uint64_t drawn)
{
	struct testing_run *run = arg;
	struct record second = {.now = now, .choice = choice, .among = among, .drawn = drawn}, first;

	if (run->request.draws)
		fwrite(&second, sizeof second, 1, run->request.draws);
	if (!run->request.compared || run->differed)
		return;
	if (fread(&first, sizeof first, 1, run->request.compared) != 1)
		differ(run, NULL, &second);
	else if (memcmp(&first, &second, sizeof first) != 0)
		differ(run, &first, &second);
}

void testing_draws_attach(struct testing_run *run)
{
	if (!run->request.draws && !run->request.compared)
		return;
	run->world->draws.log = log_draw;
	run->world->draws.log_arg = run;
}

void testing_draws_detach(struct testing_run *run)
{
	struct record first;
	char text[128];

	run->world->draws.log = NULL;
	if (!run->request.compared || run->differed || fread(&first, sizeof first, 1, run->request.compared) != 1)
		return;
	describe(&first, text, sizeof text);
	testing_find(run, NORIA_SIM_DIFFERENT,
		     "two runs of seed %llu differ at draw %llu: the first drew %s, the second nothing: it was over",
		     (unsigned long long)run->options.seed, (unsigned long long)run->world->draws.count + 1, text);
}
