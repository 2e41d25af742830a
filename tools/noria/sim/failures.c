/* SPDX-License-Identifier: MIT */
/*
 * Failures of one kind are told once: those with the same finding and the same last line, numbers left aside. Of each
 * kind the one with the lowest seed is kept; that is what is made short, and replayed.
 */
#include "sim.h"

#include "testing/shrink.h"

#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KINDS_MAX = 32, SHRINK_TRIES = 200, LINES_SHOWN = 12 };

struct failure {
	struct sim_run run;
	uint64_t count;
	char key[256];
};

struct sim_failures {
	size_t count;
	struct failure kinds[KINDS_MAX]; /* further kinds count as the last */
};

struct sim_failures *sim_failures_new(void)
{
	return calloc(1, sizeof(struct sim_failures));
}

void sim_failures_free(struct sim_failures *failures)
{
	free(failures);
}

size_t sim_failures_kinds(const struct sim_failures *failures)
{
	return failures->count;
}

/* But for those of stacks, whose addresses differ in each run. */
static const char *last_line(const struct sim_run *run)
{
	const char *end = run->tail + strlen(run->tail), *line = end;

	while (line > run->tail) {
		const char *begin = line - 1;

		while (begin > run->tail && begin[-1] != '\n')
			begin--;
		if (strncmp(begin, "    at ", 7) != 0)
			return begin;
		line = begin;
		while (line > run->tail && line[-1] == '\n')
			line--;
	}
	return run->tail;
}

static void make_key(const struct sim_run *run, char *key, size_t size)
{
	size_t n = (size_t)snprintf(key, size, "%s: ", run->finding);
	bool number = false;

	for (const char *c = last_line(run); *c && *c != '\n' && n + 1 < size; c++) {
		bool digit = isxdigit((unsigned char)*c) && (number || isdigit((unsigned char)*c));

		if (!digit || !number)
			key[n++] = digit ? '#' : *c;
		number = digit;
	}
	key[n] = '\0';
}

void sim_failures_add(struct sim_failures *failures, const struct sim_run *run)
{
	char key[sizeof failures->kinds[0].key];
	struct failure *failure;
	size_t i;

	make_key(run, key, sizeof key);
	for (i = 0; i < failures->count && strcmp(failures->kinds[i].key, key) != 0; i++)
		;
	if (i == KINDS_MAX)
		i--;
	failure = &failures->kinds[i];
	if (i == failures->count) {
		failures->count++;
		strcpy(failure->key, key);
	}
	if (failure->count++ == 0 || run->seed < failure->run.seed)
		failure->run = *run;
}

/* ---- shrinking ---- */

struct question {
	struct failure *failure;
	const struct sim_arguments *arguments;
};

static bool fails_alike(const char *plan, void *arg)
{
	struct question *question = arg;
	struct sim_run run = {.seed = question->failure->run.seed, .faults = plan};

	if (sim_run_make(&run, question->arguments) < 0 || !run.failed ||
	    strcmp(run.finding, question->failure->run.finding) != 0)
		return false;
	question->failure->run = run;
	return true;
}

void sim_failures_shrink(struct sim_failures *failures, const struct sim_arguments *arguments)
{
	for (size_t i = 0; i < failures->count; i++) {
		struct failure *failure = &failures->kinds[i];
		struct question question = {.failure = failure, .arguments = arguments};
		char plan[SIM_PLAN_MAX];

		if (!arguments->faults || fails_alike("", &question))
			continue;
		strcpy(plan, failure->run.struck);
		if (plan[0] && fails_alike(plan, &question))
			noria_shrink(plan, fails_alike, &question, SHRINK_TRIES);
	}
}

/* ---- telling ---- */

static void add_word(char *text, size_t size, const char *word)
{
	size_t n = strlen(text);
	bool plain = *word && !strpbrk(word, " \t\n'\"\\$`*?[]{}()<>|&;#~!%");

	if (n < size)
		snprintf(text + n, size - n, plain ? " %s" : " '%s'", word);
}

static void write_command(const struct sim_run *run, const struct sim_arguments *arguments, char *text, size_t size)
{
	char seed[32];

	snprintf(text, size, "noria sim --replay");
	snprintf(seed, sizeof seed, "seed=%llu", (unsigned long long)run->seed);
	add_word(text, size, run->replay[0] ? run->replay : seed);
	for (char **word = arguments->program; *word; word++)
		add_word(text, size, *word);
}

static void print_tail(const char *tail)
{
	const char *from = tail + strlen(tail);

	for (int lines = 0; from > tail && (from[-1] != '\n' || ++lines < LINES_SHOWN); from--)
		;
	while (*from) {
		int length = (int)strcspn(from, "\n");

		printf("    | %.*s\n", length, from);
		from += length + (from[length] == '\n');
	}
}

static void print_json(const struct sim_failures *failures, const struct sim_arguments *arguments, uint64_t runs,
		       uint64_t failed)
{
	json_t *list = json_array(), *root;
	char command[4096];

	for (size_t i = 0; i < failures->count; i++) {
		const struct failure *failure = &failures->kinds[i];

		write_command(&failure->run, arguments, command, sizeof command);
		json_array_append_new(list, json_pack("{s:s, s:I, s:I, s:s, s:s, s:s+}", "finding",
						      failure->run.finding, "runs", (json_int_t)failure->count, "seed",
						      (json_int_t)failure->run.seed, "replay", failure->run.replay,
						      "command", command, "output", failure->run.tail, ""));
	}
	root = json_pack("{s:s, s:I, s:I, s:o}", "program", arguments->program[0], "runs", (json_int_t)runs, "failed",
			 (json_int_t)failed, "failures", list);
	json_dumpf(root, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(root);
}

void sim_failures_print(const struct sim_failures *failures, const struct sim_arguments *arguments, uint64_t runs,
			uint64_t failed)
{
	char command[4096];

	if (arguments->json) {
		print_json(failures, arguments, runs, failed);
		return;
	}
	printf("%llu run%s of %s: ", (unsigned long long)runs, runs == 1 ? "" : "s", arguments->program[0]);
	if (failed == 0)
		printf("nothing was found\n");
	else
		printf("%llu failed, in %zu way%s\n", (unsigned long long)failed, failures->count,
		       failures->count == 1 ? "" : "s");
	for (size_t i = 0; i < failures->count; i++) {
		const struct failure *failure = &failures->kinds[i];

		printf("\n%s, in %llu run%s, first with seed %llu:\n", failure->run.finding,
		       (unsigned long long)failure->count, failure->count == 1 ? "" : "s",
		       (unsigned long long)failure->run.seed);
		print_tail(failure->run.tail);
		write_command(&failure->run, arguments, command, sizeof command);
		printf("  again with: %s\n", command);
	}
}
