/* SPDX-License-Identifier: MIT */
/*
 * The arguments of `noria bench`: the text that teaches them, and their reading. Each value that cannot be is refused
 * with one that can, and so are options that say nothing about the kind of server that is measured.
 */
#include "plan.h"

#include "../command.h"
#include "../options.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <noria/time.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEPS           8  /* of a range of rates */
#define DATAGRAM_MIN    16 /* its number, and its place */
#define DATAGRAM_MAX    65507
#define BODY_MAX        (16 * 1024 * 1024)
#define CONNECTIONS_MAX 100000
#define THREADS_MAX     256

static void print_help(void)
{
	puts("Usage: noria bench URL [OPTION]...\n"
	     "       noria bench --compare URL_A URL_B [OPTION]...\n"
	     "       noria bench --overlay FILE [--overlay FILE]... --svg FILE\n"
	     "\n"
	     "Loads a server and tells how fast it answers, and how long answers take.\n"
	     "\n"
	     "  http://HOST[:PORT]/PATH   HTTP/1.1, connections are kept alive\n"
	     "  tcp://HOST:PORT           an echo: what is sent has to come back\n"
	     "  unix:/PATH                the same over a Unix socket\n"
	     "  udp://HOST:PORT           the same with datagrams; one that does not come back is a timeout\n"
	     "\n"
	     "Closed and open loop. By default a connection asks again when it has its answer (closed loop):\n"
	     "that finds the most that a server can do. But when the server stalls, so does the asking, and\n"
	     "the latencies of all that would have been asked meanwhile are missing. With --rate, requests\n"
	     "are due at fixed times (open loop), and each latency counts from when its request was due, sent\n"
	     "or not. Users are like that: to learn what they wait, use --rate.\n"
	     "\n"
	     "The load:\n"
	     "  --connections N         (64)\n"
	     "  --threads N             threads that share them, a runtime each (1)\n"
	     "  --depth N, --pipeline N requests in flight on a connection (1)\n"
	     "  --rate N                requests a second, of all connections together: 5000, 20k, 1.5M\n"
	     "  --rate-sweep A..B       rising rates, to find the knee: the highest that the server keeps up\n"
	     "                          with, that is, answers 99 of 100 requests that are due\n"
	     "  --rate-sweep A,B,...    these rates\n"
	     "  --limit S               keeping up also means a 99th percentile of at most S seconds\n"
	     "\n"
	     "The time, in seconds:\n"
	     "  --duration S            what is measured (10; a step of --rate-sweep: 3; a turn of --compare: 1)\n"
	     "  --warmup S              before that, not counted (1; a turn of --compare: 0.3)\n"
	     "  --ramp S                before that, connections come one after another (0)\n"
	     "  --timeout S             for an answer, and for a connection (5)\n"
	     "\n"
	     "What is asked:\n"
	     "  --size BYTES            of an echoed message; 16K is 16384 (64)\n"
	     "  --method NAME           of HTTP (GET; with --body POST)\n"
	     "  --header 'NAME: VALUE'  of HTTP, any number of times\n"
	     "  --body TEXT, @FILE      of HTTP\n"
	     "\n"
	     "The report:\n"
	     "  --compare               two servers by turns, and the ratio of what they do\n"
	     "  --rounds N              of that, in random order (10)\n"
	     "  --json                  for programs, instead of the text\n"
	     "  --hgrm FILE             percentiles, in HdrHistogram's format (milliseconds). With several runs a\n"
	     "                          file each: a.hgrm becomes a-5000.hgrm, a-20000.hgrm, by the rates of a\n"
	     "                          sweep; a-A.hgrm, a-B.hgrm with --compare\n"
	     "  --csv FILE              what happened in each slice of time; the first column says in which run\n"
	     "  --svg FILE              charts, for a browser\n"
	     "  --overlay FILE          runs that --json saved, drawn into them too; any number of times. Without\n"
	     "                          a URL nothing is measured, and what was saved is drawn\n"
	     "  --quiet                 no progress on the terminal\n"
	     "  --help                  this text\n"
	     "\n"
	     "Examples:\n"
	     "  noria bench http://127.0.0.1:8080/                       how fast is it?\n"
	     "  noria bench http://127.0.0.1:8080/ --rate 20k --svg a.svg   what do users wait?\n"
	     "  noria bench tcp://127.0.0.1:7007 --rate-sweep 10k..200k --threads 2\n"
	     "  noria bench --compare http://127.0.0.1:8080/ http://127.0.0.1:8081/ --rounds 20\n"
	     "  noria bench http://127.0.0.1:8080/ --json > before.json     and after a change:\n"
	     "  noria bench http://127.0.0.1:8080/ --svg both.svg --overlay before.json\n"
	     "\n"
	     "SIGINT ends the measuring, and what has been measured is reported. Errors have a kind: connect,\n"
	     "timeout, reset, bad (what came was no answer), short (closed before the answer was complete).\n"
	     "\n"
	     "Exit status: 0 measured; 1 failed, or no answer at all; 2 wrong arguments; 4 measured, and no answer\n"
	     "was a success (HTTP: 2xx or 3xx). Of a sweep, none at any rate; of --compare, none of A or none of B.");
}

