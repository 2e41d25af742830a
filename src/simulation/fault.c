/* SPDX-License-Identifier: MIT */
/* Plans of faults: reading them, striking by them, and printing what has struck. See fault.h for their text. */
#include "simulation/fault.h"

#include "base/message.h"
#include "simulation/draw.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MILLION = 1000000 };

const char *const sim_fault_names[SIM_FAULT_COUNT] = {
#define X(symbol, name, what) name,
	SIM_FAULT_TABLE(X)
#undef X
};

static bool applies(const struct sim_plan *plan, const struct sim_plan_entry *entry, uint64_t number)
{
	if (entry->per_million > 0)
		return sim_hash(plan->seed, entry->fault, number) % MILLION < entry->per_million;
	return number >= entry->first && number - entry->first < entry->count;
}

static void note(struct sim_plan *plan, enum sim_fault fault, uint64_t number)
{
	if (plan->struck_count == SIM_STRUCK_MAX)
		plan->struck_lost++;
	else
		plan->struck[plan->struck_count++] = (struct sim_struck){fault, number};
}

bool sim_plan_strikes(struct sim_plan *plan, enum sim_fault fault)
{
	uint64_t number = plan->seen[fault] - 1;

	for (unsigned i = 0; i < plan->entries_count; i++)
		if (plan->entries[i].fault == fault && applies(plan, &plan->entries[i], number)) {
			note(plan, fault, number);
			return true;
		}
	return false;
}

static int refuse(const char *text, int length, const char *what)
{
	return noria_refuse(-EINVAL,
			    "a plan of faults: '%.*s' %s. Remedy: NAME, NAME@N (from the N-th, counted from 0), "
			    "NAME@NxCOUNT, NAME@Nx* or NAME%%PERCENT, separated by commas",
			    length, text, what);
}

/* The fault whose name `text` begins with, in its whole length. */
static int find(const char *text, size_t length)
{
	for (int i = 0; i < SIM_FAULT_COUNT; i++)
		if (strlen(sim_fault_names[i]) == length && memcmp(sim_fault_names[i], text, length) == 0)
			return i;
	return -1;
}

/* "%0.01" of each, or "@7x3". Returns where it ends, or NULL. */
static const char *parse_when(struct sim_plan_entry *entry, const char *text)
{
	char *end = (char *)(uintptr_t)text;
	double percent;

	entry->count = 1;
	if (*text == '%') {
		percent = strtod(text + 1, &end);
		if (end == text + 1 || !(percent > 0 && percent <= 100))
			return NULL;
		entry->per_million = (uint32_t)(percent * MILLION / 100);
		entry->per_million = entry->per_million > 0 ? entry->per_million : 1;
		return end;
	}
	if (*text == '@') {
		entry->first = strtoull(text + 1, &end, 10);
		if (end == text + 1)
			return NULL;
	}
	text = end;
	if (text[0] == 'x' && text[1] == '*') {
		entry->count = UINT64_MAX;
		return text + 2;
	}
	if (*text == 'x') {
		entry->count = strtoull(text + 1, &end, 10);
		if (end == text + 1 || entry->count == 0)
			return NULL;
	}
	return end;
}

static int parse_entry(struct sim_plan *plan, const char *text, size_t length)
{
	struct sim_plan_entry entry = {0};
	const char *end;
	size_t name;
	int fault;

	/* A name may have an x of its own: the longest that is one is meant. */
	for (name = strcspn(text, "@%,"); name > 0 && find(text, name) < 0; name--)
		;
	fault = find(text, name);
	if (fault < 0)
		return refuse(text, (int)length, "names no fault");
	entry.fault = (enum sim_fault)fault;
	end = parse_when(&entry, text + name);
	if (end != text + length)
		return refuse(text, (int)length, "does not say when");
	if (plan->entries_count == SIM_PLAN_MAX)
		return refuse(text, (int)length, "is one entry too many");
	plan->entries[plan->entries_count++] = entry;
	plan->in_plan |= UINT64_C(1) << fault;
	return 0;
}

int sim_plan_parse(struct sim_plan *plan, uint64_t seed, const char *text)
{
	memset(plan, 0, sizeof *plan);
	plan->seed = seed;
	while (text && *text) {
		size_t length = strcspn(text, ",");
		int r = parse_entry(plan, text, length);

		if (r < 0)
			return r;
		text += length + (text[length] == ',');
	}
	return 0;
}

size_t sim_plan_print_struck(const struct sim_plan *plan, char *text, size_t size)
{
	size_t length = 0;

	if (size > 0)
		text[0] = '\0';
	for (unsigned i = 0; i < plan->struck_count; i++) {
		size_t left = length < size ? size - length : 0;
		int n = snprintf(left > 0 ? text + length : NULL, left, "%s%s@%llu", i > 0 ? "," : "",
				 sim_fault_names[plan->struck[i].fault], (unsigned long long)plan->struck[i].number);

		length += n > 0 ? (size_t)n : 0;
	}
	return length;
}
