/* SPDX-License-Identifier: MIT */
/*
 * A server that asks others for each answer: what relay_epoll and relay_noria do, and how they are started.
 *
 * Every client has its own connections to one upstream server, `fan` of them. With one it is a proxy: bytes go
 * through both ways as they come. With more, a client's message of `size` bytes is sent on all of them, and once each
 * has answered as much, the client gets the last one's answer.
 */
#pragma once

#include "bench.h"

enum { RELAY_FAN_MAX = 16, RELAY_SIZE_MAX = 16384 };

struct relay_options {
	const char *listen;
	struct sockaddr_in upstream;
	unsigned fan, size;
};

/* Ends the program when the arguments are wrong. */
struct relay_options relay_parse(int argc, char **argv);