enum option_name {
	OPTION_CONNECTIONS = 1000,
	OPTION_THREADS,
	OPTION_DEPTH,
	OPTION_ROUNDS,
	OPTION_RATE,
	OPTION_RATE_SWEEP,
	OPTION_LIMIT,
	OPTION_DURATION,
	OPTION_WARMUP,
	OPTION_RAMP,
	OPTION_TIMEOUT,
	OPTION_SIZE,
	OPTION_METHOD,
	OPTION_HEADER,
	OPTION_BODY,
	OPTION_COMPARE,
	OPTION_JSON,
	OPTION_HGRM,
	OPTION_CSV,
	OPTION_SVG,
	OPTION_OVERLAY,
	OPTION_QUIET,
	OPTION_HELP,
};

static const struct option long_options[] = {
	{"connections", required_argument, NULL, OPTION_CONNECTIONS},
	{"threads", required_argument, NULL, OPTION_THREADS},
	{"depth", required_argument, NULL, OPTION_DEPTH},
	{"pipeline", required_argument, NULL, OPTION_DEPTH},
	{"rounds", required_argument, NULL, OPTION_ROUNDS},
	{"rate", required_argument, NULL, OPTION_RATE},
	{"rate-sweep", required_argument, NULL, OPTION_RATE_SWEEP},
	{"limit", required_argument, NULL, OPTION_LIMIT},
	{"duration", required_argument, NULL, OPTION_DURATION},
	{"warmup", required_argument, NULL, OPTION_WARMUP},
	{"ramp", required_argument, NULL, OPTION_RAMP},
	{"timeout", required_argument, NULL, OPTION_TIMEOUT},
	{"size", required_argument, NULL, OPTION_SIZE},
	{"method", required_argument, NULL, OPTION_METHOD},
	{"header", required_argument, NULL, OPTION_HEADER},
	{"body", required_argument, NULL, OPTION_BODY},
	{"compare", no_argument, NULL, OPTION_COMPARE},
	{"json", no_argument, NULL, OPTION_JSON},
	{"hgrm", required_argument, NULL, OPTION_HGRM},
	{"csv", required_argument, NULL, OPTION_CSV},
	{"svg", required_argument, NULL, OPTION_SVG},
	{"overlay", required_argument, NULL, OPTION_OVERLAY},
	{"quiet", no_argument, NULL, OPTION_QUIET},
	{"help", no_argument, NULL, OPTION_HELP},
	{0},
};

/* What is being read: the plan, and which options were given. */
struct reading {
	struct plan *plan;
	bool given[OPTION_HELP + 1 - OPTION_CONNECTIONS];
};

static bool given(const struct reading *reading, int option)
{
	return reading->given[option - OPTION_CONNECTIONS];
}

static bool refuse(const char *option, const char *value, const char *why)
{
	fprintf(stderr, "noria bench: --%s%s%s: %s\n", option, *value ? " " : "", value, why);
	return false;
}

/* ---- values ---- */

static bool read_count(const char *name, const char *value, uint64_t max, unsigned *ret_count)
{
	uint64_t number;
	if (!option_number("bench", name, value, false, 1, max, &number))
		return false;
	*ret_count = (unsigned)number;
	return true;
}

