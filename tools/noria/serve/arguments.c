/* SPDX-License-Identifier: MIT */
/*
 * The arguments of `noria serve`: the text that teaches them, and their reading. Defaults are chosen for a server that
 * faces strangers: nothing waits without a limit, and hidden files stay hidden. Times are decimal seconds, sizes may
 * end with K or M; a value that cannot be is refused with an example of one that can.
 */
#include "serve.h"

#include "../command.h"

#include <getopt.h>
#include <noria/time.h>
#include <stdio.h>
#include <string.h>

#define TARGET_MAX 8192        /* of a target, or all of the header if that is less */
#define BODY_MAX   (64 * 1024) /* of a body nobody wants, read so that the connection can go on */

static void print_help(void)
{
	puts("Usage: noria serve DIR [OPTION]...\n"
	     "\n"
	     "Serves the files of DIR over HTTP/1.1, and nothing outside it. Prints \"listening on\n"
	     "ADDR:PORT\" once it is ready. SIGINT or SIGTERM drains: no new connections, every answer in\n"
	     "progress is finished, then it ends. A second signal ends it at once.\n"
	     "\n"
	     "Where and what:\n"
	     "  --listen ADDR:PORT      where to listen; port 0 takes a free one (127.0.0.1:8080)\n"
	     "  --access-log FILE       one line a request; - is standard output, off is none (-)\n"
	     "  --no-listing            a directory without an index.html is 403, not a list of files\n"
	     "  --hidden                also serve names that begin with a dot (/.well-known always is)\n"
	     "\n"
	     "Limits:\n"
	     "  --max-connections N     above it clients are told 503 (10000, or what ulimit -n allows)\n"
	     "  --max-header BYTES      request line and headers, else 431; 16K is 16384 (16K)\n"
	     "\n"
	     "Times, in seconds:\n"
	     "  --header-timeout S      for a request to arrive, else 408 (10)\n"
	     "  --idle-timeout S        for the next request to begin, else the connection is closed (60)\n"
	     "  --send-timeout S        for a client to take something, else it is cut off (30)\n"
	     "  --drain-timeout S       for answers in progress when the server is to end (30)\n"
	     "\n"
	     "  --verbose               say on standard error why connections ended\n"
	     "  --help                  this text\n"
	     "\n"
	     "Examples:\n"
	     "  noria serve .                                   look at http://127.0.0.1:8080/\n"
	     "  noria serve site --listen :80 --access-log /var/log/site.log\n"
	     "  noria serve site --listen '[::1]:0' --no-listing --drain-timeout 5\n"
	     "\n"
	     "Exit codes: 0 drained, 1 failed to start or broke, 2 wrong arguments,\n"
	     "3 ended before every answer was out (the drain timeout passed, or a second signal came).");
}

enum option_name {
	OPTION_LISTEN = 1000,
	OPTION_ACCESS_LOG,
	OPTION_NO_LISTING,
	OPTION_HIDDEN,
	OPTION_MAX_CONNECTIONS,
	OPTION_MAX_HEADER,
	OPTION_HEADER_TIMEOUT,
	OPTION_IDLE_TIMEOUT,
	OPTION_SEND_TIMEOUT,
	OPTION_DRAIN_TIMEOUT,
	OPTION_VERBOSE,
	OPTION_HELP,
};

static const struct option long_options[] = {
	{"listen", required_argument, NULL, OPTION_LISTEN},
	{"access-log", required_argument, NULL, OPTION_ACCESS_LOG},
	{"no-listing", no_argument, NULL, OPTION_NO_LISTING},
	{"hidden", no_argument, NULL, OPTION_HIDDEN},
	{"max-connections", required_argument, NULL, OPTION_MAX_CONNECTIONS},
	{"max-header", required_argument, NULL, OPTION_MAX_HEADER},
	{"header-timeout", required_argument, NULL, OPTION_HEADER_TIMEOUT},
	{"idle-timeout", required_argument, NULL, OPTION_IDLE_TIMEOUT},
	{"send-timeout", required_argument, NULL, OPTION_SEND_TIMEOUT},
	{"drain-timeout", required_argument, NULL, OPTION_DRAIN_TIMEOUT},
	{"verbose", no_argument, NULL, OPTION_VERBOSE},
	{"help", no_argument, NULL, OPTION_HELP},
	{0},
};

