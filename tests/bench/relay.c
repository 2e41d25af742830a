/* SPDX-License-Identifier: MIT */
/* The arguments of the relays: see relay.h. */
#include "relay.h"

#include <getopt.h>
#include <stddef.h>

struct relay_options relay_parse(int argc, char **argv)
{
	static const struct option known[] = {
		{"listen", required_argument, NULL, 'l'},
		{"upstream", required_argument, NULL, 'u'},
		{"fan", required_argument, NULL, 'f'},
		{"size", required_argument, NULL, 's'},
		{0},
	};
	struct relay_options options = {.fan = 1, .size = 64};
	int option;

	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (option == 'l')
			options.listen = optarg;
		else if (option == 'u')
			options.upstream = bench_parse_address(optarg);
		else if (option == 'f')
			options.fan = (unsigned)bench_parse_number("--fan", optarg, 1, RELAY_FAN_MAX);
		else if (option == 's')
			options.size = (unsigned)bench_parse_number("--size", optarg, 1, RELAY_SIZE_MAX);
		else
			bench_usage("options are --listen A:P, --upstream A:P, --fan N and --size BYTES");
	}
	if (!options.listen || options.upstream.sin_port == 0 || optind != argc)
		bench_usage("--listen ADDRESS:PORT and --upstream ADDRESS:PORT are needed, and nothing but options");
	return options;
}