/* "5000", "20k", "1.5M". Returns: what follows the number, NULL where there is none. */
static const char *parse_rate(const char *text, double *ret_rate)
{
	char *end;
	double rate = strtod(text, &end);
	if (end == text || !(rate > 0))
		return NULL;
	if (end[-1] == '.' && *end == '.') /* of "500..40k" the first dot is no decimal point */
		end--;
	if (*end == 'k' || *end == 'K' || *end == 'M')
		rate *= *end++ == 'M' ? 1e6 : 1e3;
	*ret_rate = rate;
	return rate >= 0.01 && rate <= 1e8 ? end : NULL;
}

static bool read_rate(const char *value, double *ret_rate)
{
	const char *end = parse_rate(value, ret_rate);
	return (end && *end == '\0') ||
	       refuse("rate", value, "give requests a second, such as 500, 20k or 1.5M (0.01 to 100M).");
}

static bool read_range(const char *value, const char *second, struct plan *plan)
{
	double low = plan->rates[0], high;
	const char *end = parse_rate(second, &high);
	if (end == NULL || *end != '\0' || high <= low)
		return refuse("rate-sweep", value, "give a low and a high rate, such as 1k..50k.");
	for (unsigned i = 0; i < STEPS; i++)
		plan->rates[i] = round(low * pow(high / low, (double)i / (STEPS - 1)) * 100) / 100;
	plan->rates_count = STEPS;
	plan->refine = true;
	return true;
}

static bool read_sweep(const char *value, struct plan *plan)
{
	const char *at = value;
	for (plan->rates_count = 0; plan->rates_count < RATES_MAX; at++) {
		const char *end = parse_rate(at, &plan->rates[plan->rates_count]);
		if (end == NULL)
			break;
		if (plan->rates_count++ == 0 && strncmp(end, "..", 2) == 0)
			return read_range(value, end + 2, plan);
		if (*end == '\0')
			return true;
		if (*end != ',')
			break;
		at = end;
	}
	return refuse("rate-sweep", value, "give a range, such as 1k..50k, or rates, such as 1k,2k,5k (up to 64).");
}

static bool read_time(const char *name, const char *value, bool zero, int64_t *ret_ns)
{
	if (!option_seconds("bench", name, value, ret_ns))
		return false;
	return *ret_ns >= 1000000 || (zero && *ret_ns == 0) ||
	       refuse(name, value, "that is too short. Give seconds, 0.001 at least.");
}

static bool read_times(int option, const char *value, struct plan *plan)
{
	int64_t *times[] = {&plan->limit_ns, &plan->duration_ns, &plan->warmup_ns, &plan->ramp_ns, &plan->timeout_ns};
	bool zero = option == OPTION_WARMUP || option == OPTION_RAMP;
	return read_time(long_options[option - OPTION_CONNECTIONS + 1].name, value, zero, times[option - OPTION_LIMIT]);
}

static bool is_token(const char *text, size_t length)
{
	static const char token[] = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	return length > 0 && strspn(text, token) >= length;
}

static bool read_header(const char *value, struct plan *plan)
{
	if (!is_token(value, strcspn(value, ":")) || strchr(value, ':') == NULL || strpbrk(value, "\r\n"))
		return refuse("header", value, "give NAME: VALUE, such as 'Accept: text/html'.");
	if (plan->headers_count == HEADERS_MAX)
		return refuse("header", value, "these are too many.");
	plan->headers[plan->headers_count++] = value;
	return true;
}

/* A body is kept in memory of its own, whichever way it came. */
static bool read_body(const char *value, struct plan *plan)
{
	char *body = NULL;
	size_t size = 0;
	FILE *in = *value == '@' ? fopen(value + 1, "re") : fmemopen((void *)value, strlen(value) + 1, "r");
	if (in == NULL)
		return refuse("body", value, strerror(errno));
	body = malloc(BODY_MAX + 1);
	if (body)
		size = fread(body, 1, *value == '@' ? BODY_MAX + 1 : strlen(value), in);
	bool bad = body == NULL || ferror(in) || size > BODY_MAX;
	fclose(in);
	if (bad) {
		free(body);
		return refuse("body", value, "it cannot be read, or has more than 16 MiB.");
	}
	free((void *)plan->body);
	plan->body = body;
	plan->body_size = size;
	return true;
}

