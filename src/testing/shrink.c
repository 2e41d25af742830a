/* SPDX-License-Identifier: MIT */
/* Leaving out, and asking again: see shrink.h. */
#include "testing/shrink.h"

#include <stdlib.h>
#include <string.h>

enum { ENTRIES_MAX = 512 };

struct plan {
	const char *entries[ENTRIES_MAX];
	unsigned count;
};

static void split(struct plan *plan, char *text)
{
	plan->count = 0;
	for (char *entry = text; *entry && plan->count < ENTRIES_MAX;) {
		size_t length = strcspn(entry, ",");
		bool more = entry[length] != '\0';

		entry[length] = '\0';
		plan->entries[plan->count++] = entry;
		entry += length + more;
	}
}

/* All but those from `first` on, `count` of them; `text` has room for the whole plan. */
static void join(const struct plan *plan, unsigned first, unsigned count, char *text)
{
	size_t n = 0;

	for (unsigned i = 0; i < plan->count; i++) {
		size_t length = strlen(plan->entries[i]);

		if (i >= first && i < first + count)
			continue;
		if (n > 0)
			text[n++] = ',';
		memcpy(text + n, plan->entries[i], length);
		n += length;
	}
	text[n] = '\0';
}

static void leave_out(struct plan *plan, unsigned first, unsigned count)
{
	memmove(&plan->entries[first], &plan->entries[first + count],
		(plan->count - first - count) * sizeof plan->entries[0]);
	plan->count -= count;
}

unsigned noria_shrink(char *text, bool (*fails)(const char *plan, void *arg), void *arg, unsigned tries)
{
	size_t size = strlen(text) + 1;
	char *entries = malloc(2 * size), *candidate = entries ? entries + size : NULL;
	struct plan *plan = malloc(sizeof *plan);
	unsigned part;

	if (!entries || !plan) {
		free(entries);
		free(plan);
		return 0;
	}
	memcpy(entries, text, size);
	split(plan, entries);
	for (part = plan->count; part > 0 && plan->count > 0; part = part == 1 ? 0 : (part + 1) / 2) {
		for (unsigned first = 0; first < plan->count && tries > 0;) {
			unsigned count = part < plan->count - first ? part : plan->count - first;

			tries--;
			join(plan, first, count, candidate);
			if (fails(candidate, arg))
				leave_out(plan, first, count);
			else
				first += count;
		}
	}
	join(plan, plan->count, 0, text);
	part = plan->count;
	free(entries);
	free(plan);
	return part;
}
