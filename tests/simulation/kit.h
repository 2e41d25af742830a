/* SPDX-License-Identifier: MIT */
/* What the tests of the kit share. A test that expects a finding keeps it quiet. */
#ifndef NORIA_TESTS_SIMULATION_KIT_H
#define NORIA_TESTS_SIMULATION_KIT_H

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <noria/noria.h>
#include <noria/test.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define EXPECT(condition) cr_expect(condition, "%s (found: %s)", #condition, noria_sim_last_report()->what)

#define EXPECT_EQ(actual, wanted) \
	do { \
		long long actual_ = (long long)(actual), wanted_ = (long long)(wanted); \
		cr_expect(actual_ == wanted_, "%s is %lld, not %s = %lld (found: %s; message: %s)", #actual, actual_, \
			  #wanted, wanted_, noria_sim_last_report()->what, noria_message()); \
	} while (0)

#define MUST(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "%s:%d: MUST(%s): %s\n", __FILE__, __LINE__, #condition, noria_message()); \
			abort(); \
		} \
	} while (0)

/* The words of the last finding have this in them. */
#define EXPECT_SAYS(text) \
	cr_expect(strstr(noria_sim_last_report()->what, text), "not said: %s, but: %s", text, \
		  noria_sim_last_report()->what)

static inline int64_t real_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* An address to listen on or to connect to. */
static inline struct sockaddr_in address_of(const char *text, uint16_t port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};

	MUST(inet_pton(AF_INET, text, &address.sin_addr) == 1);
	return address;
}

/* kit_echo.c: a server that sends back what it gets, on the host it is on, and a client of it. */
int serve_echo(void *arg);
/* `rounds` messages to that host; a negative errno. */
int talk_echo(const struct noria_sim_host *host, int rounds);
/* Both, on hosts of their own: a test. */
int echo_between_hosts(void *arg);

#endif