/* ---- options ---- */

static bool read_file(const char *value, const char **ret_path)
{
	*ret_path = value;
	return true;
}

static bool read_overlay(const char *value, struct plan *plan)
{
	if (plan->overlays_count == OVERLAYS_MAX)
		return refuse("overlay", value, "these are too many (up to 32).");
	plan->overlays[plan->overlays_count++] = value;
	return true;
}

static bool read_flag(bool *ret_flag)
{
	return *ret_flag = true;
}

static bool read_load(int option, const char *value, struct plan *plan)
{
	uint64_t number;
	switch (option) {
	case OPTION_CONNECTIONS:
		return read_count("connections", value, CONNECTIONS_MAX, &plan->connections);
	case OPTION_THREADS:
		return read_count("threads", value, THREADS_MAX, &plan->threads);
	case OPTION_DEPTH:
		return read_count("depth", value, DEPTH_MAX, &plan->depth);
	case OPTION_ROUNDS:
		return read_count("rounds", value, 10000, &plan->rounds);
	case OPTION_RATE:
		return read_rate(value, &plan->rate);
	case OPTION_RATE_SWEEP:
		return read_sweep(value, plan);
	default:
		if (!option_number("bench", "size", value, true, 1, 64 * 1024 * 1024, &number))
			return false;
		plan->size = (size_t)number;
		return true;
	}
}

static bool read_request(int option, const char *value, struct plan *plan)
{
	if (option == OPTION_HEADER)
		return read_header(value, plan);
	if (option == OPTION_BODY)
		return read_body(value, plan);
	plan->method = value;
	return is_token(value, strlen(value)) || refuse("method", value, "that is no method. Give GET, POST, ...");
}

static bool read_option(int option, const char *value, struct plan *plan)
{
	switch (option) {
	case OPTION_LIMIT ... OPTION_TIMEOUT:
		return read_times(option, value, plan);
	case OPTION_METHOD ... OPTION_BODY:
		return read_request(option, value, plan);
	case OPTION_COMPARE:
		return read_flag(&plan->compare);
	case OPTION_JSON:
		return read_flag(&plan->json);
	case OPTION_QUIET:
		return read_flag(&plan->quiet);
	case OPTION_HGRM:
		return read_file(value, &plan->hgrm);
	case OPTION_CSV:
		return read_file(value, &plan->csv);
	case OPTION_SVG:
		return read_file(value, &plan->svg);
	case OPTION_OVERLAY:
		return read_overlay(value, plan);
	default:
		return read_load(option, value, plan);
	}
}

/* ---- what goes together ---- */

static int usage(const char *problem)
{
	fprintf(stderr, "noria bench: %s\nTry `noria bench http://127.0.0.1:8080/`, or `noria bench --help`.\n",
		problem);
	return EXIT_USAGE;
}

static bool check_together(const struct reading *reading)
{
	const struct plan *plan = reading->plan;
	if (plan->rate > 0 && plan->rates_count > 0)
		return refuse("rate", "and --rate-sweep", "one of them.");
	if (plan->compare && plan->rates_count > 0)
		return refuse("compare", "and --rate-sweep", "compare at one --rate, or sweep each server by itself.");
	if (plan->limit_ns > 0 && plan->rates_count == 0)
		return refuse("limit", "alone", "it says what keeping up means in a --rate-sweep.");
	if (plan->overlays_count > 0 && plan->svg == NULL)
		return refuse("overlay", plan->overlays[0], "it is drawn into charts: give --svg FILE as well.");
	if (given(reading, OPTION_ROUNDS) && !plan->compare)
		return refuse("rounds", "alone", "they are those of --compare.");
	return true;
}

