/* SPDX-License-Identifier: MIT */
/*
 * `noria doctor`: what this machine offers to noria. It makes a ring as noria_run() would, lists every feature of the
 * probe with what its absence costs, and every limit that servers run into with the value and the advice.
 *
 * The one subcommand that looks into the library: the probe has no public interface.
 */
#include "command.h"
#include "ring/feature.h"

#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <noria/noria.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>

struct limit {
	const char *name, *what, *advice;
	uint64_t enough; /* below this the advice is worth giving */
	int resource;    /* of getrlimit(), or -1: read `path` */
	const char *path;
	uint64_t value;
	bool known;
};

static const struct limit limit_table[] = {
	{"memlock", "bytes that rings may lock (RLIMIT_MEMLOCK), for all rings of the user",
	 "raise it with `ulimit -l` or LimitMEMLOCK= if many runtimes start", 8U << 20, RLIMIT_MEMLOCK, NULL, 0, false},
	{"nofile", "descriptors of a process (RLIMIT_NOFILE): one a connection",
	 "raise it with `ulimit -n` or LimitNOFILE= for more connections", 65536, RLIMIT_NOFILE, NULL, 0, false},
	{"somaxconn", "connections that may wait to be accepted (net.core.somaxconn)",
	 "raise it with `sysctl net.core.somaxconn=4096` for bursts of connections", 4096, -1,
	 "/proc/sys/net/core/somaxconn", 0, false},
	{"max_map_count", "memory mappings of a process (vm.max_map_count)",
	 "raise it with `sysctl vm.max_map_count=1048576`: without the feature `guard` each task takes two", 65530, -1,
	 "/proc/sys/vm/max_map_count", 0, false},
	{"nproc", "threads of the user (RLIMIT_NPROC): executors and the kernel's I/O workers",
	 "raise it with `ulimit -u` or LimitNPROC= if offloaded calls fail", 1024, RLIMIT_NPROC, NULL, 0, false},
};

enum { LIMITS = sizeof limit_table / sizeof limit_table[0] };

static bool read_file(const char *path, uint64_t *ret_value)
{
	FILE *file = fopen(path, "re");
	unsigned long long value;
	bool read;

	if (!file)
		return false;
	read = fscanf(file, "%llu", &value) == 1;
	fclose(file);
	if (read)
		*ret_value = value;
	return read;
}

static void read_limits(struct limit limits[LIMITS])
{
	memcpy(limits, limit_table, sizeof limit_table);
	for (int i = 0; i < LIMITS; i++) {
		struct limit *limit = &limits[i];
		struct rlimit resource;

		if (limit->path) {
			limit->known = read_file(limit->path, &limit->value);
		} else if (getrlimit((__rlimit_resource_t)limit->resource, &resource) == 0) {
			limit->known = true;
			limit->value = resource.rlim_cur;
		}
	}
}

static int nothing(void *arg)
{
	(void)arg;
	return 0;
}

/* Make a runtime, for real. Returns 0 or the error, with the remedy in noria_message(). */
static int try_run(void)
{
	return noria_run(NULL, nothing, NULL);
}

static const char *state_of(const struct features *features, int i)
{
	if (!(features->there >> i & 1))
		return "missing";
	return features->hidden >> i & 1 ? "hidden" : "used";
}

static json_t *features_json(const struct features *features)
{
	json_t *array = json_array();

	for (int i = 0; i < FEATURE_COUNT; i++) {
		const struct feature_info *info = &noria_feature_table[i];

		json_array_append_new(array, json_pack("{s:s, s:s, s:s, s:s, s:s}", "name", info->name, "state",
						       state_of(features, i), "since_linux", info->release, "use",
						       info->use, "cost_of_absence", info->cost));
	}
	return array;
}

static json_t *limits_json(const struct limit *limits)
{
	json_t *array = json_array();

	for (int i = 0; i < LIMITS; i++) {
		const struct limit *limit = &limits[i];
		/* JSON's integers are signed here: no limit is null. */
		json_t *value = limit->known && limit->value <= INT64_MAX ? json_integer((json_int_t)limit->value)
									  : json_null();

		json_array_append_new(array, json_pack("{s:s, s:o, s:b, s:s, s:s}", "name", limit->name, "value", value,
						       "enough", !limit->known || limit->value >= limit->enough, "what",
						       limit->what, "advice", limit->advice));
	}
	return array;
}

