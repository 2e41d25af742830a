/* SPDX-License-Identifier: MIT */
/*
 * What the arguments of the subcommands have in common. Each reader answers true, or explains on standard error what
 * was given, what would be right, and answers false.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct address {
	struct sockaddr_storage socket;
	socklen_t size;
};

/* "127.0.0.1:8080", "[::1]:0", "localhost:http", ":8080" (every address). May look the name up: call before noria_run(). */
bool option_address(const char *command, const char *option, const char *value, struct address *ret_address);

/* Seconds, with a fraction if wanted, from 0 to a million: "30", "0.5". */
bool option_seconds(const char *command, const char *option, const char *value, int64_t *ret_ns);

/* A whole number from `min` to `max`; K and M at its end count 1024 and 1024 * 1024 if `bytes`. */
bool option_number(const char *command, const char *option, const char *value, bool bytes, uint64_t min, uint64_t max,
		   uint64_t *ret_number);

/*
 * What getopt_long() answered '?' or ':' for, said in full. `argument` is argv[optind - 1].
 * Returns: EXIT_USAGE.
 */
int option_unknown(const char *command, int answer, const char *argument);
