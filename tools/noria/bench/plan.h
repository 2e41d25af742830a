/* SPDX-License-Identifier: MIT */
/* What is to be measured, and how: the arguments of `noria bench`, read and checked. Nothing here changes in a run. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum scheme {
	SCHEME_TCP,  /* a stream of bytes that comes back: an echo */
	SCHEME_UNIX, /* the same over a Unix socket */
	SCHEME_UDP,  /* datagrams that come back */
	SCHEME_HTTP, /* HTTP/1.1, keep-alive */
};

/* A server, as its URL names it. */
struct target {
	const char *url; /* as it was given */
	enum scheme scheme;
	struct sockaddr_storage socket;
	socklen_t socket_size;
	char authority[264]; /* of HTTP: what the Host header says */
	const char *path;    /* of HTTP: what is asked for, "/" at least */
};

enum {
	RATES_MAX = 64,   /* of a sweep */
	HEADERS_MAX = 32, /* --header, so many times */
	TARGETS_MAX = 2,  /* of a comparison */
	OVERLAYS_MAX = 32,
	DEPTH_MAX = 1024,
};

struct gallery;

struct plan {
	struct target target[TARGETS_MAX];
	unsigned targets; /* 0: nothing is measured, what was saved is drawn */

	unsigned connections, threads;
	unsigned depth; /* requests in flight on a connection, at most */
	int64_t duration_ns, warmup_ns, ramp_ns, timeout_ns;
	double rate; /* requests a second, open loop; 0: closed loop */

	double rates[RATES_MAX]; /* a sweep, in its order */
	unsigned rates_count;
	bool refine;      /* of a range: the knee is looked for between its steps */
	int64_t limit_ns; /* of the 99th percentile, to count as kept up with; 0: none */

	bool compare;
	unsigned rounds;

	size_t size; /* of an echoed message */
	const char *method, *body;
	size_t body_size;
	const char *headers[HEADERS_MAX];
	unsigned headers_count;

	bool json, quiet;
	const char *hgrm, *csv, *svg;       /* files to write, NULL: none */
	const char *overlays[OVERLAYS_MAX]; /* files to read */
	unsigned overlays_count;
	const struct gallery *saved; /* the runs in them */
};

#define ARGUMENTS_READ (-1)

/*
 * Read the arguments. Names are looked up, and the servers asked for a connection: call before noria_run().
 * Returns: ARGUMENTS_READ; or the exit code, after all has been said. What `plan` points to are the arguments, and
 * what plan_done() frees.
 */
int plan_read(int argc, char **argv, struct plan *plan);
void plan_done(struct plan *plan);

/*
 * "tcp://host:port", "udp://host:port", "unix:/path", "http://host[:port]/path". Of several addresses the first that
 * takes a connection is meant. Returns: ARGUMENTS_READ; or the exit code, explained on standard error.
 */
int target_read(const char *url, struct target *ret_target);
