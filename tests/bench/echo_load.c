/* SPDX-License-Identifier: MIT */
/*
 * The client: loads one echo server, or several by turns, and prints a line of JSON for each.
 *
 * Several servers are loaded by turns, one slice of time each, in random order: a machine's speed drifts by more than
 * the differences of interest, but not within a few slices. Slices are printed one by one too, so that
 * whoever compares can compare inside one set of turns. How a server is loaded is in load_target.c. System calls are
 * counted in a turn of its own at the end, since counting slows them down.
 */
#include "bench.h"
#include "load_calls.h"
#include "load_target.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_TARGETS 32
#define MAX_SLICES  100000

static struct load load = {.connections = 64, .size = 64, .depth = 1};
static uint64_t measure_ns = BENCH_NSEC_PER_SEC * 3 / 2;
static uint64_t warm_ns = BENCH_NSEC_PER_SEC / 10;
static uint64_t slice_ns = BENCH_NSEC_PER_SEC / 20;

static struct target targets[MAX_TARGETS];
static unsigned int target_count;
static struct slice *slices[MAX_TARGETS];
static uint64_t slice_count; /* of each target */

/* Of the turn in which a target's system calls were counted. */
struct counted {
	uint64_t calls;
	uint64_t requests;
	const char *why_not; /* they could not be */
};
static struct counted counted[MAX_TARGETS];
static bool counting;

/* Fisher and Yates. */
static void shuffle(unsigned int *order, unsigned int count)
{
	static unsigned int seed;

	if (seed == 0)
		seed = (unsigned int)bench_now_ns();
	for (unsigned int i = count - 1; i > 0; i--) {
		const unsigned int other = (unsigned int)rand_r(&seed) % (i + 1);
		const unsigned int mine = order[i];

		order[i] = order[other];
		order[other] = mine;
	}
}

static void run_all(void)
{
	unsigned int order[MAX_TARGETS];

	for (unsigned int i = 0; i < target_count; i++) {
		slices[i] = calloc(slice_count, sizeof(*slices[i]));
		if (!slices[i])
			bench_die("set-up", ENOMEM);
		target_open(&targets[i]);
		target_run(&targets[i], warm_ns);
		memset(&targets[i].latencies, 0, sizeof(targets[i].latencies));
		order[i] = i;
	}

	for (uint64_t n = 0; n < slice_count; n++) {
		shuffle(order, target_count);
		for (unsigned int i = 0; i < target_count; i++)
			slices[order[i]][n] = target_run(&targets[order[i]], slice_ns);
	}
}

/* The latencies of this turn are those of a traced system, and are not kept. */
static struct counted count_calls(struct target *t)
{
	const struct histogram measured = t->latencies;
	struct counted seen = {0};
	struct calls *calls = calls_start(t->pid, &seen.why_not);

	if (!calls)
		return seen;
	seen.requests = target_run(t, slice_ns).requests;
	seen.calls = calls_stop(calls);
	t->latencies = measured;
	return seen;
}

static void print_sum(const char *name, uint64_t value)
{
	printf(", \"%s\": %llu", name, (unsigned long long)value);
}

static void print_usage(const struct usage *u)
{
	printf(", %llu, %llu, %llu", (unsigned long long)u->run_ns, (unsigned long long)u->wait_ns,
	       (unsigned long long)u->runs);
}

/* Each slice as [requests, elapsed ns, and of the server and of the client: ns on CPU, ns waiting for it, runs]. */
static void print_slices(const struct slice *s)
{
	printf(", \"slices\": [");
	for (uint64_t i = 0; i < slice_count; i++, s++) {
		printf("%s[%llu, %llu", i ? ", " : "", (unsigned long long)s->requests,
		       (unsigned long long)s->elapsed_ns);
		print_usage(&s->server);
		print_usage(&s->client);
		printf("]");
	}
	printf("]");
}

static void print_counted(const struct counted *seen)
{
	if (seen->why_not)
		printf(", \"syscalls\": null, \"syscalls_why_not\": \"%s\"", seen->why_not);
	else
		printf(", \"syscalls\": {\"calls\": %llu, \"requests\": %llu}", (unsigned long long)seen->calls,
		       (unsigned long long)seen->requests);
}

static void report(const struct target *t, const struct slice *s, const struct counted *seen)
{
	struct slice sum = {0};
	double seconds;

	for (uint64_t i = 0; i < slice_count; i++) {
		sum.requests += s[i].requests;
		sum.elapsed_ns += s[i].elapsed_ns;
		usage_add(&sum.server, s[i].server);
		usage_add(&sum.client, s[i].client);
	}
	seconds = (double)sum.elapsed_ns / (double)BENCH_NSEC_PER_SEC;

	printf("{\"requests\": %llu, \"seconds\": %.6f, \"requests_per_second\": %.1f",
	       (unsigned long long)sum.requests, seconds, (double)sum.requests / seconds);
	print_sum("p50_ns", histogram_quantile(&t->latencies, 0.5));
	print_sum("p99_ns", histogram_quantile(&t->latencies, 0.99));
	print_sum("p999_ns", histogram_quantile(&t->latencies, 0.999));
	print_sum("errors", t->errors);
	print_sum("client_cpu_ns", sum.client.run_ns);
	if (*t->pid) {
		print_sum("server_cpu_ns", sum.server.run_ns);
		print_sum("server_runs", sum.server.runs);
		print_slices(s);
		if (counting)
			print_counted(seen);
	}
	printf("}\n");
}

