/* SPDX-License-Identifier: MIT */
/* Datagram echo servers: each serves its socket for ever. */
#pragma once

struct udp_server {
	const char *name;
	void (*serve)(int fd);
};

/* The first is the measure of the others; the last has no name. */
extern const struct udp_server udp_servers[];
