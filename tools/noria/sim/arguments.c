/* SPDX-License-Identifier: MIT */
/* What the command line of `noria sim` asks for. */
#include "sim.h"

#include "../command.h"
#include "../options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
	"Usage: noria sim [OPTION]... PROGRAM [ARGUMENT]...\n"
	"       noria sim --replay TEXT PROGRAM [ARGUMENT]...\n"
	"\n"
	"Runs a program written with noria many times, each time in a simulated world of another seed: virtual time, "
	"a\n"
	"network and disks in memory, chance and faults from the seed alone. What fails is told once for each kind, "
	"with\n"
	"the command that has it again.\n"
	"\n"
	"The program must be linked with the shared libnoria, or with libnoria-test.\n"
	"\n"
	"  --seeds FIRST..LAST  the seeds, or COUNT of them from 1 (default: 1..1000)\n"
	"  --faults PLAN        what goes wrong: NAME, NAME@N, NAME@NxCOUNT or NAME%PERCENT, separated by commas\n"
	"  --schedule KIND      random (default), pct, pct1 to pct16, fifo: which ready task runs next\n"
	"  --limit TIME         of the world's clock, as 90s or 5m (default: an hour): a run beyond has failed\n"
	"  --timeout SECONDS    of the real clock for each run (default: 60)\n"
	"  --check              make each run twice, and compare all that was left to chance\n"
	"  --keep-going         do not stop at the first failure\n"
	"  --jobs N             runs at once (default: the processors)\n"
	"  --json               the result as JSON\n"
	"  --replay TEXT        one run, as an earlier one said\n"
	"  --trace FILE         of one run: what is submitted and completed, and when\n"
	"\n"
	"Exit codes: 0 nothing was found, 1 something failed, 2 wrong arguments, or a program that cannot be "
	"simulated.\n";

/* "1..10000", or "10000" */
static bool read_seeds(const char *value, struct sim_arguments *arguments)
{
	char *end;

	arguments->first = 1;
	arguments->last = strtoull(value, &end, 10);
	if (end != value && strncmp(end, "..", 2) == 0) {
		const char *last = end + 2;

		arguments->first = arguments->last;
		arguments->last = strtoull(last, &end, 10);
		end = end == last ? (char *)(uintptr_t)value : end;
	}
	if (end == value || *end || arguments->last < arguments->first || arguments->last == UINT64_MAX) {
		fprintf(stderr, "noria sim: --seeds %s: give two numbers as in 1..10000, or how many\n", value);
		return false;
	}
	return true;
}

static bool take_option(struct sim_arguments *arguments, int option, const char *value)
{
	uint64_t number;

	switch (option) {
	case 's':
		return read_seeds(value, arguments);
	case 'f':
		arguments->faults = value;
		return true;
	case 'c':
		arguments->schedule = value;
		return true;
	case 'l':
		arguments->limit = value;
		return true;
	case 't':
		return option_seconds("sim", "timeout", value, &arguments->timeout_ns);
	case 'j':
		if (!option_number("sim", "jobs", value, false, 1, 256, &number))
			return false;
		arguments->jobs = (unsigned)number;
		return true;
	case 'r':
		arguments->replay = value;
		return true;
	case 'T':
		arguments->trace = value;
		return true;
	case 'C':
		return arguments->check = true;
	case 'k':
		return arguments->keep_going = true;
	default:
		return arguments->json = true;
	}
}

/* Beside this command in a build tree, where it was to be installed, or wherever the loader finds it. */
static void find_library(struct sim_arguments *arguments)
{
	static const char *const beside[] = {"/../../src/testing/libnoria-test.so.0", "/../lib/libnoria-test.so.0",
					     "/../lib64/libnoria-test.so.0"};
	const char *given = getenv("NORIA_TEST_LIBRARY");
	char own[512];
	ssize_t length = readlink("/proc/self/exe", own, sizeof own - 1);
	char *slash;

	if (given && *given) {
		snprintf(arguments->library, sizeof arguments->library, "%s", given);
		return;
	}
	own[length > 0 ? length : 0] = '\0';
	slash = strrchr(own, '/');
	if (slash)
		*slash = '\0';
	for (size_t i = 0; slash && i < sizeof beside / sizeof beside[0]; i++) {
		snprintf(arguments->library, sizeof arguments->library, "%s%s", own, beside[i]);
		if (access(arguments->library, R_OK) == 0)
			return;
	}
	snprintf(arguments->library, sizeof arguments->library, "%s/libnoria-test.so.0", NORIA_LIBDIR);
	if (access(arguments->library, R_OK) < 0)
		strcpy(arguments->library, "libnoria-test.so.0");
}

int sim_arguments_read(struct sim_arguments *arguments, int argc, char **argv)
{
	static const struct option options[] = {
		{"seeds", required_argument, NULL, 's'},
		{"faults", required_argument, NULL, 'f'},
		{"schedule", required_argument, NULL, 'c'},
		{"limit", required_argument, NULL, 'l'},
		{"timeout", required_argument, NULL, 't'},
		{"jobs", required_argument, NULL, 'j'},
		{"replay", required_argument, NULL, 'r'},
		{"trace", required_argument, NULL, 'T'},
		{"check", no_argument, NULL, 'C'},
		{"keep-going", no_argument, NULL, 'k'},
		{"json", no_argument, NULL, 'J'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	int option;

	*arguments = (struct sim_arguments){
		.first = 1, .last = 1000, .jobs = processors > 0 ? (unsigned)processors : 1, .timeout_ns = 60000000000};
	optind = 1;
	while ((option = getopt_long(argc, argv, "+:h", options, NULL)) != -1) {
		if (option == 'h') {
			fputs(help, stdout);
			return -1;
		}
		if (option == '?' || option == ':')
			return option_unknown("sim", option, argv[optind - 1]);
		if (!take_option(arguments, option, optarg))
			return EXIT_USAGE;
	}
	arguments->program = argv + optind;
	if (!arguments->program[0]) {
		fputs("noria sim: which program? `noria sim --help` explains.\n", stderr);
		return EXIT_USAGE;
	}
	if (arguments->trace && !arguments->replay && arguments->first != arguments->last) {
		fputs("noria sim: --trace is for one run: give one seed as in 7..7, or --replay\n", stderr);
		return EXIT_USAGE;
	}
	find_library(arguments);
	return EXIT_OK;
}