static const char help[] = "usage: echo_load --connect ADDRESS:PORT [--server-pid PID] [...] [options]\n"
			   "\n"
			   "Keeps requests in flight to echo servers, compares every byte that comes back,\n"
			   "and prints one line of JSON for each server. Several servers are loaded by turns.\n"
			   "\n"
			   "  --server-pid PID  of the server named last: report also its time on the CPU\n"
			   "  --syscalls        count system calls of servers with a PID, in a turn at the end\n"
			   "  --idle N          of the server named last: connections more on which nothing is sent\n"
			   "  --connections N   connections to each server (64)\n"
			   "  --size BYTES      bytes a request (64)\n"
			   "  --depth D         requests in flight on each connection (1)\n"
			   "  --seconds T       how long to count, each server (1.5)\n"
			   "  --slice T         how long one turn is (0.05)\n"
			   "  --warmup T        how long to run each server before counting (0.1)\n"
			   "  --awake 0|1       1: ask for answers all the time instead of sleeping (0)\n"
			   "\n"
			   "The status is 0 when every byte was right, 1 otherwise, 2 for wrong usage.\n";

static uint64_t parse_seconds(const char *option, const char *text)
{
	char *end;
	const double value = strtod(text, &end);

	if (end == text || *end != '\0' || !(value > 0.0 && value <= 3600.0)) {
		fprintf(stderr, "%s %s: ", option, text);
		bench_usage("a time is a number of seconds up to 3600");
	}
	return (uint64_t)(value * (double)BENCH_NSEC_PER_SEC);
}

static void add_target(const char *address)
{
	if (target_count == MAX_TARGETS)
		bench_usage("too many servers");
	targets[target_count].address = bench_parse_address(address);
	targets[target_count].load = &load;
	targets[target_count].pid = "";
	target_count++;
}

static void set_option(int option)
{
	switch (option) {
	case 'a':
		add_target(optarg);
		break;
	case 'p':
		if (target_count == 0)
			bench_usage("--server-pid belongs after the --connect it goes with");
		bench_parse_number("--server-pid", optarg, 1, INT32_MAX);
		targets[target_count - 1].pid = optarg;
		break;
	case 'i':
		if (target_count == 0)
			bench_usage("--idle belongs after the --connect it goes with");
		targets[target_count - 1].idle = bench_parse_number("--idle", optarg, 0, 1000000);
		break;
	case 'n':
		counting = true;
		break;
	case 'c':
		load.connections = bench_parse_number("--connections", optarg, 1, 100000);
		break;
	case 's':
		load.size = bench_parse_number("--size", optarg, 1, 1U << 24);
		break;
	case 'd':
		load.depth = bench_parse_number("--depth", optarg, 1, 4096);
		break;
	case 't':
		measure_ns = parse_seconds("--seconds", optarg);
		break;
	case 'l':
		slice_ns = parse_seconds("--slice", optarg);
		break;
	case 'w':
		warm_ns = parse_seconds("--warmup", optarg);
		break;
	case 'k':
		load.awake = bench_parse_number("--awake", optarg, 0, 1);
		break;
	case 'h':
		fputs(help, stdout);
		exit(0);
	default:
		bench_usage("that option is not known, or its value is missing");
	}
}

static void parse_options(int argc, char **argv)
{
	static const struct option options[] = {
		{"connect", required_argument, NULL, 'a'},
		{"server-pid", required_argument, NULL, 'p'},
		{"idle", required_argument, NULL, 'i'},
		{"syscalls", no_argument, NULL, 'n'},
		{"connections", required_argument, NULL, 'c'},
		{"size", required_argument, NULL, 's'},
		{"depth", required_argument, NULL, 'd'},
		{"seconds", required_argument, NULL, 't'},
		{"slice", required_argument, NULL, 'l'},
		{"warmup", required_argument, NULL, 'w'},
		{"awake", required_argument, NULL, 'k'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0)
		set_option(option);
	if (optind != argc || target_count == 0)
		bench_usage("--connect ADDRESS:PORT is needed, and nothing but options");

	slice_count = measure_ns / slice_ns;
	if (slice_count < 1)
		slice_count = 1;
	if (slice_count > MAX_SLICES)
		bench_usage("--slice is too short for --seconds");
}

int main(int argc, char **argv)
{
	uint64_t errors = 0;

	parse_options(argc, argv);
	run_all();
	for (unsigned int i = 0; i < target_count; i++)
		if (counting && *targets[i].pid)
			counted[i] = count_calls(&targets[i]);
	for (unsigned int i = 0; i < target_count; i++) {
		report(&targets[i], slices[i], &counted[i]);
		errors += targets[i].errors;
	}
	return errors ? 1 : 0;
}