static int print_json(const struct utsname *system, int ring, const struct features *features,
		      const struct limit *limits)
{
	json_t *root =
		json_pack("{s:s, s:s, s:s, s:I, s:b, s:s, s:o, s:o}", "noria", noria_version(), "kernel",
			  system->release, "machine", system->machine, "system_call_ns", (json_int_t)features->call_ns,
			  "ring", ring == 0, "message", ring == 0 ? "" : noria_message(), "features",
			  features_json(features), "limits", limits_json(limits));
	int r = root ? json_dumpf(root, stdout, JSON_INDENT(2)) : -1;

	putchar('\n');
	json_decref(root);
	return r;
}

static void print_limit(const struct limit *limit)
{
	char value[32] = "unknown";

	if (limit->known && limit->value == (uint64_t)RLIM_INFINITY)
		snprintf(value, sizeof value, "no limit");
	else if (limit->known)
		snprintf(value, sizeof value, "%llu", (unsigned long long)limit->value);
	printf("  %-16s %-12s %s\n", limit->name, value, limit->what);
	if (limit->known && limit->value < limit->enough)
		printf("  %-16s %-12s -> %s\n", "", "", limit->advice);
}

static void print_text(const struct utsname *system, int ring, const struct features *features,
		       const struct limit *limits)
{
	printf("noria %s on Linux %s (%s)\n\n", noria_version(), system->release, system->machine);
	if (ring == 0)
		puts("ring: works");
	else
		printf("ring: cannot be had. %s\n", noria_message());
	if (ring == 0)
		printf("a system call: %u ns (small replies of a busy turn leave %s)\n", features->call_ns,
		       features->call_ns >= DEAR_CALL_NS ? "together, as entries" : "each by one");
	puts("\nfeatures:");
	for (int i = 0; i < FEATURE_COUNT; i++) {
		const struct feature_info *info = &noria_feature_table[i];
		const char *state = state_of(features, i);

		printf("  %-18s %-12s %s (Linux %s)\n", info->name, state, info->use, info->release);
		if (strcmp(state, "used") != 0)
			printf("  %-18s %-12s -> without it: %s\n", "", "", info->cost);
	}
	puts("\nlimits:");
	for (int i = 0; i < LIMITS; i++)
		print_limit(&limits[i]);
}

static void print_help(void)
{
	puts("Usage: noria doctor [--json]\n"
	     "\n"
	     "Says what this machine offers to noria: whether a ring can be had (and if not, why, and\n"
	     "what to do about it), each feature of the kernel's io_uring with what its absence costs,\n"
	     "and the limits that servers run into, with advice.\n"
	     "\n"
	     "Options:\n"
	     "  --json    the same for machines\n"
	     "  --help    this text\n"
	     "\n"
	     "Environment:\n"
	     "  NORIA_HIDE=NAME,...   treat features as missing, to see a program on an older kernel\n"
	     "\n"
	     "Exit codes: 0 noria runs here, 1 it does not, 2 wrong arguments.");
}

static int examine(bool json)
{
	struct features features = {0};
	struct limit limits[LIMITS];
	struct utsname system;
	int ring = noria_features_probe(&features);

	if (ring == 0)
		ring = try_run();
	read_limits(limits);
	uname(&system);
	if (json && print_json(&system, ring, &features, limits) < 0)
		return EXIT_FAILED;
	if (!json)
		print_text(&system, ring, &features, limits);
	return ring == 0 ? EXIT_OK : EXIT_FAILED;
}

int cmd_doctor(int argc, char **argv)
{
	static const struct option options[] = {
		{"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'}, {0}};
	bool json = false;
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (c == 'h') {
			print_help();
			return EXIT_OK;
		}
		if (c != 'j') {
			fputs("Try `noria doctor --help`.\n", stderr);
			return EXIT_USAGE;
		}
		json = true;
	}
	if (optind < argc) {
		fprintf(stderr, "noria doctor: takes no argument, but got '%s'. Try `noria doctor --help`.\n",
			argv[optind]);
		return EXIT_USAGE;
	}
	return examine(json);
}