static bool check_target(const struct reading *reading, const struct target *target)
{
	const struct plan *plan = reading->plan;
	bool http = target->scheme == SCHEME_HTTP;
	if (!http && (given(reading, OPTION_METHOD) || given(reading, OPTION_HEADER) || given(reading, OPTION_BODY)))
		return refuse("method, --header, --body", "", "these are for http:// only.");
	if (http && given(reading, OPTION_SIZE))
		return refuse("size", "", "it is that of an echoed message; what HTTP sends is --body.");
	if (target->scheme == SCHEME_UDP && (plan->size < DATAGRAM_MIN || plan->size > DATAGRAM_MAX))
		return refuse("size", "", "a datagram has from 16 to 65507 bytes.");
	return true;
}

/* How many URLs there have to be. */
static unsigned urls_of(const struct reading *reading, int arguments)
{
	bool draw = reading->plan->overlays_count > 0 && arguments == 0;
	return reading->plan->compare ? 2 : draw ? 0 : 1;
}

static int read_targets(char **urls, unsigned count, const struct reading *reading)
{
	struct plan *plan = reading->plan;
	for (; plan->targets < count; plan->targets++) {
		struct target *target = &plan->target[plan->targets];
		int code = target_read(urls[plan->targets], target);
		if (code != ARGUMENTS_READ)
			return code;
		if (!check_target(reading, target))
			return EXIT_USAGE;
	}
	return ARGUMENTS_READ;
}

static void set_defaults(struct plan *plan)
{
	*plan = (struct plan){
		.connections = 64,
		.threads = 1,
		.depth = 1,
		.duration_ns = noria_sec(10),
		.warmup_ns = noria_sec(1),
		.timeout_ns = noria_sec(5),
		.rounds = 10,
		.size = 64,
	};
}

/* Defaults that follow from what was given. */
static void settle(const struct reading *reading)
{
	struct plan *plan = reading->plan;
	if (plan->method == NULL)
		plan->method = plan->body ? "POST" : "GET";
	if (plan->threads > plan->connections)
		plan->threads = plan->connections;
	if (!given(reading, OPTION_DURATION) && (plan->compare || plan->rates_count > 0))
		plan->duration_ns = noria_sec(plan->compare ? 1 : 3);
	if (plan->compare && !given(reading, OPTION_WARMUP))
		plan->warmup_ns = noria_msec(300);
}

/* `--svg --json` means two options, of which the first lacks its value. */
static bool is_option(const char *value)
{
	for (const struct option *option = long_options; value && option->name; option++)
		if (strncmp(value, "--", 2) == 0 && strcmp(value + 2, option->name) == 0)
			return true;
	return false;
}

static int read_all(int argc, char **argv, struct reading *reading)
{
	struct plan *plan = reading->plan;
	int option;
	optind = 1;
	while ((option = getopt_long(argc, argv, ":h", long_options, NULL)) != -1) {
		if (option == '?' || option == ':')
			return option_unknown("bench", option, argv[optind - 1]);
		if (option == 'h' || option == OPTION_HELP) {
			print_help();
			return EXIT_OK;
		}
		if (optarg == argv[optind - 1] && is_option(optarg)) {
			refuse(argv[optind - 2] + 2, optarg, "that is an option, and no value.");
			return EXIT_USAGE;
		}
		if (!read_option(option, optarg, plan))
			return EXIT_USAGE;
		reading->given[option - OPTION_CONNECTIONS] = true;
	}
	int urls = (int)urls_of(reading, argc - optind);
	if (argc - optind < urls)
		return usage(plan->compare ? "which two servers are to be compared?"
					   : "which server is to be measured?");
	if (argc - optind > urls)
		return usage(plan->compare ? "two servers at a time." : "one server at a time, or two with --compare.");
	if (!check_together(reading))
		return EXIT_USAGE;
	settle(reading);
	return ARGUMENTS_READ;
}

int plan_read(int argc, char **argv, struct plan *plan)
{
	struct reading reading = {.plan = plan};
	set_defaults(plan);
	int code = read_all(argc, argv, &reading);
	if (code == ARGUMENTS_READ)
		code = read_targets(argv + optind, urls_of(&reading, argc - optind), &reading);
	if (code != ARGUMENTS_READ)
		plan_done(plan);
	return code;
}

void plan_done(struct plan *plan)
{
	free((void *)plan->body);
	plan->body = NULL;
}