static bool read_time(int option, const char *value, struct serve_options *options)
{
	int64_t *times[] = {&options->header_timeout_ns, &options->idle_timeout_ns, &options->send_timeout_ns,
			    &options->drain_timeout_ns};
	int64_t *time = times[option - OPTION_HEADER_TIMEOUT];
	if (!option_seconds("serve", long_options[option - OPTION_LISTEN].name, value, time))
		return false;
	if (*time == 0 && option == OPTION_HEADER_TIMEOUT) {
		fputs("noria serve: --header-timeout 0: no request could arrive in time. Give seconds above 0.\n",
		      stderr);
		return false;
	}
	*time += *time == 0; /* the configuration of a runtime takes 0 for "the default" */
	return true;
}

static bool read_limit(int option, const char *value, struct serve_options *options)
{
	uint64_t number;
	if (option == OPTION_MAX_CONNECTIONS) {
		if (!option_number("serve", "max-connections", value, false, 1, 1000000, &number))
			return false;
		options->connections_max = (unsigned)number;
		options->connections_given = true;
		return true;
	}
	if (!option_number("serve", "max-header", value, true, 256, 1024 * 1024, &number))
		return false;
	options->limits.header = (size_t)number;
	return true;
}

static bool read_option(int option, const char *value, struct serve_options *options)
{
	switch (option) {
	case OPTION_LISTEN:
		return option_address("serve", "listen", value, &options->address);
	case OPTION_ACCESS_LOG:
		options->access_log = value;
		return true;
	case OPTION_NO_LISTING:
		options->listing = false;
		return true;
	case OPTION_HIDDEN:
		options->hidden = true;
		return true;
	case OPTION_VERBOSE:
		report_details = true;
		return true;
	case OPTION_MAX_CONNECTIONS:
	case OPTION_MAX_HEADER:
		return read_limit(option, value, options);
	default:
		return read_time(option, value, options);
	}
}

static void set_defaults(struct serve_options *options)
{
	*options = (struct serve_options){
		.header_timeout_ns = noria_sec(10),
		.idle_timeout_ns = noria_sec(60),
		.send_timeout_ns = noria_sec(30),
		.drain_timeout_ns = noria_sec(30),
		.connections_max = 10000,
		.limits = {.header = 16 * 1024, .target = TARGET_MAX, .body = BODY_MAX},
		.listing = true,
		.access_log = "-",
	};
	(void)option_address("serve", "listen", "127.0.0.1:8080", &options->address);
}

static int usage(const char *problem, const char *argument)
{
	fprintf(stderr, "noria serve: %s%s\nTry `noria serve .`, or `noria serve --help`.\n", problem, argument);
	return EXIT_USAGE;
}

int serve_arguments(int argc, char **argv, struct serve_options *options)
{
	int option;
	set_defaults(options);
	while ((option = getopt_long(argc, argv, ":h", long_options, NULL)) != -1) {
		if (option == '?' || option == ':')
			return option_unknown("serve", option, argv[optind - 1]);
		if (option == 'h' || option == OPTION_HELP) {
			print_help();
			return EXIT_OK;
		}
		if (!read_option(option, optarg, options))
			return EXIT_USAGE;
	}
	if (optind == argc)
		return usage("which directory is to be served?", "");
	if (optind + 1 < argc)
		return usage("one directory at a time: what is ", argv[optind + 1]);
	options->directory = argv[optind];
	if (options->limits.target > options->limits.header)
		options->limits.target = options->limits.header;
	return SERVE_GO_ON;
}
