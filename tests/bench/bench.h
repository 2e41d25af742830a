/* SPDX-License-Identifier: MIT */
/*
 * What the benchmark programs share: addresses, listening sockets and clocks.
 *
 * The programs are measured against each other, so everything that is not the
 * thing being compared lives here once and is the same in all of them.
 */
#pragma once

#include <netinet/in.h>
#include <stdint.h>
#include <time.h>

#define BENCH_NSEC_PER_SEC 1000000000ULL

/* Prints "PROGRAM: WHAT: STRERROR" to stderr and exits with status 1. error is an errno, positive or negative. */
_Noreturn void bench_die(const char *what, int error);

/* Prints "PROGRAM: MESSAGE" to stderr and exits with status 2: the command line was wrong. */
_Noreturn void bench_usage(const char *message);

/* "ADDRESS:PORT", IPv4 in dotted form. Ends the program when it is not that. */
struct sockaddr_in bench_parse_address(const char *text);

/* An unsigned decimal between min and max. Ends the program, naming the option, when it is not that. */
uint64_t bench_parse_number(const char *option, const char *text, uint64_t min, uint64_t max);

/* How many descriptors the process may have: each is smaller than this. */
unsigned int bench_file_limit(void);

/*
 * A non-blocking listening socket with TCP_NODELAY, which on Linux the accepted sockets inherit.
 * Prints "listening on ADDRESS:PORT" to stdout with the port really bound, and makes SIGTERM and
 * SIGINT end the program with status 0.
 */
int bench_listen(const char *text);

/* TCP_NODELAY. Ends the program when that, or the socket, is not to be had. */
void bench_no_delay(int fd);

static inline uint64_t bench_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * BENCH_NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}
