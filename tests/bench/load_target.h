/* SPDX-License-Identifier: MIT */
/*
 * A server under load, as the client sees it: connections in a closed loop, for one slice of time after another.
 *
 * Every connection sends its own window of one endless pseudo-random pattern and compares all that comes back with
 * the same window, so a lost, doubled, reordered or misdelivered byte is an error. A request is issued when
 * the answer so many requests before it is complete; one reading of the clock ends the old request and starts the
 * new one. A slice begins and ends with nothing in flight and the server asleep: only then can its time on the CPU
 * be read exactly.
 */
#pragma once

#include "load_histogram.h"
#include "load_usage.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

struct load {
	uint64_t connections;
	uint64_t size;  /* bytes a request */
	uint64_t depth; /* requests in flight on each connection */
	bool awake;     /* ask for events without ever waiting for them */
};

struct slice {
	uint64_t requests;
	uint64_t elapsed_ns;
	struct usage server;
	struct usage client;
};

struct target {
	const struct load *load;
	struct sockaddr_in address;
	uint64_t idle;   /* connections more, on which nothing is ever sent */
	const char *pid; /* "" when its time on the CPU is not asked for */
	int epoll;
	bool stopping; /* no new requests: the slice ends when all are answered */
	struct connection *connections;
	uint64_t live;     /* connections that did not fail */
	uint64_t requests; /* answered in this slice */
	uint64_t errors;
	struct histogram latencies; /* of all slices */
};

/* Connects; the target's load, address and pid are set. Ends the program when it cannot. */
void target_open(struct target *t);

/* Loads the server for so long, then until all is answered. Ends the program when no answer comes for two seconds. */
struct slice target_run(struct target *t, uint64_t length_ns);
